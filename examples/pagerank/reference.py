"""The stationary shares as the solution of linear equations."""

import numpy as np


def reference(A, damping=0.85, tol=1e-13):
    n = len(A)
    P = A / A.sum(1, keepdims=True)
    x = np.linalg.solve(np.eye(n) - damping * P.T, np.full(n, (1 - damping) / n))
    return {"x": x, "first": np.argsort(-x)[:5]}


def tolerance(A, damping=0.85, tol=1e-13):
    """Each step shrinks the error by `damping` in the 1-norm, so the last is within tol / (1 - damping)."""
    largest = reference(A, damping)["x"].max()
    return {"x": (tol + 10 * np.finfo(float).eps) / (1 - damping) / largest, "first": 0}
