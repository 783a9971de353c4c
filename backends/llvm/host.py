"""The machine that code is generated for: its triple, processor, features, vectors, caches and cores."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from tpc.dsl.diagnostics import fail
from tpc.passes.cost.machine import CACHES, caches, cores

# Levels of the x86-64 ABI: what each adds to the one before, and the bits of its vectors.
LEVELS = {
    "x86-64-v2": ("+cx16,+sahf,+popcnt,+sse3,+sse4.1,+sse4.2,+ssse3", 128),
    "x86-64-v3": ("+avx,+avx2,+bmi,+bmi2,+f16c,+fma,+lzcnt,+movbe,+xsave", 256),
    "x86-64-v4": ("+avx512f,+avx512bw,+avx512cd,+avx512dq,+avx512vl,-prefer-256-bit", 512),
}
NATIVE = "native"
TARGETS = (NATIVE, *LEVELS)


@dataclass(frozen=True)
class Host:
    """A machine.

    `cpu` may be an older model where LLVM does not know this one, so `features` lists all that it has. `vector_bits`
    is the width of vectors that it runs at full speed, `caches` are the bytes of L1, L2 and L3, and `cores` are those
    that this process may use, with one for all the threads of a core.
    """

    triple: str
    cpu: str
    features: str
    vector_bits: int
    caches: tuple[int, ...]
    cores: int

    @cached_property
    def extensions(self) -> frozenset[str]:
        """The names of the features that it has."""
        return frozenset(f[1:] for f in self.features.split(",") if f.startswith("+"))

    def machine(self, level: int = 3) -> Any:
        """The target machine of LLVM, for code that may be loaded anywhere; at level 0 it takes least time."""
        return _machine(self, level)


@cache
def _machine(at: Host, level: int) -> Any:
    import llvmlite.binding as llvm

    target = llvm.Target.from_triple(at.triple)
    return target.create_target_machine(cpu=at.cpu, features=at.features, opt=level, reloc="pic", codemodel="small")


_target: ContextVar[Host | None] = ContextVar("_target", default=None)


def host() -> Host:
    """The machine that code is generated for: this one, or the target of the context."""
    return _target.get() or _here()


@contextmanager
def targeting(name: str) -> Iterator[None]:
    """Within this context code is generated for one of `TARGETS`, and depends on nothing else of this machine.

    Raises
    ------
    TpcError
        E1005 if this machine has another architecture.
    """
    token = _target.set(None if name == NATIVE else _level(name))
    try:
        yield
    finally:
        _target.reset(token)


@cache
def _level(name: str) -> Host:
    """Any machine of a level of the x86-64 ABI."""
    triple = _here().triple
    if not triple.startswith("x86_64"):
        raise fail("E1005", f"`{name}` is no target on this machine, which is {triple}", help=f"use `{NATIVE}`")
    names = list(LEVELS)
    features = ",".join(LEVELS[level][0] for level in names[: names.index(name) + 1])
    return Host(triple, name, features, LEVELS[name][1], CACHES, 1)


@cache
def _here() -> Host:
    """This machine."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    llvm.initialize_native_asmparser()  # for inline assembly
    features = llvm.get_host_cpu_features()
    if features.get("avx512vbmi"):  # the first processors with 512 bits slow down when they use them; these do not
        bits = 512
        features["prefer-256-bit"] = False
    else:
        bits = 256 if features.get("avx2") else 128
    return Host(
        llvm.get_process_triple(), llvm.get_host_cpu_name(), features.flatten(), bits, caches(), _physical_cores()
    )


def _physical_cores() -> int:
    """The cores of this process; processors that share one are counted once."""
    found = set()
    for number in os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else ():
        place = Path(f"/sys/devices/system/cpu/cpu{number}/topology/thread_siblings_list")
        try:
            found.add(place.read_text())
        except OSError:
            return cores()
    return len(found) or cores()
