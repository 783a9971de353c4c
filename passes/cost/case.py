"""What is timed of a kernel: random operands of given shapes and the call that programs make of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Call = Callable[[], object]
Helpers = Mapping[str, Callable[..., Any]]  # the functions that emitted modules of a backend may carry with them


@dataclass(frozen=True, slots=True)
class Case:
    """One kernel of a backend.

    Attributes
    ----------
    operands
        The shapes of its operands in the letters of the family's sizes: `m k`; `n n !` is a positive definite one.
    run
        The call, given the operands.
    batched
        Whether one call takes a whole batch.
    prepare
        What the call takes in place of the operands, such as their factors, given operands and sizes.
    """

    operands: tuple[str, ...]
    run: Callable[..., object]
    batched: bool = False
    prepare: Callable[..., Sequence[Any]] | None = None


def operands(case: Case, letters: Sequence[str], sizes: Sequence[int], batch: int, dtype: str) -> list[Any]:
    """Random operands of a case as NumPy arrays, with an axis for the batch where there is one."""
    import numpy as np

    generator = np.random.default_rng(0)
    length = dict(zip(letters, sizes))
    lead = (batch,) if batch > 1 else ()
    made = []
    for text in case.operands:
        names = text.removesuffix(" !").split()
        array = generator.standard_normal((*lead, *(length[name] for name in names)))
        if text.endswith("!"):  # positive definite and well conditioned, and so are its triangles
            array = (array + np.swapaxes(array, -1, -2)) / 2 + 4 * length[names[0]] * np.eye(length[names[0]])
        made.append(np.ascontiguousarray(array, dtype))
    return made


def call(case: Case, arrays: Sequence[Any], sizes: Sequence[int]) -> Call:
    """The call of a case on its operands."""
    run = case.run
    given = tuple(arrays if case.prepare is None else case.prepare(*arrays, *sizes))
    return lambda: run(*given)
