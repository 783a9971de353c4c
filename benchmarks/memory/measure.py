"""Time and bytes of a program with and without a budget."""

from __future__ import annotations

import gc
import tracemalloc
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np

from tpc.backends import backend
from tpc.backends.llvm.memory import live as native
from tpc.dsl.source import Source
from tpc.ir.elaborate.module import check
from tpc.passes.memory.liveness import Liveness
from tpc.passes.pipeline import Options, run


def compared(text: str, library: str, share: float, repeat: int) -> dict[str, Any]:
    """A program at a share of its peak beside the same without a budget; calls of both take turns."""
    checked = check(Source(text))
    checked.diagnostics.raise_errors()
    program = checked.programs["main"]
    plain = run(program, Options(backend=library)).program
    live = partial(native, tight=True) if library == "llvm" else lambda changed: Liveness(changed, library)
    peak = (native(plain) if library == "llvm" else live(plain)).peak
    budget = int(peak * share)
    begun = perf_counter()
    small = run(program, Options(backend=library, memory=budget, live=live)).program
    seconds = perf_counter() - begun
    target = backend(library)
    functions = [target.load(target.emit(plain)), target.load(target.emit(small, tight=True))]
    if library == "llvm":
        for function in functions:
            function.finish()  # type: ignore[attr-defined]
    operands = _operands(program, library)
    results = [[np.asarray(r) for r in function(*operands)] for function in functions]
    equal = all(np.array_equal(a, b) for a, b in zip(*results, strict=True))
    if library == "llvm" and not equal:
        equal = _as_near(text, operands, *results)
    del results
    times = [[_time(function, operands) for function in functions] for _ in range(repeat)]
    plain_time, small_time = (min(column) for column in zip(*times, strict=True))
    planned = live(small)
    return {
        "peak": peak,
        "budget": budget,
        "planned": planned.peak,
        "measured": _measured(functions[1], operands, library) + planned.always,
        "slower": small_time / plain_time,
        "seconds": seconds,
        "equal": equal,
    }


def _as_near(text: str, operands: list[Any], plain: list[Any], small: list[Any]) -> bool:
    """Whether results under a budget are at most twice as far from those in double precision as those without one.

    Native code under a budget leaves products to BLAS, which are else parts of its nests, and its regions end
    elsewhere: so sums are taken in another order, and both results are rounded, neither better than the other.
    """
    double = check(Source(text.replace("f32", "f64"))).programs["main"]
    target = backend("numpy")
    function = target.load(target.emit(run(double, Options()).program))
    exact = [np.asarray(r) for r in function(*[operand.astype(np.float64) for operand in operands])]
    errors = [[np.linalg.norm(a - b) / np.linalg.norm(b) for a, b in zip(r, exact)] for r in (plain, small)]
    return bool(max(errors[1]) <= 2 * max(errors[0]))


def _operands(program: Any, library: str) -> list[Any]:
    draw = np.random.default_rng(0)
    found: list[Any] = []
    for node in program.inputs:
        dims = [int(dim) for dim in node.tensor.dims]
        found.append((draw.standard_normal(dims) / max(dims[0], 1) ** 0.5).astype(np.float32))
    if library == "torch":
        import torch

        return [torch.from_numpy(array) for array in found]
    return found


def _time(function: Any, operands: list[Any]) -> float:
    begun = perf_counter()
    function(*operands)
    return perf_counter() - begun


def _measured(function: Any, operands: list[Any], library: str) -> int:
    """The most bytes of arrays at one time, operands and results included; without the block of native code."""
    given = sum(operand.nbytes for operand in operands)
    gc.collect()
    if library == "torch":
        return given + _storages(function, operands)
    tracemalloc.start()
    try:
        results = function(*operands)
        return given + tracemalloc.get_traced_memory()[1] + 0 * len(results)
    finally:
        tracemalloc.stop()


def _storages(function: Any, operands: list[Any]) -> int:
    """Bytes of the storages that are made while a function runs, as they come and go."""
    import weakref

    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves

    held: dict[int, int] = {operand.untyped_storage().data_ptr(): 0 for operand in operands}
    most = 0

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            nonlocal most
            made = function(*args, **(kwargs or {}))
            for value in tree_leaves(made):
                if hasattr(value, "untyped_storage"):
                    storage = value.untyped_storage()
                    place = storage.data_ptr()
                    if place and place not in held:
                        held[place] = storage.nbytes()
                        weakref.finalize(storage, held.pop, place, None)
            most = max(most, sum(held.values()))
            return made

    with Watch():
        results = function(*operands)
    del results
    return most
