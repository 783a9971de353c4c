"""One value of a loop body for all passes at once: the same operation with the pass as a further first axis.

An operation that says how it treats batch axes takes the pass as one; any other that has a formula gets a letter more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tpc.dsl import syntax
from tpc.ir.affine import affine, bounds
from tpc.ir.build import index, input_node, literal_value, make
from tpc.ir.dims import DimLike, is_nonnegative, names_of, product
from tpc.ir.formula import (
    Access,
    Composed,
    Formula,
    LetterValue,
    Literal,
    Scalar,
    SizeValue,
    accesses,
    applied,
    free_letters,
    mapped,
)
from tpc.ir.node import Node, Program
from tpc.ir.ops.structure import INDEX, SCAN, SIZE, SUBSCRIPT, At, Range
from tpc.ir.rewrite import rebuilt
from tpc.ir.types import INT, TensorType

_SEPARATE = ("linalg", "random")
_SOLVES = ("solve", "solve_triangular")
_FACTORIZATIONS = ("inv", "solve", "det", "logdet", "cholesky")  # of which libraries make a batch in one call


def is_factorization(node: Node, steady: Mapping[Node, Node]) -> bool:
    """Whether another matrix is factorized in each pass: of use for all at once only where matrices are small."""
    return node.op.name in _FACTORIZATIONS and node.args[0] not in steady


def lift(
    node: Node,
    counter: Node,
    extent: DimLike,
    steady: Mapping[Node, Node],
    lifted: Mapping[Node, Node],
    factorizations: bool = False,
) -> Node | None:
    """The values of a node in all passes, or None where there is no operation that gives them.

    Parameters
    ----------
    counter, extent
        The number of the pass, and how many there are.
    steady, lifted
        What operands are that are the same in every pass, and what the others are for all passes.
    factorizations
        Whether those of another matrix in each pass are lifted too.

    Raises
    ------
    Misfit
        If the operation has no meaning over the further axis.
    """
    if not isinstance(node.type, TensorType) or node.programs and node.op is not SCAN:
        return None
    is_one = node.op.name in _SOLVES and node.args[0] in steady
    if node.op.group in _SEPARATE and not is_one and not (factorizations and is_factorization(node, steady)):
        return None
    found = _Lift(node, counter, extent, steady, lifted).run()
    wanted = TensorType(node.tensor.dtype, (extent, *node.tensor.dims))
    return found if found is not None and found.type is wanted else None


class _Lift:
    def __init__(
        self, node: Node, counter: Node, extent: DimLike, steady: Mapping[Node, Node], lifted: Mapping[Node, Node]
    ) -> None:
        self.node, self.counter, self.extent = node, counter, extent
        self.steady, self.lifted = steady, lifted
        self.args = [steady[a] if a in steady else lifted[a] for a in node.args]
        self.moves = [a in lifted for a in node.args]  # whether an operand has the further axis
        self.attributes = dict(node.attributes)

    def run(self) -> Node | None:
        node, group = self.node, self.node.op.group
        if node.op is SCAN:
            return self.loop()
        if group == "elementwise":
            return self.elementwise()
        if node.op is SUBSCRIPT:
            return self.part() or self.by_formula()
        if node.op.name in ("matvec", "vecmat", "dot"):
            return self.product()
        if node.op.name in _SOLVES:
            return self.solve()
        if node.op.name == "reshape":
            return make("reshape", self.args, dims=(self.extent, *node.tensor.dims))
        if node.op.name == "broadcast_to":
            return make("broadcast_to", (self.behind(node.tensor.rank),), dims=(self.extent, *node.tensor.dims))
        found = self.as_batch()
        wanted = (self.extent, *node.tensor.dims)  # which `diag` of more axes does not give
        return found if found is not None and found.tensor.dims == wanted else self.by_formula()

    def loop(self) -> Node | None:
        """A loop whose passes do not depend on each other, with each of them for all passes of the outer one."""
        body = self.node["body"]
        if self.node["state"] or any(n not in body.inputs for n, _ in body.facts):
            return None
        inputs = [input_node(i["name"], a.tensor) for i, a in zip(body.inputs[1:], self.args, strict=True)]
        steady = {body.inputs[0]: body.inputs[0]}
        lifted: dict[Node, Node] = {}
        for part, whole, moves in zip(body.inputs[1:], inputs, self.moves, strict=True):
            (lifted if moves else steady)[part] = whole
        for node in body.nodes:
            if node in steady or node in lifted:
                continue
            if all(a in steady for a in node.args):
                steady[node] = rebuilt(node.op, [steady[a] for a in node.args], node.attributes, node.type)
            elif (found := lift(node, self.counter, self.extent, steady, lifted)) is not None:
                lifted[node] = found
            else:
                return None
        (output,) = body.outputs
        if output not in lifted:
            return None
        own = [body.inputs[0], *inputs]
        facts = [(own[body.inputs.index(n)], f) for n, f in body.facts]
        inner = Program(body.name, own, [lifted[output]], facts=facts)
        made = make(SCAN, self.args, body=inner, state=0, extent=self.node["extent"])
        return make("permute", (made,), axes=(1, 0, *range(2, made.tensor.rank)))

    def elementwise(self) -> Node:
        args = [self.behind(self.node.tensor.rank, n) if moves else self.args[n] for n, moves in enumerate(self.moves)]
        return make(self.node.op, args, **self.attributes)

    def behind(self, rank: int, number: int = 0) -> Node:
        """An operand with axes of size 1 behind the first, so that the others meet as before."""
        arg = self.args[number]
        while arg.tensor.rank <= rank:
            arg = make("unsqueeze", (arg,), axis=1)
        return arg

    def product(self) -> Node:
        """Products with vectors as products with the matrix that has them as rows."""
        (left, right), (first, second) = self.args, self.moves
        match self.node.op.name, first, second:
            case "matvec", False, True if left.tensor.rank == 2:
                if right.op.name == "transpose":  # the vectors are columns as they are
                    return _transposed(make("matmul", (left, _transposed(right))))
                return make("matmul", (right, _transposed(left)))
            case "vecmat", True, False if right.tensor.rank == 2:
                return make("matmul", (left, right))
            case "dot", True, False:
                return make("matvec", (left, right))
            case "dot", False, True:
                return make("matvec", (right, left))
            case ("matvec", True, False) | ("vecmat", False, True):
                return make(self.node.op, (left, right))
        found = self.by_formula()
        assert found is not None
        return found

    def solve(self) -> Node | None:
        """The right sides of all passes as columns of one, for a matrix that is the same in each; else a batch."""
        matrix, right = self.args
        dims = self.node.args[1].tensor.dims
        if self.moves[0]:
            if len(dims) != 1:
                return self.as_batch()
            return make("squeeze", (make(self.node.op, (matrix, _column(right)), **self.attributes),), axis=-1)
        if matrix.tensor.rank != 2 or len(dims) > 2:
            return None
        n, columns = dims[0], product(dims[1:])
        if columns != 1:
            right = make("permute", (right,), axes=(0, 2, 1))
        rows = _reshaped(right, self.extent * columns, n)
        found = _transposed(make(self.node.op, (matrix, _transposed(rows)), **self.attributes))
        if columns == 1:
            return _reshaped(found, self.extent, *dims)
        return make("permute", (_reshaped(found, self.extent, columns, n),), axes=(0, 2, 1))

    def as_batch(self) -> Node | None:
        """The op itself, where its line says that more first axes are batch axes."""
        op, types = self.node.op, [a.tensor for a in self.node.args]
        if op is INDEX:
            return None
        attributes = dict(self.attributes)
        if "axis" in op.options:
            axis, rank = attributes["axis"], types[0].rank + (op.name in ("unsqueeze", "stack"))
            if axis is None and op.group != "reductions":
                return None
            axes = range(rank) if axis is None else axis if isinstance(axis, tuple) else (axis,)
            counted = tuple(a % rank - rank for a in axes) if rank else ()  # from the end, where nothing changes
            if not counted:
                return None
            attributes["axis"] = counted if isinstance(axis, tuple) or len(counted) > 1 else counted[0]
        if op.variadic == "tensors":
            return make(op, map(self.spread, self.args, self.moves), **attributes)
        line = op.syntax if "axis" in op.options else op.at(types, self.attributes).syntax
        own = [_own_axes(p) for p in line.parameters if isinstance(p, syntax.Subscript)]
        if len(own) != len(types):
            return None
        if len(own) > 1:  # batch axes are counted from the end: the pass must come before all of them
            batch = [None if n is None else t.rank - n for n, t in zip(own, types, strict=True)]
            most = max(b or 0 for b in batch)
            if 0 in own or any(b != most for b, moves in zip(batch, self.moves, strict=True) if moves):
                return None
        elif own == [None]:
            return None
        return make(op, self.args, **attributes)

    def spread(self, arg: Node, moves: bool) -> Node:
        """An operand with the further axis, along which one that is the same in every pass is repeated."""
        return arg if moves else make("broadcast_to", (arg,), dims=(self.extent, *arg.tensor.dims))

    def part(self) -> Node | None:
        """Slices and positions of an array, as slices of it where they are."""
        items: Sequence[At | Range] = self.attributes["items"]
        array, *places = self.args
        if not any(self.moves[1:]):
            return make(SUBSCRIPT, (array, *places), items=(Range(0, self.extent, 1), *items))
        if self.moves[0] or sum(self.moves) > 1:
            return None
        number = [n for n, item in enumerate(items) if isinstance(item, At) and item.position is None][
            self.moves[1:].index(True)
        ]
        place = self.scalar(self.node.args[1 + self.moves[1:].index(True)], "t")
        form = affine(place) if place is not None else None
        if place is None or form is None or not isinstance(step := form.slopes.get("t"), int) or step < 1:
            return None
        if not self._is_inside(place, {"t": self.extent}, array.tensor.dims[number]):
            return None
        slices = [*items[:number], Range(form.constant, self.extent, step), *items[number + 1 :]]
        axis = sum(isinstance(item, Range) for item in items[:number])
        left = [p for p, moves in zip(places, self.moves[1:], strict=True) if not moves]
        whole = all(item == Range(0, dim, 1) for item, dim in zip(slices, array.tensor.dims, strict=True))
        found = array if whole else make(SUBSCRIPT, (array, *left), items=tuple(slices))
        if axis == 0:
            return found
        if found.tensor.rank == 2:
            return _transposed(found)
        return make("permute", (found,), axes=(axis, *(n for n in range(found.tensor.rank) if n != axis)))

    def by_formula(self) -> Node | None:
        """The formula of the op with one letter more."""
        types = [a.tensor for a in self.node.args]
        formula = self.node.op.formula(types, self.attributes)
        if formula is None:
            return None
        taken = {*formula.extent, *names_of(self.extent), *(n for _, d in formula.extents for n in names_of(d))}
        letter = next(n for n in ("t", "u", *(f"t{k}" for k in range(1, 1000))) if n not in taken)

        def change(scalar: Scalar) -> Scalar:
            if not isinstance(scalar, Access) or not self.moves[scalar.operand]:
                return scalar
            if not scalar.indices and (place := self.scalar(self.node.args[scalar.operand], letter)) is not None:
                return place
            return Access(scalar.operand, (LetterValue(letter), *scalar.indices), scalar.pad)

        extents = {letter: self.extent, **formula.extent}
        body = mapped(formula.body, change)
        for access in accesses(body):
            for place, dim in zip(access.indices, self.args[access.operand].tensor.dims, strict=True):
                if access.pad is None and letter in free_letters(place) and not self._is_inside(place, extents, dim):
                    return None
        read = list(dict.fromkeys(access.operand for access in accesses(body)))  # without the counter, now a letter
        body = mapped(body, lambda s: replace(s, operand=read.index(s.operand)) if isinstance(s, Access) else s)
        whole = Formula(((letter,), *formula.axes), tuple(extents.items()), body)
        made = index(whole, [self.args[number] for number in read])
        return rebuilt(INDEX, made.args, made.attributes, made.type)

    def scalar(self, node: Node, letter: str) -> Scalar | None:
        """A number of a pass in terms of the letter that counts passes, or None where it is more than arithmetic."""
        if node is self.counter:
            return LetterValue(letter)
        if node.op is SIZE:
            return SizeValue(node["dim"])
        value = literal_value(node)
        if isinstance(value, int) and not isinstance(value, bool):
            return Literal.of(value)
        if node.op.name not in ("add", "sub", "mul", "neg") or node.tensor.dtype is not INT:
            return None
        parts = [self.scalar(a, letter) for a in node.args]
        known = tuple(p for p in parts if p is not None)
        return applied(node.op.name, known) if len(known) == len(parts) else None

    def _is_inside(self, place: Scalar | Composed, extents: Mapping[str, DimLike], dim: DimLike) -> bool:
        """Whether an index is known to lie on its axis, or is tested when it is read."""
        form = affine(place)
        if form is None:
            return True
        limits = bounds(form, extents)
        return limits is not None and is_nonnegative(limits[0]) and is_nonnegative(dim - 1 - limits[1])


def _reshaped(node: Node, *dims: DimLike) -> Node:
    return node if node.tensor.dims == dims else make("reshape", (node,), dims=dims)


def _column(node: Node) -> Node:
    return make("unsqueeze", (node,), axis=node.tensor.rank)


def _transposed(node: Node) -> Node:
    return make("transpose", (node,))


def _own_axes(parameter: syntax.Subscript) -> int | None:
    """How many axes an operand of an op line has behind its batch axes; None where it has no batch axes."""
    dotted = bool(parameter.items) and isinstance(parameter.items[0], syntax.Dots)
    return len(parameter.items) - 1 if dotted else None
