"""What is held at each step, for any sizes: numbers where all sizes are known, else polynomials of the sizes."""

from __future__ import annotations

from tpc.ir.dims import DimLike
from tpc.ir.node import Node, Program
from tpc.ir.ops.structure import REPEAT, SCAN
from tpc.ir.types import TensorType
from tpc.passes.count import is_guarded
from tpc.passes.memory.liveness import Buffer, Liveness
from tpc.passes.memory.workspace import is_closed


def peaks(program: Program, library: str = "numpy") -> list[DimLike]:
    """Bytes held at each step of a program, arguments and results included.

    Where sizes are open, what libraries take for themselves is left out.
    """
    memory = Liveness(program, library)
    if is_closed(program):
        return [*memory.live, memory.peak]
    return _steps(memory)


def _steps(memory: Liveness) -> list[DimLike]:
    changes: list[DimLike] = [0] * (len(memory.steps) + 1)
    for buffer in memory.buffers:
        bytes = _bytes(buffer, memory)
        changes[buffer.start] += bytes
        changes[buffer.end + 1 if memory.steps else 0] -= bytes if memory.steps else 0
    for number, step in enumerate(memory.steps):
        for _, given in step.takes:
            bytes = _bytes(memory.buffers[given], memory)
            changes[number] -= bytes
            changes[number + 1] += bytes
    held: DimLike = 0
    found: list[DimLike] = []
    for number in range(max(len(memory.steps), 1)):
        held += changes[number]
        found.append(held)
        if memory.steps:
            found += [held + inner - _results(memory.steps[number].node) for inner in _inner(memory, number)]
    return found


def _inner(memory: Liveness, number: int) -> list[DimLike]:
    """What is held inside of a loop, a branch or a call, beside what is held outside."""
    node = memory.steps[number].node
    bodies = (node["then"],) if is_guarded(node) else node.programs
    return [held for body in bodies if body in memory.inner for held in _steps(memory.inner[body])]


def _results(node: Node) -> DimLike:
    """The results of a branch or a call, which are made inside of it; those of a loop are there beside it."""
    types = node.type if isinstance(node.type, tuple) else (node.type,)
    total: DimLike = 0
    for type in types:
        total += type.bytes if type.dims and node.op not in (REPEAT, SCAN) else 0
    return total


def _bytes(buffer: Buffer, memory: Liveness) -> DimLike:
    type: TensorType = buffer.type
    is_outside = memory.is_inner and buffer.node in memory.program.inputs
    stored = memory.stored(buffer.node)
    if stored is not None:
        return 0 if is_outside else stored
    return type.bytes if type.dims and not is_outside else 0
