"""What sparse kernels are in PyTorch: what they mean, of tensors with all of their entries."""

from __future__ import annotations

from tpc.backends.dialect import Entry, Site
from tpc.backends.sparsifiers import helpers


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

SPARSE_HELPERS = helpers("torch", "torch.sort(torch.sort(-size, dim=-1, stable=True).indices, dim=-1).indices")
