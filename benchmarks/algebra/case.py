"""What a case is: a program, the same formula in numpy, what an expert would write, and what the best form costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from tpc.binding import facts_with_sizes
from tpc.dsl.source import Source
from tpc.ir.dims import evaluate
from tpc.ir.elaborate.module import check
from tpc.ir.node import Program
from tpc.samples import sample
from tpc.sizes import Solution

Array = np.ndarray[Any, Any]
Sizes = Mapping[str, int]


@dataclass(frozen=True)
class Case:
    """One formula. Shapes, dtypes and facts of the operands are those that the program declares, in its order.

    Attributes
    ----------
    name, about
        `laab/2c`, and what it is in a few words.
    sizes
        The sizes of the source by name.
    program
        The formula in tpc, as people write it.
    written
        The formula in Python, of a module (numpy, torch, or jax.numpy) and the operands.
    expert
        What somebody who knows the facts and LAPACK writes, of the operands.
    flops
        Operations of the best known form, of the sizes by name.
    expect
        `optimise`; `reject`: the program is wrong and must not compile; `warn`: a promise in it cannot hold, so there
        must be an error or a warning, and never a number in silence.
    scored
        Whether it counts for the score of its group.
    symbolic
        Whether it is compiled once for all sizes.
    traceable
        Whether tracing compilers can take it; a Python loop over a size would be unrolled.
    written_up_to
        The largest size at which the form as written is run, where it needs far more than the best form.
    """

    name: str
    about: str
    sizes: Sizes
    program: str
    written: Callable[..., Any] | None = None
    expert: Callable[..., Any] | None = None
    flops: Callable[..., float] | None = None
    expect: Literal["optimise", "reject", "warn"] = "optimise"
    scored: bool = False
    symbolic: bool = False
    traceable: bool = True
    written_up_to: int | None = None

    @property
    def group(self) -> str:
        return self.name.partition("/")[0]

    def best(self, sizes: Sizes) -> float:
        """Operations of the best known form at these sizes; NaN where none is known."""
        return float(self.flops(**sizes)) if self.flops is not None else float("nan")

    def checked(self) -> Program:
        """The program, typed. Raises `TpcError` if it is wrong."""
        checked = check(Source(self.program, self.name))
        checked.diagnostics.raise_errors()
        return checked.programs[checked.default() or ""]

    def warnings(self) -> list[str]:
        """The codes of what tpc warns of."""
        return [d.code for d in check(Source(self.program, self.name)).diagnostics.warnings]

    def operands(self, sizes: Sizes, seed: int) -> list[Any]:
        """Random operands that have the declared facts, in the order of the program; scalars are numbers."""
        program = self.checked()
        facts = facts_with_sizes(program, Solution(dict(sizes)))
        made = []
        for node in program.inputs:
            name, type = node["name"], node.tensor
            shape = [evaluate(d, dict(sizes)) for d in type.dims]
            value = sample(type.dtype, shape, facts.get(name, ()), seed=seed, name=name)
            made.append(value if shape else value.item())
        return made

    def runs_as_written(self, sizes: Sizes) -> bool:
        return self.written_up_to is None or max(sizes.values()) <= self.written_up_to


@dataclass(frozen=True)
class Group:
    """The cases of one source."""

    name: str
    source: str
    cases: tuple[Case, ...]


def scaled(sizes: Sizes, scale: float, floor: int = 64) -> dict[str, int]:
    """Sizes times a factor, but none made smaller than `floor` by it.

    >>> scaled({"n": 3000, "k": 20}, 0.1)
    {'n': 300, 'k': 20}
    """
    return {name: max(round(size * scale), min(size, floor)) for name, size in sizes.items()}


def small(sizes: Sizes) -> dict[str, int]:
    """Small sizes in the same order: equal ones stay equal, larger ones larger.

    >>> small({"n": 2500, "m": 500, "k": 2500})
    {'n': 7, 'm': 5, 'k': 7}
    """
    ranks = {size: 5 + 2 * rank for rank, size in enumerate(sorted(set(sizes.values())))}
    return {name: ranks[size] for name, size in sizes.items()}


def relative_error(actual: Any, expected: Any) -> float:
    """The largest difference of entries, over the largest entry, of a result or the worst of several.

    Infinite where shapes differ or what should be a number is none.
    """
    if isinstance(expected, tuple):
        if not isinstance(actual, tuple) or len(actual) != len(expected):
            return float("inf")
        return max(relative_error(a, e) for a, e in zip(actual, expected))
    given, wanted = np.asarray(actual), np.asarray(expected, np.float64)
    if given.shape != wanted.shape or not np.isfinite(given).all():
        return float("inf")
    if not wanted.size:
        return 0.0
    largest = float(np.abs(wanted).max()) or 1.0
    return float(np.abs(given - wanted).max()) / largest


def reference(function: Callable[..., Any], operands: list[Any]) -> tuple[Any, float]:
    """A function's value in double precision, and how much rounding grows in it.

    The growth is measured: the function is evaluated in single precision, operands rounded too, and the error is
    divided by the unit of that. So it has the condition of the problem, and what the formula makes worse.

    Returns
    -------
    value
        Of the operands as float64.
    growth
        At least 1; where single precision breaks down, as large as it can tell.
    """
    unit = float(np.finfo(np.float32).eps)
    value = function(*cast(operands, np.float64))
    try:
        with np.errstate(all="ignore"):
            moved = relative_error(function(*cast(operands, np.float32)), value)
    except np.linalg.LinAlgError:
        moved = 1.0
    return value, max(1.0, min(moved, 1.0) / unit)


def cast(operands: list[Any], dtype: Any) -> list[Any]:
    """Operands in another precision."""
    return [np.asarray(x, dtype) if isinstance(x, np.ndarray) else dtype(x) for x in operands]


def tolerance(operands: list[Any], growth: float) -> float:
    """The relative error that a result may have: the unit of the dtype times what grew, and a margin of 32."""
    arrays = [x for x in operands if isinstance(x, np.ndarray) and x.dtype.kind in "fc"]
    unit = max((np.finfo(x.dtype).eps for x in arrays), default=np.finfo(np.float64).eps)
    return float(32 * unit * growth)
