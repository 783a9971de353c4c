"""`grad` and its kin give way to programs that mean the same, which are then optimised like any text.

scalars     derivatives of functions of scalars, one line each
formulas    adjoints of what index notation says
positions   index positions, and letters put in the places of others
rules       adjoints of ops that take options, by subject
arrays      arrays in the shape of others
linalg.tp   adjoints of factorizations, solves and matrix functions, in the language
complex.tp  those of complex factorizations
matrices    which of these lines holds for a node
spectral    matrix functions that are written by eigenvectors
reverse     adjoints of programs, from the results back to the operands
loops       adjoints of scans, loops and branches
segments    loops cut into segments, whose adjoints keep less
implicit    fixed points and their derivatives
krylov      linear systems known by products, with steps in krylov.tp
forward     tangents, from the operands to the results; the collapsed Laplacian
taylor      jets: derivatives of all orders along a line
directions  products with Jacobians and Hessians, which need not be made
units       directions that derivatives are taken along one by one
sparsity    Jacobians that are zero but for a few diagonals
patterns    Jacobians that are told by few directions, where sizes are known
kernels     kernels of plans as what they stand for
prepare     programs in the form that is best differentiated
transform   `grad`, `jacobian`, `hessian`, `hvp`, `jvp`, `vjp`, `vmap`, `laplacian`
"""

from tpc.passes.differentiate.prepare import without_surrogates
from tpc.passes.differentiate.transform import derivative, differentiate

__all__ = ["derivative", "differentiate", "without_surrogates"]
