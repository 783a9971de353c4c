"""`tpc explain`"""

from __future__ import annotations

import re
from importlib.resources import files

import click

from tpc.commands.arguments import checked_source, dims_option, function_option, json_option
from tpc.console import print_json, progress
from tpc.dsl.diagnostics import fail


@click.command("explain")
@click.argument("what", metavar="FILE|CODE", type=click.Path())
@function_option
@dims_option
@json_option
def command(what: str, function: str | None, dims: dict[str, int], as_json: bool) -> int:
    """Show what a program does, line by line, with facts, operations and bytes; or what an error code means.

    With sizes (`--dim n=1000`) the costs are numbers, else formulas.
    """
    if re.fullmatch(r"[EW]\d{4}", what, re.IGNORECASE):
        text = section(what.upper())
        if as_json:
            print_json(True, code=what.upper(), text=text)
        else:
            click.echo(text)
        return 0
    from tpc.compiled import Compiled
    from tpc.function import choose
    from tpc.settings import Settings

    with progress("compiling"):
        chosen = choose(checked_source(what, quiet=as_json), function)
        chosen.check_sizes(dims)
        compiled = Compiled(chosen, Settings(dims=dims))
        text = compiled.explain()
    if as_json:
        total = compiled.cost
        print_json(
            True,
            function=compiled.__name__,
            program=str(compiled.program),
            plan=str(compiled.plan.program),
            passes=[name for name, _ in compiled.plan.steps],
            cost={"flops": total.flops, "bytes": total.bytes, "peak_bytes": total.peak_bytes, "seconds": total.seconds},
            sizes=dims,
        )
    else:
        click.echo(text, nl=False)
    return 0


def section(code: str) -> str:
    """What `errors.md` says of a code.

    Raises
    ------
    TpcError
        E1004 if there is no such code.
    """
    pages = re.split(r"^(?=## )", (files("tpc") / "errors.md").read_text("utf-8"), flags=re.MULTILINE)
    for page in pages:
        if re.match(rf"## `?{code}\b", page):
            return page.strip()
    raise fail("E1004", f"there is no message with the code {code}", help="codes look like E0203 or W0301")
