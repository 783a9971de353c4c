"""Adjoints of the layers of networks, which share what the layers compute."""

from __future__ import annotations

from collections.abc import Sequence

from tpc.ir.build import literal, make
from tpc.ir.node import Node
from tpc.passes.differentiate.rules.rule import Rule


def _softmax(node: Node, bars: Sequence[Node]) -> list[Node | None]:
    along = make("sum", (make("mul", (node, bars[0])),), axis=node["axis"], keepdims=True)
    return [make("mul", (node, make("sub", (bars[0], along))))]


def _log_softmax(node: Node, bars: Sequence[Node]) -> list[Node | None]:
    along = make("sum", (bars[0],), axis=node["axis"], keepdims=True)
    return [make("sub", (bars[0], make("mul", (make("exp", (node,)), along))))]


def _layernorm(node: Node, bars: Sequence[Node]) -> list[Node | None]:
    x = node.args[0]
    variance = make("var", (x,), axis=-1, keepdims=True, ddof=0)
    scale = make("rsqrt", (make("add", (variance, literal(node["eps"]))),))
    normal, bar, rest = _weighted(node, bars[0])
    along = make("mul", (normal, _mean_of(make("mul", (normal, bar)))))
    return [make("mul", (scale, make("sub", (make("sub", (bar, _mean_of(bar))), along)))), *rest]


def _rmsnorm(node: Node, bars: Sequence[Node]) -> list[Node | None]:
    squares = _mean_of(make("square", (node.args[0],)))
    scale = make("rsqrt", (make("add", (squares, literal(node["eps"]))),))
    normal, bar, rest = _weighted(node, bars[0])
    along = make("mul", (normal, _mean_of(make("mul", (normal, bar)))))
    return [make("mul", (scale, make("sub", (bar, along)))), *rest]


def _weighted(node: Node, bar: Node) -> tuple[Node, Node, list[Node]]:
    """The normal value before weight and bias, its adjoint, and those of weight and bias."""
    if len(node.args) == 1:
        return node, bar, []
    normal = make(node.op, node.args[:1], eps=node["eps"])
    return normal, make("mul", (bar, node.args[1])), [make("mul", (bar, normal)), bar][: len(node.args) - 1]


def _mean_of(node: Node) -> Node:
    return make("mean", (node,), axis=-1, keepdims=True)


RULES: dict[str, Rule] = {
    "softmax": _softmax,
    "log_softmax": _log_softmax,
    "layernorm": _layernorm,
    "rmsnorm": _rmsnorm,
}
