"""Random well-typed programs: a text, and arguments for it at given sizes.

A program is grown statement by statement from the values that are there. Values carry an estimate of their size, so
that nothing overflows, and discontinuous functions (comparisons, sorting, rounding) only take what is exact in every
format: arguments, whose entries are multiples of 1/8, and what is moved from them without arithmetic.

Choices come from `below(n)`, a number from 0 to n-1: a seeded generator, or hypothesis, for which smaller numbers
stand for simpler programs.
"""

from __future__ import annotations

import random

from .main import write_main
from .program import Below, Program
from .sample import Sample

__all__ = ["Sample", "generate"]


def generate(below: Below | int, statements: int = 6) -> Sample:
    """A program by choices, or by a seed."""
    if isinstance(below, int):
        seeded = random.Random(below)

        def choose(n: int) -> int:
            return int(seeded.random() * n)

        below = choose
    return write_main(Program(below), statements)
