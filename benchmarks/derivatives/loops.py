"""Derivatives along all directions at once, beside a loop that takes them one by one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import tpc
from benchmarks.derivatives.case import Case
from benchmarks.derivatives.cases import CASES

ROUNDS = 5


def rows() -> Iterator[dict[str, Any]]:
    """Of each case with second derivatives: seconds at once, of one reverse pass, and of a loop of these.

    A reverse pass is torch's, backwards through the gradient that it has found anew, and ours is a Hessian-vector
    product; of both the loop takes one for each entry.
    """
    for case in CASES:
        if case.derivative in ("hessian", "laplacian"):
            yield _row(case)


def _row(case: Case) -> dict[str, Any]:
    operands = case.operands(case.sizes, 0)
    count = len(operands[0])
    head, _, main = case.program.partition("def main")
    name = head.split("def ")[1].split("(")[0]
    inside = main[main.index("(") + 1 : main.index(")")]
    names = ", ".join(part.split(":")[0].strip() for part in inside.split(", ") if ":" in part)
    first = inside.split(":")[0].strip()
    size = inside.split("[")[1].split("]")[0]
    product = f"{head}def main({inside}, way: f64[{size}]) = hvp({name}, {first})({names}, way)\n"
    ours = {backend: _compiled(case.program, case, backend) for backend in ("numpy", "llvm")}
    single = {backend: _compiled(product, case, backend) for backend in ours}
    way = np.eye(count)[0]
    runs: dict[str, Callable[[], Any]] = {
        **{f"at once, {b}": (lambda f=f: f(*operands)) for b, f in ours.items()},
        **{f"one, {b}": (lambda f=f: f(*operands, way)) for b, f in single.items()},
        "one, torch": _reverse_pass(case, operands),
    }
    seconds = dict.fromkeys(runs, float("inf"))
    for _ in range(ROUNDS):
        for key, run in runs.items():
            run()
            began = time.perf_counter()
            run()
            seconds[key] = min(seconds[key], time.perf_counter() - began)
    best = min(seconds[f"at once, {b}"] for b in ours)
    loops = {key.removeprefix("one, "): count * s / best for key, s in seconds.items() if key.startswith("one")}
    return {"name": case.name, "directions": count, "seconds": seconds, "times": loops}


def _compiled(text: str, case: Case, backend: str) -> Any:
    compiled = tpc.compile(text, function="main", backend=backend, dims=dict(case.sizes))  # type: ignore[arg-type]
    compiled.prepare()
    return compiled


def _reverse_pass(case: Case, operands: list[Any]) -> Callable[[], Any]:
    """torch's derivative of one entry of the gradient."""
    import torch

    from benchmarks.derivatives.case import torch_library

    assert case.loss is not None
    x, *rest = (torch.as_tensor(a) for a in operands)
    x.requires_grad_()
    loss, library = case.loss, torch_library()

    def run() -> Any:
        (slope,) = torch.autograd.grad(loss(library, x, *rest), x, create_graph=True)
        return torch.autograd.grad(slope[0], x)

    return run
