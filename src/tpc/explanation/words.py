"""Numbers, rules and places in words, as all forms of an account use them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tpc.dsl.format import format_rule
from tpc.ir.dims import DimLike, dim_text
from tpc.memory import amount
from tpc.passes.egraph.moves import MOVES
from tpc.passes.kernels import Totals
from tpc.passes.rules import Law, lines


def count_text(count: DimLike | str) -> str:
    """`12,000`, or a formula in the sizes."""
    return f"{count:,}" if isinstance(count, int) else count if isinstance(count, str) else dim_text(count)


def bytes_text(count: DimLike | str) -> str:
    """`1.5 GB`, or a formula in the sizes."""
    if isinstance(count, int):
        return amount(count)
    return f"{count} bytes" if isinstance(count, str) else dim_text(count)


def seconds_text(seconds: float) -> str:
    """`3.2 ms`."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:,.3g} {unit}" if seconds < 1000 * size else f"{seconds / size:,.0f} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def ratio(before: float, after: float) -> str:
    """How many times less."""
    if after <= 0:
        return "" if before <= 0 else "all"
    times = before / after
    return f"{times:,.0f} x" if 100 <= times < 1e9 else f"{times:.3g} x"


def compared(written: Totals, chosen: Totals) -> list[tuple[str, str, str, str]]:
    """A row for each total: what it is, before and after, and how many times less."""

    def row(what: str, shown: Callable[[Any], str], before: float, after: float) -> tuple[str, str, str, str]:
        return what, shown(before), shown(after), ratio(before, after)

    return [
        row("operations", count_text, written.flops, chosen.flops),
        row("memory moved", amount, written.bytes, chosen.bytes),
        row("peak memory", amount, written.peak_bytes, chosen.peak_bytes),
        row("predicted time", seconds_text, written.seconds, chosen.seconds),
    ]


def totals_text(totals: Totals) -> str:
    """All totals in a line."""
    return (
        f"{count_text(totals.flops)} flops, {amount(totals.bytes)} moved, {seconds_text(totals.seconds)}, "
        f"peak {amount(totals.peak_bytes)}"
    )


def sizes_text(at: Mapping[str, int], assumed: Sequence[str] = ()) -> str:
    """`, at n = 51, p = 300 (assumed)`; nothing where there are no sizes."""
    sizes = [f"{name} = {size:,}{' (assumed)' * (name in assumed)}" for name, size in at.items()]
    return f", at {', '.join(sizes)}" if sizes else ""


def gains_text(flops: float, seconds: float) -> str:
    """`41 times fewer operations, 12 times faster`, of ratios of before and after."""
    if flops < 1:
        return f"{_times(seconds)} faster, with {_times(1 / flops)} the operations"
    return f"{_times(flops)} fewer operations, {_times(seconds)} faster"


def _times(ratio: float) -> str:
    return f"{ratio:,.0f} times" if ratio >= 10 else f"{ratio:.2g} times"


def law_of(rule: str) -> Law | None:
    """The rule of a name; None for a move."""
    line = lines().get(rule)
    return None if line is None else line.law


def rule_text(rule: str) -> str:
    """A rule as its file has it, or what a move does."""
    law = law_of(rule)
    return MOVES[rule] if law is None else format_rule(law)


def stage_place(rule: str) -> str:
    """The file that a rule stands in: ` (updates.rules)`; nothing for a move."""
    line = lines().get(rule)
    return "" if line is None else f" ({line.file})"
