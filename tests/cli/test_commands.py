"""The commands: what they print where, and their exit codes."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner, Result

from tpc.cli import COMMANDS, cli

RIDGE = """\
# ridge regression
def ridge(X: f64[n, m], y: f64[n], penalty: f64 = 0.1) -> f64[m] where n > m:
    return (X' @ X + penalty * eye(m)) \\ (X' @ y)
"""
PAIR = """\
def pair(x: f32[n]) -> (f32, f32[n]):
    total = sum(x)
    doubled = 2 * x
    return total, doubled
"""
rng = np.random.default_rng(0)
X, y = rng.standard_normal((6, 2)), rng.standard_normal(6)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    Path("ridge.tp").write_text(RIDGE)
    Path("pair.tp").write_text(PAIR)
    np.save("X.npy", X)
    np.save("y.npy", y)
    return tmp_path


def tpc(*arguments: str, stdin: str | None = None) -> Result:
    result = CliRunner().invoke(cli, arguments, input=stdin)
    assert "Traceback" not in result.output
    return result


def beta() -> Any:
    return np.linalg.solve(X.T @ X + 0.1 * np.eye(2), X.T @ y)


# ---- run


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


# ---- the other verbs


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


def test_compile(folder: Path) -> None:
    result = tpc("compile", "ridge.tp", "-o", "ridge.py")
    assert result.exit_code == 0 and "wrote ridge.py" in result.stderr
    script = "import sys, numpy as np, ridge; print(*ridge.ridge(np.load('X.npy'), np.load('y.npy'))); "
    script += "assert not any(m.startswith('tpc') for m in sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=folder)
    np.testing.assert_allclose([float(v) for v in run.stdout.split()], beta())


NATIVE = "def wave(x: f64[n], y: f64[m]) -> f64[n, m]:\n    out[i, j] = sin(x[i]) * y[j]\n    return out\n"


@pytest.fixture
def wave(folder: Path) -> Path:
    pytest.importorskip("llvmlite")
    (folder / "wave.tp").write_text(NATIVE)
    return folder


@pytest.mark.parametrize(
    ("kind", "suffix", "holds"),
    [
        ("llvm", ".ll", b"define i64 @wave("),
        ("asm", ".s", b"wave:"),
        ("object", ".o", b"wave_workspace"),
        ("header", ".h", b"int64_t wave(int64_t m, int64_t n, const double *x, const double *y, double *"),
    ],
)
def test_compile_to_native_code(wave: Path, kind: str, suffix: str, holds: bytes) -> None:
    """The kind is that of the option, or of the suffix."""
    result = tpc("compile", "wave.tp", "--backend", "llvm", "--emit", kind, "-o", "said")
    assert result.exit_code == 0 and "wrote said" in result.stderr
    assert tpc("compile", "wave.tp", "-o", f"made{suffix}").exit_code == 0
    content = (wave / "said").read_bytes()
    assert holds in content and content == (wave / f"made{suffix}").read_bytes()
    fixed = tpc("compile", "wave.tp", "--emit", kind, "--dim", "n=3,m=4", "-o", "fixed")
    assert fixed.exit_code == 0 and (wave / "fixed").read_bytes() != content


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
def test_a_shared_library_comes_with_its_module(wave: Path) -> None:
    result = tpc("compile", "wave.tp", "-o", "libwave.so")
    assert result.exit_code == 0 and "wrote wave.py" in result.stderr and "wrote libwave.so" in result.stderr
    script = "import sys, wave; print(*wave.wave([0.0, 1.0], [2.0])); "
    script += "assert not any(m.startswith(('tpc', 'llvmlite')) for m in sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=wave)
    assert run.stdout.split() == ["[0.]", "[1.68294197]"], run.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["wave.tp", "--emit", "object"], 2, "name the file to write with -o"),
        (["wave.tp", "--emit", "object", "--backend", "torch"], 2, "for the backend llvm"),
        (["wave.tp", "--emit", "object", "--stop-after", "inline", "-o", "x"], 2, "--emit ir"),
        (["wave.tp", "-o", "wave.so"], 2, "libwave.so"),
        (["wave.tp", "-o", "no/wave.o"], 1, "help"),
        (["ridge.tp", "--backend", "llvm"], 1, "`ridge` has no native code as a whole"),
        (["int.tp", "--emit", "header"], 1, "E1004"),
    ],
)
def test_wrong_requests_for_native_code(wave: Path, arguments: list[str], code: int, said: str) -> None:
    (wave / "int.tp").write_text(NATIVE.replace("wave", "int"))
    result = tpc("compile", *arguments)
    assert result.exit_code == code and said in result.stderr
    assert sorted(wave.glob("wave.*")) == [wave / "wave.tp"]


def test_modes_and_threads() -> None:
    plans = [tpc("compile", "ridge.tp", "--mode", mode, "--dim", "n=9,m=4").stdout for mode in ("bitwise", "stable")]
    assert plans[0] != plans[1]
    assert tpc("compile", "ridge.tp", "--threads", "1", "--emit", "ir").exit_code == 0
    for mode in ("bitwise", "fast"):
        result = tpc("run", "ridge.tp", "X=X.npy", "y=y.npy", "--mode", mode, "--threads", "1", "--json")
        np.testing.assert_allclose(json.loads(result.stdout)["results"][0]["values"], beta())


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--mode", "quick"], 2, "'quick' is not one of 'bitwise', 'stable', 'fast'"),
        (["--threads", "none"], 2, "not a valid integer"),
        (["--dim", "n=3,m=5"], 1, "needs n > m"),
        (["--stop-after", "optimize"], 1, "did you mean `optimise`?"),
        (["-o", "no/ridge.py"], 1, "help"),
    ],
)
def test_wrong_requests_to_compile(arguments: list[str], code: int, said: str) -> None:
    result = tpc("compile", "ridge.tp", *arguments)
    assert result.exit_code == code and said in result.stderr


def test_a_stage_is_a_program_again() -> None:
    for stage in ("specialise", "inline", "prune"):
        assert tpc("compile", "ridge.tp", "--stop-after", stage, "-o", "stage.tp").exit_code == 0
        again = tpc("run", "stage.tp", "X=X.npy", "y=y.npy", "--json")
        np.testing.assert_allclose(json.loads(again.stdout)["results"][0]["values"], beta())
    result = tpc("compile", "ridge.tp", "--stop-after", "inlien")
    assert result.exit_code == 1 and "E0809" in result.stderr


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


# ---- when things go wrong


def test_our_own_faults(monkeypatch: pytest.MonkeyPatch) -> None:
    import tpc.commands.arguments

    def broken(*arguments: Any) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr(tpc.commands.arguments, "read_source", broken)
    monkeypatch.setattr("tpc.commands.fmt.read_source", broken)
    result = CliRunner().invoke(cli, ["fmt", "ridge.tp"])
    assert result.exit_code == 3 and len(result.stderr.splitlines()) == 1 and "Traceback" not in result.output
    report = Path(result.stderr.split("the file ")[1].strip())
    text = report.read_text()
    assert "boom" in text and "Traceback" in text and "def ridge" in text
    report.unlink()


def test_interrupts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tpc.commands.fmt.read_source", lambda name: (_ for _ in ()).throw(KeyboardInterrupt))
    assert CliRunner().invoke(cli, ["fmt", "ridge.tp"]).exit_code == 130


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\0",
        "def f(x: f64[10^12, 10^12]) = x",
        "def f(x) = f(x)",
        "(" * 10_000,
        "def f(x: f64) = " + "x+" * 100_000,
        "def f(x: f64) = \x1b[31mx",
    ],
    ids=["empty", "nul", "huge", "recursion", "nested", "long", "escape"],
)
def test_hostile_programs(text: str) -> None:
    Path("bad.tp").write_text(text)
    for command in (["check"], ["run"], ["explain"], ["fmt", "--check"]):
        result = tpc(*command, "bad.tp")
        assert result.exit_code in (0, 1) and "\x1b" not in result.output


def python_tpc(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tpc", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


def test_a_reader_that_leaves() -> None:
    process = python_tpc("compile", "ridge.tp")
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == "" and process.wait() in (0, 141)


def test_ctrl_c() -> None:
    Path("long.tp").write_text(
        "def f(x: f64[n]) -> f64[n]:\n    repeat 100000000:\n        x = sin(x)\n    return x\n".replace(
            "    repeat", "    z = x\n    repeat"
        )
        .replace("x = sin(x)", "z = sin(z)")
        .replace("return x", "return z")
    )
    process = python_tpc("run", "long.tp", "x=[1,2]")
    time.sleep(2.5)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 130 and "Traceback" not in errors


def test_colours() -> None:
    Path("bad.tp").write_text("def f(x: f64) -> f64 = y\n")
    plain = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR")}
    for extra, colored in (({}, False), ({"FORCE_COLOR": "1"}, True), ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False)):
        process = python_tpc("check", "bad.tp", env={**plain, **extra})
        assert ("\x1b[" in process.communicate()[1]) is colored


def test_kill_while_writing_leaves_the_old_file(folder: Path) -> None:
    script = (
        "import sys, numpy as np; from pathlib import Path; from tpc import results\n"
        "while True: results.write({Path('out.npy'): {'x': np.full(200_000, np.random.rand())}})\n"
    )
    for delay in (0.5, 0.55, 0.62):
        np.save("out.npy", np.zeros(200_000))
        process = subprocess.Popen([sys.executable, "-c", script])
        time.sleep(delay)
        process.kill()
        process.wait()
        values = np.load("out.npy")
        assert values.shape == (200_000,) and (values == values[0]).all()


def test_start_up() -> None:
    """What must not be imported; the times themselves are measured by the benchmarks."""
    heavy = "numpy scipy torch networkx rich"
    script = (
        "import sys; import tpc; loaded = [m for m in ('lark', 'click', *'{heavy}'.split()) if m in sys.modules]\n"
        "assert not loaded, loaded\n"
        "from tpc.cli import cli\n"
        "try: cli.main({arguments})\n"
        "except SystemExit: pass\n"
        "loaded = [m for m in '{heavy}'.split() if m in sys.modules]; assert not loaded, loaded\n"
    )
    for arguments in (["--help"], ["check", "ridge.tp"], ["fmt", "--check", "ridge.tp"]):
        text = script.format(heavy=heavy, arguments=arguments)
        run = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True)
        assert run.returncode == 0, run.stderr


def test_version() -> None:
    import tpc as package

    assert tpc("--version").stdout == f"tpc {package.__version__}\n"
    assert isinstance(cli, click.Group)


def test_a_compiled_module_finds_its_constants(tmp_path: Path) -> None:
    np.save(tmp_path / "big.npy", np.arange(100.0))
    program = tmp_path / "scaled.tp"
    program.write_text('const W: f64[100] = load("big.npy")\ndef scaled(s: f64) -> f64 = s * sum(W)\n')
    out = tmp_path / "out"
    out.mkdir()
    for _ in range(2):  # the same constant may lie there already
        assert CliRunner().invoke(cli, ["compile", str(program), "-o", str(out / "scaled.py")]).exit_code == 0
    code = "import sys; sys.path.insert(0, '.'); import scaled; print(float(scaled.scaled(2.0)))"
    done = subprocess.run([sys.executable, "-I", "-c", code], cwd=out, capture_output=True, text=True)
    assert float(done.stdout) == 9900
    (out / "W.npy").write_text("something else")
    result = CliRunner().invoke(cli, ["compile", str(program), "-o", str(out / "scaled.py")])
    assert result.exit_code == 1 and "E0713" in result.output
    assert (out / "W.npy").read_text() == "something else"
