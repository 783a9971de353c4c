"""The typed graph: nodes that are shared, and programs made of them.

    node    = op(args, attributes): type         (a tuple of types where the op has several results)
    program = name(inputs) -> outputs, with declared facts and constraints on sizes

Both are frozen and interned: equal ones are the same object, so common subexpressions are shared by construction and
`is` compares whole programs. Facts, spans and names live beside the nodes, never in them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from tpc.ir.dims import DimLike, dim_text
from tpc.ir.types import TensorType

if TYPE_CHECKING:
    import networkx

    from tpc.ir.op import Op

Type = TensorType | tuple[TensorType, ...]


class Node:
    """One value (or tuple of values) of a program."""

    __slots__ = ("op", "args", "attributes", "type", "__weakref__")
    op: Op
    args: tuple[Node, ...]
    attributes: tuple[tuple[str, Any], ...]
    type: Type

    def __new__(cls, op: Op, args: Iterable[Node], attributes: Iterable[tuple[str, Any]], type: Type) -> Node:
        key = (op, tuple(args), tuple(attributes), type)
        found = _nodes.get(key)
        if found is None:
            found = super().__new__(cls)
            found.op, found.args, found.attributes, found.type = key
            _nodes[key] = found
        return found

    def __getitem__(self, name: str) -> Any:
        """The attribute called `name`; raises KeyError if there is none."""
        for key, value in self.attributes:
            if key == name:
                return value
        raise KeyError(name)

    def get(self, name: str, default: Any = None) -> Any:
        for key, value in self.attributes:
            if key == name:
                return value
        return default

    @property
    def tensor(self) -> TensorType:
        """The type of a node with a single result."""
        assert isinstance(self.type, TensorType), self
        return self.type

    @property
    def programs(self) -> tuple[Program, ...]:
        """The programs held as attributes: the bodies of loops and branches, the function of a call."""
        return tuple(value for _, value in self.attributes if isinstance(value, Program))

    def __repr__(self) -> str:
        attributes = "".join(f", {k}={v}" for k, v in self.attributes if not isinstance(v, Program))
        return f"<{self.op.name}/{len(self.args)}{attributes}: {self.type}>"


_nodes: WeakValueDictionary[tuple[Op, tuple[Node, ...], tuple[tuple[str, Any], ...], Type], Node]
_nodes = WeakValueDictionary()


@dataclass(frozen=True, slots=True)
class Fact:
    """Something known of a value: `spd`, `banded(1, 2)`, `sparse(0.01)`, `low_rank(r)`."""

    name: str
    arguments: tuple[DimLike | float, ...] = ()

    def __str__(self) -> str:
        if not self.arguments:
            return self.name
        inner = ", ".join(repr(a) if isinstance(a, float) else dim_text(a) for a in self.arguments)
        return f"{self.name}({inner})"


@dataclass(frozen=True, slots=True)
class Constraint:
    """A relation of sizes that must hold at a call; `relation` is one of `== != < <= > >=`."""

    left: DimLike
    relation: str
    right: DimLike

    def __str__(self) -> str:
        return f"{dim_text(self.left)} {self.relation} {dim_text(self.right)}"


class Program:
    """A function as a graph. `facts` pairs nodes (inputs mostly) with what was declared of them."""

    __slots__ = ("name", "inputs", "outputs", "output_names", "facts", "where", "defaults", "__weakref__")
    name: str
    inputs: tuple[Node, ...]
    outputs: tuple[Node, ...]
    output_names: tuple[str, ...]
    facts: tuple[tuple[Node, tuple[Fact, ...]], ...]
    where: tuple[Constraint, ...]
    defaults: tuple[tuple[str, Node], ...]

    def __new__(
        cls,
        name: str,
        inputs: Sequence[Node],
        outputs: Sequence[Node],
        output_names: Sequence[str] | None = None,
        facts: Sequence[tuple[Node, tuple[Fact, ...]]] = (),
        where: Sequence[Constraint] = (),
        defaults: Sequence[tuple[str, Node]] = (),
    ) -> Program:
        names = tuple(output_names) if output_names is not None else tuple(f"out{i}" for i in range(len(outputs)))
        key = (name, tuple(inputs), tuple(outputs), names, tuple(facts), tuple(where), tuple(defaults))
        found = _programs.get(key)
        if found is None:
            if len(set(key[1])) < len(key[1]):
                raise ValueError(f"two inputs of `{name}` are one: {', '.join(str(i['name']) for i in key[1])}")
            found = super().__new__(cls)
            (
                found.name,
                found.inputs,
                found.outputs,
                found.output_names,
                found.facts,
                found.where,
                found.defaults,
            ) = key
            _programs[key] = found
        return found

    def replace(self, **changes: Any) -> Program:
        """This program with some fields changed."""
        fields = {name: getattr(self, name) for name in Program.__slots__ if name != "__weakref__"}
        return Program(**{**fields, **changes})

    @property
    def nodes(self) -> list[Node]:
        """Every node that the outputs depend on, operands before their uses; inputs not used are left out."""
        return topological(self.outputs)

    def walk(self) -> Iterator[Node]:
        """All nodes, those of inner programs (loop bodies, called functions) included; each program once."""
        seen: set[Program] = set()
        stack = [self]
        while stack:
            program = stack.pop()
            if program in seen:
                continue
            seen.add(program)
            for node in program.nodes:
                yield node
                stack.extend(node.programs)

    @property
    def result_types(self) -> tuple[TensorType, ...]:
        return tuple(node.tensor for node in self.outputs)

    def graph(self) -> networkx.MultiDiGraph[Node]:
        """The graph with an edge from each operand to its use, keyed by the operand's position."""
        import networkx

        graph: networkx.MultiDiGraph[Node] = networkx.MultiDiGraph(name=self.name)
        graph.add_nodes_from(self.inputs)
        for node in self.nodes:
            graph.add_node(node)
            for position, operand in enumerate(node.args):
                graph.add_edge(operand, node, key=position)
        return graph

    def __str__(self) -> str:
        from tpc.ir.text import program_text

        return program_text(self)

    def __repr__(self) -> str:
        return f"<program {self.name}: {len(self.nodes)} nodes>"


_programs: WeakValueDictionary[tuple[Any, ...], Program] = WeakValueDictionary()


def topological(outputs: Iterable[Node], known: Iterable[Node] = ()) -> list[Node]:
    """The nodes that the outputs depend on, in the order of a depth-first walk, operands first; what is known is left
    out, with what it alone depends on."""
    order: list[Node] = []
    done: set[Node] = set(known)
    stack: list[tuple[Node, int]] = [(node, 0) for node in reversed(list(outputs))]
    while stack:
        node, position = stack.pop()
        if position == 0 and node in done:
            continue
        args = node.args
        while position < len(args) and args[position] in done:
            position += 1
        if position < len(args):
            stack.append((node, position + 1))
            stack.append((args[position], 0))
        elif node not in done:
            done.add(node)
            order.append(node)
    return order
