"""A compiled function: called with arrays, it compiles for their types once and runs at any sizes."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, Any

from tpc.dsl.diagnostics import TpcError, fail
from tpc.function import Function
from tpc.memory import amount, limit
from tpc.settings import Settings

if TYPE_CHECKING:
    from tpc.backends.contract import Emitted
    from tpc.binding import Bound, Manner
    from tpc.cost import Cost
    from tpc.ir.dims import DimLike
    from tpc.ir.node import Program
    from tpc.passes.pipeline import Plan


@dataclass(frozen=True)
class Specialised:
    """A function compiled for certain types: its program, plan and code."""

    program: Program
    plan: Plan
    emitted: Emitted
    backend: str
    run: Callable[..., Any]
    steps: list[DimLike] = field(default_factory=list)  # bytes held at its steps, once they are counted


class Compiled:
    """A function of a tpc program, ready to be called with arrays.

    Made by `tpc.compile`, `tpc.load` and `tpc.program`. Arguments are given by position or name; they may be NumPy
    arrays, torch tensors, scipy.sparse matrices, lists, numbers, and anything with `__array_interface__` or DLPack.
    Results are NumPy arrays, or torch tensors if any argument is one; several results are a named tuple.

    Raises
    ------
    TpcError
        When called with arguments that do not fit: E0801 to E0815, E0901.
    """

    def __init__(self, function: Function, settings: Settings | None = None) -> None:
        self._function = function
        self._settings = settings or Settings()
        self._cache: dict[tuple[object, ...], Specialised] = {}
        self._current: Specialised | None = None
        self._sizes: dict[str, int] = dict(self._settings.dims)
        self.__name__ = function.name
        self.__doc__ = function.source_text
        self.verification: str | None = None
        self.seconds = 0.0  # that the last call computed, without compiling

    # ---- calling

    def __call__(self, *args: Any, out: Any = None, **kwargs: Any) -> Any:
        """Run the program.

        Parameters
        ----------
        *args, **kwargs
            The arguments, by position and by name.
        out
            An array (or a tuple of arrays) of the result's shape and dtype to write to; it is also returned.
        """
        from tpc.binding import match

        results = self.run(match(self._function, args, kwargs))
        if out is not None:
            return _write_out(results, out)
        values = tuple(results.values())
        if len(values) == 1:
            return values[0]
        return namedtuple(self.__name__, tuple(results), rename=True)(*values)

    def run(self, values: Mapping[str, object], manner: Manner | None = None) -> dict[str, Any]:
        """The results by name, for a value for each parameter."""
        from tpc.binding import PYTHON, bind, check_facts

        settings = self._settings
        bound = bind(self._function, values, settings.dims, settings.backend, manner or PYTHON)
        if settings.check_facts:
            check_facts(bound)
        special = self._specialised(bound.program, self._backend(bound.kind))
        self._sizes = dict(bound.solution.sizes)
        self._guard(special, bound)
        results = self._execute(special, bound)
        if settings.verify:
            self._verify(special, bound, results)
        return dict(zip(special.program.output_names, (_in_kind(r, bound.kind) for r in results), strict=True))

    def _backend(self, kind: str) -> str:
        return self._settings.backend if self._settings.backend != "auto" else kind

    def _specialised(self, program: Program, backend: str) -> Specialised:
        key = (program, backend)
        special = self._cache.get(key)
        if special is None:
            from tpc.backends import backend as find_backend
            from tpc.passes.pipeline import Options, run

            chosen = find_backend(backend)
            plan = run(program, Options(sizes=dict(self._settings.dims)), notes=self._function.module.notes)
            emitted = chosen.emit(plan.program, plan.notes.names)
            special = Specialised(program, plan, emitted, backend, chosen.load(emitted))
            self._cache[key] = special
        self._current = special
        return special

    def _guard(self, special: Specialised, bound: Bound) -> None:
        """Refuse a call that needs more memory than there is, before anything is computed."""
        from tpc.cost import peaks
        from tpc.ir.dims import substitute

        if not special.steps:
            special.steps.extend(dict.fromkeys(peaks(special.plan.program)))
        held = [substitute(step, bound.solution.sizes) for step in special.steps]
        peak = max((step for step in held if isinstance(step, int)), default=0)
        if peak > limit():
            raise fail(
                "E0901",
                f"`{self.__name__}` needs {amount(peak)} at these sizes, and the limit is {amount(limit())}",
                notes=(", ".join(f"{n} = {s}" for n, s in bound.solution.sizes.items()),),
                help="give smaller arrays, or a program that makes smaller values; `.explain()` shows which are large",
            )

    def _execute(self, special: Specialised, bound: Bound) -> list[Any]:
        sizes = {keyword: bound.solution.sizes[name] for name, keyword in special.emitted.sizes.items()}
        try:
            with _threads(self._settings.threads):
                start = perf_counter()
                returned = special.run(*bound.arrays, **sizes)
                self.seconds = perf_counter() - start
        except RuntimeError as error:
            if self._settings.backend != "torch" and type(error).__name__ != "_LinAlgError":
                raise  # torch tells of wrong values by RuntimeError; in NumPy it would be our fault
            raise self._failed(error) from error
        except (ArithmeticError, IndexError, ValueError) as error:  # numpy's LinAlgError is a ValueError
            raise self._failed(error) from error
        except MemoryError:
            raise fail("E0901", f"`{self.__name__}` ran out of memory") from None
        return list(returned) if isinstance(returned, tuple) else [returned]

    def _failed(self, error: Exception) -> TpcError:
        return fail("E0815", f"`{self.__name__}` failed: {error}")

    def _verify(self, special: Specialised, bound: Bound, results: list[Any]) -> None:
        from tpc.verification import verify

        operands = [_in_kind(array, "numpy") for array in bound.arrays]
        plain = [_in_kind(result, "numpy") for result in results]
        self.verification = verify(special.program, operands, plain, bound.solution.sizes)

    # ---- looking at it

    def prepare(self, *args: Any, **kwargs: Any) -> Compiled:
        """Compile now: for the types of these arguments or, without any, for the declared types. Returns itself."""
        if args or kwargs:
            from tpc.binding import bind, match

            settings = self._settings
            values = match(self._function, args, kwargs)
            bound = bind(self._function, values, settings.dims, settings.backend)
            self._specialised(bound.program, self._backend(bound.kind))
            self._sizes = dict(bound.solution.sizes)
        else:
            self._specialised(self._function.generic(), self._backend("numpy"))
        return self

    def _latest(self) -> Specialised:
        if self._current is None:
            self.prepare()
        assert self._current is not None
        return self._current

    @property
    def program(self) -> Program:
        """The program as it was written, typed: for the last call, or else for the declared types."""
        return self._current.program if self._current is not None else self._function.generic()

    @property
    def plan(self) -> Plan:
        """The program after the passes, and what each of them did."""
        return self._latest().plan

    @property
    def source(self) -> str:
        """The Python module that runs. The numpy backend's needs numpy and scipy only."""
        return self._latest().emitted.source

    @property
    def cost(self) -> Cost:
        """Operations, bytes and peak memory: numbers at the sizes of the last call, else polynomials as text."""
        from tpc.cost import cost

        return cost(self.plan.program, self._sizes)

    def explain(self) -> str:
        """The plan as a table of its steps with shapes, facts, operations and bytes."""
        from tpc.explanation import explain

        return explain(self.plan, self.plan.notes.names, self._sizes)

    def __repr__(self) -> str:
        return f"<tpc {self._function.signature}>"

    def _repr_html_(self) -> str:
        from tpc.explanation import as_html

        try:
            text = self.explain()
        except TpcError as error:
            text = error.diagnostics[0].title
        return as_html(self._function.signature, self._function.source_text, text)


def _threads(count: int | None) -> AbstractContextManager[object]:
    if count is None:
        return nullcontext()
    from threadpoolctl import threadpool_limits

    limits: AbstractContextManager[object] = threadpool_limits(limits=count)
    return limits


def _in_kind(value: Any, kind: str) -> Any:
    """A result as an array of the caller's kind; a NumPy array without axes becomes a number."""
    import numpy as np

    from tpc.operands import is_torch

    if kind == "torch":
        if is_torch(value):
            return value
        import torch

        return torch.from_numpy(np.ascontiguousarray(value).reshape(np.shape(value)))
    if is_torch(value):
        value = value.detach().cpu()
        value = (value.float() if str(value.dtype) == "torch.bfloat16" else value).numpy()
    return value[()] if isinstance(value, np.ndarray) and value.ndim == 0 else value


def _write_out(results: Mapping[str, Any], out: Any) -> Any:
    """Copy results to the caller's arrays, after a check that all fit."""
    targets = out if isinstance(out, tuple) else (out,)
    if len(targets) != len(results):
        count = f"{len(results)} result" + ("s" if len(results) != 1 else "")
        raise fail(
            "E0811", f"`out` has {len(targets)} arrays for {count}", help="give one array, or a tuple with one for each"
        )
    for (name, result), target in zip(results.items(), targets):
        if not hasattr(target, "shape") or not hasattr(target, "dtype"):
            raise fail("E0811", f"`out` for `{name}` is a {type(target).__name__}, not an array")
        have, wanted = (target.dtype, tuple(target.shape)), (result.dtype, tuple(result.shape))
        if have != wanted:
            raise fail(
                "E0811",
                f"`out` for `{name}` is {have[0]} {have[1]}, but the result is {wanted[0]} {wanted[1]}",
                help="make it with `np.empty` of that shape and dtype",
            )
        if getattr(getattr(target, "flags", None), "writeable", True) is False:
            raise fail("E0811", f"`out` for `{name}` is read-only")
    for result, target in zip(results.values(), targets):
        target[...] = result
    return out
