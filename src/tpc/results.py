"""Writing results: each file whole or not at all."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from tpc.dsl.diagnostics import TpcError, fail

if TYPE_CHECKING:
    from typing import Any

    import numpy as np


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file that takes the place of `path` when the block ends well, and leaves no trace when it does not.

    It is made in the same folder, so that the last step is a rename: readers see the old content or the new.

    Raises
    ------
    TpcError
        E0712 if the file cannot be written.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        raise fail("E0712", f"`{path}` is no regular file", help="name a file to write to")
    if not target.parent.is_dir():
        raise fail("E0712", f"there is no folder `{path.parent}`", help="make it first")
    temporary: str | None = None
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=f".{target.name[:40]}.", suffix=".partial", dir=target.parent)
        with os.fdopen(descriptor, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, _mode(target))
        os.replace(temporary, target)
        temporary = None
        _sync_folder(target.parent)
    except OSError as error:
        raise fail("E0712", f"`{path}` cannot be written: {(error.strerror or str(error)).lower()}") from None
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)


def _mode(target: Path) -> int:
    """The permissions that the file has, or that a new one would get."""
    if target.exists():
        return stat.S_IMODE(target.stat().st_mode)
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def _sync_folder(folder: Path) -> None:
    """Make the rename last through a power cut, where the system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically. Raises TpcError (E0712)."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically. Raises TpcError (E0712)."""
    with replacing(path) as file:
        file.write(content)


def write_beside(folder: Path, arrays: Mapping[str, np.ndarray[Any, Any]]) -> None:
    """Write each array to NAME.npy in the folder, unless it lies there already.

    Raises
    ------
    TpcError
        E0713 if a file of that name holds something else, which is left alone.
    """
    import numpy as np

    for name, array in arrays.items():
        path = folder / f"{name}.npy"
        if path.exists():
            try:
                known = np.load(path, allow_pickle=False)
            except (OSError, ValueError):
                known = None
            if known is not None and known.dtype == array.dtype and np.array_equal(known, array, equal_nan=True):
                continue
            raise fail(
                "E0713",
                f"`{path}` holds something else than the constant `{name}`",
                help="a compiled program reads its constants from files beside it; give -o another folder",
            )
        write({path: {name: array}})


def stored(value: Any) -> np.ndarray[Any, Any]:
    """A result with all of its entries, as files hold it."""
    import numpy as np

    return np.asarray(value.toarray() if hasattr(value, "toarray") else value)


def _plain(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The array in C order and in the byte order of the machine."""
    return array.astype(array.dtype.newbyteorder("="), order="C")


def write(outs: Mapping[Path, Mapping[str, np.ndarray[Any, Any]]]) -> None:
    """Write results, by file and name; the suffix says the format. If one file fails, none is replaced.

    Raises
    ------
    TpcError
        E0707 for a suffix that is not known, E0712 for what cannot be written.
    """

    from tpc.formats import module

    writers = {path: module(path.suffix, str(path)) for path in outs}
    with ExitStack() as stack:
        for path, values in outs.items():
            file = stack.enter_context(replacing(path))
            plain = {name: _plain(stored(value)) for name, value in values.items()}
            try:
                writers[path].write(file, plain)
            except (ValueError, TypeError) as error:
                raise TpcError(fail("E0712", f"`{path}` cannot be written: {error}").diagnostics) from error
