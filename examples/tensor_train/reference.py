"""The cores contracted one after the other with the input, from the left (Novikov et al. 2015)."""

import numpy as np


def reference(X, G1, G2, G3, b):
    n = len(X)
    x = X.reshape(n, G1.shape[0], G2.shape[1], G3.shape[1]).astype(float)
    left = np.tensordot(x, G1, (1, 0))  # n j k o u
    middle = np.tensordot(left, G2, ([1, 4], [1, 0]))  # n k o p v
    last = np.tensordot(middle, G3, ([1, 4], [1, 0]))  # n o p q
    logits = last.reshape(n, -1) + b
    return {"logits": logits, "digit": logits.argmax(1)}


def tolerance(X, G1, G2, G3, b):
    """Single precision; what cancels is what the sums of absolute values have more."""
    plain = reference(X, G1, G2, G3, b)["logits"]
    sizes = reference(*(np.abs(a) for a in (X, G1, G2, G3, b)))["logits"]
    return {"logits": 8 * np.finfo(np.float32).eps * sizes.max() / np.abs(plain).max(), "digit": 0}
