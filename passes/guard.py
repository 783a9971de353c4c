"""Plans that may lose digits stand behind a guard: what they lose is bounded when the program runs.

    inv(a*I + U @ U') @ b       if norm((1/a) * U' @ U) is small: (b - U @ inv(a*I + U' @ U) @ U' @ b) / a
                                else: by the factors of a*I + U @ U', as it is written

Rules with the condition `bounded` make such plans. Where one of them pays clearly, the values that differ from the
plan without these rules become a branch. What both sides compute, and what the bound needs, stands before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tpc.dsl import syntax
from tpc.dsl.parser import parse_expression
from tpc.ir.build import literal, make
from tpc.ir.node import Node, Program
from tpc.ir.ops.structure import IF, ITEM
from tpc.ir.rewrite import everywhere, ordered_facts
from tpc.ir.rewrite import replace as replaced
from tpc.ir.types import TensorType
from tpc.passes.branch import branch
from tpc.passes.choose.select import select
from tpc.passes.choose.value import Whole
from tpc.passes.contraction.chain import chain_of
from tpc.passes.egraph.bindings import Run
from tpc.passes.egraph.classes import Step
from tpc.passes.egraph.facts import semidefinite_run
from tpc.passes.egraph.instance import Instance, run_class
from tpc.passes.egraph.moves import flattened
from tpc.passes.egraph.terms import Contract
from tpc.passes.rules import BOUNDED, lines
from tpc.passes.rules.trees import called
from tpc.passes.stages.times import seconds_each

if TYPE_CHECKING:
    from tpc.passes.egraph.graph import EGraph
    from tpc.passes.optimise import Optimised

CLEARLY = 1.1  # how many times faster a plan must be to stand behind a guard
GUARD = "harmless"
SOLVED = "solved"  # the same of systems that are solved by steps


@dataclass(frozen=True)
class Guard:
    """What a branch of a plan asks before it is taken.

    Attributes
    ----------
    rules
        Why it has to ask.
    bounds
        The classes of what must not be above `most`, and the largest of them as a node of the plan.
    """

    rules: tuple[str, ...]
    bounds: tuple[int, ...]
    largest: Node
    most: float


def guarded(found: Optimised, without: Callable[[], Optimised]) -> Optimised:
    """What a search has found, with a guard before what rests on rules that need one, or without these rules.

    Parameters
    ----------
    without
        The search without such rules.
    """
    graph, request = found.graph, found.request
    if found.declined or not any(map(_is_guarded, _steps(found, range(len(graph.joins))))):
        return found
    used = _used(found)
    if not used:
        return found
    direct = without()
    seconds = seconds_each(direct.program, request.prices, request.at, found.uses)
    if seconds < CLEARLY * found.selection.seconds:
        return direct
    menu = found.menu
    from tpc.passes.optimise import built, results

    whole = found
    asking: list[Step] = []
    while not set(used) <= set(asking):  # with bounds to pay for, another way may be the cheapest, with its own bounds
        asking = list(dict.fromkeys([*asking, *used]))
        bounds = tuple(dict.fromkeys(number for step in asking for number in _bounds(found, step)))
        _take_apart(graph, bounds)
        menu.extend()  # the bounds are classes of their own
        asked = [Whole(graph.find(number)) for number in bounds]
        selection = select(menu, [*results(found.written, graph, found.classes), *asked])
        if seconds < CLEARLY * selection.seconds:
            return direct
        whole = replace(found, menu=menu, selection=selection)
        used = _used(whole)
    values = selection.build()
    fast = built(found.written, graph, found.classes, selection)
    bound, *more = (values[value].node for value in asked)
    for other in more:
        bound = make("maximum", (bound, other))
    most = _most(bound.tensor)
    outputs = branch(make(GUARD, (bound, literal(most))), fast.outputs, direct.program.outputs)
    facts = [(n, f) for n, f in direct.program.facts if n in found.written.inputs]
    program = found.written.replace(outputs=outputs, facts=ordered_facts(found.written.inputs, outputs, facts))
    guard = Guard(tuple(dict.fromkeys(step.rule for step in asking)), bounds, bound, most)
    return replace(whole, program=program, guard=guard)


def settled(program: Program, holds: bool) -> Program:
    """The program where all guards hold, or none."""
    return everywhere(program, lambda node: literal(holds) if node.op.name == GUARD else node)


def direct(program: Program) -> Program:
    """The program where no system is solved by steps, if there is another way."""

    def change(node: Node) -> Node:
        made = node.args[0] if node.op is ITEM else node
        if made.op is not IF or made.args[0].op.name != SOLVED or (node is made and isinstance(node.type, tuple)):
            return node
        other: Program = made["other"]
        values = replaced(other.outputs, dict(zip(other.inputs, made.args[1:], strict=True)))
        return values[node["position"] if node.op is ITEM else 0]

    return everywhere(program, change)


def _most(type: TensorType) -> float:
    """How far a bound may go: half of the digits are left."""
    import numpy as np

    return float(np.finfo(type.dtype.numpy).eps ** -0.5)


def _steps(found: Optimised, joins: Sequence[int]) -> Iterator[Step]:
    for k in joins:
        step = found.graph.joins[k][2]
        if step is not None:
            yield step


def _is_guarded(step: Step) -> bool:
    line = lines().get(step.rule)
    return line is not None and line.is_guarded


def _used(found: Optimised) -> list[Step]:
    """The steps that need a guard, of those that a choice rests on."""
    from tpc.passes.derivation.trace import Trace

    return [step for step in _steps(found, Trace(found).run()) if _is_guarded(step)]


# ---- bounds


def _bounds(found: Optimised, step: Step) -> Iterator[int]:
    """The class of the bound of a step: the product of the norms of what its rule names."""
    graph, law = found.graph, lines()[step.rule].law
    dtype = graph.tensor(graph.home[step.before]).dtype
    instance = Instance(graph, dict(step.bound or ()), dtype, law)

    def applied(text: str, *values: int) -> int:
        """A value of others, which `text` calls x and y."""
        bound = {name: Run((), (value,)) for name, value in zip("xy", values)}
        return Instance(graph, bound, dtype, law).value(parse_expression(text))

    def norm(number: int) -> int:
        if not graph.tensor(number).dims:
            return applied("abs(x)", number)
        return applied("norm(x)", number)

    for condition in law.where:
        if called(condition) == BOUNDED and isinstance(condition, syntax.Call):
            whole: int | None = None
            for part in condition.arguments:
                for number in _factors(graph, instance, part):
                    one = norm(number)
                    whole = one if whole is None else applied("x * y", whole, one)
            if whole is not None:
                yield whole


def _take_apart(graph: EGraph, bounds: Sequence[int]) -> None:
    """The products whose norms are taken as products of what their factors are made of: of `inv(D) @ U` for diagonal D,
    no matrix is needed. They are made for the bounds alone, so the search has not looked at them."""
    waiting, seen = list(bounds), set(bounds)
    while waiting:
        number = graph.find(waiting.pop())
        for term in list(graph[number].terms):
            if not graph.tensor(number).dims:  # a norm, or a product of norms
                waiting += [c for c in term.children if c not in seen]
                seen.update(term.children)
            elif isinstance(term, Contract):
                for move in flattened(graph, number, term):
                    equal = move.make()
                    if equal is not None:
                        graph.join(graph.home[term], equal, Step(move.name, term, through=move.through))
    graph.rebuild()


def _factors(graph: EGraph, instance: Instance, part: syntax.Expr) -> list[int]:
    """The values whose norms are multiplied: of a sum of products that cancel, all would count.

    Where nothing cancels, the norm tells all: so it is for a semidefinite product, and for one within a product.
    """
    number = instance.value(part)
    if graph[number].known & {"psd", "positive", "nonnegative"}:
        return [number]
    for term in graph[number].terms:
        chain = chain_of(term.form, [graph.find(c) for c in term.children]) if isinstance(term, Contract) else None
        inner = None if chain is None or chain.scalars else semidefinite_run(graph, chain.factors)
        if chain is not None and inner is not None:
            start, stop = inner
            runs = [*((f,) for f in chain.factors[:start]), chain.factors[start:stop]]
            runs += [(f,) for f in chain.factors[stop:]]
            return [run_class(graph, Run(tuple(run))) for run in runs]
    return [instance.value(factor) for factor in _written(part)]


def _written(product: syntax.Expr) -> list[syntax.Expr]:
    """The factors of a product as they are written, an inverse with what follows it."""
    match product:
        case syntax.Binary(operator="@", left=left, right=right):
            first = _written(left)
            if called(first[-1]) == "inv":
                return [*first[:-1], syntax.Binary(product.span, "@", first[-1], right)]
            return [*first, right]
        case syntax.Binary(operator="*", left=left, right=right):
            return [*_written(left), *_written(right)]
    return [product]
