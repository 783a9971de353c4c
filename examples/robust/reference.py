"""Weighted least squares again and again: an observation weighs the less, the farther it lies off."""

import numpy as np


def columns(Z):
    return np.column_stack([np.ones(len(Z)), (Z - Z.mean(0)) / Z.std(0)])


def reference(Z, y, width=1.0, passes=25):
    X = columns(Z)
    w = np.linalg.lstsq(X, y, rcond=None)[0]
    for _ in range(20_000):
        root = (1 + ((y - X @ w) / width) ** 2) ** -0.25
        new = np.linalg.lstsq(root[:, None] * X, root * y, rcond=None)[0]
        moved = np.abs(new - w).max()
        w = new
        if moved <= 1e-15 * np.abs(w).max():
            break
    return {"w": w, "errors": y - X @ w}


def tolerance(Z, y, width=1.0, passes=25):
    """Both stop where steps are roundings; a rounding of the slope moves w by it over the least curvature."""
    X = columns(Z)
    residuals = (y - X @ reference(Z, y, width)["w"]) / width
    curvature = np.linalg.eigvalsh(X.T @ (X * (1 + residuals[:, None] ** 2) ** -1.5))[0] / width**2
    return 1e4 * np.finfo(float).eps * len(y) / curvature
