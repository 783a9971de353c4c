"""When things go wrong: our own faults, interrupts, hostile programs, readers that leave."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner
from tests.cli.workplace import folder, tpc

from tpc.cli import cli

pytestmark = pytest.mark.usefixtures("folder")
__all__ = ["folder"]


def test_our_own_faults(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: Any) -> None:
        raise RuntimeError("boom")

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
    program.write_text('const W: f64[100] = load("big.npy")\ndef scaled(s: f64) -> f64[100] = s * W\n')
    out = tmp_path / "out"
    out.mkdir()
    for _ in range(2):  # the same constant may lie there already
        assert CliRunner().invoke(cli, ["compile", str(program), "-o", str(out / "scaled.py")]).exit_code == 0
    code = "import sys; sys.path.insert(0, '.'); import scaled; print(float(scaled.scaled(2.0).sum()))"
    done = subprocess.run([sys.executable, "-I", "-c", code], cwd=out, capture_output=True, text=True)
    assert float(done.stdout) == 9900
    (out / "W.npy").write_text("something else")
    result = CliRunner().invoke(cli, ["compile", str(program), "-o", str(out / "scaled.py")])
    assert result.exit_code == 1 and "E0713" in result.output
    assert (out / "W.npy").read_text() == "something else"
