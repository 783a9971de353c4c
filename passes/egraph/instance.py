"""Expressions of rules as classes, for the values of their variables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import cache

from tpc.dsl import syntax
from tpc.ir.build import literal, operation, size
from tpc.ir.dims import Dim, DimLike, names_of, substitute
from tpc.ir.op import Misfit
from tpc.ir.ops.structure import SUBSCRIPT, Range
from tpc.ir.types import DType, TensorType, promote_all
from tpc.passes.contraction import Contraction, diagonal, product_of, tidy
from tpc.passes.contraction.chain import MATRIX, Factor, form_of
from tpc.passes.contraction.form import Axes
from tpc.passes.egraph.bindings import Bindings, Option, Run, Summands
from tpc.passes.egraph.graph import EGraph
from tpc.passes.egraph.terms import Contract, Number
from tpc.passes.rules import Law, kind_of
from tpc.passes.rules.shapes import infer

_KINDS = "bifc"  # each holds those before it
_PRODUCTS = {(2, 1): "matvec", (1, 2): "vecmat", (1, 1): "dot"}


class Impossible(Exception):
    """An expression that cannot be made a class here."""


def run_class(graph: EGraph, run: Run, dtype: DType | None = None) -> int:
    """A run of factors as a class."""
    children = [f.child for f in run.factors]
    dtype = (
        dtype or promote_all(graph.tensor(c).dtype for c in [*children, *run.scalars])
        if children or run.scalars
        else dtype
    )
    assert dtype is not None
    if len(children) == 1 and run == Run((Factor(children[0]),)) and graph.tensor(children[0]).dtype is dtype:
        return children[0]
    dims = [_matrix_dims(graph, f) for f in run.factors]
    form, operands = form_of(run.factors, dims)
    inputs = tuple(_fitted(axes, graph.tensor(c).dims) for axes, c in zip(form.inputs, operands))
    form = tidy(Contraction((*inputs, *(() for _ in run.scalars)), form.output, form.extents))
    number = graph.contract(form, [*operands, *run.scalars], dtype)
    type = TensorType(dtype, graph.tensor(number).dims)
    return number if run.coefficient == 1 else graph.sum([(run.coefficient, number)], type)


def _matrix_dims(graph: EGraph, factor: Factor) -> tuple[DimLike, ...]:
    """The dims of a factor: a column that is stored as a matrix is a vector."""
    dims = graph.tensor(factor.child).dims
    return dims if factor.kind == MATRIX else tuple(d for d in dims if d != 1)[:1] or (1,)


def _fitted(axes: Axes, dims: Sequence[DimLike]) -> Axes:
    """The axes of a vector for a class that holds it as a matrix with one row or column."""
    if len(axes) == len(dims):
        return axes
    (axis,) = axes
    return tuple(axis if d != 1 else () for d in dims)


_shapes = cache(infer)


class Instance:
    """Classes of expressions, for one match."""

    def __init__(self, graph: EGraph, bound: Bindings, dtype: DType, law: Law) -> None:
        self.graph, self.bound, self.dtype, self.law = graph, bound, dtype, law

    def value(self, expression: syntax.Expr) -> int:
        """The class of an expression.

        Raises
        ------
        Impossible
            If its sizes do not fit, or it is of a kind that no class is made of.
        """
        try:
            return self.graph.find(self._value(expression))
        except Misfit as misfit:
            raise Impossible(str(misfit)) from None

    def _value(self, expression: syntax.Expr) -> int:
        graph = self.graph
        match expression:
            case syntax.Number(value=int() | float() as value):
                return graph.number(value, self.dtype)
            case syntax.Name(name=name):
                return self._variable(name)
            case syntax.Unary(operator="-", operand=operand):
                inner = self._value(operand)
                return graph.sum([(-1, inner)], graph.tensor(inner))
            case syntax.Transpose(operand=operand):
                inner = self._value(operand)
                return self._by_op("transpose", [inner], {})
            case syntax.Binary(operator="+" | "-" as operator, left=left, right=right):
                return self._sum([(1, self._value(left)), (1 if operator == "+" else -1, self._value(right))])
            case syntax.Binary(operator="*" | "/" as operator, left=left, right=right):
                return self._times(self._value(left), right, operator)
            case syntax.Binary(operator="@", left=left, right=right):
                parts = [self._value(left), self._value(right)]
                first, second = (len(graph.tensor(c).dims) for c in parts)
                return self._by_op(_PRODUCTS.get((first, second), "matmul"), parts, {})
            case syntax.Binary(operator="\\", left=left, right=right):
                inverse = self._by_op("inv", [self._value(left)], {})
                other = self._value(right)
                name = "matvec" if len(graph.tensor(other).dims) == 1 else "matmul"
                return self._by_op(name, [inverse, other], {})
            case syntax.Binary(operator="^", left=left, right=right):
                return self._power(self._value(left), right)
            case syntax.Subscript(base=syntax.Call() as base, items=[syntax.Number(value=int() as position)]):
                return self._item(base, position)
            case syntax.Subscript(base=base, items=items) if all(isinstance(i, syntax.Slice) for i in items):
                return self._part(self._value(base), items)  # type: ignore[arg-type]
            case syntax.Call(function=syntax.Name(name=name)):
                return self._call(name, expression)
            case syntax.Block(rows=rows):
                return self._block(rows)
        raise Impossible(expression.span.text)

    def _part(self, whole: int, items: Sequence[syntax.Slice]) -> int:
        """Some rows and columns of a value."""
        type = self.graph.tensor(whole)
        ranges = []
        for item, dim in zip(items, type.dims, strict=True):
            start = 0 if item.start is None else self.dim(item.start)
            stop = dim if item.stop is None else self.dim(item.stop)
            ranges.append(Range(start, stop - start, 1))
        dims = [item.count for item in ranges]
        return self.graph.apply(SUBSCRIPT, [whole], [("items", tuple(ranges))], TensorType(type.dtype, dims))

    def _block(self, rows: Sequence[Sequence[syntax.Expr]]) -> int:
        """A matrix of blocks; a 0 is a block of zeros of the size that its neighbours have."""
        blocks = [[None if _is_zero(b) else self._value(b) for b in row] for row in rows]
        shapes = [[None if b is None else self.graph.tensor(b).dims for b in row] for row in blocks]
        heights = [next((s[0] for s in row if s is not None), None) for row in shapes]
        widths = [next((s[1] for s in column if s is not None), None) for column in zip(*shapes, strict=True)]
        if None in heights or None in widths:
            raise Impossible("a row or column of zeros")
        lines = []
        for row, height in zip(blocks, heights):
            parts = [
                self.graph.number(0, self.dtype, (height, width)) if b is None else b  # type: ignore[arg-type]
                for b, width in zip(row, widths)
            ]
            lines.append(parts[0] if len(parts) == 1 else self._by_op("concat", parts, {"axis": 1}))
        return lines[0] if len(lines) == 1 else self._by_op("concat", lines, {"axis": 0})

    def _variable(self, name: str) -> int:
        value = self.bound.get(name)
        graph = self.graph
        match value:
            case Run(factors=(), scalars=(only,), coefficient=1):
                return only
            case Run(factors=()):
                parts, dtype = list(value.scalars), self._format(value)
                dims = graph.tensor(parts[0]).dims if parts else ()
                number = graph.multiply(parts, dtype, dims)
                return graph.sum([(value.coefficient, number)], TensorType(dtype, dims))
            case Run():
                return run_class(graph, value, self._format(value))
            case Summands(parts=parts, turned=turned):
                number = graph.sum(parts, graph.tensor(parts[0][1]))
                return self._by_op("transpose", [number], {}) if turned else number
            case Option():
                raise Impossible(name)
            case None:
                raise Impossible(name)
            case dim:
                return self._size(dim)

    def _format(self, run: Run) -> DType:
        """That of the result, unless the run is of a kind that holds more, as a matrix is of which a rank is told."""
        children = [*(f.child for f in run.factors), *run.scalars]
        if not children:
            return self.dtype
        own = promote_all(self.graph.tensor(c).dtype for c in children)
        return own if _KINDS.index(own.kind) > _KINDS.index(self.dtype.kind) else self.dtype

    def _size(self, dim: DimLike) -> int:
        return self.graph.number(dim, self.dtype) if isinstance(dim, int) else self.graph.leaf(size(dim))

    def dim(self, expression: syntax.Expr) -> DimLike:
        """A size: a name, a number, `rows(A)`, or a product or sum of these."""
        match expression:
            case syntax.Number(value=int() as value):
                return value
            case syntax.Name(name=name) if kind_of(name) == "size":
                return self._size_called(name)
            case syntax.Call(function=syntax.Name(name="rows" | "cols" as side), arguments=[of]):
                dims = self.graph.tensor(self.value(of)).dims
                if len(dims) != 2:
                    raise Impossible(expression.span.text)
                return dims[0 if side == "rows" else 1]
            case syntax.Binary(operator="+", left=left, right=right):
                return self.dim(left) + self.dim(right)
            case syntax.Binary(operator="-", left=left, right=right):
                return self.dim(left) - self.dim(right)
            case syntax.Binary(operator="*", left=left, right=right):
                return self.dim(left) * self.dim(right)
        raise Impossible(expression.span.text)

    def _size_called(self, name: str) -> DimLike:
        """A size of the rule: bound by the match, or what it is in terms of the axes of the variables."""
        bound = self.bound.get(name)
        if isinstance(bound, (int, Dim)):
            return bound
        shapes = _shapes(self.law)
        known = {
            str(own): dim
            for variable, shape in shapes.variables.items()
            if variable in self.bound
            for own, dim in zip(shape, self.graph.tensor(self._variable(variable)).dims)
        }
        wanted = shapes.sizes.get(name)
        if wanted is None or not set(names_of(wanted)) <= set(known):
            raise Impossible(name)
        return substitute(wanted, known)

    # ---- parts

    def _sum(self, parts: Sequence[tuple[Number, int]]) -> int:
        graph = self.graph
        types = [graph.tensor(n) for _, n in parts]
        largest = max(types, key=lambda t: len(t.dims))
        type = TensorType(self.dtype, largest.dims)
        fitted = [
            (c, n if graph.tensor(n).dims == type.dims else graph.stretch(n, type.dims, type.dtype)) for c, n in parts
        ]
        return graph.sum(fitted, type)

    def _times(self, left: int, right: syntax.Expr, operator: str) -> int:
        graph = self.graph
        if operator == "/" and isinstance(right, syntax.Number):
            assert isinstance(right.value, (int, float))
            return graph.sum([(1 / Fraction(right.value), left)], graph.tensor(left))
        other = self._value(right)
        if operator == "/":
            other = graph.reciprocal(other)
        dims = max((graph.tensor(n).dims for n in (left, other)), key=len)
        complex_ones = [t for t in (graph.tensor(n).dtype for n in (left, other)) if t.kind == "c"]
        dtype = promote_all(complex_ones) if complex_ones and self.dtype.kind != "c" else self.dtype  # as in abs(x * y)
        return graph.multiply([left, other], dtype, dims)

    def _power(self, base: int, exponent: syntax.Expr) -> int:
        graph = self.graph
        type = graph.tensor(base)
        if isinstance(exponent, syntax.Number) and exponent.value == 2:
            return graph.multiply([base, base], type.dtype, type.dims)
        return self._by_op("pow", [base, self._static(exponent)], {})

    def _static(self, expression: syntax.Expr) -> int:
        """A number as the operand of an op that wants to know it when the program is compiled."""
        if isinstance(expression, syntax.Number):
            return self.graph.leaf(literal(expression.value))
        return self._value(expression)

    def _item(self, call: syntax.Call, position: int) -> int:
        source = self._call(call.function.name, call)  # type: ignore[union-attr]
        types = self.graph[source].type
        assert isinstance(types, tuple)
        return self.graph.apply(operation("item"), [source], [("position", position)], types[position])

    def _call(self, name: str, call: syntax.Call) -> int:
        graph = self.graph
        if name == "eye":
            n = self.dim(call.arguments[0])
            form = Contraction((), ((0,), (0,)), (n,)) if n != 1 else Contraction((), ((), ()), ())
            return graph.contract(form, [], self.dtype)
        if name in ("ones", "zeros"):
            return graph.number(1 if name == "ones" else 0, self.dtype, [self.dim(a) for a in call.arguments])
        if name in ("rows", "cols"):
            return self._size(self.dim(call))
        attributes = {}
        for keyword in call.keywords:
            attributes[keyword.name] = self._option(keyword.value)
        op = operation(name)
        if op.variadic == "dims" or op.dims:
            arity = len(op.tensors)
            dims = [self.dim(a) for a in call.arguments[arity:]]
            attributes.update(zip(op.dims, dims))
            return self._by_op(name, [self._value(a) for a in call.arguments[:arity]], attributes)
        return self._by_op(name, [self._static(a) for a in call.arguments], attributes)

    def _option(self, expression: syntax.Expr) -> object:
        match expression:
            case syntax.Name(name="true" | "false" as truth):
                return truth == "true"
            case syntax.Name(name=name) if kind_of(name) is None:
                return name
            case syntax.Name(name=name):
                value = self.bound.get(name)
                return value.value if isinstance(value, Option) else value
            case syntax.Number(value=value) | syntax.String(value=value):
                return value
        raise Impossible(expression.span.text)

    def _by_op(self, name: str, children: Sequence[int], attributes: dict[str, object]) -> int:
        """An op over classes: a contraction where it is multilinear."""
        graph = self.graph
        op = operation(name)
        types = [graph[c].type for c in children]
        tensors = [t for t in types if isinstance(t, TensorType)]
        if len(tensors) != len(types):
            raise Impossible(name)
        if name == "square":
            return graph.multiply([children[0], children[0]], tensors[0].dtype, tensors[0].dims)
        if name == "diag" and len(tensors[0].dims) == 1:
            return graph.contract(diagonal(tensors[0].dims[0]), children, tensors[0].dtype)
        attributes = {**op.options, **attributes}
        result = op.types(tensors, attributes)
        if (op.group == "products" or name in ("sum", "mean", "reshape", "squeeze", "unsqueeze")) and len(result) == 1:
            formula = op.formula(tensors, attributes)
            product = None if formula is None else product_of(formula, tensors)
            if product is not None:
                return graph.product(product, [children[k] for k in product.operands], result[0].dtype)
        type = result[0] if len(result) == 1 else tuple(result)
        return graph.apply(op, children, attributes.items(), type)


def _is_zero(expression: syntax.Expr) -> bool:
    return isinstance(expression, syntax.Number) and expression.value == 0


def grouped_operands(graph: EGraph, term: Contract, dtype: DType) -> Iterator[tuple[int, int]]:
    """The two factors of a Kronecker product, for each place at which both axes can be parted.

    Scalars go with the first factor; a factor without operands is an identity or has equal entries.
    """
    form = term.form
    if len(form.output) != 2 or any(len(axis) < 2 for axis in form.output):
        return
    rows, columns = form.output
    near: dict[int, set[int]] = {}
    for axes in form.inputs:
        letters = {n for axis in axes for n in axis}
        for n in letters:
            near.setdefault(n, set()).update(letters)

    def reach(start: set[int]) -> set[int]:
        found, edge = set(start), list(start)
        while edge:
            for n in near.get(edge.pop(), ()):
                if n not in found:
                    found.add(n)
                    edge.append(n)
        return found

    for i in range(1, len(rows)):
        for j in range(1, len(columns)):
            graph.spend(len(form.inputs))
            slow = reach({*rows[:i], *columns[:j]})
            if slow & {*rows[i:], *columns[j:]}:
                continue
            parts = []
            first = [any(n in slow for axis in axes for n in axis) or not any(axes) for axes in form.inputs]
            for inside, output in ((True, (rows[:i], columns[:j])), (False, (rows[i:], columns[j:]))):
                chosen = [k for k, is_first in enumerate(first) if is_first == inside]
                inner = tidy(Contraction(tuple(form.inputs[k] for k in chosen), output, form.extents))
                parts.append(graph.contract(inner, [term.children[k] for k in chosen], dtype))
            yield parts[0], parts[1]
