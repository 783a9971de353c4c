"""Linear systems A @ x = b that are solved step by step, by products with A alone.

system      what a system is made of, and its derivatives, which are systems with A or A'
operator    products with a matrix that is written out of others, without making it
rounds      methods as loops, each round of which ends with the true residual
methods.tp  their steps, in the language
choice      systems that are solved by steps without being asked for, with functions in choice.tp
ways        their matrices, and what preconditions these
bounds      bounds of eigenvalues as code
tall        least squares
"""

from __future__ import annotations

from tpc.ir.elaborate.systems import KIND
from tpc.passes.solvers.system import Facts, adjoint, is_system, kept, loop, tangents

__all__ = ["KIND", "Facts", "adjoint", "is_system", "kept", "loop", "tangents"]
