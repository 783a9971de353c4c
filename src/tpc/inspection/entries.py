"""Structure of entries one by one: constants, signs, whole numbers, sums of rows, repeated rows and columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

import numpy as np

from tpc.inspection.finding import Finding
from tpc.inspection.subject import Array, Subject
from tpc.ir.node import Fact

FEWER = 0.75  # share of the rows that may be different where repetition is worth telling


def constant(subject: Subject, found: list[Finding]) -> Iterator[Finding]:
    """Zero, and all entries equal."""
    A, shape = subject.values, subject.values.shape
    if not subject.nonzeros:
        facts = (Fact("low_rank", (0,)),)
        yield Finding("zero", "all entries are 0", 0.0, facts, "zeros", {}, 0, None, lambda parts: np.zeros(shape))
        return
    i, j = subject.sampled
    if A.size < 2 or not subject.same(A[i, j], A[i[0], j[0]]):
        return
    parts = {"c": np.asarray(A.mean())}
    error = subject.error(np.broadcast_to(parts["c"], shape))
    if error <= subject.tolerance:
        operations = subject.rows + subject.columns
        yield Finding(
            "constant", f"all entries are {parts['c'][()]:.6g}", error, (Fact("low_rank", (1,)),), "c * ones",
            parts, operations, None, lambda parts: np.full(shape, parts["c"]),
        )  # fmt: skip


def signs(subject: Subject, found: list[Finding]) -> Iterator[Finding]:
    """Nonnegative, positive, and rows that sum to 1."""
    A = subject.values
    if subject.complex or not A.size:
        return
    least = float(A.min())
    if least < 0:
        return
    name = "positive" if least > 0 else "nonnegative"
    yield Finding(name, f"no entry is below {least:.6g}", 0.0, (Fact(name),))
    for what, axis in (("row", 1), ("column", 0)):
        off = float(np.abs(A.sum(axis) - 1).max())
        if off <= max(subject.tolerance, 1e-15 * A.shape[axis]):
            facts = (Fact("row_stochastic"),) if axis else ()
            about = f"no entry is negative, and every {what} sums to 1"
            yield Finding(f"{what} stochastic", about, off, facts)


def whole(subject: Subject, found: list[Finding]) -> Iterator[Finding]:
    """Whole numbers, in floating point."""
    A = subject.values
    if subject.kind in "biu" or not subject.nonzeros or subject.tolerance * subject.largest > 0.01:
        return
    i, j = subject.sampled
    if not subject.same(A[i, j], np.round(A[i, j])):
        return
    parts = {"N": np.round(A)}
    error = subject.error(parts["N"])
    values = len(np.unique(parts["N"])) if A.size <= 10**6 else None
    if error <= subject.tolerance and parts["N"].any():
        about = "all entries are whole numbers" + (f", {values} different ones" if values and values <= 16 else "")
        yield Finding("integers", about, error, (), "", parts, rebuild=lambda parts: parts["N"])


def real(subject: Subject, found: list[Finding]) -> Iterator[Finding]:
    """A complex matrix without imaginary parts (or without real ones)."""
    A = subject.values
    if not subject.complex or not subject.nonzeros:
        return
    for name, part, unit in (("real", A.real, 1.0), ("imaginary", A.imag, 1j)):
        error = float(np.linalg.norm(A - unit * part)) / subject.norm
        if error <= subject.tolerance:
            about = f"the {'imaginary' if name == 'real' else 'real'} parts are 0"
            operations = 4 * A.size  # two real products instead of four
            parts = {"R": np.ascontiguousarray(part)}
            yield Finding(name, about, error, (), "", parts, operations, None, partial(_times, unit=unit))


def _times(parts: Mapping[str, Array], unit: complex) -> Array:
    scaled: Array = unit * parts["R"]
    return scaled


def repeated(subject: Subject, found: list[Finding]) -> Iterator[Finding]:
    """Rows that occur several times, and columns."""
    if any(f.name in ("zero", "constant") for f in found):
        return
    for name, A in (("rows", subject.values), ("columns", subject.values.T)):
        count, length = A.shape
        if count < 2 or length < 2:
            continue
        group = _groups(subject, A)
        number = int(group.max()) + 1
        if number > FEWER * count:
            continue
        sums = np.zeros((number, length), A.dtype)
        np.add.at(sums, group, A)
        few = sums / np.bincount(group)[:, None]
        near = few[group]
        error = subject.error(near if name == "rows" else near.T)
        if error <= subject.tolerance:
            parts = {"B": few if name == "rows" else np.ascontiguousarray(few.T), "index": group}
            about = f"{number} different {name} of {count}"
            operations = 2 * number * length + (0 if name == "rows" else count)
            formula = "B[index]" if name == "rows" else "B[:, index]"
            yield Finding(
                f"repeated {name}", about, error, (Fact("low_rank", (number,)),), formula, parts, operations, None,
                partial(_repeat, name=name),
            )  # fmt: skip


def _repeat(parts: Mapping[str, Array], name: str) -> Array:
    few, index = parts["B"], parts["index"]
    return few[index] if name == "rows" else few[:, index]


def _groups(subject: Subject, A: Array) -> Array:
    """A number for each row, the same for rows whose random projections agree."""
    seen = A @ subject.random.standard_normal(A.shape[1])
    if np.iscomplexobj(seen):
        seen = seen.real + np.pi * seen.imag
    order = np.argsort(seen, kind="stable")
    apart = np.diff(seen[order]) > 10 * subject.tolerance * subject.largest * len(seen) ** 0.5
    group = np.empty(len(seen), np.intp)
    group[order] = np.concatenate([[0], np.cumsum(apart)])
    return group
