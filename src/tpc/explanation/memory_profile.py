"""What a plan holds over time, before and after it was made to fit into a budget: as text, SVG, HTML and PNG."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tpc.cost import live
from tpc.explanation.picture import Picture
from tpc.ir.rewrite import rebuilt
from tpc.ir.sizes import with_sizes
from tpc.memory import amount

if TYPE_CHECKING:
    from tpc.ir.node import Node, Program
    from tpc.passes.memory.liveness import Liveness
    from tpc.passes.pipeline import Plan

WIDTH, HEIGHT, LEFT, BELOW, EDGE = 760, 360, 70, 40, 20  # pixels
COLUMNS = 60  # of the profile in text
BARS = " ▁▂▃▄▅▆▇█"
BEFORE, AFTER, BUDGET = "#999", "#1f77b4", "#c33"  # colours


@dataclass(frozen=True)
class MemoryProfile:
    """Bytes held at each step.

    Attributes
    ----------
    after
        Within the budget; None where nothing had to be changed.
    again
        What is computed more often within the budget, by the name of the user or the op, and how much more often.
    gap
        Of the time without a budget, what a cheaper plan might spare; as it is proved.
    levels
        Of the segments into which loops are cut, so that their derivatives keep fewer states; 1 where they are not.
    """

    name: str
    before: tuple[int, ...]
    after: tuple[int, ...] | None = None
    budget: int | None = None
    again: tuple[tuple[str, int], ...] = ()
    gap: float | None = None
    levels: int = 1


def memory_profile(plan: Plan, backend: str, sizes: Mapping[str, int], budget: int | None) -> MemoryProfile:
    """What a plan holds at each step; before the pass `rematerialise`, if it changed the program, as well."""

    def held(program: Program) -> Liveness:
        return live(with_sizes(program, dict(sizes)), backend, {}, tight=budget is not None)

    name, last = plan.program.name, held(plan.program)
    names = [step for step, _ in plan.steps]
    if "rematerialise" not in names[1:]:
        return MemoryProfile(name, tuple(last.live), None, budget, levels=plan.levels)
    first = held(plan.steps[names.index("rematerialise") - 1][1])
    gap = None if plan.within is None else plan.within.gap
    again = _again(first, last, plan.notes.names)
    return MemoryProfile(name, tuple(first.live), tuple(last.live), budget, again, gap, plan.levels)


def _again(before: Liveness, after: Liveness, names: Mapping[Node, str]) -> tuple[tuple[str, int], ...]:
    plain: dict[Node, Node] = {}  # without what is said of the order of work: runs of one step are the same then
    for node in (*before.program.nodes, *after.program.nodes):
        args = [plain.get(arg, arg) for arg in node.args]
        plain[node] = args[0] if node.op.name == "after" else rebuilt(node.op, args, node.attributes, node.type)
    called = {plain[step.node]: f"`{names[step.node]}`" for step in before.steps if step.node in names}
    runs = Counter(plain[step.node] for step in after.steps) - Counter(plain[step.node] for step in before.steps)
    found: Counter[str] = Counter()
    for node, count in runs.items():
        found[called.get(node, node.op.name)] += count
    return tuple(sorted(found.items(), key=lambda item: not item[0].startswith("`")))


def text(found: MemoryProfile) -> str:
    """Peaks and profiles, a line each."""
    top = max([*found.before, *(found.after or ()), 1])
    lines = ["memory", f"  before  {_bars(found.before, top)}  peak {amount(max(found.before, default=0))}"]
    if found.after is not None:
        lines.append(f"  after   {_bars(found.after, top)}  peak {amount(max(found.after, default=0))}")
        lines.append(f"  computed again: {', '.join(f'{count} x {name}' for name, count in found.again)}")
        if found.gap is not None:
            most = "nothing" if found.gap < 1e-3 else f"at most {found.gap:.1%} of the time"
            lines.append(f"  proved: {most} could be spared within the budget, in this order of first runs")
    if found.levels > 1:
        levels = "" if found.levels == 2 else f", in {found.levels - 1} levels"
        lines.append(f"  loops in segments: their states are kept between these alone{levels}, and each runs again")
    if found.budget is not None:
        more = "" if found.after is not None or found.levels > 1 else "; nothing had to be changed"
        lines.append(f"  budget  {amount(found.budget)}{more}")
    return "\n".join(lines) + "\n"


def _bars(live: Sequence[int], top: int) -> str:
    """A row of bars, each as high as the most that is held in its part of the time."""
    count = min(COLUMNS, len(live))
    parts = [max(live[k * len(live) // count : (k + 1) * len(live) // count]) for k in range(count)]
    return "".join(BARS[-(-part * (len(BARS) - 1) // top)] for part in parts)


def drawing(found: MemoryProfile) -> str:
    """An `svg` element: bytes over steps, grey without a budget, blue within it, and the budget in red."""
    top = max([*found.before, *(found.after or ()), found.budget or 0, 1])
    steps = max(len(found.before), len(found.after or ()), 1)

    def x(step: float) -> float:
        return LEFT + step / steps * (WIDTH - LEFT - EDGE)

    def y(bytes: float) -> float:
        return HEIGHT - BELOW - bytes / top * (HEIGHT - BELOW - EDGE)

    def area(live: Sequence[int], colour: str) -> str:
        corners = "".join(f"V{y(bytes):.1f}H{x(k + 1):.1f}" for k, bytes in enumerate(live))
        path = f"M{x(0):.1f} {y(0):.1f}{corners}V{y(0):.1f}Z"
        return f'<path d="{path}" fill="{colour}" fill-opacity="0.25" stroke="{colour}" stroke-width="1.5"/>'

    def level(bytes: int, colour: str) -> str:
        at = f"{y(bytes):.1f}"
        return f'<line x1="{LEFT}" x2="{WIDTH - EDGE}" y1="{at}" y2="{at}" stroke="{colour}"/>'

    def label(across: float, down: float, said: str, anchor: str) -> str:
        return f'<text x="{across:.1f}" y="{down:.1f}" text-anchor="{anchor}">{said}</text>'

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}">',
        f"<title>{escape(found.name)}: memory over steps</title><style>text{{font:11px sans-serif}}</style>",
    ]
    for bytes in (round(top * k / 4) for k in range(5)):
        parts.append(level(bytes, "#ddd") + label(LEFT - 6, y(bytes) + 4, amount(bytes), "end"))
    parts.append(area(found.before, BEFORE))
    if found.after is not None:
        parts.append(area(found.after, AFTER))
        parts.append(label(LEFT + 8, EDGE + 12, f'<tspan fill="{BEFORE}">before</tspan>', "start"))
        parts.append(label(LEFT + 8, EDGE + 28, f'<tspan fill="{AFTER}">after</tspan>', "start"))
    if found.budget is not None:
        said = f"budget {amount(found.budget)}"
        parts.append(level(found.budget, BUDGET) + label(WIDTH - EDGE, y(found.budget) - 4, said, "end"))
    parts.append(label((LEFT + WIDTH) / 2, HEIGHT - 12, "steps", "middle"))
    return "\n".join([*parts, "</svg>"]) + "\n"


def write(found: MemoryProfile, path: Path) -> None:
    """Write the picture in the format that the name of the file says: `.png`, `.svg` or `.html`."""
    size = (WIDTH, HEIGHT)
    picture = Picture(f"{found.name}: memory", drawing(found), text(found), size, lambda axes: _plot(found, axes))
    picture.write(path)


def _plot(found: MemoryProfile, axes: Any) -> None:
    for held, label, colour in ((found.before, "before", BEFORE), (found.after, "after", AFTER)):
        if held is not None:
            axes.stairs([bytes / 1e6 for bytes in held], label=label, color=colour, fill=True, alpha=0.4)
    if found.budget is not None:
        axes.axhline(found.budget / 1e6, color=BUDGET, label="budget")
    axes.set(xlabel="steps", ylabel="MB", title=found.name)
