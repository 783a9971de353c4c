"""Data files, one format a module, each with `read` (one array) and `write` (results by name).

    read(file, name, member, wanted) -> Datum      `member` was asked for; else `wanted` is the input's name
    write(file, values)                            values: results by name

Sizes that a file declares are checked before anything of that size is made. Nothing in a file is ever run.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any

from tpc.dsl.diagnostics import TpcError, fail

MODULES = {
    ".npy": "npy",
    ".npz": "npz",
    ".csv": "table",
    ".tsv": "table",
    ".mtx": "matrix_market",
    ".safetensors": "tensors",
}


@dataclass(frozen=True, slots=True)
class Datum:
    """An array from a file. A `weak` one was written as text and has no dtype of its own."""

    array: Any
    weak: bool = False
    table: bool = False  # rows and columns; a single column (or row) may stand for a vector


def module(suffix: str, name: str) -> ModuleType:
    """The module for a suffix.

    Raises
    ------
    TpcError
        E0707 if there is none.
    """
    found = MODULES.get(suffix.lower())
    if found is None:
        known = ", ".join(MODULES)
        what = f"`{suffix}` files are not known" if suffix else "it has no suffix"
        close = difflib.get_close_matches(suffix.lower(), MODULES, 1, 0.7) if suffix else []
        raise fail(
            "E0707",
            f"the format of `{name}` cannot be told: {what}",
            help=f"did you mean `{close[0]}`?" if close else f"the formats are {known}",
        )
    return import_module(f"tpc.formats.{found}")


def damaged(name: str, why: str) -> TpcError:
    """What to raise for a file that is not what its suffix says."""
    return fail(
        "E0708",
        f"`{name}` is damaged or of another format: {why}",
        help="write it again with the program that made it, and check that the copy is complete",
    )


def choose(name: str, members: Iterable[str], member: str | None, wanted: str | None) -> str:
    """The one of several arrays in a file that is meant.

    Raises
    ------
    TpcError
        E0710 if that cannot be told.
    """
    names = list(members)
    if member is not None:
        if member in names:
            return member
        close = difflib.get_close_matches(member, names, 1, 0.6)
        listed = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
        raise fail(
            "E0710",
            f"`{name}` holds no array called `{member}`",
            help=f"did you mean `{name}:{close[0]}`?" if close else f"it holds: {listed or 'nothing'}",
        )
    if len(names) == 1:
        return names[0]
    if wanted is not None and wanted in names:
        return wanted
    listed = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
    raise fail(
        "E0710",
        f"`{name}` holds {len(names)} arrays, and it is not said which is meant",
        notes=(f"it holds: {listed}",) if names else (),
        help=f"name one, as in `{name}:{names[0]}`" if names else "it is empty",
    )
