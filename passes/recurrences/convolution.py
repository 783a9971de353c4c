"""Recurrences whose factors are the same in all passes, read by fixed weights, as convolutions.

    x = a * x + b * u[t];  y[t] = dot(c, x)    <=>    y = h * u,  h[k] = sum(c * b * a^k)

The states of all passes are not made: the response h takes products of powers of a, those of whole blocks with those
within one, and the convolution Fourier transforms. Roundings count for as much as the largest entry of the result,
whatever the others are; so no entry of a may be larger than one, and none of u infinite, which is asked when the
program runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tpc.ir.build import cast, index, literal, make, size
from tpc.ir.dims import DimLike, divide
from tpc.ir.formula import Access, Formula, LetterValue, Literal, free_letters
from tpc.ir.node import Node, Program, topological
from tpc.ir.ops.structure import INDEX, SUBSCRIPT, At, Range
from tpc.ir.rewrite import rebuilt, replace, values, with_values

BLOCK = 64  # passes in a block of powers
GROWTH = 1.00001  # of a state that is said to decay
Cheaper = Callable[[Sequence[Node], Sequence[Node]], bool]


def convolved(program: Program, chosen: Callable[[Sequence[Node]], list[Node]], is_cheaper: Cheaper) -> Program:
    """The program with convolutions in the place of recurrences where that is cheaper.

    Parameters
    ----------
    chosen
        Gives the states of those recurrences among what results are made of that come into question.
    """
    before = values(program)
    for scan in reversed(chosen(before)):  # so that those to come stay where they are
        found = without_states(before, scan)
        if found is not None and is_cheaper(found[0], before):
            before = asked(*found, before)
    return with_values(program, before)


def recurrences(outputs: Sequence[Node]) -> list[Node]:
    """The states of recurrences among what results are made of."""
    return [n for n in topological(outputs) if n.op.name == "linear_scan"]


def without_states(outputs: Sequence[Node], scan: Node) -> tuple[list[Node], Node] | None:
    """Results without the states of a recurrence, and what must not be above one for that; None if they need these."""
    users: dict[Node, list[Node]] = {}
    for node in topological(outputs):
        for arg in dict.fromkeys(node.args):
            users.setdefault(arg, []).append(node)
    reads = _reads(scan, users, set(outputs))
    response = _response(scan) if reads else None
    if response is None:
        return None
    return replace(outputs, {read.node: response.read(read) for read in reads}), response.bound


def asked(made: Sequence[Node], bound: Node, written: Sequence[Node]) -> list[Node]:
    """Results that hold where a bound does, and elsewhere as they are written."""
    from tpc.passes.branch import branch
    from tpc.passes.guard import GUARD

    return branch(make(GUARD, (bound, literal(GROWTH))), made, written)


@dataclass(frozen=True, slots=True)
class _Read:
    """What is read of the states: the sum over their last axis, with weights, or else the last of them.

    `views` lead from all states to it.
    """

    node: Node
    views: tuple[Node, ...]
    weights: Node | None = None
    is_real: bool = False  # whether the real part alone counts, which the node is


def _reads(scan: Node, users: dict[Node, list[Node]], given: set[Node]) -> list[_Read]:
    """All that is done with the states; nothing, if more than that is done."""
    found: list[_Read] = []
    waiting: list[tuple[Node, tuple[Node, ...]]] = [(scan, ())]
    while waiting:
        states, views = waiting.pop()
        if states in given:
            return []
        for user in users.get(states, []):
            if _is_view(user):
                waiting.append((user, (*views, user)))
                continue
            if not views and _is_last(user):
                found.append(_Read(user, views))
                continue
            if user.op.name == "mul" and len(users.get(user, [])) == 1 and user not in given:
                (total,) = users[user]
                last = user.tensor.rank - 1
                if total.op.name != "sum" or total["axis"] not in (-1, last, (-1,), (last,)):
                    return []
                others, user = [a for a in user.args if a is not states], total
            elif user.op.name in ("matvec", "matmul") and user.args[0] is states and states.tensor.rank == 2:
                others = [user.args[1]] if user.op.name == "matvec" else [make("transpose", (user.args[1],))]
            else:
                return []
            if len(others) != 1 or others[0].tensor.rank > states.tensor.rank - (user.op.name == "sum"):
                return []
            parts = users.get(user, [])
            if user not in given and parts and all(p.op.name == "re" for p in parts):
                found += [_Read(p, views, others[0], True) for p in parts]
            else:
                found.append(_Read(user, views, others[0]))
    return found


def _is_last(node: Node) -> bool:
    """Whether a node is the last of all states."""
    if node.op is not SUBSCRIPT or len(node.args) > 1:
        return False
    dims = node.args[0].tensor.dims
    rest = zip(node["items"][1:], dims[1:], strict=True)
    return node["items"][0] == At(dims[0] - 1) and all(item == Range(0, dim, 1) for item, dim in rest)


def _is_view(node: Node) -> bool:
    """Whether a node takes whole states, in order or in reverse."""
    if node.op.name == "flip":
        return node["axis"] in (0, (0,))
    if node.op is not SUBSCRIPT or len(node.args) > 1 or not isinstance(node["items"][0], Range):
        return False
    rest = zip(node["items"][1:], node.args[0].tensor.dims[1:], strict=True)
    return all(item == Range(0, dim, 1) for item, dim in rest)


# ---- what a recurrence is made of


@dataclass(frozen=True, slots=True)
class _Response:
    """x[0] = start, x[t + 1] = factor * x[t] + spread * drive[t], entry by entry.

    `factor` and `spread` have the axes of the state or the last of them, `drive` the pass and the axes but the last.
    """

    factor: Node
    spread: Node
    drive: Node
    start: Node

    @property
    def extent(self) -> DimLike:
        return self.drive.tensor.dims[0]

    @property
    def bound(self) -> Node:
        """At most one where states decay; no number, where what drives them is none."""
        size_of = make("max", (make("abs", (self.factor,)),), axis=None, keepdims=False)
        return make(
            "add", (size_of, make("mul", (literal(0.0), make("sum", (make("abs", (self.drive,)),), axis=None))))
        )

    def read(self, read: _Read) -> Node:
        """What is read, without the states."""
        whole = self._last() if read.weights is None else self._all(read.weights, read.is_real)
        for view in read.views:
            if view.op is SUBSCRIPT:
                rest = (Range(0, dim, 1) for dim in whole.tensor.dims[1:])
                whole = make(SUBSCRIPT, (whole,), items=(view["items"][0], *rest))
            else:
                whole = rebuilt(view.op, (whole,), view.attributes, whole.type)
        if whole.tensor.rank < read.node.tensor.rank:  # of a sum that keeps its axis
            whole = _column(whole, -1)
        return cast(whole, read.node.tensor.dtype)

    def _powers(self) -> tuple[Node, Node]:
        """Powers of the factor that take a block to each of the others, and those within one."""
        count = divide(self.extent, BLOCK) + 1
        return _powers(_power(self.factor, BLOCK), count), _powers(self.factor, BLOCK)

    def _last(self) -> Node:
        """The state behind the last pass."""
        of_blocks, within = self._powers()
        drive = make("flip", (_turned(self.drive),), axis=-1)
        count = of_blocks.tensor.dims[-2]
        lead = drive.tensor.dims[:-1]
        rest = make("zeros", dims=(*lead, count * BLOCK - self.extent), dtype=drive.tensor.dtype)
        blocks = make("reshape", (make("concat", (drive, rest), axis=-1),), dims=(*lead, count, BLOCK))
        driven = make("sum", (make("mul", (make("matmul", (blocks, within)), of_blocks)),), axis=-2)
        found = make("mul", (driven, self.spread))
        if self.start.op.name != "zeros":
            kept = make("mul", (make("pow", (self.factor, size(self.extent))), self.start))
            found = make("add", (found, kept))
        dims = self.start.tensor.dims
        return found if found.tensor.dims == dims else make("broadcast_to", (found,), dims=dims)

    def _all(self, weights: Node, is_real: bool) -> Node:
        """What is read of the start and of the state behind each pass."""
        steps = self.extent
        of_blocks, within = self._powers()

        def decaying(weights: Node) -> Node:
            """The sum of weights times powers of the factor, for passes 0, 1, ..."""
            scaled = make("mul", (of_blocks, _column(weights, -2)))
            blocks = make("matmul", (scaled, make("transpose", (within,))))
            *lead, count, width = blocks.tensor.dims
            found = make("reshape", (blocks,), dims=(*lead, count * width))
            return make("re", (found,)) if is_real and found.tensor.dtype.kind == "c" else found

        response = _first(decaying(make("mul", (weights, self.spread))), steps)
        passes = _convolution(response, _turned(self.drive), steps)
        nothing = make("zeros", dims=(*passes.tensor.dims[:-1], 1), dtype=passes.tensor.dtype)
        whole = make("concat", (nothing, passes), axis=-1)
        if self.start.op.name != "zeros":
            whole = make("add", (whole, _first(decaying(make("mul", (weights, self.start))), steps + 1)))
        rank = whole.tensor.rank
        return whole if rank == 1 else make("permute", (whole,), axes=(rank - 1, *range(rank - 1)))


def _response(scan: Node) -> _Response | None:
    a, terms, start = scan.args
    factor, driven = _steady(a), _separated(terms)
    if factor is None or driven is None or start.tensor.rank == 0:
        return None
    drive, spread = driven
    if start.op is SUBSCRIPT and start["items"][0] == At(start.args[0].tensor.dims[0] - 1):
        last = _separated(start.args[0])  # where an adjoint begins
        if last is not None:
            items = (start["items"][0], *(Range(0, dim, 1) for dim in last[0].tensor.dims[1:]))
            start = make("mul", (_column(make(SUBSCRIPT, (last[0],), items=items), -1), last[1]))
    return _Response(factor, spread, drive, start)


def _steady(factors: Node) -> Node | None:
    """The factors of one pass, where they are the same in all."""
    if factors.op.name == "broadcast_to" and factors.args[0].tensor.rank < factors.tensor.rank:
        (factor,) = factors.args
        return factor if factor.tensor.rank else make("reshape", (factor,), dims=(1,))
    if (factors.op.name == "flip" and factors["axis"] in (0, (0,))) or factors.op.name in ("conj", "cast"):
        inner = _steady(factors.args[0])
        if inner is None or factors.op.name == "flip":
            return inner
        return cast(inner, factors.tensor.dtype) if factors.op.name == "cast" else make("conj", (inner,))
    return None


def _separated(terms: Node) -> tuple[Node, Node] | None:
    """What differs from pass to pass, without the last axis, and what has it; terms are their products."""
    name, rank = terms.op.name, terms.tensor.rank
    if name == "outer" and rank == 2:
        drive, spread = terms.args
        return drive, spread
    if name == "transpose" and rank == 2 and terms.args[0].op.name == "outer":
        spread, drive = terms.args[0].args
        return drive, spread
    if name == "mul":
        for drive, spread in (terms.args, terms.args[::-1]):
            if drive.tensor.rank == rank > spread.tensor.rank and drive.tensor.dims[-1] == 1:
                return make("squeeze", (drive,), axis=-1), spread
    if name == "broadcast_to" and terms.args[0].tensor.dims == (*terms.tensor.dims[:-1], 1):
        return make("squeeze", terms.args, axis=-1), make("ones", dims=(1,), dtype=terms.tensor.dtype)
    inner = _separated(terms.args[0]) if len(terms.args) == 1 else None
    if inner is not None and (name == "cast" or terms.type is terms.args[0].type):
        drive, spread = inner
        if name in ("cast", "broadcast_to"):
            return drive, cast(spread, terms.tensor.dtype)
        if name == "neg":
            return make("neg", (drive,)), spread
    return _moved(terms, inner)


def _moved(terms: Node, inner: tuple[Node, Node] | None) -> tuple[Node, Node] | None:
    """The same of passes that are taken in another order, or with zeros before or behind them."""
    if terms.op.name == "concat" and terms["axis"] == 0:
        parts = [None if a.op.name == "zeros" else _separated(a) for a in terms.args]
        found = [p for p in parts if p is not None]
        if len(found) != 1 or any(p is None and a.op.name != "zeros" for p, a in zip(parts, terms.args, strict=True)):
            return None
        ((drive, spread),) = found
        rest = [drive if p else _nothing(drive, a.tensor.dims[0]) for p, a in zip(parts, terms.args, strict=True)]
        return make("concat", rest, axis=0), spread
    if inner is None:
        return None
    drive, spread = inner
    if terms.op.name == "flip" and terms["axis"] in (0, (0,)):
        return make("flip", (drive,), axis=0), spread
    if terms.op is INDEX and (shifted := _without_last(terms["formula"])) is not None:
        return index(shifted, (drive,)), spread
    if _is_view(terms):
        items = (terms["items"][0], *(Range(0, dim, 1) for dim in drive.tensor.dims[1:]))
        return make(SUBSCRIPT, (drive,), items=items), spread
    return None


def _without_last(formula: Formula) -> Formula | None:
    """A formula that moves what it reads along the first axis alone, for arrays without the last axis."""
    body, axes = formula.body, formula.axes
    if not isinstance(body, Access) or any(len(axis) != 1 for axis in axes) or len(body.indices) != len(axes):
        return None
    if [LetterValue(*axis) for axis in axes[1:]] != list(body.indices[1:]):
        return None
    kept = Access(body.operand, body.indices[:-1], body.pad)
    if body.pad not in (None, Literal("0.0")) or not free_letters(kept) <= {letter for (letter,) in axes[:-1]}:
        return None
    return Formula(axes[:-1], tuple((n, d) for n, d in formula.extents if n != axes[-1][0]), kept)


def _nothing(drive: Node, count: DimLike) -> Node:
    return make("zeros", dims=(count, *drive.tensor.dims[1:]), dtype=drive.tensor.dtype)


# ---- arrays


def _powers(base: Node, count: DimLike) -> Node:
    """Powers 0, 1, ... as rows, before the last axis."""
    exponents = make("reshape", (make("arange", n=count),), dims=(count, 1))
    return make("pow", (_column(base, -2), exponents))


def _power(base: Node, exponent: int) -> Node:
    """By squares, which keeps digits."""
    while exponent > 1:
        base, exponent = make("square", (base,)), exponent // 2
    return base


def _turned(node: Node) -> Node:
    """An array with its first axis as the last."""
    rank = node.tensor.rank
    return node if rank == 1 else make("permute", (node,), axes=(*range(1, rank), 0))


def _column(node: Node, axis: int) -> Node:
    return make("unsqueeze", (node,), axis=axis)


def _first(node: Node, count: DimLike) -> Node:
    """The first entries along the last axis."""
    rest = (Range(0, dim, 1) for dim in node.tensor.dims[:-1])
    return make(SUBSCRIPT, (node,), items=(*rest, Range(0, count, 1)))


def _convolution(first: Node, second: Node, count: DimLike) -> Node:
    """The first entries of a convolution along the last axis."""
    is_real = first.tensor.dtype.kind == second.tensor.dtype.kind == "f"
    longer = [
        make("concat", (x, make("zeros", dims=x.tensor.dims, dtype=x.tensor.dtype)), axis=-1) for x in (first, second)
    ]
    images = [make("rfft" if is_real else "fft", (x,), axis=-1) for x in longer]
    product = make("mul", images)
    if is_real:
        return _first(make("irfft", (product,), n=2 * count, axis=-1), count)
    return _first(make("ifft", (product,), axis=-1), count)
