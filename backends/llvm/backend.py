"""The LLVM backend: what the numpy backend writes, with native functions in the place of its regions.

The module of source is complete: each region is a function in it, in NumPy. So a program can run at once, a native
function has its slow path, and the module shows what native code computes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tpc.backends import choice, emit
from tpc.backends.contract import Backend, Emitted, Region
from tpc.backends.llvm import sizes
from tpc.backends.llvm.lower import refusal
from tpc.backends.llvm.memory import outliner as outliner_of
from tpc.backends.llvm.regions import Outliner
from tpc.backends.numpy import BACKEND as NUMPY
from tpc.backends.numpy import DIALECT, read
from tpc.ir.node import Node, Program
from tpc.ir.ops.structure import CALL, INPUT, ITEM
from tpc.ir.sizes import sizes_of

if TYPE_CHECKING:
    from tpc.backends.llvm.stages import Staged


class LlvmBackend:
    """See `contract`."""

    name = "llvm"

    def emit(self, program: Program, names: Mapping[Node, str] | None = None, *, tight: bool = False) -> Emitted:
        outliner = outliner_of(program, tight)
        module = emit.Module(DIALECT, dict(names or {}), tight)
        outlined = outliner.program(program)
        emitted = _with_natives(module.emit(outlined), module, outliner)
        return replace(emitted, whole=_whole([outlined], module, emitted))

    def emit_choice(self, alternatives: Sequence[choice.Alternative]) -> Emitted:
        outliner = Outliner(refusal)
        outlined = [replace(a, program=outliner.program(a.program)) for a in alternatives]
        module = emit.Module(DIALECT, choice.names(outlined))
        emitted = _with_natives(choice.emit(outlined, module), module, outliner)
        return replace(emitted, whole=_whole([a.program for a in outlined], module, emitted))

    def constant(self, node: Node) -> Any:
        return NUMPY.constant(node)

    def helpers(self) -> Mapping[str, Callable[..., Any]]:
        return NUMPY.helpers()

    def load(self, emitted: Emitted) -> Staged:
        from tpc.backends.llvm.stages import Staged

        return Staged(emitted, *read(emitted))


def _with_natives(emitted: Emitted, module: emit.Module, outliner: Outliner) -> Emitted:
    natives = {}
    for body in outliner.bodies:
        function = module.functions[body]
        told = {*sizes.told(dim for node in body.inputs for dim in node.tensor.dims), *function.keyword_sizes}
        if told.issuperset(sizes_of([*body.inputs, *body.nodes])):  # where all that there is is m*n, m is not known
            natives[function.name] = Region(body, tuple(function.parameters), dict(function.keyword_sizes))
    return replace(emitted, natives=natives)


def _whole(outlined: Sequence[Program], module: emit.Module, emitted: Emitted) -> tuple[str, ...]:
    """The native functions that are all of each of some programs; none where a program has more to it."""
    found = []
    for program in outlined:
        calls = [n for n in program.nodes if n.op is CALL]
        rest = [n for n in program.nodes if n.op not in (INPUT, CALL, ITEM)]
        if rest or len(calls) != 1 or calls[0].args != program.inputs:
            return ()
        found.append(module.functions[calls[0]["body"]].name)
    return tuple(found) if emitted.natives.keys() >= set(found) else ()


BACKEND: Backend = LlvmBackend()
