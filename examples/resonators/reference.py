"""Each resonator as a recursive filter of SciPy."""

import numpy as np
from scipy.signal import lfilter


def reference(u, period, damping=0.02):
    poles = np.exp(2j * np.pi / period - damping)
    ring = np.column_stack([lfilter([1], [1, -a], u - u.mean()).real for a in poles])
    power = (ring**2).mean(0)
    return {"ring": ring, "share": power / power.sum()}


def tolerance(u, period, damping=0.02):
    """Rounding errors live for 1/damping steps."""
    return 100 * np.finfo(float).eps / damping
