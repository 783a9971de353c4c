"""The autoregression by least squares, its covariance by SciPy's solver."""

import numpy as np
from scipy.linalg import solve_discrete_lyapunov


def reference(Y):
    Z = Y - Y.mean(0)
    A = np.linalg.lstsq(Z[:-1], Z[1:], rcond=None)[0].T
    E = Z[1:] - Z[:-1] @ A.T
    Q = E.T @ E / len(E)
    return {"A": A, "Q": Q, "S": solve_discrete_lyapunov(A, Q)}


def tolerance(Y):
    """The condition of I - kron(A, A), and of the least squares before it."""
    A = reference(Y)["A"]
    equations = np.linalg.cond(np.eye(A.size) - np.kron(A, A))
    return 100 * np.finfo(float).eps * equations * np.linalg.cond(Y - Y.mean(0)) ** 2
