"""A program taken apart: what depends on parameters and constants alone, and the rest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tpc.ir.build import input_node, make
from tpc.ir.dims import DimLike, is_nonnegative
from tpc.ir.node import Fact, Node, Program
from tpc.ir.notes import follow
from tpc.ir.ops.sparse import RESULTS, sparse_inputs
from tpc.ir.ops.structure import INPUT
from tpc.ir.rewrite import ordered_facts, replace
from tpc.ir.sizes import sizes_of
from tpc.ir.types import TensorType
from tpc.ir.verify import verify
from tpc.passes.count import held, is_view
from tpc.passes.stages.times import STAYS, parameters


@dataclass(frozen=True)
class Stages:
    """A program in two stages.

    Attributes
    ----------
    ahead
        From the parameters to what is held for calls.
    each
        From what is held, which comes first, and the other inputs to the results.
    """

    ahead: Program
    each: Program

    @property
    def bytes(self) -> DimLike:
        """Bytes of the arrays that are held."""
        total: DimLike = 0
        for node in self.ahead.outputs:
            total += held(node)
        return total


def split(program: Program, names: Mapping[Node, str] | None = None, given: Sequence[Node] | None = None) -> Stages:
    """Both stages of a program that was chosen for many calls with the same parameters.

    Nothing is computed ahead that a call would not compute: loops and branches that may not run keep what is in them.
    Views are taken at each call, of what is held, but for those that need only a part of it.

    Parameters
    ----------
    names
        The names of the user for values: what is held is called by them.
    given
        The inputs that are known ahead; by default those that are declared to change rarely.

    Raises
    ------
    InternalError
        If a stage is no program.
    """
    given = parameters(program) if given is None else given
    rest = [node for node in program.inputs if node not in given]
    results = list(_kept(program, _early(program, given), bool(given)))
    taken = {node["name"] for node in program.inputs}
    called = [node["name"] if node.op is INPUT else _fresh((names or {}).get(node), taken) for node in results]
    sparse = sparse_inputs(program)
    made = [make("to_csr", (sparse[n],), density=sparse[n]["density"]) if n in sparse else n for n in results]
    ahead = Program(f"{program.name}_ahead", given, made, called)
    ahead = ahead.replace(facts=[(node, facts) for node, facts in program.facts if node in {*given, *ahead.nodes}])
    stand_ins = {
        node: node if node.op is INPUT else input_node(name, node.tensor) for node, name in zip(results, called)
    }
    for node, stand_in in stand_ins.items():
        follow(node, stand_in)
    inputs = [*stand_ins.values(), *rest]
    begun = {n: make("csr", (i,), density=n["density"]) if n.op.name == "to_csr" else i for n, i in stand_ins.items()}
    outputs = replace(program.outputs, begun)
    each = program.replace(
        name=f"{program.name}_each",
        inputs=inputs,
        outputs=outputs,
        facts=ordered_facts(inputs, outputs, _of_values(program, inputs)),
        defaults=[(name, value) for name, value in program.defaults if name in {node["name"] for node in rest}],
    )
    for stage in (ahead, each):
        verify(stage, "split")
    return Stages(ahead, each)


def _of_values(program: Program, inputs: Sequence[Node]) -> Iterator[tuple[Node, tuple[Fact, ...]]]:
    """What is declared of inputs, but for when they are known."""
    for node, facts in program.facts:
        kept = tuple(fact for fact in facts if fact.name not in STAYS)
        if kept and node in inputs:
            yield node, kept


def _early(program: Program, given: Sequence[Node]) -> set[Node]:
    """The values that depend on no other input, and on no size that only another input tells."""
    sizes = sizes_of(given)
    early = set(given)
    for node in program.nodes:
        if node.op is not INPUT and all(a in early for a in node.args) and sizes_of([node]) <= sizes:
            early.add(node)
    return early


def _kept(program: Program, early: set[Node], is_called: bool) -> Iterator[Node]:
    """What later values and results need of the early ones; sparse matrices are held only by who `is_called`."""
    waiting = [a for node in program.nodes if node not in early for a in node.args if a in early]
    waiting += [node for node in program.outputs if node in early]
    seen: set[Node] = set()
    while waiting:
        node = waiting.pop(0)
        if node in seen:
            continue
        seen.add(node)
        is_made = node.op.name == "to_csr" and node.args[0].op is INPUT and is_called
        is_again = is_view(node) and _is_whole(node) or node.op.name in RESULTS and not is_made
        if node.op is INPUT or node.args and not is_again:
            yield node
        else:  # numbers, views of what is held and sparse matrices, which are no arrays, are made at each call
            waiting += node.args


def _is_whole(view: Node) -> bool:
    """Whether a view shows all of its operand."""
    array, *positions = view.args
    is_array = isinstance(array.type, TensorType)  # and not the results of a factorization together
    return is_array and not positions and is_nonnegative(view.tensor.size - array.tensor.size)


def _fresh(wanted: str | None, taken: set[str]) -> str:
    """A name that nothing has yet: the wanted one, where it may be."""
    numbers = (f"{wanted or 'held'}{k}" for k in range(1, len(taken) + 3))
    name = wanted if wanted is not None and wanted not in taken else next(n for n in numbers if n not in taken)
    taken.add(name)
    return name
