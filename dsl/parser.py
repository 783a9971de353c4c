"""Text to syntax tree.

The lexer makes logical lines, lark's LALR tables read them, `build` makes the tree. A line that cannot be
read is reported and stands in the tree as `Broken`; the parser goes on behind it, so that all errors are
found in one go, in time linear in the text.
"""

import re
from typing import Any

from tpc.dsl import habits, limits
from tpc.dsl.build import flattened
from tpc.dsl.collection import no_collection
from tpc.dsl.diagnostics import Diagnostic, Diagnostics, TpcError
from tpc.dsl.lexer import Lexer
from tpc.dsl.reading import Reader, TooManyErrors
from tpc.dsl.source import Source, Span
from tpc.dsl.syntax import Broken, Comment, Expr, FactLine, Module, OpLine, Rule, RuleFact
from tpc.dsl.tokens import MAX_ERRORS, MAX_NESTING, Line, Token

_POWER_T = re.compile(r"\^[ \t]*T\b")
# a text in which words and signs may need types of their own
_MARKED = re.compile(r"\bstructure\b|[\[,]\s*\(\s*\w+\s+\w|^@", re.M)


def parse(source: Source, diagnostics: Diagnostics) -> Module:
    """Read a program.

    Never raises: every independent syntax error is added to `diagnostics`, in the order of the text, and a
    `Broken` stands in the tree for each line that could not be read.
    """
    faults: list[Diagnostic] = []
    with no_collection():
        lines, comments = _lines(source, faults)
        if _MARKED.search(source.text):
            for line in lines:
                _mark_words(line.tokens)
        try:
            items = Reader(source, "module", faults).read_blocks(lines)
        except TooManyErrors:
            items = [Broken(Span(source, 0, len(source.text)))]
    _hand_over(source, faults, diagnostics)
    return Module(source, items, comments)


def parse_expression(text: str, name: str = "<expression>") -> Expr:
    """Read one expression; raises `TpcError`."""
    expression: Expr = _phrase(Source(text, name), "expression")
    return expression


def parse_op_line(text: str, name: str = "<op>") -> OpLine:
    """Read `kron(A[i,j], B[p,q])[(i p),(j q)] = A[i,j] * B[p,q]`; raises `TpcError`."""
    line: OpLine = _phrase(Source(text, name), "op_line")
    return line


def parse_fact_lines(text: str, name: str = "<facts>") -> list[FactLine]:
    """Read lines `premises |- conclusion where conditions`, ended by line ends or `;`; raises `TpcError`."""
    diagnostics = Diagnostics()
    facts: list[FactLine] = _flat(Source(text, name), "fact_lines", diagnostics)
    diagnostics.raise_errors()
    return facts


def parse_rules(source: Source, diagnostics: Diagnostics) -> list[Rule | RuleFact]:
    """Read a `.rules` file; what could not be read is reported and left out."""
    rules: list[Rule | RuleFact] = _flat(source, "rules", diagnostics)
    return rules


# ---- the steps


def _lines(source: Source, faults: list[Diagnostic], **how: bool) -> tuple[list[Line], list[Comment]]:
    """The logical lines and comments of a text; no lines where it is beyond the limits."""
    faults += habits.hidden_characters(source)
    faults += limits.oversized(source)
    if faults and faults[-1].code == "E0109" or len(faults) >= MAX_ERRORS:
        return [], []
    lexer = Lexer(source, Diagnostics(faults), **how)
    lines = lexer.read()
    if _POWER_T.search(source.text):
        _transpose_powers(lines, faults)
    for line in lines:
        if len(line.tokens) > MAX_NESTING:
            excess = limits.excess(line)
            if excess is not None and not line.broken:
                faults.append(excess)
                line.broken = True
    return lines, lexer.comments


def _transpose_powers(lines: list[Line], faults: list[Diagnostic]) -> None:
    """Read `A^T` as a transpose in a text in which nothing is called T."""
    powers: list[tuple[Line, int]] = []
    for line in lines:
        tokens = line.tokens
        for at, token in enumerate(tokens):
            if token.type == "NAME" and token.text == "T":
                if not at or tokens[at - 1].text != "^":
                    return
                powers.append((line, at))
    for line, at in reversed(powers):  # from the back, so that the places stay right
        power, name = line.tokens[at - 1 : at + 1]
        faults.append(habits.power_transpose(power, name))
        power.type, power.text, power.end = "PRIME", "'", name.end
        del line.tokens[at]


def _hand_over(source: Source, faults: list[Diagnostic], diagnostics: Diagnostics) -> None:
    faults.sort(key=lambda fault: fault.labels[0].span.start)
    diagnostics.items += faults[:MAX_ERRORS]
    if len(faults) >= MAX_ERRORS:
        diagnostics.items.append(limits.too_many_errors(faults[MAX_ERRORS - 1]))


def _phrase(source: Source, start: str) -> Any:
    faults: list[Diagnostic] = []
    lines, _ = _lines(source, faults, joined=True)
    tree = None
    if not faults:
        tokens = lines[0].tokens if lines else []
        _mark_axes(tokens, start)
        tree = Reader(source, start, faults).read_one(tokens)
    if faults:
        raise TpcError(faults)
    return tree


def _flat(source: Source, start: str, diagnostics: Diagnostics) -> list[Any]:
    faults: list[Diagnostic] = []
    lines, _ = _lines(source, faults, semicolons=start == "fact_lines")
    for line in lines:
        _mark_axes(line.tokens, start)
    try:
        tree = flattened(Reader(source, start, faults).read_flat(lines))
    except TooManyErrors:
        tree = []
    _hand_over(source, faults, diagnostics)
    return tree


def _mark_words(tokens: list[Token]) -> None:
    """Give what has a meaning only at its place a type of its own: `structure name(`, `[(i p), j]`, `@memory(`.

    Everywhere else `structure` is a name like others, and two names side by side are a mistake.
    """
    if len(tokens) > 2 and tokens[0].text == "structure" and (tokens[1].type, tokens[2].type) == ("NAME", "LPAR"):
        tokens[0].type = "STRUCTURE"
    if tokens and tokens[0].text == "@":
        tokens[0].type = "AT"
    for at, token in enumerate(tokens):
        if token.type == "LPAR" and at and tokens[at - 1].type in ("LSQB", "COMMA"):
            end = at + 1
            while end < len(tokens) and tokens[end].type == "NAME":
                end += 1
            if end - at > 2 and end < len(tokens) and tokens[end].type == "RPAR":
                for axis in tokens[at + 2 : end]:
                    axis.type = "AXIS"


def _mark_axes(tokens: list[Token], start: str) -> None:
    """Give words that have a meaning only outside of programs their own types: `(i p)`, `rule`, `fact`."""
    for before, token in zip(tokens, tokens[1:]):
        if token.type == "NAME" and before.type in ("NAME", "AXIS"):
            token.type = "AXIS"
    if start == "rules" and len(tokens) > 1 and tokens[0].text in ("rule", "fact") and tokens[1].type == "AXIS":
        tokens[0].type = tokens[0].text.upper()
        tokens[1].type = "NAME"
