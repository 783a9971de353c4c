"""Entries of operands in index notation: slices, diagonals, reshapes and gathers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tpc.backends.code import Guards, Part, Value, fill, shape_source
from tpc.ir.affine import affine, bounds
from tpc.ir.dims import DimLike, is_nonnegative, product
from tpc.ir.formula import Access, Composed, LetterValue, Scalar, free_letters
from tpc.ir.types import INT

if TYPE_CHECKING:
    from tpc.backends.notation import _Translation


@dataclass(frozen=True)
class _Axis:
    """How one axis of an operand is read: by a letter, at a place, over several letters, or by positions."""

    letters: tuple[str, ...] = ()
    item: str = ":"
    flipped: bool = False
    split: bool = False
    scalar: Scalar | None = None  # positions, if it is a gather


class Reader:
    """Reads accesses for a translation."""

    def __init__(self, translation: _Translation) -> None:
        self.at = translation

    def plain(self, access: Access) -> Part | None:
        """The operand itself, if every axis is read whole by a letter of its own."""
        dims = self.at.dims[access.operand]
        letters = []
        for index, dim in zip(access.indices, dims, strict=True):
            if not isinstance(index, LetterValue) or self.at.extents[index.name] != dim:
                return None
            letters.append(index.name)
        if len(set(letters)) < len(letters) or not letters:
            return None
        return Part(self.at.operands[access.operand], tuple(letters))

    def read(self, access: Access, order: tuple[str, ...], guards: Guards) -> Part:
        """The array of an access over its letters in the given order."""
        dims = self.at.dims[access.operand]
        value = self.at.operands[access.operand]
        if not access.indices:
            return Part(value)
        axes = [self.axis(i, d, access, guards) for i, d in zip(access.indices, dims, strict=True)]
        gathers = [a for a in axes if a.scalar is not None]
        simple = [n for a in axes if a.scalar is None for n in a.letters]
        taken = {n for a in gathers if a.scalar is not None for n in free_letters(a.scalar)}
        if not gathers and all(simple.count(n) <= 2 for n in simple):
            return self.slices(value, axes, order)
        whole = all(a == _Axis(a.letters) and len(a.letters) == 1 for a in axes if a.scalar is None)
        alone = len(gathers) == 1 and not taken & set(simple) and len(set(simple)) == len(simple)
        if whole and alone and not guards and access.pad is None:
            return self.gather_one(value, axes, order, dims)
        return self.gather_all(access, order, guards)

    def axis(self, index: Scalar | Composed, dim: DimLike, access: Access, guards: Guards) -> _Axis:
        extent = self.at.extents
        if isinstance(index, Composed):
            letters = tuple(n for n in index.letters)
            return _Axis(letters, split=len(letters) != 1)
        form = affine(index)
        if form is None or len(form.slopes) > 1:
            return _Axis(scalar=index)
        if guards or access.pad is not None:
            limits = bounds(form, extent)
            if limits is None or not (is_nonnegative(limits[0]) and is_nonnegative(dim - 1 - limits[1])):
                return _Axis(scalar=index)
        if not form.slopes:
            return _Axis(item=self.at.scribe.size(form.constant))
        ((letter, slope),) = form.slopes.items()
        if not isinstance(slope, int):
            return _Axis(scalar=index)
        return self.slice(letter, slope, form.constant, dim)

    def slice(self, letter: str, slope: int, start: DimLike, dim: DimLike) -> _Axis:
        """`start + slope * letter` as a slice, turned round where the slope is negative."""
        size = self.at.scribe.size
        count = self.at.extents[letter]
        if slope == 1 and start == 0 and count == dim:
            return _Axis((letter,))
        if count == 0:
            return _Axis((letter,), "0:0", slope < 0)  # a stop before the start could be counted from the end
        span = (count - 1) * abs(slope)
        low = start if slope > 0 else start - span
        stop = low + span + 1
        if not (isinstance(count, int) or abs(slope) == 1):
            # an empty range must not wrap round: its end would lie before its start
            return _Axis((letter,), f"{size(low)}:max({size(low)}, {size(stop)}):{abs(slope)}", slope < 0)
        text = f"{'' if low == 0 else size(low)}:{'' if stop == dim else size(stop)}"
        return _Axis((letter,), text + (f":{abs(slope)}" if abs(slope) != 1 else ""), slope < 0)

    def slices(self, value: Value, axes: Sequence[_Axis], order: Sequence[str]) -> Part:
        """Axes that are all letters, places, or composed of letters."""
        dialect = self.at.dialect
        text, depth = value.text, value.depth
        if any(a.item != ":" for a in axes):
            text, depth = fill("{0}[{items}]", text, items=", ".join(a.item for a in axes)), depth + 1
        kept = [a for a in axes if a.letters or a.split]
        for position, a in enumerate(kept):
            if a.flipped:
                text, depth = dialect.flip(text, position), depth + 1
        if any(a.split for a in kept):
            parts = [n for a in kept for n in a.letters]
            text = dialect.reshape(text, shape_source([self.at.extent(n) for n in parts]))
            depth += 1
        letters = [n for a in kept for n in a.letters]
        for letter in dict.fromkeys(letters):
            if letters.count(letter) == 2:
                first, second = (n for n, x in enumerate(letters) if x == letter)
                text = dialect.diagonal(text, first - len(letters), second - len(letters))
                letters = [*(n for n in letters if n != letter), letter]
                depth += 1
        wanted = [n for n in order if n in letters]
        if letters != wanted:
            text = dialect.permute(text, [letters.index(n) for n in wanted])
            depth += 1
        return Part(Value(text, value.dtype, len(wanted), value.python, depth), tuple(wanted))

    def positions(self, scalar: Scalar, dim: DimLike, order: tuple[str, ...], guards: Guards, checked: bool) -> Part:
        """The positions that an index gives, tested where only the run can tell that they fit."""
        part = self.at.part(scalar, order, guards)
        if not checked or affine(scalar) is not None:
            return part
        text = f"{self.at.scribe.helper('_inside')}({part.value.text}, {self.at.scribe.size(dim)})"
        return Part(Value(text, part.value.dtype, part.value.rank, depth=part.value.depth + 1), part.letters)

    def gather_one(self, value: Value, axes: Sequence[_Axis], order: tuple[str, ...], dims: Sequence[DimLike]) -> Part:
        """One axis is read at positions, the others whole or in slices."""
        letters: list[str] = []
        items = []
        for a, dim in zip(axes, dims, strict=True):
            if a.scalar is None:
                items.append(":")
                letters += a.letters
            else:
                found = self.positions(a.scalar, dim, order, (), True)
                items.append(self.at.scribe.named(found.value).text)
                letters += found.letters
        while items[-1] == ":":
            items.pop()
        text = fill("{0}[{items}]", value.text, items=", ".join(items))
        wanted = [n for n in order if n in letters]
        if letters != wanted:
            text = self.at.dialect.permute(text, [letters.index(n) for n in wanted])
        return Part(Value(text, value.dtype, len(wanted), depth=value.depth + 1), tuple(wanted))

    def gather_all(self, access: Access, order: tuple[str, ...], guards: Guards) -> Part:
        """Every axis is read at positions that broadcast against each other."""
        at = self.at
        dims = at.dims[access.operand]
        safe = bool(guards) or access.pad is not None
        parts = []
        for index, dim in zip(access.indices, dims, strict=True):
            if isinstance(index, Composed):
                parts.append(self.composed(index, order))
            else:
                parts.append(self.positions(index, dim, order, guards, not safe))
        pad = at.part(access.pad, order, guards) if access.pad is not None else None
        tested = guards if any(not isinstance(i, Composed) and affine(i) is None for i in access.indices) else ()
        guard = None if pad else self.guard(tested, order)
        letters = at.union([*parts, *(p for p in (pad, guard) if p)], order)
        texts = [at.aligned(p, letters) for p in parts]
        value = at.operands[access.operand]
        if safe:
            outside = at.aligned(pad, letters) if pad else "0"
            more = f", {at.aligned(guard, letters)}" if guard else ""
            text = f"{at.scribe.helper('_entries')}({value.text}, {shape_source(texts)}, {outside}{more})"
        else:
            text = fill("{0}[{items}]", value.text, items=", ".join(texts))
        depth = 1 + max(p.value.depth for p in parts)
        letters = at.union(parts, order) if not safe else letters
        return Part(Value(text, value.dtype, len(letters), depth=depth + 1), letters)

    def guard(self, guards: Guards, order: tuple[str, ...]) -> Part | None:
        """Where all guards hold: only there must a position that the run tells lie inside of its axis."""
        total: Part | None = None
        for guard in guards:
            part = self.at.part(guard, order, ())
            total = part if total is None else self.at.apply("logical_and", [total, part], order)
        return total

    def composed(self, index: Composed, order: tuple[str, ...]) -> Part:
        """The position in an axis made of several letters."""
        total: Part | None = None
        for n, letter in enumerate(index.letters):
            rest = product(self.at.extents[x] for x in index.letters[n + 1 :])
            part = self.at.part(LetterValue(letter), order, ())
            if rest != 1:
                factor = Part(Value(self.at.scribe.size(rest), INT, python=True))
                part = self.at.apply("mul", [part, factor], order)
            total = part if total is None else self.at.apply("add", [total, part], order)
        return total or Part(Value("0", INT, python=True))
