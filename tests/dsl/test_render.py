"""Diagnostics as people see them: exact text, escapes, windows, and the data form."""

import json
import re

import pytest

from tpc.dsl.diagnostics import Diagnostic, Label, diagnostic
from tpc.dsl.render import LINE_WIDTH, render_json, render_text, summary
from tpc.dsl.source import Source, Span

MODEL = Source("# sizes\nA: f64[2, 3]\nB: f64[4, 2]\ny = kron(A, B) @ x\n", "model.tp")


def at(source: Source, text: str, nth: int = 0) -> Span:
    """The place of the nth occurrence of a text, which has to be there."""
    start = -1
    for _ in range(nth + 1):
        start = source.text.index(text, start + 1)
    return Span(source, start, start + len(text))


def check(d: Diagnostic, expected: str) -> None:
    """Compare with the text between the first and the last line break of `expected`."""
    assert render_text(d) + "\n" == expected.removeprefix("\n")


def misfit() -> Diagnostic:
    return diagnostic(
        "E0203",
        "`@` needs columns and rows to match, but 6 is not 5",
        at(MODEL, "kron(A, B) @ x"),
        Label(at(MODEL, "3"), "A has 3 columns"),
        Label(at(MODEL, "2", 1), "B has 2 columns, so kron(A, B) has 3*2 = 6"),
        help="x has 5 rows; transpose one side, or check which matrix was meant",
    )


def test_the_sample_of_the_style_guide() -> None:
    check(
        misfit(),
        """
error[E0203]: `@` needs columns and rows to match, but 6 is not 5
 --> model.tp:4:5
  |
2 | A: f64[2, 3]
  |           - A has 3 columns
3 | B: f64[4, 2]
  |           - B has 2 columns, so kron(A, B) has 3*2 = 6
4 | y = kron(A, B) @ x
  |     ^^^^^^^^^^^^^^
  = help: x has 5 rows; transpose one side, or check which matrix was meant
""",
    )


def test_the_helpers_can_fail() -> None:
    with pytest.raises(AssertionError):
        check(misfit(), "\nerror[E0203]: something else\n")
    with pytest.raises(ValueError):
        at(MODEL, "kron", 1)


def test_labels_on_one_line_hang_from_right_to_left() -> None:
    check(
        diagnostic(
            "E0203",
            "misfit",
            Label(at(MODEL, "@"), "this product"),
            Label(at(MODEL, "kron(A, B)"), "6 columns"),
            Label(at(MODEL, "x"), "5 rows"),
        ),
        """
error[E0203]: misfit
 --> model.tp:4:16
  |
4 | y = kron(A, B) @ x
  |     ---------- ^ - 5 rows
  |     |          |
  |     |          this product
  |     6 columns
""",
    )


def test_nested_and_repeated_labels() -> None:
    inner = Label(at(MODEL, "A, B"), "two operands")
    check(
        diagnostic("W0001", "nested", inner, Label(at(MODEL, "kron(A, B)"), "a call"), inner),
        """
warning[W0001]: nested
 --> model.tp:4:10
  |
4 | y = kron(A, B) @ x
  |     -----^^^^-
  |     |    |
  |     |    two operands
  |     a call
""",
    )


def test_labels_with_several_lines_of_text_at_one_place() -> None:
    check(
        diagnostic("E0001", "t", Label(at(MODEL, "x"), "one\ntwo"), Label(at(MODEL, "x"), "three\nfour")),
        """
error[E0001]: t
 --> model.tp:4:18
  |
4 | y = kron(A, B) @ x
  |                  ^ one
  |                  | two
  |                  |
  |                  three
  |                  four
""",
    )


def test_gaps_and_the_width_of_line_numbers() -> None:
    source = Source("".join(f"line{n}\n" for n in range(1, 13)), "t.tp")
    check(
        diagnostic("E0001", "t", at(source, "line12"), at(source, "line1"), at(source, "line3")),
        """
error[E0001]: t
  --> t.tp:12:1
   |
 1 | line1
   | -----
 2 | line2
 3 | line3
   | -----
...
12 | line12
   | ^^^^^^
""",
    )


def test_a_span_over_lines_is_shown_at_its_first() -> None:
    check(
        diagnostic("E0001", "t", Label(at(MODEL, "f64[2, 3]\nB: f64"), "from here")),
        """
error[E0001]: t
 --> model.tp:2:4
  |
2 | A: f64[2, 3]
  |    ^^^^^^^^^ from here
""",
    )


@pytest.mark.parametrize("newline", ["\n", "\r\n", ""])
def test_empty_spans_at_the_end_of_a_line(newline: str) -> None:
    source = Source(f"y = a +{newline}", "t.tp")
    check(
        diagnostic("E0001", "t", Label(Span(source, 7, 7), "an operand is missing")),
        """
error[E0001]: t
 --> t.tp:1:8
  |
1 | y = a +
  |        ^ an operand is missing
""",
    )


def test_an_empty_span_at_the_end_of_the_file_and_in_an_empty_file() -> None:
    source = Source("y = (\n", "t.tp")
    check(
        diagnostic("E0001", "t", Label(Span(source, 6, 6), "the file ends"), Label(at(source, "("), "opened")),
        """
error[E0001]: t
 --> t.tp:2:1
  |
1 | y = (
  |     - opened
2 |
  | ^ the file ends
""",
    )
    empty = Source("", "e.tp")
    check(diagnostic("E0001", "t", Span(empty, 0, 0)), "\nerror[E0001]: t\n --> e.tp:1:1\n  |\n1 |\n  | ^\n")


def test_tabs_and_wide_and_combining_characters_keep_the_marks_below() -> None:
    source = Source("\tσ漢字e\u0301 = bad\n", "t.tp")
    check(
        diagnostic("E0001", "t", Label(at(source, "bad"), "here"), Label(at(source, "漢字"), "wide")),
        """
error[E0001]: t
 --> t.tp:1:10
  |
1 |     σ漢字e\u0301 = bad
  |      ----    ^^^ here
  |      |
  |      wide
""",
    )


def test_nothing_acts_on_the_terminal() -> None:
    evil = "\x1b[31m\x07\u202e\u200b\x9b\U000e0001"
    source = Source(f'x = "{evil}" + y\n', f"a{evil}\n.tp")
    text = render_text(
        diagnostic("E0001", f"{evil}\n", Label(at(source, "y"), evil), notes=[f"{evil}\r\nb"], help=evil)
    )
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b\u202e\U000e0001]", text)
    shown = r"\x1b[31m\x07\u202e\u200b\x9b\U000e0001"
    lines = text.split("\n")
    assert lines[0] == f"error[E0001]: {shown}\\n"
    assert lines[1] == f" --> a{shown}\\n.tp:1:20"
    assert lines[3] == f'1 | x = "{shown}" + y'
    assert lines[4] == f"  | {' ' * (lines[3].index('+ y') - 2)}^ {shown}"
    assert lines[5:7] == [f"  = note: {shown}\\r", "          b"]


def test_several_sources_have_a_block_each() -> None:
    other = Source("def f(x):\n    return x\n", "other.tp")
    check(
        diagnostic(
            "E0001",
            "called in the wrong way",
            Label(at(MODEL, "kron"), "called here"),
            Label(at(other, "f", 1), "twice,\nin truth"),
            Label(at(MODEL, "B"), "an argument"),
            notes=["f has one parameter"],
            help="first\n\nsecond",
        ),
        """
error[E0001]: called in the wrong way
 --> model.tp:4:5
  |
3 | B: f64[4, 2]
  | - an argument
4 | y = kron(A, B) @ x
  |     ^^^^ called here
  |
 ::: other.tp:1:5
  |
1 | def f(x):
  |     - twice,
  |       in truth
  = note: f has one parameter
  = help: first

          second
""",
    )


def test_no_labels() -> None:
    check(diagnostic("E0901", "no such file", help="a"), "\nerror[E0901]: no such file\n  = help: a\n")


def test_long_lines_are_shown_around_their_labels() -> None:
    source = Source("y = " + "a + " * 500 + "bad" + " + c" * 500 + " + end\n", "t.tp")
    d = diagnostic("E0001", "t", Label(at(source, "bad"), "here"), Label(at(source, "end"), "and here"))
    lines = render_text(d).split("\n")
    code = lines[3]
    assert code.startswith("1 | ...") and code.count("...") == 2 and code.endswith(" + end")
    assert len(code) < 2 * LINE_WIDTH
    assert code[lines[4].index("^") :].startswith("bad") and lines[4].count("^") == 3
    assert code[lines[4].index("-") :] == "end" and lines[4].endswith("--- and here")
    assert lines[6].index("here") == lines[4].index("^")


def test_a_long_label_on_a_long_line_is_cut_in_the_middle() -> None:
    source = Source("y = f(" + "a" * 5000 + ")\n", "t.tp")
    lines = render_text(diagnostic("E0001", "t", at(source, "a" * 5000))).split("\n")
    assert re.fullmatch(r"1 \| y = f\(a+\.\.\.a+\)", lines[3])
    assert len(lines[3]) < LINE_WIDTH
    assert re.fullmatch(r"  \| {7}\^+", lines[4]) and len(lines[4]) == len(lines[3]) - 1


def test_color_only_adds_codes() -> None:
    d = misfit()
    colored = render_text(d, color=True)
    assert "\x1b[1;31merror[E0203]\x1b[0m" in colored
    assert re.sub(r"\x1b\[[0-9;]*m", "", colored) == render_text(d)


def test_json() -> None:
    data = render_json(misfit())
    assert json.loads(json.dumps(data)) == data
    labels = data.pop("labels")
    assert isinstance(labels, list)
    assert labels[0] == {
        "file": "model.tp",
        "start": {"line": 4, "column": 5, "offset": 38},
        "end": {"line": 4, "column": 19, "offset": 52},
        "text": "",
        "primary": True,
    }
    assert [label["primary"] for label in labels] == [True, False, False]
    assert data == {
        "code": "E0203",
        "severity": "error",
        "title": "`@` needs columns and rows to match, but 6 is not 5",
        "notes": [],
        "help": "x has 5 rows; transpose one side, or check which matrix was meant",
    }


def test_summary() -> None:
    error, warning = Diagnostic("E0001", "t"), Diagnostic("W0001", "t")
    assert summary([error, warning, error]) == "2 errors, 1 warning"
    assert summary([warning, warning]) == "2 warnings"
    assert summary([error]) == "1 error"
    assert summary([]) == "no errors"
