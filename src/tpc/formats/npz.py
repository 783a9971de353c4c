"""NumPy's `.npz`: arrays by name in a zip archive."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy_format

from tpc.dsl.diagnostics import fail
from tpc.formats import Datum, choose, damaged
from tpc.formats.npy import read_array
from tpc.memory import allow_file, amount

MAX_RATIO = 200  # how many times smaller a large member may be packed
LARGE = 256 * 2**20


def read(file: IO[bytes], name: str, member: str | None, wanted: str | None) -> Datum:
    try:
        with zipfile.ZipFile(file) as archive:
            infos = {i.filename.removesuffix(".npy"): i for i in archive.infolist() if not i.is_dir()}
            chosen = choose(name, infos, member, wanted)
            info = infos[chosen]
            shown = f"{name}:{chosen}"
            allow_file(info.file_size, shown)
            if info.file_size > LARGE and info.file_size > MAX_RATIO * max(info.compress_size, 1):
                raise fail(
                    "E0910",
                    f"`{shown}` unpacks from {amount(info.compress_size)} to {amount(info.file_size)}",
                    help="if that is as it should be, save it again with `np.savez`, which does not pack",
                )
            if info.flag_bits & 1:
                raise damaged(shown, "it is encrypted")
            with archive.open(info) as content:
                return Datum(read_array(content, info.file_size, shown))
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, UnicodeDecodeError, OSError) as error:
        raise damaged(name, str(error).split("\n")[0][:120].lower() or "its content cannot be unpacked") from None


def write(file: IO[bytes], values: Mapping[str, np.ndarray[Any, Any]]) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, array in values.items():
            info = zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0))  # the same bytes at every run
            with archive.open(info, "w", force_zip64=True) as member:
                npy_format.write_array(member, np.asanyarray(array), allow_pickle=False)
