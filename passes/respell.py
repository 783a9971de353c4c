"""One spelling for equal things, so that they are shared. Every line here is exact, NaN and signed zeros included."""

from __future__ import annotations

from tpc.ir.build import cast, literal_value, make
from tpc.ir.node import Node, Program
from tpc.ir.ops.structure import LITERAL, SIZE
from tpc.ir.rewrite import everywhere

_COMMUTE = ("add", "mul", "eq", "ne", "logical_and", "logical_or")


def respell(program: Program) -> Program:
    """The program with

    - `x''` as x, `not not x` as x, `-(-x)` as x
    - `x * 1`, `x / 1`, `x^1` as x, `x^2` as square(x), `x * x` as square(x)
    - a number before what it is added to or multiplied with: `x * 2` as `2 * x`
    - a number that is cast to the format of what it meets as the number
    - a cast to a wider format of a cast to it as one cast, and a cast to the format a value has as the value
    """
    return everywhere(program, _respell)


def _respell(node: Node) -> Node:
    changed = _simpler(node)
    return changed if changed is not None and changed.type is node.type else node


def _uncast(node: Node) -> Node:
    """A number without the cast to a format that it takes on by itself where it meets one."""
    bare = node.op.name == "cast" and node.args[0].op in (LITERAL, SIZE)
    return node.args[0] if bare and node.tensor.dtype.is_float else node


def _is_one(node: Node) -> bool:
    value = literal_value(node)
    return value == 1 and not isinstance(value, bool)


def _simpler(node: Node) -> Node | None:
    name, args = node.op.name, node.args
    if name in ("transpose", "logical_not", "neg") and args[0].op is node.op:
        return args[0].args[0]
    if name == "cast":
        return args[0] if args[0].type is node.type else cast(args[0], node.tensor.dtype)
    if len(args) != 2:
        return None
    plain = [_uncast(a) for a in args] if node.op.group == "elementwise" else list(args)
    if plain != list(args):
        bare = make(node.op, plain)
        return _simpler(bare) or bare
    x, y = args
    value = literal_value(y)
    if name in ("mul", "div", "pow") and _is_one(y):
        return x
    if name == "mul" and _is_one(x):
        return y
    if name == "pow" and isinstance(value, int) and value == 2:
        return make("square", (x,))
    if name == "mul" and x is y:
        return make("square", (x,))
    if name in _COMMUTE and value is not None and literal_value(x) is None:
        return make(node.op, (y, x))
    return None
