"""Native functions in this process, and the cache of their objects."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")
from tests.backends.llvm.calls import program  # noqa: E402
from tests.backends.llvm.kernels import ADD, TWICE, native  # noqa: E402
from tests.backends.llvm.processes import in_child  # noqa: E402

import tpc  # noqa: E402
from tpc.backends import store  # noqa: E402
from tpc.backends.llvm import blas, objects  # noqa: E402
from tpc.backends.llvm.engine import Loaded, load  # noqa: E402
from tpc.backends.llvm.host import host  # noqa: E402
from tpc.backends.llvm.lower import lower  # noqa: E402
from tpc.backends.llvm.signature import Native  # noqa: E402
from tpc.ir.types import F64  # noqa: E402


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TPC_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def compilations(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    seen: list[str] = []
    optimised = objects.optimised

    def counting(text: str, level: int = 3) -> Any:
        seen.append(text)
        return optimised(text, level)

    monkeypatch.setattr(objects, "optimised", counting)
    yield seen


def number(value: int) -> Native:
    """A function that gives a number."""
    return native("number", [], [], f"  ret i64 {value}\n", sizes=())


def call(loaded: Loaded, name: str = "number") -> int:
    function = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p)(loaded.address(name))
    found: int = function(None)
    return found


def add(loaded: Loaded, name: str = "add") -> np.ndarray[Any, Any]:
    x, out = np.arange(100.0), np.empty(100)
    function = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, *[ctypes.c_void_p] * 4)(loaded.address(name))
    assert function(100, x.ctypes.data, x.ctypes.data, out.ctypes.data, None) == 0
    return out


# ---- loading


def test_functions_run() -> None:
    np.testing.assert_array_equal(add(load(ADD)), 2 * np.arange(100.0))
    assert call(load(number(7))) == 7


def test_functions_call_each_other() -> None:
    caller = native(
        "caller",
        [],
        [],
        "  %found = call i64 @number(ptr null)\n  %more = add i64 %found, 1\n  ret i64 %more\n",
        sizes=(),
        symbols=("number",),
        before="declare i64 @number(ptr)",
    )
    loaded = load([number(4), caller])
    assert call(loaded, "caller") == 5
    with pytest.raises(KeyError):
        loaded.address("other")


def test_what_is_loaded_is_loaded_once_and_goes() -> None:
    loaded = load(number(11))
    assert load(number(11)) is loaded
    assert load(number(12)) is not loaded
    first = loaded.address("number")
    del loaded
    assert call(load(number(13))) == 13 and first


def test_a_symbol_that_is_missing_is_named() -> None:
    wrong = native(
        "wrong",
        [],
        [],
        "  %found = call i64 @nowhere(ptr null)\n  ret i64 %found\n",
        sizes=(),
        symbols=("nowhere",),
        before="declare i64 @nowhere(ptr)",
    )
    with pytest.raises(RuntimeError, match="nowhere"):
        load(wrong)


@pytest.mark.parametrize("text", ["what", "define i64 @number(ptr %w) {\n  ret i32 0\n}", "define i64 @number("])
def test_a_text_that_is_not_valid_is_refused(text: str) -> None:
    with pytest.raises(RuntimeError):
        load(Native(number(0).signature, text))


def test_known_symbols_belong_to_what_is_loaded() -> None:
    """The same text with other addresses is another function."""
    text = "  %found = tail call i64 @known(ptr null)\n  ret i64 %found\n"
    way = native("way", [], [], text, sizes=(), symbols=("known",), before="declare i64 @known(ptr)")
    inner = [load(number(20)), load(number(21))]
    outer = [load(way, known={"known": one.address("number")}) for one in inner]
    assert [call(one, "way") for one in outer] == [20, 21]


@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_levels(level: int) -> None:
    np.testing.assert_array_equal(add(load(ADD, level)), 2 * np.arange(100.0))


def test_wide_vectors_are_used() -> None:
    if host().vector_bits == 512:
        wide = lower(program("def f(x: f64[n]) = 2 * x"), "f")
        assert "zmm" in host().machine().emit_assembly(objects.optimised(wide.ir))


def test_threads_load_at_once() -> None:
    found: list[int] = []

    def work(base: int) -> None:
        for k in range(10):
            found.append(call(load(number(100 + (base + k) % 12))) - (base + k) % 12)

    threads = [threading.Thread(target=work, args=(base,)) for base in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [100] * 40


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_of_a_process_that_compiles() -> None:
    stop = threading.Event()

    def work() -> None:
        k = 1000
        while not stop.is_set():
            load(number(k := k + 1))

    other = threading.Thread(target=work)
    other.start()
    try:
        assert all(in_child(lambda k=k: call(load(number(500 + k))) == 500 + k) for k in range(10))
    finally:
        stop.set()
        other.join()


# ---- BLAS


@pytest.mark.parametrize("name", ["dgemm_", "sgemm_", "zgemm_", "dgemv_", "dsyrk_", "dsymm_", "dtrsm_", "dtrmm_"])
@pytest.mark.parametrize("ask", [blas.address, blas._of_scipy])
def test_routines_of_blas(name: str, ask: Callable[[str], int]) -> None:
    assert ask(name) and blas.is_routine(name)


@pytest.mark.parametrize("name", ["dpotrf_", "spotrs_", "zgetrf_", "dgetrs_", "dsyevd_", "dgesdd_", "dgeqrf_"])
def test_routines_of_lapack(name: str) -> None:
    assert blas.address(name) and blas._of_scipy(name)


def test_a_routine_that_there_is_not() -> None:
    with pytest.raises(KeyError):
        blas.address("dnothin_")
    assert not any(map(blas.is_routine, ("tpc_parallel", "exp", "dgemm", "PyFloat_Type", "memcpy_far_away_")))


def test_blas_is_called_from_native_code() -> None:
    dot = native(
        "inner",
        [("x", F64, (3,)), ("y", F64, (3,))],
        [("out", F64, ())],
        """
  %count = alloca i32
  %step = alloca i32
  store i32 3, ptr %count
  store i32 1, ptr %step
  %found = call double @ddot_(ptr %count, ptr %x, ptr %step, ptr %y, ptr %step)
  store double %found, ptr %out
  ret i64 0
""",
        sizes=(),
        symbols=("ddot_",),
        before="declare double @ddot_(ptr, ptr, ptr, ptr, ptr)",
    )
    x, y, out = np.array([1.0, 2, 3]), np.array([4.0, 5, 6]), np.empty(())
    loaded = load(dot)
    function = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_void_p] * 4)(loaded.address("inner"))
    assert function(x.ctypes.data, y.ctypes.data, out.ctypes.data, None) == 0 and out == 32


def test_threads_of_blas() -> None:
    import scipy.linalg  # noqa: F401  (so that its library is seen)
    from threadpoolctl import threadpool_info

    before = {info["filepath"]: info["num_threads"] for info in threadpool_info()}
    if not blas.set_threads(1):
        pytest.skip("there is no way to tell this library")
    changed = [info for info in threadpool_info() if info["filepath"] in before and "scipy.libs" in info["filepath"]]
    assert all(info["num_threads"] == 1 for info in changed)
    blas.set_threads(max(before.values()))


# ---- the cache


def entry(place: Path) -> Path:
    (found,) = place.glob("*.o")
    return found


def test_an_object_is_made_once(compilations: list[str]) -> None:
    first = objects.compiled(ADD.ir)
    assert objects.compiled(ADD.ir) == first and len(compilations) == 1
    objects.compiled(ADD.ir, 1)
    objects.compiled(ADD.ir.replace("fadd", "fmul"))
    assert len(compilations) == 3


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:-1],
        lambda content: content[: len(content) // 2],
        lambda content: content + b"\0",
        lambda content: content[:100] + bytes([content[100] ^ 1]) + content[101:],
        lambda content: b"\x7fELF" + content[4:],
        lambda content: os.urandom(len(content)),
    ],
)
def test_a_damaged_object_is_made_anew(damage: Any, place: Path, compilations: list[str]) -> None:
    first = objects.compiled(ADD.ir)
    path = entry(place)
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    assert objects.compiled(ADD.ir) == first and len(compilations) == 2
    assert path.read_bytes() == whole


def test_an_object_of_another_key_is_not_taken(place: Path, compilations: list[str]) -> None:
    objects.compiled(number(1).ir)
    other = entry(place).read_bytes()
    name = f"{objects.digest(number(2).ir)}.o"
    (place / name).write_bytes(other)
    assert objects.compiled(number(2).ir) != objects.compiled(number(1).ir) and len(compilations) == 2


def test_what_an_object_depends_on(monkeypatch: pytest.MonkeyPatch) -> None:
    import llvmlite

    before = objects.digest(ADD.ir)
    monkeypatch.setattr(llvmlite, "__version__", "0.0")
    other_version = objects.digest(ADD.ir)
    monkeypatch.undo()
    monkeypatch.setattr(objects, "ABI", objects.ABI + 1)
    other_abi = objects.digest(ADD.ir)
    monkeypatch.undo()
    from dataclasses import replace

    monkeypatch.setattr(objects, "host", lambda: replace(host(), features="-avx512f"))
    assert len({before, other_version, other_abi, objects.digest(ADD.ir)}) == 4


def test_without_a_cache(monkeypatch: pytest.MonkeyPatch, compilations: list[str]) -> None:
    monkeypatch.setenv("TPC_CACHE", "off")
    assert objects.compiled(ADD.ir) == objects.compiled(ADD.ir) and len(compilations) == 2


def test_the_cache_is_bounded(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    monkeypatch.setattr(store, "MOST", 20_000)
    for k in range(40):
        objects.compiled(number(k).ir)
        assert store.usage()[1] <= 20_000
    assert store.usage()[0] > 5
    assert objects.digest(number(39).ir) in {path.stem for path in place.iterdir()}


def test_the_bound_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    assert store.limit() == store.MOST
    monkeypatch.setenv("TPC_CACHE_MB", "3")
    assert store.limit() == 3_000_000
    monkeypatch.setenv("TPC_CACHE_MB", "much")
    assert store.limit() == store.MOST


def writes(first: int) -> bool:
    """Compile, or find compiled, a few of the programs that other processes compile as well."""
    x = np.arange(10.0)
    for k in range(first, first + 2):
        double = tpc.compile(f"def f(x: f64[10]) = {k % 6} * x + 1", backend="llvm")
        double.prepare(x)
        if not (double(x) == k % 6 * x + 1).all() or call(load(number(k % 9))) != k % 9:
            return False
    return True


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_processes_share_a_cache_while_some_are_killed(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:  # so that children need not import what they use
        patch.setenv("TPC_CACHE", "off")
        assert writes(0)
    children = []
    for k in range(16):
        child = os.fork()
        if child == 0:
            os._exit(0 if writes(k) else 1)
        children.append(child)
    doomed, others = children[::3], [child for k, child in enumerate(children) if k % 3]
    for child in doomed:
        time.sleep(0.03)
        os.kill(child, signal.SIGKILL)
    for child in doomed:
        os.waitpid(child, 0)
    assert [os.waitpid(child, 0)[1] for child in others] == [0] * len(others)
    objects_made = list(place.glob("*.o"))
    assert len(objects_made) >= 9
    for path in objects_made:
        objects._checked(path.read_bytes(), path.stem)
    assert writes(0)


def test_a_process_that_is_spawned(place: Path) -> None:
    assert writes(0)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(writes, (0,))


# ---- the run-time library is found


def test_the_run_time_library_is_found() -> None:
    x, out = np.arange(1000.0), np.empty(1000)
    loaded = load(TWICE)
    function = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, *[ctypes.c_void_p] * 3)(loaded.address("twice"))
    assert function(1000, x.ctypes.data, out.ctypes.data, None) == 0
    np.testing.assert_array_equal(out, 2 * x)
