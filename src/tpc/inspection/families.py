"""All families of structures, in the order in which they look; each sees what those before it have found."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tpc.inspection.bands import reordered_band, sparse, triangles
from tpc.inspection.blocks import block_diagonal, permutation
from tpc.inspection.butterflies import monarch, transform
from tpc.inspection.entries import constant, real, repeated, signs, whole
from tpc.inspection.finding import Finding
from tpc.inspection.products import kronecker, kronecker_sum
from tpc.inspection.ranks import low_rank, low_rank_plus_diagonal
from tpc.inspection.shifts import exclusive_or, shifts
from tpc.inspection.subject import Subject
from tpc.inspection.symmetry import definite, orthogonal, projection, transpose
from tpc.inspection.transforms import characters, trigonometric

Family = Callable[[Subject, list[Finding]], Iterator[Finding]]

FAMILIES: tuple[Family, ...] = (
    constant,
    signs,
    whole,
    real,
    triangles,
    permutation,  # all that a diagonal matrix has is said already
    block_diagonal,
    sparse,
    reordered_band,
    transpose,
    repeated,
    shifts,
    exclusive_or,
    low_rank,  # a constant and a permutation need no factors
    low_rank_plus_diagonal,
    definite,  # by what is symmetric
    orthogonal,
    projection,
    characters,
    trigonometric,
    kronecker_sum,
    kronecker,  # a rank of one is a product of any sizes
    monarch,  # it holds much of what is above, at a higher price
    transform,
)
