"""How compiled functions use native code: calls that go to it at once, and its threads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tpc.ir.dims import substitute
from tpc.threads import ThreadLimit, settings

if TYPE_CHECKING:
    from tpc.compiled import Compiled
    from tpc.ir.dims import DimLike
    from tpc.ir.node import Program
    from tpc.specialised import Specialised


def call_at_once(compiled: Compiled, special: Specialised) -> None:
    """Let calls of a function go straight to its native code, where that is all of it; else do nothing.

    What the native code does not take goes the way that it went before, which may be native code for other types.
    `cost` and `seconds` then speak of the last call that took that way.
    """
    from tpc.backends.llvm import entry
    from tpc.backends.llvm.stages import Staged

    run, emitted = special.run, special.code.emitted
    guards = _guards(special.program, compiled._settings.dims)
    if not isinstance(run, Staged) or emitted.whole not in run.lowered or guards is None or emitted.sizes:
        return
    call = compiled.__call__  # of the class, or what an earlier time put in its place

    def slow(*args: Any, **kwargs: Any) -> Any:
        return call(*args, **kwargs)

    slow.__name__, slow.__doc__ = compiled.__name__, compiled.__doc__
    results: Any = tuple if len(special.program.output_names) == 1 else special.together
    parameters = [node["name"] for node in special.program.inputs]
    entered = entry.entry(run.lowered[emitted.whole], slow, parameters, nonnegative=guards, results=results)
    entry.call_at_once(compiled, entered)


def _guards(program: Program, dims: Mapping[str, int]) -> list[DimLike] | None:
    """What must not be negative for the constraints on sizes to hold, where some are fixed; None where that cannot be
    said so, or does not hold."""
    found: list[DimLike] = []
    for constraint in program.where:
        difference = constraint.left - constraint.right
        match constraint.relation:
            case ">=":
                found.append(difference)
            case ">":
                found.append(difference - 1)
            case "<=":
                found.append(-1 * difference)
            case "<":
                found.append(-1 * difference - 1)
            case "==":
                found += [difference, -1 * difference]
            case _:
                return None
    left = [substitute(over, dims) for over in found]
    return None if any(isinstance(n, int) and n < 0 for n in left) else [n for n in left if not isinstance(n, int)]


def thread_limit(threads: int) -> ThreadLimit:
    """A limit for native code too, and the BLAS that it calls."""
    from tpc.backends.llvm import blas, engine

    blas.threads()  # which loads the library
    return ThreadLimit(threads, [*settings(), engine.thread_setting()])
