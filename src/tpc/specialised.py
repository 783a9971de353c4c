"""A function compiled for the types of a call: found in memory or on disk, or made now."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tpc.dsl.diagnostics import InternalError, fail
from tpc.function import Function
from tpc.memory import amount, limit
from tpc.settings import Settings

if TYPE_CHECKING:
    from tpc.autograd import Routine
    from tpc.code import Code
    from tpc.ir.node import Program
    from tpc.passes.pipeline import Options
    from tpc.passes.variants import Variants
    from tpc.threads import ThreadLimit
    from tpc.upgrade import Upgrade
    from tpc.verification import PlanCheck

REMEMBERED = 10_000  # sizes of calls


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
    limit: ThreadLimit | None = None  # on the threads of libraries, where there is one
    upgrade: Upgrade | None = None  # to native code, where that is left to tpc

    @cached_property
    def together(self) -> type[tuple[Any, ...]]:
        """The class of several results together; to make one takes longer than most calls."""
        from collections import namedtuple

        return namedtuple(self.program.name, self.program.output_names, rename=True)

    def variant(self, sizes: Mapping[str, int]) -> int | None:
        """The number of the variant that serves a call; None where there is but one."""
        return self.code.choose(sizes) if len(self.code.seconds) > 1 else None

    def on(self, sizes: Mapping[str, int], *arrays: Any) -> Any:
        """What the code gives for arrays of its formats, whose sizes are these."""
        if self.upgrade is not None:
            from tpc.backends.quiet import quietly

            return quietly(self.upgrade.on(sizes, self.variant(sizes)), *arrays)
        return self.run(*arrays, **{keyword: sizes[name] for name, keyword in self.code.emitted.sizes.items()})

    def guard(self, name: str, sizes: Mapping[str, int]) -> None:
        """Refuse a call that needs more memory than there is.

        Raises
        ------
        TpcError
            E0901, before anything is computed.
        """
        from tpc.ir.dims import substitute

        key = tuple(sizes.values())
        if key not in self.calls:
            if len(self.calls) >= REMEMBERED:
                self.calls.clear()
            held = [substitute(step, sizes) for step in self.code.peaks[self.variant(sizes) or 0]]
            self.calls[key] = max((step for step in held if isinstance(step, int)), default=0)
        peak = self.calls[key]
        if peak > limit():
            raise fail(
                "E0901",
                f"`{name}` needs {amount(peak)} at these sizes, and the limit is {amount(limit())}",
                notes=(", ".join(f"{n} = {s}" for n, s in sizes.items()),),
                help="give smaller arrays, or a program that makes smaller values; `.explain()` shows which are large",
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

    def specialised(self, program: Program, kind: str) -> Specialised:
        """The function for the types of a program, for arguments of a kind."""
        backend = self._backend(kind)
        key = (program, backend, tuple(self.at.items()), tuple(self.sizes.items()))
        special = self.made.get(key)
        if special is None:
            special = self.kept(program, backend) or self.compiled(self.whole(program), backend)
            self.made[key] = special
            if self.settings.threads is not None:
                from tpc.threads import ThreadLimit, settings

                special.limit = ThreadLimit(self.settings.threads, settings("scipy." in special.code.emitted.source))
            if self.remember is not None:
                self.remember(self.function, [s.program for s in self.made.values()])
        return special

    def _backend(self, kind: str) -> str:
        chosen = self.settings.backend if self.settings.backend != "auto" else kind
        is_bitwise = self.settings.mode == "bitwise"  # fused loops round otherwise than steps one by one
        return "numpy" if chosen == "llvm" and is_bitwise else chosen

    def _options(self, backend: str) -> Options:
        from tpc.passes.pipeline import Options

        settings = self.settings
        sizes = {**settings.dims, **self.sizes}
        return Options(sizes, dict(self.at), settings.mode, backend, settings.threads, settings.memory)

    def kept(self, program: Program, backend: str) -> Specialised | None:
        """The function from the cache on disk, but not if it is to be verified, or its code is refused."""
        from tpc.backends import backend as find_backend
        from tpc.cache import find

        if self.settings.verify:
            return None
        code = find(self.function.identity(program), program, self._options(backend))
        try:
            return (
                None if code is None else Specialised(program, backend, code, find_backend(backend).load(code.emitted))
            )
        except (InternalError, KeyError):
            return None

    def compiled(self, program: Program, backend: str, found: Variants | None = None) -> Specialised:
        """The function compiled now, of plans that were found or are looked for, and kept for other processes."""
        from tpc.backends import backend as find_backend
        from tpc.cache import keep
        from tpc.code import emitted

        options = self._options(backend)
        found = found or self.search(program, backend)
        code = emitted(found, backend, options.mode)
        keep(code, self.function.identity(program), program, options)
        return Specialised(program, backend, code, find_backend(backend).load(code.emitted), found)

    def native(self, special: Specialised) -> Specialised:
        """The same function in native code."""
        kept = self.kept(special.program, "llvm")
        return kept or self.compiled(self.whole(special.program), "llvm", special.found)

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

    def search(self, program: Program, backend: str) -> Variants:
        """The plans of a program."""
        from tpc.passes.pipeline import run
        from tpc.passes.variants import Variant, Variants, variants

        options, notes, begin = self._options(backend), self.function.notes, self.function.begin(program)
        if begin is not None:
            return Variants((Variant(run(program, options, notes=notes, begin=begin), ()),))
        return variants(program, options, notes)

    def found(self, special: Specialised) -> Variants:
        """The variants that calls have the choice of; searched again where only their code was kept."""
        if special.found is None:
            special.program = self.whole(special.program)
            special.found = self.search(special.program, special.backend)
        return special.found
