"""Sizes in generated code: their value, and how the shapes of operands tell them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tpc.ir.dims import Dim, DimLike, Rounded, add, multiply, named, names_of, substitute


def value(builder: Any, dim: DimLike, sizes: Mapping[str, Any]) -> Any:
    """A size as an i64, of the named sizes."""
    from llvmlite import ir

    i64 = ir.IntType(64)
    if isinstance(dim, int):
        return i64(dim)
    total = None
    for monomial, coefficient in dim.terms:
        term = None
        for atom, power in monomial:
            factor = sizes[atom] if isinstance(atom, str) else _rounded(builder, atom, sizes)
            for _ in range(power):
                term = factor if term is None else builder.mul(term, factor)
        if term is None:
            term = i64(coefficient)
        elif coefficient != 1:
            term = builder.mul(term, i64(coefficient))
        total = term if total is None else builder.add(total, term)
    return total


def _rounded(builder: Any, atom: Rounded, sizes: Mapping[str, Any]) -> Any:
    left, right = value(builder, atom.left, sizes), value(builder, atom.right, sizes)
    if atom.kind == "div":  # rounds down, where the instruction rounds to zero
        quotient, rest = builder.sdiv(left, right), builder.srem(left, right)
        has_rest = builder.icmp_signed("!=", rest, rest.type(0))
        differ = builder.icmp_signed("<", builder.xor(rest, right), rest.type(0))
        return builder.sub(quotient, builder.zext(builder.and_(has_rest, differ), rest.type))
    is_left = builder.icmp_signed("<=" if atom.kind == "min" else ">=", left, right)
    return builder.select(is_left, left, right)


def told(dims: Iterable[DimLike]) -> dict[str, tuple[int, int, int]]:
    """The names that axes of these sizes tell, by the position of an axis of size `slope * name + offset`.

    Gives the position, the slope and the offset. An axis that is the name itself is preferred.
    """
    found: dict[str, tuple[int, int, int]] = {}
    for position, dim in enumerate(dims):
        unknown = names_of(dim)
        if not isinstance(dim, Dim) or len(unknown) != 1:
            continue
        (name,) = unknown
        slope, offset = dict(dim.terms).get(((name, 1),), 0), substitute(dim, {name: 0})
        if slope <= 0 or dim != add(multiply(named(name), slope), offset):
            continue
        assert isinstance(offset, int)
        if name not in found or (slope, offset) == (1, 0) != found[name][1:]:
            found[name] = position, slope, offset
    return found
