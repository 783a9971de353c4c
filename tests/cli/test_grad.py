"""`tpc grad`: what it prints is a program, and computes the derivative."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

import tpc as package
from tpc.cli import cli
from tpc.dsl.source import Source
from tpc.ir.elaborate.module import check
from tpc.readable import readable

PROGRAM = """\
def loss(w: f64[m], X: f64[n, m], y: f64[n]) -> f64 = sum(softplus(X @ w) - y * (X @ w)) + dot(w, w) / 2

def net(A: f64[k, k], c: f64[k], u: f64[t, k]) -> f64:
    x = c
    scan i in t:
        x = tanh(A @ x + u[i])
    return sum(x^2)

def parts(x: f64[n]) -> (f64[n], f64) = sin(x), sum(x)
"""
rng = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    Path("p.tp").write_text(PROGRAM)
    return tmp_path


def tpc(*arguments: str) -> Result:
    result = CliRunner().invoke(cli, arguments)
    assert "Traceback" not in result.output
    return result


def test_the_gradient_of_logistic_regression_reads_as_on_paper() -> None:
    result = tpc("grad", "p.tp", "-f", "loss")
    assert result.exit_code == 0
    assert "return w + (sigmoid(X @ w) - y) @ X" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "shapes"),
    [
        (["-f", "loss", "--kind", "value_and_grad"], [(2,), (3, 2), (3,)]),
        (["-f", "net", "--by", "A", "--by", "u"], [(2, 2), (2,), (3, 2)]),
        (["-f", "net", "--kind", "hvp", "--by", "c"], [(2, 2), (2,), (3, 2), (2,)]),
        (["-f", "parts", "--kind", "jacobian"], [(3,)]),
        (["-f", "parts", "--kind", "vjp"], [(3,), (3,), ()]),
    ],
)
def test_what_is_printed_computes_the_derivative(arguments: list[str], shapes: list[tuple[int, ...]]) -> None:
    """The text parses back, and gives what the derivative gives when it is written as a call."""
    result = tpc("grad", "p.tp", *arguments)
    assert result.exit_code == 0, result.output
    checked = check(Source(result.stdout))
    checked.diagnostics.raise_errors()
    assert not checked.diagnostics.items
    arrays = [rng.standard_normal(s) for s in shapes]
    options = dict(zip(arguments[::2], arguments[1::2], strict=True))
    name, kind = options["-f"], options.get("--kind", "grad")
    by = [value for key, value in zip(arguments[::2], arguments[1::2], strict=True) if key == "--by"]
    own = ["w", "X", "y"] if name == "loss" else ["A", "c", "u"] if name == "net" else ["x"]
    more = [f"d{k}" for k in range(len(shapes) - len(own))]
    types = {
        **dict(zip([*own, *more], [f"f64[{', '.join(map(str, s))}]" if s else "f64" for s in shapes], strict=True))
    }
    signature = ", ".join(f"{n}: {t}" for n, t in types.items())
    call = f"{kind}({', '.join([name, *(by or own[:1])])})({', '.join(types)})"
    written = package.compile(f"{PROGRAM}\ndef main({signature}) = {call}\n")(*arrays)
    found = package.compile(result.stdout)(*arrays)
    pairs = zip(
        found if isinstance(found, tuple) else [found],
        written if isinstance(written, tuple) else [written],
        strict=True,
    )
    for ours, theirs in pairs:
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


def test_files_and_json() -> None:
    result = tpc("grad", "p.tp", "-f", "loss", "-o", "slope.tp")
    assert result.exit_code == 0 and not result.stdout
    assert tpc("check", "slope.tp").exit_code == 0
    said = json.loads(tpc("grad", "p.tp", "-f", "loss", "--by", "w", "--json").stdout)
    assert said["ok"] and said["by"] == ["w"] and said["text"] == Path("slope.tp").read_text()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["-f", "loss", "--by", "v"], "E0304"),
        (["-f", "parts"], "E0607"),
        (["-f", "net", "--kind", "hessian", "--by", "A", "--by", "c"], "E0302"),
        (["-f", "lost"], "E0813"),
    ],
)
def test_wrong_questions(arguments: list[str], code: str) -> None:
    result = tpc("grad", "p.tp", *arguments)
    assert result.exit_code == 1 and f"error[{code}]" in result.stderr


def test_values_that_change_stay_where_they_are() -> None:
    """A state of a loop is not put where a later value of it would be meant."""
    text = (
        "def f(x: f64[n]) -> f64[n]:\n    s = x\n    v1 = 2 * s\n    repeat 3:\n        s = s + v1\n    v2 = s - v1\n"
        "    out = 3 * v2\n    return out\n"
    )
    read = readable(text)
    assert "    v1 = 2 * s\n" in read and "v2 = s - v1\n    return 3 * v2\n" in read
    x = rng.standard_normal(3)
    np.testing.assert_array_equal(package.compile(read)(x), package.compile(text)(x))


def test_a_derivative_that_is_zero_is_told() -> None:
    Path("r.tp").write_text("def f(w: f64[n], x: f64[n]) -> f64 = sum((round(w) * x)^2)\n")
    result = tpc("grad", "r.tp", "--by", "w")
    assert result.exit_code == 0 and "zeros(n" in result.stdout and "W0402" in result.stderr
    assert "W0402" not in tpc("grad", "r.tp", "--by", "x").stderr
    assert json.loads(tpc("grad", "r.tp", "--by", "w", "--json").stdout)["ok"]
