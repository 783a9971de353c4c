"""Which values of a program are equal, or transposes of each other, by how they are written.

`(A @ B)'` and `B' @ A'` are one value, `inv(L)'` and `inv(L')` too, and a symmetric matrix is its own transpose. Each
value gets a number, and so does its transpose, whether the program has it or not.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import count

from tpc.ir.facts.lines import Known
from tpc.ir.node import Fact, Node
from tpc.ir.types import TensorType

# Ops f of one matrix with f(A)' = f(A').
OF_TRANSPOSE = ("inv", "pinv", "expm")
PRODUCTS = ("matmul", "matvec", "vecmat", "dot")
COMMUTING = ("add", "mul")
ELEMENTWISE = (*COMMUTING, "sub", "neg", "div")
WRITTEN = frozenset({"after", "transpose", "adjoint", *PRODUCTS, *OF_TRANSPOSE, *ELEMENTWISE})
LONGEST = 64  # the factors of a longer product are not looked into

SYMMETRIC = Fact("symmetric")
# Facts that a matrix has exactly if its transpose has them.
OF_BOTH = frozenset({"symmetric", "psd", "spd", "skew", "orthogonal", "nonsingular", "full_rank", "projection"})


class Identities:
    """Numbers for the values of a program, which are met operands first. A vector stands for a column.

    Attributes
    ----------
    inverted : dict
        Of an inverse, the number of what is inverted.
    """

    def __init__(self) -> None:
        self.inverted: dict[int, int] = {}
        self._known: dict[Node, Known] = {}
        self._nodes: dict[int, Node] = {}  # that have a value, or else the transpose of it
        self._factors: dict[int, tuple[int, ...]] = {}
        self._of: dict[Node, tuple[int, int]] = {}
        self._numbers: dict[Hashable, int] = {}
        self._fresh = count()

    def pair(self, node: Node) -> tuple[int, int]:
        """The numbers of a value and of its transpose, as far as the way in which it is written tells."""
        pair = self._of.get(node)
        if pair is None:
            pair = self._of[node] = self._pair(node) or (next(self._fresh), next(self._fresh))
        return pair

    def known(self, node: Node, facts: frozenset[Fact]) -> Known:
        """A node's type and facts, with the numbers of the value and of its transpose."""
        number, turned = self.pair(node)
        if SYMMETRIC in facts or not node.tensor.dims:
            turned = number
            self._of[node] = number, turned
        self._nodes.setdefault(number, node)
        self._nodes.setdefault(turned, node)
        known = self._known[node] = Known(node.tensor, facts, number, turned)
        return known

    def __contains__(self, number: int) -> bool:
        """Whether a value of the program, or the transpose of one, has a number."""
        return number in self._nodes

    def value(self, number: int) -> tuple[Known, Node]:
        """What is known of a value, and the node that has it; else the facts of its transpose that it shares."""
        node = self._nodes[number]
        known = self._known[node]
        type, facts = known.type, known.facts
        if known.identity == number or type.rank < 2:
            return Known(type, facts, number, self._turned(node, number)), node
        dims = (*type.dims[:-2], type.dims[-1], type.dims[-2])
        kept = frozenset(fact for fact in facts if fact.name in OF_BOTH)
        return Known(TensorType(type.dtype, dims), kept, number, known.identity), node

    def _turned(self, node: Node, number: int) -> int:
        one, other = self._of[node]
        return other if one == number else one

    def factors(self, number: int) -> tuple[int, ...]:
        """The factors of a product; of any other value, the value itself."""
        return self._factors.get(number, (number,))

    def product_of(self, factors: Sequence[Known]) -> Known | None:
        """What is known of the product of some values, if the program has it."""
        numbers = [known.identity for known in factors]
        number = numbers[0] if len(numbers) == 1 else self._numbers.get(("product", *numbers))
        return self.value(number)[0] if isinstance(number, int) and number in self._nodes else None

    def _number(self, *key: Hashable) -> int:
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = next(self._fresh)
        return number

    def _pair(self, node: Node) -> tuple[int, int] | None:
        """The numbers of a value that is written with others; None for any other."""
        name = node.op.name
        if name not in WRITTEN:
            return None
        below = [self.pair(a) for a in node.args]
        if name == "after":
            return below[0]
        if name == "transpose" or (name == "adjoint" and node.tensor.dtype.kind != "c"):
            return below[0][1], below[0][0]
        if name == "matmul":
            return self._product(*below)
        if name in PRODUCTS and all(a.tensor.rank <= 2 for a in node.args):
            first, second = below
            if name == "vecmat":  # x @ A is the column A' @ x
                return self._product(second[::-1], first)
            return self._product(first[::-1] if name == "dot" else first, second)
        if name in OF_TRANSPOSE:
            return self._of_transpose(name, *below[0])
        if name in ELEMENTWISE and all(not a.tensor.dims or a.type is node.type for a in node.args):
            one, other = [n for n, _ in below], [t for _, t in below]
            if name in COMMUTING:
                one, other = sorted(one), sorted(other)
            return self._number(name, *one), self._number(name, *other)
        return None

    def _product(self, a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int] | None:
        one, other = self.factors(a[0]) + self.factors(b[0]), self.factors(b[1]) + self.factors(a[1])
        if len(one) > LONGEST:
            return None
        number, turned = self._number("product", *one), self._number("product", *other)
        self._factors[number], self._factors[turned] = one, other
        return number, turned

    def _of_transpose(self, name: str, number: int, turned: int) -> tuple[int, int]:
        one, other = self._number(name, number), self._number(name, turned)
        if name == "inv":
            self.inverted[one], self.inverted[other] = number, turned
        return one, other
