"""Adjoints of a graph, from its results back to the values that are asked for (reverse accumulation)."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence

from tpc.dsl.diagnostics import Label, TpcError
from tpc.ir.build import cast, items, literal, literal_value, make, zeros
from tpc.ir.formula import Access, Apply, Literal, Scalar
from tpc.ir.node import Node, topological
from tpc.ir.notes import follow, place
from tpc.ir.ops.structure import DERIVATIVE, IF, ITEM, LITERAL, REPEAT, SCAN, SIZE, SUBSCRIPT, At
from tpc.ir.scalar import SCALARS
from tpc.ir.types import TensorType
from tpc.passes.differentiate import matrices
from tpc.passes.differentiate.arrays import fitted
from tpc.passes.differentiate.formulas import adjoint, no_derivative
from tpc.passes.differentiate.rules import CUT, RULES
from tpc.passes.differentiate.scalars import NOT_HOLOMORPHIC, derivatives, is_one, is_zero, put


def adjoints(
    outputs: Sequence[Node],
    bars: Sequence[Node | None],
    wanted: Sequence[Node],
    symmetric: Collection[Node] = (),
) -> list[Node | None]:
    """The adjoints of values, given those of results.

    Parameters
    ----------
    outputs, bars
        Results and their adjoints; None where a result does not count.
    wanted
        The values to differentiate by. Nothing else is computed.
    symmetric
        Values that are known to be symmetric matrices.

    Returns
    -------
    list
        For each wanted value its adjoint, of the same type, or None where no result depends on it.

    Raises
    ------
    TpcError
        If a value on the way has no derivative (E0608).
    """
    return _Reverse(outputs, wanted, symmetric).run(outputs, bars)


def placed(error: TpcError, node: Node) -> TpcError:
    """The error with the place of a node, unless it has one."""
    span = place(_written(node))
    if span is None:
        return error
    return TpcError([d if d.labels else dataclasses.replace(d, labels=(Label(span),)) for d in error.diagnostics])


def _written(node: Node) -> Node:
    """The node itself, or one of its results, which are what places are known of."""
    return next((n for n in (node, *items(node)) if place(n) is not None), node)


def _place_promises(node: Node, bars: Sequence[Node | None], found: Sequence[Node | None]) -> None:
    """Let the promises that the adjoints of a node rest on stand where the node does."""
    seen = {*node.args, *items(node), *bars}
    waiting = [n for n in found if n is not None]
    while waiting:
        made = waiting.pop()
        if made not in seen:
            seen.add(made)
            waiting.extend(made.args)
            if made.op.name == "require":
                follow(_written(node), made)


def node_adjoints(
    node: Node, bars: Sequence[Node | None], active: Collection[Node], symmetric: Collection[Node] = ()
) -> list[Node | None]:
    """What one node adds to the adjoints of its operands, of their types; None for those that are not active."""
    found = _Reverse((), tuple(active), symmetric).of_node(node, bars)
    pairs = zip(node.args, found, strict=True)
    return [None if bar is None or a not in active else fitted(bar, a.tensor) for a, bar in pairs]


# inv(A)' @ bar @ inv(A)' of an outer product is one of solutions, which need no inverse; of a sum of such products and
# others it is a product of three matrices, and loses digits.
_APART = frozenset(["inv"])


def is_differentiable(type: object) -> bool:
    return isinstance(type, TensorType) and type.dtype.kind in "fc"


class _Reverse:
    def __init__(self, outputs: Sequence[Node], wanted: Sequence[Node], symmetric: Collection[Node]) -> None:
        self.wanted, self.symmetric = wanted, symmetric
        self.order = topological(outputs)
        self.bars: dict[Node, Node] = {}
        self.terms: dict[Node, list[Node]] = {}  # what they are sums of, where each term goes on by itself
        self.entries: dict[Node, dict[int, Node]] = {}  # adjoints of single entries of short vectors
        self.active = set(wanted)
        for node in self.order:
            if any(a in self.active for a in node.args) and carries(node):
                self.active.add(node)

    def run(self, outputs: Sequence[Node], bars: Sequence[Node | None]) -> list[Node | None]:
        for output, bar in zip(outputs, bars, strict=True):
            if bar is not None:
                self._add(output, bar)
        stop = set(self.wanted)
        parts: dict[Node, dict[int, Node]] = {}
        for node in reversed(self.order):
            self._gather(node)
            if node.op is ITEM and node in self.bars and node.args[0] in self.active and node not in stop:
                parts.setdefault(node.args[0], {})[node["position"]] = self._determined(node, self.bars[node])
                continue
            found = self._bars_of(node, parts)
            if found is None or node not in self.active or node in stop:
                continue
            if (place := _entry(node)) is not None and found[0] is not None:
                entries = self.entries.setdefault(node.args[0], {})
                entries[place] = found[0] if place not in entries else make("add", (entries[place], found[0]))
                continue
            for bars in [[term] for term in self.terms[node]] if node in self.terms else [found]:
                try:
                    given = self.of_node(node, bars)
                except TpcError as error:
                    raise placed(error, node) from None
                _place_promises(node, bars, given)
                for operand, bar in zip(node.args, given, strict=True):
                    if bar is not None:
                        self._add(operand, bar)
        return [self.bars.get(node) for node in self.wanted]

    def _determined(self, node: Node, bar: Node) -> Node:
        """The adjoint of a result, on condition that what is read of it is determined."""
        if node.args[0].op.name not in ("eigh", "svd"):
            return bar
        users = [n for n in self.order if node in n.args]
        users += [n for turned in users if turned.op.name == "transpose" for n in self.order if turned in n.args]
        apart = matrices.vectors_apart(node, users)
        return bar if apart is None else make("require", (bar, apart), because="distinct")

    def _bars_of(self, node: Node, parts: Mapping[Node, Mapping[int, Node]]) -> list[Node | None] | None:
        """The adjoints of the results of a node; None where nothing depends on any."""
        if isinstance(node.type, TensorType):
            bar = self.bars.get(node)
            return None if bar is None else [bar]
        if node not in parts:
            return None
        return [parts[node].get(k) for k in range(len(node.type))]

    def _gather(self, node: Node) -> None:
        """Adjoints of the entries of a vector as one vector."""
        if node in self.entries:
            found = self.entries.pop(node)
            entry = TensorType(node.tensor.dtype)
            (dim,) = node.tensor.dims
            assert isinstance(dim, int)
            bars = [fitted(found[k], entry) if k in found else zeros(entry) for k in range(dim)]
            self._add(node, make("stack", bars, axis=0))

    def _add(self, operand: Node, bar: Node) -> None:
        if operand not in self.active or not is_differentiable(operand.type):
            return
        bar = fitted(bar, operand.tensor)
        if operand.op.name in _APART:
            self.terms.setdefault(operand, []).append(bar)
        known = self.bars.get(operand)
        self.bars[operand] = bar if known is None else make("add", (known, bar))

    # ---- rules

    def of_node(self, node: Node, bars: Sequence[Node | None]) -> Sequence[Node | None]:
        """What a node adds to the adjoints of its operands."""
        from tpc.passes.differentiate import loops

        name = node.op.name
        if name in CUT:
            return [None] * len(node.args)
        if node.op is DERIVATIVE:
            from tpc.passes import solvers
            from tpc.passes.differentiate import implicit

            given = [zeros(t) if b is None else b for b, t in zip(bars, types_of(node), strict=True)]
            if solvers.is_system(node):
                return solvers.adjoint(node, given, self.active)
            return implicit.adjoint(node, given, self.active)
        if node.op in (SCAN, REPEAT, IF):
            return loops.adjoint(node, bars, [a in self.active for a in node.args], self.symmetric, adjoints)
        whole = [zeros(t) if b is None else b for b, t in zip(bars, types_of(node), strict=True)]
        if name in RULES:
            return RULES[name](node, whole)
        if name in SCALARS:
            return self._elementwise(node, whole[0])
        types = [a.tensor for a in node.args]
        formula = node.op.formula(types, dict(node.attributes))
        if node.op.group == "linalg" and formula is None:
            return matrices.adjoint(node, bars, whole, self.active, self.symmetric)
        if formula is None:
            raise no_derivative(name, "it has none in the language yet")
        found: list[Node | None] = []
        for number, operand in enumerate(node.args):
            terms = []
            if operand in self.active and is_differentiable(operand.type):
                terms = adjoint(formula, node.args, number, node, whole[0])
            total: Node | None = None
            for term in terms:
                total = term if total is None else make("add", (total, term))
            found.append(total)
        return found

    def _elementwise(self, node: Node, bar: Node) -> list[Node | None]:
        lines = derivatives(node.op.name)
        if node.op.name == "pow" and literal_value(node.args[1]) == 0:
            return [None, None]
        if lines is None:
            raise no_derivative(node.op.name)
        if node.op.name in NOT_HOLOMORPHIC and node.args[0].tensor.dtype.kind == "c":
            raise no_derivative(f"{node.op.name} of complex numbers", "it is no holomorphic function")
        operands: tuple[Scalar, ...] = tuple(Access(n, ()) for n in range(len(node.args) + 1))
        values = [*node.args, node]
        if node.tensor.dtype.kind == "c":  # of holomorphic functions: conjugate derivatives
            values = [make("conj", (v,)) if v.tensor.dtype.kind == "c" else v for v in values]
        found: list[Node | None] = []
        for operand, line in zip(node.args, lines, strict=True):
            counts = operand in self.active and not is_zero(line)
            found.append(_times(bar, put(line, operands), values) if counts else None)
        return found


SHORT = 16  # entries of a vector that are looked at one by one


def _entry(node: Node) -> int | None:
    """Which entry of a short vector a node is, if it is one."""
    if node.op is not SUBSCRIPT or len(node.args) > 1 or node.args[0].tensor.rank != 1:
        return None
    (item,), (dim,) = node["items"], node.args[0].tensor.dims
    if not isinstance(item, At) or not isinstance(item.position, int) or not isinstance(dim, int) or dim > SHORT:
        return None
    return item.position


def carries(node: Node) -> bool:
    """Whether a small change of an operand can change the value a little."""
    if node.op.name in CUT:
        return False
    return any(is_differentiable(t) for t in types_of(node))


def types_of(node: Node) -> tuple[TensorType, ...]:
    return node.type if isinstance(node.type, tuple) else (node.type,)


def _times(bar: Node, line: Scalar, values: Sequence[Node]) -> Node:
    """An adjoint times a derivative; a choice between numbers is one between multiples of the adjoint."""
    if is_one(line):
        return bar
    if line == Literal("-1"):
        return make("neg", (bar,))
    if is_zero(line):
        return literal(0.0)
    if isinstance(line, Apply) and line.function == "select":
        condition, *arms = line.arguments
        return make("select", (written(condition, values), *(_times(bar, arm, values) for arm in arms)))
    if isinstance(line, Apply) and line.function == "div" and is_one(line.arguments[0]):
        by = written(line.arguments[1], values)
        if by.op in (LITERAL, SIZE):  # whose reciprocal would be rounded
            return make("div", (bar, by))
    factor = written(line, values)
    if _is_number_one(bar):
        factor = cast(factor, bar.tensor.dtype) if factor.tensor.dtype.is_weak else factor
        if factor.type is bar.type:
            return factor
    return make("mul", (bar, factor))


def _is_number_one(node: Node) -> bool:
    return literal_value(node.args[0] if node.op.name == "cast" else node) == 1


def written(scalar: Scalar, values: Sequence[Node]) -> Node:
    """A scalar expression as elementwise ops on values."""
    match scalar:
        case Access(operand=operand):
            return values[operand]
        case Literal():
            return literal(scalar.value)
        case Apply(function="pow", arguments=(base, exponent)):
            power = written(exponent, values)
            value = literal_value(power)
            if isinstance(value, float) and value.is_integer():
                power = literal(int(value))
            return written(base, values) if value == 1 else make("pow", (written(base, values), power))
        case Apply(function=function, arguments=arguments):
            return make(function, [written(a, values) for a in arguments])
    raise TypeError(scalar)
