"""Classes, terms and instances of rules as expressions of the language, for people to read.

A class is shown as the form that it was first known by: as it was written, or as the rule that made it says it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from tpc.dsl import syntax
from tpc.ir.dims import DimLike
from tpc.ir.formula import SizeValue
from tpc.ir.node import Node
from tpc.ir.ops.structure import CONSTANT, INDEX, INPUT, ITEM, LITERAL, SIZE, SUBSCRIPT, At
from tpc.ir.types import TensorType
from tpc.passes.contraction import Contraction
from tpc.passes.contraction.chain import COLUMN, DIAGONAL, MATRIX, Factor, chain_of
from tpc.passes.contraction.form import Axes
from tpc.passes.egraph.bindings import Option, Run, Summands
from tpc.passes.egraph.classes import Step
from tpc.passes.egraph.graph import EGraph
from tpc.passes.egraph.instance import Impossible, Instance
from tpc.passes.egraph.phrases import (
    NOWHERE,
    Expr,
    call,
    multiple,
    name,
    names_in,
    number,
    option,
    product,
    size,
    substituted,
    times,
    total,
    transposed,
    with_sizes,
)
from tpc.passes.egraph.terms import Applied, Contract, Leaf, Sum, Term
from tpc.passes.rules import kind_of, lines

LETTERS = "ijklpqrstuvwabcdefgh"
DEEPEST = 40


class Expressions:
    """What to call the classes of a graph.

    Parameters
    ----------
    names
        Of values as they were written; they stand for themselves.
    classes
        The class that each value as written was put in.
    """

    def __init__(self, graph: EGraph, names: Mapping[Node, str], classes: Mapping[Node, int]) -> None:
        self.graph = graph
        self.first: dict[int, Term] = {}
        for term, home in graph.home.items():
            self.first.setdefault(home, term)
        self.named = {home: names[node] for node, home in classes.items() if node in names}

    def of_class(self, number: int, named: bool = True, depth: int = 0) -> Expr:
        """A class by its name, or else by its first form; with `named=False` always by its form."""
        if named and number in self.named:
            return name(self.named[number])
        term = self.first.get(number)
        if term is None or depth > DEEPEST:
            return name("...")
        return self.of_term(term, depth)

    def of_term(self, term: Term, depth: int = 0) -> Expr:
        def child(number: int) -> Expr:
            return self.of_class(number, depth=depth + 1)

        match term:
            case Leaf(node=node):
                return _leaf(node)
            case Sum():
                return total([(c, child(n)) for c, n in zip(term.coefficients, term.children)])
            case Contract():
                return self._contraction(term, child)
        return _applied(term, [child(c) for c in term.children], self._dims(term))

    def instance(self, step: Step) -> tuple[Expr, Expr] | None:
        """Both sides of a rule with what its variables stand for; None for a move, and where there is no such form."""
        line = lines().get(step.rule)
        law = None if line is None else line.law
        if step.bound is None or not isinstance(law, syntax.Rule):
            return None
        values = {key: self._bound(value) for key, value in step.bound}
        sides = [law.left, law.right]
        dtype = next((self.graph.tensor(c).dtype for c in classes_of(step.bound)), None)
        if dtype is not None:
            instance = Instance(self.graph, dict(step.bound), dtype, law)
            try:
                sides = [with_sizes(side, instance.dim) for side in sides]
                for part in names_in(*sides):
                    if kind_of(part) == "size" and part not in values:
                        values[part] = size(instance.dim(name(part)))
            except (Impossible, AssertionError):
                return None
        sides = [substituted(side, values) for side in sides]
        return (sides[1], sides[0]) if step.is_reversed else (sides[0], sides[1])

    def bindings(self, step: Step) -> dict[str, Expr]:
        """What the variables of a rule stand for."""
        return {key: self._bound(value) for key, value in step.bound or ()}

    def _bound(self, value: object) -> Expr:
        match value:
            case Run(factors=factors, scalars=scalars, coefficient=coefficient):
                whole = product([self._factor(f) for f in factors]) if factors else None
                parts = [self.of_class(c) for c in scalars]
                return multiple(coefficient, times([*parts, *([whole] if whole is not None else [])]))
            case Summands(parts=parts, turned=turned):
                whole = total([(c, self.of_class(n)) for c, n in parts])
                return transposed(whole) if turned else whole
            case Option(value=inner):
                return option(inner)
        return size(value)  # type: ignore[arg-type]

    def _factor(self, factor: Factor) -> Expr:
        whole = self.of_class(factor.child)
        if factor.kind == DIAGONAL:
            return call("diag", [whole])
        is_turned = factor.turned and factor.kind == MATRIX and not self._is_symmetric(factor.child)
        return transposed(whole) if is_turned else whole

    def _is_symmetric(self, number: int) -> bool:
        return self.graph.knows(number, "symmetric")

    def _dims(self, term: Applied) -> tuple[DimLike, ...]:
        type = self.graph[term.children[0]].type if term.children else None
        return type.dims if isinstance(type, TensorType) else ()

    # ---- contractions

    def _contraction(self, term: Contract, child: Callable[[int], Expr]) -> Expr:
        form, children = term.form, term.children
        output = form.output
        letters = form.output_letters
        if not children:
            if output == ((0,), (0,)):
                return call("eye", [size(form.extents[0])])
            return call("ones", [size(d) for d in form.dims]) if form.dims else number(1)
        scalars = [child(c) for axes, c in zip(form.inputs, children) if not axes]
        rest = [(axes, child(c)) for axes, c in zip(form.inputs, children) if axes]
        row = self._row(form, children, child)
        if row is not None:
            return row
        inputs = [axes for axes, _ in rest]
        parts = [e for _, e in rest]
        if not rest:
            return times(scalars) if not output else call("broadcast", [times(scalars), *map(size, form.dims)])
        if output == ((0,), (0,)) and all(axes == ((0,),) for axes in inputs):
            return times([*scalars, call("diag", [times(parts)])])
        if len(rest) == 1:
            return times([*scalars, self._single(form, inputs[0], parts[0])])
        if len(set(letters)) == len(letters) and all(_stretches(axes, output) for axes in inputs):
            return times([*scalars, *parts])
        if len(rest) == 2 and len(output) == 2 and all(len(axis) == 2 for axis in output):
            (i, p), (j, q) = output
            order = [inputs.index(axes) for axes in (((i,), (j,)), ((p,), (q,))) if axes in inputs]
            if len(order) == 2:
                return times([*scalars, call("kron", [parts[k] for k in order])])
        is_outer = len(output) == len(rest) == 2 and all(len(axis) <= 1 for axis in output)
        if is_outer and output == tuple(a for axes in inputs for a in axes):
            return times([*scalars, call("outer", parts)])
        return times([*scalars, _indexed(form, inputs, parts)])

    def _row(self, form: Contraction, children: Sequence[int], child: Callable[[int], Expr]) -> Expr | None:
        """A product of matrices; a vector may be stored as a matrix with one row or one column."""
        thin = Contraction(tuple(_thin(axes) for axes in form.inputs), _thin(form.output), form.extents)
        chain = chain_of(thin, children)
        if chain is None:
            return None
        if len(form.output) == 2 and form.output[0] == () != form.output[1]:
            chain = chain.turn
        factors = []
        for factor, position in zip(chain.factors, chain.positions):
            e, axes = child(factor.child), form.inputs[position]
            is_row = len(axes) == 2 and axes[0] == ()
            is_column = len(axes) == 2 and axes[1] == ()
            if factor.kind == DIAGONAL:
                e = call("diag", [e])
            elif (
                factor.turned and not self._is_symmetric(factor.child)
                if factor.kind == MATRIX
                else is_row
                if factor.kind == COLUMN
                else is_column
            ):
                e = transposed(e)
            factors.append(e)
        return times([*(child(c) for c in chain.scalars), product(factors)])

    def _single(self, form: Contraction, axes: Axes, part: Expr) -> Expr:
        given = [n for axis in axes for n in axis]
        output = form.output_letters
        if axes == ((0,), (0,)) and output in ((), (0,)):
            return call("diag" if output else "trace", [part])
        if form.is_view:
            return part if form.inputs[0] == form.output else call("reshape", [part, *map(size, form.dims)])
        summed = [k for k, axis in enumerate(axes) if axis and axis[0] not in output]
        if len(set(given)) == len(given) and tuple(a for a in axes if a and a[0] in output) == form.output:
            keywords = [("axis", number(summed[0]))] if len(summed) < len(axes) and len(summed) == 1 else []
            return call("sum", [part], keywords)
        return _indexed(form, [axes], [part])


# ---- leaves, ops, and contractions of no other spelling


def _leaf(node: Node) -> Expr:
    from tpc.dsl.parser import parse_expression

    if node.op in (INPUT, CONSTANT):
        return name(str(node["name"]))
    if node.op is LITERAL:
        return parse_expression(node["value"].spelling)
    if node.op is SIZE:
        return size(node["dim"])
    return _applied(Applied(node.op, (), node.attributes, node.type), [], ())


def _applied(term: Applied, operands: list[Expr], dims: Sequence[DimLike]) -> Expr:
    op = term.op
    if op.operator is not None and op.name != "transpose":
        if len(operands) == 2:
            return syntax.Binary(NOWHERE, op.operator, *operands)
        return syntax.Unary(NOWHERE, op.operator, *operands)
    if op.name == "transpose":
        return transposed(operands[0])
    if op is ITEM:
        return syntax.Subscript(NOWHERE, operands[0], [number(term["position"])], None)
    if op is SUBSCRIPT:
        dynamic = operands[1:]
        items: list[Expr | syntax.Slice | syntax.Dots | syntax.Composed] = [
            _selected(item, dim, dynamic) for item, dim in zip(term["items"], dims)
        ]
        return syntax.Subscript(NOWHERE, operands[0], items, None)
    if op is INDEX:
        return _of_formula(term, operands)
    keywords = [
        (key, option(value)) for key, value in term.attributes if key in op.options and value != op.options[key]
    ]
    sizes = [
        size(d)
        for key, value in term.attributes
        if key == "dims" or (op.line and key in op.dims and key not in op.options)  # a loop has no line
        for d in (value if isinstance(value, tuple) else (value,))
    ]
    return call(op.name, [*operands, *sizes], keywords)


def _selected(item: Any, dim: DimLike, dynamic: list[Expr]) -> Expr | syntax.Slice:
    if isinstance(item, At):
        return dynamic.pop(0) if item.position is None else size(item.position)
    stop = item.start + (item.count - 1) * item.step + 1
    start = None if item.start == 0 else size(item.start)
    step = None if item.step == 1 else number(item.step)
    return syntax.Slice(NOWHERE, start, None if stop == dim else size(stop), step)


def _of_formula(term: Applied, operands: list[Expr]) -> Expr:
    """An index statement by its right side, with its letters as they were written."""
    from tpc.dsl.parser import parse_expression
    from tpc.ir.text import scalar_text

    formula = term["formula"]
    stands = [f"operand{k}" for k in range(len(operands))]
    if isinstance(formula.body, SizeValue):
        return size(formula.body.dim)
    body = parse_expression(scalar_text(formula.body, stands, formula))
    result: Expr = substituted(body, dict(zip(stands, operands)))
    return result


def _thin(axes: Axes) -> Axes:
    """The axes of a matrix with one row or one column as those of a vector."""
    return tuple(axis for axis in axes if axis) if len(axes) == 2 else axes


def _stretches(axes: Axes, output: Axes) -> bool:
    """Whether an operand meets a result entry by entry, its last axes with the last."""
    last = output[len(output) - len(axes) :] if len(axes) <= len(output) else ()
    return len(last) == len(axes) and all(a in ((), b) for a, b in zip(axes, last))


def _indexed(form: Contraction, inputs: Sequence[Axes], parts: Sequence[Expr]) -> Expr:
    """A contraction in index notation."""

    def place(axis: tuple[int, ...]) -> Expr | syntax.Composed:
        letters = [syntax.Name(NOWHERE, LETTERS[n % len(LETTERS)]) for n in axis]
        return letters[0] if len(letters) == 1 else syntax.Composed(NOWHERE, letters) if letters else number(0)

    reads: list[Expr] = []
    for axes, e in zip(inputs, parts):
        places: list[Expr | syntax.Slice | syntax.Dots | syntax.Composed] = [place(axis) for axis in axes]
        reads.append(syntax.Subscript(NOWHERE, e, places, None))
    used = dict.fromkeys(n for axes in inputs for axis in axes for n in axis)
    summed = [syntax.Letter(NOWHERE, LETTERS[n % len(LETTERS)], None) for n in used if n not in form.output_letters]
    body = times(reads)
    return syntax.Reduce(NOWHERE, "sum", summed, None, body) if summed else body


def classes_of(bound: Iterable[tuple[str, object]]) -> Iterable[int]:
    """The classes that variables of a rule stand for."""
    for _, value in bound:
        match value:
            case Run(factors=factors, scalars=scalars):
                yield from (f.child for f in factors)
                yield from scalars
            case Summands(parts=parts):
                yield from (n for _, n in parts)
