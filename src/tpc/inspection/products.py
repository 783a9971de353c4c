"""Kronecker products, sums of few of them, and Kronecker sums.

A product `kron(B, C)` has rank one once rows and columns are regrouped, A[(i k), (j l)] to T[(i j), (k l)] (Van Loan,
Pitsianis 1993), so that a few entries of T rule out nearly all sizes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from tpc.inspection.finding import Finding
from tpc.inspection.subject import Array, Subject
from tpc.passes.approximation.projections.kronecker import SUM, regrouped
from tpc.passes.approximation.projections.monarch import divisors

SAVED = 0.6  # share of the numbers of a product, or of the operations of a sum, that may be left
DRAWN = 16  # rows and columns of T that are looked at first
TERMS = 4  # products in a sum


def kronecker(subject: Subject, found: list[Finding]) -> Iterator[Finding]:
    """One product of as many factors as there are; else the cheapest sum of a few products."""
    if not subject.nonzeros or {"constant", "diagonal", "permutation"} & {f.name for f in found}:
        return
    if any(f.name == "low rank" and f.parts["U"].shape[1] == 1 for f in found):
        return  # every matrix of rank one is such a product, and needs none of this
    factors = _split(subject)
    if len(factors) > 1:
        parts = {f"A{n}": factor for n, factor in enumerate(factors, 1)}
        error = subject.error(_joined(parts))
        product = _work([f.shape for f in factors])
        stored = sum(f.size for f in factors)
        if error <= subject.tolerance and stored <= SAVED * subject.values.size:
            formula = "kron(" * (len(parts) - 1) + "A1" + "".join(f", {name})" for name in list(parts)[1:])
            sizes = " and ".join(f"{f.shape[0]} by {f.shape[1]}" for f in factors)
            yield Finding(
                "kronecker product", f"of factors of {sizes}", error, (), formula, parts, product, _solving(factors),
                _joined,
            )  # fmt: skip
        return
    best = None
    for terms, p, q in sorted(_sums(subject)):
        left, right = _terms(subject, p, q, terms)
        parts = {"B": left, "C": right}
        error = subject.error(SUM.dense(parts))
        product = len(left) * _work([left.shape[1:], right.shape[1:]])
        if error <= subject.tolerance and product <= SAVED * 2 * subject.values.size:
            sizes = f"{p} by {q} and {subject.rows // p} by {subject.columns // q}"
            finding = Finding(
                "sum of kronecker products", f"{len(left)} products, of factors of {sizes}", error, (),
                "sum[s](kron(B[s], C[s]))", parts, product, None, SUM.dense,
            )  # fmt: skip
            best = finding if best is None or product < (best.product or 0) else best
    if best is not None:
        yield best


def _work(shapes: Sequence[tuple[int, ...]]) -> int:
    """Operations of a product with a vector, one factor after the other, those that shrink it first."""
    size, total = int(np.prod([n for _, n in shapes])), 0
    for m, n in sorted(shapes, key=lambda shape: shape[0] / shape[1]):
        total += 2 * m * size
        size = size // n * m
    return total


def _solving(factors: list[Array]) -> int | None:
    if any(f.shape[0] != f.shape[1] for f in factors):
        return None
    total = int(np.prod([len(f) for f in factors]))
    return int(sum(2 * len(f) ** 3 // 3 + 2 * len(f) * total for f in factors))


def _joined(parts: Mapping[str, Array]) -> Array:
    whole: Array = np.ones((1, 1))
    for factor in parts.values():
        whole = np.kron(whole, factor)
    return whole


def _sizes(subject: Subject) -> Iterator[tuple[int, int]]:
    """Sizes of a first factor that is neither a number nor the whole, the smallest first."""
    pairs = [(p * q, p, q) for p in divisors(subject.rows) for q in divisors(subject.columns)]
    for area, p, q in sorted(pairs):
        if 1 < area < subject.values.size:
            yield p, q


def _drawn(subject: Subject, p: int, q: int) -> int:
    """The rank of some rows and columns of T, which that of T is not below."""
    m, n = subject.rows // p, subject.columns // q
    i, j = subject.sampled
    i, j = i[-DRAWN:], j[-DRAWN:]  # of entries that are not zero, so that none of these rows and columns is empty
    corner = subject.values[(i // m * m)[:, None] + i % m, (j // n * n)[:, None] + j % n]
    values = np.linalg.svd(corner, compute_uv=False)
    return int((values > DRAWN * subject.tolerance * subject.largest).sum())


def _split(subject: Subject) -> list[Array]:
    """The matrix as a list of factors that are no products themselves."""
    for p, q in _sizes(subject):
        if _drawn(subject, p, q) <= 1:
            left, right = _terms(subject, p, q, 1)
            if len(left) and subject.error(SUM.dense({"B": left, "C": right})) <= subject.tolerance:
                return [left[0], *_split(subject.replaced(right[0]))]
    return [subject.values]


def _sums(subject: Subject) -> Iterator[tuple[int, int, int]]:
    """Sizes of sums that a few entries allow, with the number of terms that they show."""
    for p, q in _sizes(subject):
        m, n = subject.rows // p, subject.columns // q
        work = _work([(p, q), (m, n)])
        if (m == q == 1) or (n == p == 1):
            continue  # a column times a row is a low rank
        rank = _drawn(subject, p, q)
        if 1 <= rank <= TERMS and rank * work <= SAVED * 2 * subject.values.size and min(p * q, m * n) > rank:
            yield rank, p, q


def _terms(subject: Subject, p: int, q: int, terms: int) -> tuple[Array, Array]:
    """The first singular vectors of T as factors, by alternating from entries that stand out."""
    T = regrouped(subject.values, p, q)
    left_shape, right_shape = T.shape[:2], T.shape[2:]
    start = subject.random.standard_normal((*right_shape, terms))
    left = np.tensordot(T, start, 2).reshape(-1, terms)
    for _ in range(3):
        left = np.linalg.qr(left)[0]
        right = np.tensordot(left.conj().T.reshape(-1, *left_shape), T, 2).reshape(len(left.T), -1)
        left = np.tensordot(T, right.conj().T.reshape(*right_shape, -1), 2).reshape(left.shape)
    left = np.linalg.qr(left)[0]
    right = np.tensordot(left.conj().T.reshape(-1, *left_shape), T, 2)
    return left.T.reshape(-1, *left_shape), right.reshape(-1, *right_shape)


def kronecker_sum(subject: Subject, found: list[Finding]) -> Iterator[Finding]:
    """kron(X, eye) + kron(eye, Y), as of a Laplacian on a grid."""
    A, n = subject.values, subject.rows
    if not subject.square or n < 4 or {"diagonal", "constant", "zero"} & {f.name for f in found}:
        return
    i, j = subject.sampled
    for p in divisors(n)[1:-1]:
        q = n // p
        blocks = A.reshape(p, q, p, q)
        Y = np.einsum("abac->bc", blocks) / p
        X = np.einsum("abcb->ac", blocks) / q
        X[np.diag_indices(p)] -= np.trace(Y) / q
        a, b, c, d = i // q, i % q, j // q, j % q
        if not subject.same(A[i, j], X[a, c] * (b == d) + (a == c) * Y[b, d]):
            continue
        parts = {"X": X, "Y": Y}
        error = subject.error(_kronecker_sum(parts))
        if error <= subject.tolerance:
            work = 2 * n * (p + q)
            yield Finding(
                "kronecker sum", f"of {p} by {p} and {q} by {q}", error, (), "kron(X, eye) + kron(eye, Y)", parts, work,
                25 * (p**3 + q**3) + 4 * work, _kronecker_sum,
            )  # fmt: skip
            return


def _kronecker_sum(parts: Mapping[str, Array]) -> Array:
    X, Y = parts["X"], parts["Y"]
    return np.kron(X, np.eye(len(Y))) + np.kron(np.eye(len(X)), Y)
