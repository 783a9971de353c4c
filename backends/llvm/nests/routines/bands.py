"""Systems of which only some diagonals are not zero: LAPACK is given these alone, in columns of few rows."""

from __future__ import annotations

from collections.abc import Callable

from llvmlite import ir

from tpc.backends.llvm.nests.routines.inverses import SINGULAR
from tpc.backends.llvm.nests.routines.site import Site
from tpc.backends.llvm.nests.routines.triangles import DEFINITE


def band_solve(site: Site) -> None:
    below, above = site.node["below"], site.node["above"]
    if below == above == 1:
        _solve(site, lambda band, integers, X: _tridiagonal(site, band, X, "gtsv", (-1, 0, 1)), SINGULAR)
        return
    height = 2 * below + above + 1  # with room for the rows that are exchanged

    def solve(band: ir.Value, integers: ir.Value, X: Right) -> ir.Value:
        _gather(site, band, height, below, above, below + above)
        info = site.info()
        rows = site.writer.integer(height)
        site.call("gbsv", site.order, below, above, X[1], band, rows, integers, X[0], site.order, info)
        return site.has_failed(info)

    _solve(site, solve, SINGULAR)


def spd_band_solve(site: Site) -> None:
    b, width = site.b, site.node["width"]

    def solve(band: ir.Value, integers: ir.Value, X: Right) -> ir.Value:
        entries = b.mul(site.order, site.writer.integer(width + 1))
        if width == 1:
            failed = _tridiagonal(site, band, X, "ptsv", (0, -1))
        else:
            site.clear(band, b.mul(entries, site.writer.integer(site.dtype.size)))
            _gather(site, band, width + 1, width, 0, 0)
            info = site.info()
            site.call("pbsv", "L", site.order, width, X[1], band, width + 1, X[0], site.order, info)
            failed = site.has_failed(info)
        return b.or_(failed, b.not_(site.is_finite(band, entries)))  # NaN is not noticed by LAPACK

    _solve(site, solve, DEFINITE)


Right = tuple[ir.Value, ir.Value]  # where right sides are, and how many


def _solve(site: Site, solve: Callable[[ir.Value, ir.Value, Right], ir.Value], failure: str) -> None:
    """Solve for a copy of the right sides by columns; `solve` says whether it failed."""
    (X,), b, writer, n = site.results, site.b, site.writer, site.order
    zero, sides = writer.integer(0), site.columns()
    ((band, _), (copy, _)), integers = site.arrays()
    count = writer.integer(1) if sides is None else sides
    with writer.when(b.icmp_signed(">", b.mul(n, count), zero), "some"):
        if sides is None:
            site.copy(X, site.operands[1], n)
            site.fail(solve(band, integers, (X, count)), failure)
            return
        site.turn((site.operands[1], sides), (copy, n), (zero, n), (zero, sides))
        site.fail(solve(band, integers, (copy, count)), failure)
        site.turn((copy, n), (X, sides), (zero, sides), (zero, n))


def _gather(site: Site, band: ir.Value, height: int, below: int, above: int, diagonal: int) -> None:
    """The diagonals of a matrix as rows of a band, which is held by columns; the main one is in row `diagonal`."""
    A, b, writer, n = site.operands[0], site.b, site.writer, site.order
    with writer.loop("row", writer.integer(0), n) as row:
        first = writer.greater(b.sub(row, writer.integer(below)), writer.integer(0))
        last = writer.lesser(b.add(row, writer.integer(above + 1)), n)
        with writer.loop("column", first, last) as column:
            value = site.load(A, b.add(b.mul(row, n), column))
            place = b.add(b.sub(row, column), writer.integer(diagonal))
            site.store(value, band, b.add(b.mul(column, writer.integer(height)), place))


def _tridiagonal(site: Site, band: ir.Value, X: Right, name: str, diagonals: tuple[int, ...]) -> ir.Value:
    """Solve with a routine that takes diagonals as vectors, each by how far it is above the main one."""
    A, b, writer, n = site.operands[0], site.b, site.writer, site.order
    vectors = [site.entry(band, b.mul(n, writer.integer(k))) for k in range(len(diagonals))]
    for offset, vector in zip(diagonals, vectors, strict=True):
        site.clear(vector, b.mul(n, writer.integer(site.dtype.size)))
        with writer.loop("entry", writer.integer(0), b.sub(n, writer.integer(abs(offset)))) as k:
            row, column = (b.add(k, writer.integer(max(step, 0))) for step in (-offset, offset))
            site.store(site.load(A, b.add(b.mul(row, n), column)), vector, k)
    info = site.info()
    site.call(name, n, X[1], *vectors, X[0], n, info)
    return site.has_failed(info)
