"""Structures that were found for an array, kept for other processes.

An entry is found by a digest of all that it depends on: the entries of the array and of the data that it is measured
on, the format, the budget, and tpc itself. It holds parts and what they mean as plain arrays and JSON. Nothing in it is
believed: the error of what is read is measured on the array, as if it had just been found.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from tpc.passes.approximation.projected import Projected, Term
from tpc.passes.approximation.target import Array, Target

FILE = ".npz"
SMALLEST = 1 << 14  # entries of an array for which a search takes longer than to read what came of it

Search = tuple[list[tuple[Projected, float]], str]
"""What was found with its errors, the cheapest first, or why there is nothing."""


class Store(Protocol):
    """Where files are kept: `tpc.backends.store` is one."""

    def version(self) -> str: ...
    def read(self, name: str, /) -> bytes: ...
    def write(self, name: str, content: bytes, /) -> None: ...


def kept(target: Target, store: Store) -> Search | None:
    """What was found for an array before; None where nothing is kept of it."""
    if target.values.size < SMALLEST:
        return None
    try:
        entry = np.load(io.BytesIO(store.read(_name(target, store))), allow_pickle=False)
        about = json.loads(str(entry["about"]))
        projected = list(_projected(about["found"], entry))
        found = [(p, error) for p in projected if (error := target.error(p.dense())) <= target.within]
        return found, str(about["reason"])
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, EOFError, zipfile.BadZipFile):
        return None  # there is none, or it is damaged


def keep(target: Target, found: Search, store: Store) -> None:
    """Keep what was found for an array."""
    if target.values.size < SMALLEST:
        return
    structures, reason = found
    described: list[object] = []
    parts: dict[str, Any] = {}
    for number, (p, _) in enumerate(structures):
        terms = [[term.meaning, term.parts, term.dims] for term in p.terms]
        described.append([p.name, p.about, list(p.parts), terms, p.work, p.optimal])
        parts |= {f"{number} {name}": part for name, part in p.parts.items()}
    content = io.BytesIO()
    np.savez(content, about=np.array(json.dumps({"found": described, "reason": reason})), **parts)
    store.write(_name(target, store), content.getvalue())


def _projected(described: Sequence[Sequence[Any]], entry: Mapping[str, Array]) -> Iterator[Projected]:
    for number, (name, about, parts, terms, work, optimal) in enumerate(described):
        yield Projected(
            str(name),
            str(about),
            {part: entry[f"{number} {part}"] for part in parts},
            tuple(Term(meaning, tuple(own), tuple(dims)) for meaning, own, dims in terms),
            int(work),
            bool(optimal),
        )


def _name(target: Target, store: Store) -> str:
    digest = hashlib.sha256(f"{store.version()} {target.dtype} {target.within!r} {target.measure}".encode())
    for array in (target.values, target.rows, target.columns):
        if array is not None:
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
        digest.update(b";")
    return f"{digest.hexdigest()}{FILE}"
