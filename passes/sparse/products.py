"""Products with sparse factors: their order by the entries that are stored, and products of which few are needed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tpc.ir.build import literal, make
from tpc.ir.node import Node

if TYPE_CHECKING:
    from tpc.passes.sparse.lowering import Lowering

PRODUCTS = ("matmul", "matvec", "vecmat")
# Operations of a dense product that take as long as one of a kernel, for one column and for many.
SPMM, SPMV, SPGEMM, GEMV = 8.0, 8.0, 20.0, 4.0


class Products:
    """Products of matrices in one program that is lowered."""

    def __init__(self, lowering: Lowering) -> None:
        self.lowering = lowering

    # ---- chains

    def chain(self, node: Node) -> Node | None:
        """A product of several factors in the cheapest order; None where none of them is sparse."""
        factors = self.factors(node, outermost=True)
        if not any(self.lowering.is_sparse(self.lowering.made[f]) or _inverse(f)[0] for f in factors):
            return None
        return self.ordered(factors)

    def factors(self, node: Node, outermost: bool = False) -> list[Node]:
        """The factors of a product; one that something else needs too stays one, if it is a matrix."""
        alone = outermost or node.tensor.rank == 1 or self.lowering.uses.get(node, 0) <= 1
        if node.op.name not in PRODUCTS or not alone or node.tensor.rank > 2:
            return [node]
        first, second = node.args
        if first.tensor.rank > 2 or second.tensor.rank > 2:
            return [node]
        return [*self.factors(first), *self.factors(second)]

    def ordered(self, factors: Sequence[Node]) -> Node | None:
        lowering = self.lowering
        for place, factor in enumerate(factors):
            matrix, is_turned = _inverse(factor)
            if matrix is not None and lowering.is_sparse(lowering.made[matrix]):
                return self.with_inverse(factors, place, matrix, is_turned)
        values = [lowering.form(f) or lowering.made[f] for f in factors]
        if not any(map(lowering.is_sparse, values)):
            return None
        return self.best(values)

    def with_inverse(self, factors: Sequence[Node], place: int, matrix: Node, is_turned: bool) -> Node | None:
        """A product with the inverse of a sparse matrix, or of its transpose: a solve from the right or the left."""
        lowering = self.lowering
        stored = lowering.made[matrix]
        before, after = factors[:place], factors[place + 1 :]
        if after:
            right = self.whole(after)
            own = lowering.transposed(stored) if is_turned else stored
            solved = lowering.solved(matrix, own, lowering.dense(right), is_turned)
            return self.best([*(lowering.made[f] for f in before), solved]) if before else solved
        left = lowering.dense(self.whole(before))
        turned = lowering.transposed(left) if left.tensor.rank == 2 else left
        own = stored if is_turned else lowering.transposed(stored)
        solved = lowering.solved(matrix, own, turned, not is_turned)
        return lowering.transposed(solved) if left.tensor.rank == 2 else solved

    def whole(self, factors: Sequence[Node]) -> Node:
        found = self.ordered(factors)
        return found if found is not None else self.best([self.lowering.made[f] for f in factors])

    def best(self, values: Sequence[Node]) -> Node:
        """The product in the order that takes the least time."""
        found: dict[tuple[int, int], tuple[float, Node]] = {(k, k + 1): (0.0, v) for k, v in enumerate(values)}
        for length in range(2, len(values) + 1):
            for start in range(len(values) - length + 1):
                end = start + length
                ways = []
                for middle in range(start + 1, end):
                    (one, left), (two, right) = found[start, middle], found[middle, end]
                    if left.tensor.rank == 1 and right.tensor.rank == 1 and (start, end) != (0, len(values)):
                        continue
                    ways.append((one + two + self.work(left, right), middle))
                least, middle = min(ways)
                found[start, end] = least, self.product(found[start, middle][1], found[middle, end][1])
        return found[0, len(values)][1]

    def work(self, left: Node, right: Node) -> float:
        """What a product of two takes, in operations of a large dense product."""
        size, density = self.lowering.size, self.lowering.density
        inner = size(left.tensor.dims[-1])
        rows = size(left.tensor.dims[0]) if left.tensor.rank == 2 else 1
        columns = size(right.tensor.dims[1]) if right.tensor.rank == 2 else 1
        dense = 2.0 * rows * inner * columns
        share = density.get(left, 1.0) * density.get(right, 1.0)
        if left in density and right in density:
            return SPGEMM * dense * share
        if left in density or right in density:
            return (SPMV if 1 in (rows, columns) else SPMM) * dense * share
        return (GEMV if 1 in (rows, columns) else 1.0) * dense

    def product(self, left: Node, right: Node) -> Node:
        """The product of two matrices, or of a matrix and a vector."""
        lowering = self.lowering
        left, right = lowering.met(left, right)
        if left.op.name == "csr_diagonal" and right.tensor.rank == 2:
            return self.rows_scaled(right, left.args[0], 1)
        if right.op.name == "csr_diagonal" and left.tensor.rank == 2:
            return self.rows_scaled(left, right.args[0], 0)
        match lowering.is_sparse(left), lowering.is_sparse(right):
            case True, True:
                from tpc.passes.sparse.lowering import of_product

                inner = lowering.size(left.tensor.dims[1])
                return lowering.sparse(
                    "spgemm", (left, right), of_product(lowering.density[left], lowering.density[right], inner)
                )
            case True, False:
                return lowering.of_sparse("spmm", (left, right))
            case False, True:
                turned = lowering.transposed(right)
                if left.tensor.rank == 1:
                    return lowering.of_sparse("spmm", (turned, left))
                return lowering.transposed(lowering.of_sparse("spmm", (turned, lowering.transposed(left))))
        ranks = left.tensor.rank, right.tensor.rank
        return make({(1, 1): "dot", (1, 2): "vecmat", (2, 1): "matvec"}.get(ranks, "matmul"), (left, right))

    def rows_scaled(self, matrix: Node, entries: Node, axis: int) -> Node:
        """The rows of a matrix (for a new last axis), or its columns, times the entries of a vector."""
        factors = make("unsqueeze", (entries,), axis=axis)
        if not self.lowering.is_sparse(matrix):
            return make("mul", (matrix, factors))
        if matrix.op.name == "csr_diagonal":
            return self.lowering.diagonal(make("mul", (matrix.args[0], entries)))
        return self.lowering.scaled(matrix, factors)

    # ---- products of which only some entries, or their sums, are needed

    def paired(self, node: Node) -> Node | None:
        """The entries P * Q' of a product P @ Q with sparse P or Q, whose row sums are its diagonal."""
        lowering = self.lowering
        factors = self.factors(node, outermost=True)
        if len(factors) < 2 or node.tensor.rank != 2:
            return None
        values = [lowering.form(f) or lowering.made[f] for f in factors]
        if not any(map(lowering.is_sparse, values)):
            return None
        splits = [(self.best(values[:k]), self.best(values[k:])) for k in range(1, len(values))]
        ready = [(left, right) for left, right in splits if lowering.is_sparse(left) or lowering.is_sparse(right)]
        if not ready:
            return None
        left, right = lowering.met(*min(ready, key=lambda pair: sum(lowering.density.get(p, 1.0) for p in pair)))
        turned = lowering.transposed(right)
        if lowering.is_sparse(left) and lowering.is_sparse(turned):
            density = min(lowering.density[left], lowering.density[turned])
            return lowering.sparse("csr_mul", (left, turned), density)
        return lowering.scaled(left, turned) if lowering.is_sparse(left) else lowering.scaled(turned, left)

    def sampled(self, pattern: Node, node: Node) -> Node | None:
        """Sparse `pattern * node`, where `node` is made of products that are not computed outside of the pattern."""
        lowering = self.lowering
        if node.tensor.rank != 2 or node.tensor.dims != pattern.tensor.dims:
            return None
        if lowering.is_sparse(lowering.made[node]):
            return None
        name, args = node.op.name, node.args
        made = [lowering.made[a] for a in args]
        if name == "matmul":
            return self.sampled_product(pattern, node)
        if name == "outer":
            return self.rows_scaled(self.rows_scaled(pattern, made[0], 1), made[1], 0)
        if name == "transpose":
            found = self.sampled(lowering.transposed(pattern), args[0])
            return None if found is None else lowering.transposed(found)
        if name == "neg":
            found = self.sampled(pattern, args[0])
            return None if found is None else lowering.scaled(found, literal(-1))
        if name == "mul" and 0 in (args[0].tensor.rank, args[1].tensor.rank):
            number, matrix = sorted(args, key=lambda a: a.tensor.rank)
            found = self.sampled(pattern, matrix)
            return None if found is None else lowering.scaled(found, lowering.made[number])
        if name in ("add", "sub"):
            return self.sampled_sum(pattern, node)
        return None

    def sampled_product(self, pattern: Node, node: Node) -> Node | None:
        """At the entries of a pattern, a product of dense matrices; in two parts that meet in the fewest terms."""
        lowering = self.lowering
        values = [lowering.made[f] for f in self.factors(node, outermost=True)]
        if any(map(lowering.is_sparse, values)) or len(values) < 2:
            return None
        middle = min(range(1, len(values)), key=lambda k: lowering.size(values[k].tensor.dims[0]))
        parts = lowering.met(pattern, self.best(values[:middle]), self.best(values[middle:]))
        return lowering.sparse("sddmm", parts, lowering.density[pattern])

    def sampled_sum(self, pattern: Node, node: Node) -> Node | None:
        """A sum of which a term is sampled."""
        lowering = self.lowering
        terms = [self.sampled(pattern, a) for a in node.args]
        if all(term is None for term in terms):
            return None
        found = []
        for term, operand in zip(terms, node.args, strict=True):
            made = lowering.made[operand]
            if term is not None:
                found.append(term)
            elif lowering.is_sparse(made):
                found.append(lowering.sparse("csr_mul", lowering.met(pattern, made), lowering.density[pattern]))
            else:
                found.append(lowering.scaled(pattern, made))
        first, second = lowering.met(*found)
        return lowering.sparse(
            "csr_add" if node.op.name == "add" else "csr_sub", (first, second), lowering.density[pattern]
        )


def _inverse(node: Node) -> tuple[Node | None, bool]:
    """The matrix of which a factor is the inverse, perhaps of its transpose."""
    is_turned = node.op.name == "transpose"
    inner = node.args[0] if is_turned else node
    return (inner.args[0] if inner.op.name == "inv" and inner.args[0].tensor.rank == 2 else None), is_turned
