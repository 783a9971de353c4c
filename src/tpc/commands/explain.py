"""`tpc explain`"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tpc.commands.arguments import (
    all_sizes,
    backend_option,
    calls_option,
    chosen_function,
    dims_option,
    function_option,
    json_option,
    memory_option,
    mode_option,
    threads_option,
    tolerance_option,
)
from tpc.console import has_color, print_json, progress, talk
from tpc.dsl.diagnostics import fail

if TYPE_CHECKING:
    from tpc.compiled import Compiled
    from tpc.explanation import Account
    from tpc.explanation.advice import Advised
    from tpc.explanation.memory_profile import MemoryProfile
    from tpc.explanation.roofline import Roofline

TRIED_UNASKED, UNASKED = 3, 2.0  # facts that are tried unasked, and how many times faster one must be to be told
LARGEST_UNASKED = 1 << 18  # entries of constants whose structure is looked for unasked


@click.command("explain")
@click.argument("what", metavar="FILE|CODE", type=click.Path())
@function_option
@dims_option
@mode_option
@backend_option
@threads_option
@memory_option
@tolerance_option
@calls_option
@click.option("--why-not", metavar="RULE", help="Say what became of a rule.")
@click.option(
    "--advise", is_flag=True, help="Try which facts of inputs would pay, if declared; find structure of constants."
)
@click.option("--verify", is_flag=True, help="Compare the plan with the program, in exact arithmetic where it can be.")
@click.option("--roofline", is_flag=True, help="Hold each kernel against the machine's limits, as a table.")
@click.option(
    "--measure", is_flag=True, help="Run each kernel of the roofline, on random data, and measure the limits."
)
@click.option("--plot", metavar="FILE", type=click.Path(), help="Draw the roofline: .png, .svg or .html; - prints SVG.")
@click.option("--memory-plot", metavar="FILE", type=click.Path(), help="Draw memory over time: .png, .svg or .html.")
@click.option("--latex", metavar="FILE", type=click.Path(), help="Write the derivation as LaTeX; - prints it.")
@click.option("--html", metavar="FILE", type=click.Path(), help="Write all of it as one page of HTML; - prints it.")
@json_option
def command(
    what: str,
    function: str | None,
    dims: dict[str, int],
    mode: str,
    backend: str,
    threads: int | None,
    memory: int | None,
    tolerance: float,
    calls: int,
    why_not: str | None,
    advise: bool,
    verify: bool,
    roofline: bool,
    measure: bool,
    plot: str | None,
    memory_plot: str | None,
    latex: str | None,
    html: str | None,
    as_json: bool,
) -> int:
    """Show what a program does, line by line, with kernels, costs and facts, and how it came from what was written;
    or what an error code means.

    With sizes (`--dim n=1000`) the costs are numbers, else formulas. `--roofline` shows which kernels are bound by
    memory, which by arithmetic, and how near to that limit of the machine each one is predicted to come, or comes
    (`--measure`).
    """
    if re.fullmatch(r"[EW]\d{4}", what, re.IGNORECASE):
        text = section(what.upper())
        if as_json:
            print_json(True, code=what.upper(), text=text)
        else:
            click.echo(text)
        return 0
    from tpc.passes.rules import lines

    if what in lines() and not Path(what).exists():
        raise fail("E0705", f"`{what}` is a rule, not a file", help=f"try `tpc explain FILE --why-not {what}`")
    # with --json, the answers of --why-not and --roofline are parts of the object
    asked = {"--latex": latex == "-", "--html": html == "-", "--plot": plot == "-", "--json": as_json}
    asked |= {"--why-not": why_not is not None and not as_json, "--roofline": (roofline or measure) and not as_json}
    printed = [form for form, given in asked.items() if given]
    if len(printed) > 1:
        raise click.UsageError(f"{' and '.join(printed)} would print over each other; give a file to write to")
    from tpc.compiled import Compiled
    from tpc.explanation import account
    from tpc.explanation.why_not import why_not as told
    from tpc.settings import Settings

    with progress("compiling"):
        chosen = chosen_function(what, function, dims, as_json)
        all_sizes(chosen, dims, memory)
        memory = chosen.memory if memory is None else memory
        limits: dict[str, Any] = {"memory": memory, "threads": threads, "tolerance": tolerance}
        compiled = Compiled(chosen, Settings(backend, dims, mode, **limits, calls=calls))  # type: ignore[arg-type]
        found = account(compiled.program, compiled.plan, dims, compiled.variants, backend)
        found = replace(found, runs=compiled.runs, ahead=compiled.ahead)
        answer = told(found, why_not) if why_not is not None else []
        if why_not is None or advise:
            found = replace(found, advised=_advised(found, advise))
    if verify:
        with progress("verifying"):
            found = replace(found, check=compiled.verify_plan())
    held = _held(found, backend, measure) if roofline or measure or plot is not None else None
    over_time = _over_time(compiled, found, memory, memory_plot)
    is_written = _write(compiled, found, held, {"latex": latex, "html": html, "plot": plot})
    if as_json:
        from tpc.explanation.record import record

        print_json(True, **record(found, held), **({"why_not": answer} if why_not is not None else {}))
    elif (roofline or measure) and held is not None:
        from tpc.explanation.roofline import table

        click.echo(table(held), nl=False)
    elif why_not is not None:
        click.echo("\n".join(answer))
        if found.check is not None:
            click.echo(f"\nverified  {found.check}")
    elif not is_written:
        from tpc.explanation import text as as_text

        color = has_color(sys.stdout)
        click.echo(as_text(found, color), nl=False, color=color)
        if memory is not None:
            from tpc.explanation.memory_profile import text as profile

            click.echo(f"\n{profile(over_time)}", nl=False)
    return 0


def _advised(account: Account, is_asked: bool) -> Advised:
    from tpc.explanation.advice import advise

    return advise(account) if is_asked else replace(advise(account, TRIED_UNASKED, UNASKED, LARGEST_UNASKED), told="")


def _held(account: Account, backend: str, is_measured: bool) -> Roofline:
    """The kernels of a plan against the limits of the machine; measured on random data, if that is asked for."""
    from tpc.explanation.account import prices_of
    from tpc.explanation.measuring import measured, random_arrays
    from tpc.explanation.roofline import roofline

    plan = account.plan
    if is_measured and backend == "torch":
        raise click.UsageError("--measure is not for torch")
    given = plan.program, plan.notes.names, prices_of(plan), account.at
    if not is_measured:
        return roofline(*given, assumed=account.assumed, native=backend == "llvm")
    with progress("measuring"):
        arrays = random_arrays(plan.program, account.at)
        return measured(*given, arrays, assumed=account.assumed, native=backend == "llvm")


def _over_time(compiled: Compiled, account: Account, memory: int | None, file: str | None) -> MemoryProfile:
    """What the plan holds over time, drawn into a file if one is named."""
    from tpc.explanation.memory_profile import memory_profile, write

    found = memory_profile(compiled.plan, compiled.backend, account.at, memory)
    if file is not None:
        write(found, Path(file))
        talk(f"wrote {file}")
    return found


def _write(compiled: Compiled, found: Account, held: Roofline | None, files: Mapping[str, str | None]) -> bool:
    """Write the forms that are asked for into the files that are named; whether there are any."""
    from tpc.results import write_text

    texts = {}
    if files["latex"] is not None:
        from tpc.explanation.latex import latex as as_latex

        texts[files["latex"]] = as_latex(found)
    if files["html"] is not None:
        from tpc.explanation.page import page

        texts[files["html"]] = page(found, compiled.__doc__ or "")
    if files["plot"] is not None and held is not None:
        from tpc.explanation.roofline_drawing import drawing

        if files["plot"] == "-":
            texts["-"] = drawing(held)
        else:
            held.write(files["plot"])
            talk(f"wrote {files['plot']}")
    for name, content in texts.items():
        if name == "-":
            click.echo(content, nl=False)
        else:
            write_text(Path(name), content)
            talk(f"wrote {name}")
    return any(name is not None for name in files.values())


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
