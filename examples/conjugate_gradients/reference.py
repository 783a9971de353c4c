"""Voltages by the pseudo-inverse of the Laplacian, from its eigenvalues."""

import numpy as np


def reference(W, source=10, sink=48):
    values, vectors = np.linalg.eigh(np.diag(W.sum(1)) - W)
    values, vectors = values[1:], vectors[:, 1:]  # the first is 0: only differences of voltage count
    voltage = vectors @ ((vectors[source] - vectors[sink]) / values)
    return {"voltage": voltage, "resistance": voltage[source] - voltage[sink]}


def tolerance(W, source=10, sink=48):
    """The residual that stops the iteration, and rounding, times the condition of L + 11'/n."""
    n = len(W)
    condition = np.linalg.cond(np.diag(W.sum(1)) - W + np.ones((n, n)) / n)
    return condition * (1e-12 + 100 * np.finfo(float).eps)
