"""Matrix Market's `.mtx`: one matrix as text, with all entries or only those that are not zero."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

import numpy as np

from tpc.dsl.diagnostics import fail
from tpc.formats import Datum, damaged
from tpc.memory import allow_file

MAX_LINE = 4096
FIELDS = {"real": 8, "double": 8, "integer": 8, "unsigned-integer": 8, "pattern": 8, "complex": 16}
SYMMETRIES = ("general", "symmetric", "skew-symmetric", "hermitian")


def read(file: IO[bytes], name: str, member: str | None, wanted: str | None) -> Datum:
    """The matrix as a dense array; what the file declares is checked before."""
    if member is not None:
        raise fail("E0710", f"`{name}` holds a single matrix, so `:{member}` has no meaning", help="leave it out")
    file.seek(0, 2)
    size = file.tell()
    file.seek(0)
    rows, columns = _checked(file, size, name)
    file.seek(0)
    import scipy.io

    try:
        matrix = scipy.io.mmread(file, spmatrix=False)
    except (ValueError, OverflowError, TypeError, IndexError, EOFError, MemoryError, UnicodeDecodeError) as error:
        raise damaged(name, str(error).split("\n")[0][:120].lower() or "it cannot be read") from None
    array = np.asarray(matrix if isinstance(matrix, np.ndarray) else matrix.toarray())
    if array.shape != (rows, columns):
        raise damaged(name, f"it has the shape {array.shape}, but declares {(rows, columns)}")
    return Datum(array, table=True)


def _checked(file: IO[bytes], size: int, name: str) -> tuple[int, int]:
    """Rows and columns by the header, after a check that the file can hold what it declares."""
    words = file.readline(MAX_LINE).decode("ascii", "replace").lower().split()
    if len(words) != 5 or words[:2] != ["%%matrixmarket", "matrix"]:
        raise damaged(name, "its first line is not `%%MatrixMarket matrix ...`")
    layout, field, symmetry = words[2:]
    if layout not in ("coordinate", "array") or field not in FIELDS or symmetry not in SYMMETRIES:
        raise damaged(name, f"`{layout} {field} {symmetry}` is no kind of matrix")
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
    allow_file(rows * columns * FIELDS[field], name, f"{rows} by {columns} entries take")
    stored = numbers[2] if layout == "coordinate" else rows * columns
    if symmetry != "general" and layout == "array":
        stored = rows * (rows - 1) // 2
    least = stored * (4 if layout == "coordinate" else 2) - 1  # characters: "1 1\n", "1\n"
    if least > size - file.tell():
        raise damaged(name, f"it declares {stored} entries, which do not fit into {size} bytes")
    return rows, columns


def write(file: IO[bytes], values: Mapping[str, np.ndarray[Any, Any]]) -> None:
    import scipy.io

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
    if matrix.dtype.kind == "b":
        matrix = matrix.astype(np.int64)
    elif matrix.dtype == np.float16:
        matrix = matrix.astype(np.float32)
    precision = {"f": 17, "c": 17}.get(matrix.dtype.kind)
    scipy.io.mmwrite(file, matrix, precision=precision, symmetry="general")
