"""The formatter: what it writes, that it changes no tree, loses no comment, and has nothing left to do."""

from pathlib import Path

import pytest

from tpc.dsl import syntax
from tpc.dsl.diagnostics import Diagnostics
from tpc.dsl.format import (
    format_expression,
    format_module,
    format_rule,
    format_type,
)
from tpc.dsl.layout import LINE_WIDTH
from tpc.dsl.parser import parse, parse_expression, parse_rules
from tpc.dsl.source import Source
from tpc.dsl.syntax import Binary, Call, Module, Name, Number, Transpose, Unary

from .trees import NOWHERE, RandomTrees, difference, node_types, same_tree


def read(text: str) -> Module:
    """The tree of a text without errors."""
    diagnostics = Diagnostics()
    module = parse(Source(text, "test.tp"), diagnostics)
    diagnostics.raise_errors()
    return module


def formatted(text: str) -> str:
    """The formatted text, after checking all that a formatter promises."""
    before = read(text)
    result = format_module(before)
    after = read(result)
    assert difference(before, after) is None, result
    comments = [sorted(c.span.text.rstrip() for c in module.comments) for module in (before, after)]
    assert comments[0] == comments[1], result
    assert format_module(after) == result
    assert all(line == line.rstrip() for line in result.split("\n")) and "\n\n\n" not in result
    return result


def test_the_helper_can_fail() -> None:
    assert same_tree(read("const a = b + c\n"), read("const a = (b+c)  # why\n"))
    assert not same_tree(read("const a = b + c\n"), read("const a = c + b\n"))
    assert not same_tree(read("const a = 1\n"), read("const a = 1.0\n"))
    assert difference(read("const a = b + 1\n"), read("const a = b + 2\n")) == ".items[0].value.right.value: 1 is not 2"


EXPRESSIONS = [
    ("a*b", "a * b"),
    ("a@b", "a @ b"),
    ("A\\b", "A \\ b"),
    ("x ^ 2", "x^2"),
    ("x^( -1)", "x^-1"),
    ("(x^y)^z", "(x^y)^z"),
    ("x^(y^z)", "x^y^z"),
    ("-(x^2)", "-x^2"),
    ("(-x)^2", "(-x)^2"),
    ("- x", "-x"),
    ("+x - -y", "+x - -y"),
    ("-(x*y)", "-(x * y)"),
    ("(-x)*y", "-x * y"),
    ("((a+b))+c", "a + b + c"),
    ("a+(b+c)", "a + (b + c)"),
    ("a-(b-c)", "a - (b - c)"),
    ("(a*b)@c/d", "a * b @ c / d"),
    ("a*(b@c)", "a * (b @ c)"),
    ("(a<b)==(c<d)", "(a < b) == (c < d)"),
    ("not (a==b)", "not a == b"),
    ("(not a)==b", "(not a) == b"),
    ("not(a and b) or c", "not (a and b) or c"),
    ("a or (b and c)", "a or b and c"),
    ("(a or b) and c", "(a or b) and c"),
    ("(a@b)'", "(a @ b)'"),
    ("a ' '", "a''"),
    ("a⊗b", "kron(a, b)"),
    ("Aᵀ", "A'"),
    ("f( x,key = v )", "f(x, key=v)"),
    ("f()", "f()"),
    ("grad(loss,g)(x)", "grad(loss, g)(x)"),
    ("K[i,j]", "K[i, j]"),
    ("A[ : , 1 : k]", "A[:, 1:k]"),
    ("A[::2, i+1:, :-1, ...]", "A[::2, i + 1:, :-1, ...]"),
    ("x[i+s,pad=0]", "x[i + s, pad=0]"),
    ("x[idx[i]]", "x[idx[i]]"),
    ("f[k](x)", "f[k](x)"),
    ("sum[k](X[i,k])", "sum[k](X[i, k])"),
    ("sum[k in n,j where k<=i]((a*b))", "sum[k in n, j where k <= i](a * b)"),
    ("[A,B;C,D]", "[A, B; C, D]"),
    ("[A]", "[A]"),
    ("f((a,b),c)", "f((a, b), c)"),
    ("(a,)", "(a,)"),
    ("a if c else(b if d else e)", "a if c else b if d else e"),
    ("(a if c else b)if d else e", "(a if c else b) if d else e"),
    ("f(a if c else b)", "f(a if c else b)"),
    ("x[(a, b), c]", "x[(a, b), c]"),
    ("1e-3*2.50+0.5j+(1.0)", "1e-3 * 2.50 + 0.5j + 1.0"),
]


@pytest.mark.parametrize(("text", "expected"), EXPRESSIONS)
def test_expressions(text: str, expected: str) -> None:
    tree = parse_expression(text)
    assert format_expression(tree) == expected
    assert difference(parse_expression(expected), tree) is None


RULES = [
    (
        "rule a_b:inv(A@B)<=>inv(B)@inv(A) where square(A),square(B)",
        "rule a_b: inv(A @ B) <=> inv(B) @ inv(A) where square(A), square(B)",
    ),
    ("rule q[unstable,fast]: (inv(Q)) => Q'", "rule q [unstable, fast]: inv(Q) => Q'"),
    ("fact gram :psd(A'@A)where full_rank(A)", "fact gram: psd(A' @ A) where full_rank(A)"),
]


@pytest.mark.parametrize(("text", "expected"), RULES)
def test_rules(text: str, expected: str) -> None:
    def rules(text: str) -> list[syntax.Rule | syntax.RuleFact]:
        diagnostics = Diagnostics()
        tree = parse_rules(Source(text), diagnostics)
        diagnostics.raise_errors()
        return tree

    [tree] = rules(text)
    assert format_rule(tree) == expected
    assert difference(rules(expected), [tree]) is None


@pytest.mark.parametrize("text", ["f64[n, 2*m]", "f64", "[n, ...]"])
def test_types(text: str) -> None:
    [function] = read(f"def f(x: {text}) = x\n").items
    assert isinstance(function, syntax.Def)
    type = function.parameters[0].type
    assert type is not None
    assert format_type(type) == text.replace("*", " * ")


def test_trees_without_text() -> None:
    x = Name(NOWHERE, "x")
    assert format_expression(Number(NOWHERE, 0.1)) == "0.1"
    assert format_expression(Number(NOWHERE, 2j)) == "2.0j"
    assert format_expression(Binary(NOWHERE, "^", Number(NOWHERE, -2), x)) == "(-2)^x"
    assert format_expression(Binary(NOWHERE, "*", Number(NOWHERE, 1 - 2j), x)) == "(1.0 - 2.0j) * x"
    # A rewriting may leave a number at the place of another one.
    [const] = read("const a = 1.0\n").items
    assert isinstance(const, syntax.Const)
    assert format_expression(Number(const.value.span, 3)) == "3"
    assert format_expression(Number(const.value.span, 1)) == "1"


def test_long_chains_and_deep_nesting_need_no_stack() -> None:
    x = Name(NOWHERE, "x")
    left: syntax.Expr = x
    right: syntax.Expr = x
    nested: syntax.Expr = x
    for _ in range(5000):
        left = Binary(NOWHERE, "+", left, x)
        right = Binary(NOWHERE, "^", x, right)
        nested = Call(NOWHERE, x, [Transpose(NOWHERE, Unary(NOWHERE, "-", nested))], [])
    assert format_expression(left) == "x" + " + x" * 5000
    assert format_expression(right) == "x^" * 5000 + "x"
    assert format_expression(nested) == "x((-" * 5000 + "x" + ")')" * 5000


def test_the_limits_of_the_parser() -> None:
    formatted("const a = " + "x + " * 1900 + "x\n")
    formatted("const a = " + "f(" * 190 + "x + y" + ")" * 190 + "\n")
    formatted("const a = x + " + "(x * " * 199 + "(x + y)" + ")" * 199 + "\n")


GOLDEN = sorted((Path(__file__).parent / "format").glob("*.txt"))  # input, a line with dashes, output


@pytest.mark.parametrize("file", GOLDEN, ids=[file.stem for file in GOLDEN])
def test_programs(file: Path) -> None:
    text, expected = file.read_text(encoding="utf-8").split("# ---- becomes\n")
    assert formatted(text) == expected
    assert formatted(text.replace("\n", "\r\n")) == expected


def test_the_golden_programs_cover_the_language() -> None:
    trees: list[object] = [read(file.read_text(encoding="utf-8")) for file in GOLDEN] + [
        parse_expression(text) for text, _ in EXPRESSIONS
    ]
    only_elsewhere = {"Broken", "Composed", "OpLine", "FactLine", "Rule", "RuleFact"}
    every = {name for name, kind in vars(syntax).items() if isinstance(kind, type) and hasattr(kind, "__slots__")}
    assert set().union(*map(node_types, trees)) | only_elsewhere == every - {"Source", "Span"}


@pytest.mark.parametrize("block", range(20))
def test_random_programs(block: int) -> None:
    for seed in range(100 * block, 100 * block + 100):
        tree = RandomTrees(seed).module()
        text = format_module(tree)
        again = read(text)
        assert difference(tree, again) is None, f"seed {seed}\n{text}"
        assert format_module(again) == text, f"seed {seed}"


@pytest.mark.parametrize("seed", range(50))
def test_comments_at_random_places_are_kept(seed: int) -> None:
    """A comment after every line, one before it, and one at a random depth."""
    trees = RandomTrees(seed)
    lines = []
    for number, line in enumerate(format_module(trees.module()).split("\n")):
        if trees.count(0, 2) == 0:
            lines.append(" " * trees.count(0, 12) + f"# above {number}")
        if trees.count(0, 3) == 0:
            lines.append("")
        lines.append(line + (f"  # after {number}" if trees.count(0, 2) == 0 else ""))
    formatted("\n".join(lines))


def test_short_lines_stay_within_the_width() -> None:
    text = formatted("const a = f(" + ", ".join(f"g(x{i}, h(y{i} + z{i}))" for i in range(40)) + ")\n")
    assert max(map(len, text.split("\n"))) <= LINE_WIDTH
