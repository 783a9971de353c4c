"""Calls of the ops on matrices in few bits: name, operands, attributes, and the value expected."""

from typing import Any

import numpy as np

rng = np.random.default_rng(3)
codes = rng.integers(-127, 128, (3, 2, 4)).astype(np.int8)
halves = rng.integers(-7, 8, (3, 2, 2, 4)).astype(np.int8)  # the low and the high ones
packed = (16 * halves[:, :, 1] + halves[:, :, 0] + 8).astype(np.int8)
scales = rng.uniform(0.5, 2, (3, 2))
tables = rng.standard_normal((3, 2, 16))
of_tables = np.take_along_axis(tables[:, :, None], halves + 8, 3).reshape(3, 16)
matrix = (codes * scales[:, :, None]).reshape(3, 8)
of_halves = (halves * scales[:, :, None, None]).reshape(3, 16)
X, Y, Z = (rng.standard_normal((2, n)) for n in (3, 8, 16))

QUANTIZED_CASES: list[tuple[Any, ...]] = [
    ("dequantize", (codes, scales), {}, matrix),
    ("dequantize", (packed, scales), {"packed": True}, of_halves),
    ("dequantize", (packed, tables), {"packed": True}, of_tables),
    ("quantized_matmul", (X, packed, tables), {"packed": True}, X @ of_tables),
    ("quantized_matmul", (Z, packed, tables), {"packed": True, "transposed": True}, Z @ of_tables.T),
    ("quantized_matmul", (X[0], codes, scales), {}, X[0] @ matrix),
    ("quantized_matmul", (X, codes, scales), {}, X @ matrix),
    ("quantized_matmul", (Y, codes, scales), {"transposed": True}, Y @ matrix.T),
    ("quantized_matmul", (X, packed, scales), {"packed": True}, X @ of_halves),
    ("quantized_matmul", (Z[0], packed, scales), {"packed": True, "transposed": True}, of_halves @ Z[0]),
]
