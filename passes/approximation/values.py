"""What values are that depend on no input, in double precision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from tpc.dsl.diagnostics import TpcError
from tpc.ir.build import input_node
from tpc.ir.formula import Reduction
from tpc.ir.node import Node, Program, topological
from tpc.ir.op import Misfit
from tpc.ir.ops.structure import APPROXIMATE, CONSTANT, INPUT, LITERAL
from tpc.ir.reference import evaluate
from tpc.ir.types import TensorType
from tpc.passes.contraction import product_of

Array = np.ndarray[Any, Any]


def is_known(node: Node) -> bool:
    """Whether a value depends on no input, nor on a size that is open."""
    return all(
        part.op is not INPUT
        and (not isinstance(part.type, TensorType) or all(isinstance(dim, int) for dim in part.type.dims))
        for part in topological([node])
    )


def compute(outputs: Sequence[Node], given: Mapping[Node, Array] | None = None) -> list[Array] | None:
    """The values of nodes, of those that are given and of constants; None where they cannot be computed.

    Products go to NumPy's einsum, and all else to the reference interpreter, a node at a time.
    """
    values: dict[Node, Any] = dict(given or {})
    try:
        for node in topological(outputs):
            if node not in values and node.op is not INPUT:
                values[node] = _value(node, [values[a] for a in node.args])
        return [values[node] for node in outputs]
    except (TpcError, Misfit, ArithmeticError, ValueError, IndexError, KeyError, MemoryError):
        return None


def _value(node: Node, operands: Sequence[Any]) -> Any:
    if node.op is APPROXIMATE:
        return operands[0]
    if node.op is CONSTANT:
        array = node["data"].array
        return array.astype(np.complex128 if array.dtype.kind == "c" else np.float64) if _is_float(node) else array
    product = _product(node, operands)
    if product is not None:
        return product
    if node.op.name == "item":
        return operands[0][node["position"]]
    inputs = [input_node(f"x{k}", a.tensor) if a.op is not LITERAL else a for k, a in enumerate(node.args)]
    made = Node(node.op, inputs, node.attributes, node.type)
    own = [a for a in dict.fromkeys(inputs) if a.op is INPUT]
    arrays = [operands[inputs.index(a)] for a in own]
    if isinstance(node.type, tuple):
        from tpc.ir.build import items

        return evaluate(Program("value", own, items(made)), arrays)
    (value,) = evaluate(Program("value", own, [made]), arrays)
    return value


def _is_float(node: Node) -> bool:
    return node.tensor.dtype.is_float


def _product(node: Node, operands: Sequence[Any]) -> Array | None:
    """The value of a product that is summed over letters, as of matrices; None for anything else."""
    if not isinstance(node.type, TensorType) or any(not isinstance(a.type, TensorType) for a in node.args):
        return None
    types = [a.tensor for a in node.args]
    formula = node.op.formula(types, dict(node.attributes))
    if formula is None or not _sums(formula.body):
        return None
    read = product_of(formula, types)
    if read is None or len({n for axis in read.form.output for n in axis}) < sum(map(len, read.form.output)):
        return None
    form = read.form
    sizes: dict[int, int] = {}
    arguments: list[Any] = []
    for place, axes in zip(read.operands, form.inputs, strict=True):
        letters = [n for axis in axes for n in axis]
        shape = [form.extents[n] for n in letters]
        sizes |= dict(zip(letters, shape, strict=True))  # type: ignore[arg-type]
        arguments += [np.reshape(operands[place], shape), letters]
    output = [n for axis in form.output for n in axis]
    if not arguments or any(n not in sizes for n in output):
        return None
    found = np.einsum(*arguments, output, optimize=True)
    scale = float(read.coefficient) * prod(map(float, read.sizes)) / prod(map(float, read.divisors))  # type: ignore[arg-type]
    dims = node.tensor.dims
    return np.asarray(found * scale if scale != 1 else found).reshape(dims)


def _sums(body: object) -> bool:
    return isinstance(body, Reduction)
