"""Programs for tests of the search, and prices that do not depend on the machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tpc.dsl.source import Source
from tpc.ir.elaborate.module import check
from tpc.ir.node import Program
from tpc.ir.sizes import free_sizes, with_sizes
from tpc.passes.cost.families import FAMILIES
from tpc.passes.inline import inline
from tpc.passes.respell import respell


def flops(kernel: str, sizes: Sequence[int], batch: int = 1) -> float:
    """Operations of a kernel; what nothing describes states them itself."""
    return float(sizes[0] if kernel == "other" else FAMILIES[kernel].flops(*sizes)) * batch


class Counted:
    """Prices that count operations, and a little for every call and entry, so that nothing is done for nothing."""

    def seconds(self, kernel: str, sizes: tuple[int, ...], dtype: Any, batch: int = 1) -> float:
        moved = sizes[0] if kernel in ("elementwise", "copy", "reduce") else 0
        return flops(kernel, sizes, batch) * 1e-9 + moved * 1e-10 + 1e-8


def program(text: str, sizes: Mapping[str, int], name: str | None = None) -> Program:
    """A program as the search meets it; sizes that are not named stay open."""
    checked = check(Source(text, "test.tp"))
    assert not checked.diagnostics.errors, checked.diagnostics.errors[0].title
    wanted = name or checked.default()
    assert wanted is not None
    found = checked.programs[wanted]
    return respell(inline(with_sizes(found, {n: sizes[n] for n in free_sizes(found) if n in sizes})))
