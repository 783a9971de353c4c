"""Statements in index notation, and those that take entries at given positions."""

from __future__ import annotations

from collections.abc import Callable

from tpc.ir.dims import DimLike, dim_text, named

from .program import PLAIN, CannotBuild, Program
from .values import Value


def indexed(program: Program) -> None:
    """`K[i, j] = ...` with a random body."""
    base = program.number(lambda v: 1 <= v.rank <= 4 and v.text.isidentifier())
    letters = dict(zip("ijkl", base.dims))
    left = list(letters)
    if len(left) > 1 and program.chance(2):
        left.reverse()
    body = _Body(program, base.dtype, letters)
    leaf = f"{base.text}[{', '.join(letters)}]"
    text, size = body.text(leaf, base.size, 2)
    name = program.fresh()
    shown = [f"{a} in {dim_text(letters[a])}" if program.chance(3) else a for a in left]
    program.line(f"{name}[{', '.join(shown)}] = {text}")
    program.bind(Value(name, base.dtype, tuple(letters[a] for a in left), size))
    program.kinds |= body.kinds


def gathered(program: Program) -> None:
    """A statement that takes or adds entries at the positions in `at`."""
    at = program.positions()
    if at is None:
        raise CannotBuild
    n, (k,) = named("n"), at.dims
    a = program.number(lambda v: v.rank >= 1 and v.dims[0] == n and v.text.isidentifier())
    rest = a.dims[1:]
    forms = [(f"take({a.text}, at)", (k, *rest)), (f"{a.text}[at]", (k, *rest))]
    if a.rank == 1:
        forms.append((f"segment_sum(take({a.text}, at), at, n)", (n,)))
        forms.append((f"scatter_add({a.text}, at, 0.5 * {a.text}[at])", (n,)))
        forms.append((f"take_along({a.text}, at)", (k,)))
        name = program.fresh()
        program.line(f"{name}[i] = 2 * {a.text}[at[i]]")
        program.bind(Value(name, a.dtype, (k,), a.size + 0.3))
    text, dims = program.pick(forms)
    program.define(Value(text, a.dtype, dims, a.size + 1))


class _Body:
    """Writes the right side of an index statement."""

    def __init__(self, program: Program, dtype: str, letters: dict[str, DimLike]) -> None:
        self.program, self.dtype = program, dtype
        self.letters = dict(letters)
        self.kinds: set[str] = set()
        self.unused = iter("qrstuvw")

    def text(self, leaf: str, size: float, depth: int) -> tuple[str, float]:
        """An expression around an entry that settles all letters."""
        program = self.program
        text = leaf
        for _ in range(1 + program.below(3)):
            other, other_size = self.part(depth)
            sign = program.pick(("+", "*", "-"))
            size = size + other_size if sign == "*" else max(size, other_size) + 0.31
            text = f"({text}) {sign} {other}" if sign == "*" else f"{text} {sign} {other}"
            if size > 3:
                break
        return text, size

    def part(self, depth: int) -> tuple[str, float]:
        program = self.program
        forms: list[Callable[[], tuple[str, float]]] = [self.access, self.literal, self.affine, self.chosen]
        if depth:
            forms += [lambda: self.reduction(depth), lambda: self.reduction(depth)]
        if not program.exact and self.dtype in PLAIN:
            forms.append(self.function)
        for _ in range(5):
            try:
                return program.pick(forms)()
            except CannotBuild:
                continue
        return self.literal()

    def literal(self) -> tuple[str, float]:
        return self.program.pick(("0.5", "2", "1")), 0.3

    def access(self) -> tuple[str, float]:
        """An entry of some value at letters in scope."""
        program = self.program
        by_dim: dict[DimLike, list[str]] = {}
        for letter, dim in self.letters.items():
            by_dim.setdefault(dim, []).append(letter)
        value = program.operand(
            lambda v: (
                v.dtype == self.dtype and v.size <= 2 and v.text.isidentifier() and all(d in by_dim for d in v.dims)
            )
        )
        if not value.dims:
            return value.text, value.size
        return f"{value.text}[{', '.join(program.pick(by_dim[d]) for d in value.dims)}]", value.size

    def affine(self) -> tuple[str, float]:
        """A neighbour, with a value outside of the bounds."""
        program = self.program
        letter = program.pick(list(self.letters))
        value = program.operand(
            lambda v: v.dtype == self.dtype and v.size <= 2 and v.text.isidentifier() and v.rank == 1
        )
        index = program.pick((f"{letter} + 1", f"{letter} - 1", f"2 * {letter}", f"2 * {letter} - 1"))
        self.kinds.add("pad")
        return f"{value.text}[{index}, pad={program.pick(('0', '0.5'))}]", value.size

    def chosen(self) -> tuple[str, float]:
        program = self.program
        entry, size = self.access()
        a, b = program.pick(list(self.letters)), program.pick(list(self.letters))
        form = program.pick((f"select({a} <= {b}, {entry}, 0)", f"({entry} if {a} == {b} else 1)"))
        return form, max(size, 0)

    def function(self) -> tuple[str, float]:
        entry, size = self.access()
        return self.program.pick((f"tanh({entry})", f"exp(-(({entry})^2))", f"cos({entry})")), 0.0

    def reduction(self, depth: int) -> tuple[str, float]:
        """A sum over a letter of its own."""
        program = self.program
        letter = next(self.unused, "w")
        value = program.operand(
            lambda v: v.dtype == self.dtype and v.size <= 2 and v.text.isidentifier() and v.rank in (1, 2)
        )
        if letter == "w" or depth <= 0:
            raise CannotBuild
        outer = dict(self.letters)
        axis = program.below(value.rank)
        others = [a for a, d in outer.items() if value.rank == 1 or d == value.dims[1 - axis]]
        other = program.pick(others)
        places = [letter] if value.rank == 1 else [letter, other] if axis == 0 else [other, letter]
        self.letters[letter] = value.dims[axis]
        inner, size = self.part(depth - 1)
        self.letters = outer
        operator = (
            "sum"
            if program.exact or self.dtype not in PLAIN
            else program.pick(("sum", "sum", "sum", "mean", "logsumexp"))
        )
        if operator != "sum":
            program.need(value.dims[axis], 1)
        guard = ""
        if operator == "sum" and program.chance(2):
            guard = f" where {letter} {program.pick(('<=', '<', '!=', '>'))} {other}"
            self.kinds.add("guard")
        entry = f"{value.text}[{', '.join(places)}]"
        return f"{operator}[{letter}{guard}]({entry} * {inner})", value.size + max(size, 0) + 1
