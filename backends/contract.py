"""What a backend promises.

1. `emit(program)` gives a module of Python source that can be saved, read and imported without tpc. It holds one
   function with the program's inputs as parameters, in order. Sizes that no input's shape tells are keyword-only
   parameters. The function gives one array, or a tuple where the program has several results.
2. Equal programs (with equal names) give equal source, byte for byte.
3. `load(emitted)` gives that function, run in this process. Nothing is executed that `guard` does not let pass.
4. A result has the type that the program states: its dims and its dtype (weak dtypes are i64, f64 and c128). It is
   the value that the reference interpreter gives, up to rounding in the formats of the program and up to what the
   op's `gauge` leaves open. It shares no memory with an argument or a constant, and no argument is changed.
5. A shape that does not fit raises ValueError and names the argument; a position outside of an array raises
   IndexError; a matrix that breaks the promise of its op (singular, not positive definite) raises LinAlgError and
   names the value. None of them comes out as NaN.
6. An op is said in the backend's table, or expanded by its formula; what has neither is no op of the language.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from tpc.ir.build import input_node
from tpc.ir.dims import named
from tpc.ir.node import Node, Program
from tpc.ir.text import program_of, program_text
from tpc.ir.types import BOOL, TensorType

if TYPE_CHECKING:
    from tpc.backends.choice import Alternative


TOLD = "told_by_no_other"


@dataclass(frozen=True)
class Region:
    """A function of a module that can be native: what it means (a program, or its text, read when it is needed), its
    parameters, those that are sizes, and whether native code may do all that holds in exact arithmetic."""

    meaning: Program | str
    parameters: tuple[str, ...]
    sizes: Mapping[str, str]
    fast: bool = False

    @cached_property
    def program(self) -> Program:
        if not isinstance(self.meaning, str):
            return self.meaning
        read = program_of(self.meaning)
        inputs = read.inputs[:-1] if self.sizes else read.inputs
        return read.replace(inputs=inputs, where=())  # what reading adds is checked by the caller

    @cached_property
    def text(self) -> str:
        """The program as text, with a last parameter that has the sizes which no other one tells."""
        if isinstance(self.meaning, str):
            return self.meaning
        told = [input_node(TOLD, TensorType(BOOL, tuple(map(named, self.sizes))))] if self.sizes else []
        return program_text(self.meaning.replace(inputs=(*self.meaning.inputs, *told)))


@dataclass(frozen=True)
class Head:
    """How the function of a module starts: with statements that check arguments and find sizes, then with those that
    bring numbers into their formats; and the variables of the sizes, by the names of these."""

    checks: int = 0
    formats: int = 0
    sizes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Emitted:
    """A module of source, and what is needed to run it in this process."""

    source: str
    function: str
    parameters: tuple[str, ...]
    sizes: Mapping[str, str] = field(default_factory=dict)  # sizes to be given at a call -> keyword
    constants: Mapping[str, Any] = field(default_factory=dict)  # global name -> array
    origins: Mapping[str, Node] = field(default_factory=dict)  # global name -> the constant of the program
    natives: Mapping[str, Region] = field(default_factory=dict)  # functions of it that have native code
    whole: tuple[str, ...] = ()  # those that are all of the program, one for each plan, if each has one
    head: Head = Head()


class Backend(Protocol):
    """A way to run programs."""

    @property
    def name(self) -> str: ...

    def emit(self, program: Program, names: Mapping[Node, str] | None = None, *, tight: bool = False) -> Emitted:
        """The program as source; `names` are the user's names for values.

        Where it is `tight`, no more is held at a step than was planned: each array has a line of its own, in the
        order of the program, and is let go behind its last use.

        Raises
        ------
        TpcError
            If a part of the language is met that cannot be run yet (E1001).
        """
        ...

    def emit_choice(self, alternatives: Sequence[Alternative]) -> Emitted:
        """Several plans of one program as a module whose function takes the fastest of them at the sizes of a call."""
        ...

    def constant(self, node: Node) -> Any:
        """A constant of a program as `Emitted.constants` holds it."""
        ...

    def helpers(self) -> Mapping[str, Callable[..., Any]]:
        """The functions that emitted modules may carry with them, by name."""
        ...

    def load(self, emitted: Emitted) -> Callable[..., Any]:
        """The function that an emitted module holds.

        Raises
        ------
        InternalError
            If the source holds anything that is not allowed.
        """
        ...
