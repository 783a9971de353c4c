"""Where in a program a promise stands that was broken while it ran."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tpc.dsl.diagnostics import Label
from tpc.ir.library import FILES
from tpc.ir.ops.promises import reason

if TYPE_CHECKING:
    from tpc.passes.pipeline import Plan


def labels(plan: Plan, message: str) -> list[Label]:
    """The place of the promise with this message, if there is but one, and it is in the program of the user."""
    promises = [node for node in plan.program.walk() if node.op.name == "require"]
    around = {node.args[0]: node for node in promises}  # several promises about one value: the last one has the place
    found = {}
    for node in promises:
        if reason(dict(node.attributes)) == message:
            while node not in plan.notes.spans and node in around:
                node = around[node]
            span = plan.notes.spans.get(node)
            if span is not None and span.source.name not in FILES:
                found[span] = Label(span, "here")
    return list(found.values()) if len(found) == 1 else []
