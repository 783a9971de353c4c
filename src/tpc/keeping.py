"""Prepared functions in files: what they hold, with what tells for which function it was made."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tpc.dsl.diagnostics import fail
from tpc.formats import damaged

if TYPE_CHECKING:
    from tpc.function import Function
    from tpc.ir.node import Program
    from tpc.prepared import Pair, Prepared, Preparer

ABOUT = "_about"  # the array in which it stands what the others are; no value of a program is called so


def save(prepared: Prepared, path: str | os.PathLike[str]) -> None:
    """Write what is held to a `.npz` file.

    Raises
    ------
    TpcError
        E0707 for another suffix, E0712 if the file cannot be written.
    """
    import numpy as np

    from tpc.answers import in_kind
    from tpc.results import write

    pair, target = prepared.pair, Path(path)
    _check_suffix(target)
    for name, value in prepared.held.items():
        if hasattr(value, "indptr"):
            help = "keep the matrix itself, for example with `scipy.sparse.save_npz`, and prepare the function again"
            raise fail("E0712", f"`{path}` cannot be written: `{name}` is held as a sparse matrix", help=help)
    about = {"plan": _digest(prepared.function, pair), "kind": pair.kind, "sizes": dict(pair.sizes)}
    about["dtypes"] = [node.tensor.dtype.name for node in pair.written.inputs]
    arrays = {name: np.asarray(in_kind(value, "numpy")) for name, value in prepared.held.items()}
    write({target: {ABOUT: np.frombuffer(json.dumps(about).encode(), np.uint8), **arrays}})


def restored(preparer: Preparer, path: str | os.PathLike[str]) -> tuple[Pair, dict[str, Any]]:
    """Both stages of a function, and what `save` wrote of the first.

    Raises
    ------
    TpcError
        E0705 to E0711 if the file cannot be read, or was made for another function or plan.
    """
    from tpc.answers import in_kind
    from tpc.data import read
    from tpc.ir.dims import evaluate

    source, name = Path(path), str(path)
    _check_suffix(source)
    kind, dtypes, sizes, plan = _about(read(source, name, ABOUT).array, name)
    pair = preparer.pair(_program(preparer.function.elaborated(), dtypes, name), kind, sizes)
    if _digest(preparer.function, pair) != plan:
        raise damaged(name, "it was prepared for another function, with other options or by another version of tpc")
    held = {}
    for node, given in zip(pair.stages.ahead.outputs, pair.stages.ahead.output_names, strict=True):
        array = read(source, name, given).array
        wanted = tuple(evaluate(dim, sizes) for dim in node.tensor.dims)
        if array.shape != wanted or array.dtype.name != node.tensor.dtype.numpy:
            raise damaged(name, f"`{given}` is {array.dtype} {array.shape}")
        held[given] = in_kind(array, kind)
    return pair, held


def _check_suffix(path: Path) -> None:
    from tpc.formats import module, npz

    if module(path.suffix, str(path)) is not npz:
        raise damaged(str(path), "what is prepared stands in files that end in `.npz`")


def _about(array: Any, name: str) -> tuple[str, list[str], dict[str, int], str]:
    """Kind of arrays, dtypes, sizes and plan, each of them checked."""
    try:
        found = json.loads(array.astype("uint8").tobytes())
        kind, dtypes, sizes, plan = (found[key] for key in ("kind", "dtypes", "sizes", "plan"))
        is_right = kind in ("numpy", "torch") and isinstance(plan, str) and isinstance(dtypes, list)
        if is_right and all(isinstance(size, int) and size >= 0 for size in sizes.values()):
            return kind, [str(dtype) for dtype in dtypes], dict(sizes), plan
    except (ValueError, LookupError, TypeError, AttributeError):
        pass
    raise damaged(name, "it does not say what its arrays are")


def _program(whole: Function, dtypes: list[str], name: str) -> Program:
    """The program for parameters of these dtypes."""
    from tpc.ir.types import DTYPES, TensorType

    inputs = whole.generic().inputs
    if len(dtypes) != len(inputs) or not set(dtypes) <= DTYPES.keys():
        raise damaged(name, "it was prepared for another function")
    return whole.instance([TensorType(DTYPES[d], node.tensor.dims) for d, node in zip(dtypes, inputs, strict=True)])


def _digest(function: Function, pair: Pair) -> str:
    """What tells both stages, and the data that they were made with."""
    texts = [function.identity(pair.written), str(pair.stages.ahead), str(pair.stages.each), pair.kind]
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()
