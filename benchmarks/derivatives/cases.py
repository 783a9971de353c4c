"""Losses of statistics, machine learning and science."""

from __future__ import annotations

from typing import Any

from benchmarks.derivatives.case import Case

LOGISTIC = (
    "def loss(w: f64[m], X: f64[n, m], y: f64[n]) -> f64 = sum(softplus(X @ w) - y * (X @ w)) + dot(w, w) / 2\n\n"
)


def logistic(np: Any, w: Any, X: Any, y: Any) -> Any:
    z = X @ w
    return (np.softplus(z) - y * z).sum() + (w * w).sum() / 2


def mixture(np: Any, M: Any, s: Any, w: Any, X: Any) -> Any:
    D = ((X[:, None, :] - M[None, :, :]) ** 2).sum(-1)
    terms = w - np.logsumexp(w) - np.exp(-2 * s) * D / 2 - X.shape[1] * s
    return -np.logsumexp(terms).mean()


def attention(np: Any, Wq: Any, Wk: Any, Wv: Any, Wo: Any, X: Any) -> Any:
    Q, K, V = X @ Wq, X @ Wk, X @ Wv
    Y = X + np.softmax(Q @ K.T / Wq.shape[1] ** 0.5) @ V @ Wo
    return (Y**2).mean()


def network(np: Any, W1: Any, b1: Any, W2: Any, b2: Any, W3: Any, X: Any, T: Any) -> Any:
    H = np.tanh(np.tanh(X @ W1.T + b1) @ W2.T + b2)
    return ((H @ W3.T - T) ** 2).mean()


def ridge(np: Any, a: Any, X: Any, y: Any, Z: Any, t: Any) -> Any:
    G, r = X.T @ X, X.T @ y
    total = 0.0
    for k in range(a.shape[0]):
        w = np.linalg.solve(G + np.exp(a[k]) * np.eye(X.shape[1], X), r)
        total = total + ((Z @ w - t) ** 2).mean()
    return total


def process(np: Any, k: Any, X: Any, y: Any) -> Any:
    D = ((X[:, None, :] - X[None, :, :]) ** 2).sum(-1)
    K = np.exp(2 * k[0] - D / (2 * np.exp(2 * k[1]))) + np.exp(2 * k[2]) * np.eye(X.shape[0], X)
    return 0.5 * y @ np.linalg.solve(K, y) + 0.5 * np.logdet(K)


def kalman(np: Any, A: Any, q: Any, r: Any, C: Any, y: Any) -> Any:
    n, m, A = A.shape[0], C.shape[0], A / 4
    Q, R = np.exp(q) * np.eye(n, A), np.exp(r) * np.eye(m, A)

    def step(state: Any, row: Any) -> Any:
        x, P = state
        x, P = A @ x, A @ P @ A.T + Q
        S, e = C @ P @ C.T + R, row - C @ x
        G = np.linalg.solve(S, C @ P).T
        return (x + G @ e, P - G @ C @ P), (e @ np.linalg.solve(S, e) + np.logdet(S)) / 2

    return np.scan(step, (A[0] * 0, np.eye(n, A)), y)[1].sum()


def quartic(np: Any, x: Any, A: Any) -> Any:
    return ((A @ x) ** 4).sum() + x @ x


def field(np: Any, x: Any, W: Any, V: Any, w: Any) -> Any:
    return w @ np.tanh(V @ np.tanh(W @ x))


def tangent_kernel(np: Any, W: Any, X: Any, v: Any) -> Any:
    """Written as a product of Jacobians, which are those of one layer."""
    slope = (1 - np.tanh(X @ W.T) ** 2) * v
    J = slope[:, :, None] * X[:, None, :]
    J = J.reshape(X.shape[0], -1)
    return J @ J.T


def spectral(np: Any, x: Any, w: Any, y: Any) -> Any:
    return (w * abs(np.fft(x) - np.fft(y)) ** 2).sum()


def roots(np: Any, A: Any, B: Any) -> Any:
    w, Q = np.eigh(A @ A.T + np.eye(A.shape[0], A))
    return (((Q * w**0.5) @ Q.T) * B).sum()


CASES = (
    Case(
        "logistic",
        "gradient of logistic regression",
        {"n": 2000, "m": 100},
        LOGISTIC + "def main(w: f64[m], X: f64[n, m], y: f64[n]) = grad(loss, w)(w, X, y)\n",
        loss=logistic,
    ),
    Case(
        "logistic_hessian",
        "Hessian of logistic regression",
        {"n": 2000, "m": 100},
        LOGISTIC + "def main(w: f64[m], X: f64[n, m], y: f64[n]) = hessian(loss, w)(w, X, y)\n",
        loss=logistic,
        derivative="hessian",
    ),
    Case(
        "mixture",
        "log-likelihood of a mixture of round Gaussians",
        {"n": 2000, "k": 8, "d": 5},
        """def loss(M: f64[k, d], s: f64[k], w: f64[k], X: f64[n, d]) -> f64:
    D[i, c] = sum[j]((X[i, j] - M[c, j])^2)
    return -mean(logsumexp(w - logsumexp(w) - exp(-2 * s) * D / 2 - d * s, axis=1))

def main(M: f64[k, d], s: f64[k], w: f64[k], X: f64[n, d]) = grad(loss, M, s, w)(M, s, w, X)
""",
        loss=mixture,
        by=(0, 1, 2),
    ),
    Case(
        "attention",
        "a block of self-attention with a residual, by its weights",
        {"t": 128, "d": 64},
        """def loss(Wq: f64[d, d], Wk: f64[d, d], Wv: f64[d, d], Wo: f64[d, d], X: f64[t, d]) -> f64:
    Q, K, V = X @ Wq, X @ Wk, X @ Wv
    Y = X + softmax(Q @ K' / sqrt(d)) @ V @ Wo
    return mean(Y^2)

def main(Wq: f64[d, d], Wk: f64[d, d], Wv: f64[d, d], Wo: f64[d, d], X: f64[t, d]):
    return grad(loss, Wq, Wk, Wv, Wo)(Wq, Wk, Wv, Wo, X)
""",
        loss=attention,
        by=(0, 1, 2, 3),
    ),
    Case(
        "network",
        "a network of three layers, by its weights",
        {"n": 256, "d": 64, "h": 128, "k": 10},
        """def loss(W1: f64[h, d], b1: f64[h], W2: f64[h, h], b2: f64[h], W3: f64[k, h], X: f64[n, d], T: f64[n, k]):
    H = tanh(tanh(X @ W1' + b1) @ W2' + b2)
    return mean((H @ W3' - T)^2)

def main(W1: f64[h, d], b1: f64[h], W2: f64[h, h], b2: f64[h], W3: f64[k, h], X: f64[n, d], T: f64[n, k]):
    return grad(loss, W1, b1, W2, b2, W3)(W1, b1, W2, b2, W3, X, T)
""",
        loss=network,
        by=(0, 1, 2, 3, 4),
    ),
    Case(
        "ridge_path",
        "the error of ridge regressions by their penalties",
        {"n": 500, "m": 100, "k": 10, "p": 200},
        """def loss(a: f64[k], X: f64[n, m], y: f64[n], Z: f64[p, m], t: f64[p]) -> f64:
    total = 0.0
    scan i in k:
        total = total + mean((Z @ (inv(X' @ X + exp(a[i]) * eye(m)) @ (X' @ y)) - t)^2)
    return total

def main(a: f64[k], X: f64[n, m], y: f64[n], Z: f64[p, m], t: f64[p]) = grad(loss, a)(a, X, y, Z, t)
""",
        loss=ridge,
    ),
    Case(
        "process",
        "marginal likelihood of a Gaussian process by the parameters of its kernel",
        {"n": 300, "d": 3},
        """def loss(k: f64[3], X: f64[n, d], y: f64[n]) -> f64:
    D[i, j] = sum[p]((X[i, p] - X[j, p])^2)
    K = exp(2 * k[0] - D / (2 * exp(2 * k[1]))) + exp(2 * k[2]) * eye(n)
    return 0.5 * y @ inv(K) @ y + 0.5 * logdet(K)

def main(k: f64[3], X: f64[n, d], y: f64[n]) = grad(loss, k)(k, X, y)
""",
        loss=process,
    ),
    Case(
        "kalman",
        "likelihood of a Kalman filter by its transition and noises",
        {"n": 8, "m": 3, "t": 100},
        """def loss(A: f64[n, n], q: f64, r: f64, C: f64[m, n], y: f64[t, m]) -> f64:
    F = A / 4
    x, P, total = zeros(n), eye(n), 0.0
    scan i in t:
        z, M = F @ x, F @ P @ F' + exp(q) * eye(n)
        S, e = C @ M @ C' + exp(r) * eye(m), y[i] - C @ z
        G = M @ C' @ inv(S)
        x, P, total = z + G @ e, M - G @ C @ M, total + (e @ inv(S) @ e + logdet(S)) / 2
    return total

def main(A: f64[n, n], q: f64, r: f64, C: f64[m, n], y: f64[t, m]) = grad(loss, A, q, r)(A, q, r, C, y)
""",
        loss=kalman,
        by=(0, 1, 2),
        traceable=False,
    ),
    Case(
        "quartic_hessian",
        "Hessian of a quartic form",
        {"n": 1000, "m": 200},
        """def loss(x: f64[m], A: f64[n, m]) -> f64 = sum((A @ x)^4) + x @ x

def main(x: f64[m], A: f64[n, m]) = hessian(loss, x)(x, A)
""",
        loss=quartic,
        derivative="hessian",
    ),
    Case(
        "laplacian",
        "Laplacian of a network of tanh",
        {"d": 1000, "h": 64},
        """def u(x: f64[d], W: f64[h, d], V: f64[h, h], w: f64[h]) -> f64 = w @ tanh(V @ tanh(W @ x))

def main(x: f64[d], W: f64[h, d], V: f64[h, h], w: f64[h]) = laplacian(u, x)(x, W, V, w)
""",
        loss=field,
        derivative="laplacian",
    ),
    Case(
        "tangent_kernel",
        "the kernel of the Jacobians of a layer, J @ J'",
        {"n": 100, "d": 64, "h": 128},
        """def u(W: f64[h, d], X: f64[n, d], v: f64[h]) -> f64[n] = tanh(X @ W') @ v

def main(W: f64[h, d], X: f64[n, d], v: f64[h]):
    J = reshape(jacobian(u, W)(W, X, v), n, h * d)
    return J @ J'
""",
        loss=tangent_kernel,
        derivative="value",
    ),
    Case(
        "spectral",
        "a weighted distance of spectra",
        {"n": 4096},
        """def loss(x: f64[n], w: f64[n], y: f64[n]) -> f64 = sum(w * abs(fft(x) - fft(y))^2)

def main(x: f64[n], w: f64[n], y: f64[n]) = grad(loss, x)(x, w, y)
""",
        loss=spectral,
    ),
    Case(
        "root",
        "a linear form of the square root of a matrix",
        {"n": 100},
        """def loss(A: f64[n, n], B: f64[n, n]) -> f64 = sum(sqrtm(A @ A' + eye(n)) * B)

def main(A: f64[n, n], B: f64[n, n]) = grad(loss, A)(A, B)
""",
        loss=roots,
    ),
)
