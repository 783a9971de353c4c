"""`tpc fmt`"""

from __future__ import annotations

import difflib
from pathlib import Path

import click

from tpc.commands.arguments import json_option, read_source
from tpc.console import as_json as diagnostics_json
from tpc.console import print_json, show, talk
from tpc.dsl.diagnostics import Diagnostic, Diagnostics, TpcError


@click.command("fmt")
@click.argument("files", nargs=-1, required=True, type=click.Path())
@click.option("--check", "only_check", is_flag=True, help="Change nothing; exit with 1 if something would change.")
@click.option("--diff", is_flag=True, help="Change nothing; print what would change.")
@json_option
def command(files: tuple[str, ...], only_check: bool, diff: bool, as_json: bool) -> int:
    """Lay out programs in the canonical way, in place; `-` reads stdin and writes stdout.

    Comments stay. A file with syntax errors is left as it is.
    """
    changed: list[str] = []
    errors: list[Diagnostic] = []
    for name in files:
        try:
            before, after = _formatted(name)
        except TpcError as error:
            errors += error.diagnostics
            if not as_json:
                show(error.diagnostics)
            continue
        if before != after:
            changed.append(name)
        if diff:
            lines = difflib.unified_diff(
                before.splitlines(True), after.splitlines(True), f"{name} (before)", f"{name} (after)"
            )
            click.echo("".join(lines), nl=False)
        elif name == "-" and not only_check and not as_json:
            click.echo(after, nl=False)
        elif before != after and not only_check and name != "-":
            from tpc.results import write_text

            write_text(Path(name), after)
    pretend = only_check or diff
    if as_json:
        print_json(not errors, changed=changed, diagnostics=diagnostics_json(errors))
    elif not diff:
        for name in changed:
            if name != "-" or pretend:
                talk(f"{'would change' if pretend else 'changed'} {name}")
    return int(bool(errors) or (pretend and bool(changed)))


def _formatted(name: str) -> tuple[str, str]:
    """The text and its canonical form. Raises TpcError if it has syntax errors."""
    from tpc.dsl.format import format_module
    from tpc.dsl.parser import parse

    source, _ = read_source(name)
    diagnostics = Diagnostics()
    module = parse(source, diagnostics)
    diagnostics.raise_errors()
    return source.text, format_module(module)
