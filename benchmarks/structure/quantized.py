"""Rows about products with matrices in few bits, against the product with the matrix in single precision.

Of 4096 columns both stay in the cache of a large processor; of 11520 the matrix has 531 MB.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from benchmarks.structure.row import Row, in_turns

TEXT = """
def f(x: f32[{rows}{n}], c: {kind}[{n}, {groups}, {length}], s: f32[{n}, {groups}]) -> f32[{rows}{n}]:
    return quantized_matmul(x, c, s{option}, transposed=true)
"""


def _text(n: int, bits: int, rows: str = "") -> str:
    kind, option = "f16" if bits == 16 else "i8", ", packed=true" if bits == 4 else ""
    return TEXT.format(n=n, rows=rows, groups=n // 128, length=64 if bits == 4 else 128, kind=kind, option=option)


def _stored(n: int, bits: int, rng: np.random.Generator) -> tuple[Any, Any]:
    shape = (n, n // 128, 64 if bits == 4 else 128)
    codes = rng.standard_normal(shape).astype(np.float16) if bits == 16 else rng.integers(-127, 128, shape, np.int8)
    return codes, rng.random(shape[:2]).astype(np.float32)


def _wide(codes: Any, scales: Any, bits: int) -> Any:
    parts = [codes % 16 - 8, codes // 16] if bits == 4 else [codes]
    whole = np.concatenate(parts, axis=2) * scales[:, :, None]
    return whole.reshape(len(codes), -1).astype(np.float32, copy=False)


def _bits(n: int, bits: int, goal: float) -> Row:
    """A product with one vector, in generated code."""

    def make(rng: np.random.Generator) -> tuple[Any, ...]:
        return rng.standard_normal(n).astype(np.float32), *_stored(n, bits, rng)

    def wide(x: Any, codes: Any, scales: Any) -> Callable[[], Any]:
        W = _wide(codes, scales, bits)
        return lambda: W @ x

    contenders = {"f32": wide}
    name = f"{bits} bits, {n} by {n}"
    return Row(name, _text(n, bits), make, contenders, {"f32": goal}, error=1e-4, backend="llvm")


def _codebook(n: int, goal: float) -> Row:
    """The same with codes that name the entries of a table for each row."""

    def make(rng: np.random.Generator) -> tuple[Any, ...]:
        codes = rng.integers(-128, 128, (n, 1, n // 2), np.int8)
        return rng.standard_normal(n).astype(np.float32), codes, rng.standard_normal((n, 1, 16)).astype(np.float32)

    def wide(x: Any, codes: Any, tables: Any) -> Callable[[], Any]:
        W = np.concatenate(
            [np.take_along_axis(tables, c.astype(np.int64), 2) for c in (codes % 16, codes // 16 + 8)], 2
        )
        W = W.reshape(n, n)
        return lambda: W @ x

    text = TEXT.format(n=n, rows="", groups=1, length=n // 2, kind="i8", option=", packed=true")
    text = text.replace(f"s: f32[{n}, 1]", f"s: f32[{n}, 1, 16]")
    return Row(f"codebook, {n} by {n}", text, make, {"f32": wide}, {"f32": goal}, error=1e-4, backend="llvm")


@dataclass(frozen=True)
class BreakEven:
    """The number of rows up to which codes pay, as it is predicted and as it is measured: at most a factor of two
    apart."""

    n: int
    bits: int

    @property
    def name(self) -> str:
        return f"{self.bits} bits, rows that pay, {self.n}"

    def measured(self, repeat: int) -> dict[str, Any]:
        import tpc
        from tpc.ir.build import input_node, make
        from tpc.ir.types import F32, I8, TensorType
        from tpc.passes.approximation.reading import ROWS, break_even
        from tpc.passes.cost import profile

        rng = np.random.default_rng(0)
        codes, scales = _stored(self.n, self.bits, rng)
        W = _wide(codes, scales, self.bits)
        parts = [input_node("c", TensorType(I8, codes.shape)), input_node("s", TensorType(F32, scales.shape))]
        predicted = break_even(make("dequantize", parts, packed=self.bits == 4), profile("numpy", 1))
        seen, seconds, rows = 0, {"tpc": 0.0}, 1
        while rows <= ROWS:
            compiled = tpc.compile(_text(self.n, self.bits, f"{rows}, "), backend="llvm")
            x = rng.standard_normal((rows, self.n)).astype(np.float32)
            compiled.prepare(x, codes, scales)
            calls = {"tpc": partial(compiled, x, codes, scales), "f32": partial(np.matmul, x, W.T)}
            seconds = in_turns(calls, max(repeat, 3))
            if seconds["tpc"] >= seconds["f32"]:
                break
            seen, rows = rows, 2 * rows
        return {
            "name": self.name,
            "seconds": seconds,
            "faster": {},
            "goals": {},
            "limit": None,
            "error": max(predicted, seen) / max(min(predicted, seen), 1),
            "structure": f"up to {predicted} rows predicted, {seen} measured",
            "met": predicted <= 2 * seen and seen <= 2 * predicted,
        }


ROWS = (
    *(_bits(n, bits, goal) for n in (4096, 11520) for bits, goal in ((4, 3), (8, 2.3), (16, 1.6))),
    _codebook(4096, 3),
    _codebook(11520, 3),
    BreakEven(4096, 4),
    BreakEven(4096, 8),
)
