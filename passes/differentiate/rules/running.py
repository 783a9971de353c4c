"""Adjoints of running sums, products and linear recurrences: the same, backwards."""

from __future__ import annotations

from collections.abc import Sequence

from tpc.ir.build import make, zeros
from tpc.ir.node import Node
from tpc.ir.types import TensorType
from tpc.passes.differentiate.arrays import axis_of, conjugated, entry, fitted, moved, part, transposed
from tpc.passes.differentiate.rules.rule import Rule
from tpc.passes.recurrences.stepwise import attention_loop


def _cumsum(node: Node, bars: Sequence[Node]) -> list[Node | None]:
    return [_backwards(bars[0], node["axis"])]


def _cumprod(node: Node, bars: Sequence[Node]) -> list[Node | None]:
    """By the recurrence that it is: no quotient, since factors may be zero."""
    axis = axis_of(node)
    x, value, bar = (moved(n, axis, 0) for n in (node.args[0], node, bars[0]))
    first = TensorType(value.tensor.dtype, (1, *value.tensor.dims[1:]))
    ones = make("ones", dims=first.dims, dtype=first.dtype)
    states, bar = make("concat", (ones, value), axis=0), make("concat", (zeros(first), bar), axis=0)
    return [moved(_recurrence(x, states, bar)[0], 0, axis)]


def _linear_scan(node: Node, bars: Sequence[Node]) -> list[Node | None]:
    a, _, x = node.args
    by_factor, by_term, by_start = _recurrence(a, node, bars[0])
    own = a.tensor.dims[1:]
    spread = (a.tensor.dims[0], *(1,) * (x.tensor.rank - len(own)), *own)
    by_factor = fitted(by_factor, TensorType(a.tensor.dtype, spread))
    return [make("reshape", (by_factor,), dims=a.tensor.dims), by_term, by_start]


def _recurrence(a: Node, states: Node, bar: Node) -> tuple[Node, Node, Node]:
    """The adjoints of factors, terms and start of a linear recurrence, which is one backwards."""
    steps = a.tensor.dims[0]
    earlier = make("flip", (part(bar, 0, 0, steps),), axis=0)
    last = entry(bar, steps)
    turned = make("linear_scan", (make("flip", (conjugated(a),), axis=0), earlier, last))
    through = make("flip", (turned,), axis=0)
    later = part(through, 0, 1, steps)
    return make("mul", (later, conjugated(part(states, 0, 0, steps)))), later, entry(through, 0)


def _matrix_scan(node: Node, bars: Sequence[Node]) -> list[Node | None]:
    a, b, _ = node.args
    steps = b.tensor.dims[0]
    earlier = make("flip", (part(bars[0], 0, 0, steps),), axis=0)
    back = transposed(conjugated(a))
    through = make("flip", (make("matrix_scan", (back, earlier, entry(bars[0], steps))),), axis=0)
    later = part(through, 0, 1, steps)
    by_matrix = make("matmul", (transposed(later), conjugated(part(node, 0, 0, steps))))
    return [by_matrix, later, entry(through, 0)]


def _linear_attention(node: Node, bars: Sequence[Node]) -> list[Node | None]:
    """By the loop that it is, whose states the adjoints by decays and keys take."""
    from tpc.passes.differentiate.reverse import adjoints  # of which this is a part

    return adjoints(attention_loop(node), bars, node.args)


def _backwards(node: Node, axis: int) -> Node:
    """Running sums from the end."""
    turned = make("flip", (node,), axis=axis)
    return make("flip", (make("cumsum", (turned,), axis=axis),), axis=axis)


RULES: dict[str, Rule] = {
    "cumsum": _cumsum,
    "cumprod": _cumprod,
    "linear_scan": _linear_scan,
    "matrix_scan": _matrix_scan,
    "linear_attention": _linear_attention,
}
