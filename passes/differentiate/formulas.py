"""Adjoints of what index notation says.

    y[L] = body(L)   with accesses X[e(l)] under sums over l
    X_bar[p] = sum over all letters with e(l) == p of  d body / d access * y_bar[L]

Each axis of X is solved for a letter where its index is affine in one: a letter alone becomes the axis, `i + s` gives
i = p - s. What cannot be solved, as a position that is a value, stays a guard of the sum.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from tpc.dsl.diagnostics import TpcError, fail
from tpc.ir.affine import Affine, affine
from tpc.ir.build import index, make, operation
from tpc.ir.dims import DimLike, is_nonnegative, product
from tpc.ir.formula import (
    Access,
    Apply,
    Composed,
    Formula,
    LetterValue,
    Literal,
    Reduction,
    Scalar,
    accesses,
    free_letters,
    letters_in_order,
    mapped,
    size_scalar,
)
from tpc.ir.node import Node
from tpc.ir.ops.structure import SUBSCRIPT, At
from tpc.ir.types import INT, TensorType
from tpc.passes.differentiate.positions import (
    ZERO,
    arithmetic,
    as_scalar,
    holds,
    is_position,
    padded,
    plain,
    unused,
    with_letter,
)
from tpc.passes.differentiate.scalars import NOT_HOLOMORPHIC, derivatives, is_zero, put

ONE = Literal("1.0")


def adjoint(formula: Formula, operands: Sequence[Node], number: int, value: Node, bar: Node) -> list[Node]:
    """What the accesses to one operand add to its adjoint.

    Parameters
    ----------
    number
        Of the operand.
    value, bar
        The value of the formula, and its adjoint.

    Raises
    ------
    TpcError
        If a function on the way has no derivative in the language (E0608).
    """
    is_number = bar.op.name == "broadcast_to" and not bar.args[0].tensor.rank  # as that of a sum or mean
    given = [*operands, value, bar.args[0] if is_number else bar]
    this = _entry(formula, len(operands))
    weight = Access(len(operands) + 1, ()) if is_number else _entry(formula, len(operands) + 1)
    is_complex = operands[number].tensor.dtype.kind == "c"
    gather = _Gather(formula, number, is_complex)
    found = []
    for term in gather.terms(formula.body, this):
        factor: Scalar = term.weight
        arriving: Scalar = weight
        if term.is_conjugated:
            arriving = Apply("conj", (weight,))
        elif is_complex and not isinstance(factor, Literal):
            factor = Apply("conj", (factor,))
        whole = _times(factor, arriving)
        solved = _Solved(formula, gather.extents, term, whole, operands[number].tensor).formula()
        found.append(_index(solved, given))
    return found


def _index(formula: Formula, given: Sequence[Node]) -> Node:
    """An index statement over those operands that it reads, in the order in which it does."""
    values = list(given)

    def change(scalar: Scalar) -> Scalar:
        if isinstance(scalar, Access) and scalar.pad is not None and _is_inside(scalar, values, formula):
            scalar = replace(scalar, pad=None)
        beside = _without_letters(scalar, values)
        if beside is None:
            return scalar
        values.append(beside)
        return Access(len(values) - 1, ())

    body = mapped(formula.body, change)
    read = list(dict.fromkeys(a.operand for a in accesses(body)))
    body = mapped(body, lambda s: replace(s, operand=read.index(s.operand)) if isinstance(s, Access) else s)
    return index(replace(formula, body=body), [values[n] for n in read])


def _is_inside(access: Access, values: Sequence[Node], formula: Formula) -> bool:
    """Whether an access never leaves its operand, by letters that run over its axes and numbers within them."""

    def fits(place: Scalar | Composed, dim: DimLike) -> bool:
        if isinstance(place, LetterValue):
            return formula.extent[place.name] == dim
        return isinstance(place, Literal) and place.dtype is INT and is_nonnegative(dim - 1 - int(place.spelling))

    return all(map(fits, access.indices, values[access.operand].tensor.dims))


def _without_letters(scalar: Scalar, values: Sequence[Node]) -> Node | None:
    """What a call or an entry of an index statement is in which no letter stands: a value beside it."""
    match scalar:
        case Access(operand=operand, indices=(_, *_) as places, pad=None):
            at = tuple(At(int(p.spelling)) for p in places if isinstance(p, Literal))
            return make(SUBSCRIPT, (values[operand],), items=at) if len(at) == len(places) else None
        case Apply(function=function, arguments=arguments) if operation(function).operator is None:
            parts = [values[a.operand] for a in arguments if isinstance(a, Access) and not a.indices]
            return make(function, parts) if len(parts) == len(arguments) else None
    return None


def _entry(formula: Formula, number: int) -> Access:
    """The entry of an operand of the shape of the result, at the letters of the result."""
    places: list[Scalar | Composed] = []
    for axis in formula.axes:
        places.append(Literal("0") if not axis else LetterValue(axis[0]) if len(axis) == 1 else Composed(axis))
    return Access(number, tuple(places))


def _times(first: Scalar, second: Scalar) -> Scalar:
    """A product, with its numbers as one in front."""
    (one, x), (other, y) = _multiple(first), _multiple(second)
    rest = x if y is None else y if x is None else Apply("mul", (x, y))
    number = one * other
    if rest is None:
        return Literal.of(number)
    if number == -1:
        return Apply("neg", (rest,))
    return rest if number == 1 else Apply("mul", (Literal.of(number), rest))


def _multiple(scalar: Scalar) -> tuple[int | float | complex, Scalar | None]:
    """A scalar as a number times another one, or as a number alone."""
    match scalar:
        case Literal():
            return scalar.value, None
        case Apply(function="neg", arguments=(argument,)):
            number, rest = _multiple(argument)
            return -number, rest
        case Apply(function="mul", arguments=(Literal() as first, argument)):
            number, rest = _multiple(argument)
            return first.value * number, rest
        case Apply(function="div", arguments=(Literal(value=top), Literal(value=int() as bottom))) if bottom:
            return top / bottom, None
    return 1, scalar


def _is_multiple(scalar: Scalar) -> bool:
    """Whether a scalar is zero where one entry is."""
    match scalar:
        case Access():
            return True
        case Apply(function="neg", arguments=(argument,)) | Apply(function="mul", arguments=(Literal(), argument)):
            return _is_multiple(argument)
    return False


@dataclass(frozen=True)
class _Term:
    """An access, the derivative of the body by it, and the letters and guards of the sums around it."""

    access: Access
    weight: Scalar
    letters: tuple[str, ...] = ()
    guards: tuple[Scalar, ...] = ()
    is_conjugated: bool = False  # whether the body depends on the conjugate of the access


class _Gather:
    """The terms of an operand; letters of sums that stand in their weights have names of their own."""

    def __init__(self, formula: Formula, number: int, is_complex: bool) -> None:
        self.number, self.is_complex = number, is_complex
        self.extents: dict[str, DimLike] = dict(formula.extents)

    def terms(self, scalar: Scalar, this: Scalar | None = None) -> Iterator[_Term]:
        """The terms of a scalar, whose value is `this` where it has a name."""
        if all(a.operand != self.number for a in _differentiable(scalar)):
            return
        match scalar:
            case Access():
                yield _Term(scalar, ONE)
            case Apply(function="conj", arguments=(argument,)) if self.is_complex:
                for term in self.terms(argument):
                    yield replace(term, weight=Apply("conj", (term.weight,)), is_conjugated=not term.is_conjugated)
            case Apply(function="select", arguments=(condition, first, second)):
                for arm, guard in ((first, condition), (second, Apply("logical_not", (condition,)))):
                    for term in self.terms(arm):
                        yield replace(term, guards=(*term.guards, self._fresh(guard)))
            case Apply(function=function, arguments=arguments):
                if self.is_complex and function in NOT_HOLOMORPHIC:
                    raise no_derivative(f"{function} of complex numbers", "in index notation; use the function itself")
                for argument, line in zip(arguments, _lines(function), strict=True):
                    if is_zero(line):
                        continue
                    weight = put(line, (*map(self._fresh, arguments), this or self._fresh(scalar)))
                    for term in self.terms(argument):
                        yield replace(term, weight=_times(weight, term.weight))
            case Reduction(letters=letters, guard=guard, body=body):
                weight, at = self._of_reduction(scalar, this)
                if is_zero(weight):
                    return
                for term in self.terms(body):
                    guards = (*term.guards, *at, *(() if guard is None else (self._fresh(guard),)))
                    letters_around = (*letters, *term.letters)
                    yield replace(term, weight=_times(weight, term.weight), letters=letters_around, guards=guards)

    def _of_reduction(self, scalar: Reduction, this: Scalar | None) -> tuple[Scalar, tuple[Scalar, ...]]:
        """The derivative of a reduction by its body at one place, and where it is not zero."""
        operator, letters, guard = scalar.operator, scalar.letters, scalar.guard
        body = self._fresh(scalar.body)  # whose sums stand beside those that the term is taken through
        match operator:
            case "sum":
                return ONE, ()
            case "mean":
                count: Scalar = size_scalar(product(self.extents[n] for n in letters))
                if guard is not None:
                    count = self._fresh(Reduction("sum", letters, guard, ONE))
                return Apply("div", (ONE, count)), ()
            case "logsumexp":
                return Apply("exp", (Apply("sub", (body, this or self._fresh(scalar))),)), ()
            case "max" | "min" if len(letters) == 1:  # the first of several
                first = self._fresh(Reduction(f"arg{operator}", letters, guard, body))
                return ONE, (Apply("eq", (LetterValue(letters[0]), first)),)
            case "max" | "min":  # shared by all that are equal
                largest = this or self._fresh(scalar)
                marks = Apply("select", (Apply("eq", (body, largest)), ONE, ZERO))
                return Apply("div", (ONE, self._fresh(Reduction("sum", letters, guard, marks)))), (
                    Apply("eq", (body, largest)),
                )
            case "prod":  # the product of the others, which is right where one is zero
                others = self._fresh(scalar)
                assert isinstance(others, Reduction)
                pairs = zip(letters, others.letters, strict=True)
                differ: Scalar | None = None
                for here, there in pairs:
                    one = Apply("ne", (LetterValue(here), LetterValue(there)))
                    differ = one if differ is None else Apply("logical_or", (differ, one))
                if others.guard is not None and differ is not None:
                    differ = Apply("logical_and", (differ, others.guard))
                return replace(others, guard=differ), ()
            case _:  # positions and truth values are piecewise constant
                return ZERO, ()

    def _fresh(self, scalar: Scalar) -> Scalar:
        """The scalar with fresh letters in its reductions, so that it can stand where these letters mean others."""
        match scalar:
            case Apply(function=function, arguments=arguments):
                return Apply(function, tuple(map(self._fresh, arguments)))
            case Reduction(operator=operator, letters=letters, guard=guard, body=body):
                names = []
                for letter in letters:
                    name = next(unused(letter, self.extents))
                    self.extents[name] = self.extents[letter]
                    body = with_letter(body, letter, LetterValue(name), self.extents)
                    guard = None if guard is None else with_letter(guard, letter, LetterValue(name), self.extents)
                    names.append(name)
                inner = self._fresh(body)
                return Reduction(operator, tuple(names), None if guard is None else self._fresh(guard), inner)
        return scalar


def _differentiable(scalar: Scalar) -> Iterator[Access]:
    """The accesses through which a value flows: not those of positions, guards and conditions."""
    match scalar:
        case Access():
            yield scalar
        case Apply(arguments=arguments):
            for argument in arguments:
                yield from _differentiable(argument)
        case Reduction(body=body):
            yield from _differentiable(body)


def _lines(function: str) -> tuple[Scalar, ...]:
    if function in ("conj", "re"):  # of real numbers: complex ones are not said in index notation
        return (ONE,)
    lines = derivatives(function)
    if lines is None:
        raise no_derivative(function)
    return lines


def no_derivative(what: str, why: str = "the language has no function that is its derivative") -> TpcError:
    """That something cannot be differentiated."""
    return fail("E0608", f"`{what}` has no derivative here", notes=(why,), help="write it with functions that have one")


class _Solved:
    """The adjoint by one access: letters of the sum give way to the axes of the operand."""

    def __init__(
        self, formula: Formula, extents: dict[str, DimLike], term: _Term, whole: Scalar, type: TensorType
    ) -> None:
        self.body = whole
        self.guards = list(term.guards)
        self.extents = dict(extents)
        self.free = dict.fromkeys([*formula.letters, *term.letters])  # letters that are neither axes nor replaced
        self.places: list[Scalar | Composed] = list(term.access.indices)
        self.dims = type.dims
        self.axes: list[tuple[str, ...]] = []
        self.outer = set(formula.letters)
        self.is_bounded = not self.guards  # whether all guards are bounds of letters of the result

    def formula(self) -> Formula:
        fresh = unused("p", self.extents, self.dims)
        for number, dim in enumerate(self.dims):
            self.axes.append(self._axis(self.places[number], dim, next(fresh)))
        self._fix()
        body = plain(self.body)
        self.guards = [g for g in (plain(g) for g in self.guards) if not holds(g, self.extents)]
        bounds = [g for g in self.guards if not any(accesses(g))]
        if bounds:  # within which the entries that other guards read are there
            for condition in (g for g in self.guards if g not in bounds):
                body = Apply("select", (condition, body, ZERO))
            self.guards = bounds
        if self.free:
            guard = self.guards[0] if self.guards else None
            for more in self.guards[1:]:
                guard = Apply("logical_and", (guard, more)) if guard is not None else more
            body = Reduction("sum", tuple(self.free), guard, body)
        elif self.guards:
            body = padded(body)
            if not (self.is_bounded and _is_multiple(body)):  # which is zero outside by itself
                whole = self.guards[0]
                for more in self.guards[1:]:
                    whole = Apply("logical_and", (whole, more))
                body = Apply("select", (whole, body, ZERO))
        order = letters_in_order(self.axes, body)  # as the text of it is read
        return Formula(tuple(self.axes), tuple((n, self.extents[n]) for n in order), body)

    def _axis(self, place: Scalar | Composed, dim: DimLike, fresh: str) -> tuple[str, ...]:
        """The letters of an axis of the operand; letters of the sum are replaced by what they are there."""
        letters = place.letters if isinstance(place, Composed) else ()
        is_free = letters and all(n in self.free for n in letters) and len(set(letters)) == len(letters)
        if is_free and product(self.extents[n] for n in letters) == dim:
            for name in letters:
                del self.free[name]
            return letters
        if isinstance(place, LetterValue) and place.name in self.free and self.extents[place.name] == dim:
            del self.free[place.name]
            return (place.name,)
        position = arithmetic(place, self.extents)
        if dim == 1 and isinstance(position, Literal):
            return ()
        self.extents[fresh] = dim
        here: Scalar = LetterValue(fresh)
        form = affine(position)
        for name, slope in form.slopes.items() if form is not None else ():
            if name in self.free and isinstance(slope, int) and slope != 0:
                self._solve(name, slope, position, here)
                return (fresh,)
        self.guards.append(Apply("eq", (position, here)))
        self.is_bounded = False
        return (fresh,)

    def _fix(self) -> None:
        """Letters of the sum that a guard fixes give way to their value."""
        while (found := next(filter(None, map(self._fixed, self.guards)), None)) is not None:
            guard, name, value = found
            self.guards.remove(guard)
            self._put(name, value)
            self.is_bounded = False

    def _fixed(self, guard: Scalar) -> tuple[Scalar, str, Scalar] | None:
        """The guard, a letter of the sum that it fixes, and the value of the letter."""
        if not isinstance(guard, Apply) or guard.function != "eq":
            return None
        for letter, value in (guard.arguments, guard.arguments[::-1]):
            name = letter.name if isinstance(letter, LetterValue) else ""
            is_whole = affine(value) is not None or is_position(value)
            if name in self.free and is_whole and name not in free_letters(value):
                return guard, name, value
        return None

    def _solve(self, name: str, slope: int, position: Scalar, here: Scalar) -> None:
        """Put `(here - rest) / slope` in the place of a letter, where `position = slope * letter + rest`."""
        self.is_bounded &= name in self.outer and abs(slope) == 1
        form = affine(position)
        assert form is not None
        rest = Affine(form.constant, {n: s for n, s in form.slopes.items() if n != name})
        value = as_scalar(rest, -1, here) if slope > 0 else as_scalar(rest, 1, here, -1)
        if abs(slope) != 1:
            step = Literal(str(abs(slope)))
            self.guards.append(Apply("eq", (Apply("mod", (value, step)), Literal("0"))))
            value = Apply("floor_div", (value, step))
        self._put(name, value)

    def _put(self, name: str, value: Scalar) -> None:
        """Put a value in the place of a letter of the sum, within its bounds."""
        self.guards = [with_letter(g, name, value, self.extents) for g in self.guards]
        self.guards.append(Apply("ge", (value, Literal("0"))))
        self.guards.append(Apply("lt", (value, size_scalar(self.extents[name]))))
        del self.free[name]
        self.body = with_letter(self.body, name, value, self.extents)
        self.places = [
            with_letter(arithmetic(p, self.extents), name, value, self.extents) if name in free_letters(p) else p
            for p in self.places
        ]
