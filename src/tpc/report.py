"""A file that holds what we need to know when tpc itself fails."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import traceback
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

MAX_PROGRAM = 200_000


def write_report(error: BaseException, arguments: Sequence[str]) -> str | None:
    """Write the traceback, the command, the program and the versions to a file; its path, or None.

    No data of arrays are written.
    """
    import tpc

    parts = [
        f"tpc {tpc.__version__}, Python {platform.python_version()}, {platform.platform()}",
        *(f"{name} {version}" for name, version in loaded_versions().items()),
        f"command: tpc {' '.join(arguments)}",
        "",
        "".join(traceback.format_exception(error)),
    ]
    for argument in arguments:
        if argument.endswith(".tp") and os.path.isfile(argument):
            text = Path(argument).read_text("utf-8", "replace")[:MAX_PROGRAM]
            parts += [f"---- {argument}", text]
    try:
        descriptor, path = tempfile.mkstemp(prefix="tpc-report-", suffix=".txt")
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write("\n".join(parts))
    except OSError:
        return None
    return path


def loaded_versions() -> dict[str, str]:
    """The versions of the libraries that this process uses."""
    names = ("numpy", "scipy", "torch", "networkx", "lark", "click")
    return {name: version(name) for name in names if name in sys.modules}
