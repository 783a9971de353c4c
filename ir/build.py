"""Making nodes: the type follows from the op, literals give way to what they meet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from tpc.ir.dims import DimLike, arithmetic
from tpc.ir.formula import (
    Access,
    Composed,
    Formula,
    LetterValue,
    Literal,
    Scalar,
    SizeValue,
    accesses,
    mapped,
    size_scalar,
)
from tpc.ir.node import Node, Program
from tpc.ir.op import Misfit, Op
from tpc.ir.ops.structure import INDEX, INPUT, ITEM, LITERAL, SIZE, SIZE_TYPE, SUBSCRIPT, Range
from tpc.ir.types import F64, I64, INT, REAL, DType, TensorType, promote_all


def operation(name: str) -> Op:
    """The op called `name`; raises KeyError if there is none."""
    from tpc.ir.ops import OPS

    return OPS[name]


def make(op: Op | str, args: Iterable[Node] = (), **attributes: Any) -> Node:
    """A node of an op over operands.

    Raises
    ------
    Misfit
        If the operands do not fit the op.
    """
    if isinstance(op, str):
        op = operation(op)
    operands = list(args)
    if op is INDEX:
        attributes["formula"] = _spelled(attributes["formula"])
        operands = _with_places(operands, attributes["formula"])
    operands = give_way(op, operands)
    attributes = {**op.options, **attributes}  # in one order, whoever makes the node
    known = simpler(op, operands, attributes)
    if known is not None:
        return known
    types = op.types([a.tensor for a in operands], attributes)
    return Node(op, operands, attributes.items(), types[0] if len(types) == 1 else tuple(types))


# Ops whose operands meet in one format; the operands of a loop or a call have nothing to do with each other.
_MEETING = ("elementwise", "products", "linalg")


def give_way(op: Op, operands: list[Node]) -> list[Node]:
    """The operands with weakly typed arrays (such as `eye(n)`) cast to the format of the others."""
    meet = op.group in _MEETING or op.variadic == "tensors" or op is INDEX
    if len(operands) < 2 or not meet:
        return operands
    types = [node.type for node in operands]
    if not any(isinstance(t, TensorType) and t.dtype.is_weak and t.dims for t in types):
        return operands
    common = promote_all(t.dtype for t in types if isinstance(t, TensorType) and t.dtype.kind != "b")
    if common.is_weak:
        return operands
    return [cast(node, common) if node.tensor.dtype.is_weak and node.tensor.dims else node for node in operands]


def _spelled(formula: Formula) -> Formula:
    """The formula as its text is read: sizes that are numbers are literals."""
    body = mapped(formula.body, lambda s: size_scalar(s.dim) if isinstance(s, SizeValue) else s)
    return formula if body == formula.body else replace(formula, body=body)


def _with_places(operands: list[Node], formula: Formula) -> list[Node]:
    """The operands, of which those that say where to read in others stay integers, whatever they meet."""
    weak = {k for k, node in enumerate(operands) if node.tensor.dims and node.tensor.dtype is INT}
    if not weak:
        return operands
    places = {
        inner.operand
        for access in accesses(formula.body)
        for place in access.indices
        if not isinstance(place, Composed)
        for inner in accesses(place)
    }
    return [cast(node, I64) if k in weak & places else node for k, node in enumerate(operands)]


def cast(node: Node, dtype: DType) -> Node:
    """The node in another format; constructors such as `zeros` are made in that format right away."""
    if node.tensor.dtype is dtype:
        return node
    if dtype.is_weak:
        return _weak_cast(node, dtype)
    if node.op.name == "cast" and node.args[0].tensor.dtype is dtype and node.tensor.dtype.is_weak:
        return node.args[0]
    if node.op.name == "cast" and node.tensor.dtype is F64 and isinstance(literal_value(node.args[0]), float):
        return cast(node.args[0], dtype)  # a number that is spelled out has the precision of f64
    if not node.args and "dtype" in node.op.options and node.get("dtype") is None:
        attributes = dict(node.attributes)
        attributes["dtype"] = dtype
        with suppress(Misfit):  # such as random integers
            return make(node.op, (), **attributes)
    return make("cast", (node,), dtype=dtype)


def exact_cast(node: Node, dtype: DType) -> Node:
    """A cast to a format that is known to hold the entries, as that of a complex identity to a real one."""
    if not node.args and "dtype" in node.op.options:
        return make(node.op, (), **{**dict(node.attributes), "dtype": dtype})
    is_real = node.tensor.dtype.kind == "c" and dtype.kind != "c"
    return cast(make("re", (node,)) if is_real else node, dtype)


def _weak_cast(node: Node, dtype: DType) -> Node:
    """A literal, size or what is made of them as `real` or `complex`; there is no spelling for it but arithmetic."""
    value = literal_value(node)
    if dtype is REAL:
        return literal(float(value)) if isinstance(value, int) else make("mul", (node, literal(1.0)))
    return make("add", (node, literal(0j)))


def literal(value: bool | int | float | complex) -> Node:
    """A number as a weakly typed scalar node."""
    spelled = Literal.of(value)
    return Node(LITERAL, (), (("value", spelled),), TensorType(spelled.dtype))


def zeros(type: TensorType) -> Node:
    """Nothing, in the shape and format of a type."""
    if not type.dims:
        return cast(literal(0.0), type.dtype) if not type.dtype.is_weak else literal(0.0)
    return make("zeros", (), dims=type.dims, dtype=type.dtype)


def size(dim: DimLike) -> Node:
    """A size as a number; an integer is a literal."""
    return literal(dim) if isinstance(dim, int) else Node(SIZE, (), (("dim", dim),), SIZE_TYPE)


def input_node(name: str, type: TensorType) -> Node:
    return Node(INPUT, (), (("name", name),), type)


class Fresh:
    """Inputs with names that a program does not have: equal inputs would be one."""

    def __init__(self, *programs: Program) -> None:
        self.taken = {i["name"] for program in programs for i in program.inputs}

    def __call__(self, name: str, type: TensorType) -> Node:
        while name in self.taken:
            name += "_"
        self.taken.add(name)
        return input_node(name, type)


def items(node: Node) -> list[Node]:
    """The results of a node, one node each."""
    if isinstance(node.type, TensorType):
        return [node]
    return [Node(ITEM, (node,), (("position", n),), t) for n, t in enumerate(node.type)]


def simpler(op: Op, args: Sequence[Node], attributes: Mapping[str, Any]) -> Node | None:
    """What an op gives without being run: arithmetic of sizes or numbers is one, `x''` and `x[:]` x."""
    if op.name == "transpose" and args[0].op is op:
        return args[0].args[0]
    if op is SUBSCRIPT and attributes["items"] == tuple(Range(0, dim, 1) for dim in args[0].tensor.dims):
        return args[0]
    if op.operator is None or any(a.op not in (LITERAL, SIZE) for a in args):
        return None
    dims = [d for a in args if (d := static_dim(a)) is not None]
    dim = arithmetic(op.name, dims) if len(dims) == len(args) else None
    if dim is not None:
        return size(dim)
    values = [v for a in args if isinstance(v := literal_value(a), (int, float)) and not isinstance(v, bool)]
    if len(values) < len(args):
        return None
    with suppress(ArithmeticError):
        match op.name, values:
            case "neg", [x]:
                return literal(-x)
            case "add", [x, y]:
                return literal(float(x + y))
            case "sub", [x, y]:
                return literal(float(x - y))
            case "mul", [x, y]:
                return literal(float(x * y))
            case "div", [x, y]:
                return literal(x / y)
            case "pow", [int() as x, int() as y] if 0 <= y <= 128 and abs(x) <= 2**64:
                return literal(x**y)
    return None


def static_dim(node: Node) -> DimLike | None:
    """The size that a node stands for, if it is a size or an integer literal."""
    if node.op is SIZE:
        dim: DimLike = node["dim"]
        return dim
    value = literal_value(node)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def index(formula: Formula, operands: Sequence[Node]) -> Node:
    """A value said by a formula over operands; an axis that several letters make is one of the operand reshaped."""
    parts = list(operands)

    def split(scalar: Scalar) -> Scalar:
        if not isinstance(scalar, Access) or not any(isinstance(place, Composed) for place in scalar.indices):
            return scalar
        places: list[Scalar | Composed] = []
        dims: list[DimLike] = []
        for place, dim in zip(scalar.indices, operands[scalar.operand].tensor.dims, strict=True):
            letters = place.letters if isinstance(place, Composed) else ()
            places += [LetterValue(letter) for letter in letters] or [place]
            dims += [formula.extent[letter] for letter in letters] or [dim]
        parts.append(make("reshape", (operands[scalar.operand],), dims=tuple(dims)))
        return Access(len(parts) - 1, tuple(places), scalar.pad)

    body = mapped(formula.body, split)
    if len(parts) == len(operands):
        return make(INDEX, operands, formula=formula)
    read = sorted({access.operand for access in accesses(body)})
    body = mapped(body, lambda s: replace(s, operand=read.index(s.operand)) if isinstance(s, Access) else s)
    return make(INDEX, [parts[k] for k in read], formula=Formula(formula.axes, formula.extents, body))


def literal_value(node: Node) -> bool | int | float | complex | None:
    """The number that a literal node stands for, or None for any other node."""
    return node["value"].value if node.op is LITERAL else None
