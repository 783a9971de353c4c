"""Ways to run a kernel, each ready to be called with its own kind of arrays."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import issparse

import tpc
from benchmarks.kernels import sparse
from benchmarks.kernels.kernel import Kernel, Sizes

NAMES = ("tpc", "numpy", "numba", "torch", "torch.compile", "jax", "keops")
NEEDS = {"torch.compile": "torch", "keops": "pykeops"}


class Unavailable(Exception):
    """Why a kernel is not run in some way."""


@dataclass(frozen=True)
class Way:
    """How to call: `give` makes operands of arrays, `run` takes them, `take` makes an array of the result."""

    name: str
    give: Callable[[list[Any]], list[Any]]
    run: Callable[..., Any]
    take: Callable[[Any], Any]


def way(name: str, kernel: Kernel, sizes: Sizes, dtype: str, threads: int) -> Way:
    """A kernel made ready.

    Raises
    ------
    Unavailable
        If it cannot be.
    """
    needed = NEEDS.get(name, name)
    if needed not in ("tpc", "numpy") and importlib.util.find_spec(needed) is None:
        raise Unavailable(f"{needed} is not installed")
    if name == "tpc":
        compiled = tpc.compile(kernel.program.format(dtype=dtype), backend="llvm")  # TPC_THREADS says how many
        compiled.prepare(*kernel.arrays(sizes, dtype, 0))
        return Way(name, list, compiled, sparse.entries)
    if name == "numpy":
        return Way(name, list, kernel.written, sparse.entries)
    own = kernel.ways.get("torch" if name == "torch.compile" else name)
    if own is None:
        raise Unavailable("nobody wrote it")
    match name:
        case "numba":
            from benchmarks.kernels.loops import compiled as numba_compiled

            return Way(name, _in_parts, numba_compiled(own, threads), np.asarray)
        case "jax":
            return _jax(own)
    return _torch(name, own, threads)


def _in_parts(arrays: list[Any]) -> list[Any]:
    return [part for a in arrays for part in (sparse.in_parts(a) if issparse(a) else (a,))]


def _jax(own: Callable[..., Any]) -> Way:
    import jax

    jax.config.update("jax_enable_x64", True)
    jitted = jax.jit(own)
    return Way(
        "jax",
        lambda arrays: [sparse.in_jax(a) if issparse(a) else jax.device_put(a) for a in arrays],
        lambda *given: jitted(*given).block_until_ready(),
        np.asarray,
    )


def _torch(name: str, own: Callable[..., Any], threads: int) -> Way:
    import torch

    torch.set_num_threads(threads)
    if name == "torch.compile":
        torch._dynamo.reset()
        own = torch.compile(own)
    run = torch.no_grad()(own)

    def give(arrays: list[Any]) -> list[Any]:
        return [sparse.in_torch(a) if issparse(a) else torch.from_numpy(a) for a in arrays]

    return Way(name, give, run, lambda result: result.numpy())
