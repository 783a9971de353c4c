"""A quick guess of the operations that a class takes: it tells which forms are not worth a look.

Nothing is shared in it, and an inverse that meets other factors is taken for a solve. The choice of a plan does not
use it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import combinations

from tpc.ir.dims import DimLike
from tpc.ir.types import TensorType
from tpc.passes.contraction import Contraction
from tpc.passes.contraction.form import letters_of
from tpc.passes.egraph.facts import transposed
from tpc.passes.egraph.graph import EGraph
from tpc.passes.egraph.terms import Applied, Contract, Leaf, Sum, Term
from tpc.passes.stages.times import Uses

# Operations of ops on matrices, in multiples of the cube of their size.
_WORK = {"cholesky": 1 / 3, "ldl": 1 / 3, "lu": 2 / 3, "slogdet": 2 / 3}
_WORK |= {"qr": 4, "eigvalsh": 4 / 3, "eigh": 9, "svdvals": 4, "svd": 22, "pinv": 22, "lstsq": 12}
_WORK |= dict.fromkeys(["matpow", "expm", "logm", "sqrtm", "eig", "eigvals"], 25) | {"sylvester": 60}
_BY_PARTS = {"circulant": 200, "xor_circulant": 100, "from_diagonals": 20}  # for each row of a solve
MOST_OPERANDS = 16  # of a contraction that an order is looked for
_UNKNOWN = float("inf")


class Estimate:
    """Operations of classes and terms at given sizes."""

    def __init__(self, graph: EGraph, sizes: Callable[[DimLike], int], uses: Uses | None = None) -> None:
        self.graph, self.sizes = graph, sizes
        self.uses = uses or Uses(graph)
        self.known: dict[int, float] = {}
        self.free: set[int] = set()
        self.orders: dict[tuple[Contraction, tuple[float, ...], tuple[float, ...], bool], float] = {}
        self.open: set[int] = set()
        self.turned: dict[int, int | None] = {}  # transposes

    def beyond(self, number: int, free: set[int]) -> float:
        """Operations for a class where others are there for nothing."""
        other = Estimate(self.graph, self.sizes, self.uses)
        other.orders, other.turned = self.orders, self.turned
        other.free = free
        return other.value(number)

    def value(self, number: int) -> float:
        """Operations for a class: by its cheapest term."""
        self.graph.spend(1)
        number = self.graph.find(number)
        if number in self.free:
            return 0.0
        found = self.known.get(number)
        if found is not None:
            return found
        if number in self.open:
            return _UNKNOWN
        self.open.add(number)
        result = min((self.term(t) for t in self.graph[number].terms), default=_UNKNOWN)
        self.open.discard(number)
        if not self.open or result < _UNKNOWN:
            self.known[number] = result
        return result

    def entries(self, number: int) -> float:
        type = self.graph[number].type
        total = 1.0
        for dim in type.dims if isinstance(type, TensorType) else ():
            total *= self.sizes(dim)
        return total

    def term(self, term: Term) -> float:
        children = dict.fromkeys(map(self.graph.find, term.children))
        own = self.step(term)
        match term:
            case Sum():
                return own + sum(map(self.value, self._without_transposes(children)))
            case Contract():
                return own + sum(map(self.operand, children))
        return own + sum(map(self.value, children))

    def step(self, term: Term) -> float:
        """Operations of a term alone, where its operands are there."""
        match term:
            case Leaf():
                return 0.0
            case Sum():
                own = self.entries(term.children[0]) * len(term.children)
            case Contract():
                return self.order(term)
            case _:
                own = self._applied(term)
        return own / self.uses.of(term.children)

    def least(self, number: int) -> float:
        """Operations that a class takes at least, whatever is there."""
        return min(map(self.step, self.graph[number].terms), default=_UNKNOWN)

    def _without_transposes(self, summands: Iterable[int]) -> list[int]:
        """Summands of which none is the transpose of another: both are one computation."""
        found: list[int] = []
        for number in summands:
            if len(self.graph.tensor(number).dims) == 2:
                if number not in self.turned:
                    self.turned[number] = transposed(self.graph, number)
                if self.turned[number] in found:
                    continue
            found.append(number)
        return found

    def operand(self, number: int) -> float:
        """Operations for a factor of a product: an inverse is applied, not computed."""
        if number in self.free:
            return 0.0
        inverses = [t for t in self.graph[number].terms if isinstance(t, Applied) and t.op.name == "inv"]
        solved = [self.factors(t.children[0]) / self.uses(t.children[0]) + self.value(t.children[0]) for t in inverses]
        return min([*solved, self.value(number)])

    def is_kept(self, number: int, result: int) -> bool:
        """Whether a product does as an inverse that is applied, with less work, since its factors stay for long."""
        if self.uses.most == 1 or not any(
            isinstance(t, Applied) and t.op.name == "inv" for t in self.graph[number].terms
        ):
            return False
        products = [t for t in self.graph[result].terms if isinstance(t, Contract)]
        applied = [sum(self.operand(c) + self.entries(c) for c in t.children) for t in products]
        return min(applied, default=_UNKNOWN) < self.operand(number)

    def factors(self, number: int) -> float:
        """Operations to factor a matrix."""
        n = self.sizes(self.graph.tensor(number).dims[-1])
        knows = self.graph.knows
        of_parts = min((self._of_parts(t) for t in self.graph[number].terms), default=_UNKNOWN)
        if of_parts < _UNKNOWN:
            return of_parts
        if knows(number, "lower") or knows(number, "upper"):
            return n
        return n**3 / 3 if knows(number, "symmetric") else 2 * n**3 / 3

    def _of_parts(self, term: Term) -> float:
        """Operations for a matrix that is solved with by its parts."""
        match term:
            case Applied(op=op, type=TensorType(dims=(n, _))) if op.name in _BY_PARTS:
                return _BY_PARTS[op.name] * self.sizes(n)
            case Contract(form=Contraction(output=(rows, columns)) as form):
                shared = [n for n in rows if n in columns]
                block = self.sizes(form.size(n for n in rows if n not in shared))
                return self.sizes(form.size(shared)) * 2 * block**3 / 3 if shared and block > 1 else _UNKNOWN
        return _UNKNOWN

    def _applied(self, term: Applied) -> float:
        result = term.type if isinstance(term.type, TensorType) else term.type[0]
        entries = 1.0
        for dim in result.dims:
            entries *= self.sizes(dim)
        if term.op.group != "linalg" or not term.children:
            return 4 * entries
        type = self.graph[term.children[0]].type
        if not isinstance(type, TensorType) or len(type.dims) < 2:
            return 4 * entries
        rows, columns = map(self.sizes, type.dims[-2:])
        if self.graph.knows(term.children[0], "diagonal"):
            return 4 * rows
        if term.op.name == "inv":
            return 3 * self.factors(term.children[0])
        if term.op.name in ("det", "logdet"):
            return self.factors(term.children[0])
        return _WORK.get(term.op.name, 1) * rows * columns * min(rows, columns)

    def order(self, term: Contract) -> float:
        """Operations of a contraction, the cheapest pair first; half where a side is a triangle or turns the other."""
        children = [self.graph.find(c) for c in term.children]
        knows = self.graph.knows
        shares = tuple(0.5 if knows(c, "lower") or knows(c, "upper") else 1.0 for c in children)
        mirrored = len(children) > 1 and all(children.count(c) % 2 == 0 for c in children)
        uses = tuple(map(self.uses, children))
        key = (term.form, shares, uses, mirrored)
        found = self.orders.get(key)
        if found is None:
            self.graph.spend(len(children) ** 2)
            sizes = [self.sizes(e) for e in term.form.extents]
            operands = [frozenset(letters_of(axes)) for axes in term.form.inputs]
            output = frozenset(term.form.output_letters)
            found = self.orders[key] = _greedy(operands, shares, uses, output, sizes, 0.5 if mirrored else 1.0)
        return found


def _greedy(
    operands: Sequence[frozenset[int]],
    shares: Sequence[float],
    uses: Sequence[float],
    output: frozenset[int],
    sizes: Sequence[int],
    last: float,
) -> float:
    """Operations when the cheapest pair is always contracted first."""

    def size(letters: frozenset[int]) -> float:
        total = 1.0
        for n in letters:
            total *= sizes[n]
        return total

    left, parts, stays = list(operands), list(shares), list(uses)
    total = 0.0

    def price(i: int, j: int) -> float:
        work, stay = size(left[i] | left[j]) * min(parts[i], parts[j]), min(stays[i], stays[j])
        if stay == 1:
            return work
        needed = output.union(*(s for k, s in enumerate(left) if k not in (i, j)))
        return work / stay + size((left[i] | left[j]) & needed)  # what is kept is read at each use

    if len(left) == 1 or len(left) > MOST_OPERANDS:
        return sum(map(size, left)) / min(stays, default=1.0)
    while len(left) > 1:
        best: tuple[float, int, int] | None = None
        for i, j in combinations(range(len(left)), 2):
            if len(left) > 2 and not left[i] & left[j] and left[i] and left[j]:
                continue
            work = price(i, j)
            if best is None or work < best[0]:
                best = (work, i, j)
        if best is None:
            i, j = 0, 1
            best = (size(left[0] | left[1]), 0, 1)
        work, i, j = best
        total += 2 * work * (last if len(left) == 2 else 1)
        rest = [s for k, s in enumerate(left) if k not in (i, j)]
        needed = output.union(*rest) if rest else output
        parts = [*(s for k, s in enumerate(parts) if k not in (i, j)), 1.0]
        stays = [*(s for k, s in enumerate(stays) if k not in (i, j)), min(stays[i], stays[j])]
        left = [*rest, (left[i] | left[j]) & needed]
    return total
