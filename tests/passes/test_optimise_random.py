"""Random programs of linear algebra with random facts: what a search makes of them means the same.

`TPC_FUZZ` is the number of programs over all modes and backends (120 by default); `TPC_SEED` moves to others.
"""

from __future__ import annotations

import os
import random
from typing import Any

import numpy as np
import pytest
from tests.backends.contract import BACKENDS, has_dtype, plain
from tests.backends.contract import run as run_on
from tests.programs.algebra import algebra

from tpc.dsl.diagnostics import TpcError
from tpc.dsl.source import Source
from tpc.ir.dims import evaluate as evaluate_dim
from tpc.ir.elaborate.module import check
from tpc.ir.node import Program
from tpc.ir.ops.structure import REPEAT
from tpc.ir.reference import evaluate
from tpc.ir.sizes import free_sizes
from tpc.passes.cost import profile
from tpc.passes.egraph.explore import Bounds
from tpc.passes.optimise import Request, optimise
from tpc.passes.pipeline import Options, run
from tpc.samples import sample
from tpc.verification import check_plan
from tpc.verification.operands import declared
from tpc.verification.results import distance, moved
from tpc.verification.sizes import small_sizes

COUNT = int(os.environ.get("TPC_FUZZ", "120"))
FIRST = int(os.environ.get("TPC_SEED", "0")) * 1_000_000
MODES = ("bitwise", "stable", "fast")
SLACK = 1e5  # sensitivities to one rounding


def program(text: str) -> Program:
    checked = check(Source(text))
    checked.diagnostics.raise_errors()
    return checked.programs["main"]


def plan(written: Program, seed: int, mode: str, backend: str) -> Program:
    rng = random.Random(seed)
    at = {name: rng.choice((3, 10, 100, 1000)) for name in free_sizes(written)}
    if mode == "bitwise":  # nothing is searched for
        return run(written, Options(mode=mode, at=at, backend=backend)).program
    spelled = run(written, stop_after="respell").program
    return optimise(spelled, Request(profile(backend, 1), at, mode, Bounds(rounds=3, work=30_000)))


def operands(written: Program, sizes: dict[str, int], seed: int) -> list[Any]:
    drawn = []
    for node, facts in declared(written, sizes).items():
        shape = [evaluate_dim(d, sizes) for d in node.tensor.dims]
        drawn.append(sample(node.tensor.dtype, shape, facts, seed=seed, name=node["name"]))
    return drawn


def compare(written: Program, found: Program, backend: str, seed: int, is_bitwise: bool = False) -> int:
    """Hold what a backend computes for a plan to the reference; gives how many results were compared.

    If `is_bitwise`, it is also held to what the backend computes for the program as written, bit for bit.
    """
    (sizes, *_) = small_sizes(written, seed)
    arrays = operands(written, sizes, seed)
    epsilon = max(float(np.finfo(a.dtype).eps) for a in arrays)
    expected = evaluate(written, arrays, sizes)
    if not all(np.isfinite(e).all() for e in expected):
        return 0
    shifted = [evaluate(written, [moved(a, epsilon, k) for a in arrays], sizes) for k in range(2)]
    for place, (value, wanted) in enumerate(zip(run_on(backend, found, arrays), expected, strict=True)):
        assert has_dtype(value, written.result_types[place])
        spread = max(distance(s[place], wanted) for s in shifted)
        allowed = SLACK * (spread + epsilon * max(1.0, float(np.abs(wanted).max(initial=0.0))))
        assert distance(plain(value), wanted) <= allowed
    if is_bitwise:
        for value, literal in zip(run_on(backend, found, arrays), run_on(backend, written, arrays), strict=True):
            assert np.array_equal(plain(value), plain(literal))
    return len(expected)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("mode", MODES)
def test_plans_mean_what_was_written(mode: str, backend: str) -> None:
    number = MODES.index(mode) + len(MODES) * BACKENDS.index(backend)
    share = len(MODES) * len(BACKENDS)
    compared = changed = 0
    for seed in range(FIRST + number, FIRST + COUNT, share):
        text = algebra(seed, 2 + seed // share % 2)
        written = program(text)
        found = plan(written, seed, mode, backend)
        try:
            assert [str(t) for t in found.result_types] == [str(t) for t in written.result_types]
            assert found.output_names == written.output_names
            assert check_plan(written, found, seed).method != "none"
            # native code fuses what stands together, and sums of other loops may round otherwise
            compared += compare(written, found, backend, seed, mode == "bitwise" and backend != "llvm")
        except TpcError as error:
            raise AssertionError(f"seed {seed}\n{text}\n{found}") from error
        except Exception as error:
            error.add_note(f"seed {seed}\n{text}\n{found}")
            raise
        changed += found is not written
    assert compared > COUNT // share // 2 and (changed > COUNT // share // 2 or mode == "bitwise")


def test_a_search_gives_the_same_plan_again() -> None:
    for seed in range(FIRST, FIRST + 6):
        written = program(algebra(seed, 2))
        assert plan(written, seed, "fast", "numpy") is plan(written, seed, "fast", "numpy")


def test_the_programs_have_what_there_is_to_find() -> None:
    written = [program(algebra(seed, 3)) for seed in range(200)]
    used = {node.op.name for p in written for node in p.walk()}
    assert {"inv", "solve", "kron", "trace", "logdet", "det", "cholesky", "matpow", "diag", "outer", "softmax"} <= used
    assert any(node.op is REPEAT for p in written for node in p.walk())
    facts = {fact.name for p in written for _, known in p.facts for fact in known}
    assert len(facts) >= 15


def test_the_comparison_can_fail() -> None:
    written = program("def main(x: f64[n]) -> f64[n] = 2 * x\n")
    assert compare(written, written, "numpy", 0) == 1
    with pytest.raises(AssertionError):
        compare(written, program("def main(x: f64[n]) -> f64[n] = 2.001 * x\n"), "numpy", 0)


# ---- what was found so, reduced

FOUND = {
    "negation costs something, so that no value is its own need": (
        "def main(a: f64[n], C: f64[n, n] is circulant, D: f64[n, n] is spd and banded(1, 1), g: f64[n]):\n"
        "    v2 = (C + D') @ inv(2 * D)\n"
        "    return sum(cholesky(inv(0.5 * D))), softmax(diag(exp(a)) @ (tril(D) * (diag(g) @ v2))) * tanh(v2)\n",
        {"n": 10},
    ),
    "two inverses in an order of many operands": (
        "def main(B: f64[m, m], L: f64[n, m], s: f64[m], R: f64[n, k], S: f64[k, n], U: f64[m, n], A: f64[n, n], "
        "C: f64[n, n]):\n"
        "    w = ((U @ inv(A)) @ inv(C))' @ square(diag(B))\n"
        "    return square(L @ s) @ ((R @ (sum(B * B) * S)) * w)\n",
        {"m": 1000, "n": 100, "k": 100},
    ),
    "the absolute value of a complex product": ("def main(x: c128[n]) = abs(x) * abs(x)\n", {"n": 10}),
    "a product of inverses that is asked for entry by entry": (
        "def main(D: f64[n, n] is spd):\n    v1 = inv(D) @ inv(D)\n    return tanh(v1) * v1\n",
        {"n": 100},
    ),
    "two inverses that meet nothing else": (
        "def main(J: f64[n, n] is spd, L: f64[n, n] is nonsingular, x: f64[m]) = x * trace(inv(J) @ inv(L))\n",
        {"n": 100, "m": 10},
    ),
    "prices so large that a view costs nothing beside them": (
        "def main(x: f64[n], y: f64[n]):\n    v0 = x\n    v1 = y\n"
        + "".join(f"    v{k} = tanh(v{k - 1}) * v{k - 2} + v{k - 1}\n" for k in range(2, 90))
        + "    return v89\n",
        {"n": 10},
    ),
}


@pytest.mark.parametrize("name", FOUND)
def test_what_was_found_stays_mended(name: str) -> None:
    text, at = FOUND[name]
    written = program(text)
    spelled = run(written, stop_after="respell").program
    for backend in BACKENDS:
        found = optimise(spelled, Request(profile(backend), at, "fast"))
        assert check_plan(written, found).method != "none"
