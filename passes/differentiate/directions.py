"""Products with Jacobians and Hessians as derivatives along directions: the matrices are not made.

    jacobian(f, x)(x) @ v    jvp(f, x)(x, v)        jacobian(f, x)(x)' @ u    vjp(f, x)(x, u)
    hessian(f, x)(x) @ v     hvp(f, x)(x, v)

What is left of a Gauss-Newton product J' @ (J @ v) is one tangent and one adjoint.
"""

from __future__ import annotations

from tpc.ir.build import cast, make
from tpc.ir.node import Node, Program
from tpc.ir.ops.structure import DERIVATIVE
from tpc.ir.rewrite import replace, values, with_values
from tpc.ir.types import TensorType

MOST = 4  # products with one matrix, beyond which it is made
_FORWARD = {"jacobian": "jvp", "hessian": "hvp"}
_BACKWARD = {"jacobian": "vjp", "hessian": "hvp"}


def along_directions(program: Program) -> Program:
    """The program with derivatives along directions, where nothing else is done with a Jacobian or Hessian."""
    users: dict[Node, list[Node]] = {}
    for node in program.nodes:
        for arg in dict.fromkeys(node.args):
            users.setdefault(arg, []).append(node)
    given = set(values(program))
    mapping: dict[Node, Node] = {}
    for matrix in program.nodes:
        if not _is_matrix(matrix) or matrix in given:
            continue
        turned = [n for n in users.get(matrix, []) if n.op.name == "transpose" and n not in given]
        others = [n for n in users.get(matrix, []) if n not in turned]
        found = {n: _product(n, matrix, matrix) for n in others}
        found |= {n: _product(n, t, matrix) for t in turned for n in users.get(t, [])}
        if 0 < len(found) <= MOST and None not in found.values():
            mapping |= {n: made for n, made in found.items() if made is not None}
    if not mapping:
        return program
    # products with products: those that come later are made of what takes the place of the earlier
    replaced: dict[Node, Node] = {}
    for node in program.nodes:
        if node in mapping:
            (replaced[node],) = replace([mapping[node]], replaced)
    return with_values(program, replace(values(program), replaced))


def _is_matrix(node: Node) -> bool:
    """Whether a node is the derivative of one real vector, or of one number twice, by a vector."""
    if node.op is not DERIVATIVE or not isinstance(node.type, TensorType) or node.tensor.rank != 2:
        return False
    kinds = [kind for kind, _, _ in node["steps"]]
    by = node["steps"][-1][1]
    return kinds[-1] in _FORWARD and "vmap" not in kinds and len(by) == 1 and node.tensor.dtype.kind == "f"


def _product(node: Node, seen: Node, matrix: Node) -> Node | None:
    """What takes the place of a product of the matrix, or its transpose, and a vector; None for anything else."""
    if node.op.name not in ("matvec", "vecmat") or node.args.count(seen) != 1:
        return None
    (vector,) = (a for a in node.args if a is not seen)
    is_turned = (node.op.name == "vecmat") is (seen is matrix)
    *inner, (kind, names, options) = matrix["steps"]
    made = (_BACKWARD if is_turned else _FORWARD)[kind]
    steps = (*inner, (made, names, options))
    if vector.tensor.rank != 1 or not (vector.tensor.dtype.is_weak or vector.tensor.dtype is node.tensor.dtype):
        return None
    args = (*matrix.args, cast(vector, node.tensor.dtype))
    return make(DERIVATIVE, args, steps=steps, body=matrix["body"], types=(node.tensor,))
