"""NumPy's `.npy`: one array."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from math import prod
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy_format

from tpc.dsl.diagnostics import fail
from tpc.formats import Datum, damaged
from tpc.memory import allow_file

MAX_HEADER = 10_000


def read(file: IO[bytes], name: str, member: str | None, wanted: str | None) -> Datum:
    if member is not None:
        raise fail("E0710", f"`{name}` holds a single array, so `:{member}` has no meaning", help="leave it out")
    file.seek(0, 2)
    size = file.tell()
    file.seek(0)
    return Datum(read_array(file, size, name))


def read_array(file: IO[bytes], size: int, name: str) -> np.ndarray[Any, Any]:
    """An array from a stream of `size` bytes in the `.npy` format."""
    try:
        shape, fortran, dtype = _header(file)
    except (ValueError, SyntaxError, TypeError, KeyError, RecursionError, MemoryError) as error:
        raise damaged(name, _reason(error)) from None
    if dtype.hasobject:
        raise fail(
            "E0711",
            f"`{name}` holds Python objects, not numbers",
            notes=("such a file can run code when it is read, so tpc never reads it",),
            help='convert it before saving, as in `np.save("x.npy", x.astype("float64"))`',
        )
    count = prod(shape)
    declared = count * dtype.itemsize
    allow_file(declared, name, f"{' by '.join(map(str, shape))} entries take")
    here = file.tell()
    if declared > size - here:
        raise damaged(name, f"its header declares {declared} bytes, but {size - here} follow")
    content = file.read(declared)
    if len(content) != declared:
        raise damaged(name, "it ends too early")
    array = np.frombuffer(bytearray(content), dtype, count)
    return array.reshape(shape[::-1]).T if fortran else array.reshape(shape)


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether the first axis varies fastest, and dtype. NumPy's own reader repairs what it should refuse."""
    if file.read(6) != b"\x93NUMPY":
        raise ValueError("it does not begin as such a file does")
    version = tuple(file.read(2))
    if version not in ((1, 0), (2, 0), (3, 0)):
        raise ValueError("the version of the format is not known")
    length = int.from_bytes(file.read(2 if version == (1, 0) else 4), "little")
    if length > MAX_HEADER:
        raise ValueError("its header is too long for an array of numbers")
    header = ast.literal_eval(file.read(length).decode("latin-1" if version < (3, 0) else "utf-8").strip())
    if not isinstance(header, dict) or header.keys() != {"descr", "fortran_order", "shape"}:
        raise ValueError("its header does not say what it should")
    shape, fortran = header["shape"], header["fortran_order"]
    if not isinstance(shape, tuple) or any(type(n) is not int or n < 0 for n in shape):
        raise ValueError(f"{str(shape)[:60]} is no shape")
    return shape, fortran is True, np.dtype(header["descr"])


def _reason(error: Exception) -> str:
    text = str(error).split("\n")[0].strip()
    return text[:1].lower() + text[1:120] if text else "its header cannot be read"


def write(file: IO[bytes], values: Mapping[str, np.ndarray[Any, Any]]) -> None:
    if len(values) != 1:
        raise fail(
            "E0712",
            f"a `.npy` file holds one array, and there are {len(values)} results",
            help="write them to a `.npz` file, or each to its own with `--out name=file.npy`",
        )
    (array,) = values.values()
    npy_format.write_array(file, array, allow_pickle=False)
