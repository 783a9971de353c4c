"""Loops, branches and routines as steps. A pass of a loop reads one set of buffers and writes another.

What such blocks read is stored before them; `Sequence` puts programs in order, with blocks between stretches of
statements. Inputs stand for what is stored already, under names of their own, so that equal nodes of a body and of what
is around it are not taken for each other.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from itertools import count

from tpc.backends.llvm.fusion.blocks import Block as Rows
from tpc.backends.llvm.fusion.blocks import ended
from tpc.backends.llvm.fusion.statement import Buffer, Statement, Temporary
from tpc.backends.llvm.fusion.together import Step
from tpc.backends.llvm.routines import ORDERING, is_routine, operands
from tpc.ir.build import input_node, items
from tpc.ir.dims import DimLike
from tpc.ir.node import Node, Program, topological
from tpc.ir.ops.structure import IF, INPUT, LITERAL, REPEAT, SCAN, SIZE
from tpc.ir.rewrite import replace

BLOCKS = (REPEAT, SCAN, IF)
COSTLY = ("products", "reductions", "linalg")


@dataclass(frozen=True, eq=False)
class Run:
    """Steps, and the buffers in which they leave the outputs of a program."""

    steps: tuple[Step | Block, ...]
    results: tuple[Buffer, ...]


@dataclass(frozen=True, eq=False)
class Loop:
    """`body` again and again, from the values in `start` on, which it reads as `state`.

    Attributes
    ----------
    count
        The most passes: a size, or the buffer of a number.
    position
        Where the number of the pass is written, if the body reads it.
    until
        Whether to stop, before each pass; then what the body needs of it.
    spare
        Two buffers for each value of the state, which take turns; twice the same one where a pass changes the value
        where it is.
    given
        What stands for the results behind the loop: first those of the state, then those that are stacked.
    """

    count: DimLike | Node
    start: tuple[Node, ...]
    state: tuple[Node, ...]
    position: Node | None
    until: Run | None
    body: Run
    spare: tuple[tuple[Temporary, Temporary], ...]
    given: tuple[Node, ...]

    @property
    def stacked(self) -> tuple[Node, ...]:
        return self.given[len(self.state) :]


@dataclass(frozen=True, eq=False)
class Branch:
    """`then` where the condition holds, else `other`; both leave their outputs in what is `given`."""

    condition: Node
    then: Run
    other: Run
    given: tuple[Node, ...]


@dataclass(frozen=True, eq=False)
class Routine:
    """A node that is no loop nest (see `routines`), of what is stored; its results are `given`."""

    node: Node
    operands: tuple[Buffer, ...]
    given: tuple[Node, ...]


Block = Loop | Branch | Routine


@dataclass
class Sequence:
    """A program and those of its loops as steps; `plan` gives the steps and results of one without loops, some of whose
    inputs may be left where they are to be results.

    `same` says for inputs that stand for a stored value which one it is.
    """

    plan: Callable[[Program, Collection[Node]], Run]
    same: dict[Buffer, Buffer] = field(default_factory=dict)
    _numbers: Iterable[int] = field(default_factory=count)

    def of(self, program: Program) -> Run:
        """A program in order."""
        steps: list[Step | Block] = []
        known: dict[Node, Node] = {}
        written: list[Node] = []
        for node in program.nodes:
            if node.op in BLOCKS or is_routine(node):
                steps += self._before(node, program, known)
                block = self._block(node, known)
                rows = self._rows(steps, block, program)
                steps[-1 if rows else len(steps) :] = [rows or block]
                known.update(zip(items(node), block.given, strict=True))
                written += block.given if isinstance(block, Routine) else ()
        if not known:
            return self.plan(program, ())
        last = self.plan(_part(program, replace(program.outputs, known)), written)
        return Run((*steps, *last.steps), last.results)

    def _rows(self, steps: list[Step | Block], block: Block, program: Program) -> Rows | None:
        """The last step and an order of its rows, where nobody else reads it: then rows live for a while alone."""
        if not (steps and isinstance(block, Routine) and block.node.op.name in ORDERING):
            return None
        last, (operand,), (value,) = steps[-1], block.operands, block.node.args
        is_read = value in program.outputs or sum(value in node.args for node in program.nodes) > 1
        if is_read or not isinstance(last, Statement) or last.beside or self.same.get(operand) is not last.target:
            return None
        found = ended(last, block)
        if found is not None:
            del self.same[operand]
        return found

    def _block(self, node: Node, known: dict[Node, Node]) -> Block:
        if is_routine(node):
            given = tuple(self._input(n) for n in items(node))
            return Routine(node, tuple(known.get(a, a) for a in operands(node)[0]), given)
        return self._branch(node, known) if node.op is IF else self._loop(node, known)

    def _before(self, loop: Node, program: Program, known: dict[Node, Node]) -> tuple[Step | Block, ...]:
        """Store what a loop reads, and what else is computed for it and needed again."""
        given = operands(loop)[0] if is_routine(loop) else loop.args
        args = [a for a in given if a.op is not INPUT and a not in known]
        below = {n for n in topological(args) if n.op is not INPUT and n not in known and not isinstance(n.type, tuple)}
        reached = {n for n in topological(replace(args, known)) if n.op is not INPUT}
        others = [n for n in program.nodes if n not in below and n is not loop]
        used = {a for n in others for a in n.args} | set(program.outputs)
        again = [n for n in below if n in used and n in reached and n.op not in (LITERAL, SIZE)]
        wanted = list(dict.fromkeys([*args, *sorted(again, key=program.nodes.index)]))
        if not wanted:
            return ()
        run = self.plan(_part(program, replace(wanted, known)), ())
        for node, buffer in zip(wanted, run.results, strict=True):
            known[node] = self._input(node)
            self.same[known[node]] = buffer
        return run.steps

    def _loop(self, node: Node, known: dict[Node, Node]) -> Loop:
        args = [known.get(a, a) for a in node.args]
        states, body = node["state"], node["body"]
        limit = node["extent"] if node.op is SCAN else node["count"]
        if limit is None:
            limit = args.pop()
        first = int(node.op is SCAN)
        own = [self._input(n) for n in body.inputs[: first + states]]
        meant = dict(zip(body.inputs, [*own, *args[states:]], strict=True))
        until = node["until"] if node.op is REPEAT else None
        outputs, test = replace(body.outputs, meant), None
        if until is not None:
            wanted = replace(until.outputs, meant)
            shared = _shared(wanted, outputs)
            test = self.of(_part(until, [*wanted, *shared]))
            stands = {n: self._input(n) for n in shared}
            self.same.update(zip(stands.values(), test.results[1:], strict=True))
            outputs = replace(outputs, stands)

        def buffers(k: int, value: Node) -> tuple[Temporary, Temporary]:
            one = Temporary("state", value.tensor)
            return (one, one if self._stays(outputs, k, value) else Temporary("state", value.tensor))

        return Loop(
            limit,
            tuple(args[:states]),
            tuple(own[first:]),
            own[0] if first else None,
            test,
            self.of(_part(body, outputs)),
            tuple(buffers(k, value) for k, value in enumerate(own[first:])),
            tuple(self._input(n) for n in items(node)),
        )

    def _stays(self, outputs: list[Node], k: int, value: Node) -> bool:
        """Whether a pass only adds to places of a value of the state, and reads it for nothing that comes after."""
        changed = outputs[k]
        if changed.op.name != "scatter_add" or changed.args[0] is not value:
            return False
        return value not in topological(replace(outputs, {changed: self._input(changed)}))

    def _branch(self, node: Node, known: dict[Node, Node]) -> Branch:
        condition, *args = (known.get(a, a) for a in node.args)

        def run(program: Program) -> Run:
            return self.of(_part(program, replace(program.outputs, dict(zip(program.inputs, args, strict=True)))))

        return Branch(condition, run(node["then"]), run(node["other"]), tuple(self._input(n) for n in items(node)))

    def _input(self, node: Node) -> Node:
        return input_node(f"value.{next(iter(self._numbers))}", node.tensor)


def _part(program: Program, outputs: Iterable[Node]) -> Program:
    """The part of a program that computes these values from what is stored."""
    results = list(outputs)
    return Program(program.name, [n for n in topological(results) if n.op is INPUT], results)


def _shared(tests: list[Node], outputs: list[Node]) -> list[Node]:
    """Products and reductions of a test, and what is made of them, that the body needs too."""
    tested, wanted = topological(tests), topological(outputs)
    common = {n for n in set(tested).intersection(wanted) if n.op is not INPUT and not isinstance(n.type, tuple)}
    used = {a for n in wanted if n not in common for a in n.args}.union(outputs)
    return [n for n in tested if n in common & used and any(m.op.group in COSTLY for m in topological([n]))]
