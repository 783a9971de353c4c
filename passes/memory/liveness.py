"""What is held at each step of a program, with views, loops, branches and the workspaces of libraries.

A step computes one value, in the order of the program's nodes. It makes buffers, which are held until the last step
that reads them or a view of them; those of arguments and constants are held all the time. A step may take the buffer
of an operand that is not needed any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from tpc.ir.dims import DimLike
from tpc.ir.formula import Access
from tpc.ir.node import Node, Program
from tpc.ir.ops.sparse import RESULTS, sparse_inputs, stored_bytes
from tpc.ir.ops.structure import CALL, CONSTANT, IF, INDEX, INPUT, ITEM, LITERAL, REPEAT, SCAN, SIZE
from tpc.ir.types import STRONG, TensorType
from tpc.passes.choose.prices import Sizes
from tpc.passes.count import is_guarded, is_view
from tpc.passes.memory.layout import PARTS, copied_by_torch, is_part, is_sliced, is_turned
from tpc.passes.memory.workspace import Size, held_bytes, is_closed, types_of, workspace

ELIDED = 2**18  # bytes from which NumPy itself gives the buffer of an operand to a result
# Functions of entries that are one call of NumPy or SciPy, which may write to an operand.
IN_PLACE = frozenset(
    ["add", "sub", "mul", "div", "pow", "neg", "maximum", "minimum", "abs", "square", "sqrt", "cbrt", "exp", "expm1"]
    + ["exp2", "log", "log1p", "log2", "log10", "sin", "cos", "tan", "asin", "acos", "atan", "atan2", "sinh", "cosh"]
    + ["tanh", "asinh", "acosh", "atanh", "hypot", "relu", "sigmoid", "softplus", "erf", "erfc"]
)
_FLOATS = ("f64", "f32", "c128", "c64")
_ROUNDING = ("floor", "ceil", "round", "trunc")
# Ops that make a new array whatever they are given, beside functions of entries.
_MAKING = frozenset(
    ["matmul", "matvec", "vecmat", "outer", "zeros", "ones", "full", "eye", "add_diagonal", "select", "softmax", "tile"]
    + ["log_softmax", "concat", "stack", "pad", "cumsum", "cumprod", "sort", "cast", "normal", "uniform", "rademacher"]
)


@dataclass(slots=True)
class Buffer:
    """An array in memory: one of the results of a node, held from step `start` to step `end`."""

    node: Node
    place: int
    bytes: int
    start: int
    end: int
    kept: bool = False  # it outlives the program
    is_own: bool = True  # it is surely a new array, which may be written to

    @property
    def type(self) -> TensorType:
        return types_of(self.node)[self.place]


@dataclass(frozen=True, slots=True)
class Step:
    """One computation: the numbers of the buffers that it reads and makes, and bytes that it takes while it runs.

    `takes` are the pairs of a buffer that it makes and one that it reads, the place of which the first has.
    """

    node: Node
    reads: tuple[int, ...]
    makes: tuple[int, ...]
    takes: tuple[tuple[int, int], ...] = ()
    workspace: int = 0


class Liveness:
    """The buffers of a program, step by step, at given sizes.

    Parameters
    ----------
    library
        The backend that runs it: `numpy`, `torch` or `llvm`.
    size
        Sizes as numbers.
    reuses
        Whether results may take the buffers of operands; if not given, they do where all sizes are known.
    seen
        Whether to leave out what tools for Python do not see.
    moving
        For the body of a loop, the inputs that change from pass to pass; None for any other program.
    natives
        What functions that are called take for themselves, where that is known.
    always
        Bytes that are held at all steps.
    turned
        Inputs whose entries do not lie row by row.
    fused
        Values that are never there as a whole, since what reads them makes them part by part.
    """

    def __init__(
        self,
        program: Program,
        library: str = "numpy",
        size: Size | None = None,
        *,
        reuses: bool | None = None,
        seen: bool = False,
        moving: Iterable[Node] | None = None,
        natives: Mapping[Program, int] | None = None,
        always: int = 0,
        turned: Iterable[Node] = (),
        fused: Iterable[Node] = (),
    ) -> None:
        self.program, self.library, self.size = program, library, size or Sizes({})
        self.reuses = is_closed(program) if reuses is None else reuses
        self.seen, self.natives, self.always, self.turned = seen, dict(natives or {}), always, frozenset(turned)
        self.fused = frozenset(fused)
        self.is_inner = moving is not None
        self.buffers: list[Buffer] = []
        self.steps: list[Step] = []
        self.at: dict[Node, int] = {}  # the step of each node; of a view, the step of what it is a view of
        self.root: dict[Node, int | None] = {}  # the buffer of each value; None for numbers
        self.inner: dict[Program, Liveness] = {}
        self.sparse = sparse_inputs(program)
        self._moving = set(moving) if moving is not None else None
        for node in program.inputs:
            self._given(node)
        for node in program.nodes:
            self._step(node)
        self._finish()

    # ---- building

    def bytes_of(self, node: Node, type: TensorType) -> int:
        """The bytes of a result of a node."""
        stored = self.stored(node)
        return held_bytes(type, self.size) if stored is None else self.size(stored)

    def stored(self, node: Node) -> DimLike | None:
        """The bytes of a sparse value; None for any other."""
        node = self.sparse.get(node, node)
        return stored_bytes(node) if node.op.name in RESULTS else None

    def _given(self, node: Node) -> None:
        size = 0 if self.is_inner else self.bytes_of(node, node.tensor)
        self.root[node] = len(self.buffers)
        self.at[node] = 0
        self.buffers.append(Buffer(node, 0, size, 0, 0, kept=True, is_own=False))

    def _step(self, node: Node) -> None:
        if node in self.root:
            return
        if self._moving is not None and any(a in self._moving for a in node.args):
            self._moving.add(node)
        if node.op is CONSTANT:
            self._given(node)
            return
        if node.op in (LITERAL, SIZE):
            self.root[node] = None
            return
        base = self._base(node)
        number = len(self.steps)
        if base is not None:
            self.root[node] = self.root[base]
            self.at[node] = self.at.get(base, 0)
            return
        if node.op is ITEM:
            source = node.args[0]
            self.at[node] = self.at[source]
            self.root[node] = self.steps[self.at[source]].makes[node["position"]]
            return
        reads = tuple(dict.fromkeys(b for a in node.args if (b := self.root[a]) is not None))
        makes = tuple(range(len(self.buffers), len(self.buffers) + len(types_of(node))))
        is_steady = self._moving is not None and node not in self._moving  # it may be made ahead of the loop
        is_own = (node.op.name in IN_PLACE or node.op.name in _MAKING) and not is_steady
        for place, type in enumerate(types_of(node)):
            bytes = self.bytes_of(node, type)
            self.buffers.append(Buffer(node, place, bytes, number, number, kept=is_steady, is_own=is_own))
        self.at[node] = number
        if not isinstance(node.type, tuple):
            self.root[node] = makes[0]
        else:
            self.root[node] = None
        self.steps.append(Step(node, reads, makes, (), self._workspace(node)))

    def _base(self, node: Node) -> Node | None:
        """What a node is only another look at."""
        name, args = node.op.name, node.args
        if not args or isinstance(node.type, tuple):
            return None
        if node.op is ITEM:
            return args[0].args[0] if args[0].op.name == "split" else None
        if is_view(node) or name in PARTS or (name == "flip" and self.library != "torch"):
            return args[0]
        if name == "cast" and _held(node) == _held(args[0]):
            return args[0]
        if name in _ROUNDING and node.tensor.dtype.kind in "bi":
            return args[0]
        if node.op is INDEX and isinstance(body := node["formula"].body, Access) and is_sliced(body):
            return args[body.operand] if all(len(axis) == 1 for axis in node["formula"].axes) else None
        return None

    def _workspace(self, node: Node) -> int:
        """What a step takes beside what it reads and makes."""
        if node.op is CALL and node["body"] in self.natives:
            turned = [a for a in node.args if is_turned(a, self.turned)]
            return self.natives[node["body"]] + sum(held_bytes(a.tensor, self.size) for a in turned)  # made contiguous
        if not node.programs:
            library = "numpy" if self.library == "llvm" else self.library
            copied = copied_by_torch(node, self.turned) if library == "torch" else ()
            return workspace(node, library, self.size, self.seen) + sum(held_bytes(a.tensor, self.size) for a in copied)
        states = node.get("state", 0)
        most = 0
        for body in (node["then"],) if is_guarded(node) else node.programs:
            skip = 1 if node.op is SCAN else 0
            moving = body.inputs[: states + skip] if node.op in (REPEAT, SCAN) else body.inputs
            size = Sizes({n: self.size(d) for n, d in node["sizes"]}) if node.op is CALL else self.size
            if body not in self.inner:
                given = zip(body.inputs[skip:], node.args[node.op is IF :])
                turned = [i for i, a in given if is_turned(a, self.turned)]
                self.inner[body] = Liveness(
                    body, self.library, size, reuses=self.reuses, seen=self.seen, moving=moving, natives=self.natives,
                    turned=turned,
                )  # fmt: skip
            most = max(most, self.inner[body].peak)
        made = sum(held_bytes(t, self.size) for t in types_of(node))
        if node.op in (IF, CALL):
            return max(most - made, 0)
        stacked = sum(held_bytes(t, self.size) for t in types_of(node)[states:])
        return max(most, stacked) if node.op is SCAN and self.library == "torch" else most

    def _finish(self) -> None:
        last = max(len(self.steps) - 1, 0)
        for number, step in enumerate(self.steps):
            for read in step.reads:
                self.buffers[read].end = number
        for node in self.program.outputs:
            root = self.root[node]
            if root is not None:
                self.buffers[root].kept = True
        for buffer in self.buffers:
            if buffer.kept:
                buffer.end = last
        self.steps = [self._with_takes(number, step) for number, step in enumerate(self.steps)]

    def _with_takes(self, number: int, step: Step) -> Step:
        """A step with the buffers that its results take."""
        node = step.node
        found: list[tuple[int, int]] = []
        if node.op in (REPEAT, SCAN):
            for place, operand in enumerate(node.args[: node["state"]]):
                root = self.root[operand]
                if root is not None and self._dies(root, number) and root not in dict(found).values():
                    found.append((step.makes[place], root))
        elif self.reuses and (position := self.reused(node)) is not None:
            root = self.root[node.args[position]]
            assert root is not None
            found.append((step.makes[0], root))
        return Step(node, step.reads, step.makes, tuple(found), step.workspace) if found else step

    def _dies(self, buffer: int, number: int) -> bool:
        held = self.buffers[buffer]
        return held.end == number and not held.kept and held.is_own

    def may_reuse(self, node: Node) -> int | None:
        """The operand that a function of entries could write its result to, if nothing else needed it."""
        reused = self.reused(node)
        return next(self._candidates(node), None) if reused is None else reused

    def _candidates(self, node: Node) -> Iterator[int]:
        """The operands that a function of entries could write its result to."""
        if not self.reuses or self.library == "torch" or node.op.name not in IN_PLACE:
            return
        if not node.tensor.dims or node.tensor.dtype.name not in _FLOATS or held_bytes(node.tensor, self.size) < ELIDED:
            return
        for position, operand in enumerate(node.args):
            root = self.root[operand]
            if root is None or operand.type is not node.type or not self.buffers[root].is_own:
                continue
            others = [a for a in node.args if a is not operand and self.root[a] == root]
            if not others and _named(operand) is self.value(root):
                yield position

    def reused(self, node: Node) -> int | None:
        """The operand that a function of entries writes its result to; None where there is none."""
        if node not in self.at or self.root[node] is None:
            return None
        for position in self._candidates(node):
            root = self.root[node.args[position]]
            if root is not None and self._dies(root, self.at[node]):
                return position
        return None

    def value(self, buffer: int) -> Node:
        """The node that a buffer is the value of, as others refer to it."""
        held = self.buffers[buffer]
        if not isinstance(held.node.type, tuple):
            return held.node
        from tpc.ir.build import items

        return items(held.node)[held.place]

    # ---- reading

    def step(self, node: Node) -> Step | None:
        """The step that computes a node; None for what is given, and for other looks at values."""
        number = self.at.get(node, len(self.steps))
        found = self.steps[number] if number < len(self.steps) else None
        return found if found is not None and found.node is node else None

    def body(self, node: Node) -> Liveness | None:
        """Of what runs inside of a node, that which holds most; None where nothing does."""
        found = [self.inner[program] for program in node.programs if program in self.inner]
        return max(found, key=lambda inner: inner.peak, default=None)

    def moves(self, buffer: int) -> bool:
        """Whether a buffer of a loop's body is made anew in each pass."""
        return self._moving is not None and self.buffers[buffer].node in self._moving

    @cached_property
    def taken(self) -> dict[int, int]:
        """Buffers whose place another one has taken, by that one."""
        return {made: given for step in self.steps for made, given in step.takes}

    @cached_property
    def live(self) -> list[int]:
        """Bytes at each step, while it runs."""
        changes = [0] * (len(self.steps) + 1)
        for buffer in self.buffers:
            changes[buffer.start] += buffer.bytes
            changes[buffer.end + 1 if self.steps else 0] -= buffer.bytes
        for number, step in enumerate(self.steps):
            for _, given in step.takes:
                changes[number] -= self.buffers[given].bytes
                changes[number + 1] += self.buffers[given].bytes
        changes[0] += self.always
        held = list(accumulate(changes))[: len(self.steps)]
        return [bytes + step.workspace for bytes, step in zip(held, self.steps, strict=True)]

    @property
    def held(self) -> int:
        """Bytes of arguments and constants."""
        return sum(b.bytes for b in self.buffers if b.node.op in (INPUT, CONSTANT))

    @cached_property
    def copied(self) -> int:
        """Bytes of results that are copied when they are returned, since they are parts of others or arguments."""
        if self.is_inner:
            return 0
        seen: set[int] = set()
        total = 0
        for node in self.program.outputs:
            root = self.root[node]
            if root is None:
                continue
            if root in seen or self._is_given(self.buffers[root]) or is_part(node):
                total += held_bytes(node.tensor, self.size)
            else:
                seen.add(root)
        return total

    def _is_given(self, buffer: Buffer) -> bool:
        """Whether an array may be an argument or a constant, which a loop or a branch passes on."""
        node = buffer.node
        if node.op in (INPUT, CONSTANT):
            return True
        given = [value for name, value in node.attributes if name in ("body", "then", "other")]
        bodies = [self.inner[body] for body in given if body in self.inner and node.op is not CALL]
        skip = 1 if node.op is SCAN else 0
        if node.op in (REPEAT, SCAN):
            if buffer.place >= node["state"]:
                return False
            first = self.root[node.args[buffer.place]]
            if first is not None and self._is_given(self.buffers[first]):
                return True
            inputs = bodies[0].program.inputs[skip:] if bodies else ()
            bodies = [b for b in bodies if b.program.outputs[buffer.place] is not inputs[buffer.place]]
        for body in bodies:
            root = body.root.get(body.program.outputs[buffer.place])
            if root is not None and body._is_given(body.buffers[root]):
                return True
        return False

    @cached_property
    def returned(self) -> int:
        """Bytes that are held in the end, with the copies of results."""
        return sum(b.bytes for b in self.buffers if b.kept) + self.copied + self.always

    @cached_property
    def peak(self) -> int:
        return max([*self.live, self.returned])

    @cached_property
    def position(self) -> int:
        """The step at which most is held; the first of several."""
        return max(range(len(self.live)), key=lambda k: self.live[k], default=0)

    def alive(self, position: int) -> list[Buffer]:
        """The buffers that are held while a step runs, the largest first."""
        given = {g for _, g in self.steps[position].takes} if self.steps else set()
        found = [b for k, b in enumerate(self.buffers) if b.start <= position <= b.end and k not in given and b.bytes]
        return sorted(found, key=lambda b: -b.bytes)


def _held(node: Node) -> str:
    dtype = node.tensor.dtype
    return STRONG.get(dtype, dtype).numpy


def _named(node: Node) -> Node:
    """A value as it is written: what waits for another has the name of itself."""
    while node.op.name == "after":
        node = node.args[0]
    return node
