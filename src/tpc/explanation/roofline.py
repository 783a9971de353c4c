"""Each kernel of a plan against what the machine can do at most, as a table; `roofline_drawing` draws it.

Two limits hold for any kernel (Williams, Waterman and Patterson, "Roofline", 2009): its bytes take as long as a copy
of as many, and its operations as long as in a large product of matrices. Both are found from the prices of
`tpc calibrate`, or measured (`measuring`), as the times are that are held against the larger of the two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from tpc.explanation.words import bytes_text, count_text, seconds_text, sizes_text
from tpc.ir.dims import DimLike, evaluate
from tpc.ir.node import Node, Program
from tpc.ir.ops.structure import CALL, INPUT, ITEM, LITERAL, SIZE
from tpc.ir.types import F32, F64, DType, TensorType
from tpc.passes.choose.prices import Prices
from tpc.passes.count import node_bytes, node_flops
from tpc.passes.kernels import kernels_of, node_seconds

LARGE = (500, 1000, 2000)  # rows of the products that tell the limit of arithmetic
FAR = 1 << 28  # bytes of the copy that tells the limit of memory
OPERATION = 6e-11  # seconds in the loops of native code, in f64, on one thread


Clock = Callable[[Node], float]
"""The seconds of a node of a plan, or of a call of a native function."""


class Limits(Protocol):
    """What a machine does at most: operations in a second, by dtype, and bytes in a second beyond its caches."""

    def arithmetic(self, dtype: DType) -> float: ...

    @property
    def memory(self) -> float: ...

    def seconds_to_move(self, moved: int) -> float:
        """Of a copy, wherever in the caches it finds place, without the call."""


@dataclass(frozen=True)
class Predicted:
    """Limits by prices."""

    prices: Prices

    def arithmetic(self, dtype: DType) -> float:
        return max(2 * n**3 / self.prices.seconds("gemm", (n, n, n), dtype) for n in LARGE)

    @property
    def memory(self) -> float:
        return FAR / self.seconds_to_move(FAR)

    def seconds_to_move(self, moved: int) -> float:
        return self._copied(moved // (2 * F64.size)) - self._copied(0)

    def _copied(self, entries: int) -> float:
        return self.prices.seconds("copy", (entries,), F64)


@dataclass(frozen=True)
class Point:
    """A kernel, or a native function: what it does at the sizes of the account, and the times that it takes at least.

    `seconds` are its own; `arithmetic` and `memory` are those of the limits.
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
    is_measured: bool = False

    @property
    def dtypes(self) -> list[DType]:
        return list(dict.fromkeys(point.dtype for point in self.points))

    def __str__(self) -> str:
        return table(self)

    def write(self, path: str | Path) -> None:
        """Draw it into a file: `.png`, `.svg` or `.html`. Raises as `explanation.roofline_drawing.write`."""
        from tpc.explanation.roofline_drawing import write

        write(self, Path(path))


def roofline(
    program: Program,
    names: Mapping[Node, str],
    prices: Prices,
    at: Mapping[str, int],
    *,
    assumed: Sequence[str] = (),
    native: bool = False,
    limits: Limits | None = None,
    clock: Callable[[Program], Clock] | None = None,
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
    limits, clock
        Those that are measured: the clock is given the plan with calls in the place of native functions.
    """
    threads = getattr(prices, "threads", 1)
    where = f"{threads} thread{'s' * (threads > 1)} of {getattr(prices, 'machine', 'some machine')}"
    outlined, origins = _outlined(program) if native else (program, {})
    known = limits or Predicted(prices)
    seconds = clock(outlined) if clock is not None else None
    points = tuple(_points(outlined, origins, names, prices, known, seconds, at))
    return Roofline(program.name, where, known, points, at, tuple(assumed), clock is not None)


Origins = dict[Program, dict[Node, Node]]


def _outlined(program: Program) -> tuple[Program, Origins]:
    """The program with calls of native functions, and what the values of these are in it."""
    from tpc.backends.llvm.lower import refusal
    from tpc.backends.llvm.regions import Outliner

    outliner = Outliner(refusal)
    return outliner.program(program), outliner.origins


def _points(
    program: Program,
    origins: Origins,
    names: Mapping[Node, str],
    prices: Prices,
    limits: Limits,
    clock: Clock | None,
    at: Mapping[str, int],
) -> Iterator[Point]:
    for node in program.nodes:
        if node.op is CALL and node["body"] in origins:
            body = node["body"]
            known = origins[body]
            called = [names[known[n]] for n in body.outputs if n in known and known[n] in names]
            point = _native(", ".join(called) or "a part", body, _sizes(node, at), prices, limits)
        elif any(kernel.name for kernel in kernels_of(node)) or node.programs:
            point = _point(node, names.get(node, f"`{node.op.name}`"), prices, limits, at)
        else:
            continue
        if point.seconds > 0:
            yield point if clock is None else replace(point, seconds=clock(node))


def _sizes(call: Node, at: Mapping[str, int]) -> dict[str, int]:
    """The sizes of a called body, by its names of them."""
    return {**at, **{name: evaluate(dim, at) for name, dim in dict(call["sizes"]).items()}}


def _point(node: Node, name: str, prices: Prices, limits: Limits, at: Mapping[str, int]) -> Point:
    """A node as the library computes it."""
    kernels = node.op.name if node.programs else ", ".join(dict.fromkeys(k.name for k in kernels_of(node)))
    flops, moved = evaluate(node_flops(node), at), evaluate(node_bytes(node), at)
    return _against(name, kernels, _dtype(node), flops, moved, node_seconds(node, prices, at), limits)


def _native(name: str, body: Program, at: Mapping[str, int], prices: Prices, limits: Limits) -> Point:
    """A native function: it reads its operands, writes its results, and writes and reads what else it stores."""
    from tpc.backends.llvm.lower import stored

    made = [node for node in body.nodes if node.op not in (INPUT, ITEM, LITERAL, SIZE)]
    between = stored(body) - set(body.outputs) - set(body.inputs)
    moved: DimLike = 0
    for node in (*body.inputs, *body.outputs, *between, *between):
        moved += node.tensor.bytes
    dtype = _dtype(body.outputs[0])
    flops, size = sum(evaluate(node_flops(node), at) for node in made), evaluate(moved, at)
    threads = getattr(prices, "threads", 1)
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
    lines = [title(found), *_limits(found), ""]
    for row in rows:
        cells = [f"{c:<{w}}" if k in left else f"{c:>{w}}" for k, (c, w) in enumerate(zip(row, widths))]
        lines.append("  ".join(cells).rstrip())
    if not found.points:
        lines[-1:] = ["nothing is computed"]
    return "\n".join(lines) + "\n"


def title(found: Roofline) -> str:
    times = "measured" if found.is_measured else "predicted"
    return f"{found.name}{sizes_text(found.at, found.assumed)}, on {found.machine}; times are {times}"


def _limits(found: Roofline) -> Iterator[str]:
    memory = found.limits.memory
    yield f"memory      {memory / 1e9:,.3g} GB/s"
    for dtype in found.dtypes:
        rate = found.limits.arithmetic(dtype)
        meet = f"from {rate / memory:.3g} flops/byte on it is the limit"
        yield f"arithmetic  {rate / 1e9:,.3g} Gflop/s in {dtype}; {meet}"
