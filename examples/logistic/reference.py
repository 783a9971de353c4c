"""Newton's method on the penalized likelihood, with the working weights in a square root (Komarek and Moore)."""

import numpy as np
from scipy.special import expit


def scaled(X):
    return (X - X.mean(0)) / X.std(0)


def reference(X, y, penalty=1.0, tol=1e-10):
    Z = scaled(X)
    p = Z.shape[1]
    w = np.zeros(p)
    for _ in range(100):
        q = expit(Z @ w)
        root = np.sqrt(q * (1 - q))
        rows = np.vstack([root[:, None] * Z, np.sqrt(penalty) * np.eye(p)])
        right = np.concatenate([(y - q) / root, -np.sqrt(penalty) * w])
        step, _, _, _ = np.linalg.lstsq(rows, right, rcond=None)
        w = w + step
        if np.abs(step).max() < 1e-13 * np.abs(w).max():
            break
    return {"w": w, "right": np.mean((Z @ w > 0) == (y > 0.5))}


def tolerance(X, y, penalty=1.0, tol=1e-10):
    """The slope left at the end, over the least curvature (the penalty); and the condition of the Hessian."""
    Z = scaled(X)
    norm = np.linalg.norm(reference(X, y, penalty)["w"])
    condition = np.linalg.norm(Z, 2) ** 2 / 4 / penalty + 1
    return tol * len(y) / penalty / norm + 100 * np.finfo(float).eps * condition
