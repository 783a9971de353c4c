"""What a program costs, counted from its ops: operations, bytes moved, and the most memory held at one time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tpc.ir.dims import DimLike, dim_text, is_nonnegative, maximum, substitute
from tpc.ir.node import Node, Program
from tpc.ir.ops.structure import CONSTANT, INPUT, ITEM, LITERAL, SIZE
from tpc.ir.types import TensorType

# Ops whose result is another look at an operand's memory.
VIEWS = ("transpose", "subscript", "reshape", "vec", "unvec", "item", "diag")


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of a program: integers where all sizes are known, else polynomials of the sizes as text.

    Attributes
    ----------
    flops
        Operations, counted from the formulas of the ops. The passes of a loop with a test count as if all were made.
    bytes
        Bytes that are read and written, if each op reads its operands and writes its result.
    peak_bytes
        The most that arguments, results and values in between take together.
    seconds
        None: the time is not predicted yet.
    """

    flops: int | str
    bytes: int | str
    peak_bytes: int | str
    seconds: float | None = None


def cost(program: Program, sizes: Mapping[str, int] | None = None) -> Cost:
    known = dict(sizes or {})
    flops: DimLike = 0
    moved: DimLike = 0
    for node in program.nodes:
        flops += substitute(node_flops(node), known)
        moved += substitute(node_bytes(node), known)
    peak = [substitute(p, known) for p in peaks(program)]
    return Cost(_shown(flops), _shown(moved), _most(peak))


def node_flops(node: Node) -> DimLike:
    """Operations of one node, those of its inner programs included."""
    match node.op.name:
        case "call":
            sizes = dict(node["sizes"])
            return substitute(_total(node["body"]), sizes)
        case "repeat":
            test = node["until"]
            body = _total(node["body"]) + (0 if test is None else _total(test))
            count: DimLike = node["count"] if node["count"] is not None else 1
            return body * count
        case "scan":
            extent: DimLike = node["extent"]
            return _total(node["body"]) * extent
        case "if":
            return maximum(_total(node["then"]), _total(node["other"]))
    if node.op in (INPUT, CONSTANT, ITEM, LITERAL, SIZE) or any(isinstance(a.type, tuple) for a in node.args):
        return 0
    return node.op.count_flops([a.tensor for a in node.args], dict(node.attributes))


def node_bytes(node: Node) -> DimLike:
    """Bytes read and written by one node."""
    if node.op in (INPUT, CONSTANT, ITEM, LITERAL, SIZE) or node.op.name in VIEWS:
        return 0
    total = _held(node)
    for operand in dict.fromkeys(node.args):
        total += _held(operand)
    return total


def _total(program: Program) -> DimLike:
    total: DimLike = 0
    for node in program.nodes:
        total += node_flops(node)
    return total


def _held(node: Node) -> DimLike:
    types = node.type if isinstance(node.type, tuple) else (node.type,)
    total: DimLike = 0
    for type in types:
        total += type.bytes if isinstance(type, TensorType) and type.dims else 0
    return total


def peaks(program: Program) -> list[DimLike]:
    """What is held at each step, for a program that forgets a value after its last use."""
    nodes = program.nodes
    last = {node: position for position, user in enumerate(nodes) for node in user.args}
    kept = {*program.inputs, *program.outputs}
    live: DimLike = 0
    for node in program.inputs:
        live += _held(node)
    steps = [live]
    for position, node in enumerate(nodes):
        if node.op is INPUT:
            continue
        if node.op.name not in VIEWS:
            live += _held(node)
        steps.append(live)
        for inner in node.programs:
            outside: DimLike = 0  # its inputs are held already
            for operand in inner.inputs:
                outside += _held(operand)
            steps += [live + step - outside for step in peaks(inner)]
        for operand in dict.fromkeys(node.args):
            if last[operand] == position and operand not in kept and operand.op.name not in VIEWS:
                live = live - _held(operand)
    return steps


def _shown(dim: DimLike) -> int | str:
    return dim if isinstance(dim, int) else dim_text(dim)


def _most(steps: list[DimLike]) -> int | str:
    """The largest, or those of which any may be it."""
    largest: list[DimLike] = []
    for step in dict.fromkeys(steps):
        if any(is_nonnegative(known - step) for known in largest):
            continue
        largest = [known for known in largest if not is_nonnegative(step - known)] + [step]
    texts = [str(_shown(step)) for step in largest]
    if len(largest) == 1:
        return _shown(largest[0])
    return f"max({', '.join(texts[:4])}{', ...' if len(texts) > 4 else ''})" if texts else 0
