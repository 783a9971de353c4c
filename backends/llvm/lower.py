"""Programs as native functions."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from tpc.backends.llvm.signature import Array, Native, Signature
from tpc.dsl.diagnostics import InternalError
from tpc.ir.dims import DimLike, divide, maximum, names_of
from tpc.ir.node import Node, Program
from tpc.ir.ops.structure import INPUT
from tpc.ir.types import BOOL, F32, F64, I8, I32, I64, STRONG, DType, TensorType

if TYPE_CHECKING:
    from tpc.backends.llvm.fusion.statement import Statement
    from tpc.backends.llvm.fusion.together import Step

FORMATS = (F64, F32, I64, I32, I8, BOOL)
ALIGNMENT = 64
SCATTERING = ("scatter_add", "segment_sum")


def lower(program: Program, name: str | None = None, *, fast: bool = False) -> Native:
    """The native function of a program.

    Parameters
    ----------
    program
        Sizes may be open: they are arguments of the function. No node may have a `refusal`.
    name
        The function's name; the program's if there is none.
    fast
        Whether all that holds in exact arithmetic may be done; else sums alone are reordered.

    Raises
    ------
    InternalError
        If a node has no native code.
    """
    from tpc.backends.llvm.nests.program import write

    name = name or program.name
    results, steps = _steps(program, fast)
    sizes = tuple(sorted({s for node in (*program.inputs, *program.nodes) for d in _dims(node) for s in names_of(d)}))
    operands = [Array(str(n["name"]), _held(n.tensor), n.tensor.dims) for n in program.inputs]
    offsets, workspace = _workspace(steps, results)
    outputs = [
        Array(text, _held(n.tensor), n.tensor.dims)
        for text, n in zip(program.output_names, program.outputs, strict=True)
    ]
    written = write(name, sizes, program.inputs, results, offsets, steps)
    signature = Signature(name, sizes, tuple(operands), tuple(outputs), workspace, tuple(written.failures))
    return Native(signature, written.ir, written.symbols)


def stored(program: Program) -> set[Node]:
    """The values of a program that are written to memory; what is fused into these is not. Raises as `lower`."""
    results, steps = _steps(program, False)
    offsets, _ = _workspace(steps, results)
    return {place for place in (*offsets, *results) if isinstance(place, Node)}


def _steps(program: Program, fast: bool) -> tuple[list[Any], list[Step]]:
    """The buffers of the results, and what is done one after the other."""
    from tpc.backends.llvm.fusion.blocks import blocked
    from tpc.backends.llvm.fusion.plan import statements
    from tpc.backends.llvm.fusion.together import together
    from tpc.backends.llvm.fusion.translation import Untranslatable

    for node in program.nodes:
        reason = refusal(node)
        if reason is not None:
            raise InternalError("lower", reason)
    try:
        planned = statements(program, fast)
    except Untranslatable as problem:
        raise InternalError("lower", str(problem)) from problem
    results, copies = _results(program)
    return results, together(blocked([*planned, *copies], results), results)


def refusal(node: Node) -> str | None:
    """Why a node has no native code; None if it has."""
    types = node.type if isinstance(node.type, tuple) else (node.type,)
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

    if node.op.name in SCATTERING:
        return f"the formula of `{node.op.name}` would test all positions for every entry"
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
    from tpc.backends.llvm.mathematics import supports

    return supports(function, [STRONG.get(d, d) for d in dtypes])


def _held(type: TensorType) -> DType:
    return STRONG.get(type.dtype, type.dtype)


def _dims(node: Node) -> tuple[DimLike, ...]:
    types = node.type if isinstance(node.type, tuple) else (node.type,)
    found = [d for t in types for d in t.dims]
    formula = node.get("formula")
    if formula is not None:
        found += [d for _, d in formula.extents]
    if node.op.name == "size":
        found.append(node["dim"])
    return tuple(found)


def _results(program: Program) -> tuple[list[Any], list[Statement]]:
    """The buffer of each result, and copies of operands and of results that are given twice."""
    from tpc.backends.llvm.fusion import places
    from tpc.backends.llvm.fusion.statement import Statement, Temporary
    from tpc.backends.llvm.fusion.terms import letter, load

    buffers: list[Any] = []
    copies = []
    for number, node in enumerate(program.outputs):
        if node.op is not INPUT and node not in buffers:
            buffers.append(node)
            continue
        buffers.append(Temporary(f"copy{number}", node.tensor))
        index = places.index(letter("i"))
        body = load(node, node.tensor.dtype, [index])
        copies.append(Statement(buffers[-1], (("i", node.tensor.size),), index, body))
    return buffers, copies


def _workspace(steps: list[Step], results: list[Any]) -> tuple[dict[Any, DimLike], DimLike]:
    """Where in the workspace each block and each stored value lies that is no result, and how large it is."""
    from tpc.backends.llvm.fusion.blocks import Block
    from tpc.backends.llvm.fusion.stream import Stream
    from tpc.backends.llvm.nests.program import BLOCK, ROWS
    from tpc.backends.llvm.nests.stream import scratch

    offsets: dict[Any, DimLike] = {}
    total: DimLike = 0
    for step in steps:
        needed: dict[Any, DimLike] = {}
        if isinstance(step, Block):
            needed[step] = maximum(BLOCK, ROWS * step.row_bytes)
            step = step.statements[-1]
        if isinstance(step, Stream):
            needed[step] = scratch(step).tensor.bytes
            step = step.whole
        for statement in step.together:
            if statement.target not in results:
                needed[statement.target] = statement.target.tensor.bytes
        for place, size in needed.items():
            offsets[place] = total
            total = total + divide(size + (ALIGNMENT - 1), ALIGNMENT) * ALIGNMENT
    return offsets, total
