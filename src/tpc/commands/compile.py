"""`tpc compile`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tpc.commands.arguments import (
    all_sizes,
    chosen_function,
    dims_option,
    function_option,
    json_option,
    memory_option,
    mode_option,
    threads_option,
    tolerance_option,
)
from tpc.console import print_json, progress, talk

if TYPE_CHECKING:
    import numpy as np

    from tpc.function import Function
    from tpc.passes.pipeline import Options

BACKENDS = {"python": "numpy", "torch": "torch", "ir": "numpy"}
BACKENDS |= dict.fromkeys(["llvm", "asm", "object", "shared", "header"], "llvm")
SUFFIXES = {".tp": "ir", ".ll": "llvm", ".s": "asm", ".o": "object", ".so": "shared", ".h": "header"}
BINARY = ("object", "shared")
NATIVE = "native"
TARGETS = (NATIVE, "x86-64-v2", "x86-64-v3", "x86-64-v4")


@click.command("compile")
@click.argument("file", type=click.Path())
@function_option
@click.option("--emit", type=click.Choice(list(BACKENDS)), help="What to write (else by the suffix of -o, or python).")
@click.option("--backend", type=click.Choice(["numpy", "torch", "llvm"]), help="What it is compiled for.")
@click.option("--target", type=click.Choice(TARGETS), help="Processors of native code (native).")
@click.option("--stop-after", metavar="PASS", help="Stop after this pass and write the program there, as text.")
@dims_option
@mode_option
@threads_option
@memory_option
@tolerance_option
@click.option(
    "--calls",
    type=click.IntRange(2),
    help="Write two functions: NAME_ahead computes of `param` arguments what so many calls of NAME need of them.",
)
@click.option("-o", "--output", type=click.Path(), help="The file to write; else it is printed.")
@json_option
def command(
    file: str,
    function: str | None,
    emit: str | None,
    backend: str | None,
    target: str | None,
    stop_after: str | None,
    dims: dict[str, int],
    mode: str,
    threads: int | None,
    memory: int | None,
    tolerance: float,
    calls: int | None,
    output: str | None,
    as_json: bool,
) -> int:
    """Write the compiled program.

    `--emit python` gives a module that needs numpy and scipy only, and can be imported without tpc. Where sizes are
    open it may hold several plans, and takes the fastest at each call. `--emit ir` gives the program as typed text in
    the language itself, for sizes as given with `--dim` and else for usual ones, which `tpc run` takes again.

    `--emit llvm`, `asm`, `object`, `shared` and `header` give native code, of programs that have it as a whole. It is
    for this machine, or with `--target` for all processors of a level of the x86-64 ABI. Beside a shared library a
    module is written by which Python calls it without tpc.
    """
    from tpc.passes.pipeline import Options

    emit = emit or _usual(backend, stop_after, output)
    if stop_after is not None and emit != "ir":
        raise click.UsageError("--stop-after gives the program as text; use it with --emit ir")
    if backend is not None and emit != "ir" and BACKENDS[emit] != backend:
        raise click.UsageError(f"--emit {emit} is for the backend {BACKENDS[emit]}, not for {backend}")
    if target is not None and BACKENDS[emit] != "llvm":
        raise click.UsageError(f"--target is for native code; --emit {emit} gives none")
    if calls is not None and (emit not in ("python", "torch") or memory is not None):
        raise click.UsageError("--calls is for modules of Python, without --memory")
    if emit in BINARY and output is None:
        raise click.UsageError(f"--emit {emit} gives no text; name the file to write with -o")
    with progress("compiling"):
        chosen = chosen_function(file, function, dims, as_json)
        all_sizes(chosen, dims, memory)
        memory = chosen.memory if memory is None else memory
        options = Options(
            dims, mode=mode, backend=backend or BACKENDS[emit], threads=threads, memory=memory, tolerance=tolerance
        )
        text: str | None
        constants: Constants = {}
        if emit == "ir":
            text = _ir(chosen, options, stop_after)
        elif BACKENDS[emit] == "llvm":
            text = _native(chosen, options, emit, target or NATIVE, output)
        elif calls is not None:
            text, constants = _stages(chosen, options, calls)
        else:
            text, constants = _module(chosen, options)
    if output is not None:
        from tpc.results import write_beside, write_text

        write_beside(Path(output).parent, constants)
        if text is not None:
            write_text(Path(output), text)
    if as_json:
        print_json(True, function=chosen.name, emit=emit, file=output, text=text)
    elif output is not None:
        talk(f"wrote {output}")
    else:
        click.echo(text, nl=False)
    return 0


Constants = dict[str, "np.ndarray[Any, Any]"]


def _usual(backend: str | None, stop_after: str | None, output: str | None) -> str:
    """What to write where it is not said: by the suffix of the file, or else by the backend."""
    if stop_after is not None:
        return "ir"
    suffix = Path(output or "").suffix
    if suffix in SUFFIXES:
        return SUFFIXES[suffix]
    if suffix not in ("", ".py"):
        known = ", ".join([".py", *SUFFIXES])
        raise click.UsageError(f"{output} tells not what to write: end it in one of {known}, or say --emit")
    return {"llvm": "llvm", "torch": "torch"}.get(backend or "", "python")


def _ir(function: Function, options: Options, stop_after: str | None) -> str:
    """The program as text; its constants are those of the program that was read."""
    from tpc.ir.text import program_text
    from tpc.passes.pipeline import run

    plan = run(function.generic(), options, stop_after, function.module.notes)
    return program_text(plan.program, plan.notes.names)


def _native(function: Function, options: Options, kind: Any, target: str, output: str | None) -> str | None:
    """Native code as text; what is none is written, and beside a shared library the module that calls it."""
    from tpc.settings import Settings

    Settings(backend="llvm")  # refuses it where llvmlite is not installed
    from tpc.ahead import native
    from tpc.backends.llvm.ahead import emit
    from tpc.backends.llvm.ahead.loader import loader
    from tpc.backends.llvm.host import targeting
    from tpc.results import write_bytes, write_text

    module = None if output is None else Path(output).with_name(f"{function.name}.py")
    if kind == "shared" and Path(output or "").stem == function.name:
        raise click.UsageError(f"{module} would be hidden by {output}; call the library lib{function.name}.so")
    with targeting(target):
        made = native(function, options)
        content = emit([made], kind)
    if isinstance(content, str):
        return content
    assert output is not None and module is not None
    write_bytes(Path(output), content)
    if kind == "shared":
        write_text(module, loader([made.signature], Path(output).name))
        talk(f"wrote {module}")
    return None


def _module(function: Function, options: Options) -> tuple[str, Constants]:
    """The module, and the arrays that it reads from files of their names beside it."""
    from tpc.code import emitted
    from tpc.passes.variants import variants
    from tpc.settings import Settings

    Settings(backend=options.backend)  # type: ignore[arg-type]  # refuses torch where it is not installed
    found = variants(function.generic(), options, function.module.notes)
    module = emitted(found, options.backend, options.mode, options.memory is not None).emitted
    return module.source, {key: _as_numpy(value) for key, value in module.constants.items()}


def _stages(function: Function, options: Options, calls: int) -> tuple[str, Constants]:
    """A module with a function for what is computed ahead of calls, and one for them."""
    from importlib import import_module

    from tpc.backends.emit import emit_stages
    from tpc.prepared import Preparer
    from tpc.settings import Settings

    settings = Settings(options.backend, options.sizes, options.mode, threads=options.threads, calls=calls)  # type: ignore[arg-type]
    preparer = Preparer(function, settings)
    if not preparer.stays:
        raise click.UsageError(f"--calls is for functions with `param` arguments and others; `{function.name}` is none")
    pair = preparer.pair(function.generic(), options.backend, options.sizes)
    ahead, each = (stage.plan.program for stage in (pair.ahead, pair.each))
    names = {**pair.ahead.plan.notes.names, **pair.each.plan.notes.names}
    dialect = import_module(f"tpc.backends.{options.backend}").DIALECT
    module = emit_stages(ahead, each.replace(name=function.name), dialect, names)
    return module.source, {key: _as_numpy(value) for key, value in module.constants.items()}


def _as_numpy(constant: Any) -> np.ndarray[Any, Any]:
    """A constant of a backend as it is saved; bfloat16 is held in float32."""
    import numpy as np

    if type(constant).__module__ == "torch":
        return np.asarray(constant.float() if "bfloat16" in str(constant.dtype) else constant)
    return np.asarray(constant)
