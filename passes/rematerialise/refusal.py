"""The message where no plan fits a budget."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tpc.dsl.diagnostics import Diagnostic, Label, TpcError, fail
from tpc.ir.notes import place
from tpc.ir.ops.structure import CONSTANT, INPUT

if TYPE_CHECKING:
    from tpc.dsl.source import Span
    from tpc.passes.memory.liveness import Buffer, Liveness

SHOWN = 4  # of the values that are held, the largest


class OverBudget(TpcError):
    """E0908; `least` are the bytes of the plan that holds least."""

    def __init__(self, diagnostics: Sequence[Diagnostic], least: int) -> None:
        super().__init__(diagnostics)
        self.least = least


def refusal(name: str, budget: int, lowest: Liveness, floor: int = 0) -> OverBudget:
    """E0908, with what the plan that holds least holds where it holds most, in loops as well; no order of
    its steps holds less than `floor` bytes."""
    spans: dict[Span, int] = {}
    unplaced: list[Buffer] = []
    inside: list[str] = []
    at: Liveness | None = lowest
    while at is not None:
        for buffer in at.alive(at.position):
            if buffer.node.op in (INPUT, CONSTANT):
                continue
            span = place(buffer.node)
            if span is None:
                unplaced.append(buffer)
            else:
                spans[span] = spans.get(span, 0) + buffer.bytes
        step = at.steps[at.position] if at.steps else None
        at = at.body(step.node) if step is not None else None
        if step is not None and step.workspace and at is None:
            inside.append(f"`{step.node.op.name}` takes {step.workspace:,} of them for itself while it runs")
    largest = sorted(spans, key=lambda span: -spans[span])[:SHOWN]
    labels = [Label(span, f"{spans[span]:,} bytes of this are held where most is held") for span in largest]
    notes = [f"arguments and constants take {lowest.held:,} of them"] if lowest.held else []
    if unplaced:
        made = ", ".join(f"{b.type} of `{b.node.op.name}`" for b in unplaced[:SHOWN])
        notes.append(f"values that tpc made take {sum(b.bytes for b in unplaced):,} of them: {made}")
    notes += inside
    if lowest.peak <= floor:
        notes.append("one step takes as much with its operands, so no order of the steps holds less")
    elif floor > budget:
        notes.append(f"one step takes {floor:,} with its operands, so no order of the steps holds less")
    told = fail(
        "E0908",
        f"`{name}` does not fit into {budget:,} bytes; the least that was found is {lowest.peak:,} bytes",
        *labels,
        notes=notes,
        help="allow as much, or make the values smaller that are held then",
    )
    return OverBudget(told.diagnostics, lowest.peak)
