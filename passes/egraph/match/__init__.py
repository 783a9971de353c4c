"""Patterns against classes of an e-graph."""

from tpc.passes.egraph.match.entries import Rest
from tpc.passes.egraph.match.matcher import Matcher

__all__ = ["Matcher", "Rest"]
