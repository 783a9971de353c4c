"""Passes of a loop that do not depend on each other are made at once: products with the columns of a matrix are one.

A value of the body that follows from the counter and from values outside is *lifted*: computed for all passes together,
with the pass as a further first axis. A result that can be lifted leaves the loop. A product that can be, in a loop
that carries state along, goes before it, and each pass reads its part.

Memory: a lifted value may have twice as many entries as everything that is stored anyway, which is what the loop
reads, what it computes once, and what it collects, or as a cache holds. Where one would have more, the loop computes
its values one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from dataclasses import replace as altered
from functools import partial
from math import log

from tpc.ir.build import Fresh, cast, items, make, size
from tpc.ir.dims import DimLike, evaluate, maximum, names_of, product
from tpc.ir.node import Node, Program, topological
from tpc.ir.notes import follow
from tpc.ir.op import Misfit
from tpc.ir.ops import OPS
from tpc.ir.ops.structure import SCAN, SUBSCRIPT, At, Range
from tpc.ir.rewrite import expanded, map_blocks, ordered_facts, rebuilt, replace
from tpc.ir.types import TensorType
from tpc.passes.choose.prices import Prices, Sizes
from tpc.passes.choose.samples import draw, open_sizes
from tpc.passes.hoist import MAY_FAIL, USUAL, runs
from tpc.passes.kernels import node_seconds
from tpc.passes.lift import is_factorization, lift
from tpc.passes.recurrences.attention import attention
from tpc.passes.recurrences.convolution import asked, convolved, recurrences, without_states
from tpc.passes.recurrences.entrywise import spelled
from tpc.passes.recurrences.linear import ONE, SHORTEST, Linear, by_matrix, recurrence
from tpc.passes.recurrences.states import States, states, states_by_matrix, zeros

POINTS = 12  # at which forms are compared, where sizes are open
EYE = OPS["eye"]
READ = 1.5e-7  # seconds that a loop takes, beside its kernels, for each part that it reads or collects
LEAST = 1e-9
CACHE = 1 << 17  # entries: 1 MB of f64
# What only shows the entries of another value in another order is not stored.
_SHAPES = frozenset(["transpose", "permute", "reshape", "unsqueeze", "squeeze"])
_Seconds = Callable[[Mapping[str, int]], float]
_VIEWS = _SHAPES | frozenset(["subscript", "arange", "item"])


def vectorise(
    program: Program, at: Mapping[str, int] | None = None, prices: Prices | None = None, is_native: bool = False
) -> Program:
    """The program in which loops make no pass by itself that could be made with the others, inner loops first.

    Parameters
    ----------
    at
        Sizes by which memory and time are judged, where they are open.
    prices
        Of kernels; without them loops give way wherever they can.
    is_native
        Whether recurrences of real numbers become native loops, which no transform is faster than.
    """
    known = dict(at or {})
    points = [known]
    if prices is not None and any(name not in known for name in open_sizes(program)):
        points = [{**point, **known} for point in draw(program, POINTS)] or points
    return _vectorised(program, known, _Comparison(prices, points, is_native) if prices is not None else None)


def _vectorised(program: Program, at: Mapping[str, int], compare: _Comparison | None) -> Program:
    inside = compare and altered(compare, is_inside=True)
    made = expanded(
        program,
        lambda node: map_blocks(node, lambda inner: _vectorised(inner, at, inside)),
        lambda node: _Loop(node, at, compare).best() if node.op is SCAN else None,
    )
    return made if compare is None else convolved(made, compare.recurrences, compare.is_cheaper)


@dataclass(frozen=True, slots=True)
class _Comparison:
    """Which of two forms is expected to take less time, over some sizes where these are open."""

    prices: Prices
    points: Sequence[Mapping[str, int]]
    is_native: bool = False
    is_inside: bool = False  # of a loop or branch

    def recurrences(self, outputs: Sequence[Node]) -> list[Node]:
        """Those that are not native loops."""
        return [n for n in recurrences(outputs) if not (self.is_native and n.tensor.dtype.kind == "f")]

    def is_cheaper(self, new: Sequence[Node], old: Sequence[Node], given: Sequence[Node] = ()) -> bool:
        """Whether the new form loses less where it loses most than the old one; what is given costs neither."""
        ahead = set(topological(given))
        forms = [[node for node in topological(form) if node not in ahead] for form in (new, old)]
        return self.loses_less(*(partial(self.seconds, form) for form in forms))

    def loses_less(self, new: _Seconds, old: _Seconds) -> bool:
        """Whether the first loses less where it loses most than the second."""
        ratios = [log(max(new(at), LEAST) / max(old(at), LEAST)) for at in self.points]
        return max(ratios) <= -min(ratios)

    def seconds(self, nodes: Iterable[Node], at: Mapping[str, int]) -> float:
        total, size = 0.0, Sizes(at)
        for node in nodes:
            total += node_seconds(node, self.prices, at)
            if node.op is SCAN:
                body = node["body"]
                reads = sum(n.op is SUBSCRIPT for n in body.nodes) + len(body.outputs)
                total += READ * reads * size(node["extent"])
        return total


class _Loop:
    """One loop, and its values that follow from the counter and from outside, lifted."""

    def __init__(
        self,
        loop: Node,
        at: Mapping[str, int],
        compare: _Comparison | None = None,
        linear: bool = True,
        wide: bool = False,
        factorizations: bool = False,
    ) -> None:
        self.compare = compare
        self.factorizations = factorizations  # whether those of all passes are made at once
        self.wide = wide  # whether values may take any memory
        self.largest: DimLike = 0  # entries of the largest one, where they may
        self.refused = False  # whether one took too much
        self.linear = linear  # whether states are made that follow from each other by a linear recurrence
        self.loop, self.state = loop, loop["state"]
        self.body: Program = spelled(loop["body"]) if linear else loop["body"]
        self.extent: DimLike = loop["extent"]
        self.counter, inputs = self.body.inputs[0], self.body.inputs[1:]
        self.carried = set(inputs[: self.state])
        self.outside = dict(zip(inputs[self.state :], loop.args[self.state :], strict=True))
        self.at = at
        self.units: set[Node] = set()  # multiples of a unit array
        self.states: dict[Node, States] = {}  # those found
        self.matrices: dict[Node, Node] = {}  # those of which the last alone is known
        self.steady: dict[Node, Node] = dict(self.outside)  # the same in every pass, as it is outside
        self.lifted: dict[Node, Node] = {self.counter: make("arange", n=self.extent)}

    def best(self) -> list[Node] | None:
        """What the results of the loop become, or None where nothing changes; the cheapest, if prices are known.

        Factorizations of many small matrices are quicker in one call of a library, but not in a native loop, and not
        in each pass of another loop, before which they may go.
        """
        from tpc.passes.branch import branch

        made, compare = self._best(), self.compare
        if compare is None or compare.is_native or compare.is_inside:
            return made
        if not any(n.op.group == "linalg" for n in self.body.nodes):
            return made
        batch = _Loop(self.loop, self.at, linear=False, wide=True, factorizations=True)
        found = batch.results()
        if found is None or not any(is_factorization(n, batch.steady) for n in batch.lifted):
            return made
        limit = batch._limit()
        points = [at for at in compare.points if _at(batch.largest, at) <= _at(limit, at)]
        if not batch.gains(altered(compare, points=points)):
            return made
        if names_of(batch.largest) <= set(self.at):
            return found
        return branch(make("le", (size(batch.largest), size(limit))), found, made or items(self.loop))

    def gains(self, compare: _Comparison) -> bool:
        """Whether the factorizations of all passes take less time at once; all else is the same work."""
        apart = [n for n in self.lifted if is_factorization(n, self.steady)]
        given = [topological([self.steady.get(a) or self.lifted[a] for a in n.args]) for n in apart]
        whole = [set(topological([self.lifted[n]])) - set(ahead) for n, ahead in zip(apart, given, strict=True)]
        return bool(compare.points) and compare.loses_less(
            lambda at: sum(compare.seconds(nodes, at) for nodes in whole),
            lambda at: _at(self.extent, at) * (compare.seconds(apart, at) + READ * len(apart)),
        )

    def _best(self) -> list[Node] | None:
        """The cheaper of two: a recurrence over a wide state is as fast one step after the other, and holds less."""
        plain = _Loop(self.loop, self.at, linear=False)
        found = self.results() if self.linear else None
        if found is None and self.refused and (made := self.without_states()) is not None:
            return made
        if found is None or self.compare is None:
            return found or plain.results()
        before = plain.results()
        return found if self.compare.is_cheaper(found, before or [self.loop], self.loop.args) else before

    def without_states(self) -> list[Node] | None:
        """The results by convolutions, where states would take too much memory; None if they are needed, or cheaper."""
        found = _Loop(self.loop, self.at, wide=True).results() if self.compare is not None else None
        if found is None or self.compare is None:
            return None
        ahead, bound = set(topological(self.loop.args)), None
        while left := [n for n in self.compare.recurrences(found) if n not in ahead]:
            made = without_states(found, left[0])
            if made is None:
                return None
            found, most = made
            bound = most if bound is None else make("maximum", (bound, most))
        if bound is None or not self.compare.is_cheaper(found, [self.loop], self.loop.args):
            return None
        return asked(found, bound, items(self.loop))

    def results(self) -> list[Node] | None:
        """What the results become; None where nothing changes, or the loop is asked for recurrences and has none."""
        self._lift()
        if self.linear and not self._is_apart():
            return None
        stacked = [self._whole(output) for output in self.body.outputs[self.state :]]
        needed = set(topological([value for value in stacked if value is not None]))
        results = [self._last(carry, needed) for carry in self.body.inputs[1 : 1 + self.state]] + stacked
        if all(result is not None for result in results):
            return [result for result in results if result is not None]
        # the rest of the loop carries all that it carried; what it no longer needs of that is pruned
        stay = [k for k, result in enumerate(results) if result is None or k < self.state]
        left = [self.body.outputs[k] for k in stay]
        ahead = self._ahead(left)
        if not ahead and not any(results):
            return None
        rest = dict(zip(stay, items(self._rest(left, ahead)), strict=True))
        return [rest[k] if result is None else result for k, result in enumerate(results)]

    # ---- values

    def _lift(self) -> None:
        """Lift all that can be, operands first; then states that follow from it, and what follows from those."""
        declared = {n for n, _ in self.body.facts if n not in self.body.inputs}
        self._lift_all([n for n in self.body.nodes if n not in declared])
        is_long = not isinstance(self.extent, int) or self.extent >= SHORTEST
        while self.linear and is_long and self._lift_state():
            self._lift_all([n for n in self.body.nodes if n not in declared])

    def _lift_all(self, nodes: Sequence[Node]) -> None:
        sure = runs(self.loop)
        for node in nodes:
            if node in self.steady or node in self.lifted or node in self.carried:
                continue
            if all(a in self.steady for a in node.args):
                # an op whose operand is promised to fit may be computed for no pass at all
                if sure or node.op.needs or node.op.group not in MAY_FAIL:
                    args = [self.steady[a] for a in node.args]
                    self.steady[node] = rebuilt(node.op, args, node.attributes, node.type)
            elif all(a in self.steady or a in self.lifted for a in node.args):
                with suppress(Misfit):
                    found = lift(node, self.counter, self.extent, self.steady, self.lifted, self.factorizations)
                    if found is None:
                        continue
                    stored = [found, *(self.lifted[a] for a in node.args[:1] if is_factorization(node, self.steady))]
                    if self._is_unit(node) or all(map(self._fits, stored)):
                        self.lifted[node] = found

    def _is_unit(self, node: Node) -> bool:
        """Whether a value is a product with a diagonal matrix, or a multiple of a unit array, another one in each pass.

        Those of all passes are products with an identity matrix, which contractions are made without.
        """
        if node in self.units:
            return True
        match node.op.name:
            case "subscript":
                bare = node.args[0].args[0] if node.args[0].op.name == "cast" else node.args[0]
                is_unit = len(node.args) == 2 and node.args[1] is self.counter and self.steady.get(bare, bare).op is EYE
            case "diag":
                is_unit = node.args[0].tensor.rank == 1
            case "mul" | "outer" | "matmul":
                is_unit = any(a in self.units for a in node.args)
            case "neg" | "cast" | "div":
                is_unit = node.args[0] in self.units
            case name:
                is_unit = name in _SHAPES and node.args[0] in self.units
        if is_unit:
            self.units.add(node)
        return is_unit

    def _lift_state(self) -> bool:
        """Lift one of the values that the loop carries along, where it is a linear recurrence of what is lifted."""
        for carry, update, start in zip(self.body.inputs[1:], self.body.outputs, self.loop.args, strict=False):
            if carry not in self.carried or update is carry:
                continue
            linear = recurrence(update, carry)
            with suppress(Misfit):
                if linear is None or linear.factor is None:
                    is_lifted = self._lift_by_matrix(carry, update, start)
                else:
                    is_lifted = self._lift_products(carry, update, linear, start)
                    is_lifted = is_lifted or self._lift_states(carry, update, linear, start)
                if is_lifted:
                    self.carried.discard(carry)
                    return True
        return False

    def _lift_by_matrix(self, carry: Node, update: Node, start: Node) -> bool:
        linear = by_matrix(update, carry)
        if linear is None or linear.factor is None or linear.factor is ONE:
            return False
        self._lift_all(topological([linear.factor]))
        matrix = self.steady.get(linear.factor)
        term = self._passes(linear.term or zeros(carry.tensor), carry.tensor)
        if matrix is None or term is None:
            return False
        return self._keep(carry, update, states_by_matrix(matrix, term, start))

    def _lift_products(self, carry: Node, update: Node, linear: Linear, start: Node) -> bool:
        found = attention(self.body, carry, update, linear)
        made = found.made(self._passes, start, self.extent) if found is not None else None
        if found is None or made is None:
            return False
        self.lifted[found.read], self.matrices[carry] = made
        return True

    def _lift_states(self, carry: Node, update: Node, linear: Linear, start: Node) -> bool:
        assert linear.factor is not None
        factor = linear.factor if linear.factor is ONE else self._passes(linear.factor)
        term = None if linear.term is None else self._passes(linear.term, carry.tensor)
        if factor is None or (term is None) is not (linear.term is None):
            return False
        return self._keep(carry, update, states(factor, term, start))

    def _keep(self, carry: Node, update: Node, found: States | None) -> bool:
        if found is None or not self._fits(found.all):
            return False
        self.states[carry] = found
        self.lifted[carry] = found.before
        self.lifted.setdefault(update, found.behind)
        return True

    def _is_apart(self) -> bool:
        """Whether states were lifted, and nothing that stays in the loop needs one and would carry it along again."""
        found, count = {*self.states, *self.matrices}, self.state
        updates = zip(self.body.inputs[1 : 1 + count], self.body.outputs[:count], strict=True)
        left = [update for carry, update in updates if carry not in found]
        left += [output for output in self.body.outputs[count:] if self._whole(output) is None]
        return bool(found) and not any(node in found for node in topological(left))

    def _passes(self, node: Node, type: TensorType | None = None) -> Node | None:
        """A value for all passes, of a given type in each."""
        if type is not None and node.type is not type:
            node = make("broadcast_to", (cast(node, type.dtype),), dims=type.dims)
        self._lift_all(topological([node]))
        return self._whole(node)

    def _last(self, carry: Node, needed: Collection[Node]) -> Node | None:
        """What a value that is carried along is behind the last pass; the states before only where they are needed."""
        found = self.states.get(carry)
        return self.matrices.get(carry) if found is None else found.last(found.all in needed)

    def _whole(self, output: Node) -> Node | None:
        """A result for all passes; one that is the same in each is repeated."""
        result = self.lifted.get(output)
        if result is None and output in self.steady:
            result = make("broadcast_to", (self.steady[output],), dims=(self.extent, *output.tensor.dims))
        if result is None or result.type is not TensorType(output.tensor.dtype, (self.extent, *output.tensor.dims)):
            return None
        follow(output, result)
        return result

    def _ahead(self, outputs: Sequence[Node]) -> list[Node]:
        """The largest lifted values that the rest of the loop needs and that products with many columns are part of."""
        found: dict[Node, None] = {}
        seen: set[Node] = set()
        stack = list(outputs)
        while stack:
            node = stack.pop()
            if node in seen:
                continue
            seen.add(node)
            if node in self.lifted and isinstance(node.type, TensorType) and self._joins(node):
                found[node] = None
            else:
                stack.extend(node.args)
        return list(found)

    def _joins(self, node: Node) -> bool:
        """Whether a value is made by factorizations, or by products of one matrix with another vector in each pass."""
        return any(
            is_factorization(n, self.steady)
            or (n.op.name in ("matvec", "vecmat") and len({a in self.steady for a in n.args}) == 2)
            for n in topological([node])
        )

    def _rest(self, outputs: Sequence[Node], ahead: Sequence[Node]) -> Node:
        """The loop with the results that are left, which reads the values that were computed ahead of it."""
        body, fresh = self.body, Fresh(self.body)
        taken = [fresh(f"c{k}", self.lifted[node].tensor) for k, node in enumerate(ahead, len(body.inputs))]
        reads = {node: self._pass(whole) for node, whole in zip(ahead, taken, strict=True)}
        for node in ahead:
            follow(node, self.lifted[node])
        known = [(n, f) for n, f in body.facts if n in topological(outputs)]
        parts = replace([*outputs, *(n for n, _ in known)], reads)
        facts = zip(parts[len(outputs) :], (f for _, f in known), strict=True)
        inputs, results = [*body.inputs, *taken], parts[: len(outputs)]
        smaller = Program(body.name, inputs, results, facts=ordered_facts(inputs, results, facts))
        attributes = {**dict(self.loop.attributes), "body": smaller}
        types = SCAN.types([], attributes)
        operands = [*self.loop.args, *(self.lifted[node] for node in ahead)]
        return rebuilt(SCAN, operands, attributes.items(), types[0] if len(types) == 1 else tuple(types))

    def _pass(self, whole: Node) -> Node:
        """The part of a lifted value that one pass reads."""
        rest = [Range(0, dim, 1) for dim in whole.tensor.dims[1:]]
        return make(SUBSCRIPT, (whole, self.counter), items=(At(None), *rest))

    # ---- memory

    def _limit(self) -> DimLike:
        """How many entries a lifted value may have."""
        types = self.loop.type if isinstance(self.loop.type, tuple) else (self.loop.type,)
        once = [n.tensor for n in self.steady if isinstance(n.type, TensorType) and n.op.name not in _VIEWS]
        stored: DimLike = 0
        for type in (*types, *once):
            stored = stored + product(type.dims)
        return maximum(2 * stored, CACHE)

    def _fits(self, node: Node) -> bool:
        """Whether a lifted value is no larger than what is stored anyway; of a lifted loop, each in it."""
        if node.op.name == "permute" and node.args[0].op is SCAN:
            return all(self._fits(n) for n in node.args[0]["body"].nodes if isinstance(n.type, TensorType))
        if node.op.name in _VIEWS:
            return True
        entries = product(node.tensor.dims)
        if self.wide:
            self.largest = maximum(self.largest, entries)
            return True
        fits = _at(entries, self.at) <= _at(self._limit(), self.at)
        self.refused |= not fits
        return fits


def _at(entries: DimLike, at: Mapping[str, int]) -> int:
    return evaluate(entries, {name: at.get(name, USUAL) for name in names_of(entries)})
