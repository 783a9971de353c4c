"""The pass `approximate`: values with a budget give way to cheaper ones within it.

`V ~= E within e` is a node of its own until here. Where E is known when the program is compiled, candidates are
looked for among structures; each is certified on the very entries of E, and priced by what the whole program costs
with it. The cheapest one is taken, or E itself where none pays. Afterwards no budget is left in the program.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tpc.ir.build import make
from tpc.ir.formula import Literal
from tpc.ir.node import Node, Program
from tpc.ir.notes import follow, name_of
from tpc.ir.ops.structure import APPROXIMATE, IF, REPEAT, SCAN
from tpc.ir.rewrite import map_programs, ordered_facts, rewrite
from tpc.passes.approximation.certificate import EXACT, MEASURED, SURE, Certificate, Replacement
from tpc.passes.approximation.reading import break_even, distributed, reading_codes

if TYPE_CHECKING:
    from tpc.passes.approximation.keeping import Search, Store
    from tpc.passes.approximation.projected import Projected
    from tpc.passes.approximation.target import Target
    from tpc.passes.optimise import Request

TRIALS = 12  # whole programs that are priced, in all
EACH = 3  # candidates of a value, at most
GAIN = 0.98  # share of the predicted seconds that may be left
LARGE = 2**21  # entries
LARGEST = 1e120  # norm of what is looked at
FORMATS = ("f64", "f32", "c128", "c64")


@dataclass(frozen=True)
class Approximated:
    """The program without budgets, and what became of each of them."""

    program: Program
    certificates: tuple[Certificate, ...]
    exact: Program  # with the exact values in the place of all budgets


@dataclass(frozen=True)
class Stand:
    """What stands in the place of a value, and what of it is made of parts alone."""

    value: Node
    made: tuple[Node, ...]


def approximate(
    program: Program,
    request: Request | None,
    tolerance: float = 0.0,
    store: Store | None = None,
    lower: Callable[[Program], Program] | None = None,
) -> Program | Approximated:
    """Spend the budgets of a program.

    Parameters
    ----------
    request
        How programs are priced; None where nothing may be replaced.
    tolerance
        A budget for each result, beside those that are written.
    store
        Where what is found for constants is kept; None where it is not.
    lower
        Gives products with sparse constants their kernels; None where there are none.
    """
    names: dict[Node, str] = {}
    if tolerance and request is not None:
        program, names = _with_budgets(program, tolerance)
    nodes = list(_budgets(program))
    if not nodes:
        return program
    return _Search(program, nodes, request, names, store, lower).run()


def _with_budgets(program: Program, tolerance: float) -> tuple[Program, dict[Node, str]]:
    """The program with a budget for each result of floating point, and what these are called."""
    outputs, names = [], {}
    for node, name in zip(program.outputs, program.output_names, strict=True):
        if node.tensor.dtype.kind == "f" and node.args:
            node = make(APPROXIMATE, (node,), within=Literal.of(tolerance))
            names[node] = name
        outputs.append(node)
    return program.replace(outputs=outputs), names


def _budgets(program: Program) -> Iterator[Node]:
    for node in program.nodes:
        for body in node.programs:
            yield from _budgets(body)
        if node.op is APPROXIMATE:
            yield node


class _Search:
    def __init__(
        self,
        program: Program,
        nodes: Sequence[Node],
        request: Request | None,
        names: Mapping[Node, str],
        store: Store | None,
        lower: Callable[[Program], Program] | None,
    ) -> None:
        self.program, self.request, self.names, self.store, self.lower = program, request, names, store, lower
        self.nodes = list(dict.fromkeys(nodes))
        self.chosen: dict[Node, Stand] = {}
        self.trials = 0

    def run(self) -> Approximated:
        certificates = [self._certificate(node) for node in self.nodes]
        return Approximated(replaced(self.program, self.chosen), tuple(certificates), replaced(self.program, {}))

    def _certificate(self, node: Node) -> Certificate:
        name, budget = self.names.get(node) or name_of(node) or "a value", float(node["within"].value)
        exact = Certificate(name, budget, EXACT, on=_called(node), norm=node["norm"])
        reason = self._refusal(node, budget)
        if reason:
            return replace(exact, reason=reason)
        from tpc.passes.approximation.values import is_known

        return self._of_constants(node, exact) if is_known(node.args[0]) else self._of_inputs(node, exact)

    def _refusal(self, node: Node, budget: float) -> str:
        """Why a value is not even looked at; empty where it is."""
        from tpc.passes.approximation.values import is_known

        if self.request is None:
            return "in this mode nothing is approximated"
        if budget == 0:
            return "the budget is 0"
        if node["norm"] != "frobenius" and not is_known(node.args[0]):
            return f"errors in the norm `{node['norm']}` are certified of constants alone"
        if node["norm"] == "spectral" and node.tensor.rank > 2:
            return "only matrices have a spectral norm"
        if node.tensor.dtype.is_weak:
            return "its entries have no format of their own; give it one, as in `f64(A)`"
        if node.tensor.dtype.name not in FORMATS:
            return f"its entries are {node.tensor.dtype}"
        if len(node.args) > 1 and not is_known(node.args[1]):
            return "the data of the budget is not known when the program is compiled"
        declared = [f for owner, facts in self.program.facts if owner is node for f in facts]
        if declared:
            return f"it is declared {declared[0]}, which another value need not be"
        if node not in self.program.nodes:
            return "it is computed in a loop or branch, from what is not known when the program is compiled"
        return ""

    # ---- values that are known when the program is compiled

    def _of_constants(self, node: Node, exact: Certificate) -> Certificate:
        target = target_of(node, exact.budget, self.program)
        if isinstance(target, str):
            return replace(exact, reason=target)
        found, reason = candidates(target, self.store)
        found = [*found, *((near, target.error(near.dense())) for near in self._by_kernels(target, found))]
        if not found:
            return replace(exact, reason=reason)
        before = self._seconds(self.chosen)
        best: tuple[float, Projected, float, Stand] | None = None
        for projected, error in found:
            if self.trials == TRIALS:
                break
            nodes = projected.nodes(_identifier(exact.name), node.tensor.dtype)
            stand = Stand(nodes[-1], tuple(nodes))
            seconds = self._tried(node, stand)
            if seconds < GAIN * before and (best is None or seconds < best[0]):
                best = seconds, projected, error, stand
        if best is None:
            names = ", ".join(dict.fromkeys(p.name for p, _ in found))
            return replace(exact, reason=f"{names} would do, but the program is not predicted to be faster with it")
        seconds, projected, error, self.chosen[node] = best
        follow(node, self.chosen[node].value)
        codes = next((made for made in self.chosen[node].made if made.op.name == "dequantize"), None)
        if codes is not None and self.request is not None:
            rows = break_even(codes, self.request.prices)
            projected = replace(projected, about=f"{projected.about}, which pays for up to {rows} rows")
        return replace(
            exact,
            kind=MEASURED if target.is_weighted else SURE,
            bound=error,
            measured=error if target.is_weighted else None,
            seconds=(before, seconds),
            spent=(replacement(exact.name, target, projected, error),),
        )

    def _by_kernels(self, target: Target, found: Sequence[tuple[Projected, float]]) -> Iterator[Projected]:
        """What is stored in a format that not every backend has kernels for, within the budget; what was found, too."""
        if self.request is not None and self.request.is_native:
            from tpc.passes.approximation.projections.quantized import quantized

            yield from quantized(target)
        if self.lower is not None and 1 / LARGEST < target.norm < LARGEST:
            from tpc.passes.approximation.projections.boxes import boxes
            from tpc.passes.approximation.projections.butterflies import by_rows
            from tpc.passes.approximation.projections.sparse import crossed, sparsified

            for near, _ in found:
                if near.name == "flat butterfly" and "U" in near.parts:  # others are among those with few blocks
                    yield by_rows(near).rounded(target.dtype)
            for family in (sparsified, crossed, boxes):
                for projected in family(target):
                    rounded = projected.rounded(target.dtype)
                    if target.error(rounded.dense()) <= target.within:
                        yield rounded

    # ---- values that depend on inputs

    def _of_inputs(self, node: Node, exact: Certificate) -> Certificate:
        from tpc.passes.approximation.allocation import Allocation

        assert self.request is not None
        inner = {n: stand.value for n, stand in self.chosen.items()}
        (value,) = rewrite([node.args[0]], _without_budget, inner)
        allocation = Allocation(value, exact, node.args[1:], self.request.at, self.store)
        before, reason = self._seconds(self.chosen), ""
        for stand, certificate in allocation.offers():
            if self.trials == TRIALS:
                break
            seconds = self._tried(node, stand)
            if seconds < GAIN * before:
                self.chosen[node] = stand
                follow(node, stand.value)
                return replace(certificate, seconds=(before, seconds))
            names = ", ".join(dict.fromkeys(r.structure for r in certificate.spent))
            reason = f"{names} would do, but the program is not predicted to be faster with it"
            break  # a smaller share of the budget needs more work
        return replace(exact, reason=reason or allocation.reason)

    # ---- prices

    def _tried(self, node: Node, stand: Stand) -> float:
        self.trials += 1
        return self._seconds({**self.chosen, node: stand})

    def _seconds(self, chosen: Mapping[Node, Stand]) -> float:
        from tpc.passes.optimise import search
        from tpc.passes.stages.times import given_uses, seconds_each

        assert self.request is not None
        program = replaced(self.program, chosen)
        if self.lower is not None:
            program = self.lower(program)
        uses = given_uses(program, self.request.calls)
        found = search(program, self.request)
        return seconds_each(found.program, self.request.prices, self.request.at, uses)


def _identifier(name: str) -> str:
    return name if name.isidentifier() else "value"


def _without_budget(node: Node) -> Node:
    return node.args[0] if node.op is APPROXIMATE else node


def replacement(name: str, target: Target, projected: Projected, error: float) -> Replacement:
    """What is told of a structure in the place of an array."""
    size = target.values.size
    stored = size * target.dtype.size, projected.bytes
    return Replacement(name, projected.name, projected.about, error, stored, (2 * size, projected.work))


def candidates(target: Target, store: Store | None = None) -> Search:
    """What is certified to be within the budget and needs fewer operations, the few cheapest; else why there is
    nothing."""
    from tpc.passes.approximation.keeping import keep, kept

    found = kept(target, store) if store is not None else None
    if found is None:
        cheapest, reason = _searched(target)
        found = cheapest[:EACH], reason
        if store is not None:
            keep(target, found, store)
    return found


def _searched(target: Target) -> Search:
    """As `candidates`, all of them."""
    found = list({(p.name, p.about): (p, e) for each in target.slacks for p, e in _within(each)}.values())
    if not found and not 1 / LARGEST < target.norm < LARGEST:
        return [], "squares of its entries would overflow or vanish"
    found.sort(key=lambda pair: pair[0].work)
    return found, f"no structure that saves anything is within {target.within:g} of it"


def _within(target: Target) -> list[tuple[Projected, float]]:
    from tpc.passes.approximation.projections import FAMILIES, WEIGHTED

    if not 1 / LARGEST < target.norm < LARGEST:
        return []
    found: list[tuple[Projected, float]] = []
    for family in FAMILIES:
        if target.values.size > LARGE and any(16 * p.work < 2 * target.values.size for p, _ in found):
            break  # of large arrays the search takes long, and little is left to gain
        for projected in family(target if family in WEIGHTED else target.plain):
            rounded = projected.rounded(target.dtype)
            if rounded.stored >= target.values.size:
                continue
            error = target.error(rounded.dense())
            if error <= target.within:
                found.append((rounded, error))
    return found


def target_of(node: Node, budget: float, program: Program) -> Target | str:
    """The value of a node with the data it is measured on, or why there is none."""
    import numpy as np

    from tpc.passes.approximation.target import Target
    from tpc.passes.approximation.values import compute

    found = compute(node.args)
    if found is None:
        return "it cannot be computed when the program is compiled"
    values, *data = found
    if not all(np.isfinite(array).all() for array in found):
        return "not all of its entries are finite"
    rows = columns = None
    if data:
        (X,) = data
        if X.ndim != 2 or values.ndim != 2 or X.shape[1] not in values.shape:
            return "the data of the budget is no matrix whose rows it can be multiplied with"
        root = _root(X)
        if _acts_on_columns(node, program, X.shape[1]):
            columns = root
        else:
            rows = root
    target = Target(values, node.tensor.dtype, budget, rows, columns, node["norm"])
    if not values.size or not target.norm:
        return "it is zero" + " on the data" * bool(data)
    return target


def _root(X: Any) -> Any:
    """A square matrix R with norm(R @ v) = norm(X @ v) for all v: the triangle of a QR."""
    import numpy as np

    return np.linalg.qr(X, mode="r")


def _acts_on_columns(node: Node, program: Program, width: int) -> bool:
    """Whether data multiplies the columns of a matrix, `X @ W'`, and not its rows, `X @ W`.

    Where both fit, it is as most uses in the program are.
    """
    rows, columns = node.tensor.dims
    if rows != columns:
        return bool(columns == width)
    votes = 0
    for user in program.nodes:
        if node not in user.args:
            continue
        if user.op.name == "transpose":
            votes += sum(u.op.name in ("matmul", "vecmat") and u.args[-1] is user for u in program.nodes)
        elif user.op.name in ("matmul", "matvec", "vecmat"):
            votes += 1 if user.args[0] is node else -1
    return votes > 0


def _called(node: Node) -> str:
    """What the data of a budget is called."""
    if len(node.args) < 2:
        return ""
    data = node.args[1]
    return name_of(data) or str(data.get("name") or "data")


def replaced(program: Program, chosen: Mapping[Node, Stand]) -> Program:
    """The program with values that were chosen in the place of budgets, and exact values for all other budgets."""

    def change(node: Node) -> Node:
        return _without_budget(map_programs(node, lambda body: replaced(body, {})))

    known = [node for node, _ in program.facts]
    results = rewrite([*program.outputs, *known], change, {node: stand.value for node, stand in chosen.items()})
    outputs = results[: len(program.outputs)]
    facts = list(zip(results[len(outputs) :], (f for _, f in program.facts), strict=True))
    made = {node for stand in chosen.values() for node in stand.made if node.args}
    if any(node.op.name == "dequantize" for node in made):
        outputs = reading_codes(outputs)
    if any(node.op.name == "sparse_matrix" for node in made):
        outputs = distributed(outputs)
    program = program.replace(outputs=outputs, facts=ordered_facts(program.inputs, outputs, facts))
    return sunk(program, made) if made and any(n.op in (REPEAT, SCAN, IF) for n in program.nodes) else program


def sunk(program: Program, made: set[Node]) -> Program:
    """The program with what is made of parts computed where loops and branches use it, so that they see the parts."""
    from tpc.passes.kronecker import with_inside

    def change(node: Node) -> Node:
        if node.op in (REPEAT, SCAN, IF):
            return map_programs(with_inside(node, made), lambda body: sunk(body, made))
        return node

    known = [node for node, _ in program.facts]
    results = rewrite([*program.outputs, *known], change)
    outputs = results[: len(program.outputs)]
    facts = zip(results[len(outputs) :], (f for _, f in program.facts), strict=True)
    return program.replace(outputs=outputs, facts=ordered_facts(program.inputs, outputs, facts))
