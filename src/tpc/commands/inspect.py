"""`tpc inspect`"""

from __future__ import annotations

from pathlib import Path

import click

from tpc.commands.arguments import json_option
from tpc.console import print_json, progress


@click.command("inspect")
@click.argument("files", nargs=-1, required=True)
@click.option(
    "--tolerance",
    type=click.FloatRange(0, 1, max_open=True),
    metavar="1e-8",
    help="Largest relative error (Frobenius).",
)
@json_option
def command(files: tuple[str, ...], tolerance: float | None, as_json: bool) -> int:
    """Find structure in the matrices of FILES, and say what to declare.

    A file is given as for an input: A.npy, data.npz:X, A.mtx, table.csv. What is reported is compared with all entries;
    by default it is exact to 1e-8, and to 1e-4 in single precision.
    """
    from tpc.data import read, split_member
    from tpc.inspection.search import inspect
    from tpc.inspection.showing import as_json as content
    from tpc.inspection.showing import text

    found = []
    for name in files:
        path, member = split_member(name)
        array = read(Path(path), path, member).array
        with progress(f"looking at {name}"):
            inspected = inspect(array, tolerance=tolerance, name=_name(member or Path(path).stem))
        found.append({"file": name, **content(inspected)})
        if not as_json:
            if len(files) > 1:
                click.echo(f"{name}:")
            click.echo(text(inspected))
    if as_json:
        print_json(True, matrices=found)
    return 0


def _name(text: str) -> str:
    """The name of a file, where it can be one in a program."""
    return text if text.isidentifier() else "A"
