"""Adjoints of ops that take options, or whose adjoint reads better as an op than as index notation.

shapes      order and format alone
products    of matrices and vectors
reductions  sums along axes, norms
layers      softmax, and what normalises
running     sums and products so far, linear recurrences
places      gathering, scattering, sorting
spectra     Fourier transforms, complex numbers
"""

from tpc.ir.build import operation
from tpc.passes.differentiate.rules import layers, places, products, reductions, running, shapes, spectra, structured
from tpc.passes.differentiate.rules.rule import Rule

RULES: dict[str, Rule] = {
    **shapes.RULES,
    **products.RULES,
    **reductions.RULES,
    **layers.RULES,
    **running.RULES,
    **places.RULES,
    **spectra.RULES,
    **structured.RULES,
}
assert all(operation(name) for name in RULES)

# What changes by steps, if at all.
CUT = frozenset(["argmax", "argmin", "argsort", "searchsorted", "one_hot", "any", "all", "matrix_rank"])

__all__ = ["CUT", "RULES"]
