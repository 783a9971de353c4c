"""Loops whose passes do not depend on each other: what becomes of them, and that their values stay."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import pytest

from tpc.backends import backend
from tpc.dsl.source import Source
from tpc.ir.elaborate.module import check
from tpc.ir.node import Program
from tpc.ir.reference import evaluate
from tpc.passes.pipeline import Options, run
from tpc.passes.vectorise import CACHE, vectorise


def program(text: str) -> Program:
    checked = check(Source(text.lstrip(), "test.tp"))
    assert not checked.diagnostics.errors, checked.diagnostics.errors[0].title
    name = checked.default()
    assert name is not None
    return checked.programs[name]


def vectorised(text: str) -> Program:
    return run(program(text), stop_after="vectorise").program


def ops(p: Program) -> list[str]:
    """The ops of a program, those inside of loops included."""
    return [n.op.name for n in p.walk() if n.op.name not in ("input", "literal", "size", "item")]


def scan(body: str, result: str = "f64[...]", state: str = "") -> str:
    """A function whose loop over `t` collects `y`, from operands of many shapes."""
    lines = "".join(f"        {line}\n" for line in body.split("; "))
    first = f"    {state}\n" if state else ""
    return (
        "def f(A: f64[n, m], B: f64[m, t], X: f64[t, m], Z: f64[t, n, m], S: f64[n, n] is spd, u: f64[t], v: f64[m], "
        "w: f64[n], p: i64[t], c: f64):\n"
        f"{first}    scan i in t:\n{lines}    return y\n"
    )


def arguments(n: int, m: int, t: int, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    S = rng.standard_normal((n, n))
    shapes = [(n, m), (m, t), (t, m), (t, n, m), (n, n), (t,), (m,), (n,)]
    arrays = [rng.standard_normal(s) for s in shapes]
    arrays[4] = S @ S.T + np.eye(n)
    return [*arrays, rng.integers(0, max(t, 1), t), np.asarray(rng.standard_normal())]


def agree(before: Program, after: Program, sizes: tuple[int, int, int], seed: int = 0) -> bool:
    given = dict(zip("nmt", sizes, strict=True))
    operands = arguments(*sizes, seed)
    expected = evaluate(before, operands, given)
    found = evaluate(after, operands, given)
    return all(np.shape(a) == np.shape(b) and np.allclose(a, b) for a, b in zip(expected, found, strict=True))


SIZES = [(3, 2, 4), (2, 3, 1), (1, 1, 1), (2, 2, 2), (3, 2, 0), (4, 1, 3)]

# ---- what becomes of a loop

WHOLE = {
    "columns": ("y[i] = A @ B[:, i]", ["matmul"]),
    "rows": ("y[i] = A @ X[i]", ["matmul"]),
    "from the left": ("y[i] = X[i] @ A'", ["matmul"]),
    "numbers": ("y[i] = X[i] @ v", ["matvec"]),
    "numbers, the other way round": ("y[i] = v @ X[i]", ["matvec"]),
    "forms": ("y[i] = X[i] @ B[:, i]", ["index"]),
    "an inverse": ("y[i] = inv(S) @ (A @ X[i])", ["inv", "matmul"]),
    "entries": ("y[i] = (A' @ A)[0, 0] * exp(u[i]) + c", ["exp"]),
    "matrices": ("y[i] = Z[i] @ v + w", ["matvec"]),
    "matrices with vectors": ("y[i] = Z[i] @ X[i]", ["index"]),
    "reductions": ("y[i] = logsumexp(Z[i], axis=0) - max(v * X[i])", ["logsumexp"]),
    "norms": ("y[i] = norm(Z[i]) + std(X[i])", ["norm", "std"]),
    "index statements": ("K[a, b] = sum[k](A[a, k] * X[i, k]) * w[b]; y[i] = K", ["index"]),
    "the counter": ("y[i] = v * i", ["arange"]),
    "the counter in an index statement": ("K[a] = select(a <= i, v[a], 0) * X[i, a]; y[i] = K", ["index"]),
    "backwards": ("y[i] = X[t - 1 - i]", ["index"]),
    "gathered": ("y[i] = softmax(X[p[i]])", ["softmax"]),
    "outer products": ("y[i] = outer(X[i], w)", ["index"]),
    "shapes": ("y[i] = concat(X[i], X[i]) + sum(reshape(Z[i], m*n)) + flip(concat(v, v))", ["concat", "reshape"]),
    "transposes": ("y[i] = Z[i]' * u[i]", ["transpose"]),
    "two loops": ("scan j in t: r[j] = X[j] @ X[i]", ["matmul"]),
    "a result that is the same in each": ("y[i] = A @ v", ["broadcast_to"]),
}


def written(body: str) -> str:
    if body.startswith("scan j"):
        return scan("scan j in t:;     r[j] = X[j] @ X[i]; y[i] = r")
    return scan(body)


@pytest.mark.parametrize("name", WHOLE)
def test_a_loop_without_state_is_no_loop(name: str) -> None:
    body, wanted = WHOLE[name]
    before = program(written(body))
    after = vectorised(written(body))
    assert "scan" not in ops(after), after
    assert set(wanted) <= set(ops(after)), after
    for sizes in SIZES:
        assert agree(before, after, sizes), (sizes, str(after))


def test_comparison_sees_a_difference() -> None:
    before, other = (program(scan(f"y[i] = A @ X[{k}]")) for k in ("i", "t - 1 - i"))
    assert not agree(before, other, (3, 2, 4))


def test_products_with_columns_are_one_product() -> None:
    text = (
        "def f(A: f64[n, k], B: f64[k, m]) -> f64[n, m]:\n    scan i in m:\n        C[i] = A @ B[:, i]\n    return C'\n"
    )
    after = vectorised(text)
    assert after.outputs[0].op.name == "matmul" and after.outputs[0].args == after.inputs


# ---- loops that stay

STAY = {
    "a factorization in each pass": "y[i] = logdet(S + u[i] * u[i] * eye(n))",
    "a branch": "y[i] = sum(X[i]) if u[i] > 0 else u[i]",
    "a position that may lie outside": "y[i] = X[2 * i]",
    "a recurrence in each pass": "x = u[i]; repeat 3:;     x = x * x; y[i] = x",
}


@pytest.mark.parametrize("name", STAY)
def test_what_cannot_be_lifted_leaves_the_loop_alone(name: str) -> None:
    before = run(program(scan(STAY[name])), stop_after="respell").program
    assert vectorise(before) is before


def test_a_value_that_is_larger_than_all_that_is_stored_leaves_the_loop_alone() -> None:
    text = "def f(X: f64[n, p]) -> f64[n]:\n    scan i in n:\n        y[i] = sum(exp(X - X[i]))\n    return y\n"
    before = program(text)
    least = int(CACHE**0.5)
    assert "scan" not in ops(vectorise(before, {"n": least, "p": 1}))
    assert vectorise(before, {"n": least + 1, "p": 1}) is before


def test_bitwise_leaves_the_order_of_sums() -> None:
    text = scan("y[i] = A @ X[i]")
    assert "scan" in ops(run(program(text), Options(mode="bitwise")).program)


# ---- factorizations

FACTORIZED = {
    "solve": "y[i] = (X' @ diag(W[i]) @ X) \\ (X' @ W[i])",
    "right sides": "y[i] = (X' @ diag(W[i]) @ X) \\ X'",
    "one right side": "y[i] = (X' @ diag(W[i]) @ X) \\ v",
    "inverse": "y[i] = inv(X' @ diag(W[i]) @ X)",
    "transposed": "y[i] = v @ inv(X' @ diag(W[i]) @ X + eye(p))",
    "logdet": "y[i] = logdet(X' @ diag(W[i]) @ X)",
    "determinant": "y[i] = det(X' @ diag(W[i]) @ X)",
    "cholesky": "y[i] = cholesky(X' @ diag(W[i]) @ X)",
}


def weighted(body: str) -> str:
    return (
        "def f(W: f64[k, n] is positive, X: f64[n, p] is full_rank, v: f64[p]) where n >= p:\n"
        f"    scan i in k:\n        {body}\n    return y\n"
    )


@pytest.mark.parametrize("name", FACTORIZED)
def test_small_matrices_are_factorized_at_once(name: str) -> None:
    before, sizes = program(weighted(FACTORIZED[name])), {"k": 200, "n": 30, "p": 4}
    assert "scan" not in ops(run(before, Options(sizes=sizes)).program)
    native = run(before, Options(sizes=sizes, backend="llvm")).program  # which has no cost of a step
    assert "scan" in ops(native)
    for k, n, p in [(3, 4, 2), (1, 1, 1), (0, 3, 2), (2, 3, 3)]:
        rng = np.random.default_rng(n)
        operands = [rng.random((k, n)) + 0.5, rng.standard_normal((n, p)), rng.standard_normal(p)]
        given = {"k": k, "n": n, "p": p}
        (expected,) = evaluate(before, operands, given)
        (found,) = evaluate(run(before, Options(at=sizes)).program, operands, given)
        np.testing.assert_allclose(found, expected, rtol=1e-8)
        for options in (Options(sizes=given), Options()):
            numpy = backend("numpy")
            np.testing.assert_allclose(numpy.load(numpy.emit(run(before, options).program))(*operands), expected, 1e-8)


def test_of_open_sizes_the_memory_that_is_taken_decides_at_a_call() -> None:
    plan = run(program(weighted(FACTORIZED["solve"]))).program
    assert {"if", "scan"} <= set(ops(plan)), plan


def test_large_matrices_are_factorized_one_after_the_other() -> None:
    plan = run(program(weighted(FACTORIZED["solve"])), Options(sizes={"k": 100, "n": 600, "p": 500})).program
    assert "scan" in ops(plan)


def test_a_batch_of_systems_is_solved_without_inverses() -> None:
    text = "def f(A: f64[k, n, n], b: f64[k, n, 1], X: f64[n, n], c: f64[n, 2]):\n    return (X @ A) \\ b, A \\ c\n"
    for sizes in ({}, {"k": 50, "n": 6}):
        plan = run(program(text), Options(sizes=sizes)).program
        assert "inv" not in ops(plan) and ops(plan).count("solve") >= 2, plan
        rng = np.random.default_rng(0)
        operands = [rng.standard_normal(s) for s in [(50, 6, 6), (50, 6, 1), (6, 6), (6, 2)]]
        for found, expected in zip(
            evaluate(plan, operands, {"k": 50, "n": 6}),
            evaluate(program(text), operands, {"k": 50, "n": 6}),
            strict=True,
        ):
            np.testing.assert_allclose(found, expected, rtol=1e-6)


# ---- loops with state


def test_products_that_no_pass_waits_for_go_before_the_loop() -> None:
    text = scan("x = tanh(S @ x + A @ X[i]); y[i] = x", state="x = w")
    before, after = program(text), vectorised(text)
    assert ops(after).count("matmul") == 1 and ops(after).count("matvec") == 1
    assert run(after, stop_after="vectorise").program is after
    for sizes in SIZES:
        assert agree(before, after, sizes)


def test_results_that_do_not_need_the_state_leave_it() -> None:
    text = scan("x = tanh(x * c + u[i]); z[i] = A @ X[i]; y[i] = x", state="x = c").replace(
        "return y", "return y, x, z"
    )
    before, after = program(text), vectorised(text)
    (loop,) = [n for n in after.nodes if n.op.name == "scan"]
    assert len(loop["body"].outputs) == 2
    for sizes in SIZES:
        assert agree(before, after, sizes)


# ---- random loops

VECTORS = ["X[i]", "B[:, i]", "v", "(w @ A)", "X[p[i]]", "(w @ Z[i])", "Z[i, 0]", "X[t - 1 - i]", "r"]
MATRICES = ["A", "Z[i]", "outer(w, X[i])", "(S @ A)", "Z[p[i]]"]


def expression(rng: random.Random, depth: int, state: bool) -> str:
    """A vector of m entries."""
    if depth == 0:
        return rng.choice(VECTORS[: len(VECTORS) - (not state)])
    x, y = (expression(rng, depth - 1, state) for _ in range(2))
    M = rng.choice(MATRICES)
    forms = [
        f"({x} + {y})", f"({x} * {y})", f"tanh({x})", f"({x} * (1 + {y} @ {x}))", f"(({M} @ {x}) @ {M})",
        f"softmax({x})", f"({x} - mean({y}))", f"(u[i] * {x})", f"flip({x})", f"({M}' @ inv(S) @ ({M} @ {x}))",
        f"(cumsum({x}) / (i + 1))", f"sum({M} * {x}, axis=0)", f"diag(diag({x}))", f"({x} @ outer({y}, v))",
    ]  # fmt: skip
    return rng.choice(forms)


def loop(seed: int) -> str:
    rng = random.Random(seed)
    state = rng.random() < 0.4
    lines = [f"r = tanh({expression(rng, 2, True)})"] if state else []
    lines += [f"y[i] = {expression(rng, 3, state)}", f"z[i] = sum({expression(rng, 2, False)})"]
    return scan("; ".join(lines), state="r = v" if state else "").replace("return y", "return y, z")


def close(a: np.ndarray, b: np.ndarray) -> bool:
    return np.shape(a) == np.shape(b) and np.allclose(a, b, rtol=1e-6, atol=1e-8, equal_nan=True)


@pytest.mark.parametrize("seed", range(40))
def test_random_loops_keep_their_values(seed: int) -> None:
    text = loop(seed)
    before = program(text)
    after = vectorised(text)
    with np.errstate(all="ignore"):
        for sizes in SIZES:
            given = dict(zip("nmt", sizes, strict=True))
            operands = arguments(*sizes, seed)
            expected = evaluate(before, operands, given)
            found = evaluate(after, operands, given)
            assert all(map(close, expected, found)), (sizes, text, str(after))


@pytest.mark.parametrize("name", ["numpy", "torch"])
@pytest.mark.parametrize("seed", range(6))
def test_random_loops_run(name: str, seed: int) -> None:
    import torch

    text, sizes = loop(seed), (3, 2, 4)
    before = program(text)
    operands: Sequence[np.ndarray] = arguments(*sizes, seed)
    expected = evaluate(before, operands, dict(zip("nmt", sizes, strict=True)))
    chosen = backend(name)
    function = chosen.load(chosen.emit(run(before).program))
    found = function(*(torch.as_tensor(a) if name == "torch" else a for a in operands))
    assert all(close(a, np.asarray(b)) for a, b in zip(expected, found, strict=True)), text
