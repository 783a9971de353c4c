"""The files that a program can name: those below its own folder, and no others.

`use "x.tp"` and `load("w.npy")` are relative to the file in which they stand. A path that leaves the folder of the main
program is refused, be it by `..`, as an absolute path, or through a symbolic link.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any

from tpc.data import open_regular, read_sparse, split_member
from tpc.dsl.diagnostics import Label, TpcError, fail
from tpc.dsl.source import Source, Span
from tpc.dsl.tokens import MAX_CHARACTERS

if TYPE_CHECKING:
    from tpc.ir.ops.structure import ConstantData
    from tpc.ir.types import DType

PARTS = ("values", "columns", "starts")  # of a matrix that is stored by its entries, row after row


def read_program(path: Path, name: str, *, follow: bool = True) -> Source:
    """The text of a program file. Raises TpcError (E0705, E0706)."""
    with open_regular(path, name, follow=follow) as file:
        content = file.read(4 * MAX_CHARACTERS + 4)  # one that is longer is refused by the parser
    return Source(decoded(content, name), name)


def decoded(content: bytes, name: str) -> str:
    """The text in UTF-8. Raises TpcError (E0706)."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if len(content) > 4 * MAX_CHARACTERS:  # cut off within a character; too long in any case
            return content.decode("utf-8-sig", "replace")
        line = content.count(b"\n", 0, error.start) + 1
        raise fail(
            "E0706",
            f"`{name}` is not UTF-8 text: byte {error.start + 1}, in line {line}",
            help="save it as UTF-8" if b"\0" not in content else "this seems to be no program; name a `.tp` file",
        ) from None


class FolderFiles:
    """`Files` for programs in a folder.

    Parameters
    ----------
    folder
        What all paths must lie below.
    main
        The name of the main program in messages, and its file, if it has one.
    """

    def __init__(self, folder: Path, main: tuple[str, Path] | None = None) -> None:
        self.folder = Path(os.path.realpath(folder))
        self._places: dict[str, Path] = {}  # file of each source, by its name in messages
        self._names: dict[Path, str] = {}
        self._shown = str(folder)
        self._arrays: dict[tuple[Path, str | None, DType | None], ConstantData] = {}
        self._matrices: dict[Path, Any] = {}
        if main is not None:
            name, path = main
            resolved = Path(os.path.realpath(path))
            self._places[name], self._names[resolved] = resolved, name

    def program(self, path: str, origin: Source, span: Span) -> Source:
        """The text of another program. Raises TpcError (E0704 to E0706)."""
        resolved = self._resolve(path, origin, span)
        name = self._names.get(resolved)
        if name is None:
            name = os.path.join(self._shown, os.path.relpath(resolved, self.folder))
            name = os.path.normpath(name)
            self._names[resolved], self._places[name] = name, resolved
        try:
            return read_program(resolved, name, follow=False)
        except TpcError as error:
            raise _at(error, span) from None

    def array(self, path: str, origin: Source, span: Span, wanted: DType | None = None) -> ConstantData:
        """An array from a file. Raises TpcError (E0704 to E0711, E0910).

        Text such as .csv has no dtypes: its numbers are read in the format that is wanted, or else as f64.
        """
        from tpc.data import read, shaped
        from tpc.formats import Datum
        from tpc.ir.ops.structure import ConstantData

        plain, member = split_member(path)
        resolved = self._resolve(plain, origin, span)
        key = resolved, member, wanted
        if key not in self._arrays:
            sparse = self._sparse(resolved, plain, span) if member in PARTS else None
            try:
                if sparse is None:
                    datum = read(resolved, plain, member, follow=False)
                else:
                    datum = Datum((sparse.data, sparse.indices, sparse.indptr)[PARTS.index(str(member))])
            except TpcError as error:
                raise _at(error, span) from None
            array = shaped(datum, None)
            if datum.weak and (wanted is None or "bifc".index(array.dtype.kind) <= "bifc".index(wanted.kind)):
                # without a declared format, whole numbers are measurements that happen to be whole
                array = array.astype("float64" if wanted is None else wanted.numpy)
            array.flags.writeable = False
            digest = hashlib.sha256(f"{array.dtype.str}{array.shape}".encode())
            digest.update(array.data if array.size else b"")
            self._arrays[key] = ConstantData(path, digest.hexdigest(), array)
        return self._arrays[key]

    def sparse(self, path: str, origin: Source, span: Span) -> tuple[int, int] | None:
        """The rows and columns of a matrix that a file stores by its entries; None for any other file.

        Its parts are arrays, as in `A.mtx:values`.
        """
        plain, member = split_member(path)
        found = self._sparse(self._resolve(plain, origin, span), plain, span) if member is None else None
        return None if found is None else (int(found.shape[0]), int(found.shape[1]))

    def _sparse(self, resolved: Path, name: str, span: Span) -> Any:
        if resolved not in self._matrices:
            try:
                self._matrices[resolved] = read_sparse(resolved, name, follow=False)
            except TpcError as error:
                raise _at(error, span) from None
        return self._matrices[resolved]

    def _resolve(self, path: str, origin: Source, span: Span) -> Path:
        if not path or "\0" in path:
            raise fail("E0704", "this is no path of a file", span, help='name a file, as in "data.npy"')
        if PurePosixPath(path).is_absolute() or PureWindowsPath(path).anchor:
            raise fail(
                "E0704",
                "a program names files by paths relative to itself, and this one is absolute",
                span,
                help="move the file below the folder of the program; or make it a parameter, and give it in the call",
            )
        start = self._places[origin.name].parent if origin.name in self._places else self.folder
        try:
            resolved = Path(os.path.realpath(start / path))
        except (OSError, ValueError) as error:
            raise fail("E0704", f"this is no path of a file: {error}", span) from None
        if not resolved.is_relative_to(self.folder):
            lexical = Path(os.path.normpath(start / path))
            how = "through a symbolic link" if lexical.is_relative_to(self.folder) else "with `..`"
            raise fail(
                "E0704",
                f"this path leaves the folder of the program {how}",
                Label(span, "outside of the folder"),
                help="copy the file there; or make it a parameter, and give it in the call",
            )
        return resolved


def _at(error: TpcError, span: Span) -> TpcError:
    """The same messages, with the place in the program that names the file."""
    return TpcError([d if d.labels else replace(d, labels=(Label(span),)) for d in error.diagnostics])
