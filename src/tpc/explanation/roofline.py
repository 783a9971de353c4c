"""Each kernel of a plan against what the machine can do at most: a table, and a drawing.

Two limits hold for any kernel (Williams, Waterman and Patterson, "Roofline", 2009): its bytes take as long as a copy
of as many, and its operations as long as in a large product of matrices. Both are found from the prices of
`tpc calibrate`. The time that is predicted is held against the larger of the two.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import log10

from tpc.explanation.words import bytes_text, count_text, seconds_text, sizes_text
from tpc.ir.dims import DimLike, evaluate
from tpc.ir.node import Node, Program
from tpc.ir.ops.structure import CALL, INPUT, ITEM, LITERAL, SIZE
from tpc.ir.types import F32, F64, DType, TensorType
from tpc.passes.choose.prices import Prices
from tpc.passes.count import kernels_of, node_bytes, node_flops, node_seconds

LARGE = (500, 1000, 2000)  # rows of the products that tell the limit of arithmetic
FAR = 1 << 28  # bytes of the copy that tells the limit of memory
OPERATION = 6e-11  # seconds in the loops of native code, in f64, on one thread


@dataclass(frozen=True)
class Limits:
    """What a machine does at most: operations in a second, by dtype, and bytes in a second beyond its caches."""

    prices: Prices

    def arithmetic(self, dtype: DType) -> float:
        return max(2 * n**3 / self.prices.seconds("gemm", (n, n, n), dtype) for n in LARGE)

    @property
    def memory(self) -> float:
        return FAR / self.seconds_to_move(FAR)

    def seconds_to_move(self, moved: int) -> float:
        """Of a copy, wherever in the caches it finds place, without the call."""
        return self._copied(moved // (2 * F64.size)) - self._copied(0)

    def _copied(self, entries: int) -> float:
        return self.prices.seconds("copy", (entries,), F64)


@dataclass(frozen=True)
class Point:
    """A kernel, or a native function: what it does at the sizes of the account, and the times that it takes at least.

    `seconds` are predicted; `arithmetic` and `memory` are those of the limits.
    """

    name: str
    kernel: str
    dtype: DType
    flops: int
    bytes: int
    seconds: float
    arithmetic: float
    memory: float

    @property
    def intensity(self) -> float:
        """Operations for each byte."""
        return self.flops / self.bytes if self.bytes else 0.0

    @property
    def bound(self) -> str:
        """What limits it."""
        return "arithmetic" if self.arithmetic > self.memory else "memory"

    @property
    def attained(self) -> float:
        """The share of the limit."""
        return max(self.arithmetic, self.memory) / self.seconds if self.seconds else 0.0


@dataclass(frozen=True)
class Roofline:
    """The kernels of a plan, at sizes of which some are only assumed."""

    name: str
    machine: str
    limits: Limits
    points: tuple[Point, ...]
    at: Mapping[str, int]
    assumed: tuple[str, ...]

    @property
    def dtypes(self) -> list[DType]:
        return list(dict.fromkeys(point.dtype for point in self.points))


def roofline(
    program: Program,
    names: Mapping[Node, str],
    prices: Prices,
    at: Mapping[str, int],
    *,
    assumed: Sequence[str] = (),
    native: bool = False,
) -> Roofline:
    """Hold the kernels of a plan against the limits of a machine.

    Parameters
    ----------
    program, names
        The plan, and what its values are called.
    at, assumed
        All sizes, and those of them that nobody gave.
    native
        Whether what can be native is: then each native function is one kernel.
    """
    threads = getattr(prices, "threads", 1)
    where = f"{threads} thread{'s' * (threads > 1)} of {getattr(prices, 'machine', 'some machine')}"
    limits = Limits(prices)
    points = tuple(_points(program, names, limits, at, native))
    return Roofline(program.name, where, limits, points, at, tuple(assumed))


def _points(
    program: Program, names: Mapping[Node, str], limits: Limits, at: Mapping[str, int], native: bool
) -> Iterator[Point]:
    origins: dict[Program, dict[Node, Node]] = {}
    if native:
        from tpc.backends.llvm.lower import refusal
        from tpc.backends.llvm.regions import Outliner

        outliner = Outliner(refusal)
        program = outliner.program(program)
        origins = outliner.origins
    for node in program.nodes:
        if node.op is CALL and node["body"] in origins:
            body = node["body"]
            known = origins[body]
            called = [names[known[n]] for n in body.outputs if n in known and known[n] in names]
            yield _native(", ".join(called) or "a part", body, _sizes(node, at), limits)
        elif any(kernel.name for kernel in kernels_of(node)) or node.programs:
            point = _point(node, names.get(node, f"`{node.op.name}`"), limits, at)
            if point.seconds > 0:
                yield point


def _sizes(call: Node, at: Mapping[str, int]) -> dict[str, int]:
    """The sizes of a called body, by its names of them."""
    return {**at, **{name: evaluate(dim, at) for name, dim in dict(call["sizes"]).items()}}


def _point(node: Node, name: str, limits: Limits, at: Mapping[str, int]) -> Point:
    """A node as the library computes it."""
    kernels = node.op.name if node.programs else ", ".join(dict.fromkeys(k.name for k in kernels_of(node)))
    flops, moved = evaluate(node_flops(node), at), evaluate(node_bytes(node), at)
    return _against(name, kernels, _dtype(node), flops, moved, node_seconds(node, limits.prices, at), limits)


def _native(name: str, body: Program, at: Mapping[str, int], limits: Limits) -> Point:
    """A native function: it reads its operands, writes its results, and writes and reads what else it stores."""
    from tpc.backends.llvm.lower import stored

    made = [node for node in body.nodes if node.op not in (INPUT, ITEM, LITERAL, SIZE)]
    between = stored(body) - set(body.outputs) - set(body.inputs)
    moved: DimLike = 0
    for node in (*body.inputs, *body.outputs, *between, *between):
        moved += node.tensor.bytes
    dtype = _dtype(body.outputs[0])
    flops, size = sum(evaluate(node_flops(node), at) for node in made), evaluate(moved, at)
    threads = getattr(limits.prices, "threads", 1)
    seconds = max(flops * OPERATION * dtype.size / F64.size / threads, limits.seconds_to_move(size))
    return _against(name, "native", dtype, flops, size, seconds, limits)


def _against(name: str, kernel: str, dtype: DType, flops: int, moved: int, seconds: float, limits: Limits) -> Point:
    memory = limits.seconds_to_move(moved)
    return Point(name, kernel, dtype, flops, moved, seconds, flops / limits.arithmetic(dtype), memory)


def _dtype(node: Node) -> DType:
    """The format in which a node computes, as far as limits differ by it."""
    types = node.type if isinstance(node.type, tuple) else (node.type,)
    return F32 if types and isinstance(types[0], TensorType) and types[0].dtype is F32 else F64


# ---- as text


def table(found: Roofline) -> str:
    """A row for each kernel, below the limits."""
    head = ("value", "kernel", "flops", "bytes", "flops/byte", "time", "limit", "attained")
    rows = [head]
    for p in found.points:
        rows.append(
            (
                *(p.name, p.kernel, count_text(p.flops), bytes_text(p.bytes), f"{p.intensity:.3g}"),
                *(seconds_text(p.seconds), p.bound, f"{100 * p.attained:.0f} %"),
            )
        )
    widths = [max(len(row[k]) for row in rows) for k in range(len(head))]
    left = (0, 1, 6)
    lines = [_above(found), *_limits(found), ""]
    for row in rows:
        cells = [f"{c:<{w}}" if k in left else f"{c:>{w}}" for k, (c, w) in enumerate(zip(row, widths))]
        lines.append("  ".join(cells).rstrip())
    if not found.points:
        lines[-1:] = ["nothing is computed"]
    return "\n".join(lines) + "\n"


def _above(found: Roofline) -> str:
    return f"{found.name}{sizes_text(found.at, found.assumed)}, on {found.machine}; times are predicted"


def _limits(found: Roofline) -> Iterator[str]:
    memory = found.limits.memory
    yield f"memory      {memory / 1e9:,.3g} GB/s"
    for dtype in found.dtypes:
        rate = found.limits.arithmetic(dtype)
        meet = f"from {rate / memory:.3g} flops/byte on it is the limit"
        yield f"arithmetic  {rate / 1e9:,.3g} Gflop/s in {dtype}; {meet}"


# ---- as a drawing

WIDTH, HEIGHT, LEFT, BELOW, EDGE = 640, 400, 64, 44, 16  # pixels
DECADES_BELOW = 3  # that are shown below the highest roof, at least


def drawing(found: Roofline) -> str:
    """An `svg` element: operations in a second over operations for each byte, both logarithmic, below the limits."""
    limits, memory = found.limits, found.limits.memory
    roofs = {dtype: limits.arithmetic(dtype) for dtype in found.dtypes} or {F64: limits.arithmetic(F64)}
    points = [p for p in found.points if p.flops and p.bytes and p.seconds]
    rates = [*roofs.values(), *(p.flops / p.seconds for p in points)]
    across = [*(rate / memory for rate in roofs.values()), *(p.intensity for p in points)]
    low, high = int(log10(min(across)) // 1) - 1, int(log10(max(across)) // 1) + 2
    top = int(log10(max(rates)) // 1) + 1
    bottom = min(int(log10(min(rates)) // 1), top - DECADES_BELOW)

    def x(intensity: float) -> float:
        return LEFT + (log10(intensity) - low) / (high - low) * (WIDTH - LEFT - EDGE)

    def y(rate: float) -> float:
        return EDGE + (top - log10(rate)) / (top - bottom) * (HEIGHT - BELOW - EDGE)

    style = "text{font:11px sans-serif}line{stroke:#ddd}path{fill:none;stroke:#333;stroke-width:1.5}circle{fill:#c33}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}">',
        f"<title>{escape(_above(found))}</title><style>{style}</style>",
    ]
    for decade in range(low, high + 1):
        at = x(10.0**decade)
        parts.append(f'<line x1="{at:.1f}" y1="{EDGE}" x2="{at:.1f}" y2="{HEIGHT - BELOW}"/>')
        parts.append(_label(at, HEIGHT - BELOW + 16, f"{10.0**decade:g}", "middle"))
    for decade in range(bottom, top + 1):
        at = y(10.0**decade)
        parts.append(f'<line x1="{LEFT}" y1="{at:.1f}" x2="{WIDTH - EDGE}" y2="{at:.1f}"/>')
        parts.append(_label(LEFT - 6, at + 4, f"{10.0 ** (decade - 9):g}", "end"))
    parts.append(_label((LEFT + WIDTH) / 2, HEIGHT - 10, "flops/byte", "middle"))
    parts.append(_label(4, 11, "Gflop/s", "start"))
    for dtype, rate in roofs.items():
        start = max(10.0**low, 10.0**bottom / memory)
        line = f"M{x(start):.1f} {y(start * memory):.1f}L{x(rate / memory):.1f} {y(rate):.1f}H{WIDTH - EDGE}"
        parts.append(f'<path d="{line}"/>' + _label(WIDTH - EDGE, y(rate) - 5, f"{dtype}", "end"))
    for p in points:
        at, rate = x(p.intensity), y(p.flops / p.seconds)
        parts.append(f'<circle cx="{at:.1f}" cy="{rate:.1f}" r="4"/>' + _label(at + 7, rate + 4, p.name, "start"))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _label(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
