"""Factors with columns at right angles: QR, eigenvectors, singular values, and what is made of these.

LAPACK is given the matrix by columns and called as NumPy calls it, so that signs and order of what it leaves open are
those of NumPy.
"""

from __future__ import annotations

from llvmlite import ir

from tpc.backends.llvm.nests.routines.site import Site
from tpc.backends.llvm.nests.types import INTEGER

FINITE = "a matrix has entries that are not finite"
NO_END = "singular values were not found"
EPSILON = 2.0**-52
NEGLIGIBLE = 1e-15  # what a pseudo-inverse takes for zero, of the largest singular value


def qr(site: Site) -> None:
    Q, R = site.results
    rows, columns = site.shape
    rank = site.writer.lesser(rows, columns)
    with site.writer.when(_is_some(site), "some"):
        A = _reduced(site, R)
        (_, (scales, _), (work, room)), _ = site.arrays()
        site.call("orgqr", rows, rank, rank, A, rows, scales, work, room, site.info())
        site.transpose(Q, A, (rank, rows))


def qr_triangle(site: Site) -> None:
    with site.writer.when(_is_some(site), "some"):
        _reduced(site, site.results[0])


def _reduced(site: Site, R: ir.Value) -> ir.Value:
    """Reduce a matrix to its triangle R; the reflections that do so, by columns."""
    b, writer = site.b, site.writer
    rows, columns = site.shape
    rank = writer.lesser(rows, columns)
    ((A, _), (scales, _), (work, room)), _ = site.arrays()
    site.transpose(A, site.operands[0])
    site.call("geqrf", rows, columns, A, rows, scales, work, room, site.info())
    site.clear(R, b.mul(b.mul(rank, columns), writer.integer(site.dtype.size)))
    with writer.loop("column", writer.integer(0), columns) as column:
        below = writer.lesser(b.add(column, writer.integer(1)), rank)
        with writer.loop("row", writer.integer(0), below) as row:
            value = site.load(A, b.add(b.mul(column, rows), row))
            site.store(value, R, b.add(b.mul(row, columns), column))
    return A


# ---- eigenvalues


def eigh(site: Site) -> None:
    values, result = site.results
    with site.writer.when(_is_some(site), "some"):
        site.transpose(result, _eigen(site, values, "V"))


def eigvalsh(site: Site) -> None:
    with site.writer.when(_is_some(site), "some"):
        _eigen(site, site.results[0], "N")


def _eigen(site: Site, values: ir.Value, job: str) -> ir.Value:
    """Find eigenvalues, and eigenvectors if they are asked for, which are the rows of what is given."""
    n, info = site.order, site.info()
    ((A, _), (work, room)), integers = site.arrays()
    site.transpose(A, site.operands[0])
    with site.writer.when(_checked(site, site.operands[0], site.b.mul(n, n)), "finite"):
        count = site.writer.dim(5 * site.node.args[0].tensor.dims[-1] + 3 if job == "V" else 1)
        site.call("syevd", job, "L", n, A, n, values, work, room, integers, count, info)
        site.fail(site.has_failed(info), "eigenvalues were not found")
    return A


# ---- singular values


def svd(site: Site) -> None:
    U, values, V = site.results
    rows, columns = site.shape
    rank = site.writer.lesser(rows, columns)
    is_wide = _is_wide(site)
    with site.writer.when(site.b.and_(_is_some(site), is_wide), "wide"):
        ((A, entries), (work, room), *_), integers = site.arrays()
        site.copy(A, site.operands[0], entries)
        with site.writer.when(_checked(site, A, entries), "finite"):
            info, places = site.info(), (V, columns, U, rank)  # by columns, the transpose of the result
            site.call("gesdd", "S", columns, rows, A, columns, values, *places, work, room, integers, info)
            site.fail(site.has_failed(info), NO_END)
    with site.writer.when(site.b.and_(_is_some(site), site.b.not_(is_wide)), "tall"):
        left, right = _singular(site, values)
        site.transpose(U, left, (rank, rows))
        site.transpose(V, right, (columns, rank))


def pinv(site: Site) -> None:
    (X,), b, writer = site.results, site.b, site.writer
    rows, columns = site.shape
    rank = writer.lesser(rows, columns)
    with site.writer.when(_is_some(site), "some"):
        (_, _, (values, _), *_), _ = site.arrays()
        left, right = _singular(site, values)
        least = b.fmul(site.load(values, writer.integer(0)), ir.Constant(site.type, NEGLIGIBLE))
        one, zero = (ir.Constant(site.type, x) for x in (1.0, 0.0))
        with writer.loop("value", writer.integer(0), rank) as number:
            value = site.load(values, number)
            scale = b.select(b.fcmp_ordered(">", value, least), b.fdiv(one, value), zero)
            with writer.loop("row", writer.integer(0), rows) as row:
                place = b.add(b.mul(number, rows), row)
                site.store(b.fmul(site.load(left, place), scale), left, place)
        site.call("gemm", "N", "N", rows, columns, rank, 1.0, left, rows, right, rank, 0.0, X, rows)


def _singular(site: Site, values: ir.Value) -> tuple[ir.Value, ir.Value]:
    """Find singular values, and their vectors, both matrices by columns."""
    rows, columns = site.shape
    rank, info = site.writer.lesser(rows, columns), site.info()
    ((A, entries), (work, room), _, (left, _), (right, _)), integers = site.arrays()
    site.transpose(A, site.operands[0])
    with site.writer.when(_checked(site, A, entries), "finite"):
        places = left, rows, right, rank
        site.call("gesdd", "S", rows, columns, A, rows, values, *places, work, room, integers, info)
        site.fail(site.has_failed(info), NO_END)
    return left, right


def svdvals(site: Site) -> None:
    with site.writer.when(_is_some(site), "some"):
        _singular_values(site, site.results[0])


def cond(site: Site) -> None:
    b, writer = site.b, site.writer
    (_, _, (values, _)), _ = site.arrays()
    is_some = _is_some(site)
    site.fail(b.not_(is_some), "`cond` of an empty matrix has no value", "ValueError")
    with writer.when(is_some, "some"):
        rank = _singular_values(site, values)
        largest = site.load(values, writer.integer(0))
        smallest = site.load(values, b.sub(rank, writer.integer(1)))
        zero, infinity = (ir.Constant(site.type, x) for x in (0.0, float("inf")))
        is_zero = b.fcmp_ordered("==", smallest, zero)
        site.store(b.select(is_zero, infinity, b.fdiv(largest, smallest)), site.results[0], writer.integer(0))


def matrix_rank(site: Site) -> None:
    b, writer = site.b, site.writer
    (_, _, (values, _)), _ = site.arrays()
    b.store(writer.integer(0), site.results[0], align=8)
    with site.writer.when(_is_some(site), "some"):
        rank = _singular_values(site, values)
        least = b.fmul(site.load(values, writer.integer(0)), _unit(site))
        found = writer.variable(INTEGER, "found")
        b.store(writer.integer(0), found)
        with writer.loop("value", writer.integer(0), rank) as number:
            is_large = b.zext(b.fcmp_ordered(">", site.load(values, number), least), INTEGER)
            b.store(b.add(b.load(found, typ=INTEGER), is_large), found)
        b.store(b.load(found, typ=INTEGER), site.results[0], align=8)


def _singular_values(site: Site, values: ir.Value) -> ir.Value:
    """Find singular values alone; how many there are."""
    rows, columns = site.shape
    rank, info, one = site.writer.lesser(rows, columns), site.info(), site.writer.integer(1)
    ((A, entries), (work, room), _), integers = site.arrays()
    is_wide = _is_wide(site)
    with site.writer.when(is_wide, "wide"):
        site.copy(A, site.operands[0], entries)
    with site.writer.when(site.b.not_(is_wide), "tall"):
        site.transpose(A, site.operands[0])
    with site.writer.when(_checked(site, A, entries), "finite"):
        nothing = site.errors.nothing
        places = nothing, one, nothing, one
        most = site.b.select(is_wide, columns, rows)
        least = site.b.select(is_wide, rows, columns)
        site.call("gesdd", "N", most, least, A, most, values, *places, work, room, integers, info)
        site.fail(site.has_failed(info), NO_END)
    return rank


def lstsq(site: Site) -> None:
    (X,), b, writer = site.results, site.b, site.writer
    rows, columns = site.shape
    sides, most = site.columns() or writer.integer(1), writer.greater(rows, columns)
    ((A, entries), (work, room), (values, _), (B, _)), integers = site.arrays()
    site.clear(X, b.mul(b.mul(columns, sides), writer.integer(site.dtype.size)))  # what it is of an empty matrix
    with site.writer.when(_is_some(site), "some"):
        right, given = site.operands[1], b.mul(rows, sides)
        zero = writer.integer(0)
        site.turn((right, sides), (B, most), (zero, rows), (zero, sides))
        site.transpose(A, site.operands[0])
        is_finite = b.and_(_checked(site, A, entries), _checked(site, right, given))
        with writer.when(b.and_(is_finite, b.icmp_signed(">", sides, zero)), "finite"):
            info, rank = site.info(), site.info()
            places = A, rows, B, most, values, _unit(site), rank
            site.call("gelsd", rows, columns, sides, *places, work, room, integers, info)
            site.fail(site.has_failed(info), NO_END)
        site.turn((B, most), (X, sides), (zero, sides), (zero, columns))


# ---- what all of them share


def _is_some(site: Site) -> ir.Value:
    """Whether a matrix has entries."""
    rows, columns = site.shape
    return site.b.icmp_signed(">", site.b.mul(rows, columns), site.writer.integer(0))


def _is_wide(site: Site) -> ir.Value:
    """Whether rows are twice as long as columns: LAPACK is slow with these, and takes the transpose as it is."""
    rows, columns = site.shape
    return site.b.icmp_signed(">=", columns, site.b.add(rows, rows))


def _unit(site: Site) -> ir.Value:
    """What singular values are rounded by, of the largest."""
    most = site.b.sitofp(site.writer.greater(*site.shape), site.type)
    return site.b.fmul(most, ir.Constant(site.type, EPSILON))


def _checked(site: Site, array: ir.Value, entries: ir.Value) -> ir.Value:
    """Whether all entries are finite, for else LAPACK may not come to an end; if not, an error is noted."""
    is_finite = site.is_finite(array, entries)
    site.fail(site.b.not_(is_finite), FINITE, "ValueError")
    return is_finite
