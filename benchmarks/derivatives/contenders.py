"""The ways to a derivative: torch's autograd, torch.compile and jax.jit, and tpc on each of its backends."""

from __future__ import annotations

import dataclasses
import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np

import tpc
from benchmarks.algebra.case import Case as Formula
from benchmarks.algebra.case import Sizes
from benchmarks.algebra.contenders import Contender, Unavailable
from benchmarks.derivatives.case import Case, by_torch, jax_derivative, torch_by_autograd, torch_derivative

SETTLED = 25  # calls after which the default backend has chosen what it runs


def known(case: Case) -> Case:
    """A case with a function that gives the right result."""
    return case if case.expert is not None else dataclasses.replace(case, expert=by_torch(case))


def contender(name: str, case: Formula, sizes: Sizes) -> Contender:
    """A case made ready to run in one way.

    Raises
    ------
    Unavailable
        If it cannot be.
    """
    assert isinstance(case, Case)
    if name.startswith("tpc"):
        return _tpc(name, case, sizes)
    if case.loss is None:
        if name != "torch" or case.expert is None:
            raise Unavailable("not written in Python")
        return Contender(name, list, _of(case.expert), _arrays)
    if importlib.util.find_spec(name.partition(".")[0]) is None:
        raise Unavailable(f"{name} is not installed")
    if name == "jax.jit":
        return _jax(case)
    import torch

    if name == "torch":
        return Contender(name, _tensors, _of(torch_by_autograd(case)), _arrays)
    if not case.traceable:
        raise Unavailable("the loop would be unrolled")
    torch._dynamo.reset()
    compiled = torch.compile(torch_derivative(case))
    return Contender(name, _tensors, _of(compiled), _arrays)


def _of(function: Callable[..., Any]) -> Callable[[list[Any]], Any]:
    return lambda operands: function(*operands)


def _tensors(operands: list[Any]) -> list[Any]:
    import torch

    return [torch.as_tensor(x) if np.ndim(x) else torch.tensor(x, dtype=torch.float64) for x in operands]


def _arrays(result: Any) -> Any:
    found = result if isinstance(result, tuple) else (result,)
    arrays = tuple(np.asarray(x.detach() if hasattr(x, "detach") else x) for x in found)
    return arrays if len(arrays) > 1 else arrays[0]


def _jax(case: Case) -> Contender:
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    compiled = jax.jit(jax_derivative(case))
    return Contender(
        "jax.jit",
        lambda operands: [jnp.asarray(x) for x in operands],
        lambda operands: jax.block_until_ready(compiled(*operands)),
        _arrays,
    )


def _tpc(name: str, case: Case, sizes: Sizes) -> Contender:
    backend = name.removeprefix("tpc").strip() or "auto"
    try:
        compiled = tpc.compile(case.program, function="main", backend=backend, dims=dict(sizes))  # type: ignore[arg-type]
    except tpc.TpcError as error:
        raise Unavailable(error.diagnostics[0].title) from None
    if backend == "llvm":
        compiled.prepare()  # native code, which is else made while slower code runs
    elif backend == "auto":
        operands = case.operands(sizes, seed=0)
        compiled.prepare(*operands)
        for _ in range(SETTLED):
            compiled(*operands)

    def flops() -> float | None:
        counted = compiled.cost.flops
        return float(counted) if isinstance(counted, (int, float)) else None

    formats = [i.tensor.dtype.numpy for i in compiled.program.inputs]

    def tensors(operands: list[Any]) -> list[Any]:
        import torch

        return [torch.as_tensor(np.asarray(x, dtype)) for x, dtype in zip(operands, formats, strict=True)]

    give = tensors if backend == "torch" else list
    return Contender(name, give, _of(compiled), _arrays, flops)
