"""Programs made fast: all equal forms that the rules give, then the cheapest of them by predicted time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from tpc.ir.build import exact_cast
from tpc.ir.facts import analyse
from tpc.ir.node import Fact, Node, Program
from tpc.ir.notes import follow
from tpc.ir.ops.structure import IF, REPEAT, SCAN
from tpc.ir.rewrite import ordered_facts, rebuilt, rewrite
from tpc.passes.choose.local import MOST_CHANGES
from tpc.passes.choose.menu import Menu
from tpc.passes.choose.prices import Prices, Sizes
from tpc.passes.choose.reordering import reordered
from tpc.passes.choose.select import Selection, select
from tpc.passes.choose.turning import turned
from tpc.passes.choose.value import Built, Value, Whole
from tpc.passes.count import passes_of
from tpc.passes.egraph.explore import Bounds, Outcome, explore
from tpc.passes.egraph.graph import EGraph
from tpc.passes.egraph.load import load
from tpc.passes.hoist import runs
from tpc.passes.stages.times import given_uses, node_uses, seconds_each

if TYPE_CHECKING:
    from tpc.passes.guard import Guard

ROUNDING = 1e-9  # of sums of seconds, as a share


@dataclass(frozen=True)
class Request:
    """What a search is asked for; without `kernels`, the program that comes of it is of ops that rules are about."""

    prices: Prices
    at: Mapping[str, int] = field(default_factory=dict)
    mode: str = "stable"
    bounds: Bounds = Bounds()
    kernels: bool = True
    calls: int = 1  # with the same parameters
    changes: int = MOST_CHANGES  # of a selection that are tried
    is_native: bool = False  # whether code is generated for what no library has
    concerns: Callable[[Program], bool] | None = None  # which bodies of loops and branches are searched; None for all


@dataclass(frozen=True)
class Optimised:
    """The program that was chosen, and all that it was chosen from.

    Attributes
    ----------
    written
        The program that the search began with: as written, with the bodies of loops and branches optimised.
    bodies
        The searches for these bodies, each as often as it is written.
    given
        Facts of inputs beyond those that the program declares.
    uses
        How often inputs that stay for long are used; see `passes.stages.times`.
    declined
        Whether what was selected is predicted to be slower than what the search began with, which stays.
    guard
        What the program asks before it takes what was selected; None where nothing needs to be asked.
    """

    program: Program
    graph: EGraph
    classes: dict[Node, int]
    selection: Selection
    outcome: Outcome
    menu: Menu
    written: Program
    request: Request
    bodies: tuple[Optimised, ...] = ()
    given: Mapping[Node, frozenset[Fact]] = field(default_factory=dict)
    uses: Mapping[Node, float] = field(default_factory=dict)
    declined: bool = False
    guard: Guard | None = None

    @property
    def asked(self) -> list[Value]:
        """What is computed by what was selected: the results, and what a guard looks at."""
        bounds = self.guard.bounds if self.guard is not None else ()
        return [*results(self.written, self.graph, self.classes), *(Whole(self.graph.find(n)) for n in bounds)]


def optimise(program: Program, request: Request) -> Program:
    """The cheapest equal program that the search finds; bodies of loops and branches by themselves.

    Sizes that are not known are taken to be those of `request.at`; the result holds for all sizes.
    """
    return search(program, request).program


def search(
    program: Program,
    request: Request,
    given: Mapping[Node, frozenset[Fact]] | None = None,
    uses: Mapping[Node, float] | None = None,
) -> Optimised:
    """As `optimise`, with what the program was chosen from.

    Parameters
    ----------
    given
        Facts of inputs beyond those that the program declares.
    uses
        How often inputs are used before they change; by default those that are declared to stay, for all calls.
    """
    uses = given_uses(program, request.calls) if uses is None else uses
    bodies: list[Optimised] = []
    program = with_bodies(program, request, given or {}, bodies, uses)
    found = chosen(program, request, given or {}, bodies, uses)
    return with_guard(found)


def with_guard(found: Optimised) -> Optimised:
    """What was found, with a guard before what may lose digits, unless the mode allows for it."""
    if found.request.mode == "fast":
        return found
    from tpc.passes.guard import guarded

    unguarded = replace(found.request, bounds=replace(found.request.bounds, guarded=False))
    return guarded(found, lambda: chosen(found.written, unguarded, found.given, found.bodies, found.uses))


def chosen(
    program: Program,
    request: Request,
    given: Mapping[Node, frozenset[Fact]],
    bodies: Sequence[Optimised],
    uses: Mapping[Node, float],
) -> Optimised:
    """What is found for a program whose bodies are optimised, as if all its rules kept all digits."""
    graph, classes = load(program, given, uses)
    sizes = Sizes(request.at)
    outcome = explore(graph, sizes, request.mode, request.bounds)
    menu = Menu(graph, request.prices, sizes, request.kernels)
    selection = select(menu, results(program, graph, classes), request.changes)
    plan = built(program, graph, classes, selection)
    declined = request.kernels and not graph.superseded and is_dearer(plan, program, request, uses)
    plan = program if declined else plan
    return Optimised(
        plan, graph, classes, selection, outcome, menu, program, request, tuple(bodies), dict(given), uses, declined
    )


def is_dearer(chosen: Program, program: Program, request: Request, uses: Mapping[Node, float] | None = None) -> bool:
    """Whether a plan is predicted to be slower; it may be where bounds kept the search from what was written."""
    if multiplies_inverse(program) and not multiplies_inverse(chosen):
        return False  # a solve is not only faster, it is right to more digits
    found, written = (seconds_each(p, request.prices, request.at, uses or {}) for p in (chosen, program))
    return found > written * (1 + ROUNDING)


def keeps_digits(program: Program, graph: EGraph) -> bool:
    """Whether a program may stay as it is written where nothing is predicted to be faster."""
    return not graph.superseded and not multiplies_inverse(program)


def multiplies_inverse(program: Program) -> bool:
    """Whether an inverse is computed to be multiplied."""
    turned = {n for n in program.nodes if n.op.name == "inv"}
    for node in program.nodes:
        if node.op.name == "transpose" and node.args[0] in turned:
            turned.add(node)
    return any(a in turned for n in program.nodes if n.op.name in ("matmul", "matvec", "vecmat") for a in n.args)


def results(program: Program, graph: EGraph, classes: Mapping[Node, int]) -> list[Value]:
    """What a plan must compute."""
    return [Whole(graph.find(classes[n])) for n in program.outputs]


def built(program: Program, graph: EGraph, classes: Mapping[Node, int], selection: Selection) -> Program:
    """The program of a selection."""
    values: dict[Value, Built] = selection.build()
    done: dict[Node, Node] = {}
    for node, number in classes.items():
        found = values.get(Whole(graph.find(number)))
        if found is not None:
            done[node] = found.node if found.node.type == node.type else exact_cast(found.node, node.tensor.dtype)
            follow(node, done[node])
    outputs = [done[n] for n in program.outputs]
    facts = [(done.get(n, n), f) for n, f in program.facts if n in done or n in program.inputs]
    nodes = reordered(turned([*outputs, *(n for n, _ in facts)]))
    outputs, facts = nodes[: len(outputs)], list(zip(nodes[len(outputs) :], (f for _, f in facts), strict=True))
    return program.replace(outputs=outputs, facts=ordered_facts(program.inputs, outputs, facts))


def with_bodies(
    program: Program,
    request: Request,
    given: Mapping[Node, frozenset[Fact]],
    bodies: list[Optimised],
    uses: Mapping[Node, float],
) -> Program:
    """The program with the bodies of its loops and branches optimised.

    What a body takes from around it unchanged has the facts that it has there; what changes from pass to pass has
    only those that are declared; what it computes of them is used in every pass. What was found for a body is added to
    `bodies`.
    """
    if not any(n.op in (REPEAT, SCAN, IF) for n in program.nodes):
        return program
    facts = analyse(program, given)
    times = node_uses(program, uses)
    sizes = Sizes(request.at)

    def inside(node: Node) -> Node:
        if node.op not in (REPEAT, SCAN, IF):
            return node
        first = node.get("state", 0) + (node.op is SCAN)
        start = node.get("state", 0) + (node.op is IF)
        attributes = []
        for name, value in node.attributes:
            if isinstance(value, Program) and (request.concerns is None or request.concerns(value)):
                known = {
                    own: facts.get(operand, frozenset())
                    for own, operand in zip(value.inputs[first:], node.args[start:])
                }
                # what may not run is priced as if it were computed where it stands, each time
                passes = sizes(passes_of(node)) if node.op is not IF and runs(node) else 0
                often = {
                    own: max(1.0, times.get(operand, 1.0) * passes)
                    for own, operand in zip(value.inputs[first:], node.args[start:])
                }
                bodies.append(search(value, request, known, {own: n for own, n in often.items() if n > 1}))
                value = bodies[-1].program
            attributes.append((name, value))
        return rebuilt(node.op, node.args, attributes, node.type)

    outputs = rewrite(program.outputs, inside)
    done = dict(zip(program.outputs, outputs))
    kept = [(done.get(n, n), f) for n, f in program.facts]
    return program.replace(outputs=outputs, facts=ordered_facts(program.inputs, outputs, kept))
