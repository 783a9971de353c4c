"""Scaling in logarithms, on the places that have ink (Peyre and Cuturi 2019, section 4.4)."""

import numpy as np
from scipy.special import logsumexp


def scaled(A, B, blur):
    h, w = A.shape
    places = np.stack(np.meshgrid(np.arange(h), np.arange(w), indexing="ij"), -1).reshape(-1, 2)
    C = ((places[:, None] - places) ** 2).sum(-1).astype(float)
    a, b = A.ravel() / A.sum(), B.ravel() / B.sum()
    rows, columns = a > 0, b > 0
    la, lb, M = np.log(a[rows]), np.log(b[columns]), -C[np.ix_(rows, columns)] / blur
    f, g = np.zeros(len(la)), np.zeros(len(lb))
    for _ in range(100000):
        f = la - logsumexp(M + g, axis=1)
        g = lb - logsumexp(M + f[:, None], axis=0)
        if np.abs(np.exp(f + logsumexp(M + g, axis=1)) - np.exp(la)).sum() < 1e-15 * len(la):
            break
    plan = np.zeros_like(C)
    plan[np.ix_(rows, columns)] = np.exp(f[:, None] + M + g)
    return C, plan, rows, columns


def reference(A, B, blur=1.0, tol=1e-12):
    C, plan, _, _ = scaled(A, B, blur)
    return {"cost": (plan * C).sum(), "plan": plan}


def tolerance(A, B, blur=1.0, tol=1e-12):
    """The steps shrink the error by the second singular value, squared, of the plan scaled to its margins."""
    _, plan, rows, columns = scaled(A, B, blur)
    inner = plan[np.ix_(rows, columns)]
    balanced = inner / np.sqrt(np.outer(inner.sum(1), inner.sum(0)))
    rate = np.linalg.svd(balanced, compute_uv=False)[1] ** 2
    return 10 * (tol + 100 * np.finfo(float).eps) / (1 - rate) / inner.max()
