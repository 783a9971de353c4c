"""Calibrations as JSON of a fixed form, which is checked field by field when it is read."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tpc.dsl.diagnostics import fail
from tpc.passes.cost.families import FAMILIES, LEVELS
from tpc.passes.cost.fit import Fit
from tpc.passes.cost.machine import Machine, user_cache

FORMAT = 1
MOST = 2_000_000  # bytes of a file
DTYPES = ("f64", "f32")
BACKENDS = ("numpy", "torch")

Key = tuple[str, int, str]  # backend, threads, dtype


@dataclass(frozen=True)
class Calibration:
    """What was measured on a machine: a fit for each kernel, by backend, threads and dtype.

    Attributes
    ----------
    machine
        Where it was measured.
    blas
        The linear algebra libraries of the backends.
    date
        When, as in 2026-05-04.
    spread
        The median over all points of how far the median of the runs was above the least, as a part of it.
    fits
        By backend, threads and dtype, and then by kernel.
    """

    machine: Machine
    blas: tuple[str, ...]
    date: str
    spread: float
    fits: Mapping[Key, Mapping[str, Fit]]


def place() -> Path:
    """The file of the user's calibration: `TPC_PROFILE`, else `profile.json` in tpc's folder of the user's cache."""
    named = os.environ.get("TPC_PROFILE")
    return Path(named) if named else user_cache() / "profile.json"


def text(calibration: Calibration) -> str:
    """A calibration as JSON."""
    return json.dumps(as_json(calibration), indent=1, allow_nan=False) + "\n"


def as_json(calibration: Calibration) -> dict[str, Any]:
    """A calibration as plain data; coefficients of 0 are left out."""
    groups = []
    for (backend, threads, dtype), fits in calibration.fits.items():
        kernels = {
            name: {
                "coefficients": {t: float(f"{c:.4g}") for t, c in zip(FAMILIES[name].terms, f.coefficients) if c > 0},
                "largest": list(f.largest),
                "error": round(f.error, 4),
                "flops_error": round(f.flops_error, 4),
                "points": f.points,
            }
            for name, f in fits.items()
        }
        groups.append({"backend": backend, "threads": threads, "dtype": dtype, "kernels": kernels})
    return {
        "format": FORMAT,
        "date": calibration.date,
        "machine": asdict(calibration.machine),
        "blas": list(calibration.blas),
        "spread": round(calibration.spread, 4),
        "fits": groups,
    }


def joined(earlier: Calibration, later: Calibration) -> Calibration:
    """What was measured later, and besides what was measured earlier of other backends and threads."""
    return replace(later, blas=tuple(dict.fromkeys(later.blas + earlier.blas)), fits={**earlier.fits, **later.fits})


def read(path: Path) -> Calibration:
    """Read and check a calibration.

    Raises
    ------
    TpcError
        E0706 if the file cannot be read, E0708 if it is not of the form of `as_json`; the message names the field.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MOST + 1)
    except OSError as error:
        raise fail("E0706", f"`{path}` cannot be read: {(error.strerror or '').lower()}") from None
    try:
        if len(content) > MOST:
            raise Damage(f"it has more than {MOST} bytes")
        return _calibration(json.loads(content))
    except (Damage, ValueError, RecursionError) as damage:
        why = damage if isinstance(damage, Damage) else "it is not JSON"
        raise fail("E0708", f"`{path}` is no calibration: {why}", help="`tpc calibrate` makes one") from None


class Damage(Exception):
    """What is wrong with a file."""


def _calibration(data: object) -> Calibration:
    top = _fields(data, "it", ("format", "date", "machine", "blas", "spread", "fits"))
    if top["format"] != FORMAT:
        raise Damage(f"`format` is {str(top['format'])[:20]}, not {FORMAT}")
    fits: dict[Key, Mapping[str, Fit]] = {}
    for number, group in enumerate(_list(top["fits"], "fits", 64)):
        where = f"fits[{number}]"
        found = _fields(group, where, ("backend", "threads", "dtype", "kernels"))
        key = (
            _one_of(found["backend"], f"{where}.backend", BACKENDS),
            _integer(found["threads"], f"{where}.threads", 1),
            _one_of(found["dtype"], f"{where}.dtype", DTYPES),
        )
        kernels = _fields(found["kernels"], f"{where}.kernels", tuple(FAMILIES))
        fits[key] = {name: _fit(name, kernels[name], f"{where}.kernels.{name}") for name in FAMILIES}
    if not fits:
        raise Damage("`fits` is empty")
    return Calibration(
        _machine(top["machine"]),
        tuple(_text(b, "blas") for b in _list(top["blas"], "blas", 8)),
        _text(top["date"], "date"),
        _number(top["spread"], "spread"),
        fits,
    )


def _machine(data: object) -> Machine:
    found = _fields(data, "machine", ("cpu", "cores", "features", "caches", "libraries"))
    caches = tuple(_integer(c, "machine.caches", 1) for c in _list(found["caches"], "machine.caches", LEVELS))
    if len(caches) != LEVELS:
        raise Damage(f"`machine.caches` has {len(caches)} levels, not {LEVELS}")
    libraries = found["libraries"]
    if not isinstance(libraries, dict) or len(libraries) > 16:
        raise Damage("`machine.libraries` is no object of versions")
    return Machine(
        _text(found["cpu"], "machine.cpu"),
        _integer(found["cores"], "machine.cores", 1),
        tuple(_text(f, "machine.features") for f in _list(found["features"], "machine.features", 64)),
        caches,
        {_text(k, "machine.libraries"): _text(v, f"machine.libraries.{k}") for k, v in libraries.items()},
    )


def _fit(kernel: str, data: object, where: str) -> Fit:
    family = FAMILIES[kernel]
    found = _fields(data, where, ("coefficients", "largest", "error", "flops_error", "points"))
    coefficients = found["coefficients"]
    if not isinstance(coefficients, dict):
        raise Damage(f"`{where}.coefficients` is no object")
    unknown = [name for name in coefficients if name not in family.terms]
    if unknown:
        raise Damage(f"`{where}.coefficients` has no term `{unknown[0][:40]}`")
    largest = tuple(_integer(size, f"{where}.largest", 1) for size in _list(found["largest"], f"{where}.largest", 8))
    if len(largest) != len(family.sizes):
        raise Damage(f"`{where}.largest` has {len(largest)} sizes, not {len(family.sizes)}")
    prices = tuple(_number(coefficients.get(name, 0.0), f"{where}.coefficients.{name}") for name in family.terms)
    if not any(prices):
        raise Damage(f"`{where}.coefficients` are all 0")
    return Fit(
        prices,
        largest,
        _number(found["error"], f"{where}.error"),
        _number(found["flops_error"], f"{where}.flops_error"),
        _integer(found["points"], f"{where}.points", 1),
    )


# ---- fields


def _fields(data: object, where: str, names: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise Damage(f"`{where}` is no object")
    for name in names:
        if name not in data:
            raise Damage(f"`{where}` lacks `{name}`")
    extra = [name for name in data if name not in names]
    if extra:
        raise Damage(f"`{where}` has an unknown field `{extra[0][:40]}`")
    return data


def _list(data: object, where: str, most: int) -> list[object]:
    if not isinstance(data, list) or len(data) > most:
        raise Damage(f"`{where}` is no list of at most {most}")
    return data


def _text(data: object, where: str) -> str:
    if not isinstance(data, str) or len(data) > 200 or not data.isprintable():
        raise Damage(f"`{where}` is no short text")
    return data


def _one_of(data: object, where: str, allowed: tuple[str, ...]) -> str:
    if data not in allowed:
        raise Damage(f"`{where}` is none of {', '.join(allowed)}")
    return str(data)


def _integer(data: object, where: str, least: int) -> int:
    if isinstance(data, bool) or not isinstance(data, int) or not least <= data < 2**50:
        raise Damage(f"`{where}` is no integer from {least} on")
    return data


def _number(data: object, where: str) -> float:
    if isinstance(data, bool) or not isinstance(data, (int, float)) or not 0 <= data < math.inf:
        raise Damage(f"`{where}` is no finite number from 0 on")
    return float(data)
