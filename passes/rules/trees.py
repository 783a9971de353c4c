"""Expressions of rules as trees: walking over them, and making changed copies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from tpc.dsl.syntax import Call, Name


def called(part: object) -> str:
    """The name of the function that is called, or nothing where the piece is no call."""
    return part.function.name if isinstance(part, Call) and isinstance(part.function, Name) else ""


def _fields(expression: Any) -> list[str]:
    skipped = ("span", "function") if isinstance(expression, Call) else ("span",)
    return [name for name in getattr(expression, "__slots__", ()) if name not in skipped]


def children(expression: Any) -> list[Any]:
    """The pieces directly inside of an expression, the function of a call left out."""
    found: list[Any] = []
    for name in _fields(expression):
        _collect(getattr(expression, name), found)
    return found


def _collect(value: Any, found: list[Any]) -> None:
    if isinstance(value, list):
        for item in value:
            _collect(item, found)
    elif hasattr(value, "span"):
        found.append(value)


def walk(expression: Any) -> Iterator[Any]:
    """All pieces of an expression, itself first."""
    yield expression
    for child in children(expression):
        yield from walk(child)


def rebuild(expression: Any, change: Callable[[Any], Any]) -> Any:
    """A copy in which each piece, innermost first, is what `change` makes of it."""

    def copy(value: Any) -> Any:
        if isinstance(value, list):
            return [copy(item) for item in value]
        return rebuild(value, change) if hasattr(value, "span") else value

    changed = replace(expression, **{name: copy(getattr(expression, name)) for name in _fields(expression)})
    return change(changed)


def replaced(expression: Any, old: Any, new: Any) -> Any:
    """A copy with one piece (found by identity) exchanged."""
    if expression is old:
        return new

    def copy(value: Any) -> Any:
        if isinstance(value, list):
            return [copy(item) for item in value]
        return replaced(value, old, new) if hasattr(value, "span") else value

    return replace(expression, **{name: copy(getattr(expression, name)) for name in _fields(expression)})
