"""Attention one head at a time."""

import numpy as np
from scipy.special import softmax


def reference(Q, K, V, sharpness=4.0):
    heads = [softmax(sharpness * q @ k.T / np.sqrt(q.shape[1]), axis=1) @ V for q, k in zip(Q, K)]
    votes = np.mean(heads, axis=0)
    return {"votes": votes, "digit": votes.argmax(1)}


def tolerance(Q, K, V, sharpness=4.0):
    """Single precision; an exponential turns the rounding of its argument into relative error."""
    largest = sharpness * np.abs(Q @ K.transpose(0, 2, 1)).max() / np.sqrt(Q.shape[-1])
    return {"votes": 8 * np.finfo(np.float32).eps * (1 + largest), "digit": 0}
