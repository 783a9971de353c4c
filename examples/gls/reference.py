"""Generalized least squares by whitening (Prais and Winsten 1954) and ordinary least squares."""

import numpy as np


def whitened(A, rho):
    """A times a root of the inverse of rho^|i-j|: differences to the row before, the first row as it is."""
    out = A.copy()
    out[1:] = (A[1:] - rho * A[:-1]) / np.sqrt(1 - rho**2)
    return out


def design(X):
    return np.column_stack([np.ones(len(X)), (X - X.mean(0)) / X.std(0)])


def reference(X, y, rho=0.36):
    A, b = whitened(design(X), rho), whitened(y.astype(float), rho)
    beta, _, _, _ = np.linalg.lstsq(A, b, rcond=None)
    _, R = np.linalg.qr(A)
    root = np.linalg.inv(R)
    n, p = A.shape
    variance = ((b - A @ beta) ** 2).sum() / (n - p)
    return {"beta": beta, "error": np.sqrt(variance * (root**2).sum(1))}


def tolerance(X, y, rho=0.36):
    """The program forms normal equations: the condition of the whitened predictors squared, times that of M."""
    M_condition = ((1 + rho) / (1 - rho)) ** 2
    return 100 * np.finfo(float).eps * M_condition * np.linalg.cond(whitened(design(X), rho)) ** 2
