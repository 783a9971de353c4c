"""The range finder of Halko, Martinsson and Tropp (2011) on the same random numbers, orthonormal at each pass."""

import numpy as np


def reference(A):
    sketch = np.random.Generator(np.random.Philox(7)).standard_normal((A.shape[1], 20))
    Q, _ = np.linalg.qr(A @ sketch)
    for _ in range(2):
        Q, _ = np.linalg.qr(A.T @ Q)
        Q, _ = np.linalg.qr(A @ Q)
    U, s, Vt = np.linalg.svd(Q.T @ A, full_matrices=False)
    return {"largest": s[:10], "low": (Q @ U[:, :10] * s[:10]) @ Vt[:10]}


def tolerance(A):
    """The program multiplies by A five times before it makes columns orthonormal: small directions fade."""
    s = np.linalg.svd(A, compute_uv=False)
    return 10 * np.finfo(float).eps * (s[0] / s[19]) ** 5 * s[9] / (s[9] - s[10])
