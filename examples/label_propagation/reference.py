"""The harmonic function with the given values at the known members (Zhu, Ghahramani and Lafferty 2003)."""

import numpy as np


def parts(A, seed):
    known = seed >= 0
    L = np.diag(A.sum(1)) - A
    return known, L[np.ix_(~known, ~known)], L[np.ix_(~known, known)]


def reference(A, seed, tol=1e-12):
    known, inner, border = parts(A, seed)
    F = np.zeros((len(A), 2))
    F[known] = np.eye(2)[seed[known]]
    F[~known] = np.linalg.solve(inner, -border @ F[known])
    return {"side": F.argmax(1), "F": F}


def tolerance(A, seed, tol=1e-12):
    """Each pass shrinks the error by the largest eigenvalue of D^-1 W among the unknown."""
    known, inner, _ = parts(A, seed)
    degrees = A.sum(1)[~known]
    rate = 1 - np.linalg.eigvals(inner / degrees[:, None]).real.min()
    return {"side": 0, "F": 10 * (tol + 100 * np.finfo(float).eps) / (1 - rate)}
