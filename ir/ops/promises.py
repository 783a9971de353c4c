"""Promises: conditions that are tested while the program runs, and derivatives that stand for others."""

from __future__ import annotations

from typing import Any

from tpc.ir.op import Attributes, Misfit, Op
from tpc.ir.ops.entries import entries_of
from tpc.ir.ops.indexing import option_misfit
from tpc.ir.types import TensorType

REASONS = {
    None: "a required condition does not hold",
    "converged": "a fixed point was not reached in the given number of passes",
    "solved": "a linear system was not solved to its tolerance in the given number of steps",
    "measured": "the right side of a linear system is too small or too large for its length to be known; scale it",
    "definite": "conjugate gradients need a matrix (and preconditioner) that is symmetric positive definite",
    "logdet": "the logarithm of a determinant is estimated of a matrix that is not positive definite",
    "root": "the root of a matrix is taken that is not positive definite",
    "nonsingular": "a matrix that a system is solved with is singular",
    "ordered": "a node of a tree does not come after its parent",
    "distinct": "the derivative needs eigenvalues (or singular values) that are distinct, and some are equal",
    "phase": "the derivative is that of a result which depends on phases of complex vectors, which are arbitrary",
    "full_rank": "the derivative needs a matrix of full rank, since elsewhere the rank changes",
}


def _types(operands: list[TensorType], attributes: Attributes) -> list[TensorType]:
    x, condition = operands
    if condition.dtype.kind != "b" or condition.rank:
        raise Misfit("E0213", f"`require` needs a truth value, not {condition}", [(1, f"this is {condition}")])
    if attributes["because"] not in REASONS:
        raise option_misfit("require", "because", attributes["because"], ", ".join(filter(None, REASONS)))
    return [x]


def reason(attributes: Attributes) -> str:
    """What is said where a condition does not hold."""
    return REASONS[attributes["because"]]


def _require(np: Any, operands: list[Any], attributes: Attributes) -> Any:
    x, holds = operands
    if not bool(np.all(holds)):
        raise ValueError(reason(attributes))
    return x


PROMISES: list[Op] = [
    Op(
        name="require",
        line="require(x[...], condition[...])[...]",
        about="x, where a condition holds; where it does not, the program stops and says so",
        group="promises",
        options={"because": None},
        typing=_types,
        reference=_require,
        exact=lambda operands, attributes: operands[0],
    ),
    Op(
        name="surrogate",
        line="surrogate(x[...], path[...])[...] = x[...]",
        about="x, with the derivative of `path` in the place of its own: a custom derivative, such as one that passes "
        "straight through `round`",
        group="promises",
        facts=entries_of("x"),
    ),
]
