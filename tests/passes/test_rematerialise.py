"""Plans under a budget of bytes: what they hold, what they cost, and programs made of them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tpc.backends import backend
from tpc.dsl.diagnostics import TpcError
from tpc.dsl.source import Source
from tpc.ir.elaborate.module import check
from tpc.ir.node import Program
from tpc.ir.reference import evaluate
from tpc.passes.memory.liveness import Liveness
from tpc.passes.pipeline import Options, run
from tpc.passes.rematerialise.annealing import anneal
from tpc.passes.rematerialise.bound import relaxed
from tpc.passes.rematerialise.exact import exact
from tpc.passes.rematerialise.graph import Graph, Plan, Step, once, profile
from tpc.passes.rematerialise.rebase import base_of
from tpc.passes.rematerialise.seeds import checkpoints
from tpc.passes.rematerialise.solve import solve
from tpc.passes.rematerialise.timeline import Timeline


def random_graph(seed: int, most: int = 14) -> Graph:
    chance = random.Random(seed)
    steps = []
    for place in range(chance.randint(1, most)):
        operands = tuple(chance.sample(range(place), min(place, chance.randint(0, 3))))
        workspace = chance.choice([0, 0, 3])
        is_kept = chance.random() < 0.2
        taken = chance.choice([None, *operands])
        steps.append(
            Step(chance.randint(0, 9), chance.randint(0, 5), operands, workspace, chance.random() < 0.9, is_kept, taken)
        )
    return Graph(tuple(steps), chance.randint(0, 3))


def train_chain(n: int) -> Graph:
    """n steps forward, and n backward that each read the one before and one step of the way forward."""
    forward = [Step(1, 1.0, (k - 1,) if k else ()) for k in range(n)]
    backward = [Step(1, 1.0, (n + k - 1, n - 1 - k), kept=k == n - 1) for k in range(n)]
    return Graph((*forward, *backward))


def held(graph: Graph, order: tuple[int, ...]) -> tuple[int, ...]:
    """The live bytes, from what the words mean: a value is there if it was computed, and is read before it is again."""
    found = []
    for now, place in enumerate(order):
        total = graph.held + graph.steps[place].workspace
        for value, step in enumerate(graph.steps):
            if value not in order[: now + 1]:
                continue
            is_taken = graph.steps[place].takes == value
            later = order[now:] if value != place and not is_taken else order[now + 1 :]
            until = later.index(value) if value in later else len(later)
            is_read = any(value in graph.steps[reader].operands for reader in later[:until])
            is_read = is_read or (value not in later and step.kept)
            total += step.bytes if is_read or value == place else 0
        found.append(total)
    return tuple(found)


@pytest.mark.parametrize("seed", range(60))
def test_what_is_live_is_what_will_be_read(seed: int) -> None:
    graph = random_graph(seed)
    chance = random.Random(seed)
    line = Timeline(graph)
    for _ in range(25):
        if line.again and chance.random() < 0.4:
            line.remove(chance.choice(sorted(line.again)))
        elif len(graph) > 1:
            stage = chance.randint(1, len(graph) - 1)
            key = stage * len(graph) + chance.randrange(stage)
            if key not in line.again and graph.steps[key % len(graph)].again:
                line.add(key)
        plan = line.plan()
        assert tuple(line.live) == plan.live == held(graph, plan.order)
        assert line.added == pytest.approx(plan.added)


def test_an_order_in_which_less_is_held_costs_nothing() -> None:
    """Long values that are read at once may follow each other; in the order that is given they are all held."""
    long = [Step(10, 5.0) for _ in range(6)]
    short = [Step(1, 1.0, (k,), kept=True) for k in range(6)]
    graph = Graph((*long, *short))
    found = anneal(once(graph), 16, 5000, 10.0, 0.0, seed=0)
    assert once(graph).peak == 61 and found.peak <= 16 and found.added == 0
    assert solve(graph, 16).plan.added == 0


def test_a_plan_must_compute_what_it_reads() -> None:
    graph = Graph((Step(1, 1), Step(1, 1, (0,), again=False)))
    assert profile(graph, (0, 1)) == (1, 2)
    for wrong in ((1, 0), (0,), (0, 1, 1)):
        with pytest.raises(ValueError):
            profile(graph, wrong)


def orders(graph: Graph, longest: int, begun: tuple[int, ...] = ()) -> Iterator[tuple[int, ...]]:
    """All orders up to some length in which each step runs, after what it reads."""
    if len(set(begun)) == len(graph):
        yield begun
    if len(begun) < longest:
        for place, step in enumerate(graph.steps):
            if set(step.operands) <= set(begun):
                yield from orders(graph, longest, (*begun, place))


def test_small_plans_are_the_best_of_all() -> None:
    """A value of two bytes is needed at both ends; the budget lets one of the ways out through."""
    graph = Graph((Step(1, 1), Step(2, 1, (0,)), Step(2, 3, (1,)), Step(1, 1, (2,)), Step(1, 1, (1, 3), kept=True)))
    plans = [Plan(graph, order) for order in orders(graph, 7)]
    for budget in range(3, once(graph).peak + 1):
        expected = min((plan.added for plan in plans if plan.peak <= budget), default=None)
        found = solve(graph, budget)
        assert found.fits == (expected is not None)
        if expected is not None:
            assert found.plan.added == expected and found.plan.peak <= budget


@pytest.mark.parametrize("seed", range(12))
def test_plans_of_few_steps_are_the_best_of_all_orders(seed: int) -> None:
    """Beside every order with up to two runs more."""
    graph = random_graph(seed, 4)
    plans = [Plan(graph, order) for order in orders(graph, len(graph) + 2)]
    plans = [plan for plan in plans if all(graph.steps[v].again for v in plan.order if plan.order.count(v) > 1)]
    for budget in range(graph.floor, once(graph).peak + 1):
        expected = min((plan.added for plan in plans if plan.peak <= budget), default=None)
        found = solve(graph, budget, changes=2000)
        if expected is not None:
            assert found.fits and found.plan.added <= expected


def test_a_result_that_was_written_over_is_made_anew_at_the_end() -> None:
    graph = Graph((Step(1, 1, kept=True), Step(7, 3, (0,), workspace=3, kept=True, takes=0)))
    assert once(graph).peak == 11
    found = solve(graph, 10)
    assert found.fits and found.plan.order == (0, 1, 0)


@pytest.mark.parametrize("seed", range(40))
def test_plans_fit_and_less_memory_never_costs_less(seed: int) -> None:
    graph = random_graph(seed, 25)
    peak = once(graph).peak
    known: list[Plan] = []
    for budget in range(graph.floor, peak + 1, max(1, (peak - graph.floor) // 6)):
        found = solve(graph, budget, changes=1500, known=known)
        assert found.fits >= bool(known)
        if not found.fits:
            assert found.plan.peak > budget
            continue
        order = found.plan.order
        assert max(held(graph, order)) <= budget
        assert all(graph.steps[v].again for v in order if order.count(v) > 1)
        assert found.plan.added <= min((plan.added for plan in known), default=np.inf)
        known.append(found.plan)


@pytest.mark.parametrize("seed", range(0, 40, 4))
def test_less_memory_never_needs_more_by_itself(seed: int) -> None:
    """What is feasible stays so with more memory, and costs no more, without being told the plans for less, though with
    a quarter of the changes that are made by default."""
    graph = random_graph(seed, 24)
    peak = once(graph).peak
    least = np.inf
    for budget in range(graph.floor, peak + 1, max(1, (peak - graph.floor) // 8)):
        found = solve(graph, budget, changes=1000 * len(graph))
        assert found.fits or least == np.inf
        if found.fits:
            assert found.plan.added <= least
            least = found.plan.added


def test_equal_graphs_have_equal_plans() -> None:
    orders = {solve(train_chain(20), 14, changes=5000).plan.order for _ in range(2)}
    assert len(orders) == 1


@pytest.mark.parametrize("n, share", [(16, 0.5), (32, 0.5), (32, 0.36)])
def test_chains_are_no_dearer_than_checkpoints(n: int, share: float) -> None:
    graph = train_chain(n)
    budget = int(once(graph).peak * share)
    seeds = [base_of(once(graph)).plan(pairs) for pairs in checkpoints(graph)]
    fitting = [plan.added for plan in seeds if plan.peak <= budget]
    found = solve(graph, budget)
    assert found.fits and found.plan.added <= min(fitting, default=np.inf)
    assert found.bound <= found.plan.added <= 0.4 * graph.cost


@pytest.mark.parametrize("seed", range(25))
def test_the_bound_holds_for_plans_in_order(seed: int) -> None:
    """Random pairs that happen to fit cost no less than the bound."""
    graph = random_graph(seed, 10)
    chance = random.Random(seed)
    n = len(graph)
    for _ in range(60):
        pairs = {chance.randint(1, n - 1) * n + chance.randrange(n) for _ in range(4)} if n > 1 else set()
        pairs = {key for key in pairs if key % n < key // n and graph.steps[key % n].again}
        line = Timeline(graph, pairs)
        assert relaxed(graph, float(line.live.max())).cost <= line.added + 1e-6


@pytest.mark.parametrize("seed", range(20))
def test_the_exact_plan_is_between_the_bound_and_what_is_found(seed: int) -> None:
    graph = random_graph(seed, 9)
    peak = once(graph).peak
    for budget in range(graph.floor, peak, max(1, (peak - graph.floor) // 3)):
        sure = exact(graph, budget)
        assert relaxed(graph, budget).cost <= sure.cost + 1e-6
        if sure.pairs is None:
            assert sure.cost == np.inf
            continue
        plan = Timeline(graph, sure.pairs).plan()
        assert plan.peak <= budget and plan.added == pytest.approx(sure.cost)
        assert exact(graph, budget, most=sure.cost - 1).pairs is None
        found = solve(graph, budget)
        assert found.fits and found.plan.added <= sure.cost + 1e-6 and found.gap <= 1e-6


@pytest.mark.parametrize("graph", [train_chain(12), *(random_graph(seed, 30) for seed in (0, 2, 5, 9))])
def test_plans_cost_no_more_than_the_mixed_integer_program(graph: Graph) -> None:
    """That keeps the order of the graph; 5 percent more would do."""
    budget = (graph.floor + once(graph).peak) // 2
    found, sure = solve(graph, budget), exact(graph, budget, seconds=60)
    assert found.fits and sure.pairs is not None
    assert found.plan.added <= 1.05 * Timeline(graph, sure.pairs).plan().added + 1e-6


def test_half_a_chain_is_solved_for_certain() -> None:
    graph = train_chain(8)
    sure = exact(graph, once(graph).peak // 2)
    assert sure.pairs is not None and sure.cost == pytest.approx(7)
    assert solve(graph, once(graph).peak // 2).plan.added == pytest.approx(7)


def test_a_kept_value_may_be_computed_again_at_the_end() -> None:
    """Its one reader comes early; what comes then is too large to lie beside it."""
    early = (Step(1, 1), Step(6, 1, (0,), kept=True), Step(1, 1, (1,)))
    graph = Graph((*early, Step(6, 1, (2,)), Step(1, 1, (3,)), Step(1, 1, (0, 4))))
    found = solve(graph, 9)
    assert found.fits and found.plan.added == 1 and found.bound == pytest.approx(1)


# ---- programs

LAYERS = 8
TEXT = f"""
def loss(x: f64[40, 30], {", ".join(f"W{k}: f64[30, 30]" for k in range(LAYERS))}) -> f64:
    h0 = tanh(x @ W0)
{"".join(f"    h{k} = tanh(h{k - 1} @ W{k}){chr(10)}" for k in range(1, LAYERS))}    return sum(square(h{LAYERS - 1}))

def main(x: f64[40, 30], {", ".join(f"W{k}: f64[30, 30]" for k in range(LAYERS))}) -> f64[30, 30]:
    return grad(loss, W0)(x, {", ".join(f"W{k}" for k in range(LAYERS))})
"""


def program(text: str, name: str) -> Program:
    checked = check(Source(text))
    checked.diagnostics.raise_errors()
    return checked.programs[name]


def operands(whole: Program) -> list[np.ndarray]:
    draw = np.random.default_rng(0)
    return [draw.standard_normal([int(d) for d in node.tensor.dims]) / 5 for node in whole.inputs]


@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("share", [0.8, 0.5])
def test_a_gradient_within_a_budget(library: str, share: float) -> None:
    whole = program(TEXT, "main")
    plain = run(whole, Options(backend=library)).program
    before = Liveness(plain, library)
    budget = int(before.held + share * (before.peak - before.held))
    small = run(whole, Options(backend=library, memory=budget)).program
    assert Liveness(small, library).peak <= budget < before.peak
    assert len(small.nodes) > len(plain.nodes)
    target = backend(library)
    arguments = operands(whole)
    if library == "torch":
        import torch

        given: list[Any] = [torch.from_numpy(array) for array in arguments]
    else:
        given = list(arguments)
    results = [np.asarray(target.load(target.emit(p))(*given)) for p in (plain, small)]
    assert np.array_equal(*results)
    assert np.allclose(results[0], evaluate(plain, arguments)[0])


def test_programs_within_a_budget_are_text() -> None:
    whole = program(TEXT, "main")
    peak = Liveness(run(whole, Options()).program).peak
    small = run(whole, Options(memory=peak * 8 // 10)).program
    assert check(Source(str(small))).programs["main"] is small


def test_no_pass_takes_together_what_is_computed_again() -> None:
    whole = program(TEXT, "main")
    plain = run(whole, Options()).program
    budget = Liveness(plain).peak * 7 // 10
    small = run(whole, Options(memory=budget)).program
    again = run(small, Options()).program
    assert len(again.nodes) == len(small.nodes) > len(plain.nodes) and Liveness(again).peak <= budget


def test_what_fits_is_left_alone() -> None:
    whole = program(TEXT, "main")
    plain = run(whole, Options())
    assert run(whole, Options(memory=Liveness(plain.program).peak)).program is plain.program


def test_a_product_with_its_transpose_stays_one() -> None:
    """All looks at an operand wait together, so that the same kernel runs."""
    text = """
def f(A: f64[50, 40], B: f64[50, 50]) -> (f64[40, 40], f64):
    G = tanh(A)' @ tanh(A)
    H = exp(B @ B @ B)
    return tanh(G), sum(H @ H) + sum(G)
"""
    whole = program(text, "f")
    plain = run(whole, Options()).program
    peak = Liveness(plain).peak
    arguments = operands(whole)
    target = backend("numpy")
    expected = target.load(target.emit(plain))(*arguments)
    for share in (0.95, 0.9, 0.85, 0.8):
        try:
            small = run(whole, Options(memory=int(peak * share))).program
        except TpcError:
            continue
        for a, b in zip(target.load(target.emit(small))(*arguments), expected, strict=True):
            assert np.array_equal(a, b)


def test_iterations_with_a_test_run_once() -> None:
    text = """
def f(A: f64[60, 60], b: f64[60, 60]) -> f64:
    x = b
    repeat 50 until norm(x) <= 1e-3:
        x = 0.5 * (A @ x)
    y = exp(x)
    z = exp(y @ y) @ y
    return sum(z @ x)
"""
    whole = program(text, "f")
    peak = Liveness(run(whole, Options()).program).peak
    for budget in range(peak // 2, peak, peak // 10):
        try:
            small = run(whole, Options(memory=budget)).program
        except TpcError:
            continue
        assert sum(node.op.name == "repeat" for node in small.nodes) == 1


def test_what_cannot_fit_says_the_least() -> None:
    text = "def f(A: f64[10, 10]) -> f64[10, 10]:\n    B = A @ A\n    return B @ B\n"
    with pytest.raises(TpcError) as caught:
        run(program(text, "f"), Options(memory=2000))
    (said,) = caught.value.diagnostics
    assert said.code == "E0908" and "2,400 bytes" in said.title
    assert "one step takes as much with its operands, so no order of the steps holds less" in said.notes
    assert run(program(text, "f"), Options(memory=2400)).program


def test_a_bound_is_told_apart_from_the_least_that_was_found() -> None:
    """Eight results are held at the end, which is more than any product takes with its operands."""
    lines = "\n".join(f"    B{k} = A @ tanh(A + {k})" for k in range(8))
    types, results = ", ".join(8 * ["f64[10, 10]"]), ", ".join(f"B{k}" for k in range(8))
    whole = program(f"def f(A: f64[10, 10]) -> ({types}):\n{lines}\n    return {results}\n", "f")
    with pytest.raises(TpcError) as caught:
        run(whole, Options(memory=2000))
    (said,) = caught.value.diagnostics
    assert any(note.startswith("one step takes ") and "as much" not in note for note in said.notes), said.notes


def test_what_a_loop_takes_is_told() -> None:
    text = """
def f(A: f64[100, 100], x: f64[100, 100]) -> f64[100, 100]:
    y = x
    repeat 5:
        P[i, j, k] = A[i, k] * y[j, k]
        y = tanh(median(P, axis=2))
    return y
"""
    with pytest.raises(TpcError) as caught:
        run(program(text, "f"), Options(memory=1_000_000))
    (said,) = caught.value.diagnostics
    assert said.code == "E0908"
    assert any("f64[100, 100, 100] of `mul`" in note for note in said.notes), said.notes
    assert "`median` takes 8,080,000 of them for itself while it runs" in said.notes
