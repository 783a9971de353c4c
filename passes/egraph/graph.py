"""The e-graph: classes of equal values, with terms in their normal form.

Products and sums are put in flat: an operand that is a product itself gives its factors, a multiple its number.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any

from tpc.ir.dims import DimLike
from tpc.ir.node import Node, Type
from tpc.ir.op import Op
from tpc.ir.types import DType, TensorType
from tpc.passes.contraction import Contraction, Product, compose, diagonal, filled
from tpc.passes.egraph.classes import Class
from tpc.passes.egraph.congruence import WORK_OF_OPERAND, Congruence
from tpc.passes.egraph.terms import Applied, Contract, Leaf, Number, Sum

MOST_OPERANDS = 16  # of a contraction that is put together from those of its operands


class EGraph(Congruence):
    """Classes of equal values, and how terms of each kind are put in.

    The attributes are those of `Congruence`.
    """

    def constant(self, number: int) -> Number | None:
        """The number that a scalar is, or that all entries of an array are."""
        found = self[number]
        if found.literal is not None:
            return found.literal
        coefficient, of = found.multiple or (1, found.id)
        term = self[of].product
        if term is None or term.children or len(set(term.form.output_letters)) != len(term.form.output_letters):
            return None
        return coefficient

    def leaf(self, node: Node) -> int:
        return self.add(Leaf(node), node.type)

    def apply(self, op: Op, children: Sequence[int], attributes: Iterable[tuple[str, Any]], type: Type) -> int:
        return self.add(Applied(op, tuple(map(self.find, children)), tuple(attributes), type), type)

    def number(self, value: Number, dtype: DType, dims: Sequence[DimLike] = ()) -> int:
        """A number, the same at all places."""
        ones = self.add(Contract(filled(dims), ()), TensorType(dtype, dims))
        return self.sum([(value, ones)], TensorType(dtype, dims))

    def contract(self, form: Contraction, children: Sequence[int], dtype: DType) -> int:
        """The class of a contraction, whose operands may be contractions and multiples themselves."""
        coefficient: Number = 1
        operands = [self.find(c) for c in children]
        self.spend(len(operands) * (WORK_OF_OPERAND + len(operands)))
        position = 0
        while position < len(operands):
            found = self.classes[operands[position]]
            if found.multiple is not None and self.classes[self.find(found.multiple[1])].order < found.order:
                coefficient *= found.multiple[0]
                operands[position] = self.find(found.multiple[1])
                continue
            inner = found.product
            if (
                inner is not None
                and self._is_lower(inner.children, found)
                and len(operands) + len(inner.children) <= MOST_OPERANDS + 1
                and (composed := compose(form, position, inner.form)) is not None
            ):
                form, alone = composed
                operands[position : position + 1] = [self.find(c) for c in inner.children]
                for extent in alone:
                    if isinstance(extent, int):
                        coefficient *= extent
                    else:
                        form = Contraction((*form.inputs, ()), form.output, form.extents)
                        operands.append(self.size_of(extent))
                continue
            position += 1
        term = self.arranged_term(form, operands)
        if term.form.is_identity and self.tensor(operands[0]).dtype is dtype:
            return self.sum([(coefficient, operands[0])], TensorType(dtype, form.dims))
        core = self.add(term, TensorType(dtype, form.dims))
        return self.sum([(coefficient, core)], TensorType(dtype, form.dims))

    def diagonal_of(self, number: int) -> int | None:
        """The diagonal of a matrix that is written as one with that diagonal and zeros."""
        found = self[number]
        term = found.product
        if term is None or len(term.form.output) != 2 or term.form.output[0] != term.form.output[1]:
            return None
        if not term.form.output[0]:
            return None
        form = Contraction(term.form.inputs, term.form.output[:1], term.form.extents)
        return self.contract(form, term.children, found.tensor.dtype)

    def reciprocal(self, number: int) -> int:
        """One over every entry."""
        from tpc.ir.build import literal, operation

        one, op = self.leaf(literal(1)), operation("div")
        (type,) = op.types([self.tensor(one), self.tensor(number)], {})
        return self.apply(op, [one, number], (), type)

    def _is_lower(self, children: Sequence[int], target: Class) -> bool:
        return all(self[c].order < target.order for c in children)

    def product(self, product: Product, operands: Sequence[int], dtype: DType) -> int:
        """The class of a product of operands with numbers and sizes as factors and divisors."""
        form, children = product.form, list(operands)
        coefficient = product.coefficient
        scalars = []
        for extent in product.sizes:
            if isinstance(extent, int):
                coefficient *= extent
            else:
                scalars.append(self.size_of(extent))
        for extent in product.divisors:
            if isinstance(extent, int) and extent:
                coefficient *= Fraction(1, extent)
            else:
                scalars.append(self.reciprocal(self.size_of(extent)))
        form = Contraction((*form.inputs, *(() for _ in scalars)), form.output, form.extents)
        number = self.contract(form, [*children, *scalars], dtype)
        return self.sum([(coefficient, number)], TensorType(dtype, form.dims))

    def size_of(self, dim: DimLike) -> int:
        """A size as a scalar."""
        from tpc.ir.build import size

        return self.leaf(size(dim))

    def sum(self, parts: Iterable[tuple[Number, int]], type: TensorType) -> int:
        """The class of a sum of multiples, which may be sums themselves."""
        total: dict[int, Number] = {}
        stack = [(c, self.find(n)) for c, n in parts][::-1]
        if [c for c, _ in stack] == [1]:  # taken apart, a diagonal matrix would be put together again from diagonals
            return stack[0][1]
        while stack:
            coefficient, number = stack.pop()
            found = self.classes[number]
            inner = found.sum
            if inner is not None and self._is_lower(inner.children, found):
                stack += [(coefficient * c, self.find(n)) for c, n in zip(inner.coefficients, inner.children)][::-1]
            else:
                total[number] = total.get(number, 0) + coefficient
        if self.is_exploring:  # what the search itself brings to cancel is gone; 0 * A as written may be NaN
            total = {n: c for n, c in total.items() if c != 0} or dict(list(total.items())[:1])
        if list(total.values()) == [1]:
            (number,) = total
            return number
        diagonals = [self.diagonal_of(n) for n in total]
        if len(total) > 1 and all(d is not None for d in diagonals):
            line = TensorType(type.dtype, type.dims[:1])
            entries = self.sum([(c, d) for c, d in zip(total.values(), diagonals) if d is not None], line)
            return self.contract(diagonal(type.dims[0]), [entries], type.dtype)
        ordered = sorted(total.items())
        return self.add(Sum(tuple(c for _, c in ordered), tuple(n for n, _ in ordered)), type)

    def multiply(self, parts: Sequence[int], dtype: DType, dims: Sequence[DimLike]) -> int:
        """The elementwise product of arrays of these dims and arrays that stretch to them."""
        whole = filled(dims)
        inputs = []
        for part in parts:
            given = self.tensor(part).dims
            last = whole.output[len(whole.output) - len(given) :]
            inputs.append(tuple(axis if d != 1 else () for axis, d in zip(last, given)))
        return self.contract(Contraction(tuple(inputs), whole.output, whole.extents), parts, dtype)

    def stretch(self, part: int, dims: Sequence[DimLike], dtype: DType) -> int:
        """An array stretched to these dims."""
        return self.multiply([part], dtype, dims)
