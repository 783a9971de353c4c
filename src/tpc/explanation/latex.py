r"""A derivation as LaTeX: an `align*` environment that needs amsmath alone, each step with the name of its rule."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tpc.dsl import syntax
from tpc.dsl.format import format_expression
from tpc.dsl.operators import BINARY
from tpc.explanation.account import Account
from tpc.explanation.shortened import shortened
from tpc.passes.derivation import Stage
from tpc.passes.egraph.phrases import Expr

WIDTH = 90  # of an expression in the language, from where its parts get names

SPECIAL = {
    **{sign: f"\\{sign}" for sign in "#$%&_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}
GREEK = re.split(
    " ",
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon phi chi psi "
    "omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega",
)
FUNCTIONS = {
    **{"logdet": r"\log\det", "det": r"\det", "exp": r"\exp", "log": r"\log", "sin": r"\sin", "cos": r"\cos"},
    **{"tan": r"\tan", "tanh": r"\tanh", "max": r"\max", "min": r"\min", "trace": r"\operatorname{tr}"},
}
SIGNS = {"*": r" \odot ", "@": r"\,", "==": " = ", "!=": r" \ne ", "<=": r" \le ", ">=": r" \ge ", "⊗": r" \otimes "}
POSTFIX = 9  # how strongly a power binds

Side = tuple[str, int]
"""LaTeX, and how strongly its outermost operator binds."""

ATOM = 10


def latex(account: Account) -> str:
    """The steps of the whole program, in a comment-headed environment; a program without steps gives a comment."""
    stages = [stage for part in account.derivations for stage in part.derivation.stages]
    head = f"% {_comment(account.name)}: from what was written to what runs; needs amsmath\n"
    if not stages:
        return head + "% nothing was rewritten\n"
    lines = [line for number, stage in enumerate(stages, 1) for line in _lines(stage, number)]
    body = " \\\\\n".join(lines)
    return f"{head}\\begin{{align*}}\n{body}\n\\end{{align*}}\n"


def escaped(text: str) -> str:
    """Any text as LaTeX shows it."""
    return "".join(SPECIAL.get(c, c if c.isprintable() else " ") for c in text)


def _comment(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)


def _lines(stage: Stage, number: int) -> list[str]:
    (before, after), parts = shortened([stage.before, stage.after], WIDTH)
    rule = f"\\text{{({number}) {escaped(stage.rule)}}}"
    lines = [f"{formula(before)} &= {formula(after)} && {rule}"]
    lines += [f"&\\text{{where }} {short} = {formula(part)}" for short, part in parts.items()]
    if stage.facts:
        told = ", ".join(escaped(fact) for fact, _ in stage.facts)
        lines.append(f"&\\text{{since {told}}}")
    return lines


def formula(e: Expr) -> str:
    """An expression as a formula."""
    return _formula(e)[0]


def _formula(e: Expr | syntax.Slice | syntax.Dots | syntax.Composed) -> Side:
    match e:
        case syntax.Number():
            text = format_expression(e)
            return (text if "e" not in text else _power_of_ten(text)), ATOM
        case syntax.Name(name=name):
            return _name(name), ATOM
        case syntax.Unary(operator=operator, operand=operand):
            sign = r"\lnot " if operator == "not" else operator
            return sign + _within(operand, 7), 7
        case syntax.Transpose(operand=operand):
            return f"{_within(operand, ATOM)}^{{\\top}}", POSTFIX
        case syntax.Binary():
            return _binary(e)
        case syntax.Call(function=syntax.Name(name=name)):
            return _call(name, e)
        case syntax.Subscript(base=base, items=items):
            inner = ", ".join(_formula(item)[0] for item in items)
            return f"{_within(base, ATOM)}_{{{inner}}}", ATOM
        case syntax.Composed(letters=letters):
            return "(" + r"\,".join(_name(n.name) for n in letters) + ")", ATOM
        case syntax.Slice(start=start, stop=stop, step=step):
            parts = ["" if p is None else _formula(p)[0] for p in (start, stop)]
            return "{:}".join([*parts, *([_formula(step)[0]] if step is not None else [])]), ATOM
        case syntax.Reduce(operator=operator, letters=letters, body=body):
            signs = {"sum": r"\sum", "prod": r"\prod", "max": r"\max", "min": r"\min"}
            sign = signs.get(operator, rf"\operatorname{{{escaped(operator)}}}")
            under = ", ".join(_name(n.name) for n in letters)
            return f"{sign}_{{{under}}} {_within(body, 6)}", 5
        case syntax.Block(rows=rows):
            blocks = r" \\ ".join(" & ".join(_formula(b)[0] for b in row) for row in rows)
            return rf"\begin{{bmatrix}} {blocks} \end{{bmatrix}}", ATOM
        case syntax.Tuple(items=items):
            return f"({', '.join(_formula(item)[0] for item in items)})", ATOM
    return rf"\text{{{escaped(format_expression(e))}}}", ATOM  # type: ignore[arg-type]


def _binary(e: syntax.Binary) -> Side:
    power, _ = BINARY[e.operator]
    match e.operator:
        case "/":
            return rf"\frac{{{formula(e.left)}}}{{{formula(e.right)}}}", ATOM
        case "^":
            return f"{_within(e.left, ATOM)}^{{{formula(e.right)}}}", POSTFIX
        case "\\":
            return f"{_within(e.left, ATOM)}^{{-1}}\\,{_within(e.right, power + 1)}", power
        case "*" if _is_number(e.left):
            return f"{_within(e.left, power)}\\,{_within(e.right, power + 1)}", power
        case "and" | "or":
            sign = r" \land " if e.operator == "and" else r" \lor "
            return _within(e.left, power) + sign + _within(e.right, power + 1), power
    sign = SIGNS.get(e.operator, f" {e.operator} ")
    return _within(e.left, power) + sign + _within(e.right, power + 1), power


def _is_number(e: Expr) -> bool:
    """Whether it is plain that an expression is a number, so that a product with it needs no sign."""
    match e:
        case syntax.Number() | syntax.Subscript():
            return True
        case syntax.Binary(operator="*" | "/", left=left, right=right):
            return _is_number(left) and _is_number(right)
        case syntax.Call(function=syntax.Name(name="norm" | "abs" | "dot" | "trace" | "logdet" | "det")):
            return True
    return False


def _call(name: str, e: syntax.Call) -> Side:
    arguments: Sequence[Expr] = e.arguments
    if len(arguments) == 1 and not e.keywords:
        (inner,) = arguments
        match name:
            case "inv":
                return f"{_within(inner, ATOM)}^{{-1}}", POSTFIX
            case "sqrt":
                return rf"\sqrt{{{formula(inner)}}}", ATOM
            case "eye":
                return f"I_{{{formula(inner)}}}", ATOM
            case "norm":
                return rf"\lVert {formula(inner)} \rVert", ATOM
            case "abs":
                return rf"\lvert {formula(inner)} \rvert", ATOM
    if name == "kron" and len(arguments) == 2:
        return rf"{_within(arguments[0], 6)} \otimes {_within(arguments[1], 7)}", 6
    function = FUNCTIONS.get(name, rf"\operatorname{{{escaped(name)}}}")
    inside = [formula(a) for a in arguments] + [rf"\text{{{escaped(k.name)}}} = {formula(k.value)}" for k in e.keywords]
    return rf"{function}\left({', '.join(inside)}\right)", ATOM


def _within(e: Expr, power: int) -> str:
    """An operand, in parentheses where it binds less than what is around it."""
    text, own = _formula(e)
    return text if own >= power else rf"\left({text}\right)"


def _name(name: str) -> str:
    if name in GREEK:
        return f"\\{name} "
    if name == "...":
        return r"\dots "
    return name if len(name) == 1 and name.isascii() else rf"\text{{{escaped(name)}}}"


def _power_of_ten(text: str) -> str:
    digits, _, exponent = text.partition("e")
    return rf"{digits} \cdot 10^{{{int(exponent)}}}"
