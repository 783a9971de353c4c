"""Functions of the language that the compiler itself calls, from files of the package."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from tpc.dsl import syntax
from tpc.dsl.diagnostics import InternalError, TpcError
from tpc.dsl.source import Span
from tpc.ir.elaborate.match import match_arguments
from tpc.ir.elaborate.module import Checked, check
from tpc.ir.elaborate.scope import Frame
from tpc.ir.library import read
from tpc.ir.node import Node
from tpc.ir.rewrite import replace
from tpc.passes.inline import inline


class Library:
    """The functions of one text, which is read when the first of them is asked for."""

    def __init__(self, file: Path) -> None:
        self.file = file

    @cached_property
    def _checked(self) -> Checked:
        return check(read(self.file))

    def __contains__(self, name: str) -> bool:
        return name in self._checked.module.definitions

    def called(self, name: str, arguments: Sequence[Node]) -> list[Node]:
        """The results of a function for arguments; its sizes are theirs.

        Raises
        ------
        TpcError
            If they do not fit its parameters.
        """
        module = self._checked.module
        definition = module.definitions[name]
        frame = Frame(module, module.diagnostics)
        place = Span(definition.span.source, definition.span.start, definition.span.start)
        given = [(a, syntax.Name(place, p.name.name)) for a, p in zip(arguments, definition.parameters, strict=True)]
        before = len(module.diagnostics.items)
        sizes, rank = match_arguments(frame, definition, given)
        if sizes is None:
            faults = module.diagnostics.items[before:]
            del module.diagnostics.items[before:]
            raise TpcError(faults)
        batch = tuple(sizes[f"batch{rank - k}"] for k in range(rank))
        program = module.declared(definition, sizes, batch, [a.tensor for a in arguments])
        if program is None:
            raise InternalError("library", f"{name}: {module.diagnostics.errors[0].title}")
        program = inline(program)
        return replace(program.outputs, dict(zip(program.inputs, arguments, strict=True)))
