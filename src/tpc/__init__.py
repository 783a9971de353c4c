"""tpc: a small language for tensor programs and a compiler that treats them as mathematics.

>>> import tpc
>>> f = tpc.compile("def scaled(x: f64[n], s: f64 = 2) -> f64[n] = s * x")
>>> f([1, 2, 3])
array([2., 4., 6.])
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tpc.api import Library, compile, load, program
    from tpc.compiled import Compiled
    from tpc.cost import Cost
    from tpc.dsl.diagnostics import Diagnostic, InternalError, TpcError
    from tpc.inspection.finding import Inspection
    from tpc.inspection.search import inspect
    from tpc.layer import module

# In a checkout whose git made no links (Windows), the folders are found at the top of the tree.
if not (Path(__file__).parent / "dsl").is_dir():
    __path__.append(str(Path(__file__).parents[2]))

__version__ = "0.1.0"

# Names are looked up where they are defined when they are first used, so that `import tpc` costs nothing.
_HOMES = {
    "compile": "tpc.api",
    "load": "tpc.api",
    "program": "tpc.api",
    "inspect": "tpc.inspection.search",
    "module": "tpc.layer",
    "Inspection": "tpc.inspection.finding",
    "Library": "tpc.api",
    "Compiled": "tpc.compiled",
    "Cost": "tpc.cost",
    "Diagnostic": "tpc.dsl.diagnostics",
    "InternalError": "tpc.dsl.diagnostics",
    "TpcError": "tpc.dsl.diagnostics",
}

__all__ = [
    "Compiled",
    "Cost",
    "Diagnostic",
    "Inspection",
    "InternalError",
    "Library",
    "TpcError",
    "__version__",
    "compile",
    "inspect",
    "load",
    "module",
    "program",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'tpc' has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
