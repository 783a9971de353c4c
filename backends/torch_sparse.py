"""What sparse kernels are in PyTorch: what they mean, of tensors with all of their entries."""

from __future__ import annotations

from tpc.backends.dialect import Entry, Helper, Site
from tpc.backends.numpy_sparse import SPARSIFIERS as SPARSIFIERS


def _sum(site: Site) -> str:
    axis = "" if site["axis"] is None else f"{site['axis']}, "
    return f"{site.array()}.sum({axis}dtype={site.dtype})"


def _triangle(site: Site) -> str:
    return f"torch.{'tril' if site['lower'] else 'triu'}({site.array()}, {site['k']})"


def _solve(site: Site) -> str:
    return f"torch.linalg.solve({site.args[0].text}, {site.args[1].text})"


def _solve_triangular(site: Site) -> str:
    triangle = "tril" if site["lower"] else "triu"
    return f"torch.linalg.solve(torch.{triangle}({site.args[0].text}), {site.args[1].text})"


SPARSE: dict[str, Entry] = {
    **dict.fromkeys(("csr", "to_csr", "from_csr", "splu"), "{0}.clone()"),
    "csr_transpose": "{0}.T",
    "csr_cast": lambda site: f"{site.array()}.to({site.dtype})",
    "csr_add": "{0} + {1}",
    "csr_plus_dense": "{0} + {1}",
    "csr_sub": "{0} - {1}",
    "csr_mul": "{0} * {1}",
    "csr_scale": "{0} * {1}",
    "csr_div": "{0} / {1}",
    "spmm": "{0} @ {1}",
    "spgemm": "{0} @ {1}",
    "sddmm": "{0} * ({1} @ {2})",
    "csr_sum": _sum,
    "csr_diag": "torch.diagonal({0})",
    "csr_diagonal": "torch.diag({0})",
    "csr_triangle": _triangle,
    "csr_kron": "torch.kron({0}, {1})",
    "splu_solve": _solve,
    "splu_logdet": lambda site: f"{site.help('_logdet')}({site.args[0].text})",
    "csr_solve_triangular": _solve_triangular,
}

SPARSE_HELPERS: dict[str, Helper] = {
    "_first": Helper(
        '''
def _first(size, count):
    """Whether an entry is among so many largest of its row; of equal ones the first."""
    return torch.sort(torch.sort(-size, dim=-1, stable=True).indices, dim=-1).indices < count
'''
    ),
    "_largest_entries": Helper(
        '''
def _largest_entries(x, fraction, by_row):
    """Whether an entry is among the fraction of largest magnitude, of its row or of all."""
    size = torch.abs(x) if by_row else torch.abs(x).reshape(-1)
    return _first(size, int(fraction * size.shape[-1] + 0.5)).reshape(x.shape)
''',
        ("_first",),
    ),
    "_largest_of_group": Helper(
        '''
def _largest_of_group(x, n, m):
    """Whether an entry is among the n largest of its m neighbours along the last axis."""
    if x.shape[-1] % m:
        raise ValueError(f"rows of {x.shape[-1]} entries are not made of groups of {m}")
    groups = torch.abs(x).reshape(*x.shape[:-1], x.shape[-1] // m, m)
    return _first(groups, n).reshape(x.shape)
''',
        ("_first",),
    ),
    "_largest_blocks": Helper(
        '''
def _largest_blocks(A, rows, columns, fraction):
    """Whether an entry lies in a block among the fraction of largest norm."""
    if A.shape[0] % rows or A.shape[1] % columns:
        raise ValueError(f"a matrix of shape {tuple(A.shape)} is not made of blocks of {rows} by {columns}")
    high, wide = A.shape[0] // rows, A.shape[1] // columns
    size = (torch.abs(A) ** 2).reshape(high, rows, wide, columns).sum((1, 3)).reshape(-1)
    mask = _first(size, int(fraction * high * wide + 0.5)).reshape(high, 1, wide, 1)
    return torch.broadcast_to(mask, (high, rows, wide, columns)).reshape(A.shape)
''',
        ("_first",),
    ),
}
