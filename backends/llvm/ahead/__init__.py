"""Native functions as files: LLVM IR, assembly, object code, a shared library, and what C and Python need to call them.

    int64_t NAME(int64_t size..., const void *operand..., void *result..., void *workspace)
    int64_t NAME_workspace(int64_t size...)       bytes of workspace
    const char *NAME_error(int64_t status)        what a status means; NULL for 0

The files are for the processor of this machine, and for its system. They hold the run-time library where it is needed.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from tpc.backends.llvm import blas, runtime, sizes
from tpc.backends.llvm.ahead.header import header
from tpc.backends.llvm.host import host
from tpc.backends.llvm.lines import remarked
from tpc.backends.llvm.objects import optimise
from tpc.backends.llvm.signature import Native, Signature
from tpc.dsl.diagnostics import TpcError, fail

Kind = Literal["llvm", "asm", "object", "shared", "header"]
KINDS: tuple[Kind, ...] = get_args(Kind)
COMPILERS = ("cc", "gcc", "clang")
BLAS = ("openblas",)


def emit(natives: Sequence[Native], kind: Kind, libraries: Sequence[str] = ()) -> str | bytes:
    """Native functions as the content of a file.

    Parameters
    ----------
    natives
        The functions; their names must be names in C.
    kind
        `llvm`, `asm` and `header` are text; `object` and `shared` are not. `llvm` is not optimised yet.
    libraries
        What a shared library is linked to where it calls BLAS or LAPACK: names as after `-l`, or paths. If there are
        none it is OpenBLAS, or where the system has no such library, the one that SciPy brings, at its place.

    Raises
    ------
    TpcError
        E1005 if a shared library cannot be linked.
    """
    if kind == "header":
        return header([native.signature for native in natives])
    if kind == "llvm":
        return remarked(str(_joined(natives)), dict(remark for native in natives for remark in native.remarks))
    machine = host().machine()
    module = optimise(_joined(natives))
    if kind == "asm":
        return str(machine.emit_assembly(module))
    made: bytes = machine.emit_object(module)
    if kind == "object":
        return made
    try:
        return _linked(made, _used(natives), libraries or BLAS)
    except TpcError:
        own = blas.of_scipy()
        if own is None or libraries or not any(map(blas.is_routine, _used(natives))):
            raise
    module = optimise(_joined(natives))
    for function in module.functions:
        if function.is_declaration and blas.is_routine(function.name):
            function.name = f"scipy_{function.name}"
    return _linked(machine.emit_object(module), _used(natives), [str(own), f"-Wl,-rpath,{own.parent}"])


def _used(natives: Sequence[Native]) -> set[str]:
    """The symbols that functions call."""
    return {symbol for native in natives for symbol in native.symbols}


def _joined(natives: Sequence[Native]) -> Any:
    """All functions, with what belongs to them, as one module of llvmlite."""
    import llvmlite.binding as llvm

    at = host()
    texts = [text for native in natives for text in (native.ir, _companions(native.signature))]
    if not _used(natives).isdisjoint(runtime.SYMBOLS):
        texts.append(runtime.library(at.triple))
    module, *others = map(llvm.parse_assembly, texts)
    module.name = natives[0].signature.name
    for other in others:
        module.link_in(other)
    module.triple = at.triple
    module.data_layout = str(at.machine().target_data)
    return module


def _companions(signature: Signature) -> str:
    """The functions `NAME_workspace` and `NAME_error`, as LLVM IR."""
    from llvmlite import ir

    module = ir.Module()
    i8, i64, ptr = ir.IntType(8), ir.IntType(64), ir.PointerType()
    asked = ir.Function(module, ir.FunctionType(i64, [i64] * len(signature.sizes)), f"{signature.name}_workspace")
    builder = ir.IRBuilder(asked.append_basic_block())
    builder.ret(sizes.value(builder, signature.workspace, dict(zip(signature.sizes, asked.args))))
    told = ir.Function(module, ir.FunctionType(ptr, [i64]), f"{signature.name}_error")
    builder = ir.IRBuilder(told.append_basic_block())
    switch = builder.switch(told.args[0], none := told.append_basic_block())
    for number, failure in enumerate(signature.errors, 1):
        text = f"{failure.kind}: {failure.text}".encode() + b"\0"
        type = ir.ArrayType(i8, len(text))
        held = ir.GlobalVariable(module, type, f"{signature.name}_error_{number}")
        held.linkage, held.global_constant, held.initializer = "private", True, ir.Constant(type, bytearray(text))
        with builder.goto_block(block := told.append_basic_block()):
            builder.ret(held)
        switch.add_case(number, block)
    builder.position_at_end(none)
    builder.ret(ptr(None))
    return str(module)


def _linked(made: bytes, symbols: set[str], libraries: Sequence[str]) -> bytes:
    """A shared library of an object file, by the C compiler of the system."""
    command = _compiler()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "made.o"
        place.write_bytes(made)
        needed = list(libraries) if any(map(blas.is_routine, symbols)) else []
        needed += ["mvec"] if any(symbol.startswith("_ZGV") for symbol in symbols) else []
        named = [name if os.sep in name else f"-l{name}" for name in (*needed, "pthread", "m")]
        out = Path(folder) / "made.so"
        command += ["-shared", "-o", str(out), str(place), "-Wl,-z,defs", *named]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace")
        if done.returncode != 0:
            raise fail(
                "E1005",
                "the shared library cannot be linked",
                notes=(f"`{shlex.join(command)}`", done.stderr.strip()[-2000:]),
                help="name the libraries of BLAS and LAPACK, as `openblas` or by their paths; or emit an object and "
                "link that",
            )
        return out.read_bytes()


def _compiler() -> list[str]:
    """The command of the C compiler: what CC says, or the first that there is."""
    said = shlex.split(os.environ.get("CC", ""))
    for command in [said] if said else [[name] for name in COMPILERS]:
        if shutil.which(command[0]) is not None:
            return command
    raise fail(
        "E1005",
        f"there is no C compiler to link a shared library ({shlex.join(said) if said else ', '.join(COMPILERS)})",
        help="install one, or name it with CC; or emit an object, and link it where there is one",
    )
