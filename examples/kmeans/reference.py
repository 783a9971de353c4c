"""Lloyd's algorithm as SciPy has it."""

import numpy as np
from scipy.cluster.vq import kmeans2


def reference(X, start):
    centres, group = kmeans2(X, start, iter=100, minit="matrix")
    return {"C": centres, "group": group}


def tolerance(X, start):
    """Means of measured numbers: a few rounding errors each."""
    return {"C": len(X) * np.finfo(float).eps, "group": 0}
