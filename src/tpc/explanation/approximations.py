"""What became of the budgets of a program, in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from tpc.explanation.words import ratio, seconds_text
from tpc.memory import amount

if TYPE_CHECKING:
    from tpc.passes.approximation.certificate import Certificate, Replacement


def sentences(certificates: Sequence[Certificate]) -> Iterator[str]:
    """A line for each budget with what is promised, and one for each constant that was replaced."""
    for found in certificates:
        yield f"{found.name} {found.within}: {found.promise}"
        yield from (f"  {_replacement(r)}" for r in found.spent)
        if found.measured is not None and found.kind != "measured":
            yield f"  error measured on random inputs: {found.measured:.2g}"
        before, after = found.seconds
        if before and found.spent:
            yield f"  predicted time of the program: {seconds_text(before)} exact, {seconds_text(after)} with it"


def _replacement(found: Replacement) -> str:
    (held, holds), (did, does) = found.bytes, found.flops
    return (
        f"{found.name}: {found.structure}, {found.about}, off by {found.error:.2g}; "
        f"{amount(held)} stored as {amount(holds)}, {ratio(did, does)} fewer operations"
    )


def record(certificates: Sequence[Certificate]) -> list[dict[str, Any]]:
    """The certificates as JSON."""
    return [{**asdict(found), "promise": found.promise} for found in certificates]
