"""Modules that do nothing but call one helper: a kernel can take its place, and that of the module."""

from __future__ import annotations

import ast
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tpc.backends.running import Running

STORING = ("_csr", "_csr_or_blocks")  # helpers that take a matrix of scipy.sparse as it is


@dataclass(frozen=True)
class Given:
    """A parameter of a module as an operand: by its number, perhaps a sparse one, perhaps its transpose."""

    parameter: int
    is_stored: bool = False
    is_turned: bool = False


def whole(running: Running) -> tuple[str, list[Given]] | None:
    """The helper whose result a module gives, and its operands but for constants; None where there is more to it."""
    head, main = running.emitted.head, running.main
    *steps, last = main.body[1 + head.checks + head.formats :]
    known = {argument.arg: Given(number) for number, argument in enumerate(main.args.args)}
    for step in steps:
        match step:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                found = _given(value, known)
            case _:
                found = None
        if found is None:
            return None
        known[name] = found
    match last:
        case ast.Return(value=ast.Call(func=ast.Name(id=helper), args=values, keywords=[])):
            operands = [_given(value, known) for value in values if not isinstance(value, ast.Constant)]
            return None if None in operands else (helper, [o for o in operands if o is not None])
    return None


def _given(value: ast.expr, known: dict[str, Given]) -> Given | None:
    match value:
        case ast.Name(id=name):
            return known.get(name)
        case ast.Attribute(value=inner, attr="T"):
            found = _given(inner, known)
            return None if found is None else replace(found, is_turned=not found.is_turned)
        case ast.Call(func=ast.Name(id=helper), args=[inner, _]) if helper in STORING:
            found = _given(inner, known)
            return None if found is None else replace(found, is_stored=True)
    return None
