"""`tpc calibrate`"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import click

from tpc.commands.arguments import json_option
from tpc.console import print_json, progress, talk
from tpc.dsl.diagnostics import TpcError, fail

if TYPE_CHECKING:
    from tpc.passes.cost.calibration import Calibration


@click.command("calibrate")
@click.option("--backend", type=click.Choice(["all", "numpy", "torch"]), default="all", help="What to measure (all).")
@click.option("--threads", type=click.IntRange(1), help="This number of threads (else 1 and one for each core).")
@click.option("-o", "--out", type=click.Path(path_type=Path), metavar="FILE", help="Write to this file.")
@click.option("--quick", is_flag=True, help="Few and small sizes: seconds, not minutes, and worse predictions.")
@json_option
def command(backend: str, threads: int | None, out: Path | None, quick: bool, as_json: bool) -> int:
    """Measure how fast this machine is, so that choices between formulas are right on it.

    Times each kernel that programs are made of on a few hundred sizes, for one thread and for all cores, which takes
    about a minute for each backend and number of threads. Keep the machine idle meanwhile: if repeated runs differ
    too much, nothing is written.
    """
    from tpc.backends import backend as backend_of
    from tpc.passes.cost.calibrate import Unsteady, calibrate
    from tpc.passes.cost.calibration import joined, place, text
    from tpc.passes.cost.machine import cores
    from tpc.results import write_text
    from tpc.settings import missing

    has_torch = find_spec("torch") is not None
    if backend == "torch" and not has_torch:
        raise missing("torch")
    backends = [name for name in ("numpy", "torch") if backend in ("all", name) and (name != "torch" or has_torch)]
    if threads is not None and threads > cores():
        raise click.UsageError(f"--threads {threads}: this machine has {cores()} core{'s' * (cores() > 1)}")
    path = out or place()
    _make_folder(path)
    try:
        counts = [threads] if threads else sorted({1, cores()})
        helpers = {name: {**backend_of(name).helpers(), **_native(name)} for name in backends}
        found = None
        for count in counts:
            with _threads(count):
                part = calibrate(backends, [count], helpers, quick, progress)
            found = part if found is None else joined(found, part)
        assert found is not None
    except Unsteady as unsteady:
        if as_json:
            print_json(False, path=None, reason=str(unsteady))
        else:
            talk(f"nothing is written: {unsteady}; try again when the machine is idle")
        return 1
    write_text(path, text(_with_earlier(found, path)))
    if as_json:
        print_json(True, path=str(path), machine=str(found.machine), spread=found.spread, fits=_fits(found))
        return 0
    click.echo(_table(found))
    talk(f"wrote {path}")
    return 0


def _native(backend: str) -> dict[str, Callable[..., object]]:
    """The helpers of a backend that native code takes the place of, where it can."""
    if backend != "numpy" or find_spec("llvmlite") is None:
        return {}
    from tpc.backends.llvm.sparse import NATIVE

    return NATIVE


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Within it native code takes so many threads."""
    if find_spec("llvmlite") is None:
        yield
        return
    from tpc.backends.llvm.engine import set_threads

    set_threads(count)
    try:
        yield
    finally:
        set_threads(None)


def _make_folder(path: Path) -> None:
    """Before the work, not after it; and see that the file can be written there."""
    if path.is_dir():
        raise fail("E0712", f"`{path}` is a folder", help=f"name a file in it, such as {path / 'profile.json'}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        problem = f"`{path.parent}` cannot be made: {(error.strerror or '').lower()}"
    else:
        problem = "" if os.access(path.parent, os.W_OK) else f"nothing can be written to `{path.parent}`"
    if problem:
        raise fail("E0712", problem, help="name a file in a folder of yours")


def _with_earlier(found: Calibration, path: Path) -> Calibration:
    """Besides, what the file holds of other backends and threads of the same machine."""
    from tpc.passes.cost.calibration import joined, read

    try:
        earlier = read(path)
    except TpcError:  # there is none, or it is of no use
        return found
    return joined(earlier, found) if earlier.machine == found.machine else found


def _fits(found: Calibration) -> list[dict[str, object]]:
    return [
        {
            "backend": backend,
            "threads": threads,
            "dtype": dtype,
            "errors": {name: round(fit.error, 4) for name, fit in fits.items()},
        }
        for (backend, threads, dtype), fits in found.fits.items()
    ]


def _table(found: Calibration) -> str:
    """Errors on sizes that had no part in the fit, by kernel."""
    keys = list(found.fits)
    heads = [f"{backend} {dtype} x{threads}" for backend, threads, dtype in keys]
    rows = [f"{'error on other sizes':22}" + "".join(f"{head:>15}" for head in heads)]
    for name in found.fits[keys[0]]:
        rows.append(f"{name:22}" + "".join(f"{found.fits[key][name].error:15.0%}" for key in keys))
    middle = [median(fit.error for fit in found.fits[key].values()) for key in keys]
    rows.append(f"{'median':22}" + "".join(f"{value:15.0%}" for value in middle))
    return "\n".join(rows)
