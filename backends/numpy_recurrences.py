"""Linear recurrences in NumPy, in blocks of steps."""

from __future__ import annotations

from tpc.backends.dialect import Helper

RECURRENCE_HELPERS: dict[str, Helper] = {
    "_linear_scan": Helper(
        '''
def _linear_scan(a, b, x, dtype):
    """x and all that follow by x = a[t] * x + b[t].

    Blocks of steps are made side by side: first what a block makes of any start, then the starts, then all of it.
    """
    steps, width = len(b), int((len(b) / 2) ** 0.5)
    a = a.reshape(steps, *(1,) * (b.ndim - a.ndim), *a.shape[1:])
    states = np.empty((steps + 1, *b.shape[1:]), dtype)
    states[0] = x
    done = steps // width * width if width > 1 and states[0].size < 500 else 0
    if done:
        A, B, blocks = (y[:done].reshape(-1, width, *y.shape[1:]) for y in (a, b, states[1:]))
        gain, rest = A[:, 0], np.array(B[:, 0], dtype)
        for k in range(1, width):
            gain = A[:, k] * gain
            rest *= A[:, k]
            rest += B[:, k]
        if np.isfinite(gain).all() and np.isfinite(rest).all():
            starts = np.empty(rest.shape, dtype)
            start = states[0]
            for n in range(len(starts)):
                starts[n] = start
                start = gain[n] * start + rest[n]
            for k in range(width):
                starts = np.multiply(A[:, k], starts, out=blocks[:, k])
                starts += B[:, k]
        else:
            done = 0
    for t in range(done, steps):
        following = np.multiply(a[t], states[t], out=states[t + 1, ...])
        following += b[t]
    return states
'''
    ),
    "_matrix_scan": Helper(
        '''
def _matrix_scan(A, b, x, dtype):
    """x and all that follow by x = A @ x + b[t].

    Blocks of steps are made side by side, so that products with vectors are products of matrices: first what a block
    makes of zeros, then the starts, by a power of A, then all of it.
    """
    steps, width = len(b), int((len(b) / 2) ** 0.5)
    A, b = np.asarray(A, dtype), np.asarray(b, dtype)
    states = np.empty((steps + 1, len(A)), dtype)
    states[0] = x
    done = steps // width * width if width > 1 else 0
    if done:
        power = np.linalg.matrix_power(A, width)
        B, blocks = b[:done].reshape(-1, width, len(A)), states[1 : done + 1].reshape(-1, width, len(A))
        rest = B[:, 0]
        for k in range(1, width):
            rest = rest @ A.T + B[:, k]
        if np.isfinite(power).all() and np.isfinite(rest).all():
            starts = np.empty(rest.shape, dtype)
            start = states[0]
            for n in range(len(rest)):
                starts[n] = start
                start = power @ start + rest[n]
            for k in range(width):
                starts = starts @ A.T + B[:, k]
                blocks[:, k] = starts
        else:
            done = 0
    for t in range(done, steps):
        states[t + 1] = A @ states[t] + b[t]
    return states
'''
    ),
    "_linear_attention": Helper(
        '''
def _linear_attention(q, k, v, a, S, dtype, width=64):
    """Each q[t] @ S of S = a[t][:, None] * S + outer(k[t], v[t]), and the last S.

    In chunks of steps, whose terms meet by quotients of running products of a; where those would underflow, chunks are
    shorter, and at last the decay between two steps is a product of its own.
    """
    given, steps = (q, k, v, a, S, dtype), len(q)
    q, k, v, a = (np.moveaxis(np.asarray(x, dtype), 0, -2) for x in (q, k, v, a))
    S, y = np.array(S, dtype), np.empty(v.shape, dtype)
    done = steps // width * width if np.isfinite(v).all() and np.isfinite(k).all() else 0
    if done:
        shape, least = (*v.shape[:-2], done // width, width), np.finfo(dtype).tiny ** 0.5
        Q, K, V, A = (x[..., :done, :].reshape(*shape, x.shape[-1]) for x in (q, k, v, a))
        sofar, after = np.cumprod(A, -2), np.ones(A.shape, dtype)
        is_wide = ((np.abs(sofar) > least) & (np.abs(sofar) < 1 / least)).all()
        if not is_wide and width == 64:
            return _linear_attention(*given, 16)
        after[..., :-1, :] = np.cumprod(A[..., :0:-1, :], -2)[..., ::-1, :]
        if is_wide:
            scores = np.tril((Q * sofar) @ (K / sofar).swapaxes(-1, -2))
        else:
            scores, decay = np.zeros((*shape, width), dtype), np.ones(A.shape, dtype)
            for lag in range(width):
                near = np.arange(width - lag)
                scores[..., near + lag, near] = np.sum(Q[..., lag:, :] * (K[..., : width - lag, :] * decay), -1)
                decay = decay[..., 1:, :] * A[..., 1 : width - lag, :]
        added, starts = (K * after).swapaxes(-1, -2) @ V, np.empty((*shape[:-1], *S.shape[-2:]), dtype)
        for n in range(done // width):
            starts[..., n, :, :] = S
            S = sofar[..., n, -1, :, None] * S + added[..., n, :, :]
        y[..., :done, :] = (scores @ V + (Q * sofar) @ starts).reshape(*shape[:-2], done, v.shape[-1])
    for t in range(done, steps):
        S = a[..., t, :, None] * S + k[..., t, :, None] * v[..., t, None, :]
        y[..., t, :] = (q[..., t, None, :] @ S)[..., 0, :]
    return np.moveaxis(y, -2, 0), S
'''
    ),
}
