"""How facts were found, what a program promises, and promises that cannot be kept."""

import numpy as np
import pytest

from tpc.dsl.source import Source
from tpc.ir.elaborate.module import Checked, check
from tpc.ir.facts import Obligation, analyse, broken, obligations
from tpc.ir.node import Fact, Program
from tpc.ir.reference import evaluate


def checked(text: str) -> Checked:
    return check(Source(text, "example.tp"))


def compiled(text: str) -> Program:
    result = checked(text)
    assert not result.diagnostics.errors, result.diagnostics.errors
    return result.programs["f"]


def told(text: str) -> list[str]:
    return [d.code for d in checked(text).diagnostics.items]


# ---- derivations


def why(text: str, fact: str) -> list[str]:
    program = compiled(text)
    return analyse(program).why(program.outputs[0], Fact(fact)).lines()


def test_a_derivation_is_read_from_the_conclusion_to_what_is_declared() -> None:
    assert why("def f(X: f64[n, m] is full_rank) -> f64[m, m] where n > m = X' @ X", "spd") == [
        "spd(X' @ X): full_rank(B) |- spd(this) where transposed(A, B), rows(B) >= cols(B)",
        "    full_rank(X): declared",
    ]


def test_a_derivation_names_who_promised() -> None:
    assert why("def f(X: f64[n, m]) -> f64[m, m] = inv(X' @ X)", "spd") == [
        "spd(inv(X' @ X)): psd(A), nonsingular(A) |- spd(A)",
        "    psd(inv(X' @ X)): psd(A) |- psd(this)",
        "        psd(X' @ X): |- psd(this) where transposed(A, B)",
        "    nonsingular(inv(X' @ X)): |- nonsingular(this)",
    ]
    text = "def f(A: f64[n, n], B: f64[n, n]) -> f64[n, n] = inv(A @ B)"
    program = compiled(text)
    lines = analyse(program).why(program.inputs[0], Fact("nonsingular")).lines()
    assert lines[0] == "nonsingular(A): full_rank(A) |- nonsingular(A) where square(A)"
    assert lines[-1] == "            nonsingular(A @ B): promised by inv(A @ B)"


def test_a_derivation_through_a_congruence_and_a_call() -> None:
    text = "def f(S: f64[n, n] is spd, X: f64[n, m] is full_rank) -> f64[m, m] where n >= m = X' @ S @ X"
    assert why(text, "spd") == [
        "spd((X' @ S) @ X): it is X' @ S @ X with S spd and X of full column rank",
        "    spd(S): declared",
        "    full_rank(X): declared",
    ]
    text = "def g(A: f64[k, k]) -> f64[k, k] = A @ A'\ndef f(A: f64[3, 3]) -> f64[3, 3] = 2 * g(A)"
    assert "found in the body of `g`" in why(text, "psd")[1]


def test_a_fact_that_is_explained_already_is_not_explained_again() -> None:
    lines = why("def f(A: f64[n, n] is spd) -> f64[n, n] = (A + A) * (A + A)", "spd")
    assert sum("spd(x), psd(y) |- spd(this)" in line for line in lines) == 1
    assert lines[-1] == "    spd(A + A): as above"


def test_every_fact_has_a_derivation_that_ends() -> None:
    text = """
def f(X: f64[n, m] is full_rank, S: f64[n, n] is spd, y: f64[n], a: f64) -> (f64[m], f64, f64[n, n]) where n > m:
    G = X' @ inv(S) @ X + a * eye(m)
    H = X @ inv(X' @ X) @ X'
    L = cholesky(S)
    return inv(G) @ X' @ (S \\ y), y @ S @ y + norm(y) + logdet(G), eye(n) - H + L @ L'
"""
    program = compiled(text)
    analysis = analyse(program)
    for node in program.nodes:
        for fact in analysis[node]:
            derivation = analysis.why(node, fact)
            assert derivation.lines()
    with pytest.raises(KeyError):
        analysis.why(program.inputs[2], Fact("spd"))


# ---- obligations


def obligation(text: str) -> Obligation:
    (found,) = obligations(compiled(text))
    return found


def test_a_promise_that_follows_from_declarations_is_proved() -> None:
    found = obligation("def f(X: f64[n, m] is full_rank) -> f64[m, m] where n >= m = inv(X' @ X)")
    assert found.proof is not None and found.proof.lines()[-1].strip() == "full_rank(X): declared"
    assert str(found).endswith(": proved")


@pytest.mark.parametrize(
    ("text", "remedies"),
    [
        ("def f(A: f64[n, n], b: f64[n]) -> f64[n] = A \\ b", ["`A is full_rank`", "`A is nonsingular`", "`A is spd`"]),
        ("def f(A: f64[n, n]) -> f64[n, n] = cholesky(A)", ["`A is spd`"]),
        ("def f(X: f64[n, m]) -> f64[m, m] = inv(X' @ X)", ["`X is full_rank` and `where n >= m`"]),
        ("def f(X: f64[n, m] is full_rank) -> f64[m, m] = inv(X' @ X)", ["`where n >= m`"]),
        ("def f(K: f64[n, n] is psd, s: f64) -> f64[n, n] = inv(K + s * eye(n))", ["`s is positive`"]),
        ("def f(A: f64[n, n], B: f64[n, n]) -> f64[n, n] = inv(A + B)", ["`A is spd` and `B is spd`"]),
    ],
)
def test_remedies_are_enough(text: str, remedies: list[str]) -> None:
    found = obligation(text)
    assert found.proof is None and found.guard
    assert set(remedies) <= set(found.remedies)


def test_a_promise_does_not_prove_itself() -> None:
    assert obligation("def f(A: f64[n, n]) -> f64[n, n] = inv(A)").proof is None
    first, second = obligations(compiled("def f(A: f64[n, n]) -> f64[n, n] = inv(inv(A))"))
    assert first.proof is None and second.proof is not None


# ---- promises that cannot be kept

BROKEN = {
    "linnea-ex-079": "def f(A: f64[20, 10] is full_rank, B: f64[10, 10] is full_rank) -> f64[20, 10] "
    "= inv(A @ B @ B' @ A') @ A @ B",
    "trap: sum of nonsingular": "def f(A: f64[10, 10] is full_rank, b: f64[10, 1]) -> f64[10, 1] = solve(A - A, b)",
    "difference at any size": "def f(A: f64[n, n], b: f64[n]) -> f64[n] = (A - A) \\ b",
    "Gram matrix of a wide matrix": "def f(A: f64[k, n]) -> f64[k, k] where k > n = inv(A @ A')",
    "congruence of a wide matrix": "def f(A: f64[k, n], S: f64[n, n] is spd) -> f64[k, k] where k > n "
    "= inv(A @ S @ A')",
    "outer product": "def f(x: f64[5], y: f64[5]) -> f64[5, 5] = inv(outer(x, y))",
    "tall kron wide": "def f(A: f64[3, 2], B: f64[2, 3]) -> f64[6, 6] = inv(kron(A, B))",
    "projection": "def f(Q: f64[n, m] is orthonormal) -> f64[n, n] = inv(eye(n) - Q @ Q')",
    "hat matrix": "def f(X: f64[n, m]) -> f64[n, n] where n > m = inv(eye(n) - X @ inv(X' @ X) @ X')",
    "strictly lower": "def f(A: f64[n, n]) -> f64[n, n] = inv(tril(A, k=-1))",
    "a row of zeros": "def f(A: f64[n, n]) -> f64[n+1, n+1] = inv([A, zeros(n, 1); zeros(1, n), zeros(1, 1)])",
    "equal rows of blocks": "def f(A: f64[4, 2]) -> f64[4, 4] = inv([A, zeros(4, 2)])",
    "zeros": "def f(b: f64[n]) -> f64[n] = zeros(n, n) \\ b",
    "minus spd": "def f(S: f64[n, n] is spd) -> f64[n, n] = cholesky(-S)",
    "skew": "def f(A: f64[n, n]) -> f64[n, n] = cholesky(A - A')",
    "entries below zero": "def f(x: f64[3, 3]) -> f64[3, 3] = cholesky(-exp(x))",
    "declared of a computed value": "def f(A: f64[n, n]) -> f64[n, n]:\n"
    "    P: f64[n, n] is nonsingular = A - A\n    return P",
    "in a loop": "def f(x: f64[5]) -> f64[5]:\n    repeat 3:\n        x = outer(x, x) \\ x\n    return x",
    "in a call": "def g(A: f64[k, n]) -> f64[k, k] = inv(A @ A')\ndef f(A: f64[20, 10]) -> f64[20, 20] = g(A)",
}

KEPT = {
    "sizes that are not known": "def f(A: f64[k, n]) -> f64[k, k] = inv(A @ A')",
    "sizes that may be equal": "def f(A: f64[k, n]) -> f64[k, k] where k >= n = inv(A @ A')",
    "outer product of one entry": "def f(x: f64[n], y: f64[n]) -> f64[n, n] = inv(outer(x, y))",
    "low rank with a shift": "def f(x: f64[5], a: f64) -> f64[5, 5] = inv(outer(x, x) + a * eye(5))",
    "pinv": "def f(A: f64[20, 10]) -> f64[20, 20] = pinv(A @ A')",
    "a branch not taken": "def f(A: f64[k, n], c: bool) -> f64[k, k] where k > n:\n    B = eye(k)\n"
    "    if c:\n        B = inv(A @ A')\n    return B",
    "log of what may be positive": "def f(x: f64[n]) -> f64[n] = log(x - 1)",
    "minus a symmetric matrix": "def f(S: f64[n, n] is symmetric) -> f64[n, n] = cholesky(-S)",
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
def test_a_promise_that_cannot_be_kept_is_told(text: str) -> None:
    assert told(text) == ["E0405"]


@pytest.mark.parametrize("text", KEPT.values(), ids=KEPT)
def test_a_promise_that_may_be_kept_is_not(text: str) -> None:
    assert told(text) == []
    assert not list(broken(compiled(text)))


@pytest.mark.parametrize("name", ["linnea-ex-079", "outer product", "tall kron wide", "equal rows of blocks"])
def test_what_is_called_singular_is(name: str) -> None:
    """The matrix that is inverted, on random data: its least singular value is rounding."""
    rng = np.random.default_rng(0)
    start = BROKEN[name].index("= inv(") + 2
    depth, end = 0, start + 3
    for end in range(start + 3, len(BROKEN[name])):
        depth += (BROKEN[name][end] == "(") - (BROKEN[name][end] == ")")
        if depth == 0:
            break
    inner = BROKEN[name][start + 4 : end]
    head = BROKEN[name][: BROKEN[name].index("->")]
    program = check(Source(f"{head}= {inner}", "inner.tp")).programs["f"]
    values = [rng.standard_normal(node.tensor.dims) for node in program.inputs]  # type: ignore[arg-type]
    (matrix,) = evaluate(program, values)
    singular = np.linalg.svd(matrix, compute_uv=False)
    assert singular[-1] < 1e-12 * singular[0]


def test_a_function_outside_of_its_domain_is_a_warning() -> None:
    assert told("def f(x: f64[n]) -> f64[n] = log(-1 - x^2)") == ["W0401"]
    assert told("def f(x: f64[n]) -> f64[n] = sqrt(-exp(x) - 1)") == ["W0401"]
    assert told("def f(x: f64[n]) -> f64[n] = acos(2 + x^2)") == ["W0401"]
    assert told("def f(z: c128[n]) -> c128[n] = log(-1 - z^2)") == []


def test_the_message_says_what_is_known_and_what_was_declared() -> None:
    (found,) = checked(BROKEN["minus spd"]).diagnostics.items
    assert found.notes == ("`S` is declared spd",)
    (found,) = checked(BROKEN["in a call"]).diagnostics.items
    assert found.labels[0].text == "in `g`, `A @ A'` has rank 10 at most, and 20 columns"
    assert found.labels[0].span.text == "g(A)"


def test_functions_that_call_each_other_twice_take_no_longer() -> None:
    """Each body is analysed once for what is known of its arguments, or 40 levels would never end."""
    lines = ["def f0(A: f64[n, n]) -> f64[n, n] = inv(A @ A')"]
    lines += [f"def f{k}(A: f64[n, n]) -> f64[n, n] = f{k - 1}(A) + f{k - 1}(A')" for k in range(1, 40)]
    assert told("\n".join(lines)) == []
