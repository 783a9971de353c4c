"""Errors of constants carried through a program: bounds on the errors of what is computed with them.

    sum                 errors add
    product A @ B       norm2(dA) norm(B) + (norm2(A) + norm2(dA)) norm(dB)
    elementwise f       times its Lipschitz constant; of exp, that on the range
    softmax             half

A bound is itself a value of the program, made of norms of the approximated values: it is computed at each call, and
so it holds for the very inputs. Where an op has no bound, the composition stops and names it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tpc.dsl.diagnostics import TpcError
from tpc.ir.build import cast, literal, make, size
from tpc.ir.dims import DimLike
from tpc.ir.node import Node, topological
from tpc.ir.op import Misfit
from tpc.ir.rewrite import rebuilt
from tpc.ir.types import TensorType

# What moves entries or drops some, and changes their signs at most.
MOVES = (
    *("transpose", "reshape", "permute", "squeeze", "unsqueeze", "vec", "unvec", "flip", "neg", "conj", "cast"),
    *("tril", "triu", "diag", "subscript", "norm"),
)
LIPSCHITZ = {
    **dict.fromkeys(("relu", "tanh", "abs", "sin", "cos", "softplus", "atan", "asinh"), 1.0),
    **{"sigmoid": 0.25, "silu": 1.1, "erf": 1.1284, "ndtr": 0.3990, "softmax": 0.5},
}
SUMS = ("add", "sub", "maximum", "minimum")
PRODUCTS = ("matmul", "matvec", "vecmat", "dot", "outer")


class Stop(Exception):
    """No bound is known beyond an op; its name."""


@dataclass(frozen=True)
class Constant:
    """A constant, and bounds on its spectral norm and on that of the error of what stands in its place."""

    stands: Node
    norm: float
    error: float
    frobenius: float  # of the error


class Composition:
    """The approximated values of a graph, and bounds on their errors in the Frobenius norm, as values.

    Parameters
    ----------
    constants
        The values that were replaced.
    norms
        Spectral norms of other constants, as far as they are known.
    """

    def __init__(self, constants: Mapping[Node, Constant], norms: Mapping[Node, float]) -> None:
        self.constants, self.norms = constants, norms
        self.values: dict[Node, Node] = {node: c.stands for node, c in constants.items()}
        self.errors: dict[Node, Node] = {node: literal(c.frobenius) for node, c in constants.items()}

    def run(self, outputs: Sequence[Node]) -> None:
        """Raises Stop where there is no bound."""
        for node in topological(outputs):
            if node in self.values:
                continue
            operands = [self.values[a] for a in node.args]
            self.values[node] = rebuilt(node.op, operands, node.attributes, node.type)
            if any(a in self.errors for a in node.args):
                try:
                    self.errors[node] = self._bound(node)
                except (Misfit, TpcError) as error:
                    raise Stop(node.op.name) from error

    def _bound(self, node: Node) -> Node:
        name, first = node.op.name, node.args[0]
        if isinstance(node.type, tuple) or node.tensor.dtype.kind not in "fc":
            raise Stop(name)
        if name in MOVES and first in self.errors and not any(a in self.errors for a in node.args[1:]):
            if name == "norm" and (node["ord"] not in (None, "fro") or node["axis"] is not None):
                raise Stop("norm")
            return self.errors[first]
        if name in LIPSCHITZ:
            return self._times(self.errors[first], LIPSCHITZ[name])
        if name in SUMS:
            return self._sum([self._times(self.errors[a], _repeats(a, node)) for a in node.args if a in self.errors])
        if name == "select" and node.args[0] not in self.errors:
            return self._sum([self._times(self.errors[a], _repeats(a, node)) for a in node.args if a in self.errors])
        if name in ("sum", "mean"):
            count = _ratio(first.tensor, node.tensor)
            root = make("sqrt", (size(count),)) if not isinstance(count, int) else literal(float(count) ** 0.5)
            return make("mul" if name == "sum" else "div", (self.errors[first], root))
        if name == "exp":
            most = make("exp", (make("add", (make("max", (self.values[first],)), self.errors[first])),))
            return make("mul", (self.errors[first], most))
        if name == "square":
            return self._by_entries(node, first, first)
        if name == "mul":
            return self._by_entries(node, first, node.args[1])
        if name == "div" and node.args[1] not in self.errors:
            inverse = make("abs", (make("div", (literal(1.0), self.values[node.args[1]])),))
            inverse = make("max", (inverse,)) if inverse.tensor.dims else inverse
            return self._times(make("mul", (self.errors[first], inverse)), _repeats(first, node))
        if name in PRODUCTS:
            return self._product(first, node.args[1])
        raise Stop(name)

    def _by_entries(self, node: Node, a: Node, b: Node) -> Node:
        """That of a product of entries, where one side counts by its largest."""
        terms = []
        if a in self.errors:
            terms.append(make("mul", (self._times(self.errors[a], _repeats(a, node)), self._largest(b))))
        if b in self.errors:
            weight = self._largest(a)
            weight = make("add", (weight, self.errors[a])) if a in self.errors else weight
            terms.append(make("mul", (self._times(self.errors[b], _repeats(b, node)), weight)))
        return self._sum(terms)

    def _product(self, a: Node, b: Node) -> Node:
        """That of a product of matrices, as dA B + A dB.

        Of each pair one counts by its Frobenius norm, the other by its spectral norm where it is known: of constants.
        """
        terms = []
        if a in self.errors:
            known = self._spectral_norm(b)
            error = self._spectral_error(a) if known is None else self.errors[a]
            terms.append(make("mul", (error, self._norm(b) if known is None else known)))
        if b in self.errors:
            known = self._spectral_norm(a)
            error = self._spectral_error(b) if known is None else self.errors[b]
            weight = self._norm(a) if known is None else known
            weight = make("add", (weight, self.errors[a])) if known is None and a in self.errors else weight
            terms.append(make("mul", (error, weight)))
        return self._sum(terms)

    def _spectral_error(self, node: Node) -> Node:
        """A bound on the spectral norm of an error."""
        source = _source(node)
        return literal(self.constants[source].error) if source in self.constants else self.errors[node]

    def _spectral_norm(self, node: Node) -> Node | None:
        """A bound on that of a constant and of what stands in its place; None for other values."""
        source = _source(node)
        if source in self.constants:
            return literal(self.constants[source].norm + self.constants[source].error)
        return literal(self.norms[source]) if source in self.norms else None

    def _norm(self, node: Node) -> Node:
        """The Frobenius norm of the approximated value."""
        value = self.values[node]
        return make("norm", (value,)) if value.tensor.dims else make("abs", (value,))

    def _largest(self, node: Node) -> Node:
        value = make("abs", (self.values[node],))
        return make("max", (value,)) if value.tensor.dims else value

    def _sum(self, terms: Sequence[Node]) -> Node:
        total = terms[0]
        for term in terms[1:]:
            total = make("add", (total, term))
        return total

    def _times(self, error: Node, factor: float | DimLike) -> Node:
        if factor == 1:
            return error
        if isinstance(factor, (int, float)):
            return make("mul", (error, literal(float(factor))))
        return make("mul", (error, make("sqrt", (size(factor),))))


def _source(node: Node) -> Node:
    """What a transposed or rounded matrix is of."""
    while node.op.name in ("transpose", "cast", "neg", "conj"):
        node = node.args[0]
    return node


def _ratio(larger: TensorType, smaller: TensorType) -> DimLike:
    """How many entries of one there are for each of the other."""
    from tpc.ir.dims import divide_exactly

    found = divide_exactly(larger.size, smaller.size)
    if found is None:
        raise Stop("a sum over sizes that are open")
    return found


def _repeats(operand: Node, result: Node) -> float | DimLike:
    """By how much an error grows that is repeated along axes: the root of how often."""
    if operand.tensor.size == result.tensor.size:
        return 1
    found = _ratio(result.tensor, operand.tensor)
    return float(found) ** 0.5 if isinstance(found, int) else found


def ratio(error: Node, value: Node, within: float) -> Node:
    """What must not be above 1: error (1 + e) / (e norm(value)).

    The exact value has a norm of norm(value) - error at least. A hundredth is left for the rounding of the bound.
    """
    norm = make("norm", (value,)) if value.tensor.dims else make("abs", (value,))
    found = make("div", (make("mul", (error, literal(1.01 * (1 + within) / within))), norm))
    return cast(found, norm.tensor.dtype)
