"""Loops with state, where two sets of buffers take turns, and branches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir

from tpc.backends.llvm.fusion.loop import Branch, Loop, Run
from tpc.backends.llvm.nests.types import BYTE, I1, INTEGER, POINTER
from tpc.backends.llvm.nests.writer import Writer
from tpc.ir.dims import product
from tpc.ir.node import Node

Pointers = dict[Any, ir.Value]


def write(writer: Writer, pointers: Pointers, loop: Loop, run: Callable[[str, Run], None]) -> None:
    """Write a loop; `run` writes the steps of a body to the buffers at `pointers`, which in the end are as before but
    for those of the results."""
    b = writer.builder
    outside = dict(pointers)
    passes = writer.variable(INTEGER, "pass")
    b.store(writer.integer(0), passes)
    now, following, last = ([writer.variable(POINTER, "state") for _ in loop.state] for _ in range(3))
    start = [pointers[n] for n in loop.start]
    for k, (one, other) in enumerate(loop.spare):
        if one is other:
            copy = [pointers[one], start[k], writer.dim(one.tensor.bytes), ir.Constant(I1, 0)]
            writer.intrinsic("llvm.memcpy", [POINTER, POINTER, INTEGER], ir.VoidType(), copy)
            start[k] = pointers[one]
    for slots, places in (
        (now, start),
        (following, [pointers[one] for one, _ in loop.spare]),
        (last, [pointers[other] for _, other in loop.spare]),
    ):
        for slot, place in zip(slots, places, strict=True):
            b.store(place, slot)
    limit = loop.count
    most = b.load(pointers[limit], typ=INTEGER) if isinstance(limit, Node) else writer.dim(limit)
    head, body, done = (writer.function.append_basic_block(f"pass.{name}") for name in ("head", "body", "done"))
    b.branch(head)
    b.position_at_end(head)
    number = b.load(passes, typ=INTEGER)
    go = writer.function.append_basic_block("pass.go")
    b.cbranch(b.icmp_signed("<", number, most), go, done)
    b.position_at_end(go)
    for node, slot in zip(loop.state, now, strict=True):
        pointers[node] = b.load(slot, typ=POINTER)
    if loop.until is not None:
        test, *_ = loop.until.results
        run("until", loop.until)
        stop = b.icmp_unsigned("!=", b.load(pointers[test], typ=BYTE), ir.Constant(BYTE, 0))
        b.cbranch(stop, done, body)
    else:
        b.branch(body)
    b.position_at_end(body)
    if loop.position is not None:
        b.store(number, pointers[loop.position])
    targets = [b.load(slot, typ=POINTER) for slot in following]
    for node in loop.stacked:
        entry = product(node.tensor.dims[1:]) * node.tensor.dtype.size
        place = b.mul(number, writer.dim(entry))
        targets.append(b.gep(pointers[node], [place], source_etype=BYTE))
    pointers.update(zip(loop.body.results, targets, strict=True))
    run("body", loop.body)
    # what was read is written two passes on, if not at once; the start, which is not this loop's own, is never written
    for slot, other, spare, target in zip(now, following, last, targets, strict=False):
        b.store(target, slot)
        b.store(b.load(spare, typ=POINTER), other)
        b.store(target, spare)
    b.store(b.add(number, writer.integer(1)), passes)
    b.branch(head)
    b.position_at_end(done)
    pointers.clear()
    pointers.update(outside)
    for node, slot in zip(loop.given, now, strict=False):
        pointers[node] = b.load(slot, typ=POINTER)


def write_branch(writer: Writer, pointers: Pointers, branch: Branch, run: Callable[[str, Run], None]) -> None:
    """Write a branch; `run` is as that of a loop."""
    b = writer.builder
    holds = b.icmp_unsigned("!=", b.load(pointers[branch.condition], typ=BYTE), ir.Constant(BYTE, 0))
    outside = dict(pointers)
    with b.if_else(holds) as (then, other):
        for block, name, part in ((then, "then", branch.then), (other, "other", branch.other)):
            with block:
                pointers.update(zip(part.results, (outside[n] for n in branch.given), strict=True))
                run(name, part)
                pointers.clear()
                pointers.update(outside)
