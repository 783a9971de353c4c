"""Recurrences that are linear in what they carry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tpc.ir.op import Attributes, Op
from tpc.ir.ops.indexing import checked_rank, letters_of
from tpc.ir.types import TensorType


def _line(operands: list[TensorType], attributes: Attributes) -> str:
    checked_rank("linear_scan", operands, 0, 1)
    a, _, x = operands
    letters = letters_of(x)
    own = letters[max(0, len(letters) - a.rank + 1) :]  # factors may be the same along axes of the state
    axes = [n if dim != 1 else "1" for n, dim in zip(own, a.dims[a.rank - len(own) :])]
    factor = ["t", *["1"] * (a.rank - 1 - len(own)), *axes]
    state, more = ", ".join(letters), "".join(f", {n}" for n in letters)
    return f"linear_scan(a[{', '.join(factor)}], b[t{more}], x{f'[{state}]' if state else ''})[t + 1{more}]"


def _literally(np: Any, operands: list[Any], attributes: Attributes) -> Any:
    a, b, x = operands
    states = [x]
    for factor, term in zip(a, b, strict=True):
        states.append(factor * states[-1] + term)
    return np.stack([np.asarray(state) for state in states])


def _by_matrix(np: Any, operands: list[Any], attributes: Attributes) -> Any:
    a, b, x = operands
    states = [x]
    for term in b:
        states.append((a * states[-1]).sum(-1) + term)
    return np.stack([np.asarray(state) for state in states])


def _attention(np: Any, operands: list[Any], attributes: Attributes) -> Any:
    q, k, v, a, state = operands
    read = [v[:0]]
    for t in range(len(q)):
        state = a[t][..., :, None] * state + k[t][..., :, None] * v[t][..., None, :]
        read.append((q[t][..., :, None] * state).sum(-2)[None])
    return np.concatenate(read), state


def _over_field(reference: Callable[..., Any]) -> Callable[[list[Any], Attributes], Any]:
    """The same meaning over arrays of fractions or residues."""

    def exact(operands: list[Any], attributes: Attributes) -> Any:
        import numpy as np

        return reference(np, operands, attributes)

    return exact


def _attention_line(operands: list[TensorType], attributes: Attributes) -> str:
    checked_rank("linear_attention", operands, 0, 2)
    q, _, _, a, _ = operands
    batch = "".join(f", {n}" for n in letters_of(q)[1:-1])
    rows = "1" if a.rank and a.dims[-1] == 1 else "d"
    return (
        f"linear_attention(q[t{batch}, d], k[t{batch}, d], v[t{batch}, e], a[t{batch}, {rows}], "
        f"S[{batch.removeprefix(', ')}{', ' if batch else ''}d, e])[t{batch}, e], "
        f"[{batch.removeprefix(', ')}{', ' if batch else ''}d, e]"
    )


RECURRENCES: list[Op] = [
    Op(
        name="linear_attention",
        line="linear_attention(q[t, ..., d], k[t, ..., d], v[t, ..., e], a[t, ..., d], S[..., d, e])[t, ..., e]",
        line_by=_attention_line,
        about="each q[t] @ S of the matrices S = diag(a[t]) @ S + outer(k[t], v[t]), and the last S",
        group="recurrences",
        dtype="float",
        kinds="fc",
        reference=_attention,
        exact=_over_field(_attention),
        flops="5 * entries_q * e",
    ),
    Op(
        name="linear_scan",
        line="linear_scan(a[t, ...], b[t, ...], x[...])[t + 1, ...]",
        line_by=_line,
        about="x and all that follow by x = a[t] * x + b[t] (elementwise), along a new first axis",
        group="recurrences",
        dtype="float",
        kinds="ifc",
        reference=_literally,
        exact=_over_field(_literally),
        flops="2 * entries_b",
        facts="nonnegative(a), nonnegative(b), nonnegative(x) |- nonnegative(this)",
    ),
    Op(
        name="matrix_scan",
        line="matrix_scan(A[i, i], b[t, i], x[i])[t + 1, i]",
        about="x and all that follow by x = A @ x + b[t], along a new first axis",
        group="recurrences",
        dtype="float",
        kinds="ifc",
        reference=_by_matrix,
        exact=_over_field(_by_matrix),
        flops="2 * i * entries_b",
        facts="nonnegative(A), nonnegative(b), nonnegative(x) |- nonnegative(this)",
    ),
]
