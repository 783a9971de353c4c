"""Faults that show in single words: signs of other languages, stray characters, brackets, quotes.

Each function gives the message; where the line can be corrected, `help` shows it corrected.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from tpc.dsl.diagnostics import Diagnostic, Label, diagnostic
from tpc.dsl.source import Source, Span
from tpc.dsl.tokens import MAX_DIGITS, MAX_ERRORS, MAX_NESTING, OPERAND_END, Token

# Functions of those modules that have another name here.
SPELLED: Final = {
    "where": "select",
    "concatenate": "concat",
    "absolute": "abs",
    "arcsin": "asin",
    "arccos": "acos",
    "arctan": "atan",
    "power": "pow",
    "identity": "eye",
}
MODULES: Final = frozenset({"np", "numpy", "torch", "jnp", "jax", "scipy", "math", "tf", "cupy"})

# Controls and invisible or turning characters: a reader would see another program than the compiler.
HIDDEN: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ud800-\udfff\U000e0000-\U000e0fff]"
    "|\r(?!\n)"
)

_SHOWN = 100  # longest line that a help shows


@dataclass(frozen=True, slots=True)
class Edit:
    """What would correct the fault with this number."""

    fault: int
    span: Span
    text: str


def corrected(*edits: tuple[Span, str]) -> str | None:
    """The line with the spans replaced, for a help; None where it would not fit."""
    source = edits[0][0].source
    at = source.text.rfind("\n", 0, edits[0][0].start) + 1
    line = ""
    for span, text in edits:
        line += source.text[at : span.start] + text
        at = span.end
    end = source.text.find("\n", at)
    line += source.text[at : end if end >= 0 else len(source.text)]
    line = re.sub(r"\s+#[^\"]*$", "", line).strip()
    return line if "\n" not in line and len(line) <= _SHOWN else None


def correct_together(faults: list[Diagnostic], edits: list[Edit]) -> None:
    """Let faults that share a line show it with all of them corrected."""
    lines: dict[int, list[Edit]] = {}
    for edit in edits:
        lines.setdefault(edit.span.source.position(edit.span.start)[0], []).append(edit)
    for together in lines.values():
        shown = corrected(*[(edit.span, edit.text) for edit in together])
        if len(together) > 1 and shown:
            for edit in together:
                faults[edit.fault] = replace(faults[edit.fault], help=f"write `{shown}`")


def write(span: Span, text: str, otherwise: str) -> str:
    """A help that shows the corrected line, or `otherwise` where it is too long."""
    line = corrected((span, text))
    return f"write `{line}`" if line else otherwise


def hidden_characters(source: Source) -> Iterator[Diagnostic]:
    first = 1 if source.text.startswith("\ufeff") else 0
    for count, found in enumerate(HIDDEN.finditer(source.text, first)):
        if count == MAX_ERRORS:
            return
        span = Span(source, found.start(), found.end())
        lone_return = found[0] == "\r"
        yield diagnostic(
            "E0103",
            "an invisible character",
            Label(span, _character_name(found[0])),
            notes=() if lone_return else ("such characters can make a program look like another one",),
            help="end lines with a line feed" if lone_return else "delete it",
        )


def _character_name(character: str) -> str:
    name = unicodedata.name(character, "").lower()
    return f"U+{ord(character):04X} {name}".rstrip()


_CHARACTERS: Final = {
    "×": "write `*` for the elementwise and `@` for the matrix product",
    "÷": "write `/`",
    "√": "write `sqrt(x)`",
    "∑": "write `sum[k](x[k])`",
    "Σ": "write `sum[k](x[k])`",
    "∏": "write `prod[k](x[k])`",
    "∞": "write `inf`",
    "†": "write `conj(X)'`",
    "∧": "write `and`",
    "∨": "write `or`",
    "¬": "write `not`",
    "→": "write `->`",
    "←": "write `=`",
    "⟨": "write `dot(x, y)`",
    "\u00a0": "write an ordinary space",
    "\u2007": "write an ordinary space",
    "\u202f": "write an ordinary space",
    "“": 'write `"`',
    "”": 'write `"`',
    "‘": "write `\"` around text, `'` for the transpose",
    "’": "write `\"` around text, `'` for the transpose",
    "′": "write `'` for the transpose",
    "⊤": "write `'` for the transpose",
    "–": "write `-`",
    "—": "write `-`",
    "²": "write `^2`",
    "³": "write `^3`",
    "⊙": "write `*` for the elementwise product",
    "∘": "write `*` for the elementwise product",
    "$": "a name is made of letters, digits and `_`",
    "?": "write `a if condition else b`",
    ".": "a decimal point needs a digit beside it, the batch dimensions are `...`",
    "~": "write `not x`, or `x ~= y within 1e-3` for an approximation",
    "`": "write `'` for the transpose",
    "⁻": "write `inv(A)` for the inverse of a matrix, `x^-1` for entries",
    "¹": "write `^1`",
    "∇": "write `grad(f, x)(x)`",
    "∂": "write `grad(f, x)(x)`",
    "‖": "write `norm(x)`",
}


_RANGE: Final = (
    "`scan i in n:` counts i from 0 to n - 1, a part of an array is `x[1:n]`, the batch dimensions are `...`"
)

# What a lone `.` before these means elsewhere.
_DOTTED: Final = {
    "'": "write `'` for the transpose",
    "(": "functions work entry by entry as they are: `sin(x)`",
    "+": "write `+`, which works entry by entry",
    "-": "write `-`, which works entry by entry",
    "=": "write `==`, which works entry by entry",
    "<": "write `<`, which works entry by entry",
    ">": "write `>`, which works entry by entry",
}


def character(token: Token) -> Diagnostic:
    text = token.text
    help = _CHARACTERS.get(text)
    if text == ".":
        around = token.source.text[token.end : token.end + 1], token.source.text[max(token.start - 1, 0) : token.start]
        help = _RANGE if "." in around else _DOTTED.get(around[0], help)
    return diagnostic(
        "E0102",
        f"`{text}` has no meaning here" if text.isprintable() else "a character that has no meaning here",
        Label(token.span, _character_name(text)),
        help=help,
    )


def bad_name(token: Token) -> Diagnostic:
    return diagnostic(
        "E0102",
        f"`{token.written}` is not a name",
        Label(token.span, "contains a sign that is neither letter nor digit"),
        help="a name is made of letters, digits and `_`",
    )


# ---- operators


def operator(token: Token, meant: str) -> Diagnostic:
    """A sign with one possible meaning."""
    notes = {".*": ("`*` is elementwise",), "./": ("`/` is elementwise",), ".^": ("`^` is elementwise",)}
    spaced = f"{meant} " if token.written == "!" else meant
    return diagnostic(
        "E0111",
        f"`{token.written}` is not an operator of tpc",
        token.span,
        notes=notes.get(token.written, ()),
        help=write(token.span, spaced, f"write `{meant}`"),
    )


def dot_transpose(token: Token, value: Token) -> Diagnostic:
    name = value.written if value.type == "NAME" else "X"
    return diagnostic(
        "E0111", "`.T` is not tpc's transpose", token.span, help=write(token.span, "'", f"write `{name}'`")
    )


def other_operator(token: Token, before: Sequence[Token]) -> Diagnostic:
    sign = token.text
    if sign == "//" and not (before and before[-1].type in OPERAND_END):
        return diagnostic("E0111", "`//` does not begin a comment", token.span, help="write `#`")
    if sign == "%" and not before:
        return diagnostic("E0111", "`%` does not begin a comment", token.span, help="write `#`")
    if len(sign) == 2 and sign[1] == "=" and before:
        target = before[0].source.text[before[0].start : before[-1].end]
        shown = f"`{target} = {target} {sign[0]} ...`" if len(target) <= _SHOWN else f"`x = x {sign[0]} ...`"
        return diagnostic("E0111", f"`{sign}` is not an operator of tpc", token.span, help=f"write {shown}")
    ways = {
        "|>": "call the function: `f(x)`",
        "//": "write `floor(a / b)`, or `div(a, b)` of sizes",
        "%": "write `mod(a, b)`",
    }
    return diagnostic("E0111", f"`{sign}` is not an operator of tpc", token.span, help=ways.get(sign))


def bars(opening: Token) -> Diagnostic | None:
    """`|x|` and `||x||`"""
    sign = re.escape(opening.text)
    inside = re.compile(rf"([^|\n]+){sign}").match(opening.source.text, opening.end)
    if inside is None:
        return None
    name = "norm" if opening.text == "||" else "abs"
    span = Span(opening.source, opening.start, inside.end())
    shown = f"{name}({inside[1].strip()})"
    return diagnostic(
        "E0111", f"`{opening.text}` is no bracket of tpc", span, help=write(span, shown, f"write `{shown}`")
    )


def power_transpose(power: Token, name: Token) -> Diagnostic:
    span = power.span.to(name.span)
    return diagnostic(
        "E0111",
        f"`^{name.written}` is not tpc's transpose",
        Label(span, f"`^` is the elementwise power, and nothing is called {name.text}"),
        help=write(span, "'", "write `X'`"),
    )


def module_function(token: Token) -> Diagnostic:
    module, name = token.written.split(".")[0], token.text
    if name in ("ndarray", "array", "Tensor"):
        name = "f64[n, m]"
    return diagnostic(
        "E0112",
        f"tpc has no module `{module}`",
        Label(token.span, "functions of the library have no prefix"),
        help=write(token.span, name, f"write `{name}`"),
    )


def attribute(token: Token, before: Sequence[Token]) -> Diagnostic:
    name = token.text[1:]
    help = None
    given = re.compile(r"\(([^()\n]*)\)").match(token.source.text, token.end)
    if name in ("shape", "size", "ndim"):
        help = "sizes are the names in types, such as the n of `X: f64[n, m]`, and also `rows(X)` and `cols(X)`"
    elif name in ("append", "push", "extend"):
        help = "values do not change: index notation says all entries at once, as in `y[i] = x[i]^2`"
    elif before and before[-1].type == "NAME":
        value, rest = before[-1].written, given[1] if given else ""
        shown = f"{SPELLED.get(name, name)}({', '.join(part for part in (value, rest) if part)})"
        if name in ("transpose", "t", "H"):
            shown = f"{value}'"
        elif value in ("F", "nn", "la", "LA", "sp") and given:  # modules that stand for themselves
            shown = f"{SPELLED.get(name, name)}({rest})"
        elif name in ("dot", "matmul") and rest:
            shown = f"{value} @ {rest}"
        help = f"write `{shown}`" if len(shown) < _SHOWN else None
    return diagnostic("E0112", "a value has no attributes or methods", token.span, help=help)


# ---- brackets and quotes


def brace(token: Token) -> Diagnostic:
    help = "a block is indented after `:`, a matrix is written `[A, B; C, D]`"
    text = token.source.text
    head = re.compile(r"\s*(\w+) *(?:<-|=) *function *\(([\w, ]*)\)")
    function = head.match(text, text.rfind("\n", 0, token.start) + 1)
    if function:
        help = f"write `def {function[1]}({function[2]}):`, the block indented, and `return` at its end"
    if text.endswith(("sum_", "prod_"), 0, token.start):
        help = "write `sum[i](x[i])`, and a range as in `sum[i where i < k](x[i])`"
    return diagnostic("E0106", "braces have no meaning in tpc", token.span, help=help)


def stray(bracket: Token) -> Diagnostic:
    return diagnostic(
        "E0106",
        f"`{bracket.text}` closes nothing",
        Label(bracket.span, "no bracket is open here"),
        help=write(bracket.span, "", "delete it"),
    )


def mismatch(opening: Token, closing: Token, wanted: str) -> Diagnostic:
    return diagnostic(
        "E0106",
        f"`{closing.text}` cannot close `{opening.text}`",
        Label(closing.span, f"`{wanted}` is missing before this"),
        Label(opening.span, "opened here"),
    )


def unclosed(opening: Token, wanted: str) -> Diagnostic:
    return diagnostic(
        "E0106",
        f"`{opening.text}` is never closed",
        Label(opening.span, "opened here"),
        help=f"add `{wanted}`",
    )


def too_deep(span: Span, what: str) -> Diagnostic:
    return diagnostic(
        "E0107",
        "nested too deeply",
        Label(span, what),
        notes=(f"the limit is {MAX_NESTING}",),
        help="give parts of the expression names of their own",
    )


def open_string(token: Token) -> Diagnostic:
    return diagnostic("E0105", "the text has no end", Label(token.span, "begins here"), help='add `"` on the same line')


def single_quotes(token: Token) -> Diagnostic:
    return diagnostic(
        "E0105",
        "text stands in double quotes",
        Label(token.span, "`'` is the transpose"),
        help=write(token.span, token.text, f"write `{token.text}`"),
    )


def lone_quote(token: Token) -> Diagnostic:
    return diagnostic("E0105", "`'` has nothing to transpose", Label(token.span, "no value before it"))


def rest_is_blank(token: Token) -> bool:
    return re.compile(r"[ \t;]*(?:#|\r?\n|\Z)").match(token.source.text, token.end) is not None


def semicolon(token: Token, last: bool) -> Diagnostic:
    if last:
        help = write(token.span, "", "delete it")
        return diagnostic("E0121", "a line does not end with `;`", token.span, help=help)
    return diagnostic("E0121", "two statements on one line", token.span, help="write each on a line of its own")


def tab(span: Span) -> Diagnostic:
    help = "indent with spaces, four for each level"
    return diagnostic("E0110", "a tab in the indentation", Label(span, "a tab here"), help=help)


# ---- numbers


def grouped_number(token: Token) -> Diagnostic:
    return diagnostic(
        "E0104",
        "digits are grouped by a comma",
        Label(token.span, "reads as two numbers"),
        help=write(token.span, token.text, f"write `{token.text}`"),
    )


def bad_number(token: Token) -> Diagnostic:
    text = token.text
    found = re.match(r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", text)
    digits = found[0] if found else ""
    rest = text[len(digits) :]
    plain = text.replace("_", "")
    help = None
    if "_" in text and plain.isdigit() and plain.isascii():
        help = write(token.span, plain, f"write `{plain}`")
    elif text[:2] in ("0x", "0X", "0b", "0B", "0o", "0O") and len(text) <= MAX_DIGITS:
        try:
            value = str(int(text, 0))
        except ValueError:
            value = ""
        help = write(token.span, value, f"write `{value}`") if value else None
    elif rest and rest.isidentifier() and digits:
        product = f"{digits}*{rest}"
        help = write(token.span, product, f"write `{product}`")
        if token.source.text[: token.start].rstrip().endswith("/"):
            help = f"write `({product})` to divide by the product; `/` and `*` go from left to right"
        if rest in ("i", "im"):
            help += f", or `{digits}j` for an imaginary number"
    shown = text if len(text) <= _SHOWN else text[:20] + "..."
    return diagnostic("E0104", f"`{shown}` is not a number", token.span, help=help)


def huge_number(token: Token, what: str) -> Diagnostic:
    return diagnostic("E0104", "the number cannot be represented", Label(token.span, what))
