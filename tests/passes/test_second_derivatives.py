"""Second derivatives of every op: the tangent of its adjoint beside differences of the adjoint."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.ir.op_cases import CASES
from tests.passes.test_differentiate import APART, REFUSED, SYMMETRIC, Site, _is_float, _like, agrees, differences

from tpc.dsl.diagnostics import TpcError
from tpc.ir.build import input_node
from tpc.ir.node import Program
from tpc.ir.reference import evaluate
from tpc.passes.differentiate.forward import tangents
from tpc.passes.differentiate.reverse import adjoints
from tpc.passes.differentiate.rules import CUT

LARGEST = 40  # entries of an operand
FIRST: dict[str, int] = {}  # one case of each op: the first that is neither empty nor large
for number, case in enumerate(CASES):
    if all(0 < np.size(a) <= LARGEST for a in case[1]) and np.ndim(case[1][0] if case[1] else 0):
        FIRST.setdefault(case[0], number)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", sorted(set(FIRST) - REFUSED - CUT - set(APART)))
def test_tangent_of_adjoint_agrees_with_differences(name: str) -> None:
    _, arrays, attributes = CASES[FIRST[name]][:3]
    rng = np.random.default_rng(0)
    site = Site(name, arrays, attributes, rng)
    if not site.wanted or not any(map(_is_float, site.results)):
        return
    given = [b if _is_float(r) else None for b, r in zip(site.bars, site.results, strict=True)]
    operand = site.wanted[0]
    way = input_node("way", operand.tensor)
    try:
        slopes = [f for f in adjoints(site.results, given, site.wanted) if f is not None]
        found = tangents(slopes, {operand: way})
    except TpcError as error:  # a form of an op that has no derivative, or has one that has none
        assert [d.code for d in error.diagnostics] == ["E0608"]
        return
    if not slopes:
        return
    k = site.inputs.index(operand)
    direction = _like(rng, site.arrays[k], name in SYMMETRIC)
    inputs = (*site.inputs, *site.bars)
    weights = [_like(rng, s) for s in evaluate(Program("g", inputs, slopes), [*site.arrays, *site.weights])]

    def total(values: list[Any]) -> float:
        return float(sum(np.real(np.sum(np.conj(w) * v)) for w, v in zip(weights, values, strict=True)))

    def along(step: float) -> float:
        moved = [a + step * direction if n == k else a for n, a in enumerate(site.arrays)]
        return total(evaluate(Program("g", inputs, slopes), [*moved, *site.weights]))

    there = [f for f in found if f is not None]
    values = iter(
        evaluate(Program("h", (*inputs, way), there), [*site.arrays, *site.weights, direction]) if there else []
    )
    predicted = total([np.zeros_like(w) if f is None else next(values) for f, w in zip(found, weights, strict=True)])
    expected = differences(along)
    if expected:
        assert agrees(predicted, expected, 1e-8), (predicted, expected)
