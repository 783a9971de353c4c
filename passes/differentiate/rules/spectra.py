"""Adjoints of Fourier transforms, which are linear (the conjugate transpose), and of parts of complex numbers."""

from __future__ import annotations

from collections.abc import Sequence

from tpc.ir.build import index, literal, make, size, zeros
from tpc.ir.dims import DimLike, product
from tpc.ir.formula import Apply, Formula, LetterValue, Literal, size_scalar
from tpc.ir.node import Node
from tpc.ir.types import TensorType
from tpc.passes.differentiate.arrays import axis_of, conjugated
from tpc.passes.differentiate.rules.rule import Rule


def _fft(node: Node, bars: Sequence[Node]) -> list[Node | None]:
    name = node.op.name
    other = name[1:] if name.startswith("i") else f"i{name}"
    dims = node.tensor.dims
    count = product(dims[-2:]) if name.endswith("2") else dims[axis_of(node)]
    back = make(other, (bars[0],), **({} if name.endswith("2") else {"axis": node["axis"]}))
    return [make("mul" if not name.startswith("i") else "div", (back, size(count)))]


def _rfft(node: Node, bars: Sequence[Node]) -> list[Node | None]:
    x, axis = node.args[0], axis_of(node)
    n, kept = x.tensor.dims[axis], node.tensor.dims[axis]
    if n == 0:
        return [None]
    missing = tuple(n - kept if k == axis else d for k, d in enumerate(node.tensor.dims))
    whole = make("concat", (bars[0], zeros(TensorType(bars[0].tensor.dtype, missing))), axis=axis)
    return [make("mul", (make("re", (make("ifft", (whole,), axis=axis),)), size(n)))]


def _irfft(node: Node, bars: Sequence[Node]) -> list[Node | None]:
    axis = axis_of(node)
    n = node.tensor.dims[axis]
    count = node.args[0].tensor.dims[axis]
    shape = tuple(count if k == axis else 1 for k in range(node.tensor.rank))
    weights = make("reshape", (_mirrored(n, count),), dims=shape)
    back = make("rfft", (bars[0],), axis=axis)
    return [make("div", (make("mul", (weights, back)), size(n)))]


def _mirrored(n: DimLike, count: DimLike) -> Node:
    """For how many frequencies of n each of the kept ones stands: itself and its mirror image.

    The first and, of an even number, the last are their own.
    """
    letter = LetterValue("i")
    is_first = Apply("eq", (letter, Literal("0")))
    is_last = Apply("eq", (Apply("mul", (Literal("2"), letter)), size_scalar(n)))
    own = Apply("logical_or", (is_first, is_last))
    return index(Formula((("i",),), (("i", count),), Apply("select", (own, Literal("1.0"), Literal("2.0")))), ())


def _cosine(node: Node, bars: Sequence[Node]) -> list[Node | None]:
    """Of an orthogonal transform: the one that undoes it."""
    other = "idct" if node.op.name == "dct" else "dct"
    return [make(other, (bars[0],), **dict(node.attributes))]


def _shifted(node: Node, bars: Sequence[Node]) -> list[Node | None]:
    """Of a change of order: the one that undoes it."""
    other = "ifftshift" if node.op.name == "fftshift" else "fftshift"
    return [make(other, (bars[0],), **dict(node.attributes))]


def _angle(node: Node, bars: Sequence[Node]) -> list[Node | None]:
    (z,) = node.args
    if z.tensor.dtype.kind != "c":
        return [None]
    turned = make("div", (make("mul", (literal(1j), z)), make("square", (make("abs", (z,)),))))
    return [make("mul", (bars[0], turned))]


def _re(node: Node, bars: Sequence[Node]) -> list[Node | None]:
    return [bars[0]]


def _im(node: Node, bars: Sequence[Node]) -> list[Node | None]:
    return [make("mul", (literal(1j), bars[0])) if node.args[0].tensor.dtype.kind == "c" else None]


def _conj(node: Node, bars: Sequence[Node]) -> list[Node | None]:
    return [conjugated(bars[0])]


def _abs(node: Node, bars: Sequence[Node]) -> list[Node | None]:
    (x,) = node.args
    if x.tensor.dtype.kind != "c":
        return [make("mul", (bars[0], make("sign", (x,))))]
    safe = make("select", (make("eq", (node, literal(0))), literal(1.0), node))
    return [make("mul", (make("div", (bars[0], safe)), x))]


RULES: dict[str, Rule] = {
    "fft": _fft,
    "ifft": _fft,
    "fft2": _fft,
    "ifft2": _fft,
    "rfft": _rfft,
    "irfft": _irfft,
    "fftshift": _shifted,
    "ifftshift": _shifted,
    "dct": _cosine,
    "idct": _cosine,
    "re": _re,
    "im": _im,
    "conj": _conj,
    "abs": _abs,
    "angle": _angle,
}
