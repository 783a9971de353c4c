"""Variants of plans for open sizes: right at all sizes, few, and well chosen."""

import runpy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.passes.counted import flops

from tpc.backends import backend
from tpc.backends.choice import Alternative
from tpc.dsl.source import Source
from tpc.ir.dims import evaluate as evaluate_dim
from tpc.ir.dims import named
from tpc.ir.elaborate.module import check
from tpc.ir.node import Program
from tpc.ir.reference import evaluate
from tpc.passes.choose.samples import LONG, draw, open_sizes
from tpc.passes.choose.short import Shortener, cheapest
from tpc.passes.choose.wins import wins
from tpc.passes.kernels import Kernel, predicted
from tpc.passes.pipeline import Options
from tpc.passes.pipeline import run as run_passes
from tpc.passes.variants import BEFORE, Variants, variants


class Operations:
    """Prices that do not depend on the machine."""

    def seconds(self, kernel: str, sizes: Any, dtype: Any, batch: int = 1) -> float:
        return 1e-6 + 1e-9 * flops(kernel, tuple(sizes), batch)


CHAIN = "def f(A: f64[n, m], B: f64[m, k], C: f64[k, p]) -> f64[n, p] = A @ B @ C"
SOLVE = """
def f(X: f64[n, m] is full_rank, M: f64[n, n] is spd, y: f64[n]) -> f64[m] where n >= m:
    return inv(X' @ inv(M) @ X) @ X' @ inv(M) @ y
"""
SUMS = "def f(A: f64[n, m], B: f64[n, m], C: f64[m, n], x: f64[n]) -> f64[n] = (A + B) @ C @ x + A @ C @ x"
KRON = "def f(A: f64[n, n], B: f64[m, m], x: f64[n * m]) -> f64[n * m] = kron(A, B) @ kron(A', B') @ x"
TRACE = "def f(A: f64[n, m], B: f64[m, n], D: f64[n, n] is diagonal) -> f64 = trace(A @ B @ D) + trace(D @ A @ B)"
SHIFT = "def f(U: f64[n, k], a: f64, x: f64[n]) -> f64[n] = inv(a * eye(n) + U @ U') @ x"


@pytest.fixture(autouse=True)
def _optimised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TPC_OPTIMISE", "1")


def program(text: str) -> Program:
    (found,) = check(Source(f"{text}\n")).programs.values()
    return found


def found(text: str, **options: Any) -> Variants:
    return variants(program(text), Options(**options), prices=Operations())


def operands(wanted: Program, sizes: Mapping[str, int]) -> list[Any]:
    """Arrays for the inputs, with what is declared of them here."""
    generator = np.random.default_rng(0)
    facts = {node: {f.name for f in known} for node, known in wanted.facts}
    arrays = []
    for node in wanted.inputs:
        array = (
            generator.standard_normal([evaluate_dim(d, sizes) for d in node.tensor.dims]) + (node.tensor.rank == 0) * 3
        )
        if "spd" in facts.get(node, ()):
            array = array @ array.T + len(array) * np.eye(len(array))
        if "diagonal" in facts.get(node, ()):
            array = np.diag(np.diag(array))
        arrays.append(array)
    return arrays


CASES: list[tuple[str, list[dict[str, int]]]] = [
    (
        CHAIN,
        [
            {"n": 2, "m": 3, "k": 4, "p": 5},
            {"n": 7, "m": 1, "k": 6, "p": 1},
            {"n": 1, "m": 0, "k": 3, "p": 2},
            {"n": 9, "m": 2, "k": 9, "p": 2},
        ],
    ),
    (SOLVE, [{"n": 5, "m": 2}, {"n": 4, "m": 4}, {"n": 1, "m": 1}, {"n": 9, "m": 1}]),
    (SUMS, [{"n": 2, "m": 7}, {"n": 7, "m": 2}, {"n": 1, "m": 1}, {"n": 3, "m": 0}]),
    (KRON, [{"n": 2, "m": 3}, {"n": 4, "m": 1}, {"n": 1, "m": 4}]),
    (TRACE, [{"n": 2, "m": 5}, {"n": 5, "m": 2}, {"n": 1, "m": 1}, {"n": 4, "m": 0}]),
    (SHIFT, [{"n": 2, "k": 5}, {"n": 5, "k": 2}, {"n": 3, "k": 3}, {"n": 4, "k": 1}]),
]


@pytest.mark.parametrize("text,points", CASES, ids=["chain", "solve", "sums", "kron", "trace", "shift"])
def test_every_variant_is_right_at_sizes_that_are_not_its_own(text: str, points: list[dict[str, int]]) -> None:
    """No rewrite may rest on the sizes that a variant was chosen for."""
    written, several = program(text), found(text)
    for sizes in points:
        arrays = operands(written, sizes)
        expected = evaluate(written, arrays)
        for variant in several.plans:
            for got, want in zip(evaluate(variant.plan.program, arrays), expected, strict=True):
                np.testing.assert_allclose(got, want, rtol=1e-8, atol=1e-10)


def test_the_orders_of_a_chain() -> None:
    several = found(CHAIN)
    assert len(several.plans) == several.found == 2 and several.mean_loss < 1e-12 > several.high_loss
    left = {"n": 1, "m": 50, "k": 50, "p": 50}  # (A @ B) @ C, and A @ (B @ C)
    right = {"n": 50, "m": 50, "k": 50, "p": 1}
    assert several.choose(left) != several.choose(right)
    for sizes in (left, right):
        costs = [predicted(v.plan.program, Operations(), sizes) for v in several.plans]
        assert several.choose(sizes) == costs.index(min(costs))


def test_few_of_many_orders_lose_little() -> None:
    text = "def f(A: f64[a, b], B: f64[b, b] is lower, C: f64[b, c], D: f64[c, d], E: f64[d, d]) = A @ B @ C @ D @ E"
    several = found(text)
    assert several.found > len(several.plans) and len(several.plans) <= 5
    assert several.mean_loss < 0.05 and several.high_loss < 0.15
    assert len(variants(program(text), most=2, prices=Operations()).plans) == 2


def test_the_plan_of_sizes_that_matter_is_among_them() -> None:
    text = "def f(A: f64[a, b], B: f64[b, c], C: f64[c, d], D: f64[d, e], E: f64[e, g]) = A @ B @ C @ D @ E"
    at = {"a": 300, "b": 2, "c": 310, "d": 3, "e": 290, "g": 320}
    best = min(predicted(v.plan.program, Operations(), at) for v in found(text, at=at).plans)
    own = variants(program(text), Options(sizes=at), prices=Operations())
    assert best == pytest.approx(predicted(own.plans[0].plan.program, Operations(), {}))


def test_fixed_sizes_and_bitwise_have_one_plan() -> None:
    fixed = found(CHAIN, sizes={"n": 2, "m": 3, "k": 4, "p": 5})
    assert len(fixed.plans) == 1 and fixed.choose({}) == 0 and fixed.table() == "one plan for all sizes\n"
    assert len(found(CHAIN, mode="bitwise").plans) == 1
    assert len(found(CHAIN, sizes={"m": 3}).plans) > 1


def test_equal_programs_have_equal_variants() -> None:
    first, second = found(SUMS), found(SUMS)
    assert [v.plan.program for v in first.plans] == [v.plan.program for v in second.plans]
    assert [v.seconds for v in first.plans] == [v.seconds for v in second.plans]


def test_where_each_wins_is_told() -> None:
    table = found(CHAIN).table()
    assert table.startswith("variant 1  ") and "% of sizes, mostly " in table and "2 best plans" in table


# ---- emitted modules


def emit(text: str, name: str) -> tuple[Any, str]:
    several = found(text, backend=name)
    assert len(several.plans) > 1
    chosen = backend(name)
    module = chosen.emit_choice(
        [Alternative(v.plan.program, v.seconds, v.wins, v.plan.notes.names) for v in several.plans]
    )
    return chosen.load(module), module.source


def test_a_module_holds_all_variants_and_chooses() -> None:
    function, source = emit(CHAIN, "numpy")
    assert "def f(A, B, C):" in source and "def f_1(" in source and "def f_2(" in source and "def f_3(" not in source
    assert "# f_1: " in source and "tpc." not in source
    for sizes in CASES[0][1]:
        arrays = operands(program(CHAIN), sizes)
        np.testing.assert_allclose(function(*arrays), arrays[0] @ arrays[1] @ arrays[2], atol=1e-12)
    with pytest.raises(ValueError, match="B must have the shape"):
        function(np.ones((2, 3)), np.ones((2, 3)), np.ones((3, 2)))


def test_a_module_calls_the_variant_of_the_sizes(tmp_path: Path) -> None:
    several = found(CHAIN)
    _, source = emit(CHAIN, "numpy")
    called: list[str] = []
    given: dict[str, Any] = {"called": called}
    for k in (1, 2):
        source = source.replace(f"return f_{k}(", f"return called.append({k}) or f_{k}(")
    (tmp_path / "f.py").write_text(source)
    given = runpy.run_path(str(tmp_path / "f.py"), given)
    for sizes in ({"n": 1, "m": 50, "k": 50, "p": 50}, {"n": 50, "m": 50, "k": 50, "p": 1}):
        given["f"](*operands(program(CHAIN), sizes))
        assert called.pop() == several.choose(sizes) + 1


def test_sizes_that_no_shape_tells_are_keywords() -> None:
    function, source = emit("def f(A: f64[n*k, m], B: f64[m, p], C: f64[p, p]) -> f64[n*k, p] = k * A @ B @ C", "numpy")
    assert "*, k" in source
    np.testing.assert_allclose(function(np.ones((4, 3)), np.ones((3, 2)), np.eye(2), k=2, n=2), np.full((4, 2), 6.0))


def test_torch_modules_choose_and_have_gradients() -> None:
    torch = pytest.importorskip("torch")
    function, _ = emit(CHAIN, "torch")
    A = torch.ones(2, 3, dtype=torch.float64, requires_grad=True)
    B, C = torch.ones(3, 4, dtype=torch.float64), torch.ones(4, 1, dtype=torch.float64)
    function(A, B, C).sum().backward()
    assert A.grad.tolist() == [[4.0] * 3] * 2


# ---- parts


def test_short_polynomials_are_the_prices_where_these_are_polynomials() -> None:
    n, m = named("n"), named("m")
    kernels = {
        Kernel("gemm", (n, m, n)): 2,
        Kernel("potrf", (m,), times=m): 1,
        Kernel("elementwise", (n * m, 2, 1)): 1,
    }
    short = tuple(Shortener(Operations()).polynomial(kernels, 0.5).items())
    for sizes in ({"n": 3, "m": 700}, {"n": 40, "m": 9}):
        a, b = sizes.values()
        expected = 0.5 + 1e-6 * (3 + b) + 1e-9 * (4 * a**2 * b + b**4 / 3 + a * b)
        assert sum(c * evaluate_dim(dim, sizes) for dim, c in short) == pytest.approx(expected, rel=0.02)


def test_the_cheapest_polynomial() -> None:
    n = named("n")
    choices = (((n, 1.0),), ((1, 50.0),), ((n, 1.0),))
    assert [cheapest(choices, {"n": size}) for size in (1, 49, 51)] == [0, 0, 1]
    assert cheapest(choices[:1], {}) == 0


def _points() -> Iterator[tuple[Program, list[dict[str, int]]]]:
    for text in (
        "def f(A: f64[n, m], B: f64[m, 2*m + 1]) -> f64[n, 2*m + 1] where n > m = A @ B",
        "def f(A: f64[n, m], B: f64[m, k]) -> f64[n, k] where n == 2*m, k <= m = A @ B",
    ):
        written = program(text)
        yield written, draw(written, 60)


def test_samples_meet_the_constraints() -> None:
    (first, above), (second, equal) = _points()
    assert open_sizes(first) == ("n", "m") and set(open_sizes(second)) == {"m", "k"}
    assert len(above) == 60 and all(p["n"] > p["m"] for p in above)
    assert len(equal) > 20 and all(p["k"] <= p["m"] for p in equal)
    assert {LONG, 1} <= {size for point in above for size in point.values()}
    assert draw(first, 60) == above  # always the same


def test_words_for_where_a_variant_wins() -> None:
    generator = np.random.default_rng(0)
    columns = {"n": generator.integers(1, 1000, 200), "m": generator.integers(1, 1000, 200)}
    assert "mostly n < m" in wins(columns, columns["n"] < columns["m"])
    assert wins(columns, np.ones(200, bool)) == "100% of sizes"


def test_passes_run_in_two_parts() -> None:
    """The passes behind the choice of a plan run on each variant."""
    written = program(SUMS)
    whole = run_passes(written, Options())
    first = run_passes(written, Options(), BEFORE)
    second = run_passes(first.program, Options(), notes=first.notes, begin="optimise")
    assert second.program is whole.program and (*first.steps, *second.steps) == whole.steps
