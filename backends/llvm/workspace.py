"""Where the temporaries of a native function lie in its workspace: those that are not needed at one time share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tpc.backends.llvm.fusion.blocks import Block
from tpc.backends.llvm.fusion.loop import Routine
from tpc.backends.llvm.fusion.statement import Buffer, Statement
from tpc.backends.llvm.fusion.stream import Stream
from tpc.ir.dims import DimLike
from tpc.passes.memory.placement import OpenSpan, Span, place, place_open


def laid_out(
    steps: Sequence[Any], needed: Mapping[Any, DimLike], same: Mapping[Buffer, Buffer]
) -> tuple[dict[Any, DimLike], DimLike]:
    """Offsets for what steps need memory for, and the bytes of all of it.

    Parameters
    ----------
    needed
        Bytes of each temporary, and of the room that a step takes for itself under the step.
    same
        Of what is read, which buffer it is.
    """
    last = len(steps)
    spans = dict.fromkeys(needed, (0, last))  # steps that hold others keep all that is theirs
    if all(isinstance(step, (Statement, Block, Stream, Routine)) for step in steps):
        first: dict[Any, int] = {}
        stop: dict[Any, int] = {}
        for number, step in enumerate(steps):
            for key in _mentioned(step):
                while key in same:
                    key = same[key]
                first.setdefault(key, number)
                stop[key] = number + 1
        spans = {key: (first.get(key, 0), stop.get(key, last)) for key in needed}
    order = sorted(needed, key=lambda key: spans[key][0])
    sizes = [needed[key] for key in order]
    closed = [size for size in sizes if isinstance(size, int)]
    if len(closed) == len(sizes):
        found = place([Span(size, *spans[key]) for key, size in zip(order, closed, strict=True)])
        return dict(zip(order, found.offsets, strict=True)), found.bytes
    offsets, total = place_open([OpenSpan(needed[key], *spans[key]) for key in order])
    return dict(zip(order, offsets, strict=True)), total


def _mentioned(step: Statement | Block | Stream | Routine) -> Iterable[Any]:
    """What a step reads or writes, and the step itself for the room that it takes."""
    if isinstance(step, Statement):
        return _of_statement(step)
    if isinstance(step, Routine):
        return [step, *step.operands, *step.given]
    inner = [*step.statements, *([step.whole] if isinstance(step, Stream) else [])]
    found: list[Any] = [step]
    if isinstance(step, Block) and step.routine is not None:
        found += _mentioned(step.routine)
    for part in inner:
        found += _mentioned(part)
    return found


def _of_statement(statement: Statement) -> list[Buffer]:
    targets = [s.target for s in statement.together]
    kept = [buffer for s in statement.together for _, buffer, _ in s.kept]
    return [*targets, *kept, *statement.reads]
