"""Loops in segments, where a program that differentiates them does not fit into its budget otherwise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from tpc.ir.node import Program
from tpc.ir.ops.structure import DERIVATIVE, REPEAT, SCAN
from tpc.passes.rematerialise.refusal import OverBudget

if TYPE_CHECKING:
    from tpc.passes.pipeline import Options

Made = TypeVar("Made")
LEVELS = (2, 3)  # square and cube roots of the number of passes


def with_segments(program: Program, options: Options, make: Callable[[Options], Made]) -> Made:
    """What is made of a program under the budget of the options, with as few levels of segments as fit.

    Sums over passes are taken segment by segment, which changes last digits; so mode `bitwise` has no segments.

    Raises
    ------
    OverBudget
        That of the plan that holds least, if none fits.
    """
    try:
        return make(options)
    except OverBudget as error:
        refused = error
    if options.levels > 1 or options.mode == "bitwise" or not _differentiates_loops(program):
        raise refused
    for levels in LEVELS:
        try:
            return make(replace(options, levels=levels))
        except OverBudget as error:
            refused = min(refused, error, key=lambda found: found.least)
    raise refused


def _differentiates_loops(program: Program) -> bool:
    ops = {node.op for node in program.walk()}
    return DERIVATIVE in ops and not ops.isdisjoint((SCAN, REPEAT))
