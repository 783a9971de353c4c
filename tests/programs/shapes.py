"""Expressions: other shapes, parts, joined arrays, and arrays from nothing."""

from __future__ import annotations

from dataclasses import replace

from tpc.ir.dims import DimLike, dim_text, divide, named, product

from .program import CannotBuild, Program
from .values import Value, listed, small


def shaped(program: Program) -> Value:
    name = program.pick(
        ("flip", "roll", "pad", "tile", "unsqueeze", "squeeze", "permute", "broadcast_to", "reshape", "unvec")
    )
    a = program.operand(lambda v: v.kind in "fc" and v.rank >= 1 and v.size < 4)
    first, axis = a.dims[0], program.below(a.rank)
    match name:
        case "flip":
            return replace(a, text=f"flip({a.text}, axis={axis})")
        case "roll":
            program.need(a.dims[axis], 1)
            return replace(a, text=f"roll({a.text}, shift={program.pick(('1', '-1', '2'))}, axis={axis})")
        case "pad":
            dims = (first + 3, *a.dims[1:])
            return replace(a, text=f"pad({a.text}, before=1, after=2, axis=0, value=0.5)", dims=dims)
        case "tile":
            if not small(2 * first):
                raise CannotBuild
            return replace(a, text=f"tile({a.text}, times=2, axis=0)", dims=(2 * first, *a.dims[1:]))
        case "unsqueeze":
            return replace(a, text=f"unsqueeze({a.text}, axis={axis})", dims=(*a.dims[:axis], 1, *a.dims[axis:]))
        case "squeeze":
            a = program.operand(lambda v: v.kind in "fc" and 1 in v.dims)
            axis = a.dims.index(1)
            return replace(a, text=f"squeeze({a.text}, axis={axis})", dims=(*a.dims[:axis], *a.dims[axis + 1 :]))
        case "permute":
            if a.rank != 3:
                raise CannotBuild
            return replace(a, text=f"permute({a.text}, axes=(2, 0, 1))", dims=(a.dims[2], a.dims[0], a.dims[1]))
        case "broadcast_to":
            return replace(a, text=f"broadcast_to({a.text}, {listed((2, *a.dims))})", dims=(2, *a.dims))
        case "reshape":
            whole = product(a.dims)
            text = "-1" if program.chance(2) else dim_text(whole)
            return replace(a, text=f"reshape({a.text}, {text})", dims=(whole,))
        case _:
            a = program.operand(lambda v: v.kind in "fc" and v.rank == 1 and _factors(v.dims[0]) is not None)
            rows, columns = _factors(a.dims[0]) or (1, 1)
            return replace(a, text=f"unvec({a.text}, {listed((rows, columns))})", dims=(rows, columns))


def joined(program: Program) -> Value:
    name = program.pick(("concat", "stack", "block"))
    a = program.operand(lambda v: v.kind in "fc" and v.rank >= 1 and v.size < 4)
    b = program.pick(program.like(a))
    size, raw = max(a.size, b.size), a.raw and b.raw
    if name == "stack":
        return Value(f"stack({a.text}, {b.text})", a.dtype, (2, *a.dims), size, raw)
    if name == "concat":
        axis = program.below(a.rank)
        dims = tuple(2 * d if k == axis else d for k, d in enumerate(a.dims))
        if not all(small(d) for d in dims):
            raise CannotBuild
        return Value(f"concat({a.text}, {b.text}, axis={axis})", a.dtype, dims, size, raw)
    if a.rank != 2 or not all(small(2 * d) for d in a.dims):
        raise CannotBuild
    text = program.pick((f"[{a.text}, {b.text}; {b.text}, {a.text}]", f"[{a.text}, 0; 0, {b.text}]"))
    return Value(text, a.dtype, (2 * a.dims[0], 2 * a.dims[1]), size, raw)


def made(program: Program) -> Value:
    n = named(program.pick(program.sizes)) if program.inside is None else 3
    text, dims, size = program.pick(
        (
            (f"ones({listed((n, 2))})", (n, 2), 0.0),
            (f"zeros({listed((n,))})", (n,), 0.0),
            (f"eye({listed((n,))})", (n, n), 0.0),
            (f"full(0.5, {listed((n, n))})", (n, n), 0.0),
            (f"arange({listed((n,))})", (n,), 0.7),
            ("linspace(0, 1, 5)", (5,), 0.0),
            ("[1.0, 2.0; 3.0, 4.0]", (2, 2), 0.7),
            (f"one_hot(arange({listed((n,))}), {listed((n + 1,))})", (n, n + 1), 0.0),
            ("normal(3, 2, seed=5)", (3, 2), 0.7),
            (f"uniform({listed((n,))}, seed=1)", (n,), 0.0),
            ("rademacher(4)", (4,), 0.0),
            ("sparse_sketch(5, 3, s=2)", (5, 3), 0.0),
        )[: 8 if program.exact else 12]
    )
    return Value(f"{program.dtype}({text})", program.dtype, dims, size)


def sliced(program: Program) -> Value:
    a = program.operand(lambda v: v.kind in "fc" and v.rank >= 1)
    first = a.dims[0]
    rest = ", :" * (a.rank - 1) if program.chance(2) else ", ..." if a.rank > 1 and program.chance(2) else ""
    item = program.pick(("1:", ":2", "0", "-1", "::2", ":-1"))
    if item == "::2":
        dims: tuple[DimLike, ...] = (divide(first + 1, 2),)
    elif item in ("0", "-1"):
        program.need(first, 1)
        dims = ()
    elif item == ":2":
        program.need(first, 2)
        dims = (2,)
    else:
        program.need(first, 1)
        dims = (first - 1,)
    return replace(
        a, text=f"{a.text if a.text.isidentifier() else f'({a.text})'}[{item}{rest}]", dims=(*dims, *a.dims[1:])
    )


def _factors(dim: DimLike) -> tuple[DimLike, DimLike] | None:
    """A product of two sizes, taken apart."""
    if isinstance(dim, int) or len(dim.terms) != 1:
        return None
    atoms = [atom for atom, exponent in dim.terms[0][0] for _ in range(exponent)]
    if len(atoms) != 2 or not all(isinstance(a, str) for a in atoms):
        return None
    return named(str(atoms[0])) * dim.terms[0][1], named(str(atoms[1]))
