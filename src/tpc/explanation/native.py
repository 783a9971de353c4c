"""Which parts of a plan become native code, what is fused in them, and what stays in NumPy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tpc.ir.node import Node, Program
from tpc.ir.ops.structure import INPUT, ITEM, LITERAL, SIZE


@dataclass(frozen=True)
class Native:
    """A native function, by the names of values in the plan: its results, other values that it stores, and those that
    are never stored. `values` counts all of them, those without a name too."""

    results: tuple[str, ...]
    stored: tuple[str, ...]
    fused: tuple[str, ...]
    values: int


@dataclass(frozen=True)
class NativeCode:
    """All of a plan: its native functions, and what is not native with the reason."""

    functions: tuple[Native, ...]
    refused: tuple[tuple[str, str], ...]


def native_code(program: Program, names: Mapping[Node, str]) -> NativeCode:
    """Native code of a plan whose values have these names."""
    from tpc.backends.llvm.lower import refusal, stored
    from tpc.backends.llvm.regions import Outliner

    outliner = Outliner(refusal)
    outliner.program(program)
    functions = []
    for body in outliner.bodies:
        origins = outliner.origins[body]
        kept = stored(body) - set(body.outputs)
        rest = [n for n in body.nodes if n.op not in (INPUT, LITERAL, SIZE) and n not in body.outputs]
        functions.append(
            Native(
                _named(body.outputs, origins, names),
                _named((n for n in rest if n in kept), origins, names),
                _named((n for n in rest if n not in kept), origins, names),
                len(rest) + len(body.outputs),
            )
        )
    refused = {_called(n, names): reason for n, reason in outliner.refused.items() if n.op is not ITEM}
    return NativeCode(tuple(functions), tuple(refused.items()))


def _called(node: Node, names: Mapping[Node, str]) -> str:
    """The name of a value, or its op where it has several results or none has a name."""
    name = names.get(node, "")
    return name if name.isidentifier() else f"`{node.op.name}`"


def _named(nodes: Iterable[Node], origins: Mapping[Node, Node], names: Mapping[Node, str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names[origins[n]] for n in nodes if origins.get(n) in names))


def sentence(native: Native) -> str:
    """A native function in words."""
    count = f"{native.values} value" + "s" * (native.values != 1)
    parts = [f"{', '.join(native.results) or 'a part'}: one function of {count}"]
    if native.fused:
        parts.append(f"never stored: {', '.join(native.fused)}")
    if native.stored:
        parts.append(f"stored in between: {', '.join(native.stored)}")
    return "; ".join(parts)
