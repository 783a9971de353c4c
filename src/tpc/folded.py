"""What depends on constants alone, computed when a plan becomes code: the code loads it as it loads the constants."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from tpc.ir.dims import is_nonnegative
from tpc.ir.node import Node
from tpc.ir.notes import keeping
from tpc.ir.ops.structure import CONSTANT, ConstantData
from tpc.ir.rewrite import replace as replaced
from tpc.passes.count import held

if TYPE_CHECKING:
    from tpc.passes.pipeline import Plan

MOST = 4  # times the bytes of the constants that may be held in their place
FORMATS = ("f64", "f32", "c128", "c64", "i64", "i32", "i8", "bool")  # that NumPy has


def folded(plan: Plan) -> Plan:
    """The plan with constants in the place of what is computed from constants alone.

    It stays where that would hold much more than it was given, and where computing fails: then a call tells what is
    wrong.
    """
    constants = [node for node in plan.program.nodes if node.op is CONSTANT]
    if not constants:
        return plan
    from tpc.backends import backend
    from tpc.passes.stages.split import split

    with keeping(plan.notes):
        stages = split(plan.program, plan.notes.names, given=())
        made = stages.ahead.outputs
        known = all(node.tensor.dtype.name in FORMATS for node in made)
        if not made or not known or not is_nonnegative(MOST * sum(map(held, constants)) - stages.bytes):
            return plan
        numpy = backend("numpy")
        try:
            returned = numpy.load(numpy.emit(stages.ahead))()
        except (ArithmeticError, ValueError):  # NumPy's LinAlgError is a ValueError
            return plan
        arrays = returned if isinstance(returned, tuple) else (returned,)
        inputs = stages.each.inputs[: len(made)]
        stand_ins = {node: _constant(node, array) for node, array in zip(inputs, arrays, strict=True)}
        outputs = replaced(stages.each.outputs, stand_ins)
    facts = [(node, own) for node, own in plan.program.facts if node in plan.program.inputs]
    program = plan.program.replace(outputs=outputs, facts=facts)
    return replace(plan, program=program)


def _constant(node: Node, value: object) -> Node:
    """A computed value as a constant, which goes by the name of the value."""
    array = np.array(value, node.tensor.dtype.numpy)
    array.flags.writeable = False
    digest = hashlib.sha256(f"{array.dtype.str}{array.shape}".encode())
    digest.update(array.tobytes())
    name = str(node["name"])
    data = ConstantData(f"{name}.npy", digest.hexdigest(), array)
    return Node(CONSTANT, (), (("name", name), ("data", data)), node.type)
