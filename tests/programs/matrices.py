"""Expressions: linear algebra, on matrices that are well conditioned by construction."""

from __future__ import annotations

from dataclasses import replace

from tpc.ir.dims import DimLike, dim_text

from .program import PLAIN, CannotBuild, Program
from .values import Value, real

EXACT_NAMES = ("inv({})", "det({})", "matpow({}, 2)", "matpow({}, -1)", "pinv({})", "solve", "lstsq", "lu")
NAMES = (
    *EXACT_NAMES,
    *("cholesky({})", "sqrtm({})", "logm({})", "expm(0.1 * {})", "logdet({})", "cond({})", "svdvals({})"),
    *("eigvalsh({})", "triangular", "svd", "qr", "eigh", "slogdet", "ldl", "sum(re(eigvals({})))", "rank"),
)


def _definite(program: Program) -> Value:
    """A symmetric positive definite matrix, as a name."""
    known = [v for v in program.scope if v.text.startswith("S") and v.kind in "fc"]
    if known and not program.chance(3):
        return program.pick(known)
    a = program.number(lambda v: v.rank == 2 and v.dtype in (*PLAIN, "c128"))
    n = a.dims[0]
    inner = a.text if program.exact else program.tamed(replace(a, size=9)).text
    other = f"({inner})" if not inner.isidentifier() else inner
    name = program.fresh("S")
    flip = f"{other}'" if a.kind == "f" else f"adjoint({other})"
    fact = program.pick(("", " is spd", " is symmetric and nonsingular")) if a.kind == "f" else ""
    program.line(f"{name}: {replace(a, dims=(n, n)).type}{fact} = {inner} @ {flip} + {_times(n)}eye({dim_text(n)})")
    if fact:
        program.kinds.add("facts")
    return program.bind(Value(name, a.dtype, (n, n), 1.3))


def linear(program: Program) -> Value:
    s = _definite(program)
    n, real_dtype = s.dims[0], real(s.dtype)
    name = program.pick(EXACT_NAMES if program.exact else NAMES)
    if name == "cond({})":
        program.need(n, 1)
    scalars = {"det({})": s.dtype, "logdet({})": real_dtype, "cond({})": real_dtype, "sum(re(eigvals({})))": real_dtype}
    if name in scalars:
        return Value(
            name.replace("{}", s.text), scalars[name], (), 5.0 if "det(" in name and "log" not in name else 2.0
        )
    if name in ("svdvals({})", "eigvalsh({})"):
        return Value(name.replace("{}", s.text), real_dtype, (n,), 2)
    if "{}" in name:
        return Value(name.replace("{}", s.text), s.dtype, (n, n), 2.6)
    if name in ("solve", "lstsq", "triangular"):
        right = program.number(lambda v: v.dtype == s.dtype and v.rank in (1, 2) and v.dims[0] == n)
        if name == "triangular":
            lower = program.pick(("true", "false"))
            part = "tril" if lower == "true" else "triu"
            return Value(
                f"solve_triangular({part}({s.text}), {right.text}, lower={lower})",
                s.dtype,
                right.dims,
                right.size + 1.5,
            )
        text = (
            f"{s.text} \\ {right.text}" if name == "solve" and program.chance(2) else f"{name}({s.text}, {right.text})"
        )
        return Value(text, s.dtype, right.dims, right.size + 1)
    a, b, c = program.fresh("q"), program.fresh("r"), program.fresh("t")
    if name == "rank":
        return Value(f"{program.dtype}(matrix_rank({s.text}))", program.dtype, (), 1)
    if name == "slogdet":
        program.line(f"{a}, {b} = slogdet({s.text})")
        return Value(f"{a} * {b}", s.dtype, (), 1.3) if s.kind == "f" else Value(b, real_dtype, (), 1.3)
    forms = {
        "svd": (f"{a}, {b}, {c}", f"({a} * {b}) @ {c}"),
        "eigh": (f"{b}, {a}", f"({a} * {b}) @ adjoint({a})"),
        "qr": (f"{a}, {b}", f"{a} @ {b}"),
        "lu": (f"{a}, {b}, {c}", f"{a} @ {b} @ {c}"),
        "ldl": (f"{a}, {b}", f"{a} @ {b} @ {a}'"),
    }
    if name == "ldl" and s.kind == "c":
        raise CannotBuild
    program.line(f"{forms[name][0]} = {name}({s.text})")
    return Value(forms[name][1], s.dtype, (n, n), 1.3)


def _times(n: DimLike) -> str:
    text = dim_text(n)
    return f"{text} * " if text.isidentifier() else f"({text}) * "
