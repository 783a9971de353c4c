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

from .contract import BACKENDS, has_dtype, plain, rounded, run


def tolerance(program: Program) -> float | None:
    """Room for rounding in the narrowest format of a program; None where half precision leaves nothing to compare."""
    used = [t.dtype for n in program.walk() for t in (n.type if isinstance(n.type, tuple) else (n.type,))]
    unit = max(EPSILON.get(dtype, 0.0) for dtype in (*used, *(i.tensor.dtype for i in program.inputs)))
    return {2.0**-53: 1e-8, 2.0**-24: 3e-3}.get(unit, 0.0 if unit == 0 else None)


def outcome(name: str, program: Program, arrays: list[Any], sizes: dict[str, int]) -> list[Any]:
    keywords = backend(name).emit(program).sizes
    return run(name, program, arrays, **{keyword: sizes[size] for size, keyword in keywords.items()})


@pytest.mark.parametrize("name", BACKENDS)
@pytest.mark.parametrize("start", range(0, 600, 50))
def test_random_programs(name: str, start: int) -> None:
    for seed in range(start, start + 50, 10 if name == "llvm" else 1):  # which takes longer to compile
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
            elif room is not None:
                size = float(np.max(np.abs(wanted), initial=1.0))
                np.testing.assert_allclose(value, wanted, rtol=room, atol=room * size, err_msg=sample.text)
