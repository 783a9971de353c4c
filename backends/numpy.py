"""The NumPy backend: readable modules that use NumPy and SciPy alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from importlib import import_module
from typing import Any

from tpc.backends import choice, emit, guard
from tpc.backends.contract import Backend, Emitted
from tpc.backends.dialect import Dialect
from tpc.backends.numpy_functions import FUNCTIONS
from tpc.backends.numpy_helpers import HELPERS
from tpc.backends.numpy_kernels import KERNEL_HELPERS
from tpc.backends.numpy_table import OPS, REDUCERS
from tpc.ir.node import Node, Program

DIALECT = Dialect("numpy", FUNCTIONS, REDUCERS, OPS, HELPERS | KERNEL_HELPERS)


class NumpyBackend:
    """See `contract`."""

    name = "numpy"

    def emit(self, program: Program, names: Mapping[Node, str] | None = None) -> Emitted:
        return emit.emit(program, DIALECT, names)

    def emit_choice(self, alternatives: Sequence[choice.Alternative]) -> Emitted:
        return choice.emit(alternatives, emit.Module(DIALECT, choice.names(alternatives)))

    def constant(self, node: Node) -> Any:
        return emit.constant(node, DIALECT)

    def helpers(self) -> Mapping[str, Callable[..., Any]]:
        found = namespace(emit.helpers(DIALECT), {})
        return {name: found[name] for name in DIALECT.helpers}

    def load(self, emitted: Emitted) -> Callable[..., Any]:
        import numpy as np

        function: Callable[..., Any] = namespace(emitted.source, emitted.constants)[emitted.function]

        @wraps(function)
        def quiet(*arguments: Any, **sizes: int) -> Any:
            # infinities and NaN are values here: what they mean is the program's affair
            with np.errstate(all="ignore"):
                return function(*arguments, **sizes)

        return quiet


def namespace(source: str, constants: Mapping[str, Any]) -> dict[str, Any]:
    """What a module of source defines."""
    import numpy as np
    import scipy

    for module in ("fft", "linalg", "sparse", "special"):  # each takes long to load
        if f"scipy.{module}." in source:
            import_module(f"scipy.{module}")
    return guard.namespace(guard.check(source), {"np": np, "scipy": scipy}, constants)


BACKEND: Backend = NumpyBackend()
