"""What commands say: messages and talk on stderr, results on stdout."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any

import click

from tpc.dsl.diagnostics import Diagnostic
from tpc.dsl.render import render_json, render_text

VERSION = 1  # of the JSON that commands print
PATIENCE = 0.5  # seconds before progress is shown


def has_color(stream: IO[str]) -> bool:
    """Whether to colour: `NO_COLOR` forbids, `FORCE_COLOR` demands, else it depends on the terminal."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def talk(text: str) -> None:
    """A line for people."""
    click.echo(text, err=True)


def show(diagnostics: Sequence[Diagnostic]) -> None:
    """Messages as text."""
    color = has_color(sys.stderr)
    for diagnostic in diagnostics:
        click.echo(render_text(diagnostic, color) + "\n", err=True, color=color)


def print_json(ok: bool, **content: Any) -> None:
    """One JSON object on stdout."""
    click.echo(json.dumps({"version": VERSION, "ok": ok, **content}, ensure_ascii=False, allow_nan=False))


def as_json(diagnostics: Sequence[Diagnostic]) -> list[dict[str, object]]:
    return [render_json(d) for d in diagnostics]


@contextmanager
def progress(text: str) -> Iterator[None]:
    """Show that something goes on, if it takes long and stderr is a terminal."""
    if not sys.stderr.isatty():
        yield
        return
    shown: list[Any] = []
    lock = threading.Lock()
    done = False

    def begin() -> None:
        from rich.console import Console
        from rich.text import Text

        with lock:
            if not done:
                status = Console(stderr=True).status(Text(text))
                status.start()
                shown.append(status)

    timer = threading.Timer(PATIENCE, begin)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        with lock:
            done = True
        for status in shown:
            status.stop()
