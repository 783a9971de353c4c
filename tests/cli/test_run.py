"""`tpc run`: what it prints where, and its exit codes."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from tests.cli.workplace import X, beta, folder, tpc, y

pytestmark = pytest.mark.usefixtures("folder")
__all__ = ["folder"]


def test_run_prints_results_on_stdout_and_talks_on_stderr() -> None:
    result = tpc("run", "ridge.tp", "X=X.npy", "y=y.npy")
    assert result.exit_code == 0
    assert re.fullmatch(r"out: f64\[2\] = \[.*\]\n", result.stdout)
    assert "ran `ridge`" in result.stderr
    assert tpc("run", "ridge.tp", "X=X.npy", "y=y.npy", "-q").stderr == ""


def test_run_json() -> None:
    result = tpc("run", "ridge.tp", "X=X.npy", "y=y.npy", "--json", "--verify")
    found = json.loads(result.stdout)
    assert found["version"] == 1 and found["ok"] and result.stderr == ""
    (out,) = found["results"]
    assert out["dtype"] == "f64" and out["shape"] == [2]
    np.testing.assert_allclose(out["values"], beta())
    assert found["notes"][0].startswith("verified")


def test_json_has_no_nan() -> None:
    Path("f.tp").write_text("def f(x: f64[n], z: c128) -> (f64[n], c128) = log(x), z\n")
    found = json.loads(tpc("run", "f.tp", "x=[0,-1,1]", "z=1+2j", "--json").stdout)
    assert [r["values"] for r in found["results"]] == [["-inf", "nan", 0.0], [1.0, 2.0]]


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".csv", ".mtx", ".safetensors"])
def test_formats_in_and_out(suffix: str) -> None:
    from tpc import results

    results.write({Path(f"A{suffix}"): {"X": X}, Path(f"b{suffix}"): {"y": y}})
    result = tpc("run", "ridge.tp", f"X=A{suffix}", f"y=b{suffix}", "--out", f"out{suffix}")
    assert result.exit_code == 0, result.stderr
    assert result.stdout == "" and f"wrote out{suffix}: out" in result.stderr
    from tpc.data import read

    np.testing.assert_allclose(read(Path(f"out{suffix}"), "out").array.reshape(-1), beta())


def test_results_to_several_files() -> None:
    assert tpc("run", "pair.tp", "x=[1,2,3]", "-o", "all.npz", "-o", "total=t.npy").exit_code == 0
    assert sorted(np.load("all.npz")) == ["doubled", "total"] and np.load("t.npy") == 6
    result = tpc("run", "pair.tp", "x=[1,2,3]", "-o", "totl=t.npy")
    assert result.exit_code == 1 and "did you mean `total`?" in result.stderr


def test_words_and_sizes() -> None:
    first = tpc("run", "ridge.tp", "X=random", "y=random", "--dim", "n=9,m=4", "-q").stdout
    assert first == tpc("run", "ridge.tp", "X=random", "y=random", "--dim", "n=9", "--dim", "m=4", "-q").stdout
    assert first != tpc("run", "ridge.tp", "X=random", "y=random", "--dim", "n=9,m=4", "--seed", "1", "-q").stdout
    assert first != tpc("run", "ridge.tp", "X=random:5", "y=random", "--dim", "n=9,m=4", "-q").stdout
    assert "[0. 0.]" in tpc("run", "ridge.tp", "X=X.npy", "y=zeros").stdout  # n follows from X
    result = tpc("run", "ridge.tp", "X=random", "y=random", "--dim", "n=9")
    assert result.exit_code == 1 and "--dim m=" in result.stderr


def test_random_inputs_have_the_declared_facts() -> None:
    Path("f.tp").write_text("def f(A: f64[..., n, n] is spd, L: f64[n, n] is lower) -> f64[n, n] = L\n")
    result = tpc("run", "f.tp", "A=random", "L=random", "--dim", "n=4", "--check-facts", "-q")
    assert result.exit_code == 0, result.stderr


def test_a_file_of_another_precision_is_converted_with_a_note() -> None:
    result = tpc("run", "pair.tp", "x=y.npy")
    assert result.exit_code == 0 and "note: `x` is f64 in `y.npy`, and was rounded to f32" in result.stderr
    Path("x.csv").write_text("x\n0.5\n")
    assert "note" not in tpc("run", "pair.tp", "x=x.csv").stderr


def test_truth_values() -> None:
    Path("f.tp").write_text("def f(c: bool, x: f64) -> f64 = select(c, x, -x)\n")
    assert "out: f64 = 2.0" in tpc("run", "f.tp", "c=true", "x=2").stdout


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["X=X.npy"], "E0801"),
        (["X=y.npy", "y=y.npy"], "E0802"),
        (["X=X.npy", "y=1+2j"], "E0802"),
        (["X=X.npy", "y=[1,2]"], "E0805"),
        (["X=X.npy", "y=[1,[2]]"], "E0804"),
        (["X=X.npy", "y=[1,"], "E0804"),
        (["X=X.npy", "Y=y.npy"], "E0808"),
        (["X=X.npy", "y=missing.npy"], "E0705"),
        (["X=X.npy", "y=ridge.tp"], "E0707"),
        (["X=X.npy", "y=abc"], "E0804"),
        (["X=X.npy", "y=y.npy:z"], "E0710"),
        (["X=random", "y=random", "--dim", "n=3,m=3"], "E0807"),
        (["X=random", "y=random", "--dim", "n=3,k=3"], "E0806"),
        (["X=random", "y=random", "--dim", "n=100000000,m=1000000"], "E0901"),
        (["X=X.npy", "y=y.npy", "--max-memory", "50"], "E0910"),
        (["X=X.npy", "y=y.npy", "-f", "rigde"], "E0813"),
        (["X=X.npy", "y=y.npy", "-o", "x.xyz"], "E0707"),
        (["X=X.npy", "y=y.npy", "-o", "no/x.npy"], "E0712"),
    ],
)
def test_wrong_data(arguments: list[str], code: str) -> None:
    result = tpc("run", "ridge.tp", *arguments)
    assert result.exit_code == 1 and f"error[{code}]" in result.stderr and result.stdout == ""
    found = json.loads(tpc("run", "ridge.tp", *arguments, "--json").stdout)
    assert not found["ok"] and code in [d["code"] for d in found["diagnostics"]]


@pytest.mark.parametrize(
    "arguments",
    [
        ["run"],
        ["run", "ridge.tp", "X"],
        ["run", "ridge.tp", "X=1", "X=2"],
        ["run", "ridge.tp", "--dim", "n"],
        ["run", "ridge.tp", "--dim", "n=-1"],
        ["run", "ridge.tp", "--max-memory", "lots"],
        ["run", "ridge.tp", "--memory", "0"],
        ["run", "ridge.tp", "--backend", "fortran"],
        ["run", "ridge.tp", "--no-such-option"],
        ["chekc", "ridge.tp"],
        ["ridge.tp"],
        ["compile", "ridge.tp", "--emit", "python", "--stop-after", "inline"],
    ],
)
def test_wrong_command_lines(arguments: list[str]) -> None:
    assert tpc(*arguments).exit_code == 2


def test_suggestions() -> None:
    assert "Did you mean `tpc check`?" in tpc("chekc").stderr
    assert "Did you mean `tpc run ridge.tp`?" in tpc("ridge.tp").stderr
    assert "did you mean `X.npy`?" in tpc("run", "ridge.tp", "X=XX.npy", "y=y.npy").stderr
    assert "did you mean `ridge.tp`?" in tpc("run", "ridge", "X=X.npy", "y=y.npy").stderr
    Path("int.tp").touch()
    assert "did you mean" not in tpc("run", "missing.tp").stderr, "the suffix alone makes no file alike"
    assert "did you mean" not in tpc("inspect", "x.pt").stderr and "`.npz`?" in tpc("inspect", "x.npyz").stderr


@pytest.mark.parametrize(
    "given, told",
    [
        (["--X", "x.csv"], "Give the argument `X` as `X=x.npy`"),
        (["--n", "3"], "or the size `n` as `--dim n=3`"),
        (["--sizes", "n=3"], "Give sizes as `--dim n=100`"),
        (["--output", "o.npz"], "Did you mean '--out'?"),
        (["X", "=", "x.csv"], "without spaces"),
    ],
)
def test_how_values_are_given_is_said_where_they_are_given_otherwise(given: list[str], told: str) -> None:
    result = tpc("run", "ridge.tp", *given)
    assert result.exit_code == 2 and told in result.stderr
