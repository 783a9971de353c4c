"""The LALR(1) tables of `grammar.lark`, and the loop that runs them.

Lark compiles the grammar (`compile_grammar`), which with its import takes 100 ms; so the tables are kept
beside the grammar as JSON, with its checksum. While the grammar is being changed they are made at each start.

The loop is our own, because the parser has to be set back to the start of a line after an error, and because
it takes half the time of lark's, which compares rules at each reduction.
"""

import json
import os
import zlib
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

from tpc.dsl.build import Builder
from tpc.dsl.tokens import Token

# A state is its row of the table: what to do with each type of token, and where to go on after each rule.
Row = dict[str, "_Action"]
# (builder, number of children, rule, -) to reduce; (None, -, -, next state) to shift or to go on
_Action = tuple[Callable[[list[Any]], Any] | None, int, str, Row]


class Tables:
    def __init__(self, made: dict[str, Any]) -> None:
        builder = Builder()
        reductions: list[_Action] = [
            (getattr(builder, method), count, rule, {}) for method, count, rule in made["rules"]
        ]
        rows: list[Row] = [{} for _ in made["states"]]
        shifts: list[_Action] = [(None, 0, "", row) for row in rows]
        for row, numbers in zip(rows, made["states"]):
            for symbol, number in numbers.items():
                row[symbol] = shifts[number] if number >= 0 else reductions[-1 - number]
        self.first = {start: rows[number] for start, number in made["first"].items()}
        self.last = {start: rows[number] for start, number in made["last"].items()}


@cache
def tables() -> Tables:
    here = os.path.dirname(__file__)
    with open(os.path.join(here, "grammar.lark"), encoding="utf-8") as file:
        grammar = file.read()
    with open(os.path.join(here, "grammar.json"), encoding="utf-8") as file:
        made = json.load(file)
    if made["grammar"] != zlib.crc32(grammar.encode()):
        from tpc.dsl.compile_grammar import compiled

        made = compiled(grammar)
    return Tables(made)


class Unexpected(Exception):
    """A token that cannot follow; `expected` are the types that the parser looks for in its place."""

    def __init__(self, token: Token, expected: set[str]) -> None:
        self.token = token
        self.expected = expected
        super().__init__(token.type)


class Machine:
    """The parser in one state of its work. `feed` raises `Unexpected`, and whatever the builder raises."""

    def __init__(self, start: str) -> None:
        made = tables()
        self.last = made.last[start]
        self.rows = [made.first[start]]
        self.values: list[Any] = []

    def mark(self) -> tuple[list[Row], list[Any]]:
        return self.rows[:], self.values[:]

    def back_to(self, mark: tuple[list[Row], list[Any]]) -> None:
        self.rows, self.values = mark[0][:], mark[1][:]

    def feed(self, tokens: Iterable[Token]) -> None:
        rows, values = self.rows, self.values
        for token in tokens:
            type = token.type
            while True:
                action = rows[-1].get(type)
                if action is None:
                    raise _unexpected(token, rows[-1])
                build, count, rule, following = action
                if build is None:
                    rows.append(following)
                    values.append(token)
                    break
                if count:
                    children = values[-count:]
                    del rows[-count:], values[-count:]
                else:
                    children = []
                values.append(build(children))
                rows.append(rows[-1][rule][3])

    def finish(self, end: Token) -> Any:
        """The value of the whole text; `end` is a token of type `$END`."""
        rows, values = self.rows, self.values
        while rows[-1] is not self.last:
            action = rows[-1].get(end.type)
            if action is None:
                raise _unexpected(end, rows[-1])
            build, count, rule, _ = action
            assert build is not None, "the end of the text is never shifted"
            children = values[len(values) - count :]
            del rows[len(rows) - count :], values[len(values) - count :]
            values.append(build(children))
            rows.append(rows[-1][rule][3])
        return values[-1]


def _unexpected(token: Token, row: Row) -> Unexpected:
    return Unexpected(token, {symbol for symbol in row if symbol.isupper()})
