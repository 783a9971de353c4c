"""Predicted times: fits find what was planted, predictions are sane, and damaged profiles are refused."""

from __future__ import annotations

import itertools
import json
import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tpc.backends import backend as load
from tpc.dsl.diagnostics import TpcError
from tpc.ir.scalar import SCALARS
from tpc.ir.types import BF16, BOOL, C128, DTYPES, F32, F64, I64, DType
from tpc.passes.cost import Profile, profile
from tpc.passes.cost.calibration import Calibration, as_json, joined, place, read, text
from tpc.passes.cost.families import FAMILIES
from tpc.passes.cost.fit import fit, held_out, least_relative_squares, mean_error, predicted
from tpc.passes.cost.machine import Machine, this_machine
from tpc.passes.cost.measure import Bench, pinned, time_call
from tpc.passes.cost.points import RANGES, Point, points
from tpc.passes.cost.prediction import SHIPPED
from tpc.passes.cost.weights import LEARNT, WEIGHTS, weight

CACHES = (32 * 2**10, 2**20, 32 * 2**20)
BACKENDS = ("numpy", "torch")


@pytest.fixture(autouse=True)
def no_user_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folders are those of the test."""
    monkeypatch.delenv("TPC_PROFILE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def shipped() -> Calibration:
    return read(SHIPPED)


def here(calibration: Calibration) -> Calibration:
    """The same as if it had been measured on this machine."""
    return Calibration(this_machine(), calibration.blas, calibration.date, calibration.spread, calibration.fits)


# ---- fits


@pytest.mark.parametrize("kernel", ["gemm", "trsm", "gelsd", "dot", "elementwise"])
def test_a_fit_predicts_what_was_planted(kernel: str) -> None:
    family, chance = FAMILIES[kernel], random.Random(kernel)
    planted = tuple(chance.choice([0.0, 1.0]) * 10 ** chance.uniform(-11, -9) for _ in family.terms)
    planted = (1e-6, 2e-7, 1e-10, 2e-10, *planted[4:])
    drawn = points(kernel, batched=True)
    terms = [family.values(p.asked, p.batch, 8, CACHES) for p in drawn]
    seconds = [predicted(planted, t) for t in terms]
    found = fit(kernel, [p.asked for p in drawn], [p.batch for p in drawn], seconds, 8, CACHES)
    assert found.error < 0.02 < found.flops_error  # of a fold that alone reaches a level of memory
    assert min(found.coefficients) >= 0
    np.testing.assert_allclose([predicted(found.coefficients, t) for t in terms], seconds, rtol=1e-6)


def test_planted_coefficients_are_recovered() -> None:
    generator = np.random.default_rng(0)
    terms = generator.uniform(0, 1, (200, 5)) * [1, 1e3, 1e6, 1e9, 1]
    planted = np.array([1e-6, 1e-9, 0, 1e-15, 0])
    noise = 1 + 0.01 * generator.standard_normal(200)
    found = least_relative_squares(terms.tolist(), (terms @ planted * noise).tolist())
    np.testing.assert_allclose(found, planted, rtol=0.05, atol=1e-8)
    assert found[2] * 1e6 < 1e-8 and found[4] < 1e-7


def test_a_fold_is_predicted_without_its_own_points() -> None:
    terms, seconds = [(1.0,)] * 10, [1.0] * 10
    assert held_out(terms, seconds) == pytest.approx(seconds)
    spoiled = [*seconds[:-1], 3.0]  # fold 4, with point 4
    guesses = held_out(terms, spoiled)
    assert guesses[9] == pytest.approx(1.0) == pytest.approx(guesses[4])
    assert guesses[0] > 1.0  # saw the spoiled point
    assert mean_error([2.0, 1.0], [1.0, 1.0]) == 0.5


def test_the_price_of_a_call_is_one_of_each_matrix_where_no_call_takes_a_batch() -> None:
    sizes = [(n,) for n in range(1, 60)]
    found = fit("dot", sizes, [1] * len(sizes), [1e-6 + 1e-9 * n for (n,) in sizes], 8, CACHES)
    assert found.coefficients[0] == 0 < found.coefficients[1]


# ---- predictions


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kernel", [*FAMILIES, "other"])
def test_predictions_are_positive_and_finite_from_size_zero_on(backend: str, kernel: str) -> None:
    prices = profile(backend)
    axes = 2 if kernel == "other" else len(FAMILIES[kernel].sizes)
    for sizes in itertools.product((0, 1, 2, 10**7), repeat=axes):
        for dtype in (F64, F32, C128, BF16, I64, BOOL):
            assert 0 < prices.seconds(kernel, sizes, dtype) < math.inf
            assert 0 < prices.seconds(kernel, sizes, dtype, batch=0) < math.inf
            assert prices.seconds(kernel, sizes, dtype) <= prices.seconds(kernel, sizes, dtype, batch=3)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kernel", [k for k in FAMILIES if k != "fft"])
def test_more_work_is_never_predicted_to_take_less_time(backend: str, kernel: str) -> None:
    """But for a product over a single letter, which NumPy does not give to BLAS."""
    prices, chance = profile(backend), random.Random(kernel)
    for _ in range(100):
        sizes = [max(2, round(10 ** chance.uniform(0, 3.3))) for _ in FAMILIES[kernel].sizes]
        for axis in range(len(sizes)):
            larger = list(sizes)
            larger[axis] += chance.choice([1, 7, larger[axis]])
            for dtype in (F64, F32, C128):
                assert prices.seconds(kernel, tuple(sizes), dtype) <= prices.seconds(kernel, tuple(larger), dtype)


@pytest.mark.parametrize("backend", BACKENDS)
def test_lengths_of_transforms(backend: str) -> None:
    seconds = [profile(backend).seconds("fft", (2**k,), F64) for k in range(20)]
    assert seconds == sorted(seconds)
    assert profile(backend).seconds("fft", (4099,), F64) > profile(backend).seconds("fft", (4096,), F64)


def test_predictions_know_what_is_cheaper() -> None:
    prices = profile("numpy", threads=1)

    def seconds(kernel: str, *sizes: int, dtype: DType = F64) -> float:
        return prices.seconds(kernel, sizes, dtype)

    assert seconds("gemv", 1000, 1000) < seconds("gemm", 1000, 1000, 1000) / 50
    assert seconds("syrk", 1000, 1000) < seconds("gemm", 1000, 1000, 1000)
    assert seconds("gemm", 1000, 1000, 1000, dtype=F32) < seconds("gemm", 1000, 1000, 1000)
    assert seconds("gemm", 1000, 1000, 1000) < seconds("gemm", 1000, 1000, 1000, dtype=C128)
    assert seconds("gemm", 300, 300, 300) < seconds("gemm", 300, 300, 300, dtype=I64)
    assert seconds("potrf", 1000) < seconds("getrf", 1000) < seconds("getri", 1000) < seconds("geev", 1000)
    assert seconds("syevd_values", 500) < seconds("syevd", 500) < seconds("geev", 500)
    assert seconds("band_solve", 1000, 1, 3) < seconds("getrf", 1000) / 10
    assert seconds("elementwise", 10**6, 1, weight("add")) < seconds("elementwise", 10**6, 1, weight("lgamma"))
    assert 1e-7 < seconds("elementwise", 1, 1, 1) < 1e-4


def test_every_dtype_has_a_price() -> None:
    prices = profile("numpy")
    for dtype in DTYPES.values():
        assert 0 < prices.seconds("gemm", (30, 40, 50), dtype) < 1


def test_what_lies_beyond_the_calibrated_sizes_is_said() -> None:
    prices = profile("numpy")
    before = prices.warnings
    (most,) = shipped().fits["numpy", 1, "f64"]["potrf"].largest
    prices.seconds("potrf", (2 * most,), F64)
    assert prices.warnings == before
    prices.seconds("potrf", (2 * most + 1,), F64)
    prices.seconds("potrf", (2 * most + 2,), F64)
    (warning,) = set(prices.warnings) - set(before)
    assert f"`potrf` was calibrated up to n = {most}" in warning
    assert profile("numpy").warnings == before  # those of one program are not those of the next


def test_weights_are_of_functions_that_there_are() -> None:
    assert set(WEIGHTS) <= set(SCALARS) and set(LEARNT) <= set(SCALARS)
    assert weight("add") == 1 < weight("exp") < weight("lgamma")


# ---- which profile


def test_the_shipped_profile_says_so() -> None:
    prices = profile("numpy")
    assert prices.is_shipped and str(shipped().machine) == prices.machine
    assert any("shipped with tpc" in w for w in prices.warnings)
    for backend in BACKENDS:
        for dtype in ("f64", "f32"):
            assert set(shipped().fits[backend, 1, dtype]) == set(FAMILIES)


def test_the_users_profile_is_taken(no_user_profile: Path) -> None:
    path = place()
    assert path == no_user_profile / "tpc" / "profile.json"
    path.parent.mkdir()
    path.write_text(text(here(shipped())))
    prices = profile("numpy", threads=1)
    assert not prices.is_shipped and prices.warnings == ()
    assert profile("llvm", threads=1).seconds("dot", (9,), F64) == prices.seconds("dot", (9,), F64)
    most = max(threads for backend, threads, _ in shipped().fits if backend == "numpy")
    assert profile("numpy", threads=most + 1).warnings == (
        f"times for {most + 1} threads are those measured with {most}",
    )


def test_a_profile_of_another_machine_is_not_used_in_silence(
    no_user_profile: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = shipped()
    other = Machine("abacus", 7, (), CACHES, {**this_machine().libraries, "numpy": "0.1"})
    content = text(Calibration(other, (), found.date, found.spread, found.fits))
    path = no_user_profile / "elsewhere.json"
    path.write_text(content)
    monkeypatch.setenv("TPC_PROFILE", str(path))
    prices = profile("numpy")
    assert not prices.is_shipped and prices.machine == "abacus, 7 cores"
    said = "\n".join(prices.warnings)
    assert "abacus" in said and "7 cores" in said and "numpy was 0.1" in said
    monkeypatch.delenv("TPC_PROFILE")
    place().parent.mkdir()
    place().write_text(content)
    prices = profile("numpy")
    assert prices.is_shipped and "abacus" in prices.warnings[0]


def test_a_named_profile_that_is_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TPC_PROFILE", str(tmp_path / "gone.json"))
    prices = profile("numpy")
    assert prices.is_shipped and "gone.json" in prices.warnings[0]


def test_a_calibration_as_text_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    path.write_text(text(shipped()))
    assert read(path) == shipped()
    key = ("numpy", 1, "f64")
    part = Calibration(this_machine(), ("x 1",), "2026-01-01", 0.0, {key: shipped().fits["torch", 1, "f64"]})
    both = joined(shipped(), part)
    assert both.fits[key] == part.fits[key] and both.fits["numpy", 1, "f32"] == shipped().fits["numpy", 1, "f32"]
    assert both.date == "2026-01-01"


# ---- damage


def damaged(*where: Any, to: Any) -> str:
    """The shipped profile with one field changed; `to` may be a function of what was there."""
    data = as_json(shipped())
    inner: Any = data
    for step in where[:-1]:
        inner = inner[step]
    inner[where[-1]] = to
    return json.dumps(data)


GEMM = ("fits", 0, "kernels", "gemm")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "it is not JSON"),
        ("{", "it is not JSON"),
        ("[" * 100_000, "it is not JSON"),
        ("\x00\xff", "it is not JSON"),
        ("[]", "`it` is no object"),
        ("{}", "`it` lacks `format`"),
        (" " * 3_000_000, "more than"),
        (damaged("format", to=2), "`format` is 2"),
        (damaged("extra", to=2), "unknown field `extra`"),
        (damaged("fits", to=[]), "`fits` is empty"),
        (damaged("fits", to=[{}] * 100), "`fits` is no list"),
        (damaged("fits", 0, "backend", to="abacus"), "`fits[0].backend` is none of numpy, torch"),
        (damaged("fits", 0, "dtype", to=["f64"]), "`fits[0].dtype` is none of"),
        (damaged("fits", 0, "threads", to=0), "`fits[0].threads` is no integer from 1 on"),
        (damaged("fits", 0, "threads", to=True), "`fits[0].threads` is no integer from 1 on"),
        (damaged("fits", 0, "kernels", to={}), "`fits[0].kernels` lacks `gemm`"),
        (damaged(*GEMM, "coefficients", to={}), "gemm.coefficients` are all 0"),
        (damaged(*GEMM, "coefficients", to={"magic": 1}), "no term `magic`"),
        (damaged(*GEMM, "coefficients", to={"call": -1e-9}), "coefficients.call` is no finite number from 0 on"),
        (damaged(*GEMM, "coefficients", to={"call": math.nan}), "is no finite number"),
        (damaged(*GEMM, "coefficients", to={"call": math.inf}), "is no finite number"),
        (damaged(*GEMM, "coefficients", to={"call": "1"}), "is no finite number"),
        (damaged(*GEMM, "largest", to=[1, 2]), "largest` has 2 sizes, not 3"),
        (damaged(*GEMM, "largest", to=[1, 2, 10**400]), "largest` is no integer"),
        (damaged(*GEMM, "points", to=1.5), "points` is no integer"),
        (damaged("machine", "caches", to=[1]), "1 levels, not 3"),
        (damaged("machine", "cpu", to="x" * 300), "`machine.cpu` is no short text"),
        (damaged("machine", "cpu", to="\x1b[31m"), "`machine.cpu` is no short text"),
        (damaged("machine", "libraries", to=[]), "`machine.libraries` is no object"),
        (damaged("spread", to=None), "`spread` is no finite number"),
    ],
)
def test_damaged_profiles_are_refused(
    content: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "damaged.json"
    path.write_text(content, encoding="latin-1")
    with pytest.raises(TpcError) as caught:
        read(path)
    (found,) = caught.value.diagnostics
    assert found.code == "E0708" and message in found.title and "damaged.json" in found.title
    monkeypatch.setenv("TPC_PROFILE", str(path))
    prices = profile("numpy")
    assert prices.is_shipped and message in prices.warnings[0]


def test_the_shipped_profile_unchanged_is_not_refused(tmp_path: Path) -> None:
    path = tmp_path / "whole.json"
    path.write_text(damaged("format", to=1))
    assert read(path) == shipped()


# ---- measuring


def test_points_are_of_all_shapes() -> None:
    drawn = points("gemm", batched=True)
    assert drawn == points("gemm", batched=True) != points("gemm", batched=True, seed=1)
    assert len(set(drawn)) == len(drawn) == RANGES["gemm"].count
    assert any(p.batch > 1 for p in drawn) and all(p.batch == 1 for p in points("gemm", batched=False))
    for axis in range(3):
        assert {1, 2, 8, 30} <= {p.sizes[axis] for p in drawn} and max(p.sizes[axis] for p in drawn) > 1000
    for kernel in FAMILIES:
        assert {p.kernel for p in points(kernel, False, quick=True)} == {kernel}


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_kernel_can_be_timed(backend: str) -> None:
    with pinned(backend, 1):
        bench = Bench(backend, "float32", 1, load(backend).helpers())
        assert set(bench.cases) | {"elementwise"} == set(FAMILIES)
        for kernel in FAMILIES:
            small = min(points(kernel, bench.is_batched(kernel), quick=True), key=lambda p: (p.batch, sum(p.sizes)))
            sample = bench.time(small, runs=1)
            assert 0 < sample.seconds < 1 and sample.spread >= 0


def test_operands_are_of_the_dtype_and_batch() -> None:
    with pinned("numpy", 1):
        bench = Bench("numpy", "float32", 1, load("numpy").helpers())
        point = next(p for p in points("gemm", batched=True) if p.batch > 1)
        result: Any = bench.action(point)()
    assert result.dtype == np.float32 and result.shape == (point.batch, *point.sizes[:2])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("kernel", "sizes", "helper"),
    [
        ("potrf", (4,), "_cholesky"),
        ("potrs", (4, 3), "_cho_solve"),
        ("getrs", (4, 1), "_lu_solve"),
        ("sytrs", (4, 1), "_ldl_solve"),
        ("band_solve", (4, 1, 3), "_band_solve"),
        ("trsv", (4,), "_solve_triangular"),
    ],
)
def test_what_is_timed_is_what_modules_carry_with_them(
    backend: str, kernel: str, sizes: tuple[int, ...], helper: str
) -> None:
    helpers = load(backend).helpers()
    calls: list[tuple[Any, ...]] = []

    def recorded(*given: Any) -> object:
        calls.append(given)
        return helpers[helper](*given)

    with pinned(backend, 1):
        Bench(backend, "float64", 1, {**helpers, helper: recorded}).action(Point(kernel, sizes, sizes))()
        assert len(calls) == 1
        Bench(backend, "float64", 1, helpers).action(Point(kernel, sizes, sizes))()
        assert len(calls) == 1
    if sizes[1:2] == (1,) and backend == "numpy":
        assert any(getattr(x, "ndim", 0) == 1 and len(x) == 4 and x.dtype == np.float64 for x in calls[0])


def test_usual_right_sides_and_bands_are_among_the_points() -> None:
    assert sum(p.sizes[1] == 1 for p in points("potrs", False)) > 6
    assert sum(p.sizes[2] == 3 for p in points("band_solve", False)) > 6


def test_the_least_of_the_runs_is_kept() -> None:
    calls: list[int] = []
    seconds, spread = time_call(lambda: calls.append(1), runs=3, shortest=1e-6)
    assert 0 < seconds < 1e-3 and spread >= 0 and len(calls) >= 5


def test_predicting_needs_no_slow_library() -> None:
    import subprocess
    import sys

    script = (
        "import sys\nfrom tpc.ir.types import F64\nfrom tpc.passes.cost import profile\n"
        "profile('torch').seconds('gemm', (3, 4, 5), F64)\n"
        "print([m for m in ('numpy', 'torch', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_type_is_public() -> None:
    assert isinstance(profile("torch"), Profile)
