"""Lines that lack something: a colon, an arrow, a word, an operator, or their end."""

from tpc.dsl.diagnostics import Diagnostic, Label, diagnostic
from tpc.dsl.habits import corrected, write
from tpc.dsl.place import Place
from tpc.dsl.source import Span
from tpc.dsl.tokens import HEADS, KEYWORDS, OPERAND_END, VALUES


def missing_colon(p: Place) -> Diagnostic | None:
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


def missing_arrow(p: Place) -> Diagnostic | None:
    if p.head.type == "DEF" and "ARROW" in p.expected and p.token.type in ("NAME", "LSQB"):
        here = Span(p.source, p.token.start, p.token.start)
        return diagnostic("E0123", "`->` is missing before the result", p.span, help=write(here, "-> ", "write `->`"))
    if p.head.type == "DEF" and p.token.type in ("OP", "RULE_ARROW") and p.before and p.before.type == "RPAR":
        return diagnostic("E0123", "the result of a function follows `->`", p.span, help="write `->`")
    return None


REDUCTIONS = ("sum", "prod", "max", "min", "mean", "any", "all", "argmax", "argmin")
FOREIGN_INSIDE = {
    "for": "write index notation: `y[i] = 2 * x[i]` for an array, `sum[i](x[i]^2)` for a sum",
    "then": "write `:` and begin the block on the next line",
    "do": "write `:` and begin the block on the next line",
}


def missing_word(p: Place) -> Diagnostic | None:
    """`scan i = n:`, `W ~= V`, `A: f64[n] spd`, `x[]`"""
    if p.head.type == "SCAN" and p.token.type == "EQ":
        help = write(p.token.span, "in", "write `in`")
        return diagnostic("E0101", "`scan` takes its letter from a size", p.span, help=help)
    if "WITHIN" in p.expected and any(t.type == "APPROX" for t in p.tokens[: p.at]):
        help = "write the relative error that is allowed: `W ~= V within 1e-2`"
        return diagnostic("E0101", "an approximation without its bound", p.span, help=help)
    if p.head.type == "REPEAT" and p.at == 1 and p.token.type in ("UNTIL", "COLON"):
        help = "write how many passes there are at most: `repeat 1000 until condition:`"
        return diagnostic("E0101", "`repeat` without a number of passes", p.span, help=help)
    if p.head.type == "DEF" and p.depth() == 1 and p.token.text in ("*", "^"):
        help = "write each one, as in `x: f64[n], y: f64[n]`"
        return diagnostic("E0101", "a function takes the parameters that are written, and no others", p.span, help=help)
    if p.head.type == "DEF" and p.before and p.before.type in ("LSQB", "COMMA") and p.token.text in (":", "*"):
        help = "sizes are names or numbers, as in `f64[n, m]`; equal names are equal sizes"
        return diagnostic("E0101", f"`{p.token.text}` is no size", p.span, help=help)
    typed = any(t.type == "COLON" for t in p.tokens[: p.at])
    if p.token.type == "NAME" and "AND" in p.expected and any(t.type == "IS" for t in p.tokens[: p.at]):
        help = "a fact is one word, and facts are joined by `and`: `is symmetric and nonsingular`"
        return diagnostic("E0101", f"`{p.token.text}` does not go on from a fact", p.span, help=help)
    if p.token.type in ("NAME", "COLON") and "IS" in p.expected and typed:
        here = Span(p.source, p.token.start, p.token.start)
        help = write(here, "is ", "write `is`")
        if p.token.type == "COLON":
            help = write(Span(p.source, p.before.end if p.before else p.token.start, p.token.end), " is", "write `is`")
        elif p.before is not None and p.after is not None and p.after.type == "LSQB":  # `A: spd f64[n, n]`
            help = f"a fact stands behind the type: `{p.token.text}[...] is {p.before.text}`"
        return diagnostic("E0101", "`is` is missing before a fact", p.span, help=help)
    if p.token.type == "RSQB" and p.before is not None and p.before.type == "LSQB":
        help = "an array of n entries is `zeros(n)`, and index notation says its entries: `y[i] = x[i]^2`"
        return diagnostic("E0101", "the brackets are empty", p.before.span.to(p.token.span), help=help)
    return None


def line_ends_early(p: Place) -> Diagnostic | None:
    if not p.at_end or p.before is None:
        return None
    word = p.before.text
    if "ELSE" in p.expected and any(t.type == "IF" for t in p.tokens[1 : p.at]):
        return diagnostic("E0125", "`if` without an `else`", p.span, help="write `a if condition else b`")
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


def missing_operator(p: Place) -> Diagnostic | None:
    if p.before is None or p.before.type not in OPERAND_END or p.token.type not in VALUES | {"AXIS"}:
        return None
    if "OP" not in p.expected:
        return None
    if p.token.text in FOREIGN_INSIDE:
        word = p.token.text
        return diagnostic("E0113", f"`{word}` has no meaning in an expression", p.span, help=FOREIGN_INSIDE[word])
    if p.before.type == "RSQB":
        opening = next(i for i in range(p.at - 1, -1, -1) if p.tokens[i].type == "LSQB")
        if opening and p.tokens[opening - 1].text in REDUCTIONS:
            head = p.source.text[p.tokens[opening - 1].start : p.before.end]
            help = f"what it is taken over stands in brackets behind: `{head}(...)`"
            return diagnostic("E0124", f"`{head}` needs brackets behind it", p.span, help=help)
    if p.head.type == "DEF" and p.token.text in ("x", "by") and p.after is not None and p.depth() == 2:
        help = write(Span(p.source, p.before.end, p.after.start), ", ", "write `f64[n, m]`")
        return diagnostic("E0124", "sizes are parted by commas", p.span, help=help)
    pairs = [(p.before, p.token)]
    pairs += [
        (a, b)
        for a, b in zip(p.tokens[p.at :], p.tokens[p.at + 1 :])
        if a.type in OPERAND_END and b.type in ("NAME", "NUMBER")
    ]
    sign = "," if _is_in_literal(p) else None
    types = {t.type for t in p.tokens}
    edits = []
    for a, b in pairs:
        is_matrix = a.type in ("PRIME", "RPAR") and "PRIME" in types or a.type == "NAME" and a.text[0].isupper()
        edits.append((Span(p.source, a.end, b.start), f"{sign} " if sign else " @ " if is_matrix else " * "))
    shown = corrected(*edits)
    return diagnostic(
        "E0124",
        "an operator is missing between two values",
        Label(p.span, "a second value"),
        Label(p.before.span, "the first ends here"),
        help=f"write for example `{shown}`" if shown else "write `*`, `@` or `,` between them",
    )


def _is_in_literal(p: Place) -> bool:
    """Whether the place is directly in a matrix such as `[1 2; 3 4]`."""
    opened: list[int] = []
    for i, token in enumerate(p.tokens[: p.at]):
        if token.type in ("LPAR", "LSQB"):
            opened.append(i)
        elif token.type in ("RPAR", "RSQB") and opened:
            opened.pop()
    if not opened or p.tokens[opened[-1]].type != "LSQB":
        return False
    return opened[-1] == 0 or p.tokens[opened[-1] - 1].type not in OPERAND_END
