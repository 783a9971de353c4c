"""Gaussian-process regression by one Cholesky factorization (Rasmussen and Williams 2006, algorithm 2.1)."""

import numpy as np
from scipy.linalg import cholesky, solve_triangular


def covariance(s, t):
    d = s[:, None] - t
    trend = 60**2 * np.exp(-((d / 60) ** 2) / 2)
    return trend + 3**2 * np.exp(-2 * np.sin(np.pi * d) ** 2 - (d / 90) ** 2 / 2)


def reference(t, y, s, noise=0.5):
    L = cholesky(covariance(t, t) + noise**2 * np.eye(len(t)), lower=True)
    z = solve_triangular(L, y - y.mean(), lower=True)
    V = solve_triangular(L, covariance(t, s), lower=True)
    evidence = -(z @ z) / 2 - np.log(np.diag(L)).sum() - len(t) / 2 * np.log(2 * np.pi)
    variance = np.diag(covariance(s, s)) - (V**2).sum(0)
    return {"expected": y.mean() + V.T @ z, "error": np.sqrt(variance), "evidence": evidence}


def tolerance(t, y, s, noise=0.5):
    """The condition of C; for the error bars also what cancels between the two covariances."""
    eps, C = np.finfo(float).eps, covariance(t, t) + noise**2 * np.eye(len(t))
    base = 10 * eps * np.linalg.cond(C)
    error = reference(t, y, s, noise)["error"]
    z = y - y.mean()
    fits = z @ np.linalg.solve(C, z)
    scale = z @ z / noise**2  # the largest that z' inv(C) z can be
    return {
        "expected": base,
        "error": base * covariance(s, s).max() / error.min() ** 2,
        "evidence": base * max(1, scale / fits),
    }
