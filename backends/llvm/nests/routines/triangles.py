"""Cholesky factors and triangular systems."""

from __future__ import annotations

from llvmlite import ir

from tpc.backends.llvm.nests.routines.site import Site

DEFINITE = "a matrix is not positive definite"


def cholesky(site: Site) -> None:
    (A,), (L,) = site.operands, site.results
    site.copy_triangle(L, A, lower=True)
    factor(site, L)


def factor(site: Site, A: ir.Value) -> None:
    """Put the lower Cholesky factor in the place of the lower triangle of a matrix."""
    site.fail(factored(site, A), DEFINITE)


def factored(site: Site, A: ir.Value) -> ir.Value:
    """As `factor`, but whether that failed. NaN is not noticed by LAPACK, and comes through to the last entry."""
    b, n, one = site.b, site.order, site.writer.integer(1)
    info = site.info()
    site.call("potrf", "U", n, A, site.least(n), info)
    last = b.select(b.icmp_signed(">", n, one), b.sub(b.mul(n, n), one), site.writer.integer(0))
    some = b.icmp_signed(">", n, site.writer.integer(0))
    entry = b.select(some, site.entry(A, last), site.errors.nothing)
    value = b.load(entry, typ=site.type, align=site.dtype.size)
    return b.or_(site.has_failed(info), b.fcmp_unordered("uno", value, value))


def solve(site: Site, A: ir.Value, X: ir.Value, lower: bool, transposed: bool = False, unit: bool = False) -> None:
    """Put Z with A @ Z = X in the place of X, for a triangle of A, or with the transpose of it."""
    n, columns = site.order, site.columns()
    uplo, diag = "U" if lower else "L", "U" if unit else "N"
    if columns is None:  # which is quicker than a vector to BLAS
        turned = "N" if transposed else "T"
        site.call("trtrs", uplo, turned, diag, n, 1, A, site.least(n), X, site.least(n), site.info())
        return
    turned = "T" if transposed else "N"
    site.call("trsm", "R", uplo, turned, diag, columns, n, 1.0, A, site.least(n), X, site.least(columns))


def right(site: Site) -> ir.Value:
    """A copy of the right side, in the place of the result."""
    (X,), n, columns = site.results, site.order, site.columns()
    site.copy(X, site.operands[-1], n if columns is None else site.b.mul(n, columns))
    return X


def solve_triangular(site: Site) -> None:
    site.refuse_zeros(site.operands[0])
    solve(site, site.operands[0], right(site), site.node["lower"] != site.is_turned, site.is_turned)


def cho_solve(site: Site) -> None:
    L = site.operands[0]
    site.refuse_zeros(L)
    X = right(site)
    solve(site, L, X, lower=True)
    solve(site, L, X, lower=True, transposed=True)


def tri_inv(site: Site) -> None:
    (A,), (X,) = site.operands, site.results
    lower = site.node["lower"]
    site.refuse_zeros(A)
    site.copy_triangle(X, A, lower)
    site.call("trtri", "U" if lower else "L", "N", site.order, X, site.least(site.order), site.info())


def cho_inv(site: Site) -> None:
    (L,), (X,) = site.operands, site.results
    b, n, writer = site.b, site.order, site.writer
    site.refuse_zeros(L)
    site.copy_square(X, L)
    site.call("potri", "U", n, X, site.least(n), site.info())
    with writer.loop("row", writer.integer(0), n) as row, writer.loop("column", writer.integer(0), row) as column:
        value = site.load(X, b.add(b.mul(row, n), column))
        site.store(value, X, b.add(b.mul(column, n), row))
