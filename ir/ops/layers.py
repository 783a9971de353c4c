"""Layers of neural networks that are more than one scalar function."""

from __future__ import annotations

from typing import Any

from tpc.ir.op import Attributes, Misfit, Op
from tpc.ir.ops.indexing import LineBy, along, option_misfit
from tpc.ir.types import TensorType


def _normalized(name: str, most: int, body: str) -> LineBy:
    """The line with as many of weight and bias as are given."""

    def line(operands: list[TensorType], attributes: Attributes) -> str:
        if len(operands) > most:
            raise Misfit("E0302", f"`{name}` takes {most} operands, not {len(operands)}")
        eps = attributes["eps"]
        if isinstance(eps, bool) or not isinstance(eps, (int, float)):
            raise option_misfit(name, "eps", eps, "a small number")
        parameters, text = ["x[..., i]"], body.replace("eps", repr(float(eps)))
        for count, (parameter, operator) in enumerate((("weight[i]", "*"), ("bias[i]", "+")), 2):
            if len(operands) >= count:
                parameters.append(parameter)
                text = f"{text} {operator} {parameter}"
        return f"{name}({', '.join(parameters)})[..., i] = {text}"

    return line


LAYERNORM = "(x[..., i] - mean[k](x[..., k])) * rsqrt(mean[k](square(x[..., k] - mean[m](x[..., m]))) + eps)"
RMSNORM = "x[..., i] * rsqrt(mean[k](square(x[..., k])) + eps)"


def _op(name: str, line: str, about: str, **more: Any) -> Op:
    return Op(name=name, line=line, about=about, group="layers", kinds="bif", **more)


LAYERS: list[Op] = [
    _op(
        "softmax",
        "softmax(x[...])[...]",
        "exponentials along an axis, scaled to sum to 1",
        line_by=along("softmax(x[{i}])[{i}] = exp(x[{i}] - max[k](x[{k}])) / sum[k](exp(x[{k}] - max[m](x[{m}])))"),
        options={"axis": -1},
        flops="25 * entries_x",
        facts="|- nonnegative(this)\n |- at_most(this, 1)\n |- row_stochastic(this) where matrix(this), last(axis)",
    ),
    _op(
        "log_softmax",
        "log_softmax(x[...])[...]",
        "logarithm of softmax",
        line_by=along("log_softmax(x[{i}])[{i}] = x[{i}] - logsumexp[k](x[{k}])"),
        options={"axis": -1},
        flops="25 * entries_x",
        facts="|- at_most(this, 0)",
    ),
    _op(
        "layernorm",
        "layernorm(x[..., i])[..., i]",
        "x minus its mean over the root of its variance plus eps, along the last axis; further operands are a "
        "weight and a bias",
        line_by=_normalized("layernorm", 3, LAYERNORM),
        options={"eps": 1e-5},
        variadic="tensors",
        flops="10 * i",
    ),
    _op(
        "rmsnorm",
        "rmsnorm(x[..., i])[..., i]",
        "x over the root of its mean square plus eps, along the last axis; a further operand is a weight",
        line_by=_normalized("rmsnorm", 2, RMSNORM),
        options={"eps": 1e-5},
        variadic="tensors",
        flops="5 * i",
    ),
    Op(
        name="cross_entropy",
        line="cross_entropy(x[..., c], target[...])[...] = logsumexp[c](x[..., c]) - x[..., target[...]]",
        about="minus log_softmax of the logits at the target class",
        group="layers",
        kinds="bif i",
        flops="22 * c",
        facts="|- nonnegative(this)",
    ),
]
