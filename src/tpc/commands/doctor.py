"""`tpc doctor`"""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

import click

from tpc import __version__
from tpc.commands.arguments import json_option
from tpc.console import print_json

LIBRARIES = ("numpy", "scipy", "networkx", "lark", "click", "rich", "safetensors", "threadpoolctl", "torch")


@click.command("doctor")
@json_option
def command(as_json: bool) -> int:
    """Show versions, backends, threads and the linear algebra library of this installation, and whether it works."""
    found = examine()
    if as_json:
        print_json(found["works"], **found)
        return 0 if found["works"] else 1
    rows = [
        ("tpc", found["tpc"]),
        ("python", f"{found['python']} ({sys.executable})"),
        ("system", found["system"]),
        ("memory", found["memory"]),
        ("cores", str(found["cores"])),
        *((name, text or "not installed") for name, text in found["libraries"].items()),
        *((f"blas of {b['of']}", f"{b['name']} {b['version']}, {b['threads']} threads") for b in found["blas"]),
        *((f"backend {name}", text) for name, text in found["backends"].items()),
        ("cache", found["cache"]["text"]),
        ("a small program", "runs and gives the right answer" if found["works"] else f"FAILS: {found['fault']}"),
    ]
    width = max(len(name) for name, _ in rows)
    for name, text in rows:
        click.echo(f"{name:<{width}}  {text}")
    for advice in found["advice"]:
        click.echo(f"\nadvice: {advice}")
    return 0 if found["works"] else 1


def examine() -> dict[str, Any]:
    """What there is to know about this installation."""
    from tpc.memory import amount, physical

    libraries = {name: _version(name) for name in LIBRARIES}
    torch = find_spec("torch") is not None
    fault = _fault()
    blas = _blas()
    advice = []
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if any(b["threads"] > cores for b in blas):
        advice.append(f"linear algebra uses more threads than the {cores} cores; set OMP_NUM_THREADS={cores}")
    if not torch:
        advice.append('for torch tensors and GPUs, `pip install "tpc[torch]"`')
    return {
        "tpc": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "memory": amount(physical()),
        "cores": cores,
        "libraries": libraries,
        "blas": blas,
        "backends": {
            "numpy": "ready",
            "torch": "ready" if torch else "needs torch",
            "llvm": "ready" if find_spec("llvmlite") is not None else "needs llvmlite",
        },
        "cache": _cache(),
        "works": fault is None,
        "fault": fault,
        "advice": advice,
    }


def _cache() -> dict[str, Any]:
    """Where compiled programs are kept, how many files they are, and their bytes."""
    from tpc.backends.store import folder, usage
    from tpc.memory import amount

    place = folder()
    files, size = usage()
    text = "off" if place is None else f"{place}, {amount(size)} in {files} file{'s' if files != 1 else ''}"
    return {"folder": None if place is None else str(place), "files": files, "bytes": size, "text": text}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _blas() -> list[dict[str, Any]]:
    import numpy  # noqa: F401  (loads its library, so that it can be seen)
    import scipy.linalg  # noqa: F401
    from threadpoolctl import threadpool_info

    found = []
    for info in threadpool_info():
        if info["user_api"] == "blas":
            of = "scipy" if "scipy.libs" in info["filepath"] else "numpy" if "numpy" in info["filepath"] else "system"
            found.append(
                {"of": of, "name": info["internal_api"], "version": info["version"], "threads": info["num_threads"]}
            )
    return found


def _fault() -> str | None:
    """What goes wrong with a small program, or None."""
    try:
        import numpy as np

        import tpc

        f = tpc.compile("def f(A: f64[n, n] is spd, b: f64[n]) -> f64[n] = A \\ b")
        result = f([[4.0, 1.0], [1.0, 3.0]], [1.0, 2.0])
        return None if np.allclose(result, [1 / 11, 7 / 11]) else f"the result was {result}"
    except Exception as error:  # whatever it is, it is to be shown
        return f"{type(error).__name__}: {error}".strip()
