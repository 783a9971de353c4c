"""Written types, facts and constraints to dims, types and facts; arguments matched with parameters."""

from __future__ import annotations

from collections.abc import Mapping

from tpc.dsl import syntax
from tpc.dsl.diagnostics import Diagnostics, Label, TpcError
from tpc.ir.dims import (
    Dim,
    DimLike,
    dim_text,
    divide_exactly,
    is_nonnegative,
    named,
    names_of,
    substitute,
)
from tpc.ir.node import Constraint, Fact
from tpc.ir.notation import dim_of_syntax
from tpc.ir.types import DTYPES, F64, DType, TensorType

MAX_RANK = 16
MAX_SIZE = 2**48

_SHAPES = {"matrix": "f64[n, m]", "vector": "f64[n]", "array": "f64[n, m]", "ndarray": "f64[n, m]"}
_SHAPES |= {"tensor": "f64[n, m, k]", "scalar": "f64", "list": "f64[n]"}


def dtype_of(name: syntax.Name, diagnostics: Diagnostics) -> DType:
    """The dtype with this name; f64 (after a message) if there is none."""
    from tpc.ir.elaborate.scope import suggestion

    found = DTYPES.get(name.name)
    if found is not None:
        return found
    habits = {"float": "f64", "double": "f64", "float64": "f64", "float32": "f32", "float16": "f16"}
    habits |= {"bfloat16": "bf16", "int64": "i64", "int32": "i32", "int8": "i8", "long": "i64", "boolean": "bool"}
    habits |= {"int": "i64", "integer": "i64", "real": "f64", "number": "f64", "complex": "c128"}
    habits |= {"complex128": "c128", "complex64": "c64", "half": "f16"}
    close = habits.get(name.name.lower()) or suggestion(name.name, DTYPES)
    diagnostics.add(
        "E0201",
        f"`{name.name}` is not a dtype",
        name.span,
        help=f"did you mean `{close}`?"
        if close
        else "the dtypes are " + ", ".join(d for d in DTYPES if d[-1].isdigit()),
    )
    return DTYPES[close] if close else F64


def type_of(
    written: syntax.TypeExpr,
    sizes: Mapping[str, DimLike],
    batch: tuple[DimLike, ...],
    diagnostics: Diagnostics,
    default: DType = F64,
) -> TensorType | None:
    """The type as written, with names of sizes looked up; None (after messages) if it cannot be made out."""
    if written.dtype is not None and written.dtype.name.lower() in _SHAPES:
        name, shape = written.dtype.name, _SHAPES[written.dtype.name.lower()]
        diagnostics.add(
            "E0201", f"`{name}` is not a dtype", written.dtype.span, help=f"write `{shape}`, with its sizes"
        )
        return None
    dtype = dtype_of(written.dtype, diagnostics) if written.dtype is not None else default
    dims: list[DimLike] = []
    failed = False
    for item in written.dims:
        if isinstance(item, syntax.Dots):
            dims.extend(batch)
            continue
        try:
            dim = dim_of_syntax(item, sizes)
        except TpcError as error:
            diagnostics.items.extend(error.diagnostics)
            failed = True
            continue
        if isinstance(dim, int) and dim < 0:
            diagnostics.add("E0208", f"a size cannot be negative, but this is {dim}", item.span)
            failed = True
        dims.append(dim)
    if failed:
        return None
    type = TensorType(dtype, dims)
    if len(dims) > MAX_RANK:
        diagnostics.add("E0903", f"{len(dims)} axes are more than the {MAX_RANK} that are allowed", written.span)
        return None
    if isinstance(type.bytes, int) and type.bytes > MAX_SIZE:
        diagnostics.add(
            "E0903",
            f"this array would take {type.bytes / 2**40:,.0f} TiB",
            Label(written.span, f"{dim_text(type.size)} entries of {type.dtype.size} bytes"),
            help=f"the limit for one array is {MAX_SIZE // 2**40} TiB",
        )
        return None
    return type


def size_names(types: list[syntax.TypeExpr | None]) -> list[str]:
    """The names of sizes in parameter types, in order."""
    found: dict[str, None] = {}
    stack: list[object] = [item for t in types if t is not None for item in t.dims]
    stack.reverse()
    while stack:
        match stack.pop():
            case syntax.Name(name=name):
                found.setdefault(name)
            case syntax.Binary(left=left, right=right):
                stack += [right, left]
            case syntax.Unary(operand=operand):
                stack.append(operand)
            case syntax.Call(arguments=arguments):
                stack.extend(reversed(arguments))
    return list(found)


def facts_of(
    written: list[syntax.Fact], type: TensorType, sizes: Mapping[str, DimLike], diagnostics: Diagnostics
) -> tuple[Fact, ...]:
    """Written facts, after a check that they can hold of a value of this type and with each other."""
    from tpc.ir.facts import check_declared

    facts: list[Fact] = []
    for item in written:
        arguments: list[DimLike | float] = []
        for argument in item.arguments:
            match argument:
                case syntax.Number(value=float() as value):
                    arguments.append(value)
                case syntax.Unary(operator="-", operand=syntax.Number(value=int() | float() as value)):
                    arguments.append(-value)
                case _:
                    try:
                        arguments.append(dim_of_syntax(argument, sizes))
                    except TpcError as error:
                        diagnostics.items.extend(error.diagnostics)
        facts.append(Fact(item.name, tuple(arguments)))
    problems = check_declared(type, facts)
    for problem in problems:
        labels = [Label(written[n].span, text) for n, text in problem.places]
        diagnostics.add(problem.code, problem.title, *labels, help=problem.help)
    wrong = {n for problem in problems for n, _ in problem.places}
    return tuple(f for n, f in enumerate(facts) if n not in wrong)


def constraint_of(written: syntax.Expr, sizes: Mapping[str, DimLike], diagnostics: Diagnostics) -> list[Constraint]:
    """A relation of sizes, or several joined by `and`."""
    if isinstance(written, syntax.Binary) and written.operator == "and":
        return constraint_of(written.left, sizes, diagnostics) + constraint_of(written.right, sizes, diagnostics)
    if isinstance(written, syntax.Binary) and written.operator in ("==", "!=", "<", "<=", ">", ">="):
        try:
            left, right = dim_of_syntax(written.left, sizes), dim_of_syntax(written.right, sizes)
        except TpcError as error:
            diagnostics.items.extend(error.diagnostics)
            return []
        return [Constraint(left, written.operator, right)]
    diagnostics.add(
        "E0209",
        "`where` takes relations of sizes",
        written.span,
        help="for example `where n > m` or `where n == 2*m, k <= n`",
    )
    return []


def holds(constraint: Constraint) -> bool | None:
    """Whether a constraint holds for all sizes (True), for none (False), or for some (None)."""
    difference = constraint.left - constraint.right
    if isinstance(difference, int):
        return {
            "==": difference == 0,
            "!=": difference != 0,
            "<": difference < 0,
            "<=": difference <= 0,
            ">": difference > 0,
            ">=": difference >= 0,
        }[constraint.relation]
    for relation, sure, never in (
        (">=", difference, -difference - 1),
        (">", difference - 1, -difference),
        ("<=", -difference, difference - 1),
        ("<", -difference - 1, difference),
    ):
        if constraint.relation == relation:
            return True if is_nonnegative(sure) else False if is_nonnegative(never) else None
    return None


def match_dims(written: DimLike, actual: DimLike, sizes: dict[str, DimLike]) -> bool | None:
    """Match a parameter's dim (in the function's own size names) with an argument's.

    Binds a name in `sizes` where the dim settles it. Returns True if they agree, False if not, and None if that
    cannot be said before other names are bound.
    """
    known = substitute(written, {n: sizes[n] for n in names_of(written) if n in sizes})
    unknown = [n for n in names_of(written) if n not in sizes]
    if not unknown:
        return known == actual
    if len(unknown) > 1 or not isinstance(written, Dim):
        return None
    (name,) = unknown
    # own names are kept apart from the caller's by a mark that no name of the language can have
    marked = substitute(written, {n: sizes.get(n, named("?" + n)) for n in names_of(written)})
    variable = named("?" + name)
    offset = substitute(marked, {"?" + name: 0})
    slope = substitute(marked, {"?" + name: 1}) - offset
    if marked != slope * variable + offset:
        return None
    value = divide_exactly(actual - offset, slope)
    if value is None or (isinstance(value, int) and value < 0):
        return False
    sizes[name] = value
    return True
