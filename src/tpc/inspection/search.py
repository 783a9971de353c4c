"""From an array to what is found in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from tpc.inspection.conditions import condition
from tpc.inspection.families import FAMILIES
from tpc.inspection.finding import Array, Finding, Inspection, gain
from tpc.inspection.noise import signal
from tpc.inspection.subject import EXACT, TOLERANCES, Subject
from tpc.ir.facts import check_declared, closure, fits
from tpc.ir.node import Fact
from tpc.ir.types import DType, TensorType
from tpc.operands import adopt

MOST = 256  # matrices of a batch that are looked at
SMALLEST = 1e-100  # squares of entries below it vanish in a norm


def inspect(array: Any, *, tolerance: float | None = None, name: str = "A") -> Inspection:
    """Which structure a matrix has.

    Parameters
    ----------
    array
        Anything that a compiled program takes. With more than two axes, structure is looked for in each matrix along
        the first axes, and what all have is told.
    tolerance : float, optional
        Largest relative error (Frobenius) of what is reported; by default 1e-8, and for single precision 1e-4.
    name
        What to call it in the declaration.

    Returns
    -------
    Inspection

    Raises
    ------
    TpcError
        E0804 if it is no array of numbers, E0910 if it is sparse and does not fit in memory.
    """
    operand = adopt(array, name)
    given = operand.array.toarray() if operand.is_sparse else operand.array
    if operand.kind == "torch":
        given = given.detach().cpu()
        given = (given.float() if str(given.dtype) == "torch.bfloat16" else given).numpy()
    kind, dtype = given.dtype.kind, given.dtype.name
    if tolerance is None:
        tolerance = TOLERANCES["float16"] if operand.dtype.size < 4 and kind == "f" else TOLERANCES.get(dtype, EXACT)
    values = np.ascontiguousarray(given, np.complex128 if kind == "c" else np.float64)
    result = Inspection(name, given.shape, operand.dtype.name, tolerance)
    nothing = _nothing(values)
    if nothing:
        return replace(result, declaration=_declared(name, operand.dtype, given, ()), notes=(nothing,))
    notes: list[str] = []
    matrices = values.reshape(-1, *values.shape[-2:]) if values.ndim > 1 else values.reshape(1, -1, 1)
    if len(matrices) > MOST:
        notes.append(f"the first {MOST} of {len(matrices)} matrices were looked at, so nothing is declared")
    looked = [_look(Subject(matrix, tolerance, kind)) for matrix in matrices[:MOST]]
    found = looked[0][0] if values.ndim <= 2 else _shared([one for one, _ in looked], values.shape[:-2])
    if values.ndim == 1:
        found = [f for f in found if f.name in OF_VECTORS]
    if not found and values.ndim == 2 and (noisy := signal(values)):
        notes.append(str(noisy))
    found.sort(key=lambda f: -gain(values.shape, f))
    conditions = [c for _, c in looked if c is not None]
    facts = [] if len(matrices) > MOST else [fact for f in found for fact in f.facts]
    return replace(
        result,
        findings=tuple(found),
        declaration=_declared(name, operand.dtype, given, facts),
        notes=tuple(notes),
        condition=max(conditions) if conditions else None,
    )


OF_VECTORS = ("zero", "constant", "positive", "nonnegative", "integers", "real", "imaginary")


def _look(subject: Subject) -> tuple[list[Finding], float | None]:
    found: list[Finding] = []
    for family in FAMILIES:
        found += list(family(subject, found))
    return found, condition(subject, found)


def _nothing(values: Array) -> str:
    """Why no structure is looked for; empty where it is."""
    if not values.size:
        return "there is nothing in it"
    if not values.ndim:
        return "it is a number"
    finite = np.isfinite(values)
    if not finite.all():
        nans, total = int(np.isnan(values).sum()), int(values.size - finite.sum())
        place = ", ".join(str(int(k)) for k in np.argwhere(~finite)[0])
        what = " and ".join(f"{n} {word}" for n, word in ((nans, "NaN"), (total - nans, "infinite")) if n)
        return f"not finite: {what}, the first at [{place}]; no structure was looked for"
    largest = float(np.abs(values).max())
    if largest and not SMALLEST <= largest <= 1 / SMALLEST:
        return f"its largest entry is {largest:.1e}, whose square is out of range; scale it first"
    return ""


def _shared(each: list[list[Finding]], batch: tuple[int, ...]) -> list[Finding]:
    """What all matrices have, with the largest error, and the weakest of facts with sizes."""
    shared = []
    for first in each[0]:
        same = [next((f for f in one if f.name == first.name), None) for one in each]
        if all(f is not None for f in same):
            shared.append(_together([f for f in same if f is not None], batch))
    return shared


def _together(same: list[Finding], batch: tuple[int, ...]) -> Finding:
    first = same[0]
    if len(same) == 1:
        parts: Mapping[str, Array] = first.parts
    else:
        parts = {f"{key}[{n}]": part for n, f in enumerate(same) for key, part in f.parts.items()}

    def rebuild(parts: Mapping[str, Array]) -> Array:
        del parts  # they are those of the matrices
        wholes = [whole for f in same if (whole := f.dense()) is not None]
        return np.stack(wholes).reshape(*batch, *wholes[0].shape)

    facts = []
    for fact in first.facts:
        others = [next((g for g in f.facts if g.name == fact.name), None) for f in same]
        if all(g is not None for g in others):
            arguments = tuple(max(values) for values in zip(*(g.arguments for g in others if g is not None)))
            facts.append(Fact(fact.name, arguments))
    return replace(
        first,
        about=first.about if len({f.about for f in same}) == 1 else f"the first of {len(same)}: {first.about}",
        error=max(f.error for f in same),
        facts=tuple(facts),
        parts=parts,
        product=_total(f.product for f in same),
        solve=_total(f.solve for f in same),
        rebuild=None if first.rebuild is None else rebuild,
    )


def _total(numbers: Iterable[int | None]) -> int | None:
    total = 0
    for number in numbers:
        if number is None:
            return None
        total += number
    return total


def _declared(name: str, dtype: DType, array: Any, facts: Iterable[Fact]) -> str:
    """The declaration with the facts that do not follow from others, and none that others contradict."""
    type = TensorType(dtype, array.shape)
    kept: list[Fact] = []
    for fact in dict.fromkeys(facts):
        if fits(fact, type) and not check_declared(type, [*kept, fact]) and fact not in closure(type, kept):
            kept.append(fact)
    strongest = [f for n, f in enumerate(kept) if f not in closure(type, kept[:n] + kept[n + 1 :])]
    words = " and ".join(str(f) for f in strongest)
    return f"{name}: {type}" + (f" is {words}" if words else "")
