"""What is said in the language: adjoints in `linalg.tp`, steps of iterations in `krylov.tp`."""

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
def _module(name: str) -> Checked:
    path = Path(__file__).with_name(f"{name}.tp")
    return check(Source(path.read_text("utf-8"), path.name))


def has(name: str) -> bool:
    return f"{name}_adjoint" in _module("linalg").module.definitions


def applied(name: str, arguments: Sequence[Node]) -> list[Node]:
    """The results of the adjoint of an op for arguments."""
    return called("linalg", f"{name}_adjoint", arguments)


def called(file: str, name: str, arguments: Sequence[Node]) -> list[Node]:
    """The results of a function of the library for arguments; their sizes are its sizes."""
    module = _module(file).module
    definition = module.definitions[name]
    program: Program | None = module.declared(definition, {}, (), [a.tensor for a in arguments])
    if program is None:
        raise InternalError("differentiate", f"{name}: {module.diagnostics.errors[0].title}")
    program = inline(program)  # of the helpers
    return replace(program.outputs, dict(zip(program.inputs, arguments, strict=True)))
