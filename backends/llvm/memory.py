"""What is held by a program that runs natively in part: values of regions that are fused are never there."""

from __future__ import annotations

from functools import lru_cache

from tpc.backends.llvm.arena import KEPT, block
from tpc.backends.llvm.lower import lower, refusal
from tpc.backends.llvm.regions import Outliner
from tpc.ir.node import Program
from tpc.passes.memory.liveness import Liveness


def live(program: Program, seen: bool = False, tight: bool = False) -> Liveness:
    """The liveness of a program of known sizes, each native region one step.

    The memory for their temporaries is kept from call to call, unless it is large. For `seen` see `Liveness`, for
    `tight` see `contract`.
    """
    outliner = Outliner(refusal, tight)
    outlined = outliner.program(program)
    taken = {body: _block(body) for body in outliner.bodies}
    kept = max((size for size in taken.values() if size <= KEPT), default=0)
    large = {body: size if size > KEPT else 0 for body, size in taken.items()}
    return Liveness(outlined, "llvm", natives=large, always=kept, seen=seen)


@lru_cache(256)
def _block(body: Program) -> int:
    """Bytes of the block for the temporaries of a region."""
    workspace = lower(body, body.name).signature.workspace
    assert isinstance(workspace, int), body
    return block(workspace)
