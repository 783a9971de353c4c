"""`tpc compile`: modules, native code, and stages that are programs again."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.cli.workplace import beta, folder, tpc

pytestmark = pytest.mark.usefixtures("folder")
__all__ = ["folder"]


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


def test_a_suffix_that_says_nothing(folder: Path) -> None:
    """What to write is not guessed: `ridge.xyz` was a Python module before."""
    result = tpc("compile", "ridge.tp", "-o", "ridge.xyz")
    assert result.exit_code == 2 and "--emit" in result.stderr and not (folder / "ridge.xyz").exists()
    assert tpc("compile", "ridge.tp", "--emit", "python", "-o", "ridge.xyz").exit_code == 0
    assert tpc("compile", "ridge.tp", "-o", "ridge").exit_code == 0


def test_native_code_for_a_level_of_processors(wave: Path) -> None:
    from tpc.backends.llvm.host import host

    if host().triple.startswith("x86_64"):
        made = [tpc("compile", "wave.tp", "--emit", "asm", "--target", f"x86-64-v{n}").stdout for n in (2, 3, 4)]
        widest = [max(w for w in ("xmm", "ymm", "zmm") if w in text) for text in made]
        assert widest == ["xmm", "ymm", "zmm"]
    assert 'wave.tp"' in tpc("compile", "wave.tp", "--emit", "asm", "--target", "native").stdout


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
        (["wave.tp", "--emit", "python", "--target", "x86-64-v3"], 2, "--target is for native code"),
        (["wave.tp", "-o", "wave.so"], 2, "libwave.so"),
        (["wave.tp", "-o", "no/wave.o"], 1, "help"),
        (["grown.tp", "--backend", "llvm"], 1, "`grown` has no native code as a whole"),
        (["int.tp", "--emit", "header"], 1, "E1004"),
    ],
)
def test_wrong_requests_for_native_code(wave: Path, arguments: list[str], code: int, said: str) -> None:
    (wave / "int.tp").write_text(NATIVE.replace("wave", "int"))
    (wave / "grown.tp").write_text("def grown(A: f64[n, n], x: f64[n]) -> f64[n] = expm(A) @ x\n")
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


PARAMETERS = """
def ridge(X: f64[n, p] is param, y: f64[n], l: f64 = 0.5) -> f64[p]:
    return inv(X' @ X + l * eye(p)) @ X' @ y
"""


def test_both_stages_in_a_module(folder: Path) -> None:
    """What is prepared by one function is what the other takes first, and none of it needs tpc."""
    (folder / "stages.tp").write_text(PARAMETERS)
    result = tpc("compile", "stages.tp", "--dim", "n=40,p=3", "--calls", "1000", "-o", "stages.py")
    assert result.exit_code == 0, result.stderr
    script = (
        "import sys, numpy as np, stages; r = np.random.default_rng(0); X = r.random((40, 3)); y = r.random(40); "
        "held = stages.ridge_ahead(X); held = held if isinstance(held, tuple) else (held,); "
        "assert np.allclose(stages.ridge(*held, y, 2.0), np.linalg.solve(X.T @ X + 2 * np.eye(3), X.T @ y)); "
        "assert not any(m.startswith('tpc') for m in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=folder)
    assert run.returncode == 0, run.stderr
    assert "X.T @ X" in (folder / "stages.py").read_text().partition("def ridge(")[0]
    assert tpc("compile", "ridge.tp", "--calls", "10").exit_code == 2, "no parameter is declared to stay"
    assert tpc("compile", "stages.tp", "--calls", "10", "--emit", "ir").exit_code == 2
