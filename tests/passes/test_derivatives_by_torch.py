"""Derivatives of programs that people write, beside those of torch, to 1e-9: first ones, and second ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tpc

torch = pytest.importorskip("torch")

EYE = torch.eye(3, dtype=torch.float64)


def spd(x: Any) -> Any:
    return x @ x.mT + EYE


def scanned(A: Any, x: Any, u: Any) -> Any:
    total = 0.0
    for row in u:
        x = torch.tanh(A @ x + row)
        total = total + (x**2).sum()
    return total


def kalman(F: Any, P: Any, y: Any) -> Any:
    S = F @ spd(P) @ F.mT + EYE
    return y @ torch.linalg.solve(S, y) + torch.logdet(S)


def attention(q: Any, k: Any, v: Any) -> Any:
    return (torch.softmax(q @ k.mT / 2.0**0.5, -1) @ v).pow(2).sum()


def gp(k: Any, X: Any, y: Any) -> Any:
    K = torch.exp(-((X[:, None, :] - X[None, :, :]) ** 2).sum(-1) / (2 * k[0] ** 2)) + k[1] ** 2 * EYE
    return 0.5 * y @ torch.linalg.solve(K, y) + 0.5 * torch.logdet(K)


def layer(x: Any, g: Any) -> Any:
    return (torch.nn.functional.layer_norm(x, x.shape[-1:], g, eps=1e-5) ** 3).sum()


# Each with the sizes of its parameters, the body in tpc, and the same in torch.
PROGRAMS: dict[str, tuple[dict[str, str], str, Callable[..., Any]]] = {
    "a network": (
        {"W": "4, 3", "V": "2, 4", "X": "5, 3", "T": "5, 2"},
        "return mean((tanh(X @ W') @ V' - T)^2)",
        lambda W, V, X, T: ((torch.tanh(X @ W.T) @ V.T - T) ** 2).mean(),
    ),
    "logistic regression": (
        {"w": "3", "X": "5, 3", "y": "5"},
        "return sum(softplus(X @ w) - y * (X @ w)) + 0.5 * dot(w, w)",
        lambda w, X, y: (torch.nn.functional.softplus(X @ w) - y * (X @ w)).sum() + 0.5 * w @ w,
    ),
    "cross entropy": (
        {"W": "4, 3", "X": "5, 3"},
        "return -mean(log_softmax(X @ W')[:, 1])",
        lambda W, X: -torch.log_softmax(X @ W.T, -1)[:, 1].mean(),
    ),
    "a recurrent net": (
        {"A": "3, 3", "x": "3", "u": "4, 3"},
        "s, total = x, 0.0\n    scan t in 4:\n        s = tanh(A @ s + u[t])\n        total = total + sum(s^2)\n"
        "    return total",
        scanned,
    ),
    "attention": (
        {"q": "2, 3", "k": "4, 3", "v": "4, 2"},
        "return sum((softmax(q @ k' / sqrt(2.0)) @ v)^2)",
        attention,
    ),
    "a convolution": (
        {"x": "6", "k": "3"},
        "y[i] = sum[s](x[i + s] * k[s])\n    return sum(y^3)",
        lambda x, k: (torch.nn.functional.conv1d(x[None, None], k[None, None]) ** 3).sum(),
    ),
    "a padded convolution": (
        {"x": "6", "k": "3"},
        "y[i in 6] = sum[s](x[i + s - 1, pad=0] * k[s])\n    return sum(sin(y))",
        lambda x, k: torch.sin(torch.nn.functional.conv1d(x[None, None], k[None, None], padding=1)).sum(),
    ),
    "a likelihood": (
        {"k": "2", "X": "3, 2", "y": "3"},
        "K[i, j] = exp(-sum[p]((X[i, p] - X[j, p])^2) / (2 * k[0]^2))\n    S = K + k[1]^2 * eye(3)\n"
        "    return 0.5 * y @ inv(S) @ y + 0.5 * logdet(S)",
        gp,
    ),
    "a Kalman step": (
        {"F": "3, 3", "P": "3, 3", "y": "3"},
        "S = F @ (P @ P' + eye(3)) @ F' + eye(3)\n    return y @ inv(S) @ y + logdet(S)",
        kalman,
    ),
    "a sample by cholesky": (
        {"P": "3, 3", "e": "3"},
        "return sum(tanh(cholesky(P @ P' + eye(3)) @ e))",
        lambda P, e: torch.tanh(torch.linalg.cholesky(spd(P)) @ e).sum(),
    ),
    "singular values": (
        {"A": "4, 3"},
        "return sum(svdvals(A)^3)",
        lambda A: (torch.linalg.svdvals(A) ** 3).sum(),
    ),
    "eigenvalues": (
        {"A": "3, 3"},
        "return sum(exp(eigvalsh(A + A')))",
        lambda A: torch.exp(torch.linalg.eigvalsh(A + A.T)).sum(),
    ),
    "eigenvectors": (
        {"A": "3, 3", "b": "3"},
        "w, Q = eigh(A + A')\n    return sum(w * (Q' @ b)^2) + sum((Q' @ b)^4)",
        lambda A, b: (lambda w, Q: (w * (Q.T @ b) ** 2).sum() + ((Q.T @ b) ** 4).sum())(*torch.linalg.eigh(A + A.T)),
    ),
    "a spectrum": (
        {"x": "6", "w": "6"},
        "return sum(w * abs(fft(x))^2)",
        lambda x, w: (w * torch.fft.fft(x).abs() ** 2).sum(),
    ),
    "a filter": (
        {"x": "6", "w": "4"},
        "return sum(irfft(w * rfft(x), n=6)^3)",
        lambda x, w: (torch.fft.irfft(w * torch.fft.rfft(x), n=6) ** 3).sum(),
    ),
    "sorted": ({"x": "6", "w": "6"}, "return sum(w * sort(x)^2)", lambda x, w: (w * torch.sort(x).values ** 2).sum()),
    "the largest": (
        {"x": "6"},
        "v, _i = topk(x, 3)\n    return prod(v)",
        lambda x: torch.topk(x, 3).values.prod(),
    ),
    "gathered": (
        {"E": "5, 3", "w": "3"},
        "i = argsort(E[:, 0])[:2]\n    return sum(tanh(E[i] @ w))",
        lambda E, w: torch.tanh(E[torch.argsort(E[:, 0])[:2]] @ w).sum(),
    ),
    "running sums": (
        {"x": "6"},
        "return sum(cumsum(x)^2 * x) + sum(cumprod(1 + x^2))",
        lambda x: (torch.cumsum(x, 0) ** 2 * x).sum() + torch.cumprod(1 + x**2, 0).sum(),
    ),
    "a layer norm": ({"x": "2, 5", "g": "5"}, "return sum(layernorm(x, g)^3)", layer),
    "losses with corners": (
        {"x": "6", "y": "6"},
        "return sum(relu(x - y)) + sum(abs(x) * y) + sum(maximum(x, y)^2) + sum(clip(x, -0.5, 0.5) * y)",
        lambda x, y: (
            torch.relu(x - y).sum()
            + (x.abs() * y).sum()
            + (torch.maximum(x, y) ** 2).sum()
            + (x.clip(-0.5, 0.5) * y).sum()
        ),
    ),
    "activations": (
        {"x": "6"},
        "return sum(gelu(x) + silu(x) * softplus(x) + sigmoid(x)^3 + atan(x) * erf(x))",
        lambda x: (
            torch.nn.functional.gelu(x)
            + torch.nn.functional.silu(x) * torch.nn.functional.softplus(x)
            + torch.sigmoid(x) ** 3
            + torch.atan(x) * torch.erf(x)
        ).sum(),
    ),
    "logsumexp and variance": (
        {"X": "4, 3"},
        "return logsumexp(X[:, 0]) + var(X) + sum(std(X, axis=0))",
        lambda X: torch.logsumexp(X[:, 0], 0) + X.var(correction=0) + X.std(0, correction=0).sum(),
    ),
    "norms": (
        {"X": "4, 3"},
        "return norm(X) + sum(norm(X, axis=1)^3) + norm(X, ord=nuc)",
        lambda X: X.norm() + (X.norm(dim=1) ** 3).sum() + torch.linalg.svdvals(X).sum(),
    ),
    "a matrix exponential": (
        {"A": "3, 3", "b": "3"},
        "return sum((expm(A) @ b)^2)",
        lambda A, b: ((torch.linalg.matrix_exp(A) @ b) ** 2).sum(),
    ),
    "a determinant": ({"A": "3, 3"}, "return det(A)^2", lambda A: torch.linalg.det(A) ** 2),
    "least squares": (
        {"A": "5, 3", "b": "5"},
        "return sum(lstsq(A, b)^3)",
        lambda A, b: (torch.linalg.solve(A.T @ A, A.T @ b) ** 3).sum(),
    ),
    "a triangular solve": (
        {"A": "3, 3", "b": "3"},
        "L = tril(A) + 3 * eye(3)\n    return sum(solve_triangular(L, b)^3)",
        lambda A, b: (torch.linalg.solve_triangular(A.tril() + 3 * EYE, b[:, None], upper=False) ** 3).sum(),
    ),
    "an orthogonal factor": (
        {"A": "4, 3", "b": "4"},
        "Q, R = qr(A)\n    return sum((Q' @ b)^4) + sum(R^4)",
        lambda A, b: (lambda Q, R: ((Q.T @ b) ** 4).sum() + (R**4).sum())(*torch.linalg.qr(A)),
    ),
    "Kronecker products": (
        {"A": "2, 3", "B": "3, 2", "x": "6"},
        "return sum((kron(A, B) @ x)^3)",
        lambda A, B, x: ((torch.kron(A, B) @ x) ** 3).sum(),
    ),
    "a branch": (
        {"x": "4", "a": ""},
        "return sum(x^3) * a if a > 0 else sum(sin(x)) * a^2",
        lambda x, a: (x**3).sum() * a if a > 0 else torch.sin(x).sum() * a**2,
    ),
    "batches": (
        {"X": "2, 3, 3", "y": "2, 3"},
        "S = X @ X' + eye(3)\n    return sum(logdet(S)) + sum(tanh(X) @ X) + sum(y * norm(X, axis=1))",
        lambda X, y: torch.logdet(spd(X)).sum() + (torch.tanh(X) @ X).sum() + (y * X.norm(dim=1)).sum(),
    ),
}


def text(name: str) -> str:
    parameters, body, _ = PROGRAMS[name]
    types = {p: f"f64[{dims}]" if dims else "f64" for p, dims in parameters.items()}
    signature = ", ".join(f"{p}: {t}" for p, t in types.items())
    ways = ", ".join(f"d{p}: {t}" for p, t in types.items())
    names, results = ", ".join(parameters), ", ".join(types.values())
    results = f"({results})" if len(types) > 1 else results
    return (
        f"def f({signature}) -> f64:\n    {body}\n\n"
        f"def slope({signature}) -> {results} = grad(f, {names})({names})\n\n"
        f"def bend({signature}, {ways}) -> {results} = "
        f"hvp(f, {names})({names}, {', '.join(f'd{p}' for p in parameters)})\n"
    )


def arrays(name: str, seed: int) -> list[Any]:
    rng = np.random.default_rng(seed)
    shapes = [[int(d) for d in dims.split(",") if d.strip()] for dims in PROGRAMS[name][0].values()]
    return [np.asarray(rng.standard_normal(s)) for s in shapes]


def several(value: Any) -> list[Any]:
    return list(value) if isinstance(value, tuple) else [value]


def assert_close(found: list[Any], expected: list[Any]) -> None:
    for ours, theirs in zip(found, expected, strict=True):
        theirs = theirs.detach().numpy()
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-9 * (1 + np.abs(theirs).max(initial=0)))


@pytest.mark.parametrize("mode", ["bitwise"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_first_and_second_derivatives(name: str, mode: Any) -> None:
    given, ways = arrays(name, 1), arrays(name, 2)
    tensors = [torch.tensor(a, requires_grad=True) for a in given]
    slope = torch.autograd.grad(PROGRAMS[name][2](*tensors), tensors, create_graph=True)
    assert_close(several(tpc.compile(text(name), function="slope", mode=mode)(*given)), list(slope))
    along = sum((s * torch.tensor(w)).sum() for s, w in zip(slope, ways, strict=True))
    bend = torch.autograd.grad(along, tensors, allow_unused=True, materialize_grads=True)
    assert_close(several(tpc.compile(text(name), function="bend", mode=mode)(*given, *ways)), list(bend))


@pytest.mark.parametrize(
    "name", ["a network", "a recurrent net", "a likelihood", "a Kalman step", "a sample by cholesky"]
)
def test_optimised_derivatives(name: str) -> None:
    test_first_and_second_derivatives(name, "stable")


def test_a_wrong_derivative_is_noticed() -> None:
    with pytest.raises(AssertionError):
        assert_close([np.ones(2)], [torch.tensor([1.0, 1.0 + 1e-6])])
