"""Whether a rule that claims never to be dearer keeps its word."""

from __future__ import annotations

from itertools import product

from tpc.ir.dims import evaluate
from tpc.ir.dims import product as product_of
from tpc.ir.node import Node, Program
from tpc.ir.types import TensorType
from tpc.passes.rules.checker.setting import Setting
from tpc.passes.rules.shapes import sides

SIZES = (4, 40, 300)
BARE = ("literal", "size", "cast", "input", "transpose", "eye")  # what costs nothing, or is there before it is used
SLACK, LEAST = 1.25, 100  # counts of operations are estimates, and nothing hangs on a few of them
ROUGH = 2.0  # the weights of scalar functions are rough ones


def dearer(setting: Setting) -> list[str]:
    """Where the right side takes more operations, or moves more numbers, than the left."""
    left, right = (setting.expression(side).program for side in sides(setting.law))
    names = setting.shapes.free
    slack = ROUGH if setting.entrywise else SLACK
    for choice in product(SIZES, repeat=len(names)):
        sizes = dict(zip(names, choice))
        if not setting.allows(sizes):
            continue
        for what, count in (("operations", operations), ("numbers moved", moved)):
            before, after = count(left, sizes), count(right, sizes)
            if after > slack * before + LEAST:
                return [f"it takes {after} {what}, not {before}, at {sizes}"]
    return []


def operations(program: Program, sizes: dict[str, int]) -> int:
    """The operations of the value of a side, shared values once."""
    total = 0
    for node in Program("side", program.inputs, program.outputs[:1]).nodes:
        if node.op.name in BARE:
            continue
        types = [a.tensor for a in node.args if isinstance(a.type, TensorType)]
        if len(types) == len(node.args):
            total += evaluate(node.op.count_flops(types, dict(node.attributes)), sizes)
    return total


def moved(program: Program, sizes: dict[str, int]) -> int:
    """The numbers that the steps of a side read and write."""
    total = 0
    for node in Program("side", program.inputs, program.outputs[:1]).nodes:
        if node.op.name in BARE or node.op.group == "elementwise":  # which fuse into what is around them
            continue
        for type in (t for value in {node, *node.args} for t in _types(value)):
            total += evaluate(product_of(type.dims), sizes)
    return total


def _types(node: Node) -> tuple[TensorType, ...]:
    return node.type if isinstance(node.type, tuple) else (node.type,)
