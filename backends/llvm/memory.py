"""What is held by a program that runs natively in part: values of regions that are fused are never there."""

from __future__ import annotations

from functools import lru_cache

from tpc.backends.llvm.arena import KEPT, block
from tpc.backends.llvm.lower import refusal, stored, workspace
from tpc.backends.llvm.regions import PRODUCTS, Outliner
from tpc.ir.build import input_node
from tpc.ir.dims import is_nonnegative
from tpc.ir.node import Node, Program
from tpc.ir.ops.shapes import AFTER
from tpc.ir.rewrite import replace
from tpc.passes.memory.liveness import Liveness
from tpc.passes.memory.workspace import is_closed


def live(program: Program, seen: bool = False, tight: bool = False) -> Liveness:
    """The liveness of a program of known sizes, each native region one step.

    The memory for their temporaries is kept from call to call, unless it is large. For `seen` see `Liveness`, for
    `tight` see `contract`.
    """
    return _live(program, outliner(program, tight), seen)


def outliner(program: Program, tight: bool = False) -> Outliner:
    """What takes the regions out of a program; where it is tight, with those products in them that then take no memory.

    These stay with a library if more would be held otherwise: what they are made of is held until they are read.
    """
    plain = Outliner(refusal, tight)
    fused = _fused(program) if tight and is_closed(program) and any(map(_is_spread, program.nodes)) else frozenset()
    if not fused:
        return plain
    streaming = Outliner(refusal, tight, fused)
    return min(streaming, plain, key=lambda made: _live(program, made).peak)


def _live(program: Program, outliner: Outliner, seen: bool = False) -> Liveness:
    outlined = outliner.program(program)
    taken = {body: _block(body.replace(name="")) for body in outliner.bodies}
    kept = max((size for size in taken.values() if size <= KEPT), default=0)
    large = {body: size if size > KEPT else 0 for body, size in taken.items()}
    return Liveness(outlined, "llvm", natives=large, always=kept, seen=seen, fused=outliner.fused)


def _is_spread(node: Node) -> bool:
    """Whether a value is a product that takes more than what it is made of."""
    return node.op.name in PRODUCTS and all(is_nonnegative(node.tensor.bytes - a.tensor.bytes - 1) for a in node.args)


@lru_cache(16)
def _fused(program: Program) -> frozenset[Node]:
    """The products of a program that are spread and that native code does not store, and what is made of them until it
    stores something.

    What waits for other values is there as a whole.
    """
    waits = [node for node in program.nodes if node.op is AFTER]
    given = {node: input_node(f"{k}", node.tensor) for k, node in enumerate(waits)}
    outputs = replace([*program.outputs, *(node.args[0] for node in waits)], given)
    whole = Outliner(refusal)
    whole.program(Program(program.name, (*program.inputs, *given.values()), tuple(dict.fromkeys(outputs))))
    inner: set[Node] = set()
    for body in whole.bodies:
        written = stored(body)
        inner.update(node for own, node in whole.origins[body].items() if own not in written)
    found: set[Node] = set()
    for node, same in zip(program.nodes, replace(program.nodes, given), strict=True):
        if same in inner and (_is_spread(node) or not found.isdisjoint(node.args)):
            found.add(node)
    return frozenset(found)


@lru_cache(1024)
def _block(body: Program) -> int:
    """Bytes of the block for the temporaries of a region; it has no name, since plans have many regions in common."""
    bytes = workspace(body)
    assert isinstance(bytes, int), body
    return block(bytes)
