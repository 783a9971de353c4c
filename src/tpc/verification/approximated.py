"""Plans whose budgets for errors were spent: what was replaced has a certificate, all else must be equal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tpc.ir.node import Program
from tpc.passes.guard import settled
from tpc.verification.plans import PlanCheck, check_plans, weakest

if TYPE_CHECKING:
    from tpc.passes.variants import Variants


def check_variants(written: Program, found: Variants, fixed: Mapping[str, int]) -> PlanCheck:
    """Check the plans of a program: the one before budgets are spent, and then those that are made of what comes of it.

    Raises
    ------
    InternalError
        If one of them is not what it must be.
    """
    plans = [variant.plan.program for variant in found.plans]
    approximated = found.plans[0].plan.approximated
    if approximated is None:
        return check_plans(written, plans, fixed)
    checks = [check_plans(written, [approximated.exact], fixed)]
    for holds in (True, False):
        meant = settled(approximated.program, holds)
        checks.append(check_plans(meant, [settled(plan, holds) for plan in plans], fixed))
    return weakest(checks)
