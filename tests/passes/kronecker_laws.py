"""Identities of Kronecker products, traces and diagonals that need no rule: both sides are one contraction.

A law is parameters and two expressions of equal value; the right one is the one that an expert writes. The product
matrices of the left side have N rows or columns (`N * N` entries or so) that no plan has to hold.
"""

from __future__ import annotations

from dataclasses import dataclass

FOUR = "A: f64[m, n], B: f64[p, q], C: f64[n, r], D: f64[q, s]"
ALIKE = "A: f64[m, n], B: f64[p, q], C: f64[m, n], D: f64[p, q], x: f64[n*q]"
COLUMNS = "A: f64[m, n], B: f64[p, q], C: f64[n, r], D: f64[q, r]"
SQUARE = "A: f64[n, n], B: f64[m, m]"
VECTORS = "x: f64[n], y: f64[n], A: f64[n, n]"


@dataclass(frozen=True)
class Law:
    name: str
    parameters: str
    left: str
    right: str
    product: str = ""  # rows and columns of the product matrix that no plan holds
    one_class: bool = True  # whether both sides are one contraction when they are read
    divides: bool = False  # by a size, so that no size may be 0
    mode: str = "stable"

    @property
    def text(self) -> str:
        return f"def f({self.parameters}) = {self.left}, {self.right}\n"

    def side(self, expression: str) -> str:
        return f"def f({self.parameters}) = {expression}\n"


LAWS = (
    # of Kronecker products
    Law("product", FOUR, "kron(A, B) @ kron(C, D)", "kron(A @ C, B @ D)"),
    Law("transpose", FOUR, "kron(A, B)'", "kron(A', B')"),
    Law("one factor at a time", FOUR, "kron(A, eye(p)) @ kron(eye(n), B)", "kron(A, B)"),
    Law("common left factor", ALIKE, "kron(A, B) + kron(A, D)", "kron(A, B + D)", one_class=False),
    Law("common right factor", ALIKE, "kron(A, B) + kron(C, B)", "kron(A + C, B)", one_class=False),
    Law("entry by entry", ALIKE, "kron(A, B) * kron(C, D)", "kron(A * C, B * D)"),
    Law("trace", SQUARE, "trace(kron(A, B))", "trace(A) * trace(B)", "n*m, n*m"),
    Law("diagonal", SQUARE, "diag(kron(A, B))", "kron(diag(A), diag(B))", "n*m, n*m"),
    Law("sum", FOUR, "sum(kron(A, B))", "sum(A) * sum(B)", "m*p, n*q"),
    Law("row sums", FOUR, "sum(kron(A, B), axis=1)", "kron(sum(A, axis=1), sum(B, axis=1))", "m*p, n*q"),
    Law("column sums", FOUR, "sum(kron(A, B), axis=0)", "kron(sum(A, axis=0), sum(B, axis=0))", "m*p, n*q"),
    Law("matvec", f"{FOUR}, X: f64[n, q]", "kron(A, B) @ vec(X)", "vec(A @ X @ B')", "m*p, n*q"),
    Law("vecmat", f"{FOUR}, Y: f64[m, p]", "vec(Y) @ kron(A, B)", "vec(A' @ Y @ B)", "m*p, n*q"),
    Law("many columns", f"{FOUR}, X: f64[n*q, 3]", "kron(A, B) @ X", "(kron(A, B) @ X)", "m*p, n*q"),
    Law(
        "bilinear form",
        f"{FOUR}, X: f64[n, q], Y: f64[m, p]",
        "vec(Y) @ kron(A, B) @ vec(X)",
        "sum(Y * (A @ X @ B'))",
        "m*p, n*q",
    ),
    Law(
        "sum of matvecs",
        ALIKE,
        "(kron(A, B) + kron(C, D)) @ x",
        "kron(A, B) @ x + kron(C, D) @ x",
        "m*p, n*q",
        one_class=False,
    ),
    Law(
        "difference and multiples",
        ALIKE,
        "(2 * kron(A, B) - kron(C, D)) @ x",
        "2 * (kron(A, B) @ x) - kron(C, D) @ x",
        "m*p, n*q",
        one_class=False,
    ),
    Law(
        "three factors",
        "A: f64[m, n], B: f64[p, q], C: f64[r, s], x: f64[n*q*s]",
        "kron(kron(A, B), C) @ x",
        "kron(A, kron(B, C)) @ x",
        "m*p*r, n*q*s",
    ),
    Law("identity on the right", "A: f64[m, n], X: f64[n, p]", "kron(A, eye(p)) @ vec(X)", "vec(A @ X)", "m*p, n*p"),
    Law("identity on the left", "B: f64[m, n], X: f64[p, n]", "kron(eye(p), B) @ vec(X)", "vec(X @ B')", "p*m, p*n"),
    Law("of vectors", "x: f64[n], y: f64[m], X: f64[n, m]", "kron(x, y) @ vec(X)", "x @ X @ y"),
    Law("vector of outer", "x: f64[n], y: f64[m]", "vec(outer(x, y))", "kron(x, y)"),
    Law(
        "vector of product",
        "A: f64[m, n], B: f64[n, p], C: f64[p, q]",
        "kron(A, C') @ vec(B)",
        "vec(A @ B @ C)",
        "m*q, n*p",
    ),
    Law(
        "powers of dots",
        "x: f64[n], y: f64[n]",
        "dot(kron(kron(x, x), x), kron(kron(y, y), y))",
        "dot(x, y) * dot(x, y) * dot(x, y)",
        "n*n, n",
    ),
    Law("quadratic form", VECTORS, "vec(A) @ kron(x, x)", "x @ A @ x"),
    Law(
        "repeated blocks",
        "A: f64[m, n], x: f64[3*n]",
        "kron(ones(1, 3), A) @ x",
        "A @ sum(reshape(x, 3, n), axis=0)",
        "m, 3*n",
    ),
    Law(
        "blocks below each other",
        "A: f64[m, n], x: f64[n]",
        "kron(ones(3, 1), A) @ x",
        "kron(ones(3), A @ x)",
        "3*m, n",
    ),
    # of Khatri-Rao and face-splitting products
    Law("Kronecker and Khatri-Rao", COLUMNS, "kron(A, B) @ khatri_rao(C, D)", "khatri_rao(A @ C, B @ D)", "m*p, n*q"),
    Law(
        "Gram of Khatri-Rao",
        "A: f64[m, r], B: f64[p, r], C: f64[m, s], D: f64[p, s]",
        "khatri_rao(A, B)' @ khatri_rao(C, D)",
        "(A' @ C) * (B' @ D)",
        "m*p, r",
    ),
    Law(
        "Gram of face-splitting",
        "A: f64[m, n], B: f64[m, q], C: f64[p, n], D: f64[p, q]",
        "khatri_rao(A', B')' @ khatri_rao(C', D')",
        "(A @ C') * (B @ D')",
        "m, n*q",
    ),
    Law(
        "face-splitting and Kronecker",
        "A: f64[m, n], B: f64[m, q], C: f64[n, r], D: f64[q, s]",
        "khatri_rao(A', B')' @ kron(C, D)",
        "khatri_rao((A @ C)', (B @ D)')'",
        "n*q, r*s",
    ),
    Law(
        "face-splitting and vectors",
        "A: f64[m, n], B: f64[m, q], x: f64[n], y: f64[q]",
        "khatri_rao(A', B')' @ kron(x, y)",
        "(A @ x) * (B @ y)",
        "m, n*q",
    ),
    Law(
        "face-splitting and Khatri-Rao",
        "A: f64[m, n], B: f64[m, q], C: f64[n, r], D: f64[q, r]",
        "khatri_rao(A', B')' @ khatri_rao(C, D)",
        "(A @ C) * (B @ D)",
        "m, n*q",
    ),
    Law(
        "vector of weighted product",
        "A: f64[m, n], w: f64[n], B: f64[p, n]",
        "vec(A @ diag(w) @ B')",
        "khatri_rao(A, B) @ w",
        "m*p, n",
    ),
    Law(
        "diagonal of bilinear forms",
        "A: f64[m, n], X: f64[n, q], B: f64[m, q]",
        "khatri_rao(A', B')' @ vec(X)",
        "sum((A @ X) * B, axis=1)",
        "m, n*q",
    ),
    Law(
        "entry by entry of outer products",
        "U: f64[m, r], V: f64[n, r], P: f64[m, s], Q: f64[n, s]",
        "khatri_rao(U', P')' @ khatri_rao(V', Q')",
        "(U @ V') * (P @ Q')",
        "m, r*s",
    ),
    # shuffles, written as permutations of axes
    Law(
        "shuffled",
        f"{FOUR}",
        "reshape(permute(reshape(kron(A, B), m, p, n, q), axes=(1, 0, 3, 2)), p*m, q*n)",
        "kron(B, A)",
    ),
    Law("shuffled vector", "X: f64[m, n]", "reshape(permute(reshape(vec(X), m, n), axes=(1, 0)), n*m)", "vec(X')"),
    # traces, diagonals and norms
    Law("trace is cyclic", "A: f64[m, n], B: f64[n, p], C: f64[p, m]", "trace(A @ B @ C)", "trace(C @ A @ B)"),
    Law("trace of product", "A: f64[m, n], B: f64[n, m]", "trace(A @ B)", "sum(A * B')", "m, m"),
    Law("diagonal of product", "A: f64[m, n], B: f64[n, m]", "diag(A @ B)", "sum(A * B', axis=1)", "m, m"),
    Law("trace of outer", "A: f64[n, n], x: f64[n], y: f64[n]", "trace(A @ outer(x, y))", "y @ A @ x", "n, n"),
    Law("sum of outer", "x: f64[n], y: f64[m]", "sum(outer(x, y))", "sum(x) * sum(y)", "n, m"),
    Law("sum of product", "A: f64[m, n], B: f64[n, p]", "sum(A @ B)", "dot(sum(A, axis=0), sum(B, axis=1))", "m, p"),
    Law("row sums of product", "A: f64[m, n], B: f64[n, p]", "sum(A @ B, axis=1)", "A @ sum(B, axis=1)", "m, p"),
    Law("outer as scalings", "x: f64[m], y: f64[n], A: f64[m, n]", "outer(x, y) * A", "diag(x) @ A @ diag(y)"),
    Law(
        "form of an entrywise product",
        VECTORS + ", B: f64[n, n]",
        "x @ (A * B) @ y",
        "trace(diag(x) @ A @ diag(y) @ B')",
    ),
    Law(
        "centred",
        "X: f64[n, m]",
        "(eye(n) - ones(n, n) / n) @ X",
        "X - outer(ones(n), sum(X, axis=0) / n)",
        "n, n",
        one_class=False,
        divides=True,
        mode="fast",
    ),
    Law(
        "two-way centred",
        "X: f64[n, m]",
        "unvec(kron(eye(n) - ones(n, n) / n, eye(m) - ones(m, m) / m) @ vec(X), n, m)",
        "(eye(n) - ones(n, n) / n) @ X @ (eye(m) - ones(m, m) / m)",
        "n*m, n*m",
        divides=True,
    ),
)
