"""Sums over windows."""

from __future__ import annotations

from tpc.ir.dims import DimLike, divide
from tpc.ir.formula import Apply, Formula, LetterValue, Literal, Reduction, Scalar, SizeValue
from tpc.ir.op import Attributes, Misfit, Op
from tpc.ir.ops.indexing import ZERO, access, checked_rank, letters_of, option_misfit, over, plus, typed_by
from tpc.ir.types import TensorType


def _slide(operands: list[TensorType], attributes: Attributes, name: str, flipped: bool) -> Formula:
    """Products of `k` with the windows of `x` along the last axis."""
    x, kernel = operands
    checked_rank(name, operands, 0, 1)
    if kernel.rank != 1:
        raise Misfit("E0204", f"`{name}` needs a vector to slide", [(1, f"this is {kernel}")])
    n, m, mode = x.dims[-1], kernel.dims[0], attributes["mode"]
    extents: dict[str, DimLike] = {"valid": n - m + 1, "full": n + m - 1, "same": n}
    if mode not in extents:
        raise option_misfit(name, "mode", mode, "valid, full or same")
    extent = extents[mode]
    if isinstance(extent, int) and extent < 0:
        title = f"`{name}` cannot slide {m} entries over {n} with mode={mode}"
        raise Misfit("E0203", title, [(0, f"has {n} entries"), (1, f"has {m} entries")], "use mode=full")
    first = {"valid": m - 1, "full": 0, "same": divide(m - 1, 2)}[mode]  # the window's newest entry at i = 0
    at: Scalar = plus(LetterValue("i"), SizeValue(first if flipped else first - (m - 1)))
    at = Apply("sub" if flipped else "add", (at, LetterValue("s")))
    batch = letters_of(x)[:-1]
    weight: Scalar = access(1, "s")
    if not flipped and kernel.dtype.kind == "c":
        weight = Apply("conj", (weight,))
    term = Apply("mul", (access(0, [*batch, at], None if mode == "valid" else ZERO), weight))
    return over([*batch, "i"], [*x.dims[:-1], extent], Reduction("sum", ("s",), None, term), ("s", m))


def _conv(operands: list[TensorType], attributes: Attributes) -> Formula:
    return _slide(operands, attributes, "conv", True)


def _correlate(operands: list[TensorType], attributes: Attributes) -> Formula:
    return _slide(operands, attributes, "correlate", False)


def _conv2d(operands: list[TensorType], attributes: Attributes) -> Formula:
    x, kernel = operands
    stride, pad = attributes["stride"], attributes["pad"]
    if not isinstance(stride, int) or stride < 1:
        raise option_misfit("conv2d", "stride", stride, "a positive integer")
    if not isinstance(pad, int) or pad < 0:
        raise option_misfit("conv2d", "pad", pad, "an integer, 0 or more")
    if kernel.rank not in (2, 4) or x.rank < 2 or (kernel.rank == 4 and x.rank != 4):
        raise Misfit(
            "E0204",
            "`conv2d` needs x[..., h, w] with k[p, q], or x[b, c, h, w] with k[o, c, p, q]",
            [(0, f"this is {x}"), (1, f"this is {kernel}")],
        )
    if kernel.rank == 4 and kernel.dims[1] != x.dims[1]:
        raise Misfit(
            "E0203",
            f"`conv2d` needs channels to match, but {x.dims[1]} is not {kernel.dims[1]}",
            [(0, f"has {x.dims[1]} channels"), (1, f"is for {kernel.dims[1]} channels")],
        )
    extents = []
    for size, width in zip(x.dims[-2:], kernel.dims[-2:], strict=True):
        room = size + 2 * pad - width
        if isinstance(room, int) and room < 0:
            title = f"`conv2d` cannot place a window of {width} in {size} entries with pad={pad}"
            raise Misfit("E0203", title, [(0, f"this is {x}"), (1, f"this is {kernel}")])
        extents.append(divide(room, stride) + 1)
    batch = letters_of(x)[:-2]
    rows, columns = (
        plus(
            Apply("add", (Apply("mul", (Literal(str(stride)), LetterValue(i))), LetterValue(u))),
            SizeValue(-pad),
        )
        if stride > 1
        else plus(Apply("add", (LetterValue(i), LetterValue(u))), SizeValue(-pad))
        for i, u in ("iu", "jv")
    )
    outside = ZERO if pad else None
    window = (("u", kernel.dims[-2]), ("v", kernel.dims[-1]))
    if kernel.rank == 2:
        term = Apply("mul", (access(0, [*batch, rows, columns], outside), access(1, "uv")))
        body = Reduction("sum", ("u", "v"), None, term)
        return over([*batch, "i", "j"], [*x.dims[:-2], *extents], body, *window)
    term = Apply("mul", (access(0, ["b", "c", rows, columns], outside), access(1, "ocuv")))
    body = Reduction("sum", ("c", "u", "v"), None, term)
    return over("boij", [x.dims[0], kernel.dims[0], *extents], body, ("c", x.dims[1]), *window)


CONVOLUTION: list[Op] = [
    Op(
        name="conv",
        line="conv(x[...], k[m])[...]",
        about="convolution along the last axis (k is turned round); mode is valid, full or same",
        group="products",
        options={"mode": "valid"},
        formula_by=_conv,
        typing=typed_by(_conv),
        facts="nonnegative(x), nonnegative(k) |- nonnegative(this)",
    ),
    Op(
        name="correlate",
        line="correlate(x[...], k[m])[...]",
        about="products of conj(k) with the windows of x along the last axis; mode is valid, full or same",
        group="products",
        options={"mode": "valid"},
        formula_by=_correlate,
        typing=typed_by(_correlate),
        facts="nonnegative(x), nonnegative(k) |- nonnegative(this)",
    ),
    Op(
        name="conv2d",
        line="conv2d(x[...], k[...])[...]",
        about="the 2-D convolution of neural networks: k is not turned round; x[..., h, w] with k[p, q], or "
        "x[b, c, h, w] with k[o, c, p, q]; zeros stand around x to a width of pad",
        group="products",
        options={"stride": 1, "pad": 0},
        formula_by=_conv2d,
        typing=typed_by(_conv2d),
        facts="nonnegative(x), nonnegative(k) |- nonnegative(this)",
    ),
]
