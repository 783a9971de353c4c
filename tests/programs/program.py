"""The state of a program that is being written: choices, sizes, lines, and the values that can be operands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from tpc.ir.dims import Dim, DimLike, evaluate, names_of

from .values import Value

Below = Callable[[int], int]
T = TypeVar("T")

SIZES = ("n", "m", "p")
FLOATS = ("f64", "f64", "f64", "f64", "f32", "f32", "c128", "f16", "bf16", "c64")
PLAIN = ("f64", "f32")  # the formats that LAPACK and the special functions know


class CannotBuild(Exception):
    """A rule has no operands here; another is tried."""


@dataclass
class Helper:
    """A function of the program: its parameters as the caller's types, in its own size names."""

    name: str
    parameters: list[Value]
    names: dict[Dim, str]
    results: list[Value]
    least: dict[str, int]
    default: bool


class Program:
    """Starts with no inputs and no statements. Sizes, formats and exactness are its first choices."""

    def __init__(self, below: Below) -> None:
        self.below = below
        self.sizes = SIZES[: 1 + below(3)]  # names of sizes that can be used at this place
        self.exact = self.chance(4)  # no functions but field operations
        self.dtype = "f64" if self.exact else FLOATS[below(len(FLOATS))]
        self.scope: list[Value] = []  # what can be named at this place
        self.lines: list[str] = []  # of the function that is being written
        self.depth = 1  # of the indent
        self.count = 0  # of the names made up so far
        self.least = dict.fromkeys(self.sizes, 0)  # the smallest legal value of each size
        self.high: dict[str, DimLike] = {}  # inputs that are positions: the size of their axis
        self.helpers: list[Helper] = []
        self.texts: list[str] = []  # of the functions that are finished
        self.kinds: set[str] = set()  # of statements and notations that came up
        self.inside: str | None = None  # the helper that is being written, None in main

    # ---- choices

    def pick(self, options: Sequence[T]) -> T:
        if not options:
            raise CannotBuild
        return options[self.below(len(options))]

    def chance(self, one_in: int) -> bool:
        return self.below(one_in) == one_in - 1

    def fresh(self, stem: str = "x") -> str:
        self.count += 1
        return f"{stem}{self.count}"

    # ---- sizes

    def need(self, dim: DimLike, least: int) -> None:
        """Demand that a dim is not smaller, by raising the smallest legal sizes."""
        if isinstance(dim, int):
            if dim < least:
                raise CannotBuild
            return
        for _ in range(16):
            if evaluate(dim, self.least) >= least:
                return
            for name in names_of(dim):
                self.least[name] += 1
        raise CannotBuild

    def where(self) -> str:
        """The header's bounds on sizes; some stay unsaid."""
        bounds = [f"{name} >= {least}" for name, least in self.least.items() if least and self.chance(2)]
        if bounds:
            self.kinds.add("where")
        return f" where {', '.join(bounds)}" if bounds else ""

    # ---- lines

    def line(self, text: str) -> None:
        self.lines.append("    " * self.depth + text)

    def define(self, value: Value, typed: bool | None = None) -> Value:
        """Give a value a name of its own."""
        name = self.fresh()
        text = name
        if self.chance(4) if typed is None else typed:
            text += f": {value.type}"
            self.kinds.add("typed")
        self.line(f"{text} = {value.text}")
        return self.bind(replace(value, text=name))

    def bind(self, value: Value) -> Value:
        self.scope.append(value)
        return value

    # ---- operands

    def operand(self, fits: Callable[[Value], bool] = lambda v: True) -> Value:
        """A value in scope; later ones are more likely, so that programs are deep."""
        found = [v for v in self.scope if fits(v)]
        if not found:
            raise CannotBuild
        if len(found) > 2 and self.chance(2):
            found = found[-2:]
        return self.pick(found[::-1])

    def number(self, fits: Callable[[Value], bool] = lambda v: True) -> Value:
        """A float or complex operand, sometimes an expression in parentheses, never large."""
        value = self.operand(lambda v: v.kind in "fc" and fits(v))
        if self.chance(4):
            value = self.wrapped(value)
        return self.tamed(value)

    def plain(self, fits: Callable[[Value], bool] = lambda v: True) -> Value:
        return self.number(lambda v: v.dtype in PLAIN and fits(v))

    def raw_value(self, fits: Callable[[Value], bool] = lambda v: True) -> Value:
        """An operand that is exact, for discontinuous functions."""
        return self.operand(lambda v: v.raw and v.kind == "f" and fits(v))

    def tamed(self, value: Value) -> Value:
        """The value, or a function of it that is not large."""
        if value.size <= 2:
            return value
        if self.exact:
            raise CannotBuild
        if value.kind == "c":
            return replace(value, text=f"({value.text} / (1 + abs({value.text})))", size=0, raw=False)
        return replace(value, text=f"tanh({value.text})", size=0, raw=False)

    def wrapped(self, value: Value) -> Value:
        """Another value of the same type."""
        text, forms = value.text, ["({} + 1)", "(0.5 * {})", "(-{})", "({} - 0.25)", "({} / 2)"]
        if not self.exact and value.kind == "f":
            forms += ["tanh({})", "({} * sigmoid({}))", "maximum({}, 0)"]
        form = self.pick(forms)
        return replace(value, text=form.replace("{}", text), size=value.size + 0.3, raw=False)

    def like(self, value: Value) -> list[Value]:
        return [v for v in self.scope if v.dtype == value.dtype and v.dims == value.dims and v.size < 3]

    def positions(self) -> Value | None:
        """The input whose entries point into the axis of size n."""
        return next((v for v in self.scope if v.text == "at"), None)
