"""Long expressions made readable: parts that come up again, or are long, get names of their own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass, replace
from operator import is_
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
    texts = _Texts()
    if max(map(texts.length, written)) <= width:
        return written, parts
    used = {part.name for side in written for part in _parts(side) if isinstance(part, syntax.Name)}
    free = [n for n in NAMES if n not in used]
    while free and max(map(texts.length, written)) > width:
        chosen = _most_telling(written, texts)
        if chosen is None:
            break
        short = free.pop(0)
        key = texts(chosen)
        written = [_without(e, key, short, texts) for e in written]
        parts = {n: _without(e, key, short, texts) for n, e in parts.items()}
        parts[short] = chosen
    return written, parts


class _Texts:
    """Expressions as text; each is written once."""

    def __init__(self) -> None:
        self.known: dict[int, tuple[Expr, str]] = {}  # with the expression, so that it stays

    def __call__(self, e: Expr) -> str:
        if id(e) not in self.known:
            self.known[id(e)] = e, format_expression(e)
        return self.known[id(e)][1]

    def length(self, e: Expr) -> int:
        return len(self(e))


def _most_telling(sides: Sequence[Expr], texts: _Texts) -> Expr | None:
    """The part that saves most characters; what is there only once counts half."""
    count: Counter[str] = Counter()
    found: dict[str, Expr] = {}
    for side in sides:
        for part in _closed(side):
            if part is not side and isinstance(part, (syntax.Binary, syntax.Call, syntax.Transpose)):
                key = texts(part)
                if len(key) >= LEAST:
                    count[key] += 1
                    found.setdefault(key, part)
    if not count:
        return None
    half = max(map(texts.length, sides)) / 2
    gains = {key: (n - 1) * len(key) + min(len(key), half) / 2 for key, n in count.items()}
    return found[max(gains, key=lambda key: (gains[key], key))]


def _parts(e: Any) -> Iterator[Any]:
    waiting = [e]
    while waiting:
        part = waiting.pop()
        yield part
        waiting += reversed(_inside(part))


def _closed(e: Any) -> list[Any]:
    """The parts that mean something by themselves: those without index letters, which are bound around them."""
    closed: dict[int, bool] = {}  # whether no part of it is a subscript
    order = list(_parts(e))
    for part in reversed(order):
        closed[id(part)] = not isinstance(part, syntax.Subscript) and all(closed[id(i)] for i in _inside(part))
    return [part for part in order if closed[id(part)]]


def _inside(e: Any) -> list[Any]:
    if isinstance(e, list):
        return e
    return [getattr(e, name) for name in _fields(type(e)) if name != "function"]


def _fields(kind: type) -> tuple[str, ...]:
    """The parts of a piece of syntax, by name."""
    if kind not in _known:
        is_syntax = is_dataclass(kind) and not issubclass(kind, Span)
        _known[kind] = tuple(f.name for f in fields(kind) if f.name != "span") if is_syntax else ()
    return _known[kind]


_known: dict[type, tuple[str, ...]] = {}


def _without(e: Any, key: str, short: str, texts: _Texts) -> Any:
    """The expression with a name for a part; itself where it has no such part."""
    if isinstance(e, list):
        found = [_without(item, key, short, texts) for item in e]
        return e if all(map(is_, found, e)) else found
    if isinstance(e, (syntax.Binary, syntax.Call, syntax.Transpose)):
        text = texts(e)
        if len(text) <= len(key):
            return name(short) if text == key else e
    changes = {}
    for field in _fields(type(e)):
        inner = getattr(e, field)
        made = _without(inner, key, short, texts)
        if made is not inner:
            changes[field] = made
    return replace(e, **changes) if changes else e
