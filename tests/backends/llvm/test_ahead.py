"""Native functions as files, called from C, and from Python without tpc."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("llvmlite")
from tests.backends.llvm.kernels import ADD, CHECKED, COPY, SCALE, SUM, TWICE, n, native  # noqa: E402

from tpc.backends.llvm import ahead, blas  # noqa: E402
from tpc.backends.llvm.ahead import emit  # noqa: E402
from tpc.backends.llvm.ahead.header import header  # noqa: E402
from tpc.backends.llvm.ahead.loader import loader  # noqa: E402
from tpc.backends.llvm.host import NATIVE, TARGETS, host, targeting  # noqa: E402
from tpc.backends.llvm.lines import Lines  # noqa: E402
from tpc.backends.llvm.lower import lower  # noqa: E402
from tpc.backends.llvm.signature import Array, Failure, Native, Signature  # noqa: E402
from tpc.commands import compile as command  # noqa: E402
from tpc.dsl.diagnostics import TpcError  # noqa: E402
from tpc.dsl.source import Source  # noqa: E402
from tpc.ir.dims import divide  # noqa: E402
from tpc.ir.elaborate.module import check  # noqa: E402
from tpc.ir.types import BF16, BOOL, C128, F64  # noqa: E402

ALL = [ADD, SCALE, SUM, CHECKED, COPY, TWICE]
needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")

PROGRAM = r"""
#include <stdio.h>
#include <stdlib.h>
#include "functions.h"

int main(void) {
    double x[100], out[100], sum;
    for (int i = 0; i < 100; i++) x[i] = i;
    if (add(100, x, x, out, NULL) != 0 || out[99] != 198) return 1;
    if (twice(100, x, out, NULL) != 0 || out[99] != 198) return 2;
    if (total(100, x, &sum, out, NULL) != 0 || sum != 4950) return 3;
    if (add_workspace(100) != 0) return 4;
    void *workspace = aligned_alloc(64, copied_workspace(10, 16));
    double matrix[160], copy[160] = {0};
    for (int i = 0; i < 160; i++) matrix[i] = i;
    if (copied(10, 16, matrix, copy, workspace) != 0 || copy[159] != 159) return 5;
    free(workspace);
    x[0] = -1;
    int64_t status = checked(100, x, &sum, NULL);
    printf("%s\n", checked_error(status));
    return checked_error(0) != NULL;
}
"""


def run(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


@needs_compiler
@pytest.mark.parametrize("language", [["-std=c11"], ["-x", "c++"]])
def test_a_program_in_c_calls_them(tmp_path: Path, language: list[str]) -> None:
    text, made = emit(ALL, "header"), emit(ALL, "object")
    assert isinstance(text, str) and isinstance(made, bytes)
    (tmp_path / "functions.h").write_text(text)
    (tmp_path / "functions.o").write_bytes(made)
    (tmp_path / "main.c").write_text(PROGRAM)
    flags = [*language, "-Wall", "-Werror", "-c", "main.c", "-o", "main.o"]
    run(["cc", *flags], tmp_path)
    run(["cc", "main.o", "functions.o", "-o", "main", "-lpthread", "-lm"], tmp_path)
    assert run(["./main"], tmp_path) == "ValueError: it is negative\n"


@needs_compiler
def test_objects_share_one_pool(tmp_path: Path) -> None:
    second = native("again", [("x", F64, (n,))], [("out", F64, (n,))], "  ret i64 0\n", symbols=("tpc_parallel",))
    for name, functions in (("one", [TWICE]), ("two", [second])):
        made = emit(functions, "object")
        assert isinstance(made, bytes)
        (tmp_path / f"{name}.o").write_bytes(made)
    (tmp_path / "main.c").write_text("int main(void) { return 0; }\n")
    run(["cc", "main.c", "one.o", "two.o", "-o", "main", "-lpthread"], tmp_path)
    run(["./main"], tmp_path)


@needs_compiler
def test_python_calls_them_without_tpc(tmp_path: Path) -> None:
    made = emit(ALL, "shared")
    assert isinstance(made, bytes)
    (tmp_path / "libfunctions.so").write_bytes(made)
    (tmp_path / "functions.py").write_text(loader([f.signature for f in ALL], "libfunctions.so"))
    (tmp_path / "main.py").write_text(
        """
import sys
import numpy as np

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("tpc", "llvmlite"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Hidden())
from functions import add, scale, total, checked, copied, twice
x = np.arange(10.0)
assert (add(x, list(x)) == 2 * x).all() and (add(x[::2], x[::2]) == 2 * x[::2]).all()
assert (scale(x, 2, 3) == 2 * x + 3).all()
assert total(x)[0] == 45 and (total(x)[1] == 2 * x).all()
assert (copied(np.ones((3, 4)).T) == 1).all() and (twice(np.arange(1000)) == 2 * np.arange(1000)).all()
for wrong in (lambda: add(x, x[1:]), lambda: add(x, [x]), lambda: checked(-x - 1), lambda: add(x, 1j * x)):
    try:
        wrong()
    except (TypeError, ValueError) as error:
        print(error)
assert not any(name.startswith(("tpc", "llvmlite")) for name in sys.modules)
"""
    )
    said = run([sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}; import main"], tmp_path)
    assert said.splitlines() == [
        "y is (9,), not (10,)",
        "y has 2 axes, not 1",
        "it is negative",
        "y is complex128, not float64",
    ]


def test_texts() -> None:
    text, assembly = emit([TWICE], "llvm"), emit([TWICE], "asm")
    assert isinstance(text, str) and isinstance(assembly, str)
    assert "define i64 @twice(" in text and "define weak void @tpc_parallel(" in text and "target triple" in text
    assert "twice:" in assembly and "tpc_parallel:" in assembly
    plain = emit([ADD], "llvm")
    assert isinstance(plain, str) and "tpc_parallel" not in plain  # what is not needed is not there


def test_the_header() -> None:
    text = header([COPY.signature])
    assert "int64_t copied(int64_t n, int64_t m, const double *x, double *out, void *workspace);" in text
    assert "int64_t copied_workspace(int64_t n, int64_t m);" in text
    assert "x: f64[n, m]\n" in text and "out: f64[n, m], result\n" in text


def test_names_in_the_header_are_names_in_c() -> None:
    odd = Signature(
        "odd",
        ("int", "n"),
        (Array("double", F64, (n,)), Array("α", C128, ()), Array("x) ; evil(", BOOL, (2 * n + 1, divide(n, 2)))),
        (Array("workspace", BF16, (n * n,)),),
        errors=(Failure("ValueError", "*/ evil(); /*"),),
    )
    text = header([odd])
    line = next(line for line in text.splitlines() if line.startswith("int64_t odd("))
    assert line == (
        "int64_t odd(int64_t int_, int64_t n, const double *double2, const double *alpha, const uint8_t *x_evil, "
        "uint16_t *workspace2, void *workspace);"
    )
    assert text.count("*/") == 2


@pytest.mark.parametrize("name", ["int", "f;", "f g", "1f", "", "f\n"])
def test_functions_without_a_name_in_c_are_refused(name: str) -> None:
    with pytest.raises(TpcError) as caught:
        header([Signature(name, (), (), ())])
    assert caught.value.diagnostics[0].code == "E1004"


def test_without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(TpcError) as caught:
        emit([ADD], "shared")
    assert caught.value.diagnostics[0].code == "E1005" and "CC" in (caught.value.diagnostics[0].help or "")
    monkeypatch.setenv("CC", "no-such-compiler -O2")
    with pytest.raises(TpcError, match="no-such-compiler"):
        emit([ADD], "shared")


WAVE = """
def wave(x: f64[n], y: f64[m, n]) -> (f64[m], f64):
    inner = tanh(y)
    s[i] = sum[j](inner[i, j] * x[j])
    return s, sum(s * s)
"""
CALLS_WAVE = r"""
#include <stdio.h>
#include <stdlib.h>
#include "wave.h"

int main(void) {
    double x[37], y[3 * 37], out[3], total;
    for (int i = 0; i < 37; i++) x[i] = i / 37.0;
    for (int i = 0; i < 3 * 37; i++) y[i] = i % 5;
    void *workspace = aligned_alloc(64, wave_workspace(3, 37) + 64);
    if (wave(3, 37, x, y, out, &total, workspace) != 0) return 1;
    printf("%.12e %.12e\n", out[2], total);
    free(workspace);
    return 0;
}
"""


def wave(text: str = WAVE) -> Native:
    checked = check(Source(text, "wave.tp"))
    (program,) = checked.programs.values()
    spans = checked.module.notes.spans
    return lower(program, lines=Lines(spans, spans[program.inputs[0]]))


def built(target: str, folder: Path) -> str:
    """What the program in C prints."""
    with targeting(target):
        made = [wave()]
        text, code = emit(made, "header"), emit(made, "object")
    assert isinstance(text, str) and isinstance(code, bytes)
    (folder / "wave.h").write_text(text)
    (folder / "wave.o").write_bytes(code)
    (folder / "main.c").write_text(CALLS_WAVE)
    run(["cc", "-Wall", "-Werror", "main.c", "wave.o", "-o", "main", "-lpthread", "-lm"], folder)
    return run(["./main"], folder)


@needs_compiler
def test_targets(tmp_path: Path) -> None:
    here = host().extensions
    said = [float(word) for word in built(NATIVE, tmp_path).split()]
    for target in TARGETS[1:]:
        with targeting(target):
            needed, text = host().extensions, emit([wave()], "asm")
        assert isinstance(text, str)
        assert ("ymm" in text, "zmm" in text) == (target != "x86-64-v2", target == "x86-64-v4")
        if needed <= here:
            assert [float(word) for word in built(target, tmp_path).split()] == pytest.approx(said, rel=1e-12)
    assert host().vector_bits == max(512 * ("avx512vbmi" in here), host().vector_bits)
    assert command.TARGETS == TARGETS


def test_a_target_is_of_this_architecture(monkeypatch: pytest.MonkeyPatch) -> None:
    from tpc.backends.llvm import host as module

    elsewhere = replace(host(), triple="aarch64-unknown-linux-gnu")
    monkeypatch.setattr(module, "_here", lambda: elsewhere)
    module._level.cache_clear()
    with pytest.raises(TpcError, match="aarch64"), targeting("x86-64-v3"):
        pass


def test_code_says_where_it_comes_from() -> None:
    made = wave()
    text, assembly = emit([made], "llvm"), emit([made], "asm")
    assert isinstance(text, str) and isinstance(assembly, str)
    before, _, kernel = text.partition("define internal void @wave.0.")
    assert before.endswith("; wave.tp:3: inner = tanh(y)\n; wave.tp:4: s[i] = sum[j](inner[i, j] * x[j])\n"), before[
        -500:
    ]
    assert "\ni:" in kernel or "\nj:" in kernel  # loops are called by their letters
    assert "; wave.tp:5: return s, sum(s * s)" in text and "; wave.tp:2: def wave(" in text
    for line in (2, 4, 5):
        assert f".loc\t1 {line} " in assembly
    factored = emit([wave("def f(S: f64[n, n]):\n    w, V = eigh(tanh(S))\n    return V * w")], "llvm")
    assert "; wave.tp:2: w, V = eigh(tanh(S))\ndefine i64 @f(" in str(factored)
    plain = emit([lower(next(iter(check(Source(WAVE, "wave.tp")).programs.values())))], "llvm")
    assert isinstance(plain, str) and "wave.tp" not in plain and "!dbg" not in plain


@needs_compiler
def test_a_library_that_is_missing() -> None:
    dot = native(
        "inner",
        [("x", F64, (n,))],
        [("out", F64, ())],
        "  %found = call double @ddot_(ptr null, ptr %x, ptr null, ptr %x, ptr null)\n"
        "  store double %found, ptr %out\n  ret i64 0\n",
        symbols=("ddot_",),
        before="declare double @ddot_(ptr, ptr, ptr, ptr, ptr)",
    )
    with pytest.raises(TpcError) as caught:
        emit([dot], "shared", ["there_is_no_such_library"])
    found = caught.value.diagnostics[0]
    assert found.code == "E1005" and any("there_is_no_such_library" in note for note in found.notes)


@needs_compiler
@pytest.mark.skipif(blas.of_scipy() is None, reason="SciPy has no library of its own")
def test_lapack_is_that_of_scipy_where_there_is_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "BLAS", ("there_is_no_such_library",))
    values = wave("def values(S: f64[n, n]) = eigvalsh(S)")
    made = emit([values], "shared")
    assert isinstance(made, bytes)
    (tmp_path / "libvalues.so").write_bytes(made)
    (tmp_path / "values.py").write_text(loader([values.signature], "libvalues.so"))
    script = "import sys, values; print(values.values([[2, 1], [1, 2]]), 'scipy' in sys.modules, 'tpc' in sys.modules)"
    assert run([sys.executable, "-c", script], tmp_path) == "[1. 3.] False False\n"


def test_numpy_does_not_have_bf16() -> None:
    with pytest.raises(TpcError):
        loader([Signature("f", (), (Array("x", BF16, ()),), ())], "f.so")
