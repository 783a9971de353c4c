"""The folder of what is kept between processes: files that are written whole, bounded in size, and never trusted.

A file is written under a name of its own and then put in place, so that processes do not disturb each other, and one
that is killed leaves at most a part that is never read. Who reads a file checks what it holds. Beyond a total size the
files that were not used for longest go.

`TPC_CACHE` names another folder, or switches the cache off with `off`; `TPC_CACHE_MB` is the total size in MB.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

from tpc.passes.cost.machine import user_cache

LARGEST = 32_000_000  # bytes of a file
MOST = 200_000_000  # bytes of all files
PROGRAM, OBJECT, STRUCTURE, PART = ".json", ".o", ".npz", ".part"


def folder() -> Path | None:
    """Where files are, or None where the cache is switched off."""
    named = os.environ.get("TPC_CACHE", "")
    if named == "off":
        return None
    return Path(named) if named else user_cache() / "compiled"


@cache
def version() -> str:
    """The version of tpc, with the state of its files: a change of a rule or of a price makes all entries foreign."""
    import tpc

    found = []
    for at, _, names in os.walk(Path(tpc.__file__).parent, followlinks=True):
        for name in names:
            if name.endswith((".py", ".rules", ".tp", ".json")):
                state = os.stat(os.path.join(at, name))
                found.append((name, state.st_size, state.st_mtime_ns))
    return hashlib.sha256(repr([tpc.__version__, sorted(found)]).encode()).hexdigest()


def limit() -> int:
    """Bytes that all files may take."""
    said = os.environ.get("TPC_CACHE_MB", "")
    return int(said) * 1_000_000 if said.isdecimal() else MOST


def read(name: str) -> bytes:
    """What a file holds; it counts as used. Raises OSError, and ValueError for what is no file of ours."""
    place = folder()
    if place is None:
        raise FileNotFoundError(name)
    descriptor = os.open(place / name, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(descriptor, "rb") as file:
        state = os.fstat(file.fileno())
        is_ours = not hasattr(os, "getuid") or state.st_uid == os.getuid()
        if not stat.S_ISREG(state.st_mode) or not is_ours or state.st_size > LARGEST:
            raise ValueError("not an entry")
        content = file.read(LARGEST + 1)
    with suppress(OSError):
        os.utime(place / name)
    return content


def write(name: str, content: bytes) -> None:
    """Write a file. What is too large or cannot be written is not kept, and nothing is said of it."""
    place = folder()
    if place is None or len(content) > LARGEST:
        return
    with suppress(OSError):
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, part = tempfile.mkstemp(dir=place, suffix=PART)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            os.replace(part, place / name)
        except BaseException:
            with suppress(OSError):
                os.unlink(part)
            raise
        _shrink(place)


def files() -> dict[str, tuple[int, int]]:
    """How many files there are, and their bytes: of `programs`, `objects` and `structures`, and of `parts`
    that were left."""
    found = {"programs": (0, 0), "objects": (0, 0), "structures": (0, 0), "parts": (0, 0)}
    place = folder()
    kinds = {PROGRAM: "programs", OBJECT: "objects", STRUCTURE: "structures", PART: "parts"}
    for path, size, _ in _entries(place) if place is not None else ():
        count, total = found[kinds[path.suffix]]
        found[kinds[path.suffix]] = count + 1, total + size
    return found


def usage() -> tuple[int, int]:
    """How many files there are, and their bytes."""
    counts, sizes = zip(*files().values(), strict=True)
    return sum(counts), sum(sizes)


def clear() -> tuple[int, int]:
    """Remove all files; how many they were, and their bytes."""
    found = usage()
    place = folder()
    for path, _, _ in list(_entries(place)) if place is not None else []:
        with suppress(OSError):
            path.unlink()
    return found


def _entries(place: Path) -> Iterator[tuple[Path, int, float]]:
    """The files of the cache, with bytes and time of last use."""
    try:
        names = os.listdir(place)
    except OSError:
        return
    for name in names:
        if name.endswith((PROGRAM, OBJECT, STRUCTURE, PART)):
            with suppress(OSError):
                state = os.lstat(place / name)
                yield place / name, state.st_size, state.st_mtime


def _shrink(place: Path) -> None:
    """Remove the files that were not used for longest, down to three quarters of what is allowed."""
    most = limit()
    entries = sorted(_entries(place), key=lambda e: e[2])
    total = sum(size for _, size, _ in entries)
    if total <= most:
        return
    for path, size, _ in entries:
        if total <= most * 3 // 4:
            break
        with suppress(OSError):
            path.unlink()
            total -= size
