"""A compiled function: called with arrays, it compiles for their types once and runs at any sizes."""

from __future__ import annotations

import sys
from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

from tpc.dsl.diagnostics import InternalError, TpcError, fail
from tpc.function import Function
from tpc.memory import amount, limit
from tpc.settings import Settings

if TYPE_CHECKING:
    from tpc.autograd import Routine
    from tpc.binding import Bound, Manner
    from tpc.code import Code
    from tpc.cost import Cost
    from tpc.ir.node import Program
    from tpc.passes.pipeline import Options, Plan
    from tpc.passes.variants import Variants
    from tpc.verification import PlanCheck

REMEMBERED = 10_000  # sizes of calls


@dataclass
class Specialised:
    """A function compiled for certain types: what runs, and how it came about.

    `calls` has the sizes of calls, each with the number of the variant that serves it and the bytes that it takes.
    """

    program: Program
    backend: str
    code: Code
    run: Callable[..., Any]
    found: Variants | None = None  # None where the code is from the cache on disk
    calls: dict[tuple[int, ...], tuple[int, int]] = field(default_factory=dict)
    check: PlanCheck | None = None  # of the plans, once it is asked for
    routine: Routine | None = None  # for calls with tensors


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

    def __init__(
        self,
        function: Function,
        settings: Settings | None = None,
        remember: Callable[[Function, Sequence[Program]], None] | None = None,
    ) -> None:
        self._function = function
        self._remember = remember  # what keeps the function for the next process
        self._settings = settings or Settings()
        self._cache: dict[tuple[object, ...], Specialised] = {}
        self._again: dict[tuple[object, ...], tuple[Specialised, dict[str, int]]] = {}  # calls that were checked
        self._current: Specialised | None = None
        self._sizes: dict[str, int] = dict(self._settings.dims)
        self._at: dict[str, int] = {}  # sizes that were prepared for
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
        alike = _alike(args) if out is None and not kwargs else None
        again = self._again.get(alike) if alike is not None else None
        if again is not None:
            special, sizes = again
            self._current, self._sizes = special, sizes
            returned = self._execute(special, args, sizes)
            if len(returned) == 1:  # short, for with cold caches each further function takes ten microseconds
                return _in_kind(returned[0], "numpy")
            results = self._named(special, returned, "numpy")
        else:
            from tpc.binding import match

            results = self.run(match(self._function, args, kwargs), alike=alike)
        if out is not None:
            return _write_out(results, out)
        values = tuple(results.values())
        if len(values) == 1:
            return values[0]
        return namedtuple(self.__name__, tuple(results), rename=True)(*values)

    def run(
        self, values: Mapping[str, object], manner: Manner | None = None, alike: tuple[object, ...] | None = None
    ) -> dict[str, Any]:
        """The results by name, for a value for each parameter; later calls with arguments `alike` skip the checks."""
        from tpc.binding import PYTHON, bind, check_facts

        settings = self._settings
        bound = bind(self._function, values, settings.dims, settings.backend, manner or PYTHON)
        if settings.check_facts:
            check_facts(bound)
        special = self._specialised(bound.program, self._backend(bound.kind))
        self._sizes = dict(bound.solution.sizes)
        self._guard(special, bound)
        arrays, sizes = bound.arrays, self._sizes
        results = self._execute(special, arrays, sizes, bound.kind)
        if settings.verify:
            self._verify(special, bound, results)
        checked_each_time = settings.check_facts or settings.verify
        untouched = len(values) == len(arrays) and all(a is b for a, b in zip(arrays, values.values()))
        if alike is not None and untouched and len(alike) == len(arrays) and not checked_each_time:
            if len(self._again) >= REMEMBERED:
                self._again.clear()
            self._again[alike] = special, sizes
        return self._named(special, results, bound.kind)

    def _named(self, special: Specialised, results: Sequence[Any], kind: str) -> dict[str, Any]:
        return dict(zip(special.program.output_names, [_in_kind(r, kind) for r in results], strict=True))

    def _backend(self, kind: str) -> str:
        chosen = self._settings.backend if self._settings.backend != "auto" else kind
        is_bitwise = self._settings.mode == "bitwise"  # fused loops round otherwise than steps one by one
        return "numpy" if chosen == "llvm" and is_bitwise else chosen

    def _options(self, backend: str) -> Options:
        from tpc.passes.pipeline import Options

        settings = self._settings
        return Options(dict(settings.dims), dict(self._at), settings.mode, backend, settings.threads)

    def _specialised(self, program: Program, backend: str) -> Specialised:
        key = (program, backend, tuple(self._at.items()))
        special = self._cache.get(key)
        if special is None:
            special = self._kept(program, backend) or self._compiled(self._whole(program), backend)
            self._cache[key] = special
            self._hurry(special)
            if self._remember is not None:
                self._remember(self._function, [s.program for s in self._cache.values()])
        self._current = special
        return special

    def _hurry(self, special: Specialised) -> None:
        """See to it that calls go to native code at once, when that is there and nothing is to be checked each time."""
        settings = self._settings
        checked_each_time = settings.check_facts or settings.verify or settings.threads is not None
        if special.backend == "llvm" and len(special.code.seconds) == 1 and not checked_each_time:
            from tpc.native import call_at_once

            special.run.when_ready = lambda: call_at_once(self, special)  # type: ignore[attr-defined]

    def _kept(self, program: Program, backend: str) -> Specialised | None:
        """The function from the cache on disk, but not if it is to be verified, or its code is refused."""
        from tpc.backends import backend as find_backend
        from tpc.cache import find

        if self._settings.verify:
            return None
        code = find(self._function.identity(program), program, self._options(backend))
        try:
            return (
                None if code is None else Specialised(program, backend, code, find_backend(backend).load(code.emitted))
            )
        except (InternalError, KeyError):
            return None

    def _compiled(self, program: Program, backend: str) -> Specialised:
        """The function compiled now, and kept for other processes."""
        from tpc.backends import backend as find_backend
        from tpc.cache import keep
        from tpc.code import emitted

        options = self._options(backend)
        found = self._search(program, options)
        code = emitted(found, backend)
        keep(code, self._function.identity(program), program, options)
        return Specialised(program, backend, code, find_backend(backend).load(code.emitted), found)

    def _whole(self, program: Program) -> Program:
        """The program with its body, which one of a recalled function lacks."""
        whole = self._function.elaborated()
        return program if whole is self._function else whole.instance([n.tensor for n in program.inputs])

    def _search(self, program: Program, options: Options) -> Variants:
        from tpc.passes.variants import variants

        return variants(program, options, self._function.module.notes)

    def _found(self) -> Variants:
        """The variants that the last call had the choice of; searched again where only their code was kept."""
        special = self._latest()
        if special.found is None:
            special.program = self._whole(special.program)
            special.found = self._search(special.program, self._options(special.backend))
        return special.found

    def _guard(self, special: Specialised, bound: Bound) -> None:
        """Refuse a call that needs more memory than there is, before anything is computed."""
        from tpc.ir.dims import substitute

        sizes = bound.solution.sizes
        key = tuple(sizes.values())
        if key not in special.calls:
            if len(special.calls) >= REMEMBERED:
                special.calls.clear()
            variant = special.code.choose(sizes)
            held = [substitute(step, sizes) for step in special.code.peaks[variant]]
            special.calls[key] = variant, max((step for step in held if isinstance(step, int)), default=0)
        _, peak = special.calls[key]
        if peak > limit():
            raise fail(
                "E0901",
                f"`{self.__name__}` needs {amount(peak)} at these sizes, and the limit is {amount(limit())}",
                notes=(", ".join(f"{n} = {s}" for n, s in sizes.items()),),
                help="give smaller arrays, or a program that makes smaller values; `.explain()` shows which are large",
            )

    def _execute(
        self, special: Specialised, arrays: Sequence[Any], known: Mapping[str, int], kind: str = "numpy"
    ) -> list[Any]:
        sizes = {keyword: known[name] for name, keyword in special.code.emitted.sizes.items()}
        run = special.run if kind != "torch" else partial(self._routine(special), known)
        try:
            start = perf_counter()
            if self._settings.threads is None:
                returned = run(*arrays, **sizes)
            else:
                with _limited(self._settings.threads, special.backend):
                    returned = run(*arrays, **sizes)
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

    def _routine(self, special: Specialised) -> Routine:
        """The function for torch, with its derivatives."""
        from tpc.autograd import Routine

        if special.routine is None:
            backend = special.backend
            special.routine = Routine(
                special, self._whole, lambda derived: self._kept(derived, backend) or self._compiled(derived, backend)
            )
        return special.routine

    def _failed(self, error: Exception) -> TpcError:
        return fail("E0815", f"`{self.__name__}` failed: {error}")

    def _verify(self, special: Specialised, bound: Bound, results: list[Any]) -> None:
        from tpc.verification import verify_results

        operands = [_in_kind(array, "numpy") for array in bound.arrays]
        plain = [_in_kind(result, "numpy") for result in results]
        said = verify_results(self.program, operands, plain, bound.solution.sizes)
        self.verification = f"{said}; {self.verify_plan()}"

    def verify_plan(self) -> PlanCheck:
        """Hold the plan against the program as written, at random points modulo primes; all variants, where there are.

        Raises
        ------
        InternalError
            If a plan is not the program.
        """
        from tpc.verification import check_plans

        special, found = self._latest(), self._found()
        if special.check is None:
            plans = [variant.plan.program for variant in found.plans]
            special.check = check_plans(special.program, plans, self._settings.dims)
        return special.check

    # ---- looking at it

    def prepare(self, *args: Any, **kwargs: Any) -> Compiled:
        """Compile now: for the types of these arguments or, without any, for the declared types. Returns itself.

        The plan that is the best at the sizes of these arguments will be among those that calls choose from.
        """
        if args or kwargs:
            from tpc.binding import bind, match

            settings = self._settings
            values = match(self._function, args, kwargs)
            bound = bind(self._function, values, settings.dims, settings.backend)
            self._sizes = dict(bound.solution.sizes)
            self._at = {n: s for n, s in self._sizes.items() if n not in settings.dims}
            self._specialised(bound.program, self._backend(bound.kind))
        else:
            self._specialised(self._function.generic(), self._backend("numpy"))
        finish = getattr(self._latest().run, "finish", None)  # of what becomes faster while it runs
        if finish is not None:
            finish()
        return self

    def _latest(self) -> Specialised:
        if self._current is None:
            self.prepare()
        assert self._current is not None
        return self._current

    @property
    def function(self) -> Function:
        """What was compiled: name, parameters, signature."""
        return self._function

    @property
    def program(self) -> Program:
        """The program as it was written, typed: for the last call, or else for the declared types."""
        return self._whole(self._current.program) if self._current is not None else self._function.generic()

    @property
    def variants(self) -> Variants:
        """What a call chooses from by its sizes: `.plans` lists the plans, `.table()` says where each is fastest."""
        return self._found()

    @property
    def plan(self) -> Plan:
        """The program after the passes, and what each of them did; of several, the plan of the last call.

        Before any call it is the plan for usual sizes.
        """
        from tpc.passes.choose.prices import USUAL

        found = self._found()
        names = self._latest().code.sizes
        return found.plans[found.choose({**dict.fromkeys(names, USUAL), **self._sizes})].plan

    @property
    def source(self) -> str:
        """The Python module that runs, with all variants. The numpy backend's needs numpy and scipy only."""
        return self._latest().code.emitted.source

    @property
    def cost(self) -> Cost:
        """Operations, bytes, peak memory and predicted seconds: numbers at the sizes of the last call.

        Before any call, polynomials as text, and no seconds unless all sizes are known.
        """
        from tpc.cost import cost
        from tpc.passes.cost import profile

        search = self.plan.search
        prices = profile() if search is None else search.request.prices
        return cost(self.plan.program, self._sizes, prices)

    def explain(self) -> str:
        """The plan line by line with kernels, facts and costs, how it came to be, and where other plans are taken."""
        from tpc.explanation import account, text

        return text(account(self.program, self.plan, self._sizes, self._found(), self._latest().backend))

    def __repr__(self) -> str:
        return f"<tpc {self._function.signature}>"

    def _repr_html_(self) -> str:
        from html import escape

        try:
            text = self.explain()
        except TpcError as error:
            text = error.diagnostics[0].title
        return (
            f"<div><b>{escape(self._function.signature)}</b><pre>{escape(self._function.source_text)}</pre>"
            f"<details><summary>what runs</summary><pre>{escape(text)}</pre></details></div>"
        )


def _alike(args: tuple[Any, ...]) -> tuple[object, ...] | None:
    """What two lists of NumPy arrays must have in common for the checks of one to hold for the other."""
    numpy = sys.modules.get("numpy")
    if numpy is None:
        return None
    found = []
    for array in args:
        if type(array) is not numpy.ndarray:
            return None
        found.append((array.dtype, array.shape))
    return tuple(found)


def _limited(threads: int, backend: str) -> AbstractContextManager[object]:
    if backend == "llvm":
        from tpc.native import limited

        return limited(threads)
    from threadpoolctl import threadpool_limits

    limits: AbstractContextManager[object] = threadpool_limits(limits=threads)
    return limits


def _in_kind(value: Any, kind: str) -> Any:
    """A result as an array of the caller's kind; a NumPy array without axes becomes a number."""
    import numpy as np

    if kind == "numpy" and type(value) is np.ndarray and value.ndim:
        return value
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
