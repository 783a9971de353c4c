"""What is held where a program holds most."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tpc.ir.node import Node
from tpc.ir.ops.structure import CALL, INPUT
from tpc.passes.memory.liveness import Liveness

LEAST = 2**20  # bytes below which nobody asks
MOST = 4  # values that are told


@dataclass(frozen=True)
class Held:
    """A value, or `workspace` of the step that runs: what it is called, its type, and its bytes."""

    name: str
    type: str
    bytes: int


def at_peak(memory: Liveness, names: Mapping[Node, str]) -> tuple[Held, ...]:
    """The largest values that are held at the step at which most is; nothing where that is little."""
    if memory.peak < LEAST or not memory.steps:
        return ()
    found = []
    for buffer in memory.alive(memory.position):
        node = memory.value(memory.buffers.index(buffer))
        made = "native code" if buffer.node.op is CALL else buffer.node.op.name
        name = str(node["name"]) if node.op is INPUT else names.get(node, "") or made
        found.append(Held(name, str(buffer.type), buffer.bytes))
    step = memory.steps[memory.position]
    if step.workspace:
        found.append(Held(f"workspace of {step.node.op.name}", "", step.workspace))
    return tuple(sorted(found, key=lambda held: -held.bytes)[:MOST])
