"""Which machine this is, as far as times depend on it."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

LIBRARIES = ("numpy", "scipy", "torch")
CACHES = (32 * 2**10, 2**20, 32 * 2**20)  # where the system does not tell
FEATURES = ("sse4_2", "avx", "avx2", "fma", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "sve")


@dataclass(frozen=True)
class Machine:
    """A machine and the libraries on it; `caches` are the bytes of L1, L2 and L3."""

    cpu: str
    cores: int
    features: tuple[str, ...]
    caches: tuple[int, ...]
    libraries: Mapping[str, str]

    def __str__(self) -> str:
        return f"{self.cpu}, {self.cores} core{'s' if self.cores != 1 else ''}"

    def differences(self, other: Machine, backend: str) -> list[str]:
        """How this machine differs from another in what times of a backend depend on."""
        found = []
        if self.cpu != other.cpu:
            found.append(f"the processor was {self.cpu}, not {other.cpu}")
        if self.cores != other.cores:
            found.append(f"it had {self.cores} cores, not {other.cores}")
        for name in ("torch",) if backend == "torch" else ("numpy", "scipy"):
            then, now = self.libraries.get(name, "missing"), other.libraries.get(name, "missing")
            if then != now:
                found.append(f"{name} was {then}, not {now}")
        return found


@cache
def this_machine() -> Machine:
    """The machine that this runs on."""
    facts = _processor()
    flags = set(facts.get("flags", facts.get("Features", "")).split())
    cpu = facts.get("model name") or platform.processor() or platform.machine()
    family = ", ".join(
        f"{word} {facts[key]}" for word, key in (("family", "cpu family"), ("model", "model")) if key in facts
    )
    return Machine(
        f"{cpu} ({family})" if family else cpu,
        cores(),
        tuple(name for name in FEATURES if name in flags),
        caches(),
        {name: found for name in LIBRARIES if (found := _version(name))},
    )


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _version(name: str) -> str | None:
    """The version of a library, without reading all that it says of itself."""
    try:
        told = distribution(name).read_text("METADATA") or ""
    except PackageNotFoundError:
        return None
    found = re.search(r"^Version: *(\S+)", told, re.MULTILINE)
    return found[1] if found else None


def _processor() -> dict[str, str]:
    """What Linux says of the first core."""
    try:
        lines = Path("/proc/cpuinfo").read_text().partition("\n\n")[0].splitlines()
    except OSError:
        return {}
    pairs = (line.partition(":") for line in lines)
    return {name.strip(): value.strip() for name, _, value in pairs}


def caches() -> tuple[int, ...]:
    """Bytes of the caches for data, by level."""
    found = list(CACHES)
    for number in range(8):
        place = Path(f"/sys/devices/system/cpu/cpu0/cache/index{number}")
        try:
            level, kind, size = ((place / name).read_text().strip() for name in ("level", "type", "size"))
            if kind != "Instruction" and 1 <= int(level) <= len(found):
                found[int(level) - 1] = int(size.removesuffix("K")) * 1024
        except (OSError, ValueError):
            continue
    return tuple(found)


def user_cache() -> Path:
    """The folder of tpc in the user's cache, by the conventions of the system."""
    home = os.environ.get("XDG_CACHE_HOME")
    if home and Path(home).is_absolute():
        folder = Path(home)
    elif sys.platform == "darwin":
        folder = Path.home() / "Library" / "Caches"
    elif sys.platform == "win32":
        folder = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    else:
        folder = Path.home() / ".cache"
    return folder / "tpc"
