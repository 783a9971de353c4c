"""Sums of products in index notation as cases, and the operations of their best order of evaluation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from math import prod
from typing import Any

import numpy as np

from benchmarks.algebra.case import Case, Sizes

NAMES = "XYZUVW"


def contraction(
    name: str,
    about: str,
    equation: str,
    sizes: str,
    *,
    facts: Mapping[str, str] | None = None,
    expert: Callable[..., Any] | None = None,
    flops: Callable[..., float] | None = None,
    written_up_to: int | None = None,
) -> Case:
    """A case from an equation of einsum, such as `ij,jk->ik`, and the sizes of its letters, such as `i=5 j=6 k=7`.

    Without an expert it is evaluated in pairs, in the best order; without `flops` these are counted.
    """
    inputs, _, output = equation.partition("->")
    terms = inputs.split(",")
    operands = dict(zip(NAMES, terms))
    parameters = ", ".join(
        f"{x}: f64[{', '.join(f'n{i}' for i in term)}]" + (f" is {facts[x]}" if facts and x in facts else "")
        for x, term in operands.items()
    )
    summed = [i for i in dict.fromkeys(inputs.replace(",", "")) if i not in output]
    product = " * ".join(f"{x}[{', '.join(term)}]" for x, term in operands.items())
    total = f"sum[{', '.join(summed)}]({product})" if summed else product
    if output:
        result = f"f64[{', '.join(f'n{i}' for i in output)}]"
        body = f"R[{', '.join(output)}] = {total}\n    return R"
    else:
        result, body = "f64", f"return {total}"

    @cache  # an expert orders it once
    def path(shapes: tuple[tuple[int, ...], ...]) -> list[Any]:
        found: list[Any] = np.einsum_path(equation, *map(np.empty, shapes), optimize="optimal")[0]
        return found

    def in_pairs(*arrays: Any) -> Any:
        return np.einsum(equation, *arrays, optimize=path(tuple(x.shape for x in arrays)))

    letters = {letter: int(size) for letter, size in (part.split("=") for part in sizes.split())}
    return Case(
        name,
        about,
        {f"n{letter}": size for letter, size in letters.items()},
        f"def f({parameters}) -> {result}:\n    {body}",
        written=lambda np, *arrays: np.einsum(equation, *arrays),
        expert=expert or in_pairs,
        flops=flops or (lambda **named: pairwise_flops(equation, {key[1:]: n for key, n in named.items()})),
        written_up_to=written_up_to,
    )


def pairwise_flops(equation: str, sizes: Sizes) -> float:
    """Operations of a contraction in pairs, in the best of all orders; for a handful of operands.

    Letters that only one operand has are summed first. A pair costs a product for each entry of its grid, and an
    addition if anything is summed.
    """
    inputs, _, output = equation.partition("->")
    terms = [frozenset(term) for term in inputs.split(",")]
    everything = frozenset(range(len(terms)))

    def entries(letters: frozenset[str]) -> float:
        return float(prod(sizes[letter] for letter in letters))

    def kept(group: frozenset[int]) -> frozenset[str]:
        """The letters of a group of operands that its result must have."""
        others = frozenset(output).union(*(terms[i] for i in everything - group))
        return frozenset().union(*(terms[i] for i in group)) & others

    @cache
    def cost(group: frozenset[int]) -> float:
        if len(group) == 1:
            (index,) = group
            return entries(terms[index]) if kept(group) != terms[index] else 0.0
        first, *rest = sorted(group)
        best = float("inf")
        for mask in range(2 ** len(rest) - 1):  # each split once: `first` stands on the left
            left = frozenset([first, *(i for bit, i in enumerate(rest) if mask >> bit & 1)])
            grid = kept(left) | kept(group - left)
            step = entries(grid) * (2 if grid != kept(group) else 1)
            best = min(best, cost(left) + cost(group - left) + step)
        return best

    return cost(everything)
