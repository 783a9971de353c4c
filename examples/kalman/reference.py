"""The Kalman filter with gains and covariances in Joseph's form, which keeps them positive."""

import numpy as np
from scipy.stats import norm


def reference(y, level=1469.0, slope=1.0, noise=15099.0):
    F, Q, h = np.array([[1.0, 1], [0, 1]]), np.diag([level, slope]), np.array([1.0, 0])
    x, P, fit, path = np.array([y[0], 0.0]), 1e5 * np.eye(2), 0.0, []
    for observed in y:
        x, P = F @ x, F @ P @ F.T + Q
        variance = h @ P @ h + noise
        fit += norm.logpdf(observed, h @ x, np.sqrt(variance))
        gain = P @ h / variance
        x = x + gain * (observed - h @ x)
        J = np.eye(2) - np.outer(gain, h)
        P = J @ P @ J.T + noise * np.outer(gain, gain)
        path.append(x)
    path = np.array(path)
    return {"height": path[:, 0], "drift": path[:, 1], "fit": fit}


def tolerance(y, level=1469.0, slope=1.0, noise=15099.0):
    """What cancels at the first update, in every step; the slope is small beside the level."""
    cancelled = (2e5 + noise) / min(level, noise)
    base = 10 * np.finfo(float).eps * len(y) * cancelled
    result = reference(y, level, slope, noise)
    return {
        "height": base,
        "drift": base * np.abs(result["height"]).max() / np.abs(result["drift"]).max(),
        "fit": base,
    }
