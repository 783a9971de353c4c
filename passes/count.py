"""What the nodes of a program cost: operations, bytes, and what is held in memory."""

from __future__ import annotations

from tpc.ir.build import literal_value
from tpc.ir.dims import DimLike, divide, divide_exactly, maximum, substitute
from tpc.ir.node import Node, Program
from tpc.ir.ops.sparse import NAMES as SPARSE
from tpc.ir.ops.sparse import RESULTS as STORED
from tpc.ir.ops.sparse import share, stored_bytes
from tpc.ir.ops.structure import CONSTANT, INPUT, ITEM, LITERAL, SIZE
from tpc.ir.types import TensorType

# Ops whose result is another look at an operand's memory, all but the matrix of a diagonal.
RESHAPES = ("reshape", "vec", "unvec")
VIEWS = (
    *RESHAPES,
    "csr",
    "csr_transpose",
    "after",
    "transpose",
    "permute",
    "squeeze",
    "unsqueeze",
    "subscript",
    "item",
    "diag",
)
FILLED = ("circulant", "toeplitz", "hankel")  # by a vector, and applied by Fourier transforms
GIVEN = (INPUT, CONSTANT, ITEM, LITERAL, SIZE)


def node_flops(node: Node) -> DimLike:
    """Operations of one node, those of its inner programs included."""
    match node.op.name:
        case "call":
            sizes = dict(node["sizes"])
            return substitute(total_flops(node["body"]), sizes)
        case "repeat":
            test = node["until"]
            body = total_flops(node["body"]) + (0 if test is None else total_flops(test))
            return body * passes_of(node)
        case "scan":
            return total_flops(node["body"]) * passes_of(node)
        case "if" if is_guarded(node):
            return total_flops(node["then"])
        case "if":
            return maximum(divide(total_flops(node["then"]), turns(node)), total_flops(node["other"]))
        case "matmul" if is_gram(node):
            rows, columns = node.args[0].tensor.dims
            return rows * (rows + 1) * columns
    if node.op in GIVEN or any(isinstance(a.type, tuple) for a in node.args):
        return 0
    flops = node.op.count_flops([a.tensor for a in node.args], dict(node.attributes))
    return share(flops, node["density"]) if node.op.name in SPARSE else flops


def is_gram(node: Node) -> bool:
    """Whether a product is one of a matrix with its own transpose, of which only a triangle is computed."""
    if node.op.name != "matmul" or node.tensor.rank != 2 or not node.tensor.dtype.is_float:
        return False
    first, second = node.args
    return any(a.op.name == "transpose" and a.args[0] is b for a, b in ((first, second), (second, first)))


def is_view(node: Node) -> bool:
    """Whether a node is another look at its operand's memory."""
    if node.op.name in RESHAPES:
        return not _moves_entries(node)
    return node.op.name in VIEWS and not (node.op.name == "diag" and node.tensor.rank == 2)


def _moves_entries(node: Node) -> bool:
    """Whether axes are joined that have changed places, so that they do not follow each other in memory."""
    array = node.args[0]
    order = list(range(array.tensor.rank))  # which axis of the array in memory each axis is
    while array.op.name in ("transpose", "permute"):
        rank = len(order)
        turn = array["axes"] if array.op.name == "permute" else (*range(rank - 2), rank - 1, rank - 2)
        order = [turn[k] % rank for k in order]
        array = array.args[0]
    sizes = [dim for dim in array.tensor.dims if dim != 1]
    memory = [k for k, dim in enumerate(array.tensor.dims) if dim != 1]
    left = [memory.index(k) for k in order if k in memory]
    result = [dim for dim in node.tensor.dims if dim != 1]
    while left and result:
        group, made = [left.pop(0)], result.pop(0)
        joined = sizes[group[0]]
        while joined != made and (left or result):
            if left and (not result or divide_exactly(made, joined) is not None):
                group.append(left.pop(0))
                joined *= sizes[group[-1]]
            else:
                made *= result.pop(0)
        if group != list(range(group[0], group[0] + len(group))):
            return True
    return False


def is_guarded(node: Node) -> bool:
    """Whether a node is a branch that is expected to be taken, and else gives way to what it would have spared."""
    return node.op.name == "if" and node.args[0].op.name in ("harmless", "solved")


def turns(node: Node) -> int:
    """In how many passes of a loop a branch is taken once, and a value kept meanwhile: k of `stale(e, every=k)`."""
    test = node.args[0]
    mod = next((arg for arg in test.args if arg.op.name == "mod"), None)
    if test.op.name != "eq" or mod is None or any(n.args for n in node["other"].outputs):
        return 1
    numbers = [literal_value(arg) for arg in (*test.args, mod.args[1]) if arg is not mod]
    return numbers[1] if numbers[0] == 0 and isinstance(numbers[1], int) and numbers[1] > 0 else 1


def node_bytes(node: Node) -> DimLike:
    """Bytes read and written by one node."""
    if node.op in GIVEN or is_view(node):
        return 0
    total = held(node)
    for operand in dict.fromkeys(node.args):
        total += held(operand)
    return total


def held(node: Node) -> DimLike:
    """The bytes of the arrays that a node makes; numbers are not counted."""
    if node.op.name in STORED:
        return stored_bytes(node)
    types = node.type if isinstance(node.type, tuple) else (node.type,)
    total: DimLike = 0
    for type in types:
        total += type.bytes if isinstance(type, TensorType) and type.dims else 0
    return total


def total_flops(program: Program) -> DimLike:
    total: DimLike = 0
    for node in program.nodes:
        total += node_flops(node)
    return total


def passes_of(node: Node) -> DimLike:
    """How often the body of a loop runs, if no test ends it."""
    count: DimLike | None = node["count"] if node.op.name == "repeat" else node["extent"]
    return 1 if count is None else count
