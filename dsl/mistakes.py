"""Names for what is wrong with a line that the grammar does not accept.

Runs only when an error occurred. `explain` asks a list of small questions in order; the first that knows an
answer gives the message.
"""

from collections.abc import Callable
from typing import Final

from tpc.dsl.diagnostics import Diagnostic, Label, diagnostic
from tpc.dsl.foreign import FOREIGN
from tpc.dsl.habits import corrected, write
from tpc.dsl.source import Source, Span
from tpc.dsl.tokens import (
    HEADS,
    ITEMS,
    KEYWORDS,
    OPERAND_END,
    Line,
    Token,
)

_WORDS: Final = {
    "NAME": "a name",
    "NUMBER": "a number",
    "STRING": "text in quotes",
    "OP": "an operator",
    "PREFIX": "a sign",
    "PRIME": "`'`",
    "EQ": "`=`",
    "APPROX": "`~=`",
    "COLON": "`:`",
    "COMMA": "`,`",
    "SEMI": "`;`",
    "DOTS": "`...`",
    "LPAR": "`(`",
    "RPAR": "`)`",
    "LSQB": "`[`",
    "RSQB": "`]`",
    "ARROW": "`->`",
    "TURNSTILE": "`|-`",
    "RULE_ARROW": "`=>`, `<=>` or `~>`",
    "NEWLINE": "the end of the line",
    "$END": "the end",
}
_VALUES: Final = frozenset({"NAME", "NUMBER", "STRING", "LPAR", "LSQB"})


class _Place:
    """A line with its first unexpected token."""

    def __init__(self, source: Source, line: Line, token: Token, expected: set[str], start: str, inside: bool) -> None:
        self.source = source
        self.line = line
        self.tokens = line.tokens
        self.token = token
        self.expected = expected
        self.start = start
        self.inside = inside  # in the body of a function
        self.at = next((i for i, t in enumerate(line.tokens) if t is token), len(line.tokens))
        self.before = self.tokens[self.at - 1] if self.at else None
        self.after = self.tokens[self.at + 1] if self.at + 1 < len(self.tokens) else None
        self.head = self.tokens[0] if self.tokens else token
        self.at_end = token.type in ("NEWLINE", "$END")

    @property
    def span(self) -> Span:
        """The token; at the end of a line what stands there last."""
        if self.at_end and self.before is not None:
            return self.before.span
        size = len(self.source.text)
        return Span(self.source, min(self.token.start, size), min(self.token.end, size))

    def depth(self) -> int:
        """Brackets open before the token."""
        opened = sum(t.type in ("LPAR", "LSQB") for t in self.tokens[: self.at])
        return opened - sum(t.type in ("RPAR", "RSQB") for t in self.tokens[: self.at])


def explain(source: Source, line: Line, token: Token, expected: set[str], start: str, inside: bool) -> Diagnostic:
    """The message for the first token of a line that the grammar does not accept."""
    place = _Place(source, line, token, expected, start, inside)
    for question in _QUESTIONS:
        answer = question(place)
        if answer is not None:
            return answer
    return _unexpected(place)


def _foreign_word(p: _Place) -> Diagnostic | None:
    word = p.head
    if p.start == "module" and word.type == "NAME" and word.text in FOREIGN and 0 < p.at <= 2:
        return diagnostic(
            "E0113", f"`{word.text}` does not begin a statement of tpc", word.span, help=FOREIGN[word.text]
        )
    if p.before is not None and p.before.text == "lambda" and p.before.type == "NAME":
        return diagnostic("E0113", "tpc has no `lambda`", p.before.span, help=FOREIGN["lambda"])
    return None


def _missing_colon(p: _Place) -> Diagnostic | None:
    if not (p.at_end and p.before is not None and p.head.type in HEADS and "COLON" in p.expected):
        return None
    end = p.before.span.end
    shown = corrected((Span(p.source, end, end), ":"))
    return diagnostic(
        "E0117",
        f"`:` is missing at the end of the line that begins with `{p.head.text}`",
        Label(p.before.span, "behind this"),
        help=f"write `{shown}`" if shown else "write `:`",
    )


def _else_if(p: _Place) -> Diagnostic | None:
    if p.head.type == "ELSE" and p.at == 1 and p.token.type == "IF":
        span = p.head.span.to(p.token.span)
        return diagnostic("E0113", "`else if` is one word in tpc", span, help=write(span, "elif", "write `elif`"))
    if p.head.type in ("ELIF", "ELSE") and p.at == 0:
        return diagnostic("E0101", f"`{p.head.text}` without an `if`", Label(p.span, "no `if` at this depth"))
    return None


def _misplaced(p: _Place) -> Diagnostic | None:
    """A line that cannot stand at this level."""
    if p.start != "module" or p.at > 0:
        return None
    if p.token.type in ITEMS:
        title = f"`{p.token.text}` stands inside of a block"
        return diagnostic("E0122", title, p.span, help="write it at the top level, without indentation")
    if p.inside or p.token.type in ("EQ", "OP", "COMMA"):
        return None
    types = {t.type for t in p.tokens}
    if p.token.type == "NAME" and p.token.text in FOREIGN and (p.after is None or p.after.type != "EQ"):
        word = p.token.text
        return diagnostic("E0113", f"`{word}` does not begin a statement of tpc", p.span, help=FOREIGN[word])
    simple = p.token.type == "NAME" and "EQ" in types and p.after is not None and p.after.type in ("EQ", "COLON")
    if simple:
        help = write(Span(p.source, p.token.start, p.token.start), "const ", "write `const` before the name")
    else:
        help = "write it in the body of a function, `def name(x: f64[n]) -> f64[n]:`"
    title = "a statement outside of a function"
    if p.token.type in _VALUES and "EQ" not in types and "APPROX" not in types:
        title = "an expression outside of a function"
    return diagnostic("E0122", title, Label(p.line.span, ""), help=help)


def _equality(p: _Place) -> Diagnostic | None:
    """`=` for `==`, and the other way round."""
    if p.token.type == "EQ" and p.before is not None:
        condition = p.head.type in ("IF", "ELIF", "REPEAT", "UNTIL") or any(
            t.type in ("WHERE", "IF") for t in p.tokens[: p.at]
        )
        if condition or (p.depth() and p.before.type in OPERAND_END) or p.head.type == "RETURN":
            help = write(p.token.span, "==", "write `==`")
            return diagnostic("E0116", "`=` does not compare", Label(p.span, "gives a name to a value"), help=help)
    names = p.start == "module" and all(t.type in ("NAME", "COMMA") for t in p.tokens[: p.at])
    if p.token.text == "==" and p.at and names:
        help = write(p.token.span, "=", "write `=`")
        return diagnostic("E0116", "`==` does not assign", Label(p.span, "compares two values"), help=help)
    return None


def _reserved(p: _Place) -> Diagnostic | None:
    word = p.token
    if word.text not in KEYWORDS or "NAME" not in p.expected or word.text in ("and", "or", "not"):
        return None
    if p.at == 0 and word.type != "IN" or (p.before is not None and p.before.type in OPERAND_END):
        return None
    if word.type == "IF":
        return diagnostic(
            "E0101", "a condition without a value before it", p.span, help="write `a if condition else b`"
        )
    if p.after is not None and p.after.type in _VALUES - {"LPAR", "LSQB"}:
        return None
    return diagnostic(
        "E0114",
        f"`{word.text}` is a word of the language",
        Label(p.span, "cannot be a name"),
        help="write `select(c, a, b)`" if word.type == "WHERE" and p.after is not None else f"write `{word.text}_`",
    )


def _reserved_start(p: _Place) -> Diagnostic | None:
    """`on = 3`, `const = 4`, `scan: f64 = x`"""
    if p.head.text in KEYWORDS and (
        (
            p.at == 1
            and p.token.type in ("EQ", "COMMA")
            or (p.at == 1 and p.token.type == "COLON" and p.head.type != "ELSE")
        )
        or (p.at == 0 and p.after is not None and p.after.type == "EQ")
    ):
        word = p.head.text
        return diagnostic(
            "E0114",
            f"`{word}` is a word of the language",
            Label(p.head.span, "cannot be a name"),
            help=f"write `{word}_`",
        )
    return None


def _bare_expression(p: _Place) -> Diagnostic | None:
    if p.start != "module" or not p.inside or p.head.type not in _VALUES | {"PREFIX"}:
        return None
    if p.token.type not in _VALUES | {"OP", "AND", "PREFIX", "PRIME", "IF", "NEWLINE", "DOTS"}:
        return None
    level = 0
    for token in p.tokens:
        level += (token.type in ("LPAR", "LSQB")) - (token.type in ("RPAR", "RSQB"))
        if level == 0 and token.type in ("EQ", "APPROX"):
            return None
    text = p.line.span.text
    shown = len(text) < 80 and "\n" not in text
    if p.head.type == "STRING":
        return diagnostic(
            "E0115",
            "a text is not a statement",
            Label(p.line.span, "it does nothing here"),
            help="a comment begins with `#`",
        )
    return diagnostic(
        "E0115",
        "an expression is not a statement",
        Label(p.line.span, "its value is not used"),
        help=f"write `return {text}`, or `y = {text}`" if shown else "write `return` before it, or give it a name",
    )


def _target(p: _Place) -> Diagnostic | None:
    """`K[i + 1] = e`, `f(x) = e`, `X' = e`"""
    if p.start != "module" or not p.inside or p.head.type not in _VALUES | {"PREFIX"}:
        return None
    equals = next((i for i, t in enumerate(p.tokens) if t.type in ("EQ", "APPROX")), 0)
    if not p.at < equals or any(t.type == "COLON" for t in p.tokens[: p.at]):
        return None
    inside = p.depth() > 0
    help = "write plain letters: `K[i, j] = ...`" if inside else "write a name, or a name with letters: `K[i, j] = ...`"
    if inside and p.token.type == "NUMBER":
        help = f"values do not change; write a new one: `z[i] = select(i == {p.token.text}, ..., {p.head.text}[i])`"
    if p.token.type == "LPAR" and p.at == 1:
        help = "a function is written `def f(x) = ...`, at the top level"
    return diagnostic("E0119", "cannot give a value to this", Label(p.span, "not a name or a letter"), help=help)


def _missing_arrow(p: _Place) -> Diagnostic | None:
    if p.head.type == "DEF" and "ARROW" in p.expected and p.token.type in ("NAME", "LSQB"):
        here = Span(p.source, p.token.start, p.token.start)
        return diagnostic("E0123", "`->` is missing before the result", p.span, help=write(here, "-> ", "write `->`"))
    if p.head.type == "DEF" and p.token.type in ("OP", "RULE_ARROW") and p.before and p.before.type == "RPAR":
        return diagnostic("E0123", "the result of a function follows `->`", p.span, help="write `->`")
    return None


def _missing_word(p: _Place) -> Diagnostic | None:
    """`scan i = n:`, `W ~= V`, `A: f64[n] spd`, `x[]`"""
    if p.head.type == "SCAN" and p.token.type == "EQ":
        help = write(p.token.span, "in", "write `in`")
        return diagnostic("E0101", "`scan` takes its letter from a size", p.span, help=help)
    if "WITHIN" in p.expected and any(t.type == "APPROX" for t in p.tokens[: p.at]):
        help = "write the relative error that is allowed: `W ~= V within 1e-2`"
        return diagnostic("E0101", "an approximation without its bound", p.span, help=help)
    typed = any(t.type == "COLON" for t in p.tokens[: p.at])
    if p.token.type == "NAME" and "IS" in p.expected and typed:
        here = Span(p.source, p.token.start, p.token.start)
        return diagnostic("E0101", "`is` is missing before a fact", p.span, help=write(here, "is ", "write `is`"))
    if p.token.type == "RSQB" and p.before is not None and p.before.type == "LSQB":
        return diagnostic("E0101", "the brackets are empty", p.before.span.to(p.token.span))
    return None


def _line_ends_early(p: _Place) -> Diagnostic | None:
    if not p.at_end or p.before is None:
        return None
    word = p.before.text
    if p.before.type == "RETURN":
        return diagnostic("E0125", "`return` without a value", p.span, help="write `return` and what is returned")
    if p.before.type in ("OP", "AND", "PREFIX", "COMMA", "EQ", "APPROX"):
        return diagnostic(
            "E0125",
            f"the line ends after `{word}`",
            Label(p.span, "nothing follows"),
            help="an expression over several lines stands in brackets" if p.before.type != "COMMA" else None,
        )
    if p.before.type in KEYWORDS or p.before.text in KEYWORDS:
        return diagnostic("E0125", f"the line ends after `{word}`", Label(p.span, "nothing follows"))
    return None


def _missing_operator(p: _Place) -> Diagnostic | None:
    if p.before is None or p.before.type not in OPERAND_END or p.token.type not in _VALUES | {"AXIS"}:
        return None
    if "OP" not in p.expected:
        return None
    here = Span(p.source, p.before.end, p.before.end)
    between = p.source.text[p.before.end : p.token.start]
    shown = (
        None
        if "\n" in between
        else corrected((here, " *"))
        if p.token.start > p.before.end
        else corrected((here, " * "))
    )
    return diagnostic(
        "E0124",
        "an operator is missing between two values",
        Label(p.span, "a second value"),
        Label(p.before.span, "the first ends here"),
        help=f"write for example `{shown}`" if shown else "write `*`, `@` or `,` between them",
    )


def _rule_arrow(p: _Place) -> Diagnostic | None:
    if p.token.type == "RULE_ARROW" and p.start != "rules":
        text = p.token.text
        help = write(p.token.span, {"=>": ">=", "<=>": "=="}.get(text, "~="), "write `>=`")
        return diagnostic("E0111", f"`{text}` is not an operator of tpc", p.span, help=help)
    return None


def _letters_elsewhere(p: _Place) -> Diagnostic | None:
    if p.token.type in ("IN", "WHERE") and p.before is not None and p.depth():
        return diagnostic(
            "E0119",
            f"`{p.token.text}` has no meaning here",
            p.span,
            help="letters are bound by a reduction: `sum[k in n where k <= i](x[k])`",
        )
    return None


def _unexpected(p: _Place) -> Diagnostic:
    wanted = sorted(_WORDS.get(t, f"`{t.lower()}`") for t in p.expected - {"INDENT", "DEDENT", "BROKEN", "AT"})
    notes = (f"here could stand {', '.join(wanted)}",) if 0 < len(wanted) <= 5 else ()
    if p.at_end:
        title = "the line ends too early" if p.start in ("module", "rules", "fact_lines") else "the text ends too early"
        return diagnostic("E0125", title, Label(p.span, "nothing follows" if p.before else ""), notes=notes)
    shown = p.token.written
    shown = shown if len(shown) < 40 else shown[:30] + "..."
    labels = [Label(p.span, "unexpected")]
    if p.before is not None:
        labels.append(Label(p.before.span, "after this"))
    return diagnostic("E0101", f"`{shown}` has no meaning here", *labels, notes=notes)


_QUESTIONS: Final[tuple[Callable[[_Place], Diagnostic | None], ...]] = (
    _reserved_start,
    _else_if,
    _foreign_word,
    _misplaced,
    _missing_colon,
    _equality,
    _missing_arrow,
    _rule_arrow,
    _missing_word,
    _reserved,
    _bare_expression,
    _target,
    _line_ends_early,
    _missing_operator,
    _letters_elsewhere,
)
