"""The machine that code is generated for: its triple, processor, features, vectors, caches and cores."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from tpc.passes.cost.machine import caches, cores


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


@cache
def host() -> Host:
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
