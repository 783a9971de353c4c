"""Matrices in few bits: their meaning, their products on every backend, and budgets that are spent on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tpc
from tpc.backends.llvm.host import targeting
from tpc.dsl.source import Source
from tpc.ir.build import input_node, make
from tpc.ir.elaborate.module import check
from tpc.ir.node import Program, topological
from tpc.ir.reference import evaluate
from tpc.ir.types import F32, F64, I8, TensorType
from tpc.passes.approximation import coded as coding
from tpc.passes.approximation.coded import decoded
from tpc.passes.approximation.projected import Projected
from tpc.passes.approximation.projections.codebooks import fitted
from tpc.passes.approximation.projections.quantized import changes, packed, quantized, rounded
from tpc.passes.approximation.reading import reading_codes
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


@pytest.mark.parametrize("target", ["native", "x86-64-v3", "x86-64-v2"])
@pytest.mark.parametrize("kind", ["f32", "f64"])
def test_tables_are_read_from_registers(target: str, kind: str) -> None:
    """By one instruction, by two halves, or by a load for each entry; of lanes that do not fill registers, too."""
    rng = np.random.default_rng(0)
    text = f"""
def main(x: {kind}[n], Y: {kind}[b, g*2*l], c: i8[n, g, l], t: {kind}[n, g, 16]):
    return quantized_matmul(x, c, t, packed=true), quantized_matmul(Y, c, t, packed=true, transposed=true)
"""
    with targeting(target):
        for groups, length in ((1, 200), (3, 64), (2, 5), (1, 1)):
            codes = rng.integers(-128, 128, (7, groups, length)).astype(np.int8)
            tables = rng.standard_normal((7, groups, 16)).astype(f"{kind[0]}loat{kind[1:]}")
            W = decoded(codes, tables.astype(float), True)
            x, Y = (rng.standard_normal(shape).astype(tables.dtype) for shape in (7, (2, W.shape[1])))
            found = tpc.compile(text, backend="llvm")
            found.prepare(x, Y, codes, tables)
            for value, expected in zip(found(x, Y, codes, tables), (x @ W, Y @ W.T), strict=True):
                np.testing.assert_allclose(value, expected, rtol=2e-5, atol=2e-4)


@pytest.mark.parametrize("call, code", [
    ("dequantize(c, s[:, :1])", "E0203"),
    ("dequantize(s, s)", "E0203"),
    ("dequantize(c, f32(c))", "E0203"),
    ("dequantize(c, f32(c[:, :, :7]), packed=true)", "E0203"),
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
    "within, name, bits_stored",
    [(0.2, "4 bits", 4.25), (0.1, "codebook", 5), (1e-2, "8 bits", 8.25), (1e-3, "16 bits", 16.25)],
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
                if found.name not in ("4 bits", "8 bits") or len(found.parts) > 2:
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


def errors(target: Target, name: str = "4 bits") -> dict[str, float]:
    """The least of each kind of change."""
    found: dict[str, float] = {}
    for projected in rounded(target, name, 128):
        meaning, error = projected.terms[0].meaning, target.error(projected.dense())
        found[meaning] = min(error, found.get(meaning, error))
    return found


def test_columns_that_data_makes_large_count_more() -> None:
    draw = np.random.default_rng(0)
    X, W = draw.standard_normal((300, 512)), draw.standard_normal((256, 512))
    X[:, [3, 90, 200, 411]] *= 50
    root = np.linalg.qr(X, mode="r")
    plain, *_ = rounded(Target(W, F32, 0.1, columns=root), "4 bits", 128)
    exact, found = X @ W.T, errors(Target(W, F32, 0.1, columns=root))
    assert found["packed"] == pytest.approx(np.linalg.norm(X @ plain.dense().T - exact) / np.linalg.norm(exact))
    widened = found["packed of widened columns"]  # 0.172 to 0.110, as for AffineQuant
    assert 0.1 < found["packed"] < 0.2 and widened < 0.64 * found["packed"]
    tables = errors(Target(W, F32, 0.1, columns=root), "codebook")  # which are fitted to what counts
    assert tables["packed"] < 0.7 * widened
    (chosen,) = quantized(Target(W, F32, 0.1, columns=root))
    assert chosen.name == "4 bits" and "widened" in chosen.about
    (chosen,) = quantized(Target(W, F32, 0.2, columns=root))  # where it is near enough as it is, it stays
    assert "widened" not in chosen.about


def test_what_rows_have_in_common_is_not_rounded() -> None:
    """Scores of keys with channels that are off: 0.092 to 0.013 of them, as in SageAttention2."""
    draw = np.random.default_rng(0)
    Q, K = draw.standard_normal((64, 128)), draw.standard_normal((1024, 128))
    K += 7 * draw.standard_normal(128) * (draw.random(128) < 0.3)
    exact = Q @ K.T
    scores = [
        np.linalg.norm(Q @ (p.dense() - K).T) / np.linalg.norm(exact) for p in rounded(Target(K, F32, 1), "4 bits", 128)
    ]
    assert scores[0] > 0.08 and scores[1] < 0.25 * scores[0]


def test_what_stands_out_is_spread_by_a_rotation() -> None:
    draw = np.random.default_rng(0)
    W = draw.standard_normal((256, 512)) * np.where(draw.random((256, 512)) < 2e-3, 30, 1)
    found = errors(Target(W, F32, 0.1))
    assert found["packed of rotated groups"] < 0.5 * found["packed"]
    (chosen,) = quantized(Target(W, F32, 0.1))
    assert chosen.name == "4 bits" and "rotated by Hadamard" in chosen.about


@pytest.mark.parametrize("form", ["rotated", "widened", "beside"])
def test_what_is_read_is_what_was_written(form: str) -> None:
    """Of any matrix that groups of columns are multiplied with, and only where it is one for each group."""
    rng = np.random.default_rng(0)
    inputs = [("c", I8, (12, 2, 4)), ("s", F64, (12, 2)), ("R", F64, (4, 4)), ("v", F64, (8,)), ("X", F64, (3, 8))]
    c, s, R, v, X = (input_node(name, TensorType(dtype, dims)) for name, dtype, dims in inputs)
    whole = make("dequantize", (c, s), packed=False)
    if form == "rotated":
        groups = make("matmul", (make("reshape", (whole,), dims=(24, 4)), R))
        W = make("reshape", (groups,), dims=(12, 8))
    else:
        W = make("mul" if form == "widened" else "add", (whole, make("unsqueeze", (v,), axis=0)))
    Y = input_node("Y", TensorType(F64, (3, 12)))
    products = [make("matmul", (X, make("transpose", (W,)))), make("matmul", (Y, W))]
    read = reading_codes(products)
    assert all(node.op.name == "quantized_matmul" for node in topological(read) if c in node.args)
    arrays = [rng.integers(-9, 9, (12, 2, 4)), *(rng.standard_normal(n.tensor.dims) for n in (s, R, v, X, Y))]
    nodes = [c, s, R, v, X, Y]
    for one, other in zip(*(evaluate(Program("f", nodes, p), arrays) for p in (products, read)), strict=True):
        np.testing.assert_allclose(np.asarray(one, float), np.asarray(other, float), atol=1e-12)
    across = make("reshape", (make("matmul", (make("reshape", (whole,), dims=(16, 6)), rest(6))),), dims=(12, 8))
    crossed = [make("matmul", (X, make("transpose", (across,))))]
    assert reading_codes(crossed) == crossed


def rest(n: int) -> Any:
    return input_node("Q", TensorType(F64, (n, n)))


@pytest.mark.parametrize("name", ["4 bits", "8 bits", "codebook"])
def test_what_is_done_before_rounding_is_exact(name: str) -> None:
    """As in exact arithmetic: what is stored of the changed matrix, changed back, with codes that need no rounding."""
    draw = np.random.default_rng(0)
    W, sizes = draw.standard_normal((20, 256)) + 3, draw.uniform(0.1, 9, 256)
    for change in changes(W, sizes, 128):
        match change.kind:
            case " of widened columns":
                back = change.rest * change.other
            case " of rotated groups":
                back = coding.rotated(change.rest, change.other)
            case " beside means":
                back = change.rest + change.other
            case _:
                back = change.rest
        assert np.abs(back - W).max() < 1e-12


def test_a_table_of_few_values_is_exact_and_others_are_near_the_best() -> None:
    draw = np.random.default_rng(0)
    A = draw.choice(draw.standard_normal(16), (40, 256))
    A[3], A[4, :250] = 5, -1e6
    tables = fitted(A, np.ones(256))
    assert (np.abs(A[:, :, None] - tables[:, None]).min(2) == 0).all()
    A = draw.standard_normal((8, 20_000))  # Lloyd and Max: 0.009497 of the variance, of 16 levels for normal entries
    left = np.abs(A[:, :, None] - fitted(A, np.ones(20_000))[:, None]).min(2)
    assert (left**2).mean() < 1.03 * 0.009497


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


@pytest.mark.parametrize("kind", ["outliers", "offsets", "clusters"])
@pytest.mark.parametrize("form", ["x @ V'", "y @ V", "X @ V'", "Y @ V", "V @ x", "V' @ Y'"])
def test_products_with_changed_matrices(kind: str, form: str, tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    W = draw.standard_normal((512, 256))
    if kind == "outliers":
        W *= np.where(draw.random(W.shape) < 2e-3, 30, 1)
    elif kind == "offsets":
        W += 9 * draw.standard_normal(256) * (draw.random(256) < 0.1)
    else:
        W = draw.choice(draw.standard_normal(16), W.shape)
    W = W.astype(np.float32)
    np.save(tmp_path / "w.npy", W)
    text = f"""
const W: f32[512, 256] = load("w.npy")
def main(x: f32[256], y: f32[512], X: f32[2, 256], Y: f32[3, 512]):
    V ~= W within {0.1 if kind != "clusters" else 1e-6}
    return {form}
"""
    program = tpc.compile(text, backend="llvm", folder=str(tmp_path))
    arrays = [draw.standard_normal(shape).astype(np.float32) for shape in (256, 512, (2, 256), (3, 512))]
    found = program(*arrays)
    ((spent,),) = [certificate.spent for certificate in program.certificates]
    word = {"outliers": "rotated", "offsets": "mean row", "clusters": "table"}[kind]
    assert word in spent.about and "dequantize" not in str(program.plan.program)
    names = dict(zip("xyXY", arrays), V=W)
    left, right = (names[word[0]].T if word.endswith("'") else names[word[0]] for word in form.split(" @ "))
    assert np.linalg.norm(found - left @ right) <= 2 * spent.error * np.linalg.norm(left @ right) + 1e-3
