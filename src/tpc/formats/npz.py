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


def read_sparse(file: IO[bytes], name: str) -> Any:
    """What `scipy.sparse.save_npz` wrote, as a `csr_array`; None where the file holds something else."""
    import scipy.sparse

    with zipfile.ZipFile(file) as archive:
        if not {"format.npy", "shape.npy", "data.npy"} <= set(archive.namelist()):
            return None
        parts = {}
        for info in archive.infolist():
            allow_file(info.file_size, name)
            with archive.open(info) as content:
                parts[info.filename.removesuffix(".npy")] = npy_format.read_array(content, allow_pickle=False)
    shape = int(parts["shape"][0]), int(parts["shape"][1])
    allow_file(8 * max(shape), name, f"{' by '.join(map(str, shape))} entries take at least")
    format = parts["format"].item()
    format = format.decode() if isinstance(format, bytes) else str(format)
    if format in ("csr", "csc", "bsr"):
        matrix = getattr(scipy.sparse, f"{format}_array")(
            (parts["data"], parts["indices"], parts["indptr"]), shape=shape
        )
        matrix.check_format(full_check=True)
    elif format == "coo":
        matrix = scipy.sparse.coo_array((parts["data"], (parts["row"], parts["col"])), shape=shape)
    elif format == "dia":
        matrix = scipy.sparse.dia_array((parts["data"], parts["offsets"]), shape=shape)
    else:
        raise damaged(name, f"`{format[:20]}` is no format of a sparse matrix")
    return scipy.sparse.csr_array(matrix)


def write(file: IO[bytes], values: Mapping[str, np.ndarray[Any, Any]]) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, array in values.items():
            info = zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0))  # the same bytes at every run
            with archive.open(info, "w", force_zip64=True) as member:
                npy_format.write_array(member, np.asanyarray(array), allow_pickle=False)
