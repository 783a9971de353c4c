"""Kernels of matrices that a few numbers fill, in torch. Gradients pass through all of them."""

from __future__ import annotations

from tpc.backends.dialect import Entry, Helper

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
    "diagonals_matmul": lambda site: (
        f"{site.help('_diagonals_matmul')}({site.texts[0]}, {site.texts[1]}, {site['below']})"
    ),
    "diagonals_solve": lambda site: (
        f"{site.help('_diagonals_solve')}({site.texts[0]}, {site.texts[1]}, {site['below']}, {site.labels[0]!r})"
    ),
}

STRUCTURED_HELPERS: dict[str, Helper] = {
    "_xor_circulant": Helper(
        '''
def _xor_circulant(f):
    """The matrix with f[i xor j] in row i and column j."""
    places = torch.arange(len(f), device=f.device)
    return f[places[:, None] ^ places]
'''
    ),
    "_walsh_hadamard": Helper(
        '''
def _walsh_hadamard(x):
    """H @ x for the Hadamard matrix H in natural order: sums and differences of halves."""
    for bit in range(int(np.log2(len(x)))):
        halves = x.reshape((-1, 2, 2**bit) + x.shape[1:])
        x = torch.stack([halves[:, 0] + halves[:, 1], halves[:, 0] - halves[:, 1]], 1).reshape(x.shape)
    return x
'''
    ),
    "_spectrum": Helper(
        '''
def _spectrum(c, B, transposed):
    """The eigenvalues of circulant(c) or its transpose, one for each row of the transform of B, and that transform."""
    values, image = torch.fft.fft(c), torch.fft.fft(B, dim=0)
    values = torch.roll(torch.flip(values, (0,)), 1) if transposed else values
    return values if B.ndim == 1 else values[:, None], image
'''
    ),
    "_circulant_matmul": Helper(
        '''
def _circulant_matmul(c, B, transposed):
    """circulant(c) @ B, or circulant(c).T @ B."""
    if B.numel() == 0:
        return B * 1
    values, image = _spectrum(c, B, transposed)
    product = torch.fft.ifft(image * values, dim=0)
    return product if c.is_complex() or B.is_complex() else product.real
''',
        ("_spectrum",),
    ),
    "_circulant_solve": Helper(
        '''
def _circulant_solve(c, B, transposed, name):
    """X with circulant(c) @ X = B, or the same with its transpose; errors call the matrix by its name."""
    if B.numel() == 0:
        return B * 1
    values, image = _spectrum(c, B, transposed)
    if bool((values == 0).any()):
        raise np.linalg.LinAlgError(f"{name} is singular")
    X = torch.fft.ifft(image / values, dim=0)
    return X if c.is_complex() or B.is_complex() else X.real
''',
        ("_spectrum",),
    ),
    "_circulant_logdet": Helper(
        '''
def _circulant_logdet(c):
    """Logarithm of the determinant of circulant(c); NaN where it is negative."""
    if c.numel() == 0:
        return c.abs().sum()
    values = torch.fft.fft(c)
    total = torch.log(values.abs()).sum()
    if not c.is_complex():  # all other eigenvalues come in pairs
        sign = values[0].real * (values[len(c) // 2].real if len(c) % 2 == 0 else 1)
        total = torch.where(sign < 0, float("nan"), total)
    return total
'''
    ),
    "_toeplitz_matmul": Helper(
        '''
def _toeplitz_matmul(t, B):
    """toeplitz(t, m) @ B, as a part of the product with a circulant matrix that has all of t."""
    n = len(B)
    rows = len(t) + 1 - n
    if B.numel() == 0 or rows == 0:
        return torch.zeros((rows,) + tuple(B.shape[1:]), dtype=B.dtype, device=B.device)
    values, image = torch.fft.fft(t), torch.fft.fft(B, len(t), dim=0)
    product = torch.fft.ifft(image * (values if B.ndim == 1 else values[:, None]), dim=0)
    product = product[n - 1 : n - 1 + rows]
    return product if t.is_complex() or B.is_complex() else product.real
'''
    ),
    "_diagonals_matmul": Helper(
        '''
def _diagonals_matmul(D, B, below):
    """The product of the matrix with D[o, i] in row i and column i + o - below, and B."""
    rows = D.shape[1]
    product = torch.zeros((rows,) + tuple(B.shape[1:]), dtype=B.dtype, device=B.device)
    for o in range(len(D)):
        k = o - below
        start, stop = max(0, -k), min(rows, len(B) - k)
        if start < stop:
            entries = D[o, start:stop]
            product[start:stop] += (entries if B.ndim == 1 else entries[:, None]) * B[start + k : stop + k]
    return product
'''
    ),
    "_diagonals_solve": Helper(
        '''
def _diagonals_solve(D, B, below, name):
    """X with A @ X = B, where A has D[o, i] in row i and column i + o - below; torch solves no bands."""
    n = D.shape[1]
    A = _from_diagonals(D, below, (n, n))
    return _solve(A, B[:, None], name)[:, 0] if B.ndim == 1 else _solve(A, B, name)
''',
        ("_from_diagonals", "_solve"),
    ),
}
