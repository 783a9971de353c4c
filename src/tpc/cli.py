"""The command line.

Exit codes: 0 fine; 1 the program or its data is wrong; 2 the command line is wrong; 3 our fault; 130 interrupted;
141 nobody reads the output any more.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NoReturn

import click

from tpc import __version__
from tpc.console import as_json, print_json, show, talk
from tpc.dsl.diagnostics import InternalError, TpcError
from tpc.interrupts import INTERRUPTED, interruptible

# Each verb with the line that stands for it in `tpc --help`; its module is read when it is used.
COMMANDS = {
    "run": "Run a program on data and print or save the results.",
    "check": "Look for errors in programs without running them.",
    "explain": "Show what a program does and costs, or what an error code means.",
    "compile": "Write the compiled program: as Python, torch or typed text.",
    "inspect": "Find structure in matrices, and say what to declare.",
    "grad": "Print the derivative of a function as a program.",
    "fmt": "Lay out programs in the canonical way.",
    "new": "Make a folder with a first program and its data.",
    "cache": "Show or remove what is kept of compiled programs on disk.",
    "calibrate": "Measure how fast this machine is, for predicted times.",
    "doctor": "Show versions, backends and threads of this installation.",
    "completion": "Print a script that teaches a shell to complete tpc commands.",
}

OVERVIEW = """\
tpc new ridge && tpc run ridge/ridge.tp

  tpc new ridge            make a folder with a program and data to begin with
  tpc run ridge.tp         run a program; its inputs as X=x.npy y=data.csv:price s=0.5
  tpc check ridge.tp       look for errors without running
  tpc explain ridge.tp     what it does, with shapes, facts, operations and bytes
  tpc explain E0203        what an error code means
  tpc compile ridge.tp     the Python code that runs
  tpc grad loss.tp --by w  the gradient of a function, as a program
  tpc fmt ridge.tp         lay a program out
  tpc doctor               versions, backends, threads

tpc --help lists all commands; tpc run --help shows how to give data."""


class ReaderGone(Exception):
    """Nobody reads our output any more."""


class Commands(click.Group):
    """The verbs, and what becomes of errors."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command: click.Command = import_module(f"tpc.commands.{name}").command
        return command

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            import difflib

            close = difflib.get_close_matches(name, COMMANDS, 1, 0.5)
            hint = f" Did you mean `tpc {close[0]}`?" if close else ""
            if name == "help":
                hint = " Did you mean `tpc --help`?"
            if name.endswith(".tp"):
                hint = f" Did you mean `tpc run {name}`?"
            raise click.UsageError(f"There is no command `{name}`.{hint}", context)
        return super().resolve_command(context, args)

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except BrokenPipeError:  # click would make it an exit code of 1
            raise ReaderGone from None

    def main(  # type: ignore[override]
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any
    ) -> NoReturn:
        arguments = list(args) if args is not None else sys.argv[1:]
        extra["standalone_mode"] = False
        sys.exit(_guarded(lambda: super(Commands, self).main(arguments, prog_name or "tpc", **extra), arguments))


def _guarded(run: Any, arguments: Sequence[str]) -> int:
    """Run, and turn whatever goes wrong into a message and an exit code."""
    try:
        with interruptible("interrupted"):
            code = run()
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except TpcError as error:
        if "--json" in arguments:
            print_json(False, diagnostics=as_json(error.diagnostics))
        else:
            show(error.diagnostics)
        return 1
    except click.ClickException as error:
        _explained(error).show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort, EOFError):
        talk("interrupted")
        return INTERRUPTED
    except (ReaderGone, BrokenPipeError):
        # whoever read our output has gone; nothing more may be written, not even at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except MemoryError:
        talk("error[E0901]: there is not enough memory")
        return 1
    except Exception as error:  # an error that is not the user's is ours
        from tpc.report import write_report

        path = write_report(error, arguments)
        stage = error.stage if isinstance(error, InternalError) else type(error).__name__
        where = f"; please report it with the file {path}" if path else ""
        talk(f"tpc failed through a fault of its own ({stage}){where}")
        return 3


def _explained(error: click.ClickException) -> click.ClickException:
    """An error of the command line; that of `--X x.csv` or `--n 3` says how arguments and sizes are written."""
    if not isinstance(error, click.NoSuchOption) or error.ctx is None:
        return error
    name = error.option_name.lstrip("-")
    options = {parameter.name for parameter in error.ctx.command.params}
    if name in ("size", "sizes", "dims", "shape") and "dims" in options:
        return click.UsageError(f"No such option '{error.option_name}'. Give sizes as `--dim n=100`.", error.ctx)
    if not name.isidentifier() or (len(name) > 2 and error.possibilities):
        return error
    ways = [f"the argument `{name}` as `{name}=x.npy`"] if "inputs" in options else []
    ways += [f"the size `{name}` as `--dim {name}=3`"] if "dims" in options else []
    told = f"No such option '{error.option_name}'. Give {' or '.join(ways)}."
    return click.UsageError(told, error.ctx) if ways else error


@click.group(
    "tpc",
    cls=Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 fine, 1 the program or its data is wrong, 2 the command line is wrong, 3 our fault.",
)
@click.version_option(__version__, "-V", "--version", message="tpc %(version)s")
@click.pass_context
def cli(context: click.Context) -> None:
    """Tensor programs, written as formulas and run fast."""
    if context.invoked_subcommand is None:
        click.echo(OVERVIEW)


def main() -> NoReturn:
    """The entry point `tpc`."""
    cli.main(prog_name="tpc")
