"""Programs in the form that is best differentiated.

Each step keeps the value; it is about what the adjoints are written as: with what they share with the value as values
of its own, with derivatives where there are some on paper, and without loops that need none.
"""

from __future__ import annotations

from tpc.ir.build import items, literal_value, make
from tpc.ir.node import Node, Program
from tpc.ir.rewrite import everywhere
from tpc.passes.differentiate.arrays import part
from tpc.passes.differentiate.kernels import as_meant
from tpc.passes.differentiate.rules.reductions import is_euclidean
from tpc.passes.differentiate.spectral import as_matrix_function, powers_on_factors
from tpc.passes.recurrences.entrywise import spelled
from tpc.passes.respell import respell
from tpc.passes.vectorise import vectorise


def prepared(program: Program) -> Program:
    """A program without calls and derivatives, in the form that is best differentiated.

    Index notation that goes entry by entry is operations on arrays, since the adjoint of a formula has all of it in it
    again. Loops that can be made at once are, since their adjoints are then products, and not sums from pass to pass.
    """
    return vectorise(respell(everywhere(powers_on_factors(spelled(program)), _smooth)))


def without_surrogates(program: Program) -> Program:
    """The program with what surrogates stand for in their places, once all derivatives are taken."""
    return everywhere(program, lambda node: node.args[0] if node.op.name == "surrogate" else node)


def _smooth(node: Node) -> Node:
    """A node as one whose derivative is there, or is shorter.

    Squares of norms and absolute values without a root, which have derivatives at 0; matrix functions as such; kernels
    of plans as what they stand for; eigenvalues with their vectors; and two Fourier transforms that are added as that
    of the sum, so that there is one on the way back as well.
    """
    node = as_meant(node)
    if node.op.name == "matmul":
        return as_matrix_function(node)
    if node.op.name == "eigvals":  # whose derivative takes the vectors
        return items(make("eig", node.args))[0]
    if node.op.name == "cond":
        return _condition(node)
    if node.op.name in ("add", "sub"):
        return _transform_of_sum(node)
    is_square = node.op.name == "square" or (node.op.name == "pow" and literal_value(node.args[1]) == 2)
    if is_square and node.args[0].op.name == "abs":
        (x,) = node.args[0].args
        return (
            make("re", (make("mul", (make("conj", (x,)), x)),)) if x.tensor.dtype.kind == "c" else make("square", (x,))
        )
    if not is_square or node.args[0].op.name != "norm" or node.tensor.dtype.kind != "f":
        return node
    (norm,) = node.args[:1]
    (x,) = norm.args
    if x.tensor.dtype.kind != "f" or not is_euclidean(norm):
        return node
    return make("sum", (make("square", (x,)),), axis=norm["axis"], keepdims=norm["keepdims"])


def _condition(node: Node) -> Node:
    values = make("svdvals", node.args)
    count = values.tensor.dims[-1]
    ends = [part(values, -1, at, 1) for at in (0, count - 1)]
    return make("reshape", (make("div", ends),), dims=node.tensor.dims)


def _transform_of_sum(node: Node) -> Node:
    first, second = node.args
    is_one = first.op is second.op and first.attributes == second.attributes and first.op.group == "fourier"
    if not is_one or first.args[0].type is not second.args[0].type:
        return node
    return make(first.op, (make(node.op, (first.args[0], second.args[0])),), **dict(first.attributes))
