"""Calls like an earlier one: what needs no checks again, and what must not slip through."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import tpc
from tpc.backends.quiet import quietly
from tpc.repeats import Repeats, alike
from tpc.threads import ThreadLimit

SCALED = "def scaled(A: f64[n, m], x: f64[m], s: f64 = 2) -> f64[n] where n > m:\n    return s * (A @ x)\n"
A = np.random.default_rng(0).standard_normal((4, 3))
x = np.arange(3.0)


def counting(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The calls from now on that are made with all checks."""
    found: list[object] = []
    before = tpc.Compiled._call

    def call(self: tpc.Compiled, *given: Any) -> Any:
        found.append(given)
        return before(self, *given)

    monkeypatch.setattr(tpc.Compiled, "_call", call)
    return found


def test_a_call_like_an_earlier_one_is_not_checked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    f = tpc.compile(SCALED, backend="numpy")
    f(A, x)
    checked = counting(monkeypatch)
    for given in ((A, x), (-A, x + 1), (np.asfortranarray(A), x), (A[::-1], x[::-1])):
        np.testing.assert_allclose(f(*given), 2 * given[0] @ given[1])
    assert not checked
    f(A[:, :2], x[:2])
    assert len(checked) == 1


def test_names_defaults_and_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    f = tpc.compile(SCALED, backend="numpy")
    f(A, x)
    f(A, x, 0.5)
    f(A, x, 3)
    checked = counting(monkeypatch)
    np.testing.assert_allclose(f(A, x=x), 2 * A @ x)
    np.testing.assert_allclose(f(x=x, A=A), 2 * A @ x)
    np.testing.assert_allclose(f(A, x, s=0.25), 0.25 * A @ x)
    np.testing.assert_allclose(f(A, x, 7), 7 * A @ x)
    assert not checked
    np.testing.assert_allclose(f(A, x, True), A @ x)
    assert len(checked) == 1


def test_several_results_have_one_class() -> None:
    f = tpc.compile(
        "def both(x: f64[n]) -> (f64, f64[n]):\n    low = min(x)\n    twice = 2 * x\n    return low, twice\n"
    )
    first, second = f(x), f(x)
    assert type(first) is type(second) and second._fields == ("low", "twice")
    assert isinstance(second.low, np.float64) and second.twice.tolist() == [0, 2, 4]


def test_a_variant_is_taken_by_its_sizes() -> None:
    f = tpc.compile("def chain(A: f64[n, m], B: f64[m, k], C: f64[k, n]) -> f64[n, n] = A @ B @ C", backend="numpy")
    rng = np.random.default_rng(1)
    for n, m, k in ((30, 30, 2), (30, 2, 30)):
        given = [rng.standard_normal(shape) for shape in ((n, m), (m, k), (k, n))]
        for _ in range(3):
            np.testing.assert_allclose(f(*given), np.linalg.multi_dot(given), atol=1e-12)


WRONG: dict[str, Any] = {
    "E0801": lambda f: f(A),
    "E0802": lambda f: f(A, x[:, None]),
    "E0803": lambda f: f(A, 1j * x),
    "E0804": lambda f: f(A, "x"),
    "E0805": lambda f: f(A, x[:2]),
    "E0807": lambda f: f(A[:3], x),
    "E0808": lambda f: f(A, x, wide=1),
    "E0811": lambda f: f(A, x, out=np.empty(3)),
}


@pytest.mark.parametrize("code", WRONG)
@pytest.mark.parametrize("backend", ["numpy", "auto"])
def test_what_is_wrong_is_told_after_calls_that_were_right(code: str, backend: Any) -> None:
    f = tpc.compile(SCALED, backend=backend)
    f(A, x)
    f(A, x)
    with pytest.raises(tpc.TpcError) as caught:
        WRONG[code](f)
    assert caught.value.diagnostics[0].code == code
    np.testing.assert_allclose(f(A, x), 2 * A @ x)


def test_a_failure_is_told_as_in_the_first_call() -> None:
    f = tpc.compile("def solved(A: f64[n, n] is nonsingular, x: f64[n]) -> f64[n] = A \\ x")
    for _ in range(2):
        f(np.eye(3), x)
        with pytest.raises(tpc.TpcError) as caught:
            f(np.zeros((3, 3)), x)
        assert caught.value.diagnostics[0].code == "E0815" and "A is singular" in str(caught.value)


def _read_only() -> Any:
    frozen = A.copy()
    frozen.flags.writeable = False
    return frozen


GIVEN: dict[str, Any] = {
    "strided": lambda: np.repeat(A, 2, axis=1)[:, ::2],
    "negative": lambda: A[::-1][::-1],
    "read-only": _read_only,
    "of another order of bytes": lambda: A.astype(">f8"),
    "matrix": lambda: np.matrix(A),
    "masked, with nothing behind it": lambda: np.ma.array(A),
    "memory map": lambda: A.view(np.memmap),
}


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")  # of np.matrix
@pytest.mark.parametrize("kind", GIVEN)
def test_arrays_that_only_look_alike(kind: str) -> None:
    f = tpc.compile(SCALED, backend="numpy")
    f(A, x)
    given = GIVEN[kind]()
    for _ in range(2):
        result = f(given, x)
        assert type(result) is np.ndarray and result.dtype.isnative
        np.testing.assert_allclose(result, 2 * A @ x)


def test_masked_values_are_refused_after_arrays_were_taken() -> None:
    f = tpc.compile(SCALED)
    f(A, x)
    with pytest.raises(tpc.TpcError) as caught:
        f(np.ma.array(A, mask=A > 0), x)
    assert caught.value.diagnostics[0].code == "E0804"


def test_numbers_as_arrays_without_axes() -> None:
    f = tpc.compile(SCALED)
    for s in (np.array(3.0), np.float64(3), 3.0, np.array(3.0)):
        for _ in range(2):
            np.testing.assert_allclose(f(A, x, s), 3 * A @ x)


def test_integers_out_of_range_are_refused_each_time() -> None:
    f = tpc.compile("def double(k: i64) -> i64 = 2 * k")
    assert f(3) == f(3) == 6
    for _ in range(2):
        with pytest.raises(tpc.TpcError):
            f(2**63)


ALIASES = {
    "an argument": "def f(x: f64[n]) -> f64[n] = x",
    "a view": "def f(x: f64[n, m]) -> f64[m, n] = x'",
    "twice": "def f(x: f64[n]) -> (f64[n], f64[n]):\n    y = 2 * x\n    return y, y\n",
    "a part": "def f(x: f64[n]) -> (f64[n], f64[2]):\n    y = 2 * x\n    return y, y[0:2]\n",
}


@pytest.mark.parametrize("case", ALIASES)
def test_results_share_no_memory(case: str) -> None:
    f = tpc.compile(ALIASES[case])
    given = np.ones((3, 2)) if "m]" in ALIASES[case] else np.ones(3)
    for _ in range(3):
        results = f(given)
        several = results if isinstance(results, tuple) else (results,)
        held = [given, *several]
        assert not any(np.shares_memory(a, b) for n, a in enumerate(held) for b in held[:n])


def test_many_threads_call_one_function_with_many_sizes() -> None:
    f = tpc.compile("def gram(A: f64[n, m], s: f64) -> (f64[m, m], f64):\n    G = s * A' @ A\n    return G, sum(G)\n")

    def call(seed: int) -> bool:
        rng = np.random.default_rng(seed)
        B = rng.standard_normal((rng.integers(1, 9), rng.integers(1, 9)))
        G, total = f(B, float(seed))
        return np.allclose(G, seed * B.T @ B) and np.isclose(total, (seed * B.T @ B).sum())

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(call, range(600)))


# ---- the parts


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")  # of np.matrix
def test_what_makes_calls_alike() -> None:
    assert alike((A, 2.0, 3)) == (A.dtype, A.shape, float, int)
    assert alike((A.astype(np.float32),)) != alike((A,)) != alike((A.T,))
    assert alike((A.astype(">f8"),)) != alike((A,))
    assert alike((2**63,)) is alike(([1.0],)) is alike((True,)) is alike((np.matrix(A),)) is None


def test_arguments_by_name_come_in_order() -> None:
    repeats = Repeats(["a", "b", "c"])
    assert repeats.by_position((1,), {"c": 3, "b": 2}) == (1, 2, 3)
    assert repeats.by_position((1,), {"b": 2}) == (1, 2)
    assert repeats.by_position((1,), {"c": 3}) is repeats.by_position((1,), {"a": 3}) is None
    assert repeats.by_position((1, 2, 3), {"d": 4}) is None


def test_numpy_is_quiet_and_left_as_it_was() -> None:
    with np.errstate(divide="raise", over="warn"):
        assert quietly(lambda: np.float64(1) / np.zeros(1)).tolist() == [np.inf]
        assert quietly(lambda: quietly(np.geterr)["divide"]) == "ignore"
        with pytest.raises(ZeroDivisionError):
            quietly(lambda: 1 / 0)
        assert np.geterr()["divide"] == "raise" and np.geterr()["over"] == "warn"
        with pytest.raises(FloatingPointError):
            np.ones(1) / np.zeros(1)


def test_limits_of_threads_are_put_back_when_none_is_left() -> None:
    count = [4]

    def put(threads: int) -> None:
        count[0] = threads

    first, second = (ThreadLimit(threads, [(lambda: count[0], put)]) for threads in (1, 2))
    with first:
        assert count == [1]
        with second:
            assert count == [2]
            with first:
                assert count == [1]
    assert count == [4]
    first.__enter__()
    second.__enter__()
    first.__exit__()
    second.__exit__()
    assert count == [4]


def test_a_limit_of_threads_holds_in_calls_of_both_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    f = tpc.compile(SCALED, backend="numpy", threads=1)
    entered: list[int] = []
    before = ThreadLimit.__enter__
    monkeypatch.setattr(ThreadLimit, "__enter__", lambda self: entered.append(self.threads) or before(self))
    for _ in range(3):
        np.testing.assert_allclose(f(A, x), 2 * A @ x)
    assert entered == [1, 1, 1]
