"""Constants with and without structure, and programs around them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import tpc
from tpc.compiled import Compiled

Array = np.ndarray[Any, Any]


def planted(name: str, draw: np.random.Generator) -> Array:
    """A matrix or array of a structure, of small random sizes."""
    normal = draw.standard_normal
    m, n, r = (int(k) for k in (draw.integers(16, 40), draw.integers(16, 40), draw.integers(1, 4)))
    p, q = int(draw.integers(4, 8)), int(draw.integers(4, 8))
    match name:
        case "low rank":
            return normal((m, r)) @ normal((r, n))
        case "nystrom":
            half = normal((m, r))
            return half @ half.T
        case "low rank plus diagonal":
            return normal((m, r)) @ normal((r, m)) + np.diag(5 * normal(m))
        case "diagonal":
            return np.diag(normal(m))
        case "block diagonal":
            whole = np.zeros((p, 5, p, 4))
            whole[np.arange(p), :, np.arange(p)] = normal((p, 5, 4))
            return whole.reshape(5 * p, 4 * p)
        case "banded":
            return np.triu(np.tril(normal((30, 34)), 1), -2)
        case "fast transform":
            parts = normal((4, 4, 4, 4)), normal((4, 4, 4, 4)), normal((4, 4, 4, 4))
            return np.einsum("bcaA,AcbB,ABcC->abcABC", *parts).reshape(64, 64)
        case "block low rank":
            t = np.sort(draw.random(96))
            return 1 / (0.05 + np.abs(t[:, None] - t)) * (1 + 0.1 * (np.arange(96)[:, None] < np.arange(96)))
        case "semiseparable":
            a, B, C = np.exp(-draw.random(m)), normal(m), normal(m)
            logs = np.cumsum(np.log(a))
            return np.tril(np.outer(C, B) * np.exp(np.minimum(logs[:, None] - logs, 0)))
        case "kronecker product":
            return np.kron(normal((p, q)), normal((q, p)))
        case "sum of kronecker products":
            return np.kron(normal((7, p)), normal((p, 7))) + np.kron(normal((7, p)), normal((p, 7)))
        case "monarch":
            return np.einsum("jik,kjl->ijkl", normal((p, q, p)), normal((p, p, q))).reshape(p * q, p * q)
        case "block tensor train":
            parts = normal((6, 6, 6, 2)), normal((6, 6, 6, 2))
            return np.einsum("jiks,kjls->ijlk", *parts).reshape(36, 36)
        case "tensor train":
            return np.einsum("ia,ajb,bk->ijk", normal((9, 2)), normal((2, 8, 2)), normal((2, 7)))
        case "tucker":
            parts = normal((2, 2, 2)), normal((9, 2)), normal((8, 2)), normal((7, 2))
            return np.einsum("abc,ia,jb,kc->ijk", *parts)
    raise KeyError(name)


STRUCTURES = (
    *("low rank", "nystrom", "low rank plus diagonal", "diagonal", "block diagonal", "kronecker product"),
    *("banded", "block low rank", "semiseparable", "fast transform"),
    *("sum of kronecker products", "monarch", "block tensor train", "tensor train", "tucker"),
)


def decaying(n: int, rate: float, draw: np.random.Generator) -> Array:
    """A square matrix with singular values that are powers of a rate."""
    left, right = (np.linalg.qr(draw.standard_normal((n, n)))[0] for _ in range(2))
    return left * rate ** np.arange(n) @ right


def compiled(text: str, folder: Path, arrays: dict[str, Array], **options: Any) -> Compiled:
    """A program over constants that are saved beside it under their names; `const` lines are put before it."""
    lines = []
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
        dims = ", ".join(map(str, array.shape))
        lines.append(f'const {name}: {"f32" if array.dtype == np.float32 else "f64"}[{dims}] = load("{name}.npy")\n')
    options = {"backend": "numpy", **options}
    return tpc.compile("".join(lines) + text, folder=folder, **options)


def away(found: Any, wanted: Any) -> float:
    """The relative distance, in the Frobenius norm."""
    return float(np.linalg.norm(np.asarray(found) - wanted) / np.linalg.norm(wanted))
