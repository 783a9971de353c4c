"""Expressions: products, transposes and parts of matrices."""

from __future__ import annotations

from dataclasses import replace

from tpc.ir.dims import DimLike

from .program import CannotBuild, Program
from .values import Value, small


def product(program: Program) -> Value:
    a = program.number(lambda v: v.rank >= 1)
    inner = a.dims[-1]
    b = program.number(lambda v: v.dtype == a.dtype and v.rank in (1, 2) and v.dims[0 if v.rank == 1 else -2] == inner)
    if a.rank > 2 and b.rank > 2:
        raise CannotBuild
    dims = (*a.dims[:-1], *b.dims[1:])
    return Value(f"{a.text} @ {b.text}", a.dtype, dims, a.size + b.size + 0.7)


def gram(program: Program) -> Value:
    a = program.number(lambda v: v.rank == 2)
    return Value(f"{a.text} @ {a.text}'", a.dtype, (a.dims[0], a.dims[0]), 2 * a.size + 0.7)


def transposed(program: Program) -> Value:
    a = program.operand(lambda v: v.kind in "fc" and v.rank >= 2)
    text = program.pick((f"{a.text}'", f"transpose({a.text})", f"adjoint({a.text})"))
    return replace(a, text=text, dims=(*a.dims[:-2], a.dims[-1], a.dims[-2]))


def other_products(program: Program) -> Value:
    name = program.pick(("outer", "kron", "trace", "diag", "tril", "triu", "vec", "dot", "vdot", "khatri_rao", "cross"))
    matrix = name in ("kron", "trace", "tril", "triu", "vec", "khatri_rao")
    a = program.number(lambda v: v.rank == (2 if matrix else 1))
    rows = a.dims[0]
    if name == "trace":
        a = program.number(lambda v: v.rank == 2 and v.dims[0] == v.dims[1])
        return Value(f"trace({a.text})", a.dtype, (), a.size + 0.7)
    if name == "diag":
        return Value(f"diag({a.text})", a.dtype, (rows, rows), a.size)
    if name in ("tril", "triu"):
        return Value(f"{name}({a.text}, k={program.pick(('0', '1', '-1'))})", a.dtype, a.dims, a.size)
    if name == "vec":
        return Value(f"vec({a.text})", a.dtype, (rows * a.dims[1],), a.size)

    def fits(v: Value) -> bool:
        match name:
            case "outer":
                return v.rank == 1
            case "kron":
                return v.rank == 2 and all(small(x * y) for x, y in zip(a.dims, v.dims))
            case "khatri_rao":
                return v.rank == 2 and v.dims[1] == a.dims[1] and small(v.dims[0] * rows)
            case "cross":
                return v.dims == (3,) == a.dims
            case _:
                return v.dims == a.dims

    b = program.number(lambda v: v.dtype == a.dtype and fits(v))
    dims: dict[str, tuple[DimLike, ...]] = {"outer": (rows, b.dims[0]), "cross": (3,)}
    if name == "kron":
        dims["kron"] = (rows * b.dims[0], a.dims[1] * b.dims[1])
    if name == "khatri_rao":
        dims["khatri_rao"] = (rows * b.dims[0], a.dims[1])
    return Value(f"{name}({a.text}, {b.text})", a.dtype, dims.get(name, ()), a.size + b.size + 0.7)


def convolution(program: Program) -> Value:
    name, mode = program.pick(("conv", "correlate")), program.pick(("valid", "same", "full"))
    a = program.number(lambda v: v.rank == 1 and not isinstance(v.dims[0], int))
    program.need(a.dims[0], 3)
    dims = {"valid": a.dims[0] - 2, "same": a.dims[0], "full": a.dims[0] + 2}[mode]
    return Value(f"{name}({a.text}, [1.0, 2.0, -1.0], mode={mode})", a.dtype, (dims,), a.size + 0.7)
