"""Expectation and maximization with plain probabilities and weighted moments."""

import numpy as np
from scipy.stats import norm


def reference(x, steps=60):
    p, m, s = np.full(2, 0.5), np.array([x.min(), x.max()]), np.full(2, x.std())
    for _ in range(steps):
        joint = p * norm.pdf(x[:, None], m, s)
        R = joint / joint.sum(1, keepdims=True)
        N = R.sum(0)
        p, m = N / len(x), (R * x[:, None]).sum(0) / N
        s = np.sqrt((R * (x[:, None] - m) ** 2).sum(0) / N)
    fit = np.log((p * norm.pdf(x[:, None], m, s)).sum(1)).sum()
    return {"p": p, "m": m, "s": s, "fit": fit}


def tolerance(x, steps=60):
    """Each step rounds sums of n terms and contracts what went before; logarithms of densities down to exp(-z^2/2)."""
    result = reference(x, steps)
    farthest = np.abs((x[:, None] - result["m"]) / result["s"]).max() ** 2 / 2
    return 10 * np.finfo(float).eps * len(x) * farthest
