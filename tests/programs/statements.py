"""Statements: definitions, calls of functions that are written for them, loops and branches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from tpc.ir.dims import DimLike, named, substitute

from .expressions import condition, expression
from .indexed import gathered, indexed
from .program import PLAIN, CannotBuild, Helper, Program
from .values import Value


def statement(program: Program) -> None:
    """A statement of any kind; what an attempt wrote is taken back where it has no operands."""
    for _ in range(8):
        mark, count, least, depth = len(program.lines), program.count, dict(program.least), program.depth
        values = list(program.scope)
        maker = program.pick(STATEMENTS)
        try:
            maker(program)
            program.kinds.add(maker.__name__)
            return
        except CannotBuild:
            del program.lines[mark:]
            program.count, program.least, program.scope, program.depth = count, least, values, depth
    raise CannotBuild


def assign(program: Program) -> None:
    program.define(expression(program))


def pair(program: Program) -> None:
    first, second = expression(program), expression(program)
    names = program.fresh(), program.fresh()
    program.line(f"{names[0]}, {names[1]} = {first.text}, {second.text}")
    program.bind(replace(first, text=names[0]))
    program.bind(replace(second, text=names[1]))


def short(program: Program) -> None:
    """An untyped function, called."""
    name = program.fresh("f")
    forms = ("x * x + 1", "0.5 * x - 1", "x + x", "-x") if program.exact else ("x * x + 1", "exp(-(x^2))", "x / 3")
    a = program.number(lambda v: v.dtype in (*PLAIN, "c128"))
    if program.inside is not None or a.size > 1 and not program.exact:
        raise CannotBuild
    if program.chance(2):
        by = program.pick(("2", "0.5", program.pick(program.sizes), "(-1)"))
        program.texts.append(f"def {name}(x, s):\n    y = s * x - 1\n    return y + 0.5 * s")
        program.define(Value(f"{name}({a.text}, {by})", a.dtype, a.dims, a.size + 1.3))
        return
    program.texts.append(f"def {name}(x) = {program.pick(forms)}")
    program.define(Value(f"{name}({a.text})", a.dtype, a.dims, 2 * a.size + 0.5))


def batch(program: Program) -> None:
    """A function of an array with any number of first axes."""
    name = program.fresh("b")
    a = program.number(lambda v: v.rank >= 1)
    if program.inside is not None:
        raise CannotBuild
    form, dims, size = program.pick(
        (
            ("-> [...]: sum(X * X, axis=-1)", a.dims[:-1], 2 * a.size + 0.7),
            ("-> [..., u]: X - 0.5 * cumsum(X, axis=-1)", a.dims, a.size + 1),
            ("-> [..., u + 1]: pad(X, after=1)", (*a.dims[:-1], a.dims[-1] + 1), a.size),
        )
    )
    result, _, value = form.partition(": ")
    dtype = program.pick(("", a.dtype))
    program.texts.append(f"def {name}(X: {dtype}[..., u]) {result}:\n    return {value}")
    program.define(Value(f"{name}({a.text})", a.dtype, dims, size))


def call(program: Program) -> None:
    if program.inside is not None:
        raise CannotBuild
    helper = program.pick(program.helpers) if program.helpers and program.chance(2) else _write_helper(program)
    arguments = [_argument(program, parameter).text for parameter in helper.parameters]
    sizes = {name: dim for dim, name in helper.names.items()}
    for name, least in helper.least.items():
        program.need(sizes[name], least)
    if helper.default and program.chance(2):
        arguments.append(program.pick(("s=0.25", "0.75", "s=2")))
    text = f"{helper.name}({', '.join(arguments)})"
    results = [replace(r, dims=tuple(substitute(d, sizes) for d in r.dims)) for r in helper.results]
    if len(results) == 1:
        program.define(replace(results[0], text=text))
        return
    names = [program.fresh() for _ in results]
    program.line(f"{', '.join(names)} = {text}")
    for name, result in zip(names, results, strict=True):
        program.bind(replace(result, text=name))


def _argument(program: Program, parameter: Value) -> Value:
    return program.operand(lambda v: (v.dtype, v.dims) == (parameter.dtype, parameter.dims) and v.size <= 2)


def _write_helper(program: Program) -> Helper:
    """A function written for values that are in scope."""
    chosen = [program.operand(lambda v: v.size <= 2 and v.kind in "fcib") for _ in range(1 + program.below(3))]
    dims = [d for v in chosen for d in v.dims if not isinstance(d, int)]
    names = {d: f"u{k}" for k, d in enumerate(dict.fromkeys(dims))}
    outer = program.scope, program.lines, program.depth, program.least, program.sizes
    inner = [
        Value(f"y{k}", v.dtype, tuple(named(names[d]) if d in names else d for d in v.dims), 2, False)
        for k, v in enumerate(chosen)
    ]
    name, default = program.fresh("h"), program.chance(2)
    parameters = [f"{v.text}: {v.type}" for v in inner]
    if default:
        parameters.append(f"s: {program.dtype} = 0.5")
    program.scope = [*inner, *([Value("s", program.dtype)] if default else [])]
    program.lines, program.depth, program.inside = [], 1, name
    program.least, program.sizes = dict.fromkeys(names.values(), 0), tuple(names.values())
    try:
        for _ in range(1 + program.below(2)):
            statement(program)
        made = [v for v in program.scope if v.text.isidentifier()]
        results = [made[-1]] if program.chance(2) else list({v.text: v for v in (made[-1], made[0])}.values())
        where = program.where()
        returned = ", ".join(v.text for v in results)
        arrow = results[0].type if len(results) == 1 else f"({', '.join(r.type for r in results)})"
        text = "\n".join(
            [f"def {name}({', '.join(parameters)}) -> {arrow}{where}:", *program.lines, f"    return {returned}"]
        )
        helper = Helper(name, chosen, names, results, program.least, default)
    finally:
        program.scope, program.lines, program.depth, program.least, program.sizes = outer
        program.inside = None
    program.texts.append(text)
    program.helpers.append(helper)
    return helper


def repeat(program: Program) -> None:
    carried = _state(program)
    counts = ["3", "0", "2", *(v.text for v in program.scope if v.dtype == "i64" and not v.dims)]
    count = program.pick(counts)
    form = program.below(3)
    if form:
        step = program.fresh("step")
        program.line(f"{step} = 0")
        test = f"{step} >= {program.below(3)}"
        program.line(f"repeat {count} until {test}:" if form == 1 else f"repeat {count}:")
        if form == 2:
            program.depth += 1
            program.line(f"until {test}")
            program.depth -= 1
        program.kinds.add("until header" if form == 1 else "until statement")
        program.lines.append("    " * (program.depth + 1) + f"{step} = {step} + 1")
    else:
        program.line(f"repeat {count}:")
    _block(program, carried)


def scan(program: Program) -> None:
    carried = _state(program) if program.chance(2) else []
    name = program.pick(program.sizes) if program.inside is None else "3"
    extent: DimLike = named(name) if program.inside is None else 3
    letter = program.fresh("t")
    program.line(f"scan {letter} in {name}:")
    outer = list(program.scope)
    program.depth += 1
    if carried and program.chance(2):
        program.line(f"{carried[0].text} = {_same_type(program, carried[0])}")
    a = program.number(lambda v: v.text.isidentifier() and v.dtype == program.dtype)
    text = _same_type(program, a)
    if a.rank >= 1 and a.dims[0] == extent:
        text, a = f"{a.text}[{letter}] * 0.5", replace(a, dims=a.dims[1:])
    stacked = program.fresh()
    if a.rank == 1 and program.chance(2) and text.startswith("0.5"):
        program.line(
            f"{stacked}[{letter}, i] = 0.5 * {a.text}[i] + {letter}"
            if a.text + "[" not in text
            else f"{stacked}[{letter}] = {text}"
        )
    else:
        program.line(f"{stacked}[{letter}] = {text}")
    program.depth -= 1
    program.scope = outer
    program.bind(Value(stacked, a.dtype, (extent, *a.dims), a.size + 0.5))


def branch(program: Program) -> None:
    carried = _state(program)
    program.line(f"if {condition(program)}:")
    _block(program, carried)
    if program.chance(2):
        program.line(f"elif {condition(program)}:")
        _block(program, carried)
    if program.chance(2):
        program.line("else:")
        _block(program, carried)


def _state(program: Program) -> list[Value]:
    """Names that a loop replaces."""
    made = []
    for _ in range(1 + program.below(2)):
        start = program.number(lambda v: v.dtype == program.dtype)
        made.append(program.define(start, typed=False))
    return made


def _block(program: Program, carried: Sequence[Value]) -> None:
    """Statements of a loop or branch that replace values."""
    outer = list(program.scope)
    program.depth += 1
    if program.chance(3) and program.depth < 4:
        statement(program)
    program.line(f"{', '.join(v.text for v in carried)} = {', '.join(_same_type(program, v) for v in carried)}")
    program.depth -= 1
    program.scope = outer


def _same_type(program: Program, value: Value) -> str:
    """An expression of the same type, no larger."""
    forms = [f"0.5 * {value.text}", f"{value.text} - 0.5 * {value.text}"]
    forms += [f"0.5 * {value.text} + 0.25 * {v.text}" for v in program.like(value) if v.size <= value.size][:2]
    if value.rank == 2 and value.dims[0] == value.dims[1] and value.size <= 0 and not program.exact:
        forms.append(f"0.1 * {value.text} @ {value.text}")
    if value.kind == "f" and not program.exact:
        forms.append(f"tanh({value.text})")
    return program.pick(forms)


STATEMENTS: tuple[Callable[[Program], None], ...] = (
    *(assign, assign, assign, assign, indexed, indexed, pair),
    *(call, repeat, scan, branch, short, batch, gathered),
)
