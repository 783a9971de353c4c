"""`tpc cache`"""

from __future__ import annotations

import click

from tpc.commands.arguments import json_option
from tpc.console import print_json


@click.command("cache")
@click.option("--clear", is_flag=True, help="Remove all of it, and say how much that was.")
@click.option("--path", is_flag=True, help="Print the folder alone.")
@json_option
def command(clear: bool, path: bool, as_json: bool) -> int:
    """Show what is kept of compiled programs on disk: where, how many files, and how large they are.

    `TPC_CACHE` names another folder, or switches the cache off with `off`; `TPC_CACHE_MB` says how large it may become
    (200). What was not used for longest goes first. It can be removed at any time.
    """
    from tpc.backends import store
    from tpc.memory import amount

    if clear and path:
        raise click.UsageError("--clear and --path do not go together")
    place = store.folder()
    folder = None if place is None else str(place)
    if clear:
        files, size = store.clear()
        if as_json:
            print_json(True, folder=folder, removed={"files": files, "bytes": size})
        else:
            click.echo(f"removed {_counted(files)}, {amount(size)}")
        return 0
    if path and not as_json:
        click.echo(folder or "off")
        return 0
    found = store.files()
    files, size = store.usage()
    if as_json:
        kinds = {kind: {"files": count, "bytes": total} for kind, (count, total) in found.items()}
        print_json(True, folder=folder, files=files, bytes=size, limit=store.limit(), kinds=kinds)
        return 0
    rows = [("folder", folder or "off")]
    rows += [(kind, f"{_counted(count)}, {amount(total)}") for kind, (count, total) in found.items()]
    rows += [("together", f"{_counted(files)}, {amount(size)} of {amount(store.limit())}")]
    for name, text in rows:
        click.echo(f"{name:<10}  {text}")
    return 0


def _counted(files: int) -> str:
    return f"{files} file{'s' if files != 1 else ''}"
