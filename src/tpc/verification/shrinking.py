"""Large sizes made small, in a program and in plans that were compiled for them, so that both can be evaluated exactly.

A plan for n = 1000 has integers where the program has names. Smaller sizes are chosen at which the lengths of all axes
in the program, such as n and 2*n + 1, are ordered as they are at the large ones, and equal where they are equal. So it
is known of each integer what becomes of it, and of numbers such as 1/n. The same is done to the program and to its
plans; what is compared then is the same algebra at other sizes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from random import Random

from tpc.dsl.diagnostics import InternalError
from tpc.ir.build import literal_value
from tpc.ir.dims import DimLike, evaluate, names_of
from tpc.ir.node import Program
from tpc.ir.sizes import resized
from tpc.ir.verify import verify
from tpc.passes.inline import inline
from tpc.passes.pipeline import Options, run
from tpc.verification.sizes import allows

SMALL = 6  # sizes up to this one stay as they are, and so do numbers, which may be axes or counts
RANGES = (5, 10, 20)  # how far above `SMALL` sizes are looked for, in turn
TRIES = 30
PLAIN = 12  # numbers that are fractions with denominators up to this one come from rules and from the program

# Numbers that are made of a size, and multiples of them.
MADE: tuple[Callable[[float], float], ...] = (
    *(lambda n: n, lambda n: 1 / n, lambda n: n - 1, lambda n: n + 1, lambda n: 1 / (n - 1), lambda n: 1 / (n + 1)),
    *(sqrt, lambda n: 1 / sqrt(n), lambda n: n * n, lambda n: 1 / (n * n)),
)
MULTIPLES = (4, 3, 0.25, 2, 0.5, 1)


@dataclass(frozen=True)
class Shrunk:
    """A program and plans of it at smaller sizes.

    Attributes
    ----------
    is_sure
        Whether it is known of every number in the plans what it is at these sizes. If not, a difference means nothing.
    """

    written: Program
    plans: tuple[Program, ...]
    sizes: dict[str, int]
    is_sure: bool


def shrunk(
    generic: Program, written: Program, plans: Sequence[Program], fixed: Mapping[str, int], seed: int
) -> Shrunk | None:
    """The program and its plans at smaller sizes; None where none are known.

    Parameters
    ----------
    generic, written
        The program with its sizes by name, and at the sizes that are fixed.
    fixed
        The sizes that the plans were compiled for.
    """
    whole = inline(generic)
    named, axes = _sizes(whole), _axes(whole)
    if any(name not in fixed for dim in named for name in names_of(dim)):
        return None
    wanted = {size for program in (written, *plans) for size in _sizes(program) if isinstance(size, int)}
    for span in RANGES:
        rng = Random(seed)
        for _ in range(TRIES):
            sizes = _drawn(fixed, span, rng)
            becomes = _becomes(named, fixed, sizes)
            if becomes is None or not allows(generic, sizes) or not _is_ordered(axes, becomes, fixed):
                continue
            products = {size: _products(size, becomes) for size in wanted - set(becomes) if size > SMALL}
            if all(products.values()):
                becomes |= {size: found[0] for size, found in products.items()}
                is_sure = all(len(found) == 1 for found in products.values())
                floats = _folded(generic, fixed, sizes)
                return _at(written, plans, becomes, floats, sizes, is_sure)
    return None


def _at(
    written: Program,
    plans: Sequence[Program],
    becomes: Mapping[int, int],
    folded: Mapping[float, float],
    sizes: dict[str, int],
    is_sure: bool,
) -> Shrunk | None:
    large = [(before, after) for before, after in becomes.items() if before > SMALL]
    made = [(make(before), make(after)) for make in MADE for before, after in large]
    floats = {
        _spelled(sign * k * before): sign * k * after
        for k in MULTIPLES
        for sign in (1, -1)
        for before, after in (*made, *folded.items())
    }
    unsure: list[float] = []

    def change(value: DimLike | float) -> DimLike | float:
        if isinstance(value, int):
            return becomes.get(value, value) if value > SMALL else value
        if isinstance(value, float):
            if _spelled(value) in floats:
                return floats[_spelled(value)]
            if not any((value * k).is_integer() for k in range(1, PLAIN + 1)):
                unsure.append(value)
        return value

    small = [resized(program, change) for program in (written, *plans)]
    try:
        for program in small:
            verify(program, "shrink")
    except InternalError:  # integers that are no sizes were taken for some, or sizes for others
        return None
    return Shrunk(small[0], tuple(small[1:]), sizes, is_sure and not unsure)


def _spelled(value: float) -> str:
    """A number but for rounding."""
    return f"{value:.12e}"


def _sizes(program: Program) -> set[DimLike]:
    """All that some axis is long, or that the program computes with as a size."""
    found: set[DimLike] = set()

    def look(value: DimLike | float) -> DimLike | float:
        if not isinstance(value, float):
            found.add(value)
        return value

    resized(program, look)
    return found


def _axes(program: Program) -> set[DimLike]:
    """The lengths of axes."""
    types = [node.type for node in (*program.inputs, *program.walk())]
    return {dim for type in types for t in (type if isinstance(type, tuple) else (type,)) for dim in t.dims}


def _folded(generic: Program, fixed: Mapping[str, int], sizes: Mapping[str, int]) -> dict[float, float]:
    """What becomes of the numbers that are computed before anything is chosen, such as n * log(2 * pi)."""
    spelled = [list(run(generic, Options(at), "respell").program.walk()) for at in (fixed, sizes)]
    if [node.op for node in spelled[0]] != [node.op for node in spelled[1]]:
        return {}
    values = [[literal_value(node) for node in nodes] for nodes in spelled]
    return {a: b for a, b in zip(*values) if isinstance(a, float) and isinstance(b, float)}


def _drawn(fixed: Mapping[str, int], span: int, rng: Random) -> dict[str, int]:
    """Small sizes in the order of the large ones."""
    large = sorted({size for size in fixed.values() if size > SMALL})
    small = dict(zip(large, sorted(rng.sample(range(SMALL + 1, SMALL + 1 + span + len(large)), len(large)))))
    return {name: small.get(size, size) for name, size in fixed.items()}


def _becomes(named: set[DimLike], fixed: Mapping[str, int], sizes: Mapping[str, int]) -> dict[int, int] | None:
    """What becomes of each size; None if equal ones would differ."""
    found: dict[int, int] = {}
    for dim in named:
        if found.setdefault(evaluate(dim, fixed), evaluate(dim, sizes)) != evaluate(dim, sizes):
            return None
    return found


def _is_ordered(axes: set[DimLike], becomes: Mapping[int, int], fixed: Mapping[str, int]) -> bool:
    after = [becomes[before] for before in sorted({evaluate(dim, fixed) for dim in axes})]
    return all(a < b for a, b in zip(after, after[1:]))


def _products(size: int, becomes: Mapping[int, int]) -> list[int]:
    """What may become of a product of sizes, of as few factors as there can be, or of a multiple of one."""
    for count in (2, 3, 4):
        found = set(_of_factors(size, becomes, count))
        if found:
            return sorted(found)
    return sorted({k * becomes[size // k] for k in (2, 3, 4) if size % k == 0 and size // k in becomes})


def _of_factors(size: int, becomes: Mapping[int, int], count: int) -> Iterator[int]:
    if count == 1 and size in becomes:
        yield becomes[size]
    for factor in becomes if count > 1 else ():
        if factor > 1 and size % factor == 0:
            yield from (becomes[factor] * rest for rest in _of_factors(size // factor, becomes, count - 1))
