"""Random programs: every backend gives what the reference interpreter gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.programs import generate

from tpc.backends import backend
from tpc.dsl.source import Source
from tpc.ir.elaborate.module import check
from tpc.ir.node import Program
from tpc.ir.reference import evaluate
from tpc.ir.types import EPSILON

from .contract import BACKENDS, given, has_dtype, plain, rounded


def tolerance(program: Program) -> float:
    """Room for rounding in the narrowest format that occurs in a program."""
    used = [n.tensor.dtype for n in (*program.inputs, *program.nodes) if not isinstance(n.type, tuple)]
    return 3e7 * max((EPSILON[d] for d in used if d in EPSILON), default=0.0) ** 0.98


def outcome(name: str, program: Program, arrays: list[Any], sizes: dict[str, int]) -> list[Any]:
    chosen = backend(name)
    emitted = chosen.emit(program)
    values = [given(name, a, i.tensor.dtype) for a, i in zip(arrays, program.inputs, strict=True)]
    result = chosen.load(emitted)(*values, **{keyword: sizes[size] for size, keyword in emitted.sizes.items()})
    return list(result) if isinstance(result, tuple) else [result]


@pytest.mark.parametrize("name", BACKENDS)
@pytest.mark.parametrize("start", range(0, 600, 50))
def test_random_programs(name: str, start: int) -> None:
    for seed in range(start, start + 50):
        sample = generate(seed)
        checked = check(Source(sample.text, "random.tp"))
        program = checked.programs.get("main")
        if program is None:
            continue
        sizes = {size: max(1, extent) for size, extent in sample.sizes(seed).items()}
        arrays = [rounded(a, i.tensor.dtype) for a, i in zip(sample.arrays(sizes, seed), program.inputs, strict=True)]
        expected = evaluate(program, arrays, sizes)
        room = tolerance(program)
        for value, type, wanted in zip(
            outcome(name, program, arrays, sizes), program.result_types, expected, strict=True
        ):
            assert has_dtype(value, type), sample.text
            value = plain(value)
            assert value.shape == np.shape(wanted), sample.text
            if value.dtype.kind in "bi":
                np.testing.assert_array_equal(value, wanted, err_msg=sample.text)
            elif room < 0.1:
                size = float(np.max(np.abs(wanted), initial=1.0))
                np.testing.assert_allclose(value, wanted, rtol=room, atol=room * size, err_msg=sample.text)
