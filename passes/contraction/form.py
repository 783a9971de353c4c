"""The contraction normal form.

    contraction = axes of each operand; axes of the result; the extent of every letter

Letters are numbers 0, 1, 2 ...; an axis is a tuple of letters, the last running fastest: `(i p)` of a Kronecker
product is `(0, 1)`, and an axis of size 1 has no letters. The value is the product of the operands, summed over the
letters that the result does not have:

    A @ B            ((i),(k)), ((k),(j))  ->  ((i),(j))
    kron(A, B)       ((i),(j)), ((p),(q))  ->  ((i p),(j q))
    diag(A @ B)      ((i),(k)), ((k),(i))  ->  ((i))
    diag(x) @ A      ((i)), ((i),(j))      ->  ((i),(j))
    eye(n)                                 ->  ((i),(i))       zero off the diagonal
    ones(n, m)                             ->  ((i),(j))       a letter of no operand: the same at all its values
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from tpc.ir.dims import DimLike, divide_exactly, product

Axis = tuple[int, ...]
Axes = tuple[Axis, ...]


@dataclass(frozen=True)
class Contraction:
    """A product of operands over letters, summed over those that the result has not."""

    inputs: tuple[Axes, ...]
    output: Axes
    extents: tuple[DimLike, ...]

    @cached_property
    def _hash(self) -> int:
        return hash((self.inputs, self.output, self.extents))

    def __hash__(self) -> int:
        return self._hash

    @property
    def dims(self) -> tuple[DimLike, ...]:
        return tuple(self.size(axis) for axis in self.output)

    def size(self, letters: Iterable[int]) -> DimLike:
        """The number of values that letters take together."""
        return product(self.extents[n] for n in letters)

    @cached_property
    def output_letters(self) -> tuple[int, ...]:
        return letters_of(self.output)

    @cached_property
    def input_letters(self) -> tuple[tuple[int, ...], ...]:
        return tuple(map(letters_of, self.inputs))

    @cached_property
    def is_matrix_like(self) -> bool:
        """Whether every axis is one letter or none: nothing is grouped."""
        return all(len(axis) <= 1 for axes in (*self.inputs, self.output) for axis in axes)

    @property
    def is_view(self) -> bool:
        """Whether the result only rearranges one operand: nothing is summed, taken from a diagonal or repeated."""
        if len(self.inputs) != 1:
            return False
        given, result = letters_of(self.inputs[0]), self.output_letters
        return len(set(given)) == len(given) == len(result) and set(given) == set(result)

    @property
    def is_diagonal(self) -> bool:
        """Whether the result is a matrix that is zero off its diagonal."""
        return len(self.output) == 2 and self.output[0] == self.output[1] != ()

    @property
    def is_identity(self) -> bool:
        return len(self.inputs) == 1 and self.inputs[0] == self.output and self.is_view


def letters_of(axes: Axes) -> tuple[int, ...]:
    return tuple(n for axis in axes for n in axis)


def filled(dims: Sequence[DimLike]) -> Contraction:
    """An array of ones."""
    letters = {n: k for k, n in enumerate(n for n, d in enumerate(dims) if d != 1)}
    axes = tuple((letters[n],) if n in letters else () for n in range(len(dims)))
    return Contraction((), axes, tuple(dims[n] for n in letters))


def diagonal(size: DimLike) -> Contraction:
    """The matrix with a vector as its diagonal, and zeros."""
    return Contraction((((0,),),), ((0,), (0,)), (size,)) if size != 1 else Contraction((((),),), ((), ()), ())


REMEMBERED = 8192  # contractions of which it is known how they are put together and in order
MOST_ARRANGED = 24  # operands; of more, equal ones stay in the order in which they were written


class Wiring:
    """A contraction while it is put together: letters are joined and split until operands fit each other."""

    def __init__(self) -> None:
        self.extents: list[DimLike] = []
        self.stands_for: dict[int, Axis] = {}  # joined and split letters

    def letter(self, extent: DimLike) -> int:
        self.extents.append(extent)
        return len(self.extents) - 1

    def size(self, axis: Axis) -> DimLike:
        """The number of values that letters take together."""
        return product(self.extents[n] for n in axis)

    def instance(self, form: Contraction) -> tuple[list[Axes], Axes]:
        """Fresh letters for a contraction: the axes of its operands and its result."""
        first = len(self.extents)
        self.extents += form.extents
        if not first:
            return list(form.inputs), form.output
        moved = [tuple(tuple(n + first for n in axis) for axis in axes) for axes in (*form.inputs, form.output)]
        return moved[:-1], moved[-1]

    def resolve(self, axis: Axis) -> Axis:
        """The letters that an axis has by now."""
        if not any(n in self.stands_for for n in axis):
            return axis
        return tuple(m for n in axis for m in (self.resolve(self.stands_for[n]) if n in self.stands_for else (n,)))

    def join(self, first: Axes, second: Axes) -> bool:
        """Make two lists of axes the same letters, splitting letters where one side groups finer than the other.

        False, with nothing changed, where the sizes do not allow a common split, as 2*3 and 3*2.
        """
        kept = None
        if any(len(self.resolve(axis)) > 1 for axis in (*first, *second)):
            kept = len(self.extents), dict(self.stands_for)
        for one, other in zip(first, second, strict=True):
            if not self._join_axis(one, other):
                if kept is not None:
                    del self.extents[kept[0] :]
                    self.stands_for = kept[1]
                return False
        return True

    def _join_axis(self, one: Axis, other: Axis) -> bool:
        left, right = self.resolve(one), self.resolve(other)
        while left and right:
            a, b = left[-1], right[-1]
            size_a, size_b = self.extents[a], self.extents[b]
            if a == b:
                left, right = left[:-1], right[:-1]
                continue
            if size_a == size_b:
                self.stands_for[max(a, b)] = (min(a, b),)
            elif size_a == 0 or size_b == 0:
                return False
            elif (rest := divide_exactly(size_a, size_b)) is not None:
                self.stands_for[a] = (self.letter(rest), b)
            elif (rest := divide_exactly(size_b, size_a)) is not None:
                self.stands_for[b] = (self.letter(rest), a)
            else:
                return False
            left, right = self.resolve(left), self.resolve(right)
        return not left and not right

    def freeze(self, inputs: Sequence[Axes], output: Axes) -> tuple[Contraction, list[DimLike]]:
        """The contraction with letters numbered anew, and the extents of letters that were summed over nothing."""
        given = [tuple(self.resolve(axis) for axis in axes) for axes in inputs]
        result = tuple(self.resolve(axis) for axis in output)
        used = dict.fromkeys(n for axes in (result, *given) for axis in axes for n in axis)
        used = {n: None for n in used if self.extents[n] != 1}
        number = {n: k for k, n in enumerate(used)}
        ones = {n for axes in (result, *given) for axis in axes for n in axis if self.extents[n] == 1}

        def renumber(axes: Axes) -> Axes:
            return tuple(tuple(number[n] for n in axis if n not in ones) for axis in axes)

        alone = [n for n in range(len(self.extents)) if n not in used and n not in ones and n not in self.stands_for]
        frozen = Contraction(tuple(map(renumber, given)), renumber(result), tuple(self.extents[n] for n in used))
        return frozen, [self.extents[n] for n in alone if self.extents[n] != 1]


@lru_cache(REMEMBERED)
def tidy(form: Contraction) -> Contraction:
    """The contraction with only the letters that it uses, and none for axes of size 1."""
    wiring = Wiring()
    inputs, output = wiring.instance(form)
    return wiring.freeze(inputs, output)[0]


@lru_cache(REMEMBERED)
def compose(outer: Contraction, position: int, inner: Contraction) -> tuple[Contraction, tuple[DimLike, ...]] | None:
    """The outer contraction with an operand replaced by what it is a contraction of; its operands stand in its place.

    Also the extents that were summed over nothing: factors of the result. None where the groupings do not meet.
    """
    wiring = Wiring()
    given, result = wiring.instance(outer)
    inner_given, inner_result = wiring.instance(inner)
    if not wiring.join(given[position], inner_result):
        return None
    form, alone = wiring.freeze([*given[:position], *inner_given, *given[position + 1 :]], result)
    return form, tuple(alone)


def arranged(
    form: Contraction, keys: Sequence[int], symmetric: Sequence[bool] = (), free_output: bool = False
) -> tuple[tuple[int, ...], Contraction, Mapping[int, int]]:
    """The contraction with operands and letters in an order that does not depend on how it was written.

    Operands are sorted by key (equal operands have equal keys), then by how they hang together: colours of operands
    and letters are refined by each other until they tell apart what can be told. What is still alike after that is
    told apart by taking one of them first.

    Parameters
    ----------
    symmetric
        The operands whose two axes may change places.
    free_output
        Whether the order of the result's axes is open; they then follow the letters.

    Returns
    -------
    The old positions of the operands in their new order, the contraction, and its letters by the old ones.
    """
    return _arranged(form, tuple(_ranks(keys)), tuple(symmetric) or (False,) * len(keys), free_output)


@lru_cache(REMEMBERED)
def _arranged(
    form: Contraction, keys: tuple[int, ...], symmetric: tuple[bool, ...], free_output: bool
) -> tuple[tuple[int, ...], Contraction, Mapping[int, int]]:
    count = len(form.inputs)
    output = [(-1, () if free_output else (n,)) for n in range(len(form.output))]
    order = list(range(count))
    if len(set(keys)) == count and not free_output:
        order.sort(key=lambda k: keys[k])
    elif count <= MOST_ARRANGED:
        marks: list[Any] = [(key,) for key in keys]
        colours = _refined(form, marks, symmetric, output)
        tied = _tied(colours, form.inputs)
        while tied is not None:
            marks[tied] = (*marks[tied], 0)
            colours = _refined(form, marks, symmetric, output)
            tied = _tied(colours, form.inputs)
        order.sort(key=lambda k: colours[k])
    number: dict[int, int] = {}

    def renumber(operand: Axes) -> Axes:
        return tuple(tuple(number.setdefault(n, len(number)) for n in axis) for axis in operand)

    result = () if free_output else renumber(form.output)
    inputs = []
    for k in order:
        operand = form.inputs[k]
        if symmetric[k]:  # letters met before come first
            operand = tuple(sorted(operand, key=lambda axis: [number.get(n, len(form.extents)) for n in axis]))
        inputs.append(renumber(operand))
    if free_output:
        result = tuple(sorted(renumber(form.output)))
    return tuple(order), Contraction(tuple(inputs), result, tuple(form.extents[n] for n in number)), number


def _refined(form: Contraction, marks: Sequence[Any], symmetric: Sequence[bool], output: Sequence[Any]) -> list[int]:
    """Colours of the operands, as ranks."""
    places: list[list[tuple[int, int, int]]] = [[] for _ in form.extents]  # operand, axis, place in the axis
    for k, operand in enumerate((*form.inputs, form.output)):
        turns = k < len(form.inputs) and symmetric[k]
        for n, axis in enumerate(operand):
            for p, letter in enumerate(axis):
                places[letter].append((k, 0 if turns else n, p))
    last = len(form.inputs)
    operand_colours = _ranks([(m, tuple(len(axis) for axis in form.inputs[k])) for k, m in enumerate(marks)])
    for _ in range(2 * len(marks) + 2):
        seen = [*operand_colours, -1]
        letter_colours = _ranks(
            [tuple(sorted((seen[k], output[n][1] if k == last else (n,), p) for k, n, p in found)) for found in places]
        )
        met = [[tuple(letter_colours[n] for n in axis) for axis in operand] for operand in form.inputs]
        finer = _ranks([(operand_colours[k], tuple(sorted(m) if symmetric[k] else m)) for k, m in enumerate(met)])
        if finer == operand_colours:
            break
        operand_colours = finer
    return operand_colours


def _ranks(items: Sequence[Any]) -> list[int]:
    rank = {item: n for n, item in enumerate(sorted(set(items)))}
    return [rank[item] for item in items]


def _tied(colours: Sequence[int], inputs: Sequence[Axes]) -> int | None:
    """The first operand that shares its colour with another that hangs on other letters."""
    seen: dict[int, Axes] = {}
    repeated = {c for c, axes in zip(colours, inputs) if seen.setdefault(c, axes) != axes}
    return min((k for k, c in enumerate(colours) if c in repeated), default=None)
