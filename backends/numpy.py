"""The NumPy backend: readable modules that use NumPy and SciPy alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from tpc.backends import emit, guard
from tpc.backends.contract import Backend, Emitted
from tpc.backends.dialect import Dialect
from tpc.backends.numpy_functions import FUNCTIONS
from tpc.backends.numpy_helpers import HELPERS
from tpc.backends.numpy_table import OPS, REDUCERS
from tpc.ir.node import Node, Program

DIALECT = Dialect("numpy", FUNCTIONS, REDUCERS, OPS, HELPERS)


class NumpyBackend:
    """See `contract`."""

    name = "numpy"

    def emit(self, program: Program, names: Mapping[Node, str] | None = None) -> Emitted:
        return emit.emit(program, DIALECT, names)

    def load(self, emitted: Emitted) -> Callable[..., Any]:
        import numpy as np
        import scipy.fft
        import scipy.linalg
        import scipy.special

        tree = guard.check(emitted.source)
        found = guard.namespace(tree, {"np": np, "scipy": scipy}, emitted.constants)
        function: Callable[..., Any] = found[emitted.function]

        @wraps(function)
        def quiet(*arguments: Any, **sizes: int) -> Any:
            # infinities and NaN are values here: what they mean is the program's affair
            with np.errstate(all="ignore"):
                return function(*arguments, **sizes)

        return quiet


BACKEND: Backend = NumpyBackend()
