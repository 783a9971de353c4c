"""Higher derivatives along a line, all orders together (Taylor-mode forward accumulation).

Along x + t*v every value has derivatives of orders 0, 1, 2, ... by t. Those of a node follow from those of its
operands: of a product by Leibniz' rule, of y = f(x) from y' = f'(x) * x' by the same rule. So order k takes k products,
where derivatives of derivatives take a number that grows like 2^k (Griewank and Walther 2008, chapter 13).

A node for which there is no such rule is differentiated by itself, again and again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from math import comb

from tpc.ir.build import input_node, items, literal, literal_value, make, zeros
from tpc.ir.formula import Access, Apply, Literal, Scalar
from tpc.ir.node import Node, topological
from tpc.ir.ops.structure import ITEM
from tpc.ir.rewrite import rebuilt, replace
from tpc.passes.differentiate import forward
from tpc.passes.differentiate.arrays import fitted
from tpc.passes.differentiate.reverse import carries, written
from tpc.passes.differentiate.scalars import NOT_HOLOMORPHIC, derivatives, is_zero, put

# Linear in each of two operands.
_PRODUCTS = frozenset(["mul", "matmul", "matvec", "vecmat", "dot", "outer", "kron", "conv", "correlate"])
_SOLVES = frozenset(["solve", "solve_vector", "solve_triangular"])
_POWERS = 8  # up to which whole ones are products, which have derivatives at 0
Orders = list[Node | None]  # the derivatives of a value by order, from 0; None is zero


def along(outputs: Sequence[Node], ways: Mapping[Node, Node], order: int, symmetric: Collection[Node]) -> list[Orders]:
    """The derivatives of results, up to an order, as some values move along straight lines.

    Parameters
    ----------
    ways
        The values that move, and how: nodes of the same types.
    symmetric
        Values that are known to be symmetric matrices.

    Raises
    ------
    TpcError
        If a value on the way has no derivative (E0608).
    """
    nothing: list[Node | None] = [None] * (order - 1)
    known: dict[Node, Orders] = {x: [x, way, *nothing] for x, way in ways.items()}
    for node in topological(outputs):
        if node in known or node.op is ITEM or not carries(node) or not any(a in known for a in node.args):
            continue
        operands = [known.get(a, [a, None, *nothing]) for a in node.args]
        for value, found in zip(items(node), _orders(node, operands, order, symmetric), strict=True):
            if any(d is not None for d in found[1:]):
                known[value] = found
                known[node] = found  # of several results, as a mark
    return [known.get(o, [o, None, *nothing]) for o in outputs]


def _orders(node: Node, operands: Sequence[Orders], order: int, symmetric: Collection[Node]) -> list[Orders]:
    name = node.op.name
    moving = [any(d is not None for d in o[1:]) for o in operands]
    found: Orders | None = None
    if name in forward.LINEAR and not any(moving[1:]):
        found = [None if d is None else _on(node, [d, *node.args[1:]]) for d in operands[0]]
    elif name in forward.JOINT:
        found = [forward.on_all(node, [o[k] for o in operands]) for k in range(order + 1)]
    elif name in _PRODUCTS:
        found = _product(node, operands, order)
    elif name in _SOLVES:
        found = _solution(node, operands, order)
    elif _has_lines(node):
        found = _Elementwise(node, operands).orders(order)
    if found is None:
        return _one_by_one(node, operands, order, symmetric)
    return [[node, *(None if d is None else fitted(d, node.tensor) for d in found[1:])]]


def _on(node: Node, args: Sequence[Node]) -> Node:
    """The op of a node on other operands of the same types."""
    return rebuilt(node.op, args, node.attributes, node.type)


def _sum(terms: Sequence[tuple[int, Node]]) -> Node | None:
    """A sum of multiples."""
    total: Node | None = None
    for count, term in terms:
        part = term if count == 1 else make("mul", (literal(count), term))
        total = part if total is None else make("add", (total, part))
    return total


def _product(node: Node, operands: Sequence[Orders], order: int) -> Orders:
    first, second = operands
    found: Orders = []
    for k in range(order + 1):
        pairs = [(comb(k, j), first[j], second[k - j]) for j in range(k + 1)]
        found.append(_sum([(n, _on(node, [a, b])) for n, a, b in pairs if a is not None and b is not None]))
    return found


def _solution(node: Node, operands: Sequence[Orders], order: int) -> Orders:
    """Of A @ X = B: A @ X_k = B_k - the sum of C(k, j) * A_j @ X_(k - j)."""
    matrix, right = operands
    product = "matvec" if right[0] is not None and right[0].tensor.rank == 1 else "matmul"
    found: Orders = [node]
    for k in range(1, order + 1):
        pairs = [(comb(k, j), matrix[j], found[k - j]) for j in range(1, k + 1)]
        moved = _sum([(n, make(product, (a, x))) for n, a, x in pairs if a is not None and x is not None])
        rest = right[k] if moved is None else _minus(right[k], moved)
        found.append(None if rest is None else _on(node, [node.args[0], fitted(rest, node.args[1].tensor)]))
    return found


def _minus(first: Node | None, second: Node | None) -> Node | None:
    if second is None:
        return first
    return make("neg", (second,)) if first is None else make("sub", (first, second))


# ---- functions of scalars


def _has_lines(node: Node) -> bool:
    """Whether a node is a function of scalars whose derivative is one, all the way down."""
    is_complex = any(a.tensor.dtype.kind == "c" for a in node.args)
    return derivatives(node.op.name) is not None and not (is_complex and node.op.name in NOT_HOLOMORPHIC)


class _Elementwise:
    """The derivatives of scalar expressions over the operands of a node, and its value, as nodes."""

    def __init__(self, node: Node, operands: Sequence[Orders]) -> None:
        self.this = Access(len(node.args), ())
        self.values = [*node.args, node]
        self.orders_of: list[Orders] = [*operands, [node]]
        self.whole = Apply(node.op.name, tuple(map(self._leaf, range(len(node.args)))))
        self.known: dict[tuple[Scalar, int], Node | None] = {}

    def _leaf(self, number: int) -> Scalar:
        value = literal_value(self.values[number])
        return Access(number, ()) if value is None else Literal.of(value)

    def orders(self, order: int) -> Orders | None:
        """The derivatives of the value; None where one of them has no rule."""
        own = self.orders_of[-1]
        with suppress(_NoRule):
            for k in range(1, order + 1):
                own.append(self.of(self.whole, k))
            return own
        return None

    def of(self, scalar: Scalar, k: int) -> Node | None:
        """The derivative of order k of an expression; None where it is zero."""
        if (scalar, k) not in self.known:
            self.known[scalar, k] = self._found(scalar, k)
        return self.known[scalar, k]

    def _found(self, scalar: Scalar, k: int) -> Node | None:
        if isinstance(scalar, Access):
            return self.orders_of[scalar.operand][k]
        if k == 0:
            return None if is_zero(scalar) else written(scalar, self.values)
        this = self.this if scalar == self.whole else scalar
        match scalar:
            case Literal():
                return None
            case Apply(function=("add" | "sub" | "neg") as name, arguments=arguments):
                return self._joint(name, [self.of(a, k) for a in arguments])
            case Apply(function="mul", arguments=(x, y)):
                return self._product(x, y, k)
            case Apply(function="square", arguments=(x,)):
                return self._product(x, x, k)
            case Apply(function="div", arguments=(x, y)):
                return self._quotient(this, x, y, k)
            case Apply(function="pow", arguments=(x, Literal(value=int(power)))) if 2 <= power <= _POWERS:
                rest = x if power == 2 else Apply("pow", (x, Literal.of(power - 1)))
                return self._product(x, rest, k)
            case Apply(function="pow", arguments=(x, Literal() as power)):
                return self._power(this, x, power, k)
            case Apply(function="select", arguments=(test, x, y)):
                arms = [self.of(x, k), self.of(y, k)]
                if all(a is None for a in arms):
                    return None
                chosen = (literal(0.0) if a is None else a for a in arms)
                return make("select", (written(test, self.values), *chosen))
            case Apply(function=function, arguments=arguments):
                return self._function(this, function, arguments, k)
        raise _NoRule

    def _joint(self, name: str, parts: Sequence[Node | None]) -> Node | None:
        if name == "neg":
            return _minus(None, parts[0])
        first, second = parts
        return _minus(first, second) if name == "sub" else _sum([(1, p) for p in (first, second) if p is not None])

    def _terms(self, pairs: Sequence[tuple[int, Scalar, int, Scalar, int]]) -> Node | None:
        """A sum of multiples of products of derivatives; equal products are one."""
        counts: dict[Node, int] = {}
        for count, x, i, y, j in pairs:
            a, b = self.of(x, i), self.of(y, j)
            if a is not None and b is not None:
                term = next((t for t in (_times(b, a), _times(a, b)) if t in counts), _times(a, b))
                counts[term] = counts.get(term, 0) + count
        return _sum([(count, term) for term, count in counts.items()])

    def _product(self, x: Scalar, y: Scalar, k: int) -> Node | None:
        return self._terms([(comb(k, j), x, j, y, k - j) for j in range(k + 1)])

    def _quotient(self, this: Scalar, x: Scalar, y: Scalar, k: int) -> Node | None:
        """x = this * y."""
        moved = self._terms([(comb(k, j), this, k - j, y, j) for j in range(1, k + 1)])
        rest = _minus(self.of(x, k), moved)
        return None if rest is None else make("div", (rest, written(y, self.values)))

    def _power(self, this: Scalar, x: Scalar, power: Literal, k: int) -> Node | None:
        """x * this' = power * this * x'."""
        right = self._terms([(comb(k - 1, i), this, i, x, k - i) for i in range(k)])
        left = self._terms([(comb(k - 1, i), x, i, this, k - i) for i in range(1, k)])
        rest = _minus(None if right is None else make("mul", (literal(power.value), right)), left)
        return None if rest is None else make("div", (rest, written(x, self.values)))

    def _function(self, this: Scalar, function: str, arguments: Sequence[Scalar], k: int) -> Node | None:
        """this' is the sum of the derivatives by the arguments times theirs."""
        lines = derivatives(function)
        if lines is None:
            raise _NoRule
        pairs = []
        for argument, line in zip(arguments, lines, strict=True):
            if is_zero(line) or all(self.of(argument, j) is None for j in range(1, k + 1)):
                continue
            slope = put(line, (*arguments, this))
            pairs += [(comb(k - 1, j - 1), argument, j, slope, k - j) for j in range(1, k + 1)]
        return self._terms(pairs)


class _NoRule(Exception):
    """An expression has a part whose derivative the language has no function for."""


def _times(x: Node, y: Node) -> Node:
    if x is y:
        return make("square", (x,))
    for one, other in ((x, y), (y, x)):
        if literal_value(one) == 1:
            return other
    return make("mul", (x, y))


# ---- other nodes


def _one_by_one(node: Node, operands: Sequence[Orders], order: int, symmetric: Collection[Node]) -> list[Orders]:
    """Of a node on operands of its own: each order is the derivative of the one before, as all that it has moves on."""
    apart = forward.Apart(node, {}, symmetric)
    source, directions = dict(apart.source), {}
    own = {true: stand_in for stand_in, true in source.items()}
    for number, (operand, orders) in enumerate(zip(node.args, operands, strict=True)):
        last = max((k for k, d in enumerate(orders) if k and d is not None), default=0)
        here = own[operand]
        for k, d in enumerate(orders[1 : last + 1], 1):
            following = input_node(f"order {k} of operand {number}", operand.tensor)
            directions[here], source[following] = following, zeros(operand.tensor) if d is None else d
            here = following
    found: list[Orders] = []
    for value, true in zip(items(apart.node), items(node), strict=True):
        orders = [true]
        now: Node | None = value
        for _ in range(order):
            (now,) = [None] if now is None else forward.tangents([now], directions, apart.symmetric)
            orders.append(None if now is None else replace([now], source)[0])
        found.append(orders)
    return found
