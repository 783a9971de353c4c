"""What sparse kernels are in SciPy. A value is an array of scipy.sparse by rows or by columns, each entry once.

The kernels take dense arrays as well, so that each op can be run by itself.
"""

from __future__ import annotations

from collections.abc import Callable

from tpc.backends.code import Value, fill
from tpc.backends.dialect import Entry, Helper, Site
from tpc.ir.formats import AS_IT_IS, FORMATS
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
    helper = "_csr_or_blocks" if site["products"] else "_csr"
    return f"{site.help(helper)}({site.array()}, {site.dtype})"


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


def _splu(site: Site) -> str:
    """Factors by a helper that is told what to call its matrix in an error."""
    return f"{site.help('_splu')}({site.args[0].text}, {site['spd']}, {site.labels[0]!r})"


def _store(site: Site) -> str:
    """A matrix in a format; that is done once, when a module is loaded."""
    found = FORMATS[site["format"]]
    name = f"_store_{found.name}"
    site.dialect.helpers.setdefault(name, Helper(found.store.replace("def store(", f"def {name}(")))
    return f"{site.help(name)}({site.array()})"


def _spmm(site: Site) -> str:
    found = FORMATS[site["format"]]
    name = "_spmm"
    if found.spmm != AS_IT_IS:
        name = f"_spmm_{found.name}"
        site.dialect.helpers.setdefault(name, Helper(found.spmm.replace("def spmm(", f"def {name}(")))
    return f"{site.help(name)}({site.args[0].text}, {site.args[1].text})"


def _parts(helper: str) -> Callable[[Site], str]:
    """A matrix of its parts."""

    def text(site: Site) -> str:
        is_half = site.node.tensor.dtype in (F16, BF16)
        parts = ", ".join(site.array(k) for k in range(3))
        return f"{site.help('_of_parts' if is_half else helper)}({parts}, {site.shape(site.node.tensor.dims)})"

    return text


def _sketch(site: Site) -> str:
    rows, columns = map(site.size, site.node.tensor.dims)
    return f"{site.help('_csr_sketch')}({rows}, {columns}, {site['s']}, {int(site['seed'])}, {site.dtype})"


def _sum(site: Site) -> str:
    axis = "" if site["axis"] is None else f"axis={site['axis']}, "
    return f"{site.array()}.sum({axis}dtype={site.dtype})"


SPARSE: dict[str, Entry] = {
    "csr": _stored(_given, "np.array({0})"),
    "csr_parts": _parts("_csr_parts"),
    "sparse_matrix": _parts("_of_parts"),
    "csr_sketch": _sketch,
    "to_csr": _stored(_call("_to_csr"), "np.array({0})"),
    "from_csr": _call("_dense"),
    "csr_transpose": "{0}.T",
    "csr_map": _map,
    "csr_cast": _cast,
    "csr_add": _call("_csr_add"),
    "csr_sub": _call("_csr_sub"),
    "csr_mul": _call("_csr_mul"),
    "csr_scale": _call("_csr_scale"),
    "csr_div": _call("_csr_div"),
    "csr_plus_dense": "np.asarray({0} + {1})",
    "store": _stored(_store, "np.array({0})"),
    "spmm": _spmm,
    "spgemm": "{0} @ {1}",
    "sddmm": _call("_sddmm"),
    "csr_sum": _sum,
    "csr_max": _call("_csr_max", "axis"),
    "csr_min": _call("_csr_min", "axis"),
    "csr_row": _call("_csr_row"),
    "csr_take": _call("_csr_take"),
    "csr_diag": "{0}.diagonal()",
    "csr_diagonal": _stored(_call("_diagonal_csr"), "np.diag({0})"),
    "csr_triangle": _call("_csr_triangle", "lower", "k"),
    "csr_kron": _call("_csr_kron"),
    "splu": _splu,
    "splu_solve": _call("_splu_solve"),
    "splu_logdet": _call("_splu_logdet"),
    "csr_solve_triangular": _call("_csr_solve_triangular", "lower"),
}
