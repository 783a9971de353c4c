"""The lasso by coordinate descent, one weight at a time."""

import numpy as np


def scaled(X):
    return (X - X.mean(0)) / X.std(0)


def reference(X, y, penalty=100.0, tol=1e-12):
    Z, n = scaled(X), len(y)
    w, r = np.zeros(Z.shape[1]), y - y.mean()
    for _ in range(5000):
        before = w.copy()
        for k, z in enumerate(Z.T):
            pull = (z @ r / n + w[k]) if w[k] else z @ r / n  # the columns have mean square 1
            new = np.sign(pull) * max(abs(pull) - penalty, 0)
            r = r + z * (w[k] - new)
            w[k] = new
        if np.abs(w - before).max() <= 1e-15 * np.abs(w).max():
            break
    return {"w": w}


def tolerance(X, y, penalty=100.0, tol=1e-12):
    """The steps shrink the error at the rate 1 - 1/condition, so the last step misses it by that factor."""
    condition = np.linalg.cond(scaled(X)) ** 2
    return condition * (2 * tol + 100 * np.finfo(float).eps)
