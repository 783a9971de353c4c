"""How compiled functions use native code: calls that go to it at once, and its threads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tpc.ir.dims import multiply, substitute
from tpc.threads import ThreadLimit, settings

if TYPE_CHECKING:
    from tpc.compiled import Compiled
    from tpc.ir.dims import DimLike
    from tpc.ir.node import Program
    from tpc.passes.choose.short import Polynomial
    from tpc.specialised import Specialised

DIGITS = 100  # of the smallest of the numbers that plans are compared by


def call_at_once(compiled: Compiled, special: Specialised) -> None:
    """Let calls of a function go straight to its native code, where that is all of it; else do nothing.

    Of several plans each is tried in turn: one that another behind it beats at the sizes of a call hands it on. What
    no native code takes goes the way that it went before, which may be native code for other types. `cost` and
    `seconds` then speak of the last call that took that way.
    """
    from tpc.backends.llvm import blas, entry
    from tpc.backends.llvm.stages import Staged

    run, emitted, dims = special.run, special.code.emitted, compiled._settings.dims
    threads = compiled._settings.threads
    conditions = guards(special.program, dims)
    if not isinstance(run, Staged) or not emitted.whole or not run.lowered or conditions is None or emitted.sizes:
        return
    if threads is not None and any(blas.is_routine(s) for native in run.lowered.values() for s in native.symbols):
        return  # a limit of BLAS is set around each call
    results: Any = tuple if len(special.program.output_names) == 1 else special.together
    parameters = [node["name"] for node in special.program.inputs]
    entered = as_before(compiled)
    for number, name in reversed(list(enumerate(emitted.whole))):
        cheapest = _left(
            [_spared(special.code.seconds, number, k) for k in range(number + 1, len(emitted.whole))], dims
        )
        if cheapest is not None:
            native = run.lowered[name]
            entered = entry.entry(
                native, entered, parameters, nonnegative=[*conditions, *cheapest], results=results, threads=threads
            )
    entry.call_at_once(compiled, entered)


def as_before(compiled: Compiled) -> Callable[..., Any]:
    """A function that calls go on to as they went so far: by the class, or by what an earlier time put in its place."""
    call = compiled.__call__

    def slow(*args: Any, **kwargs: Any) -> Any:
        return call(*args, **kwargs)

    slow.__name__, slow.__doc__ = compiled.__name__, compiled.__doc__
    return slow


def _spared(seconds: Sequence[Polynomial], one: int, other: int) -> DimLike:
    """How much longer the other plan takes than one, in units in which whole numbers are exact enough."""
    difference: dict[DimLike, float] = {}
    for sign, terms in ((-1, seconds[one]), (1, seconds[other])):
        for dim, c in terms:
            difference[dim] = difference.get(dim, 0.0) + sign * c
    unit = min((abs(c) for c in difference.values() if c), default=1.0) / DIGITS
    return sum((multiply(dim, round(c / unit)) for dim, c in difference.items()), 0)


def guards(program: Program, dims: Mapping[str, int]) -> list[DimLike] | None:
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
    return _left(found, dims)


def _left(found: Sequence[DimLike], dims: Mapping[str, int]) -> list[DimLike] | None:
    """What is open of conditions, where some sizes are fixed; None where one of them does not hold."""
    left = [substitute(over, dims) for over in found]
    return None if any(isinstance(n, int) and n < 0 for n in left) else [n for n in left if not isinstance(n, int)]


def thread_limit(threads: int) -> ThreadLimit:
    """A limit for native code too, and the BLAS that it calls."""
    from tpc.backends.llvm import blas, engine

    blas.threads()  # which loads the library
    return ThreadLimit(threads, [*settings(), engine.thread_setting()])
