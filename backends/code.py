"""Pieces of Python source, and the lines that they are put in.

Pieces are glued with more parentheses than needed; a line is parsed and unparsed when it is written, which leaves
the necessary ones.
"""

from __future__ import annotations

import ast
import re
import threading
from collections.abc import Iterable
from dataclasses import dataclass

from tpc.ir.dims import Dim, DimLike
from tpc.ir.formula import Scalar
from tpc.ir.types import DType


@dataclass(frozen=True, slots=True)
class Value:
    """An expression and what it gives."""

    text: str
    dtype: DType
    rank: int = 0
    python: bool = False  # a number of Python, whose format gives way to any other
    depth: int = 0  # how many operations are nested in the text

    @property
    def is_atom(self) -> bool:
        """Whether the text may stand anywhere, and any number of times."""
        return self.text.isidentifier() or self.text.replace(".", "", 1).isdigit()


Guards = tuple[Scalar, ...]
"""The guards of the reductions around a scalar: only where all hold does it count."""


@dataclass(frozen=True)
class Part:
    """An array with one axis for each of its letters."""

    value: Value
    letters: tuple[str, ...] = ()


def fill(template: str, *parts: str, **named: str) -> str:
    """The template with parts in the places `{0}`, `{1}` ..., in parentheses where they are more than a name."""
    return template.format(*(p if p.isidentifier() else f"({p})" for p in parts), **named)


def repeats(template: str) -> list[int]:
    """The places that occur more than once in a template."""
    return [n for n in range(4) if template.count(f"{{{n}}}") > 1]


def number(value: bool | int | float | complex) -> str:
    """A number as source."""
    if isinstance(value, complex):
        return f"complex({number(value.real)}, {number(value.imag)})" if value.real else f"{value.imag!r}j"
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return f'float("{value}")'
    return repr(value)


def dim_source(dim: DimLike, names: dict[str, str]) -> str:
    """A size as an expression in the names that sizes have."""
    if not isinstance(dim, Dim):
        return str(dim)
    terms = []
    for monomial, coefficient in dim.terms:
        factors = []
        for atom, power in monomial:
            if isinstance(atom, str):
                text = names[atom]
            else:
                left, right = dim_source(atom.left, names), dim_source(atom.right, names)
                text = f"(({left}) // ({right}))" if atom.kind == "div" else f"{atom.kind}({left}, {right})"
            factors.append(text if power == 1 else f"{text} ** {power}")
        if abs(coefficient) != 1 or not factors:
            factors.insert(0, str(abs(coefficient)))
        terms.append((coefficient, " * ".join(factors)))
    text = ("-" if terms[0][0] < 0 else "") + terms[0][1]
    return text + "".join(f" {'-' if c < 0 else '+'} {t}" for c, t in terms[1:])


def shape_source(dims: tuple[str, ...] | list[str]) -> str:
    """A tuple of sizes."""
    return f"({', '.join(dims)}{',' * (len(dims) == 1)})"


# CPython 3.11 counts the depth of a tree in one place for all threads.
_PARSING = threading.Lock()


def parsed(source: str) -> ast.Module:
    """The tree of Python source. Raises as `ast.parse`."""
    with _PARSING:
        return ast.parse(source)


def tidy(statement: str) -> str:
    """The statement with the parentheses that it needs."""
    tree = parsed(statement)
    item = tree.body[0]
    text = ast.unparse(tree)
    value = item.value if isinstance(item, (ast.Assign, ast.Return)) else None
    if isinstance(value, ast.Tuple) and len(value.elts) > 1:  # without the parentheses around it
        start = "return " if isinstance(item, ast.Return) else text.partition(" = ")[0] + " = "
        text = start + ", ".join(map(ast.unparse, value.elts))
    return re.sub(r"'([^'\"\\]*)'", r'"\1"', text)


class Lines:
    """Lines of a function, indented."""

    def __init__(self, indent: int = 1) -> None:
        self.indent = indent
        self.lines: list[str] = []

    def write(self, statement: str, comment: str = "") -> None:
        """Add a statement (one that opens no block)."""
        text = "    " * self.indent + tidy(statement)
        self.lines.append(f"{text}  # {comment}" if comment and len(text) + len(comment) < 100 else text)

    def insert(self, place: int, statement: str) -> None:
        """Put a statement before the line at a place, which is in the block that is being written."""
        self.lines.insert(place, "    " * self.indent + tidy(statement))

    def last_use(self, names: Iterable[str]) -> int:
        """The last line of the block that is being written in which one of these names occurs; where that is in a
        block inside of it, the last line of that."""
        word = re.compile(rf"\b({'|'.join(map(re.escape, names))})\b")
        found = next((k for k in range(len(self.lines) - 1, -1, -1) if word.search(self.lines[k])), -1)
        inside = "    " * (self.indent + 1)
        while found + 1 < len(self.lines) and self.lines[found + 1].startswith((inside, inside[4:] + "else:")):
            found += 1
        return found

    def open(self, header: str) -> None:
        """Add the header of a block, such as `for i in range(n):`; what follows is indented."""
        text = tidy(f"{header}\n    pass").rsplit("\n", 1)[0]
        self.lines.append("    " * self.indent + text)
        self.indent += 1

    def otherwise(self) -> None:
        self.lines.append("    " * (self.indent - 1) + "else:")

    def close(self) -> None:
        self.indent -= 1

    @property
    def count(self) -> int:
        """How many statements there are, blocks with what is in them counted once."""
        return sum(not line.startswith((" " * 5, "    else:")) for line in self.lines)
