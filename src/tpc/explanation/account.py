"""What there is to say of a compiled program: its lines with their kernels and costs, and how it came to be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tpc.cost import Cost, cost
from tpc.dsl.source import Source, Span
from tpc.ir.dims import DimLike, substitute
from tpc.ir.elaborate.module import check
from tpc.ir.facts import analyse, closure
from tpc.ir.facts.derivation import expression
from tpc.ir.node import Fact, Node, Program
from tpc.ir.ops.structure import CONSTANT, IF, ITEM, LITERAL, SCAN, SIZE, ConstantData
from tpc.ir.text import program_text
from tpc.ir.types import DType
from tpc.passes.choose.prices import USUAL, Prices
from tpc.passes.choose.value import Factors, Value
from tpc.passes.count import VIEWS, Totals, kernel_of, node_bytes, node_flops, node_seconds, totals
from tpc.passes.derivation import Derivation, derive

if TYPE_CHECKING:
    from tpc.passes.optimise import Optimised
    from tpc.passes.pipeline import Plan

HIDDEN = ("const", "param")  # facts that say nothing of the value
QUIET = ("view", "read", "leaf", "fill")  # ways that are no choice

# Kernels that a fact would allow in the place of others, by the kind of factors that was taken.
SPARED = {"lu": (("potrf", "spd"), ("sytrf", "symmetric")), "ldl": (("potrf", "spd"),)}


@dataclass(frozen=True)
class Line:
    """A line of the plan; counts are 0 and `is_step` false where nothing is computed."""

    code: str
    kernel: str = ""
    flops: DimLike = 0
    bytes: DimLike = 0
    seconds: float = 0.0
    facts: tuple[str, ...] = ()
    is_step: bool = False


@dataclass(frozen=True)
class Choice:
    """A value that could be computed in another way.

    Attributes
    ----------
    name
        Of the value, in the lines of the plan.
    kernel, other
        What computes it, and what would be the next best.
    extra
        Predicted seconds that the whole plan would take more.
    excluded
        Kernels that were out of the question, each with the fact that it needs.
    """

    name: str
    kernel: str
    other: str
    extra: float
    excluded: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Account:
    """All of it.

    Attributes
    ----------
    at
        The sizes at which seconds and totals are told; those in `assumed` are not known, and taken to be usual ones.
    cost
        Of the plan, as formulas where sizes are not known.
    written, chosen
        Totals of the program as written and of the plan.
    derivations
        How the plan came to be, and before it the bodies of its loops and branches; empty without a search.
    outcome
        How the search ended, in words.
    prices
        Where the predicted times come from, and why they may be off.
    """

    name: str
    program: Program
    plan: Plan
    at: Mapping[str, int]
    assumed: tuple[str, ...]
    cost: Cost
    written: Totals
    chosen: Totals
    lines: tuple[Line, ...]
    derivations: tuple[Derivation, ...]
    choices: tuple[Choice, ...]
    outcome: str
    prices: tuple[str, ...]


def account(program: Program, plan: Plan, sizes: Mapping[str, int]) -> Account:
    """Look at a plan of a program, at sizes as far as they are known."""
    from tpc.ir.sizes import free_sizes

    search = plan.search
    prices = _prices(plan)
    free = list(dict.fromkeys([*free_sizes(program), *free_sizes(plan.program)]))
    at = {name: sizes.get(name, USUAL) for name in [*free, *sizes]}
    assumed = tuple(name for name in free if name not in sizes)
    lines, named = _lines(plan.program, plan.notes.names, sizes, prices, at)
    written, chosen = totals(_before(program, plan), prices, at), totals(plan.program, prices, at)
    derivations = tuple(derive(s, names, at) for s, names in searches(search, plan.notes.names))
    return Account(
        program.name,
        program,
        plan,
        at,
        assumed,
        cost(plan.program, sizes, prices),
        written,
        chosen,
        lines,
        derivations,
        tuple(_choices(search, named)) if search is not None else (),
        _outcome(search),
        _told(prices, {kernel for line in lines for kernel in line.kernel.split(", ")}),
    )


def _prices(plan: Plan) -> Prices:
    if plan.search is not None:
        return plan.search.request.prices
    from tpc.passes.cost import profile

    return profile()


def searches(search: Optimised | None, names: Mapping[Node, str]) -> Iterator[tuple[Optimised, Mapping[Node, str]]]:
    """The searches for bodies first, each with the names of the values in it."""
    if search is None:
        return
    holders = {value: node for node in search.written.nodes for value in node.programs}
    for body in search.bodies:
        node = holders.get(body.program)
        yield from searches(body, names if node is None else {**names, **_inside(node, body.written, names)})
    yield search, names


def _inside(node: Node, body: Program, names: Mapping[Node, str]) -> dict[Node, str]:
    """What the inputs of a body are called around it: state by what the loop gives, the others as operands."""
    state = node.get("state", 0)
    outer: list[str | None] = []
    if node.op is SCAN:
        outer.append(names.get(body.inputs[0], "i"))
    types = node.type if isinstance(node.type, tuple) else ()
    results = [Node(ITEM, (node,), (("position", k),), type) for k, type in enumerate(types)] or [node]
    outer += [names.get(result) for result in results[:state]]
    for operand in node.args[state + (node.op is IF) :]:
        text = expression(operand, names)
        outer.append(text if text.isidentifier() else None)
    return {own: called for own, called in zip(body.inputs, outer) if called is not None}


def _before(program: Program, plan: Plan) -> Program:
    """The program as it was before the search; it is what was written, with calls put in."""
    for name, result in plan.steps:
        if name == "optimise":
            break
        program = result
    return program


def _outcome(search: Optimised | None) -> str:
    if search is None:
        return "no cheaper forms were searched for: it is computed as written"
    outcome = search.outcome
    looked = f"{outcome.classes} classes of equal values in {outcome.rounds} round{'s' * (outcome.rounds != 1)}"
    if not outcome.stopped_by:
        return f"the search came to its end: {looked}"
    return f"the search met its bound on {outcome.stopped_by}: {looked}"


def _told(prices: Prices, kernels: set[str]) -> tuple[str, ...]:
    """What a profile says of itself, and of the kernels of the plan."""
    warnings = [w for w in getattr(prices, "warnings", ()) if not w.startswith("`") or w.split("`")[1] in kernels]
    if getattr(prices, "is_shipped", True):
        return tuple(warnings)
    backend, machine = getattr(prices, "backend", ""), getattr(prices, "machine", "")
    return (f"times are calibrated for {backend} on {machine}", *warnings)


# ---- lines


class _SameConstants:
    """`Files` for a printed program: its constants are those of the program that was printed."""

    def __init__(self, program: Program) -> None:
        self.constants = {n["data"].path: n["data"] for n in program.walk() if n.op is CONSTANT}

    def program(self, path: str, origin: Source, span: Span) -> Source:
        raise AssertionError(path)  # a printed program uses no other

    def array(self, path: str, origin: Source, span: Span, wanted: DType | None = None) -> ConstantData:
        found: ConstantData = self.constants[path]
        return found


def _lines(
    program: Program, names: Mapping[Node, str], sizes: Mapping[str, int], prices: Prices, at: Mapping[str, int]
) -> tuple[tuple[Line, ...], dict[Node, str]]:
    """The lines of a program, and what they call its nodes."""
    text = program_text(program, names)
    source = Source(text, "<plan>")
    spans = check(source, _SameConstants(program)).module.notes.spans
    facts = analyse(program)
    at_line: dict[int, list[Node]] = {}
    for node in [*program.inputs, *program.nodes]:
        if node in spans and spans[node].source is source:
            at_line.setdefault(source.position(spans[node].start)[0], []).append(node)
    lines: list[Line] = []
    named: dict[Node, str] = {}
    for number, code in enumerate(text.splitlines(), 1):
        nodes = [n for n in at_line.get(number, []) if n.op not in (LITERAL, SIZE)]
        named |= dict.fromkeys(nodes, code.partition(":")[0].partition("[")[0].strip())
        known = sorted({str(f) for n in nodes for f in _worth_showing(n, facts.get(n, frozenset()))})
        nodes = list(dict.fromkeys(n.args[0] if n.op is ITEM else n for n in nodes))
        flops: DimLike = 0
        moved: DimLike = 0
        for node in nodes:
            flops += substitute(node_flops(node), sizes)
            moved += substitute(node_bytes(node), sizes)
        seconds = sum(node_seconds(node, prices, at) for node in nodes)
        kernels = [kernel.name for node in nodes if (kernel := kernel_of(node)) is not None]
        is_step = any(node.args for node in nodes)
        shown = ", ".join(dict.fromkeys(kernels)) if is_step else ""
        lines.append(Line(code, shown, flops, moved, seconds, tuple(known), is_step))
    return tuple(lines), named


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


# ---- choices


def _choices(search: Optimised, names: Mapping[Node, str]) -> Iterator[Choice]:
    """The next best way for each value of the plan that stands on a line of its own."""
    from tpc.passes.choose.select import alternatives
    from tpc.passes.optimise import results

    selection = search.selection
    nodes = {value: _computed(built.node) for value, built in selection.build().items()}
    told: set[str] = set()
    for value, other in alternatives(search.menu, results(search.written, search.graph, search.classes), selection):
        way = selection.ways[value]
        name = names.get(nodes[value], "")
        if way.kernel in QUIET or not name or name in told:
            continue
        kernel = other.way.kernel if other.way.kernel not in (*QUIET, way.kernel) else "another form or order"
        extra = other.seconds - selection.seconds
        if extra <= selection.seconds * 1e-6:
            continue  # the same in other words
        told.add(name)
        yield Choice(name, way.kernel, kernel, extra, tuple(_excluded(search, value)))


def _excluded(search: Optimised, value: Value) -> Iterator[tuple[str, str]]:
    if isinstance(value, Factors):
        for kernel, fact in SPARED.get(value.kind, ()):
            if not search.graph.knows(value.number, fact):
                yield kernel, fact


def _computed(node: Node) -> Node:
    """What a view looks at."""
    while node.op.name in VIEWS and node.args:
        node = node.args[0]
    return node


def ratio(before: float, after: float) -> str:
    """How many times less, in words."""
    if after <= 0:
        return "" if before <= 0 else "all"
    return f"{before / after:.3g} x" if before / after < 1e6 else f"{before / after:.1e} x"
