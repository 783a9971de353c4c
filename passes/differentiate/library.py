"""Adjoints that are said in the language, in `linalg.tp`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from tpc.dsl.diagnostics import InternalError
from tpc.dsl.source import Source
from tpc.ir.elaborate.module import Checked, check
from tpc.ir.node import Node, Program
from tpc.ir.rewrite import replace
from tpc.passes.inline import inline


@cache
def _module() -> Checked:
    path = Path(__file__).with_name("linalg.tp")
    return check(Source(path.read_text("utf-8"), path.name))


def has(name: str) -> bool:
    return f"{name}_adjoint" in _module().module.definitions


def applied(name: str, arguments: Sequence[Node]) -> list[Node]:
    """The results of a function of the library for arguments; their sizes are its sizes."""
    module = _module().module
    definition = module.definitions[f"{name}_adjoint"]
    program: Program | None = module.declared(definition, {}, (), [a.tensor for a in arguments])
    if program is None:
        raise InternalError("differentiate", f"{name}: {module.diagnostics.errors[0].title}")
    program = inline(program)  # of the helpers
    return replace(program.outputs, dict(zip(program.inputs, arguments, strict=True)))
