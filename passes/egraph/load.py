"""Programs into e-graphs: multilinear regions become contractions, sums multisets, and `A \\ b` becomes inv(A) @ b."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import isfinite

from tpc.ir.build import cast, literal_value, make, operation
from tpc.ir.dims import DimLike
from tpc.ir.facts import analyse, nonnegative_sizes
from tpc.ir.node import Fact, Node, Program
from tpc.ir.ops.structure import INDEX, LITERAL
from tpc.ir.types import DType, TensorType, real_part
from tpc.passes.contraction import Contraction, Product, Wiring, product_of, summands_of
from tpc.passes.egraph.graph import EGraph
from tpc.passes.egraph.terms import Contract, Number

MOST_COPIES = 4  # of a shared product in one region: squares of squares have exponentially many factors
_REARRANGING = frozenset(["reshape", "squeeze", "unsqueeze", "broadcast_to"])
_SUMS = frozenset(["sum", "mean"])
_LINEAR = frozenset(["add", "sub", "neg"])


def load(
    program: Program, given: Mapping[Node, frozenset[Fact]] | None = None, uses: Mapping[Node, float] | None = None
) -> tuple[EGraph, dict[Node, int]]:
    """The values of a program as classes; nodes inside of multilinear regions have none.

    Facts that are declared, and those that the author promises by writing an op (such as `nonsingular(A)` by
    `inv(A)`), are facts of the classes; so are those that are `given`. `uses` are those of inputs that stay for long.
    """
    loader = _Loader(program, given or {})
    loader.run()
    loader.graph.given = dict(uses or {})
    loader.graph.asked = tuple(loader.classes[n] for n in program.outputs)
    return loader.graph, loader.classes


class _Loader:
    def __init__(self, program: Program, given: Mapping[Node, frozenset[Fact]]) -> None:
        self.program = program
        self.graph = EGraph(nonnegative_sizes(program.where))
        self.classes: dict[Node, int] = {}
        self.products: dict[Node, Product | None] = {}
        self.facts: dict[Node, tuple[Fact, ...]] = {n: tuple(f) for n, f in given.items() if f}
        for node, facts in program.facts:
            self.facts[node] = (*self.facts.get(node, ()), *facts)
        # the classes of a graph prove facts of matrices; those of batches of matrices are proven here
        known = analyse(program, given)
        self.of_batches = {
            n: known[n] for n in program.nodes if isinstance(n.type, TensorType) and n.tensor.rank > 2 and known.get(n)
        }
        self.users: dict[Node, list[Node]] = {}

    def run(self) -> None:
        nodes = self.program.nodes
        for node in nodes:
            for operand in node.args:
                self.users.setdefault(operand, []).append(node)
        results = set(self.program.outputs)
        for node in nodes:
            if not self._is_inside(node, results):
                self.value(node)

    def _is_inside(self, node: Node, results: set[Node]) -> bool:
        """Whether a node is only a part of one larger product."""
        users = self.users.get(node, [])
        if len(users) != 1 or node in results or node in self.facts or self.product(node) is None:
            return False
        (user,) = users
        return self.product(user) is not None and _dtype(user) is _dtype(node)

    def product(self, node: Node) -> Product | None:
        """The node as a product of its operands, if it is one."""
        if node not in self.products:
            self.products[node] = self._product(node)
        return self.products[node]

    def _product(self, node: Node) -> Product | None:
        if not isinstance(node.type, TensorType) or not node.args or not node.tensor.dtype.is_float:
            return None
        op = node.op
        multilinear = op.group == "products" or op.name in _REARRANGING or op.name in _SUMS or op is INDEX
        if not multilinear and op.name not in ("mul", "square"):
            return None
        if op.name == "diag" and node.args[0].tensor.rank == 1:
            from tpc.passes.contraction import diagonal

            return Product(1, (), (), diagonal(node.args[0].tensor.dims[0]), (0,))
        types = [a.tensor for a in node.args]
        if any(t.dtype.kind == "b" for t in types):
            return None
        formula = op.formula(types, dict(node.attributes))
        return None if formula is None else product_of(formula, types)

    # ---- values

    def value(self, node: Node) -> int:
        """The class of a node; those of its operands are found before."""
        found = self.classes.get(node)
        if found is None:
            found = self._value(node)
            self.classes[node] = found
            made = self.graph[found]
            made.node = made.node or node
            if (batch := self.of_batches.get(node)) is not None:
                self.graph.learn(found, batch)
                self.graph.rebuild()
                found = self.classes[node] = self.graph.find(found)
            if node in self.facts:
                self.graph.learn(found, self.facts[node])
                self.graph.rebuild()
                found = self.classes[node] = self.graph.find(found)
                self._diagonal(found)
        return found

    def _diagonal(self, number: int) -> None:
        """A declared diagonal matrix is the matrix with its diagonal."""
        found = self.graph[number]
        dims = found.tensor.dims
        if not self.graph.knows(number, "diagonal") or len(dims) != 2 or dims[0] != dims[1] or found.product:
            return
        if dims[0] == 1:
            return
        line = TensorType(found.tensor.dtype, dims[:1])
        entries = self.graph.add(Contract(Contraction((((0,), (0,)),), ((0,),), dims[:1]), (found.id,)), line)
        entry = self.graph[entries]
        entry.product, entry.order = None, found.order - 0.5
        signs = [Fact("positive")] if self.graph.knows(number, "spd") else []
        self.graph.learn(entries, signs)
        from tpc.passes.contraction import diagonal

        whole = Contract(diagonal(dims[0]), (entries,))
        self.graph.put(found.id, whole)
        found.product = whole

    def operand(self, node: Node, dtype: DType) -> int:
        """The class of an operand in the format of the result; scalar numbers take it on by themselves, and real
        operands of complex ones stay real."""
        given = node.tensor.dtype
        if given in (dtype, real_part(dtype)) or (given.is_weak and not node.tensor.dims):
            return self.value(node)
        return self.value(cast(node, dtype))

    def _value(self, node: Node) -> int:
        graph, type = self.graph, node.type
        if not node.args or not isinstance(type, TensorType):
            return self._opaque(node)
        dtype = type.dtype
        if not dtype.is_float or dtype.is_weak:
            return self._opaque(node)
        name, args = node.op.name, node.args
        if name == "cast" and args[0].tensor.dims and args[0].tensor.dtype.is_weak:
            strong = _strong(args[0], dtype)
            return self.value(strong) if strong is not node else self._opaque(node)
        if name in _LINEAR:
            signs: Sequence[Number] = {"add": (1, 1), "sub": (1, -1), "neg": (-1,)}[name]
            return graph.sum([(s, self._stretched(a, type)) for s, a in zip(signs, args, strict=True)], type)
        if name == "mul" and (value := number_of(args[0])) is not None:
            return graph.sum([(value, self._stretched(args[1], type))], type)
        if name == "div":
            return self._quotient(node)
        if name == "solve" and args[0].tensor.dtype is dtype:
            return self._solution(node)
        product = self.product(node)
        if product is not None:
            return self._contraction(node, product)
        total = self._total(node) if node.op is INDEX else None
        return self._opaque(node) if total is None else total

    def _stretched(self, node: Node, type: TensorType) -> int:
        value = number_of(node)
        if value is not None and not node.tensor.dims:
            return self.graph.number(value, type.dtype, type.dims)
        part = self.operand(node, type.dtype)
        return part if node.tensor.dims == type.dims else self.graph.stretch(part, type.dims, type.dtype)

    def _quotient(self, node: Node) -> int:
        type = node.tensor
        above, below = node.args
        value = number_of(below)
        if value:
            return self.graph.sum([(1 / Fraction(value), self._stretched(above, type))], type)
        inverse = self.graph.reciprocal(self.operand(below, type.dtype))
        if (value := number_of(above)) is not None:
            if value == 1 and below.tensor.dims == type.dims:
                return inverse
            return self.graph.sum([(value, self.graph.stretch(inverse, type.dims, type.dtype))], type)
        parts = [self.operand(above, type.dtype), inverse]
        return self.graph.multiply(parts, type.dtype, type.dims)

    def _total(self, node: Node) -> int | None:
        """An index statement that is a sum of products; None where it is none."""
        types = [a.tensor for a in node.args]
        if any(t.dtype is not node.tensor.dtype for t in types):
            return None
        parts = [(sign, product_of(f, types)) for sign, f in summands_of(node["formula"])]
        summands: list[tuple[Number, int]] = []
        for sign, product in parts:
            if product is None:
                return None
            operands = [self.value(node.args[k]) for k in product.operands]
            summands.append((sign, self.graph.product(product, operands, node.tensor.dtype)))
        return self.graph.sum(summands, node.tensor)

    def _solution(self, node: Node) -> int:
        matrix, right = node.args
        type = matrix.tensor
        inverse = operation("inv")
        self.graph.learn(self.value(matrix), [Fact("nonsingular")])
        solver = self.graph.apply(inverse, [self.value(matrix)], (), type)
        name = "matvec" if right.tensor.rank == 1 else "matmul"
        formula = operation(name).formula([type, right.tensor], {})
        assert formula is not None
        product = product_of(formula, [type, right.tensor])
        assert product is not None
        return self.graph.contract(product.form, [solver, self.operand(right, type.dtype)], node.tensor.dtype)

    def _contraction(self, node: Node, product: Product) -> int:
        """The product that a node and what is inside of its region make."""
        graph, dtype = self.graph, node.tensor.dtype
        wiring = Wiring()
        coefficient: Number = 1
        inputs, children = [], []
        sizes: list[DimLike] = []
        divisors: list[DimLike] = []
        given, output = wiring.instance(product.form)
        stack = [(node, product, given)]
        copies: Counter[Node] = Counter()
        while stack:
            here, product, axes = stack.pop()
            copies[here] += 1
            coefficient *= product.coefficient
            sizes += product.sizes
            divisors += product.divisors
            for position, operand_axes in zip(product.operands, axes, strict=True):
                operand = here.args[position]
                value = number_of(operand)
                if value is not None:
                    coefficient *= value
                    continue
                inner = self.products.get(operand) if operand not in self.classes else None
                if inner is not None and copies[operand] < MOST_COPIES:
                    inner_axes, result = wiring.instance(inner.form)
                    if wiring.join(operand_axes, result):
                        stack.append((operand, inner, inner_axes))
                        continue
                inputs.append(operand_axes)
                children.append(self.operand(operand, dtype))
        form, alone = wiring.freeze(inputs, output)
        whole = Product(coefficient, (*sizes, *alone), tuple(divisors), form, tuple(range(len(children))))
        return graph.product(whole, children, dtype)

    def _opaque(self, node: Node) -> int:
        graph = self.graph
        if node.op.name in ("eye", "ones", "zeros") and isinstance(node.type, TensorType) and _is_strong(node.tensor):
            return self._constant(node)
        if not node.args:
            return graph.leaf(node)
        children = [self.value(a) for a in node.args]
        if node.op.needs:
            promised = node.op.needs.partition("(")[0]
            graph.learn(children[0], [Fact(promised)])
        return graph.apply(node.op, children, node.attributes, node.type)

    def _constant(self, node: Node) -> int:
        from tpc.passes.contraction import filled

        type = node.tensor
        if node.op.name == "eye" and type.dims[0] == type.dims[1]:
            n = type.dims[0]
            form = Contraction((), ((0,), (0,)), (n,)) if n != 1 else filled(type.dims)
            return self.graph.contract(form, [], type.dtype)
        if node.op.name == "eye":
            return self.graph.leaf(node)
        return self.graph.number(1 if node.op.name == "ones" else 0, type.dtype, type.dims)


def _strong(node: Node, dtype: DType) -> Node:
    """An array of numbers in a format, as if it had been made in it: `2 * eye(n)`.

    Only arrays of numbers take the format on: of `select(b, 0.0, 1.0)` with a boolean array b there is none, and the
    whole is cast. Real numbers beside complex ones are made as real ones: some functions know no others.
    """
    if dtype.kind == "c" and node.tensor.dtype.kind != "c":
        return cast(_strong(node, real_part(dtype)), dtype)
    if node.op.group in ("elementwise", "products") and node.args:
        weak = [bool(a.tensor.dims) and a.tensor.dtype.is_weak for a in node.args]
        if any(weak):
            operands = [_strong(a, dtype) if is_weak else a for a, is_weak in zip(node.args, weak)]
            made = make(node.op, operands, **dict(node.attributes))
            if made.tensor.dtype is dtype:
                return made
    return cast(node, dtype)


def _is_strong(type: TensorType) -> bool:
    return type.dtype.is_float and not type.dtype.is_weak


def _dtype(node: Node) -> DType | None:
    return node.type.dtype if isinstance(node.type, TensorType) else None


def number_of(node: Node) -> Number | None:
    """The finite real number that a node is."""
    value = literal_value(node) if node.op is LITERAL else None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not isfinite(value):
        return None
    return value
