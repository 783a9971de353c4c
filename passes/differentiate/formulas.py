"""Adjoints of what index notation says.

    y[L] = body(L)   with accesses X[e(l)] under sums over l
    X_bar[p] = sum over all letters with e(l) == p of  d body / d access * y_bar[L]

Each axis of X is solved for a letter where its index is affine in one: a letter alone becomes the axis, `i + s` gives
i = p - s. What cannot be solved, as a position that is a value, stays a guard of the sum.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from tpc.dsl.diagnostics import TpcError, fail
from tpc.ir.affine import Affine, affine, bounds
from tpc.ir.build import index
from tpc.ir.dims import DimLike, is_nonnegative, names_of, product
from tpc.ir.formula import (
    Access,
    Apply,
    Composed,
    Formula,
    LetterValue,
    Literal,
    Reduction,
    Scalar,
    SizeValue,
    accesses,
    applied,
    free_letters,
    mapped,
    size_scalar,
)
from tpc.ir.node import Node
from tpc.ir.types import TensorType
from tpc.passes.differentiate.scalars import NOT_HOLOMORPHIC, derivatives, is_one, is_zero, put

ZERO, ONE = Literal("0.0"), Literal("1.0")


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
    given = [*operands, value, bar]
    this = _entry(formula, len(operands))
    weight = _entry(formula, len(operands) + 1)
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
    """An index statement over those operands that it reads."""
    read = sorted({a.operand for a in accesses(formula.body)})
    body = mapped(formula.body, lambda s: replace(s, operand=read.index(s.operand)) if isinstance(s, Access) else s)
    return index(replace(formula, body=body), [given[n] for n in read])


def _entry(formula: Formula, number: int) -> Access:
    """The entry of an operand of the shape of the result, at the letters of the result."""
    places: list[Scalar | Composed] = []
    for axis in formula.axes:
        places.append(Literal("0") if not axis else LetterValue(axis[0]) if len(axis) == 1 else Composed(axis))
    return Access(number, tuple(places))


def _times(first: Scalar, second: Scalar) -> Scalar:
    if is_one(first):
        return second
    return first if is_one(second) else Apply("mul", (first, second))


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
                    guards = (*term.guards, *at, *(() if guard is None else (guard,)))
                    letters_around = (*letters, *term.letters)
                    yield replace(term, weight=_times(weight, term.weight), letters=letters_around, guards=guards)

    def _of_reduction(self, scalar: Reduction, this: Scalar | None) -> tuple[Scalar, tuple[Scalar, ...]]:
        """The derivative of a reduction by its body at one place, and where it is not zero."""
        operator, letters, guard, body = scalar.operator, scalar.letters, scalar.guard, scalar.body
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
                    body = _with(body, letter, LetterValue(name), self.extents)
                    guard = None if guard is None else _with(guard, letter, LetterValue(name), self.extents)
                    names.append(name)
                inner = self._fresh(body)
                return Reduction(operator, tuple(names), None if guard is None else self._fresh(guard), inner)
        return scalar


def unused(stem: str, extents: Mapping[str, DimLike], dims: Iterable[DimLike] = ()) -> Iterator[str]:
    """Names for letters that are neither those of others nor of sizes."""
    taken = {*extents, *(name for dim in (*extents.values(), *dims) for name in names_of(dim))}
    return (name for name in (f"{stem}{k}" for k in range(1, 10_000)) if name not in taken)


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
        self.guards = [g for g in (plain(g) for g in self.guards) if not _holds(g, self.extents)]
        if self.free:
            guard = self.guards[0] if self.guards else None
            for more in self.guards[1:]:
                guard = Apply("logical_and", (guard, more)) if guard is not None else more
            body = Reduction("sum", tuple(self.free), guard, body)
        elif self.guards:
            body = _padded(body)
            if not (self.is_bounded and isinstance(body, Access)):  # which is zero outside by itself
                whole = self.guards[0]
                for more in self.guards[1:]:
                    whole = Apply("logical_and", (whole, more))
                body = Apply("select", (whole, body, ZERO))
        used = free_letters(body) | {n for axis in self.axes for n in axis} | _bound(body)
        return Formula(tuple(self.axes), tuple((n, d) for n, d in self.extents.items() if n in used), body)

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
        position = _arithmetic(place, self.extents)
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
        for guard in list(self.guards):
            if not isinstance(guard, Apply) or guard.function != "eq":
                continue
            for letter, value in (guard.arguments, guard.arguments[::-1]):
                name = letter.name if isinstance(letter, LetterValue) else ""
                is_whole = affine(value) is not None or _is_position(value)
                if name in self.free and is_whole and name not in free_letters(value):
                    self.guards.remove(guard)
                    self._put(name, value)
                    self.is_bounded = False
                    break

    def _solve(self, name: str, slope: int, position: Scalar, here: Scalar) -> None:
        """Put `(here - rest) / slope` in the place of a letter, where `position = slope * letter + rest`."""
        self.is_bounded &= name in self.outer and abs(slope) == 1
        form = affine(position)
        assert form is not None
        rest = Affine(form.constant, {n: s for n, s in form.slopes.items() if n != name})
        value = _scalar(rest, -1, here) if slope > 0 else _scalar(rest, 1, here, -1)
        if abs(slope) != 1:
            step = Literal(str(abs(slope)))
            self.guards.append(Apply("eq", (Apply("mod", (value, step)), Literal("0"))))
            value = Apply("floor_div", (value, step))
        self._put(name, value)

    def _put(self, name: str, value: Scalar) -> None:
        """Put a value in the place of a letter of the sum, within its bounds."""
        self.guards = [_with(g, name, value, self.extents) for g in self.guards]
        self.guards.append(Apply("ge", (value, Literal("0"))))
        self.guards.append(Apply("lt", (value, size_scalar(self.extents[name]))))
        del self.free[name]
        self.body = _with(self.body, name, value, self.extents)
        self.guards = [_with(g, name, value, self.extents) for g in self.guards]
        self.places = [
            _with(_arithmetic(p, self.extents), name, value, self.extents) if name in free_letters(p) else p
            for p in self.places
        ]


def plain(scalar: Scalar) -> Scalar:
    """The scalar with positions, and what is compared with them, in as few words as possible."""

    def shortest(item: Scalar) -> Scalar:
        form = affine(item) if isinstance(item, Apply) else None
        return item if form is None else _scalar(form, 1, None)

    def change(item: Scalar) -> Scalar:
        if isinstance(item, Access):
            return replace(item, indices=tuple(i if isinstance(i, Composed) else shortest(i) for i in item.indices))
        if isinstance(item, Apply) and item.function in _COMPARISONS:
            return replace(item, arguments=tuple(map(shortest, item.arguments)))
        return item

    return mapped(scalar, change)


_COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge")


def _is_position(scalar: Scalar) -> bool:
    """Whether a scalar is one of integers: a number that is read, or what is made of some."""
    match scalar:
        case Access(indices=()) | Literal() | LetterValue() | SizeValue():
            return True
        case Apply(function="add" | "sub" | "neg", arguments=arguments):
            return all(map(_is_position, arguments))
    return False


def _holds(guard: Scalar, extents: dict[str, DimLike]) -> bool:
    """Whether a guard is known to hold wherever its letters are."""
    match guard:
        case Apply(function="logical_and", arguments=arguments):
            return all(_holds(a, extents) for a in arguments)
        case Apply(function="ge" | "lt" as relation, arguments=(left, right)):
            forms = affine(left), affine(right)
            if None in forms:
                return False
            below, above = (f for f in forms if f is not None)
            limits = bounds(below, extents), bounds(above, extents)
            if limits[0] is None or limits[1] is None:
                return False
            if relation == "ge":
                return is_nonnegative(limits[0][0] - limits[1][1])
            return is_nonnegative(limits[1][0] - limits[0][1] - 1)
    return False


def _scalar(form: Affine, sign: int, here: Scalar | None, first: int = 1) -> Scalar:
    """`first * here + sign * form`, in as few words as possible."""
    result: Scalar | None = here if first > 0 else None
    parts: list[tuple[Scalar, DimLike]] = [(LetterValue(n), sign * s) for n, s in form.slopes.items()]
    if here is not None and first < 0:
        parts.append((here, first))
    for letter, slope in sorted(parts, key=lambda part: isinstance(part[1], int) and part[1] < 0):
        size = abs(slope) if isinstance(slope, int) else slope
        term = letter if size == 1 else applied("mul", (size_scalar(size), letter))
        is_less = isinstance(slope, int) and slope < 0
        if result is None:
            result = applied("neg", (term,)) if is_less else term
        else:
            result = applied("sub" if is_less else "add", (result, term))
    constant = sign * form.constant
    if constant == 0 and result is not None:
        return result
    if result is None:
        return size_scalar(constant)
    if isinstance(constant, int) and constant < 0:
        return applied("sub", (result, Literal(str(-constant))))
    return applied("add", (result, size_scalar(constant)))


def _arithmetic(place: Scalar | Composed, extents: dict[str, DimLike]) -> Scalar:
    """A composed position as a sum of multiples of letters."""
    if not isinstance(place, Composed):
        return place
    position: Scalar = Literal("0")
    for name in place.letters:
        scaled = position if position == Literal("0") else applied("mul", (position, size_scalar(extents[name])))
        letter = LetterValue(name)
        position = letter if scaled == Literal("0") else applied("add", (scaled, letter))
    return position


def _with(scalar: Scalar, name: str, value: Scalar, extents: dict[str, DimLike] | None = None) -> Scalar:
    """The scalar with a letter replaced."""

    def change(item: Scalar) -> Scalar:
        if isinstance(item, LetterValue) and item.name == name:
            return value
        if isinstance(item, Access) and any(isinstance(p, Composed) and name in p.letters for p in item.indices):
            assert extents is not None
            if isinstance(value, LetterValue):
                return replace(item, indices=tuple(_renamed(p, name, value.name) for p in item.indices))
            places = [
                _with(_arithmetic(p, extents), name, value) if isinstance(p, Composed) and name in p.letters else p
                for p in item.indices
            ]
            return replace(item, indices=tuple(places))
        return item

    return mapped(scalar, change)


def _renamed(place: Scalar | Composed, name: str, other: str) -> Scalar | Composed:
    if not isinstance(place, Composed):
        return place
    return Composed(tuple(other if n == name else n for n in place.letters))


def _padded(scalar: Scalar) -> Scalar:
    """The scalar with zeros outside of its operands, for where a condition leaves it out."""

    def change(item: Scalar) -> Scalar:
        if isinstance(item, Access) and item.pad is None and item.indices:
            return replace(item, pad=ZERO)
        return item

    return mapped(scalar, change)


def _bound(scalar: Scalar) -> set[str]:
    """The letters of reductions in a scalar."""
    found: set[str] = set()

    def visit(item: Scalar) -> Scalar:
        if isinstance(item, Reduction):
            found.update(item.letters)
        return item

    mapped(scalar, visit)
    return found
