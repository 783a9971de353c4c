"""Results compared with the reference interpreter, on the operands of a call.

The reference computes in double precision what the program says. How far a sound result may lie from it follows from
the program's own sensitivity: the reference is run again on operands moved by one rounding of their format.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tpc.cost import cost
from tpc.dsl.diagnostics import InternalError, TpcError
from tpc.ir.node import Program
from tpc.ir.types import EPSILON, DType

MAX_FLOPS = 200_000_000
SLACK = 64  # roundings that a result may be away, beyond what moved operands show


def verify_results(program: Program, operands: Sequence[Any], results: Sequence[Any], sizes: dict[str, int]) -> str:
    """What a comparison with the reference showed, in words.

    Parameters
    ----------
    program
        The program as written; derivatives in it are taken as they are written out.
    operands, results
        NumPy arrays.

    Raises
    ------
    InternalError
        If a result is not what the program means.
    """
    from tpc.ir.reference import evaluate
    from tpc.passes.differentiate import differentiate

    program = differentiate(program)
    flops = cost(program, sizes).flops
    if not isinstance(flops, int) or flops > MAX_FLOPS:
        return "not verified: the reference interpreter would take too long at these sizes"
    epsilon = max((_epsilon(n.tensor.dtype) for n in program.walk() if not isinstance(n.type, tuple)), default=0.0)
    try:
        expected = evaluate(program, operands, sizes)
        shifted = [evaluate(program, [moved(a, epsilon, k) for a in operands], sizes) for k in range(2)]
    except TpcError as error:
        return f"not verified: {error.diagnostics[0].title}"
    open_choice = next((n.op for n in program.walk() if n.op.gauge), None)
    worst = 0.0
    for position, (name, result, wanted) in enumerate(zip(program.output_names, results, expected, strict=True)):
        spread = max(distance(run[position], wanted) for run in shifted)
        scale = float(np.abs(wanted[np.isfinite(wanted)]).max(initial=0.0))
        allowed = SLACK * (spread + epsilon * scale * max(np.ndim(wanted), 1))
        away = distance(result, wanted)
        if not away <= allowed:
            if open_choice is not None:
                return f"not verified: {open_choice.name} leaves open {open_choice.gauge}"
            raise InternalError(
                "verify",
                f"`{name}` is {away:.3g} away from what the program means, and {allowed:.3g} is what rounding explains",
            )
        worst = max(worst, away / scale if scale else 0.0)
    return f"verified: within {worst:.1g} of the reference, relative to the largest entry"


def _epsilon(dtype: DType) -> float:
    return EPSILON.get(dtype, 0.0)


def moved(array: Any, epsilon: float, run: int) -> Any:
    """An operand with each entry moved by a rounding, up or down."""
    array = np.asarray(array)
    if array.dtype.kind not in "fc":
        return array
    signs = np.random.default_rng([run, array.size]).choice([-1.0, 1.0], array.shape)
    wide = array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)
    return wide * (1 + epsilon * signs)


def distance(a: Any, b: Any) -> float:
    """The largest difference of entries; infinite where one is NaN (or infinite) and the other is not so."""
    kind = np.result_type(np.asarray(a).dtype, np.asarray(b).dtype, np.float64)
    a, b = np.asarray(a, kind), np.asarray(b, kind)
    if a.shape != b.shape:
        return float("inf")
    finite = np.isfinite(a)
    if (finite != np.isfinite(b)).any():
        return float("inf")
    same = (a[~finite] == b[~finite]) | (np.isnan(a[~finite]) & np.isnan(b[~finite]))
    return float(np.abs(a[finite] - b[finite]).max(initial=0.0)) if same.all() else float("inf")
