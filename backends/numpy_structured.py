"""Kernels of matrices that a few numbers fill, in NumPy and SciPy."""

from __future__ import annotations

from tpc.backends.dialect import Entry, Helper
from tpc.backends.numpy_kernels import kernel

STRUCTURED: dict[str, Entry] = {
    "xor_circulant": lambda site: f"{site.help('_xor_circulant')}({site.args[0].text})",
    "walsh_hadamard": lambda site: f"{site.help('_walsh_hadamard')}({site.args[0].text})",
    "circulant_matmul": lambda site: (
        f"{site.help('_circulant_matmul')}({site.texts[0]}, {site.texts[1]}, {site['transposed']})"
    ),
    "circulant_solve": lambda site: (
        f"{site.help('_circulant_solve')}({site.texts[0]}, {site.texts[1]}, {site['transposed']}, {site.labels[0]!r})"
    ),
    "circulant_logdet": lambda site: f"{site.help('_circulant_logdet')}({site.args[0].text})",
    "toeplitz_matmul": lambda site: f"{site.help('_toeplitz_matmul')}({site.texts[0]}, {site.texts[1]})",
    "diagonals_matmul": kernel("_diagonals_matmul", "below"),
    "diagonals_solve": lambda site: kernel(
        "_definite_diagonals_solve" if site["definite"] else "_diagonals_solve", "below", named=True
    )(site),
}

STRUCTURED_HELPERS: dict[str, Helper] = {
    "_xor_circulant": Helper(
        '''
def _xor_circulant(f):
    """The matrix with f[i xor j] in row i and column j."""
    places = np.arange(len(f))
    return f[places[:, None] ^ places]
'''
    ),
    "_walsh_hadamard": Helper(
        '''
def _walsh_hadamard(x):
    """H @ x for the Hadamard matrix H in natural order: sums and differences of halves.

    The upper binary digits first, then the lower ones, so that no step goes through short stretches of memory.
    """
    bits = int(np.log2(len(x)))
    y = np.array(x)
    for digits in (bits - bits // 2, bits // 2):
        y = y.reshape((2**digits, len(x) // 2**digits) + x.shape[1:])
        for bit in range(digits):
            halves = y.reshape((2 ** (digits - bit - 1), 2, 2**bit) + y.shape[1:])
            difference = halves[:, 0] - halves[:, 1]
            halves[:, 0] += halves[:, 1]
            halves[:, 1] = difference
        y = y.swapaxes(0, 1).copy()
    return y.reshape(x.shape)
'''
    ),
    "_spectrum": Helper(
        '''
def _spectrum(c, B, transposed):
    """The eigenvalues of circulant(c) or its transpose, one for each row of the transform of B, and that transform."""
    if np.isrealobj(c) and np.isrealobj(B):
        values = scipy.fft.rfft(c)
        values, image = values.conj() if transposed else values, scipy.fft.rfft(B, axis=0)
    else:
        values = scipy.fft.fft(c)
        values, image = np.roll(np.flip(values), 1) if transposed else values, scipy.fft.fft(B, axis=0)
    return values if B.ndim == 1 else values[:, None], image
'''
    ),
    "_circulant_matmul": Helper(
        '''
def _circulant_matmul(c, B, transposed):
    """circulant(c) @ B, or circulant(c).T @ B."""
    if B.size == 0:
        return np.zeros(B.shape, np.result_type(c, B))
    values, image = _spectrum(c, B, transposed)
    if np.isrealobj(c) and np.isrealobj(B):
        return scipy.fft.irfft(image * values, len(c), axis=0)
    return scipy.fft.ifft(image * values, axis=0)
''',
        ("_spectrum",),
    ),
    "_circulant_solve": Helper(
        '''
def _circulant_solve(c, B, transposed, name):
    """X with circulant(c) @ X = B, or the same with its transpose; errors call the matrix by its name."""
    if B.size == 0:
        return np.zeros(B.shape, np.result_type(c, B))
    values, image = _spectrum(c, B, transposed)
    if not values.all():
        raise np.linalg.LinAlgError(f"{name} is singular")
    if np.isrealobj(c) and np.isrealobj(B):
        return scipy.fft.irfft(image / values, len(c), axis=0)
    return scipy.fft.ifft(image / values, axis=0)
''',
        ("_spectrum",),
    ),
    "_circulant_logdet": Helper(
        '''
def _circulant_logdet(c):
    """Logarithm of the determinant of circulant(c); NaN where it is negative."""
    if c.size == 0:
        return np.zeros((), c.real.dtype)[()]
    values = scipy.fft.fft(c)
    with np.errstate(divide="ignore"):
        total = np.log(np.abs(values)).sum()
    if np.isrealobj(c):  # all other eigenvalues come in pairs
        sign = values[0].real * (values[len(c) // 2].real if len(c) % 2 == 0 else 1)
        total = np.where(sign < 0, np.nan, total).astype(c.dtype)[()]
    return total
'''
    ),
    "_toeplitz_matmul": Helper(
        '''
def _toeplitz_matmul(t, B):
    """toeplitz(t, m) @ B, as a part of the product with a circulant matrix that has all of t."""
    n = len(B)
    rows = len(t) + 1 - n
    if B.size == 0 or rows == 0:
        return np.zeros((rows,) + B.shape[1:], np.result_type(t, B))
    real = np.isrealobj(t) and np.isrealobj(B)
    size = scipy.fft.next_fast_len(len(t), real)
    if real:
        values, image = scipy.fft.rfft(t, size), scipy.fft.rfft(B, size, axis=0)
        product = scipy.fft.irfft(image * (values if B.ndim == 1 else values[:, None]), size, axis=0)
    else:
        values, image = scipy.fft.fft(t, size), scipy.fft.fft(B, size, axis=0)
        product = scipy.fft.ifft(image * (values if B.ndim == 1 else values[:, None]), axis=0)
    return product[n - 1 : n - 1 + rows]
'''
    ),
    "_diagonals_matmul": Helper(
        '''
def _diagonals_matmul(D, B, below):
    """The product of the matrix with D[o, i] in row i and column i + o - below, and B."""
    count, rows = D.shape
    order = "F" if B.flags.f_contiguous else "C"  # as B is, so that both are gone through in one direction
    product = np.zeros((rows,) + B.shape[1:], np.result_type(D, B), order)
    side, first = max(32, count), min(max(0, below), rows)
    blocks = (min(rows, len(B) + below + 1 - count) - first) // side if B.ndim == 2 and B.shape[1] >= 16 else 0
    if blocks < 1:
        for o in range(count):
            k = o - below
            start, stop = max(0, -k), min(rows, len(B) - k)
            if start < stop:
                entries = D[o, start:stop]
                product[start:stop] += (entries if B.ndim == 1 else entries[:, None]) * B[start + k : stop + k]
        return product
    # with many columns some rows at a time, as full matrices: what they have beside the band costs less than passes
    last, width = first + side * blocks, side + count - 1
    band = np.zeros((blocks, side * width), D.dtype)
    for o in range(count):
        band[:, o :: width + 1][:, :side] = D[o, first:last].reshape(blocks, side)
    band = band.reshape(blocks, side, width)
    parts = np.lib.stride_tricks.sliding_window_view(B, width, 0)[first - below : last - below : side]
    if order == "F":
        whole = product.T[:, first:last].reshape(-1, blocks, side).transpose(1, 0, 2)
        np.matmul(parts, np.array(band.transpose(0, 2, 1), order="C"), out=whole)
    else:
        np.matmul(band, parts.transpose(0, 2, 1), out=product[first:last].reshape(blocks, side, -1))
    for low, high in ((0, first), (last, rows)):
        left, right = max(0, low - below), min(len(B), high + count - 1 - below)
        if low < high and left < right:
            corner = np.zeros((high - low, right - left), D.dtype)
            for o in range(count):
                at = np.arange(max(low, below - o), min(high, len(B) + below - o))
                corner[at - low, at + o - below - left] = D[o, at]
            product[low:high] = corner @ B[left:right]
    return product
'''
    ),
    "_diagonals_solve": Helper(
        '''
def _diagonals_solve(D, B, below, name):
    """X with A @ X = B, where A has D[o, i] in row i and column i + o - below; errors call it by its name."""
    if B.size == 0:
        return np.zeros(B.shape, np.result_type(D, B))
    n = D.shape[1]
    lower, upper = min(below, n - 1), min(len(D) - 1 - below, n - 1)
    if lower == upper == 1:
        return _solve_of_three(D[below - 1, 1:], D[below], D[below + 1, :-1], B, name)
    band = np.zeros((lower + upper + 1, n), D.dtype)
    for k in range(-lower, upper + 1):
        band[upper - k, max(k, 0) : n + min(k, 0)] = D[below + k, max(-k, 0) : n - max(k, 0)]
    return _solve_of_band(band, lower, upper, B, name)
''',
        ("_solve_of_band", "_solve_of_three"),
    ),
    "_definite_diagonals_solve": Helper(
        '''
def _definite_diagonals_solve(D, B, below, name):
    """X with A @ X = B for positive definite A with D[o, i] in row i and column i + o - below; errors name it."""
    if B.size == 0:
        return np.zeros(B.shape, np.result_type(D, B))
    n = D.shape[1]
    band = np.zeros((min(below, n - 1) + 1, n), D.dtype, "F")
    for k in range(len(band)):
        band[k, : n - k] = D[below - k, k:]
    return _solve_of_definite_band(band, B, name)
''',
        ("_solve_of_definite_band",),
    ),
}
