"""The facts of every node of a program, and how each was found."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from functools import lru_cache

from tpc.ir.dims import DimLike
from tpc.ir.facts.blocks import is_aligned, of_blocks
from tpc.ir.facts.closing import Growing, Reason, closure
from tpc.ir.facts.congruence import SHIFT, congruence, of_shift
from tpc.ir.facts.derivation import Derivation, Why
from tpc.ir.facts.entries import of_entries
from tpc.ir.facts.identities import PRODUCTS, Identities
from tpc.ir.facts.inference import derive, require
from tpc.ir.facts.lines import Known, nonnegative_sizes, statements
from tpc.ir.facts.vocabulary import OF_USE, covers
from tpc.ir.node import Constraint, Fact, Node, Program
from tpc.ir.ops.structure import CALL, INDEX, ITEM
from tpc.ir.sizes import with_sizes
from tpc.ir.types import TensorType

NOTHING: frozenset[Fact] = frozenset()


def analyse(
    program: Program, given: Mapping[Node, frozenset[Fact]] | None = None, *, promises: bool = True
) -> Analysis:
    """The facts of every node of a program: declared, promised by its use, or following from its op and operands.

    Writing `inv(E)` promises that E is nonsingular (`Op.needs`); the promise counts as a fact of E, and so does what
    it says of the operands of E. Nodes with several results have no facts; the nodes that take one of them do. Of
    inner programs only called ones are looked into, for the facts of their results.

    Parameters
    ----------
    given : dict, optional
        Facts of nodes (inputs, mostly) beyond what the program declares.
    promises : bool
        Whether promises count. Without them, only what is declared or proved is found.
    """
    return Analysis(program, given or {}, promises)


class Analysis(Mapping[Node, frozenset[Fact]]):
    """The facts of each node; `why` tells how one of them was found."""

    def __init__(
        self,
        program: Program,
        given: Mapping[Node, frozenset[Fact]],
        promises: bool,
        bodies: dict[Hashable, Analysis] | None = None,
    ) -> None:
        # shared by all calls below, or functions that call each other twice would double at every step
        self._bodies = {} if bodies is None else bodies
        self.program, self._promises = program, promises
        self.nonnegative = nonnegative_sizes(program.where)
        self._nodes = [*dict.fromkeys([*program.inputs, *program.nodes])]
        self._stated: dict[Node, dict[Fact, Why]] = {}
        for node, facts in given.items():
            self._state(node, {fact: Why("given") for fact in facts})
        for node, declared in program.facts:
            self._state(node, {fact: Why("declared") for fact in declared})
        if promises:
            self._promise()
        self._identities = Identities()
        self._called: dict[Node, Analysis] = {}
        self._found: dict[Node, frozenset[Fact]] = {}
        self._known: dict[Node, Known] = {}
        for node in self._nodes:
            self._found[node] = NOTHING
            if isinstance(node.type, TensorType):
                facts = frozenset([fact for fact, _, _ in self._derived(node)]).union(self._stated.get(node, ()))
                self._found[node] = closure(node.type, facts, self.nonnegative) if facts else facts
                self._known[node] = self._identities.known(node, self._found[node])

    def __getitem__(self, node: Node) -> frozenset[Fact]:
        return self._found[node]

    def __iter__(self) -> Iterator[Node]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def known(self, node: Node) -> Known | None:
        """A node with its identity, as `derive` takes it; None if it has several results."""
        return self._known.get(node)

    def why(self, node: Node, fact: Fact) -> Derivation:
        """How a fact of a node was found; raises KeyError if it is not known.

        Derivations are found again when they are asked for, so that an analysis costs nothing more for them.
        """
        whys = self._reasons(node)
        found = fact if fact in whys else next((known for known in whys if covers(known, fact)), None)
        if found is None:
            raise KeyError(fact)
        why = whys[found]
        return Derivation(node, found, why.how, tuple(self.why(*premise) for premise in why.premises), why.by)

    def _reasons(self, node: Node) -> dict[Fact, Why]:
        """Every fact of a node with the first reason found, and what was stated before what follows."""
        growing = Growing(node.tensor, self.nonnegative)
        whys: dict[Fact, Why] = {}

        def grow(facts: Mapping[Fact, Why]) -> None:
            for fact, why in facts.items():
                whys.setdefault(fact, why)
                growing.add(fact, Reason(why.how))
            growing.close()
            for fact, reason in growing.reasons.items():
                whys.setdefault(fact, _why(reason, node, ()))

        grow(self._stated.get(node, {}))
        for fact, reason, nodes in self._derived(node):
            grow({fact: _why(reason, node, nodes)})
        return whys

    def _state(self, node: Node, facts: Mapping[Fact, Why]) -> None:
        stated = self._stated.setdefault(node, {})
        for fact, why in facts.items():
            stated.setdefault(fact, why)

    def _promise(self) -> None:
        """State what is promised, from the results to the operands."""
        for node in reversed(self._nodes):
            for fact, operand in promises_of(node):
                self._state(operand, {fact: Why("promised", by=node)})
        for node in reversed(self._nodes):
            stated = self._stated.get(node)
            if stated and node.args and isinstance(node.type, TensorType):
                result = Known(node.type, closure(node.type, frozenset(stated), self.nonnegative))
                operands = [Known(a.type) if isinstance(a.type, TensorType) else None for a in node.args]
                required = require(node.op, dict(node.attributes), operands, result, self.nonnegative)
                for position, fact, reason in required:
                    self._state(node.args[position], {fact: _why(reason, node, node.args)})

    def _derived(self, node: Node) -> Iterator[tuple[Fact, Reason, Sequence[Node]]]:
        """What follows for a node from the facts of its operands; the reasons speak of the nodes beside them."""
        source, about = node, "this"
        if node.op is ITEM:
            source, about = node.args[0], f"this{node['position']}"
        op, args = source.op, source.args
        if op is CALL:
            yield from self._of_call(source, node.get("position", 0))
            return
        operands = [self._known.get(a) for a in args]
        for fact, reason in derive(op, dict(source.attributes), operands, node.tensor, about, self.nonnegative):
            yield fact, reason, args
        if op.name in PRODUCTS:
            yield from self._of_product(node)
        elif op.name == "concat" and node.tensor.rank == 2:
            yield from self._of_blocks(node)
        elif op.name == "add" and node.tensor.rank == 2:
            yield from self._of_shift(node)
        elif op is INDEX:
            for fact, reason in of_entries(node["formula"], node.tensor.dtype.kind in "fi"):
                yield fact, reason, args

    def _of_product(self, node: Node) -> Iterator[tuple[Fact, Reason, Sequence[Node]]]:
        identities = self._identities
        number, turned = identities.pair(node)
        factors = identities.factors(number)
        yield from self._of_multiple(factors)
        if len(factors) < 3:
            return
        if number == turned:
            yield Fact("symmetric"), Reason("its transpose is the same product"), ()
        chain, nodes = zip(*(identities.value(n) for n in factors), strict=True)
        for fact, reason in congruence(chain, self.nonnegative, identities.product_of):
            yield fact, reason, nodes
        half = len(factors) // 2
        middle = identities.inverted.get(factors[half])
        gram = factors[half + 1 :] + factors[:half]
        if middle is not None and number == turned and identities.factors(middle) == gram:
            yield Fact("projection", chain[half].type.dims[-1:]), Reason("it is X @ inv(X' @ X) @ X'"), ()

    def _of_multiple(self, factors: Sequence[int]) -> Iterator[tuple[Fact, Reason, Sequence[Node]]]:
        """What a product keeps of the one without the numbers that its factors are multiplied by: `a * X' @ X`."""
        plain, signs, identities = [], {"nonnegative"}, self._identities
        if not all(number in identities for number in factors):
            return
        for number in factors:
            node = identities.value(number)[1]
            found = (
                next((k for k, a in enumerate(node.args) if not a.tensor.dims), None) if node.op.name == "mul" else None
            )
            if found is None or not node.tensor.dims:
                plain.append(number)
                continue
            one, turned = identities.pair(node.args[1 - found])
            plain.append(one if identities.pair(node)[0] == number else turned)
            signs &= {fact.name for fact in self._found[node.args[found]]}
        if plain == list(factors) or not signs or not all(number in identities for number in plain):
            return
        chain, nodes = zip(*(identities.value(n) for n in plain), strict=True)
        for fact, reason in congruence(chain, self.nonnegative, identities.product_of):
            if fact.name in ("psd", "symmetric"):
                yield fact, reason, nodes

    def _of_shift(self, node: Node) -> Iterator[tuple[Fact, Reason, Sequence[Node]]]:
        identities = self._identities
        for shift, product in (node.args, node.args[::-1]):
            if product.type is node.type and {fact.name for fact in self._found.get(shift, ())} >= SHIFT:
                numbers = identities.factors(identities.pair(product)[0])
                chain, nodes = zip(*(identities.value(n) for n in numbers), strict=True)
                for fact, reason in of_shift(chain, self.nonnegative, identities.product_of):
                    yield fact, reason, nodes

    def _of_blocks(self, node: Node) -> Iterator[tuple[Fact, Reason, Sequence[Node]]]:
        lines = node.args if node["axis"] in (0, -2) else (node,)
        rows = [line.args if line.op.name == "concat" and line["axis"] in (1, -1) else (line,) for line in lines]
        grid = [[self._known[block] for block in row] for row in rows]
        if is_aligned(grid):
            for fact, reason in of_blocks(grid, self.nonnegative):
                yield fact, reason, [block for row in rows for block in row]

    def of_call(self, node: Node) -> Analysis:
        """The analysis of the body of a call, whose sizes are already those of the call."""
        if node not in self._called:
            (body,) = node.programs
            body = _body_at(body, node["sizes"], self.program.where)
            given = {i: _of_value(self._found[a]) for i, a in zip(body.inputs, node.args)}
            key = (body, tuple(given.items()))
            if key not in self._bodies:
                self._bodies[key] = Analysis(body, given, self._promises, self._bodies)
            self._called[node] = self._bodies[key]
        return self._called[node]

    def _of_call(self, node: Node, position: int) -> Iterator[tuple[Fact, Reason, Sequence[Node]]]:
        inner = self.of_call(node)
        for fact in _of_value(inner[inner.program.outputs[position]]):
            yield fact, Reason(f"found in the body of `{inner.program.name}`"), ()


def _why(reason: Reason, node: Node, nodes: Sequence[Node]) -> Why:
    """A reason whose positions are those of nodes, and None the node itself."""
    return Why(reason.how, tuple((node if n is None else nodes[n], fact) for n, fact in reason.premises))


def promises_of(node: Node) -> Iterator[tuple[Fact, Node]]:
    """What a node promises of its operands (`Op.needs`)."""
    if node.op.needs:
        for statement in statements(f"|- {node.op.needs}"):
            yield Fact(statement.fact), node.args[node.op.tensors.index(statement.about)]


@lru_cache(512)
def _body_at(body: Program, sizes: tuple[tuple[str, DimLike], ...], where: tuple[Constraint, ...]) -> Program:
    """A called program at the sizes of the call, which knows what the caller knows of them."""
    body = with_sizes(body, {name: size for name, size in sizes if str(size) != name})
    return body.replace(where=tuple(dict.fromkeys((*body.where, *where))))


def _of_value(facts: frozenset[Fact]) -> frozenset[Fact]:
    """The facts without those about the use of a value."""
    return frozenset(fact for fact in facts if fact.name not in OF_USE)
