"""The tables in `docs/language.md` that are made from the code: operators, facts and limits."""

import re

from tpc.dsl import tokens
from tpc.dsl.operators import BINARY, POSTFIX, PREFIX
from tpc.ir.dims import named
from tpc.ir.elaborate import types
from tpc.ir.facts import FACTS, FactKind, closure
from tpc.ir.node import Fact
from tpc.ir.types import DTYPES, F64, TensorType

MARKED = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def with_tables(page: str) -> str:
    """The page with each table between its marks made anew."""
    return MARKED.sub(lambda found: f"{found[1]}{TABLES[found[2]]()}{found[3]}", page)


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def operators() -> str:
    meaning = {
        1: "either (truth values)",
        2: "both",
        3: "not",
        4: "comparisons; they cannot be chained",
        5: "sum, difference",
        6: "elementwise product and quotient, matrix product, solution of a system, Kronecker product",
        7: "sign",
        8: "elementwise power",
        9: "transpose, call, index",
    }
    rows = []
    for power in sorted({p for p, _ in BINARY.values()} | set(PREFIX.values()) | {POSTFIX}):
        signs = [f"`{sign}`" for sign, (p, _) in BINARY.items() if p == power]
        signs += [f"`{sign}x`" if not sign.isalpha() else f"`{sign} x`" for sign, p in PREFIX.items() if p == power]
        signs += ["`x'`", "`f(x)`", "`x[i]`"] if power == POSTFIX else []
        sides = {side for p, side in BINARY.values() if p == power}
        side = {"left": "from the left", "right": "from the right"}.get("".join(sides), "")
        rows.append([" ".join(signs), meaning[power], side])
    return _table(["operators, loosest first", "meaning", "in a row"], rows)


def dtypes() -> str:
    rows = [[f"`{d.name}`", d.about, str(d.size)] for d in DTYPES.values() if not d.is_weak]
    return _table(["dtype", "meaning", "bytes"], rows)


def facts() -> str:
    square = TensorType(F64, [named("n"), named("n")])

    def row(kind: FactKind) -> list[str]:
        arguments = tuple(0.5 if a == "density" else named(a) for a in kind.arguments)
        fact = Fact(kind.name, arguments)
        implied = sorted(f"`{f}`" for f in closure(square, frozenset({fact})) if f.name != kind.name)
        spelled = f"{kind.name}({', '.join(kind.arguments)})" if kind.arguments else kind.name
        what = {"tensor": "any array", "matrix": "a matrix", "square": "a square matrix"}[kind.of]
        return [f"`{spelled}`", kind.about, what + (", real" if kind.real else ""), ", ".join(implied)]

    return _table(["fact", "meaning", "of", "implies, of a square matrix"], [row(kind) for kind in FACTS.values()])


def limits() -> str:
    return _table(
        ["what", "limit"],
        [
            ["characters in a file", f"{tokens.MAX_CHARACTERS:,}"],
            ["characters in a line", f"{tokens.MAX_LINE:,}"],
            ["open brackets", f"{tokens.MAX_NESTING}"],
            ["blocks in each other", f"{tokens.MAX_BLOCKS}"],
            ["operands in one expression", f"{tokens.MAX_CHAIN:,}"],
            ["digits in a number", f"{tokens.MAX_DIGITS}"],
            ["axes of an array", f"{types.MAX_RANK}"],
            ["bytes of an array with known sizes", f"2^{types.MAX_SIZE.bit_length() - 1}"],
            ["syntax errors reported for a file", f"{tokens.MAX_ERRORS}"],
        ],
    )


TABLES = {"operators": operators, "dtypes": dtypes, "facts": facts, "limits": limits}
