"""Divisions by what a loop does not change, as products with a reciprocal that is computed before the loop.

A correction makes of the product what the division would have given (Markstein, Computation of elementary functions on
the IBM RISC System/6000 processor, 1990): a fifth of the time of a division. Where the reciprocal of a divisor would be
no normal number, the divisor is scaled by a power of two, and what is divided with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tpc.backends.llvm.fusion.statement import Loop, Statement, computed, times
from tpc.backends.llvm.fusion.terms import Term, call, changed, number, number_of, parts
from tpc.ir.types import BOOL, F32, F64

SURE = 1e-9, 1e9  # of numbers between these, products with the reciprocal stay far from the limits of f32
FEW = 16  # divisions by one number, of which a reciprocal spares nothing
LIMITS = {F64: (2.0**1000, 2.0**200), F32: (2.0**100, 2.0**60)}  # how large a divisor may be, and what it is scaled by


def with_reciprocals(statement: Statement, fast: bool) -> Statement:
    """The statement with products for divisions; `fast` allows what holds in exact arithmetic."""
    loops: dict[Term, Sequence[Loop]] = {}
    for body in statement.bodies:
        for term, around in computed(body, statement.letters):
            loops[term] = max(around, loops.get(term, ()), key=len)

    def change(t: Term) -> Term | None:
        if t.kind != "call" or t.data != "div" or not _is_repeated(loops, t):
            return None
        left, right = (changed(a, change, known) for a in t.arguments)
        if fast:
            return call("mul", t.dtype, left, _reciprocal(right))
        if t.dtype not in LIMITS or number_of(right) is not None:
            return None
        return _corrected(left, right) if _is_size(right) else _scaled(left, right)

    known: dict[Term, Term] = {}
    bodies = [changed(body, change, known) for body in statement.bodies]
    if all(new is old for new, old in zip(bodies, statement.bodies, strict=True)):
        return statement
    return replace(
        statement,
        body=bodies[0],
        beside=tuple(replace(s, body=body) for s, body in zip(statement.beside, bodies[1:], strict=True)),
        kept=tuple((changed(term, change, known), buffer, place) for term, buffer, place in statement.kept),
    )


def _is_repeated(loops: dict[Term, Sequence[Loop]], term: Term) -> bool:
    """Whether a division is done again and again by the same number."""
    inside = loops.get(term, ())[len(loops.get(term.arguments[1], ())) :]
    count = times(inside)
    return bool(inside) and not (isinstance(count, int) and count <= FEW)


def _reciprocal(term: Term) -> Term:
    return call("div", term.dtype, number(1, term.dtype), term)


def _scaled(left: Term, right: Term) -> Term:
    """A quotient by any number."""
    dtype = right.dtype
    far, scale = LIMITS[dtype]
    size = call("abs", dtype, right)

    def chosen(relation: str, limit: float, then: float, other: Term) -> Term:
        return call("select", dtype, call(relation, BOOL, size, number(limit, dtype)), number(then, dtype), other)

    factor = chosen("lt", 1 / far, scale, chosen("gt", far, 1 / scale, number(1, dtype)))
    return _corrected(call("mul", dtype, left, factor), call("mul", dtype, right, factor))


def _corrected(left: Term, right: Term) -> Term:
    """A quotient as a product that is made right; where it is infinite, NaN or a zero with a sign it is so already."""
    dtype = right.dtype
    reciprocal = _reciprocal(right)
    product = call("mul", dtype, left, reciprocal)
    rest = call("sub", dtype, left, call("mul", dtype, product, right))
    better = call("add", dtype, product, call("mul", dtype, rest, reciprocal))
    is_off = call("lt", BOOL, call("abs", dtype, rest), call("abs", dtype, left))
    return call("select", dtype, is_off, better, product)


def _is_size(term: Term) -> bool:
    """Whether a divisor is made of sizes and numbers, neither very small nor very large."""
    if not any(t.kind == "size" for t in parts(term)):
        return False
    for t in parts(term):
        value = number_of(t)
        if value is not None and not SURE[0] < abs(value) < SURE[1]:
            return False
        if t.kind not in ("size", "number") and not (t.kind == "call" and t.data in ("cast", "sqrt")):
            return False
    return True
