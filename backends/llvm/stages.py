"""A program that runs at once, and natively as soon as that is ready.

The functions of a module that have native code are written in NumPy as well. Until native code is there, they run; a
thread compiles meanwhile, or loads what the cache has, once the calls so far have taken long enough for that to pay.
A fork waits until that is done; a child process that has lost the thread begins again.
"""

from __future__ import annotations

import ast
import threading
from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any

from tpc.backends.contract import Emitted
from tpc.backends.llvm.signature import Native
from tpc.backends.running import Running

PATIENCE = 0.02  # seconds of calls after which native code is compiled; about a fifth of what that takes


class Staged(Running):
    """The function of an emitted module.

    `finish` waits for native code, or makes it, and `when_ready` is called once it is there. `failure` says why there
    is none, should that go wrong.
    """

    def __init__(self, emitted: Emitted, main: ast.FunctionDef, namespace: dict[str, Any]) -> None:
        super().__init__(emitted, main, namespace)
        self.natives: dict[str, Callable[..., Any]] = {}
        self.lowered: dict[str, Native] = {}
        self.when_ready: Callable[[], None] = lambda: None
        self.failure: Exception | None = None
        self._spent = 0.0
        self._thread: threading.Thread | None = None
        self._is_settled = not emitted.natives

    def __call__(self, *arguments: Any, **sizes: int) -> Any:
        began = perf_counter()
        result = super().__call__(*arguments, **sizes)
        self._took(perf_counter() - began)
        return result

    def checked(self, sizes: Mapping[str, int], variant: int | None = None) -> Callable[..., Any]:
        function = super().checked(sizes, variant)
        if self._is_settled:
            return function

        def timed(*arguments: Any) -> Any:
            began = perf_counter()
            result = function(*arguments)
            self._took(perf_counter() - began)
            return result

        return timed

    def _took(self, seconds: float) -> None:
        if not self._is_settled:
            self._spent += seconds
            if self._spent > PATIENCE:
                self._started()

    def finish(self) -> None:
        """Have native code before returning."""
        if not self._is_settled:
            self._started().join()

    def _started(self) -> threading.Thread:
        """The thread that compiles. Where two begin at once, the second finds it done."""
        thread = self._thread
        if thread is None or not thread.is_alive():
            thread = threading.Thread(target=self._compile, name="tpc-compile", daemon=True)
            thread.start()
            self._thread = thread
        return thread

    def _compile(self) -> None:
        from tpc.backends.llvm.engine import lock

        with lock:
            if self._is_settled:
                return
            try:
                self._replace()
            except Exception as error:  # the module runs without it; `failure` tells, and tests look at it
                self.failure = error
            self._is_settled = True

    def _replace(self) -> None:
        """Put native functions in the places of those of the module, all at once."""
        from tpc.backends.llvm.entry import entry
        from tpc.backends.llvm.lowered import lowered

        for name, region in self.emitted.natives.items():
            self.lowered[name] = lowered(region, name)
            slow = self.namespace[name]
            self.natives[name] = entry(self.lowered[name], slow, region.parameters, region.sizes)
        self.namespace.update(self.natives)
        self.when_ready()
