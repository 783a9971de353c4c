"""Arithmetic on numbers, done when the program is compiled."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from tpc.ir.build import literal, literal_value
from tpc.ir.node import Node, Program
from tpc.ir.ops.structure import LITERAL
from tpc.ir.rewrite import everywhere
from tpc.ir.scalar import SCALARS

# Functions of doubles that Python's own mathematics gives to the last bit or nearly; others wait for run time.
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "sqrt": math.sqrt,
    "exp": math.exp,
    "log": math.log,
    "log1p": math.log1p,
    "expm1": math.expm1,
    "sin": math.sin,
    "cos": math.cos,
    "tanh": math.tanh,
    "abs": abs,
    "neg": lambda x: -x,
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "div": lambda x, y: x / y,
    "pow": lambda x, y: x**y,
    "maximum": max,
    "minimum": min,
    "lt": lambda x, y: x < y,
    "le": lambda x, y: x <= y,
    "gt": lambda x, y: x > y,
    "ge": lambda x, y: x >= y,
    "eq": lambda x, y: x == y,
    "ne": lambda x, y: x != y,
}


def fold(program: Program) -> Program:
    """The program with functions of numbers replaced by their value; what would be an error at run time stays."""
    return everywhere(program, _fold)


def _fold(node: Node) -> Node:
    function = _FUNCTIONS.get(node.op.name)
    if function is None or not node.args or any(a.op is not LITERAL for a in node.args):
        return node
    values = [literal_value(a) for a in node.args]
    if any(isinstance(v, (bool, complex)) or v != v for v in values):
        return node
    try:
        value = function(*values)
    except (ArithmeticError, ValueError):
        return node
    if isinstance(value, complex) or (isinstance(value, int) and abs(value) >= 2**63):
        return node
    dtype = SCALARS[node.op.name].dtype([a.tensor.dtype for a in node.args])
    if dtype.kind == "f":
        try:
            value = float(value)
        except OverflowError:
            return node
    folded = literal(value)
    return folded if folded.type is node.type else node
