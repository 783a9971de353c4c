"""A program with sparse kernels: each value is stored in the format that follows from those of its operands."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from math import ceil, expm1, log1p, log2

from tpc.ir.build import cast, make
from tpc.ir.dims import DimLike, product
from tpc.ir.facts import analyse
from tpc.ir.node import Fact, Node, Program
from tpc.ir.notes import follow
from tpc.ir.op import Misfit
from tpc.ir.ops.structure import CONSTANT, IF, INPUT, REPEAT, SCAN
from tpc.ir.rewrite import ordered_facts, rebuilt
from tpc.ir.types import BF16, F16, DType, as_float, promote_all
from tpc.passes.choose.prices import Sizes

FRESH = frozenset(
    ["spgemm", "sddmm", "to_csr", "csr_add", "csr_sub", "csr_mul", "csr_kron", "csr_triangle", "csr_take"]
)
# What has entries only where its first operand has some, and where any of its operands has.
WITHIN = frozenset(["csr_map", "csr_cast", "csr_scale", "csr_div", "csr_triangle"])
SUMS = frozenset(["csr_add", "csr_sub"])
LEAST = 1e-12
FINE = 6  # bits of the densities of results, whose estimates follow from those of operands
FILL = 4  # entries of sparse factors for each of the matrix, as a guess


def lowered(
    program: Program,
    given: Mapping[str, float],
    kept: Mapping[Node, float],
    at: Mapping[str, int],
    formats: Sequence[bool] | None = None,
) -> tuple[Program, list[bool]]:
    """The program on sparse values, and which of its results are sparse.

    Parameters
    ----------
    given
        The densities of inputs that come in sparse.
    kept
        The sparse inputs and matrices of parts that are not made dense at once, and arrays that are made sparse, with
        the densities of these.
    formats
        Which results are to be sparse, where that is known; else those are that come out so.
    """
    lowering = Lowering(program, at, kept)
    for node in program.inputs:
        if node["name"] in given:
            stored = lowering.sparse("csr", (node,), given[node["name"]])
            lowering.made[node] = stored if node in kept else lowering.dense(stored)
    for node, density in kept.items():
        if node not in lowering.made and node.op in (CONSTANT, INPUT):
            lowering.made[node] = lowering.sparse("to_csr", (node,), density)
    results = [lowering.made[node] for node in lowering.run(program)]
    found = [lowering.is_sparse(node) for node in results]
    outputs = [
        lowering.returned(node) if wanted else lowering.dense(node)
        for node, wanted in zip(results, formats or found, strict=True)
    ]
    return lowering.replaced(program, outputs), found


class Lowering:
    """Values of a program, and what they have become; those that are sparse with their densities."""

    def __init__(
        self,
        program: Program,
        at: Mapping[str, int],
        kept: Collection[Node] = (),
        given: Mapping[Node, frozenset[Fact]] | None = None,
    ) -> None:
        from tpc.passes.sparse.products import Products

        self.at, self.size, self.kept = at, Sizes(at), kept
        self.facts = analyse(program, given)
        self.uses: dict[Node, int] = {}
        for node in program.nodes:
            for operand in node.args:
                self.uses[operand] = self.uses.get(operand, 0) + 1
        self.made: dict[Node, Node] = {}
        self.density: dict[Node, float] = {}
        self.diagonals: dict[tuple[DimLike, ...], Node] = {}  # one of each size, for the pattern of all
        self.cover: dict[Node, frozenset[Node]] = {}  # sparse values in whose patterns together that of one lies
        self.products = Products(self)

    def run(self, program: Program) -> Sequence[Node]:
        for node in program.inputs:
            self.made.setdefault(node, node)
        for node in program.nodes:
            if node not in self.made:
                self.made[node] = self.lower(node)
                follow(node, self.made[node])
        return program.outputs

    def replaced(self, program: Program, outputs: Sequence[Node]) -> Program:
        """The program with other results; what is declared of its values is known of what they have become."""
        facts = [
            (node if node.op in (INPUT, CONSTANT) else self.made.get(node, node), known)
            for node, known in program.facts
        ]
        return program.replace(outputs=outputs, facts=ordered_facts(program.inputs, outputs, facts))

    # ---- formats

    def is_sparse(self, node: Node) -> bool:
        return node in self.density

    def sparse(self, op: str, args: Sequence[Node], density: float, **attributes: object) -> Node:
        """A sparse value by one of its ops."""
        if op in SUMS:
            density = min(density, sum(self.density[c] for c in self.covered(*args)))
        node = make(op, args, **attributes, density=round_up(density, FINE))
        self.density[node] = round_up(density, FINE)
        if op in WITHIN:
            self.cover[node] = self.covered(args[0])
        elif op in SUMS:
            self.cover[node] = self.covered(*args)
        elif op == "csr_mul":
            self.cover[node] = self.covered(min(args, key=lambda a: self.density[a]))
        elif op == "csr_diagonal":
            self.cover[node] = frozenset([self.diagonals.setdefault(node.tensor.dims, node)])
        return node

    def covered(self, *nodes: Node) -> frozenset[Node]:
        """Sparse values whose patterns together have every entry of these."""
        return frozenset().union(*(self.cover.get(node, (node,)) for node in nodes))

    def of_sparse(self, op: str, args: Sequence[Node], **attributes: object) -> Node:
        """A dense value of an op whose first operand is sparse."""
        return make(op, args, **attributes, density=self.density[args[0]])

    def dense(self, node: Node) -> Node:
        """A value with all of its entries stored."""
        return self.of_sparse("from_csr", (node,)) if self.is_sparse(node) else node

    def returned(self, node: Node) -> Node:
        """A sparse result that shares no memory with an argument."""
        if self.is_sparse(node) and node.op.name in FRESH:
            return node
        return self.sparse("to_csr", (node,), self.density.get(node, 1.0))

    def as_type(self, node: Node, dtype: DType) -> Node:
        if node.tensor.dtype is dtype:
            return node
        if self.is_sparse(node):
            return self.sparse("csr_cast", (node,), self.density[node], dtype=dtype)
        return cast(node, dtype)

    def met(self, *nodes: Node) -> list[Node]:
        """Values in one dtype."""
        common = promote_all(n.tensor.dtype for n in nodes)
        return [self.as_type(n, common) if n.tensor.rank else n for n in nodes]

    def form(self, node: Node) -> Node | None:
        """A value of the program as a sparse one, where it is one or as good as that: a diagonal matrix."""
        made = self.made[node]
        if self.is_sparse(made):
            return made
        if node.tensor.rank != 2:
            return None
        name, args = node.op.name, node.args
        if name == "eye" and node.tensor.dims[0] == node.tensor.dims[1]:
            ones = make("ones", (), dims=node.tensor.dims[:1], dtype=node.tensor.dtype)
            return self.diagonal(ones)
        if name == "diag" and args[0].tensor.rank == 1:
            return self.diagonal(self.made[args[0]])
        if name == "mul" and 0 in (args[0].tensor.rank, args[1].tensor.rank):
            number, matrix = sorted(args, key=lambda a: a.tensor.rank)
            inner = self.form(matrix)
            return None if inner is None else self.scaled(inner, self.made[number])
        if (
            any(fact.name == "diagonal" for fact in self.facts.get(node, ()))
            and node.tensor.dims[0] == (node.tensor.dims[1])
        ):
            return self.diagonal(make("diag", (made,)))
        return None

    def diagonal(self, entries: Node) -> Node:
        return self.sparse("csr_diagonal", (entries,), 1 / max(self.size(entries.tensor.dims[0]), 1))

    def transposed(self, node: Node) -> Node:
        if not self.is_sparse(node):
            return make("transpose", (node,))
        if node.op.name == "csr_transpose":
            return node.args[0]
        return node if node.op.name == "csr_diagonal" else self.sparse("csr_transpose", (node,), self.density[node])

    def scaled(self, matrix: Node, factor: Node) -> Node:
        """A sparse matrix times a number, a row, a column or a matrix, entry by entry."""
        dtype = promote_all((matrix.tensor.dtype, factor.tensor.dtype))
        if matrix.op.name == "csr_diagonal" and not factor.tensor.rank:
            return self.diagonal(make("mul", (factor, matrix.args[0])))
        factor = self.as_type(factor, dtype) if factor.tensor.rank else factor
        return self.sparse("csr_scale", (self.as_type(matrix, dtype), factor), self.density[matrix])

    def of_parts(self, node: Node) -> Node | None:
        """A matrix that is given by its parts; there are no sparse kernels for half precision."""
        values = node.args[0]
        if values.tensor.dtype in (F16, BF16):
            return None
        whole = max(self.size(product(node.tensor.dims)), 1)
        density = self.size(values.tensor.dims[0]) / whole
        stored = self.sparse("csr_parts", [self.made[a] for a in node.args], density, m=node["m"])
        return stored if node in self.kept else self.dense(stored)

    def taken(self, matrix: Node, places: Node, axis: int) -> Node:
        """The rows of a sparse matrix at positions, or its columns."""
        turned = self.transposed(matrix) if axis else matrix
        taken = self.sparse("csr_take", (turned, places), self.density[matrix])
        return self.transposed(taken) if axis else taken

    def factored(self, old: Node, matrix: Node) -> Node:
        """Sparse triangular factors, which are denser than the matrix; what is known is known of the old value."""
        spd = any(fact.name == "spd" for fact in self.facts.get(old, ()))
        return self.sparse("splu", (matrix,), min(FILL * self.density[matrix], 1.0), spd=spd)

    def solved(self, old: Node, matrix: Node, right: Node, is_turned: bool = False) -> Node:
        """The solution of a system with a sparse matrix: by substitution if it is a triangle, else by its factors.

        What is known is known of the old value, of which the matrix may be the transpose.
        """
        dtype = as_float(promote_all((matrix.tensor.dtype, right.tensor.dtype)))
        matrix, right = self.as_type(matrix, dtype), self.as_type(right, dtype)
        known = {fact.name for fact in self.facts.get(old, ())}
        for name, lower in (("lower", not is_turned), ("upper", is_turned)):
            if name in known:
                return self.of_sparse("csr_solve_triangular", (matrix, right), lower=lower)
        return self.of_sparse("splu_solve", (self.factored(old, matrix), right))

    # ---- ops

    def lower(self, node: Node) -> Node:
        """What a value becomes, whose operands are made."""
        if node.op in (REPEAT, SCAN, IF):
            return self.block(node)
        args = [self.made[a] for a in node.args]
        from tpc.passes.sparse.rules import RULES

        rule = RULES.get(node.op.name)
        if rule is not None and node.tensor.rank <= 2 and all(a.tensor.rank <= 2 for a in args):
            try:
                found = rule(self, node, args)
            except Misfit:  # formats that sparse kernels do not know
                found = None
            if found is not None and found.type is node.type:
                return found
        dense = [self.dense(a) for a in args]
        return node if dense == list(node.args) else rebuilt(node.op, dense, node.attributes, node.type)

    def block(self, node: Node) -> Node:
        """A loop or a branch: what it captures comes in as it is stored, what it carries along is dense."""
        state = node.get("state", 0)
        first = state + (node.op is SCAN)  # inputs of the body before the captured ones
        start = state + (node.op is IF)
        end = len(node.args) - (node.op is REPEAT and node["count"] is None)
        args = [self.made[a] if start <= k < end else self.dense(self.made[a]) for k, a in enumerate(node.args)]
        captured = args[start:end]
        if not any(map(self.is_sparse, captured)):
            return node if args == list(node.args) else rebuilt(node.op, args, node.attributes, node.type)
        attributes = []
        for name, value in node.attributes:
            if isinstance(value, Program):
                inputs = value.inputs[first:]
                known = {i: self.facts.get(a, frozenset()) for i, a in zip(inputs, node.args[start:end], strict=True)}
                value = self.body(value, dict(zip(inputs, captured, strict=True)), known)
            attributes.append((name, value))
        return rebuilt(node.op, args, attributes, node.type)

    def body(self, body: Program, captured: Mapping[Node, Node], known: Mapping[Node, frozenset[Fact]]) -> Program:
        inner = Lowering(body, self.at, given=known)
        for node, outside in captured.items():
            if self.is_sparse(outside):
                inner.density[node] = self.density[outside]
                inner.made[node] = node
        return inner.replaced(body, [inner.dense(inner.made[node]) for node in inner.run(body)])


def round_up(density: float, bits: int = 2) -> float:
    """A density in few bits after the leading one, so that calls with nearly as many entries have one plan."""
    unit = 2.0 ** (ceil(log2(max(min(density, 1.0), LEAST))) - 1 - bits)
    return ceil(min(density, 1.0) / unit) * unit


def of_product(first: float, second: float, inner: int) -> float:
    """The density that is expected of a product of matrices whose patterns have nothing to do with each other."""
    meeting = first * second
    return 1.0 if meeting >= 1 else max(-expm1(inner * log1p(-meeting)), LEAST)
