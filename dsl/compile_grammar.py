"""`grammar.lark` to the tables of `grammar.json`, by lark.

`python -m tpc.dsl.compile_grammar` writes them; to be run when the grammar has changed.
"""

import json
import os
import zlib
from typing import Any, Final

from lark import Lark
from lark.lexer import Lexer as LarkLexer
from lark.parsers.lalr_analysis import Shift

GRAMMAR: Final = os.path.join(os.path.dirname(__file__), "grammar.lark")
TABLES: Final = os.path.join(os.path.dirname(__file__), "grammar.json")
STARTS: Final = ["module", "expression", "op_line", "fact_lines", "rules"]


class _NoLexer(LarkLexer):
    """Stands where lark wants a lexer; it is not asked for tokens."""

    def __init__(self, conf: object) -> None:
        pass

    def lex(self, lexer_state: object, parser_state: object) -> Any:
        return iter(())


def compiled(grammar: str) -> dict[str, Any]:
    """The LALR(1) tables of a grammar, numbered in an order that depends on the grammar alone.

    `states[n]` maps a type of token to the state to shift to, or to `-1 - r` to reduce by `rules[r]`, which
    is [builder method, number of children, rule]; and it maps a rule to the state to go on in.
    """
    lark = Lark(
        grammar,
        parser="lalr",
        lexer=_NoLexer,
        start=STARTS,
        maybe_placeholders=False,
        keep_all_tokens=True,
    )
    conf = {s: lark.parse_interactive("", start=s).parser_state.parse_conf for s in STARTS}
    table = conf[STARTS[0]].states
    order = [conf[s].start_state for s in STARTS]
    number = {state: n for n, state in enumerate(order)}
    rules: list[list[Any]] = []
    rule_number: dict[int, int] = {}
    states: list[dict[str, int]] = []
    for state in order:  # grows on the way
        row: dict[str, int] = {}
        for symbol, (kind, goal) in sorted(table[state].items()):
            if kind is Shift:
                if goal not in number:
                    number[goal] = len(order)
                    order.append(goal)
                row[str(symbol)] = number[goal]
                continue
            if id(goal) not in rule_number:
                rule_number[id(goal)] = len(rules)
                name = str(goal.origin.name)
                rules.append([str(goal.alias or name), len(goal.expansion), name])
            row[str(symbol)] = -1 - rule_number[id(goal)]
        states.append(row)
    return {
        "grammar": zlib.crc32(grammar.encode()),
        "first": {s: number[conf[s].start_state] for s in STARTS},
        "last": {s: number[conf[s].end_state] for s in STARTS},
        "rules": rules,
        "states": states,
    }


def printed(tables: dict[str, Any]) -> str:
    """JSON with a state on each line."""
    short = [f"{json.dumps(k)}: {json.dumps(tables[k])}" for k in ("grammar", "first", "last", "rules")]
    states = ",\n".join(json.dumps(row, separators=(",", ":")) for row in tables["states"])
    return "{" + ",\n".join(short) + ',\n"states": [\n' + states + "\n]}\n"


def main() -> None:
    with open(GRAMMAR, encoding="utf-8") as file:
        grammar = file.read()
    with open(TABLES, "w", encoding="utf-8", newline="\n") as file:
        file.write(printed(compiled(grammar)))


if __name__ == "__main__":
    main()
