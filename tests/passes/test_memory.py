"""Memory of programs: the order of steps, places in a block, the op `after`, and peaks for open sizes."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import permutations

import numpy as np
import pytest

from tpc.backends import backend
from tpc.dsl.source import Source
from tpc.ir.elaborate.module import check
from tpc.ir.node import Program
from tpc.ir.sizes import with_sizes
from tpc.passes.memory.liveness import Liveness
from tpc.passes.memory.order import Task, Tasks, best_order
from tpc.passes.memory.peaks import peaks
from tpc.passes.memory.placement import Span, lower_bound, place
from tpc.passes.memory.schedule import schedule
from tpc.passes.memory.workspace import large_sizes
from tpc.passes.respell import respell

# ---- the order of steps


def tasks(choices: random.Random, count: int) -> Tasks:
    """Random steps, some of which keep their results, take room while they run, or write to an operand."""
    found: list[Task] = []
    for k in range(count):
        near = range(max(0, k - 12), k)
        reads = tuple(sorted(choices.sample(near, min(k, choices.randrange(4)))))
        takes = reads[0] if reads and choices.random() < 0.3 else None
        workspace = choices.choice((0, 0, choices.randrange(50)))
        found.append(Task(choices.randrange(1, 100), reads, workspace, choices.random() < 0.1, takes))
    return Tasks(tuple(found))


def is_order(graph: Tasks, order: Sequence[int]) -> bool:
    place = {k: position for position, k in enumerate(order)}
    return len(place) == len(order) == len(graph.all) and all(
        place[j] < place[k] for k, task in enumerate(graph.all) for j in task.reads
    )


def held(graph: Tasks, order: Sequence[int]) -> int:
    """The most that an order holds, counted anew at each step: a second opinion on `Tasks.peak`."""
    most = 0
    for position, k in enumerate(order):
        task, later = graph.all[k], set(order[position:])
        before = [j for j in order[:position] if graph.all[j].kept or any(j in graph.all[i].reads for i in later)]
        needs = sum(graph.all[j].bytes for j in before) + task.bytes + task.workspace
        taken = task.takes
        if taken is not None and not graph.all[taken].kept:
            is_last = not any(taken in graph.all[i].reads for i in later - {k})
            needs -= graph.all[taken].bytes * is_last
        most = max(most, needs)
    return most


@pytest.mark.parametrize("seed", range(60))
def test_order_is_the_best_of_all(seed: int) -> None:
    choices = random.Random(seed)
    graph = tasks(choices, choices.randrange(1, 8))
    orders = [o for o in permutations(range(len(graph.all))) if is_order(graph, o)]
    assert graph.peak(best_order(graph)) == min(held(graph, o) for o in orders)


@pytest.mark.parametrize("count", [20, 60, 200])
def test_order_is_never_worse_than_before(count: int) -> None:
    for seed in range(10):
        graph = tasks(random.Random(seed), count)
        order = best_order(graph)
        assert is_order(graph, order)
        assert graph.peak(order) == held(graph, order) <= graph.peak(range(count))


def test_order_that_reads_too_early_is_refused() -> None:
    with pytest.raises(ValueError, match="comes before"):
        Tasks((Task(1), Task(1, (0,)))).peak([1, 0])


def test_leaves_are_not_all_made_first() -> None:
    """A thousand steps, half of which each have one reader that is smaller."""
    graph = Tasks(tuple(Task(100) for _ in range(500)) + tuple(Task(1, (k,), kept=True) for k in range(500)))
    assert graph.peak(best_order(graph)) <= 700 < graph.peak(range(1000))


# ---- places in one block


def schedule_of_buffers(seed: int, count: int = 120) -> list[Span]:
    """Buffers of sizes over four orders of magnitude, one made at each step and held for about eight."""
    choices = random.Random(seed)
    return [Span(int(2 ** choices.uniform(6, 20)), k, k + 1 + int(choices.expovariate(1 / 8))) for k in range(count)]


def overlap(spans: Sequence[Span], offsets: Sequence[int]) -> bool:
    for i, a in enumerate(spans):
        for j, b in enumerate(spans[:i]):
            alive = a.start < b.stop and b.start < a.stop
            if alive and offsets[i] < offsets[j] + b.bytes and offsets[j] < offsets[i] + a.bytes:
                return True
    return False


def test_places_are_near_the_lower_bound() -> None:
    ratios, saved = [], []
    for seed in range(100):
        spans = schedule_of_buffers(seed)
        found = place(spans)
        assert found == place(spans), "places are the same on every run"
        assert not overlap(spans, found.offsets) and all(offset % 64 == 0 for offset in found.offsets)
        ratios.append(found.bytes / lower_bound(spans))
        saved.append(sum(span.bytes for span in spans) / found.bytes)
    assert min(ratios) >= 1
    assert np.mean(ratios) <= 1.05
    assert np.mean(saved) >= 3


def test_overlap_is_seen() -> None:
    spans = [Span(64, 0, 2), Span(64, 1, 3), Span(64, 2, 4)]
    assert overlap(spans, (0, 0, 64)) and not overlap(spans, (0, 64, 0))


def test_places_of_few_and_of_many() -> None:
    assert place([]).bytes == 0 and place([Span(1, 0, 1)]).bytes == 64
    assert place([Span(100, 0, 1), Span(100, 1, 2)]).bytes == 128
    spans = schedule_of_buffers(0, 1000)
    found = place(spans)
    assert found.bytes <= 1.05 * lower_bound(spans)


# ---- programs

WIDE = """
def wide(x: f64[n, n]) -> f64:
    a, b, c = x @ x, x @ x', x' @ x
    return sum(a * b * c) + sum(a @ x) + sum(b @ x) + sum(c @ x)
"""


def program_of(text: str, **sizes: int) -> Program:
    checked = check(Source(text))
    assert not checked.diagnostics.errors
    return with_sizes(list(checked.programs.values())[-1], sizes)


def test_schedule_lowers_the_peak_and_nothing_undoes_it() -> None:
    program = program_of(WIDE, n=600)
    found = schedule(program)
    assert Liveness(found).peak <= 0.8 * Liveness(program).peak
    assert any(node.op.name == "after" for node in found.nodes)
    assert schedule(found) is found and respell(found) is found
    assert list(check(Source(str(found))).programs.values())[-1] is found, "it reads back as it is"
    x = np.random.default_rng(0).standard_normal((600, 600))
    first, second = (backend("numpy").load(backend("numpy").emit(p))(x) for p in (found, program))
    assert first == second


def test_schedule_leaves_programs_alone() -> None:
    for program in (program_of(WIDE, n=6), program_of("def f(x: f64[n]) = exp(x)", n=10**6)):
        assert schedule(program) is program


def test_open_sizes_are_scheduled_at_large_ones() -> None:
    program = program_of(WIDE)
    found = schedule(program)
    assert found is not program and schedule(found) is found
    assert large_sizes(program).at == {"n": 10**4}
    assert large_sizes(program_of("def f(x: f64[n]) = exp(x)")).at == {"n": 10**7}
    assert str(with_sizes(found, {"n": 600})) == str(schedule(program_of(WIDE, n=600)))
    assert "    del " in backend("numpy").emit(found).source
    x = np.random.default_rng(0).standard_normal((60, 60))
    first, second = (backend("numpy").load(backend("numpy").emit(p))(x) for p in (found, program))
    assert first == second


def test_after_is_the_value_with_its_facts() -> None:
    from tpc.ir.facts import analyse

    program = program_of("def f(S: f64[n, n] is spd, y: f64[n]) -> f64[n] = inv(after(S, sum(y))) @ y")
    node = next(node for node in program.nodes if node.op.name == "after")
    assert "spd" in {fact.name for fact in analyse(program)[node]}


def test_peaks_of_open_sizes_are_those_of_known_ones() -> None:
    """Polynomials at numbers, where libraries take nothing for themselves."""
    from tpc.ir.dims import evaluate as at

    text = """
def f(A: f64[n, n], b: f64[n]) -> f64[n]:
    x, r = zeros(n), b
    repeat 10:
        p = A @ r
        x, r = x + p, r - p
    return x
"""
    program = program_of(text)
    most = max(at(step, {"n": 50}) for step in peaks(program))
    assert most == Liveness(program_of(text, n=50), reuses=False).peak == 8 * (50 * 50 + 6 * 50)


def test_what_is_alive_at_the_peak() -> None:
    memory = Liveness(program_of("def f(x: f64[n]) -> f64 = sum(exp(x) * sin(x) * x)", n=1000))
    assert [buffer.node.op.name for buffer in memory.alive(memory.position)] == ["input", "exp", "sin", "mul"]
    assert memory.peak == 4 * 8000
