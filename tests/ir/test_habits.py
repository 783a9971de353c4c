"""What people write who come from elsewhere: the message shows the place, and what to write."""

import pytest

from tpc.dsl.source import Source
from tpc.ir.elaborate.module import check

A, X, R = "A: f64[n, n]", "X: f64[n, p]", "X: f64[n, p], y: f64[n], s: f64"

# parameters, an expression, and the code, the marked text and a piece of the help of the message
HABITS = [
    ("", "[[1, 2], [3, 4]]", "E0111", "[[1, 2], [3, 4]]", "`[1, 2; 3, 4]`"),
    ("x: f64[n]", "[[x, x]]", "E0111", "[[x, x]]", "`unsqueeze([x, x], 0)`"),
    (R, "inv(X' @ X + s) @ X' @ y", "W0305", "X' @ X + s", "`s * eye(p)`"),
    ("X: f64[n, p], y: f64[n]", "(X' @ X + 0.1) \\ (X' @ y)", "W0305", "(X' @ X + 0.1)", "`0.1 * eye(p)`"),
    ("A: f64[n, n], x: f64[n]", "norm(x - A * x)", "W0306", "A * x", "`A @ x`"),
    (R, "inv(X' @ X + s * eye(n)) @ X' @ y", "E0202", "X' @ X + s * eye(n)", "`eye(p)`"),
    (R, "inv(X' @ X + diag(s)) @ X' @ y", "E0204", "diag(s)", "`s * eye(n)`"),
    (X, "mean(X, dims=1)", "E0304", "dims=1", "`axis`"),
    (X, "reshape(X, (n * p,))", "E0216", "(n * p,)", "`reshape(X, n * p)`"),
    (A, "cg(A, A)", "E0301", "cg", "`solve(A, b, method=cg)`"),
    (A, "solve(A, A, method=pcg)", "E0217", "pcg", "`cg`"),
    (A, 'solve(A, A, method="cg")', "E0217", '"cg"', "quotes"),
    (A, "solve(A, A, method=cg, maxiter=9)", "E0304", "maxiter=9", "`steps`"),
    ("A: f64[n, n] is SPD", "A", "E0401", "SPD", "`spd`"),
    ("A: Float64[n, n]", "A", "E0201", "Float64", "`f64`"),
    ("x: f64(n)", "x", "E0201", "f64(n)", "`f64[n]`"),
]


@pytest.mark.parametrize(("parameters", "expression", "code", "marked", "help"), HABITS)
def test_the_way_out_is_shown(parameters: str, expression: str, code: str, marked: str, help: str) -> None:
    first = check(Source(f"def f({parameters}) = {expression}\n")).diagnostics.items[0]
    assert (first.code, first.labels[0].span.text) == (code, marked)
    assert first.help is not None and help in first.help


def test_the_other_axis_is_named() -> None:
    (fault,) = check(Source("def f(X: f64[n, p]) -> f64[p] = sum(X, 1)\n")).diagnostics.items
    assert fault.help is not None and "`sum(X, axis=0)`" in fault.help


@pytest.mark.parametrize("text", ["[[1, 2]; [3, 4]]", "[[1; 2], [3; 4]]", "[x, y]", "x[[0, 2]]"])
def test_brackets_that_mean_something(text: str) -> None:
    assert not check(Source(f"def f(x: f64[n], y: f64[n]) where n > 2 = {text}\n")).diagnostics.errors


def test_numbers_on_all_entries_elsewhere() -> None:
    text = """
def f(X: f64[n, p], A: f64[n, n], s: f64, w: f64[p], x: f64[n]):
    Q, R = qr(A)
    return X' @ X + s, inv(A + s * eye(n)), inv(s * A), R \\ Q, w + X * w, A * x, x - A @ x, unsqueeze(x, 0) - A * x
"""
    assert not check(Source(text)).diagnostics.items
