"""Tall least squares without the singular values of the matrix.

    lstsq(A, b)     LSQR on A @ W, where W = V diag(1 / sqrt(l)) and A' @ A = V diag(l) V'

The product A' @ A is a fraction of the work of a factorization of A. It has lost half of the digits, but A @ W has a
condition close to 1, so that a few steps, which use A itself, find the rest. Where A' @ A tells that the condition of A
is above a million, and where the gradient does not become as small as rounding, singular values are taken after all.
"""

from __future__ import annotations

from tpc.ir.build import input_node, literal, make
from tpc.ir.node import Node, Program
from tpc.ir.rewrite import replace
from tpc.ir.types import F64
from tpc.passes.branch import branch
from tpc.passes.choose.prices import Prices
from tpc.passes.guard import SOLVED
from tpc.passes.solvers.bounds import called
from tpc.passes.solvers.rounds import Rounds
from tpc.passes.solvers.system import transposed

STEPS = 30
USUAL = 8  # steps, with those that look at the residual
CLEARLY = 1.5  # how many times faster it must be
FEWEST = 32  # columns: with fewer of them a factorization does little more than read the matrix


def is_tall(node: Node, prices: Prices) -> bool:
    """Whether least squares with a matrix of known size are predicted to be faster by steps."""
    if node.op.name != "lstsq" or any(a.tensor.dtype is not F64 for a in node.args):
        return False
    A, b = (a.tensor for a in node.args)
    if (A.rank, b.rank) != (2, 1):
        return False
    n, d = A.dims
    if not isinstance(n, int) or not isinstance(d, int) or d < FEWEST or n < 4 * d:
        return False
    direct = prices.seconds("gelsd", (n, d, 1), F64)
    steps = 2 * USUAL * prices.seconds("gemv", (n, d), F64)
    return direct > CLEARLY * (prices.seconds("gemm", (d, d, n), F64) + prices.seconds("syevd", (d,), F64) + steps)


def by_steps(node: Node) -> Node:
    """The solution by steps, with the other way behind it."""
    A, b = node.args
    W, tries = called("whitening", A)
    x = input_node("x", node.tensor)
    inputs = [input_node("A", A.tensor), input_node("W", W.tensor)]
    program = Program("system", [x, *inputs], [make("matvec", (inputs[0], x)), make("matvec", (inputs[1], x))])
    right = input_node("right", b.tensor)
    back = transposed(program, x, right).outputs
    whole = Program("system", [*program.inputs, right], program.outputs)
    rounds = Rounds(whole, x, right, "lsqr", back, None, STEPS, is_zero=True, tries=tries)
    nothing = make("zeros", (), dims=x.tensor.dims, dtype=F64)
    found, part = replace(list(rounds.attempt()), dict(zip(whole.inputs, [nothing, A, W, b], strict=True)))
    (result,) = branch(make(SOLVED, (part, literal(1.0))), [found], [node])
    return result
