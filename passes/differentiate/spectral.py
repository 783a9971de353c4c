"""Matrix functions in the form whose derivative is best.

`Q @ diag(f(w)) @ Q'` of `w, Q = eigh(A)` as f(A), whose derivative is there where eigenvalues repeat; powers of a
Kronecker product as products of powers, whose derivatives take the eigenvalues of the factors alone.
"""

from __future__ import annotations

from tpc.ir.build import literal_value, make
from tpc.ir.facts import analyse
from tpc.ir.node import Node, Program
from tpc.ir.ops.structure import ITEM
from tpc.ir.rewrite import map_blocks, rewrite, values, with_values

_OF_ONE = {"exp": "expm", "neg": "neg"}  # those that need no positive eigenvalues
_OF_BOTH = ("add", "sub")
_DEFINED = {"sqrtm": "psd", "matpow": "spd"}  # what both factors must be


def as_matrix_function(node: Node) -> Node:
    """A product of eigenvectors, a function of eigenvalues and the eigenvectors again as a function of the matrix."""
    if node.op.name != "matmul" or node.tensor.rank != 2:
        return node
    left, right = node.args
    found = _scaled(left, right) or _scaled(_turned(right), _turned(left))
    if found is None:
        return node
    vectors, factor = found
    pair = vectors.args[0] if vectors.op is ITEM else None
    if pair is None or pair.op.name != "eigh" or vectors["position"] != 1:
        return node
    made = _function(factor, pair)
    return node if made is None or made.type is not node.type else made


def powers_on_factors(program: Program) -> Program:
    """The program with powers of Kronecker products as Kronecker products of powers, where these are defined."""
    if not any(node.op.name == "kron" for node in program.walk()):
        return program
    facts = analyse(program)

    def change(node: Node) -> Node:
        node = map_blocks(node, powers_on_factors)
        needed = _DEFINED.get(node.op.name)
        if needed is None or node.args[0].op.name != "kron" or node.args[0].tensor.rank != 2:
            return node
        factors = node.args[0].args
        if not all(any(fact.name == needed for fact in facts.get(f, ())) for f in factors):
            return node
        found = make("kron", [make(node.op, (f, *node.args[1:]), **dict(node.attributes)) for f in factors])
        return found if found.type is node.type else node

    return with_values(program, rewrite(values(program), change))


def _scaled(left: Node, right: Node) -> tuple[Node, Node] | None:
    """Q and h, where `left` is Q with its columns times h, and `right` is Q'."""
    vectors = _turned(right)
    if left.op.name == "matmul" and left.args[0] is vectors and left.args[1].op.name == "diag":
        return vectors, left.args[1].args[0]
    if left.op.name == "mul" and vectors in left.args:
        (factor,) = [a for a in left.args if a is not vectors] or [vectors]
        if factor.op.name in ("unsqueeze", "reshape") and factor.tensor.dims[:-1] == (1,):
            factor = factor.args[0]
        if factor.tensor.rank == 1:
            return vectors, factor
    return None


def _turned(node: Node) -> Node:
    return make("transpose", (node,))


def _function(value: Node, pair: Node) -> Node | None:
    """What a function of the eigenvalues is as one of the matrix: products of such functions commute."""
    if value.op is ITEM and value.args[0] is pair:
        return pair.args[0]
    name, args = value.op.name, value.args
    parts = [a if not a.tensor.rank else _function(a, pair) for a in args]
    if any(p is None for p in parts):
        return None
    known = [p for p in parts if p is not None]
    matrices = [p for p, a in zip(known, args, strict=True) if a.tensor.rank]
    if name in _OF_ONE:
        return make(_OF_ONE[name], known)
    if name == "square" or (name == "pow" and literal_value(args[1]) == 2):
        return make("matmul", (known[0], known[0]))
    if name == "mul":
        return make("matmul" if len(matrices) == 2 else "mul", known)
    if name == "div" and len(matrices) == 1 and args[0].tensor.rank:
        return make("div", known)
    if name in _OF_BOTH:
        return make(name, [p if a.tensor.rank else _diagonal(p, pair) for p, a in zip(known, args, strict=True)])
    return None


def _diagonal(number: Node, pair: Node) -> Node:
    type = pair.args[0].tensor
    return make("mul", (number, make("eye", (), i=type.dims[0], j=type.dims[0], dtype=type.dtype)))
