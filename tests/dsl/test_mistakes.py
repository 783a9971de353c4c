"""Common mistakes get their own names, and what the help shows is a program."""

import pytest

from tpc.dsl.diagnostics import Diagnostics
from tpc.dsl.parser import parse
from tpc.dsl.source import Source
from tpc.dsl.syntax import Broken, Def, Module


def read(text: str) -> tuple[Module, Diagnostics]:
    diagnostics = Diagnostics()
    return parse(Source(text), diagnostics), diagnostics


# a statement in a function, the code, the marked text, and the statement as the help shows it
CORRECTED = [
    ("y = x**2", "E0111", "**", "y = x^2"),
    ("y = A.T @ x", "E0111", ".T", "y = A' @ x"),
    ("y = A .* B", "E0111", ".*", "y = A * B"),
    ("y = A^T @ x", "E0111", "^T", "y = A' @ x"),
    ("y = np.linalg.inv(A)", "E0112", "np.linalg.inv", "y = inv(A)"),
    ("y := x  # note", "E0111", ":=", "y = x"),
    ("y = a && b || !c", "E0111", "&&", "y = a and b or not c"),
    ("y = torch.zeros(3) + A.T**2", "E0112", "torch.zeros", "y = zeros(3) + A'^2"),
    ("y == 3", "E0116", "==", "y = 3"),
    ("y = x;", "E0121", ";", "y = x"),
    ("y = zeros(1,000)", "E0104", "1,000", "y = zeros(1000)"),
    ("y = load('w.npy')", "E0105", "'w.npy'", 'y = load("w.npy")'),
    ("y = 2x", "E0104", "2x", "y = 2*x"),
    ("y = 1_000", "E0104", "1_000", "y = 1000"),
    ("y = 0x10", "E0104", "0x10", "y = 16"),
    ("y = a b", "E0124", "b", "y = a * b"),
    ("y = A'B", "E0124", "B", "y = A' @ B"),
    ("y = x => 3", "E0111", "=>", "y = x >= 3"),
    ("y = a)", "E0106", ")", "y = a"),
    ("y = t(A) %*% x", "E0111", "%*%", "y = t(A) @ x"),
    ("y <- mean(x)", "E0111", "<-", "y = mean(x)"),
    ("y = [1 2; 3 4]", "E0124", "2", "y = [1, 2; 3, 4]"),
    ("y = inv(A'A) A'x", "E0124", "A", "y = inv(A' @ A) @ A' @ x"),
    ("y = 2 x z", "E0124", "x", "y = 2 * x * z"),
    ("y = np.where(x)", "E0112", "np.where", "y = select(x)"),
    ("y = |x|", "E0111", "|x|", "y = abs(x)"),
    ("y = ||A @ x||^2", "E0111", "||A @ x||", "y = norm(A @ x)^2"),
    ("f64 y = x", "E0119", "y", "y: f64 = x"),
    ("y: f64[n] spd = x", "E0101", "spd", "y: f64[n] is spd = x"),
    ("[Q, R] = qr(A)", "E0119", "[", "Q, R = qr(A)"),
]


@pytest.mark.parametrize(("statement", "code", "marked", "shown"), CORRECTED)
def test_help_shows_the_corrected_line(statement: str, code: str, marked: str, shown: str) -> None:
    text = "def f(A, x):\n    {}\n    return x\n"
    _, diagnostics = read(text.format(statement))
    first = diagnostics.items[0]
    assert (first.code, first.labels[0].span.text) == (code, marked)
    assert first.help is not None and f"`{shown}`" in first.help
    assert not read(text.format(shown))[1].items


# a text, and for each message its code, the marked text and a piece of the help
NAMED = [
    ("def f(x: f64[n]) -> f64[n]\n    return x\n", [("E0117", "]", "write `def f(x: f64[n]) -> f64[n]:`")]),
    ("def f(x: f64) f64:\n    return x\n", [("E0123", "f64", "write `def f(x: f64) -> f64:`")]),
    ("def f(x) => f64:\n    return x\n", [("E0123", "=>", "`->`")]),
    ("def f(x):\nreturn x\n", [("E0110", ":", "four spaces")]),
    ("def f(x):\n    if x:\n    y = 3\n", [("E0110", ":", "four spaces")]),
    ("def f(x):\n    y = 3\n      z = 4\n    return y\n", [("E0110", "z", "like the line before")]),
    ("def f(x):\n        y = 3\n    z = 4\n    return y\n", [("E0110", "z", "like the other lines")]),
    ("def f(x):\n\ty = 3\n\tz = 4\n", [("E0110", "\t", "spaces")]),
    ("def f(x):\n    repeat 10\n        x = 3\n    return x\n", [("E0117", "10", "`repeat 10:`")]),
    ("def f(x):\n    if x = 3:\n        y = 1\n    else:\n        y = 2\n", [("E0116", "=", "`if x == 3:`")]),
    ("def f(x):\n    for i in range(n):\n        y = 3\n    return y\n", [("E0113", "for", "scan")]),
    ("def f(x):\n    while x > 3:\n        y = 3\n", [("E0113", "while", "repeat")]),
    ("import numpy as np\ndef f(x) = x\n", [("E0113", "import", "use")]),
    ("def f(x):\n    print(x)\n", [("E0113", "print", "return")]),
    ("class A:\n    def g(x) = x\n", [("E0113", "class", "def")]),
    ("def f(x):\n    let y = 3\n", [("E0113", "let", "name = value")]),
    ("function f(x)\n  y = 3\nend\n", [("E0113", "function", "def"), ("E0113", "end", "indentation")]),
    ("def f(x):\n    y = lambda z: z\n", [("E0113", "lambda", "def f(x)")]),
    (
        "def f(x):\n    if x:\n        y = 3\n    else if z:\n        y = 4\n",
        [("E0113", "else if", "`elif z:`")],
    ),
    ("def f(in: f64) = x\n", [("E0114", "in", "in_")]),
    ("def f(x):\n    on = 3\n", [("E0114", "on", "on_")]),
    ("def f(x):\n    y = {1, 2}\n", [("E0106", "{", "[A, B; C, D]")]),
    ("def f(x):\n    foo(x)\n", [("E0115", "foo(x)", "return foo(x)")]),
    ("def f(x):\n    K[i+1] = 3\n", [("E0119", "+", "letters")]),
    ("f(x) = x\n", [("E0122", "f(x) = x", "write `def f(x) = x`")]),
    ("f <- function(x) {\n}\n", [("E0106", "{", "write `def f(x):`")]),
    ("def f(x): sum(x)\n", [("E0101", "sum", "write `def f(x) = sum(x)`")]),
    ("def f(x: f64) -> f64: return x\n", [("E0101", "return", "write `def f(x: f64) -> f64 = x`")]),
    ("def f(x):\n    if x: y = 3\n    return x\n", [("E0101", "y", "four spaces")]),
    ("def f(X):\n    y = X.reshape(2, 3)\n", [("E0112", ".reshape", "`reshape(X, 2, 3)`")]),
    ("def f(X):\n    y = X.transpose()\n", [("E0112", ".transpose", "`X'`")]),
    ("def f(X):\n    y = X.dot(z)\n", [("E0112", ".dot", "`X @ z`")]),
    ("def f(x):\n    y = 2i * x\n", [("E0104", "2i", "`2j`")]),
    ("def f(x: f64[n]): f64 = sum(x)\n", [("E0123", ":", "write `def f(x: f64[n]) -> f64 = sum(x)`")]),
    ("def f(x: f64[:]) = x\n", [("E0101", ":", "`f64[n, m]`")]),
    ("def f(A: f64[n, n] is a symmetric) = A\n", [("E0101", "symmetric", "joined by `and`")]),
    ("def f(x):\n    y = [x[i] for i in n]\n", [("E0113", "for", "index notation")]),
    ("def f(x):\n    if x then\n        y = 3\n", [("E0113", "then", "`:`")]),
    ("def f(x):\n    y = sum[i] x[i]\n", [("E0124", "x", "`sum[i](...)`")]),
    ("def f(x):\n    repeat:\n        x = 3\n", [("E0101", ":", "repeat 1000 until")]),
    ("def f(x):\n    scan i in n:\n        y[i, :] = x\n", [("E0119", ":", "`y[i] = ...`")]),
    ("y = 3\n", [("E0122", "y = 3", "write `const y = 3`")]),
    ("def f(x):\n    def g(y) = y\n    return x\n", [("E0122", "def", "top level")]),
    ("def f(x):\n    y = a < b < c\n", [("E0118", "<", "`a < b and b < c`")]),
    ("def f(x):\n    y = x² + 1\n", [("E0102", "²", "^2")]),
    ("def f(x):\n    y = a × b\n", [("E0102", "×", "`@`")]),
    ("def f(x):\n    y = a % b\n", [("E0111", "%", "mod")]),
    ("def f(x):\n    y = a // b\n", [("E0111", "//", "floor")]),
    ("def f(x):\n    // note\n    y = a\n", [("E0111", "//", "`#`")]),
    ("def f(x):\n    x += 3\n", [("E0111", "+=", "`x = x + ...`")]),
    ("def f(x):\n    y = a +\n    return x\n", [("E0125", "+", "brackets")]),
    ("def f(x):\n    return\n", [("E0125", "return", "what is returned")]),
    ("def f(x):\n    y = sum[k in n]\n", [("E0119", "sum[k in n]", "(...)")]),
    ("def f(x):\n    y = x[k in n]\n", [("E0119", "k in n", "sum[k in n")]),
    ("def f(x):\n    y = x.sum()\n", [("E0112", ".sum", "`sum(x)`")]),
    ("def f(x):\n    y = f(a=1, b)\n", [("E0126", "b", "")]),
    ("def f(x):\n    y = 1e999\n", [("E0104", "1e999", "")]),
    ('def f(x):\n    y = "abc\n', [("E0105", '"abc', "same line")]),
    ("def f(x):\n    a\u200b = 3\n", [("E0103", "\u200b", "delete")]),
    ("# \u202e note\ndef f(x) = x\n", [("E0103", "\u202e", "delete")]),
    ("def f(x):\n    y = x; z = y\n    return z\n", [("E0121", ";", "line of its own")]),
    ("def f(x):\n    W ~= 3\n", [("E0101", "3", "within")]),
    ("def f(x):\n    scan i = n:\n        y = 3\n", [("E0101", "=", "`scan i in n:`")]),
    ("def f(x):\n    y = sum(0..n)\n", [("E0102", ".", "`scan i in n:`"), ("E0112", ".n", "")]),
    ("def f(A):\n    y = A is spd\n", [("E0101", "is", "facts are declared")]),
    ("def f(A):\n    y = A.'\n", [("E0102", ".", "`'` for the transpose")]),
    ("def f(x):\n    y = x .+ 1\n", [("E0102", ".", "write `+`")]),
    ("def f(x):\n    y = sin.(x)\n", [("E0102", ".", "`sin(x)`")]),
    ("def f(x):\n    y = x |> sin\n", [("E0111", "|>", "`f(x)`")]),
    ("def f(x):\n    y = sum_{i=1}^n x[i]\n", [("E0106", "{", "`sum[i](x[i])`")]),
    ("def f(x):\n    y = x/2s\n", [("E0104", "2s", "`(2*s)`")]),
    ("def f(x):\n    y.append(x)\n", [("E0112", ".append", "index notation")]),
    ("def f(x):\n    y = []\n", [("E0101", "[]", "`zeros(n)`")]),
    ("def f(x):\n    y = x + \\\n        1\n", [("E0125", "\\", "brackets"), ("E0115", "1", "")]),
    ("def f(x):\n    y = 1 if x > 0\n", [("E0125", "0", "`a if condition else b`")]),
    ("def f(A: f64[n, n]: spd) = A\n", [("E0101", ":", "`def f(A: f64[n, n] is spd) = A`")]),
    ("def f(A: spd f64[n, n]) = A\n", [("E0101", "f64", "`f64[...] is spd`")]),
    ("def f(A: f64[n x n]) = A\n", [("E0124", "x", "`def f(A: f64[n, n]) = A`")]),
    ("def f(x: f64, *args) = x\n", [("E0101", "*", "`x: f64[n], y: f64[n]`")]),
]


@pytest.mark.parametrize(("text", "messages"), NAMED)
def test_named_mistakes(text: str, messages: list[tuple[str, str, str]]) -> None:
    found = read(text)[1].items
    assert [(d.code, d.labels[0].span.text) for d in found] == [m[:2] for m in messages]
    for one, (_, _, help) in zip(found, messages):
        assert help in (one.help or "")
        assert one.title == one.title.rstrip(".") and (one.title[0].islower() or not one.title[0].isalpha())


def test_t_is_a_name_where_something_is_called_so() -> None:
    assert not read("def f(x, T) = x^T\n")[1].items


def test_foreign_words_are_names_where_they_are_used_as_such() -> None:
    assert not read("def f(x):\n    end = x\n    for, let = end, x\n    return let\n")[1].items


@pytest.mark.parametrize(
    "after",
    [
        "    y = 3\n    return y\n",
        "def g(x) = x\n",
        "    if x:\n        y = 3\n",
        "    S: f64[n] = x\n",
        "    return x\n",
    ],
)
def test_an_open_bracket_hides_nothing(after: str) -> None:
    module, diagnostics = read("def f(x):\n    z = g(x, (x + 1)\n" + after + "    a = = b\n" * after.startswith("    "))
    assert diagnostics.items[0].code == "E0106" and diagnostics.items[0].labels[0].span.text == "("
    assert len(diagnostics.items) == (2 if after.startswith("    ") else 1)
    assert isinstance(module.items[0], Def) and isinstance(module.items[0].body[0], Broken)


def test_arguments_on_lines_of_their_own() -> None:
    assert not read("def f(x):\n    return g(\nx,\nkey=3,\n)\n")[1].items


def test_all_errors_are_found_and_the_rest_is_kept() -> None:
    module, diagnostics = read(
        "def f(x):\n    y = = 3\n    if y:\n        z = )\n    else\n        z = 4\n    return z\n"
        "def g(x: f64[n) -> f64:\n    w = a b\n    return w\nconst c = 3 4\ndef h(x) = x\n"
    )
    assert [d.code for d in diagnostics.items] == ["E0101", "E0106", "E0117", "E0106", "E0124", "E0124"]
    first, second, third, last = module.items
    assert isinstance(first, Def) and len(first.body) == 3 and isinstance(first.body[0], Broken)
    assert isinstance(second, Broken) and isinstance(third, Broken) and isinstance(last, Def)


def test_errors_are_counted() -> None:
    _, diagnostics = read("def f(x):\n" + "    y = = 3\n" * 30)
    assert [d.code for d in diagnostics.items] == ["E0101"] * 20 + ["E0120"]


def test_many_open_brackets() -> None:
    module, diagnostics = read("def f(x):\n" + "    a = (\n" * 300 + "    return x\n")
    assert {d.code for d in diagnostics.items} == {"E0106", "E0120"}
