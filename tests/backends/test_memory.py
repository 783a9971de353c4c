"""Memory: what is predicted is what is measured, and letting go of names or writing to operands changes no result."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest
from benchmarks.memory import programs as steps
from tests.programs import generate
from tests.test_examples import FOLDER, NAMES, Example

from tpc.backends import backend, lifetimes
from tpc.backends.llvm.memory import _block
from tpc.backends.llvm.memory import live as native_memory
from tpc.dsl.diagnostics import TpcError
from tpc.dsl.source import Source
from tpc.ir.build import literal_value
from tpc.ir.elaborate.module import check
from tpc.ir.node import Program
from tpc.ir.reference import evaluate
from tpc.ir.sizes import with_sizes
from tpc.passes.memory import liveness, schedule
from tpc.passes.memory.liveness import Liveness
from tpc.passes.memory.workspace import UNSEEN
from tpc.passes.pipeline import Options, run

from .contract import plain, rounded
from .contract import run as results
from .test_random import tolerance

NEAR = 0.05  # how far a prediction may be off
ALWAYS = 150_000  # bytes that NumPy takes for buffers of its own, and Python for its objects


def measured(function: Callable[..., Any], arrays: list[Any]) -> int:
    """The most bytes that a call of a NumPy function takes, beside its arguments."""
    function(*arrays)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        function(*arrays)
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def measured_by_torch(function: Callable[..., Any], arrays: list[Any]) -> int:
    """The same of a torch function, from what its allocator tells the profiler."""
    import torch
    from torch.profiler import ProfilerActivity, profile

    function(*arrays)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as found:
        result = function(*arrays)
    events = [e for e in found.profiler.kineto_results.events() if e.name() == "[memory]"]
    held = most = 0
    for event in sorted(events, key=lambda e: e.start_ns()):
        held += event.nbytes()
        most = max(most, held)
    assert result is not None and isinstance(torch.zeros(1), torch.Tensor)
    return most


def prepared(program: Program, name: str, arrays: list[Any]) -> tuple[Program, Callable[..., Any], list[Any]]:
    """The plan of a program, its function in a backend, and arguments for that."""
    plan = run(program, Options(backend=name))
    made = backend(name)
    function = made.load(made.emit(plan.program, plan.notes.names))
    return plan.program, function, arguments(plan.program, name, arrays)


def arguments(program: Program, name: str, arrays: list[Any]) -> list[Any]:
    """Arrays as a backend takes them."""
    given = [np.asarray(a, n.tensor.dtype.numpy) for a, n in zip(arrays, program.inputs, strict=True)]
    given = [a if n.tensor.dims else a.item() for a, n in zip(given, program.inputs, strict=True)]
    if name == "torch":
        import torch

        given = [torch.from_numpy(a) if isinstance(a, np.ndarray) else a for a in given]
    return given


def assert_near(predicted: int, found: int, always: int = ALWAYS) -> None:
    assert abs(predicted - found) <= NEAR * found + always, f"{predicted:,} predicted, {found:,} measured"


def program_of(text: str, sizes: dict[str, int] | None = None, name: str | None = None) -> Program:
    checked = check(Source(text, "memory.tp"))
    assert not checked.diagnostics.errors, text
    return with_sizes(checked.programs[name or list(checked.programs)[-1]], sizes or {})


# ---- the helpers can fail


def test_a_wrong_prediction_is_found() -> None:
    assert_near(10_000_000, 10_400_000)
    with pytest.raises(AssertionError):
        assert_near(10_000_000, 11_000_000)
    with pytest.raises(AssertionError):
        assert_near(40_000, 44_000, always=0)


def test_measures_see_what_is_taken() -> None:
    found = measured(lambda x: np.exp(x) + (x - 1) @ x, [np.ones((500, 500))])
    assert_near(3 * 2_000_000, found)


# ---- predictions

PROGRAMS = {
    "chain": "def f(x: f64[n, n], y: f64[n]) -> f64[n, n] = -tanh(sqrt(exp(x @ x - y) * y + 1)) / 2",
    "kernel": """
def f(X: f64[n, 4], v: f64[n], s: f64) -> f64[n]:
    K[i, j] = exp(-sum[k]((X[i, k] - X[j, k])^2) / (2 * s^2))
    return K @ v
""",
    "mlp": """
def f(X: f64[n, 64], V: f64[64, 512], W: f64[512, 64], T: f64[n, 64]) -> f64:
    H = tanh(X @ V)
    return mean((H @ W - T)^2)
def main(X: f64[n, 64], V: f64[64, 512], W: f64[512, 64], T: f64[n, 64]) = grad(f, V)(X, V, W, T)
""",
    "loop": """
def f(A: f64[n, n], b: f64[n], B: f64[n, n]) -> f64[n, n]:
    X, Y = B, A
    repeat 5:
        Z = X @ Y
        X, Y = Z / norm(Z), exp(-abs(Z - Y))
    return X + Y
""",
    "softmax": """
def f(X: f64[n, n], y: f64[n]) -> f64[n, n]:
    P = softmax(X @ X' / 8)
    return P @ X + log_softmax(X) * std(X, axis=0) + y
""",
    "solve": """
def f(A: f64[n, n] is spd, B: f64[n, n], y: f64[n]) -> (f64[n, n], f64):
    return inv(A) @ B, logdet(A) + sum(y)
""",
}


@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_predicted_peak_is_measured(name: str, library: str) -> None:
    program = program_of(PROGRAMS[name], {"n": 600})
    rng = np.random.default_rng(0)
    arrays = [rng.uniform(0.1, 1, n.tensor.dims) for n in program.inputs]
    if name == "solve":
        arrays[0] = arrays[0] @ arrays[0].T + 600 * np.eye(600)
    plan, function, given = prepared(program, library, arrays)
    memory = Liveness(plan, library, seen=True)
    measure = measured_by_torch if library == "torch" else measured
    assert_near(memory.peak, measure(function, given) + memory.held)


def is_steady(program: Program) -> bool:
    """Whether what is held does not depend on data: no branches, nor loops that a test or a number ends."""
    for node in program.walk():
        if node.op.name == "if" or (node.op.name == "repeat" and (node["until"] is not None or not node["count"])):
            return False
        if node.op.name in UNSEEN:
            return False
    return True


def random_program(seed: int, extent: int = 400) -> tuple[Program, list[Any]] | None:
    """A program at sizes at which arrays count, and arguments for it."""
    sample = generate(seed)
    if sample.dtype not in ("f64", "f32"):
        return None
    program = check(Source(sample.text, "random.tp")).programs.get("main")
    if program is None:
        return None
    sizes = {name: max(least, extent + 37 * k) for k, (name, least) in enumerate(sample.least.items())}
    return with_sizes(program, sizes), sample.arrays(sizes, seed)


MANY = 10**6  # bytes that a program must take for its prediction to count: what NumPy always takes is little then
HUGE = 2 * 10**8


def test_predicted_peak_of_random_programs() -> None:
    """Of 200 programs that take much, 19 of 20 are told; the second half of the seeds had no part in making the model.

    Those that are off have transforms of single precision, or index notation that is padded or guarded in several
    places: the names that it is given on the way are not foreseen. One holds less than is told: what stands in a line
    is let go once it is padded.
    """
    count, wrong = 0, []
    for seed in (*range(600), *range(2000, 2600)):
        found = random_program(seed)
        if found is None or not is_steady(found[0]):
            continue
        if Liveness(run(found[0], Options()).program).peak > HUGE:
            continue
        plan, function, given = prepared(found[0], "numpy", found[1])
        memory = Liveness(plan, "numpy", seen=True)
        try:
            taken = measured(function, given)
        except (IndexError, ValueError):  # positions and matrices that only the data tells
            continue
        if taken < MANY:
            continue
        count += 1
        if abs(memory.peak - taken - memory.held) > NEAR * (taken + memory.held) + ALWAYS:
            wrong.append(seed)
    assert count >= 200
    assert len(wrong) <= 0.055 * count, wrong


# ---- examples

# How many times longer each size becomes, so that arrays count beside what Python takes.
LONGER = {
    **{"attention": {"t": 20, "s": 10}, "autocorrelation": {"n": 300}, "classifier": {"n": 20}, "kmeans": {"n": 300}},
    **{"conjugate_gradients": {"n": 8}, "convolution": {"h": 8, "w": 8}, "density": {"n": 8, "m": 8}, "gls": {"n": 60}},
    **{"diffusion": {"n": 20}, "gaussian_process": {"n": 3}, "kalman": {"n": 500}, "kfac": {"n": 20}, "rbf": {"n": 6}},
    **{"label_propagation": {"n": 40}, "lasso": {"n": 1000}, "leverage": {"n": 4000}, "logistic": {"n": 30}},
    **{
        "lyapunov": {"n": 100},
        "markov_chain": {"n": 3},
        "mixture": {"n": 300},
        "pagerank": {"n": 8},
        "pca": {"n": 100},
    },
    **{"randomized_svd": {"m": 10, "n": 6}, "resonators": {"n": 5}, "ridge": {"n": 2000}, "robust": {"n": 2000}},
    **{"score_matching": {"n": 300}, "shampoo": {"n": 50}, "sinkhorn": {"h": 3, "w": 3}, "tensor_train": {"n": 100}},
    **{"total_variation": {"n": 1000}},
}
# Loops that torch runs pass by pass: its profiler keeps each event, of a long series more than 10 GB of them. It sees
# nothing that Python takes, so a series is told at any length.
SERIES = {"kalman": {"n": 10}}


def longer(name: str, value: Any, dims: Sequence[Any], times: dict[str, int]) -> Any:
    """An argument at larger sizes: a matrix of one size many times along the diagonal, others one after the other."""
    factors = [times.get(str(dim), 1) for dim in dims]
    if len(dims) == 2 and dims[0] == dims[1]:
        return np.kron(np.eye(factors[0], dtype=value.dtype), value)
    found = np.tile(value, factors)
    if name in ("t", "grid"):
        return np.linspace(found.min(), found.max(), found.size)
    return found


@pytest.mark.parametrize("library", ["numpy", "torch", "llvm"])
@pytest.mark.parametrize("name", LONGER)
def test_predicted_peak_of_examples(name: str, library: str) -> None:
    example = Example(FOLDER / name)
    is_series = library == "torch" and name in SERIES
    times = SERIES[name] if is_series else LONGER[name]
    values, sizes = {}, {}
    for node in example.program.inputs:
        if (value := example.inputs.get(node["name"])) is not None:
            dims = node.tensor.dims
            made = values[node["name"]] = longer(node["name"], np.asarray(value), dims, times)
            sizes.update({str(dim): extent for dim, extent in zip(dims, made.shape) if str(dim).isidentifier()})
    program = with_sizes(example.program, sizes)
    defaults = {key: literal_value(value) for key, value in program.defaults}
    arrays = [values.get(node["name"], defaults.get(node["name"])) for node in program.inputs]
    plan, function, given = prepared(program, library, arrays)
    if library == "llvm":
        function(*given)
        function.finish()  # type: ignore[attr-defined]
        memory = native_memory(plan, seen=True)
    else:
        memory = Liveness(plan, library, seen=True)
    measure = measured_by_torch if library == "torch" else measured
    taken = measure(function, given) + memory.held + memory.always
    assert_near(memory.peak, taken, always=0 if is_series else ALWAYS)


def test_every_example_is_told() -> None:
    assert set(LONGER) == set(NAMES)


# ---- budgets

STEPS = {"layers": steps.layers(6, 4096, 64), "transformer": steps.transformer(2, 1024, 64)}


@pytest.mark.parametrize("library", ["numpy", "torch", "llvm"])
@pytest.mark.parametrize("name", STEPS)
def test_measured_peak_is_within_a_budget(name: str, library: str) -> None:
    """Training steps at 100, 70 and 50 % of their peak, as far as that can be.

    Results are the same to the last bit, but in native code, whose regions end elsewhere: there to rounding.
    """
    program = check(Source(STEPS[name])).programs["main"]
    live = partial(native_memory, tight=True) if library == "llvm" else partial(Liveness, library=library)
    free = run(program, Options(backend=library)).program
    peak, made = live(free).peak, backend(library)
    measure = measured_by_torch if library == "torch" else measured
    rng = np.random.default_rng(0)
    given = arguments(free, library, [rng.standard_normal(n.tensor.dims) / 8 for n in free.inputs])
    expected, fitting = None, []
    for share in (1.0, 0.7, 0.5):
        try:
            small = run(free, Options(backend=library, memory=int(share * peak), live=live), begin="rematerialise")
        except TpcError as error:
            assert error.diagnostics[0].code == "E0908"
            continue
        function = made.load(made.emit(small.program, tight=True))
        if library == "llvm":
            function(*given)
            function.finish()  # type: ignore[attr-defined]
        memory = live(small.program)
        assert measure(function, given) + memory.held + memory.always <= int(share * peak) + ALWAYS
        fitting.append(share)
        found = [plain(r) for r in function(*given)]
        for value, other in zip(found, expected or found, strict=True):
            room = 64 * np.finfo(value.dtype).eps if library == "llvm" else 0
            np.testing.assert_allclose(value, other, rtol=room, atol=room * float(np.abs(other).max()))
        expected = found
    assert fitting[0] == 1 and (0.7 in fitting or name == "transformer")


ATTENTION = """
def f(x: f32[2048, 64], Q: f32[64, 64], K: f32[64, 64], V: f32[64, 64], W: f32[64, 512]):
    a = tanh(x @ W)
    b = tanh(x @ (W + 1))
    c = tanh(x @ (W + 2))
    y = softmax((x @ Q) @ (x @ K)' / 8) @ (x @ V)
    t = softmax((y @ Q) @ (a @ W' @ K)' / 8) @ (b @ W' @ V) + c @ W'
    return t, sum(a * b) + sum(b * c)
"""


def test_regions_that_plans_have_in_common_are_lowered_once() -> None:
    program = run(check(Source(ATTENTION)).programs["f"], Options(backend="llvm")).program
    peak = native_memory(program, tight=True).peak
    known = _block.cache_info().misses
    assert native_memory(program.replace(name="g"), tight=True).peak == peak
    assert _block.cache_info().misses == known


@pytest.mark.parametrize("budget, again", [(26_000_000, False), (22_000_000, True)])
def test_native_code_streams_before_it_computes_again(budget: int, again: bool) -> None:
    """A matrix of 16 MB of attention is never there; where that is not enough, other values are computed again."""
    program = check(Source(ATTENTION)).programs["f"]
    live = partial(native_memory, tight=True)
    free = run(program, Options(backend="llvm")).program
    small = run(free, Options(backend="llvm", memory=budget, live=live), begin="rematerialise").program
    assert (small is not free) == again
    memory, made = live(small), backend("llvm")
    assert memory.peak <= budget < Liveness(small, "numpy").peak
    function = made.load(made.emit(small, tight=True))
    rng = np.random.default_rng(0)
    given = arguments(small, "llvm", [rng.standard_normal(n.tensor.dims) / 8 for n in small.inputs])
    function(*given)
    function.finish()  # type: ignore[attr-defined]
    assert measured(function, given) + memory.held + memory.always <= budget + ALWAYS
    library = backend("numpy")
    expected = library.load(library.emit(run(program, Options()).program))(*given)
    for value, other in zip(function(*given), expected, strict=True):
        np.testing.assert_allclose(value, other, rtol=1e-4, atol=1e-4 * float(np.abs(other).max()))


@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("name", ["loop", "softmax", "solve"])
def test_tight_code_holds_what_was_planned(name: str, library: str) -> None:
    """Loops, library calls and names of the user: nothing is held longer than predicted."""
    program = program_of(PROGRAMS[name], {"n": 600})
    rng = np.random.default_rng(0)
    arrays = [rng.uniform(0.1, 1, n.tensor.dims) for n in program.inputs]
    if name == "solve":
        arrays[0] = arrays[0] @ arrays[0].T + 600 * np.eye(600)
    plan = run(program, Options(backend=library)).program
    made = backend(library)
    function = made.load(made.emit(plan, tight=True))
    measure = measured_by_torch if library == "torch" else measured
    memory = Liveness(plan, library, seen=True)
    assert measure(function, arguments(plan, library, arrays)) + memory.held <= memory.peak + ALWAYS


STEADY = """
def f(A: f64[n, n], b: f64[n], passes: i64) -> f64[n]:
    x = b
    repeat passes until norm(b - A @ x) <= 1e-300:
        x = x + (b - A @ x) / 2
    return x
"""


@pytest.mark.parametrize("library", ["numpy", "torch", "llvm"])
def test_passes_of_a_fixed_point_take_nothing(library: str) -> None:
    """However many passes there are, as much is held; in native code the whole loop is one call."""
    program = program_of(STEADY, {"n": 200})
    plan = run(program, Options(backend=library)).program
    made = backend(library)
    emitted = made.emit(plan)
    function = made.load(emitted)
    arrays = [np.eye(200) / 3, np.ones(200)]
    if library == "llvm":
        assert emitted.whole
        function(*arguments(plan, library, [*arrays, 3]))
        function.finish()  # type: ignore[attr-defined]
    measure = measured_by_torch if library == "torch" else measured
    few, many = (measure(function, arguments(plan, library, [*arrays, passes])) for passes in (3, 60))
    assert many <= few + 1000


def test_a_loop_lets_go_of_what_it_passed_on() -> None:
    """In its last pass the result has the name of the loop's body as well."""
    source = backend("numpy").emit(run(program_of(PROGRAMS["loop"], {"n": 600})).program, tight=True).source
    last = [line for line in source.splitlines() if line.startswith("        ")][-1]
    assert last.strip().startswith("del t")


# ---- results


@pytest.mark.parametrize("name", ["numpy", "torch"])
@pytest.mark.parametrize("start", range(0, 300, 100))
def test_results_stay_where_every_array_counts(name: str, start: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names are let go, operands written to and steps ordered however small the arrays are."""
    for module in (lifetimes, liveness, schedule):
        for limit in ("SMALL", "ELIDED", "LEAST"):
            if hasattr(module, limit):
                monkeypatch.setattr(module, limit, 0)
    for seed in range(start, start + 100):
        sample = generate(seed)
        program = check(Source(sample.text, "random.tp")).programs.get("main")
        if program is None or tolerance(program) is None:
            continue
        sizes = {size: max(1, extent) for size, extent in sample.sizes(seed).items()}
        program = with_sizes(program, sizes)
        arrays = [rounded(a, i.tensor.dtype) for a, i in zip(sample.arrays(sizes, seed), program.inputs, strict=True)]
        kept = [np.array(a) for a in arrays]
        expected = evaluate(program, arrays)
        room = tolerance(program) or 0.0
        found = results(name, schedule.schedule(program, name), arrays)
        for value, wanted in zip(found, expected, strict=True):
            size = float(np.max(np.abs(wanted), initial=1.0))
            np.testing.assert_allclose(plain(value), wanted, rtol=room, atol=room * size, err_msg=f"{seed} {program}")
        for before, array in zip(kept, arrays, strict=True):
            np.testing.assert_array_equal(before, array, err_msg=f"an argument has changed: {seed} {program}")


def test_names_go_and_operands_are_written_to() -> None:
    """Where it lowers what is held, and not where arrays are small."""

    def source(name: str, n: int) -> str:
        return backend(name).emit(run(program_of(PROGRAMS["chain"], {"n": n})).program).source

    assert "np.exp(t1, out=t1)" in source("numpy", 600) and "out=" not in source("numpy", 6)
    assert "    del " in source("torch", 600) and "    del " not in source("torch", 6)
