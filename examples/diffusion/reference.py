"""The heat kernel from eigenvalues of the Laplacian."""

import numpy as np
from scipy.special import entr


def reference(A, source, time=0.5):
    values, vectors = np.linalg.eigh(np.diag(A.sum(1)) - A)
    heat = vectors @ (np.exp(-time * values) * vectors[source])
    return {"heat": heat, "entropy": entr(np.maximum(heat, 0)).sum()}


def tolerance(A, source, time=0.5):
    """A symmetric generator: the exponential is as well conditioned as its norm says."""
    return 100 * np.finfo(float).eps * (1 + time * 2 * A.sum(1).max())
