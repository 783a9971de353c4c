"""Values for inputs: from files, from words such as `random`, and as plain numbers."""

from __future__ import annotations

import os
import re
import stat
import zipfile
import zlib
from pathlib import Path
from typing import IO, TYPE_CHECKING

from tpc.dsl.diagnostics import fail
from tpc.formats import MODULES, Datum, damaged, module

if TYPE_CHECKING:
    from typing import Any

    import numpy as np

_MEMBER = re.compile(rf"(.*({'|'.join(re.escape(s) for s in MODULES)}))(?::(.+))?", re.IGNORECASE | re.DOTALL)


def split_member(text: str) -> tuple[str, str | None]:
    """`data.npz:X` as `data.npz` and `X`; a file without a member has None."""
    match = _MEMBER.fullmatch(text)
    return (match[1], match[3]) if match else (text, None)


def open_regular(path: Path, name: str, *, follow: bool = True) -> IO[bytes]:
    """A regular file, opened for reading: never a device or a pipe, which may have no end.

    Raises
    ------
    TpcError
        E0705 or E0706.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    if not follow:
        flags |= getattr(os, "O_NOFOLLOW", 0)
    try:
        descriptor = os.open(path, flags)
    except (FileNotFoundError, NotADirectoryError):
        raise fail("E0705", f"there is no file `{name}`", help=_nearby(path)) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise fail("E0706", f"`{name}` cannot be read: {reason.lower()}", help="check its permissions") from None
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        what = "a folder" if stat.S_ISDIR(mode) else "no regular file"
        raise fail("E0705", f"`{name}` is {what}", help="only regular files are read")
    return os.fdopen(descriptor, "rb")


def _nearby(path: Path) -> str | None:
    """A hint at a file that may have been meant."""
    from difflib import SequenceMatcher, get_close_matches
    from itertools import islice

    try:
        names = [entry.name for entry in islice(os.scandir(path.parent), 2000)]
    except (OSError, ValueError):
        return "the folder does not exist either" if not path.parent.exists() else None
    # the same suffix alone makes no file alike
    alike = [name for name in names if SequenceMatcher(None, Path(name).stem, path.stem).ratio() >= 0.6]
    close = get_close_matches(path.name, alike, 1, 0.0)
    return f"did you mean `{close[0]}`?" if close else "the path is relative to the folder you are in"


def read(path: Path, name: str, member: str | None = None, wanted: str | None = None, *, follow: bool = True) -> Datum:
    """An array from a data file; its suffix says the format.

    Parameters
    ----------
    path, name
        The file, and what to call it in messages.
    member
        One of several arrays, or the columns of a table.
    wanted
        The name of the input, which chooses where no member is named.

    Raises
    ------
    TpcError
        E0705 to E0711, E0910.
    """
    reader = module(path.suffix, name)
    with open_regular(path, name, follow=follow) as file:
        try:
            datum: Datum = reader.read(file, name, member, wanted)
        except (ArithmeticError, LookupError, OSError, TypeError, ValueError) as error:
            raise damaged(name, f"it cannot be read as {path.suffix} ({type(error).__name__})") from None
    return Datum(plain(datum.array, name), datum.weak, datum.table)


def read_sparse(path: Path, name: str, *, follow: bool = True) -> Any:
    """A matrix from a file that stores it by its entries, as a `csr_array` of SciPy; None from any other file.

    Raises
    ------
    TpcError
        E0705 to E0711, E0910.
    """
    reader = module(path.suffix, name)
    if not hasattr(reader, "read_sparse"):
        return None
    with open_regular(path, name, follow=follow) as file:
        try:
            matrix = reader.read_sparse(file, name)
        except (ArithmeticError, LookupError, OSError, TypeError, ValueError, zipfile.BadZipFile, zlib.error) as error:
            raise damaged(name, f"it cannot be read as {path.suffix} ({type(error).__name__})") from None
    if matrix is None:
        return None
    matrix.sum_duplicates()
    matrix.data = plain(matrix.data, name)
    if max(*matrix.shape, matrix.nnz) < 2**31:
        matrix.indices, matrix.indptr = matrix.indices.astype("int32"), matrix.indptr.astype("int32")
    return matrix


def plain(array: np.ndarray[Any, Any], name: str) -> np.ndarray[Any, Any]:
    """The array in C order, native byte order and a format that tpc has; small integers become i32.

    Raises
    ------
    TpcError
        E0711 for entries that are no numbers of a known format.
    """
    import numpy as np

    dtype = np.dtype(array.dtype.name) if array.dtype.kind in "biufc" else array.dtype  # in the order of this machine
    if dtype.name in ("int16", "uint8", "uint16"):
        dtype = np.dtype(np.int32)
    elif dtype.name in ("uint32", "uint64"):
        if array.size and int(array.max()) >= 2**63:
            raise fail("E0711", f"`{name}` has entries beyond 2^63", help="store it as float64")
        dtype = np.dtype(np.int64)
    elif dtype.kind not in "bifc" or dtype.itemsize > 16 or dtype.name in ("float128", "longdouble"):
        what = "text" if dtype.kind in "SU" else f"entries of the format {dtype.name}"
        raise fail("E0711", f"`{name}` holds {what}", help="store numbers, as float64 or float32 for example")
    return np.asarray(array, dtype, order="C")


def shaped(datum: Datum, rank: int | None) -> np.ndarray[Any, Any]:
    """The array with the rank that is wanted, where a table of one column, row or cell leaves that open."""
    array: np.ndarray[Any, Any] = datum.array
    if not datum.table or array.ndim != 2:
        return array
    if rank == 0 and array.size == 1:
        return array.reshape(())
    if rank == 1 and 1 in array.shape:
        return array.reshape(-1)
    if rank is None and array.shape[1] == 1:
        return array.reshape(-1)
    return array
