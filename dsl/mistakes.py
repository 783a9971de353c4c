"""Names for what is wrong with a line that the grammar does not accept.

Runs only when an error occurred. `explain` asks a list of small questions in order; the first that knows an
answer gives the message.
"""

import re
from collections.abc import Callable
from typing import Final

from tpc.dsl import missing
from tpc.dsl.diagnostics import Diagnostic, Label, diagnostic
from tpc.dsl.foreign import FOREIGN
from tpc.dsl.habits import write
from tpc.dsl.place import Place
from tpc.dsl.source import Source, Span
from tpc.dsl.tokens import (
    HEADS,
    ITEMS,
    KEYWORDS,
    OPERAND_END,
    VALUES,
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


def explain(source: Source, line: Line, token: Token, expected: set[str], start: str, inside: bool) -> Diagnostic:
    """The message for the first token of a line that the grammar does not accept."""
    place = Place(source, line, token, expected, start, inside)
    for question in _QUESTIONS:
        answer = question(place)
        if answer is not None:
            return answer
    return _unexpected(place)


def _foreign_word(p: Place) -> Diagnostic | None:
    word = p.head
    if p.start == "module" and word.type == "NAME" and word.text in FOREIGN and 0 < p.at <= 2:
        return diagnostic(
            "E0113", f"`{word.text}` does not begin a statement of tpc", word.span, help=FOREIGN[word.text]
        )
    if p.before is not None and p.before.text == "lambda" and p.before.type == "NAME":
        return diagnostic("E0113", "tpc has no `lambda`", p.before.span, help=FOREIGN["lambda"])
    return None


def _else_if(p: Place) -> Diagnostic | None:
    if p.head.type == "ELSE" and p.at == 1 and p.token.type == "IF":
        span = p.head.span.to(p.token.span)
        return diagnostic("E0113", "`else if` is one word in tpc", span, help=write(span, "elif", "write `elif`"))
    if p.head.type in ("ELIF", "ELSE") and p.at == 0:
        return diagnostic("E0101", f"`{p.head.text}` without an `if`", Label(p.span, "no `if` at this depth"))
    return None


def _misplaced(p: Place) -> Diagnostic | None:
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
    if p.after is not None and p.after.type == "LPAR" and "EQ" in types:
        here = Span(p.source, p.token.start, p.token.start)
        help = write(here, "def ", "write `def` before the name")
        return diagnostic("E0122", "a statement outside of a function", Label(p.line.span, ""), help=help)
    simple = p.token.type == "NAME" and "EQ" in types and p.after is not None and p.after.type in ("EQ", "COLON")
    if simple:
        help = write(Span(p.source, p.token.start, p.token.start), "const ", "write `const` before the name")
    else:
        help = "write it in the body of a function, `def name(x: f64[n]) -> f64[n]:`"
    title = "a statement outside of a function"
    if p.token.type in VALUES and "EQ" not in types and "APPROX" not in types:
        title = "an expression outside of a function"
    return diagnostic("E0122", title, Label(p.line.span, ""), help=help)


def _equality(p: Place) -> Diagnostic | None:
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


def _reserved(p: Place) -> Diagnostic | None:
    word = p.token
    if word.text not in KEYWORDS or "NAME" not in p.expected or word.text in ("and", "or", "not"):
        return None
    if p.at == 0 and word.type != "IN" or (p.before is not None and p.before.type in OPERAND_END):
        return None
    if word.type == "IF":
        return diagnostic(
            "E0101", "a condition without a value before it", p.span, help="write `a if condition else b`"
        )
    if p.after is not None and p.after.type in VALUES - {"LPAR", "LSQB"}:
        return None
    return diagnostic(
        "E0114",
        f"`{word.text}` is a word of the language",
        Label(p.span, "cannot be a name"),
        help="write `select(c, a, b)`" if word.type == "WHERE" and p.after is not None else f"write `{word.text}_`",
    )


def _reserved_start(p: Place) -> Diagnostic | None:
    """`on = 3`, `const = 4`, `scan: f64 = x`"""
    if p.head.text in KEYWORDS and (
        (
            p.at == 1
            and p.token.type in ("EQ", "COMMA")
            or (p.at == 1 and p.token.type == "COLON" and p.head.type not in ("ELSE", "REPEAT"))
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


def _bare_expression(p: Place) -> Diagnostic | None:
    if p.start != "module" or not p.inside or p.head.type not in VALUES | {"PREFIX"}:
        return None
    if p.token.type not in VALUES | {"OP", "AND", "PREFIX", "PRIME", "IF", "NEWLINE", "DOTS"}:
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


def _target(p: Place) -> Diagnostic | None:
    """`K[i + 1] = e`, `f(x) = e`, `X' = e`"""
    if p.start != "module" or not p.inside or p.head.type not in VALUES | {"PREFIX"}:
        return None
    equals = next((i for i, t in enumerate(p.tokens) if t.type in ("EQ", "APPROX")), 0)
    if not p.at < equals or any(t.type == "COLON" for t in p.tokens[: p.at]):
        return None
    inside = p.depth() > 0
    help = "write plain letters: `K[i, j] = ...`" if inside else "write a name, or a name with letters: `K[i, j] = ...`"
    if inside and p.token.type == "NUMBER":
        help = f"values do not change; write a new one: `z[i] = select(i == {p.token.text}, ..., {p.head.text}[i])`"
    if inside and p.token.type == "COLON":
        help = f"one letter stands for what is stacked in a scan: `{p.head.text}[i] = ...`"
    if p.at == 1 and p.token.type == "NAME" and p.head.type == "NAME":  # `f64 y = e`
        help = write(p.head.span.to(p.token.span), f"{p.token.text}: {p.head.text}", "write the type behind the name")
    if p.head.type == "LSQB" and (names := re.match(r"\[([\w, ]+)\] *=", p.line.span.text)):  # `[Q, R] = qr(A)`
        help = write(
            Span(p.source, p.head.start, p.head.start + len(names[0])), f"{names[1]} =", "write `Q, R = qr(A)`"
        )
    if p.token.type == "LPAR" and p.at == 1:
        help = "a function is written `def f(x) = ...`, at the top level"
    return diagnostic("E0119", "cannot give a value to this", Label(p.span, "not a name or a letter"), help=help)


def _assigning_arrow(p: Place) -> Diagnostic | None:
    """`m <- mean(x)`"""
    if len(p.tokens) < 4 or p.start != "module" or p.depth():
        return None
    name, less, minus = p.tokens[:3]
    if name.type != "NAME" or (less.text, minus.text) != ("<", "-") or less.end != minus.start:
        return None
    arrow = less.span.to(minus.span)
    return diagnostic("E0111", "`<-` does not assign", arrow, help=write(arrow, "=", "write `=`"))


def _one_line(p: Place) -> Diagnostic | None:
    """`def f(x): mean(x)`, `if c: y = 1`"""
    colon = p.before
    if colon is None or colon.type != "COLON" or p.head.type not in HEADS or p.expected != {"NEWLINE"}:
        return None
    title, help = "a block begins on a line of its own", "indent it by four spaces below this line"
    is_value = p.token.type in VALUES | {"PREFIX", "RETURN"} and all(t.type != "EQ" for t in p.tokens[p.at :])
    if p.head.type == "DEF" and p.token.type == "NAME" and "EQ" in {t.type for t in p.tokens[p.at :]}:
        title, help = "the result of a function follows `->`", write(colon.span, " ->", "write `->`")
        return diagnostic("E0123", title, colon.span, help=help)
    if p.head.type == "DEF" and is_value:
        end = p.token.end if p.token.type == "RETURN" else colon.end
        start = p.tokens[p.at - 2].end if p.at > 1 else colon.start
        help = (
            write(Span(p.source, start, end), " =", "write `def f(x) = ...`") + ", or indent the body below this line"
        )
    return diagnostic("E0101", title, Label(p.span, "on the line of its head"), help=help)


def _rule_arrow(p: Place) -> Diagnostic | None:
    if p.token.type == "RULE_ARROW" and p.start != "rules":
        text = p.token.text
        help = write(p.token.span, {"=>": ">=", "<=>": "=="}.get(text, "~="), "write `>=`")
        return diagnostic("E0111", f"`{text}` is not an operator of tpc", p.span, help=help)
    return None


def _continued(p: Place) -> Diagnostic | None:
    """`a + \\` at the end of a line"""
    if p.token.text != "\\" or p.after is not None:
        return None
    help = "an expression over several lines stands in brackets"
    return diagnostic("E0125", "`\\` does not continue a line", p.span, help=help)


def _letters_elsewhere(p: Place) -> Diagnostic | None:
    if p.token.type in ("IN", "WHERE") and p.before is not None and p.depth():
        return diagnostic(
            "E0119",
            f"`{p.token.text}` has no meaning here",
            p.span,
            help="letters are bound by a reduction: `sum[k in n where k <= i](x[k])`",
        )
    return None


def _unexpected(p: Place) -> Diagnostic:
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
    help = None
    if shown == "is":
        help = "facts are declared of parameters and results: `def f(K: f64[n, n] is spd)`"
        if p.expected <= {"COMMA", "RPAR"}:
            help = "facts of a structure are those of its parts: `S: kron(A: f64[n, n] is spd, B: f64[m, m] is spd)`"
    return diagnostic("E0101", f"`{shown}` has no meaning here", *labels, notes=notes, help=help)


_QUESTIONS: Final[tuple[Callable[[Place], Diagnostic | None], ...]] = (
    _reserved_start,
    _else_if,
    _foreign_word,
    _misplaced,
    missing.missing_colon,
    _one_line,
    _assigning_arrow,
    _equality,
    missing.missing_arrow,
    _rule_arrow,
    _continued,
    missing.missing_word,
    _reserved,
    _bare_expression,
    _target,
    missing.line_ends_early,
    missing.missing_operator,
    _letters_elsewhere,
)
