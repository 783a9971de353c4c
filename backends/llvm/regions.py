"""The parts of a program that become native functions, outlined as calls.

Every value that can be native has a level: one more than that of the Python values that it needs, which in turn come
after the native values that they need. All native values of one level are one region, since no path between two of
them leaves it. Views, numbers, sizes, and what is made of these alone have no level; they are made anew wherever
they are used.

Where programs are tight, no more may be held than was planned for their steps in order: then a region is what is native
between two steps that are not, and products of a library are not, but for those that are fused: these take no memory,
and come with what reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import count

from tpc.backends.llvm.routines import FACTORS
from tpc.ir.build import input_node, items
from tpc.ir.dims import DimLike, named
from tpc.ir.facts import analyse
from tpc.ir.node import Fact, Node, Program, topological
from tpc.ir.ops.shapes import AFTER
from tpc.ir.ops.structure import CALL, INPUT, ITEM, LITERAL, SIZE
from tpc.ir.rewrite import map_programs, rebuilt, replace
from tpc.ir.sizes import sizes_of
from tpc.ir.types import TensorType

VIEWS = frozenset(["transpose", "permute", "reshape", "vec", "unvec", "squeeze", "unsqueeze", "item"])
OWN = 128  # entries of an axis, as in `nests.product`, which is not imported for this alone
PRODUCTS = frozenset(["matmul", "matvec", "vecmat", "dot", "adjoint", "outer"])
LIBRARY = PRODUCTS.union(FACTORS)  # no quicker alone


class Outliner:
    """Outlines regions of programs.

    `bodies` are the native functions so far, and `origins` has for each what its values are in the program.

    Parameters
    ----------
    refusal
        Why a node cannot be native; None where it can.
    tight
        See `contract`.
    fused
        Products of a tight program that are taken in by what reads them, and what is in between.
    """

    def __init__(
        self, refusal: Callable[[Node], str | None], tight: bool = False, fused: Collection[Node] = frozenset()
    ) -> None:
        self._refusal, self.tight, self.fused = refusal, tight, frozenset(fused)
        self.bodies: list[Program] = []
        self.origins: dict[Program, dict[Node, Node]] = {}
        self.refused: dict[Node, str] = {}
        self._numbers = count(1)
        self._done: dict[Program, Program] = {}
        self._same: dict[tuple[object, ...], Program] = {}  # functions by inputs, results and facts

    def refusal(self, node: Node) -> str | None:
        """Why a node is no part of a region."""
        if self.tight and is_large_product(node) and not self._is_inner(node):
            return "a library does it"
        return self._refusal(node)

    def _is_inner(self, product: Node) -> bool:
        """Whether a product is fused, or reads what is."""
        return product in self.fused or any(source in self.fused for source in self._sources(product))

    def program(self, program: Program) -> Program:
        """A program with calls in the place of its regions; those of loops and branches as well."""
        if program not in self._done:
            self._done[program] = self._outlined(program)
        return self._done[program]

    def _outlined(self, program: Program) -> Program:
        levels = self._levels(program)
        if not levels:
            return self._with_blocks(program)
        if self._is_whole(program, levels):
            return self._called(program)
        users: dict[Node, list[Node]] = {}
        nodes = program.nodes
        for node in nodes:
            for operand in node.args:
                users.setdefault(operand, []).append(node)
        facts = analyse(program)
        made: dict[Node, Node] = {}
        for level in sorted(set(levels.values())):
            inside = {node for node, at in levels.items() if at == level}
            if not _pays(inside):
                continue
            values = [n for n in nodes if n in inside or (n.op is ITEM and n.args[0] in inside)]
            values = [n for n in values if not isinstance(n.type, tuple)]
            wanted = [n for n in values if self._leaves(n, inside, users, program.outputs)]
            body, operands = self._body(program, wanted, inside, facts)
            attributes = (("body", body), ("sizes", _own_sizes(body)))
            type = body.result_types[0] if len(wanted) == 1 else body.result_types
            made.update(zip(wanted, items(Node(CALL, operands, attributes, type)), strict=True))
        # operands of calls were written in terms of the program as it was: levels are in order, so once is enough
        done: dict[Node, Node] = {}
        for node, call in made.items():
            for part in topological([call], done):
                args = [done[a] for a in part.args]
                done[part] = part if tuple(args) == part.args else rebuilt(part.op, args, part.attributes, part.type)
            done[node] = done[call]
        outputs = replace(program.outputs, done)
        return self._with_blocks(program.replace(outputs=outputs, facts=_kept(program, done)))

    def _is_whole(self, program: Program, levels: Mapping[Node, int]) -> bool:
        """Whether all of a program can be one native function: calls of a library alone are then entered sooner."""
        if any(type.dtype.is_weak for type in program.result_types):
            return False
        if any(node.op is INPUT and self.refusal(node) is not None for node in program.outputs):
            return False
        rest = [n for n in program.nodes if n not in levels and n.op is not INPUT]
        if any(not self._is_neutral(n) or self.refusal(n) is not None for n in rest):
            return False
        return set(levels.values()) == {0} and _has_axes(levels)

    def _called(self, program: Program) -> Program:
        """The program as a call of a function that is all of it; what it does not read may come in any format."""
        read = set(program.nodes)
        inputs = [node for node in program.inputs if node in read]
        facts = [(node, known) for node, known in program.facts if node in read]
        body = Program(f"{program.name}_{next(self._numbers)}", inputs, program.outputs, facts=facts)
        self.bodies.append(body)
        self.origins[body] = {node: node for node in body.nodes}
        type = body.result_types[0] if len(body.outputs) == 1 else body.result_types
        call = Node(CALL, inputs, (("body", body), ("sizes", _own_sizes(body))), type)
        return program.replace(outputs=items(call), facts=[(n, f) for n, f in program.facts if n.op is INPUT])

    def _with_blocks(self, program: Program) -> Program:
        done: dict[Node, Node] = {}
        for node in program.nodes:
            args = [done[a] for a in node.args]
            same = node if tuple(args) == node.args else rebuilt(node.op, args, node.attributes, node.type)
            done[node] = same if node.op is CALL else map_programs(same, self.program)
        return program.replace(outputs=[done[n] for n in program.outputs], facts=_kept(program, done))

    def _levels(self, program: Program) -> dict[Node, int]:
        """The levels of native values."""
        levels: dict[Node, int] = {}  # of all values but views
        native: dict[Node, int] = {}
        passed = 0  # steps that are not native
        for node in program.nodes:
            if self._is_neutral(node):
                continue
            reason = "an argument" if node.op is INPUT else self.refusal(node)
            if reason is None:
                below = [levels[s] + (s not in native and s.op is not INPUT) for s in self._sources(node)]
                native[node] = levels[node] = passed if self.tight else max(below, default=0)
            else:
                below = [levels[s] + (s in native) for s in self._sources(node)]
                levels[node] = max(below, default=0)
                passed += node.op is not INPUT
                if node.op not in (INPUT, AFTER):  # what waits begins another region
                    self.refused[node] = reason
        if self.fused:
            self._delay(program, levels, native)
        return native

    def _delay(self, program: Program, levels: Mapping[Node, int], native: dict[Node, int]) -> None:
        """Raise the levels of what is fused to that of the first value that reads it."""
        first: dict[Node, int] = {}
        for node in reversed([n for n in program.nodes if n in levels]):
            if node in native and node in self.fused:
                native[node] = first.get(node, native[node])
            at = native.get(node, -1)  # what is not native has it as it is
            for source in self._sources(node):
                first[source] = min(first.get(source, at), at)

    def _leaves(self, node: Node, inside: set[Node], users: Mapping[Node, Sequence[Node]], outputs: object) -> bool:
        """Whether a value of a region is needed outside of it, by way of views too."""
        assert isinstance(outputs, tuple)
        waiting = [node]
        while waiting:
            value = waiting.pop()
            if value in outputs:
                return True
            for user in users.get(value, ()):
                if self._is_neutral(user):
                    waiting.append(user)
                elif user not in inside:
                    return True
        return False

    def _body(
        self, program: Program, wanted: Sequence[Node], inside: set[Node], facts: Mapping[Node, Iterable[Fact]]
    ) -> tuple[Program, list[Node]]:
        """The function that a region becomes, which is one with those that are alike, and its operands."""
        names = _namer(program)
        operands: dict[Node, Node] = {}
        seen: set[Node] = set()
        waiting = list(reversed(wanted))
        while waiting:
            node = waiting.pop()
            for operand in node.args:
                of = operand.args[0] if operand.op is ITEM else operand
                if of in inside or (self._is_neutral(operand) and operand.op is not ITEM):
                    if operand not in seen:
                        seen.add(operand)
                        waiting.append(operand)
                elif operand not in operands:
                    operands[operand] = input_node(names(operand), operand.tensor)
        known = [(x, tuple(sorted(facts[n], key=str))) for n, x in operands.items() if facts.get(n)]
        key = tuple(operands.values()), tuple(replace(wanted, operands)), tuple(known)
        if key not in self._same:
            body = self._same[key] = Program(f"{program.name}_{next(self._numbers)}", *key[:2], facts=known)
            self.bodies.append(body)
            values = [*wanted, *seen]
            self.origins[body] = dict(zip(replace(values, operands), values, strict=True))
        return self._same[key], list(operands)

    def _is_neutral(self, node: Node) -> bool:
        """Whether a value is made anew wherever it is used; those that no dtype was said of are made of sizes."""
        if node.op in (LITERAL, SIZE) or node.op.name in VIEWS:
            return True
        is_weak = isinstance(node.type, TensorType) and node.type.dtype.is_weak
        return is_weak and node.op is not INPUT and self.refusal(node) is None

    def _sources(self, node: Node) -> list[Node]:
        """The values that a node needs, by way of views."""
        found: dict[Node, None] = {}
        waiting = list(node.args)
        while waiting:
            value = waiting.pop()
            if self._is_neutral(value):
                waiting += value.args
            else:
                found[value] = None
        return list(found)


def _namer(program: Program) -> Callable[[Node], str]:
    """What functions call their operands: errors name what is given by its own name."""
    given = {str(n["name"]) for n in program.inputs}
    free = (name for k in count(1) if (name := f"x{k}") not in given)
    return lambda operand: str(operand["name"]) if operand.op is INPUT else next(free)


def _pays(nodes: Iterable[Node]) -> bool:
    """Whether native code may gain anything: there is more than calls of a library, and than a few numbers."""
    return _has_axes(nodes) and not all(map(is_large_product, nodes))


def _has_axes(nodes: Iterable[Node]) -> bool:
    return any(d for n in nodes for m in (n, *n.args) for d in _dims(m))


def is_large_product(node: Node) -> bool:
    """Whether a library is no slower alone."""
    return node.op.name in LIBRARY and not _is_small(node)


def _is_small(product: Node) -> bool:
    """Whether it is many small products, each of which a library does more slowly."""
    dims = [operand.tensor.dims for operand in product.args]
    return all(len(d) > 2 and all(isinstance(e, int) and e <= OWN for e in d[-2:]) for d in dims)


def _own_sizes(body: Program) -> tuple[tuple[str, DimLike], ...]:
    """The sizes of a function, which are those of where it is called."""
    return tuple((name, named(name)) for name in sorted(sizes_of([*body.inputs, *body.nodes])))


def _dims(node: Node) -> list[DimLike]:
    types = node.type if isinstance(node.type, tuple) else (node.type,)
    return [d for t in types for d in t.dims] + ([node["dim"]] if node.op is SIZE else [])


def _kept(program: Program, done: Mapping[Node, Node]) -> list[tuple[Node, tuple[Fact, ...]]]:
    """The facts of nodes that are still there."""
    return [(n, f) for n, f in program.facts if n.op is INPUT or done.get(n, n) is n]
