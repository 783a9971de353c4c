"""Options and steps that several commands share."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tpc.console import show

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from tpc.dsl.source import Source
    from tpc.files import FolderFiles
    from tpc.function import Function
    from tpc.ir.elaborate.module import Checked

F = TypeVar("F", bound=Callable[..., Any])


def read_source(name: str) -> tuple[Source, FolderFiles]:
    """A program file, or `-` for what comes in on stdin. Raises TpcError."""
    from tpc.dsl.source import Source
    from tpc.dsl.tokens import MAX_CHARACTERS
    from tpc.files import FolderFiles, decoded, read_program

    if name == "-":
        content = sys.stdin.buffer.read(4 * MAX_CHARACTERS + 4)
        return Source(decoded(content, "<stdin>"), "<stdin>"), FolderFiles(Path())
    path = Path(name)
    return read_program(path, name), FolderFiles(path.parent, (name, path))


def checked_source(name: str, quiet: bool = False) -> Checked:
    """A checked program; its warnings are shown. Raises TpcError if it has errors."""
    from tpc.ir.elaborate.module import check

    source, files = read_source(name)
    checked = check(source, files)
    checked.diagnostics.raise_errors()
    if not quiet:
        show(checked.diagnostics.warnings)
    return checked


def chosen_function(file: str, name: str | None, dims: Mapping[str, int], quiet: bool) -> Function:
    """A function of a program file, with sizes that it allows. Raises TpcError."""
    from tpc.function import choose
    from tpc.sizes import Solution, check_constraints

    chosen = choose(checked_source(file, quiet), name)
    chosen.check_sizes(dims)
    given = Solution(dict(dims), dict.fromkeys(dims, "`--dim` says so"))
    check_constraints(chosen.generic().where, given, chosen.name, chosen.span)
    return chosen


def parse_dims(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, int]:
    """`n=1000,m=20` as sizes."""
    sizes: dict[str, int] = {}
    for item in ",".join(values).split(",") if values else ():
        name, sign, number = item.partition("=")
        digits = number.strip().replace("_", "")
        if not sign or not name.strip() or not digits.isdecimal() or len(digits) > 18:
            raise click.BadParameter(f"`{item}` is no size, such as n=1000", context, parameter)
        sizes[name.strip()] = int(digits)
    return sizes


def parse_memory(context: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    from tpc.memory import parse_amount

    try:
        amount = None if value is None else parse_amount(value)
    except ValueError as error:
        raise click.BadParameter(str(error), context, parameter) from None
    if amount == 0:
        raise click.BadParameter("0 bytes hold nothing; give an amount such as 2GB", context, parameter)
    return amount


def all_sizes(function: Function, dims: Mapping[str, int], memory: int | None) -> None:
    """Refuse a budget for sizes that are open, since there is a plan under it only for sizes that are known."""
    from tpc.passes.choose.samples import open_sizes

    missing = [name for name in open_sizes(function.generic()) if name not in dims]
    if memory is not None and missing:
        raise click.UsageError(f"--memory needs all sizes; give --dim {missing[0]}=...")


# ---- completion


def function_names(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    return [CompletionItem(n) for n in _parameters(context.params.get("file")) if n.startswith(incomplete)]


def input_names(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """`X=` for the inputs of the program, and files and words behind it."""
    from click.shell_completion import CompletionItem

    name, sign, start = incomplete.partition("=")
    if sign:
        folder = Path(start).parent if "/" in start else Path()
        found = sorted(folder.iterdir()) if folder.is_dir() else []
        words = [f"{p}/" if p.is_dir() else str(p) for p in found] + ["random", "zeros", "ones"]
        return [CompletionItem(f"{name}={word}") for word in words if word.startswith(start)]
    functions = _parameters(context.params.get("file"))
    chosen = context.params.get("function") or ("main" if "main" in functions else next(reversed(functions), None))
    return [CompletionItem(f"{p}=") for p in functions.get(chosen or "", ()) if p.startswith(incomplete)]


def parameter_names(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    functions = _parameters(context.params.get("file"))
    chosen = context.params.get("function") or ("main" if "main" in functions else next(reversed(functions), None))
    return [CompletionItem(p) for p in functions.get(chosen or "", ()) if p.startswith(incomplete)]


def _parameters(file: str | None) -> dict[str, list[str]]:
    """The functions of a file and their parameters; nothing if it cannot be read."""
    from tpc.dsl.diagnostics import Diagnostics, TpcError
    from tpc.dsl.parser import parse
    from tpc.dsl.syntax import Def

    if file is None:  # click reads no arguments while an option waits for its value
        words = os.environ.get("COMP_WORDS", "").split()
        file = next((word for word in words if word.endswith(".tp")), "-")
    if file == "-":
        return {}
    try:
        module = parse(read_source(file)[0], Diagnostics())
    except TpcError:
        return {}
    return {d.name.name: [p.name.name for p in d.parameters] for d in module.items if isinstance(d, Def)}


function_option = click.option(
    "-f", "--function", metavar="NAME", shell_complete=function_names, help="The function (else `main`, or the last)."
)
dims_option = click.option(
    "--dim",
    "dims",
    multiple=True,
    metavar="n=1000",
    callback=parse_dims,
    help="Fix a size; may be given several times.",
)
mode_option = click.option(
    "--mode",
    default="stable",
    type=click.Choice(["bitwise", "stable", "fast"]),
    help="What may change in rounding: nothing, nothing for the worse (stable), or anything equal on paper.",
)
backend_option = click.option(
    "--backend", default="auto", type=click.Choice(["auto", "numpy", "torch", "llvm"]), help="What runs it."
)
memory_option = click.option(
    "--memory",
    callback=parse_memory,
    metavar="512MB",
    help="What the program may hold at one time; values that do not fit are computed again.",
)
tolerance_option = click.option(
    "--tolerance",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.0,
    help="Relative error that each result may have, spent over the constants that it is computed with.",
)
threads_option = click.option("--threads", type=click.IntRange(1), help="Threads for linear algebra.")
calls_option = click.option(
    "--calls",
    type=click.IntRange(1),
    default=100,
    show_default=True,
    help="How often the function is called with the same `param` arguments; work on these alone is done once.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
