"""Programs as routines take them: what NumPy computes in f64 for f32 is done so, and a solve has its own factors, those
of Cholesky where it may."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tpc.backends.llvm.routines import types_of
from tpc.ir.build import cast, items, make
from tpc.ir.facts import analyse
from tpc.ir.node import Node, Program
from tpc.ir.ops.structure import ITEM
from tpc.ir.rewrite import expanded, map_blocks, rewrite, values, with_values
from tpc.ir.types import F32, F64

# Their signs, and which singular values are zero but for rounding, are then those of NumPy.
IN_F64 = ("svd", "eigh", "cond", "matrix_rank", "lstsq")


def respelled(program: Program) -> Program:
    """The program with equal nodes in the place of some routines, in its loops and branches too."""
    for solves in (_solves, _definite):
        program = with_values(program, rewrite(values(program), lambda node: node, solves(program)))
    return expanded(program, lambda node: map_blocks(node, respelled), _in_f64)


def _in_f64(node: Node) -> Sequence[Node] | None:
    if node.op.name not in IN_F64 or {a.tensor.dtype for a in node.args} != {F32}:
        return None
    made = make(node.op, [cast(operand, F64) for operand in node.args], **dict(node.attributes))
    pairs = zip(items(made), types_of(node), strict=True)
    return [cast(value, type.dtype) for value, type in pairs]


def _solves(program: Program) -> dict[Node, Node]:
    """Solves with factors that nothing else reads, as solves with the matrix: then no factors are turned to rows."""
    uses = Counter([a for node in program.nodes for a in node.args] + values(program))
    found = {}
    for node in program.nodes:
        if node.op.name != "lu_solve" or any(a.op is not ITEM or uses[a] > 1 for a in node.args[:2]):
            continue
        factors, other = (a.args[0] for a in node.args[:2])
        if factors is other and factors.op.name == "lu_factor" and not factors["symmetric"] and uses[factors] == 2:
            A = make("transpose", factors.args) if node["transposed"] else factors.args[0]
            found[node] = make("solve", (A, node.args[2]))
    return found


def _definite(program: Program) -> dict[Node, Node]:
    """Solves with matrices that are known to be definite, by their Cholesky factors, which may be needed anyway.

    NumPy has no such solve for many matrices, so that plans have the general one. Should one not be definite after all,
    native code fails, and its slow path has that.
    """
    solves = [node for node in program.nodes if node.op.name == "solve"]
    facts = analyse(program) if solves else {}
    found = {}
    for node in solves:
        A, B = node.args
        if any(fact.name == "spd" for fact in facts.get(A, ())):
            while A.op.name == "transpose":
                (A,) = A.args
            made = make("cho_solve", (make("cholesky", (A,)), B))
            if made.type == node.type:
                found[node] = made
    return found
