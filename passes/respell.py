"""One spelling for equal things: of a program, so that they are shared, and of a plan, so that it reads well."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress

from tpc.ir.build import cast, literal_value, make, static_dim
from tpc.ir.dims import DimLike, is_nonnegative, product
from tpc.ir.node import Node, Program
from tpc.ir.op import Misfit
from tpc.ir.ops.indexing import checked_axes
from tpc.ir.ops.structure import SIZE, SUBSCRIPT, At, Range
from tpc.ir.rewrite import everywhere
from tpc.passes.count import is_gram

_PRODUCTS = ("matmul", "matvec", "vecmat", "outer")
_RESHAPES = ("reshape", "squeeze", "unsqueeze", "vec", "unvec")
_COMMUTE = ("add", "mul", "eq", "ne", "logical_and", "logical_or")


def respell(program: Program) -> Program:
    """The program with what follows, all of it exact, NaN and signed zeros included:

    - `x''` as x, `not not x` as x, `-(-x)` as x, `outer(x, y)'` as outer(y, x)
    - `x * 1`, `x / 1`, `x^1` as x, `x^2` as square(x), `x * x` as square(x)
    - a number before what it is added to or multiplied with: `x * 2` as `2 * x`
    - a number that is cast to the format of what it meets as the number
    - a value that is repeated to the shape of what it meets as the value, one in the shape it has as the value
    - the diagonal of an identity, or of a multiple of it, as that of ones
    - a cast to a wider format of a cast to it as one cast, and a cast to the format a value has as the value
    - a cast of a value that is repeated as the cast value, repeated
    - what is done to entries in another shape and back as done in theirs, and a part of one row as the row
    """
    program = everywhere(program, _respell)
    while (better := _in_their_shapes(program)) is not program:  # what is reshaped has other operands now
        program = better
    return program


def _respell(node: Node) -> Node:
    changed = _simpler(node)
    return changed if changed is not None and changed.type is node.type else node


def _uncast(node: Node) -> Node:
    """A number without the cast to a format that it takes on by itself where it meets one."""
    bare = node.op.name == "cast" and node.args[0].tensor.dtype.is_weak and not node.tensor.rank
    return node.args[0] if bare and node.tensor.dtype.kind in "fc" else node


def _unrepeated(node: Node) -> Node | None:
    """The node on a value that another operand gives its shape without its being repeated before."""
    for number, operand in enumerate(node.args):
        if operand.op.name == "broadcast_to":
            args = [*node.args[:number], operand.args[0], *node.args[number + 1 :]]
            bare = make(node.op, args, **dict(node.attributes))
            if bare.type is node.type:
                return bare
    return None


def _is_one(node: Node) -> bool:
    value = literal_value(node)
    return value == 1 and not isinstance(value, bool)


def _diagonal(matrix: Node) -> Node | None:
    """That of an identity, or of a number times one."""
    if matrix.op.name == "eye":
        return make("ones", (), dims=matrix.tensor.dims[:1], dtype=matrix.tensor.dtype)
    if matrix.op.name == "mul" and not matrix.args[0].tensor.rank and matrix.args[1].op.name == "eye":
        ones = _diagonal(matrix.args[1])
        return None if ones is None else make("mul", (matrix.args[0], ones))
    return None


def _in_shape(node: Node, dims: tuple[DimLike, ...], uses: Counter[Node]) -> Node | None:
    """A value reshaped to these dims, if its operands have them but for being reshaped; None if not."""
    if node.op.name in _RESHAPES:
        return node.args[0] if node.args[0].tensor.dims == dims else None
    if node.op.group != "elementwise" or uses[node] != 1:  # what else needs it would compute it again
        return None
    args: list[Node] = []
    for operand in node.args:
        is_whole = operand.tensor.dims == node.tensor.dims
        bare = operand if not operand.tensor.rank else _in_shape(operand, dims, uses) if is_whole else None
        if bare is None:
            return None
        args.append(bare)
    return make(node.op, args, **dict(node.attributes))


def _in_their_shapes(program: Program) -> Program:
    """What is done to entries in another shape and back, done in theirs."""
    if not any(node.op.name in _RESHAPES for node in program.walk()):
        return program
    uses = _uses(program)

    def spelled(node: Node) -> Node:
        bare = _in_shape(node.args[0], node.tensor.dims, uses) if node.op.name in _RESHAPES else None
        return bare if bare is not None and bare.type is node.type else node

    return everywhere(program, spelled)


def _uses(program: Program) -> Counter[Node]:
    """How often each value is read, or given, in a program and those inside of it."""
    uses = Counter(operand for node in program.walk() for operand in node.args)
    inner = (value for node in program.walk() for value in node.programs)
    uses.update(output for part in (program, *inner) for output in part.outputs)
    return uses


def _row(node: Node, dims: tuple[DimLike, ...]) -> Node | None:
    """`x[:, 0]` for `x[:, 0:1]` without the axis of size 1."""
    if node.op is not SUBSCRIPT:
        return None
    parts = [At(i.start) if isinstance(i, Range) and i.count == 1 and not whole else i for i, whole in _parts(node)]
    found = make(SUBSCRIPT, node.args, items=tuple(parts))
    return found if found.tensor.dims == dims else None


def _parts(node: Node) -> Iterator[tuple[At | Range, bool]]:
    """The parts of the axes that are read, and whether each is all of its axis."""
    for item, dim in zip(node["items"], node.args[0].tensor.dims, strict=True):
        yield item, item == Range(0, dim, 1)


def _simpler(node: Node) -> Node | None:
    name, args = node.op.name, node.args
    if name in ("transpose", "logical_not", "neg") and args[0].op is node.op:
        return args[0].args[0]
    if name == "transpose" and args[0].op.name == "outer":
        return make("outer", args[0].args[::-1])
    if name == "cast":
        if args[0].op.name == "broadcast_to":
            return make("broadcast_to", (cast(args[0].args[0], node.tensor.dtype),), dims=node.tensor.dims)
        return args[0] if args[0].type is node.type else cast(args[0], node.tensor.dtype)
    if name in ("reshape", "broadcast_to") and args[0].type is node.type:
        return args[0]
    if name in _RESHAPES:
        if args[0].op.name in _RESHAPES:
            bare = make("reshape", args[0].args, dims=node.tensor.dims)
            return _simpler(bare) or bare
        return _row(args[0], node.tensor.dims)
    if name == "diag" and args[0].tensor.rank == 2 and args[0].tensor.dims[0] == args[0].tensor.dims[1]:
        return _diagonal(args[0])
    if node.op.group == "elementwise" and (met := _unrepeated(node)) is not None:
        return _simpler(met) or met
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


def respell_plan(program: Program) -> Program:
    """A plan as one would write it: quotients by sizes, means, and one number instead of two.

    A search takes these apart into factors and sums.

    The results may be rounded otherwise. A sum that something else needs too stays a sum.
    """
    while (better := _with_means(program)) is not program:  # a sum whose operand has changed is looked at again
        program = better
    return respell(program)


def _with_means(program: Program) -> Program:
    uses = _uses(program)

    def spelled(node: Node) -> Node:
        return _as_mean(_scaled_early(_as_quotient(_as_one_number(node, uses)), uses), uses)

    return everywhere(program, spelled)


def _as_one_number(node: Node, uses: Counter[Node]) -> Node:
    """`6 * x` for `2 * (3 * x)`."""
    if node.op.name == "mul" and node.args[1].op.name == "mul" and uses[node.args[1]] == 1:
        (first, _), (second, x) = node.args, node.args[1].args
        if literal_value(first) is not None and literal_value(second) is not None:
            number = make("mul", (first, second))
            product = make("mul", (number, x))
            return product if number.op is first.op and product.type is node.type else node
    return node


def _as_quotient(node: Node) -> Node:
    """`x / n` for `1/n * x`."""
    if node.op.name == "mul" and node.args[0].op.name == "div":
        one, size = node.args[0].args
        if _is_one(one) and size.op is SIZE:
            quotient = make("div", (node.args[1], size))
            return quotient if quotient.type is node.type else node
    return node


def _scaled_early(node: Node, uses: Counter[Node]) -> Node:
    """`(2 * x) @ A` for `2 * (x @ A)`, where that multiplies fewer entries for sure."""
    place = {"mul": 1, "div": 0}.get(node.op.name)
    if place is None or node.args[1 - place].tensor.rank or literal_value(node.args[1 - place]) is None:
        return node
    found = node.args[place]
    if found.op.name not in _PRODUCTS or uses[found] != 1 or is_gram(found):
        return node
    entries = [product(a.tensor.dims) for a in found.args]
    least = 0 if is_nonnegative(entries[1] - entries[0]) else 1
    if entries[least] == product(found.tensor.dims) or not is_nonnegative(product(found.tensor.dims) - entries[least]):
        return node
    args = list(found.args)
    args[least] = make(node.op, [args[least] if a is found else a for a in node.args])
    early = make(found.op, args)
    return early if early.type is node.type else node


def _as_mean(node: Node, uses: Counter[Node]) -> Node:
    """`mean(x)` for `sum(x) / n`, where n entries are added."""
    if node.op.name != "div" or node.args[0].op.name != "sum" or uses[node.args[0]] != 1:
        return node
    total, (x,) = node.args[0], node.args[0].args
    axes = checked_axes("sum", total["axis"], x.tensor.rank)
    value = literal_value(node.args[1])
    count = static_dim(node.args[1]) if value is None else value
    if axes and count == product(x.tensor.dims[k] for k in axes):
        with suppress(Misfit):
            mean = make("mean", (x,), axis=total["axis"], keepdims=total["keepdims"])
            return mean if mean.type is node.type else node
    return node
