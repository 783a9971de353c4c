"""The scalar functions of the LLVM backend against mpmath, NumPy's special cases, and the table of their errors."""

from __future__ import annotations

import ctypes
import math
import zlib
from functools import cache

import numpy as np
import pytest
from tests.backends.llvm.exact import EXACT, mp

from tpc.ir.scalar import SCALARS
from tpc.ir.types import BF16, BOOL, C128, F16, F32, F64, I64

ir = pytest.importorskip("llvmlite.ir")
binding = pytest.importorskip("llvmlite.binding")
from tpc.backends.llvm import covered, objects  # noqa: E402
from tpc.backends.llvm.covered import supports  # noqa: E402
from tpc.backends.llvm.host import host  # noqa: E402
from tpc.backends.llvm.mathematics import ULP, emit, narrow, widen  # noqa: E402
from tpc.backends.llvm.mathematics.table import ABSOLUTE, CALLED, DIRECT  # noqa: E402

POSITIVE = {"sqrt", "rsqrt", "log", "log2", "log10"}
# Where a function is looked at closely: its domain where that is short, and where it changes branch or has a zero.
RANGES = {
    "asin": [(-1, 1), (0.4, 0.6)],
    "acos": [(-1, 1), (0.99, 1)],
    "atanh": [(-1, 1)],
    "erfinv": [(-1, 1), (0.99, 1), (-0.8, -0.7)],
    "logit": [(0, 1), (0.45, 0.55)],
    "ndtri": [(0, 1), (0.1, 0.15), (0.85, 0.9)],
    "log1p": [(-1, 3), (-0.4, 0.4)],
    "acosh": [(1, 1.01), (1, 9)],
    "log": [(0.6, 1.4), (0.99, 1.01)],
    "log2": [(0.6, 1.4), (0.99, 1.01)],
    "log10": [(0.6, 1.4), (0.99, 1.01)],
    "sqrt": [(0, 9)],
    "rsqrt": [(0, 9)],
    "atan": [(-3, 3)],
    "gamma": [(-6, 6), (-190, 175), (-40, 36)],
}
DTYPES = {64: np.float64, 32: np.float32}


@cache
def compiled(name, bits, lanes, kind="float", features=()):
    """The function on arrays whose length is a multiple of `lanes`."""
    lane = ir.IntType(bits) if kind == "int" else ir.DoubleType() if bits == 64 else ir.FloatType()
    vector = ir.VectorType(lane, lanes) if lanes > 1 else lane
    arity, length, pointer = SCALARS[name].arity, ir.IntType(64), ir.PointerType()
    module = ir.Module()
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [length, *[pointer] * (arity + 1)]), "loop")
    entry, loop, leave = (function.append_basic_block() for _ in range(3))
    builder = ir.IRBuilder(entry)
    count, *inputs, output = function.args
    builder.cbranch(builder.icmp_signed(">", count, ir.Constant(length, 0)), loop, leave)
    builder.position_at_end(loop)
    at = builder.phi(length)
    at.add_incoming(ir.Constant(length, 0), entry)
    place = lambda base: builder.gep(base, [at], source_etype=lane)  # noqa: E731
    value = emit(builder, name, [builder.load(place(p), typ=vector, align=bits // 8) for p in inputs], features)
    if value.type != vector:
        value = builder.zext(value, vector) if kind == "int" else builder.uitofp(value, vector)
    builder.store(value, place(output), align=bits // 8)
    following = builder.add(at, ir.Constant(length, lanes))
    at.add_incoming(following, builder.block)
    builder.cbranch(builder.icmp_signed("<", following, count), loop, leave)
    builder.position_at_end(leave)
    builder.ret_void()
    engine, address = finished(module)

    def call(*arrays):
        padding = -arrays[0].size % lanes
        arrays = [np.concatenate([a, np.ones(padding, a.dtype)]) for a in arrays]
        result = np.empty_like(arrays[0])
        pointers = [a.ctypes.data for a in (*arrays, result)]
        ctypes.CFUNCTYPE(None, ctypes.c_int64, *[ctypes.c_void_p] * len(pointers))(address)(result.size, *pointers)
        return result[: result.size - padding]

    call.engine = engine  # the code lives as long as this
    return call


def finished(module):
    """The machine code of a module, optimised as that of programs is."""
    parsed = objects.optimise(binding.parse_assembly(str(module)))
    # a target machine of its own, which the engine disposes of
    at = host()
    machine = binding.Target.from_triple(at.triple).create_target_machine(cpu=at.cpu, features=at.features)
    engine = binding.create_mcjit_compiler(parsed, machine)
    engine.finalize_object()
    return engine, engine.get_function_address("loop")


def points(name, bits, count):
    """Numbers over all exponents of the format, and over the ranges of interest."""
    rng = np.random.default_rng(zlib.crc32(f"{name}{bits}".encode()))
    dtype, top = DTYPES[bits], 1024 if bits == 64 else 128
    columns = []
    for _ in range(SCALARS[name].arity):
        wide = rng.choice([-1, 1], count) * np.exp2(rng.uniform(-top - 20, top, count))
        middle = rng.choice([-1, 1], count) * np.exp2(rng.uniform(-30, 12, count))
        close = [rng.uniform(low, high, count) for low, high in RANGES.get(name, [(-3, 3), (-40, 40), (-800, 800)])]
        columns.append(np.concatenate([wide, middle, *close]).astype(dtype))
    if name in ("pow", "hypot", "atan2"):  # also beside each other
        x, y = columns
        columns = [np.concatenate([x, x]), np.concatenate([y, x * rng.uniform(0.3, 3, x.size).astype(dtype)])]
    if name in POSITIVE or name == "pow":
        columns[0] = np.abs(columns[0])
    if name == "xlogy":
        columns[1] = np.abs(columns[1])
    keep = np.ones(columns[0].shape, bool)
    for c in columns:
        keep &= np.isfinite(c) & (c != 0)
    if name in ("asin", "acos", "atanh", "erfinv"):
        keep &= np.abs(columns[0]) < 1
    if name in ("logit", "ndtri"):
        keep &= (columns[0] > 0) & (columns[0] < 1)
    if name.startswith("bessel_j"):  # mpmath is slow beyond
        keep &= np.abs(columns[0]) < 1000
    if name in ("gamma", "lgamma", "digamma"):  # beyond, gamma is infinite or 0; poles are special cases
        keep &= (np.abs(columns[0]) < 2000) & (columns[0] != np.floor(columns[0]))
    if name in ("log1p", "acosh"):
        keep &= columns[0] > (1 if name == "acosh" else -1)
    return [c[keep] for c in columns]


def errors(name, bits, count, features=()):
    """Error in units in the last place at many points, and the points."""
    arguments = points(name, bits, count)
    got = compiled(name, bits, 512 // bits, "float", features)(*arguments).astype(np.float64)
    smallest, fraction = (-1022, 52) if bits == 64 else (-126, 23)
    largest = float(np.finfo(DTYPES[bits]).max)
    found = np.empty(got.size)
    for i, (value, row) in enumerate(zip(got, zip(*arguments, strict=True), strict=True)):
        exact = EXACT[name](*(mp.mpf(float(x)) for x in row))
        if abs(exact) > largest:
            found[i] = 0 if abs(value) >= largest and (value > 0) == (exact > 0) else math.inf
        elif not math.isfinite(value):
            found[i] = 0 if abs(exact) > largest * (1 - 2.0**-fraction) else math.inf
        else:
            unit = max(mp.mag(exact) - 1 if exact else smallest, 0 if name in ABSOLUTE else smallest) - fraction
            found[i] = float(mp.ldexp(abs(mp.mpf(value) - exact), -int(unit)))
    return found, arguments


@pytest.mark.parametrize("bits", [64, 32])
@pytest.mark.parametrize("name", sorted(EXACT))
def test_errors_stay_in_their_bounds(name, bits):
    found, arguments = errors(name, bits, 60)
    worst = int(np.argmax(found))
    assert found[worst] <= ULP[name][bits == 32], [float(a[worst]) for a in arguments]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("bits", [64, 32])
@pytest.mark.parametrize("name", ["exp", "sigmoid"])
def test_tables_in_registers(name, bits):
    features = ("avx512f", "avx512dq")
    if not all(binding.get_host_cpu_features().get(f) for f in features):
        pytest.skip("no AVX-512 here")
    found, arguments = errors(name, bits, 300, features)
    worst = int(np.argmax(found))
    assert found[worst] <= ULP[name][bits == 32], float(arguments[0][worst])
    for x in (*arguments, *special(name, bits)):
        plain, *others = (compiled(name, bits, n, "float", features)(x) for n in (1, 4, 8, 16, 64))
        assert all(np.array_equal(plain, other, equal_nan=True) for other in others)
    (x,) = special(name, bits)
    want, got = (compiled(name, bits, 16, "float", f)(x) for f in ((), features))
    assert np.isclose(got, want, rtol=1e-6 if bits == 32 else 1e-15, atol=0, equal_nan=True).all()


def test_an_error_would_be_found(monkeypatch):
    monkeypatch.setitem(EXACT, "exp", lambda x: mp.exp(x) * (1 + mp.mpf(2) ** -50))
    found, _ = errors("exp", 64, 20)
    assert found.max() > 4


def test_every_bound_belongs_to_a_function_that_is_measured():
    assert set(ULP) == set(EXACT)


# ---- special cases

SPECIAL = [0.0, -0.0, math.inf, -math.inf, math.nan, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, 3.0, -3.0, 5e-324, -5e-324]
SPECIAL += [1e-40, -1e-40, 1e-310, 1e-20, -1e-20, 1e300, -1e300, 800.0, -800.0, 89.5, -110.0, 2.0**50, 1e15, 0.99999]


def special(name, bits):
    numbers = np.array(SPECIAL).astype(DTYPES[bits])
    grid = np.meshgrid(*[numbers] * SCALARS[name].arity)
    return [np.ravel(g) for g in grid]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("bits", [64, 32])
@pytest.mark.parametrize("name", sorted((set(DIRECT) | set(CALLED)) - {"select", "lgamma", "bessel_j0", "bessel_j1"}))
def test_special_cases_are_those_of_numpy(name, bits):
    arguments = special(name, bits)
    if name.startswith("bessel"):  # SciPy has NaN at infinity, and no negative zero
        arguments = [a[np.isfinite(a) & (a != 0) | np.isnan(a)] for a in arguments]
    got = compiled(name, bits, 512 // bits)(*arguments)
    want = np.asarray(SCALARS[name].meaning(np, *arguments)).astype(got.dtype)
    if name == "sinc":  # NumPy rounds pi x before it takes the sine
        same = np.isclose(got, want, rtol=1e-6, atol=1e-7, equal_nan=True)
    else:
        wide = np.asarray(SCALARS[name].meaning(np, *(a.astype(np.float64) for a in arguments))).astype(got.dtype)
        close = np.isclose(got, want, rtol=1e-5 if bits == 32 else 1e-12, atol=0, equal_nan=True)
        close |= np.isclose(got, wide, rtol=1e-5 if bits == 32 else 1e-12, atol=np.finfo(got.dtype).smallest_subnormal)
        same = close & ((np.signbit(got) == np.signbit(want)) | np.isnan(got) | (name == "erfinv"))
    assert same.all(), [(*(float(a[i]) for a in arguments), got[i], want[i]) for i in np.flatnonzero(~same)[:8]]


@pytest.mark.parametrize("lanes", [1, 2, 4, 32])
@pytest.mark.parametrize("name", ["exp", "sin", "pow", "mod", "erf", "lgamma", "maximum"])
def test_the_number_of_lanes_does_not_matter(name, lanes):
    for bits in (64, 32):
        arguments = points(name, bits, 20)
        one, other = (compiled(name, bits, n)(*arguments) for n in (lanes, 8))
        assert np.array_equal(one, other, equal_nan=True)


@pytest.mark.parametrize("bits", [64, 32])
@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
def test_far_arguments_and_multiples_of_half_pi(name, bits):
    near = np.arange(1, 200) * (math.pi / 2)
    far = np.array(
        [1e5, 2.0**18, 2.0**19 + 1, 2.0**44, 2.0**46, 1e22, 1e300 if bits == 64 else 1e38, 6381956970095103.0]
    )
    x = np.concatenate([near, -far, far]).astype(DTYPES[bits])
    got = compiled(name, bits, 8)(x)
    for value, argument in zip(got, x, strict=True):
        exact = EXACT[name](mp.mpf(float(argument)))
        assert abs(float(value) - exact) <= abs(exact) * 2.0 ** (-52 if bits == 64 else -23), argument


# ---- integers and truth values

WHOLE = [
    "add",
    "sub",
    "mul",
    "neg",
    "eq",
    "ne",
    "lt",
    "le",
    "gt",
    "ge",
    "maximum",
    "minimum",
    "mod",
    "floor_div",
    "abs",
]
WHOLE += [
    "sign",
    "square",
    "floor",
    "ceil",
    "trunc",
    "isnan",
    "isinf",
    "isfinite",
    "conj",
    "re",
    "im",
    "relu",
    "pow",
]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("bits", [64, 32, 8])
@pytest.mark.parametrize("name", WHOLE)
def test_integers(name, bits):
    dtype = np.dtype(f"int{bits}")
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    numbers = np.array([0, 1, -1, 2, -2, 3, -3, 7, -7, 100, -100, low, low + 1, high], dtype)
    arguments = [np.ravel(g) for g in np.meshgrid(*[numbers] * SCALARS[name].arity)]
    if name == "pow":  # NumPy refuses negative exponents
        arguments[1] = np.abs(np.maximum(arguments[1], -100))
    got = compiled(name, bits, 4, "int")(*arguments)
    want = np.asarray(SCALARS[name].meaning(np, *arguments)).astype(dtype)
    assert np.array_equal(got, want)


@pytest.mark.parametrize("name", ["add", "mul", "maximum", "minimum", "eq", "lt", "logical_and", "logical_or", "abs"])
def test_truth_values(name):
    assert supports(name, [BOOL, BOOL])
    function = finished_scalar(name, ir.IntType(1))
    for x in (False, True):
        for y in (False, True)[: SCALARS[name].arity]:
            arguments = [np.array(a) for a in (x, y)[: SCALARS[name].arity]]
            assert function(x, y) == bool(SCALARS[name].meaning(np, *arguments)), (x, y)


def finished_scalar(name, type_):
    """A function of two truth values."""
    byte = ir.IntType(8)
    module = ir.Module()
    function = ir.Function(module, ir.FunctionType(byte, [byte, byte]), "loop")
    builder = ir.IRBuilder(function.append_basic_block())
    values = [builder.trunc(a, type_) for a in function.args][: SCALARS[name].arity]
    builder.ret(builder.zext(emit(builder, name, values), byte))
    engine, address = finished(module)
    native = ctypes.CFUNCTYPE(ctypes.c_uint8, ctypes.c_uint8, ctypes.c_uint8)(address)
    return lambda x, y, keep=engine: bool(native(x, y))


# ---- the rest


def test_support():
    assert all(supports(name, [dtype] * SCALARS[name].arity) for name in EXACT for dtype in (F64, F32, F16, BF16))
    assert supports("exp", [I64])
    assert supports("mod", [I64, I64])
    assert not supports("sub", [BOOL, BOOL])
    assert not supports("exp", [C128])
    assert not supports("beta", [F64, F64])
    assert set(DIRECT) | set(CALLED) <= set(SCALARS)


@pytest.mark.parametrize("exponent", [0, 1, 2, 3, 4])
def test_known_small_exponents_are_products(exponent):
    vector = ir.VectorType(ir.DoubleType(), 4)
    module = ir.Module()
    function = ir.Function(module, ir.FunctionType(vector, [vector]), "f")
    builder = ir.IRBuilder(function.append_basic_block())
    power = ir.Constant(vector, [ir.Constant(ir.DoubleType(), float(exponent))] * 4)
    builder.ret(emit(builder, "pow", [function.args[0], power]))
    assert len(function.blocks[0].instructions) <= 3
    assert len(module.globals) == 1


def test_a_named_extension_changes_no_value():
    if not binding.get_host_cpu_features().get("avx512f"):
        pytest.skip("no AVX-512 here")
    for bits, lanes in ((64, 8), (64, 32), (32, 16), (32, 64)):
        x = np.linspace(-800, 800, 4096).astype(DTYPES[bits])
        x[[5, 99, 640]] = np.nan, np.inf, -np.inf
        for name in ("exp", "sigmoid", "silu", "erfc", "sinh"):
            plain, special_ = (compiled(name, bits, lanes, "float", f)(x) for f in ((), ("avx512f",)))
            assert np.array_equal(plain, special_, equal_nan=True)
        y = np.roll(x, 1)
        for name in ("maximum", "minimum"):
            plain, special_ = (compiled(name, bits, lanes, "float", f)(x, y) for f in ((), ("avx512f",)))
            assert np.array_equal(plain, special_, equal_nan=True)


@pytest.mark.parametrize("dtype", [F16, BF16])
def test_storage_rounds_to_nearest_even(dtype):
    single = ir.VectorType(ir.FloatType(), 8)
    module = ir.Module()
    signature = ir.FunctionType(ir.VoidType(), [ir.PointerType()] * 3)
    function = ir.Function(module, signature, "loop")
    builder = ir.IRBuilder(function.append_basic_block())
    source, bits, back = function.args
    stored = narrow(builder, dtype, builder.load(source, typ=single, align=4))
    builder.store(stored, bits, align=2)
    builder.store(widen(builder, dtype, stored), back, align=4)
    builder.ret_void()
    engine, address = finished(module)
    call = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3)(address)
    values = np.array([1.0, 1.00390625, 1.01171875, -3.14159, 65519.0, math.inf, 6e-8, 1 + 2**-11], np.float32)
    result, short_bits = np.empty(8, np.float32), np.empty(8, np.uint16)
    call(values.ctypes.data, short_bits.ctypes.data, result.ctypes.data)
    if dtype is F16:
        assert np.array_equal(short_bits, values.astype(np.float16).view(np.uint16))
        assert np.array_equal(result, values.astype(np.float16).astype(np.float32))
    else:
        import torch

        assert np.array_equal(result, torch.tensor(values).bfloat16().float().numpy())
    values[:] = math.nan
    call(values.ctypes.data, short_bits.ctypes.data, result.ctypes.data)
    assert np.isnan(result).all()
    del engine


@pytest.mark.parametrize("name", ["exp", "sin", "erf"])
def test_the_coefficients_are_those_that_are_derived(name):
    from tpc.backends.llvm.mathematics.coefficients import COEFFICIENTS
    from tpc.backends.llvm.mathematics.derive import TARGETS, remez, rounded

    target = TARGETS[name]
    found, error = remez(target.function, mp.mpf(target.low), mp.mpf(target.high), target.weight, target.f32)
    assert error < 2.0**-27
    assert tuple(rounded(c, 32) for c in found) == COEFFICIENTS[name, 32]


def test_what_is_covered_has_code() -> None:
    assert set(DIRECT) == covered.DIRECT
    assert set(CALLED) == covered.CALLED
