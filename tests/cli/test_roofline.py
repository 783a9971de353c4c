"""Kernels against the limits of a machine: the table, the drawing, and `tpc explain --roofline`."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from click.testing import CliRunner

import tpc
from tpc.cli import cli
from tpc.dsl.source import Source
from tpc.explanation.roofline import Roofline, roofline, table
from tpc.explanation.roofline_drawing import drawing
from tpc.ir.elaborate.module import check
from tpc.ir.types import F32, F64, DType
from tpc.passes.cost.families import FAMILIES

TEXT = """
def f(A: f64[n, n], x: f64[n], s: f32[m]) -> (f64[n, n], f64[n], f32[m]):
    B = A @ A
    y = A @ x
    return B, y, exp(s)
"""


class Fixed:
    """A machine with a call of 1 us, 10 Gflop/s in f64 and twice that in f32, and 8 GB/s."""

    def seconds(self, kernel: str, sizes: tuple[int, ...], dtype: DType, batch: int = 1) -> float:
        family = FAMILIES[kernel]
        flops, moved = family.flops(*sizes), dtype.size * family.entries(*sizes)
        return 1e-6 + batch * max(flops / (1e10 if dtype is F64 else 2e10), moved / 8e9)


def found(native: bool = False, text: str = TEXT) -> Roofline:
    (program,) = check(Source(text, "f.tp")).programs.values()
    names = dict(zip(program.outputs, ("B", "y", "exp")))
    return roofline(program, names, Fixed(), {"n": 1000, "m": 50_000}, assumed=["m"], native=native)


def test_the_table() -> None:
    assert table(found()) == (
        "f, at n = 1,000, m = 50,000 (assumed), on 1 thread of some machine; times are predicted\n"
        "memory      8 GB/s\n"
        "arithmetic  10 Gflop/s in f64; from 1.25 flops/byte on it is the limit\n"
        "arithmetic  20 Gflop/s in f32; from 2.5 flops/byte on it is the limit\n"
        "\n"
        "value  kernel               flops    bytes  flops/byte    time  limit       attained\n"
        "B      gemm         2,000,000,000    16 MB         125  200 ms  arithmetic     100 %\n"
        "y      gemv             2,000,000  8.02 MB        0.25    1 ms  memory         100 %\n"
        "exp    elementwise        500,000   400 KB        1.25   51 us  memory          98 %\n"
    )


def test_the_limits_are_those_of_the_prices() -> None:
    limits = found().limits
    assert limits.memory == pytest.approx(8e9)
    assert limits.arithmetic(F64) == pytest.approx(1e10, rel=1e-3)
    assert limits.arithmetic(F32) == pytest.approx(2e10, rel=1e-3)
    product, vector, _ = found().points
    assert (product.bound, vector.bound) == ("arithmetic", "memory")
    assert product.attained == pytest.approx(1, rel=1e-3)


def test_native_functions_are_kernels() -> None:
    pytest.importorskip("llvmlite")
    text = "def f(X: f64[n, 3], v: f64[n]):\n    K[i, j] = exp(-sum[k]((X[i, k] - X[j, k])^2))\n    return K @ v\n"
    (point,) = found(native=True, text=text).points
    assert point.kernel == "native" and point.bound == "arithmetic"
    assert point.bytes == 8 * (3 * 1000 + 1000 + 1000)  # K is never stored
    assert point.flops > 10 * 1000**2


@pytest.mark.parametrize("text", [TEXT, "def f(x: f64[n]) = x\n", "def f(A: f64[n, n]) = A'\n"])
def test_the_drawing(text: str) -> None:
    (program,) = check(Source(text, "f.tp")).programs.values()
    held = roofline(program, {}, Fixed(), {"n": 1000, "m": 50_000})
    picture = ElementTree.fromstring(drawing(held))
    spots = [e for e in picture.iter() if e.tag.endswith("circle")]
    assert len(spots) == len(held.points)
    for spot in spots:
        assert 0 < float(spot.attrib["cx"]) < 640 and 0 < float(spot.attrib["cy"]) < 400
    assert len([e for e in picture.iter() if e.tag.endswith("path")]) == max(1, len(held.dtypes))


def test_what_is_measured_is_held_against_measured_limits(tmp_path: Path) -> None:
    made = tpc.compile(
        "def f(A: f64[n, n], x: f64[n]):\n    return exp(A @ x), cholesky(A' @ A + eye(n))", backend="numpy"
    )
    A = np.random.default_rng(0).standard_normal((60, 60))
    held = made.roofline(A, A[0])
    assert held.is_measured and str(held).splitlines()[0].endswith("times are measured")
    assert {"gemv", "elementwise", "potrf"} <= {point.kernel for point in held.points}
    assert all(0 < point.seconds < 1 for point in held.points) and not made.roofline().is_measured
    for name in ("f.svg", "f.html"):
        held.write(tmp_path / name)
        assert "<svg" in (tmp_path / name).read_text()
    if find_spec("matplotlib") is not None:
        held.write(tmp_path / "f.png")
        assert (tmp_path / "f.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(tpc.TpcError, match="E1004"):
        held.write(tmp_path / "f.bmp")


def test_native_functions_are_measured_as_they_run() -> None:
    pytest.importorskip("llvmlite")
    text = "def f(x: f64[n], S: f64[n, n]):\n    return median(exp(S), axis=0) * 2, exp(x) * x"
    made = tpc.compile(text, backend="llvm")
    held = made.roofline(np.arange(5.0), np.eye(5))
    assert [point.kernel for point in held.points] == ["native", "other", "native"]


def test_names_are_escaped() -> None:
    (program,) = check(Source(TEXT, "f.tp")).programs.values()
    held = roofline(program, {program.outputs[0]: "<script>"}, Fixed(), {"n": 10, "m": 10})
    assert "<script>" not in drawing(held) and "&lt;script&gt;" in drawing(held)


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("f.tp").write_text("def f(A: f64[n, n], x: f64[n]) -> f64[n] = exp(A @ x)\n")
    run = CliRunner().invoke
    shown = run(cli, ["explain", "f.tp", "--roofline", "--backend", "numpy", "--dim", "n=500", "--plot", "f.svg"])
    assert shown.exit_code == 0, shown.output
    assert shown.stdout.splitlines()[0].startswith("f, at n = 500, on ") and "gemv" in shown.stdout
    assert "arithmetic" in shown.stdout and "GB/s" in shown.stdout
    ElementTree.fromstring(Path("f.svg").read_text())
    held = json.loads(run(cli, ["explain", "f.tp", "--roofline", "--backend", "numpy", "--json"]).stdout)["roofline"]
    assert [k["kernel"] for k in held["kernels"]] == ["gemv", "elementwise"] and held["memory"] > 0
    assert json.loads(run(cli, ["explain", "f.tp", "--backend", "numpy", "--json"]).stdout)["roofline"] is None
    assert run(cli, ["explain", "f.tp", "--roofline", "--plot", "-"]).exit_code == 2
    assert run(cli, ["explain", "f.tp", "--plot", "-"]).stdout.startswith("<svg")
    shown = run(cli, ["explain", "f.tp", "--measure", "--backend", "numpy", "--dim", "n=50"])
    assert shown.stdout.splitlines()[0].endswith("times are measured")
    if find_spec("llvmlite") is not None:
        assert "native" in run(cli, ["explain", "f.tp", "--roofline", "--backend", "llvm"]).stdout
