"""`grad` and its kin, as far as types go: what they give is known, how it is computed comes later."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from tpc.dsl import syntax
from tpc.dsl.diagnostics import Diagnostics, Label, fail
from tpc.dsl.source import Span
from tpc.ir.build import cast, items, make
from tpc.ir.elaborate import systems
from tpc.ir.elaborate.parts import parts_of, spread
from tpc.ir.elaborate.scope import Frame, FunctionValue, Value, placeholder, suggestion
from tpc.ir.node import Node, Program, topological
from tpc.ir.ops.structure import CALL, REPEAT
from tpc.ir.types import TensorType, promote

KINDS = (
    "grad",
    "value_and_grad",
    "jacobian",
    "hessian",
    "hvp",
    "jvp",
    "vjp",
    "vmap",
    "laplacian",
    "jet",
    "fixed_point",
)
ONE_PARAMETER = ("hessian", "laplacian")
SCALAR = ("grad", "value_and_grad", "hessian", "hvp", "laplacian")  # of functions with one scalar result
OPTIONS: dict[str, dict[str, type]] = {
    **dict.fromkeys(("grad", "value_and_grad", "vjp", "hvp"), {"checkpoints": int}),
    "fixed_point": {"tolerance": float, "steps": int},
    "jet": {"order": int},
    "laplacian": {"samples": int, "seed": int},
}
STEPS = frozenset(["floor", "ceil", "round", "trunc", "sign", "floor_div"])  # floats that change by steps, if at all
_DIRECTED = ("jvp", "hvp", "jet")  # which take a direction for each parameter
Operand = tuple[Node, syntax.Expr]


def transform(frame: Frame, expression: syntax.Call, kind: str) -> Value | None:
    """`grad(loss, g)`: a function of the program and (where it matters) the parameters to differentiate by."""
    from tpc.ir.elaborate.expression import evaluate

    arguments = expression.arguments
    most = 2 if kind in ONE_PARAMETER else len(arguments)
    options = _options(expression, kind)
    if not 1 <= len(arguments) <= most:
        raise fail(
            "E0302",
            f"`{kind}` takes a function and " + ("at most one" if most == 2 else "the names") + " of its parameters",
            expression.span,
            help=f"as in `{kind}(f, x)(x, y)`",
        )
    function = evaluate(frame, arguments[0])
    if function is None:
        return None
    if not isinstance(function, FunctionValue):
        help = None
        match arguments[0]:
            case syntax.Call(function=syntax.Name(name=called), arguments=given):
                by = "".join(f", {argument.span.text}" for argument in arguments[1:])
                there = ", ".join(argument.span.text for argument in given)
                help = f"give it the function, and its arguments behind: `{kind}({called}{by})({there})`"
        raise fail("E0306", f"`{kind}` takes a function, but this is a value", arguments[0].span, help=help)
    names = [p.name.name for p in function.definition.parameters]
    if not names:
        raise fail("E0302", f"`{function.definition.name.name}` has no parameters", arguments[0].span)
    chosen = [name for argument in arguments[1:] for name in _parameters(function, names, argument)]
    twice = next((a for a, n in zip(arguments[1:], chosen) if chosen.count(n) > 1), None)
    if twice is not None:
        raise fail("E0304", f"`{twice.span.text}` is named twice", twice.span)
    if not chosen and kind != "vmap":
        whole = function.definition.parameters[0].whole
        chosen = names[:1] if whole is None else parts_of(function.definition, whole.name)
    if kind in ONE_PARAMETER and len(chosen) > 1:
        raise fail("E0302", f"`{kind}` is by one parameter, and this has {len(chosen)} parts", expression.span)
    return FunctionValue(function.definition, kind, tuple(chosen), function, options)


def _options(expression: syntax.Call, kind: str) -> tuple[tuple[str, float | int], ...]:
    """Numbers that are given by name, such as `tolerance=1e-8`."""
    known = OPTIONS.get(kind, {})
    found: dict[str, float | int] = {}
    for keyword in expression.keywords:
        wanted = known.get(keyword.name)
        if wanted is None:
            close = suggestion(keyword.name, known)
            raise fail(
                "E0304",
                f"`{kind}` has no option `{keyword.name}`",
                keyword.span,
                help=f"did you mean `{close}`?" if close else f"its options are {', '.join(known) or 'none'}",
            )
        number = keyword.value.value if isinstance(keyword.value, syntax.Number) else None
        if wanted is int:
            fits = isinstance(number, int) and number >= (keyword.name != "seed")
        else:
            fits = isinstance(number, float) and 0 < number < 1
        if not fits or isinstance(number, complex) or number is None:
            what = "an integer above 0" if wanted is int else "a number between 0 and 1"
            raise fail("E0217", f"the option `{keyword.name}` of `{kind}` must be {what}", keyword.value.span)
        found[keyword.name] = number
    if ("samples" in found) != ("seed" in found):
        raise fail(
            "E0302",
            "an estimate takes `samples` and `seed`",
            expression.span,
            help=f"as in `{kind}(f, x, samples=16, seed=1)`; without both, the result is exact",
        )
    return tuple(sorted(found.items()))


def _parameters(function: FunctionValue, names: list[str], part: syntax.Expr) -> list[str]:
    """What a name of a parameter stands for: it, or all of its parts."""
    if isinstance(part, syntax.Name):
        found = [part.name] if part.name in names else parts_of(function.definition, part.name)
        if found:
            return found
    close = suggestion(part.span.text, names)
    raise fail(
        "E0304",
        f"`{function.definition.name.name}` has no parameter `{part.span.text}`",
        part.span,
        help=f"did you mean `{close}`?" if close else f"its parameters are {', '.join(names)}",
    )


def apply_transformed(frame: Frame, expression: syntax.Call, function: FunctionValue) -> Value | None:
    """`grad(loss, g)(x, t, g)` as a node of the right types."""
    steps: list[FunctionValue] = []  # from the function outwards
    step: FunctionValue | None = function
    while step is not None and step.kind:
        steps.insert(0, step)
        step = step.of
    operands = _operands(frame, expression, function.definition, steps)
    if operands is None:
        return None
    return apply_operands(frame, expression, steps, operands)


def apply_operands(
    frame: Frame, expression: syntax.Call, steps: Sequence[FunctionValue], operands: list[Operand]
) -> Value | None:
    """What steps, from the function outwards, make of operands: arguments and, behind them, directions."""
    typing = _Typing(frame, expression, steps[0].definition)
    types = typing.results(steps, operands)
    if types is None or typing.program is None:
        return None
    if (settled := _settled(steps[0], typing.program, operands)) != operands:
        return apply_operands(frame, expression, steps, settled)
    if steps[0].kind not in ("vmap", "fixed_point", systems.KIND):
        function = steps[0].definition.name
        defined = Label(function.span, "defined here")
        for warn in WARNINGS:
            warn(frame.diagnostics, typing.program, steps[0].parameters, function.name, expression.span, defined)
    wanted = [i.tensor.dtype for i in typing.program.inputs]
    given = [cast(node, dtype) for (node, _), dtype in zip(operands, wanted, strict=False)]
    given += [node for node, _ in operands[len(wanted) :]]
    written = tuple((s.kind, s.parameters, s.options) for s in steps)
    results = items(make("derivative", given, steps=written, body=typing.program, types=tuple(types)))
    return results[0] if len(results) == 1 else list(results)


def _settled(step: FunctionValue, program: Program, operands: list[Operand]) -> list[Operand]:
    """Operands of which those that a function gives anew, and that had no format yet (`zeros(n)`), have that of it."""
    if step.kind not in ("fixed_point", systems.KIND):
        return operands
    names = [i["name"] for i in program.inputs]
    found = list(operands)
    for name, result in zip(step.parameters, program.result_types, strict=False):
        (node, part), taken = operands[names.index(name)], program.inputs[names.index(name)].tensor.dtype
        common = promote(taken, result.dtype)
        if taken.is_weak and common is not taken:
            found[names.index(name)] = cast(node, common), part
    return found


def warn_of_zeros(
    diagnostics: Diagnostics, program: Program, parameters: Sequence[str], function: str, place: Span, *more: Label
) -> None:
    """Tell of parameters whose derivative is zero, as all paths from them lead through integers, comparisons, steps."""
    for name in parameters:
        (at,) = (i for i in program.inputs if i["name"] == name)
        reached = {at}
        cuts: dict[str, None] = {}
        for node in topological(program.outputs):
            if node is not at and any(a in reached for a in node.args):
                if node.op.name in STEPS or not any(t.dtype.kind in "fc" for t in _types(node)):
                    cuts[node.op.name] = None
                else:
                    reached.add(node)
        if not reached & set(program.outputs):
            diagnostics.add(
                "W0402",
                f"the derivative by `{name}` is zero",
                Label(place, f"`{function}` does not change with `{name}`" + " little by little" * bool(cuts)),
                *more,
                notes=[f"from `{name}` all ways lead through {', '.join(f'`{c}`' for c in cuts)}"] if cuts else [],
                help="differentiate by another parameter"
                + ", or give the step a derivative, as in `surrogate(round(x), x)`" * bool(STEPS & set(cuts)),
            )


def warn_of_passes(
    diagnostics: Diagnostics, program: Program, parameters: Sequence[str], function: str, place: Span, *more: Label
) -> None:
    """Tell of loops with `until` on the way: a solution may have settled before its derivative has.

    Conjugate gradients are the known case: a direction that the right side does not excite is never searched, but the
    solution moves along it with the matrix.
    """
    if _through_passes(program, {i for i in program.inputs if i["name"] in parameters}):
        diagnostics.add(
            "W0403",
            "the derivative of a loop that ends by `until` is that of the passes it made",
            Label(place, f"`{function}` goes through such a loop"),
            *more,
            notes=["where the passes approach a solution, their derivative may come near it later, or never"],
            help="say what holds at the end: `fixed_point(F, x)(found, ...)`, where F leaves x as it is",
        )


WARNINGS = (warn_of_zeros, warn_of_passes)


def _through_passes(program: Program, moving: set[Node]) -> bool:
    """Whether a loop with `until` is on the way from these inputs to the results."""
    ways: dict[Node, list[Node]] = {i: [] for i in moving}  # by which operands a value moves
    for node in topological(program.outputs):
        found = [a for a in _smooth_operands(node) if a in ways]
        if found and any(t.dtype.kind in "fc" for t in _types(node)):
            ways[node] = found
    on_the_way = dict.fromkeys(o for o in program.outputs if o in ways)
    waiting = list(on_the_way)
    while waiting:
        more = [a for a in ways[waiting.pop()] if a not in on_the_way]
        on_the_way.update(dict.fromkeys(more))
        waiting += more
    return any(_ends_by_itself(node, ways) for node in on_the_way)


def _smooth_operands(node: Node) -> list[Node]:
    """The operands that a value changes with: a fixed point does not with the first guess."""
    kind, guesses, *_ = node["steps"][0] if node.op.name == "derivative" else ("", ())
    if kind != "fixed_point":
        return list(node.args)
    return [a for a, i in zip(node.args, node["body"].inputs, strict=False) if i["name"] not in guesses]


def _ends_by_itself(node: Node, moving: Collection[Node]) -> bool:
    if node.op is CALL:
        inputs = node["body"].inputs
        return _through_passes(node["body"], {i for a, i in zip(node.args, inputs, strict=True) if a in moving})
    inner = (n for program in node.programs for n in program.walk())
    return any(n.op is REPEAT and n.get("until") is not None for n in (node, *inner))


def _operands(
    frame: Frame, call: syntax.Call, definition: syntax.Def, steps: Sequence[FunctionValue]
) -> list[Operand] | None:
    """The arguments of the function, and behind them the directions of the steps, innermost first."""
    from tpc.ir.elaborate.calls import bind_arguments
    from tpc.ir.elaborate.expression import evaluate_node

    call = spread(frame, call, definition)
    count = sum(_directions(s) for s in steps if s.kind != "vjp")
    cotangents = sum(s.kind == "vjp" for s in steps)
    if cotangents:  # of as many results as there are arguments too many
        more = len(call.arguments) + len(call.keywords) - len(definition.parameters) - count
        count += max(cotangents, more)
    if len(call.arguments) < count:
        raise fail("E0302", f"`{steps[-1].kind}` is not given its direction", call.span)
    end = len(call.arguments) - count
    own = syntax.Call(call.span, call.function, call.arguments[:end], call.keywords)
    arguments = bind_arguments(frame, own, definition)
    directions = [(evaluate_node(frame, part), part) for part in call.arguments[end:]]
    found = [(node, part) for node, part in directions if node is not None]
    return None if arguments is None or len(found) < count else [*arguments, *found]


def _directions(step: FunctionValue) -> int:
    """How many further arguments a step takes; of a `vjp`, at least."""
    return len(step.parameters) if step.kind in _DIRECTED else step.kind in ("vjp", systems.KIND)


@dataclass
class _Typing:
    """The types that transformed functions give for operands; `program` is what they transform."""

    frame: Frame
    call: syntax.Call
    definition: syntax.Def
    program: Program | None = None

    def results(self, steps: Sequence[FunctionValue], operands: list[Operand]) -> list[TensorType] | None:
        if not steps:
            found = self.frame.module.instance(self.frame, self.definition, operands, self.call)
            if found is None:
                return None
            self.program, sizes, _ = found
            return [t.substitute(dict(sizes)) for t in self.program.result_types]
        *inner, step = steps
        names = [p.name.name for p in self.definition.parameters]
        if step.kind == "vmap":
            return self._mapped(inner, step, names, operands)
        at = [operands[names.index(n)] for n in step.parameters]
        count = _directions(step)
        if step.kind == "vjp":
            count = self._cotangents(inner, len(operands) - len(names))
        end = len(operands) - count
        directions = operands[end:]
        results = self.results(inner, operands[:end])
        if results is None or self.program is None:
            return None
        # in the formats that the function takes: numbers and `zeros(n)` have none by themselves
        formats = [self.program.inputs[names.index(n)].tensor.dtype for n in step.parameters]
        types = [TensorType(dtype, node.tensor.dims) for dtype, (node, _) in zip(formats, at, strict=True)]
        labels = [Label(self.call.span), Label(self.definition.name.span, "defined here")]
        by = dict(zip(step.parameters, types, strict=True))
        check_kind(step.kind, self.definition.name.name, by, results, labels)
        if step.kind == "fixed_point":
            self._check_state(step.parameters, types, results, labels)
        if step.kind == systems.KIND:
            self._check_system(results, types[0], dict(step.options).get("method"), labels)
            results = results[:1]
        if count:
            floats = [r for r in results if r.dtype.kind in "fc"]
            wanted = floats if step.kind in ("vjp", systems.KIND) else types
            self._check_directions(step.kind, directions, wanted)
        match step.kind:
            case systems.KIND:
                return systems.results(types[0], step.options)
            case "grad" | "vjp" | "hvp" | "fixed_point":
                return types
            case "value_and_grad":
                return [results[0], *types]
            case "hessian":
                return [TensorType(t.dtype, (*t.dims, *t.dims)) for t in types]
            case "jacobian":
                return [TensorType(r.dtype, (*r.dims, *t.dims)) for r in results for t in types]
        return results  # jvp, jet, laplacian

    def _check_state(
        self,
        names: Sequence[str],
        types: Sequence[TensorType],
        results: Sequence[TensorType],
        labels: Sequence[Label],
    ) -> None:
        """What a function makes of a state is a state."""
        if [r.dims for r in results] != [t.dims for t in types]:
            raise fail(
                "E0203",
                f"`fixed_point` needs a function that gives its {', '.join(f'`{n}`' for n in names)} anew, but "
                f"{', '.join(map(str, types))} is not {', '.join(map(str, results))}",
                *labels,
                help="name the parameters that its results replace, in their order",
            )

    def _check_system(
        self, results: Sequence[TensorType], x: TensorType, method: object, labels: Sequence[Label]
    ) -> None:
        """A product with the matrix, and perhaps one with the preconditioner."""
        if x.dtype.kind == "c" and method != "cg":
            raise fail(
                "E0221",
                f"`solve` by steps needs real entries, not {x.dtype}",
                *labels,
                help="`method=cg` is for Hermitian positive definite matrices; without options it solves directly",
            )
        if method not in (None, "lsqr") and results[0].dims != x.dims:
            raise fail(
                "E0203",
                f"`{method}` needs a square matrix, but A @ v is {results[0]} for {x}",
                *labels,
                help="`method=lsqr` finds the least squares solution of any matrix",
            )
        if len(results) > 2 or any(r.dims != x.dims for r in results[1:]):
            raise fail(
                "E0203",
                f"`solve` needs a function that gives A @ v, and perhaps P @ v, but this gives "
                f"{', '.join(map(str, results))} for {x}",
                *labels,
            )

    def _cotangents(self, inner: Sequence[FunctionValue], given: int) -> int:
        """How many of the directions are those of the outermost step, which is a `vjp`."""
        fixed = sum(map(_directions, inner))
        return given - fixed

    def _mapped(
        self, inner: Sequence[FunctionValue], step: FunctionValue, names: list[str], operands: list[Operand]
    ) -> list[TensorType] | None:
        """`vmap(f, x)`: over the first axis of the parameters that it names, else of all; of all directions."""
        moves = [k >= len(names) or not step.parameters or names[k] in step.parameters for k in range(len(operands))]
        leads = [(node.tensor.dims[:1], part) for (node, part), m in zip(operands, moves, strict=True) if m]
        for lead, part in leads:
            if not lead:
                raise fail(
                    "E0204",
                    "`vmap` maps over the first axis, but this is a scalar",
                    part.span,
                    help=f"name the parameters to map over, as in `vmap({self.definition.name.name}, x)`",
                )
            if lead != leads[0][0]:
                raise fail(
                    "E0203",
                    f"`vmap` needs first axes of one size, but {lead[0]} is not {leads[0][0][0]}",
                    Label(part.span, f"{lead[0]} rows"),
                    Label(leads[0][1].span, f"{leads[0][0][0]} rows"),
                )
        parts = [(_row(node) if m else node, part) for (node, part), m in zip(operands, moves, strict=True)]
        results = self.results(inner, parts)
        return results and [TensorType(r.dtype, (*leads[0][0], *r.dims)) for r in results]

    def _check_directions(self, kind: str, directions: Sequence[Operand], wanted: Sequence[TensorType]) -> None:
        if len(directions) != len(wanted):
            raise fail(
                "E0302",
                f"`{kind}` takes {len(wanted)} directions here, not {len(directions)}",
                self.call.span,
                help="one for each result" if kind == "vjp" else "one for each parameter that it names",
            )
        for (node, part), type in zip(directions, wanted, strict=True):
            if node.tensor.dims != type.dims or not (node.tensor.dtype.is_weak or node.tensor.dtype is type.dtype):
                what = "right side" if kind == systems.KIND else "direction"
                raise fail("E0203", f"the {what} of `{kind}` is {node.tensor}, but must be {type}", part.span)


def check_kind(
    kind: str, name: str, by: Mapping[str, TensorType], results: Sequence[TensorType], labels: Sequence[Label]
) -> None:
    """Derivatives are of floats, by floats; some of scalars alone, some by one parameter.

    Raises
    ------
    TpcError
        E0302, E0607, E0608.
    """
    if kind in ONE_PARAMETER and len(by) > 1:
        raise fail("E0302", f"`{kind}` is by one parameter", *labels, help="take `jacobian` of `grad` for blocks")
    if kind in SCALAR and (len(results) > 1 or results[0].rank):
        given = ", ".join(map(str, results))
        raise fail(
            "E0607",
            f"`{kind}` needs a function with one scalar result, but `{name}` gives {given}",
            *labels,
            help="reduce it, as with sum or mean, or take `jacobian` or `vjp`",
        )
    for parameter, type in by.items():
        if type.dtype.kind not in "fc":
            raise fail(
                "E0608",
                f"`{kind}` by `{parameter}` has no meaning, since it is {type}",
                *labels,
                help=f"differentiate by floats; declare `{parameter}` as one",
            )
    if all(r.dtype.kind not in "fc" for r in results):
        raise fail(
            "E0608",
            f"`{name}` gives {', '.join(map(str, results))}, which does not change little by little",
            *labels,
            help="differentiate what is computed before it is rounded or compared",
        )


def _types(node: Node) -> tuple[TensorType, ...]:
    return node.type if isinstance(node.type, tuple) else (node.type,)


def _row(node: Node) -> Node:
    """A stand-in for one of the parts that a map takes."""
    inner = placeholder(node)
    return Node(inner.op, (), inner.attributes, TensorType(node.tensor.dtype, node.tensor.dims[1:]))
