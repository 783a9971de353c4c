"""Predicted seconds of a kernel on this machine, as the optimizer asks for them."""

from __future__ import annotations

import os
from copy import copy
from functools import cache
from pathlib import Path

from tpc.dsl.diagnostics import TpcError
from tpc.ir.types import DType
from tpc.passes.cost.calibration import Calibration, place, read
from tpc.passes.cost.families import FAMILIES, SMALL, Family
from tpc.passes.cost.fit import Fit, predicted
from tpc.passes.cost.machine import cores, this_machine

SHIPPED = Path(__file__).with_name("profile.json")
BEYOND = 2  # times the largest calibrated size, from where a prediction is an extrapolation
REMEMBERED = 100_000
LEAST = 5e-8  # seconds of a line of Python that calls something

# Products that only floating point has libraries for; others run as plain loops.
PRODUCTS = ("gemm", "syrk", "gemv", "gevm", "dot", "trmm", "trmv")

# What nothing else describes is priced like passes over arrays.
OTHER = Family(
    ("flops", "bytes"), lambda flops, bytes: flops, lambda flops, bytes: bytes, threshold=SMALL, in_bytes=True
)


class Profile:
    """Prices of kernels for one backend and number of threads.

    Attributes
    ----------
    backend, threads
        What the prices are of; those calibrated that are nearest to what was asked for.
    is_shipped
        Whether they come with tpc, and so from another machine than this, as it may be.
    machine
        Where they were measured, in words.
    """

    def __init__(
        self, calibration: Calibration, backend: str, threads: int, is_shipped: bool, notes: tuple[str, ...] = ()
    ) -> None:
        available = sorted(t for b, t, _ in calibration.fits if b == backend)
        fewer = [t for t in available if t <= threads]
        self.backend = backend
        self.threads = fewer[-1] if fewer else available[0]
        self.is_shipped = is_shipped
        self.machine = str(calibration.machine)
        self._caches = calibration.machine.caches
        self._fits = {d: calibration.fits[b, t, d] for b, t, d in calibration.fits if (b, t) == (backend, self.threads)}
        self._notes = dict.fromkeys(notes)
        if self.threads != threads:
            self._notes[f"times for {threads} threads are those measured with {self.threads}"] = None
        self._extrapolated: dict[str, None] = {}
        self._known: dict[tuple[str, tuple[int, ...], DType, int], float] = {}

    def anew(self) -> Profile:
        """The same prices, with nothing said yet of the predictions made by them."""
        other = copy(self)
        other._extrapolated, other._known = {}, {}
        return other

    @property
    def warnings(self) -> tuple[str, ...]:
        """Why predictions may be off, those made so far among the reasons."""
        return (*self._notes, *self._extrapolated)

    def seconds(self, kernel: str, sizes: tuple[int, ...], dtype: DType, batch: int = 1) -> float:
        """Predicted seconds of one kernel, the call from Python included.

        Parameters
        ----------
        kernel
            A name in `FAMILIES`, or `other`.
        sizes
            Its sizes in the order of the family, from 0 on.
        dtype
            The format of its numbers. Complex ones take four times the operations of the real ones.
        batch
            How many such matrices there are.

        Returns
        -------
        float
            Positive and finite.
        """
        key = (kernel, sizes, dtype, batch)
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            found = self._known[key] = self._predict(kernel, sizes, dtype, batch)
        return found

    def error(self, kernel: str, dtype: DType) -> float:
        """The mean relative error of a kernel's predictions on sizes that had no part in its fit."""
        return self._fit(kernel, dtype).error

    def _fit(self, kernel: str, dtype: DType) -> Fit:
        fits = self._fits["f64" if dtype.size // (2 if dtype.kind == "c" else 1) == 8 else "f32"]
        return fits["elementwise" if kernel == "other" else kernel]

    def _predict(self, kernel: str, sizes: tuple[int, ...], dtype: DType, batch: int) -> float:
        family = OTHER if kernel == "other" else FAMILIES[kernel]
        if kernel in PRODUCTS and (dtype.kind not in "fc" or dtype.name == "f16"):
            sizes = (int(family.flops(*sizes)), int(family.entries(*sizes)) * dtype.size)
            kernel, family = "einsum", FAMILIES["einsum"]
        fit = self._fit(kernel, dtype)
        if any(size > BEYOND * most for size, most in zip(sizes, fit.largest)) and kernel != "other":
            named = ", ".join(f"{name} = {most}" for name, most in zip(family.sizes, fit.largest))
            said = f"`{kernel}` was calibrated up to {named}; beyond twice that its times are extrapolated"
            self._extrapolated[said] = None
        terms = family.values(sizes, batch, dtype.size, self._caches, 4 if dtype.kind == "c" else 1)
        return max(LEAST, predicted(fit.coefficients, terms))


def profile(backend: str = "numpy", threads: int | None = None) -> Profile:
    """The prices to decide by: of the user's calibration where there is one for this machine, else those shipped.

    Parameters
    ----------
    backend
        `numpy` or `torch`; others are priced as `numpy`.
    threads
        Those of linear algebra; by default one for each core.

    Returns
    -------
    Profile
        Its `warnings` say where the prices are not of this machine.
    """
    chosen = backend if backend == "torch" else "numpy"
    calibration, is_shipped, notes = _calibration(chosen, place(), "TPC_PROFILE" in os.environ)
    return Profile(calibration, chosen, threads or cores(), is_shipped, notes)


@cache
def _calibration(backend: str, path: Path, is_named: bool) -> tuple[Calibration, bool, tuple[str, ...]]:
    """A calibration, whether it is the shipped one, and what is to be said of it."""
    notes = []
    if path.exists() or is_named:
        try:
            found = read(path)
        except TpcError as error:
            notes.append(f"{error.diagnostics[0].title}; the shipped profile is used")
        else:
            differences = found.machine.differences(this_machine(), backend)
            is_here = found.machine.cpu == this_machine().cpu and found.machine.cores == this_machine().cores
            if not any(b == backend for b, _, _ in found.fits):
                notes.append(f"`{path}` has no times for {backend}; the shipped profile is used")
            elif is_here or is_named:
                notes += [f"`{path}` was made elsewhere: {d}" for d in differences]
                return found, False, tuple(notes)
            else:
                notes.append(f"`{path}` was made elsewhere: {differences[0]}; the shipped profile is used")
    shipped = read(SHIPPED)
    here = not shipped.machine.differences(this_machine(), backend)
    advice = "run `tpc calibrate` to measure this machine"
    notes.append(f"times are those shipped with tpc, measured on {shipped.machine}" + ("" if here else f"; {advice}"))
    return shipped, True, tuple(notes)
