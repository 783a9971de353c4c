"""Systems that are solved by steps without being asked for, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from tpc.ir.dims import dim_text, substitute

if TYPE_CHECKING:
    from tpc.passes.pipeline import Plan


def by_steps(plan: Plan, sizes: Mapping[str, int]) -> Iterator[str]:
    """A sentence for each matrix; the most steps are a number where sizes are known."""
    for taken in plan.iterated.taken if plan.iterated is not None else ():
        name = plan.notes.names.get(taken.node, "a system")
        by = f", preconditioned by {taken.precond}" if taken.precond else ""
        most = dim_text(substitute(taken.steps, sizes))
        other = "else, and if that is not reached, directly" if taken.direct else "else the program stops"
        proof = f"where bounds of the eigenvalues say that {most} steps are enough"
        if taken.method == "refinement":
            by, proof = f" of {taken.precond}", "where its condition allows it"
        if taken.method == "LSQR":
            proof = f"in {most} steps at most, where its condition is below a million"
        yield f"{name}: {taken.method}{by}, to a residual of the size of rounding, {proof}; {other}"
