"""`solve(A, b, method=cg)`: linear systems that are solved step by step, as far as types go.

The matrix is known by its products alone. It may be a function of the program, `solve(F, v)(x0, ..., b)`: the v for
which F(v, ...) is b, sought from x0 on, where F is linear in v. A second result of F is the preconditioner, applied to
v. A matrix that is written out becomes such a function, `def system(v, A) = A @ v`.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from tpc.dsl import syntax
from tpc.dsl.diagnostics import Diagnostics, fail
from tpc.dsl.parser import parse
from tpc.dsl.source import Source
from tpc.ir.build import cast, make
from tpc.ir.elaborate.scope import Frame, FunctionValue, Value, suggestion
from tpc.ir.node import Node
from tpc.ir.types import INT, TensorType, as_float, promote_all, real_part

KIND = "solve"
METHODS = ("cg", "minres", "gmres", "bicgstab", "lsqr")
OPTIONS: dict[str, str] = {
    "method": f"one of {', '.join(METHODS)}",
    "tol": "a number between 0 and 1",
    "steps": "an integer above 0",
    "restart": "an integer above 0",
    "report": "true or false",
}
OPERANDS = ("precond", "start")
FOREIGN = {"maxiter": "steps", "maxit": "steps", "rtol": "tol", "M": "precond", "x0": "start"}  # called so elsewhere
PRECONDITIONERS = {
    "diagonal": "diag(1 / diag(A)) @ v",
    "incomplete_cholesky": "inv(incomplete_cholesky(A)') @ (inv(incomplete_cholesky(A)) @ v)",
    "gauss_seidel": "solve_triangular(triu(A), diag(diag(A)) @ solve_triangular(tril(A), v), lower=false)",
}


def is_iterative(frame: Frame, expression: syntax.Call) -> bool:
    """Whether a call of `solve` asks for more than the op: it has a function for a matrix, or says how to go about."""
    keywords = {k.name for k in expression.keywords}
    return bool(keywords & {*OPTIONS, *OPERANDS}) or bool(
        expression.arguments and _function(frame, expression.arguments[0]) is not None
    )


def system(frame: Frame, expression: syntax.Call) -> Value | None:
    """`solve(F, v, ...)` as a function, or `solve(A, b, ...)` as a value."""
    function = _function(frame, expression.arguments[0]) if expression.arguments else None
    if len(expression.arguments) != 2:
        raise fail(
            "E0302",
            "`solve` takes a matrix or function, and a right side",
            expression.span,
            help="as in `solve(A, b, method=cg)`, or `solve(F, v)(start, p, b)` for F(v, p)",
        )
    options = _options(expression)
    second = expression.arguments[1]
    if function is not None and isinstance(second, syntax.Name):
        names = [p.name.name for p in function.definition.parameters]
        if second.name in names:
            for keyword in expression.keywords:
                if keyword.name in OPERANDS:
                    raise fail(
                        "E0304",
                        f"`{keyword.name}` is no option of `solve` with the name of a parameter",
                        keyword.span,
                        help="the start stands in the place of the parameter, and a preconditioner is a second result",
                    )
            return FunctionValue(function.definition, KIND, (second.name,), function, options)
    return _applied(frame, expression, options)


def results(x: TensorType, options: tuple[tuple[str, Any], ...]) -> list[TensorType]:
    """The solution, and with `report` the norm of what is left of the right side, and the number of steps."""
    known = [TensorType(real_part(as_float(x.dtype))), TensorType(INT)] if dict(options).get("report") else []
    return [x, *known]


def _function(frame: Frame, part: syntax.Expr) -> FunctionValue | None:
    if not isinstance(part, syntax.Name):
        return None
    binding = frame.lookup(part.name)
    value = binding.value if binding is not None else frame.module.lookup(part.name)[1]
    return value if isinstance(value, FunctionValue) else None


def _options(expression: syntax.Call) -> tuple[tuple[str, Any], ...]:
    found: dict[str, Any] = {}
    for keyword in expression.keywords:
        name = keyword.name
        if name in OPERANDS:
            continue
        if name not in OPTIONS:
            close = FOREIGN.get(name) or suggestion(name, [*OPTIONS, *OPERANDS])
            raise fail(
                "E0304",
                f"`solve` has no option `{name}`",
                keyword.span,
                help=f"did you mean `{close}`?" if close else f"its options are {', '.join([*OPTIONS, *OPERANDS])}",
            )
        value = _value(name, keyword.value)
        if value is None:
            part = keyword.value
            quoted = isinstance(part, syntax.String) and part.value in METHODS
            close = suggestion(part.name, METHODS) if isinstance(part, syntax.Name) and name == "method" else None
            raise fail(
                "E0217",
                f"the option `{name}` of `solve` must be {OPTIONS[name]}",
                part.span,
                help="write it without quotes" if quoted else f"did you mean `{close}`?" if close else None,
            )
        found[name] = value
    return tuple(sorted(found.items()))


def _value(name: str, part: syntax.Expr) -> Any:
    word = part.name if isinstance(part, syntax.Name) else None
    number = part.value if isinstance(part, syntax.Number) else None
    match name:
        case "method":
            return word if word in METHODS else None
        case "report":
            return {"true": True, "false": False}.get(word or "")
        case "tol":
            return number if isinstance(number, float) and 0 < number < 1 else None
    return number if isinstance(number, int) and number > 0 else None


def _applied(frame: Frame, expression: syntax.Call, options: tuple[tuple[str, Any], ...]) -> Value | None:
    """A system whose right side is given: the function that says its products, applied."""
    from tpc.ir.elaborate.derivatives import apply_operands
    from tpc.ir.elaborate.expression import evaluate_node

    matrix, right = expression.arguments
    given = {k.name: k.value for k in expression.keywords if k.name in OPERANDS}
    b = evaluate_node(frame, right)
    operands: list[tuple[Node, syntax.Expr]] = []
    products = []
    names = ["v"]
    for name, part in (("A", matrix), ("P", given.get("precond"))):
        if part is None:
            continue
        if name == "P" and isinstance(part, syntax.Name) and part.name in PRECONDITIONERS and "A" in names:
            products.append(PRECONDITIONERS[part.name])
            continue
        function = _function(frame, part)
        if function is not None and not function.kind:
            products.append(f"{function.definition.name.name}(v)")
            continue
        node = evaluate_node(frame, part)
        if node is None:
            return None
        names.append(name)
        products.append(f"{name} @ v")
        operands.append((node, part))
    if b is None:
        return None
    start = evaluate_node(frame, given["start"]) if "start" in given else _nothing(operands, b, "A" in names)
    if start is None:
        return None
    # what meets is brought into one format, as by `A \ b`
    common = as_float(promote_all(n.tensor.dtype for n in (b, start, *(node for node, _ in operands))))
    b, start = cast(b, common), cast(start, common)
    definition = _definition(f"def system({', '.join(names)}) = {', '.join(products)}\n")
    function = FunctionValue(definition)
    step = FunctionValue(definition, KIND, ("v",), function, options)
    whole = [(start, given.get("start", right)), *operands, (b, right)]
    return apply_operands(frame, expression, [step], whole)


def _nothing(operands: list[tuple[Node, syntax.Expr]], b: Node, has_matrix: bool) -> Node:
    """Where to begin, if the program does not say it; of the shape that a matrix takes."""
    dims = b.tensor.dims
    if has_matrix and operands[0][0].tensor.rank >= 2:
        columns = operands[0][0].tensor.dims[-1]
        dims = (columns,) if b.tensor.rank == 1 else (*dims[:-2], columns, dims[-1])
    return make("zeros", (), dims=dims)


@cache
def _definition(text: str) -> syntax.Def:
    (item,) = parse(Source(text, "system.tp"), Diagnostics()).items
    assert isinstance(item, syntax.Def)
    return item
