"""Programs as native functions in files, for C and for Python without tpc."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tpc.dsl.diagnostics import Label, fail
from tpc.function import Function
from tpc.ir.notes import keeping
from tpc.passes.pipeline import Options, run

if TYPE_CHECKING:
    from tpc.backends.llvm.signature import Native
    from tpc.dsl.diagnostics import TpcError
    from tpc.ir.node import Node
    from tpc.passes.pipeline import Plan


def native(function: Function, options: Options) -> Native:
    """The native function of a program: of its plan at the sizes of the options, and at usual ones where they are open.

    Raises
    ------
    TpcError
        E1006 if a part of it has no native code.
    """
    from tpc.backends.llvm.lines import Lines
    from tpc.backends.llvm.lower import lower, refusal

    plan = run(function.generic(), options, notes=function.module.notes)
    for node in plan.program.nodes:
        reason = refusal(node)
        if reason is not None:
            raise _refused(function, plan, node, reason)
    notes = plan.notes.copy()
    with keeping(notes):  # what is rewritten on the way keeps its place
        lines = Lines(notes.spans, function.span)
        return lower(plan.program, function.name, fast=options.mode == "fast", lines=lines)


def _refused(function: Function, plan: Plan, node: Node, reason: str) -> TpcError:
    """That the program is not native as a whole, at the first value for which it is not."""
    name = plan.notes.names.get(node)
    users = [node, *(other for other in plan.program.nodes if node in other.args)]
    span = next((plan.notes.spans[n] for n in users if n in plan.notes.spans), function.span)
    return fail(
        "E1006",
        f"`{function.name}` has no native code as a whole",
        Label(span, f"`{name}` is not native: {reason}" if name else reason),
        help="write it as a module of Python (`--emit python`), or make that value a parameter; called from Python "
        'with `backend="llvm"`, all other parts are native',
    )
