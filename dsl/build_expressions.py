"""Tree building for expressions: one method per rule of `grammar.lark`.

Operators come as a flat sequence and are nested here. A grouping in parentheses makes no node; it widens the
span of what it encloses.
"""

from dataclasses import dataclass
from typing import Any, Final

from tpc.dsl import syntax as s
from tpc.dsl.diagnostics import Diagnostic, Label, diagnostic
from tpc.dsl.habits import bad_number, huge_number
from tpc.dsl.operators import BINARY, PREFIX
from tpc.dsl.source import Span
from tpc.dsl.tokens import MAX_DIGITS, Token

REDUCTIONS: Final = frozenset({"sum", "prod", "max", "min", "mean", "any", "all", "argmax", "argmin", "logsumexp"})


class SyntaxFault(Exception):
    """A line that the grammar accepts and that has no meaning all the same."""

    def __init__(self, fault: Diagnostic) -> None:
        self.diagnostic = fault
        super().__init__(fault.title)


@dataclass(slots=True, eq=False)
class _Binding(s.Subscript):
    """`sum[k in n where c]`, which has to be followed by its body."""

    guard: s.Expr | None


def between(first: Token | Any, last: Token | Any) -> Span:
    start = first.span
    return Span(start.source, start.start, last.span.end)


def _no_binding(e: s.Expr) -> s.Expr:
    if type(e) is _Binding:
        name = e.base.span.text
        help = f"write what to reduce in parentheses: `{name}[...](...)`"
        raise SyntaxFault(diagnostic("E0119", "a reduction without its body", e.span, help=help))
    return e


def _apply(operators: list[Token], operands: list[Any]) -> None:
    operator = operators.pop()
    right = operands.pop()
    if operator.type == "PREFIX":
        operands.append(s.Unary(between(operator, right), operator.text, right))
        return
    left = operands.pop()
    span = between(left, right)
    if operator.text == "⊗":
        operands.append(s.Call(span, s.Name(operator.span, "kron"), [left, right], []))
    else:
        operands.append(s.Binary(span, operator.text, left, right))


def _chained(left: s.Binary, operator: Token, following: Any) -> SyntaxFault:
    middle = left.right.span.text
    rest = following.span.text if not isinstance(following, Token) else "..."
    shown = f"{left.span.text} and {middle} {operator.written} {rest}"
    return SyntaxFault(
        diagnostic(
            "E0118",
            "comparisons cannot be chained",
            Label(operator.span, "second comparison"),
            Label(left.span, "already compared here"),
            help=f"write `{shown}`" if len(shown) < 100 and "\n" not in shown else "join two comparisons by `and`",
        )
    )


def resolved(items: list[Any]) -> s.Expr:
    """The tree of a flat sequence of operands and operator tokens, by the table of binding powers."""
    if len(items) == 1:
        return _no_binding(items[0])
    operands: list[Any] = []
    operators: list[Token] = []
    for at, item in enumerate(items):
        if not isinstance(item, Token):
            operands.append(_no_binding(item))
            continue
        if item.type != "PREFIX":
            power, side = BINARY[item.text]
            while operators:
                top = operators[-1]
                bound = PREFIX[top.text] if top.type == "PREFIX" else BINARY[top.text][0]
                if bound < power or (bound == power and side == "right"):
                    break
                _apply(operators, operands)
                if side == "none" and bound == power:
                    raise _chained(operands[-1], item, items[at + 1])
        operators.append(item)
    while operators:
        _apply(operators, operands)
    tree: s.Expr = operands[0]
    return tree


def number_value(token: Token) -> int | float | complex:
    text = token.text
    if text.isdigit() and text.isascii():
        if len(text) > MAX_DIGITS:
            raise SyntaxFault(huge_number(token, f"has more than {MAX_DIGITS} digits"))
        return int(text)
    imaginary = text.endswith("j")
    digits = text[:-1] if imaginary else text
    if len(digits) > MAX_DIGITS:
        raise SyntaxFault(huge_number(token, f"has more than {MAX_DIGITS} digits"))
    if "_" in digits or not digits.isascii():
        raise SyntaxFault(bad_number(token))
    try:
        value = float(digits)
    except ValueError:
        raise SyntaxFault(bad_number(token)) from None
    if value == float("inf"):
        raise SyntaxFault(huge_number(token, "the largest double is about 1.8e308"))
    if value == 0 and digits.lower().split("e")[0].strip("0."):
        raise SyntaxFault(huge_number(token, "the smallest double above 0 is about 4.9e-324"))
    return complex(0, value) if imaginary else value


def _letters(function: s.Subscript) -> list[s.Letter] | None:
    """The letters that a reduction binds; None where the subscript is an ordinary one."""
    if type(function.base) is not s.Name or function.base.name not in REDUCTIONS or function.pad is not None:
        return None
    letters: list[s.Letter] = []
    for item in function.items:
        if isinstance(item, s.Name):
            letters.append(s.Letter(item.span, item.name, None))
        elif isinstance(item, s.Letter):
            letters.append(item)
        else:
            return None
    return letters


def _reduce(function: s.Subscript, letters: list[s.Letter], items: list[Any], span: Span) -> s.Reduce:
    assert isinstance(function.base, s.Name)
    name = function.base.name
    if len(items) != 1 or type(items[0]) is s.Keyword:
        at = items[0] if type(items[0]) is s.Keyword else items[1]
        raise SyntaxFault(
            diagnostic("E0119", f"`{name}[...]` takes one expression", Label(at.span, "does not belong here"))
        )
    guard = function.guard if isinstance(function, _Binding) else None
    return s.Reduce(span, name, letters, guard, items[0])


def _subscript(base: s.Expr, items: list[Any], guard: s.Expr | None, end: Token) -> s.Subscript:
    _no_binding(base)
    span = between(base, end)
    pad = None
    if type(items[-1]) is s.Keyword and items[-1].name == "pad":
        pad = items.pop().value
    for item in items:
        if type(item) is s.Keyword:
            title = "`pad` stands last" if item.name == "pad" else "only `pad` is given by name in a subscript"
            help = "the value outside of the bounds is given last: `x[i + s, pad=0]`"
            raise SyntaxFault(diagnostic("E0119", title, item.span, help=help))
    if not items:
        raise SyntaxFault(diagnostic("E0119", "a subscript without an index", span))
    binder = next((item for item in items if type(item) is s.Letter), None)
    if binder is None and guard is None:
        return s.Subscript(span, base, items, pad)
    binding = _Binding(span, base, items, pad, guard)
    if _letters(binding) is None:
        place = binder.span if binder is not None else guard.span if guard is not None else span
        raise SyntaxFault(
            diagnostic(
                "E0119",
                "only a reduction binds letters",
                Label(place, "binds or guards a letter here"),
                help="write for example `sum[k in n where k <= i](x[k])`",
            )
        )
    return binding


class ExpressionBuilder:
    # ---- lists

    def none(self, c: list[Any]) -> list[Any]:
        return []

    def nothing(self, c: list[Any]) -> None:
        return None

    def first(self, c: list[Any]) -> Any:
        return c[0]

    def second(self, c: list[Any]) -> Any:
        return c[1]

    def one(self, c: list[Any]) -> list[Any]:
        return [c[0]]

    def append(self, c: list[Any]) -> list[Any]:
        items: list[Any] = c[0]
        items.append(c[2])
        return items

    def append_one(self, c: list[Any]) -> list[Any]:
        items: list[Any] = c[0]
        items.append(c[1])
        return items

    def extend(self, c: list[Any]) -> list[Any]:
        items: list[Any] = c[0]
        items.append(c[1])
        items.append(c[2])
        return items

    def extend_prefixes(self, c: list[Any]) -> list[Any]:
        items: list[Any] = c[0]
        items.append(c[1])
        items += c[2]
        items.append(c[3])
        return items

    def more(self, c: list[Any]) -> tuple[Any, Any]:
        return c[0], c[1]

    def more_first(self, c: list[Any]) -> tuple[Any, Any]:
        return [], c[0]

    # ---- expressions

    def exprs(self, c: list[Any]) -> s.Expr:
        items: list[s.Expr] = c[0]
        return items[0] if len(items) == 1 else s.Tuple(between(items[0], items[-1]), items)

    def resolve(self, c: list[Any]) -> s.Expr:
        return resolved(c[0])

    def conditional(self, c: list[Any]) -> s.Conditional:
        then, condition, other = resolved(c[0]), resolved(c[2]), c[4]
        return s.Conditional(between(then, other), then, condition, other)

    def name(self, c: list[Any]) -> s.Name:
        token: Token = c[0]
        return s.Name(Span(token.source, token.start, token.end), token.text)

    def number(self, c: list[Any]) -> s.Number:
        token: Token = c[0]
        return s.Number(Span(token.source, token.start, token.end), number_value(token))

    def string(self, c: list[Any]) -> s.String:
        return s.String(c[0].span, c[0].text[1:-1])

    def transpose(self, c: list[Any]) -> s.Transpose:
        return s.Transpose(between(c[0], c[1]), _no_binding(c[0]))

    def call_empty(self, c: list[Any]) -> s.Call:
        return s.Call(between(c[0], c[2]), _no_binding(c[0]), [], [])

    def call(self, c: list[Any]) -> s.Call | s.Reduce:
        function, items, span = c[0], c[2], between(c[0], c[-1])
        if isinstance(function, s.Subscript):
            letters = _letters(function)
            if letters is not None:
                return _reduce(function, letters, items, span)
            _no_binding(function)
        arguments = [a for a in items if type(a) is not s.Keyword]
        keywords = [a for a in items if type(a) is s.Keyword]
        if keywords and arguments and items[: len(arguments)] != arguments:
            raise SyntaxFault(
                diagnostic(
                    "E0126",
                    "an argument without a name follows one with a name",
                    Label(arguments[-1].span, "has no name"),
                    Label(keywords[0].span, "has a name"),
                )
            )
        return s.Call(span, function, arguments, keywords)

    def keyword(self, c: list[Any]) -> s.Keyword:
        return s.Keyword(between(c[0], c[2]), c[0].text, c[2])

    def subscript(self, c: list[Any]) -> s.Subscript:
        return _subscript(c[0], c[2], None, c[3])

    def subscript_where(self, c: list[Any]) -> s.Subscript:
        return _subscript(c[0], c[2], c[4], c[5])

    def group(self, c: list[Any]) -> s.Expr:
        inner: s.Expr = c[1]
        inner.span = between(c[0], c[2])
        return inner

    def group_tuple(self, c: list[Any]) -> s.Tuple:
        return s.Tuple(between(c[0], c[3]), c[1])

    def block_literal(self, c: list[Any]) -> s.Block:
        return s.Block(between(c[0], c[2]), c[1])

    def dots(self, c: list[Any]) -> s.Dots:
        return s.Dots(c[0].span)

    def letter(self, c: list[Any]) -> s.Letter:
        return s.Letter(c[0].span, c[0].text, None)

    def letter_in(self, c: list[Any]) -> s.Letter:
        return s.Letter(between(c[0], c[2]), c[0].text, c[2])

    def composed(self, c: list[Any]) -> s.Composed:
        return s.Composed(between(c[0], c[3]), [self.name([token]) for token in (c[1], *c[2])])

    def slice(self, c: list[Any]) -> s.Slice:
        there = [part for part in c if part is not None]
        step = c[4] if len(c) == 5 else None
        return s.Slice(between(there[0], there[-1]), c[0], c[2], step)
