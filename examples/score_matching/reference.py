"""The equations that the weights solve, from the derivatives of the features, taken by hand."""

import numpy as np


def slopes(Z):
    """The gradients of the features at each point, and their Laplacians."""
    a, b = Z.T
    one, none = np.ones(len(Z)), np.zeros(len(Z))
    by_a = np.column_stack([one, none, 2 * a, b, none, 4 * a**3, none])
    by_b = np.column_stack([none, one, none, a, 2 * b, none, 4 * b**3])
    return by_a, by_b, np.column_stack([none, none, 2 * one, none, 2 * one, 12 * a**2, 12 * b**2])


def equations(X):
    by_a, by_b, curved = slopes((X - X.mean(0)) / X.std(0))
    return (by_a.T @ by_a + by_b.T @ by_b) / len(X), curved.mean(0)


def reference(X):
    by_a, by_b, _ = slopes((X - X.mean(0)) / X.std(0))
    A, c = equations(X)
    w = -np.linalg.solve(A, c)
    return {"w": w, "score": np.column_stack([by_a @ w, by_b @ w])}


def tolerance(X):
    return 100 * np.finfo(float).eps * np.linalg.cond(equations(X)[0])
