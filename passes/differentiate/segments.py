"""Loops cut into segments: a loop over segments of a loop within each.

    scan t in T:  s, y[t] = f(t, s, X[t])
    scan k in K:  s, y[k] = scan c in C:  s, y[k, c] = f(k*C + c, s, X[k, c])

The adjoint of a loop keeps the state before each pass. That of the loop over segments keeps K states, and makes the C
states of one segment at a time anew, on the way back: checkpointing (Griewank and Walther, Algorithm 799: revolve,
2000), with about 2*sqrt(T) states for one more run of the loop. Segments are cut again where more levels are asked for.
"""

from __future__ import annotations

from collections.abc import Callable

from tpc.ir.build import Fresh, items, make, size
from tpc.ir.dims import DimLike, divide
from tpc.ir.node import Node, Program
from tpc.ir.ops.structure import REPEAT, SCAN, SUBSCRIPT, At, Range
from tpc.ir.rewrite import expanded, map_blocks, replace
from tpc.ir.types import INT, TensorType
from tpc.passes.differentiate.arrays import part
from tpc.passes.differentiate.loops import bounded, declared, row_read

SHORTEST = 8  # passes of a loop that is cut
Cut = tuple[DimLike, DimLike]
"""How many segments a loop has, and how many passes each of them."""
Cuts = Callable[[DimLike], "Cut | None"]
"""The cut of a loop by the number of its passes; None where it is left whole."""


def by_level(levels: int) -> Cuts:
    """Segments of loops of known length such that each of so many levels keeps about as many states."""

    def cut(extent: DimLike) -> Cut | None:
        if not isinstance(extent, int) or extent < SHORTEST:
            return None
        # more is held of each pass of a segment than of a border, so that segments are shorter
        best = max(2, round(extent ** ((levels - 1) / levels) / 2))
        near = range(max(2, best * 2 // 3), best * 3 // 2 + 1)
        length = min(near, key=lambda length: (extent % length > 0, abs(length - best)))  # with none left over
        return extent // length, length

    return cut


def by_count(count: int) -> Cuts:
    """So many segments."""

    def cut(extent: DimLike) -> Cut | None:
        return None if isinstance(extent, int) and extent < 2 * count else (count, divide(extent, count))

    return cut


def segmented(program: Program, levels: int, cuts: Cuts | None = None) -> Program:
    """The program with its loops cut into segments.

    Parameters
    ----------
    levels
        How often they are cut; 2 is once.
    cuts
        Where they are cut once.
    """
    return expanded(
        program,
        lambda node: map_blocks(node, lambda inner: segmented(inner, levels, cuts)),
        lambda node: _cut(node, levels, cuts),
    )


def _cut(loop: Node, levels: int, cuts: Cuts | None) -> list[Node] | None:
    """What the results of a loop become; None where it is left whole."""
    if levels < 2 or loop.op not in (SCAN, REPEAT) or not loop["state"]:
        return None
    results = loop["state"] if loop.op is REPEAT else len(loop["body"].outputs)
    if loop.get("until") is not None and loop["count"] is not None:
        loop = bounded(loop)  # which carries a mark more
    is_scan = loop.op is SCAN
    extent: DimLike | None = loop["extent"] if is_scan else loop["count"]
    found = None if extent is None else (cuts or by_level(levels))(extent)
    if extent is None or found is None:
        return None
    return _Segments(loop, extent, found, levels, cuts).run()[:results]


class _Segments:
    """A loop in segments of some passes, and what is left over behind them."""

    def __init__(self, loop: Node, extent: DimLike, cut: Cut, levels: int, cuts: Cuts | None) -> None:
        self.loop, self.levels, self.cuts = loop, levels, cuts
        self.count, self.length = cut
        self.done = self.count * self.length
        self.left = extent - self.done
        self.state: int = loop["state"]
        body: Program = loop["body"]
        if loop.op is REPEAT:
            body = body.replace(inputs=(Fresh(body)("pass", TensorType(INT)), *body.inputs))
        self.body, self.counter, self.fixed = body, body.inputs[0], body.inputs[1 + self.state :]
        self.rows = {}  # what a pass reads of arrays of which each reads another part
        for array in self.fixed:
            found = row_read(body, extent, array)
            if found is not None and not found[1]:
                self.rows[array] = found[0]

    def run(self) -> list[Node]:
        state, fixed = self.loop.args[: self.state], self.loop.args[self.state :]
        results = self._over(state, self._parts(fixed, 0, self.done, (self.count, self.length)))
        if self.left == 0:
            return results
        rest = self._within(results[: self.state], self._parts(fixed, self.done, self.left, ()), size(self.done), 0)
        pairs = zip(results[self.state :], rest[self.state :], strict=True)
        return [*rest[: self.state], *(make("concat", pair, axis=0) for pair in pairs)]

    def _parts(
        self, operands: tuple[Node, ...], start: DimLike, count: DimLike, lead: tuple[DimLike, ...]
    ) -> list[Node]:
        """The operands, those that are read row by row from a row on, with other first axes in the place of theirs."""
        found = []
        for inside, operand in zip(self.fixed, operands, strict=True):
            if inside in self.rows:
                operand = part(operand, 0, start, count)
                dims = (*(lead or (count,)), *operand.tensor.dims[1:])
                operand = make("reshape", (operand,), dims=dims) if lead else operand
            found.append(operand)
        return found

    def _over(self, state: tuple[Node, ...], fixed: list[Node]) -> list[Node]:
        """The loop over segments."""
        fresh = Fresh(self.body)
        turn = fresh("segment", TensorType(INT))
        carried = [fresh(f"s{k}", i.tensor) for k, i in enumerate(self.body.inputs[1 : 1 + self.state])]
        given = [fresh(f"c{k}", operand.tensor) for k, operand in enumerate(fixed)]
        rows = [_row(g, turn) if i in self.rows else g for i, g in zip(self.fixed, given, strict=True)]
        inner = self._within(carried, rows, make("mul", (turn, size(self.length))), 1)
        known = dict(self.body.facts)
        facts = [(g, known[i]) for i, g in zip(self.fixed, given, strict=True) if i in known and self._keeps_facts(i)]
        body = declared(Program(f"{self.body.name}_segment", (turn, *carried, *given), inner, facts=facts))
        results = items(make(SCAN, (*state, *fixed), body=body, state=self.state, extent=self.count))
        stacked = (make("reshape", (y,), dims=(self.done, *y.tensor.dims[2:])) for y in results[self.state :])
        return [*results[: self.state], *stacked]

    def _within(self, state: list[Node], fixed: list[Node], start: Node, level: int) -> list[Node]:
        """The loop over the passes of one segment, whose first has the number `start`."""
        fresh = Fresh(self.body)
        turn, base = fresh("turn", TensorType(INT)), fresh("start", TensorType(INT))
        arrays = {i: fresh(f"c{k}", a.tensor) for k, (i, a) in enumerate(zip(self.fixed, fixed, strict=True))}
        now = {row: _row(arrays[i], turn) for i, row in self.rows.items()}
        now |= {**arrays, self.counter: make("add", (base, turn))}
        said = [n for n, _ in self.body.facts if self._keeps_facts(n)]
        there = replace([*self.body.outputs, *said], now)
        outputs, known = there[: len(self.body.outputs)], there[len(self.body.outputs) :]
        facts = list(zip(known, (f for n, f in self.body.facts if n in said), strict=True))
        inputs = (turn, *self.body.inputs[1 : 1 + self.state], *arrays.values(), base)
        body = declared(Program(self.body.name, inputs, outputs, facts=facts))
        extent = self.length if level else self.left
        loop = make(SCAN, (*state, *fixed, start), body=body, state=self.state, extent=extent)
        return (None if self.cuts else _cut(loop, self.levels - 1, None)) or items(loop)

    def _keeps_facts(self, node: Node) -> bool:
        """Whether what is known of a value of the body is known of a part of it: of a stack of matrices, it is."""
        return node not in self.rows or node.tensor.rank > 2


def _row(array: Node, place: Node) -> Node:
    rest = tuple(Range(0, dim, 1) for dim in array.tensor.dims[1:])
    return make(SUBSCRIPT, (array, place), items=(At(None), *rest))
