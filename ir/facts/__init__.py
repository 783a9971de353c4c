"""Facts: what can be known of a value beside its type, what follows from what, and what a program's nodes have."""

from tpc.ir.facts.analysis import Analysis, analyse
from tpc.ir.facts.checks import satisfies
from tpc.ir.facts.closing import Reason, closure
from tpc.ir.facts.congruence import SHIFT, congruence
from tpc.ir.facts.declared import Problem, check_declared
from tpc.ir.facts.derivation import Derivation
from tpc.ir.facts.inference import COMMUTATIVE, conflicts, derive, require
from tpc.ir.facts.lines import Known, nonnegative_sizes
from tpc.ir.facts.obligations import Broken, Obligation, broken, obligations
from tpc.ir.facts.vocabulary import CONTRADICTIONS, FACTS, IMPLICATIONS, FactKind, fits

__all__ = [
    "COMMUTATIVE",
    "CONTRADICTIONS",
    "FACTS",
    "IMPLICATIONS",
    "SHIFT",
    "Analysis",
    "Broken",
    "Derivation",
    "FactKind",
    "Known",
    "Obligation",
    "Problem",
    "Reason",
    "analyse",
    "broken",
    "check_declared",
    "closure",
    "conflicts",
    "congruence",
    "derive",
    "fits",
    "nonnegative_sizes",
    "obligations",
    "require",
    "satisfies",
]
