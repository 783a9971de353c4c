"""What there is to say of a compiled program: its lines with their kernels and costs, and how it came to be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tpc.cost import Cost, cost, live
from tpc.dsl.format import format_expression
from tpc.dsl.source import Source, Span
from tpc.explanation.held import Held, at_peak
from tpc.explanation.iterated import by_steps
from tpc.explanation.native import NativeCode, native_code
from tpc.explanation.stays_dense import stays_dense
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
from tpc.passes.cost import Profile, profile
from tpc.passes.count import is_view, node_bytes, node_flops
from tpc.passes.derivation import Derivation, derive
from tpc.passes.egraph.expressions import Expressions
from tpc.passes.kernels import Totals, kernels_of, node_seconds, totals

if TYPE_CHECKING:
    from tpc.explanation.advice import Advised
    from tpc.passes.approximation.certificate import Certificate
    from tpc.passes.guard import Guard
    from tpc.passes.optimise import Optimised
    from tpc.passes.pipeline import Plan
    from tpc.passes.variants import Variants
    from tpc.verification import PlanCheck

HIDDEN = ("const", "param")  # facts that say nothing of the value
QUIET = ("view", "read", "leaf", "fill")  # ways that are no choice
SPELLING = ("differentiate", "specialise", "inline", "fold", "respell")  # what leaves it as written
BODY = "the body of a loop or branch"

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
class Part:
    """How the program, or a part of it, came to be; `of` says which part, or which pass did it."""

    of: str
    derivation: Derivation


@dataclass(frozen=True)
class Served:
    """One of several plans for open sizes.

    Attributes
    ----------
    wins
        Where it is the fastest, in words.
    flops, seconds
        Its operations, as a formula of the sizes, and its predicted seconds at the sizes of the account.
    is_told
        Whether it is the plan that the account is about.
    """

    wins: str
    flops: int | str
    seconds: float
    is_told: bool


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
        How the plan came to be, pass by pass, the bodies of its loops and branches first; empty without a search.
    outcome
        How the search ended, in words.
    prices
        Where the predicted times come from, and why they may be off.
    variants, loss
        The plans that a call chooses from by its sizes, if there are several, and what is lost against one for each.
    check
        What a check of the plan showed, if it was asked for.
    advised
        Facts that would pay, if they were looked for.
    guards
        What the plan asks before it takes a branch that may lose digits, a sentence each.
    native
        What of it is native code, where the backend makes that.
    runs
        What runs, NumPy or native code, and why, where that is left to tpc.
    certificates
        What became of the budgets for errors.
    ahead
        What is prepared ahead of calls, where parameters are declared to change rarely.
    iterated
        Systems that are solved by steps without being asked for, a sentence each.
    dense
        Why arrays that are declared sparse are stored with all of their entries, a sentence each.
    held
        The largest values that are held where most is, if that is much.
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
    derivations: tuple[Part, ...]
    choices: tuple[Choice, ...]
    outcome: str
    prices: tuple[str, ...]
    variants: tuple[Served, ...] = ()
    loss: str = ""
    check: PlanCheck | None = None
    advised: Advised | None = None
    guards: tuple[str, ...] = ()
    native: NativeCode | None = None
    runs: str = ""
    ahead: tuple[str, ...] = ()
    certificates: tuple[Certificate, ...] = ()
    iterated: tuple[str, ...] = ()
    dense: tuple[str, ...] = ()
    held: tuple[Held, ...] = ()


def account(
    program: Program, plan: Plan, sizes: Mapping[str, int], found: Variants | None = None, backend: str = "numpy"
) -> Account:
    """Look at a plan of a program, at sizes as far as they are known.

    Parameters
    ----------
    found
        The variants of which it is one, if there are several.
    backend
        What runs it.
    """
    from tpc.ir.sizes import free_sizes

    search = plan.search
    prices = prices_of(plan)
    free = list(dict.fromkeys([*free_sizes(program), *free_sizes(plan.program)]))
    at = {name: sizes.get(name, USUAL) for name in [*free, *sizes]}
    assumed = tuple(name for name in free if name not in sizes)
    lines, named = _lines(plan.program, plan.notes.names, sizes, prices, at)
    memory = live(plan.program, backend, at)
    written, chosen = totals(_before(program, plan), prices, at), totals(plan.program, prices, at)
    chosen = replace(chosen, peak_bytes=memory.peak)
    derivations = tuple(Part(of, derive(s, names, at)) for of, s, names in searches(plan) if not s.declined)
    return Account(
        program.name,
        program,
        plan,
        at,
        assumed,
        cost(plan.program, sizes, prices, backend),
        written,
        chosen,
        lines,
        derivations,
        tuple(_choices(search, named)) if search is not None and not search.declined else (),
        _outcome(search),
        _told(prices),
        tuple(_served(found, plan, prices, at)) if found is not None else (),
        found.loss if found is not None and len(found.plans) > 1 else "",
        guards=tuple(_guard(s.guard, s, names) for _, s, names in searches(plan) if s.guard is not None),
        native=native_code(plan.program, named) if backend == "llvm" else None,
        certificates=plan.approximated.certificates if plan.approximated is not None else (),
        iterated=tuple(by_steps(plan, sizes)),
        dense=tuple(stays_dense(plan, prices, at, backend)),
        held=at_peak(memory, plan.notes.names),
    )


def _guard(guard: Guard, search: Optimised, names: Mapping[Node, str]) -> str:
    own = {n: str(n["name"]) for n in search.written.inputs}
    expressions = Expressions(search.graph, {**own, **names}, search.classes)
    bounds = [format_expression(expressions.of_class(number, named=False)) for number in guard.bounds]
    conditions = " and ".join(f"{bound} <= {guard.most:.3g}" for bound in bounds)
    return f"{', '.join(guard.rules)} used while {conditions}, else the direct form, which keeps more digits"


def _served(found: Variants, told: Plan, prices: Prices, at: Mapping[str, int]) -> Iterator[Served]:
    for variant in found.plans if len(found.plans) > 1 else ():
        program = variant.plan.program
        seconds = totals(program, prices, at).seconds
        yield Served(variant.wins, cost(program).flops, seconds, program is told.program)


def prices_of(plan: Plan) -> Prices:
    """Those of the search, so that they say nothing of sizes that it looked at."""
    prices = plan.search.request.prices if plan.search is not None else profile()
    return prices.anew() if isinstance(prices, Profile) else prices


def searches(plan: Plan) -> Iterator[tuple[str, Optimised, Mapping[Node, str]]]:
    """The searches in the order of the passes, for bodies first: what was searched, and the names of values in it."""
    names = plan.notes.names
    if plan.fused is not None:
        for is_body, search, own in _nested(plan.fused, names):
            yield f"{BODY}, by the pass kronecker" if is_body else "by the pass kronecker", search, own
    if plan.search is not None:
        for is_body, search, own in _nested(plan.search, names):
            yield BODY if is_body else "", search, own


def _nested(search: Optimised, names: Mapping[Node, str]) -> Iterator[tuple[bool, Optimised, Mapping[Node, str]]]:
    holders = {value: node for node in search.written.nodes for value in node.programs}
    for body in search.bodies:
        node = holders.get(body.program)
        inside = names if node is None else {**names, **_inside(node, body.written, names)}
        yield from ((True, inner, own) for _, inner, own in _nested(body, inside))
    yield False, search, names


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
        outer.append(text if text.removesuffix("'").isidentifier() else None)
    return {own: called for own, called in zip(body.inputs, outer) if called is not None}


def _before(program: Program, plan: Plan) -> Program:
    """What was written, with sizes and calls put in."""
    for name, result in plan.steps:
        if name not in SPELLING:
            break
        program = result
    return program


def _outcome(search: Optimised | None) -> str:
    if search is None:
        return "no cheaper forms were searched for: it is computed as written"
    outcome = search.outcome
    looked = f"{outcome.classes} classes of equal values in {outcome.rounds} round{'s' * (outcome.rounds != 1)}"
    kept = "; none of them is predicted to be faster than what is written, which stays" if search.declined else ""
    if not outcome.stopped_by:
        return f"the search came to its end: {looked}{kept}"
    return f"the search met its bound on {outcome.stopped_by}: {looked}{kept}"


def _told(prices: Prices) -> tuple[str, ...]:
    """What a profile says of itself, and of the predictions made by it."""
    if not isinstance(prices, Profile) or prices.is_shipped:
        return prices.warnings if isinstance(prices, Profile) else ()
    return (f"times are calibrated for {prices.backend} on {prices.machine}", *prices.warnings)


# ---- lines


class _SameConstants:
    """`Files` for a printed program: its constants are those of the program that was printed."""

    def __init__(self, program: Program) -> None:
        self.constants = {n["data"].path: n["data"] for n in program.walk() if n.op is CONSTANT}

    def program(self, path: str, origin: Source, span: Span) -> Source:
        raise AssertionError(path)  # a printed program uses no other

    def sparse(self, path: str, origin: Source, span: Span) -> tuple[int, int] | None:
        return None

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
        kernels = [kernel.name for node in nodes if not node.programs for kernel in kernels_of(node)]
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

    selection = search.selection
    nodes = {value: _computed(built.node) for value, built in selection.build().items()}
    told: set[str] = set()
    for value, other in alternatives(search.menu, search.asked, selection):
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
    while is_view(node) and node.args:
        node = node.args[0]
    return node
