"""What the lines of an op conclude from what is known of its operands."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any

from tpc.ir.dims import DimLike
from tpc.ir.facts.blocks import joined, of_blocks
from tpc.ir.facts.closing import Reason
from tpc.ir.facts.lines import Known, Line, Place, lines
from tpc.ir.facts.vocabulary import OF_USE
from tpc.ir.node import Fact
from tpc.ir.op import Op
from tpc.ir.ops.structure import At, Range
from tpc.ir.types import TensorType

OF_BLOCKS = ("lower", "upper", "symmetric", "psd", "spd", "unit_diagonal")
"""What a matrix shares with its blocks on the diagonal; the first two, with those that are not square too."""

COMMUTATIVE = frozenset({"add", "mul", "maximum", "minimum", "dot"})


def derive(
    op: Op,
    attributes: Mapping[str, Any],
    operands: Sequence[Known | None],
    type: TensorType,
    about: str = "this",
    nonnegative: Sequence[DimLike] = (),
) -> Iterator[tuple[Fact, Reason]]:
    """What an op says of its result, given what is known of its operands.

    Parameters
    ----------
    operands : sequence
        None for an operand that is no single tensor.
    type : TensorType
        That of the result.
    about : str
        `this`, or `this0`, `this1`, ... of an op with several results.
    nonnegative : sequence
        Sizes that are known not to be negative (see `nonnegative_sizes`).
    """
    for _, fact, reason in _applied(op, attributes, operands, Known(type), about, about, nonnegative):
        yield fact, reason
    match op.name:
        case "literal" | "size":
            yield from _of_number(tuple(attributes.items()), tuple(nonnegative))
        case "concat" | "stack":
            yield from _of_parts(op, attributes, operands, type, nonnegative)
        case "after":
            for fact in operands[0].facts if operands[0] is not None else ():
                if fact.name not in OF_USE:
                    yield fact, Reason("it is this value", ((0, fact),))
        case "subscript" | "split":
            yield from _of_entries(operands[0])
            if op.name == "subscript":
                yield from _of_block(attributes["items"], operands[0])


@lru_cache(maxsize=4096)
def _of_number(
    attributes: tuple[tuple[str, Any], ...], nonnegative: tuple[DimLike, ...]
) -> tuple[tuple[Fact, Reason], ...]:
    """Bounds of a number written in the program, or of a size."""
    found: list[Fact] = []
    given = dict(attributes)
    if "dim" in given:
        place = Place({}, nonnegative=nonnegative)
        found += [Fact("at_least", (k,)) for k in (2, 1, 0) if place.proves(given["dim"] - k)][:1]
    else:
        value = given["value"].value
        found += [Fact("nonzero")] * (value != 0)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            found += [Fact("at_least", (value,)), Fact("at_most", (value,))]
    return tuple((fact, Reason("it is a number")) for fact in found)


def _of_parts(
    op: Op,
    attributes: Mapping[str, Any],
    operands: Sequence[Known | None],
    type: TensorType,
    nonnegative: Sequence[DimLike],
) -> Iterator[tuple[Fact, Reason]]:
    parts = [known for known in operands if known is not None]
    yield from joined(parts)
    if op.name == "concat" and type.rank == 2:
        rows = attributes["axis"] in (0, -2)
        yield from of_blocks([[part] for part in parts] if rows else [parts], nonnegative)


def _of_entries(known: Known | None) -> Iterator[tuple[Fact, Reason]]:
    """What stays true of an array whose entries are entries of another."""
    for fact in known.facts if known is not None else ():
        if fact.name in ("at_least", "at_most", "nonzero"):
            yield fact, Reason("its entries are entries of this", ((0, fact),))


def _of_block(items: Sequence[At | Range], known: Known | None) -> Iterator[tuple[Fact, Reason]]:
    """What stays true of a block on the diagonal of a matrix; of one that is not square, where its zeros are."""
    rows, columns = items[-2:] if len(items) >= 2 else (None, None)
    if known is None or not isinstance(rows, Range) or not isinstance(columns, Range):
        return
    if (rows.start, rows.step) == (columns.start, columns.step):
        kept = OF_BLOCKS if rows.count == columns.count else OF_BLOCKS[:2]
        for fact in known.facts:
            if fact.name in kept:
                yield fact, Reason("it is a block on the diagonal of this", ((0, fact),))


def require(
    op: Op,
    attributes: Mapping[str, Any],
    operands: Sequence[Known | None],
    result: Known,
    nonnegative: Sequence[DimLike] = (),
) -> Iterator[tuple[int, Fact, Reason]]:
    """What operands must be like for the result to be as it is known: positions and facts of operands.

    In the reasons, None stands for the result. So `inv(A @ B)` of square A and B promises that both are nonsingular.
    """
    for position, fact, reason in _applied(op, attributes, operands, result, "this", "operands", nonnegative):
        assert position is not None
        yield position, fact, reason


def conflicts(
    op: Op,
    attributes: Mapping[str, Any],
    operands: Sequence[Known | None],
    result: Known,
    nonnegative: Sequence[DimLike] = (),
) -> Iterator[Reason]:
    """Facts of operands and of the result (None) that cannot all hold, such as those of `log` of a negative number."""
    for _, _, reason in _applied(op, attributes, operands, result, "this", "never", nonnegative):
        yield reason


@cache
def _lines(text: str, about: str) -> tuple[Line, ...]:
    """The lines that conclude something of a result by its name, of `operands`, or `never`."""

    def subject(line: Line) -> str:
        if line.fact == "never":
            return "never"
        return line.about if line.about.startswith("this") else "operands"

    return tuple(line for line in lines(text) if subject(line) == about)


Found = tuple[tuple[int | None, Fact, Reason], ...]


def _applied(
    op: Op,
    attributes: Mapping[str, Any],
    operands: Sequence[Known | None],
    result: Known,
    this: str,
    about: str,
    nonnegative: Sequence[DimLike],
) -> Found:
    if not _lines(op.facts, about):
        return ()
    return _cached(op, tuple(attributes.items()), _numbered(operands), result, this, about, tuple(nonnegative))


def _numbered(operands: Sequence[Known | None]) -> tuple[Known | None, ...]:
    """The operands with small numbers as identities, so that what was found for others of their kind is found again."""
    numbers: dict[Hashable, int] = {}

    def number(identity: Hashable) -> int | None:
        return None if identity is None else numbers.setdefault(identity, len(numbers))

    return tuple(k and Known(k.type, k.facts, number(k.identity), number(k.transposed)) for k in operands)


@lru_cache(maxsize=8192)
def _cached(
    op: Op,
    attributes: tuple[tuple[str, Any], ...],
    operands: tuple[Known | None, ...],
    result: Known,
    this: str,
    about: str,
    nonnegative: tuple[DimLike, ...],
) -> Found:
    found: dict[tuple[int | None, Fact], Reason] = {}
    order = range(len(operands))
    for positions in [order, order[::-1]] if op.name in COMMUTATIVE else [order]:
        named = dict(zip(op.tensors, positions))
        values = {name: known for name, p in named.items() if (known := operands[p]) is not None}
        place = Place({**values, this: result}, dict(attributes), nonnegative)
        present = {fact.name for known in place.values.values() for fact in known.facts}
        for line in _lines(op.facts, about):
            if not line.asked <= present:
                continue
            statement = line.statement
            for fact, used in statement.conclusions(place):
                reason = Reason(statement.text, tuple((named.get(name), f) for name, f in used))
                found.setdefault((named.get(statement.about), fact), reason)
    return tuple((position, fact, reason) for (position, fact), reason in found.items())
