"""Linear recurrences in PyTorch, in blocks of steps."""

from __future__ import annotations

from tpc.backends.dialect import Helper

RECURRENCE_HELPERS: dict[str, Helper] = {
    "_linear_scan": Helper(
        '''
def _linear_scan(a, b, x, dtype):
    """x and all that follow by x = a[t] * x + b[t].

    Blocks of steps are made side by side: first what a block makes of any start, then the starts, then all of it.
    """
    steps, width = b.shape[0], int((b.shape[0] / 2) ** 0.5)
    a = a.to(dtype).reshape(steps, *(1,) * (b.ndim - a.ndim), *a.shape[1:])
    b, states = b.to(dtype), [x.to(dtype)]
    done = steps // width * width if width > 1 and x.numel() < 500 else 0
    if done:
        A, B = (y[:done].reshape(-1, width, *y.shape[1:]) for y in (a, b))
        gain, rest = A[:, 0], B[:, 0]
        for k in range(1, width):
            gain, rest = A[:, k] * gain, A[:, k] * rest + B[:, k]
        if bool(torch.isfinite(gain).all() and torch.isfinite(rest).all()):
            starts = [states[0]]
            for n in range(done // width):
                starts.append(gain[n] * starts[-1] + rest[n])
            inner = [torch.stack(starts[:-1])]
            for k in range(width):
                inner.append(A[:, k] * inner[-1] + B[:, k])
            states = [*states, *torch.stack(inner[1:], 1).reshape(done, *x.shape)]
        else:
            done = 0
    for t in range(done, steps):
        states.append(a[t] * states[t] + b[t])
    return torch.stack(states)
'''
    ),
    "_matrix_scan": Helper(
        '''
def _matrix_scan(A, b, x, dtype):
    """x and all that follow by x = A @ x + b[t].

    Blocks of steps are made side by side, so that products with vectors are products of matrices: first what a block
    makes of zeros, then the starts, by a power of A, then all of it.
    """
    steps, width = b.shape[0], int((b.shape[0] / 2) ** 0.5)
    A, b, states = A.to(dtype), b.to(dtype), [x.to(dtype)]
    done = steps // width * width if width > 1 else 0
    if done:
        power, B = torch.linalg.matrix_power(A, width), b[:done].reshape(-1, width, A.shape[0])
        rest = B[:, 0]
        for k in range(1, width):
            rest = rest @ A.T + B[:, k]
        if bool(torch.isfinite(power).all() and torch.isfinite(rest).all()):
            starts = [states[0]]
            for n in range(done // width - 1):
                starts.append(power @ starts[-1] + rest[n])
            inner = [torch.stack(starts)]
            for k in range(width):
                inner.append(inner[-1] @ A.T + B[:, k])
            states = [*states, *torch.stack(inner[1:], 1).reshape(done, A.shape[0])]
        else:
            done = 0
    for t in range(done, steps):
        states.append(A @ states[t] + b[t])
    return torch.stack(states)
'''
    ),
    "_linear_attention": Helper(
        '''
def _linear_attention(q, k, v, a, S, dtype, width=64):
    """Each q[t] @ S of S = a[t][:, None] * S + outer(k[t], v[t]), and the last S.

    In chunks of steps, whose terms meet by quotients of running products of a; where those would underflow, chunks are
    shorter, and at last the decay between two steps is a product of its own.
    """
    given, steps = (q, k, v, a, S, dtype), q.shape[0]
    q, k, v, a = (torch.movedim(x.to(dtype), 0, -2) for x in (q, k, v, a))
    S, parts = S.to(dtype), []
    done = steps // width * width if bool(torch.isfinite(v).all() and torch.isfinite(k).all()) else 0
    if done:
        shape, least = (*v.shape[:-2], done // width, width), torch.finfo(dtype).tiny ** 0.5
        Q, K, V, A = (x[..., :done, :].reshape(*shape, x.shape[-1]) for x in (q, k, v, a))
        sofar = torch.cumprod(A, -2)
        is_wide = bool(((torch.abs(sofar) > least) & (torch.abs(sofar) < 1 / least)).all())
        if not is_wide and width == 64:
            return _linear_attention(*given, 16)
        later = torch.flip(torch.cumprod(torch.flip(A[..., 1:, :], (-2,)), -2), (-2,))
        after = torch.cat([later, torch.ones_like(A[..., :1, :])], -2)
        if is_wide:
            scores = torch.tril((Q * sofar) @ (K / sofar).mT)
        else:
            rows, decay = [], torch.ones_like(A)
            for lag in range(width):
                near = torch.sum(Q[..., lag:, :] * (K[..., : width - lag, :] * decay), -1)
                rows.append(torch.nn.functional.pad(near, (lag, 0)))
                decay = decay[..., 1:, :] * A[..., 1 : width - lag, :]
            steps_of = torch.arange(width, device=q.device)
            lags = (steps_of[:, None] - steps_of).clamp(0)
            scores = torch.tril(torch.gather(torch.stack(rows, -1), -1, lags.expand(*shape, width)))
        added, starts = (K * after).mT @ V, []
        for n in range(done // width):
            starts.append(S)
            S = sofar[..., n, -1, :, None] * S + added[..., n, :, :]
        y = scores @ V + (Q * sofar) @ torch.stack(starts, -3)
        parts.append(y.reshape(*shape[:-2], done, v.shape[-1]))
    for t in range(done, steps):
        S = a[..., t, :, None] * S + k[..., t, :, None] * v[..., t, None, :]
        parts.append(q[..., t, None, :] @ S)
    y = torch.cat(parts, -2) if parts else v
    return torch.movedim(y, -2, 0), S
'''
    ),
}
