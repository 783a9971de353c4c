"""The ways to run a case: as written in numpy, torch, torch.compile and jax.jit, as an expert would, and tpc."""

from __future__ import annotations

import importlib.util
import os
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import tpc
from benchmarks.algebra.case import Case, Sizes

PEERS = ("torch.compile", "jax.jit")
TPC = ("tpc", "tpc numpy", "tpc torch")
AS_WRITTEN = "tpc as written"
NAMES = ("expert", "numpy", "torch", *PEERS, *TPC, AS_WRITTEN)
BACKENDS = {"tpc": "auto", "tpc torch": "torch"}  # of the others it is numpy
SETTLING = 1.0  # seconds of calls after which native code is there, if it pays
TURNS = 24  # calls in which `auto` tries what is faster, and a few more


class Unavailable(Exception):
    """Why a case is not run in some way."""


@dataclass
class Contender:
    """A way to run a case.

    Attributes
    ----------
    give
        Operands from numpy, as this one takes them.
    run
        The computation; when it returns, the result is there.
    take
        A result as numpy arrays: one, or a tuple.
    flops
        Operations of what runs, once it ran; None where nobody counts.
    peak
        Bytes that a run takes beside its operands; None where there is no cheap way to know.
    """

    name: str
    give: Callable[[list[Any]], list[Any]]
    run: Callable[[list[Any]], Any]
    take: Callable[[Any], Any]
    flops: Callable[[], float | None] = lambda: None
    peak: Callable[[list[Any]], int | None] = lambda operands: None


def has_as_written() -> bool:
    """Whether tpc can be told to leave a program as it is."""
    try:
        tpc.compile("def f(x: f64) -> f64 = x", mode="bitwise")
    except tpc.TpcError:
        return False
    return True


def contender(name: str, case: Case, sizes: Sizes) -> Contender:
    """A case made ready to run in one way.

    Raises
    ------
    Unavailable
        If it cannot be.
    """
    written, expert = case.written, case.expert
    if name in ("numpy", "torch", *PEERS):
        if written is None:
            raise Unavailable("not written in Python")
        if name in PEERS and not case.traceable:
            raise Unavailable("the loop would be unrolled")
        if name == "jax.jit":
            return _jax(written)
        if name != "numpy":
            return _torch(written, name)
        if not case.runs_as_written(sizes):
            raise Unavailable("takes too long at these sizes")
        return _in_numpy(name, lambda operands: written(np, *operands))
    if name == "expert":
        if expert is None:
            raise Unavailable("nobody wrote it")
        return _in_numpy(name, lambda operands: expert(*operands))
    return _tpc(name, case, sizes)


def _in_numpy(name: str, run: Callable[[list[Any]], Any]) -> Contender:
    return Contender(name, list, run, _as_tuple, peak=lambda operands: allocated(lambda: run(operands)))


def _torch(formula: Callable[..., Any], name: str) -> Contender:
    if importlib.util.find_spec("torch") is None:
        raise Unavailable("torch is not installed")
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")  # a pool of compilers costs more than it saves here
    import torch

    def written(*operands: Any) -> Any:
        return formula(torch, *operands)

    if name == "torch.compile":
        torch._dynamo.reset()
        written = torch.compile(written)
    return Contender(name, _tensors, lambda operands: written(*operands), _from_tensors)


def _tensors(operands: list[Any]) -> list[Any]:
    import torch

    # Numbers as tensors, or torch.compile would compile again for each value.
    return [
        torch.from_numpy(x) if isinstance(x, np.ndarray) else torch.tensor(x, dtype=torch.float64) for x in operands
    ]


def _from_tensors(result: Any) -> Any:
    return tuple(x.numpy() for x in result) if isinstance(result, tuple) else result.numpy()


def _jax(formula: Callable[..., Any]) -> Contender:
    if importlib.util.find_spec("jax") is None:
        raise Unavailable("jax is not installed")
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    compiled = jax.jit(lambda *given: formula(jnp, *given))

    def peak(operands: list[Any]) -> int | None:
        memory = compiled.lower(*operands).compile().memory_analysis()
        return memory and int(memory.temp_size_in_bytes + memory.output_size_in_bytes)

    return Contender(
        "jax.jit",
        lambda operands: [jnp.asarray(x) for x in operands],
        lambda operands: jax.block_until_ready(compiled(*operands)),
        _as_arrays,
        peak=peak,
    )


def _tpc(name: str, case: Case, sizes: Sizes) -> Contender:
    dims = None if case.symbolic else dict(sizes)
    try:
        compiled = tpc.compile(
            case.program,
            backend=BACKENDS.get(name, "numpy"),
            dims=dims,
            mode="bitwise" if name == AS_WRITTEN else "stable",
        )
    except tpc.TpcError as error:
        raise Unavailable(error.diagnostics[0].title) from None

    def flops() -> float | None:
        counted = compiled.cost.flops
        return float(counted) if isinstance(counted, (int, float)) else None

    if name == "tpc torch":
        return Contender(name, _tensors, lambda operands: compiled(*operands), _from_tensors, flops)
    if not case.runs_as_written(sizes):
        estimate = flops()
        if estimate is not None and estimate > 10 * case.best(sizes):
            raise Unavailable("takes too long at these sizes, as it was planned as written")
    if name == "tpc":
        settle(compiled, case.operands(sizes, seed=0), prepares=not case.symbolic)
    made = _in_numpy(name, lambda operands: compiled(*operands))
    made.flops = flops
    return made


def settle(compiled: tpc.Compiled, operands: list[Any], prepares: bool) -> None:
    """Call a function until it is known whether NumPy or native code is faster, as where it is called for long.

    A plan for all sizes must not be told those of a call, and so is not prepared, but called until it is native.
    """
    if prepares:
        compiled.prepare(*operands)
    else:
        began = time.perf_counter()
        while time.perf_counter() - began < SETTLING:
            compiled(*operands)
    for _ in range(TURNS):
        if "by turns" not in compiled.runs:
            break
        compiled(*operands)


def _as_tuple(result: Any) -> Any:
    return tuple(result) if isinstance(result, tuple) else result


def _as_arrays(result: Any) -> Any:
    return tuple(np.asarray(x) for x in result) if isinstance(result, tuple) else np.asarray(result)


def allocated(action: Callable[[], object]) -> int:
    """The most bytes that numpy held at one time while something ran, beside what it held before."""
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
