"""Functions that every program can name, as definitions in the language, and how such files are read.

estimators.tp        traces, diagonals and log-determinants from products, with their standard errors; scores of rows
preconditioners.tp   matrices for `solve(A, b, precond=...)`, which are never formed there
recurrences.tp       trees and tridiagonal matrices, in one or two passes over their numbers
sketches.tp          rows of a matrix, mixed or chosen by chance, that say much of all of them
statistics.tp        covariances, correlations, quantiles

Structures are in `tpc.ir.structures`; passes keep files of their own, which they call by `tpc.passes.library`.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from tpc.dsl import syntax
from tpc.dsl.diagnostics import Diagnostics
from tpc.dsl.parser import parse
from tpc.dsl.source import Source

FILES = ("estimators.tp", "preconditioners.tp", "recurrences.tp", "sketches.tp", "statistics.tp")


def read(file: Path) -> Source:
    """The text of a file of the package."""
    return Source(file.read_text("utf-8"), file.name)


def parsed(file: Path) -> tuple[syntax.Item, ...]:
    """What a file of the package defines."""
    diagnostics = Diagnostics()
    module = parse(read(file), diagnostics)
    diagnostics.raise_errors()
    return tuple(module.items)


@cache
def functions() -> dict[str, syntax.Def]:
    """The functions by name."""
    items = (item for name in FILES for item in parsed(Path(__file__).with_name(name)))
    return {item.name.name: item for item in items if isinstance(item, syntax.Def)}
