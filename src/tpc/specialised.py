"""A function compiled for the types of a call: found in memory or on disk, or made now."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from functools import cached_property, partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, cast

from tpc.dsl.diagnostics import InternalError, fail
from tpc.function import Function
from tpc.memory import amount, limit
from tpc.settings import Settings

if TYPE_CHECKING:
    from tpc.autograd import Routine
    from tpc.backends.llvm.sparse import Replacing
    from tpc.code import Code
    from tpc.ir.node import Program
    from tpc.passes.pipeline import Options
    from tpc.passes.variants import Variants
    from tpc.threads import ThreadLimit
    from tpc.upgrade import Upgrade
    from tpc.verification import PlanCheck

REMEMBERED = 10_000  # sizes of calls


@dataclass(frozen=True)
class Sparse:
    """What a plan depends on where inputs come in sparse: their densities, and about the sizes of the call."""

    densities: tuple[tuple[str, float], ...] = ()
    sizes: tuple[tuple[str, int], ...] = ()

    @staticmethod
    def of(densities: Mapping[str, float], sizes: Mapping[str, int]) -> Sparse:
        """For a call; sizes are rounded to powers of two, so that there are few plans."""
        if not densities:
            return DENSE
        about = {name: 1 << (size - 1).bit_length() if size > 1 else size for name, size in sizes.items()}
        return Sparse(tuple(sorted(densities.items())), tuple(sorted(about.items())))


DENSE = Sparse()


@dataclass
class Specialised:
    """A function compiled for certain types: what runs, and how it came about.

    `calls` has the sizes of calls, each with the bytes that it takes.
    """

    program: Program
    backend: str
    code: Code
    run: Callable[..., Any]
    found: Variants | None = None  # None where the code is from the cache on disk
    calls: dict[tuple[int, ...], int] = field(default_factory=dict)
    check: PlanCheck | None = None  # of the plans, once it is asked for
    routine: Routine | None = None  # for calls with tensors
    sparse: Sparse = DENSE
    limit: ThreadLimit | None = None  # on the threads of libraries, where there is one
    upgrade: Upgrade | None = None  # to native code, where that is left to tpc
    sizes: Mapping[str, int] = field(default_factory=dict)  # that it was made for alone; none where it serves all
    when_ready: Callable[..., None] = lambda *_: None  # called when a helper of sparse products has a native kernel
    helpers: Sequence[Replacing] = ()  # of sparse products, which native code may take the place of

    @cached_property
    def is_sparse(self) -> bool:
        """Whether it has sparse inputs or constants, for which there are kernels of NumPy code alone."""
        begun = ("_csr_parts(", "_csr_sketch(", "_to_csr(")
        return bool(self.sparse.densities) or any(word in self.code.emitted.source for word in begun)

    @cached_property
    def together(self) -> type[tuple[Any, ...]]:
        """The class of several results together; to make one takes longer than most calls."""
        from tpc.answers import several

        return several(self.program.name, self.program.output_names)

    def variant(self, sizes: Mapping[str, int]) -> int | None:
        """The number of the variant that serves a call; None where there is but one."""
        return self.code.choose(sizes) if len(self.code.seconds) > 1 else None

    def on(self, sizes: Mapping[str, int], *arrays: Any) -> Any:
        """What the code gives for arrays of its formats, whose sizes are these."""
        if self.upgrade is not None:
            from tpc.backends.quiet import quietly

            return quietly(self.upgrade.on(sizes, self.variant(sizes)), *arrays)
        return self.run(*arrays, **{keyword: sizes[name] for name, keyword in self.code.emitted.sizes.items()})

    def hasten(self, sizes: Mapping[str, int]) -> None:
        """Have native code before a call that it is predicted to shorten by more than it takes to make."""
        from tpc.upgrade import cost

        if self.upgrade is not None:
            self.upgrade.hasten(sizes)
        elif self.backend == "llvm" and self.code.gain(sizes) > cost(self.code):
            self.run.finish()  # type: ignore[attr-defined]

    def finish(self, sizes: Mapping[str, int] | None) -> None:
        """Have what native code there is to be before a call at these sizes; None where they are not known yet."""
        if self.backend == "llvm":
            self.run.finish()  # type: ignore[attr-defined]
        elif self.upgrade is not None and sizes is not None:
            self.upgrade.finish(sizes)
        for helper in self.helpers:
            helper.hurry()

    def peak(self, sizes: Mapping[str, int]) -> int:
        """The bytes that a call at these sizes holds at one time."""
        from tpc.ir.dims import substitute

        key = tuple(sizes.values())
        if key not in self.calls:
            if len(self.calls) >= REMEMBERED:
                self.calls.clear()
            held = [substitute(step, sizes) for step in self.code.peaks[self.variant(sizes) or 0]]
            self.calls[key] = max((step for step in held if isinstance(step, int)), default=0)
        return self.calls[key]

    def guard(self, name: str, sizes: Mapping[str, int], plans: Callable[[], Variants]) -> None:
        """Refuse a call that needs more memory than there is; the plans are for the message.

        Raises
        ------
        TpcError
            E0901, before anything is computed.
        """
        peak = self.peak(sizes)
        if peak > limit():
            notes = [", ".join(f"{n} = {s}" for n, s in sizes.items())]
            help = "give smaller arrays, or a program that makes smaller values; `.explain()` shows which are large"
            if self.sparse.densities:
                from tpc.passes.sparse.spread import spread, way_out

                found = spread(plans().plans[self.variant(sizes) or 0].plan.program)
                notes += [f"`{value}` is sparse, and is made dense for `{op}`" for value, op in found]
                help = way_out(found) if found else help
            raise fail(
                "E0901",
                f"`{name}` needs {amount(peak)} at these sizes, and the limit is {amount(limit())}",
                notes=tuple(notes),
                help=help,
            )


class Specialiser:
    """Compiles a function for types, with the settings of the user.

    Parameters
    ----------
    remember
        What keeps the function for the next process, with the programs that it was compiled for.
    """

    def __init__(
        self,
        function: Function,
        settings: Settings,
        remember: Callable[[Function, Sequence[Program]], None] | None = None,
    ) -> None:
        self.function, self.settings, self.remember = function, settings, remember
        self.at: dict[str, int] = {}  # sizes that were prepared for
        self.sizes: dict[str, int] = {}  # those of a call, where its memory is bounded: then they have a plan alone
        self.made: dict[tuple[object, ...], Specialised] = {}

    def specialised(self, program: Program, kind: str, sparse: Sparse = DENSE) -> Specialised:
        """The function for the types of a program, for arguments of a kind; some may come in sparse."""
        backend = self._backend(kind) if not sparse.densities else "numpy"  # sparse kernels are helpers of NumPy code
        key = (program, backend, tuple(self.at.items()), tuple(self.sizes.items()), sparse)
        special = self.made.get(key)
        if special is None:
            special = self.kept(program, backend, sparse) or self.compiled(self.whole(program), backend, sparse=sparse)
            special.sizes = dict(self.sizes)
            if special.sparse.densities and self._backend(kind) == "llvm":  # the plan is that of NumPy
                special = self.native(special)
            else:
                self._help(special)
            self.made[key] = special
            if backend == "llvm" and self.settings.memory is not None:
                special.run.finish()  # type: ignore[attr-defined]  # the slow path holds more
            if self.settings.threads is not None:
                from tpc.threads import ThreadLimit, settings

                special.limit = ThreadLimit(self.settings.threads, settings("scipy." in special.code.emitted.source))
            if self.remember is not None:
                self.remember(self.function, [s.program for s in self.made.values()])
        return special

    def _help(self, special: Specialised) -> None:
        """Let sparse products become native, where native code is wanted."""
        if special.is_sparse and self.settings.backend != "numpy" and find_spec("llvmlite") is not None:
            from tpc.backends.llvm.sparse import LEAST, replace

            after = 0.0 if "llvm" in (self.settings.backend, special.backend) else LEAST
            special.helpers = replace(cast("Any", special.run), after, lambda *what: special.when_ready(*what))

    def _backend(self, kind: str) -> str:
        chosen = self.settings.backend if self.settings.backend != "auto" else kind
        is_bitwise = self.settings.mode == "bitwise"  # fused loops round otherwise than steps one by one
        return "numpy" if chosen == "llvm" and is_bitwise else chosen

    def _options(self, backend: str, sparse: Sparse = DENSE) -> Options:
        from tpc.backends import store
        from tpc.passes.pipeline import Options

        settings = self.settings
        sizes = {**settings.dims, **self.sizes}
        live = None
        if backend == "llvm" and settings.memory is not None:
            from tpc.backends.llvm.memory import live as native

            live = partial(native, tight=True)
        return Options(
            sizes,
            {**dict(sparse.sizes), **self.at},
            settings.mode,
            backend,
            settings.threads,
            settings.memory,
            sparse=dict(sparse.densities),
            native=backend == "numpy" and settings.backend != "numpy" and find_spec("llvmlite") is not None,
            tolerance=settings.tolerance,
            store=store,
            live=live,
        )

    def kept(self, program: Program, backend: str, sparse: Sparse = DENSE) -> Specialised | None:
        """The function from the cache on disk, but not if it is to be verified, or its code is refused."""
        from tpc.backends import backend as find_backend
        from tpc.cache import find

        if self.settings.verify:
            return None
        code = find(self.function.identity(program), program, self._options(backend, sparse))
        try:
            if code is None:
                return None
            return Specialised(program, backend, code, find_backend(backend).load(code.emitted), sparse=sparse)
        except (InternalError, KeyError):
            return None

    def compiled(
        self,
        program: Program,
        backend: str,
        found: Variants | None = None,
        sparse: Sparse = DENSE,
    ) -> Specialised:
        """The function compiled now, of plans that were found or are looked for, and kept for other processes."""
        from tpc.backends import backend as find_backend
        from tpc.cache import keep
        from tpc.code import emitted

        options = self._options(backend, sparse)
        found = found or self.search(program, backend, sparse)
        code = emitted(found, backend, options.mode, options.memory is not None)
        keep(code, self.function.identity(program), program, options)
        return Specialised(program, backend, code, find_backend(backend).load(code.emitted), found, sparse=sparse)

    def native(self, special: Specialised) -> Specialised:
        """The same function in native code, for the same sizes."""
        own, program, sparse = self._for_sizes_of(special), special.program, special.sparse
        native = own.kept(program, "llvm", sparse)
        if native is None:
            found = self.found(special) if special.is_sparse else special.found  # sparse products are those of NumPy
            native = own.compiled(own.whole(program), "llvm", found, sparse)
        native.sizes = special.sizes
        self._help(native)
        return native

    def _for_sizes_of(self, special: Specialised) -> Specialiser:
        """One with the sizes that a function was made for; threads use it, while calls set their own sizes in this."""
        own = copy(self)
        own.sizes = dict(special.sizes)
        return own

    def routine(self, special: Specialised) -> Routine:
        """The function for torch, with its derivatives."""
        from tpc.autograd import Routine

        if special.routine is None:
            backend = special.backend
            special.routine = Routine(
                special, self.whole, lambda derived: self.kept(derived, backend) or self.compiled(derived, backend)
            )
        return special.routine

    def whole(self, program: Program) -> Program:
        """The program with its body, which one of a recalled function lacks."""
        whole = self.function.elaborated()
        return program if whole is self.function else whole.instance([n.tensor for n in program.inputs])

    def search(self, program: Program, backend: str, sparse: Sparse = DENSE) -> Variants:
        """The plans of a program."""
        from tpc.passes.pipeline import run
        from tpc.passes.variants import Variant, Variants, variants

        options, notes, begin = self._options(backend, sparse), self.function.notes, self.function.begin(program)
        if begin is not None:
            return Variants((Variant(run(program, options, notes=notes, begin=begin), ()),))
        return variants(program, options, notes)

    def found(self, special: Specialised) -> Variants:
        """The variants that calls have the choice of; searched again where only their code was kept."""
        if special.found is None:
            special.program = self.whole(special.program)
            own = self._for_sizes_of(special)
            special.found = own.search(special.program, special.backend, special.sparse)
        return special.found
