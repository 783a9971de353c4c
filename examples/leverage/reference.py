"""Leverage as squared row lengths of Q, in a QR factorization."""

import numpy as np


def reference(X, y):
    A = np.column_stack([np.ones(len(X)), X])
    Q, _ = np.linalg.qr(A)
    h = (Q**2).sum(1)
    r = y - Q @ (Q.T @ y)
    n, p = A.shape
    return {"h": h, "cook": r**2 * h / (p * (r @ r) / (n - p) * (1 - h) ** 2)}


def tolerance(X, y):
    """The program inverts X'X, so the condition of A counts twice."""
    A = np.column_stack([np.ones(len(X)), X])
    return 100 * np.finfo(float).eps * np.linalg.cond(A) ** 2
