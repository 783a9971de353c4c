"""A function's statements to a program."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tpc.dsl import syntax
from tpc.dsl.diagnostics import Diagnostics, Label, TpcError, fail
from tpc.dsl.source import Span
from tpc.ir.build import cast, input_node, literal_value, make
from tpc.ir.dims import DimLike, assuming
from tpc.ir.elaborate import branches, control, index
from tpc.ir.elaborate.declared import fits, results, typed
from tpc.ir.elaborate.doubtful import warn_doubtful
from tpc.ir.elaborate.expression import evaluate, evaluate_node
from tpc.ir.elaborate.promises import check_promises
from tpc.ir.elaborate.scope import Binding, Frame, FunctionValue, Value
from tpc.ir.elaborate.types import constraint_of, facts_of
from tpc.ir.facts.lines import nonnegative_sizes
from tpc.ir.node import Node, Program, topological
from tpc.ir.ops.structure import NORMS
from tpc.ir.rewrite import ordered_facts
from tpc.ir.types import STRONG, TensorType

if TYPE_CHECKING:
    from tpc.ir.elaborate.module import ModuleScope


def build(
    module: ModuleScope,
    definition: syntax.Def,
    types: Sequence[TensorType | None],
    sizes: dict[str, DimLike],
    batch: tuple[DimLike, ...],
    diagnostics: Diagnostics,
    name: str,
) -> Program | None:
    """The program of a function whose parameters have the given types; None after errors.

    A parameter whose type could not be made out (None) is unknown in the body, which is checked all the same.
    """
    frame = Frame(module, diagnostics, dict(sizes))
    inputs: list[Node] = []
    for parameter, type in zip(definition.parameters, types, strict=True):
        if type is None:
            frame.names[parameter.name.name] = Binding(None, parameter.name.span, True, "parameter")
            continue
        node = input_node(parameter.name.name, type)
        inputs.append(node)
        if parameter.name.name in sizes:
            diagnostics.add(
                "E0305",
                f"`{parameter.name.name}` is both a parameter and a size",
                parameter.name.span,
                help=f"remove the parameter: a size such as `{parameter.name.name}` can be used as a number",
            )
        frame.define(parameter.name.name, node, parameter.name.span, "parameter")
        facts = facts_of(parameter.facts, type, sizes, diagnostics)
        if facts:
            frame.facts.append((node, facts))
    for written in definition.where:
        frame.where.extend(constraint_of(written, sizes, diagnostics))
    frame.later.update(control.assigned(definition.body))
    _poison_broken(frame, definition)
    with assuming(nonnegative_sizes(frame.where)):
        returned = _run_body(frame, definition)
        outputs = None if returned is None else results(frame, definition, returned, batch)
    if outputs is None or diagnostics.errors:
        return None  # and no word on values that are not used: that may be because of the error
    if not _is_broken(definition):
        _warn_unused(frame, definition)
    defaults = []
    for parameter, node in zip(definition.parameters, inputs, strict=True):
        if parameter.default is not None:
            value = evaluate_node(Frame(module, diagnostics), parameter.default)
            if value is not None and literal_value(value) is None:
                diagnostics.add(
                    "E0312",
                    f"the default of `{parameter.name.name}` must be a number",
                    parameter.default.span,
                    help="leave the default out, and compute the value in the function",
                )
            elif value is not None:
                fits(
                    frame,
                    value,
                    node.tensor,
                    "the default",
                    parameter.default,
                    Label(parameter.name.span, "declared here"),
                )
                defaults.append((parameter.name.name, value))
    nodes = [node for node, _ in outputs]
    _check_literals(frame, definition, nodes)
    known = [*frame.facts, *((n, module.constant_facts[n]) for n in topological(nodes) if n in module.constant_facts)]
    program = Program(
        name,
        inputs,
        nodes,
        [n for _, n in outputs],
        ordered_facts(inputs, nodes, known),
        list(dict.fromkeys(frame.where)),
        defaults,
    )
    check_promises(program, frame.spans, definition.name.span, diagnostics)
    warn_doubtful(program, frame.spans, diagnostics)
    module.note(program, frame)
    return program


def _check_literals(frame: Frame, definition: syntax.Def, results: Sequence[Node]) -> None:
    """Refuse integers used as values that i64 does not hold; sizes may be as large as they like."""
    for node in topological(results):
        for operand in node.args:
            value = literal_value(operand)
            if isinstance(value, int) and abs(value) >= 2**63:
                span = frame.spans.get(node, definition.name.span)
                help = "write it as a float, as in `2.0^64`"
                raise fail("E0219", f"{value} is out of the range of i64", span, help=help)


def _is_broken(definition: syntax.Def) -> bool:
    """Whether a line of the body could not be read."""
    return any(isinstance(s, syntax.Broken) for s in _within(definition.body))


def _within(statements: Sequence[syntax.Statement]) -> Iterator[syntax.Statement]:
    """Statements, and those in the blocks of them."""
    for statement in statements:
        yield statement
        match statement:
            case syntax.Repeat(body=body) | syntax.Scan(body=body):
                yield from _within(body)
            case syntax.If(branches=branches, otherwise=otherwise):
                for block in [*(body for _, body in branches), otherwise]:
                    yield from _within(block)


def _poison_broken(frame: Frame, definition: syntax.Def) -> None:
    """What a line that could not be read seems to assign is unknown, and no further error."""
    if _is_broken(definition):
        for name in assigned_in_text(definition.span.text):
            if name not in frame.later and frame.lookup(name) is None:
                frame.names[name] = Binding(None, definition.span, True)


def assigned_in_text(text: str) -> list[str]:
    """The names that lines of a text seem to assign."""
    names: list[str] = []
    for line in text.split("\n"):
        target, sign, value = line.replace("<-", "=").partition("=")
        if sign and target[-1:] not in "<>!" and not value.startswith("="):
            names += re.findall(r"[^\W\d]\w*", re.sub(r"\[[^\]]*\]", "", target))
    return names


def _run_body(frame: Frame, definition: syntax.Def) -> syntax.Return | None:
    """Run the statements; the `return` that ends the function."""
    body = definition.body
    for position, statement in enumerate(body):
        if isinstance(statement, syntax.Return):
            for rest in body[position + 1 : position + 2]:
                frame.diagnostics.add(
                    "E0313",
                    "this comes after the `return` and is never reached",
                    Label(rest.span),
                    Label(statement.span, "returns here"),
                )
            return statement
        run(frame, [statement])
    if not any(isinstance(s, syntax.Broken | syntax.Return) for s in _within(body)):  # of those something is told
        frame.diagnostics.add(
            "E0311",
            f"`{definition.name.name}` has no `return`",
            definition.name.span,
            help="end it with `return` and the results",
        )
    return None


def run(frame: Frame, statements: Sequence[syntax.Statement]) -> None:
    """Elaborate statements in order; an error in one leaves its names unknown and goes on."""
    for statement in statements:
        try:
            _run(frame, statement)
        except TpcError as error:
            frame.diagnostics.items.extend(error.diagnostics)
            block = isinstance(statement, syntax.Repeat | syntax.Scan | syntax.If)
            for name, span in control.assigned([statement]).items():
                if block or frame.lookup(name) is None:
                    frame.names[name] = Binding(None, span, True)


def _run(frame: Frame, statement: syntax.Statement) -> None:
    match statement:
        case syntax.Repeat(body=body) | syntax.Scan(body=body) if all(isinstance(s, syntax.Broken) for s in body):
            frame.broken = True
        case syntax.Assign():
            _assign(frame, statement)
        case syntax.Approx():
            _approximate(frame, statement)
        case syntax.Repeat():
            control.repeat(frame, statement, run)
        case syntax.Scan():
            control.scan(frame, statement, run)
        case syntax.If():
            branches.branch(frame, statement, run)
        case syntax.Return():
            raise fail(
                "E0314",
                "`return` may stand only at the end of a function",
                statement.span,
                help="assign to a name in the block, and return it after the block",
            )
        case syntax.Until():
            raise fail(
                "E0605",
                "`until` belongs directly into a `repeat`",
                statement.span,
                help="write `repeat 1000 until condition:`, or put it into the body of a `repeat`",
            )


def _assign(frame: Frame, statement: syntax.Assign) -> None:
    targets = statement.targets
    if len(targets) == 1 and targets[0].letters is not None:
        _define_indexed(frame, targets[0], _indexed(frame, targets[0], statement.value), statement.value)
        return
    if any(target.letters is not None for target in targets):
        _assign_each(frame, statement)
        return
    value = evaluate(frame, statement.value)
    if len(targets) == 1:
        if isinstance(value, list):
            names = ", ".join([targets[0].name.name, *(f"_{k}" for k in range(2, len(value) + 1))])
            frame.diagnostics.add(
                "E0307",
                f"this gives {len(value)} values, and one name takes them",
                statement.span,
                help=f"name each of them, as in `{names} = ...`; those with `_` may stay unused",
            )
            value = None
        _define(frame, targets[0], value, statement.value)
        return
    values: list[Value | None]
    if isinstance(value, list) and len(value) == len(targets):
        values = list(value)
    else:
        if value is not None:
            count = len(value) if isinstance(value, list) else 1
            frame.diagnostics.add(
                "E0307",
                f"{len(targets)} names for {count} value{'s' * (count != 1)}",
                Label(statement.span),
                help=f"the right side gives {count}",
            )
        values = [None] * len(targets)
    for target, part in zip(targets, values, strict=True):
        _define(frame, target, part, statement.value)


def _define(frame: Frame, target: syntax.Target, value: Value | None, part: syntax.Expr) -> None:
    if isinstance(value, FunctionValue):
        raise fail("E0306", "functions cannot be assigned to names", part.span, help="use the function by its own name")
    if isinstance(value, Node) and target.type is not None:
        value = typed(frame, target, value, part)
    frame.define(target.name.name, value, target.name.span)


def _assign_each(frame: Frame, statement: syntax.Assign) -> None:
    """Each of several targets by its own part of the right side, which is read as a whole before a name is defined."""
    targets, whole = statement.targets, statement.value
    parts = whole.items if isinstance(whole, syntax.Tuple) else [whole] * len(targets)
    values: Sequence[Value | None]
    if isinstance(whole, syntax.Tuple) and len(parts) == len(targets):
        pairs = zip(targets, parts, strict=True)
        values = [evaluate(frame, part) if t.letters is None else _indexed(frame, t, part) for t, part in pairs]
    else:  # a call, whose results are no formulas over letters: they can be stacked as they are
        found = evaluate(frame, whole)
        letters = [t.letters[control.is_stacked(t, frame.scan_letter) :] for t in targets if t.letters is not None]
        values = found if isinstance(found, list) and len(found) == len(targets) and not any(letters) else []
        if not values and found is not None:
            frame.diagnostics.add(
                "E0307",
                f"{len(targets)} names, of which some have letters, need as many values side by side",
                Label(statement.span),
                help="as in `a[i], b[i] = x[i], y[i]`",
            )
    for target, part, value in zip(targets, parts, values or [None] * len(targets)):
        if target.letters is None:
            _define(frame, target, value, part)
        else:
            _define_indexed(frame, target, value if isinstance(value, Node) else None, part)


def _indexed(frame: Frame, target: syntax.Target, value: syntax.Expr) -> Node | None:
    """What an index statement says of its target, or what a pass of a scan adds to it."""
    letters = target.letters
    assert letters is not None
    if control.is_stacked(target, frame.scan_letter):
        letters = letters[1:]
        if not letters:
            return evaluate_node(frame, value)
    _refuse_recurrence(frame, target, value)
    return index.statement(frame, letters, value, Span(value.span.source, target.span.start, value.span.end))


def _define_indexed(frame: Frame, target: syntax.Target, node: Node | None, value: syntax.Expr) -> None:
    stacked = control.is_stacked(target, frame.scan_letter)
    if node is not None and target.type is not None:
        node = typed(frame, target, node, value)
    if node is not None and stacked and node.tensor.dtype.is_weak and target.type is None:
        node = cast(node, STRONG[node.tensor.dtype])
    frame.define(target.name.name, node, target.name.span, "stacked" if stacked else "value")
    if stacked:
        frame.names[target.name.name].used = True


def _refuse_recurrence(frame: Frame, target: syntax.Target, value: syntax.Expr) -> None:
    """`y[i] = y[i - 1] + x[i]` is no index statement: the right side would need what is being defined."""
    name = target.name.name
    if frame.lookup(name) is None and re.search(rf"(?<!\w){re.escape(name)}\[", value.span.text):
        raise fail(
            "E0309",
            f"`{name}` is used in its own definition",
            Label(value.span, f"`{name}` is not known before this is done"),
            help="a recurrence is a `scan`: give the state a start before it, carry it along, and stack it with "
            f"`{name}[i] = state`",
        )


def _approximate(frame: Frame, statement: syntax.Approx) -> None:
    node = evaluate_node(frame, statement.value)
    within = evaluate_node(frame, statement.within)
    operands = [node]
    if statement.on is not None:
        operands.append(evaluate_node(frame, statement.on))
    if within is not None:
        bound = literal_value(within)
        if not isinstance(bound, (int, float)) or not 0 <= bound < 1:
            raise fail(
                "E0218",
                "the error bound must be a number that is at least 0 and below 1",
                statement.within.span,
                help="it is relative to the norm of the value, as in `within 1e-2`",
            )
    norm = "frobenius" if statement.norm is None else statement.norm.name
    if statement.norm is not None and norm not in NORMS:
        raise fail(
            "E0218",
            f"there is no norm `{norm}`",
            statement.norm.span,
            help=f"the error may be bounded in one of {', '.join(f'`{n}`' for n in NORMS)}",
        )
    value = None
    if within is not None and all(n is not None for n in operands):
        value = make("approximate", [n for n in operands if n is not None], within=within["value"], norm=norm)
        frame.spans[value] = statement.span
    _define(frame, statement.target, value, statement.value)


def _warn_unused(frame: Frame, definition: syntax.Def) -> None:
    among = {
        target.name.span
        for statement in definition.body
        if isinstance(statement, syntax.Assign) and len(statement.targets) > 1
        for target in statement.targets
    }
    for name, binding in frame.names.items():
        if binding.used or name.startswith("_"):
            continue
        what = "parameter" if binding.kind == "parameter" else "value"
        ways = f"call it `_{name}`" if binding.span in among else f"remove it, or call it `_{name}`"
        frame.diagnostics.add(
            "W0302" if what == "parameter" else "W0301",
            f"{what} `{name}` is never used",
            binding.span,
            help=f"{ways} if it is meant to be there",
        )
