"""Factors L and U, and the systems that are solved with them.

`lu_factor` gives the factors by rows, as all arrays are: LAPACK works on a transpose. Where nobody sees the factors, it
is given the matrix as it is, and takes its transpose apart.
"""

from __future__ import annotations

from collections.abc import Callable

from llvmlite import ir

from tpc.backends.llvm.nests.routines import triangles
from tpc.backends.llvm.nests.routines.site import WHOLE, Site
from tpc.backends.llvm.nests.types import I1, INTEGER
from tpc.backends.llvm.rooms import COLUMNS

SINGULAR = "a matrix is singular"


def lu_factor(site: Site) -> None:
    (A,), (packed, pivots) = site.operands, site.results
    if not site.node["symmetric"]:
        _factor(site, A, packed, pivots)
        return
    b, writer, n = site.b, site.writer, site.order
    site.copy_square(packed, A)
    with b.if_else(triangles.factored(site, packed)) as (indefinite, definite):
        with indefinite:
            _factor(site, A, packed, pivots)
        with definite, writer.loop("row", writer.integer(0), n) as row:
            b.store(writer.integer(-1), writer.address(pivots, INTEGER, row))


def _factor(site: Site, A: ir.Value, packed: ir.Value, pivots: ir.Value) -> None:
    b, writer, n = site.b, site.writer, site.order
    turned, exchanges = _room(site)
    site.transpose(turned, A)
    site.call("getrf", n, n, turned, site.least(n), exchanges, site.info())
    site.transpose(packed, turned)
    with writer.loop("row", writer.integer(0), n) as row:
        b.store(b.sub(_exchange(site, exchanges, row), writer.integer(1)), writer.address(pivots, INTEGER, row))


def _room(site: Site) -> tuple[ir.Value, ir.Value]:
    """Room for a matrix, and for the rows that LAPACK exchanged, which it counts from 1."""
    ((matrix, _),), exchanges = site.arrays()
    return matrix, exchanges


def _exchange(site: Site, exchanges: ir.Value, row: ir.Value) -> ir.Value:
    return site.b.sext(site.b.load(site.writer.address(exchanges, WHOLE, row), typ=WHOLE, align=4), INTEGER)


def lu_solve(site: Site) -> None:
    packed, pivots, _ = site.operands
    b, writer, n = site.b, site.writer, site.order
    site.refuse_zeros(packed)
    X, transposed = triangles.right(site), site.node["transposed"]
    with b.if_else(_is_definite(site, pivots)) as (definite, indefinite):
        with definite:
            with writer.loop("row", writer.integer(0), n) as row:
                is_mark = b.icmp_signed("==", _pivot(site, pivots, row), writer.integer(-1))
                site.fail(b.not_(is_mark), "a position lies outside of an array", "IndexError")
            triangles.solve(site, packed, X, lower=True)
            triangles.solve(site, packed, X, lower=True, transposed=True)
        with indefinite:
            if transposed:
                triangles.solve(site, packed, X, lower=False, transposed=True)
                triangles.solve(site, packed, X, lower=True, transposed=True, unit=True)
            with writer.loop("exchange", writer.integer(0), n) as step:
                row = b.sub(b.sub(n, step), writer.integer(1)) if transposed else step
                other = _pivot(site, pivots, row)
                is_inside = b.icmp_unsigned("<", other, n)
                site.fail(b.not_(is_inside), "a position lies outside of an array", "IndexError")
                _exchange_rows(site, X, row, b.select(is_inside, other, row))
            if not transposed:
                triangles.solve(site, packed, X, lower=True, unit=True)
                triangles.solve(site, packed, X, lower=False)


def _exchange_rows(site: Site, X: ir.Value, row: ir.Value, other: ir.Value) -> None:
    b, writer = site.b, site.writer
    columns = site.columns()
    if columns is None:
        columns = writer.integer(1)
    with writer.loop("column", writer.integer(0), columns) as column:
        places = [b.add(b.mul(line, columns), column) for line in (row, other)]
        values = [site.load(X, place) for place in places]
        for value, place in zip(reversed(values), places, strict=True):
            site.store(value, X, place)


def _is_definite(site: Site, pivots: ir.Value) -> ir.Value:
    """Whether factors are those of Cholesky's method, of which the rows are -1."""
    b, n = site.b, site.order
    is_some = b.icmp_signed(">", n, site.writer.integer(0))
    first = b.select(is_some, pivots, site.errors.nothing)
    negative = b.icmp_signed("<", b.load(first, typ=INTEGER, align=8), site.writer.integer(0))
    return b.and_(is_some, negative)


def lu_det(site: Site) -> None:
    b, (packed, pivots) = site.b, site.operands
    product, is_odd = _along(site, packed, lambda row: _pivot(site, pivots, row), logarithms=False)
    value = b.select(is_odd, b.fneg(product), product)
    value = b.select(_is_definite(site, pivots), b.fmul(product, product), value)
    site.store(value, site.results[0], site.writer.integer(0))


def lu_logdet(site: Site) -> None:
    b, (packed, pivots) = site.b, site.operands
    total, is_odd = _along(site, packed, lambda row: _pivot(site, pivots, row), logarithms=True)
    value = b.select(_is_definite(site, pivots), b.fadd(total, total), _real(site, total, is_odd))
    site.store(value, site.results[0], site.writer.integer(0))


def det(site: Site) -> None:
    product, is_odd = _along(site, *_factored(site), logarithms=False)
    value = site.b.select(is_odd, site.b.fneg(product), product)
    site.store(value, site.results[0], site.writer.integer(0))


def logdet(site: Site) -> None:
    total, is_odd = _along(site, *_factored(site), logarithms=True)
    site.store(_real(site, total, is_odd), site.results[0], site.writer.integer(0))


def slogdet(site: Site) -> None:
    b, zero = site.b, site.writer.integer(0)
    info = site.info()
    total, is_odd = _along(site, *_factored(site, info), logarithms=True)
    is_singular = site.has_failed(info)
    one, none, minus, infinite = (ir.Constant(site.type, x) for x in (1.0, 0.0, -1.0, float("-inf")))
    site.store(b.select(is_singular, none, b.select(is_odd, minus, one)), site.results[0], zero)
    site.store(b.select(is_singular, infinite, total), site.results[1], zero)


def _factored(site: Site, info: ir.Value | None = None) -> tuple[ir.Value, Callable[[ir.Value], ir.Value]]:
    """The factors of the transpose, whose determinant is the same, and with which row each was exchanged."""
    n = site.order
    factors, exchanges = _room(site)
    site.copy_square(factors, site.operands[0])
    site.call("getrf", n, n, factors, site.least(n), exchanges, info or site.info())
    return factors, lambda row: site.b.sub(_exchange(site, exchanges, row), site.writer.integer(1))


def _pivot(site: Site, pivots: ir.Value, row: ir.Value) -> ir.Value:
    return site.b.load(site.writer.address(pivots, INTEGER, row), typ=INTEGER, align=8)


def _real(site: Site, total: ir.Value, is_negative: ir.Value) -> ir.Value:
    """The logarithm of a determinant, which is NaN if that is negative and not zero."""
    infinity, nan = (ir.Constant(site.type, float(text)) for text in ("-inf", "nan"))
    is_negative = site.b.and_(is_negative, site.b.fcmp_ordered(">", total, infinity))
    return site.b.select(is_negative, nan, total)


def _along(
    site: Site, packed: ir.Value, exchanged: Callable[[ir.Value], ir.Value], logarithms: bool
) -> tuple[ir.Value, ir.Value]:
    """The product of the diagonal of factors, or the sum of the logarithms of its sizes; and whether rows were
    exchanged (with logarithms: rows exchanged and entries negative) an odd number of times."""
    from tpc.backends.llvm.mathematics import emit

    b, writer, n = site.b, site.writer, site.order
    total, odd = writer.variable(site.type, "total"), writer.variable(I1, "odd")
    b.store(ir.Constant(site.type, 0.0 if logarithms else 1.0), total)
    b.store(ir.Constant(I1, 0), odd)
    with writer.loop("diagonal", writer.integer(0), n) as row:
        value, before = site.load(packed, b.mul(row, b.add(n, writer.integer(1)))), b.load(total, typ=site.type)
        turns = b.xor(b.load(odd, typ=I1), b.icmp_signed("!=", exchanged(row), row))
        if logarithms:
            turns = b.xor(turns, b.fcmp_ordered("<", value, ir.Constant(site.type, 0.0)))
            b.store(b.fadd(before, emit(b, "log", [emit(b, "abs", [value])])), total)
        else:
            b.store(b.fmul(before, value), total)
        b.store(turns, odd)
    return b.load(total, typ=site.type), b.load(odd, typ=I1)


def solve(site: Site) -> None:
    n, columns = site.order, site.columns()
    factors, exchanges = _room(site)
    site.copy_square(factors, site.operands[0])
    info = site.info()
    site.call("getrf", n, n, factors, site.least(n), exchanges, info)
    site.fail(site.has_failed(info), SINGULAR)
    X, transposed = triangles.right(site), not site.is_turned
    if columns is None:
        site.call("getrs", "T" if transposed else "N", n, 1, factors, site.least(n), exchanges, X, site.least(n), info)
        return
    # LAPACK's matrix P @ L @ U, or the transpose of it, is on the right of what it reads as the transpose of X
    order = [("U", "N"), ("L", "U")] if transposed else [("L", "U"), ("U", "N")]
    if not transposed:
        _exchange_all(site, exchanges, X, forwards=True)
    for uplo, diag in order:
        turned = "N" if transposed else "T"
        site.call("trsm", "R", uplo, turned, diag, columns, n, 1.0, factors, site.least(n), X, site.least(columns))
    if transposed:
        _exchange_all(site, exchanges, X, forwards=False)


def _exchange_all(site: Site, exchanges: ir.Value, X: ir.Value, forwards: bool) -> None:
    """Exchange rows as LAPACK did, or the other way round."""
    b, writer, n = site.b, site.writer, site.order
    with writer.loop("exchange", writer.integer(0), n) as step:
        row = step if forwards else b.sub(b.sub(n, step), writer.integer(1))
        _exchange_rows(site, X, row, b.sub(_exchange(site, exchanges, row), writer.integer(1)))


def inv(site: Site) -> None:
    (A,), (X,) = site.operands, site.results
    n = site.order
    room, exchanges = _room(site)
    site.copy_square(X, A)
    info = site.info()
    site.call("getrf", n, n, X, site.least(n), exchanges, info)
    site.fail(site.has_failed(info), SINGULAR)
    work = site.writer.lesser(site.b.mul(n, n), site.b.mul(n, site.writer.integer(COLUMNS)))
    with site.writer.when(site.b.icmp_signed(">", n, site.writer.integer(0)), "some"):  # else it writes beyond no room
        site.call("getri", n, X, site.least(n), exchanges, room, site.least(work), site.info())
