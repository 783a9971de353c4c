"""What sparse kernels are in PyTorch: what they mean, of tensors with all of their entries."""

from __future__ import annotations

from tpc.backends.dialect import Entry, Helper, Site
from tpc.backends.sparsifiers import helpers


def _sum(site: Site) -> str:
    axis = "" if site["axis"] is None else f"{site['axis']}, "
    return f"{site.array()}.sum({axis}dtype={site.dtype})"


def _parts(site: Site) -> str:
    values, columns, starts = (site.array(k) for k in range(3))
    shape = site.shape(site.node.tensor.dims)
    return f"{site.help('_of_parts')}({values}, {columns}, {starts}, {shape})"


def _extreme(site: Site) -> str:
    name = site.node.op.name.removeprefix("csr_")
    return f"{site.array()}.{name}()" if site["axis"] is None else f"{site.array()}.a{name}({site['axis']})"


def _triangle(site: Site) -> str:
    return f"torch.{'tril' if site['lower'] else 'triu'}({site.array()}, {site['k']})"


def _solve(site: Site) -> str:
    return f"torch.linalg.solve({site.args[0].text}, {site.args[1].text})"


def _solve_triangular(site: Site) -> str:
    triangle = "tril" if site["lower"] else "triu"
    return f"torch.linalg.solve(torch.{triangle}({site.args[0].text}), {site.args[1].text})"


SPARSE: dict[str, Entry] = {
    **dict.fromkeys(("csr", "to_csr", "from_csr", "splu", "store"), "{0}.clone()"),
    **dict.fromkeys(("csr_parts", "sparse_matrix"), _parts),
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
    "csr_max": _extreme,
    "csr_min": _extreme,
    "csr_row": lambda site: f"{site.array()}[{site.args[1].text}].clone()",
    "csr_take": lambda site: f"{site.array()}[{site.args[1].text}]",
    "csr_diag": "torch.diagonal({0})",
    "csr_diagonal": "torch.diag({0})",
    "csr_triangle": _triangle,
    "csr_kron": "torch.kron({0}, {1})",
    "splu_solve": _solve,
    "splu_logdet": lambda site: f"{site.help('_logdet')}({site.args[0].text})",
    "csr_solve_triangular": _solve_triangular,
}

SPARSE_HELPERS = {
    **helpers("torch", "torch.sort(torch.sort(-size, dim=-1, stable=True).indices, dim=-1).indices"),
    "_of_parts": Helper(
        '''
def _of_parts(values, columns, starts, shape):
    """A matrix of entries with their columns, and where rows begin."""
    rows = torch.repeat_interleave(torch.arange(shape[0], device=values.device), starts[1:] - starts[:-1])
    return torch.zeros(shape, dtype=values.dtype, device=values.device).index_put((rows, columns), values, True)
'''
    ),
}
