"""Calls: of the library, of functions of the program, and of derivatives of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from tpc.dsl import syntax
from tpc.dsl.diagnostics import Label, TpcError, fail
from tpc.ir.build import cast, items, make, operation, size
from tpc.ir.dims import DimLike, product
from tpc.ir.elaborate import derivatives, stale, systems
from tpc.ir.elaborate.expression import apply_called, described, evaluate, evaluate_node, help_instead, try_dim
from tpc.ir.elaborate.foreign import OPTIONS, spelling
from tpc.ir.elaborate.parts import spread
from tpc.ir.elaborate.scope import Frame, FunctionValue, Value, suggestion
from tpc.ir.node import Node
from tpc.ir.op import Op
from tpc.ir.types import DTYPES, DType


def call(frame: Frame, expression: syntax.Call) -> Value | None:
    """The value of a call."""
    callee = expression.function
    if not isinstance(callee, syntax.Name):
        function = evaluate(frame, callee)
        if function is None:
            return None
        if isinstance(function, FunctionValue):
            return _apply_function(frame, expression, function)
        raise fail("E0306", "only functions can be called", callee.span)
    name = callee.name
    binding = frame.lookup(name)
    if binding is not None and not isinstance(binding.value, FunctionValue):
        if binding.value is None:
            return None
        raise fail(
            "E0306",
            f"`{name}` is a value, and is called like a function",
            callee.span,
            help=f"write `{name}[...]` to index it, or `{name} * (...)` to multiply",
        )
    found, value = frame.module.lookup(name)
    if binding is not None:
        value = binding.value
    if isinstance(value, FunctionValue):
        return _apply_function(frame, expression, value)
    if name == systems.KIND and systems.is_iterative(frame, expression):
        return systems.system(frame, expression)
    if name in derivatives.KINDS:
        return derivatives.transform(frame, expression, name)
    if name == stale.NAME:
        return stale.stale(frame, expression)
    if name in DTYPES and not DTYPES[name].is_weak:
        return _cast(frame, expression, DTYPES[name])
    if name in ("rows", "cols", "size", "len"):
        return _size(frame, expression, name)
    if name == "load":
        raise fail(
            "E0702",
            "`load` may only stand in a `const`",
            expression.span,
            help='write `const W: f64[n, m] = load("w.npy")` outside of the functions',
        )
    if name in ("min", "max", "div"):
        dim = try_dim(frame, expression)
        if dim is not None:
            return size(dim)
    op = _library_op(name, len(expression.arguments))
    if op is None and name in frame.module.broken:
        return None  # which is told where it is defined
    if op is None:
        close = suggestion(name, [*frame.module.names(), *frame.module.library()])
        help = spelling(name) or (f"did you mean `{close}`?" if close else None)
        raise fail("E0301", f"`{name}` is not a function", callee.span, help=help)
    return _library(frame, expression, op)


def _library_op(name: str, arguments: int) -> Op | None:
    if name in ("min", "max") and arguments == 2:
        name += "imum"
    try:
        op = operation(name)
    except KeyError:
        return None
    return None if op.group == "structure" else op


def _library(frame: Frame, expression: syntax.Call, op: Op) -> Value | None:
    """A call of an op: operands, then sizes, then options, by position or name."""
    given, tail = _given(expression, op)
    operands: list[tuple[Node, syntax.Expr]] = []
    for name in op.tensors:
        if name not in given:
            if name in op.options:  # an operand that may be left out
                continue
            raise fail("E0302", f"`{op.name}` is not given `{name}`", expression.span, help=_signature(op))
        node = evaluate_node(frame, given[name])
        if node is None:
            return None
        operands.append((node, given[name]))
    for argument in tail if op.variadic == "tensors" else ():
        node = evaluate_node(frame, argument)
        if node is None:
            return None
        operands.append((node, argument))
    attributes: dict[str, Any] = {}
    for name in op.parameters:
        if name in op.tensors:
            continue
        if name not in given:
            if name in op.options:
                attributes[name] = op.options[name]
                continue
            raise fail("E0302", f"`{op.name}` is not given `{name}`", expression.span, help=_signature(op))
        attributes[name] = _dim_argument(frame, op, given[name])
    if op.variadic == "dims":
        before = expression.arguments[: -len(tail) or None]
        minus_one = op.name == "reshape"
        attributes["dims"] = tuple(_dim_argument(frame, op, item, before, minus_one) for item in tail)
        if op.name == "reshape" and operands:
            attributes["dims"] = _fill_reshape(operands[0][0], attributes["dims"], expression)
    for name, default in op.options.items():
        if name in op.dims or name in op.tensors:
            continue
        attributes[name] = _option(frame, op, name, given[name]) if name in given else default
    if op.group == "random" and "seed" not in given:
        # draws without a seed are numbered in the order of the text, so that no two are the same numbers
        attributes["seed"] = frame.root().draws
        frame.root().draws += 1
    node = apply_called(frame, op, operands, expression, **attributes)
    if node is None:
        return None
    results = items(node)
    return results[0] if len(results) == 1 else list(results)


def _given(expression: syntax.Call, op: Op) -> tuple[dict[str, syntax.Expr], list[syntax.Expr]]:
    """Arguments by the names of what they are for, and those of which an op takes any number."""
    order = list(op.parameters)
    given: dict[str, syntax.Expr] = {}
    tail: list[syntax.Expr] = []
    options = [o for o in op.options if o not in order]
    positions = list(order)
    for argument in expression.arguments:
        if positions:
            given[positions.pop(0)] = argument
        elif op.variadic:
            tail.append(argument)
        elif options and options[0] not in given:
            given[options.pop(0)] = argument
        else:
            raise _too_many(expression, op, order)
    for keyword in expression.keywords:
        if keyword.name in given:
            raise fail("E0304", f"`{keyword.name}` is given twice", keyword.span)
        if keyword.name not in order and keyword.name not in op.options:
            close = suggestion(OPTIONS.get(keyword.name, keyword.name), [*order, *op.options])
            raise fail(
                "E0304",
                f"`{op.name}` has no option `{keyword.name}`",
                keyword.span,
                help=f"did you mean `{close}`?" if close else _signature(op),
            )
        given[keyword.name] = keyword.value
    return given, tail


def _signature(op: Op) -> str:
    order = op.parameters
    parts = [*order]
    if op.variadic:
        parts.append("...")
    parts += [f"{name}={_option_text(value)}" for name, value in op.options.items() if name not in order]
    return f"it is called as `{op.name}({', '.join(parts)})`"


def _option_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) or value is None else str(value)


def _too_many(expression: syntax.Call, op: Op, order: list[str]) -> Exception:
    count = len(expression.arguments)
    takes = len(order)
    return fail(
        "E0302",
        f"`{op.name}` takes {takes} argument{'s' * (takes != 1)}, not {count}",
        Label(expression.arguments[takes].span if takes < count else expression.span, "one too many"),
        help=_signature(op),
    )


def _dim_argument(
    frame: Frame, op: Op, part: syntax.Expr, before: Sequence[syntax.Expr] = (), minus_one: bool = False
) -> DimLike:
    dim = try_dim(frame, part)
    if dim is None:
        mark = len(frame.diagnostics.items)
        if evaluate(frame, part) is None:
            if isinstance(part, syntax.Name) and len(frame.diagnostics.items) > mark and frame.dims:
                help_instead(frame, f"sizes have their names from the types of parameters; here {_listed(frame.dims)}")
            raise TpcError(())  # what is wrong with it is told already
        help = size_hint(frame, part)
        if isinstance(part, syntax.Tuple | syntax.Block):
            inside = [*before, *(part.items if isinstance(part, syntax.Tuple) else part.rows[0])]
            help = f"leave the brackets away: `{op.name}({', '.join(item.span.text for item in inside)})`"
        raise fail("E0216", f"`{op.name}` needs a size here, and {described(part)} is not one", part.span, help=help)
    if isinstance(dim, int) and dim < 0 and not (minus_one and dim == -1):
        raise fail("E0208", f"a size cannot be negative, but this is {dim}", part.span)
    return dim


def size_hint(frame: Frame, part: syntax.Expr) -> str:
    """What to do about a value in the place of a size."""
    if isinstance(part, syntax.Name):
        binding = frame.lookup(part.name)
        if binding is not None and binding.kind == "parameter":
            return (
                f"`{part.name}` is a value of the call, and sizes are known before; "
                "write the number itself, or take the size of an array"
            )
    return "sizes are integers, the names in parameter types, and what `+ - *` makes of them"


def _listed(names: Iterable[str]) -> str:
    *first, last = [f"`{name}`" for name in names]
    return f"{', '.join(first)} and {last}" if first else last


def _fill_reshape(node: Node, dims: tuple[DimLike, ...], expression: syntax.Call) -> tuple[DimLike, ...]:
    from tpc.ir.dims import dim_text, divide_exactly

    if -1 not in dims:
        return dims
    known = product(d for d in dims if d != -1)
    rest = divide_exactly(node.tensor.size, known) if dims.count(-1) == 1 else None
    if rest is None:
        raise fail(
            "E0206",
            f"`reshape` cannot find the size at -1: {dim_text(node.tensor.size)} entries over {dim_text(known)}",
            expression.span,
        )
    return tuple(rest if d == -1 else d for d in dims)


def _option(frame: Frame, op: Op, name: str, part: syntax.Expr) -> Any:
    """The value of an option: a number, a tuple of integers, a truth value, a dtype, or a word."""
    match part:
        case syntax.Number(value=value):
            return value
        case syntax.String(value=word):
            raise fail("E0217", "options are words without quotes", part.span, help=f"write `{name}={word}`")
        case syntax.Unary(operator="-", operand=syntax.Number(value=value)):
            return -value
        case syntax.Tuple(items=parts):
            return tuple(_option(frame, op, name, item) for item in parts)
        case syntax.Name(name=word):
            if word in ("true", "false"):
                return word == "true"
            if word in ("True", "False", "None"):
                raise fail("E0301", f"`{word}` is not defined", part.span, help=f"did you mean `{word.lower()}`?")
            if word == "none":
                return None
            if word in DTYPES and name == "dtype":
                return DTYPES[word]
            default = op.options[name]
            known = frame.lookup(word) is not None or frame.module.lookup(word)[0]
            if not known and (isinstance(default, str) or default is None):
                dim = try_dim(frame, part)
                return word if dim is None else dim
    dim = try_dim(frame, part)
    if dim is not None:
        return dim
    raise fail(
        "E0217",
        f"the option `{name}` of `{op.name}` must be known when the program is compiled",
        part.span,
        help=_signature(op),
    )


def _cast(frame: Frame, expression: syntax.Call, dtype: DType) -> Node | None:
    if len(expression.arguments) != 1 or expression.keywords:
        help = f"`{dtype}(x)` converts x; as a type it has its sizes in square brackets, `{dtype}[n, m]`"
        raise fail("E0302", f"`{dtype}` converts one value", expression.span, help=help)
    node = evaluate_node(frame, expression.arguments[0])
    if node is None:
        return None
    if node.tensor.dtype.kind == "c" and dtype.kind != "c":
        raise fail("E0214", f"a complex number has no {dtype} value", expression.span, help="take `re(x)` or `abs(x)`")
    return cast(node, dtype)


def _size(frame: Frame, expression: syntax.Call, name: str) -> Node | None:
    wanted = 2 if name == "size" and len(expression.arguments) == 2 else 1
    if len(expression.arguments) != wanted or expression.keywords:
        raise fail("E0302", f"`{name}` takes an array" + (" and an axis" if name == "size" else ""), expression.span)
    node = evaluate_node(frame, expression.arguments[0])
    if node is None:
        return None
    dims = node.tensor.dims
    if wanted == 1 and name == "size":
        return size(node.tensor.size)
    axis: DimLike | None = {"rows": -2, "cols": -1, "len": 0}.get(name)
    if axis is None:
        axis = try_dim(frame, expression.arguments[1])
    if not isinstance(axis, int) or not -len(dims) <= axis < len(dims):
        raise fail(
            "E0204", f"`{name}` asks for an axis that is not there", Label(expression.span, f"this is {node.tensor}")
        )
    return size(dims[axis])


def _apply_function(frame: Frame, expression: syntax.Call, function: FunctionValue) -> Value | None:
    """A call of a function of the program: the graph of the function for these types, as one node."""
    if function.kind:
        return derivatives.apply_transformed(frame, expression, function)
    arguments = bind_arguments(frame, expression, function.definition)
    if arguments is None:
        return None
    found = frame.module.instance(frame, function.definition, arguments, expression)
    if found is None:
        return None
    program, sizes, operands = found
    results = items(make("call", operands, body=program, sizes=sizes))
    return results[0] if len(results) == 1 else list(results)


def bind_arguments(
    frame: Frame, expression: syntax.Call, definition: syntax.Def
) -> list[tuple[Node, syntax.Expr]] | None:
    """One value for each parameter, by position, name or default."""
    expression = spread(frame, expression, definition)
    parameters = [p.name.name for p in definition.parameters]
    name = definition.name.name
    given: dict[str, syntax.Expr] = {}
    if len(expression.arguments) > len(parameters):
        raise fail(
            "E0302",
            f"`{name}` takes {len(parameters)} argument{'s' * (len(parameters) != 1)}, not {len(expression.arguments)}",
            Label(expression.arguments[len(parameters)].span, "one too many"),
            Label(definition.name.span, "defined here"),
        )
    given.update(zip(parameters, expression.arguments))
    for keyword in expression.keywords:
        if keyword.name not in parameters:
            close = suggestion(keyword.name, parameters)
            raise fail(
                "E0304",
                f"`{name}` has no parameter `{keyword.name}`",
                keyword.span,
                help=f"did you mean `{close}`?" if close else None,
            )
        if keyword.name in given:
            raise fail("E0304", f"`{keyword.name}` is given twice", keyword.span)
        given[keyword.name] = keyword.value
    bound: list[tuple[Node, syntax.Expr]] = []
    missing = [p for p in definition.parameters if p.name.name not in given and p.default is None]
    if missing:
        names = ", ".join(f"`{p.name.name}`" for p in missing)
        raise fail(
            "E0302",
            f"`{name}` is not given {names}",
            Label(expression.span, "called here"),
            Label(missing[0].span, "this parameter has no default"),
        )
    for parameter in definition.parameters:
        part = given.get(parameter.name.name, parameter.default)
        assert part is not None
        node = evaluate_node(frame, part)
        if node is None:
            return None
        bound.append((node, part))
    return bound
