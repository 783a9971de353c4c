"""Programs as native functions."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from math import prod
from typing import TYPE_CHECKING, Any

from tpc.backends.llvm import routines
from tpc.backends.llvm.respelled import respelled
from tpc.backends.llvm.rooms import room
from tpc.backends.llvm.signature import Array, Native, Signature
from tpc.dsl.diagnostics import InternalError
from tpc.ir.dims import DimLike, evaluate, maximum
from tpc.ir.node import Node, Program
from tpc.ir.ops.structure import IF, INPUT, ITEM, REPEAT, SCAN
from tpc.ir.sizes import sizes_of
from tpc.ir.types import BF16, BOOL, F16, F32, F64, I8, I32, I64, STRONG, DType, TensorType

if TYPE_CHECKING:
    from tpc.backends.llvm.fusion.loop import Loop, Routine, Run, Sequence
    from tpc.backends.llvm.fusion.statement import Buffer, Statement
    from tpc.backends.llvm.lines import Lines

FORMATS = (F64, F32, F16, BF16, I64, I32, I8, BOOL)
BLOCKS = (REPEAT, SCAN, IF)
LONG = 300_000  # hundredths of nanoseconds of work, for which others need not wait


def lower(program: Program, name: str | None = None, *, fast: bool = False, lines: Lines | None = None) -> Native:
    """The native function of a program.

    Parameters
    ----------
    program
        Sizes may be open: they are arguments of the function. No node may have a `refusal`.
    name
        The function's name; the program's if there is none.
    fast
        Whether all that holds in exact arithmetic may be done; else sums alone are reordered.
    lines
        Where its values stand in a text, for line tables and remarks; equal functions differ by them.

    Raises
    ------
    InternalError
        If a node has no native code.
    """
    from tpc.backends.llvm.nests.program import write

    name = name or program.name
    sequence, whole = _sequence(program, fast)
    sizes = tuple(sorted(sizes_of([*program.inputs, *program.nodes])))
    operands = [Array(str(n["name"]), _held(n.tensor), n.tensor.dims) for n in program.inputs]
    offsets, workspace = _workspace(whole, sequence.same)
    outputs = [
        Array(text, _held(n.tensor), n.tensor.dims)
        for text, n in zip(program.output_names, program.outputs, strict=True)
    ]
    written = write(name, sizes, program.inputs, whole, offsets, sequence.same, lines)
    signature = Signature(name, sizes, tuple(operands), tuple(outputs), workspace, tuple(written.failures))
    return Native(signature, written.ir, written.symbols, written.remarks, _long(signature, written.cost))


def _long(signature: Signature, cost: DimLike) -> int:
    """See `Native`: where all sizes are alike."""
    extent = 1
    while extent < 2**20:
        sizes = dict.fromkeys(signature.sizes, extent)
        if evaluate(cost, sizes) > LONG:
            return max(1, prod(evaluate(dim, sizes) for dim in signature.axes) - 1)
        extent += 1 + extent // 4
    return 2**62


def workspace(program: Program) -> DimLike:
    """Bytes that the native function of a program takes for its temporaries. Raises as `lower`."""
    sequence, whole = _sequence(program, False)
    return _workspace(whole, sequence.same)[1]


def stored(program: Program) -> set[Node]:
    """The values of a program that are written to memory; what is fused into these is not. Raises as `lower`."""
    sequence, whole = _sequence(program, False)
    offsets, _ = _workspace(whole, sequence.same)
    return {place for place in (*offsets, *whole.results) if isinstance(place, Node)}


def _sequence(program: Program, fast: bool) -> tuple[Sequence, Run]:
    """A program as steps, with the buffers of its results."""
    from tpc.backends.llvm.fusion.loop import Sequence
    from tpc.backends.llvm.fusion.translation import Untranslatable

    for node in program.nodes:
        reason = refusal(node)
        if reason is not None:
            raise InternalError("lower", reason)
    sequence = Sequence(lambda part, written: _run(part, fast, written))
    try:
        return sequence, sequence.of(respelled(program))
    except Untranslatable as problem:
        raise InternalError("lower", str(problem)) from problem


def _run(program: Program, fast: bool, written: Collection[Node]) -> Run:
    """The steps of a program without loops; what is `written` before may be a result as it is."""
    from tpc.backends.llvm.fusion.blocks import blocked
    from tpc.backends.llvm.fusion.crossing import crossed
    from tpc.backends.llvm.fusion.loop import Run
    from tpc.backends.llvm.fusion.order import ordered
    from tpc.backends.llvm.fusion.plan import statements
    from tpc.backends.llvm.fusion.together import together

    planned = statements(program, fast)
    results, copies = _results(program, written)
    steps = together(blocked([*planned, *copies], results), results)
    return Run(tuple(ordered(crossed(steps), results)), tuple(results))


TRANSFORMED = ("circulant_matmul", "toeplitz_matmul")


def refusal(node: Node) -> str | None:
    """Why a node has no native code; None if it has."""
    types = node.type if isinstance(node.type, tuple) else (node.type,)
    if node.op in BLOCKS:
        inner = [n for program in node.programs for n in (*program.inputs, *program.nodes)]
        reasons = [reason for n in inner if (reason := refusal(n)) is not None]
        return f"inside of `{node.op.name}`: {reasons[0]}" if reasons else None
    if node.op is ITEM and (node.args[0].op in BLOCKS or routines.is_routine(node.args[0])):
        return refusal(node.args[0])
    if routines.is_routine(node):
        return routines.refusal(node)
    for type in types:
        if STRONG.get(type.dtype, type.dtype) not in FORMATS:
            return f"{type.dtype} has no native code"
    if isinstance(node.type, tuple):
        return None if node.op.name == "split" else f"`{node.op.name}` has no formula"
    return None if node.op is INPUT else _why_not(node)


@lru_cache(8192)
def _why_not(node: Node) -> str | None:
    from tpc.backends.llvm.fusion.meaning import Meaning
    from tpc.backends.llvm.fusion.terms import held, parts
    from tpc.backends.llvm.fusion.translation import Untranslatable, number_or_size

    if node.op.name in TRANSFORMED:
        return f"`{node.op.name}` is done by Fourier transforms, and its formula is more work"
    try:
        if number_or_size(node) is not None:
            return None
        body = Meaning(node).at_letters()
    except Untranslatable as problem:
        return str(problem)
    for term in parts(body):
        if held(term.dtype) not in FORMATS:
            return f"{term.dtype} has no native code"
        if term.kind == "call" and term.data != "cast" and not _has_code(term.data, [a.dtype for a in term.arguments]):
            return f"`{term.data}` of {term.arguments[0].dtype} has no native code"
    return None


def _has_code(function: str, dtypes: list[DType]) -> bool:
    from tpc.backends.llvm.covered import supports

    return supports(function, [STRONG.get(d, d) for d in dtypes])


def _held(type: TensorType) -> DType:
    return STRONG.get(type.dtype, type.dtype)


def _results(program: Program, written: Collection[Node]) -> tuple[list[Any], list[Statement]]:
    """The buffer of each result, and copies of operands and of results that are given twice."""
    from tpc.backends.llvm.fusion import places
    from tpc.backends.llvm.fusion.statement import Statement, Temporary
    from tpc.backends.llvm.fusion.terms import letter, load

    buffers: list[Any] = []
    copies = []
    for number, node in enumerate(program.outputs):
        if (node.op is not INPUT or node in written) and node not in buffers:
            buffers.append(node)
            continue
        buffers.append(Temporary(f"copy{number}", node.tensor))
        index = places.index(letter("i"))
        body = load(node, node.tensor.dtype, [index])
        copies.append(Statement(buffers[-1], (("i", node.tensor.size),), index, body))
    return buffers, copies


def _workspace(whole: Run, same: Mapping[Buffer, Buffer]) -> tuple[dict[Any, DimLike], DimLike]:
    """Where in the workspace each block and each stored value lies that is no result, and how large it is."""
    from tpc.backends.llvm.workspace import laid_out

    needed: dict[Any, DimLike] = {}
    for place, size in _needed(whole):
        needed.setdefault(place, size)
    return laid_out(whole.steps, needed, same)


def _needed(run: Run) -> Iterator[tuple[Any, DimLike]]:
    """What steps need memory for besides their results, and how many bytes."""
    from tpc.backends.llvm.fusion.blocks import Block
    from tpc.backends.llvm.fusion.loop import Branch, Loop, Routine
    from tpc.backends.llvm.fusion.stream import Stream
    from tpc.backends.llvm.nests.program import BLOCK, ROWS
    from tpc.backends.llvm.nests.stream import scratch

    for step in run.steps:
        if isinstance(step, Loop):
            yield from _needed_by_loop(step)
            continue
        if isinstance(step, Routine):
            yield from _needed_by_routine(step, run)
            continue
        if isinstance(step, Branch):
            yield from ((node, node.tensor.bytes) for node in step.given)
            yield from _needed(step.then)
            yield from _needed(step.other)
            continue
        if isinstance(step, Block):
            yield step, maximum(BLOCK, ROWS * step.row_bytes)
            if step.routine is not None:
                yield from _needed_by_routine(step.routine, run)
                continue
            step = step.statements[-1]
        if isinstance(step, Stream):
            yield step, scratch(step).tensor.bytes
            step = step.whole
        for statement in step.together:
            if statement.target not in run.results:
                yield statement.target, statement.target.tensor.bytes


def _needed_by_routine(routine: Routine, run: Run) -> Iterator[tuple[Any, DimLike]]:
    yield routine, room(routine.node)
    yield from ((node, node.tensor.bytes) for node in routine.given if node not in run.results)


def _needed_by_loop(loop: Loop) -> Iterator[tuple[Any, DimLike]]:
    for pair in loop.spare:
        yield from ((buffer, buffer.tensor.bytes) for buffer in pair)
    yield from ((node, node.tensor.bytes) for node in loop.stacked)
    if loop.position is not None:
        yield loop.position, 8
    if loop.until is not None:
        yield from ((buffer, buffer.tensor.bytes) for buffer in loop.until.results)
        yield from _needed(loop.until)
    yield from _needed(loop.body)
