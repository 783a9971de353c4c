"""What holds of every program between passes. One page; it runs after each pass, and a failure names the pass."""

from __future__ import annotations

from tpc.dsl.diagnostics import InternalError
from tpc.ir.dims import DimLike, assuming, names_of
from tpc.ir.facts.lines import nonnegative_sizes
from tpc.ir.formula import accesses, free_letters
from tpc.ir.node import Node, Program
from tpc.ir.op import Misfit
from tpc.ir.ops.structure import APPROXIMATE, CONSTANT, DERIVATIVE, INPUT, ITEM, LITERAL, SIZE
from tpc.ir.types import TensorType

Known = tuple[DimLike, ...]  # sizes that are not negative
# Ops whose type cannot be found from operands and attributes alone.
_GIVEN = (INPUT, CONSTANT, ITEM, LITERAL, SIZE, DERIVATIVE, APPROXIMATE)


def verify(program: Program, stage: str) -> None:
    """Check a program.

    Raises
    ------
    InternalError
        Naming the stage, if something does not hold.
    """
    stack = [(program, _sizes(program), nonnegative_sizes(program.where))]
    seen: set[Program] = set()
    while stack:
        current, sizes, known = stack.pop()
        if current in seen:
            continue
        seen.add(current)
        _program(current, sizes, known, stage)
        for node in current.nodes:
            for inner in node.programs:
                # the body of a loop speaks of the sizes around it; a called function has its own
                own = node.op.name in ("call", "derivative")
                stack.append((inner, _sizes(inner), nonnegative_sizes(inner.where)) if own else (inner, sizes, known))


def _sizes(program: Program) -> set[str]:
    return {name for node in program.inputs for dim in node.tensor.dims for name in names_of(dim)}


def _require(truth: bool, stage: str, what: str, *parts: object) -> None:
    if not truth:
        raise InternalError(stage, what.format(*parts))


def _program(program: Program, sizes: set[str], known: Known, stage: str) -> None:
    _require(all(n.op is INPUT for n in program.inputs), stage, "an input is no input node")
    names = [node["name"] for node in program.inputs]
    _require(len(set(names)) == len(names), stage, "two inputs of {} have one name", program.name)
    _require(len(program.outputs) == len(program.output_names), stage, "outputs and their names differ in number")
    _require(len(set(program.output_names)) == len(program.output_names), stage, "two outputs have one name")
    inputs = set(program.inputs)
    nodes = program.nodes
    reached = inputs | set(nodes)
    for node, _ in program.facts:
        _require(node in reached, stage, "a fact of {} that the program does not hold", node)
    for name, value in program.defaults:
        _require(name in names and value.op is LITERAL, stage, "a default of {}, which is no input", name)
    for node in program.outputs:
        _require(isinstance(node.type, TensorType), stage, "the output {} has several values", node)
    for node in nodes:
        _require(node.op is not INPUT or node in inputs, stage, "{} is not an input of {}", node, program.name)
        _node(node, sizes, known, stage)


def _node(node: Node, sizes: set[str], known: Known, stage: str) -> None:
    for type in node.type if isinstance(node.type, tuple) else (node.type,):
        for dim in type.dims:
            _require(not isinstance(dim, int) or dim >= 0, stage, "{} has a negative size", node)
            _require(names_of(dim) <= sizes, stage, "{} has sizes that no input gives", node)
    for operand in node.args:
        several = isinstance(operand.type, tuple)
        _require(several == (node.op is ITEM), stage, "{} takes {} apart wrongly", node, operand)
    if node.op is ITEM:
        types = node.args[0].type
        assert isinstance(types, tuple)
        _require(node["position"] < len(types) and types[node["position"]] is node.type, stage, "{} is no item", node)
    formula = node.get("formula")
    if formula is not None:
        for access in accesses(formula.body):
            _require(access.operand < len(node.args), stage, "{} has no operand {}", node, access.operand)
            rank = node.args[access.operand].tensor.rank
            _require(len(access.indices) == rank, stage, "{} indexes {} axes with {}", node, rank, len(access.indices))
        _require(free_letters(formula.body) <= set(formula.letters), stage, "{} has letters that nothing binds", node)
    _block(node, stage)
    if node.op in _GIVEN:
        return
    try:
        found = node.op.types([a.tensor for a in node.args], dict(node.attributes))
    except Misfit as misfit:
        raise InternalError(stage, f"{node}: {misfit.title}") from misfit
    actual = node.type if isinstance(node.type, tuple) else (node.type,)
    if tuple(found) != actual:  # they may be alike under the conditions of the program
        with assuming(known):
            found = node.op.types([a.tensor for a in node.args], dict(node.attributes))
    _require(tuple(found) == actual, stage, "{} should be {}", node, tuple(found))


def _block(node: Node, stage: str) -> None:
    """Operands and results of loops and branches agree with their programs."""
    name = node.op.name
    if name == "if":
        for inner in node.programs:
            _same_types(inner.inputs, node.args[1:], stage, node)
        _require(node["then"].result_types == node["other"].result_types, stage, "{} has unlike branches", node)
    elif name in ("repeat", "scan"):
        first = 1 if name == "scan" else 0
        dynamic = name == "repeat" and node["count"] is None
        operands = node.args[:-1] if dynamic else node.args
        _same_types(node["body"].inputs[first:], operands, stage, node)
        state = node["state"]
        _same_types(node["body"].outputs[:state], node.args[:state], stage, node)
    elif name == "call":
        wanted = [n.tensor.substitute(dict(node["sizes"])) for n in node["body"].inputs]
        for type, operand in zip(wanted, node.args, strict=True):
            _require(type is operand.type, stage, "{} is given {} for {}", node, operand.type, type)


def _same_types(inner: tuple[Node, ...], outer: tuple[Node, ...], stage: str, node: Node) -> None:
    _require(len(inner) == len(outer), stage, "{} has {} operands for {} inputs", node, len(outer), len(inner))
    for a, b in zip(inner, outer, strict=True):
        _require(a.type is b.type, stage, "{} holds {} where {} comes in", node, a.type, b.type)
