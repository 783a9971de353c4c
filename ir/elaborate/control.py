"""Loops: blocks of statements become programs of their own, held by one node.

A block takes what it uses from outside as further inputs. Inputs are numbered, the state first and then what is
captured in the order in which the block's graph meets it, so that equal blocks are the same program.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tpc.dsl import syntax
from tpc.dsl.diagnostics import Diagnostics, Label, fail
from tpc.dsl.source import Span
from tpc.ir.build import cast, input_node, items, literal, make
from tpc.ir.elaborate.expression import described, evaluate_node, try_dim
from tpc.ir.elaborate.hints import state_hint
from tpc.ir.elaborate.scope import Frame, placeholder
from tpc.ir.node import Node, Program, topological
from tpc.ir.notes import name_node
from tpc.ir.ops.structure import INPUT
from tpc.ir.rewrite import ordered_facts, replace
from tpc.ir.types import promote

RunStatements = Callable[[Frame, Sequence[syntax.Statement]], None]


def close(frame: Frame, name: str, state: Sequence[Node], outputs: Sequence[Node]) -> tuple[Program, list[Node]]:
    """A block's graph as a program: its inputs are the state and those stand-ins of the frame that it uses."""
    captured = set(frame.captured.values())
    used = [n for n in topological(outputs) if n.op is INPUT]
    order = [n for n in used if n in captured and n not in state]
    renamed = {n: input_node(f"s{k}", n.tensor) for k, n in enumerate(state)}
    renamed |= {n: input_node(f"c{k}", n.tensor) for k, n in enumerate(order)}
    inputs = [renamed[n] for n in (*state, *order)]
    known = [n for n, _ in frame.facts]
    called = [n for n in topological(outputs) if n in frame.node_names and n.op is not INPUT and n not in outputs]
    results = replace([*outputs, *known, *called], renamed)
    for node, now in zip(called, results[len(outputs) + len(known) :], strict=True):
        name_node(frame.node_names, now, frame.node_names[node])
    facts = zip(results[len(outputs) :], (f for _, f in frame.facts))
    return Program(
        name, inputs, results[: len(outputs)], facts=ordered_facts(inputs, results[: len(outputs)], facts)
    ), order


def captured_from(frame: Frame, stand_ins: Sequence[Node]) -> list[Node]:
    back = {inner: outer for outer, inner in frame.captured.items()}
    return [back[n] for n in stand_ins]


def is_stacked(target: syntax.Target, letter: str | None) -> bool:
    """Whether a target has an entry for each value of a scan's letter: `y[i] = ...` in `scan i in n`."""
    first = target.letters[0] if target.letters else None
    return isinstance(first, syntax.Letter) and first.name == letter


def assigned(statements: Sequence[syntax.Statement], stacked: str | None = None) -> dict[str, Span]:
    """The names that a block assigns, in order, without outputs stacked by a scan letter."""
    found: dict[str, Span] = {}
    for statement in statements:
        match statement:
            case syntax.Assign(targets=targets):
                for target in targets:
                    if is_stacked(target, stacked):
                        continue
                    found.setdefault(target.name.name, target.span)
            case syntax.Approx(target=target):
                found.setdefault(target.name.name, target.span)
            case syntax.Repeat(body=body) | syntax.Scan(body=body):
                found |= {n: s for n, s in assigned(body).items() if n not in found}
            case syntax.If(branches=branches, otherwise=otherwise):
                for block in [*(body for _, body in branches), otherwise]:
                    found |= {n: s for n, s in assigned(block).items() if n not in found}
    return found


def state_before(frame: Frame, names: dict[str, Span]) -> tuple[dict[str, Node], bool]:
    """The assigned names that have a value before the block, with it; and whether none of them is poisoned."""
    state: dict[str, Node] = {}
    sound = True
    for name in names:
        binding = frame.lookup(name)
        if binding is None:
            continue
        if isinstance(binding.value, Node):
            state[name] = binding.value
            own = frame.names.get(name)
            if own is not None:
                own.used = True
        else:
            sound = False
    return state, sound


def rebind(frame: Frame, names: Sequence[str], values: Sequence[Node | None], where: Span) -> None:
    """Give the carried names their values after the block."""
    for name, value in zip(names, values, strict=True):
        previous = frame.names.get(name)
        if previous is not None:
            previous.kind = "state"
        frame.define(name, value, previous.span if previous else where, "state" if previous else "value")
        frame.names[name].kind = "value"


def forget(frame: Frame, names: dict[str, Span], kept: Sequence[str]) -> None:
    for name, span in names.items():
        if name not in kept:
            frame.root().block_locals.setdefault(name, span)


class _Settling:
    """The state of a loop while its dtypes settle: `x = 0` before the loop may become an f64 in it."""

    def __init__(self, frame: Frame, state: dict[str, Node]) -> None:
        self.frame, self.initial = frame, dict(state)

    def widen(self, results: dict[str, Node | None], spans: dict[str, Span]) -> bool:
        """Whether the state fits the results of the body; if not, literals in it are converted (or it is an error)."""
        settled = True
        for name, result in results.items():
            before = self.initial[name]
            if result is None or result.type is before.type:
                continue
            if result.tensor.dims != before.tensor.dims:
                raise fail(
                    "E0601",
                    f"`{name}` changes its shape from pass to pass",
                    Label(spans[name], f"here it is {result.tensor}"),
                    Label(self.frame.spans.get(before, spans[name]), f"before the loop it is {before.tensor}"),
                    help="the state of a loop keeps its shape",
                )
            common = promote(before.tensor.dtype, result.tensor.dtype)
            if before.tensor.dtype.is_weak and common is not before.tensor.dtype:
                self.initial[name] = cast(before, common)
                settled = False
            elif common is not before.tensor.dtype:
                raise fail(
                    "E0602",
                    f"`{name}` is {before.tensor.dtype} before the loop and {result.tensor.dtype} in it",
                    Label(spans[name], f"here it is {result.tensor}"),
                    help=f"start with `{common}(...)`, or convert it in the loop",
                )
        return settled


def repeat(frame: Frame, statement: syntax.Repeat, run: RunStatements) -> None:
    """`repeat count until condition:`"""
    count_dim = try_dim(frame, statement.count)
    count = None
    if count_dim is None:
        count = evaluate_node(frame, statement.count)
        if count is not None and (count.tensor.rank or count.tensor.dtype.kind != "i"):
            raise fail(
                "E0603",
                f"the number of passes must be an integer, but {described(statement.count)} is {count.tensor}",
                statement.count.span,
                help="declare it as an integer, or convert it, as in `i64(k)`",
            )
    elif isinstance(count_dim, int) and count_dim < 0:
        raise fail("E0603", "the number of passes cannot be negative", statement.count.span)
    names = assigned(statement.body)
    state, sound = state_before(frame, names)
    if not state and sound and not any(isinstance(s, syntax.Broken) for s in statement.body):
        frame.diagnostics.add(
            "E0604",
            "this loop changes nothing",
            statement.span,
            help=state_hint(names, frame.visible())
            or "give the values that it replaces a start before the loop, as in `x = zeros(n)`",
        )
    settling = _Settling(frame, state)
    for _ in range(4):
        inner, stand_ins, results, condition, trial = _pass(frame, settling.initial, statement, run)
        try:
            settled = settling.widen(results, names)
        except Exception:
            frame.diagnostics.items.extend(trial.items)
            raise
        if settled:
            break
    frame.diagnostics.items.extend(trial.items)
    forget(frame, names, list(state))
    if not sound or any(r is None for r in results.values()) or (count_dim is None and count is None):
        rebind(frame, list(state), [None] * len(state), statement.span)
        return
    # each result in the format of its state: a literal assigned in the body is converted
    outputs = [cast(r, settling.initial[n].tensor.dtype) for n, r in results.items() if r is not None]
    tests = [condition] if condition is not None else []
    carried = inner.carried or []
    outputs += [c.next for c in carried]
    body, order = close(inner, "body", [*stand_ins, *(c.stand_in for c in carried)], [*outputs, *tests])
    operands = [*settling.initial.values(), *(c.initial for c in carried), *captured_from(inner, order)]
    attributes: dict[str, object] = {"state": len(outputs), "count": count_dim}
    if count is not None:
        operands.append(count)
    attributes["body"] = Program("body", body.inputs, body.outputs[: len(outputs)], facts=body.facts)
    attributes["until"] = Program("until", body.inputs, body.outputs[len(outputs) :]) if tests else None
    if outputs:
        node = make("repeat", operands, **attributes)
        frame.spans.setdefault(node, statement.span)
        rebind(frame, list(state), items(node)[: len(state)], statement.span)


def _pass(
    frame: Frame, initial: dict[str, Node], statement: syntax.Repeat, run: RunStatements
) -> tuple[Frame, list[Node], dict[str, Node | None], Node | None, Diagnostics]:
    """Elaborate one pass of a loop from the given state, with messages kept apart."""
    inner = frame.loop()
    stand_ins = []
    for name, value in initial.items():
        stand_in = placeholder(value)
        stand_ins.append(stand_in)
        binding = frame.lookup(name)
        assert binding is not None
        inner.define(name, stand_in, binding.span, "state")
    conditions: list[tuple[Node | None, syntax.Expr]] = []
    if statement.until is not None:
        conditions.append((evaluate_node(inner, statement.until), statement.until))
    for part in statement.body:
        if isinstance(part, syntax.Until):
            conditions.append((evaluate_node(inner, part.condition), part.condition))
            if len(conditions) > 1:
                inner.diagnostics.add("E0605", "a loop has one `until`", part.span)
        else:
            run(inner, [part])
    condition = conditions[0][0] if conditions else None
    if condition is not None and (condition.tensor.rank or condition.tensor.dtype.kind != "b"):
        inner.diagnostics.add(
            "E0213",
            f"`until` needs a truth value, but this is {condition.tensor}",
            conditions[0][1].span,
            help="compare something, as in `until norm(r) <= tol`",
        )
        condition = None
    results = {name: _node(inner, name) for name in initial}
    return inner, stand_ins, results, condition, inner.diagnostics


def _node(frame: Frame, name: str) -> Node | None:
    value = frame.names[name].value
    return value if isinstance(value, Node) else None


def scan(frame: Frame, statement: syntax.Scan, run: RunStatements) -> None:
    """`scan i in t:` carries state, and stacks what is assigned with the letter."""
    extent = try_dim(frame, statement.extent)
    if extent is None:
        raise fail(
            "E0603",
            "`scan` runs over a size",
            statement.extent.span,
            help="as in `scan i in t:`, where an argument has the type f64[t, ...]",
        )
    letter = statement.letter.name
    names = assigned(statement.body, letter)
    state, sound = state_before(frame, names)
    settling = _Settling(frame, state)
    for _ in range(4):
        inner = frame.loop()
        inner.scan_letter = letter
        counter = placeholder(literal(0))
        inner.define(letter, counter, statement.letter.span, "index")
        inner.names[letter].used = True
        stand_ins = []
        for name, value in settling.initial.items():
            stand_in = placeholder(value)
            stand_ins.append(stand_in)
            inner.define(name, stand_in, names[name], "state")
        run(inner, statement.body)
        results = {name: _node(inner, name) for name in state}
        if settling.widen(results, names):
            break
    frame.diagnostics.items.extend(inner.diagnostics.items)
    stacked = {n: b for n, b in inner.names.items() if b.kind == "stacked"}
    forget(frame, names, list(state))
    values = [*results.values(), *(b.value for b in stacked.values())]
    if not state and not stacked and sound and not any(isinstance(s, syntax.Broken) for s in statement.body):
        raise fail(
            "E0604",
            "this loop changes nothing",
            statement.span,
            help=state_hint(names, frame.visible())
            or f"carry a value that was given before the loop, or stack results as in `y[{letter}] = ...`",
        )
    if not sound or any(not isinstance(v, Node) for v in values):
        rebind(frame, list(state), [None] * len(state), statement.span)
        for name, binding in stacked.items():
            frame.define(name, None, binding.span)
        return
    carried = inner.carried or []
    outputs = [cast(r, settling.initial[n].tensor.dtype) for n, r in results.items() if r is not None]
    outputs += [c.next for c in carried]
    held = len(outputs)
    outputs += [b.value for b in stacked.values() if isinstance(b.value, Node)]
    body, order = close(inner, "body", [counter, *stand_ins, *(c.stand_in for c in carried)], outputs)
    node = make(
        "scan",
        [*settling.initial.values(), *(c.initial for c in carried), *captured_from(inner, order)],
        state=held,
        extent=extent,
        body=body,
    )
    frame.spans.setdefault(node, statement.span)
    parts = items(node)
    rebind(frame, list(state), parts[: len(state)], statement.span)
    for (name, binding), part in zip(stacked.items(), parts[held:], strict=True):
        frame.define(name, part, binding.span)
