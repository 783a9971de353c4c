"""What is prepared ahead of calls, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tpc.explanation.account import prices_of
from tpc.explanation.words import bytes_text, seconds_text
from tpc.ir.ops.structure import CONSTANT, INPUT, ITEM
from tpc.passes.choose.prices import Sizes
from tpc.passes.count import held
from tpc.passes.kernels import predicted

if TYPE_CHECKING:
    from tpc.code import Code
    from tpc.ir.node import Node, Program
    from tpc.prepared import Pair


def told(pair: Pair, at: Mapping[str, int], plain: float | None = None) -> list[str]:
    """What is held and what calls then take, with a line for each value.

    Parameters
    ----------
    at
        The sizes that are open.
    plain
        Predicted seconds of a call without.
    """
    stages, size = pair.stages, Sizes(at)
    prices = prices_of(pair.plan)
    ahead, each = (predicted(stage, prices, at) for stage in (stages.ahead, stages.each))
    of = " and ".join(f"`{node['name']}`" for node in stages.ahead.inputs)
    against = "" if plain is None else f", and {seconds_text(plain)} without"
    lines = [
        f"of {of}: {bytes_text(size(stages.bytes))} held, predicted to take {seconds_text(ahead)} once",
        f"each call is then predicted to take {seconds_text(each)}{against}",
    ]
    for node, name in zip(stages.ahead.outputs, stages.ahead.output_names):
        what = "as it is given" if node.op is INPUT else f"by {_maker(node)}"
        lines.append(f"{name}: {node.tensor}, {bytes_text(size(held(node)))}, {what}")
    return lines


def of_constants(program: Program, code: Code) -> list[str]:
    """What code holds of the constants of a program, computed when it was compiled."""
    given = {node["data"] for node in program.walk() if node.op is CONSTANT}
    made = [(name, node) for name, node in code.emitted.origins.items() if node["data"] not in given]
    total = sum(node["data"].array.nbytes for _, node in made)
    lines = [f"{name}: {node.tensor}, {bytes_text(node['data'].array.nbytes)}" for name, node in made]
    return [f"of constants: {bytes_text(total)} held, computed when it was compiled", *lines] if made else []


def _maker(node: Node) -> str:
    """The op that a value is made by; one of several results of an op has no other."""
    return node.args[0].op.name if node.op is ITEM else node.op.name
