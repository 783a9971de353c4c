"""Fusion: which values are stored, and in what form."""

from __future__ import annotations

import pytest

from tpc.backends.llvm.fusion.blocks import Block, blocked
from tpc.backends.llvm.fusion.contraction import contraction
from tpc.backends.llvm.fusion.plan import statements
from tpc.backends.llvm.fusion.rows import kept_row
from tpc.backends.llvm.fusion.statement import Statement, Temporary, computed
from tpc.backends.llvm.fusion.stream import Stream
from tpc.backends.llvm.fusion.terms import parts
from tpc.backends.llvm.fusion.together import together
from tpc.backends.llvm.lower import lower
from tpc.ir.dims import named, names_of

from .calls import program


def stored(text: str) -> list[str]:
    """The ops whose values are stored, in order."""
    return [s.target.op.name if hasattr(s.target, "op") else s.target.name for s in statements(program(text))]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("def f(x: f64[n], y: f64[n]) = exp(x * 2 + y) - x", ["sub"]),
        ("def f(x: f64[n, m]) = softmax(x * 2)", ["softmax"]),
        # a sum of what is scaled by its own row's largest entry: nothing but the result
        (
            "def f(x: f64[n, m]):\n"
            "    e = exp(x - max(x, axis=1, keepdims=true))\n"
            "    return e / sum(e, axis=1, keepdims=true)",
            ["div"],
        ),
        # a matrix that is read once, by a product with a vector, is never there
        ("def f(x: f64[n], y: f64[m], v: f64[m]):\n    K[i, j] = exp(x[i] * y[j])\n    return K @ v", ["matvec"]),
        # read twice, it is stored
        (
            "def f(x: f64[n], y: f64[m], v: f64[m]):\n    K[i, j] = exp(x[i] * y[j])\n    return K @ v, sum(K, axis=0)",
            ["index", "matvec", "sum"],
        ),
        # the diagonal of a product needs no product
        ("def f(A: f64[n, m], B: f64[m, n]) = diag(A @ B)", ["diag"]),
        # a large product is a library's, whatever is done with it
        ("def f(A: f64[n, m], B: f64[m, k]) = relu(A @ B + 1)", ["matmul", "relu"]),
        # a value of all entries is known before the first of them is divided
        ("def f(x: f64[n, m]) = x / sum(x)", ["sum_parts", "sum", "div"]),
        # a mean of columns is not computed anew for every row
        ("def f(x: f64[n, m]) = x - mean(x, axis=0)", ["mean", "sub"]),
        ("def f(x: f64[n, m]) = x - mean(x, axis=1, keepdims=true)", ["sub"]),
        # short rows have no lanes: what is reduced of them is computed for many rows side by side
        ("def f(x: f64[n, 8]) = exp(x - unsqueeze(logsumexp(x, axis=1), 1))", ["logsumexp", "exp"]),
        ("def f(x: f64[n, 1000]) = exp(x - unsqueeze(logsumexp(x, axis=1), 1))", ["exp"]),
    ],
)
def test_what_is_stored(text: str, names: list[str]) -> None:
    assert stored(text) == names


def test_letters_that_run_through_memory_as_one_are_one() -> None:
    (whole,) = statements(program("def f(x: f64[n, m], y: f64[n, m]) = x * y"))
    assert [extent for _, extent in whole.letters] == [named("n") * named("m")]
    (rows,) = statements(program("def f(x: f64[n, m], y: f64[m]) = x * y"))
    assert [extent for _, extent in rows.letters] == [named("n"), named("m")]


def test_equal_folds_are_one_term() -> None:
    (whole,) = statements(program("def f(x: f64[n, m]) = softmax(x)"))
    folds = [t for t in parts(whole.body) if t.kind == "fold"]
    assert sorted(t.data[0] for t in folds) == ["max", "sum"]


def test_a_row_of_exponentials_is_kept() -> None:
    (whole,) = statements(program("def f(x: f64[n, m]) = softmax(x)"))
    row = Temporary("row", whole.target.tensor)
    kept, stored_by_folds = kept_row(whole, row)
    assert [t.data for t in stored_by_folds] == ["exp"]
    assert row in kept.reads
    *_, summed = statements(program("def f(x: f64[k, n, m]) = sum(softmax(x), axis=0)"))
    assert kept_row(summed, row) == (summed, {})
    for text in ("x - mean(x, axis=1, keepdims=true)", "layernorm(x)"):
        (cheap,) = statements(program(f"def f(x: f64[n, m]) = {text}"))
        assert kept_row(cheap, row) == (cheap, {})


def test_what_does_not_depend_on_a_loop_is_computed_outside_of_it() -> None:
    (whole,) = statements(
        program("def f(x: f64[n, 3], y: f64[m], s: f64):\n    z[i, j] = exp(x[i, 0] * s) * y[j]\n    return z")
    )
    where = {
        t.data: [name for name, _ in loops] for t, loops in computed(whole.body, whole.letters) if t.kind == "call"
    }
    assert where["exp"] == ["i"]


def test_the_weights_of_all_live_in_blocks() -> None:
    whole = program("def f(Q: f64[n, d], K: f64[m, d], x: f64[m]) = softmax(Q @ K' + x)")
    (block,) = blocked(statements(whole), whole.outputs)
    assert isinstance(block, Block)
    assert block.extent == named("n")
    assert block.row_bytes == 8 * named("m")


STREAMED = {
    "attention": "def f(Q: f64[n, d], K: f64[m, d], V: f64[m, d]) = softmax(Q @ K' / sqrt(d)) @ V",
    "heads": "def f(Q: f32[b, h, n, d], K: f32[b, h, m, d], V: f32[b, h, m, d]) = softmax(Q @ K') @ V",
    "narrow": "def f(Q: f64[n, 3], K: f64[m, 3], V: f64[m, 3]) = softmax(Q @ K' / 2) @ V",
    "causal": (
        "def f(Q: f64[m, d], K: f64[m, d], V: f64[m, d]):\n"
        "    S = Q @ K'\n"
        "    M[i, j] = select(j <= i, S[i, j], -inf)\n"
        "    return softmax(M) @ V"
    ),
    "logarithms": "def f(Q: f64[n, d], K: f64[m, d]) = logsumexp(Q @ K', axis=1)",
    "largest": "def f(Q: f64[n, d], K: f64[m, d]) = max(log1p(relu(Q @ K')), axis=1)",
    "kernel": (
        "def f(X: f64[n, 3], Y: f64[m, 3], V: f64[m, d]):\n"
        "    K[i, j] = exp(-sum[k]((X[i, k] - Y[j, k])^2))\n"
        "    return K @ V"
    ),
}


@pytest.mark.parametrize("name", STREAMED)
def test_memory_does_not_grow_with_what_is_reduced(name: str) -> None:
    whole = program(STREAMED[name])
    (stream,) = statements(whole)
    assert isinstance(stream, Stream)
    assert stream.column[1] == named("m")
    folds = [t for s in stream.statements for t in parts(*s.bodies) if t.kind == "fold"]
    assert all(extent != named("m") for t in folds for _, extent in t.data[1])  # no tile goes through all again
    workspace = lower(whole, "f").signature.workspace
    assert names_of(workspace) <= {"d"}


@pytest.mark.parametrize(
    "operands",
    [
        "softmax((Q / 8) @ K') @ V",  # what costs little is no reason for the first product to take it in
        "softmax(Q @ K') @ (V @ K')",  # a product that is read in columns is no part of what goes along rows
        "(V @ K')' @ softmax(Q @ K', axis=0)",  # it goes along columns
    ],
)
def test_what_attention_is_made_of_does_not_keep_it_whole(operands: str) -> None:
    whole = program(f"def f(Q: f64[m, m], K: f64[m, m], V: f64[m, m]) = {operands}")
    *_, last = statements(whole)
    assert isinstance(last, Stream)
    assert last.whole.target is whole.outputs[0]


def test_steps_are_put_in_an_order_that_holds_less() -> None:
    """The gradients by weights come last in the text; each is computed as soon as it can be."""
    size, layers = 2**18, 12
    lines = "\n".join(f"    h{k} = exp(h{k - 1} @ A)" for k in range(1, layers))
    results = ", ".join(f"h{k} @ h{k}" for k in range(layers))
    whole = program(f"def f(x: f64[512, 512], A: f64[512, 512]):\n    h0 = exp(x @ A)\n{lines}\n    return {results}")
    workspace = lower(whole, "f").signature.workspace
    assert isinstance(workspace, int)
    assert workspace <= 4 * 8 * size


@pytest.mark.parametrize(
    "text",
    [
        "def f(A: f64[n, m], B: f64[m, k], C: f64[k, n]) = A @ B @ C",  # the first product is better off as a whole
        "def f(A: f64[n, d], B: f64[m, d]) = argmax(A @ B', axis=1)",
        "def f(A: f64[n, d], B: f64[m, d]):\n    S = A @ B'\n    return S, logsumexp(S, axis=1)",
        # what is subtracted is not the largest entry
        "def f(A: f64[n, d], B: f64[m, d]):\n"
        "    S = A @ B'\n"
        "    return sum(exp(S - min(S, axis=1, keepdims=true)), axis=1)",
    ],
)
def test_what_is_not_streamed(text: str) -> None:
    assert all(isinstance(step, Statement) for step in statements(program(text)))


def test_a_value_read_in_other_rows_lives_in_no_block() -> None:
    whole = program("def f(Q: f64[n, d], K: f64[n, d]) = softmax(Q @ K', axis=0) @ K")
    assert all(isinstance(step, Statement) for step in blocked(statements(whole), whole.outputs))


@pytest.mark.parametrize(
    ("text", "large"),
    [
        ("def f(A: f64[n, m], B: f64[m, k]) = A @ B", True),
        ("def f(A: f64[n, 8, 16], B: f64[n, 16, 8]) = A @ B", False),
        ("def f(A: f64[n, m], v: f64[m]) = A @ v", False),
    ],
)
def test_products_for_a_library(text: str, large: bool) -> None:
    found = contraction(statements(program(text))[-1])
    assert found is not None
    assert found.is_large is large


def test_products_are_those_of_the_program() -> None:
    found = contraction(statements(program("def f(A: f64[n, m], B: f64[k, m]) = B @ A'"))[-1])
    assert found is not None
    assert [e for _, e in found.rows] == [named("k")]
    assert [e for _, e in found.columns] == [named("n")]
    assert contraction(statements(program("def f(A: f64[n, m]) = exp(A)"))[-1]) is None


def test_a_reciprocal_before_the_loop() -> None:
    whole = program("def f(x: f64[n], s: f64) = exp(x / s)")
    for fast in (False, True):
        calls = [t for t in parts(statements(whole, fast)[0].body) if t.kind == "call"]
        assert all(not t.free for t in calls if t.data == "div")
        assert any(t.data == "select" for t in calls) != fast  # what makes it the quotient that division gives
    few = program("def f(x: f64[8], s: f64) = exp(x / s)")
    assert [t.data for t in parts(statements(few)[0].body) if t.kind == "call"] == ["div", "exp"]


def test_results_of_one_pass() -> None:
    text = "def f(x: f64[n], g: f64[n]):\n    a = 2 * x + g^2\n    b = sqrt(a) * g - x\n    return b, exp(b) + a"
    whole = program(text)
    (step,) = together(blocked(statements(whole), whole.outputs), whole.outputs)
    assert isinstance(step, Statement)
    assert {s.target for s in step.together} == set(whole.outputs)


def test_what_needs_all_of_another_comes_after_it() -> None:
    whole = program("def f(x: f64[n, m]):\n    y = exp(x)\n    return y, y / sum(y)")
    steps = together(blocked(statements(whole), whole.outputs), whole.outputs)
    assert len(steps) > 1
