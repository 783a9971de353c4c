"""`tpc compile`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tpc.commands.arguments import (
    chosen_function,
    dims_option,
    function_option,
    json_option,
    mode_option,
    threads_option,
)
from tpc.console import print_json, progress, talk

if TYPE_CHECKING:
    import numpy as np

    from tpc.function import Function
    from tpc.passes.pipeline import Options

BACKENDS = {"python": "numpy", "torch": "torch", "ir": "numpy"}


@click.command("compile")
@click.argument("file", type=click.Path())
@function_option
@click.option("--emit", type=click.Choice(list(BACKENDS)), help="What to write (else by the suffix of -o, or python).")
@click.option("--stop-after", metavar="PASS", help="Stop after this pass and write the program there, as text.")
@dims_option
@mode_option
@threads_option
@click.option("-o", "--output", type=click.Path(), help="The file to write; else it is printed.")
@json_option
def command(
    file: str,
    function: str | None,
    emit: str | None,
    stop_after: str | None,
    dims: dict[str, int],
    mode: str,
    threads: int | None,
    output: str | None,
    as_json: bool,
) -> int:
    """Write the compiled program.

    `--emit python` gives a module that needs numpy and scipy only, and can be imported without tpc. Where sizes are
    open it may hold several plans, and takes the fastest at each call. `--emit ir` gives the program as typed text in
    the language itself, for sizes as given with `--dim` and else for usual ones, which `tpc run` takes again.
    """
    from tpc.passes.pipeline import Options

    if emit is None:
        emit = "ir" if stop_after is not None or (output or "").endswith(".tp") else "python"
    if stop_after is not None and emit != "ir":
        raise click.UsageError("--stop-after gives the program as text; use it with --emit ir")
    with progress("compiling"):
        chosen = chosen_function(file, function, dims, as_json)
        options = Options(dims, mode=mode, backend=BACKENDS[emit], threads=threads)
        text, constants = _ir(chosen, options, stop_after) if emit == "ir" else _module(chosen, options)
    if output is not None:
        from tpc.results import write_beside, write_text

        write_beside(Path(output).parent, constants)
        write_text(Path(output), text)
    if as_json:
        print_json(True, function=chosen.name, emit=emit, file=output, text=text)
    elif output is not None:
        talk(f"wrote {output}")
    else:
        click.echo(text, nl=False)
    return 0


Constants = dict[str, "np.ndarray[Any, Any]"]


def _ir(function: Function, options: Options, stop_after: str | None) -> tuple[str, Constants]:
    """The program as text; its constants are those of the program that was read."""
    from tpc.ir.text import program_text
    from tpc.passes.pipeline import run

    plan = run(function.generic(), options, stop_after, function.module.notes)
    return program_text(plan.program, plan.notes.names), {}


def _module(function: Function, options: Options) -> tuple[str, Constants]:
    """The module, and the arrays that it reads from files of their names beside it."""
    from tpc.code import emitted
    from tpc.passes.variants import variants
    from tpc.settings import Settings

    Settings(backend=options.backend)  # type: ignore[arg-type]  # refuses torch where it is not installed
    found = variants(function.generic(), options, function.module.notes)
    module = emitted(found, options.backend).emitted
    return module.source, {key: _as_numpy(value) for key, value in module.constants.items()}


def _as_numpy(constant: Any) -> np.ndarray[Any, Any]:
    """A constant of a backend as it is saved; bfloat16 is held in float32."""
    import numpy as np

    if type(constant).__module__ == "torch":
        return np.asarray(constant.float() if "bfloat16" in str(constant.dtype) else constant)
    return np.asarray(constant)
