"""Functions that a generated torch module may carry with it."""

from __future__ import annotations

from tpc.backends.dialect import Helper
from tpc.backends.numpy_helpers import HELPERS as NUMPY
from tpc.backends.numpy_helpers import RATIO, SHAPE

HELPERS: dict[str, Helper] = {
    "_shape": SHAPE,
    "_ratio": RATIO,
    "_at": NUMPY["_at"],
    **{name: NUMPY[name] for name in ("_sketch_entries", "_sparse_sketch", "_sylvester")},
    "_gamma": Helper(
        '''
def _gamma(x):
    """The gamma function."""
    odd = torch.remainder(torch.floor(x), 2) == 1
    sign = torch.where((x < 0) & odd, -1, 1)
    return torch.where((x < 0) & (x == torch.floor(x)), torch.nan, sign * torch.exp(torch.lgamma(x)))
'''
    ),
    "_inside": Helper(
        '''
def _inside(places, size):
    """Positions on an axis; one outside of it is an error, and none counts from the end."""
    places = torch.as_tensor(places)
    if places.numel() and not bool(((0 <= places) & (places < size)).all()):
        raise IndexError(f"a position lies outside of an axis of {size} entries")
    return places.to(torch.int64)
'''
    ),
    "_entries": Helper(
        '''
def _entries(x, places, outside, counts=False):
    """x at these places, and `outside` for those that lie outside of it, which is an error where they count."""
    places = [torch.as_tensor(place, device=x.device) for place in places]
    outside = torch.as_tensor(outside, dtype=x.dtype, device=x.device)
    inside = torch.as_tensor(True, device=x.device)
    for place, size in zip(places, x.shape):
        inside = inside & (0 <= place) & (place < size)
    if counts is not False:
        if bool((counts & ~inside).any()):
            raise IndexError(f"a position lies outside of an array of shape {tuple(x.shape)}")
        inside = inside & counts
    if x.numel() == 0:
        return torch.broadcast_to(outside, torch.broadcast_shapes(inside.shape, outside.shape)).clone()
    entries = x[tuple(torch.where(inside, place, 0) for place in places)]
    return torch.where(inside, entries, outside)
'''
    ),
    "_scatter_add": Helper(
        '''
def _scatter_add(x, places, updates):
    """x with updates added at places of its first axis; those outside of it are left out."""
    inside = (0 <= places) & (places < x.shape[0])
    return x.index_add(0, places[inside].to(torch.int64), updates[inside])
'''
    ),
    "_largest": Helper(
        '''
def _largest(values):
    """The largest of the last axis; 0 of none."""
    return values.amax(-1) if values.shape[-1] else values.sum(-1)
'''
    ),
    "_from_diagonals": Helper(
        '''
def _from_diagonals(D, below, shape):
    """The matrix of a shape with D[o, i] in row i and column i + o - below."""
    A = torch.zeros(shape, dtype=D.dtype, device=D.device)
    for o in range(D.shape[0]):
        first, last = max(0, below - o), min(shape[0], shape[1] + below - o)
        if first < last:
            A.view(-1)[first * (shape[1] + 1) + o - below :: shape[1] + 1][: last - first] = D[o, first:last]
    return A
'''
    ),
    "_median": Helper(
        '''
def _median(x, axes, keepdims):
    """The middle value over axes, or the mean of the two middle values."""
    kept = [n for n in range(x.ndim) if n not in axes]
    flat = x.permute(*kept, *axes).reshape(*(x.shape[n] for n in kept), -1)
    ordered = torch.sort(flat, dim=-1).values
    count = flat.shape[-1]
    middle = (ordered[..., (count - 1) // 2] + ordered[..., count // 2]) / 2
    middle = torch.where(torch.isnan(flat).any(-1), torch.nan, middle)
    return middle.reshape([1 if n in axes else x.shape[n] for n in range(x.ndim)]) if keepdims else middle
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
    inverse, info = torch.linalg.inv_ex(A)
    if bool(info.any()):
        raise np.linalg.LinAlgError(f"{name} is singular")
    return inverse
'''
    ),
    "_solve": Helper(
        '''
def _solve(A, B, name):
    """X with A @ X = B; errors call A by its name."""
    if A.shape[:-2] != B.shape[:-2]:
        batch = torch.broadcast_shapes(A.shape[:-2], B.shape[:-2])
        A, B = (x.expand(batch + x.shape[-2:]) for x in (A, B))
    solution, info = torch.linalg.solve_ex(A, B)
    if bool(info.any()):
        raise np.linalg.LinAlgError(f"{name} is singular")
    return solution
'''
    ),
    "_solve_triangular": Helper(
        '''
def _solve_triangular(A, B, lower, name):
    """X with A @ X = B for triangular A; errors call A by its name."""
    if bool((torch.diagonal(A, dim1=-2, dim2=-1) == 0).any()):
        raise np.linalg.LinAlgError(f"{name} is singular")
    return torch.linalg.solve_triangular(A, B, upper=not lower)
'''
    ),
    "_cholesky": Helper(
        '''
def _cholesky(A, name):
    """The lower Cholesky factor of A, which errors call by its name."""
    factor, info = torch.linalg.cholesky_ex(A)
    if bool(info.any()):
        raise np.linalg.LinAlgError(f"{name} is not positive definite")
    return factor
'''
    ),
    "_logdet": Helper(
        '''
def _logdet(A):
    """The logarithm of the determinant; NaN where that is negative."""
    sign, value = torch.linalg.slogdet(A)
    return torch.where(sign < 0, torch.nan, value)
'''
    ),
    "_found": Helper(
        '''
def _found(function, A, name, **options):
    """A decomposition of A, which errors call by its name."""
    try:
        return function(A, **options)
    except torch.linalg.LinAlgError:
        finite = bool(torch.isfinite(A).all())
    what = "a decomposition that is not found" if finite else "entries that are NaN or infinite"
    raise ValueError(f"{name} has {what}")
'''
    ),
    "_upright": Helper(
        '''
def _upright(A):
    """A, or its transpose where A has long rows, which LAPACK is slow with."""
    return A.mT if A.shape[-1] >= 2 * A.shape[-2] else A
'''
    ),
    "_svd": Helper(
        '''
def _svd(A, name):
    """Singular values with the vectors of both sides; errors call A by its name."""
    upright = _upright(A)
    U, s, V = _found(torch.linalg.svd, upright, name, full_matrices=False)
    return (U, s, V) if upright is A else (V.mT, s, U.mT)
''',
        ("_found", "_upright"),
    ),
    "_cond": Helper(
        '''
def _cond(A, name):
    """The largest singular value over the smallest; errors call A by its name."""
    if 0 in A.shape[-2:]:
        raise ValueError(f"{name} is empty, and has no condition number")
    values = _found(torch.linalg.svdvals, A, name)
    return torch.where(values[..., -1] == 0, torch.inf, values[..., 0] / values[..., -1])
''',
        ("_found",),
    ),
    "_finite": Helper(
        '''
def _finite(A, name):
    """A, which errors call by its name, and LAPACK can only take if all of its entries are finite."""
    if not bool(torch.isfinite(A).all()):
        raise ValueError(f"{name} has entries that are NaN or infinite")
    return A
'''
    ),
    "_each": Helper(
        '''
def _each(function, A):
    """A function of a matrix, for every position of the leading axes."""
    matrices = A.reshape(A.shape[:-2].numel(), *A.shape[-2:])
    results = [function(matrix) for matrix in matrices]
    if not results:  # one call on an identity tells the shapes
        results = [function(torch.eye(*A.shape[-2:], dtype=A.dtype, device=A.device))]
    count = len(matrices)
    if isinstance(results[0], tuple):
        return tuple(torch.stack(parts)[:count].reshape(A.shape[:-2] + parts[0].shape) for parts in zip(*results))
    return torch.stack(results)[:count].reshape(A.shape[:-2] + results[0].shape)
'''
    ),
    "_ldl": Helper(
        '''
def _ldl(A):
    """L, D with A = L @ D @ L.T, by SciPy on the CPU: gradients end here."""
    if A.numel() == 0:
        return A, A
    L, D, _ = scipy.linalg.ldl(A.detach().cpu().numpy())
    return torch.from_numpy(L).to(A.device), torch.from_numpy(D).to(A.device)
'''
    ),
    "_sylvesters": Helper(
        '''
def _sylvesters(A, B, C, dtype, a, b):
    """X with A @ X + X @ B = C for matrices and batches of them, by SciPy on the CPU: gradients end here."""
    device, inner = A.device, torch.float32 if dtype in (torch.float16, torch.bfloat16) else dtype
    batch = torch.broadcast_shapes(A.shape[:-2], B.shape[:-2], C.shape[:-2])
    A, B, C = (x.detach().broadcast_to(batch + x.shape[-2:]).to("cpu", inner) for x in (A, B, C))
    A, B, C = (x.reshape(batch.numel(), *x.shape[-2:]).numpy() for x in (A, B, C))
    found = np.zeros(C.shape, C.dtype)
    for k in range(len(C)):
        found[k] = _sylvester(A[k], B[k], C[k], C.dtype, a, b)
    return torch.from_numpy(found).reshape(batch + C.shape[-2:]).to(device, dtype)
''',
        ("_sylvester",),
    ),
    "_of_eigenvalues": Helper(
        '''
def _of_eigenvalues(A, function):
    """A function of a Hermitian matrix by its eigenvalues, and of one that has a full set of eigenvectors.

    NaN where that of a real matrix is not real.
    """
    if A.numel() == 0:
        return A
    if bool((A == A.mH).all()):
        values, vectors = torch.linalg.eigh(A)
        return (vectors * function(values)) @ vectors.mH
    values, vectors = torch.linalg.eig(A)
    result = torch.linalg.solve(vectors, vectors * function(values), left=False)
    if A.is_complex():
        return result
    small = 1000 * torch.finfo(A.dtype).eps * len(A) * (1 + abs(result.real).max())
    return torch.where(abs(result.imag).max() <= small, result.real, torch.nan)
'''
    ),
    "_root": Helper(
        '''
def _root(A):
    """The principal square root by Newton's steps (Denman and Beavers 1976, as products), or None where they fail.

    They need no eigenvectors, of which a matrix may have too few; they fail for eigenvalues that are not positive.
    """
    one = torch.eye(len(A), dtype=A.dtype, device=A.device)
    root, rest, far = A, A, torch.inf
    for _ in range(50):
        other, info = torch.linalg.inv_ex(rest)
        if int(info) or not bool(torch.isfinite(other).all()):
            return None
        root, rest = root @ (one + other) / 2, (2 * one + rest + other) / 4
        now = float(abs(rest.detach() - one).max())
        if now < 1e-3 and now >= far / 2:  # it falls to its square, until rounding is left
            return root
        if now <= torch.finfo(A.dtype).eps:
            return root
        far = now
    return None
'''
    ),
    "_logm": Helper(
        '''
def _logm(A):
    """The principal logarithm of a matrix: by roots, until it is near one (Kenney and Laub 1989)."""
    if A.numel() == 0 or bool((A == A.mH).all()):
        return _of_eigenvalues(A, torch.log)
    one = torch.eye(len(A), dtype=A.dtype, device=A.device)
    near, scale = A, 1
    for _ in range(100):
        if float(torch.linalg.vector_norm(near.detach() - one)) <= 0.3:
            break
        near, scale = _root(near), 2 * scale
        if near is None:
            return _of_eigenvalues(A, torch.log)
    # the integral of (near - 1) / (1 + t * (near - 1)) by Gauss's rule
    k = torch.arange(1, 9, dtype=A.real.dtype, device=A.device)
    beside = torch.diag(k / torch.sqrt(4 * k**2 - 1), 1)
    places, vectors = torch.linalg.eigh(beside + beside.T)
    total = 0 * A
    for place, weight in zip((1 + places) / 2, vectors[0] ** 2):
        total = total + weight * torch.linalg.solve(one + place * (near - one), near - one)
    return scale * total
''',
        ("_of_eigenvalues", "_root"),
    ),
    "_sqrtm": Helper(
        '''
def _sqrtm(A):
    """The principal square root of a matrix."""
    if A.numel() == 0:
        return A
    if not bool((A == A.mH).all()):
        found = _root(A)
        return _of_eigenvalues(A, torch.sqrt) if found is None else found
    # rounding can leave the eigenvalues of a semidefinite matrix just below zero
    floor = -10 * len(A) * torch.finfo(A.dtype).eps * abs(A).max()
    return _of_eigenvalues(A, lambda w: torch.sqrt(torch.where((w < 0) & (w > floor), 0, w)))
''',
        ("_of_eigenvalues", "_root"),
    ),
    "_power": Helper(
        '''
def _power(A, p, name):
    """The whole power p of a matrix, which errors call by its name."""
    return torch.linalg.matrix_power(A if p >= 0 else _inv(A, name), abs(p))
''',
        ("_inv",),
    ),
    "_matpow": Helper(
        '''
def _matpow(A, p, name):
    """The principal power p of a matrix."""
    p = float(p)
    if p == int(p):
        return _power(A, int(p), name)
    if A.ndim > 2:
        return _each(lambda matrix: _matpow(matrix, p, name), A)
    if A.numel() == 0 or bool((A == A.mH).all()):
        return _of_eigenvalues(A, lambda w: w**p)
    return torch.linalg.matrix_exp(p * _logm(A))
''',
        ("_power", "_of_eigenvalues", "_logm", "_each"),
    ),
    "_cosines": Helper(
        '''
def _cosines(x, axis):
    """The matrix of the orthonormal cosine transform of type 2 along an axis of x."""
    n = x.shape[axis]
    k = torch.arange(n, dtype=x.dtype, device=x.device)
    matrix = torch.cos(torch.pi / n * (k + 0.5) * k[:, None]) * (2 / n) ** 0.5
    return torch.where(k[:, None] == 0, matrix / 2**0.5, matrix)
'''
    ),
    "_dct": Helper(
        '''
def _dct(x, axis):
    """The orthonormal cosine transform of type 2, as a product with its matrix."""
    return torch.movedim(torch.movedim(x, axis, -1) @ _cosines(x, axis).T, -1, axis) if x.numel() else x.clone()
''',
        ("_cosines",),
    ),
    "_idct": Helper(
        '''
def _idct(x, axis):
    """What undoes the orthonormal cosine transform of type 2."""
    return torch.movedim(torch.movedim(x, axis, -1) @ _cosines(x, axis), -1, axis) if x.numel() else x.clone()
''',
        ("_cosines",),
    ),
    "_topk": Helper(
        '''
def _topk(x, k):
    """The k largest entries of the last axis, and their positions; of equal ones the first."""
    ordered = torch.sort(x, dim=-1, descending=True, stable=True)
    return ordered.values[..., :k], ordered.indices[..., :k]
'''
    ),
}
