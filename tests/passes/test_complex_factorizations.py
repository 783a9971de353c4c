"""Derivatives of factorizations of complex matrices, beside those of torch, for results that no phase changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tpc
from tpc.dsl.diagnostics import TpcError

torch = pytest.importorskip("torch")
linalg = torch.linalg


def hermitian(A: Any) -> Any:
    return A + A.mH


def definite(A: Any) -> Any:
    return A @ A.mH + torch.eye(len(A))


def vectors(A: Any, b: Any) -> Any:
    w, Q = linalg.eigh(hermitian(A))
    x = (Q.mH @ b).abs()
    return (w * x**2).sum() + (x**4).sum()


def turned(A: Any, b: Any) -> Any:
    _, Q = linalg.eigh(hermitian(A))
    return ((Q.mH @ b).abs() ** 4).sum()


def both(A: Any, b: Any) -> Any:
    U, s, W = linalg.svd(A, full_matrices=False)
    return (s * ((U.mH @ b).abs() ** 4)).sum() + (U @ W)[0].real.sum() + (W[0].abs() ** 4).sum()


def orthogonal(A: Any, b: Any) -> Any:
    Q, R = linalg.qr(A)
    return ((Q.mH @ b).abs() ** 4).sum() + (Q[0].real ** 3).sum() + (R.imag**3).sum() + (R.real**3).sum()


# The body in tpc, the same in torch, and the shapes of A that it is for.
PROGRAMS: dict[str, tuple[str, Callable[..., Any], list[tuple[int, int]]]] = {
    "cholesky": (
        "L = cholesky(A @ adjoint(A) + eye(rows(A)))\n    return sum(im(L)^3) + sum(abs(adjoint(L) @ b)^4)",
        lambda A, b: (
            (linalg.cholesky(definite(A)).imag ** 3).sum() + ((linalg.cholesky(definite(A)).mH @ b).abs() ** 4).sum()
        ),
        [(3, 3), (2, 3), (1, 1), (1, 3), (0, 0)],
    ),
    "qr": (
        "Q, R = qr(A)\n    return sum(abs(adjoint(Q) @ b)^4) + sum(re(Q[0])^3) + sum(im(R)^3) + sum(re(R)^3)",
        orthogonal,
        [(3, 3), (4, 2), (1, 1), (3, 1)],
    ),
    "eigenvalues": (
        "return sum(exp(eigvalsh(A + adjoint(A))))",
        lambda A, b: torch.exp(linalg.eigvalsh(hermitian(A))).sum(),
        [(3, 3), (1, 1), (0, 0)],
    ),
    "eigenvalues and vectors": (
        "w, Q = eigh(A + adjoint(A))\n    x = abs(adjoint(Q) @ b)\n    return sum(w * x^2) + sum(x^4)",
        vectors,
        [(3, 3), (2, 2), (1, 1)],
    ),
    "eigenvectors": (
        "w, Q = eigh(A + adjoint(A))\n    return sum(abs(adjoint(Q) @ b)^4)",
        turned,
        [(3, 3), (1, 1), (0, 0)],
    ),
    "singular values": (
        "return sum(svdvals(A)^3)",
        lambda A, b: (linalg.svdvals(A) ** 3).sum(),
        [(3, 3), (4, 2), (2, 4), (1, 1), (3, 1), (1, 3)],
    ),
    "singular vectors": (
        "U, s, W = svd(A)\n    x = abs(adjoint(U) @ b)\n"
        "    return sum(s * x^4) + sum(re((U @ W)[0])) + sum(abs(W[0])^4)",
        both,
        [(3, 3), (4, 2), (2, 4), (1, 1), (3, 1), (1, 3)],
    ),
    "least squares": (
        "x = lstsq(A, b)\n    return sum(abs(x)^3) + sum(im(x))",
        lambda A, b: (lambda x: (x.abs() ** 3).sum() + x.imag.sum())(linalg.solve(A.mH @ A, A.mH @ b)),
        [(3, 3), (4, 2), (1, 1), (3, 1)],
    ),
}
CASES = [(name, shape) for name, (_, _, shapes) in PROGRAMS.items() for shape in shapes]


def entries(*shape: int, seed: int) -> Any:
    rng = np.random.default_rng(seed)
    return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)


@pytest.mark.parametrize(("name", "shape"), CASES)
def test_first_and_second_derivatives(name: str, shape: tuple[int, int]) -> None:
    m, n = shape
    body, form, _ = PROGRAMS[name]
    where = " where m >= n" if name in ("qr", "least squares") else ""
    rows = "n" if all(a == b for a, b in PROGRAMS[name][2]) else "m"
    matrix, vector = f"c128[{rows}, n]", f"c128[{rows}]"
    text = (
        f"def f(A: {matrix}, b: {vector}) -> f64{where}:\n    {body}\n\n"
        f"def slope(A: {matrix}, b: {vector}) -> ({matrix}, {vector}){where} = grad(f, A, b)(A, b)\n\n"
        f"def bend(A: {matrix}, b: {vector}, V: {matrix}) -> {matrix}{where} = hvp(f, A)(A, b, V)\n"
    )
    A, b, V = entries(m, n, seed=1), entries(m, seed=2), entries(m, n, seed=3)
    given = [torch.tensor(a, requires_grad=True) for a in (A, b)]
    options = {"allow_unused": True, "materialize_grads": True}
    wanted = torch.autograd.grad(form(*given), given, create_graph=True, **options)
    for ours, theirs in zip(tpc.compile(text, function="slope", mode="bitwise")(A, b), wanted, strict=True):
        np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=1e-9, atol=1e-9)
    if name == "qr" and m == n:
        return  # torch's second derivative is refused, or not that of square matrices
    along = (wanted[0].conj() * torch.tensor(V)).real.sum()
    (bend,) = torch.autograd.grad(along, given[:1], **options) if along.requires_grad else (torch.zeros(m, n),)
    np.testing.assert_allclose(
        tpc.compile(text, function="bend", mode="bitwise")(A, b, V), bend.numpy(), rtol=1e-8, atol=1e-7
    )


@pytest.mark.parametrize(
    "body",
    ["w, Q = eigh(A + adjoint(A))\n    return sum(im(Q)^2)", "U, s, W = svd(A)\n    return sum(im(U)^2)"],
)
def test_results_that_depend_on_a_phase_are_refused(body: str) -> None:
    text = f"def f(A: c128[3, 3]) -> f64:\n    {body}\n\ndef slope(A: c128[3, 3]) -> c128[3, 3] = grad(f)(A)\n"
    with pytest.raises(TpcError, match="phases of complex vectors"):
        tpc.compile(text, function="slope")(entries(3, 3, seed=1))


@pytest.mark.parametrize("body", ["A + c128(eye(n)), eye(n) + B", "exp(A + eye(n, dtype=c128)), exp(eye(n) - B)"])
def test_identities_of_two_formats_stay_apart(body: str) -> None:
    matrix, other = entries(2, 2, seed=1), entries(2, 2, seed=2).real
    text = f"def f(A: c128[n, n], B: f64[n, n]) -> (c128[n, n], f64[n, n]) = {body}"
    wanted = tpc.compile(text, mode="bitwise")(matrix, other)
    for ours, exact in zip(tpc.compile(text)(matrix, other), wanted, strict=True):
        np.testing.assert_allclose(ours, exact, rtol=1e-14)
        assert np.asarray(ours).dtype == np.asarray(exact).dtype
