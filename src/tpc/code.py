"""The code of a compiled function, and what a call needs to know of it: this is all that the cache on disk keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tpc.backends.contract import Emitted
from tpc.ir.dims import DimLike, evaluate, names_of

if TYPE_CHECKING:
    from tpc.passes.choose.short import Polynomial
    from tpc.passes.variants import Variants


@dataclass(frozen=True)
class Code:
    """An emitted module; for each variant in it the seconds that it is chosen by, the bytes held at its steps, and the
    seconds that its native functions spare at a call, where it has such."""

    emitted: Emitted
    seconds: tuple[Polynomial, ...]
    peaks: tuple[tuple[DimLike, ...], ...]
    gains: tuple[Polynomial, ...] = ()

    @property
    def sizes(self) -> set[str]:
        """The names of sizes that the choice depends on."""
        return {name for terms in self.seconds for dim, _ in terms for name in names_of(dim)}

    def choose(self, sizes: Mapping[str, int]) -> int:
        """The number of the variant that serves a call; the module itself decides alike."""
        from tpc.passes.choose.short import cheapest

        return cheapest(self.seconds, sizes)

    def expected(self, sizes: Mapping[str, int]) -> float:
        """The seconds that a call is predicted to take, whatever its native functions spare."""
        return sum(seconds * evaluate(size, sizes) for size, seconds in self.seconds[self.choose(sizes)])

    @property
    def gain_sizes(self) -> set[str]:
        """The names of sizes that `gain` needs."""
        return self.sizes | {name for terms in self.gains for size, _ in terms for name in names_of(size)}

    def gain(self, sizes: Mapping[str, int]) -> float:
        """The seconds that native functions are predicted to spare at a call."""
        terms = self.gains[self.choose(sizes)] if self.gains else ()
        return sum(seconds * evaluate(size, sizes) for size, seconds in terms)


def emitted(found: Variants, backend: str, mode: str = "stable", tight: bool = False) -> Code:
    """The code of variants: one function where there is one, else one for each and one that chooses.

    One function may be `tight` (see `backends.contract`).
    """
    from tpc.backends import backend as find_backend
    from tpc.backends.choice import Alternative
    from tpc.folded import folded
    from tpc.passes.memory.peaks import peaks

    chosen = find_backend(backend)
    if mode != "bitwise":  # backends do not round alike
        found = replace(found, plans=tuple(replace(v, plan=folded(v.plan)) for v in found.plans))
    if len(found.plans) == 1:
        plan = found.plans[0].plan
        module = chosen.emit(plan.program, plan.notes.names, tight=tight)
    else:
        module = chosen.emit_choice(
            [Alternative(v.plan.program, v.seconds, v.wins, v.plan.notes.names) for v in found.plans]
        )
    held = tuple(tuple(dict.fromkeys(peaks(v.plan.program, backend))) for v in found.plans)
    gains: tuple[Polynomial, ...] = ()
    if backend == "llvm":
        from tpc.gains import gain

        gains = tuple(gain(v.plan.program) for v in found.plans)
        fast = mode == "fast"
        module = replace(module, natives={name: replace(r, fast=fast) for name, r in module.natives.items()})
    return Code(module, tuple(v.seconds for v in found.plans), held, gains)
