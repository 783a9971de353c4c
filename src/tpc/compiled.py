"""A compiled function: called with arrays, it compiles for their types once and runs at any sizes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, NoReturn, overload

from tpc.dsl.diagnostics import TpcError, fail
from tpc.function import Function
from tpc.settings import Settings
from tpc.specialised import DENSE, Sparse, Specialised, Specialiser

if TYPE_CHECKING:
    import os

    from tpc.backends.llvm.sparse.entries import Kernel
    from tpc.binding import Bound, Manner
    from tpc.cost import Cost
    from tpc.explanation.roofline import Roofline
    from tpc.ir.node import Program
    from tpc.passes.approximation.certificate import Certificate
    from tpc.passes.pipeline import Plan
    from tpc.passes.variants import Variants
    from tpc.prepared import Prepared, Preparer
    from tpc.repeats import Call, Repeats
    from tpc.staging import Staging
    from tpc.stepper import Stepper
    from tpc.verification import PlanCheck


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
        settings = settings or Settings()
        self._settings = settings if settings.memory is not None else replace(settings, memory=function.memory)
        self._specialiser = Specialiser(function, self._settings, remember)
        self._repeats: Repeats | None = None  # once there was a call
        self._prepared: Preparer | None = None  # once it is prepared for parameters
        self._staging: Staging | None = None  # once there was a call with parameters that are declared to stay
        self._last: Call | None = None  # what served the last call, and its sizes
        self.__name__ = function.name
        self.__doc__ = function.source_text
        self.verification: str | None = None
        self.seconds = 0.0  # that the last call with checks computed, without compiling

    def __deepcopy__(self, memo: dict[int, Any]) -> Compiled:
        """Itself, as a copy of a function is: copies of a layer share what was compiled."""
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"the compiled `{self.__name__}` cannot be pickled: send the text of the program, or the path of its file, "
            "and compile it there; what was compiled is found in the cache on disk"
        )

    def __copy__(self) -> Compiled:
        return self

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
        if self._staging is not None and out is None:
            found = self._staging.call(args, kwargs)
            if found is not None:
                return found
        if self._repeats is not None and out is None:
            found = self._repeats.call(args, kwargs)
            if found is not None:
                self._last = self._repeats.last
                return found
        return self._call(args, kwargs, out)

    def _call(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Any) -> Any:
        """A call with all checks."""
        from tpc.answers import answer, write_out
        from tpc.binding import PYTHON, match
        from tpc.repeats import Repeats

        values = match(self._function, args, kwargs)
        special, bound, returned = self._run(values, PYTHON)
        settings = self._settings
        if bound.returned == "numpy" and not (settings.check_facts or settings.verify):
            if self._repeats is None:
                self._repeats = Repeats([p.name for p in self._function.parameters])
            if self._is_settled(special, bound):
                self._repeats.add(args, kwargs, bound.arrays, (special, bound.solution.sizes))
        if out is not None:
            return write_out(self._by_name(special, returned, bound.returned), out)
        return answer(returned, special, bound.returned)

    def _is_settled(self, special: Specialised, bound: Bound) -> bool:
        """Whether calls like this one need no look at their parameters; else it is remembered for the next."""
        from tpc.passes.stages.times import parameters

        settings = self._settings
        if self._staging is None and settings.calls > 1 and settings.memory is None:
            stays = [node["name"] for node in parameters(special.program)]
            if stays:
                from tpc.staging import Staging

                self._staging = Staging(self._preparer, [p.name for p in self._function.parameters], stays)
        if self._staging is not None and self._staging.is_open:
            self._staging.add(bound.arrays, self.seconds)
        return self._staging is None or not self._staging.is_open

    def run(self, values: Mapping[str, object], manner: Manner | None = None) -> dict[str, Any]:
        """The results by name, for a value for each parameter."""
        from tpc.binding import PYTHON

        special, bound, returned = self._run(values, manner or PYTHON)
        return self._by_name(special, returned, bound.returned)

    def _run(self, values: Mapping[str, object], manner: Manner) -> tuple[Specialised, Bound, Any]:
        """What served a call, its arguments, and what the code gave."""
        from tpc.binding import check_facts
        from tpc.memory import limit

        settings = self._settings
        bound = self._bound(values, manner)
        if settings.check_facts:
            check_facts(bound)
        special = self._serving(bound)
        if settings.memory is None and special.peak(bound.solution.sizes) > limit():
            special = self._alone(bound)
        self._last = special, bound.solution.sizes
        special.guard(self.__name__, bound.solution.sizes, lambda: self._specialiser.found(special))
        special.hasten(bound.solution.sizes)
        returned = self._execute(special, bound)
        if settings.verify:
            self._verify(special, bound, returned)
        return special, bound, returned

    def _bound(self, values: Mapping[str, object], manner: Manner) -> Bound:
        """The arguments of a call; sparse ones stay so where that neither exceeds a budget nor rounds otherwise."""
        from tpc.binding import bind

        settings = self._settings
        return bind(self._function, values, settings.dims, settings.backend, manner, settings.keeps_sparse)

    def _bound_by_name(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Bound:
        from tpc.binding import PYTHON, match

        return self._bound(match(self._function, args, kwargs), PYTHON)

    def _serving(self, bound: Bound) -> Specialised:
        """What serves a call."""
        sizes = bound.solution.sizes
        return self._specialised(bound.program, bound.kind, sizes, Sparse.of(bound.sparse, sizes))

    def _specialised(
        self, program: Program, kind: str, sizes: Mapping[str, int], sparse: Sparse = DENSE
    ) -> Specialised:
        if self._settings.memory is not None:
            self._specialiser.sizes = dict(sizes)
        try:
            special = self._specialiser.specialised(program, kind, sparse)
        except ValueError as error:
            if type(error).__name__ != "LinAlgError":  # of constants that are factored when code is loaded
                raise
            raise self._failed(error) from error
        if special.backend == "llvm":
            special.run.when_ready = lambda: self._hurry(special)  # type: ignore[attr-defined]
        elif special.upgrade is None and self._may_upgrade(kind):
            from tpc.decisions import Decisions
            from tpc.upgrade import Upgrade

            run: Any = special.run
            make = partial(self._specialiser.native, special)
            decisions = partial(Decisions, special.code, self._settings.threads)
            special.upgrade = Upgrade(run, special.code.expected, make, partial(self._changed, special), decisions)
        if special.is_sparse:
            special.when_ready = partial(self._hurry_sparse, special)
        return special

    def _alone(self, bound: Bound) -> Specialised:
        """What serves a call for which no plan for all sizes has the memory; one for its sizes alone may need less."""
        self._specialiser.sizes = dict(bound.solution.sizes)
        try:
            return self._serving(bound)
        finally:
            self._specialiser.sizes = {}

    def _may_upgrade(self, kind: str) -> bool:
        settings = self._settings
        is_left = settings.backend == "auto" and kind == "numpy" and settings.memory is None
        return is_left and settings.mode != "bitwise" and not settings.verify

    def _hurry(self, special: Specialised) -> None:
        """Let calls go to native code, which is there now; at once, where nothing is to be checked each time."""
        from tpc import native

        settings = self._settings
        if self._repeats is not None:
            self._repeats.known.clear()
        if settings.threads is not None:
            special.limit = native.thread_limit(settings.threads)
        if self._staging is None and not (settings.check_facts or settings.verify or settings.memory):
            native.call_at_once(self, special)

    def _hurry_sparse(self, special: Specialised, helper: str, kernel: Kernel) -> None:
        """Let calls go to native code for a sparse product, which is there now."""
        from tpc import native, sparse_calls

        settings = self._settings
        if settings.threads is not None:
            special.limit = native.thread_limit(settings.threads)
            if self._repeats is not None:
                self._repeats.known.clear()
        if self._staging is None and not (settings.check_facts or settings.verify):
            sparse_calls.go_at_once(self, special, helper, kernel)

    def _changed(self, special: Specialised, winner: Specialised | None) -> None:
        """Have calls served anew; at once by native code that is faster at all sizes so far."""
        if winner is not None:
            self._hurry(winner)
        if self._repeats is not None:
            self._repeats.known.clear()
        if special.limit is not None and special.upgrade is not None and special.upgrade.native is not None:
            from tpc import native

            special.limit = native.thread_limit(special.limit.threads)

    def _execute(self, special: Specialised, bound: Bound) -> Any:
        run = special.on if bound.kind != "torch" else self._specialiser.routine(special)
        try:
            start = perf_counter()
            with special.limit or nullcontext():
                returned = run(bound.solution.sizes, *bound.arrays)
            self.seconds = perf_counter() - start
        except RuntimeError as error:
            if self._settings.backend != "torch" and type(error).__name__ != "_LinAlgError":
                raise  # torch tells of wrong values by RuntimeError; in NumPy it would be our fault
            raise self._failed(error) from error
        except (ArithmeticError, IndexError, ValueError) as error:  # numpy's LinAlgError is a ValueError
            raise self._failed(error) from error
        except MemoryError:
            raise fail("E0901", f"`{self.__name__}` ran out of memory") from None
        return returned

    def _by_name(self, special: Specialised, returned: Any, kind: str) -> dict[str, Any]:
        from tpc.answers import in_kind

        results = returned if isinstance(returned, (tuple, list)) else (returned,)
        return dict(zip(special.program.output_names, [in_kind(r, kind) for r in results], strict=True))

    def _failed(self, error: Exception) -> TpcError:
        from tpc.failures import labels
        from tpc.ir.ops.promises import REASONS

        where = labels(self.plan, str(error)) if str(error) in REASONS.values() else []
        return fail("E0815", f"`{self.__name__}` failed: {error}", *where)

    def _verify(self, special: Specialised, bound: Bound, returned: Any) -> None:
        from tpc.answers import in_kind
        from tpc.operands import dense
        from tpc.verification import verify_results

        operands = [dense(operand, node["name"]).array for node, operand in zip(bound.program.inputs, bound.operands)]
        operands = [in_kind(array, "numpy") for array in operands]
        plain = [
            r.toarray() if hasattr(r, "toarray") else r for r in self._by_name(special, returned, "numpy").values()
        ]
        approximated = self.plan.approximated
        meant = self.program if approximated is None else approximated.program
        said = verify_results(meant, operands, plain, bound.solution.sizes)
        self.verification = f"{said}; {self.verify_plan()}"

    def verify_plan(self) -> PlanCheck:
        """Hold the plan against the program as written, at random points modulo primes; all variants, where there are.

        Raises
        ------
        InternalError
            If a plan is not the program.
        """
        from tpc.verification import check_variants

        special, found = self._latest(), self._found()
        if special.check is None:
            special.check = check_variants(special.program, found, self._settings.dims)
        return special.check

    # ---- looking at it

    @overload
    def prepare(self) -> Compiled: ...
    @overload
    def prepare(self, *args: Any, **kwargs: Any) -> Any: ...
    def prepare(self, *args: Any, **kwargs: Any) -> Compiled | Prepared:
        """Do ahead of calls what can be done.

        With those arguments alone that are declared `is param`, what depends on them is computed now, and held.
        Otherwise the function is compiled: for the types of all arguments or, without any, for the declared types. The
        plan that is the best at the sizes of these arguments will be among those that calls choose from.

        Returns
        -------
        Prepared or Compiled
            With parameters alone, the function of the other arguments; else the function itself.
        """
        if kwargs and not args and self._preparer.takes(kwargs):
            return self._preparer.prepared(kwargs)
        if args or kwargs:
            bound = self._bound_by_name(args, kwargs)
            sizes = dict(bound.solution.sizes)
            self._specialiser.at = {n: s for n, s in sizes.items() if n not in self._settings.dims}
            self._last = self._serving(bound), sizes
        else:
            self._last = self._specialised(self._function.generic(), "numpy", self.sizes), self.sizes
        self._latest().finish(self.sizes if args or kwargs else None)
        return self

    def start(self, *state: Any) -> Stepper:
        """Step it, from these first arguments on: its first results are their next values; see `tpc.stepper`."""
        from tpc.stepper import Stepper

        return Stepper(self, state)

    def restore(self, path: str | os.PathLike[str]) -> Prepared:
        """The function for parameters that it was prepared for before: what `Prepared.save` wrote is read.

        The function is compiled as for `prepare`, but nothing is computed.

        Raises
        ------
        TpcError
            E0705 to E0711 if the file cannot be read, or was made for another function or plan.
        """
        return self._preparer.restored(path)

    @property
    def _preparer(self) -> Preparer:
        if self._prepared is None:
            from tpc.prepared import Preparer

            self._prepared = Preparer(self._function, self._settings)
        return self._prepared

    def _latest(self) -> Specialised:
        if self._last is None:
            self.prepare()
        assert self._last is not None
        return self._last[0]

    @property
    def sizes(self) -> dict[str, int]:
        """The sizes of the last call; before it those that are fixed."""
        return dict(self._settings.dims) if self._last is None else self._last[1]

    def _found(self) -> Variants:
        return self._specialiser.found(self._latest())

    @property
    def function(self) -> Function:
        """What was compiled: name, parameters, signature."""
        return self._function

    @property
    def program(self) -> Program:
        """The program as it was written, typed: for the last call, or else for the declared types."""
        return self._function.generic() if self._last is None else self._specialiser.whole(self._last[0].program)

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
        return found.plans[found.choose({**dict.fromkeys(names, USUAL), **self.sizes})].plan

    @property
    def source(self) -> str:
        """The Python module that runs, with all variants. The numpy backend's needs numpy and scipy only."""
        return self._latest().code.emitted.source

    @property
    def certificates(self) -> tuple[Certificate, ...]:
        """What became of the budgets of the program (`~=`, and `tolerance`): what is promised, how it was shown, and
        what is stored in the place of which constants."""
        found = self.plan.approximated
        return () if found is None else found.certificates

    @property
    def cost(self) -> Cost:
        """Operations, bytes, peak memory and predicted seconds: numbers at the sizes of the last call.

        Before any call, polynomials as text, and no seconds unless all sizes are known.
        """
        from tpc.cost import cost
        from tpc.passes.cost import profile

        search = self.plan.search
        prices = profile() if search is None else search.request.prices
        library = "llvm" if self._is_native() else self._latest().backend
        return cost(self.plan.program, self.sizes, prices, library)

    def _is_native(self) -> bool:
        """Whether native code runs."""
        special = self._latest()
        return special.backend == "llvm" or special.upgrade is not None and special.upgrade.native is not None

    def explain(self) -> str:
        """The plan line by line with kernels, facts and costs, how it came to be, and where other plans are taken."""
        from tpc.explanation import account, text

        found = account(self.program, self.plan, self.sizes, self._found(), self._latest().backend)
        return text(replace(found, runs=self.runs, ahead=self.ahead))

    def roofline(self, *args: Any, **kwargs: Any) -> Roofline:
        """Each kernel of the plan against the limits of this machine: measured on arguments, or else predicted.

        It prints as a table, and `write` draws it.
        """
        from tpc.explanation.measuring import roofline_of

        if args or kwargs:
            self.prepare(*args, **kwargs)
        arrays = self._bound_by_name(args, kwargs).arrays if args or kwargs else None
        return roofline_of(self, arrays, self._is_native())

    @property
    def backend(self) -> str:
        """What the last call was compiled for: `numpy`, `torch` or `llvm`."""
        return self._latest().backend

    @property
    def runs(self) -> str:
        """Whether NumPy or native code runs, and why; nothing where the backend was said."""
        upgrade = self._latest().upgrade
        return "" if upgrade is None else upgrade.words(self.sizes)

    @property
    def ahead(self) -> tuple[str, ...]:
        """What is computed ahead of calls, or could be, of constants and parameters that stay, in sentences."""
        from tpc.explanation.ahead import of_constants

        found = of_constants(self.program, self._latest().code)
        if self._preparer.stays:
            found.append(self._staging.words if self._staging is not None else self._preparer.words)
            found += self._preparer.told(self.sizes, self.cost.seconds)
        return tuple(found)

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
