"""What rows against other libraries have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.structure.row import Row

Generator = np.random.Generator
Call = Callable[[], Any]
NEAR = 1e-8  # residual that iterations stop at


def tensors(*arrays: Any) -> list[Any]:
    import torch

    torch.set_grad_enabled(False)
    return [torch.from_numpy(np.ascontiguousarray(array)) for array in arrays]


def operators() -> Any:
    """The classes, with iterations that go as far as those of the others."""
    from linear_operator import operators, settings

    settings.cg_tolerance._set_value(1e-6)  # below which its residuals do not come
    return operators


def spd(rng: Generator, n: int) -> Any:
    root = rng.standard_normal((n, n))
    return root @ root.T / n + np.eye(n)


def row(name: str, text: str, make: Any, **peers: Any) -> Row:
    """One that none of its peers may be faster in."""
    error = peers.pop("error", 1e-6)
    return Row(name, text, make, peers, dict.fromkeys(peers, 1), error=error, backend="auto")
