"""Diagnostics as text for people, as data for programs, and as one line of counts.

The text puts the lines that matter in order, one block for each source:

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

Nothing of the user's text can act on the terminal: control and formatting characters are written as escapes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from unicodedata import category, combining, east_asian_width

from tpc.dsl.diagnostics import Diagnostic, Label
from tpc.dsl.source import Source, Span

LINE_WIDTH = 100  # columns; a longer line is shown only around its labels
CONTEXT = 36  # characters kept on each side of a label's ends in such a line
TAB = "    "
ELLIPSIS = "..."

BOLD = "1"
RED = "1;31"
YELLOW = "1;33"
BLUE = "1;34"
CYAN = "1;36"
PLAIN = ""


def render_text(d: Diagnostic, color: bool = False) -> str:
    """The message as lines joined by newlines, with none at the end; with `color`, in ANSI colours."""
    paint = _Paint(color)
    strong = YELLOW if d.severity == "warning" else RED
    lines = [paint(f"{d.severity}[{d.code}]", strong) + paint(f": {_visible(d.title)}", BOLD)]
    blocks = _by_source(d.labels)
    numbers = [_place(label.span)[0] for label in d.labels]
    gutter = len(str(max(numbers, default=1)))
    for index, (source, labels) in enumerate(blocks):
        line, column = source.position(min(labels[0].span.start, len(source.text)))
        if index:
            lines.append(f"{' ' * gutter} {paint('|', BLUE)}")
        arrow = ":::" if index else "-->"
        lines.append(f"{' ' * gutter}{paint(arrow, BLUE)} {_visible(source.name)}:{line}:{column}")
        lines.append(f"{' ' * gutter} {paint('|', BLUE)}")
        lines += _block(source, labels, d.labels[0], strong, gutter, paint)
    for note in d.notes:
        lines += _footer("note", note, gutter, paint, BOLD)
    if d.help is not None:
        lines += _footer("help", d.help, gutter, paint, CYAN)
    return "\n".join(lines)


def render_json(d: Diagnostic) -> dict[str, object]:
    """The message as plain data: lines and columns count from 1 (columns in characters), offsets from 0.

    `{code, severity, title, labels: [{file, start, end, text, primary}], notes: [text], help: text or None}`,
    where `start` and `end` are `{line, column, offset}` and the end is exclusive.
    """
    return {
        "code": d.code,
        "severity": d.severity,
        "title": d.title,
        "labels": [
            {
                "file": label.span.source.name,
                "start": _json_place(label.span.source, label.span.start),
                "end": _json_place(label.span.source, label.span.end),
                "text": label.text,
                "primary": index == 0,
            }
            for index, label in enumerate(d.labels)
        ],
        "notes": list(d.notes),
        "help": d.help,
    }


def summary(diagnostics: Iterable[Diagnostic]) -> str:
    """Such as `2 errors, 1 warning`; `no errors` where there is nothing to count."""
    severities = [d.severity for d in diagnostics]
    parts = []
    for word in ("error", "warning"):
        count = severities.count(word)
        if count:
            parts.append(f"{count} {word}" + ("s" if count > 1 else ""))
    return ", ".join(parts) or "no errors"


# ---- text that is safe to show


def _visible(text: str) -> str:
    """The text on one line, with every character that would act on the terminal spelled out."""
    return "".join(map(_cell, text))


def _cell(character: str) -> str:
    if character == "\t":
        return TAB
    # Control, formatting (bidirectional overrides), surrogates, line and paragraph separators.
    if character.isprintable() or category(character) not in ("Cc", "Cf", "Cs", "Zl", "Zp"):
        return character
    code = ord(character)
    if code < 0x100:
        return {"\n": "\\n", "\r": "\\r"}.get(character, f"\\x{code:02x}")
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _width(shown: str) -> int:
    if shown.isascii():
        return len(shown)
    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in shown)


class _Paint:
    """Wraps text in ANSI codes, or leaves it alone."""

    def __init__(self, color: bool) -> None:
        self.color = color

    def __call__(self, text: str, style: str) -> str:
        return f"\x1b[{style}m{text}\x1b[0m" if self.color and style and text else text


# ---- places


def _place(span: Span) -> tuple[int, int, int]:
    """Line (from 1), and first and last-plus-one character of what is marked in it (from 0).

    A span over several lines is marked to the end of its first; an empty one gets one mark.
    """
    source = span.source
    line, column = source.position(min(span.start, len(source.text)))
    start = min(column - 1, len(source.line(line)))
    end = min(start + span.end - span.start, len(source.line(line)))
    return line, start, max(end, start + 1)


def _json_place(source: Source, offset: int) -> dict[str, int]:
    line, column = source.position(min(offset, len(source.text)))
    return {"line": line, "column": column, "offset": offset}


def _by_source(labels: Sequence[Label]) -> list[tuple[Source, list[Label]]]:
    """The labels of each source, without exact repetitions, in order of first mention."""
    blocks: dict[int, tuple[Source, list[Label]]] = {}
    for label in labels:
        _, own = blocks.setdefault(id(label.span.source), (label.span.source, []))
        if label not in own:
            own.append(label)
    return list(blocks.values())


# ---- blocks of source


@dataclass
class _Mark:
    """A label in the columns of the shown line."""

    start: int
    end: int
    text: list[str]
    sign: str
    style: str


def _block(source: Source, labels: list[Label], primary: Label, strong: str, gutter: int, paint: _Paint) -> list[str]:
    by_line: dict[int, list[Label]] = {}
    for label in labels:
        by_line.setdefault(_place(label.span)[0], []).append(label)
    lines: list[str] = []
    previous = None
    for number in sorted(by_line):
        if previous is not None and number == previous + 2:
            # One line between is no longer than the dots that would stand for it.
            shown, _ = _shown_line(source.line(number - 1), [])
            lines.append(_numbered(number - 1, shown, gutter, paint))
        elif previous is not None and number > previous + 2:
            lines.append(paint(ELLIPSIS, BLUE))
        previous = number
        places = [_place(label.span)[1:] for label in by_line[number]]
        shown, columns = _shown_line(source.line(number), places)
        lines.append(_numbered(number, shown, gutter, paint))
        marks = []
        for label, (start, end) in zip(by_line[number], columns):
            sign, style = ("^", strong) if label is primary else ("-", BLUE)
            text = [_visible(part) for part in label.text.split("\n")] if label.text else []
            marks.append(_Mark(start, end, text, sign, style))
        for row in _mark_rows(marks):
            lines.append(f"{' ' * gutter} {paint('|', BLUE)} {_painted(row, paint)}")
    return lines


def _numbered(number: int, shown: str, gutter: int, paint: _Paint) -> str:
    return f"{paint(f'{number:>{gutter}} |', BLUE)} {shown}".rstrip()


def _shown_line(line: str, places: list[tuple[int, int]]) -> tuple[str, list[tuple[int, int]]]:
    """The line as shown and the columns (from 0) of each place; far-off parts of a long line are dots."""
    keep = [(0, len(line))]
    if sum(_width(_cell(c)) for c in line) > LINE_WIDTH:
        keep = _windows(len(line), places)
    text: list[str] = []
    column = 0
    column_of: dict[int, int] = {}  # character of the line -> column
    at = 0
    for start, stop in [*keep, (len(line), len(line))]:
        if start > at:
            column_of.update(dict.fromkeys(range(at, start), column))
            text.append(ELLIPSIS)
            column += len(ELLIPSIS)
        for index in range(start, stop):
            cell = _cell(line[index])
            column_of[index] = column
            text.append(cell)
            column += _width(cell)
        at = stop
    column_of[len(line)] = column
    column_of[len(line) + 1] = column + 1  # an empty place at the end of the line
    columns = [(column_of[a], max(column_of[b], column_of[a] + 1)) for a, b in places]
    return "".join(text), columns


def _windows(length: int, places: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The stretches of a long line to show: around the ends of every place, joined where they touch."""
    ends = sorted({end for place in places for end in place}) or [0]
    windows: list[tuple[int, int]] = []
    for end in ends:
        start, stop = max(0, end - CONTEXT), min(length, end + CONTEXT)
        start = 0 if start <= len(ELLIPSIS) else start
        stop = length if stop >= length - len(ELLIPSIS) else stop
        if windows and start <= windows[-1][1] + len(ELLIPSIS):
            windows[-1] = (windows[-1][0], stop)
        else:
            windows.append((start, stop))
    return windows


Row = dict[int, tuple[str, str]]  # column -> what stands there, and its style


def _mark_rows(marks: list[_Mark]) -> list[Row]:
    """The rows under a line: the marks, then texts from right to left, each hanging from its mark by `|`."""
    signs: Row = {}
    for mark in sorted(marks, key=lambda mark: mark.sign == "^"):
        signs.update((column, (mark.sign, mark.style)) for column in range(mark.start, mark.end))
    rows = [signs]
    waiting = sorted((mark for mark in marks if mark.text), key=lambda mark: (mark.start, mark.sign == "^"))
    if waiting and waiting[-1].end > max(signs):
        mark = waiting.pop()
        indent = mark.end + 1
        for index, part in enumerate(mark.text):
            if index:
                rows.append(_bars(waiting))
            rows[-1][indent] = (part, mark.style)
    if waiting:
        rows.append(_bars(waiting))
    while waiting:
        mark = waiting.pop()
        for part in mark.text:
            row = _bars([other for other in waiting if other.start < mark.start])
            row[mark.start] = (part, mark.style)
            rows.append(row)
    return rows


def _bars(marks: list[_Mark]) -> Row:
    return {mark.start: ("|", mark.style) for mark in marks}


def _painted(row: Row, paint: _Paint) -> str:
    pieces: list[tuple[str, str]] = []
    column = 0
    for start in sorted(row):
        text, style = row[start]
        if start > column:
            pieces.append((" " * (start - column), PLAIN))
        if pieces and pieces[-1][1] == style:
            pieces[-1] = (pieces[-1][0] + text, style)
        else:
            pieces.append((text, style))
        column = start + _width(text)
    return "".join(paint(text, style) for text, style in pieces).rstrip()


def _footer(word: str, text: str, gutter: int, paint: _Paint, style: str) -> list[str]:
    first, *more = [_visible(part) for part in text.split("\n")]
    head = f"{' ' * gutter} {paint('=', BLUE)} {paint(word, style)}: {first}"
    return [head, *(f"{' ' * (gutter + len(word) + 5)}{part}".rstrip() for part in more)]
