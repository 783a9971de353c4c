"""When the names of a block are let go, where that lowers the most that is held: `del a, b` behind their last use.

What is held is known from `passes.memory.liveness`, at the sizes of the program, or large ones where they are open, in
the order of its nodes. A value without a line of its own is computed on the line of what uses it, and what a line reads
is held to its end. So values get lines where more would be held than has to be, and names are let go once the lines of
a block are known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING

from tpc.backends.arguments import type_text
from tpc.backends.code import Value
from tpc.ir.build import literal_value
from tpc.ir.node import Node, Program
from tpc.ir.ops.structure import INPUT
from tpc.passes.memory.formulas import OPERATORS
from tpc.passes.memory.liveness import Liveness
from tpc.passes.memory.workspace import large_sizes

if TYPE_CHECKING:
    from tpc.backends.block import Block

SLACK = 1.02  # how much more than the least may be held, for fewer lines
SMALL = 2**16  # bytes below which an array is no line worth
TINY = 2**10  # the same, where no more may be held than was planned


def liveness(program: Program, library: str) -> Liveness:
    """The memory of a program; where its sizes are open, at large ones."""
    return Liveness(program, library, large_sizes(program))


def is_elided(node: Node, position: int) -> bool:
    """Whether NumPy writes an operator to an operand that has no name: others are numbers, or of its shape."""
    others = [a for k, a in enumerate(node.args) if k != position]
    alike = all(not a.tensor.dims or a.tensor.dims == node.tensor.dims for a in others)
    if position == 1 and any(not a.tensor.dims and not a.tensor.dtype.is_weak for a in others):
        return False  # a scalar of NumPy on the left does the work itself
    if node.op.name == "pow" and literal_value(others[0]) != 2:
        return False  # other powers are no operators of its own
    return alike and position in OPERATORS.get(node.op.name, ())


@dataclass
class _Held:
    """Names for one array, and the positions in the order of work from which and to which it is held."""

    names: tuple[str, ...]
    bytes: int
    start: int
    end: int
    line: int = -1  # of the last use


@dataclass
class Lifetimes:
    """What a block knows of the memory that its program takes.

    `most` is how many bytes it may hold, beside what is outside of it, and `spare` how many after it. `around` is the
    loop or branch whose body it is, with what is known outside of that.
    """

    block: Block
    memory: Liveness
    most: float
    spare: float = inf
    around: tuple[Lifetimes, Node] | None = None
    beyond: dict[Node, int] = field(default_factory=dict)  # bytes that the body of a loop holds more than it has to
    lines: dict[Node, int] = field(default_factory=dict)  # on which a value is computed, where it has its own
    scratch: dict[Node, tuple[str, ...]] = field(default_factory=dict)  # names on the way to a value

    seen: int = 0  # names of the function that were written before

    def __post_init__(self) -> None:
        self.seen = len(self.block.function.written)
        self.tight = self.block.function.module.tight

    def left(self, node: Node) -> tuple[float, float]:
        """How many more bytes may be held while a node is computed, and after it."""
        number, live = self.memory.at[node], self.memory.live
        later = max([*live[number + 1 :], self.memory.returned])
        return max(self.most - live[number], 0), max(min(self.spare, self.most - later), 0)

    # ---- what is written

    def wrote(self, node: Node) -> None:
        """A node was written: on a line, with names on the way to it, or inside of what will be."""
        function = self.block.function
        names = function.written[self.seen :]
        self.seen = len(function.written)
        value = self.block.env.get(node)
        if node in self.block.results or node.programs or (names and value is not None and value.text == names[-1]):
            self.lines[node] = len(function.lines.lines) - 1
        known = {v.text for v in self.block.env.values()}
        scratch = tuple(name for name in names if name not in known)
        if scratch and not node.programs:
            self.scratch[node] = scratch

    def named(self, node: Node) -> None:
        """A value was given a name because of what uses it."""
        written = self.block.function.written
        if node not in self.lines and written and self.block.env[node].text == written[-1]:
            self.lines[node] = len(self.block.function.lines.lines) - 1

    # ---- what is written to an operand

    def in_place(self, node: Node) -> bool:
        """Write a function of entries to the operand whose buffer it takes, if that has a name."""
        position = self._taken(node)
        block = self.block
        if position is None or not block.value(node.args[position]).text.isidentifier() or not self._is_last(node):
            return False
        operand = block.value(node.args[position])
        name = block.name_of(node) or operand.text
        name = name if name == operand.text else block.function.names.fresh(name)
        text = block.dialect.apply_to(block.function, node.op.name, [block.value(a) for a in node.args], position, name)
        if text is None:
            return False
        block.function.lines.write(text, type_text(node.tensor))
        self.lines[node] = len(block.function.lines.lines) - 1
        block.env[node] = Value(name, operand.dtype, operand.rank)
        return True

    def _taken(self, node: Node) -> int | None:
        step = self.memory.step(node)
        return self.memory.reused(node) if step is not None and step.takes else None

    def _is_last(self, node: Node) -> bool:
        """Whether all else that reads the operand is computed: on lines that are written, or as an operand of this."""
        memory = self.memory
        ((_, given),) = memory.steps[memory.at[node]].takes
        readers = [step.node for step in memory.steps if given in step.reads and step.node is not node]
        return all(self._is_done(reader, node) for reader in readers)

    def _is_done(self, node: Node | None, before: Node) -> bool:
        if node is before:
            return True
        if node is None or not (node in self.block.env or node in self.block.results):
            return False
        return node in self.lines or node.programs != () or all(self._is_done(u, before) for u in self._users(node))

    # ---- which values get lines

    def may_wait(self, node: Node, user: Node | None) -> bool:
        """Whether a value may be computed on the line of its user without more being held than has to be."""
        memory = self.memory
        number = memory.at.get(node)
        if not memory.reuses:  # sizes are open: lines read as they do for small arrays
            return True
        if self.tight:
            made = memory.step(node)
            return made is None or not any(memory.buffers[b].bytes for b in (*made.reads, *made.makes))
        if user is not None and (position := self._taken(user)) is not None and user.args[position] is node:
            return is_elided(user, position)
        if number is None or memory.peak < SMALL or not memory.steps or memory.steps[number].node is not node:
            return True
        step, live = memory.steps[number], memory.live
        until = len(live) if user is None else memory.at.get(user, len(live) - 1)
        reads = [b for b in step.reads if not memory.buffers[b].kept]
        between = [k for k in range(number + 1, until) if not self._goes_along(memory.steps[k].node, user)]
        if any(given in reads for k in between for _, given in memory.steps[k].takes):
            return False

        def longer(k: int) -> int:
            """Bytes of what would be let go before a step if this did not wait, and is not."""
            return sum(memory.buffers[b].bytes for b in reads if memory.buffers[b].end < k)

        own = sum(memory.buffers[b].bytes for b in step.makes)
        if any(live[k] - own + longer(k) > self.most for k in between):
            return False
        top = max(live[-1], memory.returned) if user is None else live[until]
        return not longer(until) or top + longer(until) + step.workspace * bool(between) <= self.most

    def _goes_along(self, node: Node, user: Node | None) -> bool:
        """Whether a value is most likely computed on the line of this user, too."""
        while node is not user:
            users = self.block.users.get(node, [])
            if len(users) != 1 or users[0] is None:
                return False
            node = users[0]
        return True

    # ---- which names are let go

    def finish(self) -> None:
        """Put in the lines that let names go."""
        lines = self.block.function.lines
        gone: dict[int, list[str]] = {}
        if self.tight and self.memory.is_inner and (names := self._given_away()):
            gone[len(lines.lines) - 1] = names
        for held in self._forgotten(len(lines.lines)):
            gone.setdefault(held.line, []).extend(held.names)
        for line, names in sorted(gone.items(), reverse=True):
            lines.insert(line + 1, f"del {', '.join(dict.fromkeys(names))}")

    def _given_away(self) -> list[str]:
        """Names of results of a block that have others outside of it."""
        block, memory = self.block, self.memory
        given = {block.env[node].text for node in memory.program.inputs}
        roots = {memory.root[node] for node in memory.program.outputs}
        return [
            name
            for root, names in self._names().items()
            for name in names
            if root in roots and name not in given and memory.buffers[root].bytes >= TINY and memory.moves(root)
        ]

    def _forgotten(self, end: int) -> list[_Held]:
        memory, line_of, lines = self.memory, self._line_of(end), self.block.function.lines
        order = sorted(range(len(memory.steps)), key=lambda k: (line_of[memory.steps[k].node], k))
        place = {k: position for position, k in enumerate(order)}
        count = len(order)
        live = [0] * (count + 1)  # with the return behind all steps
        candidates: list[_Held] = []
        names = self._names()
        own = {name for group in names.values() for name in group}
        given = {read for step in memory.steps if step.node.programs for _, read in step.takes}
        for number, buffer in enumerate(memory.buffers):
            if not count or not buffer.bytes:
                continue
            start = place[buffer.start] if buffer.node.op is not INPUT else 0
            readers = [k for k, step in enumerate(memory.steps) if number in step.reads]
            stop = count if buffer.kept else max([start, *(place[k] for k in readers)])
            held = _Held(names.get(number, ()), buffer.bytes, start, stop)
            if held.names and not buffer.kept:
                held.line = lines.last_use(held.names)
                while held.end + 1 < count and line_of[memory.steps[order[held.end + 1]].node] <= held.line:
                    held.end += 1
                if number in given:  # the state of a loop, which begins with it, and is there under another name
                    held.end -= 1
                if held.line + 1 < end or memory.is_inner:
                    candidates.append(held)
            _add(live, held.start, held.end, held.bytes)
        for number, step in enumerate(memory.steps):
            position = place[number]
            _add(live, position, position, step.workspace + self.beyond.get(step.node, 0))
            for _, taken in step.takes:
                if taken in given and taken in names:
                    continue
                _add(live, position, position, -memory.buffers[taken].bytes)
            scratch = tuple(name for name in self.scratch.get(step.node, ()) if name not in own)
            for name in scratch if step.workspace or self.tight else ():
                line = lines.last_use([name])
                if line + 1 < end:  # the last of them may be what the value is made of: none outlives its step
                    bytes = max(step.workspace, TINY if self.tight else 0)
                    candidates.append(_Held((name,), bytes, position, position - 1, line))
        live[count] += memory.copied
        if self.tight:
            return sorted((held for held in candidates if held.bytes >= TINY), key=lambda held: held.start)
        # where an operand is not written to after all, more is held than was known: nothing may be added to that
        most = self.most * SLACK
        found = []
        left = self.spare
        for held in sorted(candidates, key=lambda h: h.bytes):
            if held.bytes < SMALL:
                continue
            later = range(held.end + 1, count + 1)
            others = range(held.start + 1) if memory.is_inner else ()  # of the next pass
            if left < held.bytes or any(live[k] + held.bytes > most for k in (*others, *later)):
                found.append(held)
                continue
            left -= held.bytes
            for k in (*others, *later):
                live[k] += held.bytes
        if self.around is not None:
            outer, loop = self.around
            outer.beyond[loop] = max(outer.beyond.get(loop, 0), max(live) - self.memory.peak)
        return sorted(found, key=lambda h: h.start)

    def _line_of(self, end: int) -> dict[Node, int]:
        """The line on which each value is computed; `end` for what is computed as it is returned."""
        found: dict[Node, int] = {}
        for step in reversed(self.memory.steps):
            node = step.node
            line = self.lines.get(node)
            if line is None:
                line = min(self._line_of_user(node, user, found, end) for user in self._users(node))
            found[node] = line
        return found

    def _users(self, node: Node) -> Sequence[Node | None]:
        return self.block.users.get(node) or [None]

    def _line_of_user(self, node: Node, user: Node | None, found: dict[Node, int], end: int) -> int:
        if user is None:
            return end
        if user in self.lines:
            return self.lines[user]
        if user in found:
            return found[user]
        return min(self._line_of_user(user, further, found, end) for further in self._users(user))

    def _names(self) -> dict[int, tuple[str, ...]]:
        """The names of each buffer that this block has given."""
        found: dict[int, list[str]] = {}
        for node, root in self.memory.root.items():
            value = self.block.env.get(node)
            if root is None or value is None or node in self.memory.program.inputs or value.python:
                continue
            if value.text.isidentifier() and value.text not in found.setdefault(root, []):
                found[root].append(value.text)
        taken = self.memory.taken
        for made in sorted(taken):  # one array under the names of both
            given = taken[made]
            if self.memory.buffers[made].node.programs:
                continue
            found.setdefault(made, [])[:0] = [n for n in found.pop(given, []) if n not in found.get(made, [])]
        return {root: tuple(names) for root, names in found.items() if names}


def _add(live: list[int], start: int, end: int, bytes: int) -> None:
    for k in range(start, end + 1):
        live[k] += bytes
