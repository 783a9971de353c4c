"""Expressions: rules that go entry by entry, and the tables of all rules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tpc.ir.scalar import SCALARS

from . import axes, matrices, products, shapes
from .program import CannotBuild, Program
from .values import Value, real

DISCRETE = ("floor", "ceil", "round", "trunc", "sign", "isnan", "isinf", "isfinite", "angle")
BY_HAND = ("square", "conj", "re", "im", "abs", "neg", "logical_not", *DISCRETE)
CONTINUOUS = [
    name
    for name, known in SCALARS.items()
    if known.result == "float" and name not in BY_HAND and name not in ("erfinv", "div", "pow") and known.arity < 3
] + ["hypot", "maximum", "minimum"]


def expression(program: Program) -> Value:
    """A value by any of the rules."""
    rules = EXACT_RULES if program.exact else RULES
    for _ in range(12):
        try:
            value = program.pick(rules)(program)
        except CannotBuild:
            continue
        if value.size < (3.5 if program.dtype == "f16" else 6):
            return value
    raise CannotBuild


def arithmetic(program: Program) -> Value:
    a = program.number()
    sign = program.pick(("+", "-", "*"))
    others = [*program.like(a), *(v for v in program.scope if v.dtype == a.dtype and not v.dims)]
    numbers = (
        "0.5",
        "2",
        "-1",
        *program.sizes,
        *(f"({n} / 2 + 1)" for n in program.sizes),
        *(f"(2*{n} - 1)" for n in program.sizes),
    )
    plain = replace(a, text=program.pick(numbers), dims=(), size=0.9)
    b = program.tamed(program.pick(others)) if others and not program.chance(3) else plain
    size = a.size + b.size if sign == "*" else max(a.size, b.size) + 0.31
    return Value(f"{a.text} {sign} {b.text}", a.dtype, a.dims, size)


def broadcast(program: Program) -> Value:
    a = program.number(lambda v: v.rank >= 1)
    b = program.number(lambda v: v.dtype == a.dtype and v.dims == a.dims[1:])
    return Value(f"{a.text} {program.pick('+-')} {b.text}", a.dtype, a.dims, max(a.size, b.size) + 0.31)


def quotient(program: Program) -> Value:
    a = program.number()
    b = program.pick(program.like(a))
    if program.exact:
        return Value(f"{a.text} / (1 + square({b.text}))", a.dtype, a.dims, a.size)
    return Value(f"{a.text} / (1 + abs({b.text}))", a.dtype, a.dims, a.size)


def power(program: Program) -> Value:
    a = program.number()
    exponent = program.pick(("2", "3", "1"))
    return Value(
        f"{a.text if a.text.isidentifier() else f'({a.text})'}^{exponent}", a.dtype, a.dims, a.size * int(exponent)
    )


def function(program: Program) -> Value:
    """A scalar function inside of its domain."""
    name = program.pick(CONTINUOUS)
    a = program.plain() if name not in ("exp", "tanh", "sqrt") else program.number(lambda v: v.kind == "f")
    known = SCALARS[name]
    low, _, high = (known.domain or "-1..1").partition("..")
    middle, half = (float(low) + float(high)) / 2, (float(high) - float(low)) / 2
    inner = f"tanh({a.text})" if (middle, half) == (0, 1) else f"{middle:g} + {half:.4g} * tanh({a.text})"
    if known.arity == 1:
        return Value(f"{name}({inner})", a.dtype, a.dims, 4.7 if "gamma" in name else 2.7)
    b = program.pick(program.like(a))
    return Value(f"{name}({inner}, {middle:g} + {half:.4g} * tanh({b.text}))", a.dtype, a.dims, 2.7)


def by_hand(program: Program) -> Value:
    name = program.pick(("square", "conj", "abs", "relu", "re"))
    if name == "relu":
        a = program.plain()
        return Value(f"relu({a.text})", a.dtype, a.dims, a.size)
    a = program.number()
    if name == "square":
        return Value(f"square({a.text})", a.dtype, a.dims, 2 * a.size)
    if name == "re" and a.kind == "c":
        return Value(f"{program.pick(('re', 'im'))}({a.text})", real(a.dtype), a.dims, a.size)
    return Value(f"{name}({a.text})", a.dtype if name in ("conj", "re") else real(a.dtype), a.dims, a.size + 0.2)


def discrete(program: Program) -> Value:
    a = program.raw_value()
    name = program.pick(("floor", "ceil", "round", "trunc", "sign", "mod", "floor_div"))
    text = f"{name}({a.text}, 1.5)" if name in ("mod", "floor_div") else f"{name}({a.text})"
    return Value(text, a.dtype, a.dims, 0.5)


def chosen(program: Program) -> Value:
    a = program.raw_value()
    comparison = program.pick((">", "<=", "==", "!=", "<", ">="))
    test = f"{a.text} {comparison} 0.5"
    if program.chance(3):
        test = program.pick(("not isnan({a})", "{a} > 0 and {a} < 1", "{a} < 0 or isfinite({a})")).replace(
            "{a}", a.text
        )
    b, c = program.pick(program.like(a)), program.pick(program.like(a))
    return Value(f"select({test}, {b.text}, {c.text})", a.dtype, a.dims, max(b.size, c.size))


def conditional(program: Program) -> Value:
    a = program.number(lambda v: v.text.isidentifier())
    b = program.wrapped(a)
    return Value(f"({b.text} if {condition(program)} else {a.text})", a.dtype, a.dims, b.size)


def condition(program: Program) -> str:
    """A scalar truth value."""
    flags = [v.text for v in program.scope if v.dtype == "bool" and not v.dims]
    counts = [f"{v.text} > 1" for v in program.scope if v.kind == "i" and not v.dims]
    sizes = [f"{program.pick(program.sizes)} > 1"] if program.inside is None else []
    return program.pick([*flags, *counts, *sizes])


def cast(program: Program) -> Value:
    a = program.number(lambda v: v.kind == "f")
    dtype = program.pick(("f64", "f32", "c128"))
    if program.exact:
        dtype = "f64"
    return Value(f"{dtype}({a.text})", dtype, a.dims, a.size, a.raw and dtype != "c128")


def counted(program: Program) -> Value:
    """Whole numbers become floats."""
    a = program.operand(lambda v: v.kind in "ib")
    return Value(f"{program.dtype}({a.text})", program.dtype, a.dims, 0.7)


EXACT_RULES: tuple[Callable[[Program], Value], ...] = (
    arithmetic,
    products.product,
    arithmetic,
    broadcast,
    products.transposed,
    axes.reduced,
    power,
    products.gram,
    shapes.sliced,
    shapes.shaped,
    shapes.joined,
    shapes.made,
    products.other_products,
    quotient,
    conditional,
    counted,
    axes.running,
    products.convolution,
    matrices.linear,
)
RULES: tuple[Callable[[Program], Value], ...] = (
    *EXACT_RULES,
    function,
    function,
    by_hand,
    discrete,
    chosen,
    cast,
    axes.layer,
    axes.ordered,
    axes.fourier,
    axes.parts,
    matrices.linear,
    matrices.linear,
)
