"""Derivatives of functions of scalars, first and second ones, beside differences inside of their domains."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.passes.test_differentiate import agrees, differences

from tpc.dsl.diagnostics import TpcError
from tpc.ir.arrays import type_of_array
from tpc.ir.build import input_node, make
from tpc.ir.node import Program
from tpc.ir.ops import OPS
from tpc.ir.reference import evaluate
from tpc.passes.differentiate.reverse import adjoints
from tpc.passes.differentiate.scalars import LINES, NOT_HOLOMORPHIC, is_zero
from tpc.passes.differentiate.scalars import derivatives as lines_of

# Where functions are taken that are not smooth around 0, or are not defined there.
DOMAINS: dict[str, tuple[float, float]] = {
    **dict.fromkeys(("log", "log2", "log10", "sqrt", "rsqrt", "cbrt", "beta", "lbeta"), (0.6, 3.0)),
    **dict.fromkeys(("gamma", "lgamma", "digamma"), (0.6, 3.0)),
    **dict.fromkeys(("pow", "xlogy", "div", "mod", "hypot", "atan2", "abs", "bessel_i0e", "bessel_i1e"), (0.6, 3.0)),
    **dict.fromkeys(("log1p", "asin", "acos", "atanh", "erfinv"), (-0.6, 0.6)),
    **dict.fromkeys(("logit", "ndtri"), (0.2, 0.8)),
    "acosh": (1.5, 3.0),
}
SMOOTH = sorted(name for name in LINES if not all(map(is_zero, lines_of(name) or ())))
COMPLEX = sorted({name for name in SMOOTH if "c" in OPS[name].kinds} - NOT_HOLOMORPHIC - {"select"})


def points(name: str, is_complex: bool = False) -> list[Any]:
    """Operands with no ties, and none near a corner."""
    rng = np.random.default_rng(len(name))
    low, high = DOMAINS.get(name, (-1.5, 1.5))
    count = len(LINES[name])
    found = [low + (high - low) * (np.arange(5) + 0.5 + 0.3 * rng.uniform(-1, 1, 5)) / 5 for _ in range(count)]
    if name == "select":
        return [np.arange(5) % 2 == 0, *found[1:]]
    if name == "clip":
        return [found[0], np.full(5, -0.65), np.full(5, 0.62)]
    if name == "mod":
        return [found[0], np.full(5, 0.77)]
    return [x + 0.3j * rng.uniform(0.5, 1, 5) for x in found] if is_complex else found


def check(name: str, operands: list[Any]) -> None:
    inputs = [input_node(f"x{k}", type_of_array(x)) for k, x in enumerate(operands)]
    program = Program("f", inputs, [make(name, inputs)])
    bar = input_node("bar", program.outputs[0].tensor)
    wanted = [i for i in inputs if i.tensor.dtype.kind in "fc"]
    (value,) = evaluate(program, operands)
    weight = np.linspace(0.5, 1.5, 5).astype(value.dtype)
    for at, slope in zip(wanted, adjoints(program.outputs, [bar], wanted), strict=True):
        k = inputs.index(at)
        if slope is None:
            assert is_zero((lines_of(name) or ())[k])
            continue
        first = Program("g", [*inputs, bar], [slope])
        (found,) = evaluate(first, [*operands, weight])

        def along(step: float, k: int = k) -> Any:
            moved = [x + step if n == k else x for n, x in enumerate(operands)]
            return evaluate(program, moved)[0] * np.conj(weight)

        assert agrees(np.conj(found), differences(along)), at
        try:
            (bend,) = adjoints([slope], [bar], [at])
        except TpcError as error:
            assert [d.code for d in error.diagnostics] == ["E0608"]
            continue
        if bend is None:
            continue

        def slopes(step: float, k: int = k, first: Program = first) -> Any:
            moved = [x + step if n == k else x for n, x in enumerate(operands)]
            return np.conj(evaluate(first, [*moved, weight])[0]) * weight

        (second,) = evaluate(Program("h", [*inputs, bar], [bend]), [*operands, weight])
        assert agrees(np.conj(second), differences(slopes), 1e-8), (at, "twice")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", SMOOTH)
def test_real(name: str) -> None:
    check(name, points(name))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", COMPLEX)
def test_complex(name: str) -> None:
    check(name, points(name, is_complex=True))


def test_a_wrong_line_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LINES, "sin", ("cos(x) + 0.0000001",))
    lines_of.cache_clear()
    try:
        with pytest.raises(AssertionError):
            check("sin", points("sin"))
    finally:
        lines_of.cache_clear()
