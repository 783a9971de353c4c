"""What ops on sparse matrices mean of matrices with all of their entries."""

from __future__ import annotations

from typing import Any

from tpc.ir.types import DType


def cast(A: Any, dtype: DType) -> Any:
    return A if A.dtype == object else A.astype({"f": "f8", "c": "c16"}.get(dtype.kind, dtype.numpy))


def itself(A: Any) -> Any:
    return A + A * 0


def of_parts(values: Any, columns: Any, starts: Any, m: int) -> Any:
    import numpy

    found = numpy.zeros((len(starts) - 1, m), values.dtype)
    for row in range(len(starts) - 1):
        for place in range(int(starts[row]), int(starts[row + 1])):
            found[row, int(columns[place])] += values[place]
    return found


def extreme(name: str, A: Any, axis: int | None) -> Any:
    return A.max(axis) if name == "csr_max" else A.min(axis)


def row(A: Any, place: Any) -> Any:
    return taken(A, [place])[0]


def taken(A: Any, index: Any) -> Any:
    places = [int(place) for place in index]
    if not all(0 <= place < len(A) for place in places):
        raise IndexError(f"position {places} lies outside of {len(A)} rows")
    return A[places]


def diagonal_matrix(d: Any) -> Any:
    import numpy

    return numpy.diag(d)


def triangle(A: Any, lower: bool, k: int) -> Any:
    import numpy

    return numpy.tril(A, k) if lower else numpy.triu(A, k)


def kron(A: Any, B: Any) -> Any:
    import numpy

    return numpy.kron(A, B)


def solve(linalg: Any, A: Any, B: Any) -> Any:
    return linalg.solve(A, B)


def solve_triangular(linalg: Any, A: Any, B: Any, lower: bool) -> Any:
    return linalg.solve(triangle(A, lower, 0), B)


def logdet(A: Any) -> Any:
    import numpy

    sign, value = numpy.linalg.slogdet(A)
    return value if A.dtype.kind == "c" or sign > 0 else numpy.where(sign == 0, -numpy.inf, numpy.nan)
