"""No plan is predicted to be slower than the program as written, and hardly any is left as it was for that reason.

`TPC_FUZZ` is the number of random programs (300 by default); `TPC_SEED` moves to others.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Mapping

import pytest
from benchmarks.algebra.cases import GROUPS
from tests.programs.algebra import algebra

from tpc.dsl.source import Source
from tpc.ir.elaborate.module import check
from tpc.ir.node import Program
from tpc.ir.sizes import free_sizes
from tpc.passes.choose.samples import draw
from tpc.passes.cost import profile
from tpc.passes.kernels import predicted
from tpc.passes.optimise import Request, is_dearer, multiplies_inverse, search
from tpc.passes.pipeline import Options, run
from tpc.passes.variants import variants

COUNT = int(os.environ.get("TPC_FUZZ", "300"))
FIRST = int(os.environ.get("TPC_SEED", "0")) * 1_000_000
WAYS = [(mode, backend) for mode in ("stable", "fast") for backend in ("numpy", "torch")]
SLACK = 1.0001
DECLINED = 0.05  # share of the searches that may find nothing as fast as what was written


def compiled(program: Program, options: Options) -> tuple[float, float, bool]:
    """Predicted seconds as written and as planned, and whether what the search found was declined.

    An inverse that was written to be multiplied gives way to a solve for more digits, and what overflows to what does
    not, even where that is slower.
    """
    prices, at = profile(options.backend, options.threads), {**options.at, **options.sizes}
    plan = run(program, options)
    written = run(program, options, stop_after="respell").program
    slack = float("inf") if multiplies_inverse(written) else 1.0
    if plan.search is not None and plan.search.graph.superseded:
        slack = float("inf")
    return (
        predicted(written, prices, at) * slack,
        predicted(plan.program, prices, at),
        bool(plan.search and plan.search.declined),
    )


def programs() -> Iterator[tuple[str, Program, Mapping[str, int]]]:
    for seed in range(FIRST, FIRST + COUNT):
        checked = check(Source(algebra(seed, 2 + seed % 2)))
        checked.diagnostics.raise_errors()
        chance = random.Random(seed)
        program = checked.programs["main"]
        yield f"seed {seed}", program, {name: chance.choice((3, 10, 100, 1000)) for name in free_sizes(program)}


def cases() -> Iterator[tuple[str, Program, Mapping[str, int]]]:
    for group in GROUPS:
        for case in group.cases:
            if case.expect == "optimise":
                yield case.name, case.checked(), case.sizes


@pytest.mark.parametrize("source", [programs, cases])
def test_no_plan_is_dearer_than_what_was_written(source: object) -> None:
    assert callable(source)
    declined = count = 0
    for number, (name, program, sizes) in enumerate(source()):
        mode, backend = WAYS[number % len(WAYS)]
        before, after, kept = compiled(program, Options(at=sizes, mode=mode, backend=backend, threads=1))
        assert after <= before * SLACK, (name, mode, backend, program)
        declined, count = declined + kept, count + 1
    assert count and declined <= DECLINED * count


def test_hardly_any_variant_is_dearer_than_what_was_written_where_it_is_chosen() -> None:
    prices = profile("numpy", 1)
    ratios = []
    for _, program, _ in list(programs())[COUNT // 10 : COUNT // 5]:
        written = run(program, stop_after="respell").program
        found = variants(program, Options(threads=1))
        if multiplies_inverse(written) or any(v.plan.search and v.plan.search.graph.superseded for v in found.plans):
            continue
        for sizes in draw(written, 30, seed=1):  # others than those by which the variants were chosen
            plan = found.plans[found.choose(sizes)].plan.program
            ratios.append(predicted(plan, prices, sizes) / predicted(written, prices, sizes))
    assert len(ratios) > COUNT and sum(r > 1.05 for r in ratios) <= 0.01 * len(ratios) and max(ratios) < 1.5


def test_the_program_as_written_is_a_variant_where_nothing_is_faster() -> None:
    text = "def f(A: f64[n, n], B: f64[n, m], b: f64[m]) -> f64[n] = A @ B @ b\n"

    class Odd(Prices):
        """Products of matrices cost nothing at some sizes, and products with vectors do at all."""

        def seconds(self, kernel: str, sizes: tuple[int, ...], dtype: object, batch: int = 1) -> float:
            return 1e-9 if kernel == "gemm" and sizes[0] < 100 else 1e-3 if kernel == "gemm" else 1e-5 * min(sizes)

    written = check(Source(text)).programs["f"]
    found = variants(written, prices=Odd())
    for sizes in ({"n": 50, "m": 1000}, {"n": 1000, "m": 50}):
        plan = found.plans[found.choose(sizes)].plan
        assert predicted(plan.program, Odd(), sizes) <= 1.05 * predicted(written, Odd(), sizes)


class Prices:
    """What is written takes nearly nothing here, and all else takes long."""

    def seconds(self, kernel: str, sizes: tuple[int, ...], dtype: object, batch: int = 1) -> float:
        return {"gemm": 1e-6, "gemv": 1e-5, "getri": 1e-6}.get(kernel, 1e-5)


def test_a_plan_that_is_predicted_to_be_slower_is_declined() -> None:
    text = "def f(A: f64[n, n], B: f64[n, n], b: f64[n]) -> f64[n] = A @ B @ b\n"
    written = check(Source(text)).programs["f"]
    usual = search(written, Request(profile("numpy", 1), {"n": 1000}))
    assert not usual.declined and usual.program is not written
    odd = Request(Prices(), {"n": 1000})
    assert is_dearer(usual.program, written, odd) and not is_dearer(written, usual.program, odd)


def test_a_solve_stays_where_an_inverse_would_be_faster() -> None:
    written = check(Source("def f(A: f64[n, n] is nonsingular, b: f64[n]) -> f64[n] = inv(A) @ b\n")).programs["f"]
    found = search(written, Request(Prices(), {"n": 10}))
    assert not found.declined and "inv" not in {n.op.name for n in found.program.nodes}
