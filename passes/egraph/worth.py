"""Whether a form that a rule gives is worth keeping."""

from __future__ import annotations

from tpc.ir.dims import DimLike
from tpc.passes.egraph.estimate import Estimate
from tpc.passes.egraph.graph import EGraph
from tpc.passes.egraph.terms import Applied, Term

UNUSED = 99  # the depth of classes that were only made to look at them
_STEADY = ("spd", "lower", "upper", "orthogonal")  # matrices whose inverse is applied without loss


def _is_inverse(term: Term) -> bool:
    return isinstance(term, Applied) and term.op.name == "inv"


def _is_of_definite(graph: EGraph, term: Term) -> bool:
    return _is_inverse(term) and graph.knows(term.children[0], "spd")


def _definite_rows(graph: EGraph) -> set[DimLike]:
    """The rows of all definite matrices of which there are inverses."""
    terms = [t for c in graph.classes.values() for t in c.terms if _is_of_definite(graph, t)]
    return {graph.tensor(t.children[0]).dims[-1] for t in terms}


def pays(graph: EGraph, estimate: Estimate, number: int, result: int, first: int, factor: float) -> bool:
    """Whether a form takes not much more work than those that there are, beyond what it takes over from them."""
    if estimate.is_kept(number, result):
        return True
    if estimate.value(result) > factor * estimate.value(number):
        return False
    shared: set[int] = set()
    seen: set[int] = set()
    waiting = [graph.find(result)]
    while waiting:
        here = graph[waiting.pop()]
        known = here.id < first and here.depth != UNUSED
        if known and not any(map(_is_inverse, here.terms)):
            shared.add(here.id)  # (an inverse is applied more often than it is there)
        elif here.id not in seen:
            seen.add(here.id)
            waiting += [c for t in here.terms for c in t.children]
    found = estimate.beyond(result, shared)
    return found <= factor * estimate.least(number) or found <= factor * estimate.beyond(number, shared)


def stays_definite(graph: EGraph, before: Term, result: int, first: int) -> bool:
    """Whether no inverse of a definite matrix gives way to one that must be factored with less certainty.

    It may give way to that of a matrix that is known to be nonsingular, as in Woodbury's formula, unless a definite one
    with as many rows would do.
    """
    terms = [before, *(t for c in before.children for t in graph[c].terms)]
    if not any(_is_of_definite(graph, t) for t in terms):
        return True
    seen: set[int] = set()
    waiting = [graph.find(result)]
    while waiting:
        found = graph[waiting.pop()]
        if found.id in seen or (found.id < first and found.depth != UNUSED):
            continue
        seen.add(found.id)
        inverted = [t.children[0] for t in found.terms if _is_inverse(t)]
        for n in inverted:
            if any(graph.knows(n, fact) for fact in _STEADY):
                continue
            if not graph.knows(n, "nonsingular") or graph.tensor(n).dims[-1] in _definite_rows(graph):
                return False
        waiting += [c for t in found.terms for c in t.children]
    return True


def keep(graph: EGraph, number: int, depth: int) -> None:
    """The classes that were made for a result are looked at in the next round."""
    waiting = [number]
    while waiting:
        found = graph[waiting.pop()]
        if found.depth == UNUSED:
            found.depth = depth
            waiting += [c for t in found.terms for c in t.children]
