"""What is remembered beside nodes: where they come from in the text, and what the user called them.

Nodes hold neither, so that equal ones are shared. A rewrite that replaces a node says so with `follow`, and the notes
that are being kept at the time (see `keeping`) move along.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from tpc.dsl.source import Span
from tpc.ir.node import Node


@dataclass
class Notes:
    spans: dict[Node, Span] = field(default_factory=dict)
    names: dict[Node, str] = field(default_factory=dict)

    def copy(self) -> Notes:
        return Notes(dict(self.spans), {node: name for node, name in self.names.items() if name})


def name_node(names: dict[Node, str], node: Node, name: str) -> None:
    """Remember a name of a node; equal nodes that are called by several names have none, which is the empty one."""
    names[node] = name if names.get(node, name) == name else ""


_kept: ContextVar[Notes | None] = ContextVar("_kept", default=None)


@contextmanager
def keeping(notes: Notes) -> Iterator[None]:
    """Within this context, notes on replaced nodes are handed on in `notes`."""
    token = _kept.set(notes)
    try:
        yield
    finally:
        _kept.reset(token)


def place(node: Node) -> Span | None:
    """Where a node comes from, if it is known."""
    notes = _kept.get()
    return None if notes is None else notes.spans.get(node)


def name_of(node: Node) -> str | None:
    """What the user called a node, if that is known."""
    notes = _kept.get()
    return None if notes is None else notes.names.get(node)


def follow(old: Node, new: Node) -> None:
    """The new node takes over what is known of the old one, unless it has a name of its own."""
    notes = _kept.get()
    if notes is None or old is new:
        return
    if old in notes.names:
        notes.names.setdefault(new, notes.names[old])
    if old in notes.spans:
        notes.spans.setdefault(new, notes.spans[old])
