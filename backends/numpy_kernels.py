"""What kernels are in NumPy and SciPy: calls of BLAS and LAPACK that copy no operand that lies in memory as it should.

BLAS counts columns first and NumPy rows, and the transpose of an array by rows is one by columns: so an array goes
in as it lies, and the options say what is transposed.
"""

from __future__ import annotations

from collections.abc import Callable

from tpc.backends.dialect import Entry, Helper, Site
from tpc.backends.numpy_linalg import named_error


def kernel(helper: str, *options: str, named: bool = False) -> Callable[[Site], str]:
    """A helper for matrices (and a vector on the right), over batch axes where there are any.

    It takes the operands, options of the op, and (if `named`) what to call the first operand in an error.
    """

    def text(site: Site) -> str:
        values = [site[o] for o in options]
        more = [str(v) if isinstance(v, bool) else site.size(v) for v in values] + [repr(site.labels[0])] * named
        ranks = [a.tensor.rank for a in site.node.args]
        places = [site.node.op.holds_places(n) for n in range(len(ranks))]
        column = not places[-1] and ranks[-1] == 1
        if all(rank == (1 if place else 2) or (rank == 1 and column) for rank, place in zip(ranks, places)):
            return f"{site.help(helper)}({', '.join([*(a.text for a in site.args), *more])})"
        matrices = list(places)
        matrices[-1] |= column  # vectors are matrices of one column meanwhile
        given = [f"{site.name(n)}[..., None]" if m else site.args[n].text for n, m in enumerate(matrices)]
        letters = "ABC"[: len(ranks)]
        taken = [f"{x}[:, 0]" if place else x for x, place in zip(letters, places)]
        function = f"lambda {', '.join(letters)}: {site.help(helper)}({', '.join([*taken, *more])})"
        return f"{site.help('_each')}({function}, {', '.join(given)})" + "[..., 0]" * column

    return text


def _cholesky(site: Site) -> str:
    # NumPy's own loop is quicker over many small matrices
    return named_error("_cholesky" if site.rank == 2 else "_cholesky_batch")(site)


def _lu_factor(site: Site) -> str:
    return kernel("_symmetric_factor" if site["symmetric"] else "_lu_factor")(site)


def batched(helper: str) -> Callable[[Site], str]:
    """A helper that takes batch axes itself."""
    return lambda site: f"{site.help(helper)}({', '.join(a.text for a in site.args)})"


KERNELS: dict[str, Entry] = {
    "add_diagonal": batched("_add_diagonal"),
    "trmm": kernel("_trmm", "lower"),
    "solve_triangular": kernel("_solve_triangular", "lower", named=True),
    "tri_inv": kernel("_tri_inv", "lower", named=True),
    "cholesky": _cholesky,
    "cho_solve": kernel("_cho_solve", named=True),
    "cho_inv": kernel("_cho_inv", named=True),
    "qr_triangle": "np.linalg.qr({0}, mode='r')",
    "lu_factor": _lu_factor,
    "lu_solve": kernel("_lu_solve", "transposed", named=True),
    "lu_det": batched("_lu_det"),
    "lu_logdet": batched("_lu_logdet"),
    "ldl_factor": kernel("_ldl_factor", named=True),
    "ldl_solve": kernel("_ldl_solve", named=True),
    "band_matmul": kernel("_band_matmul", "below", "above"),
    "band_solve": kernel("_band_solve", "below", "above", named=True),
    "spd_band_solve": kernel("_spd_band_solve", "width", named=True),
}

KERNEL_HELPERS: dict[str, Helper] = {
    "_by_columns": Helper(
        '''
def _by_columns(A):
    """A copy of A in column order, made in strips that fit into the cache."""
    if A.ndim == 1:
        return np.array(A)
    copy = np.empty(A.shape, A.dtype, order="F")
    for start in range(0, len(A), 128):
        copy[start : start + 128] = A[start : start + 128]
    return copy
'''
    ),
    "_triangular": Helper(
        '''
def _triangular(kind, A, B, lower, transposed=False, unit=False):
    """A @ B ("trm"), or X with A @ X = B ("trs"), for triangular A or its transpose."""
    if B.size == 0:
        return np.zeros(B.shape, B.dtype)
    routine = scipy.linalg.get_blas_funcs(kind + ("v" if B.ndim == 1 else "m"), (A, B))
    if not A.flags.f_contiguous:
        A, lower, transposed = A.T, not lower, not transposed
    if B.ndim == 1:
        return routine(A, B, lower=lower, trans=transposed, diag=unit)
    if B.flags.c_contiguous and 8 * B.shape[1] >= B.shape[0]:  # few columns are quicker copied
        return routine(1, A, B.T, side=1, lower=lower, trans_a=not transposed, diag=unit).T
    return routine(1, A, B, lower=lower, trans_a=transposed, diag=unit)
'''
    ),
    "_add_diagonal": Helper(
        '''
def _add_diagonal(A, d):
    """A + diag(d); d may be a number."""
    total = np.array(A, np.result_type(A, d))
    # a view; the second form takes longer than the addition where matrices are small
    diagonal = total.ravel("K")[:: len(A) + 1] if A.ndim == 2 else np.einsum("...ii->...i", total)
    diagonal += d
    return total
'''
    ),
    "_trmm": Helper(
        '''
def _trmm(A, B, lower):
    """A @ B for triangular A."""
    return _triangular("trm", A, B, lower)
''',
        ("_triangular",),
    ),
    "_solve_triangular": Helper(
        '''
def _solve_triangular(A, B, lower, name):
    """X with A @ X = B for triangular A; errors call A by its name."""
    if 0 < B.size < 400 or B.ndim == 1 and B.size:  # a copy costs less than what is asked below
        solve, turned = scipy.linalg.get_lapack_funcs("trtrs", (A, B)), not A.flags.f_contiguous
        X, info = solve(A.T if turned else A, B, lower=lower != turned, trans=turned)
        if not info:
            return X
    if np.count_nonzero(A.diagonal()) < len(A):
        raise np.linalg.LinAlgError(f"{name} is singular")
    return _triangular("trs", A, B, lower)
''',
        ("_triangular",),
    ),
    "_tri_inv": Helper(
        '''
def _tri_inv(A, lower, name):
    """The inverse of a triangle of A, which errors call by its name."""
    if A.size == 0:
        return np.array(A)
    invert = scipy.linalg.get_lapack_funcs("trtri", (A,))
    inverse, info = invert((np.tril(A) if lower else np.triu(A)).T, lower=not lower, overwrite_c=True)
    if info > 0:
        raise np.linalg.LinAlgError(f"{name} is singular")
    return inverse.T
'''
    ),
    "_cholesky": Helper(
        '''
def _cholesky(A, name):
    """The lower Cholesky factor of A, which errors call by its name."""
    if A.size == 0:
        return np.array(A)
    factor = scipy.linalg.get_lapack_funcs("potrf", (A,))
    turned = not A.flags.f_contiguous
    L, info = factor(A.T if turned else A, lower=not turned, clean=True)
    if info > 0 or L[-1, -1] != L[-1, -1]:  # NaN is not noticed by LAPACK, and comes through to the last entry
        raise np.linalg.LinAlgError(f"{name} is not positive definite")
    return L.T if turned else L
'''
    ),
    "_cho_solve": Helper(
        '''
def _cho_solve(L, B, name):
    """X with L @ L' @ X = B; errors call L by its name."""
    if B.ndim == 1 and B.size and np.isrealobj(L) and np.count_nonzero(L.diagonal()) == len(L):
        solve, turned = scipy.linalg.get_lapack_funcs("potrs", (L, B)), not L.flags.f_contiguous
        return solve(L.T if turned else L, B, lower=not turned)[0]
    half = _solve_triangular(L, B, True, name)
    return _triangular("trs", L, half.conj(), True, transposed=True).conj()
''',
        ("_solve_triangular", "_triangular"),
    ),
    "_cho_inv": Helper(
        '''
def _cho_inv(L, name):
    """The inverse of L @ L'; errors call L by its name."""
    if L.size == 0:
        return np.array(L)
    invert = scipy.linalg.get_lapack_funcs("potri", (L,))
    turned = not L.flags.f_contiguous
    inverse, info = invert(L.T if turned else L, lower=not turned)
    if info > 0:
        raise np.linalg.LinAlgError(f"{name} is singular")
    inverse = inverse.T if turned else inverse
    for start in range(0, len(inverse), 128):  # the upper triangle from the lower one
        stop = start + 128
        block = np.tril(inverse[start:stop, start:stop])
        inverse[start:stop, start:stop] = block + np.tril(block, -1).conj().T
        inverse[start:stop, stop:] = inverse[stop:, start:stop].conj().T
    return inverse
'''
    ),
    "_lu_factor": Helper(
        '''
def _lu_factor(A):
    """L and U of A with its rows exchanged, in one matrix, and the row that each was exchanged with."""
    if A.size == 0:
        return np.array(A), np.zeros(0, np.int64)
    factor = scipy.linalg.get_lapack_funcs("getrf", (A,))
    packed, pivots, _ = factor(_by_columns(A), overwrite_a=True)
    return packed, pivots.astype(np.int64)
''',
        ("_by_columns",),
    ),
    "_symmetric_factor": Helper(
        '''
def _symmetric_factor(A):
    """Factors of symmetric A: L with A = L @ L.T and rows -1 if A is positive definite, else L and U."""
    if A.size == 0 or np.iscomplexobj(A) or not (np.diagonal(A) > 0).all():
        return _lu_factor(A)
    factor = scipy.linalg.get_lapack_funcs("potrf", (A,))
    packed, info = factor(A if A.flags.f_contiguous else A.T, lower=True, clean=False)
    if info > 0 or packed[-1, -1] != packed[-1, -1]:  # which is NaN
        return _lu_factor(A)
    return packed, np.full(len(A), -1)
''',
        ("_lu_factor",),
    ),
    "_lu_solve": Helper(
        '''
def _lu_solve(packed, pivots, B, transposed, name):
    """X with A @ X = B (or A.T @ X = B) by the factors of A, which errors call by its name."""
    if np.count_nonzero(packed.diagonal()) < len(packed):
        raise np.linalg.LinAlgError(f"{name} is singular")
    if B.size == 0:
        return np.zeros(B.shape, B.dtype)
    if pivots[-1] < 0:  # they are of _symmetric_factor, which found the matrix positive definite
        solve = scipy.linalg.get_lapack_funcs("potrs", (packed, B))
        return solve(packed, _by_columns(B), lower=True, overwrite_b=True)[0].reshape(B.shape)
    solve = scipy.linalg.get_lapack_funcs("getrs", (packed, B))
    pivots = _inside(pivots, len(packed))
    return solve(packed, pivots, _by_columns(B), trans=transposed, overwrite_b=True)[0].reshape(B.shape)
''',
        ("_by_columns", "_inside"),
    ),
    "_lu_det": Helper(
        '''
def _lu_det(packed, pivots):
    """The determinant by the factors: every exchange of rows turns its sign."""
    product = np.prod(np.diagonal(packed, axis1=-2, axis2=-1), -1)
    exchanges = np.sum(pivots != np.arange(packed.shape[-1]), -1)
    definite = (pivots[..., -1:] < 0).any(-1)
    return np.where(definite, product**2, np.where(exchanges % 2, -product, product))
'''
    ),
    "_lu_logdet": Helper(
        '''
def _lu_logdet(packed, pivots):
    """The logarithm of the determinant by the factors; NaN where that is negative."""
    diagonal = np.diagonal(packed, axis1=-2, axis2=-1)
    with np.errstate(divide="ignore"):
        value = np.sum(np.log(np.abs(diagonal)), -1)
    if np.iscomplexobj(packed):
        return value
    definite = (pivots[..., -1:] < 0).any(-1)
    turns = np.sum(pivots != np.arange(packed.shape[-1]), -1) + np.sum(diagonal < 0, -1)
    value = np.where((turns % 2 == 1) & (value > -np.inf) & ~definite, np.nan, value)
    return np.where(definite, 2 * value, value).astype(packed.dtype)
'''
    ),
    "_ldl_factor": Helper(
        '''
def _ldl_factor(A, name):
    """L and D of A with its rows and columns in an order, in one matrix, and the order; errors call A by its name."""
    n = len(A)
    if n == 0:
        return np.array(A), np.zeros(0, np.int64)
    kind = "he" if np.iscomplexobj(A) else "sy"
    routines = (kind + "trf", kind + "trf_lwork", "syconv")
    factor, workspace, unpack = scipy.linalg.get_lapack_funcs(routines, (A,))
    size = int(workspace(n, lower=True)[0].real)
    packed, exchanges, info = factor(_by_columns(A), lower=True, lwork=size, overwrite_a=True)
    if info > 0:
        raise np.linalg.LinAlgError(f"{name} is singular")
    packed, below, _ = unpack(packed, exchanges, lower=True, overwrite_a=True)
    packed[np.arange(n - 1), np.arange(1, n)] = below[:-1].conj()
    # a block of 2 is marked by two negative numbers, and its second row is the one exchanged
    inside = exchanges < 0
    first = inside & (np.cumsum(inside) % 2 == 1)
    order = np.arange(n)
    for k, row in zip(range(n), np.where(first, order, np.abs(exchanges) - 1)):
        order[k], order[row] = order[row], order[k]
    return packed, order
''',
        ("_by_columns",),
    ),
    "_ldl_solve": Helper(
        '''
def _ldl_solve(packed, order, B, name):
    """X with A @ X = B by the factors of A, which errors call by its name."""
    n = len(packed)
    order = _inside(order, n)
    Y = _triangular("trs", packed, B[order], True, unit=True)
    d, above = np.diagonal(packed), np.zeros(n, packed.dtype)
    above[:-1] = np.diagonal(packed, 1)
    off = above + np.roll(above, 1).conj()  # what stands beside d in its row of D
    paired = off != 0
    partner = np.arange(n) + (above != 0) - np.roll(above != 0, 1)
    scale = np.where(paired, d[partner] / np.where(paired, off, 1), 1)
    pivot = np.where(paired, scale * d - off.conj(), d)
    if not pivot.all():
        raise np.linalg.LinAlgError(f"{name} is singular")
    Y = ((scale * Y.T - paired * Y[partner].T) / pivot).T
    X = np.zeros(B.shape, Y.dtype)
    X[order] = _triangular("trs", packed, Y.conj(), True, transposed=True, unit=True).conj()
    return X
''',
        ("_triangular", "_inside"),
    ),
    "_band": Helper(
        '''
def _band(A, below, above):
    """The diagonals of A from the highest down, each in a row, with every entry in its own column."""
    band = np.zeros((below + above + 1, A.shape[1]), A.dtype)
    for row, k in zip(band, range(above, -below - 1, -1)):
        diagonal = np.diagonal(A, k)
        row[max(k, 0) : max(k, 0) + len(diagonal)] = diagonal
    return band
'''
    ),
    "_band_matmul": Helper(
        '''
def _band_matmul(A, B, below, above):
    """A @ B for a band of A."""
    if A.size == 0:
        return np.zeros(A.shape[:1] + B.shape[1:], B.dtype)
    below, above = min(below, A.shape[0] - 1), min(above, A.shape[1] - 1)
    if B.ndim == 2 and B.shape[1] >= 16:
        D = np.zeros((below + above + 1, len(A)), A.dtype)
        for o in range(len(D)):
            diagonal, start = np.diagonal(A, o - below), max(0, below - o)
            D[o, start : start + len(diagonal)] = diagonal
        return _diagonals_matmul(D, B, below)
    return scipy.sparse.dia_array((_band(A, below, above), range(above, -below - 1, -1)), A.shape) @ B
''',
        ("_band", "_diagonals_matmul"),
    ),
    "_band_solve": Helper(
        '''
def _band_solve(A, B, below, above, name):
    """X with A @ X = B for a band of A, which errors call by its name."""
    if B.size == 0:
        return np.zeros(B.shape, B.dtype)
    n = len(A)
    below, above = min(below, n - 1), min(above, n - 1)
    return _solve_of_band(_band(A, below, above), below, above, B, name)
''',
        ("_band", "_solve_of_band"),
    ),
    "_solve_of_band": Helper(
        '''
def _solve_of_band(band, below, above, B, name):
    """X with A @ X = B, where the rows of the band are the diagonals of A, which errors call by its name."""
    if below == above == 1:
        return _solve_of_three(band[2, :-1], band[1], band[0, 1:], B, name)
    solve = scipy.linalg.get_lapack_funcs("gbsv", (band, B))
    room = np.zeros((below, band.shape[1]), band.dtype)  # for the exchange of rows
    *_, X, info = solve(below, above, np.concatenate([room, band]), _by_columns(B), overwrite_ab=True, overwrite_b=True)
    if info > 0:
        raise np.linalg.LinAlgError(f"{name} is singular")
    return X.reshape(B.shape)
''',
        ("_by_columns", "_solve_of_three"),
    ),
    "_solve_of_three": Helper(
        '''
def _solve_of_three(lower, middle, upper, B, name):
    """X with A @ X = B for the three diagonals of A, which errors call by its name."""
    solve = scipy.linalg.get_lapack_funcs("gtsv", (middle, B))
    *_, X, info = solve(lower, middle, upper, _by_columns(B), overwrite_b=True)
    if info > 0:
        raise np.linalg.LinAlgError(f"{name} is singular")
    return X.reshape(B.shape)
''',
        ("_by_columns",),
    ),
    "_spd_band_solve": Helper(
        '''
def _spd_band_solve(A, B, width, name):
    """X with A @ X = B for a band of positive definite A, which errors call by its name."""
    if B.size == 0:
        return np.zeros(B.shape, B.dtype)
    return _solve_of_definite_band(_band(A, min(width, len(A) - 1), 0), B, name)
''',
        ("_band", "_solve_of_definite_band"),
    ),
    "_solve_of_definite_band": Helper(
        '''
def _solve_of_definite_band(band, B, name):
    """X with A @ X = B, where the rows of a band that is not kept are the diagonals of definite A, downwards."""
    try:
        if np.isnan(band).any():  # which is not noticed by LAPACK
            raise np.linalg.LinAlgError
        return scipy.linalg.solveh_banded(band, B, overwrite_ab=True, lower=True, check_finite=False)
    except np.linalg.LinAlgError:
        raise np.linalg.LinAlgError(f"{name} is not positive definite") from None
'''
    ),
}
