"""The options of a compilation, checked."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args

from tpc.dsl.diagnostics import TpcError, fail
from tpc.ir.elaborate.scope import suggestion
from tpc.memory import parse_amount

BackendName = Literal["auto", "numpy", "torch", "llvm"]
Mode = Literal["bitwise", "stable", "fast"]
NEEDS = {"torch": "torch", "llvm": "llvmlite"}  # the package of a backend; also the name of an extra of tpc


@dataclass(frozen=True)
class Settings:
    """See `tpc.compile` for what they mean."""

    backend: BackendName = "auto"
    dims: Mapping[str, int] = field(default_factory=dict)
    mode: Mode = "stable"
    tolerance: float = 0.0
    memory: int | None = None
    threads: int | None = None
    verify: bool = False
    check_facts: bool = False
    calls: int = 100

    @property
    def keeps_sparse(self) -> bool:
        """Whether sparse arguments may stay so: that may exceed a budget, and rounds otherwise."""
        return self.memory is None and self.mode != "bitwise"

    def __post_init__(self) -> None:
        _one_of("backend", self.backend, get_args(BackendName))
        _one_of("mode", self.mode, get_args(Mode))
        if not isinstance(self.dims, Mapping) or not all(isinstance(name, str) for name in self.dims):
            help = 'such as `dims={"n": 1000}`'
            raise fail("E1004", f"`dims` must give sizes by name, not {self.dims!r}", help=help)
        for name, value in self.dims.items():
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise fail("E1004", f"the size {name} must be an integer from 0 on, not {value!r}")
        is_number = isinstance(self.tolerance, (int, float)) and not isinstance(self.tolerance, bool)
        if not is_number or not 0 <= self.tolerance < 1:
            help = "it is the relative error that each result may have, such as `tolerance=1e-2`"
            raise fail(
                "E1004",
                f"`tolerance` must be a number that is at least 0 and below 1, not {self.tolerance!r}",
                help=help,
            )
        if self.threads is not None and (not isinstance(self.threads, int) or self.threads < 1):
            raise fail("E1004", f"`threads` must be an integer from 1 on, not {self.threads!r}")
        if self.memory is not None and (not isinstance(self.memory, int) or self.memory < 1):
            help = 'such as `memory="512MB"`'
            raise fail("E1004", f"`memory` must be an amount from 1 byte on, not {self.memory!r}", help=help)
        if isinstance(self.calls, bool) or not isinstance(self.calls, int) or self.calls < 1:
            raise fail("E1004", f"`calls` must be an integer from 1 on, not {self.calls!r}")
        for backend, package in NEEDS.items():
            if self.backend == backend and importlib.util.find_spec(package) is None:
                raise missing(backend)


def chosen(options: Mapping[str, Any]) -> Settings:
    """The settings of options by name, each as `tpc.compile` takes it.

    Raises
    ------
    TpcError
        E1004 for an option that is not there, or has another value than it may have.
    """
    names = tuple(option.name for option in fields(Settings))
    for name in options:
        if name not in names:
            close = suggestion(name, names)
            help = f"did you mean `{close}`?" if close else f"the options are: {', '.join(names)}"
            raise fail("E1004", f"there is no option `{name}`", help=help)
    dims = options.get("dims")
    return Settings(**{**options, "dims": {} if dims is None else dims, "memory": _bytes(options.get("memory"))})


def _bytes(memory: int | str | None) -> int | None:
    if isinstance(memory, str):
        try:
            return parse_amount(memory)
        except ValueError as error:
            raise fail("E1004", f"`memory`: {error}") from None
    return memory


def missing(backend: str) -> TpcError:
    """That a backend lacks its package."""
    return fail("E1003", f"{NEEDS[backend]} is not installed", help=f'install it with `pip install "tpc[{backend}]"`')


def _one_of(option: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        close = suggestion(str(value), allowed)
        listed = ", ".join(f'"{a}"' for a in allowed)
        help = f'did you mean "{close}"?' if close else f"it is one of {listed}"
        raise fail("E1004", f"`{option}` cannot be {value!r}".replace("'", '"'), help=help)
