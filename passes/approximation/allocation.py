"""One budget for a value that depends on inputs, spent over the constants that it is computed with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from tpc.ir.build import literal, make
from tpc.ir.node import Node, Program, topological
from tpc.ir.notes import name_of
from tpc.ir.ops.structure import CONSTANT, INPUT
from tpc.ir.rewrite import replace as replaced_nodes
from tpc.ir.sizes import with_sizes
from tpc.passes.approximation.certificate import GUARDED, MEASURED, Certificate, Replacement
from tpc.passes.approximation.composition import Composition, Constant, Stop, ratio
from tpc.passes.approximation.outputs import (
    Samples,
    Spent,
    at_random,
    chosen,
    error_of,
    levels,
    on_data,
    sensitivities,
    shares,
    sizes_of,
    spectral_shares,
    targets_of,
)
from tpc.passes.approximation.pairs import Use, groups, merged, operands
from tpc.passes.approximation.replacing import Stand, replacement
from tpc.passes.approximation.target import Target, spectral
from tpc.passes.approximation.values import compute, is_known
from tpc.passes.branch import branch
from tpc.passes.guard import GUARD

if TYPE_CHECKING:
    from tpc.passes.approximation.keeping import Store
    from tpc.passes.approximation.projected import Array

EASY = 0.7  # share of the budget that the bound may take on random inputs, so that it holds on most others


class Allocation:
    """What may be offered for a value within a budget.

    Attributes
    ----------
    reason
        Why there is no offer, once all were asked for.
    """

    def __init__(
        self, value: Node, exact: Certificate, data: Sequence[Node], at: Mapping[str, int], store: Store | None
    ) -> None:
        self.value, self.exact, self.store = merged(value), exact, store
        self.samples = self._samples(data, at)
        self.reason = ""
        self.norms: dict[Node, float] | None = None

    def _samples(self, data: Sequence[Node], at: Mapping[str, int]) -> Samples | str:
        if not data:
            return at_random(self.value, at)
        found = compute(data)
        if found is None:
            return "the data of the budget cannot be computed when the program is compiled"
        return on_data(self.value, found[0], self.exact.on)

    def offers(self) -> Iterator[tuple[Stand, Certificate]]:
        """What is within the budget, what spares most work first."""
        if isinstance(self.samples, str):
            self.reason = self.samples
            return
        if not self.samples.name:
            stop = self._stop()
            if stop:
                self.reason = stop
                return
        targets = targets_of(self.value)
        if not targets:
            self.reason = "no constant that it is computed with is large enough to be replaced"
            return
        has_data = bool(self.samples.name)
        met = operands(self.value, list(targets))
        together = list(groups(met))
        if has_data:
            targets = {node: self._on_data(node, target, met) for node, target in targets.items()}
        weights = sensitivities(self.samples, targets) if has_data else self._weights(targets)
        if weights is None:
            self.reason = "it cannot be computed on data, or is zero there"
            return
        seen: list[list[tuple[str, str]]] = []
        for level in levels(self.exact.budget) if has_data else (EASY, EASY / 2):
            share = shares if has_data else spectral_shares
            spent = chosen(targets, share(targets, weights, level), together, self.store)
            form = [(s.projected.name, s.projected.about) for s in spent]
            if not spent:
                break
            if form in seen:
                continue
            seen.append(form)
            offer = self._measured(spent) if has_data else self._guarded(spent)
            if offer is not None:
                yield offer
        self.reason = f"no structure that saves anything keeps the error of it within {self.exact.budget:g}"
        if not has_data:
            self.reason += ", as far as that can be bounded"

    # ---- with data

    def _on_data(self, node: Node, target: Target, met: Mapping[Node, Use]) -> Target:
        """A constant as the data shows it that it meets, where it meets it once."""
        if node not in met:
            return target
        assert isinstance(self.samples, Samples)
        use = met[node]
        inputs = [n for n in topological([self.value]) if n.op is INPUT]
        sizes = sizes_of(inputs, self.samples.program.inputs)
        program = with_sizes(Program("operand", inputs, [use.other]), sizes)
        found = replace(self.samples, program=program).values({})
        if found is None:
            return target
        data = np.concatenate([np.atleast_2d(v if use.is_left else v.T) for v in found])
        on_columns = use.on_columns
        if data.shape[1] != target.values.shape[on_columns] or not np.isfinite(data).all() or not data.any():
            return target
        root: Array = np.asarray(np.linalg.qr(data, mode="r"))
        return replace(target, rows=None if on_columns else root, columns=root if on_columns else None)

    def _measured(self, spent: Sequence[Spent]) -> tuple[Stand, Certificate] | None:
        assert isinstance(self.samples, Samples)
        error = error_of(self.samples, spent)
        if not error <= self.exact.budget:
            return None
        stands, made = self._stands(spent)
        (value,) = replaced_nodes([self.value], stands)
        certificate = replace(self.exact, kind=MEASURED, bound=error, measured=error, spent=tuple(map(_told, spent)))
        return Stand(value, made), certificate

    # ---- without

    def _stop(self) -> str:
        """Where no bound is known, in words; empty where there is one."""
        large = {node: Constant(node, 1.0, 1.0, 1.0) for node in targets_of(self.value)}
        try:
            Composition(large, {}).run([self.value])
        except Stop as stop:
            way = f"errors can be measured on data: `within {self.exact.budget:g} on X`"
            return f"the bound on its error stops at `{stop}`; {way}"
        return ""

    def _guarded(self, spent: Sequence[Spent]) -> tuple[Stand, Certificate] | None:
        assert isinstance(self.samples, Samples)
        stands, made = self._stands(spent)
        constants = {}
        for s in spent:
            rest = s.target.values - s.projected.dense()
            largest = spectral(rest)[1] + s.target.rounding * s.target.norm
            whole = s.error * s.target.norm
            constants[s.node] = Constant(stands[s.node], spectral(s.target.values)[1], min(largest, whole), whole)
        composition = Composition(constants, self._norms())
        composition.run([self.value])
        value, error = composition.values[self.value], composition.errors[self.value]
        above = ratio(error, value, self.exact.budget)
        seen = self._on_samples(above)
        if not seen <= EASY:
            return None
        result = branch(make(GUARD, (above, literal(1.0))), [value], [self.value])[0]
        certificate = replace(
            self.exact,
            kind=GUARDED,
            bound=seen * self.exact.budget,
            measured=error_of(self.samples, spent),
            spent=tuple(map(_told, spent)),
        )
        return Stand(result, made), certificate

    def _weights(self, targets: Mapping[Node, Target]) -> dict[Node, float] | None:
        """What the bound, over the budget, grows by for a spectral error of each constant relative to its norm."""
        found, step = {}, 1e-6
        for node, target in targets.items():
            norm = float(target.singular[1][0])
            composition = Composition({node: Constant(node, norm, step * norm, step * norm)}, self._norms())
            composition.run([self.value])
            found[node] = self._on_samples(ratio(composition.errors[self.value], self.value, self.exact.budget)) / step
        return found if all(0 < w < float("inf") for w in found.values()) else None

    def _on_samples(self, above: Node) -> float:
        assert isinstance(self.samples, Samples)
        inputs = [node for node in topological([self.value]) if node.op is INPUT]
        sizes = sizes_of(inputs, self.samples.program.inputs)
        program = with_sizes(Program("bound", inputs, [above]), sizes)
        found = replace(self.samples, program=program).values({})
        return float("inf") if found is None else max(float(v) for v in found)

    def _norms(self) -> dict[Node, float]:
        """Spectral norms of the other constants of the value."""
        if self.norms is None:
            nodes = [n for n in topological([self.value]) if n.op is CONSTANT and is_known(n) and n.tensor.rank == 2]
            self.norms = {n: spectral(v)[1] for n, v in zip(nodes, compute(nodes) or [])}
        return self.norms

    def _stands(self, spent: Sequence[Spent]) -> tuple[dict[Node, Node], tuple[Node, ...]]:
        stands: dict[Node, Node] = {}
        made: list[Node] = []
        for s in spent:
            nodes = s.projected.nodes(_called(s.node), s.node.tensor.dtype)
            stands[s.node] = nodes[-1]
            made += nodes
        return stands, tuple(made)


def _called(node: Node) -> str:
    name = name_of(node) or str(node.get("name") or "")
    if not name:  # such as of a product of constants: by those
        name = "_".join(str(part["name"]) for part in topological([node]) if part.op is CONSTANT)
    return name if name.isidentifier() else "value"


def _told(spent: Spent) -> Replacement:
    return replacement(_called(spent.node), spent.target, spent.projected, spent.error)
