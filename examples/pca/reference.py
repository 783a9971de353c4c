"""The first right singular vector of the scaled table."""

import numpy as np


def spectrum(X):
    Z = (X - X.mean(0)) / X.std(0)
    _, s, Vt = np.linalg.svd(Z, full_matrices=False)
    return s**2, Vt[0]


def reference(X, tol=1e-13):
    values, v = spectrum(X)
    return {"v": v * np.sign(v.sum()), "share": values[0] / values.sum()}


def tolerance(X, tol=1e-13):
    """The last step is shorter than the error by 1 - (ratio of the first two eigenvalues)."""
    values, _ = spectrum(X)
    gap = 1 - values[1] / values[0]
    return 3 * (tol + 100 * np.finfo(float).eps) / gap
