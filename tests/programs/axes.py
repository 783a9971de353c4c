"""Expressions: functions along axes, as reductions, running sums, layers, sorting and transforms are."""

from __future__ import annotations

from dataclasses import replace

from tpc.ir.dims import Dim, dim_text, divide, named

from .program import CannotBuild, Program
from .values import Value, real

# One line each for values, order and truth.
REDUCTIONS = (
    *("sum", "mean", "prod", "norm", "var", "std", "logsumexp"),
    *("median", "max", "min", "argmax", "argmin"),
    *("any", "all"),
)


def reduced(program: Program) -> Value:
    name = program.pick(REDUCTIONS)
    if program.exact:
        name = program.pick(("sum", "mean", "prod"))
    exactly = name in ("max", "min", "argmax", "argmin", "median", "any", "all")
    a = program.raw_value(lambda v: v.rank >= 1) if exactly else program.number(lambda v: v.rank >= 1)
    if a.kind == "c" and name not in ("sum", "mean", "norm"):
        raise CannotBuild
    axis = None if program.chance(2) and not name.startswith("arg") else program.below(a.rank)
    if name not in ("sum", "prod", "norm", "any", "all"):
        for dim in a.dims if axis is None else (a.dims[axis],):
            program.need(dim, 1)
    dims = () if axis is None else tuple(d for k, d in enumerate(a.dims) if k != axis)
    keep = program.chance(4)
    if keep:
        dims = tuple(1 if axis is None or k == axis else d for k, d in enumerate(a.dims))
    inner = f"tanh({a.text})" if name == "prod" and not program.exact else a.text
    if name == "std":
        inner = f"{a.text} + 0.1 * arange({dim_text(a.dims[-1])})" if isinstance(a.dims[-1], Dim) else a.text
    if name in ("any", "all"):
        inner = f"{a.text} > 0"
    options = (f", axis={axis}" if axis is not None else "") + (", keepdims=true" if keep else "")
    dtype = {"norm": real(a.dtype), "argmax": "i64", "argmin": "i64", "any": "bool", "all": "bool"}.get(name, a.dtype)
    size = {"prod": 8 * a.size if program.exact else 0.0, "sum": a.size + 1.3, "norm": a.size + 0.7}.get(
        name, a.size + 1
    )
    return Value(f"{name}({inner}{options})", dtype, dims, 2 * size if name == "var" else size)


def running(program: Program) -> Value:
    name = program.pick(("cumsum", "cumprod", "cummax")) if not program.exact else "cumsum"
    a = program.raw_value(lambda v: v.rank >= 1) if name == "cummax" else program.number(lambda v: v.rank >= 1)
    inner = f"tanh({a.text})" if name == "cumprod" and a.kind == "f" else a.text
    if name == "cumprod" and a.kind == "c":
        raise CannotBuild
    return Value(f"{name}({inner}, axis={program.below(a.rank)})", a.dtype, a.dims, a.size + 0.7)


def layer(program: Program) -> Value:
    name = program.pick(("softmax", "log_softmax", "layernorm", "rmsnorm"))
    a = program.plain(lambda v: v.rank >= 1)
    program.need(a.dims[-1], 1)
    if "norm" in name:
        if program.chance(2):
            w = program.number(lambda v: v.dtype == a.dtype and v.dims == a.dims[-1:])
            return Value(f"{name}({a.text}, {w.text})", a.dtype, a.dims, w.size + 1)
        return Value(f"{name}({a.text}, eps=0.01)", a.dtype, a.dims, 1)
    return Value(
        f"{name}({a.text}, axis={program.below(a.rank) - a.rank})" if a.rank == 1 else f"{name}({a.text})",
        a.dtype,
        a.dims,
        a.size + 1,
    )


def ordered(program: Program) -> Value:
    name = program.pick(("sort", "argsort", "searchsorted"))
    a = program.raw_value(lambda v: v.rank >= 1)
    if name == "searchsorted":
        b = program.raw_value(lambda v: v.rank == 1 and v.dtype == a.dtype)
        return Value(
            f"searchsorted(sort({b.text}), {a.text}, side={program.pick(('left', 'right'))})", "i64", a.dims, 0.7
        )
    options = program.pick(("", ", descending=true", ", axis=0"))
    return Value(f"{name}({a.text}{options})", a.dtype if name == "sort" else "i64", a.dims, a.size, name == "sort")


def fourier(program: Program) -> Value:
    name = program.pick(("fft", "rfft", "dct", "idct", "ifft", "fftshift", "ifftshift", "irfft", "fft2"))
    a = program.plain(lambda v: v.rank >= (2 if name == "fft2" else 1))
    program.need(a.dims[-1], 1)
    if name == "fft2":
        program.need(a.dims[-2], 1)
    if name in ("fftshift", "ifftshift"):
        return replace(a, text=f"{name}({a.text}, axis=-1)")
    if name in ("dct", "idct"):
        return Value(f"{name}({a.text})", a.dtype, a.dims, a.size + 1)
    if name == "irfft":
        return Value(f"irfft(rfft({a.text}), {dim_text(a.dims[-1])})", a.dtype, a.dims, a.size + 0.3)
    if name == "rfft":
        half = divide(a.dims[-1], 2) + 1
        return Value(f"abs(rfft({a.text}))", a.dtype, (*a.dims[:-1], half), a.size + 1)
    return Value(f"{program.pick(('re', 'im', 'abs'))}({name}({a.text}))", a.dtype, a.dims, a.size + 1.4)


def parts(program: Program) -> Value:
    """Ops with several results, and others of their own kind."""
    name = program.pick(("clip", "split", "topk", "cross_entropy"))
    if name == "clip":
        a = program.plain()
        return Value(f"clip({a.text}, -0.75, 1.5)", a.dtype, a.dims, 0.3)
    p, q = program.fresh("p"), program.fresh("q")
    if name == "split":
        a = program.number(lambda v: v.rank >= 1)
        program.line(f"{p}, {q} = split(concat({a.text}, 2 * {a.text}), parts=2)")
        return Value(f"{p} - 0.5 * {q}", a.dtype, a.dims, a.size + 0.5)
    if name == "topk":
        a = program.raw_value(lambda v: v.rank >= 1)
        program.need(a.dims[-1], 2)
        program.line(f"{p}, {q} = topk({a.text}, 2)")
        return Value(program.pick((p, f"{a.dtype}({q})")), a.dtype, (*a.dims[:-1], 2), 0.7)
    at = program.positions()
    a = program.plain(lambda v: v.dims == (named("n"),))
    if at is None:
        raise CannotBuild
    return Value(f"cross_entropy(take(outer({a.text}, {a.text}), at), at)", a.dtype, at.dims, 2 * a.size + 1)
