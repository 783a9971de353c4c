"""What kernels are in torch. Gradients pass through all of them but `ldl_factor`, which torch cannot differentiate."""

from __future__ import annotations

from collections.abc import Callable

from tpc.backends.dialect import Entry, Helper, Site


def _kernel(helper: str, *options: str, named: bool = False) -> Callable[[Site], str]:
    """A helper that takes batch axes itself, and a matrix on the right: a vector is one of one column."""

    def text(site: Site) -> str:
        values = [site[o] for o in options]
        more = [str(v) if isinstance(v, bool) else site.size(v) for v in values] + [repr(site.labels[0])] * named
        last = len(site.args) - 1
        column = last > 0 and not site.node.op.holds_places(last) and site.node.args[last].tensor.rank == 1
        given = [a.text for a in site.args]
        if column:
            given[last] = f"{site.name(last)}[:, None]"
        return f"{site.help(helper)}({', '.join([*given, *more])})" + "[..., 0]" * column

    return text


def _trmm(site: Site) -> str:
    return f"torch.{'tril' if site['lower'] else 'triu'}({site.args[0].text}) @ {site.texts[1]}"


def _add_diagonal(site: Site) -> str:
    return f"{site.help('_add_diagonal')}({', '.join(a.text for a in site.args)})"


def _lu_factor(site: Site) -> str:
    return _kernel("_symmetric_factor" if site["symmetric"] else "_lu_factor")(site)


KERNELS: dict[str, Entry] = {
    "add_diagonal": _add_diagonal,
    "trmm": _trmm,
    "tri_inv": _kernel("_tri_inv", "lower", named=True),
    "cho_solve": _kernel("_cho_solve", named=True),
    "cho_inv": _kernel("_cho_inv", named=True),
    "qr_triangle": "torch.linalg.qr({0}, mode='r')[1]",
    "lu_factor": _lu_factor,
    "lu_solve": _kernel("_lu_solve", "transposed", named=True),
    "lu_det": _kernel("_lu_det"),
    "lu_logdet": _kernel("_lu_logdet"),
    "ldl_factor": _kernel("_ldl_factor", named=True),
    "ldl_solve": _kernel("_ldl_solve", named=True),
    "band_matmul": _kernel("_band_matmul", "below", "above"),
    "band_solve": _kernel("_band_solve", "below", "above", named=True),
    "spd_band_solve": _kernel("_spd_band_solve", "width", named=True),
}

KERNEL_HELPERS: dict[str, Helper] = {
    "_invertible": Helper(
        '''
def _invertible(A, name):
    """A, whose diagonal must have no zero; errors call A by its name."""
    if bool((torch.diagonal(A, dim1=-2, dim2=-1) == 0).any()):
        raise np.linalg.LinAlgError(f"{name} is singular")
    return A
'''
    ),
    "_add_diagonal": Helper(
        '''
def _add_diagonal(A, d):
    """A + diag(d); d may be a number."""
    diagonal = torch.diagonal(A, dim1=-2, dim2=-1) + d
    return torch.diagonal_scatter(A.to(diagonal.dtype), diagonal, dim1=-2, dim2=-1)
'''
    ),
    "_tri_inv": Helper(
        '''
def _tri_inv(A, lower, name):
    """The inverse of a triangle of A, which errors call by its name."""
    identity = torch.eye(A.shape[-1], dtype=A.dtype, device=A.device)
    return torch.linalg.solve_triangular(_invertible(A, name), identity, upper=not lower)
''',
        ("_invertible",),
    ),
    "_cho_solve": Helper(
        '''
def _cho_solve(L, B, name):
    """X with L @ L.mH @ X = B; errors call L by its name."""
    return torch.cholesky_solve(B, _invertible(L, name))
''',
        ("_invertible",),
    ),
    "_cho_inv": Helper(
        '''
def _cho_inv(L, name):
    """The inverse of L @ L.mH; errors call L by its name."""
    return torch.cholesky_inverse(_invertible(L, name))
''',
        ("_invertible",),
    ),
    "_lu_factor": Helper(
        '''
def _lu_factor(A):
    """L and U of A with its rows exchanged, in one matrix, and the row that each was exchanged with."""
    packed, pivots, _ = torch.linalg.lu_factor_ex(A)
    return packed, pivots.to(torch.int64) - 1
'''
    ),
    "_symmetric_factor": Helper(
        '''
def _symmetric_factor(A):
    """L and U of symmetric A as _lu_factor gives them: by Cholesky's method if A is positive definite."""
    if A.is_complex() or not bool((torch.diagonal(A, dim1=-2, dim2=-1) > 0).all()):
        return _lu_factor(A)
    L, info = torch.linalg.cholesky_ex(A)
    if bool(info.any()):
        return _lu_factor(A)
    d = torch.diagonal(L, dim1=-2, dim2=-1)
    packed = torch.tril(L / d[..., None, :], -1) + d[..., None] * L.mT
    return packed, torch.arange(A.shape[-1], device=A.device).expand(A.shape[:-1])
''',
        ("_lu_factor",),
    ),
    "_lu_solve": Helper(
        '''
def _lu_solve(packed, pivots, B, transposed, name):
    """X with A @ X = B (or A.mT @ X = B) by the factors of A, which errors call by its name."""
    pivots = (_inside(pivots, packed.shape[-1]) + 1).to(torch.int32)
    batch = torch.broadcast_shapes(packed.shape[:-2], pivots.shape[:-1], B.shape[:-2])
    packed, B = (x.expand(batch + x.shape[-2:]) for x in (_invertible(packed, name), B))
    pivots = pivots.expand(batch + pivots.shape[-1:])
    if transposed:  # torch conjugates what it transposes
        return torch.linalg.lu_solve(packed.conj(), pivots, B, adjoint=True)
    return torch.linalg.lu_solve(packed, pivots, B)
''',
        ("_inside", "_invertible"),
    ),
    "_exchanges": Helper(
        '''
def _exchanges(pivots):
    """How many rows were exchanged with another."""
    return (pivots != torch.arange(pivots.shape[-1], device=pivots.device)).sum(-1)
'''
    ),
    "_lu_det": Helper(
        '''
def _lu_det(packed, pivots):
    """The determinant by the factors: every exchange of rows turns its sign."""
    product = torch.prod(torch.diagonal(packed, dim1=-2, dim2=-1), -1)
    return torch.where(_exchanges(pivots) % 2 == 1, -product, product)
''',
        ("_exchanges",),
    ),
    "_lu_logdet": Helper(
        '''
def _lu_logdet(packed, pivots):
    """The logarithm of the determinant by the factors; NaN where that is negative."""
    diagonal = torch.diagonal(packed, dim1=-2, dim2=-1)
    value = torch.log(abs(diagonal)).sum(-1)
    if packed.is_complex():
        return value
    turns = _exchanges(pivots) + (diagonal < 0).sum(-1)
    return torch.where((turns % 2 == 1) & (value > -torch.inf), torch.nan, value)
''',
        ("_exchanges",),
    ),
    "_ldl_factor": Helper(
        '''
def _ldl_factor(A, name):
    """L and D of A with its rows and columns in an order, in one matrix, and the order; errors call A by its name."""
    n, batch = A.shape[-1], A.shape[:-2]
    packed, exchanges, info = torch.linalg.ldl_factor_ex(A.detach(), hermitian=True)
    if bool(info.any()):
        raise np.linalg.LinAlgError(f"{name} is singular")
    packed, order = packed.clone(), torch.arange(n, device=A.device).expand(batch + (n,)).clone()
    # a block of 2 is marked by two negative numbers, and its second row is the one exchanged
    inside = exchanges < 0
    first = inside & (torch.cumsum(inside, -1) % 2 == 1)
    beside = torch.diagonal(packed, -1, -2, -1)
    torch.diagonal(packed, 1, -2, -1).copy_(torch.where(first[..., : n - 1], beside.conj(), 0))
    beside.copy_(torch.where(first[..., : n - 1], 0, beside))
    rows = torch.where(first, torch.arange(n, device=A.device), abs(exchanges) - 1)
    for place in np.ndindex(*batch):
        for k, row, second in zip(range(n), rows[place].tolist(), (inside & ~first)[place].tolist()):
            if k != row:
                both, other = [k, row], [row, k]
                order[place][both] = order[place][other]
                packed[place][both, : k - second] = packed[place][other, : k - second]
    return packed, order
'''
    ),
    "_ldl_solve": Helper(
        '''
def _ldl_solve(packed, order, B, name):
    """X with A @ X = B by the factors of A, which errors call by its name."""
    n = packed.shape[-1]
    order = _inside(order, n)
    batch = torch.broadcast_shapes(packed.shape[:-2], order.shape[:-1], B.shape[:-2])
    packed, B = (x.expand(batch + x.shape[-2:]) for x in (packed, B))
    places = order[..., None].expand(B.shape)
    Y = torch.linalg.solve_triangular(packed, torch.gather(B, -2, places), upper=False, unitriangular=True)
    d = torch.diagonal(packed, dim1=-2, dim2=-1)
    above = torch.zeros_like(d)
    above[..., : max(n - 1, 0)] = torch.diagonal(packed, 1, -2, -1)
    off = above + torch.roll(above, 1, -1).conj()  # what stands beside d in its row of D
    paired = off != 0
    partner = torch.arange(n, device=B.device) + (above != 0).to(torch.int64)
    partner = partner - torch.roll(above != 0, 1, -1).to(torch.int64)
    scale = torch.where(paired, torch.gather(d, -1, partner) / torch.where(paired, off, 1), 1)
    pivot = torch.where(paired, scale * d - off.conj(), d)
    if bool((pivot == 0).any()):
        raise np.linalg.LinAlgError(f"{name} is singular")
    other = torch.gather(Y, -2, partner[..., None].expand(Y.shape))
    Y = (scale[..., None] * Y - paired[..., None] * other) / pivot[..., None]
    Y = torch.linalg.solve_triangular(packed.mH, Y, upper=True, unitriangular=True)
    return torch.zeros_like(Y).scatter(-2, places, Y)
''',
        ("_inside",),
    ),
    "_band": Helper(
        '''
def _band(A, below, above):
    """A with zeros outside of a band."""
    return torch.triu(torch.tril(A, above), -below)
'''
    ),
    "_band_matmul": Helper(
        '''
def _band_matmul(A, B, below, above):
    """A @ B for a band of A."""
    rows, columns = A.shape[-2:]
    batch = torch.broadcast_shapes(A.shape[:-2], B.shape[:-2])
    result = torch.zeros(batch + (rows, B.shape[-1]), dtype=A.dtype, device=A.device)
    for k in range(-min(below, rows - 1), min(above, columns - 1) + 1):
        diagonal = torch.diagonal(A, k, -2, -1)[..., None]
        start = max(k, 0)
        part = diagonal * B[..., start : start + diagonal.shape[-2], :]
        result[..., start - k : start - k + diagonal.shape[-2], :] += part
    return result
'''
    ),
    "_band_solve": Helper(
        '''
def _band_solve(A, B, below, above, name):
    """X with A @ X = B for a band of A, which errors call by its name."""
    return _solve(_band(A, below, above), B, name)
''',
        ("_band", "_solve"),
    ),
    "_spd_band_solve": Helper(
        '''
def _spd_band_solve(A, B, width, name):
    """X with A @ X = B for a band of positive definite A, which errors call by its name."""
    lower = _band(A, width, 0)
    # torch gives half of a gradient to each triangle, so both come from the one that is read
    return torch.cholesky_solve(B, _cholesky(lower + torch.tril(lower, -1).mH, name))
''',
        ("_band", "_cholesky"),
    ),
}
