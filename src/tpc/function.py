"""A function of a checked program, from outside: its parameters, and its program for the arguments of a call."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from tpc.dsl import syntax
from tpc.dsl.diagnostics import Diagnostics, Label, TpcError, fail
from tpc.dsl.format import format_type
from tpc.dsl.source import Span
from tpc.ir.build import literal_value
from tpc.ir.dims import named
from tpc.ir.elaborate.expression import evaluate_node
from tpc.ir.elaborate.module import Checked, ModuleScope
from tpc.ir.elaborate.scope import Frame, suggestion
from tpc.ir.elaborate.types import size_names
from tpc.ir.node import Program
from tpc.ir.notes import Notes
from tpc.ir.ops.structure import CONSTANT
from tpc.ir.types import DTYPES, DType, TensorType
from tpc.memory import parse_amount


@dataclass(frozen=True, slots=True)
class Parameter:
    """What is declared of an argument. `rank` leaves out batch axes; without a type it is None, as is the dtype.

    `whole` is the structured parameter that it is a part of.
    """

    name: str
    text: str
    span: Span
    typed: bool
    dtype: DType | None = None
    rank: int | None = None
    batched: bool = False
    default: bool | int | float | complex | None = None
    whole: str = ""


class Function:
    """A function by name, in a checked program."""

    def __init__(self, module: ModuleScope, definition: syntax.Def) -> None:
        self.module = module
        self.definition = definition
        self.name = definition.name.name
        self.span = definition.name.span
        self._instances: dict[tuple[object, ...], Program] = {}

    def elaborated(self) -> Function:
        """The function with its program; itself, unless it was recalled from the cache."""
        return self

    @property
    def notes(self) -> Notes:
        """What the user called the values of its programs, and where they come from."""
        return self.module.notes

    def begin(self, program: Program) -> str | None:
        """The pass that a program of it has come to; None for one as it was written."""
        return None

    def identity(self, program: Program) -> str:
        """What tells a program of this function from all others: its text, with names, and the data it was given."""
        from tpc.ir.text import program_text

        constants = sorted({n["data"].digest for n in program.walk() if n.op is CONSTANT})
        text = "\n".join([program_text(program, self.notes.names), *constants])
        return hashlib.sha256(text.encode()).hexdigest()

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        return tuple(self._parameter(p) for p in self.definition.parameters)

    @cached_property
    def size_names(self) -> tuple[str, ...]:
        """The names of sizes in its signature."""
        return tuple(size_names([p.type for p in self.definition.parameters]))

    @cached_property
    def memory(self) -> int | None:
        """Bytes that it may hold, where the line above it says so.

        Raises
        ------
        TpcError
            E1004 if that is no amount.
        """
        amount = self.module.budgets.get(self.name)
        if amount is None:
            return None
        try:
            return parse_amount(amount.value)
        except ValueError as error:
            raise fail("E1004", f"`@memory`: {error}", Label(amount.span)) from None

    def check_sizes(self, dims: Mapping[str, int]) -> None:
        """Refuse sizes that the signature does not name. Raises TpcError (E0806)."""
        check_sizes(self.name, self.size_names, dims)

    @property
    def signature(self) -> str:
        """Such as `gls(X: f64[n, m], y: f64[n])`."""
        return f"{self.name}({', '.join(p.text for p in self.parameters)})"

    @property
    def is_generic(self) -> bool:
        """Whether the types of all parameters are written, so that it has a program before any call."""
        return all(p.typed for p in self.parameters)

    @property
    def source_text(self) -> str:
        """The function as the user wrote it."""
        return self.definition.span.text

    def _parameter(self, written: syntax.Parameter) -> Parameter:
        default = None
        if written.default is not None:
            node = evaluate_node(Frame(self.module, Diagnostics()), written.default)
            default = None if node is None else literal_value(node)
        name, type = written.name.name, written.type
        if type is None:
            return Parameter(name, name, written.span, False, default=default)
        fixed = [d for d in type.dims if not isinstance(d, syntax.Dots)]
        dtype = DTYPES[type.dtype.name] if type.dtype is not None else None
        text = f"{name}: {format_type(type)}"
        whole = written.whole.name if written.whole is not None else ""
        return Parameter(name, text, written.span, True, dtype, len(fixed), len(fixed) < len(type.dims), default, whole)

    def generic(self, batch_rank: int = 1) -> Program:
        """The program for the declared types.

        Raises
        ------
        TpcError
            E0801 if a parameter has no type.
        """
        untyped = next((p for p in self.parameters if not p.typed), None)
        if untyped is not None:
            raise fail(
                "E0801",
                f"`{self.name}` has no program before it is called, since `{untyped.name}` has no type",
                untyped.span,
                help="call it first, or give the parameters types",
            )
        return self._checked(self.module.generic(self.definition, batch_rank))

    def instance(self, types: Sequence[TensorType]) -> Program:
        """The program for arguments of these types; of the dims only the number matters where a type is declared.

        Raises
        ------
        TpcError
            If the function does not hold together for these types.
        """
        key = self._key(types)
        if key not in self._instances:
            self._instances[key] = self._instance(types)
        return self._instances[key]

    def _key(self, types: Sequence[TensorType]) -> tuple[object, ...]:
        return tuple((t.dtype, t.rank) if p.typed else t for t, p in zip(types, self.parameters, strict=True))

    def _instance(self, types: Sequence[TensorType]) -> Program:
        if self.is_generic:
            ranks = {t.rank - (p.rank or 0) for t, p in zip(types, self.parameters) if p.batched}
            if all(p.dtype is not None for p in self.parameters) and len(ranks) < 2:
                return self.generic(max(ranks, default=1))
        sizes = {name: named(name) for name in self.size_names}
        extra = max((t.rank - (p.rank or 0) for t, p in zip(types, self.parameters) if p.batched), default=0)
        batch = tuple(named(f"batch{extra - k}") for k in range(extra))
        return self._checked(self.module.declared(self.definition, dict(sizes), batch, list(types)))

    def _checked(self, program: Program | None) -> Program:
        if program is None:
            raise TpcError(self.module.diagnostics.errors)
        return program


def choose(checked: Checked, name: str | None) -> Function:
    """A function of a program: the one with this name, or the one that is meant where none is named.

    Raises
    ------
    TpcError
        E0813 if there is none.
    """
    module = checked.module
    chosen = name if name is not None else checked.default()
    if chosen is None or chosen not in module.definitions:
        close = suggestion(chosen or "", module.definitions)
        listed = ", ".join(f"`{n}`" for n in module.order) or "none"
        raise fail(
            "E0813",
            f"there is no function `{chosen}` in this program",
            help=f"did you mean `{close}`?" if close else f"its functions are: {listed}",
        )
    return Function(module, module.definitions[chosen])


def check_sizes(whose: str, names: Sequence[str], dims: Mapping[str, int]) -> None:
    """Refuse sizes that are not among these names. Raises TpcError (E0806)."""
    for name in dims:
        if name not in names:
            close = suggestion(name, names)
            listed = ", ".join(names) or "none"
            help = f"did you mean {close}?" if close else f"its sizes are: {listed}"
            raise fail("E0806", f"`{whose}` has no size {name}", help=help)
