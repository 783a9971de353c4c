"""Discrete Fourier and cosine transforms, unscaled forwards and scaled by 1/n backwards (the cosine ones orthonormal).

Operation counts follow the usual 5 n log2(n) with the logarithm taken as 16.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tpc.ir.dims import dim_text, divide
from tpc.ir.formula import Apply, Formula, LetterValue, Scalar, SizeValue
from tpc.ir.op import Attributes, Misfit, Op
from tpc.ir.ops.indexing import LineBy, access, along, checked_axes, letters_of, over, plus, typed_by
from tpc.ir.types import TensorType

COUNT = "80 * entries_x"


def _numpy(name: str) -> Callable[[Any, list[Any], Attributes], Any]:
    def reference(np: Any, operands: list[Any], attributes: Attributes) -> Any:
        if operands[0].size == 0:
            return operands[0].astype(complex)
        return getattr(np.fft, name)(operands[0], axis=attributes["axis"])

    return reference


def _rfft(np: Any, operands: list[Any], attributes: Attributes) -> Any:
    (x,) = operands
    axis = attributes["axis"] % x.ndim
    if x.size == 0:
        return np.zeros([d // 2 + 1 if n == axis else d for n, d in enumerate(x.shape)], complex)
    return np.fft.rfft(x, axis=axis)


def _irfft(np: Any, operands: list[Any], attributes: Attributes) -> Any:
    (x,) = operands
    axis = attributes["axis"] % x.ndim
    shape = [attributes["n"] if n == axis else d for n, d in enumerate(x.shape)]
    return np.fft.irfft(x, n=attributes["n"], axis=axis) if 0 not in shape else np.zeros(shape)


def _irfft_line(operands: list[TensorType], attributes: Attributes) -> str:
    line = IRFFT_LINE(operands, attributes)
    n, given = attributes["n"], operands[0].dims[attributes["axis"]]
    if divide(n, 2) + 1 != given:
        raise Misfit(
            "E0203",
            f"`irfft` to {dim_text(n)} entries needs {dim_text(divide(n, 2) + 1)}, but is given {dim_text(given)}",
            [(0, f"this is {operands[0]}")],
        )
    return line


RFFT_LINE: LineBy = along("rfft(x[{i}])[{half}]")
IRFFT_LINE: LineBy = along("irfft(x[{k}], n)[{n}]")


def _fft2(name: str) -> Callable[[Any, list[Any], Attributes], Any]:
    def reference(np: Any, operands: list[Any], attributes: Attributes) -> Any:
        x = operands[0]
        return getattr(np.fft, name)(x, axes=(-2, -1)) if x.size else x.astype(complex)

    return reference


def _shifted(name: str, forwards: bool) -> Op:
    def formula(operands: list[TensorType], attributes: Attributes) -> Formula:
        (x,) = operands
        axes = checked_axes(name, attributes["axis"], x.rank)
        letters = letters_of(x)
        indices: list[str | Scalar] = [*letters]
        for n in axes:
            half = divide(x.dims[n], 2)
            step = x.dims[n] - half if forwards else half
            place = plus(LetterValue(letters[n]), SizeValue(step))
            indices[n] = Apply("mod", (place, SizeValue(x.dims[n])))
        return over(letters, x.dims, access(0, indices))

    return Op(
        name=name,
        line=f"{name}(x[...])[...]",
        about="frequency 0 moved to the middle" if forwards else "undoes fftshift",
        group="fourier",
        options={"axis": None},
        formula_by=formula,
        typing=typed_by(formula),
        facts="nonnegative(x) |- nonnegative(this)",
    )


def _cosine(name: str) -> Callable[[Any, list[Any], Attributes], Any]:
    def reference(np: Any, operands: list[Any], attributes: Attributes) -> Any:
        import scipy.fft

        (x,) = operands
        return getattr(scipy.fft, name)(x, axis=attributes["axis"], norm="ortho") if x.size else x * 1.0

    return reference


def _op(name: str, about: str, **more: Any) -> Op:
    line_by = along(f"{name}(x[{{i}}])[{{i}}]")
    fields: dict[str, Any] = {"options": {"axis": -1}, "line_by": line_by, "dtype": "complex", "flops": COUNT}
    return Op(name=name, line=f"{name}(x[...])[...]", about=about, group="fourier", **{**fields, **more})


FOURIER: list[Op] = [
    _op("fft", "sum of x[k] * exp(-2j*pi*i*k/n) over k along an axis", reference=_numpy("fft")),
    _op("ifft", "undoes fft", reference=_numpy("ifft")),
    _op(
        "rfft",
        "the first n/2 + 1 entries of fft, of a real array",
        line_by=lambda operands, attributes: RFFT_LINE(operands, attributes).replace("half", "div(i, 2) + 1"),
        kinds="bif",
        reference=_rfft,
        flops="40 * entries_x",
    ),
    Op(
        name="irfft",
        line="irfft(x[...], n)[...]",
        line_by=_irfft_line,
        about="undoes rfft; n is the number of entries of the result",
        group="fourier",
        options={"axis": -1},
        dtype="real",
        reference=_irfft,
        flops=COUNT,
    ),
    Op(
        name="fft2",
        line="fft2(x[..., i, j])[..., i, j]",
        about="fft along the last two axes",
        group="fourier",
        dtype="complex",
        reference=_fft2("fft2"),
        flops="2 * " + COUNT,
    ),
    Op(
        name="ifft2",
        line="ifft2(x[..., i, j])[..., i, j]",
        about="undoes fft2",
        group="fourier",
        dtype="complex",
        reference=_fft2("ifft2"),
        flops="2 * " + COUNT,
    ),
    _shifted("fftshift", True),
    _shifted("ifftshift", False),
    _op("dct", "cosine transform (type 2, orthonormal)", kinds="bif", dtype="float", reference=_cosine("dct")),
    _op("idct", "undoes dct", kinds="bif", dtype="float", reference=_cosine("idct")),
]
