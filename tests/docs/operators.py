"""`docs/operators.md`, made from the records of the ops: nothing on that page is written by hand."""

from itertools import groupby

from tpc.dsl import syntax
from tpc.ir.dims import Dim, DimLike, dim_text, named, product
from tpc.ir.op import Misfit, Op
from tpc.ir.ops import OPS
from tpc.ir.scalar import REDUCERS, SCALARS, ScalarFunction
from tpc.ir.types import F64, DType, TensorType

HEAD = """\
# Functions of the library

Made from the records in `ir/ops/` and `ir/scalar.py`; a test holds it up to date. [language.md](language.md) says how
calls, operators and index notation are written.

A signature is a line of index notation: `matmul(A[..., i, k], B[..., k, j])[..., i, j]` takes two matrices whose
inner sizes agree. `...` are batch axes, which are broadcast; `(i p)` is one axis made of two letters, the last
running fastest; a bare name such as `n` is a size. Where the line goes on behind `=`, it is the meaning. Operands
come first, then sizes, then options, by position or by name.

"""

GROUPS = {
    "elementwise": ("Elementwise", ""),
    "products": ("Products", ""),
    "reductions": ("Reductions", "Without `axis` they run over all axes; an axis may be a number or a tuple."),
    "creation": ("Making arrays", ""),
    "shapes": ("Shapes", ""),
    "gathering": ("Gathering and scattering", ""),
    "linalg": ("Linear algebra", ""),
    "fourier": ("Fourier transforms", ""),
    "recurrences": (
        "Recurrences",
        "A `scan` that does the same becomes one of these. They are made in blocks of steps that lie side by side.",
    ),
    "layers": ("Layers", ""),
    "ordering": ("Ordering", ""),
    "random": ("Random numbers", "The same seed gives the same numbers."),
    "sparse": (
        "Sparse matrices",
        "What plans for sparse operands are made of. The meaning is that of the dense matrix; what is not stored is\n"
        "zero. Programs are written with the ordinary functions.",
    ),
    "quantized": ("Matrices in few bits", "What a budget makes of constants; or for codes that are at hand."),
    "promises": ("Promises", ""),
}

RULES = {
    "same": "that of the operands",
    "float": "that of the operands, floating point at least",
    "real": "that of the operands, real and floating point",
    "real-same": "that of the operands, real",
    "complex": "complex",
    "bool": "bool",
    "index": "i64",
    "first": "that of the first operand",
}


def page() -> str:
    parts = [HEAD]
    ops = sorted((op for op in OPS.values() if op.group != "structure"), key=lambda op: list(GROUPS).index(op.group))
    for group, members in groupby(ops, key=lambda op: op.group):
        title, words = GROUPS[group]
        parts.append(f"## {title}\n\n")
        if words:
            parts.append(f"{words}\n\n")
        found = list(members)
        if group == "elementwise":
            parts.append(_scalars([SCALARS[op.name] for op in found if op.name in SCALARS]))
            found = [op for op in found if op.name not in SCALARS]
        parts += [_section(op) for op in found]
    parts.append(_reducers())
    return "".join(parts)


def _scalars(functions: list[ScalarFunction]) -> str:
    rows = [
        "They work on entries, with broadcasting: sizes are compared from the right, and a size of 1 stretches. "
        "The same functions are used in index notation. `exact` ones also work on fractions and modulo a prime in "
        "the reference interpreter. Operations are counted for one entry.\n\n"
        "| function | meaning | dtype | operations | exact |\n|---|---|---|---|---|\n"
    ]
    for f in functions:
        result = "that of the second and third" if f.result == "first" else RULES[f.result]
        spelled = f"{f.name}({', '.join('xyz'[: f.arity])})"
        if f.operator:
            space = " " if f.operator.isalpha() else ""
            sign = f"x {f.operator} y" if f.arity == 2 else f"{f.operator}{space}x"
            spelled = f"{sign}`, `{spelled}"
        about = f.about.replace("|", "\\|")
        rows.append(f"| `{spelled}` | {about} | {result} | {f.flops} | {'yes' if f.exact else ''} |\n")
    return "".join(rows) + "\n"


def _reducers() -> str:
    rows = [
        "## Reductions over letters\n\nIn index notation: `sum[k](x[k] * y[k])`, `max[i, j where i < j](D[i, j])`.\n\n"
        "| operator | meaning | over nothing |\n|---|---|---|\n"
    ]
    for r in REDUCERS.values():
        empty = "" if r.identity is None else f"`{str(r.identity).lower()}`"
        rows.append(f"| `{r.name}[k](...)` | {r.about} | {empty or 'no value'} |\n")
    return "".join(rows)


def _section(op: Op) -> str:
    about = op.about.strip()
    points = [
        f"- spelled `{op.operator}`" if op.operator else "",
        f"- any number of {'arrays' if op.variadic == 'tensors' else 'sizes'} may follow" if op.variadic else "",
        f"- options: {', '.join(f'`{n}={_value(v)}`' for n, v in op.options.items())}" if op.options else "",
        f"- dtype: {_dtypes(op)}" if op.dtype else "",
        f"- promises: `{op.needs}`" if op.needs else "",
        f"- left open: {op.gauge}" if op.gauge else "",
        f"- operations: {_flops(op)}" if _flops(op) else "",
    ]
    listed = "\n".join(point for point in points if point)
    gap = "\n\n" if listed else ""
    first = about if about.startswith("x ") else about[0].upper() + about[1:]
    return f"### {op.name}\n\n```\n{op.line}\n```\n\n{first}.\n\n{listed}{gap}"


def _dtypes(op: Op) -> str:
    rules = [RULES[rule] for rule in op.dtype.split()]
    return rules[0] if len(set(rules)) == 1 else "; ".join(rules)


def _value(value: object) -> str:
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return value.name if isinstance(value, DType) else str(value)


def _flops(op: Op) -> str:
    if op.flops:
        return f"`{op.flops}`"
    if not op.has_formula:
        return ""
    count = _counted(op)
    return f"`{dim_text(count)}`" if isinstance(count, Dim) else "none" if count == 0 else "those of its formula"


def _counted(op: Op) -> DimLike | None:
    """The operations of an op with letters for all axes, in these letters; None where the line leaves axes open."""
    operands: list[TensorType] = []
    for parameter in op.syntax.parameters:
        if not isinstance(parameter, syntax.Subscript):
            continue
        dims: list[DimLike] = []
        for axis in parameter.items:
            match axis:
                case syntax.Name(name=name):
                    dims.append(named(name))
                case syntax.Number(value=int() as value):
                    dims.append(value)
                case syntax.Composed(letters=letters):
                    dims.append(product(named(letter.name) for letter in letters))
        if not dims and parameter.items:
            return None
        operands.append(TensorType(F64, dims))
    attributes = {**op.options, **{name: named(name) for name in op.dims}}
    try:
        return op.count_flops(operands, attributes)
    except (Misfit, KeyError, TypeError, ValueError):
        return None
