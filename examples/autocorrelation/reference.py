"""Products of the series with itself, shifted."""

import numpy as np


def reference(x):
    z = x - x.mean()
    r = np.correlate(z, z, "full")[len(z) - 1 :]
    return {"out": r / r[0]}


def tolerance(x):
    """Transforms of length 2n lose a few bits per halving, relative to r[0]."""
    return 10 * np.finfo(float).eps * np.log2(2 * len(x))
