"""The reference interpreter: what a program means, said as plainly as it can be. It judges everything else.

A formula is evaluated on the grid of all of its letters, one axis each, and reduced from the inside out. Three
domains: floats (double precision whatever the program's dtypes, so that it judges f32 as well), exact fractions,
and residues modulo a prime. It is slow, and uses memory in proportion to the grid.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from tpc.dsl.diagnostics import InternalError, fail
from tpc.ir.dims import DimLike
from tpc.ir.dims import evaluate as evaluate_dim
from tpc.ir.formula import Formula
from tpc.ir.free import FreeFunctions
from tpc.ir.grid import Grid
from tpc.ir.node import Node, Program
from tpc.ir.residue import Residue
from tpc.ir.types import TensorType

_HELD = {"b": np.bool_, "i": np.int64, "f": np.float64, "c": np.complex128}
_HELD_EXTENDED = {**_HELD, "f": np.longdouble, "c": np.clongdouble}


@dataclass(frozen=True)
class Domain:
    """The numbers that are computed with: `float`, `extended`, `exact` (fractions) or `modular` (residues)."""

    name: str
    prime: int = 0
    free: FreeFunctions | None = None  # what stands for functions that have no meaning modulo a prime
    passes: int | None = None  # of a loop, at most

    @property
    def is_float(self) -> bool:
        return self.name in ("float", "extended")

    @property
    def held(self) -> dict[str, Any]:
        """The NumPy formats of floats, by kind of dtype."""
        return _HELD if self.name == "float" else _HELD_EXTENDED

    def number(self, value: Any) -> Any:
        """A number of the program as a number of the domain."""
        if self.is_float or isinstance(value, (bool, np.bool_)):
            return value
        if isinstance(value, complex):
            raise fail("E0905", "exact arithmetic has no complex numbers")
        if isinstance(value, float) and not math.isfinite(value):
            raise fail("E0905", "infinity has no exact meaning")
        fraction = value if isinstance(value, Fraction) else Fraction(value)
        if self.name == "exact":
            return fraction
        if self.free is not None:
            fraction = _simple(fraction)
        return Residue(fraction.numerator, self.prime) / Residue(fraction.denominator, self.prime)

    def array(self, values: Any, type: TensorType) -> Any:
        """An array in the form in which this domain holds it: index arrays stay integers."""
        array = np.asarray(values)
        if self.is_float:
            return array.astype(self.held[type.dtype.kind])
        if type.dtype.kind in "bi" or array.dtype == object:
            return array
        out = np.empty(array.shape, dtype=object)
        for position in np.ndindex(array.shape):
            out[position] = self.number(array[position].item())
        return out


FLOAT = Domain("float")
EXTENDED = Domain("extended")
"""NumPy's long double, where the machine has one; for formulas only, since LAPACK has none."""
EXACT = Domain("exact")


def modular(prime: int = 2**61 - 1, free: FreeFunctions | None = None, passes: int | None = None) -> Domain:
    """Arithmetic modulo a prime: equality there of two polynomials at a random point shows them equal.

    With free functions, what has no meaning there is one of them, and numbers are the simple fractions that they
    stand for: 0.1 is a tenth. Loops end after `passes`.
    """
    return Domain("modular", prime, free, passes)


def _simple(fraction: Fraction) -> Fraction:
    """A fraction with a small denominator that rounds to this one, or to one beside it."""
    near = fraction.limit_denominator(1_000_000)
    return near if abs(near - fraction) <= abs(fraction) / 2**51 else fraction


def evaluate(
    program: Program,
    arrays: Sequence[Any],
    sizes: Mapping[str, int] | None = None,
    domain: Domain = FLOAT,
) -> list[Any]:
    """The results of a program on arrays, given in the order of its inputs.

    Parameters
    ----------
    arrays : sequence of array_like
        One for each input, of the shape that its type asks for.
    sizes : mapping, optional
        Named sizes; those that axes of the inputs give are found from them.

    Returns
    -------
    list of ndarray
        float64, complex128, int64 or bool; object arrays in the exact domains.
    """
    known = dict(sizes or {})
    given = [domain.array(a, node.tensor) for a, node in zip(arrays, program.inputs, strict=True)]
    _bind_sizes(program, given, known)
    with np.errstate(all="ignore"):
        return _Run(known, domain).program(program, given)


def _bind_sizes(program: Program, arrays: Sequence[Any], sizes: dict[str, int]) -> None:
    from tpc.ir.dims import solve_linear, substitute

    pending = [
        (dim, extent)
        for node, array in zip(program.inputs, arrays, strict=True)
        for dim, extent in zip(node.tensor.dims, array.shape, strict=True)
    ]
    progress = True
    while progress:
        progress = False
        for dim, extent in pending:
            solved = solve_linear(substitute(dim, sizes), extent)
            if solved is not None and solved[0] not in sizes:
                sizes[solved[0]] = solved[1]
                progress = True


class _Run:
    """One evaluation, at given sizes."""

    def __init__(self, sizes: Mapping[str, int], domain: Domain) -> None:
        self.sizes, self.domain = sizes, domain

    def size(self, dim: DimLike) -> int:
        return evaluate_dim(dim, self.sizes)

    def program(self, program: Program, arrays: Sequence[Any]) -> list[Any]:
        values: dict[Node, Any] = dict(zip(program.inputs, arrays, strict=True))
        for node in program.nodes:
            if node not in values:
                values[node] = self.node(node, [values[a] for a in node.args])
        return [values[node] for node in program.outputs]

    def node(self, node: Node, args: list[Any]) -> Any:
        match node.op.name:
            case "literal":
                return np.asarray(self.domain.number(node["value"].value))
            case "constant":
                return self.domain.array(node["data"].array, node.tensor)
            case "size":
                return np.asarray(self.size(node["dim"]))
            case "item":
                return args[0][node["position"]]
            case "cast":
                return self.cast(args[0], node.tensor)
            case "call":
                inner = {name: self.size(dim) for name, dim in node["sizes"]}
                return _results(node, _Run(inner, self.domain).program(node["body"], args))
            case "repeat":
                return _results(node, self.repeat(node, args))
            case "scan":
                return _results(node, self.scan(node, args))
            case "if":
                chosen = node["then"] if bool(args[0]) else node["other"]
                return _results(node, self.program(chosen, args[1:]))
            case "approximate":
                return args[0]  # the exact value is within every bound
            case "derivative":
                raise fail("E1001", f"`{node['steps'][0][0]}` is not built yet")
        types = [a.tensor for a in node.args]
        attributes = dict(node.attributes)
        formula = node.op.formula(types, attributes)
        if formula is not None:
            return self.held(self.formula(formula, args, types), node.tensor)
        return self.by_hand(node, args, attributes)

    def by_hand(self, node: Node, args: list[Any], attributes: dict[str, Any]) -> Any:
        attributes = {k: self.attribute(v) for k, v in attributes.items()}
        op = node.op
        if not self.domain.is_float:
            if op.exact is None:
                return self.free(node, args, attributes)
            exact = op.exact(args, attributes)
            return [np.asarray(e) for e in exact] if isinstance(node.type, tuple) else np.asarray(exact)
        if op.reference is None:
            raise InternalError("reference", f"{op.name} has no meaning")
        result = op.reference(np, args, attributes)
        types = node.type if isinstance(node.type, tuple) else (node.type,)
        parts = result if isinstance(node.type, tuple) else (result,)
        held = [self.held(np.asarray(p), t) for p, t in zip(parts, types, strict=True)]
        return held if isinstance(node.type, tuple) else held[0]

    def free(self, node: Node, args: list[Any], attributes: dict[str, Any]) -> Any:
        if self.domain.free is None:
            raise fail("E0905", f"`{node.op.name}` has no exact meaning")
        types = node.type if isinstance(node.type, tuple) else (node.type,)
        shapes = [(tuple(self.size(d) for d in t.dims), t.dtype.kind) for t in types]
        return _results(node, self.domain.free.matrices(node.op.name, attributes, args, shapes))

    def attribute(self, value: Any) -> Any:
        from tpc.ir.dims import Dim

        if isinstance(value, Dim):
            return self.size(value)
        return tuple(self.attribute(v) for v in value) if isinstance(value, tuple) else value

    def held(self, array: Any, type: TensorType) -> Any:
        return array.astype(self.domain.held[type.dtype.kind]) if self.domain.is_float else array

    def cast(self, array: Any, type: TensorType) -> Any:
        if self.domain.is_float:
            if type.dtype.kind == "i" and array.dtype.kind == "f":
                return array.astype(type.dtype.numpy).astype(np.int64)
            return array.astype(self.domain.held[type.dtype.kind])
        if type.dtype.kind == "f":
            return self.domain.array(array.astype(np.int64) if array.dtype == bool else array, type)
        if self.domain.name == "exact" and array.dtype == object:
            return np.vectorize(int, otypes=[np.int64])(array)
        if self.domain.free is not None and array.dtype == object and type.dtype.kind in "bi":
            raise fail("E0905", "rounding to integers has no exact meaning")
        return array

    # ---- loops

    def repeat(self, node: Node, args: list[Any]) -> list[Any]:
        if node["count"] is None:
            count, args = int(args[-1]), args[:-1]
        else:
            count = self.size(node["count"])
        if self.domain.passes is not None:
            count = min(count, self.domain.passes)
        state, rest = args[: node["state"]], args[node["state"] :]
        for _ in range(count):
            if node["until"] is not None and bool(self.program(node["until"], [*state, *rest])[0]):
                break
            state = self.program(node["body"], [*state, *rest])
        return list(state)

    def scan(self, node: Node, args: list[Any]) -> list[Any]:
        carried = node["state"]
        state, rest = args[:carried], args[carried:]
        extent = self.size(node["extent"])
        stacked: list[list[Any]] = [[] for _ in node["body"].outputs[carried:]]
        for step in range(extent):
            results = self.program(node["body"], [np.asarray(step), *state, *rest])
            state = results[:carried]
            for column, value in zip(stacked, results[carried:], strict=True):
                column.append(value)
        out = list(state)
        types = node.type if isinstance(node.type, tuple) else (node.type,)
        for column, type in zip(stacked, types[carried:], strict=True):
            shape = tuple(self.size(d) for d in type.dims)
            out.append(np.stack(column) if column else np.zeros(shape, _HELD[type.dtype.kind]))
        return out

    # ---- formulas

    def formula(self, formula: Formula, operands: Sequence[Any], types: Sequence[TensorType]) -> Any:
        """The array that a formula means."""
        letters = {name: self.size(dim) for name, dim in formula.extents}
        grid = Grid(self.domain, self.size, operands, letters, list(formula.letters))
        shape = grid.needed(0)  # refused before anything is computed
        value = np.broadcast_to(grid.scalar(formula.body), shape)
        return np.array(value).reshape([self.size(d) for d in formula.dims])


def _results(node: Node, values: list[Any]) -> Any:
    return values if isinstance(node.type, tuple) else values[0]
