"""The other commands: what they print where, and their exit codes."""

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from tests.cli.workplace import RIDGE, folder, tpc

from tpc.cli import COMMANDS, cli

pytestmark = pytest.mark.usefixtures("folder")
__all__ = ["folder"]


def test_check() -> None:
    good = tpc("check", "ridge.tp", "pair.tp")
    assert good.exit_code == 0 and "2 files checked: no errors" in good.stderr
    Path("bad.tp").write_text("def f(x: f64) -> f64 = y\ndef g(a: f64, b: f64) -> f64 = a + z\n")
    bad = tpc("check", "bad.tp", "ridge.tp")
    assert bad.exit_code == 1 and "2 files checked: 2 errors" in bad.stderr
    found = json.loads(tpc("check", "bad.tp", "--json").stdout)
    assert not found["ok"] and {d["code"] for d in found["diagnostics"]} == {"E0301"}
    assert tpc("check", "-", stdin=RIDGE).exit_code == 0
    assert tpc("check", "missing.tp").exit_code == 1
    assert tpc("check", "X.npy").exit_code == 1


def test_explain() -> None:
    table = tpc("explain", "ridge.tp")
    assert table.exit_code == 0 and "flops" in table.stdout and "m^2*n" in table.stdout
    assert "peak memory" in tpc("explain", "ridge.tp", "--dim", "n=100,m=5").stdout
    found = json.loads(tpc("explain", "ridge.tp", "--dim", "n=100,m=5", "--json").stdout)
    assert isinstance(found["cost"]["flops"], int)
    assert tpc("explain", "e0203").stdout.startswith("## E0203")
    assert tpc("explain", "E9999").exit_code == 1


def test_explain_a_program_with_constants_and_loops() -> None:
    Path("loop.tp").write_text(
        'const w: f64[6] = load("y.npy")\n'
        "def f(A: f64[6, 6]) -> f64[6]:\n    x = w\n    repeat 5:\n        x = A @ x\n    return x\n"
    )
    result = tpc("explain", "loop.tp")
    assert result.exit_code == 0 and "360" in result.stdout  # 5 products of 6 by 6, 72 operations each


def test_fmt() -> None:
    ugly = "def f(x:f64)->f64=x   +1  # add\n"
    Path("ugly.tp").write_text(ugly)
    assert tpc("fmt", "ugly.tp", "--check").exit_code == 1 and Path("ugly.tp").read_text() == ugly
    diff = tpc("fmt", "ugly.tp", "--diff")
    assert diff.exit_code == 1 and "+def f(x: f64) -> f64 = x + 1  # add" in diff.stdout
    assert tpc("fmt", "ugly.tp").exit_code == 0
    assert Path("ugly.tp").read_text() == "def f(x: f64) -> f64 = x + 1  # add\n"
    assert tpc("fmt", "ugly.tp", "--check").exit_code == 0
    assert tpc("fmt", "-", stdin=ugly).stdout == "def f(x: f64) -> f64 = x + 1  # add\n"
    Path("bad.tp").write_text("def f(x:\n")
    assert tpc("fmt", "bad.tp").exit_code == 1 and Path("bad.tp").read_text() == "def f(x:\n"


def test_doctor() -> None:
    found = json.loads(tpc("doctor", "--json").stdout)
    assert found["ok"] and found["works"] and found["libraries"]["numpy"] == np.__version__
    assert "backend numpy" in tpc("doctor").stdout


def test_new_runs_at_once(folder: Path) -> None:
    assert tpc("new", "first").exit_code == 0
    assert tpc("new", "first").exit_code == 1
    assert tpc("new", "a b").exit_code == 1
    assert tpc("check", "first/first.tp").stderr == "1 file checked: no errors\n"
    assert tpc("fmt", "first/first.tp", "--check").exit_code == 0
    assert tpc("run", "first/first.tp").stdout.startswith("weights: f64[3] = [")
    os.chdir(folder / "first")
    commands = re.findall(r"^#   tpc (.*?)(?:  .*)?$", Path("first.tp").read_text(), re.MULTILINE)
    assert len(commands) == 3
    for command in commands:
        assert tpc(*command.split()).exit_code == 0, command


def test_overview() -> None:
    result = tpc()
    lines = result.stdout.splitlines()
    assert result.exit_code == 0 and len(lines) <= 13
    for part in lines[0].split(" && "):
        assert tpc(*part.split()[1:]).exit_code == 0


def test_help_has_every_command() -> None:
    text = tpc("--help").stdout
    for name in COMMANDS:
        assert re.search(rf"^  {name} ", text, re.MULTILINE)
        page = tpc(name, "--help")
        assert page.exit_code == 0 and page.stdout.startswith(f"Usage: tpc {name}")


def complete(words: str) -> list[str]:
    environment = {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - (not words.endswith(" ")))}
    result = CliRunner().invoke(cli, env={**environment, "_TPC_COMPLETE": "bash_complete"}, prog_name="tpc")
    return [line.partition(",")[2] for line in result.stdout.splitlines()]


def test_completion() -> None:
    for shell in ("bash", "zsh", "fish"):
        assert "_TPC_COMPLETE" in tpc("completion", shell).stdout
    assert complete("tpc ex") == ["explain"]
    assert complete("tpc run pair.tp -f p") == ["pair"]
    assert complete("tpc run ridge.tp ") == ["X=", "y=", "penalty="]
    assert "X=X.npy" in complete("tpc run ridge.tp X=X")
    assert complete("tpc run missing.tp -f p") == [""]
