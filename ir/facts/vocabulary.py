"""The vocabulary of facts: what each says, what follows from what, and what cannot hold together.

A fact of a matrix holds for each matrix along the batch axes. `const`, `param` and `sparse` are about the use of a
value. A fact is a statement about exact arithmetic: rounding may break `psd` in the last bit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tpc.ir.dims import Dim, DimLike, is_nonnegative, minimum
from tpc.ir.facts.lines import is_square
from tpc.ir.node import Fact
from tpc.ir.types import TensorType


@dataclass(frozen=True, slots=True)
class FactKind:
    """A word of the vocabulary. `of` is what has it: `tensor`, `matrix` or `square` (a square matrix)."""

    name: str
    about: str
    of: str = "matrix"
    real: bool = False
    arguments: tuple[str, ...] = ()  # names of sizes; `density` is a number from 0 to 1, `bound` any number


FACTS: dict[str, FactKind] = {
    kind.name: kind
    for kind in (
        FactKind("symmetric", "equal to its transpose", "square", True),
        FactKind("spd", "symmetric with positive eigenvalues", "square", True),
        FactKind("psd", "symmetric without negative eigenvalues", "square", True),
        FactKind("skew", "equal to minus its transpose", "square", True),
        FactKind("projection", "symmetric and equal to its square, with rank r", "square", True, ("r",)),
        FactKind("diagonal", "zero off the diagonal"),
        FactKind("lower", "zero above the diagonal"),
        FactKind("upper", "zero below the diagonal"),
        FactKind("unit_diagonal", "ones on the diagonal"),
        FactKind("banded", "zero below the k-th subdiagonal and above the l-th superdiagonal", arguments=("k", "l")),
        FactKind("orthogonal", "columns and rows of length 1 at right angles", "square", True),
        FactKind("orthonormal", "columns of length 1 at right angles", real=True),
        FactKind("permutation", "a single 1 in every row and column, else 0", "square"),
        FactKind("full_rank", "rank as large as the shape allows"),
        FactKind("nonsingular", "having an inverse", "square"),
        FactKind("low_rank", "rank r at most", arguments=("r",)),
        FactKind("toeplitz", "constant along every diagonal"),
        FactKind("circulant", "each row the one above, turned right by one", "square"),
        FactKind("nonnegative", "without a negative entry", "tensor", True),
        FactKind("positive", "all entries above zero", "tensor", True),
        FactKind("negative", "all entries below zero", "tensor", True),
        FactKind("nonzero", "no entry is zero", "tensor"),
        FactKind("at_least", "no entry is below the bound", "tensor", True, ("bound",)),
        FactKind("at_most", "no entry is above the bound", "tensor", True, ("bound",)),
        FactKind("row_stochastic", "nonnegative, and every row sums to 1", real=True),
        FactKind("sparse", "at most this share of the entries is not zero", "tensor", arguments=("density",)),
        FactKind("const", "known when the program is compiled", "tensor"),
        FactKind("param", "changes rarely: work on it alone is done once, ahead", "tensor"),
    )
}

# About the use of a value: they say nothing of what is computed from it.
OF_USE = ("const", "param")

IMPLICATIONS = """
    spd(A)                           |- psd(A)
    spd(A)                           |- nonsingular(A)
    psd(A)                           |- symmetric(A)
    psd(A), nonsingular(A)           |- spd(A)
    nonsingular(A)                   |- full_rank(A)
    full_rank(A)                     |- nonsingular(A) where square(A)
    diagonal(A)                      |- lower(A)
    diagonal(A)                      |- upper(A)
    diagonal(A)                      |- banded(A, 0, 0)
    diagonal(A)                      |- symmetric(A)   where square(A)
    lower(A), upper(A)               |- diagonal(A)
    symmetric(A), lower(A)           |- diagonal(A)
    symmetric(A), upper(A)           |- diagonal(A)
    banded(A, 0, l)                  |- upper(A)
    banded(A, k, 0)                  |- lower(A)
    banded(A, k, l), lower(A)        |- banded(A, k, 0)
    banded(A, k, l), upper(A)        |- banded(A, 0, l)
    banded(A, k, l), symmetric(A)    |- banded(A, l, k)
    banded(A, k, l), banded(A, p, q) |- banded(A, min(k, p), min(l, q))
    diagonal(A), nonnegative(A)      |- psd(A)         where square(A)
    diagonal(A), unit_diagonal(A)    |- spd(A)         where square(A)
    diagonal(A), unit_diagonal(A)    |- permutation(A) where square(A)
    diagonal(A), unit_diagonal(A)    |- circulant(A)   where square(A)
    diagonal(A), unit_diagonal(A)    |- toeplitz(A)
    lower(A), unit_diagonal(A)       |- full_rank(A)
    upper(A), unit_diagonal(A)       |- full_rank(A)
    circulant(A)                     |- toeplitz(A)
    circulant(A)                     |- symmetric(A) where rows(A) <= 2
    permutation(A)                   |- orthogonal(A)
    permutation(A)                   |- row_stochastic(A)
    orthogonal(A)                    |- orthonormal(A)
    orthonormal(A)                   |- orthogonal(A)  where square(A)
    orthonormal(A)                   |- full_rank(A)
    orthonormal(A), nonnegative(A)   |- permutation(A) where square(A)
    orthogonal(A), lower(A)          |- diagonal(A)
    orthogonal(A), upper(A)          |- diagonal(A)
    projection(A, r)                 |- psd(A)
    projection(A, r)                 |- low_rank(A, r)
    projection(A, r)                 |- diagonal(A)      where r >= rows(A)
    projection(A, r)                 |- unit_diagonal(A) where r >= rows(A)
    projection(A, r), toeplitz(A), banded(A, k, l) |- diagonal(A) where rows(A) > 2 * k
    skew(A), symmetric(A)            |- low_rank(A, 0)
    skew(A), nonnegative(A)          |- low_rank(A, 0)
    skew(A), at_most(A, a)           |- low_rank(A, 0) where a <= 0
    skew(A), lower(A)                |- low_rank(A, 0)
    skew(A), upper(A)                |- low_rank(A, 0)
    orthonormal(A), unit_diagonal(A) |- diagonal(A)
    orthogonal(A), psd(A)            |- diagonal(A)
    orthogonal(A), psd(A)            |- unit_diagonal(A)
    row_stochastic(A)                |- nonnegative(A)
    row_stochastic(A), diagonal(A)   |- unit_diagonal(A)
    row_stochastic(A), unit_diagonal(A) |- full_rank(A)
    row_stochastic(A), unit_diagonal(A) |- diagonal(A) where rows(A) <= cols(A)
    row_stochastic(A)                |- at_most(A, 1)
    row_stochastic(A), at_least(A, a) |- low_rank(A, 1) where cols(A) * a >= 1
    row_stochastic(A), at_most(A, a) |- low_rank(A, 1) where cols(A) * a <= 1
    positive(A)                      |- nonnegative(A)
    positive(A)                      |- nonzero(A)
    negative(A)                      |- nonzero(A)
    nonnegative(A), nonzero(A)       |- positive(A)
    nonnegative(A)                   |- at_least(A, 0)
    negative(A)                      |- at_most(A, 0)
    at_least(A, a)                   |- nonnegative(A) where a >= 0
    at_least(A, a)                   |- positive(A)    where a > 0
    at_most(A, a)                    |- negative(A)    where a < 0
    at_most(A, a), nonzero(A)        |- negative(A)    where a <= 0
    at_least(A, a), at_most(A, b)    |- low_rank(A, 1) where matrix(A), a >= b
    at_least(A, a), at_most(A, b)    |- low_rank(A, 0) where matrix(A), a >= 0, b <= 0
    psd(A)                           |- nonnegative(A) where rows(A) <= 1
    spd(A)                           |- positive(A)    where rows(A) <= 1
"""

# Bounds are compared with a little room, since a bound such as 1/3 is a rounded number.
CONTRADICTIONS = """
    full_rank(A), low_rank(A, r)       |- never where r < rows(A), r < cols(A)
    low_rank(A, 0), nonzero(A)         |- never where rows(A) >= 1, cols(A) >= 1
    low_rank(A, 0), unit_diagonal(A)   |- never where rows(A) >= 1, cols(A) >= 1
    projection(A, r)                   |- never where r > rows(A)
    projection(A, r), low_rank(A, s)   |- never where s < r
    projection(A, r), unit_diagonal(A) |- never where r < rows(A)
    projection(A, r), positive(A)      |- never where r >= 2
    projection(A, r), diagonal(A), toeplitz(A) |- never where r >= 1, r < rows(A)
    projection(A, r), toeplitz(A), nonnegative(A) |- never where r < rows(A), rows(A) < 2 * r
    projection(A, r), row_stochastic(A), banded(A, k, l) |- never where rows(A) > r * (k + 1)
    projection(A, r), diagonal(A), at_most(A, a) |- never where r >= 1, a < 1
    projection(A, r), at_most(A, a)    |- never where 1.001 * rows(A) * a < r, a >= 0
    projection(A, r), at_most(A, a)    |- never where a <= 0, r >= 1
    projection(A, r), at_least(A, a)   |- never where rows(A) * a > 1.001 * r
    projection(A, r), at_least(A, a)   |- never where rows(A) * rows(A) * a * a > 1.001 * r, a > 0
    row_stochastic(A), low_rank(A, 0)  |- never where rows(A) >= 1
    row_stochastic(A), orthonormal(A)  |- never where rows(A) > cols(A)
    row_stochastic(A), upper(A)        |- never where rows(A) > cols(A)
    row_stochastic(A), unit_diagonal(A), nonzero(A) |- never where rows(A) >= 1, cols(A) >= 2
    row_stochastic(A), lower(A), at_most(A, a) |- never where a < 1, rows(A) >= 1
    row_stochastic(A), upper(A), at_most(A, a) |- never where 1.001 * (cols(A) - rows(A) + 1) * a < 1, rows(A) >= 1
    row_stochastic(A), banded(A, k, l) |- never where rows(A) > cols(A) + k
    row_stochastic(A), banded(A, k, l), at_most(A, a) |- never where 1.001 * (l + 1) * a < 1, rows(A) >= 1
    row_stochastic(A), banded(A, k, l), at_most(A, a) |- never where 1.001 * (cols(A) - rows(A) + k + 1) * a < 1
    row_stochastic(A), banded(A, k, l), low_rank(A, 1) |- never where rows(A) > k + l + 1
    row_stochastic(A), banded(A, k, 0), toeplitz(A) |- never where rows(A) > cols(A), cols(A) > k
    row_stochastic(A), at_most(A, a)   |- never where a <= 0, rows(A) >= 1
    row_stochastic(A), at_most(A, a)   |- never where 1.001 * cols(A) * a < 1, rows(A) >= 1
    row_stochastic(A), at_least(A, a)  |- never where cols(A) * a > 1.001, rows(A) >= 1
    row_stochastic(A), at_least(A, a)  |- never where a >= 1, rows(A) >= 1, cols(A) >= 2
    orthonormal(A)                     |- never where rows(A) < cols(A)
    orthonormal(A), positive(A)        |- never where cols(A) >= 2
    orthonormal(A), negative(A)        |- never where cols(A) >= 2
    orthonormal(A), at_least(A, a)     |- never where rows(A) * a * a > 1.001, a > 0, cols(A) >= 1
    orthonormal(A), at_most(A, a)      |- never where rows(A) * a * a > 1.001, a < 0, cols(A) >= 1
    orthonormal(A), nonnegative(A), at_most(A, a) |- never where 1.001 * rows(A) * a * a < cols(A)
    orthonormal(A), skew(A), at_most(A, a)  |- never where 1.001 * (rows(A) - 1) * a * a < 1, rows(A) >= 1
    orthonormal(A), skew(A), at_least(A, a) |- never where 1.001 * (rows(A) - 1) * a * a < 1, rows(A) >= 1
    orthonormal(A), circulant(A), nonzero(A) |- never where rows(A) == 2
    permutation(A), at_most(A, a)      |- never where a < 1, rows(A) >= 1
    permutation(A), nonzero(A)         |- never where rows(A) >= 2
    lower(A), nonzero(A)               |- never where rows(A) >= 1, cols(A) >= 2
    upper(A), nonzero(A)               |- never where rows(A) >= 2, cols(A) >= 1
    banded(A, k, l), nonzero(A)        |- never where rows(A) > k + 1, cols(A) >= 1
    banded(A, k, l), nonzero(A)        |- never where cols(A) > l + 1, rows(A) >= 1
    skew(A), nonzero(A)                |- never where rows(A) >= 1
    skew(A), unit_diagonal(A)          |- never where rows(A) >= 1
    skew(A), full_rank(A)              |- never where odd(A)
    skew(A), spd(A)                    |- never where rows(A) >= 1
    unit_diagonal(A), banded(A, k, l), low_rank(A, 1) |- never where rows(A) > min(k, l) + 1, cols(A) > min(k, l) + 1
    unit_diagonal(A), at_most(A, a)    |- never where a < 1, rows(A) >= 1, cols(A) >= 1
    unit_diagonal(A), at_least(A, a)   |- never where a > 1, rows(A) >= 1, cols(A) >= 1
    spd(A), at_most(A, a)              |- never where a <= 0, rows(A) >= 1
    spd(A), unit_diagonal(A), at_least(A, a) |- never where a >= 1, rows(A) >= 2
    psd(A), negative(A)                |- never where rows(A) >= 1
    positive(A), at_most(A, a)         |- never where a <= 0, nonempty(A)
    negative(A), at_least(A, a)        |- never where a >= 0, nonempty(A)
    at_least(A, a), at_most(A, b)      |- never where a > b, nonempty(A)
"""


def fits(fact: Fact, type: TensorType) -> bool:
    """Whether a value of this type is known to be one that can have the fact."""
    kind = FACTS[fact.name]
    if kind.real and type.dtype.kind == "c":
        return False
    return kind.of == "tensor" or (is_square(type) if kind.of == "square" else type.rank >= 2)


def covers(strong: Fact, weak: Fact) -> bool:
    """Whether a fact says as much as another of the same name."""
    if strong.name != weak.name:
        return False
    if strong.name == "projection":
        return strong == weak
    if strong.name == "at_least":
        strong, weak = weak, strong
    return all(_at_most(a, b) for a, b in zip(strong.arguments, weak.arguments, strict=True))


def _at_most(a: DimLike | float, b: DimLike | float) -> bool:
    if isinstance(a, float) or isinstance(b, float):
        return not isinstance(a, Dim) and not isinstance(b, Dim) and a <= b
    return is_nonnegative(b - a)


def is_empty(fact: Fact, type: TensorType) -> bool:
    """Whether every value of the type has the fact."""
    if fact.name == "sparse":
        return _at_most(1, fact.arguments[0])
    if fact.name in ("at_least", "at_most"):  # a bound that overflowed says nothing
        return any(isinstance(bound, float) and not math.isfinite(bound) for bound in fact.arguments)
    if fact.name == "low_rank":
        return _at_most(minimum(*type.dims[-2:]), fact.arguments[0])
    if fact.name == "banded":
        below, above = fact.arguments
        return _at_most(type.dims[-2] - 1, below) and _at_most(type.dims[-1] - 1, above)
    return False
