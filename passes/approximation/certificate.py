"""What is promised of a value that another one stands for, and how it was shown."""

from __future__ import annotations

from dataclasses import dataclass

SURE, GUARDED, MEASURED, LIKELY, EXACT = "sure", "guarded", "measured", "likely", "exact"


@dataclass(frozen=True)
class Replacement:
    """A constant, and what is stored in its place.

    Attributes
    ----------
    name
        Of the constant, as the program calls it.
    structure, about
        What it is stored as, such as `low rank` and `rank 20 of 512`.
    error
        Relative to its norm, as it is certified.
    bytes, flops
        Before and after: what is stored, and operations of a product with one vector.
    """

    name: str
    structure: str
    about: str
    error: float
    bytes: tuple[int, int]
    flops: tuple[int, int]

    def __str__(self) -> str:
        return f"{self.structure} ({self.about})"


@dataclass(frozen=True)
class Certificate:
    """A budget, and what became of it.

    Attributes
    ----------
    name
        Of the value, as the program calls it.
    budget
        The relative error that is allowed.
    kind
        `sure`: the bound holds, it was computed from the constants themselves. `guarded`: it is computed at each call,
        which takes the exact value where it is above the budget. `likely`: it holds but for a chance of `failure`.
        `measured`: it was seen on the data that the budget names, and nothing is said of other data. `exact`: nothing
        was replaced.
    bound
        What is certified of the relative error, rounding of the certificate included; 0 for an exact value. Of
        `guarded` ones, the bound on random inputs.
    reason
        Why the value stays exact.
    on
        The data that errors were measured on.
    measured
        The error that was seen there, or on random inputs, beside a bound that was composed of others.
    failure
        The chance that the bound does not hold.
    seconds
        Of the program, as predicted, before and after.
    spent
        The constants that were replaced.
    norm
        In which errors are measured.
    """

    name: str
    budget: float
    kind: str
    bound: float = 0.0
    reason: str = ""
    on: str = ""
    measured: float | None = None
    failure: float = 0.0
    seconds: tuple[float, float] = (0.0, 0.0)
    spent: tuple[Replacement, ...] = ()
    norm: str = "frobenius"

    @property
    def within(self) -> str:
        """The budget as the language writes it."""
        norm, on = f" in {self.norm}" * (self.norm != "frobenius"), f" on {self.on}" * bool(self.on)
        return f"within {self.budget:g}{norm}{on}"

    @property
    def is_met(self) -> bool:
        """Whether the certified bound is within the budget."""
        return self.bound <= self.budget

    @property
    def bytes(self) -> tuple[int, int]:
        """What is stored of the constants, before and after."""
        return sum(r.bytes[0] for r in self.spent), sum(r.bytes[1] for r in self.spent)

    @property
    def flops(self) -> tuple[int, int]:
        """Operations of a product of each of the constants with one vector, before and after."""
        return sum(r.flops[0] for r in self.spent), sum(r.flops[1] for r in self.spent)

    @property
    def promise(self) -> str:
        """What is promised, in words."""
        error = f"{self.bound:.2g}"
        match self.kind:
            case "exact":
                return f"exact, since {self.reason}"
            case "sure":
                return f"error at most {error}"
            case "guarded":
                seen = f"{error} on random inputs"
                return f"error at most {self.budget:g}, or the exact value: bounded at each call ({seen})"
            case "likely":
                return f"error at most {error}, but for a chance of {self.failure:.0e}"
        return f"error {error} measured on {self.on}, which says nothing of other data"

    def __str__(self) -> str:
        structures = ", ".join(f"{r.name} {r}" if r.name != self.name else str(r) for r in self.spent)
        return f"{self.name} {self.within}: " + f"{structures}; " * bool(structures) + self.promise
