"""The cache on disk: the code of compiled functions, so that a program is compiled once and not in every process.

An entry is a JSON file, named by a digest of all that the code depends on: the typed program with its constants, the
options, the prices, tpc itself and the libraries. It holds source and plain data, nothing that is run as it is read,
and every field is checked: what is damaged, foreign or of another version is as good as missing, and is written anew.
The source passes `backends.guard` as always. Constants are those of the program, never of the cache.

How files are written and bounded is said in `backends.store`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from tpc import entry
from tpc.backends import store
from tpc.code import Code
from tpc.dsl.source import Source
from tpc.function import Function
from tpc.ir.node import Program
from tpc.passes.pipeline import Options
from tpc.recall import Recalled, as_json, names_files


def find(identity: str, program: Program, options: Options) -> Code | None:
    """The code of a program that a function calls by this identity, if there is an entry for it."""
    if store.folder() is None:
        return None
    found = read(_key(identity, options))
    try:
        return None if found is None else entry.code(found, program, options.backend)
    except (ValueError, RecursionError):
        return None


def keep(code: Code, identity: str, program: Program, options: Options) -> None:
    """Write an entry. What cannot be written is not kept, and nothing is said of it."""
    body = entry.as_json(code, program) if store.folder() is not None else None
    if body is not None:
        write(_key(identity, options), body)


def recall(source: Source, name: str | None, elaborate: Callable[[], Function]) -> Function | None:
    """A function of a program that was compiled before, by the text of the program and the name that was asked for."""
    if store.folder() is None or names_files(source.text):
        return None
    found = read(_head_key(source, name))
    try:
        return None if found is None else Recalled(found, source, elaborate)
    except (ValueError, RecursionError):
        return None


def remember(function: Function, source: Source, name: str | None, programs: Iterable[Program]) -> None:
    """Keep a function with its programs for types that it was called with, and those that are kept of it already."""
    if store.folder() is None or names_files(source.text):
        return
    known = function.known if isinstance(function, Recalled) else {}
    instances = {**known, **{p: function.identity(p) for p in programs}}
    if set(instances.values()) != set(known.values()):
        with suppress(ValueError):
            write(_head_key(source, name), as_json(function, instances))


# ---- what an entry is for


def _key(identity: str, options: Options) -> str:
    from tpc.passes.pipeline import optimises

    named = [sorted(options.sizes.items()), sorted(options.at.items()), sorted(options.sparse.items())]
    asked = [*named, options.mode, options.backend, options.threads, options.memory, options.tolerance, options.native]
    return _digest([identity, asked, optimises(options), _surroundings(options.backend)])


def surrounded(content: Any, backend: str) -> str:
    """A key of what belongs to this machine, and to these versions."""
    return _digest([content, _surroundings(backend)])


def _head_key(source: Source, name: str | None) -> str:
    return _digest([source.text, name, store.version()])


def _surroundings(backend: str) -> list[str]:
    """What else code depends on: this version of tpc, its libraries, and the prices on this machine."""
    import platform

    import numpy
    import scipy

    from tpc.passes.cost.calibration import place
    from tpc.passes.cost.machine import cores

    versions = [platform.python_version(), numpy.__version__, scipy.__version__]
    if backend == "torch":
        import torch

        versions.append(torch.__version__)
    try:
        prices = hashlib.sha256(place().read_bytes()).hexdigest()
    except OSError:
        prices = "shipped"
    return [store.version(), *versions, prices, platform.node(), str(cores())]


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, allow_nan=False).encode()).hexdigest()


# ---- files


def read(key: str) -> Any:
    """What the entry of a key holds, or None."""
    try:
        return _body(store.read(f"{key}{store.PROGRAM}"), key)
    except (OSError, ValueError, RecursionError):
        return None


def write(key: str, body: Any) -> None:
    """Write an entry. Raises ValueError for numbers that JSON does not have."""
    text = json.dumps({"key": key, "digest": _digest(body), "body": body}, allow_nan=False)
    store.write(f"{key}{store.PROGRAM}", text.encode())


def _body(content: bytes, key: str) -> Any:
    """What an entry holds for a key. Raises ValueError where it is damaged."""
    found = json.loads(content)
    if not isinstance(found, dict) or set(found) != {"key", "digest", "body"} or found["key"] != key:
        raise ValueError("not this entry")
    if found["digest"] != _digest(found["body"]):
        raise ValueError("damaged")
    return found["body"]
