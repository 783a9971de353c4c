"""What was compiled held against what was written: the plan as mathematics, and the results of a call as numbers."""

from tpc.verification.approximated import check_variants
from tpc.verification.plans import PlanCheck, check_plan, check_plans
from tpc.verification.results import verify_results

__all__ = ["PlanCheck", "check_plan", "check_plans", "check_variants", "verify_results"]
