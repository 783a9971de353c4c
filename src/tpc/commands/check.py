"""`tpc check`"""

from __future__ import annotations

import click

from tpc.commands.arguments import json_option, read_source
from tpc.console import as_json as diagnostics_json
from tpc.console import print_json, show, talk
from tpc.dsl.diagnostics import Diagnostic, TpcError
from tpc.dsl.render import summary


@click.command("check")
@click.argument("files", nargs=-1, required=True, type=click.Path())
@json_option
def command(files: tuple[str, ...], as_json: bool) -> int:
    """Look for errors in FILES (`-` is stdin) without running them.

    All independent errors are shown, and warnings. The exit code is 1 if there is an error.
    """
    from tpc.ir.elaborate.module import check

    found: list[Diagnostic] = []
    for name in files:
        try:
            source, reachable = read_source(name)
            messages = list(check(source, reachable).diagnostics.items)
        except TpcError as error:
            messages = list(error.diagnostics)
        found += messages
        if not as_json:
            show(messages)
    bad = any(d.severity == "error" for d in found)
    if as_json:
        print_json(not bad, diagnostics=diagnostics_json(found), summary=summary(found))
    else:
        talk(f"{len(files)} file{'s' * (len(files) != 1)} checked: {summary(found)}")
    return int(bad)
