"""What ops are in torch: one entry each."""

from __future__ import annotations

from collections.abc import Callable

from tpc.backends.code import Value, fill, number, shape_source
from tpc.backends.dialect import Entry, Scribe, Site
from tpc.backends.numpy_linalg import each, may_be_wide, named_error
from tpc.backends.numpy_random import SKETCHES, drawn
from tpc.backends.numpy_table import (
    axis_options,
    recurrence,
    reduce_op,
    reduced_axes,
    require,
    reshaped,
    simple,
    with_axis,
)
from tpc.backends.sparsifiers import SPARSIFIERS
from tpc.backends.torch_kernels import KERNELS
from tpc.backends.torch_sparse import SPARSE
from tpc.backends.torch_structured import STRUCTURED
from tpc.ir.ops.indexing import checked_axes
from tpc.ir.types import BF16, BOOL, F16, F32, STRONG, DType, as_float, promote_all


def _reduction(name: str) -> Callable[[Scribe, Value, tuple[int, ...] | None, bool, DType], str]:
    def text(scribe: Scribe, x: Value, axes: tuple[int, ...] | None, keepdims: bool, result: DType) -> str:
        over = tuple(range(x.rank)) if axes is None else axes
        if name == "prod":  # torch multiplies along one axis at a time
            done = x.text
            for axis in sorted(over, reverse=True):
                done = f"torch.prod({done}, {axis}{', keepdim=True' if keepdims else ''}, dtype={_spelled(result)})"
            return done
        options = axis_options(over, keepdims, "dim").replace("keepdims", "keepdim")
        operand = x.text
        if name in ("argmax", "argmin"):
            if x.dtype is BOOL:
                operand = f"({operand}).to(torch.int8)"
            if axes is None:
                operand = f"({operand}).reshape(-1)" if not keepdims else operand
                options = ", dim=0" if not keepdims else ", keepdim=True"
            return f"torch.{name}({operand}{options})"
        if name in ("any", "all") and x.dtype is not BOOL:
            operand = f"({operand} != 0)"
        if name == "sum":
            options += f", dtype={_spelled(result)}"
        if name in ("sum", "mean") and result is x.dtype:
            options = options.partition(", dtype")[0]
            if axes is None and not keepdims:
                options = ""
            if name == "sum" and result.kind in "bi":
                options += f", dtype={_spelled(result)}"
        function = {"max": "amax", "min": "amin"}.get(name, name)
        return f"torch.{function}({operand}{options})"

    return text


def _spelled(dtype: DType) -> str:
    return "torch.bfloat16" if dtype is BF16 else f"torch.{STRONG.get(dtype, dtype).numpy}"


REDUCERS = {
    n: _reduction(n) for n in ("sum", "prod", "max", "min", "mean", "any", "all", "argmax", "argmin", "logsumexp")
}


def _norm(site: Site) -> str | None:
    axes, order = reduced_axes(site), site["ord"]
    value = site.args[0]
    if not checked_axes("norm", site["axis"], site.rank):
        return None
    if value.dtype.kind not in "fc":
        value = site.dialect.cast(site.scribe, value, as_float(value.dtype))
    if order in ("nuc", "spectral"):
        if value.dtype in (F16, BF16):
            value = site.dialect.cast(site.scribe, value, F32)
        text = fill("torch.linalg.svdvals({0})", value.text)
        text = f"{text}.sum(-1)" if order == "nuc" else f"{site.help('_largest')}({text})"
        text = f"{text}[..., None, None]" if site["keepdims"] else text
        return f"({text}).to({site.dtype})" if site.args[0].dtype in (F16, BF16) else text
    if order != "fro":
        return None
    options = axis_options(axes, site["keepdims"], "dim").replace("keepdims", "keepdim")
    return f"torch.linalg.vector_norm({value.text}{options})"


def _variance(site: Site) -> str | None:
    axes = checked_axes(site.node.op.name, site["axis"], site.rank)
    if not axes or site["ddof"] not in (0, 1):
        return None
    value = site.args[0]
    if value.dtype.kind not in "fc":
        value = site.dialect.cast(site.scribe, value, as_float(value.dtype))
    options = axis_options(axes, site["keepdims"], "dim").replace("keepdims", "keepdim")
    return f"torch.{site.node.op.name}({value.text}{options}, correction={site['ddof']})"


def _median(site: Site) -> str:
    value = site.dialect.cast(site.scribe, site.args[0], site.node.tensor.dtype)
    return (
        f"{site.help('_median')}({value.text}, {checked_axes('median', site['axis'], site.rank)}, {site['keepdims']})"
    )


def _cumulative(site: Site) -> str:
    name, value, result = site.node.op.name, site.args[0].text, site.node.tensor.dtype
    if name == "cummax":
        return f"torch.cummax({value}, {site['axis']}).values"
    more = f", dtype={site.dtype}" if result.kind in "bi" else ""
    return f"torch.{name}({value}, {site['axis']}{more})"


# ---- products


def _transpose(site: Site) -> str:
    value = site.texts[0]
    if site.node.op.name == "adjoint" and site.node.tensor.dtype.kind == "c":
        value = f"torch.conj_physical({value})"
    return f"{value}.T" if site.rank == 2 else f"{value}.mT"


def _diag(site: Site) -> str:
    if site.rank == 1:
        return f"torch.diag({site.args[0].text})"
    return f"torch.diagonal({site.args[0].text}, dim1=-2, dim2=-1)"


def _triangle(site: Site) -> str:
    shift = f", {site['k']}" if site["k"] else ""
    return f"torch.{site.node.op.name}({site.args[0].text}{shift})"


def _vdot(site: Site) -> str:
    if site.node.tensor.dtype.kind == "c":
        return fill("torch.vdot({0}, {1})", *site.texts)
    return fill("{0} @ {1}", *site.texts)


def _kron(site: Site) -> str | None:
    first, second = (a.tensor.rank for a in site.node.args)
    # torch.kron fails where the strides of its operands differ
    return fill("torch.kron({0}.contiguous(), {1}.contiguous())", *site.texts) if first == second <= 2 else None


def _trace(site: Site) -> str:
    diagonal = f"torch.diagonal({site.args[0].text}, dim1=-2, dim2=-1)"
    return f"{diagonal}.sum(-1, dtype={site.dtype})"


# ---- shapes


def _made(function: str) -> Callable[[Site], str]:
    def text(site: Site) -> str:
        shape = site.shape(site.node.tensor.dims)
        return f"torch.{function}({shape}, dtype={site.dtype}, device={site.scribe.device})"

    return text


def _eye(site: Site) -> str:
    rows, columns = site.node.tensor.dims
    more = "" if rows == columns else f", {site.size(columns)}"
    return f"torch.eye({site.size(rows)}{more}, dtype={site.dtype}, device={site.scribe.device})"


def _arange(site: Site) -> str:
    if site.node.tensor.dtype.kind == "c":
        return f"torch.arange({site.size(site.node.tensor.dims[0])}, device={site.scribe.device}).to({site.dtype})"
    more = "" if site.dtype == "torch.int64" else f", dtype={site.dtype}"
    return f"torch.arange({site.size(site.node.tensor.dims[0])}{more}, device={site.scribe.device})"


def _one_hot(site: Site) -> str:
    places = f"torch.arange({site.size(site['n'])}, device={site.scribe.device})"
    return f"({site.array()}[..., None] == {places}).to({site.dtype})"


def _pad(site: Site) -> str | None:
    if not isinstance(site["value"], (int, float)) or site.args[0].dtype.kind not in "fi":
        return None
    after_axes = site.rank - 1 - site["axis"] % site.rank
    widths = ["0", "0"] * after_axes + [site.size(site["before"]), site.size(site["after"])]
    more = f", value={number(site['value'])}" if site["value"] != 0 else ""
    return f"torch.nn.functional.pad({site.args[0].text}, {shape_source(widths)}{more})"


def _tile(site: Site) -> str:
    axis = site["axis"] % site.rank
    times = [site.size(site["times"]) if n == axis else "1" for n in range(site.rank)]
    return f"torch.tile({site.args[0].text}, {shape_source(times)})"


def _joined(function: str) -> Callable[[Site], str]:
    def text(site: Site) -> str:
        common = promote_all(a.dtype for a in site.args)
        parts = [
            site.dialect.as_array(site.scribe, Value(a.text, common, python=True))
            if a.python
            else site.dialect.cast(site.scribe, a, common).text
            for a in site.args
        ]
        return f"{function}([{', '.join(parts)}], dim={site['axis']})"

    return text


def _split(site: Site) -> str:
    return f"torch.tensor_split({site.args[0].text}, {site['parts']}, dim={site['axis']})"


def _cast(site: Site) -> str:
    return site.dialect.cast(site.scribe, site.args[0], site["dtype"]).text


def _scatter(site: Site) -> str:
    common = promote_all(a.dtype for a in (site.args[0], site.args[2]))
    x, updates = (site.dialect.cast(site.scribe, a, common).text for a in (site.args[0], site.args[2]))
    return f"{site.help('_scatter_add')}({x}, {site.args[1].text}, {updates})"


def _segments(site: Site) -> str:
    shape = site.shape(site.node.tensor.dims)
    start = f"torch.zeros({shape}, dtype={site.dtype}, device={site.scribe.device})"
    return f"{site.help('_scatter_add')}({start}, {site.args[1].text}, {site.args[0].text})"


# ---- linear algebra


def _solve_triangular(site: Site) -> str:
    helper, lower = site.help("_solve_triangular"), site["lower"]
    A, B = (a.text for a in site.args)
    if site.node.args[1].tensor.rank == 1:
        return f"{helper}({A}, {site.name(1)}[:, None], {lower}, {site.labels[0]!r})[..., 0]"
    return f"{helper}({A}, {B}, {lower}, {site.labels[0]!r})"


def _solve(site: Site) -> str:
    A, B = (a.text for a in site.args)
    if site.node.args[1].tensor.rank == 1:
        return f"{site.help('_solve')}({A}, {site.name(1)}[:, None], {site.labels[0]!r})[..., 0]"
    return f"{site.help('_solve')}({A}, {B}, {site.labels[0]!r})"


def _lstsq(site: Site) -> str:
    return f"{_of_finite('pinv')(site)} @ {site.texts[1]}"


def _sylvester(site: Site) -> str:
    operands = ", ".join(f"{site.help('_finite')}({v.text}, {n!r})" for v, n in zip(site.args[:2], site.labels))
    names = f"{site.labels[0]!r}, {site.labels[1]!r}"
    return f"{site.help('_sylvesters')}({operands}, {site.args[2].text}, {site.dtype}, {names})"


def _matpow(site: Site) -> str:
    power = site.args[1]
    if power.python and power.text.lstrip("-").isdigit():
        return f"{site.help('_power')}({site.args[0].text}, {power.text}, {site.labels[0]!r})"
    return f"{site.help('_matpow')}({site.args[0].text}, {power.text}, {site.labels[0]!r})"


def _logdet(site: Site) -> str:
    if site.args[0].dtype.kind == "c":
        return f"torch.linalg.slogdet({site.args[0].text})[1]"
    return f"{site.help('_logdet')}({site.args[0].text})"


def _of_finite(function: str) -> Callable[[Site], str]:
    """A function of torch.linalg that crashes on NaN, or gives a number."""
    return lambda site: f"torch.linalg.{function}({site.help('_finite')}({site.args[0].text}, {site.labels[0]!r}))"


def _found(function: str, options: str = "") -> Callable[[Site], str]:
    """A function of torch.linalg that fails on NaN."""

    def text(site: Site) -> str:
        return f"{site.help('_found')}(torch.linalg.{function}, {site.args[0].text}, {site.labels[0]!r}{options})"

    return text


def _svd(site: Site) -> str:
    if may_be_wide(site):
        return f"{site.help('_svd')}({site.args[0].text}, {site.labels[0]!r})"
    return _found("svd", ", full_matrices=False")(site)


def _svdvals(site: Site) -> str:
    if may_be_wide(site):
        matrix = f"{site.help('_upright')}({site.args[0].text})"
        return f"{site.help('_found')}(torch.linalg.svdvals, {matrix}, {site.labels[0]!r})"
    return _found("svdvals")(site)


# ---- Fourier transforms


def _fourier(function: str, *more: str) -> Callable[[Site], str]:
    def text(site: Site) -> str:
        value = site.args[0]
        if value.dtype in (F16, BF16):
            value = site.dialect.cast(site.scribe, value, F32)
        elif value.dtype.kind in "bi":
            value = site.dialect.cast(site.scribe, value, as_float(value.dtype))
        if site.may_be_empty:
            value = site.scribe.named(value)
        options = "".join(f", {'dim' if m == 'axis' else m}={site.size(site[m])}" for m in more)
        call = f"torch.fft.{function}({value.text}{options})"
        if not site.may_be_empty:
            return call
        if function in ("fft", "ifft", "fft2", "ifft2"):
            return f"{call} if {value.text}.numel() else {value.text}.to({site.dtype})"
        shape, held = site.shape(site.node.tensor.dims), site.given(site.node.tensor.dtype)
        empty = f"torch.zeros({shape}, dtype={site.dialect.dtype(held)}, device={value.text}.device)"
        return f"{call} if {value.text}.numel() else {empty}"

    return text


def _cosine(site: Site) -> str:
    dtype = site.given(site.node.tensor.dtype)
    value = site.dialect.cast(site.scribe, site.args[0], dtype)
    return f"{site.help('_' + site.node.op.name)}({value.text}, {site['axis']})"


def _shifted(site: Site) -> str:
    axes = "" if site["axis"] is None else f", {site['axis']}"
    return f"torch.fft.{site.node.op.name}({site.args[0].text}{axes})"


# ---- ordering, layers, random


def _sort(site: Site) -> str:
    more = ", descending=True" if site["descending"] else ""
    which = "values" if site.node.op.name == "sort" else "indices"
    return f"torch.sort({site.args[0].text}, dim={site['axis']}, stable=True{more}).{which}"


def _searchsorted(site: Site) -> str:
    common = promote_all(a.dtype for a in site.args)
    sorted_, x = (site.dialect.cast(site.scribe, a, common) for a in site.args)
    side = "" if site["side"] == "left" else ", side='right'"
    return f"torch.searchsorted({sorted_.text}, {x.text}{side})"


def _softmax(site: Site) -> str:
    value = site.args[0]
    if value.dtype.kind in "bi":
        value = site.dialect.cast(site.scribe, value, as_float(value.dtype))
    return f"torch.{site.node.op.name}({value.text}, dim={site['axis']})"


def _random(site: Site) -> str:
    if site.node.op.name in SKETCHES:
        site.help("_sparse_sketch")
    text = f"torch.from_numpy({drawn(site)})"
    return f"{text}.to({site.scribe.device}, {site.dtype})"


OPS: dict[str, Entry] = {
    "cast": _cast,
    # products
    "matmul": "{0} @ {1}",
    "matvec": "{0} @ {1}",
    "vecmat": "{0} @ {1}",
    "dot": "{0} @ {1}",
    "vdot": _vdot,
    "outer": "torch.outer({0}, {1})",
    "kron": _kron,
    "transpose": _transpose,
    "adjoint": _transpose,
    "permute": lambda site: site.dialect.permute(site.array(), [a % site.rank for a in site["axes"]]),
    "trace": _trace,
    "diag": _diag,
    "tril": _triangle,
    "triu": _triangle,
    "vec": reshaped,
    "unvec": reshaped,
    # reductions
    **dict.fromkeys(REDUCERS, reduce_op),
    "var": _variance,
    "std": _variance,
    "norm": _norm,
    "median": _median,
    "cumsum": _cumulative,
    "cumprod": _cumulative,
    "cummax": _cumulative,
    # shapes
    "zeros": _made("zeros"),
    "ones": _made("ones"),
    "eye": _eye,
    "arange": _arange,
    "one_hot": _one_hot,
    "reshape": reshaped,
    "broadcast_to": lambda site: site.dialect.broadcast(site.array(), site.shape(site.node.tensor.dims)),
    "squeeze": reshaped,
    "unsqueeze": lambda site: with_axis(site, site["axis"] % (site.rank + 1)),
    "flip": simple("torch.flip({0}, ({axis},))"),
    "roll": simple("torch.roll({0}, {shift}, {axis})"),
    "pad": _pad,
    "tile": _tile,
    "concat": _joined("torch.cat"),
    "stack": _joined("torch.stack"),
    "split": _split,
    # gathering
    "scatter_add": _scatter,
    "segment_sum": _segments,
    "from_diagonals": lambda site: (
        f"{site.help('_from_diagonals')}({site.array(0)}, {site['below']}, {site.shape(site.node.tensor.dims)})"
    ),
    "linear_scan": recurrence("_linear_scan"),
    "matrix_scan": recurrence("_matrix_scan"),
    "linear_attention": recurrence("_linear_attention"),
    # linear algebra
    "inv": named_error("_inv"),
    "pinv": _of_finite("pinv"),
    "solve": _solve,
    "solve_triangular": _solve_triangular,
    "lstsq": _lstsq,
    "sylvester": _sylvester,
    "det": "torch.linalg.det({0})",
    "logdet": _logdet,
    "slogdet": "torch.linalg.slogdet({0})",
    "cholesky": named_error("_cholesky"),
    "lu": "torch.linalg.lu({0})",
    "ldl": each("_ldl"),
    "qr": "torch.linalg.qr({0})",
    "svd": _svd,
    "svdvals": _svdvals,
    "eigh": _found("eigh"),
    "eigvalsh": _found("eigvalsh"),
    "eig": _of_finite("eig"),
    "eigvals": _of_finite("eigvals"),
    "expm": "torch.linalg.matrix_exp({0})",
    "logm": each("_logm"),
    "sqrtm": each("_sqrtm"),
    "matpow": _matpow,
    "matrix_rank": _of_finite("matrix_rank"),
    "cond": named_error("_cond"),
    **KERNELS,
    **STRUCTURED,
    **SPARSE,
    **SPARSIFIERS,
    # Fourier transforms
    "fft": _fourier("fft", "axis"),
    "ifft": _fourier("ifft", "axis"),
    "rfft": _fourier("rfft", "axis"),
    "irfft": _fourier("irfft", "n", "axis"),
    "fft2": _fourier("fft2"),
    "ifft2": _fourier("ifft2"),
    "fftshift": _shifted,
    "ifftshift": _shifted,
    "dct": _cosine,
    "idct": _cosine,
    # ordering
    "sort": _sort,
    "argsort": _sort,
    "topk": lambda site: f"{site.help('_topk')}({site.args[0].text}, {site.size(site['k'])})",
    "searchsorted": _searchsorted,
    "require": require,
    # layers
    "softmax": _softmax,
    "log_softmax": _softmax,
    # random
    **dict.fromkeys(("normal", "uniform", "rademacher", *SKETCHES), _random),
}
