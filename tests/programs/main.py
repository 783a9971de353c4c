"""The main function: its inputs, its statements and its results."""

from __future__ import annotations

from contextlib import suppress

from tpc.ir.dims import DimLike, named, names_of

from .program import CannotBuild, Program
from .sample import Sample
from .statements import statement
from .values import Value


def write_main(program: Program, statements: int) -> Sample:
    """Inputs, up to this many statements, and what is returned."""
    inputs = [_array(program) for _ in range(1 + program.below(4))]
    inputs.append(Value("x", program.dtype, (named("n"),), raw=True))
    known = {name for value in inputs for dim in value.dims for name in names_of(dim)}
    program.sizes = tuple(name for name in program.sizes if name in known)
    program.least = dict.fromkeys(program.sizes, 0)
    if program.chance(2):
        inputs.append(Value("k", "i64", (), raw=True))
    if program.chance(2):
        inputs.append(Value("c", "bool", (), raw=True))
    if program.chance(3):
        inputs.append(_positions(program))
    program.scope = list(inputs)
    for _ in range(1 + program.below(statements)):
        with suppress(CannotBuild):
            statement(program)
    returned, arrow = _results(program)
    where = program.where()
    header = f"def main({', '.join(f'{v.text}: {v.type}' for v in inputs)}){arrow}{where}:"
    body = "\n".join([header, *program.lines, f"    return {returned}\n"])
    text = "\n\n".join([*program.texts, body])
    return Sample(text, inputs, program.least, program.high, program.dtype, program.exact, program.kinds)


def _array(program: Program) -> Value:
    n, m = named("n"), named(program.pick(program.sizes))
    shapes: list[tuple[DimLike, ...]] = [(n, m), (m,), (n, n), (), (m, n), (3,), (n, 2), (n * m,), (2, n, m), (n + 1,)]
    return Value(program.fresh("a"), program.dtype, program.pick(shapes), raw=True)


def _positions(program: Program) -> Value:
    """Whole numbers that point into the axis of size n."""
    n = named("n")
    program.least["n"] = max(program.least["n"], 1)
    dtype = program.pick(("i64", "i32", "i8"))
    options: tuple[DimLike, ...] = (named(program.sizes[-1]), 3)
    program.high["at"] = n
    return Value("at", dtype, (program.pick(options),), raw=True)


def _results(program: Program) -> tuple[str, str]:
    """What is returned, and its types or nothing."""
    candidates = [v for v in program.scope if v.text.isidentifier()]
    last = candidates[-1]
    chosen = [last, *(program.pick(candidates) for _ in range(program.below(3)))]
    chosen = list({v.text: v for v in chosen}.values())
    types = [v.type for v in chosen]
    arrow = f" -> {types[0]}" if len(types) == 1 else f" -> ({', '.join(types)})"
    return ", ".join(v.text for v in chosen), arrow if program.chance(2) else ""
