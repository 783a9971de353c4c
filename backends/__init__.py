"""Programs to running code. `contract` says what a backend promises; each backend is a table and a way to run.

A backend's own library is imported when the backend is asked for, and not before.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tpc.backends.contract import Backend

NAMES = ("numpy", "torch", "llvm")


def backend(name: str) -> Backend:
    """The backend called `name`.

    Raises
    ------
    KeyError
        If there is none.
    ImportError
        If its library is not installed.
    """
    if name not in NAMES:
        raise KeyError(name)
    found: Backend = import_module(f"tpc.backends.{name}").BACKEND
    return found
