"""A stage of a function, as a function: what is computed ahead of calls, or what is left for each of them."""

from __future__ import annotations

from collections.abc import Sequence

from tpc.function import Function, Parameter
from tpc.ir.build import literal_value
from tpc.ir.dims import names_of
from tpc.ir.node import Program
from tpc.ir.notes import Notes
from tpc.ir.types import TensorType

BEGIN = "schedule"  # the pass that a plan goes on with when it has been split


class Stage(Function):
    """A program that was chosen, to be called by itself.

    Parameters
    ----------
    whole
        The function that it is a stage of.
    program
        The stage.
    notes
        Those of its values.
    """

    def __init__(self, whole: Function, program: Program, notes: Notes) -> None:
        super().__init__(whole.module, whole.definition)
        self.name, self.program, self._notes = whole.name, program, notes
        self._parameters = tuple(self._declared(whole, program))

    @staticmethod
    def _declared(whole: Function, program: Program) -> Sequence[Parameter]:
        """The inputs as parameters, those of the function with their places and defaults."""
        known = {p.name: p for p in whole.parameters}
        defaults = {name: literal_value(value) for name, value in program.defaults}
        found = []
        for node in program.inputs:
            name, type = node["name"], node.tensor
            span = known[name].span if name in known else whole.span
            found.append(
                Parameter(
                    *(name, f"{name}: {type}", span, True, type.dtype, type.rank, False, defaults.get(name)),
                    whole=known[name].whole if name in known else "",
                )
            )
        return found

    @property
    def notes(self) -> Notes:
        return self._notes

    def begin(self, program: Program) -> str | None:
        return BEGIN if program is self.program else None

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return self._parameters

    @property
    def size_names(self) -> tuple[str, ...]:
        names = {name for node in self.program.inputs for dim in node.tensor.dims for name in names_of(dim)}
        return tuple(sorted(names))

    @property
    def source_text(self) -> str:
        return str(self.program)

    def generic(self, batch_rank: int = 1) -> Program:
        return self.program

    def instance(self, types: Sequence[TensorType]) -> Program:
        return self.program
