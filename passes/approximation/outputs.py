"""Budgets of values that depend on inputs, spent over the constants that they are computed with.

With data, `y ~= f(x) within e on X`, the error is measured there. Without, it is bounded at each call from the errors
of the constants and the norms of what is computed (see `composition.py`), and where the bound is above the budget the
call takes the exact value.

How much each constant may be off follows from the sensitivity of the value to it, seen on data: ranks are chosen so
that the work is least while the sum of sensitivity times error is within the budget.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tpc.ir.node import Node, Program, topological
from tpc.ir.ops.structure import INPUT
from tpc.ir.types import TensorType

if TYPE_CHECKING:
    from tpc.passes.approximation.keeping import Store
    from tpc.passes.approximation.projected import Projected
    from tpc.passes.approximation.target import Target

SMALLEST = 1024  # entries of a constant that is worth replacing
MOST = 64  # constants
MOST_OFF = 0.9  # of a constant, relative to its norm
LEVELS = 7  # of the budget that are tried, each half of the one before
OPEN = 24  # what sizes that are open are taken to be


@dataclass(frozen=True)
class Spent:
    """A constant and what stands in its place, with its error in the norm that counts."""

    node: Node
    target: Target
    projected: Projected
    error: float


def constants_of(value: Node) -> list[Node]:
    """The largest values that are known when the program is compiled, of those that a value is computed with."""
    from tpc.passes.approximation.values import is_known

    order = topological([value])
    known = {node for node in order if is_known(node)}
    used = [a for node in order if node not in known for a in node.args if a in known]
    found = [
        node
        for node in dict.fromkeys(used)
        if isinstance(node.type, TensorType)
        and node.tensor.dtype.name in ("f64", "f32")
        and node.tensor.rank == 2
        and isinstance(node.tensor.size, int)
        and node.tensor.size >= SMALLEST
    ]
    return [_source(node) for node in found][:MOST]


def _source(node: Node) -> Node:
    while node.op.name == "transpose":
        node = node.args[0]
    return node


@dataclass(frozen=True)
class Samples:
    """Inputs to compute a value for, several times; sizes that are open have become numbers."""

    program: Program  # from the inputs to the value
    arrays: tuple[tuple[Any, ...], ...]
    name: str = ""

    def values(self, chosen: Mapping[Node, Any]) -> list[Any] | None:
        """The value for each sample, with arrays in the place of constants; None where it cannot be computed."""
        from tpc.passes.approximation.values import compute

        found = []
        for arrays in self.arrays:
            given = dict(zip(self.program.inputs, arrays, strict=True))
            values = compute(self.program.outputs, {**given, **chosen})
            if values is None:
                return None
            found.append(values[0])
        return found


def on_data(value: Node, data: Any, name: str) -> Samples | str:
    """Data as the only input of a value, as it is or row by row."""
    from tpc.ir.sizes import with_sizes

    inputs = [node for node in topological([value]) if node.op is INPUT]
    if len(inputs) != 1:
        return f"it depends on {len(inputs)} inputs, and the data of the budget is for one"
    (only,) = inputs
    rows = None
    if only.tensor.rank == data.ndim:
        rows, shape = (data,), data.shape
    elif only.tensor.rank == data.ndim - 1:
        rows, shape = tuple(data[:256]), data.shape[1:]
    sizes = _sizes(only.tensor.dims, shape) if rows is not None else None
    if rows is None or sizes is None:
        return f"the data of the budget does not fit the input `{only['name']}`"
    program = with_sizes(Program("value", inputs, [value]), sizes)
    return Samples(program, tuple((row,) for row in rows), name)


def _sizes(dims: Sequence[Any], shape: Sequence[int]) -> dict[str, int] | None:
    from tpc.ir.dims import names_of, solve_linear

    found: dict[str, int] = {}
    for dim, extent in zip(dims, shape, strict=True):
        if isinstance(dim, int):
            if dim != extent:
                return None
            continue
        solved = solve_linear(dim, extent)
        if solved is None or found.setdefault(solved[0], solved[1]) != solved[1] or len(names_of(dim)) != 1:
            return None
    return found


def sizes_of(inputs: Sequence[Node], fixed: Sequence[Node]) -> dict[str, int]:
    """The sizes that inputs have where they are fixed."""
    found: dict[str, int] = {}
    for one, other in zip(inputs, fixed, strict=True):
        dims = [dim for dim in other.tensor.dims if isinstance(dim, int)]
        found |= _sizes(one.tensor.dims, dims) or {}
    return found


def at_random(value: Node, at: Mapping[str, int]) -> Samples:
    """Normal inputs, of the sizes that are known, and small ones."""
    import numpy as np

    from tpc.ir.sizes import with_sizes
    from tpc.passes.choose.samples import open_sizes

    inputs = [node for node in topological([value]) if node.op is INPUT]
    program = Program("value", inputs, [value])
    program = with_sizes(program, {name: min(at.get(name, OPEN), OPEN) for name in open_sizes(program)})
    draw = np.random.default_rng(0)
    arrays = tuple(draw.standard_normal([int(str(dim)) for dim in node.tensor.dims]) for node in program.inputs)
    return Samples(program, (arrays,))


# ---- how much each constant may be off


def sensitivities(samples: Samples, targets: Mapping[Node, Target]) -> dict[Node, float] | None:
    """The relative change of a value for a relative change of each constant by random entries."""
    import numpy as np

    from tpc.passes.approximation.target import measured

    exact = samples.values({})
    if exact is None or not (scale := _norm(exact)):
        return None
    draw, step = np.random.default_rng(1), 1e-4
    found = {}
    for node, target in targets.items():
        noise = np.asarray(draw.standard_normal(target.values.shape))
        moved = target.values + noise * (step * target.norm / measured(target.weighted(noise)))
        values = samples.values({node: moved})
        if values is None:
            return None
        found[node] = max(_away(values, exact) / scale / step, 1e-3)
    return found


def _norm(values: Sequence[Any]) -> float:
    import numpy as np

    return float(np.sqrt(sum(float(np.sum(np.abs(v) ** 2)) for v in values)))


def _away(values: Sequence[Any], exact: Sequence[Any]) -> float:
    return _norm([v - e for v, e in zip(values, exact, strict=True)])


def error_of(samples: Samples, spent: Sequence[Spent]) -> float:
    """The relative error of a value on samples, measured."""
    exact = samples.values({})
    values = samples.values({s.node: s.projected.dense() for s in spent})
    if exact is None or values is None or not _norm(exact):
        return float("inf")
    return _away(values, exact) / _norm(exact)


def levels(budget: float) -> Iterator[float]:
    """What the sum of sensitivity times error may be, the most first: random changes tell too little of it, or too
    much."""
    for k in range(-2, LEVELS - 2):
        yield budget * 2.0**-k


def shares(targets: Mapping[Node, Target], weights: Mapping[Node, float], total: float) -> dict[Node, float]:
    """The relative error of each constant: the ranks of truncated svds for which the work is least while the sum of the
    squares of weight times error is within the square of `total`.

    All squares of singular values that may be dropped, by what they cost for each operation they spare: the smallest
    are dropped first, until the sum is spent (the last one but for what is left of it).
    """
    import numpy as np

    gains: list[tuple[float, float, Node]] = []
    for node, target in targets.items():
        m, n = target.values.shape
        squares = (weights[node] * target.singular[1] / target.norm) ** 2
        gains += [(float(s) / (m + n), float(s), node) for s in squares]
    left = total**2
    found = dict.fromkeys(targets, 0.0)
    for _, square, node in sorted(gains, key=lambda gain: gain[:2]):
        if square > left:
            break
        left -= square
        found[node] += square
    return {
        node: float(np.sqrt(square)) / weights[node] * (1 + 1e-6) + 2 * targets[node].rounding
        for node, square in found.items()
    }


def spectral_shares(targets: Mapping[Node, Target], weights: Mapping[Node, float], total: float) -> dict[Node, float]:
    """As `shares`, where what adds up are spectral norms: of each rank the first singular value that is dropped.

    A price of error is looked for at which the ranks that are the cheapest, each for itself, spend the total.
    """
    import numpy as np

    curves = {}
    for node, target in targets.items():
        m, n = target.values.shape
        values = target.singular[1]
        dropped = weights[node] * np.append(values, 0.0) / values[0]
        work = np.minimum(np.arange(len(dropped)) * (m + n), m * n)
        dropped[work == m * n] = 0.0
        curves[node] = work, dropped

    def ranks(price: float) -> dict[Node, int]:
        return {node: int(np.argmin(work + price * dropped)) for node, (work, dropped) in curves.items()}

    low, high = -60.0, 120.0  # of the price, as powers of two
    for _ in range(50):
        middle = (low + high) / 2
        spent = sum(curves[node][1][rank] for node, rank in ranks(2.0**middle).items())
        low, high = (low, middle) if spent <= total else (middle, high)
    found = {}
    for node, rank in ranks(2.0**high).items():
        left = targets[node].singular[1][rank:]
        found[node] = float(np.linalg.norm(left)) / targets[node].norm * (1 + 1e-6) + 2 * targets[node].rounding
    return found


def chosen(
    targets: Mapping[Node, Target],
    within: Mapping[Node, float],
    groups: Sequence[Sequence[Node]] = (),
    store: Store | None = None,
) -> list[Spent]:
    """The cheapest structure for each constant within its share; those for which none saves anything stay.

    Constants of a group meet the same operand, and may share a factor.
    """
    from tpc.passes.approximation.pairs import with_shared_factors
    from tpc.passes.approximation.replacing import candidates

    found = []
    for node, target in targets.items():
        if within[node] > 0:
            fitting, _ = candidates(target.at(min(within[node], MOST_OFF)), store)
            if fitting:
                projected, error = fitting[0]
                found.append(Spent(node, target, projected, error))
    return with_shared_factors(found, groups, within)


def targets_of(value: Node) -> dict[Node, Target]:
    """The constants of a value that may be replaced."""
    import numpy as np

    from tpc.passes.approximation.target import Target
    from tpc.passes.approximation.values import compute

    nodes = list(dict.fromkeys(constants_of(value)))
    found = compute(nodes) or []
    return {
        node: target
        for node, values in zip(nodes, found)
        if np.isfinite(values).all() and (target := Target(values, node.tensor.dtype, 0.0)).norm
    }
