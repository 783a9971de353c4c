"""Tables as text: `.csv` and `.tsv`.

The delimiter is the one of `,` `;` and tab that the first line has most of. The first line names the columns if
nothing in it is a number. Every cell of a column that is used must be a number (or true, false).
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any

import numpy as np

from tpc.dsl.diagnostics import TpcError, fail
from tpc.formats import Datum, choose, damaged
from tpc.memory import allow_file

DELIMITERS = ",;\t"
MISSING = {"", "na", "n/a", "null", "none", "?", "-", "missing"}
TRUTH = {"true": True, "false": False}
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")


def read(file: IO[bytes], name: str, member: str | None, wanted: str | None) -> Datum:
    file.seek(0, 2)
    # a number takes at least two characters, and eight bytes as an array
    allow_file(4 * file.tell(), name, "as numbers it may take")
    file.seek(0)
    try:
        text = file.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise damaged(name, f"byte {error.start + 1} is not UTF-8 text") from None
    if "\0" in text:
        raise damaged(name, "it is not text")
    rows = list(_rows(text, name))
    if not rows:
        raise fail("E0709", f"`{name}` has no rows", help="give at least one row of numbers")
    width = len(rows[0][1])
    for line, row in rows:
        if len(row) != width:
            raise fail(
                "E0709",
                f"`{name}` has rows of different length: {_cells(len(row))} in line {line}, "
                f"but {_cells(width)} in line {rows[0][0]}",
                help="each row needs a cell for every column",
            )
    header = _header(rows[0][1], rows[1:], name)
    if header is not None:
        rows = rows[1:]
        if member is None and any(not cell.strip() for cell in header):
            raise fail(
                "E0709",
                f"a column of `{name}` has no name, and may hold row numbers",
                help=f"choose columns, as in `{name}:{','.join(c.strip() for c in header if c.strip())}`",
            )
    columns = _columns(header, width, member, name)
    labels = [f"`{header[c]}`" if header is not None else str(c + 1) for c in columns]
    cells = [[row[c].strip() for c in columns] for _, row in rows]
    if not cells:
        return Datum(np.zeros((0, len(columns))), weak=True, table=True)
    return Datum(_numbers(cells, [line for line, _ in rows], labels, name), weak=True, table=True)


def _cells(count: int) -> str:
    return f"{count} cell" + ("s" if count != 1 else "")


def _rows(text: str, name: str) -> Iterator[tuple[int, list[str]]]:
    """The rows with the numbers of their lines; empty lines and those that begin with `#` are left out."""
    first = next((line for line in text.splitlines() if line.strip() and not line.startswith("#")), "")
    bare = re.sub(r'"[^"]*"', "", first)
    delimiter = max(DELIMITERS, key=bare.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    try:
        for row in reader:
            if any(cell.strip() for cell in row) and not row[0].startswith("#"):
                yield reader.line_num, row
    except csv.Error as error:
        raise damaged(name, f"line {reader.line_num}: {error}") from None


def _is_number(cell: str) -> bool:
    return _number(cell.strip()) is not None


def _number(cell: str) -> complex | None:
    """The number in a cell, as a float where it is real; None if there is none."""
    try:
        return float(cell)
    except ValueError:
        pass
    if cell.lower() in TRUTH:
        return float(TRUTH[cell.lower()])
    if cell[-1:] in ("j", "J", ")"):
        try:
            return complex(cell.replace(" ", ""))
        except ValueError:
            pass
    return None


def _header(first: Sequence[str], rest: Sequence[object], name: str) -> list[str] | None:
    """The names of the columns, if the first row is one of names."""
    numeric = [_is_number(cell) for cell in first]
    if all(numeric):
        return None
    if any(numeric) and rest:
        bad = numeric.index(False)
        text, number = first[bad].strip(), first[numeric.index(True)].strip()
        raise fail(
            "E0709",
            f"the first row of `{name}` is neither names nor numbers: it has `{text}` and `{number}`",
            help="correct the cell; or, if the row names the columns, no name in it may be a number",
        )
    if any(numeric):
        raise _bad_cell(first[numeric.index(False)].strip(), 1, str(numeric.index(False) + 1), name)
    return [cell.strip() for cell in first]


def _columns(header: list[str] | None, width: int, member: str | None, name: str) -> list[int]:
    if member is None:
        return list(range(width))
    if header is None:
        numbers = [str(n + 1) for n in range(width)]
        return [numbers.index(choose(name, numbers, part.strip(), None)) for part in member.split(",")]
    if member in header:
        return [header.index(member)]
    return [header.index(choose(name, header, part.strip(), None)) for part in member.split(",")]


def _numbers(cells: list[list[str]], lines: list[int], labels: list[str], name: str) -> np.ndarray[Any, Any]:
    flat = [cell for row in cells for cell in row]
    shape = (len(cells), len(labels))
    if all(map(_INTEGER.fullmatch, flat)):
        return np.array([int(cell) for cell in flat], np.int64).reshape(shape)
    try:
        return np.array([float(cell) for cell in flat]).reshape(shape)
    except ValueError:
        pass
    if all(cell.lower() in TRUTH for cell in flat):
        return np.array([TRUTH[cell.lower()] for cell in flat]).reshape(shape)
    numbers = []
    for position, cell in enumerate(flat):
        number = _number(cell)
        if number is None:
            row, column = divmod(position, len(labels))
            raise _bad_cell(cell, lines[row], labels[column], name)
        numbers.append(number)
    return np.array(numbers).reshape(shape)


def _bad_cell(cell: str, line: int, column: str, name: str) -> TpcError:
    place = f"line {line}, column {column} of `{name}`"
    if cell.lower() in MISSING:
        return fail(
            "E0709",
            f"a value is missing: {place} is {f'`{cell}`' if cell else 'empty'}",
            help="fill it in, leave the row out, or write `nan` if the program can do with that",
        )
    help = "choose columns of numbers, as in `file.csv:price`"
    if re.fullmatch(r"[+-]?[0-9.]*,[0-9]+", cell):
        whole = cell.replace(".", "").replace(",", "")
        help = f"a comma has no place in it: write `{whole}` if it parts thousands, else a decimal point"
    return fail("E0709", f"`{cell[:40]}` is not a number: {place}", help=help)


# ---- writing


def write(file: IO[bytes], values: Mapping[str, np.ndarray[Any, Any]]) -> None:
    columns: dict[str, list[Any]] = {}
    for name, array in values.items():
        if array.ndim > 2:
            raise fail(
                "E0712",
                f"`{name}` has {array.ndim} axes, and a table has two",
                help="write it to a `.npy`, `.npz` or `.safetensors` file",
            )
        if array.ndim < 2:
            columns[name] = np.atleast_1d(array).tolist()
        else:
            columns |= {f"{name}_{n + 1}": array[:, n].tolist() for n in range(array.shape[1])}
    heights = {len(column) for column in columns.values()}
    if len(heights) > 1:
        listed = ", ".join(f"`{n}` {v.shape}" for n, v in values.items())
        raise fail(
            "E0712",
            f"the results do not make one table: {listed}",
            help="write them to a `.npz` file, or each to its own with `--out name=file.csv`",
        )
    text = io.TextIOWrapper(file, "utf-8", newline="", write_through=True)
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(value) for value in row] for row in zip(*columns.values()))
    text.detach()


def _cell(value: bool | int | float | complex) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value).strip("()")
