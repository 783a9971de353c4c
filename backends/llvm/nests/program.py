"""A whole native function: its kernels one after the other, each alone or shared by threads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from functools import partial
from typing import Any

from llvmlite import ir

from tpc.backends.llvm.fusion.loop import Branch, Loop, Routine, Run
from tpc.backends.llvm.fusion.statement import Buffer, Statement, computed, times
from tpc.backends.llvm.fusion.stream import Stream
from tpc.backends.llvm.fusion.together import Step, reads, whole
from tpc.backends.llvm.lines import Lines, Remarks
from tpc.backends.llvm.nests import kernel, routines
from tpc.backends.llvm.nests import loop as passes
from tpc.backends.llvm.nests import product as products
from tpc.backends.llvm.nests import stream as streams
from tpc.backends.llvm.nests.errors import Errors
from tpc.backends.llvm.nests.function import Kernel, buffer_name
from tpc.backends.llvm.nests.types import BYTE, INTEGER, POINTER
from tpc.backends.llvm.nests.writer import Writer
from tpc.backends.llvm.signature import Failure
from tpc.ir.dims import DimLike
from tpc.ir.node import Node

WORTH = 1_500_000  # hundredths of nanoseconds: below, threads cost more than they bring
CHUNK = 1_000_000  # of what a thread takes at a time
BLOCK = 1 << 22  # bytes of what lives for one block
ROWS = 16  # at least so many values of the first letter make a block, and multiples of it
FLOP = 25  # hundredths of nanoseconds, of routines
PASSES = 100  # of a loop whose number is a value
WITHOUT_NEUTRAL = ("max", "min", "argmax", "argmin")
Range = tuple[ir.Value, ir.Value]
PARALLEL = "tpc_parallel"


@dataclass(frozen=True)
class Written:
    """The text of a module, the failures of its function, the symbols that it calls, remarks on its kernels, and what
    they cost in hundredths of nanoseconds."""

    ir: str
    failures: tuple[Failure, ...]
    symbols: tuple[str, ...]
    remarks: Remarks
    cost: DimLike


def write(
    name: str,
    sizes: Sequence[str],
    operands: Sequence[Node],
    whole: Run,
    offsets: Mapping[Any, DimLike],
    same: Mapping[Buffer, Buffer],
    lines: Lines | None = None,
) -> Written:
    """Write the module of a function whose stored values that are no results lie at offsets of the workspace.

    `same` says of what is read which buffer it is.
    """
    results = whole.results
    module = ir.Module(name)
    count = len(sizes) + len(operands) + len(results) + 1
    types = [INTEGER] * len(sizes) + [POINTER] * (count - len(sizes))
    function = ir.Function(module, ir.FunctionType(INTEGER, types), name)
    function.attributes.add("nounwind")
    arguments = list(function.args)
    for argument, text in zip(
        arguments, [*sizes, *(buffer_name(n) for n in operands), *(buffer_name(n) for n in results), "workspace"]
    ):
        argument.name = text
    writer = Writer(function, dict(zip(sizes, arguments, strict=False)))
    main = _Main(writer, sizes, Errors(module), _last(whole))
    for node, offset in offsets.items():
        main.pointers[node] = writer.first.gep(arguments[-1], [writer.dim(offset)], source_etype=BYTE)
    for node, argument in zip([*operands, *results], arguments[len(sizes) : -1], strict=True):
        main.pointers[node] = argument
    for node, buffer in same.items():
        main.pointers[node] = main.pointers[buffer]
    main.sequence(name, whole)
    writer.builder.ret(writer.builder.load(main.status, typ=INTEGER))
    symbols = tuple(sorted(g.name for g in module.functions if g.is_declaration and not g.name.startswith("llvm.")))
    remarks = lines.annotate(function, main.kernels, main.routines) if lines is not None else ()
    return Written(str(module), tuple(main.errors.failures), symbols, remarks, main.cost)


class _Main:
    """The function itself."""

    def __init__(self, writer: Writer, sizes: Sequence[str], errors: Errors, last: Set[Buffer]) -> None:
        self.writer, self.errors, self.last = writer, errors, last
        self.names, self.sizes = sizes, [writer.sizes[s] for s in sizes]
        self.pointers: dict[Any, ir.Value] = {}
        self.kernels: list[Kernel] = []
        self.routines: list[Node] = []  # whose code is in the function itself
        self.cost: DimLike = 0
        self.passes: DimLike = 1  # of the loops around what is written
        self.status = writer.variable(INTEGER, "status")
        writer.builder.store(writer.integer(0), self.status)

    def sequence(self, name: str, run: Run) -> None:
        """Run steps one after the other."""
        self.refuse_nothing([step for step in run.steps if not isinstance(step, Loop | Branch | Routine)])
        for number, step in enumerate(run.steps):
            inner = partial(self._part, f"{name}.{number}")
            if isinstance(step, Loop):
                outside = self.passes
                self.passes = outside * (PASSES if isinstance(step.count, Node) else step.count)
                passes.write(self.writer, self.pointers, step, inner)
                self.passes = outside
            elif isinstance(step, Branch):
                passes.write_branch(self.writer, self.pointers, step, inner)
            elif isinstance(step, Routine):
                self.routine(step, None)
            else:
                self.step(f"{name}.{number}", step)

    def _part(self, name: str, which: str, run: Run) -> None:
        self.sequence(f"{name}.{which}", run)

    def refuse_nothing(self, steps: Sequence[Step]) -> None:
        """Note an error where the largest or smallest of no entries is asked for."""
        writer, b = self.writer, self.writer.builder
        asked: dict[tuple[str, DimLike, DimLike], None] = {}
        for step in steps:
            for statement in whole(step):
                for body in statement.bodies:
                    for term, loops in computed(body, statement.letters):
                        if term.kind == "fold" and term.data[0] in WITHOUT_NEUTRAL and len(term.arguments) == 1:
                            own = times([loop for loop in loops if loop[0] in term.free])
                            asked[term.data[0], times(term.data[1]), own] = None
        for operator, entries, values in asked:
            if isinstance(entries, int) and entries > 0:
                continue
            none = b.icmp_signed("==", writer.dim(entries), writer.integer(0))
            some = b.icmp_signed(">", writer.dim(values), writer.integer(0))
            error = writer.integer(self.errors.empty(operator))
            before = b.load(self.status, typ=INTEGER)
            b.store(b.select(b.and_(none, some), error, before), self.status)

    def step(self, name: str, step: Step) -> None:
        """Run a statement over all values of its first letter, or a block of statements over some at a time."""
        if isinstance(step, Statement):
            self.statement(name, step, None)
            return
        if isinstance(step, Stream):
            self.stream(name, step)
            return
        writer, b = self.writer, self.writer.builder
        extent, row_bytes = writer.dim(step.extent), writer.dim(step.row_bytes)
        held = b.sdiv(writer.integer(BLOCK), writer.greater(row_bytes, writer.integer(1)))
        rows = writer.greater(b.and_(held, writer.integer(-ROWS)), writer.integer(ROWS))
        with writer.loop("block", writer.integer(0), extent, rows) as begin:
            end = writer.lesser(extent, b.add(begin, rows))
            pointer = self.pointers[step]
            for buffer, distance in step.rows.items():
                # so that rows are found by their numbers in the whole
                before = b.mul(begin, writer.dim(distance * buffer.tensor.dtype.size))
                self.pointers[buffer] = b.gep(pointer, [b.neg(before)], source_etype=BYTE)
                pointer = b.gep(
                    pointer, [b.mul(rows, writer.dim(distance * buffer.tensor.dtype.size))], source_etype=BYTE
                )
            for number, statement in enumerate(step.statements):
                self.statement(f"{name}.{number}", statement, (begin, end))
            if step.routine is not None:
                self.routine(step.routine, (begin, end))

    def routine(self, step: Routine, within: Range | None) -> None:
        """Run a routine, for all of a batch or for some of it."""
        self.routines.append(step.node)
        flops = step.node.op.count_flops([a.tensor for a in step.node.args], dict(step.node.attributes))
        self.cost = self.cost + flops * FLOP * self.passes
        routines.write(self.writer, self.pointers, self.errors, self.status, step, within)

    def stream(self, name: str, step: Stream) -> None:
        """Run a stream, as many blocks at a time as there is memory for."""
        writer = self.writer
        memory = streams.scratch(step)
        self.pointers[memory] = self.pointers[step]
        made = streams.write(writer.module, name, step, memory, self.names, self.errors)
        units = writer.dim(made.extent)
        writer.call("tpc_blas_begin", ir.VoidType(), [])
        with writer.loop("blocks", writer.integer(0), units, streams.SLOTS) as begin:
            last = writer.builder.add(begin, writer.integer(streams.SLOTS))
            self.run(made, (begin, writer.lesser(units, last)))
        writer.call("tpc_blas_end", ir.VoidType(), [])

    def statement(self, name: str, statement: Statement, within: Range | None) -> None:
        """Run a statement, for all values of its first letter or some: by BLAS where it is a large product."""
        writer = self.writer
        name = f"{name}.{buffer_name(statement.target)}"
        made = products.as_product(statement)
        if made is None:
            self.kernel(name, statement, within)
            return
        if isinstance(made.size, int):
            self.product(name, made, within)
            return
        b = writer.builder
        few = b.icmp_signed("<", writer.dim(made.size), writer.integer(products.FEW))
        with writer.when(few, "few"):
            self.kernel(name, statement, within)
        with writer.when(b.not_(few), "many"):
            self.product(f"{name}.product", made, within)

    def product(self, name: str, made: products.Product, within: Range | None) -> None:
        """Run a product: by BLAS, whose own threads would wait for each other; threads share the rows instead."""
        writer = self.writer
        if made.is_small:
            self.run(products.write(writer.module, name, made, self.names, self.errors, own=True), within)
            return
        threaded = writer.builder.icmp_signed(">", writer.dim(made.size), writer.integer(products.THREADED))
        with writer.when(threaded, "begin"):
            writer.call("tpc_blas_begin", ir.VoidType(), [])
        self.run(products.write(writer.module, name, made, self.names, self.errors, halved=within is None), within)
        with writer.when(threaded, "end"):
            writer.call("tpc_blas_end", ir.VoidType(), [])

    def kernel(self, name: str, statement: Statement, within: Range | None) -> None:
        """Run a nest; one whose lanes might be few is there twice."""
        writer = self.writer
        write = partial(kernel.write, writer.module, statement=statement, sizes=self.names, errors=self.errors)
        found = kernel.few(statement) if within is None else None
        if found is None:
            is_last = within is None and statement.target in self.last
            self.run(write(name, is_shared=within is not None, is_last=is_last), within)
            return
        extent, least = found
        is_small = writer.builder.icmp_signed("<=", writer.dim(extent), writer.integer(least))
        with writer.when(is_small, "few"):
            self.run(write(f"{name}.few", is_small=True), None)
        with writer.when(writer.builder.not_(is_small), "many"):
            self.run(write(name), None)

    def run(self, made: Kernel, within: Range | None) -> None:
        """Run a kernel: by threads where there is work enough for them."""
        self.kernels.append(made)
        self.cost = self.cost + made.cost * self.passes
        writer, b = self.writer, self.writer.builder
        begin, end = within or (writer.integer(0), writer.dim(made.extent))
        arguments = [*self.sizes, *(self.pointers[n] for n in made.buffers), self.status, begin, end]
        if isinstance(made.extent, int) and made.extent <= 1 or isinstance(made.cost, int) and made.cost < WORTH:
            b.call(made.function, arguments)
            return
        one, unit = writer.integer(1), writer.integer(made.unit)
        units = b.sdiv(b.add(b.sub(end, begin), writer.integer(made.unit - 1)), unit)

        def each() -> ir.Value:
            """What a unit costs; a division takes as long as a small kernel."""
            value = b.sdiv(writer.dim(made.cost), writer.greater(writer.dim(made.extent), one))
            return writer.greater(b.mul(value, unit), one)

        total = writer.dim(made.cost) if within is None else b.mul(each(), units)
        much = b.icmp_signed(">", total, writer.integer(WORTH))
        much = b.and_(much, b.icmp_signed(">", units, one))
        alone, shared = writer.function.append_basic_block("alone"), writer.function.append_basic_block("shared")
        after = writer.function.append_basic_block("after")
        b.cbranch(much, shared, alone)
        b.position_at_end(alone)
        b.call(made.function, arguments)
        b.branch(after)
        b.position_at_end(shared)
        body = _shared_body(made)
        context = writer.variable(ir.ArrayType(INTEGER, len(arguments)), "context")
        for position, argument in enumerate(arguments):
            b.store(argument, writer.address(context, INTEGER, writer.integer(position)))
        grain = writer.greater(b.sdiv(writer.integer(CHUNK), each()), one)
        writer.call(PARALLEL, ir.VoidType(), [body, context, units, grain])
        b.branch(after)
        b.position_at_end(after)


def _last(run: Run) -> Set[Buffer]:
    """The results that no step reads; what is around loops, branches and routines has other names in them."""
    steps = [step for step in run.steps if not isinstance(step, Loop | Branch | Routine)]
    return frozenset(run.results).difference(*map(reads, steps)) if len(steps) == len(run.steps) else frozenset()


def _shared_body(made: Kernel) -> ir.Function:
    """The kernel as threads call it: what does not change from part to part is read from a context."""
    kernel_function = made.function
    module = kernel_function.module
    type_ = ir.FunctionType(ir.VoidType(), [POINTER, INTEGER, INTEGER])
    body = ir.Function(module, type_, f"{kernel_function.name}.part")
    body.linkage = "internal"
    context, begin, end = body.args
    b = ir.IRBuilder(body.append_basic_block("entry"))
    arguments = []
    for position, parameter in enumerate(kernel_function.args):
        place = b.gep(context, [ir.Constant(INTEGER, position)], source_etype=INTEGER)
        arguments.append(b.load(place, typ=parameter.type))
    *same, first, last = arguments
    unit = ir.Constant(INTEGER, made.unit)
    low = b.add(first, b.mul(begin, unit))
    high = b.add(first, b.mul(end, unit))
    high = b.select(b.icmp_signed("<", high, last), high, last)
    b.call(kernel_function, [*same, low, high])
    b.ret_void()
    return body
