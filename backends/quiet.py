"""NumPy without warnings: infinities and NaN are values of a program, and what they mean is the program's affair.

Entering `np.errstate` takes longer than most small products. NumPy keeps these settings in a context variable, so that
a context in which they are set once will do for all calls. No two calls are in one context at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context
from functools import cache
from typing import Any

import numpy as np


class _Settings:
    """In the place of a context for NumPy before version 2, which kept these settings by thread."""

    def run(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        with np.errstate(all="ignore"):
            return function(*arguments, **named)


_free: list[Context | _Settings] = []  # taking from a list and adding to it are single steps, for all threads


def quietly(function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """What a function gives, with no warning of numbers on the way."""
    try:
        context = _free.pop()
    except IndexError:
        context = _quiet() if _has_contexts() else _Settings()
    try:
        return context.run(function, *arguments, **named)
    finally:
        _free.append(context)


def _quiet() -> Context:
    context = Context()
    context.run(np.seterr, all="ignore")
    return context


@cache
def _has_contexts() -> bool:
    """Whether NumPy keeps its settings in the context."""
    with np.errstate(all="warn"):
        context = _quiet()
        return np.geterr()["over"] == "warn" and context.run(np.geterr)["over"] == "ignore"
