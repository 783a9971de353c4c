"""How close a square matrix is to a singular one."""

from __future__ import annotations

import numpy as np

from tpc.inspection.finding import Finding
from tpc.inspection.subject import Subject


def condition(subject: Subject, found: list[Finding]) -> float | None:
    """An estimate of the condition number in the 1-norm (LAPACK's); infinite for a singular matrix."""
    import warnings

    from scipy.linalg import lapack, lu_factor

    names = {f.name for f in found}
    A, n = subject.values, subject.rows
    if not subject.square or n == 0:
        return None
    if "zero" in names or any(f.name in ("low rank", "constant") and n > 1 for f in found):
        return float("inf")
    if names & {"permutation", "signed permutation"}:
        return 1.0
    if any("orthogonal" in name or "unitary" in name for name in names):  # the inverse is the scaled transpose
        sizes = np.abs(A)
        return float(sizes.sum(0).max() * sizes.sum(1).max() * subject.rows / subject.norm / subject.norm)
    scaled = A / subject.largest
    size = float(np.abs(scaled).sum(0).max())
    prefix = "z" if subject.complex else "d"
    if any(name.endswith("triangular") for name in names) or "diagonal" in names:
        lower = any(name.endswith("lower triangular") for name in names)
        rcond, _ = getattr(lapack, f"{prefix}trcon")(scaled, uplo="L" if lower else "U")
    elif "positive definite" in names:
        factor = next(f.parts["L"] for f in found if f.name == "positive definite")
        rcond, _ = getattr(lapack, f"{prefix}pocon")(factor, size * subject.largest, uplo="L")
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            factors, _ = lu_factor(scaled, overwrite_a=True, check_finite=False)
        rcond, _ = getattr(lapack, f"{prefix}gecon")(factors, size)
    return 1 / float(rcond) if rcond > np.finfo(float).eps else float("inf")
