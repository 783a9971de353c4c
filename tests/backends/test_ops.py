"""The op contract: every op on every backend, in every dtype that it takes, against the reference interpreter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from tests.ir.op_cases import CASES

from tpc.backends.names import words
from tpc.ir.op import Misfit
from tpc.ir.ops import OPS
from tpc.ir.scalar import SCALARS
from tpc.ir.types import BF16, BOOL, C64, C128, F16, F32, F64, I8, I32, I64, DType, TensorType

from .contract import BACKENDS, assert_close, compare, compiled, op_program, rounded

WIDE = {"f": (F64, F32, F16, BF16), "c": (C128, C64), "i": (I64, I32, I8), "b": (BOOL,)}


def case_id(case: tuple[Any, ...]) -> str:
    name, operands, attributes, _ = case
    return f"{name} {' '.join(str(np.shape(o)).replace(' ', '') for o in operands)} {attributes or ''}"


def variants(operands: tuple[Any, ...]) -> list[list[DType]]:
    """The dtypes to try: of floats and complex numbers all formats, integers as they are."""
    kinds = [np.asarray(o).dtype.kind for o in operands]
    count = max((len(WIDE[k]) for k in kinds if k in "fc"), default=1)
    return [[WIDE[k][n] if k in "fc" and n < len(WIDE[k]) else WIDE[k][0] for k in kinds] for n in range(count)]


def gauge_check(name: str) -> Any:
    """What holds of the factors, whatever is left open."""

    def product(results: list[Any], arrays: Any, tolerance: float) -> None:
        A = np.asarray(arrays[0])
        exact = [r.astype(complex) for r in results]
        t = lambda x: x.swapaxes(-1, -2).conj()  # noqa: E731
        if name in ("lu", "qr", "svd"):
            if name == "svd":
                exact = [exact[0] * exact[1][..., None, :], exact[2]]
            whole = exact[0]
            for factor in exact[1:]:
                whole = whole @ factor
            assert_close(whole, A, tolerance)
            if name == "qr":
                assert_close(
                    t(exact[0]) @ exact[0],
                    np.broadcast_to(np.eye(exact[0].shape[-1]), (t(exact[0]) @ exact[0]).shape),
                    tolerance,
                )
        elif name == "qr_triangle":
            assert_close(t(exact[0]) @ exact[0], t(A) @ A, tolerance)
        elif name == "ldl_factor":
            packed, order = exact[0], results[1]
            L = np.tril(packed, -1) + np.eye(packed.shape[-1])
            D = np.triu(np.tril(packed, 1))
            whole = L @ (D + t(np.triu(D, 1))) @ t(L)
            A = np.tril(A) + t(np.tril(A, -1))
            A = np.take_along_axis(A, order[..., None], -2)
            assert_close(whole, np.take_along_axis(A, order[..., None, :], -1), tolerance)
        elif name == "ldl":
            assert_close(exact[0] @ exact[1] @ t(exact[0]), A, tolerance)
        elif name in ("eigh", "eig"):
            assert_close(A @ exact[1], exact[1] * exact[0][..., None, :], tolerance)
        else:
            every = np.linalg.eigvals(A.astype(complex))
            for value, wanted in zip(
                exact[0].reshape(-1, max(A.shape[-1], 1)), every.reshape(-1, max(A.shape[-1], 1)), strict=True
            ):
                assert np.abs(value[:, None] - wanted).min(1).max() <= tolerance * np.abs(wanted).max()

    held = ("lu", "qr", "qr_triangle", "svd", "ldl", "ldl_factor", "eigh", "eig", "eigvals")
    return product if name in held else None


FACTOR = {"logm": 4000, "sqrtm": 4000, "matpow": 4000, "inv": 4000, "solve": 4000, "pinv": 4000, "lstsq": 4000,
          "cond": 4000, "solve_triangular": 4000, "det": 500, "expm": 1000, "eig": 500, "eigvals": 20000}  # fmt: skip


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_cases(case: tuple[Any, ...], backend: str) -> None:
    name, operands, attributes, _ = case
    for dtypes in variants(operands):
        arrays = [rounded(o, d) for o, d in zip(operands, dtypes, strict=True)]
        types = [TensorType(d, a.shape) for a, d in zip(arrays, dtypes, strict=True)]
        half = any(d in (F16, BF16) for d in dtypes)
        if half and name in ("matrix_rank", "cond", "pinv", "eigvals", "logm"):
            continue  # rounding to half precision changes what they say
        compare(backend, op_program(name, types, attributes), arrays, FACTOR.get(name, 64), gauge_check(name))


def sample(rng: np.random.Generator, shape: tuple[int, ...], domain: str, dtype: DType) -> Any:
    low, _, high = (domain or "-3..3").partition("..")
    values = rng.uniform(float(low), float(high), shape)
    if dtype.kind == "i":
        values = np.ceil(values)
    if dtype.kind == "b":
        values = values > (float(low) + float(high)) / 2
    if dtype.kind == "c":
        values = values + 1j * rng.uniform(float(low), float(high), shape)
    return rounded(values, dtype)


SHAPES = ((), (4,), (3, 2), (1,), (0, 2))
# Functions whose results leave the range of half precision, or whose condition is large.
NOT_IN_HALF = ("gamma", "beta", "pow", "digamma", "trigamma", "ndtri", "logit", "mod", "floor_div", "lgamma", "tan")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("function", SCALARS.values(), ids=lambda f: f.name)
def test_scalar_functions(function: Any, backend: str) -> None:
    """Every scalar function in every dtype and rank, with mixed formats and with NaN and infinities."""
    rng = np.random.default_rng(5)
    mixed: list[list[DType]] = [[d] * function.arity for d in (F64, F32, F16, BF16, C128, C64, I64, I32, I8, BOOL)]
    if function.arity == 2:
        mixed += [[F32, F64], [F32, I64], [I8, F16], [I32, I64], [F32, C64], [BOOL, F32], [F16, BF16], [I64, C64]]
    shapes: Sequence[tuple[int, ...]] = SHAPES
    if backend == "llvm":  # each takes a compilation, and other formats have no native code
        native = ([F64] * function.arity, [F32] * function.arity, [F32, F64], [F32, I64])
        mixed, shapes = [dtypes for dtypes in mixed if dtypes in native], [(3, 2)]
    for dtypes in mixed:
        if function.name in NOT_IN_HALF and (F16 in dtypes or BF16 in dtypes or I8 in dtypes):
            continue
        if function.arity == 3:
            dtypes = [BOOL, *dtypes[1:]]
        for shape in shapes:
            arrays = [sample(rng, shape, function.domain, d) for d in dtypes]
            if shape == (3, 2) and function.arity > 1:
                arrays[-1] = arrays[-1][0]
            if shape == (4,) and function.arity > 1:
                arrays[-1] = arrays[-1][0]
            types = [TensorType(d, a.shape) for a, d in zip(arrays, dtypes, strict=True)]
            if BOOL in dtypes and function.arity < 3 and function.result in ("float", "real"):
                continue  # the reference would compute in half precision
            if dtypes[0] is BOOL and function.name in ("sub", "neg", "sign", "mod", "floor_div"):
                continue  # NumPy does not know what they mean
            try:
                program = op_program(function.name, types, {})
            except Misfit:
                continue
            compare(backend, program, arrays, 1e7 if "bessel_j" in function.name else 300)


SPECIAL = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 0.5, 2.0, 1e300, -1e300, 1e-310])
# SciPy and torch disagree about the far ends of these.
OPEN_ENDED = words(
    "beta lbeta bessel_j0 bessel_j1 bessel_i0e bessel_i1e bessel_i0 bessel_i1 digamma trigamma gamma xlogy floor_div "
    "mod silu gelu sinc ndtri lgamma log_ndtr tan sin cos angle"
)
# SciPy has NaN at the far ends of these, or rounds where there is a zero; native code has the limits.
LIMITS = words("bessel_i0 bessel_i1 bessel_j0 bessel_j1 lgamma sinc")
NOT_COMPARED = {"torch": OPEN_ENDED, "llvm": LIMITS}

SPECIAL_CASES = [
    (f, b) for f in SCALARS.values() for b in BACKENDS if f.arity < 3 and f.name not in NOT_COMPARED.get(b, ())
]


@pytest.mark.parametrize(("function", "backend"), SPECIAL_CASES, ids=lambda p: getattr(p, "name", p))
def test_special_values(function: Any, backend: str) -> None:
    """NaN, infinities and zeros come out where the reference has them."""
    grid = [SPECIAL] if function.arity == 1 else [a.ravel() for a in np.meshgrid(SPECIAL, SPECIAL)]
    program = op_program(function.name, [TensorType(F64, a.shape) for a in grid], {})
    value = np.asarray(_plain(compiled(backend, program)(*_given(backend, grid))))
    from tpc.ir.reference import evaluate

    (wanted,) = evaluate(program, grid)
    odd = np.isnan(value) != np.isnan(wanted)
    assert not odd.any(), np.stack([*grid, value, wanted])[:, odd]
    np.testing.assert_allclose(value, wanted, rtol=1e-9)


def _given(backend: str, arrays: list[Any]) -> list[Any]:
    from .contract import given

    return [given(backend, np.array(a), F64) for a in arrays]


def _plain(value: Any) -> Any:
    from .contract import plain

    return plain(value)


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_every_op_is_covered(backend: str) -> None:
    """An op is in the table of the backend, or has a formula."""
    from importlib import import_module

    dialect = import_module(f"tpc.backends.{backend}").DIALECT
    for op in OPS.values():
        if op.group == "structure" or op.name == "after":  # the order of lines
            continue
        known = op.name in dialect.ops or op.name in dialect.functions
        assert known or op.has_formula or op.line_by, op.name
    missing = {op.name for op in OPS.values() if op.reference is not None} - {*dialect.ops, "after"}
    assert not missing, "what a formula does not say stands in the table"
    assert set(SCALARS) <= set(dialect.functions)
