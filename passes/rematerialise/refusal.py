"""The message where no plan fits a budget."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tpc.dsl.diagnostics import Label, TpcError, fail
from tpc.ir.notes import place
from tpc.ir.ops.structure import CONSTANT, INPUT

if TYPE_CHECKING:
    from tpc.dsl.source import Span
    from tpc.passes.memory.liveness import Liveness

SHOWN = 4  # of the values that are held, the largest


def refusal(name: str, budget: int, lowest: Liveness) -> TpcError:
    """E0908, with what the plan that holds least holds where it holds most."""
    spans: dict[Span, int] = {}
    for buffer in lowest.alive(lowest.position):
        span = place(buffer.node)
        if span is not None and buffer.node.op not in (INPUT, CONSTANT):
            spans[span] = spans.get(span, 0) + buffer.bytes
    largest = sorted(spans, key=lambda span: -spans[span])[:SHOWN]
    labels = [Label(span, f"{spans[span]:,} bytes of this are held where most is held") for span in largest]
    notes = [f"arguments and constants take {lowest.held:,} of them"] if lowest.held else []
    unplaced = [
        b for b in lowest.alive(lowest.position) if place(b.node) is None and b.node.op not in (INPUT, CONSTANT)
    ]
    if unplaced:
        made = ", ".join(f"{b.type} of `{b.node.op.name}`" for b in unplaced[:SHOWN])
        notes.append(f"values that tpc made take {sum(b.bytes for b in unplaced):,} of them: {made}")
    return fail(
        "E0908",
        f"`{name}` does not fit into {budget:,} bytes; the least that was found is {lowest.peak:,} bytes",
        *labels,
        notes=notes,
        help="allow as much, or make the values smaller that are held then",
    )
