"""Reductions of what is large in two directions, tile by tile: a matrix that is read once by rows is never there.

In `sum[j](f(i, j) * V[j, c])`, where `f` is made of a matrix product or costs much, blocks of `i` go along tiles of
`j`. What is reduced is a state of the block, into which one tile after the other is taken. Where the terms hold
`exp(x[i, j] - max[k](x[i, k]))`, the largest entry so far stands for the maximum, and the state is multiplied by
`exp(before - now)` when that grows (Milakov and Gimelshein, Online normalizer calculation for softmax, 2018). Memory
does not depend on the length of `j`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace

from tpc.backends.llvm.fusion import places
from tpc.backends.llvm.fusion.flat import finished, moved
from tpc.backends.llvm.fusion.places import Sum
from tpc.backends.llvm.fusion.statement import Buffer, Loop, Statement, Temporary
from tpc.backends.llvm.fusion.terms import (
    HALVES,
    Term,
    call,
    changed,
    fold,
    letter,
    load,
    number,
    parts,
    renamed,
    size,
)
from tpc.backends.llvm.fusion.translation import COMBINE, identity
from tpc.ir.dims import DimLike, divide, named, product
from tpc.ir.types import BOOL, DType, TensorType

ROWS = 256  # values of the letter of rows in a block
COLUMNS = 256  # values of the reduced letter in a tile
ROW, COLUMN, PART = "row", "column", "column.part"  # letters within a block and a tile; folds bind the last
ALL = "column.all"  # the reduced letter as a whole
FIRST_ROW, ROW_COUNT, FIRST_COLUMN, COLUMN_COUNT = "row.first", "row.count", "column.first", "column.count"


class NotStreamed(Exception):
    """A statement whose reductions cannot take in one tile after the other."""


@dataclass(frozen=True, eq=False)
class Stream:
    """Statements for a block of rows: before the tiles, for each of them, and behind.

    A block has one value of each letter of `batch`, of the size `at` it, and `row.count` values of that of `row`,
    from `row.first` on; those of a tile are told alike. Targets before the end live for one block. `whole` is what all
    this computes.
    """

    whole: Statement
    batch: tuple[Loop, ...]
    row: Loop
    column: Loop
    start: tuple[Statement, ...]
    each: tuple[Statement, ...]
    end: tuple[Statement, ...]

    def changed(self, change: Callable[[Statement], Statement]) -> Stream:
        """The stream with each statement changed."""
        return replace(
            self,
            start=tuple(map(change, self.start)),
            each=tuple(map(change, self.each)),
            end=tuple(map(change, self.end)),
        )

    @property
    def statements(self) -> tuple[Statement, ...]:
        return (*self.start, *self.each, *self.end)

    @property
    def buffers(self) -> tuple[Buffer, ...]:
        made = [t.target for s in (*self.start, *self.each) for t in s.together]
        return tuple(dict.fromkeys([*made, *(buffer for s in self.each for _, buffer, _ in s.kept)]))

    @property
    def reads(self) -> frozenset[Buffer]:
        return frozenset(b for s in self.statements for b in s.reads).difference(self.buffers)

    @property
    def sizes(self) -> tuple[str, ...]:
        """The names of what a block and a tile are."""
        return (*(at(n) for n, _ in self.batch), FIRST_ROW, ROW_COUNT, FIRST_COLUMN, COLUMN_COUNT)

    @property
    def blocks(self) -> DimLike:
        """How many there are for one value of the letters of `batch`."""
        return divide(self.row[1] + (ROWS - 1), ROWS)

    @property
    def units(self) -> DimLike:
        return product(e for _, e in self.batch) * self.blocks


def at(name: str) -> str:
    """The size that is the value of a letter of which a block has but one."""
    return f"{name}.at"


def streamed(whole: Statement, made: Sequence[Statement], pairs: Sequence[Term]) -> Stream | None:
    """A statement as a stream; None where it cannot be one.

    Parameters
    ----------
    whole
        Its loads are by axes.
    made
        Products that nothing else reads.
    pairs
        Loads, at letters, of what need not be there as a whole: of these products, and of what is part of `whole`.
    """
    try:
        return _Streaming(whole, made, pairs).stream()
    except NotStreamed:
        return None


@dataclass
class _Scaled:
    """The largest entry so far, the factor of what depends on it, and that: sums by the other factors of terms."""

    top: Temporary
    scale: Temporary
    sums: dict[tuple[Term, ...], Temporary] = field(default_factory=dict)


class _Streaming:
    """A statement that is being turned into a stream."""

    def __init__(self, whole: Statement, made: Sequence[Statement], pairs: Sequence[Term]) -> None:
        self.whole = whole
        own = dict(whole.letters)
        names = {a.data for t in pairs for a in t.arguments}
        names |= _of_rows(whole.body, own, names)
        self.body = renamed(whole.body, dict.fromkeys(names.difference(own), ALL))
        found = {t.data[1] for t in parts(self.body) if _is_reduction(t)}
        rows = tuple(loop for loop in whole.letters if loop[0] in names)
        if any(t.dtype in HALVES for t in parts(self.body)):
            raise NotStreamed  # states would be rounded from tile to tile
        if not rows or len(found) != 1 or len(next(iter(found))) != 1 or ALL in self.body.free:
            raise NotStreamed
        ((self.column,),) = found
        self.batch, self.row = rows[:-1], rows[-1]
        if any(t.kind == "fold" and self.row[0] not in t.free for t in parts(self.body)):
            raise NotStreamed  # it would be computed anew for every block, or every row
        if any(_is_reduction(t) and not t.free <= own.keys() for t in parts(self.body)):
            raise NotStreamed  # it stands in a fold, of which no state knows the letter
        self.others = tuple(loop for loop in whole.letters if loop not in rows)
        self.letters: dict[Temporary, tuple[Loop, ...]] = {}
        self.kept: dict[Term, Temporary] = {}
        self.tiles: dict[Buffer, tuple[Temporary, Statement]] = {}
        for term in parts(self.body):
            for statement in made:
                if term.kind == "load" and term.data[0] is statement.target:
                    self._tile(statement, term)
        self.plain: dict[Term, Temporary] = {}
        self.scaled: dict[Term, _Scaled] = {}
        self.value = changed(self.body, self._state)

    def stream(self) -> Stream:
        start = [
            self._whole(target, number_at)
            for term, target in self.plain.items()
            for number_at in [identity(term.data[0], term.dtype)]
        ]
        for scaled in self.scaled.values():
            start.append(self._whole(scaled.top, identity("max", scaled.top.tensor.dtype)))
            start += [self._whole(target, number(0, target.tensor.dtype)) for target in scaled.sums.values()]
        each = [statement for _, statement in self.tiles.values()]
        each += [s for term, target in self.plain.items() for s in self._plain_steps(term, target)]
        each += [s for entry, scaled in self.scaled.items() for s in self._scaled_steps(entry, scaled)]
        place = self._local(self.whole.place, COLUMN)
        letters = tuple((ROW, named(ROW_COUNT)) if loop == self.row else loop for loop in self.whole.letters)
        letters = tuple(loop for loop in letters if loop not in self.batch)
        end = Statement(self.whole.target, letters, place, self._local(self.value, COLUMN))
        return Stream(
            self.whole,
            self.batch,
            self.row,
            self.column,
            tuple(map(finished, _together(start))),
            tuple(map(finished, each)),
            (finished(end),),
        )

    # ---- what is a state

    def _tile(self, made: Statement, term: Term) -> None:
        """The part of a product that a tile needs; it may be read at one place alone."""
        names = {n: a.data for (n, _), a in zip(made.letters, term.arguments, strict=True)}
        if set(names.values()) != {ALL, *(n for n, _ in self.batch), self.row[0]}:
            raise NotStreamed
        body = self._local(renamed(made.body, names), COLUMN)
        known = self.tiles.get(made.target)
        if known is not None and known[1].body is not body:
            raise NotStreamed
        target = Temporary("tile", TensorType(made.body.dtype, [ROWS, COLUMNS]))
        self.tiles.setdefault(made.target, (target, self._pairwise(target, body)))

    def _state(self, t: Term) -> Term | None:
        """What stands for a reduction over all columns when every tile has been taken in."""
        if not _is_reduction(t):
            return None if _has_reduction(t) else t
        operator, body = t.data[0], t.arguments[0]
        if operator == "logsumexp" and len(t.arguments) == 1:
            top = fold("max", t.dtype, t.data[1], body)
            total = fold("sum", t.dtype, t.data[1], call("exp", t.dtype, call("sub", t.dtype, body, top)))
            total, top = changed(total, self._state), changed(top, self._state)
            sum_ = call("add", t.dtype, top, call("log", t.dtype, total))
            return call("select", t.dtype, call("isinf", BOOL, top), top, sum_)
        if not any(map(_has_reduction, t.arguments)):
            return self._plain(t)
        if operator != "sum" or len(t.arguments) > 1:
            raise NotStreamed
        return self._sum(t, _factors(body))

    def _plain(self, t: Term) -> Term:
        if t.data[0] not in COMBINE:
            raise NotStreamed
        if t.data[0] == "max" and len(t.arguments) == 1 and t.arguments[0] in self.scaled:
            return self._entry(self.scaled[t.arguments[0]].top)
        if t not in self.plain:
            self.plain[t] = self._temporary(t.data[0], t)
        return self._entry(self.plain[t])

    def _sum(self, t: Term, factors: list[tuple[str, Term]]) -> Term:
        """A sum of terms with the exponential of how far an entry is below the largest."""
        inside = [f for f in factors if ALL in f[1].free]
        weights = [f for f in inside if _has_reduction(f[1])]
        entry = _below_largest(weights[0][1]) if len(weights) == 1 else None
        if entry is None or any(operator != "mul" for operator, _ in inside):
            raise NotStreamed
        if entry.free.intersection(n for n, _ in self.others):
            raise NotStreamed
        known = self.scaled.get(entry)
        if known is None:
            known = _Scaled(self._temporary("top", entry), self._temporary("scale", entry))
            self.scaled[entry] = known
        rest = tuple(f for f in inside if f is not weights[0])
        key = tuple(factor for _, factor in rest)
        if key not in known.sums:
            known.sums[key] = self._temporary("sum", _product(t.dtype, [entry, *key]))
        top = self._entry(known.top)
        # where the largest entry is infinite the differences to it are NaN, as without tiles
        value = call("add", t.dtype, self._entry(known.sums[key]), call("sub", t.dtype, top, top))
        for operator, factor in factors:
            if ALL not in factor.free:
                value = call(operator, t.dtype, value, changed(factor, self._state))
        return value

    def _temporary(self, name: str, t: Term) -> Temporary:
        """A state of each row, and of each value of the other letters on which a term depends."""
        others = [loop for loop in self.others if loop[0] in t.free]
        made = Temporary(name, TensorType(t.dtype, [ROWS, *(e for _, e in others)]))
        self.letters[made] = ((ROW, named(ROW_COUNT)), *others)
        return made

    # ---- steps

    def _plain_steps(self, term: Term, target: Temporary) -> list[Statement]:
        """A reduction of the tile, and that taken into the state."""
        factors = _factors(term.arguments[0])
        if term.data[0] == "sum" and len(term.arguments) == 1 and len(self.letters[target]) > 1:
            inside = [f for operator, f in factors if operator == "mul"]
            if len(inside) == len(factors):
                return self._product_steps(target, inside)
        operator, (body, *guard) = term.data[0], (self._local(a, PART) for a in term.arguments)
        part = fold(operator, term.dtype, [(PART, named(COLUMN_COUNT))], body, *guard)
        return [self._whole(target, call(COMBINE[operator], term.dtype, self._entry(target), part))]

    def _scaled_steps(self, entry: Term, scaled: _Scaled) -> list[Statement]:
        dtype = entry.dtype
        top, scale = self._entry(scaled.top), self._entry(scaled.scale)
        here = self._local(entry, PART)
        largest = call("maximum", dtype, top, fold("max", dtype, [(PART, named(COLUMN_COUNT))], here))
        found = self._whole(scaled.scale, largest)
        # no entry is below -inf: 0 in its place makes all exponentials 0 until there is a finite one
        factor = call("exp", dtype, call("sub", dtype, top, _finite(scale)))
        both = replace(self._whole(scaled.scale, factor), beside=(self._whole(scaled.top, scale),))
        steps = [found if entry.kind == "load" else self._keeping(found, entry, "entries"), both]
        weight = call("exp", dtype, call("sub", dtype, entry, _finite(top)))
        singles = {rest: t for rest, t in scaled.sums.items() if len(self.letters[t]) == 1}
        for rest, target in singles.items():
            part = fold(
                "sum", dtype, [(PART, named(COLUMN_COUNT))], self._local(_product(dtype, [weight, *rest]), PART)
            )
            total = call("add", dtype, call("mul", dtype, self._entry(target), scale), part)
            made = self._whole(target, total)
            is_last = len(singles) == 1 and len(scaled.sums) > 1 and not rest
            steps.append(self._keeping(made, weight, "weights") if is_last else made)
        for rest, target in scaled.sums.items():
            if rest not in singles:
                steps.append(self._whole(target, call("mul", dtype, self._entry(target), scale)))
                steps += self._product_steps(target, [weight, *rest])
        return steps

    def _keeping(self, statement: Statement, term: Term, name: str) -> Statement:
        """A statement whose folds store what a term is, from where it is read from then on."""
        local = self._local(term, PART)
        read = [t.data[0] for t in parts(local) if t.kind == "load" and t.data[0].tensor.dims == (ROWS, COLUMNS)]
        # its own place will do where it alone reads what it was made of
        is_only = len(self.scaled) == 1 and not self.plain and len(read) == 1
        target = read[0] if is_only else Temporary(name, TensorType(term.dtype, [ROWS, COLUMNS]))
        self.kept[term] = target
        return replace(statement, kept=((local, target, _tile_place(PART)),))

    def _product_steps(self, target: Temporary, factors: Sequence[Term]) -> list[Statement]:
        """The product of a tile, made of all factors that do not depend on other letters, and the rest."""
        others = {n for n, _ in self.letters[target][1:]}
        dtype = target.tensor.dtype
        left = [f for f in factors if not f.free & others]
        right = _product(dtype, [f for f in factors if f.free & others])
        if not left or left[0].kind == "load":
            raise NotStreamed  # a product of products: there is nothing to do with the first
        steps = []
        weights = _product(dtype, left)
        if weights not in self.kept:
            tile = Temporary("weights", TensorType(dtype, [ROWS, COLUMNS]))
            steps.append(self._pairwise(tile, self._local(weights, COLUMN)))
            self.kept[weights] = tile
        body = call("mul", dtype, self._local(weights, PART), self._local(right, PART))
        added = self._whole(target, fold("sum", dtype, [(PART, named(COLUMN_COUNT))], body))
        return [*steps, replace(added, is_added=True)]

    def _pairwise(self, target: Temporary, body: Term) -> Statement:
        letters = ((ROW, named(ROW_COUNT)), (COLUMN, named(COLUMN_COUNT)))
        return Statement(target, letters, _tile_place(COLUMN), body)

    def _whole(self, target: Temporary, body: Term) -> Statement:
        """A statement for all entries of a state."""
        return Statement(target, self.letters[target], self._place(target), body)

    def _place(self, target: Temporary) -> Term:
        return places.composed([letter(n) for n, _ in self.letters[target]], target.tensor.dims)

    def _entry(self, target: Temporary) -> Term:
        return load(target, target.tensor.dtype, [self._place(target)])

    def _local(self, term: Term, column: str) -> Term:
        """A term at the letters of the block; products and what is kept are read from their tiles."""

        def tile(t: Term) -> Term | None:
            found = self.kept.get(t)
            if found is None and t.kind == "load" and t.data[0] in self.tiles:
                found = self.tiles[t.data[0]][0]
            return None if found is None else load(found, t.dtype, [_tile_place(column)])

        term = changed(term, tile)
        for name, _ in self.batch:
            term = moved(term, name, size(named(at(name))))
        for name, first, local in ((self.row[0], FIRST_ROW, ROW), (ALL, FIRST_COLUMN, column)):
            term = moved(term, name, Sum(named(first), {local: 1}).term())
        return term


def _of_rows(body: Term, own: Collection[str], names: Collection[str]) -> set[str]:
    """The letters of reductions of whole rows that are as long as those that go through pairs."""
    loops = [(t, *t.data[1][0]) for t in parts(body) if t.kind == "fold" and len(t.data[1]) == 1]
    lengths = {extent for _, name, extent in loops if name in names and name not in own}
    return {name for t, name, extent in loops if extent in lengths and t.free <= set(own) and t.free & set(names)}


def _together(statements: Sequence[Statement]) -> list[Statement]:
    """Statements that do not read each other, those over the same letters as one."""
    groups: dict[tuple[Loop, ...], list[Statement]] = {}
    for statement in statements:
        groups.setdefault(statement.letters, []).append(statement)
    return [replace(first, beside=tuple(others)) for first, *others in groups.values()]


def _tile_place(column: str) -> Term:
    return places.composed([letter(ROW), letter(column)], [ROWS, COLUMNS])


def _is_reduction(t: Term) -> bool:
    return t.kind == "fold" and any(name == ALL for name, _ in t.data[1])


def _has_reduction(t: Term) -> bool:
    return any(map(_is_reduction, parts(t)))


def _factors(term: Term, operator: str = "mul") -> list[tuple[str, Term]]:
    """What is multiplied and divided in a term."""
    if term.kind == "call" and term.data in ("mul", "div"):
        left, right = term.arguments
        inverse = "div" if operator == "mul" else "mul"
        return [*_factors(left, operator), *_factors(right, operator if term.data == "mul" else inverse)]
    return [(operator, term)]


def _product(dtype: DType, factors: Sequence[Term]) -> Term:
    total, *rest = factors
    for factor in rest:
        total = call("mul", dtype, total, factor)
    return total


def _below_largest(term: Term) -> Term | None:
    """The x of `exp(x[i, j] - max[j](x[i, j]))`."""
    if term.kind != "call" or term.data != "exp" or term.arguments[0].kind != "call":
        return None
    (below,) = term.arguments
    if below.data != "sub":
        return None
    entry, top = below.arguments
    is_top = _is_reduction(top) and top.data[0] == "max" and top.arguments == (entry,)
    return entry if is_top and not _has_reduction(entry) else None


def _finite(top: Term) -> Term:
    """The largest entry, or 0 where there is none above -inf."""
    dtype = top.dtype
    is_none = call("eq", BOOL, top, number(float("-inf"), dtype))
    return call("select", dtype, is_none, number(0, dtype), top)
