"""Divisions by what a loop does not change, as products with a reciprocal that is computed before the loop.

Where the divisor is made of sizes, a correction makes of the product what the division would have given (Markstein,
Computation of elementary functions on the IBM RISC System/6000 processor, 1990): a fifth of the time of a division. Of
other divisors nobody knows whether their reciprocals are finite, so these stay unless what holds in exact arithmetic
may be done.
"""

from __future__ import annotations

from dataclasses import replace

from tpc.backends.llvm.fusion.statement import Statement, computed
from tpc.backends.llvm.fusion.terms import Term, call, changed, number, number_of, parts
from tpc.ir.types import BOOL, F32, F64

SURE = 1e-9, 1e9  # of numbers between these, products with the reciprocal stay far from the limits of f32


def with_reciprocals(statement: Statement, fast: bool) -> Statement:
    """The statement with products for divisions; `fast` allows what holds in exact arithmetic."""
    loops: dict[Term, int] = {}
    for body in statement.bodies:
        for term, around in computed(body, statement.letters):
            loops[term] = max(len(around), loops.get(term, 0))

    def change(t: Term) -> Term | None:
        if t.kind != "call" or t.data != "div" or loops.get(t.arguments[1], 0) >= loops.get(t, 0):
            return None
        left, right = (changed(a, change, known) for a in t.arguments)
        if not fast and (t.dtype not in (F32, F64) or not _is_size(right)):
            return None
        reciprocal = call("div", t.dtype, number(1, t.dtype), right)
        product = call("mul", t.dtype, left, reciprocal)
        return product if fast else _corrected(left, right, reciprocal, product)

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


def _corrected(left: Term, right: Term, reciprocal: Term, product: Term) -> Term:
    """A quotient from one that is nearly right; where it is infinite, NaN or a zero with a sign it is right already."""
    dtype = product.dtype
    rest = call("sub", dtype, left, call("mul", dtype, product, right))
    better = call("add", dtype, product, call("mul", dtype, rest, reciprocal))
    is_off = call("gt", BOOL, call("abs", dtype, rest), number(0, dtype))  # NaN is not
    return call("select", dtype, is_off, better, product)


def _is_size(term: Term) -> bool:
    """Whether a divisor is made of sizes and numbers, neither very small nor very large."""
    if not any(t.kind == "size" for t in parts(term)):
        return False  # a power of two is made a product by LLVM
    for t in parts(term):
        value = number_of(t)
        if value is not None and not SURE[0] < abs(value) < SURE[1]:
            return False
        if t.kind not in ("size", "number") and not (t.kind == "call" and t.data in ("cast", "sqrt")):
            return False
    return True
