"""Derivatives: of every op against differences, forward against reverse exactly, and of programs of all kinds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from tests.ir.op_cases import CASES

import tpc
from tpc.dsl.diagnostics import TpcError
from tpc.ir.arrays import type_of_array
from tpc.ir.build import input_node, items, make
from tpc.ir.node import Node, Program
from tpc.ir.ops import OPS
from tpc.ir.reference import evaluate, modular
from tpc.ir.scalar import SCALARS
from tpc.ir.types import TensorType
from tpc.ir.verify import verify
from tpc.passes.differentiate import derivative
from tpc.passes.differentiate.forward import tangents
from tpc.passes.differentiate.prepare import prepared
from tpc.passes.differentiate.reverse import adjoints
from tpc.passes.differentiate.rules import CUT
from tpc.passes.differentiate.scalars import LINES

# What has no derivative: it is refused with E0608. Packed factors have none by themselves (test_derivative_forms).
REFUSED = {
    *("lu_factor", "lu_solve", "lu_det", "lu_logdet", "ldl_factor", "ldl_solve"),
    *("splu", "splu_solve", "splu_logdet", "csr_solve_triangular", "sparse_matrix"),
}
SPARSE = {name for name, op in OPS.items() if op.group == "sparse"}  # which programs get after they are differentiated
# What is no function of floats, or changes by steps.
NO_FLOATS = {
    *("cast", "any", "all", "argmax", "argmin", "argsort", "searchsorted", "zeros", "ones", "eye", "arange", "one_hot"),
    *("matrix_rank", "harmless", "solved", "largest", "largest_of_group", "largest_blocks"),
    *("normal", "uniform", "rademacher", "sparse_sketch"),
}
SYMMETRIC = ("eigh", "eigvalsh", "cholesky", "ldl")
# What has another's derivative, and what has one for results alone on which the phases of vectors have no influence.
APART = ("surrogate", "eig")
STEPS = (0.1, 0.03, 0.01, 3e-3, 1e-3, 1e-4, 1e-5)
WEIGHTS = (4 / 5, -1 / 5, 4 / 105, -1 / 280)


def differences(value: Callable[[float], Any]) -> list[Any]:
    """The derivative at 0 by central differences of eighth order (Fornberg 1988).

    There is one for each step that stays where the function is smooth: some are too long for it, others lose digits.
    """
    found = []
    for step in STEPS:
        terms = [w * (value(k * step) - value(-k * step)) for k, w in enumerate(WEIGHTS, 1)]
        found.append(sum(terms[1:], terms[0]) / step)
    return [f for f in found if np.all(np.isfinite(f))]


def agrees(found: Any, expected: Sequence[Any], tolerance: float = 1e-9) -> bool:
    """Whether one of several derivatives is found."""
    return any(np.max(abs(found - e), initial=0.0) <= tolerance * (1 + np.max(abs(e), initial=0.0)) for e in expected)


def test_differences_tell_a_wrong_derivative() -> None:
    expected = differences(lambda step: np.exp(np.array([1.0, 2.0]) * step))
    assert agrees(np.array([1.0, 2.0]), expected)
    assert not agrees(np.array([1.0, 2.0 + 1e-7]), expected)


def _is_float(node: Node) -> bool:
    return node.tensor.dtype.kind in "fc"


def _like(rng: np.random.Generator, value: Any, is_symmetric: bool = False) -> Any:
    """A random direction."""
    made = rng.standard_normal(np.shape(value))
    if np.asarray(value).dtype.kind == "c":
        made = made + 1j * rng.standard_normal(np.shape(value))
    return (made + made.swapaxes(-1, -2).conj()) / 2 if is_symmetric else made


class Site:
    """An op on arrays, with names for the adjoints of its results."""

    def __init__(
        self, name: str, arrays: tuple[Any, ...], attributes: dict[str, Any], rng: np.random.Generator
    ) -> None:
        self.arrays = [np.asarray(a) for a in arrays]
        if name in SYMMETRIC:
            self.arrays[0] = (self.arrays[0] + self.arrays[0].swapaxes(-1, -2).conj()) / 2
        self.inputs = [input_node(f"a{k}", type_of_array(a)) for k, a in enumerate(self.arrays)]
        self.results = items(make(name, self.inputs, **attributes))
        self.program = Program("f", self.inputs, self.results)
        self.values = evaluate(self.program, self.arrays)
        self.weights = [_like(rng, v) for v in self.values]
        self.bars = [input_node(f"b{k}", r.tensor) for k, r in enumerate(self.results)]
        self.wanted = [i for i in self.inputs if _is_float(i)]

    def graphs(self) -> list[Node | None]:
        """The adjoints of the operands that are floats, as they are written."""
        given = [b if _is_float(r) else None for b, r in zip(self.bars, self.results, strict=True)]
        return adjoints(prepared(self.program).outputs, given, self.wanted)

    def adjoints(self) -> list[Any]:
        found = self.graphs()
        live = [f for f in found if f is not None]
        program = Program("g", (*self.inputs, *self.bars), live or self.inputs[:1])
        verify(program, "adjoints")
        values = iter(evaluate(program, [*self.arrays, *self.weights]) if live else [])
        return [
            np.zeros(np.shape(self.arrays[self.inputs.index(w)])) if f is None else next(values)
            for f, w in zip(found, self.wanted, strict=True)
        ]

    def weighted(self, number: int, array: Any) -> float:
        """The sum of the results, weighted, with another array for one operand."""
        arrays = [array if k == number else a for k, a in enumerate(self.arrays)]
        values = evaluate(self.program, arrays)
        pairs = zip(self.weights, values, self.results, strict=True)
        return float(sum(np.real(np.sum(np.conj(w) * v)) for w, v, r in pairs if _is_float(r)))

    def along(self, number: int, direction: Any) -> Callable[[float], float]:
        """The same sum as one operand goes that way."""
        return lambda step: self.weighted(number, self.arrays[number] + step * direction)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("number", range(len(CASES)), ids=lambda n: f"{CASES[n][0]}-{n}")
def test_adjoint_of_op_agrees_with_differences(number: int) -> None:
    name, arrays, attributes = CASES[number][:3]
    rng = np.random.default_rng(number)
    site = Site(name, arrays, attributes, rng)
    if not site.wanted or not any(map(_is_float, site.results)) or name in APART:
        return
    if name in REFUSED:
        with pytest.raises(TpcError) as caught:
            site.adjoints()
        assert caught.value.diagnostics[0].code == "E0608"
        return
    try:
        found = site.adjoints()
    except TpcError as error:
        assert [d.code for d in error.diagnostics] == ["E0608"] and name in SPARSE
        return
    for operand, adjoint in zip(site.wanted, found, strict=True):
        k = site.inputs.index(operand)
        direction = _like(rng, site.arrays[k], name in SYMMETRIC)
        expected = differences(site.along(k, direction))
        predicted = float(np.real(np.sum(np.conj(adjoint) * direction)))
        if expected and (name != "matpow" or k == 0):
            assert agrees(predicted, expected), (operand, predicted, expected)


def test_every_op_has_a_derivative_or_is_refused_or_cut() -> None:
    """A new op is in one of these sets, or the test above compares its derivative."""
    written = {name for name, op in OPS.items() if op.group not in ("structure", "elementwise")} - SPARSE
    compared = set()
    for number, (name, arrays, attributes, *_) in enumerate(CASES):
        if name in written - REFUSED - compared:
            site = Site(name, arrays, attributes, np.random.default_rng(number))
            with suppress(TpcError):
                if site.wanted and any(map(_is_float, site.results)) and any(f is not None for f in site.graphs()):
                    compared.add(name)
    assert written - compared == (REFUSED | NO_FLOATS) & written
    assert set(OPS) >= REFUSED | NO_FLOATS | CUT and not REFUSED & CUT
    assert set(SCALARS) - set(LINES) == {"conj", "re", "im", "angle", "trigamma"}


PRIME = 2**61 - 1
POLYNOMIAL = {
    "a product": "def f(A: f64[n, m], B: f64[m, k]) -> f64[n, k] = A @ B",
    "a square": "def f(A: f64[n, m], B: f64[n, m]) -> f64[m, m] = A' @ A @ A' @ B",
    "a Kronecker product": "def f(A: f64[n, m], B: f64[m, k]) -> f64[n*m, m*k] = kron(A, B)",
    "entries": "def f(A: f64[n, m], B: f64[m, n]) -> f64[n] = diag(A @ B)^3",
    "a convolution": "def f(A: f64[n], B: f64[m]) -> f64[n + m - 1] = conv(A, B, mode=full)",
    "a stencil": "def f(A: f64[n + 2], B: f64[n]) -> f64[n]:\n"
    "    y[i in n] = B[i] * (A[i + 2] - 2 * A[i + 1] + A[i])\n    return y",
    "every second entry": "def f(A: f64[2*n], B: f64[n]) -> f64[n]:\n    y[i] = A[2 * i] * B[i]\n    return y",
    "a triangle": "def f(A: f64[n, n], B: f64[n, m]) -> f64[n, m] = tril(A) @ B",
    "a guarded sum": "def f(A: f64[n, n], B: f64[n]) -> f64[n]:\n"
    "    y[i] = sum[k where k <= i](A[i, k] * B[k]^2)\n    return y",
    "blocks": "def f(A: f64[n, n], B: f64[n, n]) -> f64[2*n, 2*n] = [A, B; B', A @ B]",
    "a loop": "def f(A: f64[n, n], B: f64[n]) -> f64[n]:\n    s = B\n"
    "    repeat 3:\n        s = A @ s + B\n    return s",
    "a scan": "def f(A: f64[n, n], B: f64[m, n]) -> f64[m, n]:\n    s = zeros(n)\n    scan t in m:\n"
    "        s = A @ s + B[t]^2\n        y[t] = s * B[t]\n    return y",
    "an inverse": "def f(A: f64[n, n], B: f64[n, m]) -> f64[n, m] = inv(A) @ B * det(A)",
}


@pytest.mark.parametrize("sizes", [{"n": 3, "m": 2, "k": 4}, {"n": 1, "m": 1, "k": 1}, {"n": 2, "m": 3, "k": 1}])
@pytest.mark.parametrize("name", POLYNOMIAL)
def test_forward_and_reverse_are_adjoint_to_each_other_exactly(name: str, sizes: dict[str, int]) -> None:
    program = _program(POLYNOMIAL[name], sizes)
    (output,) = program.outputs
    for at in program.inputs:
        direction, bar = input_node("v", at.tensor), input_node("w", output.tensor)
        (ahead,) = tangents(program.outputs, {at: direction})
        (back,) = adjoints([output], [bar], [at])
        assert back is not None
        left = make("sum", (make("mul", (bar, ahead)),))
        right = make("sum", (make("mul", (direction, back)),))
        both = Program("both", (*program.inputs, direction, bar), (left, right))
        rng = np.random.default_rng(0)
        shapes = [[int(d) for d in i.tensor.dims] for i in both.inputs]
        operands = [rng.integers(1, 1000, s).astype(float) for s in shapes]
        one, other = evaluate(both, operands, {}, modular(PRIME))
        assert np.ravel(one)[0] == np.ravel(other)[0]


def _program(text: str, sizes: dict[str, int]) -> Program:
    from tpc.dsl.source import Source
    from tpc.ir.elaborate.module import check
    from tpc.ir.sizes import with_sizes

    checked = check(Source(text + "\n"))
    checked.diagnostics.raise_errors()
    program = checked.programs["f"]
    return with_sizes(program, dict(sizes))


# ---- programs, against differences of the program itself

LOSSES = {
    "least squares": ("f64[m]", "f64[n, m]", "sum((y @ x - 1)^2)"),
    "logistic": ("f64[m]", "f64[n, m]", "sum(log1p(exp(-(y @ x)))) + 0.5 * sum(x^2)"),
    "a network": ("f64[m, n]", "f64[n, m]", "mean(tanh(y @ x)^2) + sum(softmax(x, axis=0)[0, :])"),
    "a likelihood": ("f64[n, n]", "f64[n, m]", "logdet(x @ x' + eye(n)) + trace(y' @ inv(x @ x' + eye(n)) @ y)"),
    "an entropy": ("f64[n, n]", "f64[n, m]", "trace((x @ x' + eye(n)) @ logm(x @ x' + eye(n))) + sum(y)"),
    "a quartic form": ("f64[m]", "f64[n, m]", "sum((y @ x)^4) + x @ x"),
    "a norm": ("f64[m]", "f64[n, m]", "norm(y @ x - 1) + norm(x)"),
    "the largest": ("f64[m]", "f64[n, m]", "max(y @ x) + sum(max(y * x, axis=1))"),
    "a root of a matrix": ("f64[n, n]", "f64[n, m]", "trace(sqrtm(x @ x' + eye(n))) + sum(y)"),
    "a power of a matrix": ("f64[n, n]", "f64[n, m]", "trace(y' @ matpow(x @ x' + eye(n), -0.25) @ y)"),
    "eigenvalues": ("f64[n, n]", "f64[n, m]", "sum(eigvalsh(x + x')^3) + sum(y)"),
    "a product of entries": ("f64[m]", "f64[n, m]", "prod(x) + sum(prod(y + x, axis=0))"),
}
SIZES = {"n": 3, "m": 2}


def _loss(name: str, kind: str, result: str, more: str = "") -> tuple[str, list[Any]]:
    x, y, body = LOSSES[name]
    text = f"def f(x: {x}, y: {y}) -> f64 = {body}\n\ndef main(x: {x}, y: {y}, v: {x}){result}"
    text += f" = {kind}(f, x)(x, y{more})\n"
    rng = np.random.default_rng(3)
    shapes = [[SIZES[d.strip()] for d in t[4:-1].split(",")] for t in (x, y, x)]
    return text, [rng.standard_normal(s) for s in shapes]


def _of(text: str, arrays: list[Any]) -> Any:
    compiled = tpc.compile(text, function="f")
    return lambda x: float(compiled(x, arrays[1]))


@pytest.mark.parametrize("backend", ["numpy", "torch"])
@pytest.mark.parametrize("name", LOSSES)
def test_gradient_of_program(name: str, backend: str) -> None:
    text, arrays = _loss(name, "grad", "")
    found = tpc.compile(text, function="main", backend=backend)(*arrays)
    value = _of(text, arrays)
    x, v = arrays[0], arrays[2]
    assert agrees(np.sum(np.asarray(found) * v), differences(lambda step: value(x + step * v)))


@pytest.mark.parametrize("name", LOSSES)
def test_forward_and_second_derivatives_of_program(name: str) -> None:
    text, arrays = _loss(name, "grad", "")
    slope = tpc.compile(text, function="main")
    x, y, v = arrays
    expected = differences(lambda step: np.ravel(slope(x + step * v, y, v)))
    text, _ = _loss(name, "jvp", "", ", v")
    assert tpc.compile(text, function="main")(*arrays) == pytest.approx(np.sum(slope(*arrays) * v), rel=1e-9)
    text, _ = _loss(name, "hessian", "")
    whole = np.asarray(tpc.compile(text, function="main")(*arrays)).reshape(x.size, x.size)
    assert agrees(whole @ v.ravel(), expected)
    np.testing.assert_allclose(whole, whole.T, atol=1e-9 * (1 + np.abs(whole).max()))
    text, _ = _loss(name, "laplacian", "")
    assert tpc.compile(text, function="main")(*arrays) == pytest.approx(np.trace(whole), rel=1e-9, abs=1e-9)


def test_jacobians_and_maps_over_rows() -> None:
    text = """
def g(x: f64[m], A: f64[n, m]) -> f64[n] = tanh(A @ x)

def rows(X: f64[k, m], B: f64[k, n, m]) -> f64[k, n] = vmap(g)(X, B)

def main(x: f64[m], A: f64[n, m]) -> (f64[n, m], f64[n, n, m]):
    return jacobian(g, x)(x, A), jacobian(g, A)(x, A)
"""
    rng = np.random.default_rng(0)
    x, A = rng.standard_normal(3), rng.standard_normal((2, 3))
    slope = 1 - np.tanh(A @ x) ** 2
    by_x, by_A = tpc.compile(text)(x, A)
    np.testing.assert_allclose(by_x, slope[:, None] * A, rtol=1e-12)
    np.testing.assert_allclose(by_A, np.einsum("ij,i,k->ijk", np.eye(2), slope, x), rtol=1e-12, atol=1e-15)
    X, B = rng.standard_normal((4, 3)), rng.standard_normal((4, 2, 3))
    expected = np.tanh(np.einsum("knm,km->kn", B, X))
    np.testing.assert_allclose(tpc.compile(text, function="rows")(X, B), expected, rtol=1e-12)


def test_matrix_functions_at_repeated_eigenvalues() -> None:
    for name, slope in (("expm", np.e), ("sqrtm", 0.5), ("logm", 1.0)):
        text = f"def f(S: f64[n, n] is spd) -> f64 = trace({name}(S))\n\n"
        text += "def main(S: f64[n, n] is spd) -> f64[n, n] = grad(f, S)(S)\n"
        np.testing.assert_allclose(tpc.compile(text)(np.eye(3)), slope * np.eye(3), atol=1e-12)


LOOPS = {
    "captured": "    repeat 2:\n        y = matpow(S, -0.25) @ y\n",
    "declared inside": "    repeat 2:\n        R: f64[n, n] is spd = S + eye(n)\n        y = matpow(R, -0.25) @ y\n",
    "in a branch": "    if sum(x) > 0:\n        y = matpow(S, -0.25) @ y\n    else:\n        y = x\n",
}


@pytest.mark.parametrize("name", LOOPS)
@pytest.mark.parametrize("kind", ["grad", "jvp"])
def test_what_is_symmetric_in_a_loop_is_so_in_its_derivative(name: str, kind: str) -> None:
    """Other matrices have their powers differentiated by those of matrices of twice the size."""
    body = LOOPS[name]
    text = f"def f(S: f64[n, n] is spd, x: f64[n]) -> f64:\n    y = x\n{body}    return sum(y^2)"
    made = derivative(_program(text, {"n": 3}), kind, ["S"])
    assert all(dim != 6 for node in made.walk() if isinstance(node.type, TensorType) for dim in node.type.dims)


def test_what_is_not_asked_for_is_not_computed() -> None:
    text = """
def f(A: f64[n, n], B: f64[n, n], x: f64[n]) -> f64 = sum((A @ B @ x)^2)

def main(A: f64[n, n], B: f64[n, n], x: f64[n]) -> f64[n] = grad(f, x)(A, B, x)
"""
    compiled = tpc.compile(text, dims={"n": 100})
    assert int(compiled.cost.flops) < 10 * 100**2


def test_the_factorization_is_shared_with_the_value() -> None:
    text = """
def f(S: f64[n, n] is spd, y: f64[n]) -> f64 = logdet(S) + y @ inv(S) @ y

def main(S: f64[n, n] is spd, y: f64[n]):
    return value_and_grad(f, y)(S, y)
"""
    plan = tpc.compile(text).plan.program
    assert [n.op.name for n in plan.walk()].count("cholesky") == 1


WRONG = {
    "a function without one": "return sum(trigamma(x))",
    "one in index notation": "y[i] = trigamma(x[i])\n    return sum(y)",
}


@pytest.mark.parametrize("name", WRONG)
def test_what_has_no_derivative_is_refused(name: str) -> None:
    text = f"def f(x: f64[n]) -> f64:\n    {WRONG[name]}\n\ndef main(x: f64[n]) -> f64[n] = grad(f, x)(x)\n"
    with pytest.raises(TpcError) as caught:
        tpc.compile(text)(np.ones(3))
    assert caught.value.diagnostics[0].code == "E0608" and caught.value.diagnostics[0].help
