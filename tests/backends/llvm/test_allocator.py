"""The memory of large results: it is used again, bounded, and right whatever is done with an array."""

from __future__ import annotations

import subprocess
import sys
import threading
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")
from tests.backends.llvm.kernels import ADD  # noqa: E402

from tpc.backends.llvm.allocator import FROM, KEPT  # noqa: E402
from tpc.backends.llvm.entry import entry  # noqa: E402

LEAST = FROM // 8  # entries of the smallest large result
ROOT = Path(__file__).parents[3]
operand = np.arange(float(LEAST + 1000))


def refuse(*arguments: Any, **named: Any) -> Any:
    raise TypeError("the slow way")


add = entry(ADD, refuse)


def result(entries: int, shift: float = 0.0) -> Any:
    given = np.resize(operand, entries)
    return add(given, np.full(entries, shift))


def allocator(array: Any) -> Any:
    return getattr(np, "_core", np).multiarray.get_handler_name(array)


@pytest.mark.parametrize("entries", [0, 1, LEAST - 1])
def test_small_results_are_of_numpy(entries: int) -> None:
    assert allocator(result(entries)) != "tpc_results"


@pytest.mark.parametrize("entries", [LEAST, LEAST + 1, 3 * LEAST])
def test_memory_is_used_again(entries: int) -> None:
    made = result(entries, 1.0)
    place = made.ctypes.data
    assert allocator(made) == "tpc_results" and made.flags.owndata and place % 64 == 0
    other = result(entries, 2.0)
    np.testing.assert_array_equal(other - made, np.ones(entries))
    assert other.ctypes.data != place
    del made
    again = result(entries, 3.0)
    assert again.ctypes.data == place
    np.testing.assert_array_equal(again - other, np.ones(entries))


def test_other_arrays_keep_the_allocator_of_numpy() -> None:
    result(LEAST)
    assert allocator(np.empty(LEAST)) != "tpc_results"


def test_a_result_may_grow_and_shrink() -> None:
    made = result(LEAST, 1.0)
    made.resize(10, refcheck=False)
    np.testing.assert_array_equal(made, np.arange(10.0) + 1)
    made.resize(3 * LEAST, refcheck=False)
    np.testing.assert_array_equal(made[:10], np.arange(10.0) + 1)
    assert not made[10:].any() and allocator(made) == "tpc_results"


def test_what_is_let_go_is_counted_as_free() -> None:
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        made = result(LEAST)
        assert tracemalloc.get_traced_memory()[0] - before >= FROM
        del made
        assert tracemalloc.get_traced_memory()[0] - before < FROM / 4
    finally:
        tracemalloc.stop()


def test_threads_take_and_give() -> None:
    wrong: list[float] = []

    def work(number: int) -> None:
        for turn in range(40):
            entries = LEAST + 100 * ((turn + number) % 3)
            made = result(entries, float(number))
            expected = np.resize(operand, entries) + number
            if not np.array_equal(made, expected):
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def python(text: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", f"from tests.backends.llvm.test_allocator import *\n{text}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_is_kept_is_bounded() -> None:
    held = python(f"""
import os
def held():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
before = held()
several = [result({KEPT // 4 // 8}) for _ in range(6)]
del several
print(held() - before)
""")
    assert int(held) <= KEPT + 16 * 2**20


@pytest.mark.parametrize("before", [[KEPT // 4] * 4, [FROM] * 9], ids=["bytes", "blocks"])
def test_what_lies_there_makes_room(before: list[int]) -> None:
    said = python(f"""
import ctypes
from tpc.backends.llvm import engine
malloc, _, _, free = engine.allocation()
malloc = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)(malloc)
free = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)(free)
for block in [malloc(None, size) for size in {before}]:
    free(None, block, 0)
block = malloc(None, {KEPT // 2})
ctypes.memset(block, 7, 1)
free(None, block, 0)
print(ctypes.string_at(malloc(None, {KEPT // 2}), 1)[0])
""")
    assert int(said) == 7


def test_arrays_may_outlast_the_module() -> None:
    python("import builtins\nbuiltins.kept = result(LEAST)")
    python("""
import os
made = result(LEAST)
pid = os.fork()
del made
np.testing.assert_array_equal(result(LEAST, 2.0)[:3], [2.0, 3.0, 4.0])
assert not pid or os.waitpid(pid, 0)[1] == 0
""")
