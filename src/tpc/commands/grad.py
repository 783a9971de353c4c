"""`tpc grad`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tpc.commands.arguments import (
    chosen_function,
    dims_option,
    function_option,
    json_option,
    mode_option,
    parameter_names,
)
from tpc.console import print_json, progress, show, talk

if TYPE_CHECKING:
    from tpc.function import Function
    from tpc.ir.node import Program

KINDS = ("grad", "value_and_grad", "jacobian", "hessian", "hvp", "jvp", "vjp", "laplacian")


@click.command("grad")
@click.argument("file", type=click.Path())
@function_option
@click.option(
    "--by",
    metavar="NAME",
    multiple=True,
    shell_complete=parameter_names,
    help="A parameter to differentiate by (else the first); may be given several times.",
)
@click.option("--kind", type=click.Choice(KINDS), default="grad", help="Which derivative (grad).")
@dims_option
@mode_option
@click.option("-o", "--output", type=click.Path(), help="The file to write; else it is printed.")
@json_option
def command(
    file: str,
    function: str | None,
    by: tuple[str, ...],
    kind: str,
    dims: dict[str, int],
    mode: str,
    output: str | None,
    as_json: bool,
) -> int:
    """Print the derivative of a function as a program.

    What is printed is what would be computed, in the language: `tpc run` and `tpc compile` take it again.
    """
    from tpc.ir.notes import keeping
    from tpc.ir.text import program_text
    from tpc.passes.pipeline import Options, run
    from tpc.readable import readable

    with progress("differentiating"):
        chosen = chosen_function(file, function, dims, as_json)
        with keeping(chosen.module.notes):  # errors on the way have their place
            program = _derivative(chosen, kind, by, as_json)
        # an order of work says nothing about the derivative, and is found anew when the text is compiled
        plan = run(program, Options(dims, mode=mode), "prune", chosen.module.notes)
        text = readable(program_text(plan.program, plan.notes.names))
    if output is not None:
        from tpc.results import write_text

        write_text(Path(output), text)
    if as_json:
        print_json(True, function=chosen.name, kind=kind, by=list(by), file=output, text=text)
    elif output is not None:
        talk(f"wrote {output}")
    else:
        click.echo(text, nl=False)
    return 0


def _derivative(function: Function, kind: str, by: tuple[str, ...], quiet: bool) -> Program:
    """The program of the derivative. Raises TpcError (E0304, E0607, E0608)."""
    from tpc.dsl.diagnostics import Diagnostics, Label, fail
    from tpc.ir.elaborate.derivatives import WARNINGS, check_kind
    from tpc.ir.elaborate.scope import suggestion
    from tpc.passes.differentiate import derivative

    program = function.generic()
    inputs = {i["name"]: i for i in program.inputs}
    for name in by:
        if name not in inputs:
            close = suggestion(name, inputs)
            raise fail(
                "E0304",
                f"`{function.name}` has no parameter `{name}`",
                Label(function.span),
                help=f"did you mean `{close}`?" if close else f"its parameters are {', '.join(inputs)}",
            )
    if not inputs:
        raise fail("E0302", f"`{function.name}` has no parameters", Label(function.span))
    names = tuple(dict.fromkeys(by)) or tuple(inputs)[:1]
    types = {n: inputs[n].tensor for n in names}
    check_kind(kind, function.name, types, program.result_types, [Label(function.span)])
    warnings = Diagnostics()
    for warn in WARNINGS:
        warn(warnings, program, names, function.name, function.span)
    if not quiet:
        show(warnings.warnings)
    return derivative(program, kind, names)
