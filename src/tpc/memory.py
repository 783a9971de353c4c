"""How much memory may be taken, and amounts of it in words."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from tpc.dsl.diagnostics import fail

_chosen: ContextVar[int | None] = ContextVar("_chosen", default=None)
_UNITS = ("bytes", "KB", "MB", "GB", "TB", "PB")


def limit() -> int:
    """Bytes that the values of one program may take: what was chosen, or the memory of this machine."""
    chosen = _chosen.get()
    return physical() if chosen is None else chosen


@contextmanager
def limited(size: int | None) -> Iterator[None]:
    """Within this context `limit()` is `size` bytes; None changes nothing."""
    token = _chosen.set(_chosen.get() if size is None else size)
    try:
        yield
    finally:
        _chosen.reset(token)


def physical() -> int:
    """The memory of this machine in bytes; 16 GB where the system does not tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 16 * 10**9


def amount(size: int) -> str:
    """Bytes in words: `1.5 GB`."""
    value = float(size)
    for unit in _UNITS:
        if value < 1000 or unit == _UNITS[-1]:
            return f"{value:.0f} {unit}" if unit == "bytes" or value >= 100 else f"{value:.3g} {unit}"
        value /= 1000
    raise AssertionError(size)


def parse_amount(text: str) -> int:
    """`2GB`, `512 MB`, `1e9`: bytes. Raises ValueError."""
    match = re.fullmatch(r"\s*([0-9.]+(?:e[0-9]+)?)\s*([kmgtp]?)i?b?(?:ytes)?\s*", text.lower())
    if match is None:
        raise ValueError(f"{text!r} is no amount of memory, such as 2GB")
    return int(float(match[1]) * 1000.0 ** " kmgtp".index(match[2] or " "))


def allow_file(size: int, name: str, what: str = "it holds") -> None:
    """Refuse data that would not fit, before any of it is read.

    Raises
    ------
    TpcError
        E0910.
    """
    if size > limit():
        raise fail(
            "E0910",
            f"`{name}` is too large: {what} {amount(size)}, and the limit is {amount(limit())}",
            help="the limit is the memory of this machine, or what `--max-memory` says",
        )
