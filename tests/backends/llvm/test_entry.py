"""The way from Python to native code: what is taken at once, what goes the slow way, and that nothing leaks."""

from __future__ import annotations

import gc
import inspect
import subprocess
import sys
import threading
from collections import namedtuple
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")
from tests.backends.llvm.calls import program  # noqa: E402
from tests.backends.llvm.kernels import ADD, CHECKED, COPY, SCALE, SUM, binary, n, native  # noqa: E402

from tpc.backends.llvm.entry import call_at_once, entry  # noqa: E402
from tpc.backends.llvm.lower import lower  # noqa: E402
from tpc.backends.llvm.signature import Native  # noqa: E402
from tpc.ir.dims import divide, evaluate  # noqa: E402
from tpc.ir.types import BF16, DTYPES, F64, I64  # noqa: E402

x, y = np.arange(5.0), np.full(5, 10.0)
ROOT = Path(__file__).parents[3]


class Slow:
    """Counts what goes the slow way."""

    __name__ = "slow"

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function, self.calls = function, 0

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        self.calls += 1
        return self.function(*arguments, **named)


def refuse(*arguments: Any, **named: Any) -> Any:
    raise TypeError("the slow way")


def fast(native: Native, **options: Any) -> Any:
    return entry(native, refuse, **options)


add, scale, total, copied = (fast(native) for native in (ADD, SCALE, SUM, COPY))


# ---- what is taken at once


@pytest.mark.parametrize("size", [0, 1, 2, 7, 8, 9, 5000])
def test_arrays_of_all_sizes(size: int) -> None:
    a = np.arange(float(size))
    np.testing.assert_array_equal(add(a, a + 1), 2 * a + 1)


def test_what_is_made_is_an_array_of_its_own() -> None:
    result = add(x, y)
    assert type(result) is np.ndarray and result.flags.owndata and result.flags.writeable and result.dtype == np.float64
    assert sys.getrefcount(result) == 2


@pytest.mark.parametrize("s", [2, 2.0, np.float64(2), np.array(2.0)])
@pytest.mark.parametrize("count", [3, np.int64(3), np.array(3)])
def test_numbers(s: Any, count: Any) -> None:
    np.testing.assert_array_equal(scale(x, s, count), 2 * x + 3)


def test_large_integers() -> None:
    np.testing.assert_array_equal(scale(x, 2**53 + 1, -(2**63)), (2**53 + 1) * x - float(2**63))


@pytest.mark.parametrize("count", [2**63, True, 3.0, "3", None, np.int32(3), np.float64(3), np.array([3])])
def test_other_numbers_go_the_slow_way(count: Any) -> None:
    with pytest.raises(TypeError, match="the slow way"):
        scale(x, 2.0, count)


def test_names() -> None:
    for result in (add(x=x, y=y), add(y=y, x=x), add(x, y=y)):
        np.testing.assert_array_equal(result, x + y)
    renamed = fast(ADD, parameters=["left", "right"])
    np.testing.assert_array_equal(renamed(x, right=y), x + y)
    with pytest.raises(TypeError):
        renamed(x=x, y=y)


def test_several_results() -> None:
    assert type(total(x)) is tuple and type(total(x)[0]) is np.float64 and total(x)[0] == 10
    np.testing.assert_array_equal(total(x)[1], 2 * x)
    kind = namedtuple("total", ["sum", "twice"])
    result = entry(SUM, refuse, results=kind)(x)
    assert type(result) is kind and result.sum == 10 and len(result) == 2
    assert gc.is_tracked(result)


@pytest.mark.parametrize("given", [x[::2], np.arange(10.0)[5:8], np.arange(9.0)[::-3]])
def test_what_is_not_contiguous_is_copied(given: Any) -> None:
    np.testing.assert_array_equal(add(given, given), 2 * given)


def test_what_is_not_aligned_is_copied() -> None:
    held = np.zeros(41, np.uint8)
    given = held[1:].view(np.float64)
    given[:] = x
    assert not given.flags.aligned
    np.testing.assert_array_equal(add(given, y), x + y)


def test_read_only_operands() -> None:
    fixed = x.copy()
    fixed.flags.writeable = False
    np.testing.assert_array_equal(add(fixed, y), x + y)


def test_transposes() -> None:
    A = np.arange(12.0).reshape(3, 4)
    np.testing.assert_array_equal(copied(A.T), A.T)
    assert copied(A.T).flags.c_contiguous


@pytest.mark.parametrize("dtype", ["f32", "i64", "i32", "i8"])
def test_dtypes(dtype: str) -> None:
    kind = DTYPES[dtype]
    type = {"f": "float", "i": f"i{8 * kind.size}"}[kind.kind]
    function = fast(binary(f"add_{dtype}", "fadd" if kind.kind == "f" else "add", type, kind))
    a = np.arange(6).astype(kind.numpy)
    assert function(a, a).dtype == a.dtype
    np.testing.assert_array_equal(function(a, a), 2 * a)
    with pytest.raises(TypeError):
        function(a, a.astype("f8"))


# ---- what goes the slow way


@pytest.mark.parametrize(
    "given",
    [
        (x,),
        (x, y, y),
        (),
        (x, np.ones(4)),
        (x, np.ones((5, 1))),
        (x, y.astype(np.float32)),
        (x, y.astype(">f8")),
        (x, list(y)),
        (x, None),
        (x, np.ma.array(y)),
        (x, y.view(type("Own", (np.ndarray,), {}))),
        (x, 1.0),
    ],
)
def test_all_else_goes_the_slow_way(given: tuple[Any, ...]) -> None:
    seen = []
    function = entry(ADD, lambda *a, **k: seen.append((a, k)) or "slow")  # type: ignore[func-returns-value]
    assert function(*given) == "slow"
    assert len(seen) == 1 and all(one is other for one, other in zip(seen[0][0], given, strict=True))


def test_names_that_are_not_known_go_the_slow_way() -> None:
    slow = Slow(lambda *a, **k: sorted(k))
    function = entry(ADD, slow)
    assert function(x, z=y) == ["z"]
    assert function(x, y, x=y) == ["x"]
    assert function(x, y, z=y) == ["z"]
    assert slow.calls == 3


def test_an_error_goes_the_slow_way() -> None:
    def slow(given: Any, out: Any = None) -> Any:
        raise ValueError("it is negative")

    function = entry(CHECKED, slow)
    assert function(x) == 0
    before = sys.getrefcount(x), sys.getrefcount(-x)
    with pytest.raises(ValueError, match="it is negative"):
        function(-1 - x)
    assert before == (sys.getrefcount(x), sys.getrefcount(-x))


def test_conditions() -> None:
    slow = Slow(lambda *a, **k: None)
    function = entry(ADD, slow, nonnegative=[n - 4])
    function(x[:4], y[:4])
    assert slow.calls == 0
    function(x[:3], y[:3])
    assert slow.calls == 1


# ---- sizes


def test_sizes_that_are_solved() -> None:
    size = "  store i64 %n, ptr %out\n  ret i64 0\n"
    linear = fast(native("linear", [("x", F64, (2 * n + 1,)), ("y", F64, (divide(n, 2),))], [("out", I64, ())], size))
    assert [linear(np.ones(2 * k + 1), np.ones(k // 2)) for k in range(4)] == [0, 1, 2, 3]
    for a, b in ((4, 1), (0, 0), (5, 2)):
        with pytest.raises(TypeError):
            linear(np.ones(a), np.ones(b))
    fixed = fast(native("fixed", [("x", F64, (3,))], [("out", I64, ())], "  store i64 3, ptr %out\n  ret i64 0\n", ()))
    assert fixed(np.ones(3)) == 3
    with pytest.raises(TypeError):
        fixed(np.ones(4))


def test_sizes_that_are_given() -> None:
    size = "  store i64 %n, ptr %out\n  ret i64 0\n"
    lone = native("given", [("s", F64, ())], [("out", I64, ())], size)
    with pytest.raises(ValueError, match="nothing tells the size n"):
        fast(lone)
    plain = fast(lone, size_parameters={"n": "count"})
    assert plain(1.0, count=4) == 4
    for wrong in ({}, {"count": 4.0}, {"count": -1}, {"n": 4}):
        with pytest.raises(TypeError):
            plain(1.0, **wrong)
    told = fast(native("told", [("x", F64, (n,))], [("out", I64, ())], size), size_parameters={"n": "n"})
    assert told(x, n=5) == 5
    with pytest.raises(TypeError):
        told(x, n=4)


# ---- out


def test_out() -> None:
    out = np.empty(5)
    before = sys.getrefcount(out)
    for _ in range(5):
        add(x, y, out=out)
    assert sys.getrefcount(out) == before
    assert add(x, y, out=out) is out
    np.testing.assert_array_equal(out, x + y)
    several = (np.empty(()), np.empty(5))
    assert total(x, out=several) is several and several[0] == 10 and several[1][4] == 8


def fixed() -> Any:
    array = np.empty(5)
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    "out", [np.empty(4), np.empty(5, np.float32), np.empty((5, 1)), np.empty(10)[::2], fixed(), [0] * 5, None, (x,)]
)
def test_an_out_that_does_not_fit_goes_the_slow_way(out: Any) -> None:
    with pytest.raises(TypeError):
        add(x, y, out=out)


def test_an_out_that_overlaps_goes_the_slow_way() -> None:
    whole = np.arange(10.0)
    for out in (whole[:5], whole[4:9]):
        with pytest.raises(TypeError):
            add(whole[:5], y, out=out)
        np.testing.assert_array_equal(whole, np.arange(10.0))
    assert add(whole[:5], y, out=whole[5:]) is not None
    one = np.empty(6)
    number = one[:1].reshape(())
    with pytest.raises(TypeError):
        total(x, out=(number, one[:5]))
    total(x, out=(number, one[1:]))
    for several in ((number,), [number, one[1:]], (number, one[1:], number)):
        with pytest.raises(TypeError):
            total(x, out=several)


def test_an_operand_that_is_copied_may_be_the_out() -> None:
    whole = np.arange(5.0)
    add(whole[::-1], y, out=whole)
    np.testing.assert_array_equal(whole, np.arange(5.0)[::-1] + 10)


# ---- memory


def test_no_reference_is_lost_or_kept() -> None:
    strided = np.arange(10.0)[::2]
    held = [x, y, strided, np.dtype(np.float64), None, np.ndarray]
    numbers = np.float64(3.5)
    calls: list[Callable[[], object]] = [
        lambda: add(x, y),
        lambda: add(strided, strided),
        lambda: total(strided),
        lambda: scale(x, numbers, 7),
        lambda: total(x),
        lambda: add(x, y=y),
        lambda: fast_or_none(x, y.astype(np.float32)),
    ]
    for call in calls:
        call()
        moved = []
        for _ in range(5):  # other threads may move counts, too, but not by as much each time
            before = [sys.getrefcount(one) for one in held]
            for _ in range(200):
                call()
            after = [sys.getrefcount(one) for one in held]
            moved.append([abs(a - b) for a, b in zip(after, before)])
        assert all(min(each) < 20 for each in zip(*moved)), (call, moved)


fast_or_none = entry(ADD, lambda *a: None)


def test_no_memory_is_lost() -> None:
    import tracemalloc

    def run(times: int) -> None:
        for _ in range(times):
            add(x, y)
            total(x[::2])
            copied(np.ones((3, 3)).T)
            with pytest.raises(TypeError):
                add(x, None)

    run(50)
    tracemalloc.start()
    run(10)
    gc.collect()
    before, _ = tracemalloc.get_traced_memory()
    run(300)
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 10_000


def test_a_function_and_its_code_go_together() -> None:
    import weakref

    class Way:
        __name__ = "way"

        def __call__(self, *given: Any) -> Any:
            return None

    slow = Way()
    seen = weakref.ref(slow)
    function = entry(ADD, slow)
    function.__self__[0].function = function  # type: ignore[attr-defined]
    np.testing.assert_array_equal(function(x, y), x + y)
    del slow, function
    gc.collect()
    assert seen() is None


def test_workspaces_of_all_sizes() -> None:
    for size in (0, 1, 8, 600, 3000, 8):  # the largest is not kept
        A = np.random.default_rng(0).standard_normal((size, size))
        np.testing.assert_array_equal(copied(A), A)


def test_what_there_is_no_memory_for_goes_the_slow_way() -> None:
    """In NumPy a branch that is not taken needs none."""
    huge = fast(native("huge", [("x", F64, (n,))], [("out", F64, (n,))], "  ret i64 0\n", workspace=n * 2**59))
    before = sys.getrefcount(x)
    with pytest.raises(TypeError, match="the slow way"):
        huge(x)
    with pytest.raises(TypeError, match="the slow way"):
        huge(np.arange(10.0)[::2])
    assert sys.getrefcount(x) == before and len(huge(x[:0])) == 0


# ---- threads and processes


def test_other_threads_run_meanwhile() -> None:
    """The function waits for an entry to change, which another thread of Python does."""
    wait = fast(
        native(
            "waits",
            [("x", I64, (n,))],
            [("out", I64, ())],
            """
  br label %look
look:
  %seen = load volatile i64, ptr %x
  %is_there = icmp ne i64 %seen, 0
  br i1 %is_there, label %done, label %look
done:
  store i64 %seen, ptr %out
  ret i64 0
""",
        )
    )
    flag = np.zeros(100_000, np.int64)

    def change() -> None:
        flag[0] = 7

    timer = threading.Timer(0.05, change)
    timer.start()
    assert wait(flag) == 7
    timer.join()


@pytest.mark.parametrize(
    ("text", "size", "others"),
    [
        ("def f(x: f64[n]) = x + 1", 2000, False),
        ("def f(x: f64[4]) = x + 1", 4, False),
        ("def f(S: f64[n, n]) = eigvalsh(S)", 4, False),
        ("def f(S: f64[n, n]) = eigvalsh(S)", 40, True),
        ("def f(S: f64[40, 40]) = eigvalsh(S)", 40, True),
        ("def f(x: f64[n]):\n    y = x\n    repeat 5000:\n        y = tanh(y)\n    return y", 40, True),
    ],
)
def test_others_run_where_much_is_done_with_little(text: str, size: int, others: bool) -> None:
    signature = (native := lower(program(text), "f")).signature
    assert (prod(evaluate(dim, {"n": size}) for dim in signature.axes) > native.long) is others


def test_several_threads_at_once() -> None:
    A = [np.full((k, 64), float(k)) for k in range(1, 40)]
    wrong: list[int] = []

    def work(number: int) -> None:
        for _ in range(50):
            for array in A[number::4]:
                if not np.array_equal(copied(array), array):
                    wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_in_pythons_development_mode() -> None:
    """Its allocator overwrites what is freed, and looks for writes beyond the ends of blocks."""
    script = """
import gc, numpy as np
from tests.backends.llvm.kernels import ADD, SUM, COPY
from tpc.backends.llvm.entry import entry
def slow(*a, **k): raise TypeError
add, total, copied = entry(ADD, slow), entry(SUM, slow), entry(COPY, slow)
for k in range(200):
    x = np.arange(float(k % 20))
    assert (add(x, x) == 2 * x).all() and (add(x[::2], y=x[::2]) == 2 * x[::2]).all()
    assert total(x)[0] == x.sum()
    copied(np.ones((k, 3)).T)
    try: add(x, None)
    except TypeError: pass
    out = (np.empty(()), np.empty(len(x)))
    assert total(x, out=out) is out
del add, total, copied
gc.collect()
print("fine")
"""
    command = [sys.executable, "-X", "dev", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.stdout == "fine\n", done.stderr


# ---- around it


def test_objects_that_are_called_at_once() -> None:
    class Thing:
        """A thing."""

        def __call__(self, *given: Any) -> str:
            return "slow"

    one, other = Thing(), Thing()
    call_at_once(one, add)
    np.testing.assert_array_equal(one(x, y), x + y)
    assert other(x, y) == "slow"
    assert isinstance(one, Thing) and type(one).__name__ == "Thing" and type(one).__doc__ == "A thing."
    call_at_once(one, refuse)
    with pytest.raises(TypeError):
        one(x, y)
    assert type(one).__mro__[1] is Thing


def test_where_numpy_has_no_dtype_all_goes_the_slow_way() -> None:
    assert entry(binary("add_bf16", "add", "i16", BF16), refuse) is refuse


def test_names_and_documents() -> None:
    def slow(x: Any, y: Any) -> Any:
        """What it does."""

    function = entry(ADD, slow)
    assert function.__name__ == "slow" and function.__doc__ == "What it does."
    assert str(inspect.signature(function)) == "(x, y, *, out=None)"
