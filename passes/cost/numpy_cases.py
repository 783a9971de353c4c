"""The calls that NumPy programs make, one for each kernel: what `tpc calibrate` times.

What emitted modules carry with them is handed in, so that the very code is timed that programs run.
"""

from __future__ import annotations

from typing import Any

from tpc.passes.cost.case import Case, Helpers

LOWER = True


def cases(helpers: Helpers) -> dict[str, Case]:
    """The case of each kernel."""
    import numpy as np

    cholesky, cholesky_batch = helpers["_cholesky"], helpers["_cholesky_batch"]
    multiply, substitute, invert = helpers["_trmm"], helpers["_solve_triangular"], helpers["_tri_inv"]
    lu_factor, ldl_factor = helpers["_lu_factor"], helpers["_ldl_factor"]
    lu_solve, ldl_solve, cho_solve = helpers["_lu_solve"], helpers["_ldl_solve"], helpers["_cho_solve"]
    band_matmul, band_solve = helpers["_band_matmul"], helpers["_band_solve"]

    def outer_sum(A: Any, B: Any, c: Any) -> object:
        return np.einsum("ik,jk,k->ij", A, B, c)

    return {
        "gemm": Case(("m k", "k n"), lambda A, B: A @ B, True),
        "syrk": Case(("n k",), lambda A: A @ A.mT, True),
        "gemv": Case(("m n", "n"), lambda A, x: A @ x),
        "gevm": Case(("m", "m n"), lambda x, A: x @ A),
        "dot": Case(("n", "n"), lambda x, y: x @ y),
        "ger": Case(("m", "n"), np.outer),
        "trmm": Case(("n n !", "n m"), lambda A, B: multiply(A, B, LOWER)),
        "trmv": Case(("n n !", "n"), lambda A, x: multiply(A, x, LOWER)),
        "trsm": Case(("n n !", "n m"), lambda A, B: substitute(A, B, LOWER, "A")),
        "trsv": Case(("n n !", "n"), lambda A, x: substitute(A, x, LOWER, "A")),
        "potrf": Case(("n n !",), lambda A: cholesky(A, "A") if A.ndim == 2 else cholesky_batch(A, "A"), True),
        "potrs": Case(
            ("n n !", "n m"), lambda L, B: cho_solve(L, B, "L"), prepare=lambda A, B, n, m: (A, right_side(B, m))
        ),
        "potri": Case(("n n !",), lambda L: helpers["_cho_inv"](L, "L")),
        "trtri": Case(("n n !",), lambda A: invert(A, LOWER, "A")),
        "getrf": Case(("n n !",), lu_factor),
        "getrs": Case(
            ("n n !", "n m"),
            lambda packed, pivots, B: lu_solve(packed, pivots, B, False, "A"),
            prepare=lambda A, B, n, m: (*lu_factor(A), right_side(B, m)),
        ),
        "gesv": Case(
            ("n n !", "n m"),
            lambda A, B: helpers["_solve"](A, B, "A"),
            True,
            prepare=lambda A, B, n, m: (A, right_side(B, m) if A.ndim == 2 else B),
        ),
        "getri": Case(("n n !",), lambda A: helpers["_inv"](A, "A"), True),
        "sytrf": Case(("n n",), lambda A: ldl_factor(A, "A"), prepare=lambda A, n: (symmetric(A),)),
        "sytrs": Case(
            ("n n", "n m"),
            lambda packed, order, B: ldl_solve(packed, order, B, "A"),
            prepare=lambda A, B, n, m: (*ldl_factor(symmetric(A), "A"), right_side(B, m)),
        ),
        "geqrf": Case(("m n",), np.linalg.qr, True),
        "gelsd": Case(("m n", "m r"), lambda A, B: np.linalg.lstsq(A, B, rcond=None)),
        "gesdd": Case(("m n",), lambda A: np.linalg.svd(A, full_matrices=False), True),
        "gesdd_values": Case(("m n",), lambda A: np.linalg.svd(A, compute_uv=False), True),
        "syevd": Case(("n n !",), np.linalg.eigh, True),
        "syevd_values": Case(("n n !",), np.linalg.eigvalsh, True),
        "geev": Case(("n n",), np.linalg.eig, True),
        "band_matmul": Case(
            ("n n", "n m"),
            band_matmul,
            prepare=lambda A, B, n, m, width: (A, right_side(B, m), *band(width)),
        ),
        "band_solve": Case(
            ("n n !", "n m"),
            lambda A, B, below, above: band_solve(A, B, below, above, "A"),
            prepare=lambda A, B, n, m, width: (A, right_side(B, m), *band(width)),
        ),
        "spmv": Case(("k",), helpers["_spmm"], prepare=lambda x, n, k, stored: (sparse(x.dtype, n, k, stored), x)),
        "spmm": Case(("k m",), helpers["_spmm"], prepare=lambda X, n, k, m, stored: (sparse(X.dtype, n, k, stored), X)),
        "sddmm": Case(
            ("rows k", "columns k"),
            helpers["_sddmm"],
            prepare=lambda B, C, rows, columns, k, stored: (sparse(B.dtype, rows, columns, stored), B, C.T),
        ),
        "reduce": Case(
            ("entries",),
            lambda X, axis: np.sum(X, axis=axis),
            prepare=lambda x, entries, results: folded(x, results),
        ),
        "copy": Case(("entries",), np.array),
        "transpose_copy": Case(("columns rows",), lambda A: np.array(A.T, order="C")),
        "gather": Case(
            ("entries",),
            lambda x, places: x[places],
            prepare=lambda x, entries: (x, np.random.default_rng(0).permutation(entries)),
        ),
        "einsum": Case(("m k", "n k", "k"), outer_sum),
        "linear_scan": Case(
            ("steps width", "steps width", "width"),
            lambda a, b, x: helpers["_linear_scan"](a, b, x, b.dtype),
            prepare=lambda a, b, x, steps, width: (a / 4, b, x),
        ),
        "fft": Case(("n",), np.fft.fft, True),
    }


def symmetric(A: Any) -> Any:
    """A symmetric matrix, or a batch of them, that need not be definite."""
    return A + A.mT


def right_side(B: Any, m: int) -> Any:
    """The m columns of B; a single one, as programs have it, is a vector."""
    return B[:, 0] if m == 1 else B


def sparse(dtype: Any, rows: int, columns: int, stored: int) -> Any:
    """A matrix with so many entries, which are spread evenly."""
    import numpy as np
    import scipy.sparse

    chance = np.random.default_rng(0)
    places = np.sort(chance.choice(rows * columns, stored, replace=False, shuffle=False))
    starts = np.searchsorted(places, np.arange(rows + 1) * columns)
    entries = chance.standard_normal(stored).astype(dtype)
    parts = entries, (places % columns).astype(np.int32), starts.astype(np.int32)
    return scipy.sparse.csr_array(parts, shape=(rows, columns))


def band(width: int) -> tuple[int, int]:
    """How many of so many diagonals are below and above the main one."""
    return (width - 1) // 2, width // 2


def folded(x: Any, results: int) -> tuple[Any, int | None]:
    """Entries as a matrix, and the axis along which its sum has so many results; both axes take turns, but for rows
    so short that nobody would sum across them."""
    if results == 1:
        return x, None
    return (x.reshape(results, -1), 1) if results % 2 or results < 30 else (x.reshape(-1, results), 0)


def functions() -> dict[str, Any]:
    """The scalar functions of `LEARNT`."""
    import numpy as np

    return {
        "add": np.add,
        "mul": np.multiply,
        "div": np.divide,
        "exp": np.exp,
        "log": np.log,
        "tanh": np.tanh,
        "sqrt": np.sqrt,
    }
