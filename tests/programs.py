"""Random well-typed programs: a text, and arguments for it at given sizes.

A program is grown statement by statement from the values that are there. Values carry an estimate of their size, so
that nothing overflows, and discontinuous functions (comparisons, sorting, rounding) only take what is exact in every
format: arguments, whose entries are multiples of 1/8, and what is moved from them without arithmetic.

Choices come from `below(n)`, a number from 0 to n-1: a seeded generator, or hypothesis, for which smaller numbers
stand for simpler programs.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np

from tpc.ir.dims import Dim, DimLike, dim_text, divide, evaluate, named, names_of, product, substitute
from tpc.ir.scalar import SCALARS

Below = Callable[[int], int]
T = TypeVar("T")

SIZES = ("n", "m", "p")
FLOATS = ("f64", "f64", "f64", "f64", "f32", "f32", "c128", "f16", "bf16", "c64")
PLAIN = ("f64", "f32")  # the formats that LAPACK and the special functions know
DISCRETE = ("floor", "ceil", "round", "trunc", "sign", "isnan", "isinf", "isfinite", "angle")
BY_HAND = ("square", "conj", "re", "im", "abs", "neg", "logical_not", *DISCRETE)


@dataclass(frozen=True)
class Value:
    """What a text stands for. `size` bounds the logarithm (base 10) of its entries; `raw` ones are exact."""

    text: str
    dtype: str
    dims: tuple[DimLike, ...] = ()
    size: float = 0.3
    raw: bool = False

    @property
    def rank(self) -> int:
        return len(self.dims)

    @property
    def kind(self) -> str:
        return "b" if self.dtype == "bool" else self.dtype[0] if self.dtype[0] in "ic" else "f"


@dataclass
class Sample:
    """A program, and what is needed to run it."""

    text: str
    inputs: list[Value]
    least: dict[str, int]  # the smallest legal value of each size
    high: dict[str, DimLike]  # integer inputs that are positions: the size of the axis they point into
    dtype: str
    exact: bool  # made for exact arithmetic: no functions but field operations
    kinds: set[str] = field(default_factory=set)

    def sizes(self, seed: int, most: int = 4) -> dict[str, int]:
        """Legal sizes, 0 and 1 more often than others."""
        chosen = random.Random(seed)
        return {name: max(least, chosen.choice((0, 1, 1, *range(2, most + 1)))) for name, least in self.least.items()}

    def arrays(self, sizes: dict[str, int], seed: int) -> list[Any]:
        """Arguments of these sizes; of floats, multiples of 1/8 from -2 to 2."""
        rng = np.random.default_rng(seed)
        return [self._array(rng, value, tuple(evaluate(d, sizes) for d in value.dims), sizes) for value in self.inputs]

    def _array(self, rng: np.random.Generator, value: Value, shape: tuple[int, ...], sizes: dict[str, int]) -> Any:
        if value.kind == "b":
            return rng.random(shape) < 0.5
        if value.kind == "i":
            most = evaluate(self.high[value.text], sizes) if value.text in self.high else 4
            return rng.integers(0, max(most, 1), shape).astype(
                {"i64": "int64", "i32": "int32", "i8": "int8"}[value.dtype]
            )
        numbers = rng.integers(-16, 17, shape) / 8
        if value.kind == "c":
            return (numbers + 1j * rng.integers(-16, 17, shape) / 8).astype(
                "complex128" if value.dtype == "c128" else "complex64"
            )
        return np.asarray(numbers, {"f64": "float64", "f16": "float16"}.get(value.dtype, "float32"))


class CannotBuild(Exception):
    """A rule has no operands here; another is tried."""


def generate(below: Below | int, statements: int = 6) -> Sample:
    """A program by choices, or by a seed."""
    if isinstance(below, int):
        seeded = random.Random(below)

        def choose(n: int) -> int:
            return int(seeded.random() * n)

        below = choose
    return _Program(below).sample(statements)


class _Scope:
    """The values that can be named at a place."""

    def __init__(self, values: Iterable[Value] = ()) -> None:
        self.values = list(values)


@dataclass
class _Helper:
    """A function of the program: its parameters as the caller's types, in its own size names."""

    name: str
    parameters: list[Value]
    names: dict[DimLike, str]
    results: list[Value]
    least: dict[str, int]
    default: bool


class _Program:
    def __init__(self, below: Below) -> None:
        self.below = below
        self.lines: list[str] = []
        self.depth = 1
        self.count = 0
        self.least: dict[str, int] = {}
        self.high: dict[str, DimLike] = {}
        self.helpers: list[_Helper] = []
        self.texts: list[str] = []
        self.kinds: set[str] = set()
        self.scope = _Scope()
        self.inside: str | None = None  # the helper that is being written
        self.sizes: tuple[str, ...] = ()

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

    # ---- the program

    def sample(self, statements: int) -> Sample:
        self.sizes = SIZES[: 1 + self.below(3)]
        self.least = dict.fromkeys(self.sizes, 0)
        self.exact = self.chance(4)
        self.dtype = "f64" if self.exact else FLOATS[self.below(len(FLOATS))]
        inputs = [self.input() for _ in range(1 + self.below(4))]
        inputs.append(Value("x", self.dtype, (named("n"),), raw=True))
        known = {name for value in inputs for dim in value.dims for name in names_of(dim)}
        self.sizes = tuple(name for name in self.sizes if name in known)
        self.least = dict.fromkeys(self.sizes, 0)
        if self.chance(2):
            inputs.append(Value("k", "i64", (), raw=True))
        if self.chance(2):
            inputs.append(Value("c", "bool", (), raw=True))
        if self.chance(3):
            self.positions(inputs)
        self.scope = _Scope(inputs)
        for _ in range(1 + self.below(statements)):
            with suppress(CannotBuild):
                self.statement()
        results = self.results()
        where = self.where()
        header = f"def main({', '.join(f'{v.text}: {_type(v)}' for v in inputs)}){results[1]}{where}:"
        body = "\n".join(self.lines)
        text = "\n\n".join(
            [
                *self.texts,
                f"{header}\n{body}\n    return {results[0]}\n" if body else f"{header}\n    return {results[0]}\n",
            ]
        )
        return Sample(text, inputs, self.least, self.high, self.dtype, self.exact, self.kinds)

    def input(self) -> Value:
        shapes: list[tuple[DimLike, ...]] = []
        n, m = named("n"), named(self.pick(self.sizes))
        shapes = [(n, m), (m,), (n, n), (), (m, n), (3,), (n, 2), (n * m,), (2, n, m), (n + 1,)]
        return Value(self.fresh("a"), self.dtype, self.pick(shapes), raw=True)

    def positions(self, inputs: list[Value]) -> None:
        """Whole numbers that point into the axis of size n."""
        n = named("n")
        self.least["n"] = max(self.least["n"], 1)
        dtype = self.pick(("i64", "i32", "i8"))
        value = Value("at", dtype, (self.pick((named(self.sizes[-1]), 3)),), raw=True)
        self.high["at"] = n
        inputs.append(value)

    def where(self) -> str:
        bounds = [f"{name} >= {least}" for name, least in self.least.items() if least and self.chance(2)]
        if bounds:
            self.kinds.add("where")
        return f" where {', '.join(bounds)}" if bounds else ""

    def results(self) -> tuple[str, str]:
        named_ = [v for v in self.scope.values if v.text.isidentifier()]
        last = named_[-1]
        chosen = [last, *(self.pick(named_) for _ in range(self.below(3)))]
        chosen = list({v.text: v for v in chosen}.values())
        types = [_type(v) for v in chosen]
        arrow = f" -> {types[0]}" if len(types) == 1 else f" -> ({', '.join(types)})"
        return ", ".join(v.text for v in chosen), arrow if self.chance(2) else ""

    def line(self, text: str) -> None:
        self.lines.append("    " * self.depth + text)

    # ---- statements

    def statement(self) -> None:
        makers: list[Callable[[], None]] = [self.assign, self.assign, self.assign, self.assign, self.indexed]
        makers += [
            self.indexed,
            self.pair,
            self.call,
            self.repeat,
            self.scan,
            self.branch,
            self.short,
            self.batch,
            self.gathered,
        ]
        for _ in range(8):
            mark, count, least, depth = len(self.lines), self.count, dict(self.least), self.depth
            values = list(self.scope.values)
            maker = self.pick(makers)
            try:
                maker()
                self.kinds.add(maker.__name__)
                return
            except CannotBuild:
                del self.lines[mark:]
                self.count, self.least, self.scope.values, self.depth = count, least, values, depth
        raise CannotBuild

    def assign(self) -> None:
        self.define(self.expression())

    def define(self, value: Value, typed: bool | None = None) -> Value:
        name = self.fresh()
        text = name
        if self.chance(4) if typed is None else typed:
            text += f": {_type(value)}"
            self.kinds.add("typed")
        self.line(f"{text} = {value.text}")
        return self.bind(replace(value, text=name))

    def bind(self, value: Value) -> Value:
        self.scope.values.append(value)
        return value

    def pair(self) -> None:
        first, second = self.expression(), self.expression()
        names = self.fresh(), self.fresh()
        self.line(f"{names[0]}, {names[1]} = {first.text}, {second.text}")
        self.bind(replace(first, text=names[0]))
        self.bind(replace(second, text=names[1]))

    # ---- operands

    def operand(self, fits: Callable[[Value], bool] = lambda v: True) -> Value:
        """A value in scope; later ones are more likely, so that programs are deep."""
        found = [v for v in self.scope.values if fits(v)]
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

    def tamed(self, value: Value) -> Value:
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

    def plain(self, fits: Callable[[Value], bool] = lambda v: True) -> Value:
        return self.number(lambda v: v.dtype in PLAIN and fits(v))

    def like(self, value: Value) -> list[Value]:
        return [v for v in self.scope.values if v.dtype == value.dtype and v.dims == value.dims and v.size < 3]

    # ---- expressions

    def expression(self) -> Value:
        rules = EXACT_RULES if self.exact else RULES
        for _ in range(12):
            try:
                value = self.pick(rules)(self)
            except CannotBuild:
                continue
            if value.size < (3.5 if self.dtype == "f16" else 6):
                return value
        raise CannotBuild

    def arithmetic(self) -> Value:
        a = self.number()
        sign = self.pick(("+", "-", "*"))
        others = [*self.like(a), *(v for v in self.scope.values if v.dtype == a.dtype and not v.dims)]
        numbers = (
            "0.5",
            "2",
            "-1",
            *self.sizes,
            *(f"({n} / 2 + 1)" for n in self.sizes),
            *(f"(2*{n} - 1)" for n in self.sizes),
        )
        plain = replace(a, text=self.pick(numbers), dims=(), size=0.9)
        b = self.tamed(self.pick(others)) if others and not self.chance(3) else plain
        size = a.size + b.size if sign == "*" else max(a.size, b.size) + 0.31
        return Value(f"{a.text} {sign} {b.text}", a.dtype, a.dims, size)

    def broadcast(self) -> Value:
        a = self.number(lambda v: v.rank >= 1)
        b = self.number(lambda v: v.dtype == a.dtype and v.dims == a.dims[1:])
        return Value(f"{a.text} {self.pick('+-')} {b.text}", a.dtype, a.dims, max(a.size, b.size) + 0.31)

    def quotient(self) -> Value:
        a = self.number()
        (b,) = [self.pick(self.like(a))]
        if self.exact:
            return Value(f"{a.text} / (1 + square({b.text}))", a.dtype, a.dims, a.size)
        return Value(f"{a.text} / (1 + abs({b.text}))", a.dtype, a.dims, a.size)

    def power(self) -> Value:
        a = self.number()
        exponent = self.pick(("2", "3", "1"))
        return Value(
            f"{a.text if a.text.isidentifier() else f'({a.text})'}^{exponent}", a.dtype, a.dims, a.size * int(exponent)
        )

    def function(self) -> Value:
        """A scalar function inside of its domain."""
        name = self.pick(CONTINUOUS)
        a = self.plain() if name not in ("exp", "tanh", "sqrt") else self.number(lambda v: v.kind == "f")
        known = SCALARS[name]
        low, _, high = (known.domain or "-1..1").partition("..")
        middle, half = (float(low) + float(high)) / 2, (float(high) - float(low)) / 2
        inner = f"tanh({a.text})" if (middle, half) == (0, 1) else f"{middle:g} + {half:.4g} * tanh({a.text})"
        if known.arity == 1:
            return Value(f"{name}({inner})", a.dtype, a.dims, 4.7 if "gamma" in name else 2.7)
        b = self.pick(self.like(a))
        return Value(f"{name}({inner}, {middle:g} + {half:.4g} * tanh({b.text}))", a.dtype, a.dims, 2.7)

    def by_hand(self) -> Value:
        name = self.pick(("square", "conj", "abs", "relu", "re"))
        if name == "relu":
            a = self.plain()
            return Value(f"relu({a.text})", a.dtype, a.dims, a.size)
        a = self.number()
        if name == "square":
            return Value(f"square({a.text})", a.dtype, a.dims, 2 * a.size)
        real = {"c128": "f64", "c64": "f32"}.get(a.dtype, a.dtype)
        if name == "re" and a.kind == "c":
            return Value(f"{self.pick(('re', 'im'))}({a.text})", real, a.dims, a.size)
        return Value(f"{name}({a.text})", a.dtype if name in ("conj", "re") else real, a.dims, a.size + 0.2)

    def raw_value(self, fits: Callable[[Value], bool] = lambda v: True) -> Value:
        return self.operand(lambda v: v.raw and v.kind == "f" and fits(v))

    def discrete(self) -> Value:
        a = self.raw_value()
        name = self.pick(("floor", "ceil", "round", "trunc", "sign", "mod", "floor_div"))
        text = f"{name}({a.text}, 1.5)" if name in ("mod", "floor_div") else f"{name}({a.text})"
        return Value(text, a.dtype, a.dims, 0.5)

    def chosen(self) -> Value:
        a = self.raw_value()
        comparison = self.pick((">", "<=", "==", "!=", "<", ">="))
        condition = f"{a.text} {comparison} 0.5"
        if self.chance(3):
            condition = self.pick(("not isnan({a})", "{a} > 0 and {a} < 1", "{a} < 0 or isfinite({a})")).replace(
                "{a}", a.text
            )
        b, c = self.pick(self.like(a)), self.pick(self.like(a))
        return Value(f"select({condition}, {b.text}, {c.text})", a.dtype, a.dims, max(b.size, c.size))

    def conditional(self) -> Value:
        a = self.number(lambda v: v.text.isidentifier())
        b = self.wrapped(a)
        return Value(f"({b.text} if {self.condition()} else {a.text})", a.dtype, a.dims, b.size)

    def condition(self) -> str:
        """A scalar truth value."""
        flags = [v.text for v in self.scope.values if v.dtype == "bool" and not v.dims]
        counts = [f"{v.text} > 1" for v in self.scope.values if v.kind == "i" and not v.dims]
        sizes = [f"{self.pick(self.sizes)} > 1"] if self.inside is None else []
        return self.pick([*flags, *counts, *sizes])

    def cast(self) -> Value:
        a = self.number(lambda v: v.kind == "f")
        dtype = self.pick(("f64", "f32", "c128"))
        if self.exact:
            dtype = "f64"
        return Value(f"{dtype}({a.text})", dtype, a.dims, a.size, a.raw and dtype != "c128")

    def counted(self) -> Value:
        """Whole numbers become floats."""
        a = self.operand(lambda v: v.kind in "ib")
        return Value(f"{self.dtype}({a.text})", self.dtype, a.dims, 0.7)

    # ---- products

    def product(self) -> Value:
        a = self.number(lambda v: v.rank >= 1)
        inner = a.dims[-1]
        b = self.number(lambda v: v.dtype == a.dtype and v.rank in (1, 2) and v.dims[0 if v.rank == 1 else -2] == inner)
        if a.rank > 2 and b.rank > 2:
            raise CannotBuild
        dims = (*a.dims[:-1], *b.dims[1:])
        return Value(f"{a.text} @ {b.text}", a.dtype, dims, a.size + b.size + 0.7)

    def gram(self) -> Value:
        a = self.number(lambda v: v.rank == 2)
        return Value(f"{a.text} @ {a.text}'", a.dtype, (a.dims[0], a.dims[0]), 2 * a.size + 0.7)

    def transposed(self) -> Value:
        a = self.operand(lambda v: v.kind in "fc" and v.rank >= 2)
        text = self.pick((f"{a.text}'", f"transpose({a.text})", f"adjoint({a.text})"))
        return replace(a, text=text, dims=(*a.dims[:-2], a.dims[-1], a.dims[-2]))

    def other_products(self) -> Value:
        name = self.pick(
            ("outer", "kron", "trace", "diag", "tril", "triu", "vec", "dot", "vdot", "khatri_rao", "cross")
        )
        matrix = name in ("kron", "trace", "tril", "triu", "vec", "khatri_rao")
        a = self.number(lambda v: v.rank == (2 if matrix else 1))
        rows = a.dims[0]
        if name == "trace":
            a = self.number(lambda v: v.rank == 2 and v.dims[0] == v.dims[1])
            return Value(f"trace({a.text})", a.dtype, (), a.size + 0.7)
        if name == "diag":
            return Value(f"diag({a.text})", a.dtype, (rows, rows), a.size)
        if name in ("tril", "triu"):
            return Value(f"{name}({a.text}, k={self.pick(('0', '1', '-1'))})", a.dtype, a.dims, a.size)
        if name == "vec":
            return Value(f"vec({a.text})", a.dtype, (rows * a.dims[1],), a.size)
        fits = {
            "outer": lambda v: v.rank == 1,
            "kron": lambda v: v.rank == 2 and all(_small(x * y) for x, y in zip(a.dims, v.dims)),
            "khatri_rao": lambda v: v.rank == 2 and v.dims[1] == a.dims[1] and _small(v.dims[0] * rows),
            "cross": lambda v: v.dims == (3,) == a.dims,
        }.get(name, lambda v: v.dims == a.dims)
        b = self.number(lambda v: v.dtype == a.dtype and fits(v))
        dims: dict[str, tuple[DimLike, ...]] = {"outer": (rows, b.dims[0]), "cross": (3,)}
        if name == "kron":
            dims["kron"] = (rows * b.dims[0], a.dims[1] * b.dims[1])
        if name == "khatri_rao":
            dims["khatri_rao"] = (rows * b.dims[0], a.dims[1])
        return Value(f"{name}({a.text}, {b.text})", a.dtype, dims.get(name, ()), a.size + b.size + 0.7)

    def convolution(self) -> Value:
        name, mode = self.pick(("conv", "correlate")), self.pick(("valid", "same", "full"))
        a = self.number(lambda v: v.rank == 1 and not isinstance(v.dims[0], int))
        self.need(a.dims[0], 3)
        dims = {"valid": a.dims[0] - 2, "same": a.dims[0], "full": a.dims[0] + 2}[mode]
        return Value(f"{name}({a.text}, [1.0, 2.0, -1.0], mode={mode})", a.dtype, (dims,), a.size + 0.7)

    # ---- shapes

    def shaped(self) -> Value:
        name = self.pick(
            ("flip", "roll", "pad", "tile", "unsqueeze", "squeeze", "permute", "broadcast_to", "reshape", "unvec")
        )
        a = self.operand(lambda v: v.kind in "fc" and v.rank >= 1 and v.size < 4)
        first, axis = a.dims[0], self.below(a.rank)
        match name:
            case "flip":
                return replace(a, text=f"flip({a.text}, axis={axis})")
            case "roll":
                self.need(a.dims[axis], 1)
                return replace(a, text=f"roll({a.text}, shift={self.pick(('1', '-1', '2'))}, axis={axis})")
            case "pad":
                dims = (first + 3, *a.dims[1:])
                return replace(a, text=f"pad({a.text}, before=1, after=2, axis=0, value=0.5)", dims=dims)
            case "tile":
                if not _small(2 * first):
                    raise CannotBuild
                return replace(a, text=f"tile({a.text}, times=2, axis=0)", dims=(2 * first, *a.dims[1:]))
            case "unsqueeze":
                return replace(a, text=f"unsqueeze({a.text}, axis={axis})", dims=(*a.dims[:axis], 1, *a.dims[axis:]))
            case "squeeze":
                a = self.operand(lambda v: v.kind in "fc" and 1 in v.dims)
                axis = a.dims.index(1)
                return replace(a, text=f"squeeze({a.text}, axis={axis})", dims=(*a.dims[:axis], *a.dims[axis + 1 :]))
            case "permute":
                if a.rank != 3:
                    raise CannotBuild
                return replace(a, text=f"permute({a.text}, axes=(2, 0, 1))", dims=(a.dims[2], a.dims[0], a.dims[1]))
            case "broadcast_to":
                return replace(a, text=f"broadcast_to({a.text}, {_dims((2, *a.dims))})", dims=(2, *a.dims))
            case "reshape":
                whole = product(a.dims)
                text = "-1" if self.chance(2) else dim_text(whole)
                return replace(a, text=f"reshape({a.text}, {text})", dims=(whole,))
            case _:
                a = self.operand(lambda v: v.kind in "fc" and v.rank == 1 and _factors(v.dims[0]) is not None)
                rows, columns = _factors(a.dims[0]) or (1, 1)
                return replace(a, text=f"unvec({a.text}, {_dims((rows, columns))})", dims=(rows, columns))

    def joined(self) -> Value:
        name = self.pick(("concat", "stack", "block"))
        a = self.operand(lambda v: v.kind in "fc" and v.rank >= 1 and v.size < 4)
        b = self.pick(self.like(a))
        size, raw = max(a.size, b.size), a.raw and b.raw
        if name == "stack":
            return Value(f"stack({a.text}, {b.text})", a.dtype, (2, *a.dims), size, raw)
        if name == "concat":
            axis = self.below(a.rank)
            dims = tuple(2 * d if k == axis else d for k, d in enumerate(a.dims))
            if not all(_small(d) for d in dims):
                raise CannotBuild
            return Value(f"concat({a.text}, {b.text}, axis={axis})", a.dtype, dims, size, raw)
        if a.rank != 2 or not all(_small(2 * d) for d in a.dims):
            raise CannotBuild
        text = self.pick((f"[{a.text}, {b.text}; {b.text}, {a.text}]", f"[{a.text}, 0; 0, {b.text}]"))
        return Value(text, a.dtype, (2 * a.dims[0], 2 * a.dims[1]), size, raw)

    def made(self) -> Value:
        n = named(self.pick(self.sizes)) if self.inside is None else 3
        text, dims, size = self.pick(
            (
                (f"ones({_dims((n, 2))})", (n, 2), 0.0),
                (f"zeros({_dims((n,))})", (n,), 0.0),
                (f"eye({_dims((n,))})", (n, n), 0.0),
                (f"full(0.5, {_dims((n, n))})", (n, n), 0.0),
                (f"arange({_dims((n,))})", (n,), 0.7),
                ("linspace(0, 1, 5)", (5,), 0.0),
                ("[1.0, 2.0; 3.0, 4.0]", (2, 2), 0.7),
                (f"one_hot(arange({_dims((n,))}), {_dims((n + 1,))})", (n, n + 1), 0.0),
                ("normal(3, 2, seed=5)", (3, 2), 0.7),
                (f"uniform({_dims((n,))}, seed=1)", (n,), 0.0),
                ("rademacher(4)", (4,), 0.0),
                ("sparse_sketch(5, 3, s=2)", (5, 3), 0.0),
            )[: 8 if self.exact else 12]
        )
        return Value(f"{self.dtype}({text})", self.dtype, dims, size)

    def sliced(self) -> Value:
        a = self.operand(lambda v: v.kind in "fc" and v.rank >= 1)
        first = a.dims[0]
        rest = ", :" * (a.rank - 1) if self.chance(2) else ", ..." if a.rank > 1 and self.chance(2) else ""
        item = self.pick(("1:", ":2", "0", "-1", "::2", ":-1"))
        if item == "::2":
            dims: tuple[DimLike, ...] = (divide(first + 1, 2),)
        elif item in ("0", "-1"):
            self.need(first, 1)
            dims = ()
        elif item == ":2":
            self.need(first, 2)
            dims = (2,)
        else:
            self.need(first, 1)
            dims = (first - 1,)
        return replace(
            a, text=f"{a.text if a.text.isidentifier() else f'({a.text})'}[{item}{rest}]", dims=(*dims, *a.dims[1:])
        )

    # ---- reductions, sorting, layers

    def reduced(self) -> Value:
        name = self.pick(
            (
                "sum",
                "mean",
                "prod",
                "norm",
                "var",
                "std",
                "logsumexp",
                "median",
                "max",
                "min",
                "argmax",
                "argmin",
                "any",
                "all",
            )
        )
        if self.exact:
            name = self.pick(("sum", "mean", "prod"))
        exactly = name in ("max", "min", "argmax", "argmin", "median", "any", "all")
        a = self.raw_value(lambda v: v.rank >= 1) if exactly else self.number(lambda v: v.rank >= 1)
        if a.kind == "c" and name not in ("sum", "mean", "norm"):
            raise CannotBuild
        axis = None if self.chance(2) and not name.startswith("arg") else self.below(a.rank)
        if name not in ("sum", "prod", "norm", "any", "all"):
            for dim in a.dims if axis is None else (a.dims[axis],):
                self.need(dim, 1)
        dims = () if axis is None else tuple(d for k, d in enumerate(a.dims) if k != axis)
        keep = self.chance(4)
        if keep:
            dims = tuple(1 if axis is None or k == axis else d for k, d in enumerate(a.dims))
        inner = f"tanh({a.text})" if name == "prod" and not self.exact else a.text
        if name == "std":
            inner = f"{a.text} + 0.1 * arange({dim_text(a.dims[-1])})" if isinstance(a.dims[-1], Dim) else a.text
        if name in ("any", "all"):
            inner = f"{a.text} > 0"
        options = (f", axis={axis}" if axis is not None else "") + (", keepdims=true" if keep else "")
        dtype = {"norm": _real(a.dtype), "argmax": "i64", "argmin": "i64", "any": "bool", "all": "bool"}.get(
            name, a.dtype
        )
        size = {"prod": 8 * a.size if self.exact else 0.0, "sum": a.size + 1.3, "norm": a.size + 0.7}.get(
            name, a.size + 1
        )
        return Value(f"{name}({inner}{options})", dtype, dims, 2 * size if name == "var" else size)

    def running(self) -> Value:
        name = self.pick(("cumsum", "cumprod", "cummax")) if not self.exact else "cumsum"
        a = self.raw_value(lambda v: v.rank >= 1) if name == "cummax" else self.number(lambda v: v.rank >= 1)
        inner = f"tanh({a.text})" if name == "cumprod" and a.kind == "f" else a.text
        if name == "cumprod" and a.kind == "c":
            raise CannotBuild
        return Value(f"{name}({inner}, axis={self.below(a.rank)})", a.dtype, a.dims, a.size + 0.7)

    def layer(self) -> Value:
        name = self.pick(("softmax", "log_softmax", "layernorm", "rmsnorm"))
        a = self.plain(lambda v: v.rank >= 1)
        self.need(a.dims[-1], 1)
        if "norm" in name:
            if self.chance(2):
                (w,) = [self.number(lambda v: v.dtype == a.dtype and v.dims == a.dims[-1:])]
                return Value(f"{name}({a.text}, {w.text})", a.dtype, a.dims, w.size + 1)
            return Value(f"{name}({a.text}, eps=0.01)", a.dtype, a.dims, 1)
        return Value(
            f"{name}({a.text}, axis={self.below(a.rank) - a.rank})" if a.rank == 1 else f"{name}({a.text})",
            a.dtype,
            a.dims,
            a.size + 1,
        )

    def ordered(self) -> Value:
        name = self.pick(("sort", "argsort", "searchsorted"))
        a = self.raw_value(lambda v: v.rank >= 1)
        if name == "searchsorted":
            b = self.raw_value(lambda v: v.rank == 1 and v.dtype == a.dtype)
            return Value(
                f"searchsorted(sort({b.text}), {a.text}, side={self.pick(('left', 'right'))})", "i64", a.dims, 0.7
            )
        options = self.pick(("", ", descending=true", ", axis=0"))
        return Value(f"{name}({a.text}{options})", a.dtype if name == "sort" else "i64", a.dims, a.size, name == "sort")

    def fourier(self) -> Value:
        name = self.pick(("fft", "rfft", "dct", "idct", "ifft", "fftshift", "ifftshift", "irfft", "fft2"))
        a = self.plain(lambda v: v.rank >= (2 if name == "fft2" else 1))
        self.need(a.dims[-1], 1)
        if name == "fft2":
            self.need(a.dims[-2], 1)
        if name in ("fftshift", "ifftshift"):
            return replace(a, text=f"{name}({a.text}, axis=-1)")
        if name in ("dct", "idct"):
            return Value(f"{name}({a.text})", a.dtype, a.dims, a.size + 1)
        if name == "irfft":
            return Value(f"irfft(rfft({a.text}), {dim_text(a.dims[-1])})", a.dtype, a.dims, a.size + 0.3)
        if name == "rfft":
            half = divide(a.dims[-1], 2) + 1
            return Value(f"abs(rfft({a.text}))", a.dtype, (*a.dims[:-1], half), a.size + 1)
        return Value(f"{self.pick(('re', 'im', 'abs'))}({name}({a.text}))", a.dtype, a.dims, a.size + 1.4)

    def parts(self) -> Value:
        """Ops with several results, and others of their own kind."""
        name = self.pick(("clip", "split", "topk", "cross_entropy"))
        if name == "clip":
            a = self.plain()
            return Value(f"clip({a.text}, -0.75, 1.5)", a.dtype, a.dims, 0.3)
        p, q = self.fresh("p"), self.fresh("q")
        if name == "split":
            a = self.number(lambda v: v.rank >= 1)
            self.line(f"{p}, {q} = split(concat({a.text}, 2 * {a.text}), parts=2)")
            return Value(f"{p} - 0.5 * {q}", a.dtype, a.dims, a.size + 0.5)
        if name == "topk":
            a = self.raw_value(lambda v: v.rank >= 1)
            self.need(a.dims[-1], 2)
            self.line(f"{p}, {q} = topk({a.text}, 2)")
            return Value(self.pick((p, f"{a.dtype}({q})")), a.dtype, (*a.dims[:-1], 2), 0.7)
        (at,) = [v for v in self.scope.values if v.text == "at"] or [None]
        a = self.plain(lambda v: v.dims == (named("n"),))
        if at is None:
            raise CannotBuild
        return Value(f"cross_entropy(take(outer({a.text}, {a.text}), at), at)", a.dtype, at.dims, 2 * a.size + 1)

    # ---- linear algebra, on matrices that are well conditioned by construction

    def definite(self) -> Value:
        """A symmetric positive definite matrix, as a name."""
        known = [v for v in self.scope.values if v.text.startswith("S") and v.kind in "fc"]
        if known and not self.chance(3):
            return self.pick(known)
        a = self.number(lambda v: v.rank == 2 and v.dtype in (*PLAIN, "c128"))
        n = a.dims[0]
        inner = a.text if self.exact else self.tamed(replace(a, size=9)).text
        other = f"({inner})" if not inner.isidentifier() else inner
        name = self.fresh("S")
        flip = f"{other}'" if a.kind == "f" else f"adjoint({other})"
        fact = self.pick(("", " is spd", " is symmetric and nonsingular")) if a.kind == "f" else ""
        self.line(f"{name}: {_type(replace(a, dims=(n, n)))}{fact} = {inner} @ {flip} + {_times(n)}eye({dim_text(n)})")
        if fact:
            self.kinds.add("facts")
        return self.bind(Value(name, a.dtype, (n, n), 1.3))

    def linear(self) -> Value:
        s = self.definite()
        n, real, size = s.dims[0], _real(s.dtype), 1.0
        exactly = ("inv({})", "det({})", "matpow({}, 2)", "matpow({}, -1)", "pinv({})", "solve", "lstsq", "lu")
        names = [*exactly]
        if not self.exact:
            names += [
                "cholesky({})",
                "sqrtm({})",
                "logm({})",
                "expm(0.1 * {})",
                "logdet({})",
                "cond({})",
                "svdvals({})",
            ]
            names += [
                "eigvalsh({})",
                "triangular",
                "svd",
                "qr",
                "eigh",
                "slogdet",
                "ldl",
                "sum(re(eigvals({})))",
                "rank",
            ]
        name = self.pick(names)
        if name == "cond({})":
            self.need(n, 1)
        scalars = {"det({})": s.dtype, "logdet({})": real, "cond({})": real, "sum(re(eigvals({})))": real}
        if name in scalars:
            return Value(
                name.replace("{}", s.text), scalars[name], (), 5.0 if "det(" in name and "log" not in name else 2.0
            )
        if name in ("svdvals({})", "eigvalsh({})"):
            return Value(name.replace("{}", s.text), real, (n,), 2)
        if "{}" in name:
            return Value(name.replace("{}", s.text), s.dtype, (n, n), 2.6)
        if name in ("solve", "lstsq", "triangular"):
            b = self.number(lambda v: v.dtype == s.dtype and v.rank in (1, 2) and v.dims[0] == n)
            if name == "triangular":
                lower = self.pick(("true", "false"))
                part = "tril" if lower == "true" else "triu"
                return Value(
                    f"solve_triangular({part}({s.text}), {b.text}, lower={lower})", s.dtype, b.dims, b.size + 1.5
                )
            text = f"{s.text} \\ {b.text}" if name == "solve" and self.chance(2) else f"{name}({s.text}, {b.text})"
            return Value(text, s.dtype, b.dims, b.size + size)
        a, b, c = self.fresh("q"), self.fresh("r"), self.fresh("t")
        if name == "rank":
            return Value(f"{self.dtype}(matrix_rank({s.text}))", self.dtype, (), 1)
        if name == "slogdet":
            self.line(f"{a}, {b} = slogdet({s.text})")
            return Value(f"{a} * {b}", s.dtype, (), 1.3) if s.kind == "f" else Value(b, real, (), 1.3)
        forms = {
            "svd": (f"{a}, {b}, {c}", f"({a} * {b}) @ {c}"),
            "eigh": (f"{b}, {a}", f"({a} * {b}) @ adjoint({a})"),
            "qr": (f"{a}, {b}", f"{a} @ {b}"),
            "lu": (f"{a}, {b}, {c}", f"{a} @ {b} @ {c}"),
            "ldl": (f"{a}, {b}", f"{a} @ {b} @ {a}'"),
        }
        if name == "ldl" and s.kind == "c":
            raise CannotBuild
        self.line(f"{forms[name][0]} = {name}({s.text})")
        return Value(forms[name][1], s.dtype, (n, n), 1.3)

    def gathered(self) -> None:
        """A statement that takes or adds entries at the positions in `at`."""
        (at,) = [v for v in self.scope.values if v.text == "at"] or [None]
        if at is None:
            raise CannotBuild
        n, (k,) = named("n"), at.dims
        a = self.number(lambda v: v.rank >= 1 and v.dims[0] == n and v.text.isidentifier())
        rest = a.dims[1:]
        forms = [(f"take({a.text}, at)", (k, *rest)), (f"{a.text}[at]", (k, *rest))]
        if a.rank == 1:
            forms.append((f"segment_sum(take({a.text}, at), at, n)", (n,)))
            forms.append((f"scatter_add({a.text}, at, 0.5 * {a.text}[at])", (n,)))
            forms.append((f"take_along({a.text}, at)", (k,)))
            name = self.fresh()
            self.line(f"{name}[i] = 2 * {a.text}[at[i]]")
            self.bind(Value(name, a.dtype, (k,), a.size + 0.3))
        text, dims = self.pick(forms)
        self.define(Value(text, a.dtype, dims, a.size + 1))

    # ---- index notation

    def indexed(self) -> None:
        """`K[i, j] = ...` with a random body."""
        base = self.number(lambda v: 1 <= v.rank <= 4 and v.text.isidentifier())
        letters = dict(zip("ijkl", base.dims))
        left = list(letters)
        if len(left) > 1 and self.chance(2):
            left.reverse()
        writer = _Index(self, base.dtype, letters)
        leaf = f"{base.text}[{', '.join(letters)}]"
        text, size = writer.body(leaf, base.size, 2)
        name = self.fresh()
        shown = [f"{a} in {dim_text(letters[a])}" if self.chance(3) else a for a in left]
        self.line(f"{name}[{', '.join(shown)}] = {text}")
        self.bind(Value(name, base.dtype, tuple(letters[a] for a in left), size))
        self.kinds |= writer.kinds

    # ---- functions

    def short(self) -> None:
        """An untyped function, called."""
        name = self.fresh("f")
        forms = ("x * x + 1", "0.5 * x - 1", "x + x", "-x") if self.exact else ("x * x + 1", "exp(-(x^2))", "x / 3")
        a = self.number(lambda v: v.dtype in (*PLAIN, "c128"))
        if self.inside is not None or a.size > 1 and not self.exact:
            raise CannotBuild
        if self.chance(2):
            by = self.pick(("2", "0.5", self.pick(self.sizes), "(-1)"))
            self.texts.append(f"def {name}(x, s):\n    y = s * x - 1\n    return y + 0.5 * s")
            self.define(Value(f"{name}({a.text}, {by})", a.dtype, a.dims, a.size + 1.3))
            return
        self.texts.append(f"def {name}(x) = {self.pick(forms)}")
        self.define(Value(f"{name}({a.text})", a.dtype, a.dims, 2 * a.size + 0.5))

    def batch(self) -> None:
        """A function of an array with any number of first axes."""
        name = self.fresh("b")
        a = self.number(lambda v: v.rank >= 1)
        if self.inside is not None:
            raise CannotBuild
        form, dims, size = self.pick(
            (
                ("-> [...]: sum(X * X, axis=-1)", a.dims[:-1], 2 * a.size + 0.7),
                ("-> [..., u]: X - 0.5 * cumsum(X, axis=-1)", a.dims, a.size + 1),
                ("-> [..., u + 1]: pad(X, after=1)", (*a.dims[:-1], a.dims[-1] + 1), a.size),
            )
        )
        result, _, value = form.partition(": ")
        dtype = self.pick(("", a.dtype))
        self.texts.append(f"def {name}(X: {dtype}[..., u]) {result}:\n    return {value}")
        self.define(Value(f"{name}({a.text})", a.dtype, dims, size))

    def call(self) -> None:
        if self.inside is not None:
            raise CannotBuild
        helper = self.pick(self.helpers) if self.helpers and self.chance(2) else self.helper()
        arguments, sizes = [], {}
        for parameter in helper.parameters:
            wanted = (parameter.dtype, parameter.dims)
            argument = self.operand(lambda v, wanted=wanted: (v.dtype, v.dims) == wanted and v.size <= 2)  # type: ignore[misc]
            arguments.append(argument.text)
        for dim, name in helper.names.items():
            sizes[name] = dim
        for name, least in helper.least.items():
            self.need(sizes[name], least)
        if helper.default and self.chance(2):
            arguments.append(self.pick(("s=0.25", "0.75", "s=2")))
        text = f"{helper.name}({', '.join(arguments)})"
        results = [replace(r, dims=tuple(substitute(d, sizes) for d in r.dims)) for r in helper.results]
        if len(results) == 1:
            self.define(replace(results[0], text=text))
            return
        names = [self.fresh() for _ in results]
        self.line(f"{', '.join(names)} = {text}")
        for name, result in zip(names, results, strict=True):
            self.bind(replace(result, text=name))

    def helper(self) -> _Helper:
        """A function written for values that are in scope."""
        chosen = [self.operand(lambda v: v.size <= 2 and v.kind in "fcib") for _ in range(1 + self.below(3))]
        dims = [d for v in chosen for d in v.dims if not isinstance(d, int)]
        names = {d: f"u{k}" for k, d in enumerate(dict.fromkeys(dims))}
        outer = self.scope, self.lines, self.depth, self.least, self.sizes
        inner = [
            Value(f"y{k}", v.dtype, tuple(named(names[d]) if d in names else d for d in v.dims), 2, False)
            for k, v in enumerate(chosen)
        ]
        name, default = self.fresh("h"), self.chance(2)
        parameters = [f"{v.text}: {_type(v)}" for v in inner]
        if default:
            parameters.append(f"s: {self.dtype} = 0.5")
        self.scope = _Scope([*inner, *([Value("s", self.dtype)] if default else [])])
        self.lines, self.depth, self.inside = [], 1, name
        self.least, self.sizes = dict.fromkeys(names.values(), 0), tuple(names.values())
        try:
            for _ in range(1 + self.below(2)):
                self.statement()
            made = [v for v in self.scope.values if v.text.isidentifier()]
            results = [made[-1]] if self.chance(2) else list({v.text: v for v in (made[-1], made[0])}.values())
            where = self.where()
            returned = ", ".join(v.text for v in results)
            arrow = _type(results[0]) if len(results) == 1 else f"({', '.join(map(_type, results))})"
            text = "\n".join(
                [f"def {name}({', '.join(parameters)}) -> {arrow}{where}:", *self.lines, f"    return {returned}"]
            )
            made_helper = _Helper(name, chosen, names, results, self.least, default)
        finally:
            self.scope, self.lines, self.depth, self.least, self.sizes = outer
            self.inside = None
        self.texts.append(text)
        self.helpers.append(made_helper)
        return made_helper

    # ---- loops and branches

    def same_type(self, value: Value) -> str:
        """An expression of the same type, no larger."""
        forms = [f"0.5 * {value.text}", f"{value.text} - 0.5 * {value.text}"]
        forms += [f"0.5 * {value.text} + 0.25 * {v.text}" for v in self.like(value) if v.size <= value.size][:2]
        if value.rank == 2 and value.dims[0] == value.dims[1] and value.size <= 0 and not self.exact:
            forms.append(f"0.1 * {value.text} @ {value.text}")
        if value.kind == "f" and not self.exact:
            forms.append(f"tanh({value.text})")
        return self.pick(forms)

    def state(self) -> list[Value]:
        """Names that a loop replaces."""
        made = []
        for _ in range(1 + self.below(2)):
            start = self.number(lambda v: v.dtype == self.dtype)
            made.append(self.define(start, typed=False))
        return made

    def block(self, carried: Sequence[Value]) -> None:
        """Statements of a loop or branch that replace values."""
        outer = list(self.scope.values)
        self.depth += 1
        if self.chance(3) and self.depth < 4:
            self.statement()
        self.line(f"{', '.join(v.text for v in carried)} = {', '.join(self.same_type(v) for v in carried)}")
        self.depth -= 1
        self.scope.values = outer

    def repeat(self) -> None:
        carried = self.state()
        counts = ["3", "0", "2", *(v.text for v in self.scope.values if v.dtype == "i64" and not v.dims)]
        count = self.pick(counts)
        form = self.below(3)
        if form:
            step = self.fresh("step")
            self.line(f"{step} = 0")
            test = f"{step} >= {self.below(3)}"
            self.line(f"repeat {count} until {test}:" if form == 1 else f"repeat {count}:")
            if form == 2:
                self.depth += 1
                self.line(f"until {test}")
                self.depth -= 1
            self.kinds.add("until header" if form == 1 else "until statement")
            self.lines.append("    " * (self.depth + 1) + f"{step} = {step} + 1")
        else:
            self.line(f"repeat {count}:")
        self.block(carried)

    def scan(self) -> None:
        carried = self.state() if self.chance(2) else []
        name = self.pick(self.sizes) if self.inside is None else "3"
        extent: DimLike = named(name) if self.inside is None else 3
        letter = self.fresh("t")
        self.line(f"scan {letter} in {name}:")
        outer = list(self.scope.values)
        self.depth += 1
        if carried and self.chance(2):
            self.line(f"{carried[0].text} = {self.same_type(carried[0])}")
        a = self.number(lambda v: v.text.isidentifier() and v.dtype == self.dtype)
        text = self.same_type(a)
        if a.rank >= 1 and a.dims[0] == extent:
            text, a = f"{a.text}[{letter}] * 0.5", replace(a, dims=a.dims[1:])
        stacked = self.fresh()
        if a.rank == 1 and self.chance(2) and text.startswith("0.5"):
            self.line(
                f"{stacked}[{letter}, i] = 0.5 * {a.text}[i] + {letter}"
                if a.text + "[" not in text
                else f"{stacked}[{letter}] = {text}"
            )
        else:
            self.line(f"{stacked}[{letter}] = {text}")
        self.depth -= 1
        self.scope.values = outer
        self.bind(Value(stacked, a.dtype, (extent, *a.dims), a.size + 0.5))

    def branch(self) -> None:
        carried = self.state()
        self.line(f"if {self.condition()}:")
        self.block(carried)
        if self.chance(2):
            self.line(f"elif {self.condition()}:")
            self.block(carried)
        if self.chance(2):
            self.line("else:")
            self.block(carried)


class _Index:
    """Writes the right side of an index statement."""

    def __init__(self, program: _Program, dtype: str, letters: dict[str, DimLike]) -> None:
        self.program, self.dtype = program, dtype
        self.letters = dict(letters)
        self.kinds: set[str] = set()
        self.unused = iter("qrstuvw")

    def body(self, leaf: str, size: float, depth: int) -> tuple[str, float]:
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
        letter = next(self.unused)
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


def _type(value: Value) -> str:
    return f"{value.dtype}[{_dims(value.dims)}]" if value.dims else value.dtype


def _dims(dims: Iterable[DimLike]) -> str:
    return ", ".join(dim_text(d) for d in dims)


def _real(dtype: str) -> str:
    return {"c128": "f64", "c64": "f32"}.get(dtype, dtype)


def _times(n: DimLike) -> str:
    text = dim_text(n)
    return f"{text} * " if text.isidentifier() else f"({text}) * "


def _small(dim: DimLike) -> bool:
    """Whether an axis stays short at the sizes of the tests."""
    return evaluate(dim, dict.fromkeys(names_of(dim), 4)) <= 64


def _factors(dim: DimLike) -> tuple[DimLike, DimLike] | None:
    """A product of two sizes, taken apart."""
    if isinstance(dim, int) or len(dim.terms) != 1:
        return None
    atoms = [atom for atom, exponent in dim.terms[0][0] for _ in range(exponent)]
    if len(atoms) != 2 or not all(isinstance(a, str) for a in atoms):
        return None
    return named(str(atoms[0])) * dim.terms[0][1], named(str(atoms[1]))


CONTINUOUS = [
    name
    for name, known in SCALARS.items()
    if known.result == "float" and name not in BY_HAND and name not in ("erfinv", "div", "pow") and known.arity < 3
] + ["hypot", "maximum", "minimum"]

EXACT_RULES: tuple[Callable[[_Program], Value], ...] = (
    _Program.arithmetic,
    _Program.product,
    _Program.arithmetic,
    _Program.broadcast,
    _Program.transposed,
    _Program.reduced,
    _Program.power,
    _Program.gram,
    _Program.sliced,
    _Program.shaped,
    _Program.joined,
    _Program.made,
    _Program.other_products,
    _Program.quotient,
    _Program.conditional,
    _Program.counted,
    _Program.running,
    _Program.convolution,
    _Program.linear,
)
RULES: tuple[Callable[[_Program], Value], ...] = (
    *EXACT_RULES,
    _Program.function,
    _Program.function,
    _Program.by_hand,
    _Program.discrete,
    _Program.chosen,
    _Program.cast,
    _Program.layer,
    _Program.ordered,
    _Program.fourier,
    _Program.parts,
    _Program.linear,
    _Program.linear,
)
