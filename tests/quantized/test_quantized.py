"""Matrices in few bits: their meaning, their products on every backend, and budgets that are spent on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tpc
from tpc.dsl.source import Source
from tpc.ir.elaborate.module import check
from tpc.ir.types import F32, F64
from tpc.passes.approximation.projected import Projected
from tpc.passes.approximation.projections.quantized import _rounded, packed, quantized
from tpc.passes.approximation.target import Target


def stored(bits: int, shape: tuple[int, int, int], seed: int = 0) -> tuple[Any, Any, Any]:
    """Codes, scales, and the matrix that they mean."""
    rng = np.random.default_rng(seed)
    scales = rng.uniform(0.5, 2, shape[:2]).astype(np.float32)
    if bits == 16:
        codes = rng.standard_normal(shape).astype(np.float16)
    else:
        most = 7 if bits == 4 else 127
        codes = rng.integers(-most, most + 1, shape).astype(np.int8)
    matrix = (codes * scales[:, :, None].astype(np.float64)).reshape(shape[0], -1)
    return (packed(codes) if bits == 4 else codes), scales, matrix


@pytest.mark.parametrize("bits", [4, 8, 16])
@pytest.mark.parametrize("shape", [(3, 2, 4), (1, 1, 2), (5, 3, 32)])
def test_codes_mean_what_they_say(bits: int, shape: tuple[int, int, int]) -> None:
    codes, scales, matrix = stored(bits, shape)
    kind = "f16" if bits == 16 else "i8"
    text = f"def main(c: {kind}[n, g, l], s: f32[n, g]) = dequantize(c, s, packed={str(bits == 4).lower()})"
    found = tpc.compile(text, backend="numpy")(codes, scales)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, matrix, rtol=1e-6)


@pytest.mark.parametrize("backend", ["numpy", "torch", "llvm"])
@pytest.mark.parametrize("bits", [4, 8, 16])
def test_products_are_those_with_the_decoded_matrix(backend: str, bits: int) -> None:
    codes, scales, W = stored(bits, (6, 3, 32))
    rng = np.random.default_rng(1)
    kind, width = ("f16" if bits == 16 else "i8"), ("2*l" if bits == 4 else "l")
    text = f"""
def main(x: f32[n], X: f32[b, n], y: f32[g*{width}], Y: f32[b, g*{width}], c: {kind}[n, g, l], s: f32[n, g]):
    xW, XW = quantized_matmul(x, c, s, packed=P), quantized_matmul(X, c, s, packed=P)
    Wy = quantized_matmul(y, c, s, packed=P, transposed=true)
    return xW, XW, Wy, quantized_matmul(Y, c, s, packed=P, transposed=true)
""".replace("=P", f"={str(bits == 4).lower()}")
    values = [rng.standard_normal(s).astype(np.float32) for s in (6, (2, 6), 96, (2, 96))]
    found = tpc.compile(text, backend=backend)(*values, codes, scales)
    for value, matrix, result in zip(values, (W, W, W.T, W.T), found, strict=True):
        np.testing.assert_allclose(np.asarray(result), value @ matrix, rtol=2e-5, atol=2e-4)


@pytest.mark.parametrize("call, code", [
    ("dequantize(c, s[:, :1])", "E0203"),
    ("dequantize(s, s)", "E0203"),
    ("quantized_matmul(s[:, 0], c, s, transposed=true)", "E0203"),
    ("dequantize(1.0 * c, s, packed=true)", "E0221"),
])  # fmt: skip
def test_mistakes(call: str, code: str) -> None:
    found = check(Source(f"def main(c: i8[n, 4, 8], s: f32[n, 4]) = {call}\n"))
    assert [d.code for d in found.diagnostics.errors] == [code]


def test_the_text_form_is_read_back_as_the_same_program() -> None:
    text = "def main(x: f32[n], c: i8[n, g, l], s: f32[n, g]) = quantized_matmul(x, c, s, packed=true)\n"
    program = check(Source(text)).programs["main"]
    assert check(Source(str(program))).programs["main"] is program


# ---- budgets


@pytest.mark.parametrize(
    "within, name, bits_stored", [(0.2, "4 bits", 4.25), (1e-2, "8 bits", 8.25), (1e-3, "16 bits", 16.25)]
)
def test_the_fewest_bits_within_a_budget(within: float, name: str, bits_stored: float) -> None:
    A = np.random.default_rng(0).standard_normal((256, 512))
    target = Target(A, F32, within)
    (found,) = quantized(target)
    assert found.name == name and found.bytes * 8 / A.size == pytest.approx(bits_stored)
    assert target.error(found.dense()) <= within
    assert not list(quantized(Target(A, F32, 1e-5)))
    np.testing.assert_array_equal(found.rounded(F32).dense(), found.dense())


def test_no_certificate_is_violated() -> None:
    """The error of a product is within half a scale for each group, and that of the matrix as certified."""
    for seed in range(40):
        rng = np.random.default_rng(seed)
        A = rng.standard_normal((256, 256)) * 10.0 ** rng.uniform(-3, 3, (256, 1)) * rng.choice([1, 50], (1, 256))
        within = 10.0 ** rng.uniform(-3, -0.5)
        for dtype in (F32, F64):
            target = Target(A, dtype, within)
            for found in quantized(target):
                assert isinstance(found, Projected)
                error = found.dense() - A
                assert np.linalg.norm(error) <= target.error(found.dense()) * np.linalg.norm(A)
                if found.name == "16 bits":
                    continue
                x = rng.standard_normal(256)
                sizes = np.abs(x).reshape(-1, 128).sum(axis=1)
                bound = (found.parts["scales"] / 2) @ sizes
                assert np.all(np.abs(error @ x) <= bound * (1 + 1e-6))


def test_awkward_matrices() -> None:
    A = np.random.default_rng(0).standard_normal((300, 256))
    A[3] = 0
    (found,) = quantized(Target(A, F32, 0.05))
    assert np.all(found.dense()[3] == 0)
    assert not list(quantized(Target(A[:, :250], F32, 0.05)))  # no groups
    assert not list(quantized(Target(A[:4], F32, 0.05)))  # small: nothing to gain
    A[0, 0] = 1e300
    assert not list(quantized(Target(A, F32, 1e-9)))


TEXT = """
const W: f32[512, 512] = load("w.npy")

def main(x: f32[{rows}512]):
    V ~= W within {within}
    return x @ V'
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    np.save(tmp_path / "w.npy", np.random.default_rng(2).standard_normal((512, 512)).astype(np.float32))
    return tmp_path


def test_a_budget_is_spent_on_bits_where_code_is_generated(folder: Path) -> None:
    W = np.load(folder / "w.npy")
    x = np.random.default_rng(0).standard_normal(512).astype(np.float32)
    program = tpc.compile(TEXT.format(rows="", within=1e-2), backend="llvm", folder=str(folder))
    found = program(x)
    (certificate,) = program.certificates
    assert certificate.kind == "sure" and [r.structure for r in certificate.spent] == ["8 bits"]
    assert 0 < np.linalg.norm(found - W @ x) <= 2 * certificate.bound * np.linalg.norm(W @ x)
    assert "quantized_matmul" in str(program.plan.program) and "dequantize" not in str(program.plan.program)


@pytest.mark.parametrize("backend, rows, within", [
    ("numpy", "", 1e-2),  # which would widen the matrix at each call
    ("llvm", "200, ", 1e-2),  # bound by operations, not by the matrix
    ("llvm", "", 1e-6),
])  # fmt: skip
def test_it_declines(backend: str, rows: str, within: float, folder: Path) -> None:
    program = tpc.compile(TEXT.format(rows=rows, within=within), backend=backend, folder=str(folder))
    x = np.ones((200, 512) if rows else 512, np.float32)
    np.testing.assert_allclose(program(x), x @ np.load(folder / "w.npy").T, rtol=1e-4, atol=1e-3)
    (certificate,) = program.certificates
    assert certificate.kind == "exact"


def test_columns_that_data_makes_large_are_widened() -> None:
    draw = np.random.default_rng(0)
    X, W = draw.standard_normal((300, 512)), draw.standard_normal((256, 512))
    X[:, [3, 90, 200, 411]] *= 50
    root = np.linalg.qr(X, mode="r")
    plain, *widened = _rounded(Target(W, F32, 0.1, columns=root), 4, 128, 0)
    exact = X @ W.T
    errors = [np.linalg.norm(X @ p.dense().T - exact) / np.linalg.norm(exact) for p in (plain, *widened)]
    assert 0.1 < errors[0] < 0.2 and min(errors[1:]) < 0.64 * errors[0]  # 0.172 to 0.110, as for AffineQuant
    (found,) = quantized(Target(W, F32, 0.1, columns=root))
    assert found.name == "4 bits" and "widened" in found.about
    (found,) = quantized(Target(W, F32, 0.2, columns=root))  # where it is near enough as it is, it stays
    assert "widened" not in found.about


@pytest.mark.parametrize("rows", ["", "3, "])
def test_products_with_widened_columns(rows: str, tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    X, W = draw.standard_normal((300, 512)).astype(np.float32), draw.standard_normal((512, 512)).astype(np.float32)
    X[:, [3, 90, 200, 411]] *= 50
    np.save(tmp_path / "w.npy", W)
    np.save(tmp_path / "x.npy", X)
    text = TEXT.format(rows=rows, within="0.1 on X").replace("def", 'const X: f32[300, 512] = load("x.npy")\ndef', 1)
    program = tpc.compile(text, backend="llvm", folder=str(tmp_path))
    x = X[:3] if rows else X[0]
    found = program(x)
    (certificate,) = program.certificates
    (spent,) = certificate.spent
    assert certificate.kind == "measured" and "widened by the data, which pays for up to" in spent.about
    assert "quantized_matmul" in str(program.plan.program) and "dequantize" not in str(program.plan.program)
    assert 0 < np.linalg.norm(found - x @ W.T) < 0.2 * np.linalg.norm(x @ W.T)
