"""How each piece of the tree is spelled, as tokens that can be laid out in lines.

Parentheses stand only where the operator table needs them. Nothing recurses along the tree, so that long
chains of operators and deep nesting cost no stack.
"""

import re
from collections.abc import Iterable, Sequence

from tpc.dsl.layout import Break, Close, Open, Token, bracketed
from tpc.dsl.operators import BINARY, POSTFIX, PREFIX
from tpc.dsl.syntax import (
    Binary,
    Block,
    Call,
    Composed,
    Conditional,
    Dots,
    Expr,
    Fact,
    Keyword,
    Letter,
    Name,
    Number,
    Reduce,
    Slice,
    String,
    Subscript,
    Transpose,
    Tuple,
    TypeExpr,
    Unary,
)

Node = Expr | Slice | Dots | Composed | Keyword | Letter
Pieces = list[Token | Node]  # tokens, and nodes that are still to be spelled

TUPLE = -2  # binding powers below those of all operators
CONDITIONAL = -1
ATOM = POSTFIX + 1

SEMICOLON = Break(-4, ";", "")
COMMA = Break(-3, ",", "")
GUARD = Break(-4, "", "where ")

NUMBER = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?j?")


def expression_tokens(e: Node) -> list[Token]:
    """An expression, or one of the pieces that only stand in brackets and calls."""
    done: list[Token] = []
    todo: Pieces = [e]  # the next one last
    while todo:
        piece = todo.pop()
        if isinstance(piece, str | Open | Close | Break):
            done.append(piece)
        else:
            todo.extend(reversed(_pieces(piece)))
    return done


def _pieces(e: Node) -> Pieces:
    """One level of a tree: its own tokens and, in their places, its children."""
    match e:
        case Name(name=text):
            return [text]
        case Number():
            return [number_text(e)]
        case String(value=value):
            return [f'"{value}"']
        case Dots():
            return ["..."]
        case Unary(operator=operator, operand=operand):
            space = " " if operator.isalpha() else ""
            return [operator + space, *_within(operand, PREFIX[operator])]
        case Binary():
            return _binary(e)
        case Conditional():
            return [
                *_within(e.then, CONDITIONAL + 1),
                Break(CONDITIONAL, "", "if "),
                *_within(e.condition, CONDITIONAL + 1),
                Break(CONDITIONAL, "", "else "),
                *_within(e.other, CONDITIONAL),
            ]
        case Transpose(operand=operand):
            return [*_within(operand, POSTFIX), "'"]
        case Call():
            arguments = [_item(argument) for argument in [*e.arguments, *e.keywords]]
            return [*_within(e.function, POSTFIX), *_bracketed("(", arguments, ")")]
        case Keyword(name=name, value=value):
            return [f"{name}=", *_item(value)]
        case Subscript():
            items = [*map(_item, e.items)]
            if e.pad is not None:
                items.append(["pad=", *_item(e.pad)])
            return [*_within(e.base, POSTFIX), *_bracketed("[", items, "]")]
        case Slice():
            pieces: Pieces = [] if e.start is None else _item(e.start)
            pieces += [":"] if e.stop is None else [":", *_item(e.stop)]
            return pieces if e.step is None else [*pieces, ":", *_item(e.step)]
        case Composed(letters=letters):
            return [f"({' '.join(letter.name for letter in letters)})"]
        case Letter(name=name, extent=extent):
            return [name] if extent is None else [f"{name} in ", *_item(extent)]
        case Reduce():
            head = _joined(([letter] for letter in e.letters), COMMA)
            guard: Pieces = [] if e.guard is None else [GUARD, *_item(e.guard)]
            return [e.operator, *_closed("[", [*head, *guard], "]"), *_closed("(", _item(e.body), ")")]
        case Block(rows=rows):
            return _closed("[", _joined((_joined(map(_item, row), COMMA) for row in rows), SEMICOLON), "]")
        case Tuple(items=[item]):
            return _closed("(", [*_item(item), ","], ")")
        case Tuple(items=items):
            return _joined(map(_item, items), COMMA)


def _binary(e: Binary) -> Pieces:
    power, associativity = BINARY[e.operator]
    left = _within(e.left, power if associativity == "left" else power + 1)
    right = _within(e.right, power if associativity == "right" else power + 1)
    if e.operator == "^":
        if isinstance(e.right, Unary) and e.right.operator != "not":
            right = [e.right]  # a sign needs no parentheses in an exponent: `x^-1`
        return [*left, "^", *right]
    return [*left, Break(power, "", f"{e.operator} "), *right]


def _power(e: Node) -> int:
    """How tightly the outermost piece of an expression holds together."""
    match e:
        case Binary(operator=operator):
            return BINARY[operator][0]
        case Unary(operator=operator):
            return PREFIX[operator]
        case Number():
            text = number_text(e)
            return BINARY["+"][0] if " " in text else PREFIX["-"] if text.startswith("-") else ATOM
        case Conditional():
            return CONDITIONAL
        case Tuple(items=items) if len(items) > 1:
            return TUPLE
        case Call() | Subscript() | Transpose():
            return POSTFIX
    return ATOM


def _within(e: Expr, power: int) -> Pieces:
    """An operand, in parentheses where it holds less tightly than `power`."""
    return [e] if _power(e) >= power else _closed("(", [e], ")")


def _item(e: Node) -> Pieces:
    """What stands between commas: only a tuple needs parentheses."""
    return _closed("(", [e], ")") if _power(e) == TUPLE else [e]


def _closed(opening: str, inside: Pieces, closing: str) -> Pieces:
    return [Open(opening, opening), *inside, Close(closing, closing)]


def _bracketed(opening: str, items: Iterable[Pieces], closing: str) -> Pieces:
    return _closed(opening, _joined(items, COMMA), closing)


def _joined(items: Iterable[Pieces], separator: Token) -> Pieces:
    pieces: Pieces = []
    for index, item in enumerate(items):
        if index:
            pieces.append(separator)
        pieces += item
    return pieces


def number_text(e: Number) -> str:
    """The number as it was written, or the shortest spelling of its value where there is no such text."""
    # A place may include parentheses; a rewritten tree may carry the place of a number with another value.
    text, value = e.span.text.strip("() \n"), e.value
    if NUMBER.fullmatch(text):
        written = int(text) if text.isdecimal() else complex(text) if text.endswith("j") else float(text)
        if written == value and type(written) is type(value):
            return text
    if not isinstance(value, complex):
        return repr(value)
    imaginary = f"{value.imag!r}j"
    if not value.real:
        return imaginary
    return f"{value.real!r} {'-' if imaginary.startswith('-') else '+'} {imaginary.lstrip('-')}"


# ---- types


def type_tokens(t: TypeExpr) -> list[Token]:
    dtype = [] if t.dtype is None else [t.dtype.name]
    if t.dtype is not None and not t.dims:
        return [*dtype]
    return [*dtype, *bracketed("[", listed(t.dims), "]")]


def fact_tokens(fact: Fact) -> list[Token]:
    if not fact.arguments:
        return [fact.name]
    return [fact.name, *bracketed("(", listed(fact.arguments), ")")]


def typed_tokens(name: Sequence[Token], type: TypeExpr | None, facts: list[Fact]) -> list[Token]:
    """`name: type is fact and fact`, each part where it is given."""
    tokens = [*name]
    if type is not None:
        tokens += [": ", *type_tokens(type)] if name else type_tokens(type)
    for index, fact in enumerate(facts):
        tokens += [" and " if index else " is ", *fact_tokens(fact)]
    return tokens


def listed(items: Iterable[Node]) -> list[Token]:
    """Expressions between commas."""
    return separated(item_tokens(item) for item in items)


def item_tokens(e: Node) -> list[Token]:
    """An expression in a place where a comma would end it."""
    return bracketed("(", expression_tokens(e), ")") if _power(e) == TUPLE else expression_tokens(e)


def separated(parts: Iterable[list[Token]], separator: Token = COMMA) -> list[Token]:
    tokens: list[Token] = []
    for part in parts:
        tokens += [separator, *part] if tokens else part
    return tokens
