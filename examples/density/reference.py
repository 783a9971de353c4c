"""The kernel density estimate of SciPy."""

import numpy as np
from scipy.stats import gaussian_kde


def reference(x, grid):
    kde = gaussian_kde(x, bw_method=1.06 * len(x) ** (-1 / 5))
    return {"f": kde(grid), "width": np.sqrt(kde.covariance[0, 0])}


def tolerance(x, grid):
    """An exponential turns the rounding of its argument into relative error: that of the nearest income."""
    width = reference(x, grid)["width"]
    nearest = (np.abs(x[:, None] - grid).min(0) / width).max() ** 2 / 2
    return np.finfo(float).eps * (100 + 20 * nearest)
