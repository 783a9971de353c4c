"""Matrix Market's `.mtx`: one matrix as text, with all entries or only those that are not zero.

Read and written here and not by SciPy, whose reader ends the process on some files.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

import numpy as np

from tpc.dsl.diagnostics import fail
from tpc.formats import Datum, damaged
from tpc.memory import allow_file

MAX_LINE = 4096
FIELDS = {"real": "f8", "double": "f8", "integer": "i8", "unsigned-integer": "i8", "pattern": "f8", "complex": "c16"}
SYMMETRIES = ("general", "symmetric", "skew-symmetric", "hermitian")
Array = np.ndarray[Any, Any]


def read(file: IO[bytes], name: str, member: str | None, wanted: str | None) -> Datum:
    """The matrix as a dense array; what the file declares is checked before anything of that size is made."""
    if member is not None:
        raise fail("E0710", f"`{name}` holds a single matrix, so `:{member}` has no meaning", help="leave it out")
    (layout, field, symmetry), shape, stored, words = _content(file, name, is_dense=True)
    try:
        if layout == "array":
            array = _dense(words, shape, stored, field, symmetry)
        else:
            rows, columns, values = _entries(words, shape, stored, field)
            array = _filled(shape, rows, columns, values, symmetry)
    except (ValueError, OverflowError) as error:
        raise damaged(name, str(error).split("\n")[0][:120]) from None
    return Datum(array, table=True)


def read_sparse(file: IO[bytes], name: str) -> Any:
    """The matrix as a `csr_array` of SciPy; None where the file has all entries, or a single row or column."""
    import scipy.sparse

    (layout, field, symmetry), shape, stored, words = _content(file, name, is_dense=False)
    if layout == "array" or 1 in shape:
        return None
    allow_file(8 * max(shape), name, f"{shape[0]} by {shape[1]} entries take at least")
    try:
        rows, columns, values = _mirrored(*_entries(words, shape, stored, field), symmetry)
    except (ValueError, OverflowError) as error:
        raise damaged(name, str(error).split("\n")[0][:120]) from None
    return scipy.sparse.csr_array((values, (rows, columns)), shape=shape)


def _content(file: IO[bytes], name: str, is_dense: bool) -> tuple[list[str], tuple[int, int], int, list[bytes]]:
    """What a file says of itself: its banner, rows and columns, how many entries it has, and their words."""
    file.seek(0, 2)
    size = file.tell()
    file.seek(0)
    banner = _banner(file, name)
    layout, field, symmetry = banner
    shape, stored = _sizes(file, size, layout, field, symmetry, name, is_dense)
    return banner, shape, stored, b" ".join(x for x in file.read().splitlines() if not x.startswith(b"%")).split()


def _banner(file: IO[bytes], name: str) -> list[str]:
    words = file.readline(MAX_LINE).decode("ascii", "replace").lower().split()
    if len(words) != 5 or words[:2] != ["%%matrixmarket", "matrix"]:
        raise damaged(name, "its first line is not `%%MatrixMarket matrix ...`")
    layout, field, symmetry = words[2:]
    known = layout in ("coordinate", "array") and field in FIELDS and symmetry in SYMMETRIES
    if not known or (layout == "array" and field == "pattern"):
        raise damaged(name, f"`{layout} {field} {symmetry}` is no kind of matrix")
    return words[2:]


def _sizes(
    file: IO[bytes], size: int, layout: str, field: str, symmetry: str, name: str, is_dense: bool
) -> tuple[tuple[int, int], int]:
    """Rows and columns, and how many entries are stored, after a check that the file can hold them."""
    line = file.readline(MAX_LINE)
    while line and (line.startswith(b"%") or not line.strip()):
        line = file.readline(MAX_LINE)
    try:
        numbers = [int(word) for word in line.split()]
    except ValueError:
        numbers = []
    if len(numbers) != (3 if layout == "coordinate" else 2) or min(numbers) < 0:
        raise damaged(name, "it has no line with its sizes")
    rows, columns = numbers[:2]
    if symmetry != "general" and rows != columns:
        raise damaged(name, f"it is {symmetry}, but {rows} by {columns}")
    if is_dense or layout == "array":
        allow_file(rows * columns * np.dtype(FIELDS[field]).itemsize, name, f"{rows} by {columns} entries take")
    stored = numbers[2] if layout == "coordinate" else rows * columns
    if layout == "array" and symmetry != "general":
        stored = rows * (rows + 1) // 2 - (rows if symmetry == "skew-symmetric" else 0)
    least = stored * (4 if layout == "coordinate" else 2) - 1  # characters: "1 1\n", "1\n"
    if least > size - file.tell():
        raise damaged(name, f"it declares {stored} entries, which do not fit into {size} bytes")
    return (rows, columns), stored


def _values(words: list[bytes], field: str) -> Array:
    if field == "complex":
        parts = np.array(words, "f8") if words else np.zeros(0)
        values = np.empty(len(parts) // 2, "c16")
        values.real, values.imag = parts[0::2], parts[1::2]  # a sum would turn 1 + inf j into nan + inf j
        return values
    if field in ("integer", "unsigned-integer"):
        return np.array([int(word) for word in words], "i8")
    return np.array(words, "f8") if words else np.zeros(0)


def _dense(words: list[bytes], shape: tuple[int, int], stored: int, field: str, symmetry: str) -> Array:
    values = _values(words, field)
    if len(values) != stored:
        raise ValueError(f"it has {len(values)} entries, but declares {stored}")
    if symmetry == "general":
        return values.reshape(shape[::-1]).T
    columns, rows = np.triu_indices(shape[0], 1 if symmetry == "skew-symmetric" else 0)
    return _filled(shape, rows, columns, values, symmetry)


def _entries(words: list[bytes], shape: tuple[int, int], stored: int, field: str) -> tuple[Array, Array, Array]:
    """The rows, columns and values of entries."""
    width = 2 + {"pattern": 0, "complex": 2}.get(field, 1)
    if len(words) != stored * width:
        raise ValueError(f"it has {len(words)} numbers, but {stored} entries of {width} are declared")
    rows = np.array([int(word) for word in words[0::width]], "i8") - 1
    columns = np.array([int(word) for word in words[1::width]], "i8") - 1
    if stored and not (0 <= rows.min() <= rows.max() < shape[0] and 0 <= columns.min() <= columns.max() < shape[1]):
        raise ValueError("an entry lies outside of the matrix")
    if field == "pattern":
        values = np.ones(stored)
    elif field == "complex":
        values = _values([word for pair in zip(words[2::width], words[3::width]) for word in pair], field)
    else:
        values = _values(words[2::width], field)
    return rows, columns, values


def _mirrored(rows: Array, columns: Array, values: Array, symmetry: str) -> tuple[Array, Array, Array]:
    """All entries, of those on one side of the diagonal."""
    if symmetry == "general":
        return rows, columns, values
    below = rows != columns
    others = values[below].conj() if symmetry == "hermitian" else values[below]
    others = -others if symmetry == "skew-symmetric" else others
    turned = columns[below], rows[below], others
    all_rows, all_columns, all_values = map(np.concatenate, zip((rows, columns, values), turned))
    return all_rows, all_columns, all_values


def _filled(shape: tuple[int, int], rows: Array, columns: Array, values: Array, symmetry: str) -> Array:
    """The matrix with these entries; those that are given twice are added."""
    array = np.zeros(shape, values.dtype)
    rows, columns, values = _mirrored(rows, columns, values, symmetry)
    np.add.at(array, (rows, columns), values)
    return array


# ---- writing


def write(file: IO[bytes], values: Mapping[str, Array]) -> None:
    """All entries, column by column, in decimals that give the same numbers again."""
    if len(values) != 1:
        raise fail(
            "E0712",
            f"a `.mtx` file holds one matrix, and there are {len(values)} results",
            help="write them to a `.npz` file, or each to its own with `--out name=file.mtx`",
        )
    ((name, array),) = values.items()
    if array.ndim > 2:
        raise fail(
            "E0712",
            f"`{name}` has {array.ndim} axes, and a `.mtx` file holds a matrix",
            help="write it to a `.npy` or `.npz` file",
        )
    matrix = array.reshape(-1, 1) if array.ndim < 2 else array
    field = {"c": "complex", "f": "real"}.get(matrix.dtype.kind, "integer")
    lines = [f"%%MatrixMarket matrix array {field} general", f"{matrix.shape[0]} {matrix.shape[1]}"]
    for value in matrix.T.reshape(-1).tolist():
        if isinstance(value, complex):
            lines.append(f"{value.real!r} {value.imag!r}")
        else:
            lines.append(repr(int(value) if field == "integer" else value))
    file.write("".join(f"{line}\n" for line in lines).encode())
