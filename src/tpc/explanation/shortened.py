"""Long expressions made readable: parts that come up again, or are long, get names of their own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

from tpc.dsl import syntax
from tpc.dsl.format import format_expression
from tpc.dsl.source import Span
from tpc.passes.egraph.phrases import Expr, name

WIDTH = 76  # of an expression, from where it is shortened
LEAST = 12  # characters of a part that is worth a name
NAMES = "PQRSTUVWEFGK"


def shortened(sides: Sequence[Expr], width: int = WIDTH) -> tuple[list[Expr], dict[str, Expr]]:
    """Expressions with names for their larger parts, and what these stand for, in the order in which to read them."""
    written = list(sides)
    parts: dict[str, Expr] = {}
    free = [n for n in NAMES if not any(_has(side, n) for side in written)]
    while free and max(len(format_expression(e)) for e in written) > width:
        chosen = _most_telling(written)
        if chosen is None:
            break
        short = free.pop(0)
        key = format_expression(chosen)
        written = [_without(e, key, short) for e in written]
        parts = {n: _without(e, key, short) for n, e in parts.items()}
        parts[short] = chosen
    return written, parts


def _most_telling(sides: Sequence[Expr]) -> Expr | None:
    """The part that saves most characters; what is there only once counts half."""
    count: Counter[str] = Counter()
    found: dict[str, Expr] = {}
    for side in sides:
        for part in _closed(side):
            if part is not side and isinstance(part, (syntax.Binary, syntax.Call, syntax.Transpose)):
                key = format_expression(part)
                if len(key) >= LEAST:
                    count[key] += 1
                    found.setdefault(key, part)
    if not count:
        return None
    half = max(len(format_expression(e)) for e in sides) / 2
    gains = {key: (n - 1) * len(key) + min(len(key), half) / 2 for key, n in count.items()}
    return found[max(gains, key=lambda key: (gains[key], key))]


def _parts(e: Any) -> Iterator[Any]:
    yield e
    for inner in _inside(e):
        yield from _parts(inner)


def _closed(e: Any) -> Iterator[Any]:
    """The parts that mean something by themselves: those without index letters, which are bound around them."""
    if not any(isinstance(part, syntax.Subscript) for part in _parts(e)):
        yield from _parts(e)
        return
    for inner in _inside(e):
        yield from _closed(inner)


def _inside(e: Any) -> Iterator[Any]:
    if isinstance(e, list):
        yield from e
    elif is_dataclass(e) and not isinstance(e, (Span, type)):
        yield from (getattr(e, f.name) for f in fields(e) if f.name not in ("span", "function"))


def _has(e: Expr, wanted: str) -> bool:
    return any(isinstance(part, syntax.Name) and part.name == wanted for part in _parts(e))


def _without(e: Any, key: str, short: str) -> Any:
    """The expression with a name for a part."""
    if isinstance(e, list):
        return [_without(item, key, short) for item in e]
    if not is_dataclass(e) or isinstance(e, (Span, type)):
        return e
    if isinstance(e, (syntax.Binary, syntax.Call, syntax.Transpose)) and format_expression(e) == key:
        return name(short)
    return replace(e, **{f.name: _without(getattr(e, f.name), key, short) for f in fields(e) if f.name != "span"})
