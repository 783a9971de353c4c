"""How a fact was found, as a tree that can be read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tpc.ir.dims import dim_text
from tpc.ir.node import Fact, Node
from tpc.ir.ops.structure import INPUT, LITERAL, SIZE
from tpc.ir.scalar import OPERATORS

_SIGNS = {f.name: sign for (sign, _), f in OPERATORS.items()} | {"matmul": "@", "matvec": "@", "vecmat": "@"}


@dataclass(frozen=True, slots=True)
class Why:
    """A reason in words or as a line of facts, with facts of nodes that it rests on; `by` is who promised it."""

    how: str
    premises: tuple[tuple[Node, Fact], ...] = ()
    by: Node | None = None


@dataclass(frozen=True, slots=True)
class Derivation:
    """A fact of a node, why it holds, and derivations of what that rests on.

    Attributes
    ----------
    how : str
        `declared`, `given`, `promised` (then `by` is the node that promises), a line of facts, or a few words.
    """

    node: Node
    fact: Fact
    how: str
    premises: tuple[Derivation, ...] = ()
    by: Node | None = None

    def lines(self, name: Callable[[Node], str] | None = None) -> list[str]:
        """As indented lines; a fact that comes up again is not explained again.

        Parameters
        ----------
        name : callable, optional
            What to call a node; else its expression is written out.
        """
        name = name or expression
        lines: list[str] = []
        stack = [(self, 0)]
        shown: set[tuple[Node, Fact]] = set()
        while stack:
            derivation, depth = stack.pop()
            how = derivation.how
            if derivation.by is not None:
                how = f"{how} by {name(derivation.by)}"
            again = (derivation.node, derivation.fact) in shown
            shown.add((derivation.node, derivation.fact))
            what = about(derivation.fact, name(derivation.node))
            lines.append(f"{'    ' * depth}{what}: {'as above' if again and derivation.premises else how}")
            if not again:
                stack += [(premise, depth + 1) for premise in reversed(derivation.premises)]
        return lines

    def __str__(self) -> str:
        return "\n".join(self.lines())


def about(fact: Fact, name: str) -> str:
    """A fact of a value as a line of facts spells it: `banded(A, 1, 1)`."""
    inner = [repr(a) if isinstance(a, float) else dim_text(a) for a in fact.arguments]
    return f"{fact.name}({', '.join([name, *inner])})"


def expression(node: Node, names: Mapping[Node, str] | None = None, depth: int = 6) -> str:
    """A node written out as an expression, with `...` for what lies too deep."""
    if names and node in names:
        return names[node]
    if node.op is INPUT:
        return str(node["name"])
    if node.op is LITERAL:
        return str(node["value"].spelling)
    if node.op is SIZE:
        return dim_text(node["dim"])
    if depth == 0:
        return "..."
    parts = [expression(a, names, depth - 1) for a in node.args]
    sign = _SIGNS.get(node.op.name)
    if node.op.name == "transpose":
        return f"{_grouped(parts[0])}'"
    if sign is not None and len(parts) == 2:
        return f"{_grouped(parts[0])} {sign} {_grouped(parts[1])}"
    if sign is not None and len(parts) == 1:
        return f"{sign}{_grouped(parts[0])}"
    return f"{node.op.name}({', '.join(parts)})"


def _grouped(text: str) -> str:
    """In parentheses, if an operator stands at the outside."""
    depth = 0
    for sign in text:
        depth += (sign in "([") - (sign in ")]")
        if sign == " " and depth == 0:
            return f"({text})"
    return text
