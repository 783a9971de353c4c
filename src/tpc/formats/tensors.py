"""`.safetensors`: arrays by name, without code by format.

Complex arrays are stored as two real ones, `x.re` and `x.im`. bfloat16 is read into float32. The library stores
the memory of an array as it lies, whatever its strides, so arrays are first laid out in C order, and what was
written is read again and compared.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import prod
from typing import IO, Any

import numpy as np

from tpc.dsl.diagnostics import InternalError, fail
from tpc.formats import Datum, choose, damaged
from tpc.memory import allow_file

MAX_HEADER = 100_000_000
DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "?", "C64": "<c8", "BF16": "<u2",
}  # fmt: skip


def read(file: IO[bytes], name: str, member: str | None, wanted: str | None) -> Datum:
    entries, start, size = _entries(file, name)
    pairs = {n.removesuffix(".re") for n in entries if n.endswith(".re") and n.removesuffix(".re") + ".im" in entries}
    names = [n for n in entries if n[:-3] not in pairs or n[-3:] not in (".re", ".im")]
    chosen = choose(name, [*names, *sorted(pairs)], member, wanted)
    if chosen in pairs and chosen not in entries:
        real, imaginary = (_tensor(file, f"{chosen}.{part}", entries, start, size, name) for part in ("re", "im"))
        if real.shape != imaginary.shape or real.dtype.kind != "f" or real.dtype != imaginary.dtype:
            raise damaged(name, f"`{chosen}.re` and `{chosen}.im` are not parts of one array")
        array = np.empty(real.shape, np.result_type(real.dtype, np.complex64))
        array.real, array.imag = real, imaginary
        return Datum(array)
    return Datum(_tensor(file, chosen, entries, start, size, name))


def _entries(file: IO[bytes], name: str) -> tuple[dict[str, Any], int, int]:
    """The header, where the data begin, and how many bytes of them there are."""
    file.seek(0, 2)
    total = file.tell()
    file.seek(0)
    length = int.from_bytes(file.read(8), "little")
    if total < 8 or length > min(MAX_HEADER, total - 8):
        raise damaged(name, "the length of its header cannot be right")
    try:
        header = json.loads(file.read(length).decode("utf-8"))
    except (ValueError, RecursionError):
        raise damaged(name, "its header is not JSON") from None
    if not isinstance(header, dict):
        raise damaged(name, "its header is not a table of arrays")
    header.pop("__metadata__", None)
    end = 0
    size = total - 8 - length
    for key, entry in sorted(header.items(), key=lambda item: _offsets(item[1])):
        first, last = _offsets(entry)
        if not 0 <= end <= first <= last <= size:
            raise damaged(name, f"`{key[:40]}` lies outside of the file, or over another array")
        end = last
    return header, 8 + length, size


def _offsets(entry: object) -> tuple[int, int]:
    match entry:
        case {"data_offsets": [int(first), int(last)]}:
            return first, last
    return -1, -1


def _tensor(
    file: IO[bytes], key: str, entries: dict[str, Any], start: int, size: int, name: str
) -> np.ndarray[Any, Any]:
    entry = entries[key]
    first, last = _offsets(entry)
    shape, written = entry.get("shape"), entry.get("dtype")
    if not isinstance(shape, list) or any(not isinstance(n, int) or n < 0 for n in shape):
        raise damaged(name, f"`{key}` has no proper shape")
    if written not in DTYPES:
        raise fail(
            "E0711",
            f"`{name}:{key}` has the dtype {str(written)[:20]}, which is not known here",
            help="store it as F32",
        )
    dtype = np.dtype(DTYPES[written])
    if last - first != prod(shape) * dtype.itemsize:
        raise damaged(name, f"`{key}` has {last - first} bytes, not those of its shape {shape}")
    allow_file((last - first) * (2 if written == "BF16" else 1), f"{name}:{key}")
    file.seek(start + first)
    content = file.read(last - first)
    if len(content) != last - first:
        raise damaged(name, "it ends too early")
    if written == "BF16":
        return (np.frombuffer(content, dtype).astype(np.uint32) << 16).view(np.float32).reshape(shape)
    return np.frombuffer(bytearray(content), dtype).reshape(shape)


def write(file: IO[bytes], values: Mapping[str, np.ndarray[Any, Any]]) -> None:
    from safetensors.numpy import save

    parts: dict[str, np.ndarray[Any, Any]] = {}
    for name, array in values.items():
        if array.dtype.kind == "c":
            parts |= {f"{name}.re": array.real, f"{name}.im": array.imag}
        else:
            parts[name] = array
    file.write(save({name: np.array(part, order="C") for name, part in parts.items()}))
    file.flush()
    for name, array in values.items():
        again = read(file, "the file just written", name, None).array
        if again.dtype != array.dtype or again.tobytes() != array.tobytes():
            raise InternalError("safetensors", f"`{name}` was not stored as it is")
    file.seek(0, 2)
