"""What memory gives: small generated loops that read, or read and write, in several places of an array at once."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from tpc.backends.llvm import engine
from tpc.backends.llvm.signature import Array, Native, Signature
from tpc.ir.dims import named
from tpc.ir.types import F64

MEBIBYTES = (16, 64, 256)  # that are read; as many are written
STREAMS = (1, 2, 4, 8)
VECTORS = 8  # of 8 entries in a pass, in all streams together
REPEATS = 7


def measured(threads: int) -> dict[str, dict[int, dict[int, float]]]:
    """Bytes a second that are read, or read and written, by the mebibytes of an array and the number of streams."""
    found: dict[str, dict[int, dict[int, float]]] = {}
    for name, writes in (("read", False), ("read and write", True)):
        loops = {streams: _loop(streams, writes) for streams in STREAMS}
        found[name] = {size: dict(_measured(loops, size << 20, writes, threads)) for size in MEBIBYTES}
    return found


def best(found: dict[str, dict[int, dict[int, float]]], held: int, writes: bool) -> float | None:
    """What operands of so many bytes could be read with, or else written; None where they may fit into a cache."""
    sizes = [size for size in MEBIBYTES if size << 20 <= held]
    if not sizes:
        return None
    return max(found["read and write" if writes else "read"][sizes[-1]].values())


def _measured(
    loops: dict[int, ctypes._FuncPointer], size: int, writes: bool, threads: int
) -> Iterator[tuple[int, float]]:
    source, target = np.ones(size // 8), np.ones(size // 8 if writes else 8)
    part = source.size // threads // 512 * 512
    with ThreadPoolExecutor(threads) as pool:
        for streams, loop in loops.items():
            taken = []
            for _ in range(REPEATS):
                began = time.perf_counter()
                done = [
                    pool.submit(loop, part, *(a.ctypes.data + 8 * part * n * (a.size > 8) for a in (source, target)), 0)
                    for n in range(threads)
                ]
                for one in done:
                    one.result()
                taken.append(time.perf_counter() - began)
            yield streams, 8 * part * threads * (1 + writes) / min(taken)


def _loop(streams: int, writes: bool) -> ctypes._FuncPointer:
    name = f"stream_{streams}_{writes}"
    n = named("n")
    signature = Signature(name, ("n",), (Array("x", F64, (n,)),), (Array("out", F64, (n,)),))
    native = Native(signature, _text(name, streams, writes))
    loaded = engine.load(native)
    kind = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, *[ctypes.c_void_p] * 3)
    function = kind(loaded.address(name))
    function.loaded = loaded  # type: ignore[attr-defined]  # the code stays as long as the function
    return function


def _text(name: str, streams: int, writes: bool) -> str:
    """The loop in LLVM IR: each stream goes through a part of the array."""
    beside = VECTORS // streams
    body, states = [], []
    for number in range(VECTORS):
        stream, place = divmod(number, beside)
        body += [
            f"  %o{number} = mul i64 %part, {stream}",
            f"  %p{number} = add i64 %o{number}, %i",
            f"  %q{number} = add i64 %p{number}, {8 * place}",
            f"  %x{number} = getelementptr double, ptr %x, i64 %q{number}",
            f"  %v{number} = load <8 x double>, ptr %x{number}, align 8",
        ]
        if writes:
            body += [
                f"  %y{number} = getelementptr double, ptr %out, i64 %q{number}",
                f"  store <8 x double> %v{number}, ptr %y{number}, align 8",
            ]
        else:
            states.append(f"  %s{number} = phi <8 x double> [ zeroinitializer, %entry ], [ %t{number}, %loop ]")
            body.append(f"  %t{number} = fadd <8 x double> %s{number}, %v{number}")
    last = []
    for number in range(0 if writes else VECTORS):
        last += [
            f"  %r{number} = load volatile <8 x double>, ptr %out, align 8",
            f"  %w{number} = fadd <8 x double> %r{number}, %t{number}",
            f"  store volatile <8 x double> %w{number}, ptr %out, align 8",
        ]
    lines = [
        f"define i64 @{name}(i64 %n, ptr %x, ptr %out, ptr %workspace) {{",
        "entry:",
        f"  %part = sdiv i64 %n, {streams}",
        "  br label %loop",
        "loop:",
        "  %i = phi i64 [ 0, %entry ], [ %next, %loop ]",
        *states,
        *body,
        f"  %next = add i64 %i, {8 * beside}",
        "  %goes_on = icmp slt i64 %next, %part",
        "  br i1 %goes_on, label %loop, label %done",
        "done:",
        *last,
        "  ret i64 0",
        "}",
    ]
    return "\n".join(lines) + "\n"
