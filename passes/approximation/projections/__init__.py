"""Projections of arrays to structures, a family a file.

    low_rank.py     svd, certified randomized svd, Nystrom, CUR
    diagonal.py     low rank plus a diagonal
    monarch.py      Monarch and block tensor train: an svd for each slice
    transforms.py   products of sparse factors: an svd of rank one for each slice, level by level
    kronecker.py    sums of Kronecker products: an svd of the rearrangement
    blocks.py       block diagonal
    bands.py        a few diagonals
    semiseparable.py  triangles that decay from row to row
    tiles.py        low rank in tiles away from the diagonal
    shifts.py       circulant, Toeplitz, Hankel, xor-circulant: means along lines
    trains.py       tensor trains of matrices and arrays, by sequential svds
    butterflies.py  flat butterflies, beside a low rank
    sparse.py       the largest entries or blocks, or columns and rows; where there are kernels for sparse constants
    boxes.py        rank one in ranges of rows and columns, which may overlap; where there are such kernels
    quantized.py    codes of few bits, and tables; where code is generated
    codebooks.py    the tables
    tucker.py       Tucker forms, by svds of unfoldings
    networks.py     tensor networks of arrays with several axes: which axes are tied is searched for

A family yields arrays of its structure that are likely to be within the budget, the cheapest first. It declines as
early as it can: where even the largest size of parts that would gain anything leaves too much. What it yields is never
trusted; the certificate is made of the parts themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tpc.passes.approximation.projected import Projected
from tpc.passes.approximation.projections.bands import banded
from tpc.passes.approximation.projections.blocks import block_diagonal
from tpc.passes.approximation.projections.butterflies import flat_butterfly
from tpc.passes.approximation.projections.diagonal import low_rank_plus_diagonal
from tpc.passes.approximation.projections.kronecker import kronecker_sums
from tpc.passes.approximation.projections.low_rank import low_rank, nystrom
from tpc.passes.approximation.projections.monarch import monarch
from tpc.passes.approximation.projections.networks import tensor_networks
from tpc.passes.approximation.projections.semiseparable import semiseparable
from tpc.passes.approximation.projections.shifts import shifts
from tpc.passes.approximation.projections.tiles import block_low_rank
from tpc.passes.approximation.projections.trains import tensor_trains
from tpc.passes.approximation.projections.transforms import fast_transform
from tpc.passes.approximation.projections.tucker import tucker
from tpc.passes.approximation.target import Target

Family = Callable[[Target], Iterator[Projected]]

WEIGHTED = (low_rank,)  # those that look at the data; others see every entry alike, and are only measured on it

FAMILIES: tuple[Family, ...] = (
    shifts,
    block_diagonal,
    banded,
    low_rank,
    kronecker_sums,
    nystrom,
    low_rank_plus_diagonal,
    monarch,
    fast_transform,
    semiseparable,
    block_low_rank,
    flat_butterfly,
    tensor_trains,
    tucker,
    tensor_networks,
)
