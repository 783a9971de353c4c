"""Transitions counted one by one; the stationary shares as an eigenvector."""

import numpy as np


def reference(rate, step=0.05):
    change = np.diff(rate)
    state = np.where(change < -step, 0, np.where(change > step, 2, 1))
    P = np.zeros((3, 3))
    for a, b in zip(state[:-1], state[1:]):
        P[a, b] += 1
    P /= P.sum(1, keepdims=True)
    values, vectors = np.linalg.eig(P.T)
    share = vectors[:, np.argmax(values.real)].real
    return {"P": P, "share": share / share.sum()}


def tolerance(rate, step=0.05):
    """The condition of the equations that the program solves."""
    P = reference(rate, step)["P"]
    return 100 * np.finfo(float).eps * np.linalg.cond(np.vstack([P.T - np.eye(3), np.ones(3)])) ** 2
