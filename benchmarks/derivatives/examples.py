"""The examples: the gradient of a random linear form of the results by the arrays that they are given.

Nobody wrote them for torch or jax. What they are measured beside is torch's autograd through the code that tpc writes
for the torch backend, whose formulas are optimised already; that is also what results are compared with.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import tpc
from benchmarks.algebra.case import Sizes
from benchmarks.derivatives.case import Case
from tpc import data
from tpc.backends import backend
from tpc.files import FolderFiles, read_program
from tpc.ir.build import literal_value
from tpc.ir.elaborate.module import check
from tpc.ir.facts import analyse
from tpc.ir.node import Program
from tpc.ir.sizes import with_sizes
from tpc.ir.types import F64, TensorType
from tpc.passes.differentiate import derivative
from tpc.passes.pipeline import Options
from tpc.passes.pipeline import run as planned

# Where rounding takes more. Beside mpmath, torch's derivative of matrix_exp has an error of 3e-8 (ours of 1e-15). The
# Gaussian process inverts a covariance of condition 3e6 on both sides of what it multiplies: beside extended precision
# torch's autograd has an error of 2e-8 by solves, and products with the inverse one of 1e-6.
ALLOWED = {"diffusion": 1e-7, "gaussian_process": 1e-5}

# The passes of conjugate gradients have a derivative that jumps with the last digits of the data (W0403).
UNSETTLED = frozenset(["conjugate_gradients"])

FOLDER = Path(__file__).parents[2] / "examples"


@dataclass(frozen=True)
class Example(Case):
    """A gradient of an example, on its own data."""

    data: tuple[Any, ...] = ()

    def operands(self, sizes: Sizes, seed: int) -> list[Any]:
        return list(self.data)


def examples() -> Iterator[Example]:
    """Those that have a gradient; what the others lack is printed."""
    for manifest in sorted(FOLDER.glob("*/example.toml")):
        try:
            yield _example(manifest)
        except (tpc.TpcError, LookupError) as error:
            reason = error.diagnostics[0].title if isinstance(error, tpc.TpcError) else str(error)
            print(f"examples/{manifest.parent.name}: {reason}")


def _example(manifest: Path) -> Example:
    folder, name = manifest.parent, manifest.parent.name
    if name in UNSETTLED:
        raise LookupError("the derivative of its passes has not settled when its result has")
    path = folder / f"{name}.tp"
    told = tomllib.loads(manifest.read_text("utf-8"))
    checked = check(read_program(path, str(path)), FolderFiles(folder, (str(path), path)))
    program = checked.programs[told["function"]]
    defaults = {key: literal_value(value) for key, value in program.defaults}
    given = [_value(folder, told["inputs"], node["name"], node.tensor, defaults) for node in program.inputs]
    sizes = _sizes(program, given)
    program = with_sizes(program, dict(sizes))
    numbers = [k for k, i in enumerate(program.inputs) if i.tensor.rank and i.tensor.dtype.kind == "f"]
    floats = [o for o in program.outputs if o.tensor.dtype.kind == "f"]
    if any(node.op.name == "constant" for node in program.walk()):
        raise LookupError("it reads files, which a program given as text cannot")
    if not numbers or not floats:
        raise LookupError("no floats to differentiate by, or none to differentiate")
    slope = derivative(program, "vjp", [program.inputs[k]["name"] for k in numbers])
    rng = np.random.default_rng(0)
    weights = [rng.standard_normal(tuple(map(int, o.tensor.dims))).astype(o.tensor.dtype.numpy) for o in floats]
    is_double = all(o.tensor.dtype is F64 for o in (*floats, *program.inputs) if o.tensor.dtype.kind == "f")
    tolerance = ALLOWED.get(name, 1e-9) if is_double else 1e-4
    operands = (*given, *weights)
    text = str(slope.replace(name="main"))
    formats = [i.tensor.dtype.numpy for i in slope.inputs]
    facts = analyse(program)
    names = [{f.name for f in facts.get(program.inputs[k], ())} for k in numbers]
    right = _by_autograd(program, numbers, len(given), formats, names)
    return Example(f"examples/{name}", "", {}, text, expert=right, tolerance=tolerance, data=operands)


def _value(folder: Path, told: dict[str, Any], name: str, type: TensorType, defaults: dict[str, Any]) -> Any:
    value = told.get(name, defaults.get(name))
    if not isinstance(value, str):
        return value
    file, member = data.split_member(value)
    read = data.shaped(data.read(folder / file, file, member, name), type.rank)
    return np.ascontiguousarray(read.toarray() if hasattr(read, "toarray") else read, type.dtype.numpy)


def _sizes(program: Program, given: list[Any]) -> dict[str, int]:
    """The sizes that stand by themselves among those of the operands."""
    pairs = [
        pair for i, value in zip(program.inputs, given, strict=True) for pair in zip(i.tensor.dims, np.shape(value))
    ]
    return {str(dim): size for dim, size in pairs if str(dim).isidentifier()}


def _by_autograd(
    program: Program, by: list[int], count: int, formats: list[str], facts: list[set[str]]
) -> Callable[..., Any]:
    """torch's autograd through the program as tpc runs it on torch, of numpy arrays in these formats.

    Autograd knows of no facts, so that of its gradients only what lies within matrices that have them is right.
    """
    import torch

    target = backend("torch")
    run = target.load(target.emit(planned(program, Options()).program))

    def gradient(*operands: Any) -> Any:
        pairs = zip(operands, formats, strict=True)
        arrays = [np.asarray(x, dtype) for x, dtype in pairs]  # whatever precision they are given in
        tensors = [torch.as_tensor(x) if x.ndim else x.item() for x in arrays]
        weights = [torch.as_tensor(x) for x in arrays[count:]]  # not of numbers, which would be single precision
        for k in by:
            tensors[k] = tensors[k].detach().requires_grad_()
        returned = run(*tensors[:count])
        results = [r for r in (returned if isinstance(returned, tuple) else (returned,)) if r.is_floating_point()]
        pairs = [(r, w) for r, w in zip(results, weights, strict=True) if r.requires_grad]
        inputs = [tensors[k] for k in by]
        found = torch.autograd.grad([r for r, _ in pairs], inputs, [w for _, w in pairs], allow_unused=True)
        whole = [np.zeros(tensors[k].shape) if g is None else g.numpy() for k, g in zip(by, found, strict=True)]
        slopes = tuple(map(_within, whole, facts))
        return slopes if len(slopes) > 1 else slopes[0]

    return gradient


def _within(slope: Any, facts: set[str]) -> Any:
    """A gradient within the matrices that have these facts, as far as examples declare any."""
    if "diagonal" in facts:
        return np.diag(np.diag(slope))
    if "symmetric" in facts:
        return (slope + slope.swapaxes(-1, -2)) / 2
    return np.tril(slope) if "lower" in facts else np.triu(slope) if "upper" in facts else slope
