"""The code of a compiled function, and what a call needs to know of it: this is all that the cache on disk keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tpc.backends.contract import Emitted
from tpc.ir.dims import DimLike, names_of

if TYPE_CHECKING:
    from tpc.passes.choose.short import Polynomial
    from tpc.passes.variants import Variants


@dataclass(frozen=True)
class Code:
    """An emitted module; for each variant in it the seconds that it is chosen by, and the bytes held at its steps."""

    emitted: Emitted
    seconds: tuple[Polynomial, ...]
    peaks: tuple[tuple[DimLike, ...], ...]

    @property
    def sizes(self) -> set[str]:
        """The names of sizes that the choice depends on."""
        return {name for terms in self.seconds for dim, _ in terms for name in names_of(dim)}

    def choose(self, sizes: Mapping[str, int]) -> int:
        """The number of the variant that serves a call; the module itself decides alike."""
        from tpc.passes.choose.short import cheapest

        return cheapest(self.seconds, sizes)


def emitted(found: Variants, backend: str) -> Code:
    """The code of variants: one function where there is one, else one for each and one that chooses."""
    from tpc.backends import backend as find_backend
    from tpc.backends.choice import Alternative
    from tpc.passes.count import peaks

    chosen = find_backend(backend)
    if len(found.plans) == 1:
        plan = found.plans[0].plan
        module = chosen.emit(plan.program, plan.notes.names)
    else:
        module = chosen.emit_choice(
            [Alternative(v.plan.program, v.seconds, v.wins, v.plan.notes.names) for v in found.plans]
        )
    held = tuple(tuple(dict.fromkeys(peaks(v.plan.program))) for v in found.plans)
    return Code(module, tuple(v.seconds for v in found.plans), held)
