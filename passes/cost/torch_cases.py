"""The calls that torch programs make, one for each kernel: what `tpc calibrate --backend torch` times.

What emitted modules carry with them is handed in, so that the very code is timed that programs run.
"""

from __future__ import annotations

from typing import Any

from tpc.passes.cost.case import Case, Helpers
from tpc.passes.cost.numpy_cases import LOWER, band, folded, sparse, symmetric


def cases(helpers: Helpers) -> dict[str, Case]:
    """The case of each kernel; operands are made with NumPy and handed over by `tensor`."""
    import torch

    invert, substitute = helpers["_tri_inv"], helpers["_solve_triangular"]
    lu_factor, ldl_factor = helpers["_lu_factor"], helpers["_ldl_factor"]
    lu_solve, ldl_solve, cho_solve = helpers["_lu_solve"], helpers["_ldl_solve"], helpers["_cho_solve"]
    band_matmul, band_solve = helpers["_band_matmul"], helpers["_band_solve"]

    def real_finite(A: Any) -> object:
        return torch.linalg.eig(A) if bool(torch.isfinite(A).all()) else None

    return {
        "gemm": Case(("m k", "k n"), lambda A, B: A @ B, True),
        "syrk": Case(("n k",), lambda A: A @ A.mT, True),
        "gemv": Case(("m n", "n"), lambda A, x: A @ x),
        "gevm": Case(("m", "m n"), lambda x, A: x @ A),
        "dot": Case(("n", "n"), lambda x, y: x @ y),
        "ger": Case(("m", "n"), torch.outer),
        "trmm": Case(("n n !", "n m"), lambda A, B: torch.tril(A) @ B, True),
        "trmv": Case(("n n !", "n"), lambda A, x: torch.tril(A) @ x),
        "trsm": Case(("n n !", "n m"), lambda A, B: substitute(A, B, LOWER, "A"), True),
        "trsv": Case(("n n !", "n"), lambda A, x: substitute(A, x[:, None], LOWER, "A")[..., 0]),
        "potrf": Case(("n n !",), lambda A: helpers["_cholesky"](A, "A"), True),
        "potrs": Case(("n n !", "n m"), lambda L, B: cho_solve(L, B, "L"), True),
        "potri": Case(("n n !",), lambda L: helpers["_cho_inv"](L, "L"), True),
        "trtri": Case(("n n !",), lambda A: invert(A, LOWER, "A"), True),
        "getrf": Case(("n n !",), lu_factor, True),
        "getrs": Case(
            ("n n !", "n m"),
            lambda packed, pivots, B: lu_solve(packed, pivots, B, False, "A"),
            True,
            prepare=lambda A, B, n, m: (*lu_factor(A), B),
        ),
        "gesv": Case(("n n !", "n m"), lambda A, B: helpers["_solve"](A, B, "A"), True),
        "getri": Case(("n n !",), lambda A: helpers["_inv"](A, "A"), True),
        "sytrf": Case(("n n",), lambda A: ldl_factor(A, "A"), True, prepare=lambda A, n: (symmetric(A),)),
        "sytrs": Case(
            ("n n", "n m"),
            lambda packed, order, B: ldl_solve(packed, order, B, "A"),
            True,
            prepare=lambda A, B, n, m: (*ldl_factor(symmetric(A), "A"), B),
        ),
        "geqrf": Case(("m n",), torch.linalg.qr, True),
        "gelsd": Case(("m n", "m r"), lambda A, B: torch.linalg.pinv(A) @ B, True),
        "gesdd": Case(("m n",), lambda A: torch.linalg.svd(A, full_matrices=False), True),
        "gesdd_values": Case(("m n",), torch.linalg.svdvals, True),
        "syevd": Case(("n n !",), torch.linalg.eigh, True),
        "syevd_values": Case(("n n !",), torch.linalg.eigvalsh, True),
        "geev": Case(("n n",), real_finite, True),
        "band_matmul": Case(("n n", "n m"), band_matmul, prepare=lambda A, B, n, m, width: (A, B, *band(width))),
        "band_solve": Case(
            ("n n !", "n m"),
            lambda A, B, below, above: band_solve(A, B, below, above, "A"),
            prepare=lambda A, B, n, m, width: (A, B, *band(width)),
        ),
        # tensors are dense in programs, but for those that are given sparse
        "spmv": Case(
            ("k",),
            lambda A, x: A @ x,
            prepare=lambda x, n, k, stored: (tensor(sparse(x.numpy().dtype, n, k, stored)), x),
        ),
        "spmm": Case(
            ("k m",),
            lambda A, X: A @ X,
            prepare=lambda X, n, k, m, stored: (tensor(sparse(X.numpy().dtype, n, k, stored)), X),
        ),
        "sddmm": Case(
            ("rows k", "columns k"),
            lambda A, B, C: A.values() * torch.sparse.sampled_addmm(A, B, C.T, beta=0.0).values(),
            prepare=lambda B, C, rows, columns, k, stored: (
                tensor(sparse(B.numpy().dtype, rows, columns, stored)),
                B,
                C,
            ),
        ),
        "reduce": Case(
            ("entries",),
            lambda X, axis: torch.sum(X) if axis is None else torch.sum(X, dim=axis),
            prepare=lambda x, entries, results: folded(x, results),
        ),
        "copy": Case(("entries",), torch.clone),
        "transpose_copy": Case(("columns rows",), lambda A: A.T.contiguous()),
        "gather": Case(
            ("entries",),
            lambda x, places: x[places],
            prepare=lambda x, entries: (x, torch.randperm(entries)),
        ),
        "einsum": Case(("m k", "n k", "k"), lambda A, B, c: torch.einsum("ik,jk,k->ij", A, B, c)),
        "linear_scan": Case(
            ("steps width", "steps width", "width"),
            lambda a, b, x: helpers["_linear_scan"](a, b, x, b.dtype),
            prepare=lambda a, b, x, steps, width: (a / 4, b, x),
        ),
        "fft": Case(("n",), torch.fft.fft, True),
    }


def tensor(A: Any) -> Any:
    """A matrix of scipy.sparse as a tensor."""
    import warnings

    import torch

    with warnings.catch_warnings(action="ignore", category=UserWarning):  # that these are new
        starts, places, entries = map(torch.from_numpy, (A.indptr, A.indices, A.data))
        return torch.sparse_csr_tensor(starts, places, entries, A.shape)


def functions() -> dict[str, Any]:
    """The scalar functions of `LEARNT`."""
    import torch

    return {
        "add": torch.add,
        "mul": torch.mul,
        "div": torch.div,
        "exp": torch.exp,
        "log": torch.log,
        "tanh": torch.tanh,
        "sqrt": torch.sqrt,
    }
