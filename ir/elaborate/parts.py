"""Structures as functions of their parts, and parameters that are given by parts.

    structure low_rank(U: [m, r], V: [n, r]): W[i, j] = sum[s](U[i, s] * V[j, s])

is the function of U and V that returns W, and

    def f(W: low_rank(U: f64[m, r], V: f64[n, r]), x: f64[n]) = W @ x

is `def f(W_U: f64[m, r], W_V: f64[n, r], x: f64[n])` with `W = low_rank(W_U, W_V)` as its first line. So sizes, facts,
derivatives and formats of a structured matrix are those of its parts. What has no type is a size, or a value that is
written: `toeplitz(t: f64[m + n - 1], m)`, `from_diagonals(D: f64[3, n], below=1, n)`, and with one part in two places
`low_rank_plus_diag(d: f64[n], U: f64[n, r], C: f64[r, r], V=U)`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from tpc.dsl import syntax
from tpc.dsl.diagnostics import Label, fail
from tpc.ir.node import Node
from tpc.ir.ops.products import PRODUCTS
from tpc.ir.ops.structured import STRUCTURED as FILLED
from tpc.ir.types import DTYPES

if TYPE_CHECKING:
    from tpc.ir.elaborate.module import ModuleScope
    from tpc.ir.elaborate.scope import Frame


def function_of(structure: syntax.Structure) -> syntax.Def:
    """The function from the parts to the dense matrix.

    Raises
    ------
    TpcError
        E0316 if the last statement gives no matrix.
    """
    last = structure.body[-1]
    body = list(structure.body)
    match last:
        case syntax.Assign(targets=[target]):
            body.append(syntax.Return(target.span, syntax.Name(target.span, target.name.name)))
        case syntax.Broken():
            pass  # which is told already
        case _:
            raise fail(
                "E0316",
                f"`{structure.name.name}` does not end with its dense meaning",
                last.span,
                help="the last line of a structure says the entries, as in `W[i, j] = sum[s](U[i, s] * V[j, s])`",
            )
    return syntax.Def(structure.span, structure.name, structure.parameters, None, structure.where, body, False, True)


def expanded(definition: syntax.Def) -> syntax.Def:
    """The function with the parts of structured parameters as parameters of their own.

    Raises
    ------
    TpcError
        E0317 for a part that is none, E0201 for a dtype in the place of a structure.
    """
    if all(p.parts is None for p in definition.parameters):
        return definition
    parameters: list[syntax.Parameter] = []
    wholes: list[syntax.Statement] = []
    for parameter in definition.parameters:
        if parameter.parts is None:
            parameters.append(parameter)
            continue
        if (dtype := parameter.parts.structure.name) in DTYPES:
            help = f"write `{dtype}[{', '.join(part.name.name for part in parameter.parts.parts)}]`"
            raise fail("E0201", "sizes stand in square brackets", parameter.parts.span, help=help)
        parameters += _parts(parameter.name, parameter.parts, parameter.name)
        value = _value(parameter.name.name, parameter.parts)
        wholes.append(
            syntax.Assign(value.span, [syntax.Target(parameter.name.span, parameter.name, None, None, [])], value)
        )
    return replace(definition, parameters=parameters, body=[*wholes, *definition.body])


def part_name(whole: str, part: str) -> str:
    """What the parameter for a part is called."""
    return f"{whole}_{part}"


def _parts(whole: syntax.Name, written: syntax.Parts, outermost: syntax.Name) -> Iterator[syntax.Parameter]:
    for part in written.parts:
        name = syntax.Name(part.name.span, part_name(whole.name, part.name.name))
        if part.parts is not None:
            yield from _parts(name, part.parts, outermost)
        elif part.type is not None:
            if part.default is not None:
                raise fail(
                    "E0317",
                    f"the part `{part.name.name}` of `{outermost.name}` cannot have a default",
                    part.default.span,
                    help="give it at the call, with the other parts",
                )
            yield replace(part, name=name, whole=outermost)


def _value(whole: str, written: syntax.Parts) -> syntax.Call:
    """The structure of its parts."""
    arguments: list[syntax.Expr] = []
    keywords: list[syntax.Keyword] = []
    known: dict[str, syntax.Expr] = {}  # `V=U` is the same part twice
    for part in written.parts:
        name = part_name(whole, part.name.name)
        value: syntax.Expr
        if part.parts is not None:
            value = _value(name, part.parts)
        elif part.type is not None:
            value = syntax.Name(part.span, name)
        elif isinstance(part.default, syntax.Name):
            value = known.get(part.default.name, part.default)
        else:
            value = part.default if part.default is not None else part.name
        known[part.name.name] = value
        if keywords or part.default is not None:
            keywords.append(syntax.Keyword(part.span, part.name.name, value))
        else:
            arguments.append(value)
    return syntax.Call(written.span, written.structure, arguments, keywords)


# ---- calls

STRUCTURED = frozenset([*FILLED, *(op for op in PRODUCTS if op.name in ("kron", "khatri_rao", "diag"))])


def parts_of(definition: syntax.Def, whole: str) -> list[str]:
    """The parameters that are parts of a structured one."""
    return [p.name.name for p in definition.parameters if p.whole is not None and p.whole.name == whole]


def spread(frame: Frame, call: syntax.Call, definition: syntax.Def) -> syntax.Call:
    """A call with the parts of structured arguments in the places of these.

    What is given for `W: low_rank(U: ..., V: ...)` is `low_rank(A, B)`, the parts `(A, B)`, a structured parameter of
    the caller, or the parts one after the other, as for any other parameters.
    """
    if all(p.whole is None for p in definition.parameters):
        return call
    arguments: list[syntax.Expr] = []
    for argument in call.arguments:
        place = len(arguments)
        parameter = definition.parameters[place] if place < len(definition.parameters) else None
        whole = parameter.whole if parameter is not None else None
        arguments += (_given(frame, argument, definition, whole.name) if whole is not None else None) or [argument]
    keywords: list[syntax.Keyword] = []
    for keyword in call.keywords:
        names = parts_of(definition, keyword.name)
        given = _given(frame, keyword.value, definition, keyword.name) if names else None
        if names and given is None:
            raise _no_parts(keyword.value, definition, keyword.name)
        parts = zip(names, given) if given is not None else [(keyword.name, keyword.value)]
        keywords += [syntax.Keyword(keyword.span, name, value) for name, value in parts]
    return syntax.Call(call.span, call.function, arguments, keywords)


def _given(frame: Frame, argument: syntax.Expr, definition: syntax.Def, whole: str) -> list[syntax.Expr] | None:
    """The parts that an expression gives; None where it is no structured matrix, and may be the first of the parts."""
    meaning = _meaning(definition, whole)
    count = len(parts_of(definition, whole))
    match argument:
        case syntax.Tuple(items=items):
            given: list[syntax.Expr] | None = items
        case syntax.Call(function=syntax.Name(name=name)) if _is_called(meaning, name):
            given = _leaves(meaning, argument, set(parts_of(definition, whole)))
        case syntax.Name(name=name):
            binding = frame.lookup(name)
            if binding is None or not isinstance(binding.value, Node):
                return None
            if not _is_called(meaning, structure_of(frame.module, binding.value)):
                return None
            binding.used = True
            names = [part_name(name, part.removeprefix(f"{whole}_")) for part in parts_of(definition, whole)]
            given = [syntax.Name(argument.span, part) for part in names]
            if any(frame.lookup(part) is None for part in names):
                raise _no_parts(argument, definition, whole)
        case _:
            return None
    if given is None or len(given) != count:
        raise _no_parts(argument, definition, whole)
    return given


def _no_parts(argument: syntax.Expr, definition: syntax.Def, whole: str) -> Exception:
    names = [name.removeprefix(f"{whole}_") for name in parts_of(definition, whole)]
    parameter = next(p for p in definition.parameters if p.whole is not None and p.whole.name == whole)
    written = f"({', '.join(names)}{',' * (len(names) == 1)})"
    return fail(
        "E0317",
        f"`{whole}` of `{definition.name.name}` is given by its parts",
        Label(argument.span, "these are not its parts"),
        Label(parameter.span, "declared here"),
        help=f"give {written}, or `{_meaning(definition, whole).span.text.partition('(')[0]}` of them",
    )


def _meaning(definition: syntax.Def, whole: str) -> syntax.Call:
    """What a structured parameter is in terms of its parts."""
    for statement in definition.body:
        match statement:
            case syntax.Assign(targets=[target], value=syntax.Call() as call) if target.name.name == whole:
                return call
    raise AssertionError(whole)


def _is_called(meaning: syntax.Call, name: str) -> bool:
    return isinstance(meaning.function, syntax.Name) and meaning.function.name == name


def structure_of(module: ModuleScope, value: Node) -> str:
    """The structure that a value is written by, or nothing."""
    if value.op.name == "call":
        return module.structured.get(value["body"], "")
    return value.op.name if value.op in STRUCTURED else ""


def _leaves(meaning: syntax.Call, given: syntax.Call, parts: set[str]) -> list[syntax.Expr] | None:
    """The arguments that are parts, of a structure that may be made of others; sizes are no parts."""
    if len(given.arguments) != len(meaning.arguments):
        return None
    found: list[syntax.Expr] = []
    for wanted, argument in zip(meaning.arguments, given.arguments, strict=True):
        match wanted, argument:
            case syntax.Call(), syntax.Call():
                inner = _leaves(wanted, argument, parts)
                if inner is None:
                    return None
                found += inner
            case syntax.Name(name=name), _ if name in parts:
                found.append(argument)
    return found
