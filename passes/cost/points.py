"""At which sizes kernels are timed: skinny, square, tiny and large ones, drawn with a fixed seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from math import exp, log, prod

from tpc.passes.cost.families import FAMILIES
from tpc.passes.cost.weights import LEARNT, weight

TINY = (1, 2, 8, 30)  # drawn more often than chance would
BATCH = (2, 5, 20, 100)
STRETCH = 20  # how much longer than `largest` one side of a thin array may be
FRESH = 400_000  # entries of a result, from where on the time of small sums is that of the memory for them
ENTRIES = 10_000_000  # of the operands and results of one call


@dataclass(frozen=True, slots=True)
class Range:
    """The largest size on each axis and the most operations of one call, for a full calibration."""

    largest: tuple[int, ...]
    flops: float
    count: int


# Operations are bounded where a rate is low, so that no call takes more than about a third of a second.
RANGES: dict[str, Range] = {
    "gemm": Range((2000, 2000, 2000), 4e9, 130),
    "syrk": Range((2000, 2000), 4e9, 60),
    "gemv": Range((4000, 4000), 2e7, 60),
    "gevm": Range((4000, 4000), 2e7, 60),
    "dot": Range((4_000_000,), 1e7, 30),
    "ger": Range((3000, 3000), 1e7, 40),
    "trmm": Range((2000, 2000), 8e9, 70),
    "trmv": Range((3000,), 1e7, 24),
    "trsm": Range((2000, 2000), 8e9, 70),
    "trsv": Range((3000,), 1e7, 24),
    "potrf": Range((2000,), 3e9, 30),
    "potrs": Range((2000, 2000), 16e9, 70),
    "potri": Range((1500,), 3e9, 30),
    "trtri": Range((2000,), 3e9, 30),
    "getrf": Range((1500,), 3e9, 30),
    "getrs": Range((2000, 2000), 16e9, 70),
    "gesv": Range((1500, 1500), 4e9, 80),
    "getri": Range((1500,), 7e9, 30),
    "sytrf": Range((1500,), 2e9, 30),
    "sytrs": Range((2000, 2000), 16e9, 70),
    "geqrf": Range((2000, 2000), 2e9, 50),
    "gelsd": Range((2000, 1000, 500), 6e8, 60),
    "gesdd": Range((1500, 1500), 1e9, 50),
    "gesdd_values": Range((1500, 1500), 4e8, 50),
    "syevd": Range((700,), 3e9, 28),
    "syevd_values": Range((900,), 1e9, 28),
    "geev": Range((300,), 7e8, 24),
    "band_matmul": Range((2000, 500, 60), 2e7, 80),
    "band_solve": Range((2000, 500, 60), 2e7, 80),
    "spmv": Range((4000, 4000, 4_000_000), 1e7, 60),
    "spmm": Range((4000, 4000, 512, 2_000_000), 6e8, 140),
    "sddmm": Range((4000, 4000, 128, 1_000_000), 1e8, 60),
    "reduce": Range((4_000_000, 2000), 1e7, 50),
    "copy": Range((8_000_000,), 1e7, 30),
    "transpose_copy": Range((3000, 3000), 4e6, 40),
    "gather": Range((3_000_000,), 1e7, 30),
    "linear_scan": Range((50_000, 5000), 1e6, 40),
    "fft": Range((1_000_000,), 2e8, 40),
    "einsum": Range((300, 300, 300), 1e7, 40),
    "elementwise": Range((4_000_000,), 1e7, 70),
}


@dataclass(frozen=True, slots=True)
class Point:
    """One thing to time: `sizes` are those of the operands, `asked` those by which the family is asked."""

    kernel: str
    sizes: tuple[int, ...]
    asked: tuple[int, ...]
    batch: int = 1
    function: str = ""


def points(kernel: str, batched: bool, seed: int = 0, quick: bool = False) -> list[Point]:
    """The points of a kernel, each once, in an order that mixes small and large."""
    span = RANGES[kernel]
    chance = random.Random(f"{kernel} {seed}")
    count = max(12, span.count // 3) if quick else span.count
    largest = tuple(min(size, 400 if len(span.largest) > 1 else 20_000) if quick else size for size in span.largest)
    most = span.flops / 20 if quick else span.flops
    found: dict[Point, None] = {}
    for sizes in _corners(largest):
        _keep(found, kernel, sizes, 1, most, chance)
        if batched and max(sizes) <= max(TINY):
            _keep(found, kernel, sizes, chance.choice(BATCH), most, chance)
        for usual in _usual(kernel, sizes):
            _keep(found, kernel, usual, 1, most, chance)
    for _ in range(100 * count):
        if len(found) >= count:
            break
        sides = list(largest)
        if len(sides) > 1 and not quick and chance.random() < 0.2:
            sides[chance.randrange(len(sides))] *= STRETCH
        sizes = tuple(_draw(chance, size) for size in sides)
        if "stored" in FAMILIES[kernel].sizes and chance.random() < 0.5:  # drawn alone, few are for a large matrix
            sizes = chance.choice([*_usual(kernel, sizes)])
        batch = chance.choice(BATCH) if batched and chance.random() < 0.15 and prod(sizes) < 1e5 else 1
        _keep(found, kernel, sizes, batch, most, chance)
    drawn = list(found)
    chance.shuffle(drawn)
    return drawn


def _corners(largest: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """All sizes alike, from 1 to the largest."""
    for size in (1, 2, 8, 30, 100, 300, 1000, max(largest)):
        yield tuple(min(size, most) for most in largest)


def _usual(kernel: str, sizes: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """The same with a single right side, with three diagonals, and with so much of a matrix, as programs have them."""
    if "stored" in FAMILIES[kernel].sizes:
        rows, columns, *middle, _ = sizes
        for one_in in (2, 10, 100):
            yield rows, columns, *middle, rows * columns // one_in
    if FAMILIES[kernel].sizes[:2] == ("n", "m"):
        n, m, *width = sizes
        yield (n, 1, *(min(w, 3) for w in width))
        if width:
            yield n, m, 3


def _draw(chance: random.Random, largest: int) -> int:
    if chance.random() < 0.15:
        return min(chance.choice(TINY), largest)
    return round(exp(chance.uniform(0, log(largest))))


def _keep(
    found: dict[Point, None], kernel: str, sizes: tuple[int, ...], batch: int, most: float, chance: random.Random
) -> None:
    """Add a point, unless a call would be too long."""
    function, asked = "", sizes
    if kernel == "elementwise":
        function = chance.choice(LEARNT)
        asked = (sizes[0], 2 if function in ("add", "mul", "div") else 1, weight(function))
    elif kernel == "einsum":
        m, n, k = sizes
        asked = (3 * m * n * k, 8 * (m * k + n * k + m * n + k))
    elif kernel == "fft" and chance.random() < 0.6:  # lengths that people choose
        sizes = asked = (max(1, round(sizes[0] / 16)) * 16 if sizes[0] > 100 else sizes[0],)
    elif kernel == "reduce":  # a whole number of entries for each result
        entries, results = max(sizes), min(sizes)
        sizes = asked = (max(1, entries // results) * results, results)
    elif kernel.startswith("band"):
        n, m, width = sizes
        sizes = asked = (n, m, min(n, width))
    elif kernel in ("spmv", "spmm", "sddmm"):  # at most every other entry is stored
        rows, columns, *middle, stored = sizes
        middle = [min(m, span) for m, span in zip(middle, RANGES[kernel].largest[2:])]  # more are taken in parts
        sizes = asked = (rows, columns, *middle, max(1, min(stored, rows * columns // 2)))
        if kernel == "spmm" and rows * middle[0] > 4 * FRESH:
            return
    family = FAMILIES[kernel]
    if kernel.startswith("band") and sizes[0] ** 2 > ENTRIES:  # the band is one of a whole matrix
        return
    if batch * family.flops(*asked) <= most and batch * family.entries(*asked) <= ENTRIES * (
        8 if family.in_bytes else 1
    ):
        found[Point(kernel, sizes, asked, batch, function)] = None
