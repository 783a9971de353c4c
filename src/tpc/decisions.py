"""What was decided between NumPy and native code, kept on disk: by sizes, the seconds of a call in both.

So the next process decides alike. An entry belongs to a plan, the machine and the versions, as all code does; it is
checked as it is read.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from tpc import cache
from tpc.backends import store
from tpc.backends.fields import read_list
from tpc.code import Code

MOST = 1000  # sizes of a plan

Times = dict[tuple[int, ...], tuple[float, float]]


class Decisions:
    """Those of one plan.

    Parameters
    ----------
    code
        The plan in NumPy.
    threads
        How many threads a call may take; None is as many as there are.
    """

    def __init__(self, code: Code, threads: int | None) -> None:
        self._key = cache.surrounded([code.emitted.source, threads, os.environ.get("TPC_THREADS", "")], "llvm")

    def find(self) -> Times:
        """All that was decided; nothing where there is no cache, or the entry is damaged."""
        found = cache.read(self._key) if store.folder() is not None else None
        try:
            return {} if found is None else dict(_decision(data) for data in read_list(found))
        except ValueError:
            return {}

    def keep(self, times: Mapping[tuple[int, ...], tuple[float, float]]) -> None:
        """Add what was decided to what other processes have."""
        if store.folder() is not None:
            known = [*{**self.find(), **times}.items()][-MOST:]
            cache.write(self._key, [[list(sizes), list(seconds)] for sizes, seconds in known])


def _decision(data: object) -> tuple[tuple[int, ...], tuple[float, float]]:
    sizes, seconds = (read_list(part) for part in read_list(data, 2))
    if not all(type(size) is int for size in sizes) or len(seconds) != 2:
        raise ValueError("sizes")
    if not all(isinstance(s, float) and 0 < s < float("inf") for s in seconds):
        raise ValueError("seconds")
    return tuple(sizes), (seconds[0], seconds[1])
