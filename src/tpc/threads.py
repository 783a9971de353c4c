"""How many threads the libraries of linear algebra may take while a function runs."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any

Setting = tuple[Callable[[], int], Callable[[int], Any]]  # what tells the number of threads of a library, and sets it

_lock = Lock()
_inside = 0  # calls that are within a limit
_before: list[tuple[Callable[[int], Any], int]] = []  # what the first of them has changed, and the last puts back


class ThreadLimit:
    """Within it, libraries take so many threads; it may be entered any number of times.

    The numbers are those of the whole process. Where calls with different limits run at the same time, the limit of the
    last one holds for all, and the numbers from before them are put back when none is left.

    Parameters
    ----------
    settings
        How the libraries are asked and told.
    """

    def __init__(self, threads: int, settings: Sequence[Setting]) -> None:
        self.threads, self.settings = threads, settings

    def __enter__(self) -> None:
        global _inside
        with _lock:
            for get, set in self.settings:
                count = get()
                if count != self.threads:
                    if not any(changed is set for changed, _ in _before):
                        _before.append((set, count))
                    set(self.threads)
            _inside += 1

    def on(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function under this limit."""

        def limited(*arguments: Any, **named: Any) -> Any:
            with self:
                return function(*arguments, **named)

        return limited

    def __exit__(self, *error: object) -> None:
        global _inside
        with _lock:
            _inside -= 1
            if not _inside:
                while _before:
                    set, count = _before.pop()
                    set(count)


_known: dict[str, Setting] = {}  # of each library one pair of functions, so that they compare


def settings(with_scipy: bool = True) -> list[Setting]:
    """Those of the libraries that are loaded, perhaps without SciPy's own; finding them takes milliseconds."""
    from threadpoolctl import ThreadpoolController

    found = ThreadpoolController().lib_controllers
    if not with_scipy:
        found = [library for library in found if "scipy.libs" not in library.filepath]
    return [_known.setdefault(library.filepath, _setting(library)) for library in found]


def _setting(library: Any) -> Setting:
    """The functions of a library, without what threadpoolctl puts around those of OpenBLAS at each call."""
    if library.internal_api == "openblas" and library.threading_layer == "pthreads":
        for prefix in ("", "scipy_"):
            for suffix in ("", "64_", "_64"):
                get = getattr(library.dynlib, f"{prefix}openblas_get_num_threads{suffix}", None)
                set = getattr(library.dynlib, f"{prefix}openblas_set_num_threads{suffix}", None)
                if get is not None and set is not None:
                    get.restype, set.argtypes = ctypes.c_int, [ctypes.c_int]
                    return get, set
    return library.get_num_threads, library.set_num_threads
