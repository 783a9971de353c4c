"""The NumPy backend: readable modules that use NumPy and SciPy alone."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from tpc.backends import choice, emit, guard
from tpc.backends.contract import Backend, Emitted
from tpc.backends.dialect import Dialect
from tpc.backends.numpy_functions import FUNCTIONS
from tpc.backends.numpy_helpers import HELPERS
from tpc.backends.numpy_kernels import KERNEL_HELPERS
from tpc.backends.numpy_recurrences import RECURRENCE_HELPERS
from tpc.backends.numpy_sparse_helpers import SPARSE_HELPERS
from tpc.backends.numpy_structured import STRUCTURED_HELPERS
from tpc.backends.numpy_table import OPS, REDUCERS
from tpc.ir.node import Node, Program

if TYPE_CHECKING:
    from tpc.backends.running import Running

DIALECT = Dialect(
    "numpy",
    FUNCTIONS,
    REDUCERS,
    OPS,
    HELPERS | KERNEL_HELPERS | RECURRENCE_HELPERS | STRUCTURED_HELPERS | SPARSE_HELPERS,
)


class NumpyBackend:
    """See `contract`."""

    name = "numpy"

    def emit(self, program: Program, names: Mapping[Node, str] | None = None, *, tight: bool = False) -> Emitted:
        return emit.emit(program, DIALECT, names, tight)

    def emit_choice(self, alternatives: Sequence[choice.Alternative]) -> Emitted:
        return choice.emit(alternatives, emit.Module(DIALECT, choice.names(alternatives)))

    def constant(self, node: Node) -> Any:
        return emit.constant(node, DIALECT)

    def helpers(self) -> Mapping[str, Callable[..., Any]]:
        found = _namespace(guard.check(emit.helpers(DIALECT)), {})
        return {name: found[name] for name in DIALECT.helpers}

    def load(self, emitted: Emitted) -> Running:
        from tpc.backends.running import Running

        return Running(emitted, *read(emitted))


def read(emitted: Emitted) -> tuple[ast.FunctionDef, dict[str, Any]]:
    """The function that users call, which is the last of a module, and what the module defines."""
    tree = guard.check(emitted.source)
    main = tree.body[-1]
    assert isinstance(main, ast.FunctionDef)
    return main, _namespace(tree, emitted.constants)


def _namespace(tree: ast.Module, constants: Mapping[str, Any]) -> dict[str, Any]:
    import numpy as np
    import scipy

    imported = {alias.name for s in tree.body if isinstance(s, ast.Import) for alias in s.names}
    for module in sorted(name for name in imported if name.startswith("scipy.")):  # each takes long to load
        import_module(module)
    return guard.namespace(tree, {"np": np, "scipy": scipy}, constants)


BACKEND: Backend = NumpyBackend()
