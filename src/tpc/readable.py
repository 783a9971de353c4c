"""The text of a program made to be read: values that are used once stand where they are used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any

from tpc.dsl import syntax
from tpc.dsl.diagnostics import Diagnostics
from tpc.dsl.format import format_expression, format_module
from tpc.dsl.parser import parse
from tpc.dsl.source import Source, Span

WIDTH = 72  # of an expression with others in it


def readable(text: str) -> str:
    """A program in single assignment, one op a line, as one would write it; it means the same."""
    diagnostics = Diagnostics()
    module = parse(Source(text), diagnostics)
    diagnostics.raise_errors()
    for item in module.items:
        if isinstance(item, syntax.Def):
            uses = Counter(part.name for part in _parts(item.body) if isinstance(part, syntax.Name))
            again = Counter(target.name.name for target in _targets(item.body))
            _Block(uses, {name for name, count in again.items() if count > 1}).rewrite(item.body)
            for part in _parts(item.body):
                if isinstance(part, syntax.Binary) and part.operator in ("==", "!="):
                    _put_number_last(part)
    return format_module(module)


class _Block:
    """The statements of a function; names in `changing` stand for several values."""

    def __init__(self, uses: Counter[str], changing: set[str]) -> None:
        self.uses, self.changing = uses, changing

    def rewrite(self, statements: list[syntax.Statement]) -> None:
        for statement in statements:
            for inner in _blocks(statement):
                self.rewrite(inner)
            if isinstance(statement, syntax.Assign) and not any(t.letters or t.facts for t in statement.targets):
                statement.targets = [replace(t, type=None) for t in statement.targets]
        for statement in list(statements):
            if self._moves(statement):
                assert isinstance(statement, syntax.Assign)
                following = statements[statements.index(statement) + 1 :]
                if any(self._put(statement, user) for user in following):
                    statements.remove(statement)

    def _moves(self, statement: syntax.Statement) -> bool:
        if not isinstance(statement, syntax.Assign) or len(statement.targets) != 1:
            return False
        (target,) = statement.targets
        written = {part.name for part in _parts(statement.value) if isinstance(part, syntax.Name)}
        return (
            not target.letters
            and not target.facts
            and self.uses[target.name.name] == 2  # here and there
            and not self.changing & {target.name.name, *written}
        )

    def _put(self, moved: syntax.Assign, user: syntax.Statement) -> bool:
        """Put a value where it is used, if it is in this statement and the whole stays short."""
        if not isinstance(user, (syntax.Assign, syntax.Return)):
            return False
        if isinstance(user, syntax.Assign) and any(t.letters for t in user.targets):
            return False
        name = moved.targets[0].name.name
        changed = _with(user.value, name, moved.value)
        if changed is None or (
            len(format_expression(changed)) > WIDTH and not (isinstance(user, syntax.Return) and _is(user.value, name))
        ):
            return False
        user.value = changed
        return True


def _put_number_last(test: syntax.Binary) -> None:
    """`x == 0` for `0 == x`."""
    if isinstance(test.left, syntax.Number):
        test.left, test.right = test.right, test.left


def _with(e: Any, name: str, value: syntax.Expr) -> Any:
    """The expression with a value for a name; None if it is not there, or where only a name may stand."""
    if _is(e, name):
        return value
    if isinstance(e, (syntax.Reduce, syntax.Subscript)):
        return None
    if isinstance(e, list):
        found = [_with(item, name, value) for item in e]
        return None if all(f is None for f in found) else [i if f is None else f for i, f in zip(e, found, strict=True)]
    if not is_dataclass(e) or isinstance(e, (Span, type)):
        return None
    parts = {f.name: _with(getattr(e, f.name), name, value) for f in fields(e) if f.name not in ("span", "function")}
    there = {key: part for key, part in parts.items() if part is not None}
    return replace(e, **there) if there else None


def _is(e: Any, name: str) -> bool:
    return isinstance(e, syntax.Name) and e.name == name


def _parts(e: Any) -> Iterator[Any]:
    if isinstance(e, list):
        for item in e:
            yield from _parts(item)
    elif is_dataclass(e) and not isinstance(e, (Span, type)):
        yield e
        for f in fields(e):
            if f.name != "span":
                yield from _parts(getattr(e, f.name))


def _targets(e: Any) -> Iterator[syntax.Target]:
    return (part for part in _parts(e) if isinstance(part, syntax.Target))


def _blocks(statement: syntax.Statement) -> Iterator[list[syntax.Statement]]:
    match statement:
        case syntax.Repeat(body=body) | syntax.Scan(body=body):
            yield body
        case syntax.If(branches=branches, otherwise=otherwise):
            yield from (body for _, body in branches)
            yield otherwise
