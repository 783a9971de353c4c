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
from tpc.ir.build import input_node, items, literal, make
from tpc.ir.node import Node, Program, topological
from tpc.ir.ops.structure import IF, INPUT, ITEM
from tpc.ir.rewrite import everywhere, ordered_facts, rebuilt
from tpc.ir.rewrite import replace as replaced
from tpc.ir.types import TensorType
from tpc.passes.choose.select import select
from tpc.passes.choose.value import Whole
from tpc.passes.contraction.chain import chain_of
from tpc.passes.count import is_view
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
        branch = node.args[0] if node.op is ITEM else node
        if branch.op is not IF or branch.args[0].op.name != SOLVED or (node is branch and isinstance(node.type, tuple)):
            return node
        other: Program = branch["other"]
        values = replaced(other.outputs, dict(zip(other.inputs, branch.args[1:], strict=True)))
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


# ---- the branch


def branch(condition: Node, then: Sequence[Node], other: Sequence[Node]) -> list[Node]:
    """The results by a branch, those that are the same on both sides without."""
    places = [k for k, (a, b) in enumerate(zip(then, other, strict=True)) if a is not b]
    sides = [[outputs[k] for k in places] for outputs in (then, other)]
    before = set(topological([condition])) | set.intersection(*(set(topological(side)) for side in sides))
    leaves = list(dict.fromkeys(leaf for side in sides for leaf in _leaves(side, before)))
    inputs = [input_node(f"c{k}", leaf.tensor) for k, leaf in enumerate(leaves)]
    inside = dict(zip(leaves, inputs, strict=True))
    first, second = (
        Program(name, inputs, replaced(side, inside)) for name, side in zip(("then", "other"), sides, strict=True)
    )
    made = make("if", (condition, *leaves), then=first, other=second)
    results = dict(zip(places, items(rebuilt(made.op, made.args, made.attributes, made.type)), strict=True))
    return [results.get(k, a) for k, a in enumerate(then)]


def _leaves(outputs: Sequence[Node], before: set[Node]) -> Iterator[Node]:
    """What results are made from that stands before the branch; views are taken inside, where kernels look for them."""
    waiting, seen = list(outputs), set(outputs)
    while waiting:
        node = waiting.pop()
        source = node.args[0] if node.op is ITEM else node  # of a loop, the condition may ask for another result
        is_there = node in before or source in before
        is_computed = is_there and node.args and (node.op is ITEM or not is_view(node))
        if (node.op is INPUT or is_computed) and isinstance(node.type, TensorType):
            yield node
            continue
        for operand in node.args:
            if operand not in seen:
                seen.add(operand)
                waiting.append(operand)
