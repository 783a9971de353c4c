"""What names mean at a place in a program."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

from tpc.dsl import syntax
from tpc.dsl.diagnostics import Diagnostics, Label
from tpc.dsl.source import Span
from tpc.ir.build import input_node
from tpc.ir.dims import DimLike
from tpc.ir.elaborate.parts import structure_of
from tpc.ir.node import Constraint, Fact, Node
from tpc.ir.ops.structure import LITERAL, SIZE

if TYPE_CHECKING:
    from tpc.ir.elaborate.module import ModuleScope
    from tpc.ir.elaborate.stale import Carried


@dataclass(frozen=True, slots=True)
class FunctionValue:
    """A function as a value: one of the program, or a derivative or map of one (`kind` in grad, vmap ...)."""

    definition: syntax.Def
    kind: str = ""
    parameters: tuple[str, ...] = ()
    of: FunctionValue | None = None
    options: tuple[tuple[str, float | int | str], ...] = ()


Value = Node | FunctionValue | list["Value"]
"""What an expression may stand for: an array, a function, or several values. None stands for an error already told."""


@dataclass(slots=True)
class Binding:
    """A name, what it stands for (None after an error), and where it was defined."""

    value: Value | None
    span: Span
    used: bool = False
    kind: str = "value"  # value, parameter, state, constant, index


_placeholders = count()


@dataclass
class Frame:
    """The names of a function body, or of a block in one; a block captures what it takes from outside."""

    module: ModuleScope
    diagnostics: Diagnostics
    dims: dict[str, DimLike] = field(default_factory=dict)
    names: dict[str, Binding] = field(default_factory=dict)
    outer: Frame | None = None
    captured: dict[Node, Node] = field(default_factory=dict)  # value outside -> its stand-in here
    facts: list[tuple[Node, tuple[Fact, ...]]] = field(default_factory=list)
    where: list[Constraint] = field(default_factory=list)
    block_locals: dict[str, Span] = field(default_factory=dict)  # names that ended with their block
    later: dict[str, Span] = field(default_factory=dict)  # names that are defined further down
    scan_letter: str | None = None
    carried: list[Carried] | None = None  # beside the names of the user; None outside of the body of a loop
    draws: int = 0  # random draws without a seed of their own so far
    broken: bool = False  # a block could not be read, and what follows may belong to it
    spans: dict[Node, Span] = field(default_factory=dict)
    node_names: dict[Node, str] = field(default_factory=dict)

    def block(self) -> Frame:
        """A frame for a block inside of this one."""
        return Frame(
            self.module,
            self.diagnostics,
            self.dims,
            outer=self,
            where=self.where,
            spans=self.spans,
            node_names=self.node_names,
        )

    def loop(self) -> Frame:
        """A frame for a pass of a loop, with messages kept apart."""
        inner = self.block()
        inner.diagnostics, inner.carried = Diagnostics(), []
        return inner

    def lookup(self, name: str) -> Binding | None:
        """The binding of a name as seen from here; values from outside of a block come as stand-ins."""
        found = self.names.get(name)
        if found is not None or self.outer is None:
            return found
        outside = self.outer.lookup(name)
        if outside is None:
            return None
        return Binding(self.capture(outside.value), outside.span, True, outside.kind)

    def capture(self, value: Value | None) -> Value | None:
        if isinstance(value, list):
            return [captured for item in value if (captured := self.capture(item)) is not None]
        if not isinstance(value, Node) or value.op in (LITERAL, SIZE):
            return value
        if structure_of(self.module, value):  # its parts go inside, and not the matrix
            parts = [inner for part in value.args if isinstance(inner := self.capture(part), Node)]
            return Node(value.op, parts, value.attributes, value.type)
        if value not in self.captured:
            self.captured[value] = placeholder(value)
        return self.captured[value]

    def define(self, name: str, value: Value | None, span: Span, kind: str = "value") -> None:
        """Bind a name; a name is bound once (the state of a loop is bound anew in each pass)."""
        previous = self.names.get(name)
        if previous is not None and previous.kind != "state" and not self.broken:
            twice = self.outer is not None and self.outer.lookup(name) is not None
            which = "the first" if twice else "the new"
            rule = "a block replaces a value once" if twice else "only `repeat` and `scan` replace values"
            self.diagnostics.add(
                "E0303",
                f"`{name}` is already defined",
                Label(span, "defined again here"),
                Label(previous.span, "first defined here"),
                help=f"give {which} value a name of its own, such as `{name}2`; {rule}",
            )
        if name in self.dims and kind == "value":
            self.diagnostics.add(
                "E0305",
                f"`{name}` is a size here and cannot be assigned",
                span,
                help="choose another name",
            )
        if isinstance(value, Node):
            if not name.startswith("_"):  # which nothing is meant to be read by
                self.node_names.setdefault(value, name)
            self.spans.setdefault(value, span)
        self.names[name] = Binding(value, span, previous is not None, kind)

    def visible(self) -> Iterable[str]:
        frame: Frame | None = self
        while frame is not None:
            yield from frame.names
            frame = frame.outer
        yield from self.dims

    def root(self) -> Frame:
        frame = self
        while frame.outer is not None:
            frame = frame.outer
        return frame


def placeholder(value: Node) -> Node:
    """A stand-in for a value of an outer frame, unlike any other."""
    return input_node(f"@{next(_placeholders)}", value.tensor)


def suggestion(name: str, candidates: Iterable[str]) -> str | None:
    """The known name that is most like a wrong one, if any is like it."""
    options = list(dict.fromkeys(candidates))
    folded = {option.lower(): option for option in options}
    if name.lower() in folded:
        return folded[name.lower()]
    if len(name) < 2:
        return None  # every other letter is like it
    close = difflib.get_close_matches(name, options, 1, 0.6)
    return close[0] if close else None
