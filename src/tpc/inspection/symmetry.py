"""A matrix and its transpose: symmetric, skew, hermitian, definite, orthogonal, a projection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

import numpy as np

from tpc.inspection.finding import Finding
from tpc.inspection.subject import TILE, Array, Subject
from tpc.ir.node import Fact


def transpose(subject: Subject, found: list[Finding]) -> Iterator[Finding]:
    """Symmetric, skew, and their like for complex entries."""
    A = subject.values
    n = subject.rows
    if not subject.square or n < 2 or not subject.nonzeros:
        return
    i, j = subject.sampled
    names = (("symmetric", 1, False), ("skew", -1, False), ("hermitian", 1, True), ("skew hermitian", -1, True))
    for name, sign, conjugate in names[: 4 if subject.complex else 2]:
        across = A[j, i].conj() if conjugate else A[j, i]
        if not subject.same(A[i, j], sign * across):
            continue
        error = _residual(subject, sign, conjugate)
        if error > subject.tolerance:
            continue
        known = not subject.complex
        half = n**3 // 3 + 2 * n**2 if sign > 0 else None
        if conjugate and any(f.name == "real" for f in found):
            continue
        yield Finding(
            name, f"equal to {'minus ' if sign < 0 else ''}its {'conjugate ' if conjugate else ''}transpose", error,
            (Fact(name),) if known else (), "", {"triangle": np.triu(A)}, None, half,
            partial(_mirrored, sign=sign, conjugate=conjugate),
        )  # fmt: skip


def _mirrored(parts: Mapping[str, Array], sign: int, conjugate: bool) -> Array:
    above = np.triu(parts["triangle"], 1)
    whole: Array = parts["triangle"] + sign * (above.conj() if conjugate else above).T
    return whole


def _residual(subject: Subject, sign: int, conjugate: bool) -> float:
    """Distance from the mirrored upper triangle, tile by tile since transposing the whole is slow."""
    A, n, total = subject.values, subject.rows, 0.0
    for top in range(0, n, TILE):
        for left in range(0, top + 1, TILE):
            below = A[top : top + TILE, left : left + TILE]
            above = A[left : left + TILE, top : top + TILE].T
            apart = below - sign * (above.conj() if conjugate else above)
            total += float(np.linalg.norm(np.tril(apart, -1) if top == left else apart)) ** 2
            if sign < 0 and top == left and not conjugate:
                total += float(np.linalg.norm(np.diagonal(below))) ** 2
            if total > (subject.tolerance * subject.norm) ** 2:
                return float("inf")
    return float(total**0.5) / subject.norm


def definite(subject: Subject, found: list[Finding]) -> Iterator[Finding]:
    """Positive definite or semidefinite, by Cholesky factors."""
    A, n = subject.values, subject.rows
    if not any(f.name == ("hermitian" if subject.complex else "symmetric") for f in found):
        return
    diagonal = np.diagonal(A).real
    if diagonal.min() < -subject.tolerance * subject.largest:
        return
    i, j = subject.sampled
    if (np.abs(A[i, j]) ** 2 > (diagonal[i] + subject.tolerance * subject.largest) * (
        diagonal[j] + subject.tolerance * subject.largest
    ) * (1 + 1e-6)).any():  # fmt: skip
        return
    most = _norm(subject)
    facts = () if subject.complex else ("spd", "psd")
    # a matrix is definite if it stays so when more than the rounding of its factors is taken off
    for name, fact, shift in (
        ("positive definite", "spd", -2 * n * np.finfo(float).eps * most),
        ("positive semidefinite", "psd", 0.5 * subject.tolerance * most),
    ):
        factor = _cholesky(A, shift)
        if factor is None:
            continue
        parts = {"L": factor, "shift": np.asarray(shift)}
        # of the factors, by the bound of their rounding (Higham 2002, theorem 10.3); and of the other triangle
        rounding = (n + 1) * np.finfo(float).eps * (float(diagonal.sum()) + n * abs(shift)) / subject.norm
        error = rounding + max(f.error for f in found if f.name in ("symmetric", "hermitian"))
        operations = n**3 // 3 + 2 * n**2 if fact == "spd" else None
        about = "its eigenvalues are positive" if fact == "spd" else "no eigenvalue is negative"
        yield Finding(
            name, about, error, (Fact(fact),) if facts else (), "L @ L' - shift * eye", parts, None, operations, _grown
        )
        return


def _grown(parts: Mapping[str, Array]) -> Array:
    L, shift = parts["L"], parts["shift"]
    grown: Array = L @ L.conj().T
    grown[np.diag_indices(len(L))] -= shift
    return grown


def _cholesky(A: Array, shift: float) -> Array | None:
    shifted = A.copy()
    shifted[np.diag_indices(len(A))] += shift
    try:
        factor: Array = np.linalg.cholesky(shifted)
    except np.linalg.LinAlgError:
        return None
    return factor


def _norm(subject: Subject) -> float:
    """The largest singular value, from below and close to it."""
    v, size = subject.probe(1), 0.0
    for _ in range(8):
        v = subject.values @ v
        size = float(np.linalg.norm(v))
        v /= size
    return float(np.linalg.norm(subject.values @ v))


def orthogonal(subject: Subject, found: list[Finding]) -> Iterator[Finding]:
    """Columns (or rows) at right angles and of one length."""
    A = subject.values
    if min(A.shape) < 2 or not subject.nonzeros:
        return
    tall = A if subject.rows >= subject.columns else A.T
    lengths = np.sqrt(np.einsum("ij,ij->j", tall, tall.conj()).real)
    scale = float(np.sqrt(np.mean(lengths**2)))
    slack = 10 * subject.tolerance * tall.shape[1] ** 0.5
    if np.abs(lengths / scale - 1).max() > slack:
        return
    v = subject.random.standard_normal((tall.shape[1], 2))
    if np.linalg.norm(tall.conj().T @ (tall @ v) / scale**2 - v) > slack * np.linalg.norm(v):
        return
    gram = tall.conj().T @ tall / scale**2
    gram[np.diag_indices(len(gram))] -= 1
    error = float(np.linalg.norm(gram)) / len(gram) ** 0.5
    if error > subject.tolerance:
        return
    unit = abs(scale - 1) <= subject.tolerance
    entrywise = float(np.abs(gram).max()) <= max(subject.tolerance, 1e-14 * len(tall))
    name = "orthogonal" if not subject.complex else "unitary"
    if not subject.square:
        name = "orthonormal columns" if tall is A else "orthonormal rows"
    fact = "orthogonal" if subject.square else "orthonormal"
    facts = (Fact(fact),) if unit and entrywise and not subject.complex and tall is A else ()
    about = ("columns" if tall is A else "rows") + " at right angles"
    about += " of length 1" if unit else f" of length {scale:.6g}"
    solve = 2 * A.size + (0 if unit else subject.rows) if subject.square else None
    yield Finding(name if unit else f"scaled {name}", about, error, facts, solve=solve)


def projection(subject: Subject, found: list[Finding]) -> Iterator[Finding]:
    """Symmetric and its own square."""
    A = subject.values
    if subject.complex or not any(f.name == "symmetric" for f in found):
        return
    rank = float(np.trace(A))
    v = subject.probe(2)
    once = A @ v
    slack = 10 * subject.tolerance * np.linalg.norm(v)
    if round(rank) < 1 or round(rank) >= subject.rows or np.linalg.norm(A @ once - once) > slack:
        return
    apart = A @ A - A
    error = float(np.linalg.norm(apart)) / subject.norm
    if error <= subject.tolerance and np.abs(apart).max() <= subject.tolerance:
        facts = (Fact("projection", (round(rank),)),)
        yield Finding("projection", f"its own square, of rank {round(rank)}", error, facts)
