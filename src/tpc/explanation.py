"""A compiled program as a table: each line of it with its operations, bytes and facts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tpc.cost import Cost, cost, node_bytes, node_flops
from tpc.dsl.source import Source, Span
from tpc.ir.dims import DimLike, dim_text, substitute
from tpc.ir.elaborate.module import check
from tpc.ir.facts import analyse, closure
from tpc.ir.node import Fact, Node, Program
from tpc.ir.ops.structure import CONSTANT, ConstantData
from tpc.ir.text import program_text
from tpc.ir.types import DType
from tpc.memory import amount

if TYPE_CHECKING:
    from tpc.passes.pipeline import Plan

HIDDEN = ("const", "param")  # facts that say nothing of the value


class _SameConstants:
    """`Files` for a printed program: its constants are those of the program that was printed."""

    def __init__(self, program: Program) -> None:
        self.constants = {n["data"].path: n["data"] for n in program.walk() if n.op is CONSTANT}

    def program(self, path: str, origin: Source, span: Span) -> Source:
        raise AssertionError(path)  # a printed program uses no other

    def array(self, path: str, origin: Source, span: Span, wanted: DType | None = None) -> ConstantData:
        found: ConstantData = self.constants[path]
        return found


def table(program: Program, names: Mapping[Node, str], sizes: Mapping[str, int]) -> list[tuple[str, str, str, str]]:
    """The lines of a program, each with its flops, bytes and facts (empty where there is nothing to say)."""
    text = program_text(program, names)
    source = Source(text, "<plan>")
    spans = check(source, _SameConstants(program)).module.notes.spans
    facts = analyse(program)
    at_line: dict[int, list[Node]] = {}
    for node in [*program.inputs, *program.nodes]:
        if node in spans and spans[node].source is source:
            at_line.setdefault(source.position(spans[node].start)[0], []).append(node)
    rows = []
    for number, line in enumerate(text.splitlines(), 1):
        nodes = at_line.get(number, [])
        flops: DimLike = 0
        moved: DimLike = 0
        for node in nodes:
            flops += substitute(node_flops(node), sizes)
            moved += substitute(node_bytes(node), sizes)
        known = sorted({str(f) for n in nodes for f in _worth_showing(n, facts.get(n, frozenset()))})
        is_step = any(node.args for node in nodes)
        rows.append((line, _count(flops) if is_step else "", _bytes(moved) if is_step else "", ", ".join(known)))
    return rows


def _worth_showing(node: Node, facts: frozenset[Fact]) -> frozenset[Fact]:
    if node.op.name == "input":
        return frozenset()  # they stand in the declaration
    return frozenset(_strongest(node, facts))


def _strongest(node: Node, facts: frozenset[Fact]) -> set[Fact]:
    """The facts without those that follow from the others."""
    kept = {f for f in facts if f.name not in HIDDEN}
    reach = {f: closure(node.tensor, frozenset((f,))) for f in kept}
    for fact in sorted(kept, key=lambda f: (len(reach[f]), str(f))):
        if fact in closure(node.tensor, frozenset(kept - {fact})):
            kept.discard(fact)
    return kept


def _count(dim: DimLike) -> str:
    return f"{dim:,}" if isinstance(dim, int) else dim_text(dim)


def _bytes(dim: DimLike) -> str:
    return amount(dim) if isinstance(dim, int) else dim_text(dim)


def cost_lines(total: Cost) -> list[str]:
    """The cost of a whole program in words."""
    flops = f"{total.flops:,}" if isinstance(total.flops, int) else total.flops
    moved, peak = (amount(b) if isinstance(b, int) else f"{b} bytes" for b in (total.bytes, total.peak_bytes))
    return [
        f"operations   {flops}",
        f"memory moved {moved}",
        f"peak memory  {peak}",
        "time         not predicted yet",
    ]


def explain(plan: Plan, names: Mapping[Node, str], sizes: Mapping[str, int]) -> str:
    """The plan as text: what changed on the way, its lines with cost and facts, and the totals."""
    rows = [("", "flops", "bytes", "facts"), *table(plan.program, names, sizes)]
    width = min(max(len(row[0]) for row in rows), 72)
    columns = [max(len(row[k]) for row in rows) for k in (1, 2)]
    lines = []
    for code, flops, moved, facts in rows:
        if not (flops or moved or facts):
            lines.append(code)
            continue
        lines.append(f"{code:<{width}}  {flops:>{columns[0]}}  {moved:>{columns[1]}}  {facts}".rstrip())
    changed = ", ".join(name for name, _ in plan.steps)
    lines += ["", f"passes that changed it: {changed}" if changed else "no pass changed it", ""]
    lines += cost_lines(cost(plan.program, sizes))
    if sizes:
        lines.append(f"sizes        {', '.join(f'{n} = {v}' for n, v in sizes.items())}")
    return "\n".join(lines) + "\n"


def as_html(title: str, written: str, text: str) -> str:
    """Program and table for a notebook."""
    from html import escape

    return (
        f"<div><b>{escape(title)}</b><pre>{escape(written)}</pre>"
        f"<details><summary>what runs</summary><pre>{escape(text)}</pre></details></div>"
    )
