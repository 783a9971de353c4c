"""Functions that a generated NumPy module may carry with it."""

from __future__ import annotations

from tpc.backends.dialect import Helper

SHAPE = Helper(
    '''
def _shape(name, array, wanted):
    """The shape of an argument, which must be as wanted; a name stands for any size, for the same one throughout."""
    found = tuple(array.shape)
    if found == wanted:
        return found
    sizes = dict(zip(wanted, found))
    if len(found) != len(wanted) or any(d != sizes[w] if isinstance(w, str) else d != w for w, d in zip(wanted, found)):
        raise ValueError(f"{name} must have the shape ({', '.join(map(str, wanted))}), but has {found}")
    return found
'''
)
RATIO = Helper(
    '''
def _ratio(x, y):
    """x / y by IEEE rules, where Python would refuse to divide by zero."""
    with np.errstate(all="ignore"):
        return np.divide(x, y).item()
'''
)

HELPERS: dict[str, Helper] = {
    "_shape": SHAPE,
    "_ratio": RATIO,
    "_bf16": Helper(
        '''
def _bf16(x):
    """x rounded to bfloat16 (halves to even), held in float32."""
    x = np.asarray(x, np.float32)
    bits = x.view(np.uint32)
    rounded = (bits + (((bits >> 16) & 1) + np.uint32(0x7FFF))) & np.uint32(0xFFFF0000)
    return np.where(np.isnan(x), x, rounded.view(np.float32))
'''
    ),
    "_sum_over": Helper(
        '''
def _sum_over(x, outer, inner):
    """The sum over axes, of which the inner are the last ones: the outer ones first, where the others are short."""
    many = few = 1
    for k in outer:
        many *= x.shape[k]
    for k in inner:
        few *= x.shape[k]
    if many < 16 or few > 128:
        return np.sum(x, axis=(*outer, *inner))
    return np.sum(np.sum(x, axis=outer), axis=tuple(k - len(outer) for k in inner))
'''
    ),
    "_inside": Helper(
        '''
def _inside(places, size):
    """Positions on an axis; one outside of it is an error, and none counts from the end."""
    places = np.asarray(places)
    if places.size and not (0 <= places.min() and places.max() < size):
        raise IndexError(f"a position lies outside of an axis of {size} entries")
    return places
'''
    ),
    "_at": Helper(
        '''
def _at(place, size):
    """A position on an axis; one outside of it is an error, and none counts from the end."""
    if not 0 <= place < size:
        raise IndexError(f"position {place} lies outside of an axis of {size} entries")
    return place
'''
    ),
    "_entries": Helper(
        '''
def _entries(x, places, outside, counts=False):
    """x at these places, and `outside` for those that lie outside of it, which is an error where they count."""
    inside = np.asarray(True)
    for place, size in zip(places, x.shape):
        inside = inside & (0 <= place) & (place < size)
    if np.any(counts & ~inside):
        raise IndexError(f"a position lies outside of an array of shape {x.shape}")
    inside = inside & counts if counts is not False else inside
    outside = np.asarray(outside).astype(x.dtype)
    if x.size == 0:
        return np.broadcast_to(outside, np.broadcast_shapes(inside.shape, outside.shape)).copy()
    return np.where(inside, x[tuple(np.where(inside, place, 0) for place in places)], outside)
'''
    ),
    "_scatter_add": Helper(
        '''
def _scatter_add(x, places, updates):
    """x with updates added at places of its first axis; those outside of it are left out."""
    result = np.array(x)
    inside = (0 <= places) & (places < len(result))
    np.add.at(result, places[inside], updates[inside])
    return result
'''
    ),
    "_from_diagonals": Helper(
        '''
def _from_diagonals(D, below, shape):
    """The matrix of a shape with D[o, i] in row i and column i + o - below."""
    A = np.zeros(shape, D.dtype)
    for o in range(D.shape[0]):
        first, last = max(0, below - o), min(shape[0], shape[1] + below - o)
        if first < last:
            A.reshape(-1)[first * (shape[1] + 1) + o - below :: shape[1] + 1][: last - first] = D[o, first:last]
    return A
'''
    ),
    "_require": Helper(
        '''
def _require(x, holds, why):
    """x, where a condition about it holds."""
    if not holds:
        raise ValueError(why)
    return x
'''
    ),
    "_inv": Helper(
        '''
def _inv(A, name):
    """The inverse of A, which errors call by its name."""
    try:
        return np.linalg.inv(A)
    except np.linalg.LinAlgError:
        raise np.linalg.LinAlgError(f"{name} is singular") from None
'''
    ),
    "_solve": Helper(
        '''
def _solve(A, B, name):
    """X with A @ X = B; errors call A by its name."""
    try:
        if A.ndim > 2 or not A.size or not B.size:
            return np.linalg.solve(A, B)
        factor, solve = scipy.linalg.get_lapack_funcs(("getrf", "getrs"), (A, B))
        turned = not A.flags.f_contiguous
        packed, pivots, info = factor(A.T if turned else A)
        if info > 0:
            raise np.linalg.LinAlgError
        return solve(packed, pivots, B, trans=turned)[0]
    except np.linalg.LinAlgError:
        raise np.linalg.LinAlgError(f"{name} is singular") from None
'''
    ),
    "_cholesky_batch": Helper(
        '''
def _cholesky_batch(A, name):
    """The lower Cholesky factors of a batch of matrices, which errors call by its name."""
    try:
        L = np.linalg.cholesky(A)
    except np.linalg.LinAlgError:
        raise np.linalg.LinAlgError(f"{name} is not positive definite") from None
    if np.isnan(L[..., -1:, -1:]).any():  # which is not noticed by LAPACK
        raise np.linalg.LinAlgError(f"{name} is not positive definite")
    return L
'''
    ),
    "_finite": Helper(
        '''
def _finite(A, name):
    """A, which errors call by its name, and LAPACK can only take if all of its entries are finite."""
    if not np.isfinite(A).all():
        raise ValueError(f"{name} has entries that are NaN or infinite")
    return A
'''
    ),
    "_sylvester": Helper(
        '''
def _sylvester(A, B, C, dtype, a, b):
    """X with A @ X + X @ B = C by Schur forms (Bartels and Stewart 1972); errors call A and B by their names."""
    if C.size == 0:
        return C.astype(dtype)
    A, B, C = (x.astype(np.result_type(dtype, np.float32)) for x in (A, B, C))
    if np.array_equal(A, A.conj().T) and np.array_equal(B, B.conj().T):
        (R, U), (S, V) = np.linalg.eigh(A), np.linalg.eigh(B)
        sums = R[:, None] + S
        near = np.abs(sums).min() <= np.finfo(R.dtype).eps * np.maximum(np.abs(R).max(), np.abs(S).max())
        X = (U.conj().T @ C @ V) / np.where(near, 1, sums)
    else:
        lyapunov = np.array_equal(B, A.conj().T)  # one form is that of both
        R, U = scipy.linalg.schur(A)
        S, V = (R, U) if lyapunov else scipy.linalg.schur(B)
        (trsyl,) = scipy.linalg.get_lapack_funcs(("trsyl",), (R, S))
        X, scale, near = trsyl(R, S, U.conj().T @ C @ V, tranb="C" if lyapunov else "N")
        X = scale * X
    if near:
        raise np.linalg.LinAlgError(f"an eigenvalue of {a} is minus one of {b}")
    return (U @ X @ V.conj().T).astype(dtype)
'''
    ),
    "_lstsq": Helper(
        '''
def _lstsq(A, B):
    """The X of least norm among those with the least norm(A @ X - B)."""
    return np.linalg.lstsq(A, B, rcond=None)[0] if A.size else np.zeros((A.shape[1], *B.shape[1:]), B.dtype)
'''
    ),
    "_logdet": Helper(
        '''
def _logdet(A):
    """The logarithm of the determinant; NaN where that is negative."""
    sign, value = np.linalg.slogdet(A)
    return np.where(sign < 0, np.nan, value).astype(A.dtype)
'''
    ),
    "_each": Helper(
        '''
def _each(function, *operands):
    """A function of matrices, for every position of the leading axes."""
    batch = np.broadcast_shapes(*(x.shape[:-2] for x in operands))
    operands = [np.broadcast_to(x, batch + x.shape[-2:]) for x in operands]
    places = list(np.ndindex(*batch))
    if places:
        results = [function(*(x[place] for x in operands)) for place in places]
    else:  # one call on identities tells the shapes
        results = [function(*(np.eye(*x.shape[-2:], dtype=x.dtype) for x in operands))]
    if isinstance(results[0], tuple):
        return tuple(np.stack(parts)[: len(places)].reshape(batch + parts[0].shape) for parts in zip(*results))
    return np.stack(results)[: len(places)].reshape(batch + results[0].shape)
'''
    ),
    "_lu": Helper(
        '''
def _lu(A):
    """P, L, U with A = P @ L @ U."""
    if A.size == 0:
        rows, columns = A.shape
        return np.eye(rows, dtype=A.dtype), np.zeros((rows, 0), A.dtype), np.zeros((0, columns), A.dtype)
    P, L, U = scipy.linalg.lu(A)
    return P, L, U
'''
    ),
    "_ldl": Helper(
        '''
def _ldl(A):
    """L, D with A = L @ D @ L.T."""
    if A.size == 0:
        return A, A
    L, D, _ = scipy.linalg.ldl(A)
    return L, D
'''
    ),
    "_eig": Helper(
        '''
def _eig(A):
    """Complex eigenvalues and eigenvectors."""
    values, vectors = np.linalg.eig(A)
    return values + 0j, vectors + 0j
'''
    ),
    "_upright": Helper(
        '''
def _upright(A):
    """A, or its transpose where A has long rows, which LAPACK is slow with."""
    return A.swapaxes(-1, -2) if A.shape[-1] >= 2 * A.shape[-2] else A
'''
    ),
    "_svd": Helper(
        '''
def _svd(A):
    """Singular values with the vectors of both sides."""
    upright = _upright(A)
    U, s, V = np.linalg.svd(upright, full_matrices=False)
    return (U, s, V) if upright is A else (V.swapaxes(-1, -2), s, U.swapaxes(-1, -2))
''',
        ("_upright",),
    ),
    "_cond": Helper(
        '''
def _cond(A, name):
    """The largest singular value over the smallest; errors call A by its name."""
    if 0 in A.shape[-2:]:
        raise ValueError(f"{name} is empty, and has no condition number")
    values = np.linalg.svd(A, compute_uv=False)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(values[..., -1] == 0, np.inf, values[..., 0] / values[..., -1]).astype(values.dtype)
'''
    ),
    "_of_eigenvalues": Helper(
        '''
def _of_eigenvalues(A, function):
    """A function of a symmetric matrix by its eigenvalues."""
    values, vectors = np.linalg.eigh(A)
    with np.errstate(invalid="ignore", divide="ignore"):
        return ((vectors * function(values)) @ vectors.conj().T).astype(A.dtype)
'''
    ),
    "_kept_real": Helper(
        '''
def _kept_real(A, result):
    """A function of a real matrix as a real matrix; NaN where it is none."""
    if np.isrealobj(A) and np.iscomplexobj(result):
        small = 1000 * np.finfo(A.dtype).eps * len(A) * (1 + np.abs(result.real).max(initial=0))
        result = result.real if np.abs(result.imag).max(initial=0) <= small else np.full(A.shape, np.nan)
    return result.astype(A.dtype)
'''
    ),
    "_expm": Helper(
        '''
def _expm(A):
    """The exponential of a matrix."""
    return scipy.linalg.expm(A) if A.size else A
'''
    ),
    "_logm": Helper(
        '''
def _logm(A):
    """The principal logarithm of a matrix."""
    if A.size == 0 or np.array_equal(A, A.conj().T):
        return _of_eigenvalues(A, np.log)
    return _kept_real(A, scipy.linalg.logm(A))
''',
        ("_of_eigenvalues", "_kept_real"),
    ),
    "_sqrtm": Helper(
        '''
def _sqrtm(A):
    """The principal square root of a matrix."""
    if A.size == 0 or np.array_equal(A, A.conj().T):
        # rounding can leave the eigenvalues of a semidefinite matrix just below zero
        floor = -10 * len(A) * np.finfo(A.dtype).eps * np.abs(A).max(initial=0)
        return _of_eigenvalues(A, lambda w: np.sqrt(np.where((w < 0) & (w > floor), 0, w)))
    return _kept_real(A, scipy.linalg.sqrtm(A))
''',
        ("_of_eigenvalues", "_kept_real"),
    ),
    "_power": Helper(
        '''
def _power(A, p, name):
    """The whole power p of a matrix, which errors call by its name."""
    try:
        return np.linalg.matrix_power(A, p)
    except np.linalg.LinAlgError:
        raise np.linalg.LinAlgError(f"{name} is singular") from None
'''
    ),
    "_matpow": Helper(
        '''
def _matpow(A, p, name):
    """The principal power p of a matrix."""
    if p == int(p):
        return _power(A, int(p), name)
    if A.size == 0 or np.array_equal(A, A.conj().T):
        return _of_eigenvalues(A, lambda w: w ** float(p))
    return _kept_real(A, scipy.linalg.fractional_matrix_power(A, float(p)))
''',
        ("_power", "_of_eigenvalues", "_kept_real"),
    ),
    "_descending": Helper(
        '''
def _descending(x, axis):
    """Positions in falling order, equal entries from first to last."""
    backwards = np.argsort(np.flip(x, axis), axis=axis, kind="stable")
    return np.flip(x.shape[axis] - 1 - backwards, axis)
'''
    ),
    "_topk": Helper(
        '''
def _topk(x, k):
    """The k largest entries of the last axis, and their positions."""
    places = _descending(x, -1)[..., :k]
    return np.take_along_axis(x, places, -1), places
''',
        ("_descending",),
    ),
    "_sketch_entries": Helper(
        '''
def _sketch_entries(rows, columns, nonzeros, seed):
    """The rows of so many entries in every column, one in each block of rows, and the entries."""
    generator = np.random.Generator(np.random.Philox(seed))
    place, entry = np.empty((columns, nonzeros), np.int64), np.empty((columns, nonzeros))
    starts = [rows * block // nonzeros for block in range(nonzeros + 1)]
    for block in range(nonzeros):
        place[:, block] = generator.integers(starts[block], starts[block + 1], columns)
        entry[:, block] = (2.0 * generator.integers(0, 2, columns) - 1.0) / np.sqrt(nonzeros)
    return place, entry
'''
    ),
    "_sparse_sketch": Helper(
        '''
def _sparse_sketch(rows, columns, nonzeros, seed):
    """A random matrix with so many entries of one size in every column, one in each block of rows."""
    place, entry = _sketch_entries(rows, columns, nonzeros, seed)
    result = np.zeros((rows, columns))
    result[place, np.arange(columns)[:, None]] = entry
    return result
''',
        ("_sketch_entries",),
    ),
}
