"""The functions of SciPy and NumPy that modules with sparse matrices carry with them."""

from __future__ import annotations

from tpc.backends.dialect import Helper
from tpc.backends.sparsifiers import helpers

SPARSE_HELPERS: dict[str, Helper] = {
    **helpers("np", 'np.argsort(np.argsort(-size, axis=-1, kind="stable"), axis=-1)'),
    "_csr": Helper(
        '''
def _csr(A, dtype):
    """A by rows or columns with its entries in order, each once; A itself where it is so."""
    if isinstance(A, scipy.sparse.csc_matrix):
        A = scipy.sparse.csc_array(A)  # in the same memory
    elif not isinstance(A, (scipy.sparse.csr_array, scipy.sparse.csc_array)):
        A = scipy.sparse.csr_array(A)
    if A.dtype != dtype:
        A = A.astype(dtype)
    if not A.has_canonical_format:
        A = A.copy()
        A.sum_duplicates()
    return A
'''
    ),
    "_csr_or_blocks": Helper(
        '''
def _csr_or_blocks(A, dtype):
    """A by rows or columns, or as it is in blocks or by diagonals."""
    is_fit = isinstance(A, (scipy.sparse.bsr_array, scipy.sparse.dia_array)) and A.dtype == dtype
    return A if is_fit else _csr(A, dtype)
''',
        ("_csr",),
    ),
    "_of_parts": Helper(
        '''
def _of_parts(values, columns, starts, shape):
    """A matrix with all of its entries, of those that are not zero, their columns, and where rows begin."""
    matrix = np.zeros(shape, values.dtype)
    np.add.at(matrix, (np.repeat(np.arange(shape[0]), starts[1:] - starts[:-1]), columns), values)
    return matrix
'''
    ),
    "_csr_parts": Helper(
        '''
def _csr_parts(values, columns, starts, shape):
    """A matrix by rows, of entries with their columns, and where rows begin."""
    is_sound = np.all(starts[:-1] <= starts[1:]) and starts[0] == 0 and starts[-1] == len(values)
    if not is_sound or np.any((columns < 0) | (columns >= shape[1])):
        raise ValueError("these are no parts of a sparse matrix: starts must rise from 0, and columns lie within it")
    matrix = scipy.sparse.csr_array((values, columns, starts), shape=shape)
    if not matrix.has_canonical_format:
        matrix = matrix.copy()
        matrix.sum_duplicates()
    return matrix
'''
    ),
    "_csr_sketch": Helper(
        '''
def _csr_sketch(rows, columns, nonzeros, seed, dtype):
    """A random matrix by columns, with so many entries of one size in each."""
    place, entry = _sketch_entries(rows, columns, nonzeros, seed)
    starts = np.arange(0, columns * nonzeros + 1, nonzeros)
    return scipy.sparse.csc_array((entry.astype(dtype).ravel(), place.ravel(), starts), shape=(rows, columns))
''',
        ("_sketch_entries",),
    ),
    "_with": Helper(
        '''
def _with(A, entries):
    """A matrix with the pattern of A."""
    if isinstance(A, scipy.sparse.csr_array):
        return scipy.sparse.csr_array((entries, A.indices, A.indptr), shape=A.shape)
    return scipy.sparse.csc_array((entries, A.indices, A.indptr), shape=A.shape)
'''
    ),
    "_to_csr": Helper(
        '''
def _to_csr(A):
    """A with its zeros left out; a copy where it is sparse."""
    return A.copy() if scipy.sparse.issparse(A) else scipy.sparse.csr_array(A)
'''
    ),
    "_dense": Helper(
        '''
def _dense(A):
    """A with all of its entries."""
    return A.toarray() if scipy.sparse.issparse(A) else np.array(A)
'''
    ),
    "_entrywise": Helper(
        '''
def _entrywise(function, A):
    """A function that is zero at zero, of each entry."""
    return _with(A, function(A.data)) if scipy.sparse.issparse(A) else function(A)
''',
        ("_with",),
    ),
    "_places": Helper(
        '''
def _places(A):
    """The rows and columns of the entries."""
    lines = np.repeat(np.arange(len(A.indptr) - 1, dtype=A.indices.dtype), A.indptr[1:] - A.indptr[:-1])
    return (lines, A.indices) if isinstance(A, scipy.sparse.csr_array) else (A.indices, lines)
'''
    ),
    "_at_entries": Helper(
        '''
def _at_entries(A, X):
    """X where sparse A has entries; a number, a row or a column stands for a matrix of A's shape."""
    if np.asarray(X).ndim == 0:
        return X
    rows, columns = _places(A)
    X = np.atleast_2d(X)
    if X.shape[0] == 1 < A.shape[0]:
        return X[0, columns] if X.shape[1] == A.shape[1] else X[0, 0]
    if X.shape[1] == 1 < A.shape[1]:
        return X[rows, 0]
    return X[rows, columns]
''',
        ("_places",),
    ),
    "_is_alike": Helper(
        '''
def _is_alike(A, B):
    """Whether sparse matrices have the very same pattern, as one that was made of the other."""
    if not scipy.sparse.issparse(A) or isinstance(A, scipy.sparse.csr_array) != isinstance(B, scipy.sparse.csr_array):
        return False
    return A.indices is B.indices and A.indptr is B.indptr
'''
    ),
    **{
        f"_csr_{name}": Helper(
            f'''
def _csr_{name}(A, B):
    """A {sign} B for sparse matrices."""
    return _with(A, A.data {sign} B.data).copy() if _is_alike(A, B) else A {sign} B
''',
            ("_with", "_is_alike"),
        )
        for name, sign in (("add", "+"), ("sub", "-"))
    },
    "_csr_mul": Helper(
        '''
def _csr_mul(A, B):
    """The entries of A times those of B."""
    if not scipy.sparse.issparse(A):
        return A * B
    return A.multiply(B)
'''
    ),
    "_csr_scale": Helper(
        '''
def _csr_scale(A, X):
    """The entries of sparse A times those of X."""
    return _with(A, A.data * _at_entries(A, X)) if scipy.sparse.issparse(A) else A * X
''',
        ("_with", "_at_entries"),
    ),
    "_csr_div": Helper(
        '''
def _csr_div(A, X):
    """The entries of sparse A through those of X."""
    return _with(A, A.data / _at_entries(A, X)) if scipy.sparse.issparse(A) else A / X
''',
        ("_with", "_at_entries"),
    ),
    "_spmm": Helper(
        '''
def _spmm(A, X):
    """A @ X for sparse A."""
    return A @ X
'''
    ),
    "_sddmm": Helper(
        '''
def _sddmm(A, B, C):
    """A * (B @ C) for sparse A: the products of rows and columns that meet in an entry of A, some at a time.

    Where one in 25 is needed, whole panels of rows of the product are faster.
    """
    if not scipy.sparse.issparse(A):
        return A * (B @ C)
    rows, columns = _places(A)
    if 25 * len(rows) > A.shape[0] * A.shape[1]:
        return _with(A, A.data * _panels(A, B, C, rows, columns))
    turned = np.array(C.T, order="C")
    entries = np.empty(len(rows), np.result_type(A, B, C))
    step = max(1, 2**15 // max(1, B.shape[1]))
    for start in range(0, len(rows), step):
        stop = start + step
        entries[start:stop] = np.einsum("ik,ik->i", B[rows[start:stop]], turned[columns[start:stop]])
    return _with(A, A.data * entries)
''',
        ("_with", "_places", "_panels"),
    ),
    "_panels": Helper(
        '''
def _panels(A, B, C, rows, columns):
    """The entries of B @ C where sparse A has some, from a panel of the product after the other."""
    if isinstance(A, scipy.sparse.csc_array):
        B, C, rows, columns = C.T, B.T, columns, rows
    entries = np.empty(len(rows), np.result_type(B, C))
    step = max(1, 2**17 // max(1, C.shape[1]))
    for start in range(0, B.shape[0], step):
        first, last = A.indptr[start], A.indptr[min(start + step, B.shape[0])]
        entries[first:last] = (B[start : start + step] @ C)[rows[first:last] - start, columns[first:last]]
    return entries
'''
    ),
    **{
        f"_csr_{name}": Helper(
            f'''
def _csr_{name}(A, axis):
    """The {about} entry of each column or row, or of all; those that are not stored are zeros."""
    found = A.{name}(axis)
    return found.toarray() if scipy.sparse.issparse(found) else found
'''
        )
        for name, about in (("max", "largest"), ("min", "least"))
    },
    "_csr_row": Helper(
        '''
def _csr_row(A, place):
    """A row of sparse A."""
    if not 0 <= place < A.shape[0]:
        raise IndexError(f"position {place} lies outside of an axis of {A.shape[0]} entries")
    if not scipy.sparse.issparse(A):
        return np.array(A[place])
    row = np.zeros(A.shape[1], A.dtype)
    if isinstance(A, scipy.sparse.csr_array):
        first, last = A.indptr[place], A.indptr[place + 1]
        row[A.indices[first:last]] = A.data[first:last]
    else:
        rows, columns = _places(A)
        row[columns[rows == place]] = A.data[rows == place]
    return row
''',
        ("_places",),
    ),
    "_csr_take": Helper(
        '''
def _csr_take(A, places):
    """Rows of sparse A."""
    outside = (places < 0) | (places >= A.shape[0])
    if np.any(outside):
        raise IndexError(f"position {places[outside][0]} lies outside of an axis of {A.shape[0]} entries")
    taken = A[places]
    if scipy.sparse.issparse(taken):
        taken.sort_indices()
    return taken
'''
    ),
    "_diagonal_csr": Helper(
        '''
def _diagonal_csr(d):
    """A sparse matrix with d on its diagonal."""
    count = len(d)
    return scipy.sparse.csr_array((np.array(d), np.arange(count), np.arange(count + 1)), shape=(count, count))
'''
    ),
    "_csr_triangle": Helper(
        '''
def _csr_triangle(A, lower, k):
    """The entries on one side of the k-th diagonal, and on it."""
    if not scipy.sparse.issparse(A):
        return np.tril(A, k) if lower else np.triu(A, k)
    part = scipy.sparse.tril(A, k, format="csr") if lower else scipy.sparse.triu(A, k, format="csr")
    part.sort_indices()
    return part
'''
    ),
    "_csr_kron": Helper(
        '''
def _csr_kron(A, B):
    """The Kronecker product of sparse matrices."""
    if not scipy.sparse.issparse(A):
        return np.kron(A, B)
    product = scipy.sparse.kron(A, B, format="csr")
    product.sort_indices()
    return product
'''
    ),
    "_splu": Helper(
        '''
_factored = [(None, None, False, None)]  # the last matrix that nothing can be written to, and its factors
_ordered = [(None, None, None)]  # the last pattern, and the order of its columns


def _splu(A, spd, name):
    """The sparse triangular factors of A, and an order of its columns that keeps them sparse.

    The order is found once for matrices with one pattern. A definite matrix needs no pivots, so that rows follow it.
    """
    if A.shape[0] == 0 or not scipy.sparse.issparse(A):
        return A
    is_csr = isinstance(A, scipy.sparse.csr_array)  # the transpose has the same arrays
    data, indices, was_csr, found = _factored[0]
    if data is A.data and indices is A.indices and was_csr == is_csr:
        return found
    columns = scipy.sparse.csc_array(A)
    places, starts, order = _ordered[0]
    try:
        if spd:
            found = scipy.sparse.linalg.splu(
                columns, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options=dict(SymmetricMode=True)
            ), None
        elif np.array_equal(places, columns.indices) and np.array_equal(starts, columns.indptr):
            found = scipy.sparse.linalg.splu(columns[:, order], permc_spec="NATURAL"), order
        else:
            factors = scipy.sparse.linalg.splu(columns)
            _ordered[0] = columns.indices.copy(), columns.indptr.copy(), np.argsort(factors.perm_c)
            found = factors, None
    except RuntimeError:
        raise np.linalg.LinAlgError(f"{name} is singular") from None
    if not A.data.flags.writeable and not A.indices.flags.writeable:
        _factored[0] = A.data, A.indices, is_csr, found
    return found
'''
    ),
    "_splu_solve": Helper(
        '''
def _splu_solve(found, B):
    """X with A @ X = B, from the sparse factors of A."""
    if len(B) == 0 or B.size == 0:
        return np.zeros(B.shape, B.dtype)
    if isinstance(found, np.ndarray):
        return np.linalg.solve(found, B)
    factors, order = found
    solved = factors.solve(B)
    if order is None:
        return solved
    X = np.empty(solved.shape, solved.dtype)
    X[order] = solved
    return X
'''
    ),
    "_splu_logdet": Helper(
        '''
def _splu_logdet(found):
    """The logarithm of the determinant; NaN where that is negative."""
    if not isinstance(found, tuple):
        if found.shape[0] == 0:
            return np.float64(0)
        sign, value = np.linalg.slogdet(found)
    else:
        factors, order = found
        diagonal = factors.U.diagonal()
        value = np.log(np.abs(diagonal)).sum()
        sign = np.prod(np.sign(diagonal)) * _parity(factors.perm_r) * _parity(factors.perm_c)
        if order is not None:
            sign = sign * _parity(order)
    return value if np.iscomplexobj(sign) or sign > 0 else value * np.nan
''',
        ("_parity",),
    ),
    "_parity": Helper(
        '''
def _parity(order):
    """1 or -1, as the number of exchanges that a permutation takes is even or odd."""
    seen = np.zeros(len(order), bool)
    cycles = 0
    for start in range(len(order)):
        cycles += not seen[start]
        place = start
        for _ in range(len(order)):
            if seen[place]:
                break
            seen[place] = True
            place = order[place]
    return 1 - 2 * ((len(order) - cycles) % 2)
'''
    ),
    "_csr_solve_triangular": Helper(
        '''
def _csr_solve_triangular(A, B, lower):
    """X with A @ X = B for a sparse triangle."""
    if B.size == 0:
        return np.zeros(B.shape, B.dtype)
    if not scipy.sparse.issparse(A):
        return np.linalg.solve(np.tril(A) if lower else np.triu(A), B)
    if not A.diagonal().all():
        raise np.linalg.LinAlgError("a triangular matrix has a zero on its diagonal")
    part = scipy.sparse.tril(A) if lower else scipy.sparse.triu(A)
    solved = scipy.sparse.linalg.spsolve_triangular(scipy.sparse.csr_array(part), B, lower=lower)
    return solved.astype(B.dtype, copy=False)
'''
    ),
}
