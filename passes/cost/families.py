"""The kernels that the time of a program is made of: their sizes, and the terms of which their time is a sum.

The terms of every family begin alike: one call, one matrix of a batch, operations up to a threshold and beyond it
(libraries change their method or begin to use threads there), and bytes by the level of cache that they overflow.
Then come the family's own, such as the columns that a factorization walks through one by one. Each term grows with
each size and no coefficient is negative, so that more work is never predicted to take less time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log2, sqrt

COMMON = (
    "call",
    "matrix",
    "operations",
    "operations beyond",
    "bytes",
    "beyond L1",
    "beyond L2",
    "beyond L3",
    "in new pages",
)
LEVELS = 3  # of cache
PAGES = 2**25  # bytes beyond which the memory of a result is fetched from the system, page by page, at each call
LARGE, SMALL = 1e6, 2e4  # operations from which on products of matrices, and walks over arrays, are large
NEAR = 2**17  # numbers that a cache next to the core holds
WIDE = 500  # entries of a state from which on a recurrence is made step by step
SMALL_FACTOR = 13  # of the length of a Fourier transform, up to which libraries have code of its own


@dataclass(frozen=True, slots=True)
class Family:
    """A kernel, and how its work depends on its sizes.

    Attributes
    ----------
    sizes
        What its sizes are called.
    flops
        Operations at given sizes, as the textbook counts them.
    entries
        Numbers that are read and written.
    own
        Its own terms at given sizes, by name.
    threshold
        Operations beyond which they have another price.
    in_bytes
        Whether `entries` is in bytes already.
    """

    sizes: tuple[str, ...]
    flops: Callable[..., float]
    entries: Callable[..., float]
    own: Callable[..., dict[str, float]] = lambda *sizes: {}
    threshold: float = LARGE
    in_bytes: bool = False

    @property
    def terms(self) -> tuple[str, ...]:
        """What the terms are called, in order."""
        return (*COMMON, *self.own(*(1 for _ in self.sizes)))

    def values(
        self, sizes: Sequence[int], batch: int, item: int, caches: Sequence[int], multiplied: float = 1
    ) -> list[float]:
        """The terms at given sizes, for numbers of `item` bytes; operations count `multiplied` times.

        Bytes miss a cache from its size on, and all of them do from twice its size on.
        """
        flops = multiplied * self.flops(*sizes)
        low = min(flops, self.threshold)
        moved = batch * (1 if self.in_bytes else item) * self.entries(*sizes)
        return [
            1.0,
            batch,
            batch * low,
            batch * (flops - low),
            moved,
            *[min(moved, 2 * max(0, moved - cache)) for cache in (*caches, PAGES)],
            *[batch * value for value in self.own(*sizes).values()],
        ]


def _blocks(size: int, block: int) -> int:
    """A size rounded up to whole blocks."""
    return -(-size // block) * block


def _square(flops: float) -> Family:
    """Work of order n^3 on one n x n matrix, which goes through its columns one by one."""
    return Family(("n",), lambda n: flops * n**3, lambda n: 2 * n * n, lambda n: {"n": n, "n n": n * n})


def _solve(flops: float) -> Family:
    """Work with an n x n matrix and m right sides."""
    return Family(
        ("n", "m"),
        lambda n, m: flops * n * n * m,
        lambda n, m: n * n + 2 * n * m,
        lambda n, m: {
            "n": n,
            "m": m if n > 1 else 0,
            "n m": n * m,
            "n n": n * n,
            # a single right side is a vector, which goes to routines of its own
            "more than a vector": 1 if m > 1 else 0,
            "n n of more than a vector": n * n if m > 1 else 0,
            "n n m in blocks": n * n * _blocks(m, 8) if m > 1 else 0,
            "n m in diagonal blocks": n * min(n, 256) * m,  # the rest of the work is one of products
            "n n m of long columns": n * n * m * _beyond(n, 300),
        },
    )


def _tall(flops: float) -> Family:
    """Work on an m x n matrix with shorter side s, of order m n s."""
    return Family(
        ("m", "n"),
        lambda m, n: flops * m * n * min(m, n),
        lambda m, n: 3 * m * n,
        lambda m, n: {
            "s": min(m, n),
            "s s": min(m, n) ** 2,
            "s s s": min(m, n) ** 3,
            "m n": m * n,
            "longer side": max(m, n),
        },
    )


def _matrix_vector() -> Family:
    """A product of an m x n matrix with a vector, from either side."""
    return Family(("m", "n"), lambda m, n: 2 * m * n, lambda m, n: m * n + m + n, lambda m, n: {"m": m, "n": n}, SMALL)


def _triangle_vector() -> Family:
    """A product or a solve with an n x n triangle and one vector."""
    return Family(("n",), lambda n: n * n, lambda n: n * n, lambda n: {"n": n}, SMALL)


def _beyond(size: int, bound: int) -> float:
    """How far a walk over so many lines of memory misses a cache that holds `bound`: from 0 to 1."""
    return min(1.0, max(0.0, size / bound - 1))


def _transform(n: int) -> dict[str, float]:
    """Steps of a Fourier transform of length n.

    A prime factor p takes p steps for each entry. A length with large ones may be reached by a detour instead, three
    transforms of a convenient length of twice the size (Bluestein 1970).
    """
    rest, small, large, p = max(n, 1), 0, 0, 2
    while p * p <= rest and p < 1000:
        while rest % p == 0:
            rest //= p
            small, large = (small + p, large) if p <= SMALL_FACTOR else (small, large + p)
        p += 1
    if rest > 1:
        small, large = (small + rest, large) if rest <= SMALL_FACTOR else (small, large + rest)
    detour = 12 * log2(2 * max(n, 1))
    if small + large > detour:
        return {"factors": 0, "large factors": 0, "detour": n * detour}
    return {"factors": n * max(small, 1), "large factors": n * large, "detour": 0}


FAMILIES: dict[str, Family] = {
    # products
    "gemm": Family(
        ("m", "n", "k"),
        lambda m, n, k: 2 * m * n * k,
        lambda m, n, k: m * k + k * n + m * n,
        lambda m, n, k: {
            "m k": m * k,
            "k n": k * n,
            "m n": m * n,
            "passes over m n": m * n * -(-k // 256),
            "m k of large": m * k if m * n * k > LARGE else 0,  # small products need no copies of their operands
            "k n of large": k * n if m * n * k > LARGE else 0,
            "m + n + k": m + n + k,
            "m n k in wide blocks": _blocks(m, 4) * _blocks(n, 16) * k,
            "m n k in tall blocks": _blocks(m, 16) * _blocks(n, 4) * k,
            "m n of an outer product": m * n if k == 1 else 0,  # which NumPy does not give to BLAS
            "s s": min(m, n, k) ** 2,
        },
        2 * LARGE,
    ),
    "syrk": Family(
        ("n", "k"),
        lambda n, k: n * n * k,
        lambda n, k: n * k + n * n,
        lambda n, k: {
            "n k": n * k,
            "n k of few rows": min(n, 16) * k if n > 1 else 0,
            "n n": n * n,
            "n n of long columns": n * n * _beyond(n, 256),  # one triangle is copied to the other
            "passes over n n": n * n * -(-k // 256),
            "n": n,
            "n n k in blocks": _blocks(n, 16) ** 2 * k,
        },
    ),
    "gemv": _matrix_vector(),
    "gevm": _matrix_vector(),
    "dot": Family(("n",), lambda n: 2 * n, lambda n: 2 * n, threshold=SMALL),
    "ger": Family(
        ("m", "n"),
        lambda m, n: m * n,
        lambda m, n: m * n + m + n,
        lambda m, n: {"rows": m if n > 1 else 0},
        SMALL,
    ),
    "trmm": _solve(1),
    "trmv": _triangle_vector(),
    # factorizations and solves
    "trsm": _solve(1),
    "trsv": _triangle_vector(),
    "potrf": Family(
        ("n",),
        lambda n: n**3 / 3,
        lambda n: 2 * n * n,
        lambda n: {**_square(1).own(n), "more than a block": 1 if n > 32 else 0},
    ),
    "potrs": _solve(2),
    "potri": _square(2 / 3),
    "trtri": _square(1 / 3),
    "getrf": _square(2 / 3),
    "getrs": _solve(2),
    "gesv": Family(
        ("n", "m"),
        lambda n, m: 2 * n**3 / 3 + 2 * n * n * m,
        lambda n, m: 2 * (n * n + n * m),
        lambda n, m: {**_solve(2).own(n, m), "n n n": n**3},
    ),
    "getri": _square(2),
    "sytrf": _square(1 / 3),
    "sytrs": _solve(2),
    "geqrf": _tall(4),
    "gelsd": Family(
        ("m", "n", "r"),
        lambda m, n, r: 4 * m * n * min(m, n) + 4 * m * n * r,
        lambda m, n, r: 2 * m * n + (m + n) * r,
        lambda m, n, r: {**_tall(4).own(m, n), "s r": min(m, n) * r},
    ),
    "gesdd": _tall(10),
    "gesdd_values": _tall(4),
    "syevd": _square(9),
    "syevd_values": _square(4 / 3),
    "geev": _square(25),
    # of a band of so many diagonals
    "band_matmul": Family(
        ("n", "m", "width"),
        lambda n, m, width: 2 * n * m * width,
        lambda n, m, width: n * width + 2 * n * m,
        lambda n, m, width: {
            "width": width,
            "n width": n * width,
            "n width in many pages": n * width * _beyond(n, 1000),  # a diagonal has an entry in each row
            "n m": n * m,
            "n": n,
        },
        SMALL,
    ),
    "band_solve": Family(
        ("n", "m", "width"),
        lambda n, m, width: n * width * (width / 2 + 2 * m),
        lambda n, m, width: n * width + 2 * n * m,
        lambda n, m, width: {
            "width beyond three": max(0, width - 3),
            "n width": n * width,
            "n width in many pages": n * width * _beyond(n, 1000),
            "n m": n * m,
            "n": n,
            "n m width": n * m * width,
            # three diagonals and one alone go to routines of their own
            "more than three": 1 if width > 3 else 0,
            "n of more than three": n if width > 3 else 0,
            "n m of more than one": n * m if width > 1 and m > 1 else 0,
            # a library without a solver for bands takes the whole matrix
            "n n n": n**3,
            "n n m": n * n * m,
        },
        SMALL,
    ),
    # with a sparse matrix, of which so many entries are stored, each with its column
    "spmv": Family(
        ("n", "k", "stored"),
        lambda n, k, stored: 2 * stored,
        lambda n, k, stored: 2 * stored + k + n,
        lambda n, k, stored: {"n": n, "stored beyond a cache": stored * _beyond(k, NEAR)},
        SMALL,
    ),
    "spmm": Family(
        ("n", "k", "m", "stored"),
        lambda n, k, m, stored: 2 * stored * m,
        lambda n, k, m, stored: 2 * stored + k * m + n * m,
        lambda n, k, m, stored: {
            "n": n,
            "n m": n * m,
            "stored": stored,
            "stored in blocks": stored * _blocks(m, 8),
            "stored m beyond a cache": stored * m * _beyond(k * min(m, 64), NEAR),  # columns are taken in parts
        },
        SMALL,
    ),
    "sddmm": Family(
        ("rows", "columns", "k", "stored"),
        lambda rows, columns, k, stored: 2 * stored * k,
        lambda rows, columns, k, stored: 3 * stored + (rows + columns) * k,
        lambda rows, columns, k, stored: {
            "rows": rows,
            "stored": stored,
            "stored in blocks": stored * _blocks(k, 8),
            "stored k beyond a cache": stored * k * _beyond(columns * k, NEAR),
        },
        SMALL,
    ),
    # passes over entries
    "elementwise": Family(
        ("entries", "operands", "weight"),
        lambda entries, operands, weight: entries * weight,
        lambda entries, operands, weight: entries * (operands + 1),
        threshold=SMALL,
    ),
    "reduce": Family(
        ("entries", "results"),
        lambda entries, results: entries,
        lambda entries, results: entries + results,
        lambda entries, results: {"results": results},
        SMALL,
    ),
    "copy": Family(("entries",), lambda entries: 0, lambda entries: 2 * entries),
    "transpose_copy": Family(
        ("rows", "columns"),
        lambda rows, columns: rows * columns,
        lambda rows, columns: 2 * rows * columns,
        lambda rows, columns: {
            "rows": rows,
            "columns": columns,
            "shorter side": min(rows, columns),
            "entries of long columns": rows * columns * _beyond(rows, 256),
            "entries of long rows": rows * columns * _beyond(columns, 256),
        },
        SMALL,
    ),
    "gather": Family(("entries",), lambda entries: entries, lambda entries: 3 * entries, threshold=SMALL),
    "einsum": Family(
        ("flops", "bytes"), lambda flops, bytes: flops, lambda flops, bytes: bytes, threshold=SMALL, in_bytes=True
    ),
    "linear_scan": Family(
        ("steps", "width"),
        lambda steps, width: 2 * steps * width,
        lambda steps, width: 4 * steps * width,
        lambda steps, width: {"blocks": sqrt(steps), "steps of a wide state": steps if width >= WIDE else 0},
        threshold=SMALL,
    ),
    "fft": Family(("n",), lambda n: 5 * n * log2(max(n, 2)), lambda n: 3 * n, _transform, SMALL),
}
