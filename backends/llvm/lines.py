"""Where native code comes from: line tables for debuggers and profilers, and remarks for who reads the code.

The unit is a kernel, that is one stored value: its instructions have the line of that value. Its remarks show the
lines of what is fused into it as well.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tpc.dsl.source import Span
from tpc.ir.build import items
from tpc.ir.node import Node
from tpc.ir.ops.structure import INPUT

if TYPE_CHECKING:
    from llvmlite import ir

    from tpc.backends.llvm.fusion.statement import Buffer
    from tpc.backends.llvm.nests.function import Kernel

Remarks = tuple[tuple[str, str], ...]  # of a function, by its name


@dataclass(frozen=True)
class Lines:
    """The places of values in the text of a program, and that of the whole function."""

    spans: Mapping[Node, Span]
    whole: Span

    def annotate(self, function: ir.Function, kernels: Sequence[Kernel], routines: Sequence[Node]) -> Remarks:
        """Put line tables into the module of a native function; what there is to remark on its functions.

        The code of `routines` is in the native function itself.
        """
        table = _Table(function.module, self.whole.source.name)
        table.add(function, self.whole)
        spans = [self.spans[value] for node in routines for value in (node, *items(node)) if value in self.spans]
        remarks = {function.name: self._remark([self.whole, *spans])}
        targets = {kernel.buffers[0] for kernel in kernels}
        for number, kernel in enumerate(kernels):
            target = _value(kernel, kernels[number + 1 :])
            values = list(_fused(target, targets)) if target is not None else []
            spans = [self.spans[node] for node in values if node in self.spans]
            table.add(kernel.function, spans[0] if spans else self.whole)
            remarks[kernel.function.name] = self._remark(spans)
        return tuple(remarks.items())

    def _remark(self, spans: Sequence[Span]) -> str:
        """The lines in which spans begin, in the order of the text."""
        places = sorted({(s.source.name, s.source.position(s.start)[0]): s for s in spans}.items(), key=lambda p: p[0])
        return "\n".join(f"{name}:{line}: {span.source.line(line).strip()}" for (name, line), span in places)


def _value(kernel: Kernel, later: Sequence[Kernel]) -> Node | None:
    """The value that a kernel computes, or that it prepares by parts."""
    target = kernel.buffers[0]
    if isinstance(target, Node):
        return target
    readers = [k.buffers[0] for k in later if target in k.buffers]
    return next((reader for reader in readers if isinstance(reader, Node)), None)


def _fused(target: Node, stored: Collection[Buffer]) -> Iterator[Node]:
    """A value, and those that it is made of which are not stored."""
    seen, stack = {target}, [target]
    while stack:
        node = stack.pop()
        yield node
        for argument in node.args:
            if argument not in seen and argument not in stored and argument.op is not INPUT:
                seen.add(argument)
                stack.append(argument)


class _Table:
    """The line table of a module."""

    def __init__(self, module: ir.Module, name: str) -> None:
        from llvmlite import ir

        self.module = module
        self.file = module.add_debug_info("DIFile", {"filename": name, "directory": ""})
        self.unit = module.add_debug_info(
            "DICompileUnit",
            {
                "language": ir.DIToken("DW_LANG_C99"),  # which no reader takes much notice of
                "file": self.file,
                "producer": "tpc",
                "isOptimized": True,
                "emissionKind": ir.DIToken("LineTablesOnly"),
            },
            is_distinct=True,
        )
        self.type = module.add_debug_info("DISubroutineType", {"types": module.add_metadata([None])})
        number = ir.IntType(32)
        module.add_named_metadata("llvm.dbg.cu", self.unit)
        module.add_named_metadata("llvm.module.flags", [number(2), "Debug Info Version", number(3)])

    def add(self, function: Any, span: Span) -> None:
        """Say of all instructions of a function where they come from."""
        line, column = span.source.position(span.start)
        program = self.module.add_debug_info(
            "DISubprogram",
            {
                "name": function.name,
                "file": self.file,
                "line": line,
                "type": self.type,
                "isDefinition": True,
                "scopeLine": line,
                "unit": self.unit,
            },
            is_distinct=True,
        )
        function.set_metadata("dbg", program)
        place = self.module.add_debug_info("DILocation", {"line": line, "column": column, "scope": program})
        for block in function.blocks:
            for instruction in block.instructions:
                instruction.set_metadata("dbg", place)


def remarked(text: str, remarks: Mapping[str, str]) -> str:
    """LLVM IR with remarks as comments above the functions."""
    lines = []
    for line in text.splitlines():
        if line.startswith("define "):
            name = line.partition("@")[2].partition("(")[0].strip('"')
            lines += [f"; {remark}" for remark in remarks.get(name, "").splitlines()]
        lines.append(line)
    return "\n".join(lines) + "\n"
