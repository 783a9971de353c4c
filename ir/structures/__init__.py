"""The structures that every program can name, as definitions in the language (`definitions.tp`)."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from tpc.dsl import syntax
from tpc.ir.elaborate.parts import function_of
from tpc.ir.library import parsed

FILE = Path(__file__).with_name("definitions.tp")


@cache
def standard() -> dict[str, syntax.Def]:
    """The structures by name, each as the function from its parts to the dense matrix."""
    return {item.name.name: function_of(item) for item in parsed(FILE) if isinstance(item, syntax.Structure)}
