"""The pool of threads: every part is run once, whoever calls, beside other load and in child processes."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

llvm = pytest.importorskip("llvmlite.binding")
from tests.backends.llvm.kernels import TWICE, native  # noqa: E402
from tests.backends.llvm.processes import in_child  # noqa: E402

from tpc.backends.llvm import engine, runtime, threads  # noqa: E402
from tpc.backends.llvm.engine import load, set_threads  # noqa: E402
from tpc.backends.llvm.entry import entry  # noqa: E402
from tpc.ir.types import I64  # noqa: E402

if not sys.platform.startswith("linux"):
    pytest.skip("native code is for Linux", allow_module_level=True)

ROOT = Path(__file__).parents[3]
BODY = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    yield
    set_threads(None)


def address(name: str) -> int:
    return engine._runtime().address(name)


def parallel(body: Callable[[int, int], None], count: int, grain: int = 1) -> None:
    """Run a function of Python in parts."""
    held = BODY(lambda context, begin, end: body(begin, end))
    run = ctypes.CFUNCTYPE(None, BODY, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)(address("tpc_parallel"))
    run(held, None, count, grain)


def parts(count: int, grain: int = 1, pause: float = 0.0) -> list[tuple[int, int, int]]:
    """The parts of a region, each with the thread that ran it."""
    found: list[tuple[int, int, int]] = []

    def body(begin: int, end: int) -> None:
        time.sleep(pause)
        found.append((begin, end, threading.get_native_id()))

    parallel(body, count, grain)
    return sorted(found)


# a program of native code alone, for many regions in a short time
_twice = load(TWICE)
_function = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, *[ctypes.c_void_p] * 3)(_twice.address("twice"))


def twice(x: np.ndarray[tuple[int], np.dtype[np.float64]]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    out = np.full_like(x, np.nan)
    assert _function(len(x), x.ctypes.data, out.ctypes.data, None) == 0
    return out


@pytest.mark.parametrize("workers", [1, 2, 3, 8])
@pytest.mark.parametrize("count", [0, 1, 2, 7, 16, 17, 100, 1001])
@pytest.mark.parametrize("grain", [-1, 0, 1, 3, 8, 1000])
def test_every_index_is_in_one_part(workers: int, count: int, grain: int) -> None:
    set_threads(workers)
    found = parts(count, grain)
    assert [i for begin, end, _ in found for i in range(begin, end)] == list(range(count))
    assert all(begin % max(grain, 1) == 0 for begin, _, _ in found)
    assert len(found) <= workers * threads.PARTS
    if workers == 1 or count <= grain:
        assert len(found) == (count > 0)


def test_a_negative_count_is_none() -> None:
    assert parts(-5) == []


@pytest.mark.parametrize("workers", [2, 4])
def test_threads_share_the_parts(workers: int) -> None:
    set_threads(workers)
    # one more may have looked for work just before, when there were more of them
    assert any(len({thread for _, _, thread in parts(8 * workers, pause=0.02)}) == workers for _ in range(20))


def test_fewer_threads_than_were_started() -> None:
    set_threads(4)
    parts(64, pause=0.001)
    set_threads(2)
    # a worker that looked for work just before may still find some, however late it gets a processor
    assert any(len({thread for _, _, thread in parts(16, pause=0.01)}) <= 2 for _ in range(20))
    set_threads(1)
    assert {thread for _, _, thread in parts(16)} == {threading.get_native_id()}


def test_a_limit_holds_until_its_end_whatever_is_set() -> None:
    begin, end, count = (
        ctypes.CFUNCTYPE(result, *given)(engine._runtime().address(name))
        for name, result, *given in (
            ("tpc_limit_begin", None, ctypes.c_int64),
            ("tpc_limit_end", None),
            ("tpc_threads", ctypes.c_int64),
        )
    )
    set_threads(4)
    begin(1)
    assert {thread for _, _, thread in parts(16, pause=0.001)} == {threading.get_native_id()}
    set_threads(3)
    begin(2)
    assert count() == 2
    end()
    end()
    assert count() == 3


def test_a_call_with_a_limit() -> None:
    text = "  %count = call i64 @tpc_threads()\n  store i64 %count, ptr %threads\n  ret i64 0\n"
    declared = "declare i64 @tpc_threads()\n"
    asked = native("asked", [], [("threads", I64, ())], text, (), ["tpc_threads"], before=declared)
    set_threads(3)
    assert [entry(asked, print, threads=limit)() for limit in (None, 1, 2, None)] == [3, 1, 2, 3]


def test_regions_in_regions_run_where_they_are() -> None:
    set_threads(3)
    found: list[tuple[int, int]] = []

    def outer(begin: int, end: int) -> None:
        here = threading.get_native_id()

        def inner(low: int, high: int) -> None:
            assert threading.get_native_id() == here
            found.extend((i, j) for i in range(begin, end) for j in range(low, high))

        parallel(inner, 10)

    parallel(outer, 20)
    assert sorted(found) == [(i, j) for i in range(20) for j in range(10)]


def test_many_regions() -> None:
    """Also across the time after which workers sleep."""
    set_threads(3)
    x = np.arange(4000.0)
    for k in range(3000):
        np.testing.assert_array_equal(twice(x[: 8 + k]), 2 * x[: 8 + k])
        if k % 100 == 0:
            time.sleep(0.001)


def test_several_callers_at_once() -> None:
    set_threads(3)
    wrong: list[int] = []

    def work(number: int) -> None:
        x = np.arange(5000.0) + number
        for _ in range(500):
            if not np.array_equal(twice(x), 2 * x):
                wrong.append(number)

    callers = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not wrong


BUSY = "import time\nend = time.time() + 20\nwhile time.time() < end: pass\n"


def test_beside_busy_loops() -> None:
    """The caller does not wait for workers that get no processor: all regions end, and are right."""
    set_threads(os.cpu_count() or 1)
    others = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(os.cpu_count() or 1)]
    try:
        x = np.arange(20_000.0)
        for _ in range(300):
            np.testing.assert_array_equal(twice(x), 2 * x)
    finally:
        for other in others:
            other.kill()
            other.wait()


def test_idle_workers_sleep() -> None:
    set_threads(4)
    parts(64, pause=0.001)
    time.sleep(0.05)
    before = time.process_time()
    time.sleep(0.3)
    assert time.process_time() - before < 0.15  # three that spin would take some 0.6 on two cores


# ---- processes


def works() -> bool:
    x = np.arange(3000.0)
    right = all(np.array_equal(twice(x), 2 * x) for _ in range(50))
    return right and len({thread for _, _, thread in parts(16, pause=0.01)}) == 2


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_child_processes_have_pools_of_their_own() -> None:
    set_threads(2)
    assert works() and in_child(works) and works()
    assert in_child(lambda: works() and in_child(works) and works())
    assert not in_child(lambda: False)  # the helper can fail


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_of_a_process_that_is_in_a_region() -> None:
    set_threads(2)
    stop = threading.Event()

    def work() -> None:
        x = np.arange(2000.0)
        while not stop.is_set():
            twice(x)

    other = threading.Thread(target=work)
    other.start()
    try:
        assert all(in_child(works) for _ in range(10))
    finally:
        stop.set()
        other.join()


@pytest.mark.parametrize(
    ("said", "expected"), [("3", 3), ("1", 1), ("", None), ("many", None), ("-2", None), ("0", None)]
)
def test_the_number_of_threads_of_the_environment(said: str, expected: int | None) -> None:
    script = """
import ctypes
from tpc.backends.llvm.engine import _runtime, set_threads
threads = ctypes.CFUNCTYPE(ctypes.c_int64)(_runtime().address("tpc_threads"))
print(threads())
set_threads(5)
print(threads())
set_threads(None)
print(threads())
"""
    environment = {**os.environ, "TPC_THREADS": said}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, cwd=ROOT)
    default = engine.host().cores if expected is None else expected
    assert done.stdout.split() == [str(default), "5", str(default)], done.stderr


def test_the_end_of_a_process_with_workers() -> None:
    script = """
import numpy as np
from tests.backends.llvm.kernels import TWICE
from tpc.backends.llvm.engine import set_threads
from tpc.backends.llvm.entry import entry
set_threads(4)
f = entry(TWICE, print)
x = np.arange(10000.0)
for _ in range(200): f(x)
"""
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_which_targets_have_a_pool() -> None:
    known = ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"]
    assert all(map(threads.is_known, known))
    for triple in known:
        llvm.parse_assembly(runtime.library(triple, False)).verify()
    assert not any(
        map(threads.is_known, ["x86_64-apple-darwin", "x86_64-pc-windows-msvc", "riscv64-unknown-linux-gnu"])
    )
