"""Every op of the library: line, types, meanings against each other and against NumPy, cost, errors."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from tpc.dsl.parser import parse_fact_lines
from tpc.ir.build import input_node, items, make
from tpc.ir.dims import named
from tpc.ir.node import Program
from tpc.ir.op import Misfit, Op
from tpc.ir.ops import OPS
from tpc.ir.reference import Residue, evaluate
from tpc.ir.scalar import SCALARS
from tpc.ir.types import BF16, BOOL, C128, F32, F64, I64, INT, REAL, TensorType

from .literal import value_of
from .op_cases import CASES

rng = np.random.default_rng(1)


def type_of(array: np.ndarray) -> TensorType:
    dtype = {"f": F64, "c": C128, "i": I64, "b": BOOL}[array.dtype.kind]
    return TensorType(dtype, array.shape)


def case_id(case: tuple[Any, ...]) -> str:
    name, operands, attributes, _ = case
    shapes = " ".join(str(np.shape(o)).replace(" ", "") for o in operands)
    return f"{name} {shapes} {attributes or ''}"


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_meanings_agree(case: tuple[Any, ...]) -> None:
    """Formula, reference, interpreter and (where given) the value expected are one, and have the type."""
    name, operands, attributes, expected = case
    op, arrays = OPS[name], [np.asarray(o) for o in operands]
    types = [type_of(a) for a in arrays]
    options = {**op.options, **attributes}
    results = op.types(types, options)
    formula = op.formula(types, options)
    values: list[Any] = []
    if formula is not None:
        assert results[0].dims == formula.dims
        values.append((value_of(formula, arrays),))
    if op.reference is not None:
        given = op.reference(np, arrays, options)
        values.append(given if isinstance(given, tuple) else (given,))
        for value, type in zip(values[-1], results, strict=True):
            assert np.asarray(value).dtype.kind == type.dtype.kind or 0 in type.dims
    inputs = [input_node(f"x{n}", t) for n, t in enumerate(types)]
    node = make(op, inputs, **options)
    values.append(evaluate(Program("p", inputs, items(node)), arrays))
    for value in values:
        for part, first, type in zip(value, values[0], results, strict=True):
            assert np.shape(part) == type.dims
            np.testing.assert_allclose(part, first, atol=1e-9, rtol=1e-7)
    if expected is not None:
        np.testing.assert_allclose(values[0][0], expected, atol=1e-8, rtol=1e-6)


LIBRARY = [op for op in OPS.values() if op.group != "structure"]


@pytest.mark.parametrize("op", LIBRARY, ids=lambda op: op.name)
def test_record(op: Op) -> None:
    assert op.syntax.name.name == op.name
    assert op.about and op.group
    assert len(set(op.parameters)) == len(op.parameters)
    parse_fact_lines(op.facts)
    assert op.has_formula or op.line_by or op.reference, "an op needs a meaning"
    assert op.name in {case[0] for case in CASES} or op.name in SCALARS, "an op needs a case"


@pytest.mark.parametrize("function", SCALARS.values(), ids=lambda f: f.name)
def test_elementwise(function: Any) -> None:
    """Every function of scalars over arrays, broadcast, in its domain."""
    op = OPS[function.name]
    low, high = (float(x) for x in (function.domain or "-2..2").split(".."))
    shapes = [(2, 1), (3,), (2, 3)][-function.arity :]
    arrays = [rng.uniform(low, high, s) for s in shapes]
    if function.name.startswith("logical"):
        arrays = [a > 0 for a in arrays]
    if function.name == "select":
        arrays[0] = arrays[0] > 0
    types = [type_of(a) for a in arrays]
    formula = op.formula(types, {})
    assert formula is not None
    value = value_of(formula, arrays)
    np.testing.assert_allclose(value, function.meaning(np, *arrays))
    (type,) = op.types(types, {})
    assert type.dims == value.shape and type.dtype.kind == value.dtype.kind
    assert op.count_flops(types, {}) == function.flops * value.size


n, m = named("n"), named("m")


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_cost(case: tuple[Any, ...]) -> None:
    """Arithmetic costs something wherever there are entries, and never less than nothing."""
    name, operands, attributes, _ = case
    op, types = OPS[name], [type_of(np.asarray(o)) for o in operands]
    flops = op.count_flops(types, {**op.options, **attributes})
    assert isinstance(flops, int) and flops >= 0
    if op.flops and all(0 not in t.dims for t in types):
        assert flops > 0


@pytest.mark.parametrize(
    ("name", "types", "attributes", "expected"),
    [
        ("matmul", [(F64, n, m), (F64, m, 3)], {}, [(F64, n, 3)]),
        ("kron", [(F64, n, m), (F32, 2, n)], {}, [(F64, 2 * n, n * m)]),
        ("vec", [(F64, n, m)], {}, [(F64, n * m)]),
        ("unvec", [(F64, n * m)], {"i": n, "j": m}, [(F64, n, m)]),
        ("reshape", [(F64, n, m)], {"dims": (-1,)}, [(F64, n * m)]),
        ("reshape", [(F64, 2 * n, m)], {"dims": (n, -1)}, [(F64, n, 2 * m)]),
        ("concat", [(F64, n, m), (F64, 3, m)], {}, [(F64, n + 3, m)]),
        ("split", [(F64, 2 * n)], {}, [(F64, n), (F64, n)]),
        ("conv", [(F64, n), (F64, m)], {"mode": "full"}, [(F64, n + m - 1)]),
        ("conv2d", [(F32, 4, 3, n, n), (F32, 8, 3, 3, 3)], {"pad": 1}, [(F32, 4, 8, n, n)]),
        ("svd", [(F32, n, 3)], {}, None),
        ("solve", [(F64, n, n), (F64, n)], {}, [(F64, n)]),
        ("inv", [(I64, n, n)], {}, [(F64, n, n)]),
        ("inv", [(BF16, n, n)], {}, [(BF16, n, n)]),
        ("eigh", [(C128, n, n)], {}, [(F64, n), (C128, n, n)]),
        ("eig", [(F64, n, n)], {}, [(C128, n), (C128, n, n)]),
        ("sum", [(BOOL, n, m)], {"axis": 0}, [(I64, m)]),
        ("mean", [(I64, n)], {}, [(F64,)]),
        ("norm", [(C128, n)], {}, [(F64,)]),
        ("argmax", [(F64, n, m)], {"axis": -1, "keepdims": True}, [(I64, n, 1)]),
        ("eye", [], {"i": n}, [(REAL, n, n)]),
        ("arange", [], {"n": n}, [(INT, n)]),
        ("zeros", [], {"dims": (n, 0), "dtype": I64}, [(I64, n, 0)]),
        ("normal", [], {"dims": (n,), "dtype": F32}, [(F32, n)]),
        ("topk", [(F32, n, m)], {"k": 3}, [(F32, n, 3), (I64, n, 3)]),
        ("rfft", [(F64, 2 * n)], {}, [(C128, n + 1)]),
        ("irfft", [(C128, n + 1)], {"n": 2 * n}, [(F64, 2 * n)]),
        ("take", [(F64, n, m), (I64, 3)], {"axis": 1}, [(F64, n, 3)]),
        ("softmax", [(F32, n, m)], {}, [(F32, n, m)]),
        ("layernorm", [(F32, n, m), (F32, m)], {}, [(F32, n, m)]),
        ("diag", [(F64, n)], {}, [(F64, n, n)]),
        ("trace", [(F64, m, n, n)], {}, [(F64, m)]),
    ],
)
def test_types_with_named_sizes(name: str, types: Any, attributes: Any, expected: Any) -> None:
    op = OPS[name]
    operands = [TensorType(dtype, dims) for dtype, *dims in types]
    results = op.types(operands, {**op.options, **attributes})
    if expected is not None:
        assert results == [TensorType(dtype, dims) for dtype, *dims in expected]
    formula = op.formula(operands, {**op.options, **attributes})
    if formula is not None:
        assert formula.dims == results[0].dims


@pytest.mark.parametrize(
    ("name", "types", "attributes", "code", "title"),
    [
        ("matmul", [(F64, 2, 3), (F64, 4, 2)], {}, "E0203", "`@` needs columns and rows to match, but 3 is not 4"),
        ("inv", [(F64, 2, 3)], {}, "E0205", "`inv` needs a square matrix, but this is f64[2, 3]"),
        ("solve", [(F64, n, n), (F64, m)], {}, "E0203", None),
        ("matvec", [(F64, 2, 3), (F64, 2)], {}, "E0203", None),
        ("add", [(F64, 2, 3), (F64, 2)], {}, "E0202", "`+` needs operands of one shape, but 3 is not 2"),
        ("kron", [(F64, 2, 3), (F64, 2)], {}, "E0204", "`kron` needs two matrices or two vectors"),
        ("max", [(F64, 0)], {}, "E0223", "`max` of no entries has no value"),
        ("max", [(C128, 3)], {}, "E0221", "`max` needs integer or real entries here, not c128"),
        ("sort", [(C128, 3)], {}, "E0221", None),
        ("rfft", [(C128, 3)], {}, "E0221", None),
        ("take", [(F64, 3), (F64, 2)], {}, "E0221", "`take` needs integer entries here, not f64"),
        ("sum", [(F64, 3)], {"axis": 1}, "E0220", "`sum` is given axis=1, but an operand with 1 axis has no such axis"),
        ("sum", [(F64, 3, 3)], {"axis": (0, -2)}, "E0222", None),
        ("softmax", [(F64,)], {}, "E0204", "`softmax` needs a vector, but is given a scalar"),
        ("norm", [(F64, 3, 3)], {"ord": 2}, "E0222", "`norm` has no meaning for ord=2"),
        ("norm", [(F64, 3)], {"ord": "nuc"}, "E0222", None),
        ("conv", [(F64, 2), (F64, 4)], {}, "E0203", "`conv` cannot slide 4 entries over 2 with mode=valid"),
        ("conv", [(F64, 2), (F64, 2)], {"mode": "some"}, "E0222", "`conv` has no meaning for mode=some"),
        ("conv2d", [(F64, 1, 3, 5, 5), (F64, 1, 2, 2, 2)], {}, "E0203", None),
        ("reshape", [(F64, n, m)], {"dims": (n, n)}, "E0206", "`reshape` is asked for n^2 entries, but there are m*n"),
        ("reshape", [(F64, 6)], {"dims": (4, -1)}, "E0206", "`reshape` cannot split 6 entries by 4"),
        ("unvec", [(F64, 6)], {"i": 2, "j": 2}, "E0206", None),
        ("split", [(F64, 3)], {}, "E0206", "`split` cannot make 2 equal parts of 3 entries"),
        ("concat", [(F64, 2, 3), (F64, 2, 4)], {}, "E0202", None),
        ("stack", [(F64, 2), (F64, 2, 1)], {}, "E0204", None),
        ("squeeze", [(F64, 2)], {"axis": 0}, "E0203", None),
        ("broadcast_to", [(F64, 2)], {"dims": (3,)}, "E0202", "`broadcast_to` cannot stretch f64[2] to [3]"),
        ("permute", [(F64, 2, 3)], {"axes": (0, 0)}, "E0222", None),
        ("topk", [(F64, 3)], {"k": 4}, "E0203", "`topk` cannot take 4 of 3 entries"),
        ("irfft", [(C128, 3)], {"n": 7}, "E0203", "`irfft` to 7 entries needs 4, but is given 3"),
        ("cross", [(F64, 2), (F64, 2)], {}, "E0203", None),
        ("matpow", [(F64, 2, 2), (F64, 2)], {}, "E0204", "`matpow` needs a scalar, but is given f64[2]"),
        ("cast", [(C128, 2)], {"dtype": F64}, "E0221", "`f64(x)` would lose the imaginary part"),
        ("zeros", [], {"dims": (-1,)}, "E0208", "`zeros` is given a negative size, -1"),
        ("sparse_sketch", [], {"m": 3, "n": 5}, "E0222", "`sparse_sketch` has no meaning for s=4"),
        ("cond", [(F64, 0, 3)], {}, "E0223", None),
        ("rmsnorm", [(F64, 3), (F64, 3), (F64, 3)], {}, "E0302", None),
        ("full", [(F64, 3)], {"dims": (2,)}, "E0204", None),
    ],
)
def test_misfit(name: str, types: Any, attributes: Any, code: str, title: str | None) -> None:
    op = OPS[name]
    operands = [TensorType(dtype, dims) for dtype, *dims in types]
    with pytest.raises(Misfit) as caught:
        op.types(operands, {**op.options, **attributes})
    assert caught.value.code == code
    assert title is None or caught.value.title == title
    assert all(0 <= number < len(operands) for number, _ in caught.value.operands)


# ---- exact arithmetic


def fractions(array: Any) -> Any:
    return np.array([Fraction(int(x)) for x in np.ravel(array)], dtype=object).reshape(np.shape(array))


def residues(array: Any) -> Any:
    return np.array([Residue(int(x) % PRIME, PRIME) for x in np.ravel(array)], dtype=object).reshape(np.shape(array))


PRIME = 2**61 - 1


@pytest.mark.parametrize("field", [fractions, residues])
@pytest.mark.parametrize("shape", [(3, 3), (1, 1), (0, 0), (2, 3, 3)])
def test_exact_inverse_and_solution(field: Any, shape: tuple[int, ...]) -> None:
    A = field(rng.integers(1, 10, shape))
    if shape[-1] > 1:
        A[..., 0, 0] = A[..., 0, 0] * 0  # a pivot that is zero
    B = field(rng.integers(-9, 10, (*shape[:-1], 2)))
    identity = np.broadcast_to(np.eye(shape[-1], dtype=int), shape)
    assert (A @ OPS["inv"].exact([A], {}) == identity).all()
    assert (A @ OPS["solve"].exact([A, B], {}) == B).all()
    P, L, U = OPS["lu"].exact([A], {})
    assert (P @ (L @ U) == A).all()


@pytest.mark.parametrize("shape", [(3, 3), (3, 2), (2, 3), (1, 3), (3, 0), (0, 2)])
def test_exact_pseudo_inverse(shape: tuple[int, int]) -> None:
    A = rng.integers(-3, 4, shape)
    if min(shape) > 1:
        A[-1] = A[0]  # lower the rank
    exact = OPS["pinv"].exact([fractions(A)], {})
    np.testing.assert_allclose(exact.astype(float), np.linalg.pinv(A.astype(float)), atol=1e-10)
    assert OPS["matrix_rank"].exact([fractions(A)], {}) == np.linalg.matrix_rank(A.astype(float))


def test_exact_determinant_and_powers() -> None:
    A = fractions([[0, 2, 1], [3, 1, 0], [1, 1, 1]])
    assert OPS["det"].exact([A], {}) == -4
    assert OPS["det"].exact([A[[0, 0, 1]]], {}) == 0
    cube = OPS["matpow"].exact([A, np.array(3)], {})
    assert (cube == A @ A @ A).all()
    assert (OPS["matpow"].exact([A, np.array(-3)], {}) @ cube == np.eye(3, dtype=int)).all()


def test_singular_matrices_have_no_exact_inverse() -> None:
    with pytest.raises(ValueError, match="singular"):
        OPS["inv"].exact([fractions(np.ones((2, 2)))], {})


# ---- what factorizations promise


@pytest.mark.parametrize("shape", [(3, 3), (4, 2), (2, 4), (1, 3), (2, 3, 3), (0, 2)])
def test_factors_multiply_to_the_matrix(shape: tuple[int, ...]) -> None:
    A = rng.standard_normal(shape)

    def call(name: str, *operands: Any) -> Any:
        return OPS[name].reference(np, list(operands), OPS[name].options)

    P, L, U = call("lu", A)
    Q, R = call("qr", A)
    left, values, right = call("svd", A)
    for product in (P @ L @ U, Q @ R, (left * values[..., None, :]) @ right):
        np.testing.assert_allclose(product, A, atol=1e-12)
    if shape[-1] == shape[-2]:
        S = A @ A.swapaxes(-1, -2) + np.eye(shape[-1])
        C, (L, D), (w, V) = call("cholesky", S), call("ldl", S - 2 * np.eye(shape[-1])), call("eigh", S)
        values, vectors = call("eig", A)
        np.testing.assert_allclose(C @ C.swapaxes(-1, -2), S)
        np.testing.assert_allclose(L @ D @ L.swapaxes(-1, -2), S - 2 * np.eye(shape[-1]), atol=1e-12)
        np.testing.assert_allclose((V * w[..., None, :]) @ V.swapaxes(-1, -2), S)
        np.testing.assert_allclose(A @ vectors, vectors * values[..., None, :], atol=1e-12)
        root, logarithm = call("sqrtm", S), call("logm", S)
        np.testing.assert_allclose(root @ root, S)
        np.testing.assert_allclose(call("expm", logarithm), S)


def test_functions_that_are_not_real_are_nan() -> None:
    A = np.diag([-1.0, 2.0])
    for name in ("sqrtm", "logm"):
        assert np.isnan(OPS[name].reference(np, [A], {})).any()
    assert np.isnan(OPS["logdet"].reference(np, [A], {}))


# ---- random numbers


@pytest.mark.parametrize("kind", ["normal", "uniform", "rademacher"])
def test_random_arrays_depend_on_the_seed_alone(kind: str) -> None:
    op = OPS[kind]
    first, again, other = (op.reference(np, [], {"dims": (50, 4), "seed": s, "dtype": None}) for s in (1, 1, 2))
    assert (first == again).all() and (first != other).any()


def test_sparse_sketch_columns() -> None:
    S = OPS["sparse_sketch"].reference(np, [], {"m": 10, "n": 40, "s": 3, "seed": 0, "dtype": None})
    assert ((S != 0).sum(0) == 3).all()
    np.testing.assert_allclose((S**2).sum(0), 1)
