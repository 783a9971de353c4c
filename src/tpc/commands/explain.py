"""`tpc explain`"""

from __future__ import annotations

import re
import sys
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tpc.commands.arguments import checked_source, dims_option, function_option, json_option
from tpc.console import has_color, print_json, progress, talk
from tpc.dsl.diagnostics import fail

if TYPE_CHECKING:
    from tpc.compiled import Compiled
    from tpc.explanation import Account
    from tpc.explanation.advice import Advice

PATIENCE, FORBEARANCE = 10.0, 1.0  # seconds for advice that is asked for, and for that which is not
UNASKED = 2.0  # how many times faster a fact must make a program to be told unasked


@click.command("explain")
@click.argument("what", metavar="FILE|CODE", type=click.Path())
@function_option
@dims_option
@click.option("--why-not", metavar="RULE", help="Say what became of a rule.")
@click.option("--advise", is_flag=True, help="Try which facts of inputs would pay, if they were declared.")
@click.option("--latex", metavar="FILE", type=click.Path(), help="Write the derivation as LaTeX; - prints it.")
@click.option("--html", metavar="FILE", type=click.Path(), help="Write all of it as one page of HTML; - prints it.")
@json_option
def command(
    what: str,
    function: str | None,
    dims: dict[str, int],
    why_not: str | None,
    advise: bool,
    latex: str | None,
    html: str | None,
    as_json: bool,
) -> int:
    """Show what a program does, line by line, with kernels, costs and facts, and how it came from what was written;
    or what an error code means.

    With sizes (`--dim n=1000`) the costs are numbers, else formulas.
    """
    if re.fullmatch(r"[EW]\d{4}", what, re.IGNORECASE):
        text = section(what.upper())
        if as_json:
            print_json(True, code=what.upper(), text=text)
        else:
            click.echo(text)
        return 0
    printed = [
        form for form, given in (("--latex", latex == "-"), ("--html", html == "-"), ("--json", as_json)) if given
    ]
    if len(printed) > 1:
        raise click.UsageError(f"{' and '.join(printed)} would print over each other; give files")
    from tpc.compiled import Compiled
    from tpc.explanation import account
    from tpc.explanation.why_not import why_not as told
    from tpc.function import choose
    from tpc.settings import Settings

    with progress("compiling"):
        chosen = choose(checked_source(what, quiet=as_json), function)
        chosen.check_sizes(dims)
        compiled = Compiled(chosen, Settings(dims=dims))
        plan = compiled.plan
        found = account(compiled.program, plan, dims)
        answer = told(found, why_not) if why_not is not None else []
        advice = _advice(found, advise) if why_not is None or advise else []
    is_written = _write(compiled, found, advice, latex, html)
    if as_json:
        from tpc.explanation.record import record

        print_json(True, **record(found, advice), **({"why_not": answer} if why_not is not None else {}))
    elif why_not is not None:
        click.echo("\n".join(answer))
    elif not is_written:
        from tpc.explanation import text as as_text

        color = has_color(sys.stdout)
        click.echo(as_text(found, advice, color), nl=False, color=color)
        if len(compiled.variants.plans) > 1:
            click.echo(f"\n{compiled.variants.table()}", nl=False)
    return 0


def _advice(account: Account, is_asked: bool) -> list[Advice]:
    from tpc.explanation.advice import LEAST, advise

    return advise(account, PATIENCE, LEAST) if is_asked else advise(account, FORBEARANCE, UNASKED)


def _write(compiled: Compiled, found: Account, advice: list[Advice], latex: str | None, html: str | None) -> bool:
    """Write the forms that are asked for; whether there are any."""
    from tpc.results import write_text

    texts = {}
    if latex is not None:
        from tpc.explanation.latex import latex as as_latex

        texts[latex] = as_latex(found)
    if html is not None:
        from tpc.explanation.page import page

        texts[html] = page(found, compiled.__doc__ or "", advice)
    for name, content in texts.items():
        if name == "-":
            click.echo(content, nl=False)
        else:
            write_text(Path(name), content)
            talk(f"wrote {name}")
    return bool(texts)


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
