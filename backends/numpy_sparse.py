"""What sparse kernels are in SciPy. A value is an array of scipy.sparse by rows or by columns, each entry once.

The kernels take dense arrays as well, so that each op can be run by itself.
"""

from __future__ import annotations

from collections.abc import Callable

from tpc.backends.code import Value, fill
from tpc.backends.dialect import Entry, Helper, Site
from tpc.backends.sparsifiers import helpers
from tpc.ir.ops.sparse import TRUE_OF_NONZERO
from tpc.ir.types import BF16, F16


def _call(helper: str, *options: str) -> Callable[[Site], str]:
    def text(site: Site) -> str:
        operands = [site.array(k) if a.rank else a.text for k, a in enumerate(site.args)]
        return f"{site.help(helper)}({', '.join([*operands, *(str(site[o]) for o in options)])})"

    return text


def _stored(entry: Entry, dense: str) -> Callable[[Site], str]:
    """An op that begins to store a matrix by its entries, which SciPy does not know in half precision."""

    def text(site: Site) -> str:
        if site.node.tensor.dtype in (F16, BF16):
            return fill(dense, site.array())
        return entry(site) or "" if callable(entry) else fill(entry, site.array())

    return text


def _given(site: Site) -> str:
    return f"{site.help('_csr')}({site.array()}, {site.dtype})"


def _map(site: Site) -> str:
    """A function of the entries that are stored."""
    function = site["function"]
    entries = Value("entries", site.args[0].dtype, 1)
    if function == TRUE_OF_NONZERO:
        applied = "entries != 0"
    else:
        applied = site.dialect.cast(
            site.scribe, site.dialect.apply(site.scribe, function, [entries], 1), site.node.tensor.dtype
        ).text
    return f"{site.help('_entrywise')}(lambda entries: {applied}, {site.array()})"


def _cast(site: Site) -> str:
    return f"{site.array()}.astype({site.dtype})"


def _named(helper: str) -> Callable[[Site], str]:
    """A helper that is told what to call its matrix in an error."""
    return lambda site: f"{site.help(helper)}({', '.join([*(a.text for a in site.args), repr(site.labels[0])])})"


def _sum(site: Site) -> str:
    axis = "" if site["axis"] is None else f"axis={site['axis']}, "
    return f"{site.array()}.sum({axis}dtype={site.dtype})"


SPARSE: dict[str, Entry] = {
    "csr": _stored(_given, "np.array({0})"),
    "to_csr": _stored(_call("_to_csr"), "np.array({0})"),
    "from_csr": _call("_dense"),
    "csr_transpose": "{0}.T",
    "csr_map": _map,
    "csr_cast": _cast,
    "csr_add": "{0} + {1}",
    "csr_sub": "{0} - {1}",
    "csr_mul": _call("_csr_mul"),
    "csr_scale": _call("_csr_scale"),
    "csr_div": _call("_csr_div"),
    "csr_plus_dense": "np.asarray({0} + {1})",
    "spmm": _call("_spmm"),
    "spgemm": "{0} @ {1}",
    "sddmm": _call("_sddmm"),
    "csr_sum": _sum,
    "csr_diag": "{0}.diagonal()",
    "csr_diagonal": _stored(_call("_diagonal_csr"), "np.diag({0})"),
    "csr_triangle": _call("_csr_triangle", "lower", "k"),
    "csr_kron": _call("_csr_kron"),
    "splu": _named("_splu"),
    "splu_solve": _call("_splu_solve"),
    "splu_logdet": _call("_splu_logdet"),
    "csr_solve_triangular": _call("_csr_solve_triangular", "lower"),
}

SPARSE_HELPERS: dict[str, Helper] = {
    **helpers("np", 'np.argsort(np.argsort(-size, axis=-1, kind="stable"), axis=-1)'),
    "_csr": Helper(
        '''
def _csr(A, dtype):
    """A by rows or columns with its entries in order, each once; A itself where it is so."""
    if isinstance(A, scipy.sparse.csc_matrix):
        A = scipy.sparse.csc_array(A)  # in the same memory
    elif not isinstance(A, (scipy.sparse.csr_array, scipy.sparse.csc_array)):
        A = scipy.sparse.csr_array(A)
    if A.dtype != dtype:
        A = A.astype(dtype)
    if not A.has_canonical_format:
        A = A.copy()
        A.sum_duplicates()
    return A
'''
    ),
    "_with": Helper(
        '''
def _with(A, entries):
    """A matrix with the pattern of A."""
    if isinstance(A, scipy.sparse.csr_array):
        return scipy.sparse.csr_array((entries, A.indices, A.indptr), shape=A.shape)
    return scipy.sparse.csc_array((entries, A.indices, A.indptr), shape=A.shape)
'''
    ),
    "_to_csr": Helper(
        '''
def _to_csr(A):
    """A with its zeros left out; a copy where it is sparse."""
    return A.copy() if scipy.sparse.issparse(A) else scipy.sparse.csr_array(A)
'''
    ),
    "_dense": Helper(
        '''
def _dense(A):
    """A with all of its entries."""
    return A.toarray() if scipy.sparse.issparse(A) else np.array(A)
'''
    ),
    "_entrywise": Helper(
        '''
def _entrywise(function, A):
    """A function that is zero at zero, of each entry."""
    return _with(A, function(A.data)) if scipy.sparse.issparse(A) else function(A)
''',
        ("_with",),
    ),
    "_places": Helper(
        '''
def _places(A):
    """The rows and columns of the entries."""
    lines = np.repeat(np.arange(len(A.indptr) - 1, dtype=A.indices.dtype), A.indptr[1:] - A.indptr[:-1])
    return (lines, A.indices) if isinstance(A, scipy.sparse.csr_array) else (A.indices, lines)
'''
    ),
    "_at_entries": Helper(
        '''
def _at_entries(A, X):
    """X where sparse A has entries; a number, a row or a column stands for a matrix of A's shape."""
    if np.asarray(X).ndim == 0:
        return X
    rows, columns = _places(A)
    X = np.atleast_2d(X)
    if X.shape[0] == 1 < A.shape[0]:
        return X[0, columns] if X.shape[1] == A.shape[1] else X[0, 0]
    if X.shape[1] == 1 < A.shape[1]:
        return X[rows, 0]
    return X[rows, columns]
''',
        ("_places",),
    ),
    "_csr_mul": Helper(
        '''
def _csr_mul(A, B):
    """The entries of A times those of B."""
    if not scipy.sparse.issparse(A):
        return A * B
    return A.multiply(B)
'''
    ),
    "_csr_scale": Helper(
        '''
def _csr_scale(A, X):
    """The entries of sparse A times those of X."""
    return _with(A, A.data * _at_entries(A, X)) if scipy.sparse.issparse(A) else A * X
''',
        ("_with", "_at_entries"),
    ),
    "_csr_div": Helper(
        '''
def _csr_div(A, X):
    """The entries of sparse A through those of X."""
    return _with(A, A.data / _at_entries(A, X)) if scipy.sparse.issparse(A) else A / X
''',
        ("_with", "_at_entries"),
    ),
    "_spmm": Helper(
        '''
def _spmm(A, X):
    """A @ X for sparse A."""
    return A @ X
'''
    ),
    "_sddmm": Helper(
        '''
def _sddmm(A, B, C):
    """A * (B @ C) for sparse A: the products of rows and columns that meet in an entry of A, some at a time.

    Where one in 25 is needed, whole panels of rows of the product are faster.
    """
    if not scipy.sparse.issparse(A):
        return A * (B @ C)
    rows, columns = _places(A)
    if 25 * len(rows) > A.shape[0] * A.shape[1]:
        return _with(A, A.data * _panels(A, B, C, rows, columns))
    turned = np.array(C.T, order="C")
    entries = np.empty(len(rows), np.result_type(A, B, C))
    step = max(1, 2**15 // max(1, B.shape[1]))
    for start in range(0, len(rows), step):
        stop = start + step
        entries[start:stop] = np.einsum("ik,ik->i", B[rows[start:stop]], turned[columns[start:stop]])
    return _with(A, A.data * entries)
''',
        ("_with", "_places", "_panels"),
    ),
    "_panels": Helper(
        '''
def _panels(A, B, C, rows, columns):
    """The entries of B @ C where sparse A has some, from a panel of the product after the other."""
    if isinstance(A, scipy.sparse.csc_array):
        B, C, rows, columns = C.T, B.T, columns, rows
    entries = np.empty(len(rows), np.result_type(B, C))
    step = max(1, 2**17 // max(1, C.shape[1]))
    for start in range(0, B.shape[0], step):
        first, last = A.indptr[start], A.indptr[min(start + step, B.shape[0])]
        entries[first:last] = (B[start : start + step] @ C)[rows[first:last] - start, columns[first:last]]
    return entries
'''
    ),
    "_diagonal_csr": Helper(
        '''
def _diagonal_csr(d):
    """A sparse matrix with d on its diagonal."""
    count = len(d)
    return scipy.sparse.csr_array((np.array(d), np.arange(count), np.arange(count + 1)), shape=(count, count))
'''
    ),
    "_csr_triangle": Helper(
        '''
def _csr_triangle(A, lower, k):
    """The entries on one side of the k-th diagonal, and on it."""
    if not scipy.sparse.issparse(A):
        return np.tril(A, k) if lower else np.triu(A, k)
    part = scipy.sparse.tril(A, k, format="csr") if lower else scipy.sparse.triu(A, k, format="csr")
    part.sort_indices()
    return part
'''
    ),
    "_csr_kron": Helper(
        '''
def _csr_kron(A, B):
    """The Kronecker product of sparse matrices."""
    if not scipy.sparse.issparse(A):
        return np.kron(A, B)
    product = scipy.sparse.kron(A, B, format="csr")
    product.sort_indices()
    return product
'''
    ),
    "_splu": Helper(
        '''
def _splu(A, name):
    """The sparse triangular factors of A, with rows and columns in an order that keeps them sparse."""
    if A.shape[0] == 0 or not scipy.sparse.issparse(A):
        return A
    try:
        return scipy.sparse.linalg.splu(scipy.sparse.csc_array(A))
    except RuntimeError:
        raise np.linalg.LinAlgError(f"{name} is singular") from None
'''
    ),
    "_splu_solve": Helper(
        '''
def _splu_solve(factors, B):
    """X with A @ X = B, from the sparse factors of A."""
    if len(B) == 0 or B.size == 0:
        return np.zeros(B.shape, B.dtype)
    return np.linalg.solve(factors, B) if isinstance(factors, np.ndarray) else factors.solve(B)
'''
    ),
    "_splu_logdet": Helper(
        '''
def _splu_logdet(factors):
    """The logarithm of the determinant; NaN where that is negative."""
    if factors.shape[0] == 0:
        return np.float64(0)
    if isinstance(factors, np.ndarray):
        sign, value = np.linalg.slogdet(factors)
    else:
        diagonal = factors.U.diagonal()
        value = np.log(np.abs(diagonal)).sum()
        sign = np.prod(np.sign(diagonal)) * _parity(factors.perm_r) * _parity(factors.perm_c)
    return value if np.iscomplexobj(sign) or sign > 0 else value * np.nan
''',
        ("_parity",),
    ),
    "_parity": Helper(
        '''
def _parity(order):
    """1 or -1, as the number of exchanges that a permutation takes is even or odd."""
    seen = np.zeros(len(order), bool)
    cycles = 0
    for start in range(len(order)):
        cycles += not seen[start]
        place = start
        for _ in range(len(order)):
            if seen[place]:
                break
            seen[place] = True
            place = order[place]
    return 1 - 2 * ((len(order) - cycles) % 2)
'''
    ),
    "_csr_solve_triangular": Helper(
        '''
def _csr_solve_triangular(A, B, lower):
    """X with A @ X = B for a sparse triangle."""
    if B.size == 0:
        return np.zeros(B.shape, B.dtype)
    if not scipy.sparse.issparse(A):
        return np.linalg.solve(np.tril(A) if lower else np.triu(A), B)
    if not A.diagonal().all():
        raise np.linalg.LinAlgError("a triangular matrix has a zero on its diagonal")
    part = scipy.sparse.tril(A) if lower else scipy.sparse.triu(A)
    solved = scipy.sparse.linalg.spsolve_triangular(scipy.sparse.csr_array(part), B, lower=lower)
    return solved.astype(B.dtype, copy=False)
'''
    ),
}
