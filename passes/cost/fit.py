"""From measured times to coefficients, and how far predictions are off on points that had no part in a fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import mul

from tpc.passes.cost.families import FAMILIES

FOLDS = 5


@dataclass(frozen=True, slots=True)
class Fit:
    """The price of a kernel's terms.

    Attributes
    ----------
    coefficients
        Seconds for one of each term of the family.
    largest
        The largest of each size that was timed.
    error
        The mean relative error on points left out of the fit.
    flops_error
        The same where all operations have one price, and nothing else has.
    points
        How many were timed.
    """

    coefficients: tuple[float, ...]
    largest: tuple[int, ...]
    error: float
    flops_error: float
    points: int


def least_relative_squares(terms: Sequence[Sequence[float]], seconds: Sequence[float]) -> tuple[float, ...]:
    """Nonnegative coefficients with the least sum of squares of relative errors.

    By the active-set method of Lawson and Hanson (1974), on columns scaled to a largest entry of 1. A term that does
    not occur gets 0.
    """
    import numpy as np
    from scipy.optimize import nnls

    scaled = np.array(terms, float) / np.array(seconds, float)[:, None]
    scale = scaled.max(axis=0, initial=0)
    scale[scale == 0] = 1
    found, _ = nnls(scaled / scale, np.ones(len(scaled)), maxiter=100 * scaled.shape[1])
    return tuple(float(c) for c in found / scale)


def predicted(coefficients: Sequence[float], terms: Sequence[float]) -> float:
    """The seconds that the terms add up to."""
    return sum(map(mul, coefficients, terms), 0.0)


def held_out(terms: Sequence[Sequence[float]], seconds: Sequence[float], folds: int = FOLDS) -> list[float]:
    """A prediction for each point by a fit on the points of the other folds; scaling is part of each fit."""
    guesses = [0.0] * len(seconds)
    for fold in range(folds):
        rest = [i for i in range(len(seconds)) if i % folds != fold]
        coefficients = least_relative_squares([terms[i] for i in rest], [seconds[i] for i in rest])
        for i in range(fold, len(seconds), folds):
            guesses[i] = predicted(coefficients, terms[i])
    return guesses


def mean_error(guesses: Sequence[float], seconds: Sequence[float]) -> float:
    """The mean of the relative errors."""
    return sum(abs(g - s) / s for g, s in zip(guesses, seconds)) / len(seconds)


def fit(
    kernel: str,
    sizes: Sequence[tuple[int, ...]],
    batches: Sequence[int],
    seconds: Sequence[float],
    item: int,
    caches: Sequence[int],
) -> Fit:
    """Fit one kernel to what was timed, in numbers of `item` bytes."""
    terms = [FAMILIES[kernel].values(asked, batch, item, caches) for asked, batch in zip(sizes, batches)]
    if max(batches) == 1:  # no call takes a batch, so that the price of a call is one of each matrix
        terms = [[0.0, *row[1:]] for row in terms]
    rate = [(row[2] + row[3],) for row in terms]
    return Fit(
        least_relative_squares(terms, seconds),
        tuple(max(column) for column in zip(*sizes)),
        mean_error(held_out(terms, seconds), seconds),
        mean_error(held_out(rate, seconds), seconds),
        len(seconds),
    )
