"""The best order of a long product of matrices.

The orders are the ways to cut a polygon into triangles: its corners are the sizes, its sides the factors and the
result, and a triangle costs the product of its corners. The smallest corner is joined with the second and the third
smallest in some best way (Hu and Shing 1982), which cuts a large polygon into small ones; those in which all three are
neighbours are done by dynamic programming.
"""

from __future__ import annotations

from collections.abc import Sequence

Tree = int | tuple["Tree", "Tree"]


def best_order(sizes: Sequence[int]) -> Tree:
    """The parenthesisation of a product of matrices with the fewest operations.

    Parameters
    ----------
    sizes
        Factor k has sizes[k] rows and sizes[k + 1] columns.

    Returns
    -------
    The factors by number, in pairs of pairs.
    """
    middle: dict[tuple[int, int], int] = {}
    rank = {corner: k for k, corner in enumerate(sorted(range(len(sizes)), key=lambda n: (sizes[n], n)))}
    waiting = [list(range(len(sizes)))]
    while waiting:
        polygon = waiting.pop()
        if len(polygon) < 3:
            continue
        start = min(range(len(polygon)), key=lambda k: rank[polygon[k]])
        polygon = polygon[start:] + polygon[:start]
        last = len(polygon) - 1
        small = sorted(range(1, len(polygon)), key=lambda k: rank[polygon[k]])[:2]
        cut = next((k for k in small if k not in (1, last)), None)
        if cut is None:
            _triangles(polygon, sizes, middle)
        else:
            waiting += [polygon[: cut + 1], [polygon[0], *polygon[cut:]]]
    return _tree(0, len(sizes) - 1, middle)


def _triangles(polygon: Sequence[int], sizes: Sequence[int], middle: dict[tuple[int, int], int]) -> None:
    """The cheapest triangles of a polygon, all runs of corners compared a whole diagonal at a time."""
    import numpy as np

    count = len(polygon) - 1
    extent = np.asarray([sizes[k] for k in polygon], float)
    # work of the run of sides of a length that starts at, or ends with, a side
    from_start = np.zeros((count, count + 1))
    from_end = np.zeros((count, count + 1))
    cut = np.zeros((count, count + 1), int)
    for length in range(2, count + 1):
        starts = count - length + 1
        inner = np.lib.stride_tricks.sliding_window_view(extent, length - 1)[1 : starts + 1]
        work = inner * (extent[:starts] * extent[length : length + starts])[:, None]
        work += from_start[:starts, 1:length]
        work += from_end[length - 1 :, length - 1 : 0 : -1]
        best = work.argmin(1)
        cut[:starts, length] = best + 1
        least = work[np.arange(starts), best]
        from_start[:starts, length] = least
        from_end[length - 1 :, length] = least
    stack = [(0, count)]
    while stack:
        start, length = stack.pop()
        if length > 1:
            left = int(cut[start, length])
            a, b, c = sorted((polygon[start], polygon[start + left], polygon[start + length]))
            middle[a, c] = b
            stack += [(start, left), (start + left, length - left)]


def _tree(first: int, last: int, middle: dict[tuple[int, int], int]) -> Tree:
    """The pairs that triangles stand for."""
    built: dict[tuple[int, int], Tree] = {}
    stack = [(first, last)]
    while stack:
        a, c = stack[-1]
        if c == a + 1:
            built[a, c] = a
            stack.pop()
            continue
        b = middle[a, c]
        missing = [side for side in ((a, b), (b, c)) if side not in built]
        if missing:
            stack += missing
        else:
            built[a, c] = (built[a, b], built[b, c])
            stack.pop()
    return built[first, last]
