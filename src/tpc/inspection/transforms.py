"""Fast transforms in disguise: Fourier, Walsh-Hadamard, cosine and sine, with scales and in another order.

Fourier and Walsh matrices are tables of characters: without their scales, each row is a product of others, which gives
the order of rows and columns away whatever it is. Cosine and sine transforms are tried as they are: what is left of
the matrix when the transform is undone has one entry in every row and column.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from tpc.inspection.finding import Finding
from tpc.inspection.shifts import transform
from tpc.inspection.subject import Array, Subject

LEAST = 4  # rows, below which everything is some transform
TRIED = 3  # rows that are transformed before all are


def characters(subject: Subject, found: list[Finding]) -> Iterator[Finding]:
    """D1 @ P1 @ F @ P2 @ D2 for a Fourier or Walsh matrix F, diagonal D and permutations P."""
    A, n = subject.values, subject.rows
    if not subject.square or n < LEAST or subject.nonzeros < A.size:
        return
    i, j = subject.sampled
    if not subject.same(np.abs(A[i, j]), np.abs(A[i, 0] / A[0, 0] * A[0, j])):
        return
    left, top = A[:, 0] / A[0, 0], A[0]
    pure = A / (left[:, None] * top)  # ones in the first row and column
    for name, read in (("walsh-hadamard", _walsh_order), ("fourier", _fourier_order)):
        if name == "walsh-hadamard" and (n & (n - 1) or subject.complex and np.abs(pure.imag).max() > 1e-3):
            continue
        orders = read(pure)
        if orders is None:
            continue
        rows, columns = orders
        parts = {"left": left, "right": top, "rows": rows, "columns": columns}
        rebuild = _walsh if name == "walsh-hadamard" else _fourier
        error = subject.error(rebuild(parts))
        if error <= subject.tolerance:
            about, extra = _described(subject, parts)
            work = int(n * np.log2(n)) if name == "walsh-hadamard" else transform(n)
            yield Finding(
                f"{name} transform", about, error, (), "left * F[rows][:, columns] * right", parts, work + extra,
                work + extra, rebuild,
            )  # fmt: skip
            return


def _described(subject: Subject, parts: Mapping[str, Array]) -> tuple[str, int]:
    n, slack = subject.rows, 100 * subject.tolerance
    extra, words = 0, []
    for name in ("left", "right"):
        scales = parts[name]
        if np.abs(np.abs(scales) / np.abs(scales[0]) - 1).max() > slack:
            words.append(f"{'rows' if name == 'left' else 'columns'} scaled")
        extra += n
    for name in ("rows", "columns"):
        if (parts[name] != np.arange(n)).any():
            words.append(f"{name} in another order")
    return f"of {n} points" + "".join(f", {word}" for word in words), extra


def _walsh_order(pure: Array) -> tuple[Array, Array] | None:
    """Numbers of rows and columns, whose common bits give the sign."""
    n = len(pure)
    signs = pure.real < 0
    code, bits = np.zeros(n, np.intp), 0
    for row in signs:  # the first rows that tell columns apart that no row before did
        halves = np.bincount(2 * code + row, minlength=2 << bits)
        if halves.max() * 2 << bits == n and halves.min() == halves.max():
            code = 2 * code + row
            bits += 1
            if 1 << bits == n:
                break
    else:
        return None
    place = np.argsort(code)
    rows = sum((signs[:, place[1 << b]].astype(np.intp) << b for b in range(bits)), np.zeros(n, np.intp))
    return rows, code


def _walsh(parts: Mapping[str, Array]) -> Array:
    from scipy.linalg import hadamard

    whole: Array = parts["left"][:, None] * hadamard(len(parts["rows"]))[np.ix_(parts["rows"], parts["columns"])]
    return whole * parts["right"]


def _fourier_order(pure: Array) -> tuple[Array, Array] | None:
    """Numbers of rows and columns, whose product gives the power of the root."""
    n = len(pure)
    turns = np.angle(pure) * (-n / (2 * np.pi))
    whole = np.round(turns).astype(np.intp) % n
    if np.abs(turns[1] - np.round(turns[1])).max() > 0.01:
        return None
    for row in whole[1:]:  # a row that has every root once numbers the columns
        if (np.bincount(row, minlength=n) == 1).all():
            column = int(np.argmax(row == 1))
            return whole[:, column], row
    return None


def _fourier(parts: Mapping[str, Array]) -> Array:
    rows, columns = parts["rows"], parts["columns"]
    n = len(rows)
    roots = np.exp(-2j * np.pi * np.arange(n) / n)
    whole: Array = parts["left"][:, None] * roots[rows[:, None] * columns % n] * parts["right"]
    return whole


def _haar(values: Array) -> Array:
    """The Haar transform along the rows."""
    n, done = values.shape[1], values.copy()
    while n > 1:
        even, odd = done[:, 0:n:2], done[:, 1:n:2]
        done[:, :n] = np.concatenate([even + odd, even - odd], 1) / np.sqrt(2)
        n //= 2
    return done


def _trigonometric(family: str, kind: int) -> Callable[[Array], Array]:
    def apply(values: Array) -> Array:
        import scipy.fft

        done: Array = getattr(scipy.fft, family)(values, type=kind, norm="ortho", axis=1)
        return done

    return apply


def _hartley(values: Array) -> Array:
    spectrum = np.fft.fft(values, norm="ortho", axis=1)
    hartley: Array = spectrum.real - spectrum.imag
    return hartley


# Orthogonal transforms of real rows, and whether they exist for a size. Types 2 and 3 undo each other.
REAL: tuple[tuple[str, Callable[[Array], Array], Callable[[int], bool]], ...] = (
    *((f"cosine (type {k})", _trigonometric("dct", k), lambda n: True) for k in (2, 3, 4)),
    *((f"sine (type {k})", _trigonometric("dst", k), lambda n: True) for k in (1, 2, 3, 4)),
    ("hartley", _hartley, lambda n: True),
    ("haar", _haar, lambda n: not n & (n - 1)),
)


def trigonometric(subject: Subject, found: list[Finding]) -> Iterator[Finding]:
    """P @ D @ F and F @ P @ D for real orthogonal transforms F; of cosines, columns may be in any order as well."""
    A, n = subject.values, subject.rows
    known = any(f.name.endswith("transform") or "diagonal" in f.name or "permutation" in f.name for f in found)
    if not subject.square or n < LEAST or known or subject.complex or subject.density < 1.5 / n:
        return
    for name, apply, exists in REAL:
        if not exists(n):
            continue
        for turned in (False, True):
            # the rows of P D F are rows of F, which F turns into one entry each; F P D is the other way round
            B = A.T if turned else A
            if not _single(subject, apply(B[:TRIED])):
                continue
            left = apply(B)
            largest = np.abs(left).argmax(1)
            if len(np.unique(largest)) < n:
                continue
            parts = {"order": largest, "scales": left[np.arange(n), largest], "turned": np.asarray(turned)}

            def rebuild(parts: Mapping[str, Array], apply: Callable[[Array], Array] = apply) -> Array:
                basis = apply(np.eye(len(parts["order"]))).T  # the rows of F
                rows: Array = parts["scales"][:, None] * basis[parts["order"]]
                return rows.T if parts["turned"] else rows

            error = subject.error(rebuild(parts))
            if error <= subject.tolerance:
                side = "columns" if turned else "rows"
                plain = (largest == np.arange(n)).all()
                about = f"of {n} points, {side} scaled" + ("" if plain else f" and {side} in another order")
                about += " (the inverse)" if turned else ""
                formula = "(scales * F[order])'" if turned else "scales * F[order]"
                work = transform(n) // 2 + n
                yield Finding(f"{name} transform", about, error, (), formula, parts, work, work, rebuild)
                return


def _single(subject: Subject, rows: Array) -> bool:
    """Whether each row has one entry that is not zero."""
    sizes = np.sort(np.abs(rows), axis=1)
    return bool((sizes[:, -2] <= 100 * subject.tolerance * sizes[:, -1]).all())
