"""A file and what it uses: its functions and constants, checked, and elaborated as they are needed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import zip_longest

from tpc.dsl import syntax
from tpc.dsl.diagnostics import Diagnostic, Diagnostics, Label, TpcError, diagnostic
from tpc.dsl.parser import parse
from tpc.dsl.source import Source, Span
from tpc.ir.arrays import type_of_array
from tpc.ir.build import cast, make
from tpc.ir.dims import DimLike, named, substitute
from tpc.ir.elaborate.declared import fits
from tpc.ir.elaborate.expression import evaluate_node
from tpc.ir.elaborate.files import Files, NoFiles
from tpc.ir.elaborate.function import assigned_in_text, build
from tpc.ir.elaborate.hints import misplaced_fact
from tpc.ir.elaborate.match import abstract, equalities, match_arguments
from tpc.ir.elaborate.parts import expanded, function_of
from tpc.ir.elaborate.scope import Frame, FunctionValue, Value
from tpc.ir.elaborate.types import facts_of, holds, size_names, type_of
from tpc.ir.library import functions
from tpc.ir.node import Constraint, Fact, Node, Program
from tpc.ir.notes import Notes, name_node
from tpc.ir.ops.structure import CONSTANT
from tpc.ir.structures import standard
from tpc.ir.types import DTYPES, DType, TensorType


@cache
def library_names() -> tuple[str, ...]:
    """The names that can be called without being defined."""
    from tpc.ir.elaborate.derivatives import KINDS
    from tpc.ir.ops import OPS

    ops = (n for n, op in OPS.items() if op.group != "structure")
    return (*ops, *KINDS, *standard(), *functions(), "rows", "cols", "size", "len", "stale")


class ModuleScope:
    """The functions and constants that a program can name."""

    def __init__(self, files: Files) -> None:
        self.files = files
        self.diagnostics = Diagnostics()
        self.definitions: dict[str, syntax.Def] = {}
        self.budgets: dict[str, syntax.String] = {}  # bytes that functions may hold, as they are written
        self.constants: dict[str, syntax.Const] = {}
        self.order: list[str] = []
        self.notes = Notes()
        self.constant_facts: dict[Node, tuple[Fact, ...]] = {}
        self._constant_values: dict[str, Node | None] = {}
        self._defining: list[str] = []  # constants whose values are being found
        self._instances: dict[tuple[object, ...], Program | None] = {}
        self._instance_names: dict[str, int] = {}
        self._building: list[syntax.Def] = []
        self.structured: dict[Program, str] = {}  # what structures are functions of their parts, by name
        self._told: set[tuple[str, str, int]] = set()
        self._loaded: set[str] = set()
        self.called: set[str] = set()
        self.broken: set[str] = set()  # names in lines that could not be read

    # ---- reading

    def read(self, source: Source, chain: tuple[str, ...] = ()) -> None:
        """Parse a source and the sources it uses, and enter their functions and constants."""
        self._loaded.add(source.name)
        module = parse(source, self.diagnostics)
        for item, following in zip_longest(module.items, module.items[1:]):
            match item:
                case syntax.Budget():
                    self._enter_budget(item, following)
                case syntax.Use(path=path):
                    self._use(source, path, (*chain, source.name))
                case syntax.Const(name=name):
                    if self._enter(name):
                        self.constants[name.name] = item
                case syntax.Def(name=name):
                    if self._enter_function(item) and not chain:
                        self.order.append(name.name)
                case syntax.Structure():
                    self._enter_function(item)
                case syntax.Broken(span=span):
                    self.broken.update(assigned_in_text(span.text))

    def _enter_budget(self, item: syntax.Budget, following: syntax.Item | None) -> None:
        if item.name.name != "memory":
            help = 'what may stand above a function is what it may hold, as in `@memory("512MB")`'
            self.diagnostics.add("E0101", f"`@{item.name.name}` has no meaning", item.span, help=help)
        elif isinstance(following, syntax.Def):
            self.budgets[following.name.name] = item.amount
        elif not isinstance(following, syntax.Broken):
            help = "write it on the line above a `def`"
            self.diagnostics.add("E0101", "`@memory` stands above no function", item.span, help=help)

    def _enter_function(self, item: syntax.Def | syntax.Structure) -> bool:
        name = item.name
        if not self._enter(name):
            return False
        try:
            self.definitions[name.name] = expanded(item if isinstance(item, syntax.Def) else function_of(item))
        except TpcError as error:
            self.diagnostics.items.extend(error.diagnostics)
            self.broken.add(name.name)
            return False
        return True

    def _use(self, source: Source, path: syntax.String, chain: tuple[str, ...]) -> None:
        try:
            used = self.files.program(path.value, source, path.span)
        except TpcError as error:
            self.diagnostics.items.extend(error.diagnostics)
            return
        if used.name in chain:
            ring = " -> ".join((*chain[chain.index(used.name) :], used.name))
            self.diagnostics.add(
                "E0703",
                "these files use each other in a circle",
                Label(path.span, ring),
                help="move what they share into a file of its own",
            )
        elif used.name not in self._loaded:
            if len(self._loaded) > 200:
                self.diagnostics.add(
                    "E0904", "more than 200 files are used", path.span, help="put functions together in fewer files"
                )
                return
            self.read(used, chain)

    def _enter(self, name: syntax.Name) -> bool:
        first = self.definitions.get(name.name) or self.constants.get(name.name)
        if first is not None:
            self.diagnostics.add(
                "E0303",
                f"`{name.name}` is already defined",
                Label(name.span, "defined again here"),
                Label(first.name.span, "first defined here"),
                help="give one of them another name",
            )
            return False
        return True

    # ---- names

    def names(self) -> Iterable[str]:
        return (*self.definitions, *self.constants)

    def library(self) -> tuple[str, ...]:
        return library_names()

    def definition(self, name: str) -> syntax.Def | None:
        """The function that is called by this name in index notation."""
        self.called.add(name)
        return self.definitions.get(name)

    def lookup(self, name: str) -> tuple[bool, Value | None]:
        """Whether a function or constant has this name, and its value."""
        if name in self.definitions:
            return True, FunctionValue(self.definitions[name])
        if name in self.constants:
            return True, self.constant(name)
        if name not in self.broken and name in standard():
            return True, FunctionValue(standard()[name])
        if name not in self.broken and name in functions():
            return True, FunctionValue(functions()[name])
        return name in self.broken, None

    def constant(self, name: str) -> Node | None:
        """The value of a constant, read or computed once."""
        if name in self._defining:
            ring = " -> ".join([*self._defining[self._defining.index(name) :], name])
            self._tell(
                [
                    diagnostic(
                        "E0310",
                        f"the constant `{name}` is made of itself",
                        Label(self.constants[name].name.span, ring),
                        help="a constant is made of numbers, files and other constants",
                    )
                ]
            )
            return None
        if name not in self._constant_values:
            self._defining.append(name)
            value = None
            try:
                value = self._constant(self.constants[name])
            except TpcError as error:
                self.diagnostics.items.extend(error.diagnostics)
            finally:
                self._defining.pop()
            self._constant_values[name] = value
        return self._constant_values[name]

    def _constant(self, const: syntax.Const) -> Node | None:
        frame = Frame(self, self.diagnostics)
        match const.value:
            case syntax.Call(function=syntax.Name(name="load"), arguments=[syntax.String() as path], keywords=[]):
                declared = const.type.dtype if const.type is not None else None
                dtype = DTYPES.get(declared.name) if declared is not None else None
                node: Node | None = self._read(const.name.name, path, dtype)
            case _:
                node = evaluate_node(frame, const.value)
        if node is None or const.type is None:
            return node
        wanted = type_of(const.type, {}, (), self.diagnostics, node.tensor.dtype)
        if wanted is None:
            return None
        label = Label(const.type.span, "declared here")
        fitting = fits(frame, node, wanted, f"`{const.name.name}`", const.value, label)
        if fitting is not None:
            facts = facts_of(const.facts, wanted, {}, self.diagnostics)
            if facts:
                self.constant_facts[fitting] = facts
        return fitting

    def _read(self, name: str, path: syntax.String, dtype: DType | None) -> Node:
        """A constant from a file; a matrix that is stored by its entries is made of three."""

        def read(name: str, path: str, wanted: DType | None) -> Node:
            data = self.files.array(path, span.source, span, wanted)
            return Node(CONSTANT, (), (("name", name), ("data", data)), type_of_array(data.array))

        span = path.span
        shape = self.files.sparse(path.value, span.source, span)
        if shape is None:
            return read(name, path.value, dtype)
        parts = [
            read(f"{name}_{part}", f"{path.value}:{part}", dtype if part == "values" else None)
            for part in ("values", "columns", "starts")
        ]
        return make("sparse_matrix", parts, m=shape[1])

    # ---- functions

    def note(self, program: Program, frame: Frame) -> None:
        """Remember the places and names of a program's nodes."""
        self.notes.spans.update(frame.spans)
        for node, name in frame.node_names.items():
            name_node(self.notes.names, node, name)

    def generic(self, definition: syntax.Def, batch_rank: int = 1) -> Program | None:
        """The program of a function as it is declared; None after errors, or if a parameter has no type."""
        if any(p.type is None for p in definition.parameters):
            return None
        types = [p.type for p in definition.parameters]
        sizes: dict[str, DimLike] = {name: named(name) for name in size_names(types)}
        return self.declared(definition, sizes, _batch(batch_rank), [None] * len(types))

    def declared(
        self,
        definition: syntax.Def,
        sizes: dict[str, DimLike],
        batch: tuple[DimLike, ...],
        actual: Sequence[TensorType | None],
    ) -> Program | None:
        """The program of a function at these sizes; `actual` gives the types of parameters that have none, or no
        dtype, or batch dims.
        """
        diagnostics = Diagnostics()
        equalities(definition, sizes)
        types: list[TensorType | None] = []
        for parameter, given in zip(definition.parameters, actual, strict=True):
            if parameter.type is None:
                assert given is not None
                types.append(given)
                continue
            dtype = given.dtype if given is not None and parameter.type.dtype is None else None
            extra = batch[len(batch) - _batch_rank(parameter.type, given, len(batch)) :]
            type = (
                type_of(parameter.type, sizes, extra, diagnostics)
                if dtype is None
                else type_of(parameter.type, sizes, extra, diagnostics, dtype)
            )
            types.append(type)
        return self._build(definition, types, sizes, batch, diagnostics)

    def _build(
        self,
        definition: syntax.Def,
        types: Sequence[TensorType | None],
        sizes: dict[str, DimLike],
        batch: tuple[DimLike, ...],
        diagnostics: Diagnostics,
    ) -> Program | None:
        key = (id(definition), tuple(types))
        if key not in self._instances:
            count = self._instance_names.get(definition.name.name, 0) + 1
            self._instance_names[definition.name.name] = count
            name = definition.name.name + (f"_{count}" if count > 1 else "")
            self._building.append(definition)
            try:
                self._instances[key] = build(self, definition, types, sizes, batch, diagnostics, name)
            except TpcError as error:
                diagnostics.items.extend(error.diagnostics)
                self._instances[key] = None
            finally:
                self._building.pop()
            self._tell(diagnostics.items)
            made = self._instances[key]
            if definition.of_parts and made is not None:
                self.structured[made] = definition.name.name
        return self._instances[key]

    def _tell(self, items: Iterable[Diagnostic]) -> None:
        """Pass messages on, each once, however often a function is elaborated."""
        for item in items:
            first = item.labels[0].span if item.labels else None
            key = (item.code, first.source.name if first else "", first.start if first else -1)
            if key not in self._told:
                self._told.add(key)
                self.diagnostics.items.append(item)

    def instance(
        self,
        frame: Frame,
        definition: syntax.Def,
        arguments: Sequence[tuple[Node, syntax.Expr]],
        call: syntax.Call,
    ) -> tuple[Program, tuple[tuple[str, DimLike], ...], list[Node]] | None:
        """The program for a call, what its sizes are there, and the operands in its formats."""
        self.called.add(definition.name.name)
        if definition in self._building:
            ring = [d.name.name for d in self._building[self._building.index(definition) :]]
            frame.diagnostics.add(
                "E0310",
                f"`{definition.name.name}` calls itself",
                Label(call.span, " -> ".join([*ring, definition.name.name])),
                help="functions cannot be recursive; write the recurrence with `repeat` or `scan`",
            )
            return None
        if len(self._building) > 60:
            frame.diagnostics.add(
                "E0902",
                "calls are nested more than 60 deep",
                call.span,
                help="write a long chain of functions as a loop",
            )
            return None
        sizes, ranks = match_arguments(frame, definition, arguments)
        if sizes is None:
            return None
        own: dict[str, DimLike] = {name: named(name) for name in sizes}
        actual = [
            abstract(n.tensor, p.type, sizes, own) for (n, _), p in zip(arguments, definition.parameters, strict=True)
        ]
        program = self.declared(definition, own, _batch(ranks), actual)
        if program is None:
            return None
        operands = [
            cast(node, wanted.tensor.dtype) for (node, _), wanted in zip(arguments, program.inputs, strict=True)
        ]
        for constraint in program.where:
            here = Constraint(
                substitute(constraint.left, sizes), constraint.relation, substitute(constraint.right, sizes)
            )
            truth = holds(here)
            if truth is False:
                frame.diagnostics.add(
                    "E0212",
                    f"`{definition.name.name}` needs {constraint}, but here that is {here}",
                    Label(call.span),
                    Label(definition.name.span, "defined here"),
                )
                return None
            if truth is None:
                frame.where.append(here)
        return program, tuple(sorted(sizes.items())), operands


def _batch(rank: int) -> tuple[DimLike, ...]:
    return tuple(named(f"batch{rank - k}") for k in range(rank))


def _batch_rank(written: syntax.TypeExpr, given: TensorType | None, most: int) -> int:
    if given is None:
        return most
    return given.rank - sum(not isinstance(d, syntax.Dots) for d in written.dims)


@dataclass(frozen=True)
class Checked:
    """A program text after checking: the programs of its functions, and what was said on the way."""

    module: ModuleScope
    programs: dict[str, Program]
    diagnostics: Diagnostics

    def default(self) -> str | None:
        """The function that is meant when none is named: `main`, or else the last."""
        order = self.module.order
        return "main" if "main" in order else order[-1] if order else None


@contextmanager
def _bounded(module: ModuleScope, span: Span) -> Iterator[None]:
    """Turn what is nested deeper than Python can follow into a message."""
    try:
        yield
    except RecursionError:
        module.diagnostics.add(
            "E0902", "this is nested too deeply", span, help="give parts names, in statements of their own"
        )


def check(source: Source, files: Files | None = None) -> Checked:
    """Check a program text: every function for all sizes. Errors are in the diagnostics, never raised."""
    module = ModuleScope(files or NoFiles())
    module.read(source)
    programs: dict[str, Program] = {}
    for name, constant in module.constants.items():
        with _bounded(module, constant.name.span):
            module.constant(name)
    for name in module.order:
        definition = module.definitions[name]
        with _bounded(module, definition.name.span):
            program = module.generic(definition)
            if program is not None:
                programs[name] = program
    for name in module.order:
        definition = module.definitions[name]
        untyped = any(p.type is None for p in definition.parameters)
        if untyped and name not in module.called and not module.diagnostics.errors:
            module.diagnostics.add(
                "W0303",
                f"`{name}` is never called, and its parameters have no types",
                definition.name.span,
                help=misplaced_fact(definition)
                or "give the parameters types, so that it can be checked and run by itself",
            )
    if not module.definitions and not module.diagnostics.errors:
        module.diagnostics.add(
            "E0315",
            "there is no function here",
            Span(source, 0, min(len(source.text), 1)),
            help="a program has at least one `def`",
        )
    return Checked(module, programs, module.diagnostics)
