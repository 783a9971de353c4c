"""What nothing needs is left out: state of loops, captured values of blocks. (Nodes go by themselves: a program holds
only what its outputs reach.)"""

from __future__ import annotations

from collections.abc import Sequence

from tpc.ir.build import input_node, make
from tpc.ir.node import Fact, Node, Program, topological
from tpc.ir.notes import follow
from tpc.ir.ops.structure import ITEM, REPEAT, SCAN
from tpc.ir.rewrite import map_programs, ordered_facts, rebuilt, replace


def prune(program: Program) -> Program:
    """The program without loop state that no result depends on, and without operands that blocks do not use.

    Results of loops that are the same in every pass are one.
    """
    while (smaller := _prune(program)) is not program:  # what only left out state has used is left out next
        program = smaller
    return program


def _prune(program: Program) -> Program:
    used: dict[Node, set[int]] = {}
    for node in program.nodes:
        for operand in node.args:
            if not isinstance(operand.type, tuple):
                used.setdefault(operand, set()).add(0)
        if node.op is ITEM:
            used.setdefault(node.args[0], set()).add(node["position"])
    for node in program.outputs:
        if node.op is not ITEM:
            used.setdefault(node, set()).add(0)
    done: dict[Node, Node] = {node: node for node in program.inputs}
    moved: dict[Node, dict[int, Node]] = {}  # results of a changed loop by their old position
    for node in program.nodes:
        if node in done:
            continue
        if node.op is ITEM and node.args[0] in moved:
            done[node] = moved[node.args[0]][node["position"]]
            follow(node, done[node])
            continue
        same = map_programs(rebuilt(node.op, [done[a] for a in node.args], node.attributes, node.type), prune)
        if node.op in (REPEAT, SCAN):
            moved[node] = _loop(same, used.get(node, set()))
            done[node] = moved[node].get(0, same) if not isinstance(node.type, tuple) else same
        elif node.op.name == "if":
            done[node] = _branch(same)
        else:
            done[node] = same
        follow(node, done[node])
    outputs = [done[n] for n in program.outputs]
    facts = [(done[n], f) for n, f in program.facts if n in done]
    return program.replace(outputs=outputs, facts=ordered_facts(program.inputs, outputs, facts))


def _loop(node: Node, used: set[int]) -> dict[int, Node]:
    """A loop with the state and the results that are needed, as nodes by their old position."""
    state, body = node["state"], node["body"]
    first = 1 if node.op is SCAN else 0  # the input that counts passes
    until = node.get("until")
    position = {n: k for k, n in enumerate(body.inputs[first : first + state])}
    needed = set(used)
    if until is not None:
        needed |= {position[n] for n in topological(until.outputs) if n in position}
    while True:
        reached = {position[n] for n in topological([body.outputs[k] for k in sorted(needed)]) if n in position}
        if reached <= needed:
            break
        needed |= reached
    of = {output: k for k, output in reversed([*enumerate(body.outputs)][state:])}
    same = {k: of[body.outputs[k]] for k in needed if k >= state}  # what every pass gives twice is collected once
    kept = sorted({same.get(k, k) for k in needed})
    kept_state = [k for k in kept if k < state]
    tests = list(until.outputs) if until is not None else []
    outputs = [body.outputs[k] for k in kept]
    inner = [n for n in topological([*outputs, *tests]) if n in set(body.inputs[first + state :])]
    sources = dict(zip(body.inputs[first + state :], node.args[state:]))
    inputs, results, facts = _renumbered(
        body, [*body.inputs[:first], *(body.inputs[first + k] for k in kept_state)], inner, [*outputs, *tests]
    )
    length = "extent" if node.op is SCAN else "count"
    # in the order in which a text gives them, so that equal loops are one
    attributes: dict[str, object] = {"state": len(kept_state), length: node[length]}
    attributes["body"] = Program(
        "body", inputs, results[: len(outputs)], facts=ordered_facts(inputs, results[: len(outputs)], facts)
    )
    if node.op is REPEAT:
        attributes["until"] = Program("until", inputs, results[len(outputs) :]) if tests else None
    operands = [*(node.args[k] for k in kept_state), *(sources[n] for n in inner)]
    if node.op is REPEAT and node["count"] is None:
        operands.append(node.args[-1])
    changed = make(node.op, operands, **attributes)
    if not isinstance(changed.type, tuple):
        return dict.fromkeys(needed, changed)
    places = {k: n for n, k in enumerate(kept)}
    positions = {k: places[same.get(k, k)] for k in sorted(needed)}
    return {k: Node(ITEM, (changed,), (("position", n),), changed.type[n]) for k, n in positions.items()}


def _renumbered(
    body: Program, state: Sequence[Node], captured: Sequence[Node], outputs: Sequence[Node]
) -> tuple[list[Node], list[Node], list[tuple[Node, tuple[Fact, ...]]]]:
    """Inputs named in order again, and outputs and facts over them."""
    mapping = {n: input_node(f"s{k}", n.tensor) for k, n in enumerate(state)}
    mapping |= {n: input_node(f"c{k}", n.tensor) for k, n in enumerate(captured)}
    needed = set(topological(outputs))
    known = [(n, f) for n, f in body.facts if n in needed]
    results = replace([*outputs, *(n for n, _ in known)], mapping)
    facts = list(zip(results[len(outputs) :], (f for _, f in known), strict=True))
    return [mapping[n] for n in (*state, *captured)], results[: len(outputs)], facts


def _branch(node: Node) -> Node:
    """A branch without operands that neither side uses, with the others named in order."""
    then, other = node["then"], node["other"]
    first = [n for n in topological(then.outputs) if n in set(then.inputs)]
    second = [n for n in topological(other.outputs) if n in set(other.inputs) and n not in first]
    captured = [*first, *second]
    sources = dict(zip(then.inputs, node.args[1:], strict=True))
    parts = {}
    for name, program in (("then", then), ("other", other)):
        inputs, outputs, facts = _renumbered(program, [], captured, program.outputs)
        parts[name] = Program(name, inputs, outputs, facts=ordered_facts(inputs, outputs, facts))
    return make(node.op, [node.args[0], *(sources[n] for n in captured)], **parts)
