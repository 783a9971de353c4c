"""What ops are in NumPy and SciPy: one entry each."""

from __future__ import annotations

from collections.abc import Callable

from tpc.backends.code import Value, fill, number, shape_source
from tpc.backends.dialect import Entry, Scribe, Site
from tpc.backends.numpy_kernels import KERNELS
from tpc.backends.numpy_linalg import LINALG
from tpc.backends.numpy_random import RANDOM
from tpc.backends.numpy_sparse import SPARSE
from tpc.backends.numpy_structured import STRUCTURED
from tpc.backends.sparsifiers import SPARSIFIERS
from tpc.ir.ops.indexing import checked_axes
from tpc.ir.ops.promises import reason
from tpc.ir.types import BF16, F16, F32, F64, DType, TensorType, as_float, promote_all

# ---- reductions


def axis_options(axes: tuple[int, ...] | None, keepdims: bool, word: str = "axis") -> str:
    """The options of a reduction, each with a comma before it."""
    text = "" if axes is None else f", {word}={axes[0] if len(axes) == 1 else axes}"
    return text + (", keepdims=True" if keepdims else "")


def _reduction(name: str) -> Callable[[Scribe, Value, tuple[int, ...] | None, bool, DType], str]:
    def text(scribe: Scribe, x: Value, axes: tuple[int, ...] | None, keepdims: bool, result: DType) -> str:
        options = axis_options(axes, keepdims)
        if name in ("sum", "prod") and result.kind == "i" and result.size < 8:
            options += f", dtype=np.{result.numpy}"
        elif name == "sum" and axes is not None and not keepdims:
            inner = _last(axes, x.rank)
            if inner and len(inner) < len(axes):
                outer = tuple(k for k in axes if k not in inner)
                return f"{scribe.helper('_sum_over')}({x.text}, {outer}, {inner})"
        reduced = f"{_REDUCERS[name]}({x.text}{options})"
        if result is BF16:
            return f"{scribe.helper('_bf16')}({reduced})"
        if result is F16 and name == "logsumexp":
            return f"{reduced}.astype(np.float16)"
        return reduced

    return text


def _last(axes: tuple[int, ...], rank: int) -> tuple[int, ...]:
    """Those of some axes behind which there is no other."""
    first = rank
    while first - 1 in axes:
        first -= 1
    return tuple(range(first, rank))


_REDUCERS = {n: f"np.{n}" for n in ("sum", "prod", "max", "min", "mean", "any", "all", "argmax", "argmin")}
_REDUCERS["logsumexp"] = "scipy.special.logsumexp"
REDUCERS = {name: _reduction(name) for name in _REDUCERS}


def reduced_axes(site: Site) -> tuple[int, ...] | None:
    """The axes that a reduction op runs over; None for all of them."""
    axes = checked_axes(site.node.op.name, site["axis"], site.rank)
    return None if len(axes) == site.rank else axes


def reduce_op(site: Site) -> str | None:
    """An op that is a reducer over axes."""
    name = site.node.op.name
    result = site.node.tensor.dtype
    value = site.args[0]
    if not checked_axes(name, site["axis"], site.rank):  # over no axes: a change of format alone
        if name in ("argmax", "argmin"):
            return site.dialect.strong(site.scribe, Value("0", result, python=True), result).text
        return site.dialect.cast(site.scribe, value, result).text
    if name in ("mean", "logsumexp") and value.dtype.kind in "bi":
        value = site.dialect.cast(site.scribe, value, as_float(value.dtype))
    if name == "logsumexp" and site.may_be_empty:
        value = site.scribe.named(value)
    return site.dialect.reducers[name](site.scribe, value, reduced_axes(site), site["keepdims"], result)


def _norm(site: Site) -> str | None:
    axes, order = reduced_axes(site), site["ord"]
    if not site.rank or axes == ():
        return None
    count = site.rank if axes is None else len(axes)
    value = site.args[0]
    if value.dtype.kind not in "fc" or value.dtype is F16:
        value = site.dialect.cast(site.scribe, value, F32 if value.dtype is F16 else as_float(value.dtype))
    if order in ("nuc", "spectral"):
        svd = fill("np.linalg.svd({0}, compute_uv=False)", value.text)
        text = f"{svd}.sum(-1)" if order == "nuc" else f"{svd}.max(-1, initial=0)"
        text = f"{text}[..., None, None]" if site["keepdims"] else text
    elif order == "fro" and (axes is None or count <= 2) and not (site["keepdims"] and axes is None and count > 2):
        text = f"np.linalg.norm({value.text}{axis_options(axes, site['keepdims'])})"
    else:
        return None
    return f"{text}.astype(np.float16)" if site.args[0].dtype is F16 else text


def _variance(site: Site) -> str | None:
    if not site.rank or site["ddof"] not in (0, 1) or reduced_axes(site) == ():
        return None
    options = axis_options(reduced_axes(site), site["keepdims"])
    options += ", ddof=1" if site["ddof"] else ""
    return f"np.{site.node.op.name}({site.args[0].text}{options})"


def _median(site: Site) -> str:
    options = axis_options(checked_axes("median", site["axis"], site.rank), site["keepdims"])
    return f"np.median({site.args[0].text}{options})"


def _windows(site: Site) -> str | None:
    """Windows of one row, by NumPy; zeros beside it are multiplied, so that infinite weights leave NaN there."""
    x, weights = (a.tensor for a in site.node.args)
    (n, *more), (m,) = x.dims, weights.dims
    if more or x.dtype is not weights.dtype or x.dtype not in (F32, F64) or not isinstance(n, int):
        return None
    if not isinstance(m, int) or m < 1 or n < m:
        return None
    after = {"valid": 0, "full": m - 1, "same": (m - 1) // 2}[site["mode"]]
    before = 0 if site["mode"] == "valid" else m - 1 if site["mode"] == "full" else m - 1 - after
    row = f"np.pad({site.args[0].text}, ({before}, {after}))" if before or after else site.args[0].text
    function = "convolve" if site.node.op.name == "conv" else "correlate"
    return f'np.{function}({row}, {site.args[1].text}, "valid")'


def _running(function: str) -> Callable[[Site], str]:
    def text(site: Site) -> str:
        result = site.node.tensor.dtype
        more = f", dtype=np.{result.numpy}" if result.kind == "i" and result.size < 8 and "cum" in function else ""
        return f"{function}({site.args[0].text}, axis={site['axis']}{more})"

    return text


# ---- products


def _transpose(site: Site) -> str:
    value = site.texts[0]
    if site.node.op.name == "adjoint" and site.node.tensor.dtype.kind == "c":
        value = f"{value}.conj()"
    return site.dialect.permute(value, (1, 0)) if site.rank == 2 else site.dialect.swap(value)


def _permute(site: Site) -> str:
    return site.dialect.permute(site.array(), [a % site.rank for a in site["axes"]])


def _trace(site: Site) -> str:
    result = site.node.tensor.dtype
    options = "" if site.rank == 2 else ", axis1=-2, axis2=-1"
    options += f", dtype=np.{result.numpy}" if result.kind == "i" and result.size < 8 else ""
    return f"np.trace({site.args[0].text}{options})"


def _diag(site: Site) -> str:
    if site.rank <= 2:
        return f"np.diag({site.args[0].text})"
    return f"np.diagonal({site.args[0].text}, axis1=-2, axis2=-1)"


def _triangle(site: Site) -> str:
    shift = f", {site['k']}" if site["k"] else ""
    return f"np.{site.node.op.name}({site.args[0].text}{shift})"


def reshaped(site: Site) -> str:
    """An op that only gives its operand another shape."""
    dims = site.node.tensor.dims
    more = [k for k, dim in enumerate(dims) if dim == 1 and dims[:k] + dims[k + 1 :] == site.dims]
    if more:
        return with_axis(site, more[-1])
    return site.dialect.reshape(site.array(), site.shape(site.node.tensor.dims))


def _kron(site: Site) -> str | None:
    first, second = (a.tensor.rank for a in site.node.args)
    return fill("np.kron({0}, {1})", *site.texts) if first == second <= 2 else None


# ---- shapes


def _one_or_more(site: Site) -> str:
    """The shape of the result; one size is a number."""
    dims = site.node.tensor.dims
    return site.size(dims[0]) if len(dims) == 1 else site.shape(dims)


def with_axis(site: Site, axis: int) -> str:
    """One more axis of size 1, as `x[:, None]`."""
    places = [":"] * axis if axis < site.rank or axis < 2 else ["..."]
    return f"{site.array()}[{', '.join([*places, 'None'])}]"


def _made(function: str) -> Callable[[Site], str]:
    def text(site: Site) -> str:
        dtype = site.dtype
        default = "np.float64"
        more = "" if dtype == default else f", {dtype}"
        return f"np.{function}({_one_or_more(site)}{more})"

    return text


def _eye(site: Site) -> str:
    rows, columns = site.node.tensor.dims
    more = "" if rows == columns else f", {site.size(columns)}"
    more += "" if site.dtype == "np.float64" else f", dtype={site.dtype}"
    return f"np.eye({site.size(rows)}{more})"


def _arange(site: Site) -> str:
    more = "" if site.dtype == "np.int64" else f", dtype={site.dtype}"
    return f"np.arange({site.size(site.node.tensor.dims[0])}{more})"


def _one_hot(site: Site) -> str:
    equal = fill("{0} == np.arange({n})", f"{site.array()}[..., None]", n=site.size(site["n"]))
    return f"({equal}).astype({site.dtype})"


def _pad(site: Site) -> str | None:
    if not isinstance(site["value"], (int, float)):
        return None
    axis = site["axis"] % site.rank
    before, after = site.size(site["before"]), site.size(site["after"])
    widths = ", ".join(f"({before}, {after})" if n == axis else "(0, 0)" for n in range(site.rank))
    more = f", constant_values={number(site['value'])}" if site["value"] != 0 else ""
    return f"np.pad({site.args[0].text}, {widths if site.rank == 1 else f'({widths})'}{more})"


def _tile(site: Site) -> str:
    axis = site["axis"] % site.rank
    times = [site.size(site["times"]) if n == axis else "1" for n in range(site.rank)]
    return f"np.tile({site.args[0].text}, {shape_source(times)})"


def joined(function: str, word: str = "axis") -> Callable[[Site], str]:
    """Concatenation or stacking."""

    def text(site: Site) -> str:
        common = promote_all(a.dtype for a in site.args)
        parts = [
            a.text
            if a.python and function.endswith("stack") and a.dtype is common
            else site.dialect.cast(site.scribe, a, common).text
            if a.dtype is not common
            else a.text
            for a in site.args
        ]
        if function == "np.stack" and all(a.rank == 0 for a in site.args):
            return f"np.array([{', '.join(parts)}])"
        return f"{function}([{', '.join(parts)}], {word}={site['axis']})"

    return text


def simple(template: str) -> Callable[[Site], str]:
    """A template with options in it: `np.flip({0}, {axis})`."""

    def text(site: Site) -> str:
        options = {
            k: str(v) if isinstance(v, (bool, int, float)) or v is None else site.size(v)
            for k, v in site.node.attributes
            if not isinstance(v, (tuple, DType))
        }
        for k, v in site.node.attributes:
            if isinstance(v, tuple) and k == "axis":
                options[k] = str(v)
        return template.format(*site.texts, **options)

    return text


def _cast(site: Site) -> str:
    return site.dialect.cast(site.scribe, site.args[0], site["dtype"]).text


def recurrence(helper: str) -> Callable[[Site], str]:
    """A helper that is given arrays, and the format to compute in."""

    def text(site: Site) -> str:
        operands = ", ".join(site.array(position) for position in range(len(site.args)))
        first = site.node.type if isinstance(site.node.type, TensorType) else site.node.type[0]
        return f"{site.help(helper)}({operands}, {site.dialect.dtype(site.given(first.dtype))})"

    return text


def _segments(site: Site) -> str:
    start = f"np.zeros({site.shape(site.node.tensor.dims)}, {site.dtype})"
    return f"{site.help('_scatter_add')}({start}, {site.args[1].text}, {site.args[0].text})"


# ---- Fourier transforms


def fourier(function: str, *more: str) -> Callable[[Site], str]:
    """A transform, which NumPy refuses where there are no entries."""

    def text(site: Site) -> str:
        value = site.args[0]
        if value.dtype in (F16, BF16):
            value = site.dialect.cast(site.scribe, value, F32)
        if site.may_be_empty:
            value = site.scribe.named(value)
        options = "".join(f", {m}={site.size(site[m])}" for m in more if (m, site[m]) != ("axis", -1))
        options += ', norm="ortho"' if "dct" in function else ""
        call = f"{function}({value.text}{options})"
        if not site.may_be_empty:
            return call
        if function.endswith(("fft.fft", "ifft", "fft2")) and not function.endswith("irfft"):
            return f"{call} if {value.text}.size else {value.text}.astype({site.dtype})"
        shape = site.shape(site.node.tensor.dims)
        held = site.given(site.node.tensor.dtype)
        return f"{call} if {value.text}.size else np.zeros({shape}, {site.dialect.dtype(held)})"

    return text


def _axes(site: Site) -> str:
    return "" if site["axis"] is None else f", {site['axis']}"


# ---- ordering


def _sort(site: Site) -> str:
    ascending = f"np.sort({site.args[0].text}, axis={site['axis']})"
    return f"np.flip({ascending}, {site['axis']})" if site["descending"] else ascending


def _argsort(site: Site) -> str:
    if site["descending"]:
        return f"{site.help('_descending')}({site.args[0].text}, {site['axis']})"
    return f'np.argsort({site.args[0].text}, axis={site["axis"]}, kind="stable")'


def _searchsorted(site: Site) -> str | None:
    side = "" if site["side"] == "left" else ", side='right'"
    return f"np.searchsorted({site.args[0].text}, {site.args[1].text}{side})"


def require(site: Site) -> str:
    return f"{site.help('_require')}({site.args[0].text}, {site.args[1].text}, {reason(dict(site.node.attributes))!r})"


OPS: dict[str, Entry] = {
    "cast": _cast,
    "clip": "np.clip({0}, {1}, {2})",
    # products
    "matmul": "{0} @ {1}",
    "matvec": "{0} @ {1}",
    "vecmat": "{0} @ {1}",
    "dot": "{0} @ {1}",
    "vdot": "np.vdot({0}, {1})",
    "outer": "np.outer({0}, {1})",
    "kron": _kron,
    "transpose": _transpose,
    "adjoint": _transpose,
    "permute": _permute,
    "trace": _trace,
    "diag": _diag,
    "tril": _triangle,
    "triu": _triangle,
    "vec": reshaped,
    "unvec": reshaped,
    "cross": "np.cross({0}, {1})",
    # reductions
    **dict.fromkeys(REDUCERS, reduce_op),
    "var": _variance,
    "std": _variance,
    "norm": _norm,
    "median": _median,
    "cumsum": _running("np.cumsum"),
    "cumprod": _running("np.cumprod"),
    "cummax": _running("np.maximum.accumulate"),
    # shapes
    "zeros": _made("zeros"),
    "ones": _made("ones"),
    "eye": _eye,
    "arange": _arange,
    "one_hot": _one_hot,
    "reshape": reshaped,
    "broadcast_to": lambda site: site.dialect.broadcast(site.args[0].text, site.shape(site.node.tensor.dims)),
    "squeeze": reshaped,
    "unsqueeze": lambda site: with_axis(site, site["axis"] % (site.rank + 1)),
    "flip": simple("np.flip({0}, {axis})"),
    "roll": simple("np.roll({0}, {shift}, {axis})"),
    "pad": _pad,
    "tile": _tile,
    "concat": joined("np.concatenate"),
    "stack": joined("np.stack"),
    "split": simple("np.split({0}, {parts}, {axis})"),
    # gathering
    "scatter_add": lambda site: f"{site.help('_scatter_add')}({', '.join(a.text for a in site.args)})",
    "segment_sum": _segments,
    "conv": _windows,
    "correlate": _windows,
    "from_diagonals": lambda site: (
        f"{site.help('_from_diagonals')}({site.array(0)}, {site['below']}, {site.shape(site.node.tensor.dims)})"
    ),
    "linear_scan": recurrence("_linear_scan"),
    "matrix_scan": recurrence("_matrix_scan"),
    "linear_attention": recurrence("_linear_attention"),
    **LINALG,
    **KERNELS,
    **STRUCTURED,
    **SPARSE,
    **SPARSIFIERS,
    **RANDOM,
    # Fourier transforms
    "fft": fourier("np.fft.fft", "axis"),
    "ifft": fourier("np.fft.ifft", "axis"),
    "rfft": fourier("np.fft.rfft", "axis"),
    "irfft": fourier("np.fft.irfft", "n", "axis"),
    "fft2": fourier("np.fft.fft2"),
    "ifft2": fourier("np.fft.ifft2"),
    "fftshift": lambda site: f"np.fft.fftshift({site.args[0].text}{_axes(site)})",
    "ifftshift": lambda site: f"np.fft.ifftshift({site.args[0].text}{_axes(site)})",
    "dct": fourier("scipy.fft.dct", "axis"),
    "idct": fourier("scipy.fft.idct", "axis"),
    # ordering
    "sort": _sort,
    "argsort": _argsort,
    "topk": lambda site: f"{site.help('_topk')}({site.args[0].text}, {site.size(site['k'])})",
    "searchsorted": _searchsorted,
    "require": require,
    # layers
    "softmax": simple("scipy.special.softmax({0}, axis={axis})"),
    "log_softmax": simple("scipy.special.log_softmax({0}, axis={axis})"),
}
