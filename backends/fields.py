"""Fields of plain data: sizes written to it, and fields read from it, which raise ValueError where they do not fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tpc.ir.dims import Dim, DimLike, Rounded, divide, maximum, minimum, multiply, named, power

DEEPEST = 20  # levels of min, max and div in a size
KINDS = {"min": minimum, "max": maximum, "div": divide}


def dim_json(dim: DimLike) -> Any:
    """A size as data: an integer, or `[[[atom, power], ...], coefficient]` for each term."""
    if not isinstance(dim, Dim):
        return dim
    return [[[[_atom_json(atom), p] for atom, p in monomial], c] for monomial, c in dim.terms]


def _atom_json(atom: str | Rounded) -> Any:
    return atom if isinstance(atom, str) else [atom.kind, dim_json(atom.left), dim_json(atom.right)]


def read_dim(data: Any, depth: int = 0) -> DimLike:
    """A size from data."""
    if depth > DEEPEST:
        raise ValueError("depth")
    if isinstance(data, int) and not isinstance(data, bool):
        return data
    total: DimLike = 0
    for term in read_list(data):
        monomial, coefficient = read_list(term, 2)
        if not isinstance(coefficient, int):
            raise ValueError("coefficient")
        value: DimLike = coefficient
        for factor in read_list(monomial):
            atom, exponent = read_list(factor, 2)
            if not isinstance(exponent, int) or not 1 <= exponent <= 64:
                raise ValueError("power")
            value = multiply(value, power(_atom(atom, depth), exponent))
        total = total + value
    return total


def _atom(data: Any, depth: int) -> DimLike:
    if isinstance(data, str):
        return named(data)
    kind, left, right = read_list(data, 3)
    if kind not in KINDS:
        raise ValueError("kind")
    try:
        return KINDS[kind](read_dim(left, depth + 1), read_dim(right, depth + 1))
    except ZeroDivisionError:
        raise ValueError("division by zero") from None


# ---- fields


def read_list(data: Any, count: int | None = None) -> Sequence[Any]:
    if not isinstance(data, list) or count is not None and len(data) != count:
        raise ValueError("list")
    return data


def read_mapping(data: Any) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise ValueError("mapping")
    return data


def read_text(data: Any) -> str:
    if not isinstance(data, str):
        raise ValueError("text")
    return data


def read_identifier(data: Any) -> str:
    if not read_text(data).isidentifier() or "__" in data:
        raise ValueError("identifier")
    return str(data)
