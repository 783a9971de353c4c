"""Text to syntax tree: shapes, places, other texts, limits, speed."""

import json
import time
from dataclasses import fields, is_dataclass
from typing import Any

import pytest

from tpc.dsl import syntax
from tpc.dsl.compile_grammar import GRAMMAR, TABLES, compiled, printed
from tpc.dsl.diagnostics import Diagnostics, TpcError
from tpc.dsl.parser import parse, parse_expression, parse_fact_lines, parse_op_line, parse_rules
from tpc.dsl.source import Source


def shape(node: Any) -> str:
    """A tree in one line, operators fully in brackets."""
    match node:
        case syntax.Number(value=value):
            return repr(value)
        case syntax.Name(name=name):
            return name
        case syntax.String(value=value):
            return json.dumps(value)
        case syntax.Unary(operator=operator, operand=operand):
            return f"({operator} {shape(operand)})"
        case syntax.Binary(operator=operator, left=left, right=right):
            return f"({shape(left)} {operator} {shape(right)})"
        case syntax.Transpose(operand=operand):
            return f"{shape(operand)}'"
        case list() | tuple():
            return "[" + ", ".join(map(shape, node)) + "]"
        case _ if is_dataclass(node):
            parts = [shape(getattr(node, f.name)) for f in fields(node) if f.name not in ("span", "source")]
            return f"{type(node).__name__}({', '.join(parts)})"
    return str(node)


def read(text: str) -> syntax.Module:
    diagnostics = Diagnostics()
    module = parse(Source(text), diagnostics)
    assert not diagnostics.items, [(d.code, d.title) for d in diagnostics.items]
    return module


def body(text: str) -> list[syntax.Statement]:
    lines = "".join(f"    {line}\n" for line in text.splitlines())
    item = read("def f(x):\n" + lines).items[0]
    assert isinstance(item, syntax.Def)
    return item.body


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a + b * c", "(a + (b * c))"),
        ("a * b @ c / d \\ e", "((((a * b) @ c) / d) \\ e)"),
        ("a - b - c", "((a - b) - c)"),
        ("-x^2", "(- (x ^ 2))"),
        ("2^-1", "(2 ^ (- 1))"),
        ("2^-x^y", "(2 ^ (- (x ^ y)))"),
        ("a^b^c", "(a ^ (b ^ c))"),
        ("a^-b * c", "((a ^ (- b)) * c)"),
        ("a * -b @ c", "((a * (- b)) @ c)"),
        ("not a == b and c or d", "(((not (a == b)) and c) or d)"),
        ("a <= b + c", "(a <= (b + c))"),
        ("A' ^ 2", "(A' ^ 2)"),
        ("X'' @ f(x)'", "(X'' @ Call(f, [x], [])')"),
        ("Aᵀ ⊗ B * C", "(Call(kron, [A', B], []) * C)"),
        ("a ≤ b", "(a <= b)"),
        ("a · b − c", "((a * b) - c)"),
        ("a if c else b if d else e", "Conditional(a, c, Conditional(b, d, e))"),
        ("(a, b)", "Tuple([a, b])"),
        ("(a,)", "Tuple([a])"),
        ("a, b", "Tuple([a, b])"),
        ("f(x, y, k=3,)", "Call(f, [x, y], [Keyword(k, 3)])"),
        ("grad(f, g)(x)", "Call(Call(grad, [f, g], []), [x], [])"),
        ("f()", "Call(f, [], [])"),
        (
            "x[i + 1, 1:k, :, ::2, ..., pad=0]",
            "Subscript(x, [(i + 1), Slice(1, k, None), Slice(None, None, None), Slice(None, None, 2), Dots()], 0)",
        ),
        ("[A, B; C, D]", "Block([[A, B], [C, D]])"),
        ("sum[k](x[k])", "Reduce(sum, [Letter(k, None)], None, Subscript(x, [k], None))"),
        (
            "max[i, k in n where k <= i](1)",
            "Reduce(max, [Letter(i, None), Letter(k, n)], (k <= i), 1)",
        ),
        ("sum[k ∈ n](1)", "Reduce(sum, [Letter(k, n)], None, 1)"),
        ("sum[1](x)", "Call(Subscript(sum, [1], None), [x], [])"),
        ("f[k](x)", "Call(Subscript(f, [k], None), [x], [])"),
        ("1.5e-3 + .5 + 2. + 3j", "(((0.0015 + 0.5) + 2.0) + 3j)"),
        ("α_1 + ﬁ", "(α_1 + fi)"),
        ('load("w.npy")', 'Call(load, ["w.npy"], [])'),
    ],
)
def test_expressions(text: str, tree: str) -> None:
    assert shape(parse_expression(text)) == tree


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("x, r = a, b", "Assign([Target(x, None, None, []), Target(r, None, None, [])], Tuple([a, b]))"),
        ("K[i, j in m] = 1", "Assign([Target(K, [Letter(i, None), Letter(j, m)], None, [])], 1)"),
        (
            "q: f64[n, k], r: [k] is upper and banded(1, 2) = e",
            "Assign([Target(q, None, TypeExpr(f64, [n, k]), []), "
            "Target(r, None, TypeExpr(None, [k]), [Fact(upper, []), Fact(banded, [1, 2])])], e)",
        ),
        ("W ~= V within 1e-2", "Approx(Target(W, None, None, []), V, 0.01, None, None)"),
        ("W ≈ V within e on X", "Approx(Target(W, None, None, []), V, e, None, X)"),
        ("W ~= V within e in max", "Approx(Target(W, None, None, []), V, e, max, None)"),
        ("return a, b", "Return(Tuple([a, b]))"),
        ("repeat 3:\n    until c", "Repeat(3, None, [Until(c)])"),
        ("repeat n until c:\n    until d", "Repeat(n, c, [Until(d)])"),
        ("scan i in t:\n    until d", "Scan(i, t, [Until(d)])"),
        (
            "if a:\n    until x\nelif b:\n    until y\nelif c:\n    until y\nelse:\n    until z",
            "If([[a, [Until(x)]], [b, [Until(y)]], [c, [Until(y)]]], [Until(z)])",
        ),
        ("if a:\n    if b:\n        until x\nuntil y", "If([[a, [If([[b, [Until(x)]]], [])]]], [])"),
        ("x = (a +\n\n  # why\nb)", "Assign([Target(x, None, None, [])], (a + b))"),
    ],
)
def test_statements(text: str, tree: str) -> None:
    assert shape(body(text)[0]) == tree


def test_functions() -> None:
    module = read(
        "def f(A: f64[..., n] is spd and const = 3, s: f64, g) -> (f64 is nonnegative, [n, 2*n])\n"
        "    where n > m, m >= 1:\n    return A\n"
        "def g(x: f64 = 1e-3) -> f64 where n == 1 = x\n"
        'const W: f32[n] is param = load("w.npy")\nconst c = 3\nuse "other.tp"'
    )
    assert [shape(item) for item in module.items] == [
        "Def(f, [Parameter(A, TypeExpr(f64, [Dots(), n]), [Fact(spd, []), Fact(const, [])], 3, None, None), "
        "Parameter(s, TypeExpr(f64, []), [], None, None, None), Parameter(g, None, [], None, None, None)], "
        "[Result(TypeExpr(f64, []), [Fact(nonnegative, [])]), Result(TypeExpr(None, [n, (2 * n)]), [])], "
        "[(n > m), (m >= 1)], [Return(A)], False, False)",
        "Def(g, [Parameter(x, TypeExpr(f64, []), [], 0.001, None, None)], [Result(TypeExpr(f64, []), [])], "
        "[(n == 1)], [Return(x)], True, False)",
        'Const(W, TypeExpr(f32, [n]), [Fact(param, [])], Call(load, ["w.npy"], []))',
        "Const(c, None, [], 3)",
        'Use("other.tp")',
    ]


def test_line_ends_and_comments() -> None:
    module = read("\ufeff# one\r\ndef f(x):  # two\r\n    # three\r\n\r\n    return x")
    assert [(c.span.text, c.trailing) for c in module.comments] == [
        ("# one", False),
        ("# two", True),
        ("# three", False),
    ]
    assert read("").items == [] and read("# only").items == [] and read("\n\n  \n").items == []
    assert len(read("    def f(x) = x\n    def g(x) = x\n").items) == 2  # a text that is indented as a whole


def test_places() -> None:
    e = parse_expression("a + f(x, (b - c))' * [A; B]")
    assert isinstance(e, syntax.Binary) and isinstance(e.right, syntax.Binary)
    assert e.right.left.span.text == "f(x, (b - c))'" and e.right.right.span.text == "[A; B]"
    call = e.right.left.operand  # type: ignore[union-attr]
    assert call.arguments[1].span.text == "(b - c)"  # type: ignore[union-attr]
    assert e.span.text == "a + f(x, (b - c))' * [A; B]"
    module = read("# c\ndef f(x) -> f64:\n    y: f64 = x\n    if y:\n        z = 1\n    return z\n\n# d\n")
    assert module.items[0].span.text.startswith("def f") and module.items[0].span.text.endswith("return z")


def test_op_lines() -> None:
    line = parse_op_line("kron(A[i,j], B[p,q])[(i p),(j q)] = A[i,j] * B[p,q]")
    assert shape(line.results) == "[[Composed([i, p]), Composed([j, q])]]"
    assert line.body is not None and line.span.text.endswith("B[p,q]")
    line = parse_op_line("qr(A[..., i, j], n)[..., i, k], [..., k, j]")
    assert shape(line.results) == "[[Dots(), i, k], [Dots(), k, j]]" and line.body is None
    assert [type(p) for p in line.parameters] == [syntax.Subscript, syntax.Name]
    assert parse_op_line("dot(a[i], b[i]) = sum[i](a[i] * b[i])").results == [[]]
    assert parse_op_line("norm(a[i])[] = 1").results == [[]]
    for text in ("f(1)[i]", "f(A[i])[1:2]", "f", "f(A[i])[i] =", ""):
        with pytest.raises(TpcError):
            parse_op_line(text)


def test_fact_lines() -> None:
    facts = parse_fact_lines(
        """
        diagonal(A), diagonal(B) |- diagonal(this)   where square(A), square(B)
        lower(A) |- lower(this);  |- spd(this); psd(this)
            where n > 1
        """
    )
    assert [(len(f.premises), shape(f.conclusion), len(f.where)) for f in facts] == [
        (2, "Call(diagonal, [this], [])", 2),
        (1, "Call(lower, [this], [])", 0),
        (0, "Call(spd, [this], [])", 0),
        (0, "Call(psd, [this], [])", 1),
    ]


def test_rules() -> None:
    text = """# notation
rule woodbury [unstable, exact]:  inv(D + U @ V)  <=> inv(D)
                                                     where nonsingular(D)
rule orthogonal:  inv(Q) => Q'   where orthogonal(Q)
rule truncate:  A ~> B
fact gram:  psd(A' @ A)
"""
    diagnostics = Diagnostics()
    rules = parse_rules(Source(text), diagnostics)
    assert not diagnostics.items
    assert [r.name.name for r in rules] == ["woodbury", "orthogonal", "truncate", "gram"]
    first = rules[0]
    assert isinstance(first, syntax.Rule)
    assert [t.name for t in first.tags] == ["unstable", "exact"] and first.arrow == "<=>" and len(first.where) == 1
    parse_rules(Source("rule a: x => \nrule b: x => y\n"), diagnostics)
    assert len(diagnostics.items) == 1


def test_composed_axes_stand_between_brackets_alone() -> None:
    for text, codes in (("x[(i p)]", []), ("(i p)", ["E0124"]), ("g(x, (i p))", ["E0124"]), ("x[f(i p)]", ["E0124"])):
        diagnostics = Diagnostics()
        parse(Source(f"def f(x) = {text}"), diagnostics)
        assert [d.code for d in diagnostics.items] == codes, text


def test_structures() -> None:
    (item,) = read("structure s(A: [m, n]) where m > n: W[(i j), k] = A[i, k]").items
    start = "Structure(s, [Parameter(A, TypeExpr(None, [m, n]), [], None, None, None)], [(m > n)], "
    assert shape(item).startswith(start)
    assert "[Composed([i, j]), Letter(k, None)]" in shape(item)
    (item,) = read("def f(W: s(A: f64[m, n], k, p=2)) = W").items
    assert "Parameter(W, None, [], None, Parts(s, [Parameter(A, " in shape(item)


def test_expressions_raise() -> None:
    for text in ("", "a b", "a +", "(a", "a < b < c", "1e999", "9" * 401, "a\u202eb", "-" * 300 + "a", "x[]"):
        with pytest.raises(TpcError):
            parse_expression(text)
    assert shape(parse_expression("a\n+ b\n")) == "(a + b)"


def test_tables_are_those_of_the_grammar() -> None:
    with open(GRAMMAR, encoding="utf-8") as file:
        made = printed(compiled(file.read()))
    with open(TABLES, encoding="utf-8") as file:
        assert file.read() == made, "run python -m tpc.dsl.compile_grammar"


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("def f(x) = " + "(" * 10_000 + "x", ["E0107"]),
        ("def f(x) = " + "-" * 10_000 + "x", ["E0107"]),
        ("def f(x) = " + "-" * 1_000_000 + "x", ["E0109"]),
        ("def f(x) = (" + "+\n".join(["x"] * 2_000) + ")", []),
        ("def f(x) = (" + "+\n".join(["x"] * 5_000) + ")", ["E0108"]),
        ("def f(x) = [" + ",\n".join(["-x"] * 5_000) + "]", []),
        ("def f(x) = x" + "()" * 9_000, ["E0108"]),
        ("x\n" * 600_000, ["E0109"]),
        ("def f(x):\n" + "".join(" " * i + "if x:\n" for i in range(1, 150)), ["E0107"]),
    ],
)
def test_limits(text: str, codes: list[str]) -> None:
    diagnostics = Diagnostics()
    parse(Source(text), diagnostics)
    assert [d.code for d in diagnostics.items] == codes


@pytest.mark.parametrize(
    "text",
    [
        "a = (\n" * 170_000,
        "$ \n" * 340_000,
        "f(x\n" * 250_000,
        "def f(x):\n" + "    y = x\n" * 100_000 + "   )",
    ],
)
def test_bad_megabytes_end_soon(text: str) -> None:
    began = time.process_time()
    diagnostics = Diagnostics()
    parse(Source(text), diagnostics)
    assert diagnostics.errors and len(diagnostics.items) <= 21
    assert time.process_time() - began < 6  # 2 s on an idle machine


def test_long_programs_are_read_in_linear_time() -> None:
    def seconds(count: int) -> float:
        text = "def f(A, b):\n" + "    x, s = x + a * p, r - a * (q @ b)'\n" * count
        began = time.process_time()
        read(text)
        return time.process_time() - began

    small = min(seconds(500) for _ in range(3))
    assert seconds(5_000) < 30 * small
