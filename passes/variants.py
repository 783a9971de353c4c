"""Plans for sizes that stay open: a few variants, and how to tell at a call which is the cheapest.

The search for equal forms goes by facts that hold at all sizes; sizes only tell it which forms are worth a look. So
all forms are gathered once, for several sizes of different kind; the cheapest selection is looked for at many sizes;
and of the plans found so few are kept that some size is served worse than by its own plan, but hardly any by much. The
program as written is one of the plans; it is kept where what is chosen would be predicted to be slower.

What is lost is judged at the sizes of `choose.samples` with the prices of the machine. At a call the variants are
compared by short polynomials (`choose.short`), which also tell beyond the sizes that were sampled: nothing is compiled
again. That few orders of a chain suffice for all sizes was shown by F. Lopez, L. Karlsson, P. Bientinesi, On the
Parenthesisations of Matrix Chains: All Are Useful, Few Are Essential (2023).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tpc.dsl.collection import no_collection
from tpc.ir.dims import DimLike
from tpc.ir.node import Program
from tpc.ir.notes import Notes, keeping
from tpc.ir.verify import verify
from tpc.passes.choose.menu import Menu
from tpc.passes.choose.prices import USUAL, Sizes
from tpc.passes.choose.samples import draw, open_sizes
from tpc.passes.choose.short import Polynomial, Shortener, cheapest
from tpc.passes.choose.table import Picks, Table, values_of
from tpc.passes.choose.wins import wins
from tpc.passes.cost import profile
from tpc.passes.egraph.estimate import Estimate
from tpc.passes.egraph.explore import Outcome, Search
from tpc.passes.egraph.load import load
from tpc.passes.kernels import Kernel, kernels_of
from tpc.passes.optimise import Optimised, Request, built, keeps_digits, results, with_bodies, with_guard
from tpc.passes.pipeline import PIPELINE, Options, Plan, optimises, run
from tpc.passes.stages.times import given_uses

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tpc.passes.choose.prices import Prices

    Array = NDArray[Any]

_NAMES = [step.name for step in PIPELINE]
BEFORE, AFTER = (_NAMES[_NAMES.index("optimise") + k] for k in (-1, 1))  # the passes around the choice of a plan
MOST = 5  # variants
SAMPLES = 160
REFINED = 4  # samples at which values that are shared are looked at again
NO_TIME = 1e-12  # seconds of a plan that does nothing, so that losses can be told
LEAST_GAIN = 0.004  # of a further variant, as a share of the time
SMALLEST = 0.02  # share of a plan's seconds that a term must have somewhere to stay in the polynomial
LOOKS = ((24, 1600), (1600, 24))  # sizes in turn, by which forms are worth a look
LOOK_WORK = 40_000  # for each of them, after the first look at usual sizes, and again while it finds something
FOUND = 0.9  # share of its operations before that a plan may take after a look that has found something
DEARER = 1.02  # how much slower than the program as written a variant may be predicted to be where it is chosen

Candidate = Picks | None
"""A selection of ways, or the program as written."""


@dataclass(frozen=True)
class Variant:
    """A plan, its predicted seconds as a polynomial of the open sizes, and where it is the cheapest, in words."""

    plan: Plan
    seconds: Polynomial
    wins: str = ""


@dataclass(frozen=True)
class Variants:
    """The plans of a program.

    Attributes
    ----------
    mean_loss, high_loss
        How much slower the chosen variant is than the plan for a size alone, as predicted: the mean over the samples,
        and what 95 of 100 do not exceed. Shares, so that 0.1 is a tenth.
    samples, found
        How many sizes were looked at, and how many different plans were the best for one of them.
    """

    plans: tuple[Variant, ...]
    mean_loss: float = 0.0
    high_loss: float = 0.0
    samples: int = 1
    found: int = 1

    def choose(self, sizes: Mapping[str, int]) -> int:
        """The number of the variant that is predicted to be the fastest."""
        return cheapest([v.seconds for v in self.plans], sizes)

    def table(self) -> str:
        """Where each variant is the fastest, a line each."""
        if len(self.plans) == 1:
            return "one plan for all sizes\n"
        lines = [f"variant {k}  {v.wins}" for k, v in enumerate(self.plans, 1)]
        return "\n".join([*lines, self.loss]) + "\n"

    @property
    def loss(self) -> str:
        """What is lost against a plan for each size, in words."""
        return (
            f"{self.samples} sizes had {self.found} best plans; against them the variants lose {self.mean_loss:.1%} "
            f"in the mean, and at most {self.high_loss:.1%} at 95 of 100"
        )


@no_collection()
def variants(
    program: Program,
    options: Options | None = None,
    notes: Notes | None = None,
    most: int = MOST,
    prices: Prices | None = None,
) -> Variants:
    """The passes, with up to `most` plans where sizes stay open.

    Parameters
    ----------
    options
        Its `at` are sizes that matter most: the plan for them is always among the variants.
    notes
        Those of the program's nodes.
    prices
        What kernels cost; by default what they cost on this machine.

    Raises
    ------
    TpcError, InternalError
        As `pipeline.run`.
    """
    options = options or Options()
    if options.memory is None:
        return _variants(program, options, notes, most, prices)
    from tpc.passes.rematerialise.segments import with_segments

    return with_segments(program, options, lambda chosen: _variants(program, chosen, notes, most, prices))


def _variants(program: Program, options: Options, notes: Notes | None, most: int, prices: Prices | None) -> Variants:
    before = run(program, options, BEFORE, notes)
    if not optimises(options) or not open_sizes(before.program) or most == 1:
        rest = run(before.program, options, notes=before.notes, begin="optimise")
        steps = (*before.steps, *rest.steps)
        plan = replace(before, program=rest.program, steps=steps, notes=rest.notes, search=rest.search)
        return Variants((Variant(replace(plan, within=rest.within), ()),))
    return _Search(before, options, most, prices).run()


class _Search:
    """The search for variants of a program that has gone through the passes before `optimise`."""

    def __init__(self, before: Plan, options: Options, most: int, prices: Prices | None = None) -> None:
        self.before, self.options, self.most = before, options, most
        self.request = Request(
            prices or profile(options.backend, options.threads), options.at, options.mode, calls=options.calls
        )
        self.points = draw(before.program, SAMPLES)
        self.has_own = bool(options.at)
        if self.has_own or not self.points:
            self.points.insert(0, {**dict.fromkeys(open_sizes(before.program), USUAL), **options.at})

    def run(self) -> Variants:
        request = self.request
        self.bodies: list[Optimised] = []
        with keeping(self.before.notes):
            uses = given_uses(self.before.program, request.calls)
            self.program = with_bodies(self.before.program, request, {}, self.bodies, uses)
        self.graph, self.classes = load(self.program, uses=uses)
        self.outcome = self._explored()
        self.menu = Menu(self.graph, request.prices, Sizes(request.at))
        self.table = Table(self.menu, results(self.program, self.graph, self.classes), self.points, request.prices)
        pool = self._pool()
        self.shortener = Shortener(request.prices)
        return self._made(pool, [self._short(*self._kernels(candidate)) for candidate in pool])

    def _explored(self) -> Outcome:
        """All forms that are worth a look at sizes of one kind or another, in one graph."""
        request, names = self.request, open_sizes(self.program)
        search = Search(self.graph, Sizes(request.at), request.mode, request.bounds)
        outcome = search.run()
        for look in LOOKS:
            sizes = Sizes({name: look[k % 2] for k, name in enumerate(names)})
            before, after = float("inf"), self._least(sizes)
            while after < FOUND * before:
                again = search.again(sizes, LOOK_WORK)
                stopped_by = outcome.stopped_by or again.stopped_by
                outcome = replace(again, rounds=outcome.rounds + again.rounds, stopped_by=stopped_by)
                if again.stopped_by != "work":
                    break
                before, after = after, self._least(sizes)
        return outcome

    def _least(self, sizes: Sizes) -> float:
        """A guess of the operations of the cheapest plan for sizes, of all forms that have been found."""
        estimate = Estimate(self.graph, sizes)
        return sum(estimate.value(self.graph.find(self.classes[n])) for n in self.program.outputs)

    def _pool(self) -> list[Candidate]:
        """The plans that are the cheapest at a sample; what is shared counts at some of the samples, spread evenly.

        The program as written comes last.
        """
        trees = self.table.trees()
        spread = range(0, len(self.points), max(1, len(self.points) // REFINED))
        found: list[Candidate] = list(dict.fromkeys([*(self.table.best(k) for k in spread), *trees]))
        return [*found, None] if keeps_digits(self.program, self.graph) else found

    def _kernels(self, candidate: Candidate) -> tuple[Mapping[Kernel, float], float]:
        """The kernels of a candidate, how often each counts, and the seconds of what costs the same at all sizes."""
        if candidate is not None:
            return self.table.kernels(candidate)
        return _all_kernels(self.program), 0.0

    def _short(self, kernels: Mapping[Kernel, float], other: float) -> Polynomial:
        return _shortened(self.shortener.polynomial(kernels, other), self.table)

    def _made(self, pool: Sequence[Candidate], short: list[Polynomial]) -> Variants:
        """The variants; a candidate that needs a guard becomes one with it or without, and all is chosen again."""
        import numpy as np

        columns = self.table.columns
        true = np.array([self._seconds(c) for c in pool])
        told = np.array([self._told(s) for s in short])
        plans: dict[int, Plan] = {}
        while True:
            kept = self._few(pool, true, told)
            choice = np.array(kept)[told[kept].argmin(axis=0)]
            kept = [k for k in kept if (choice == k).any()]
            missing = [k for k in kept if k not in plans]
            if not missing:
                break
            for k in missing:
                best = int(np.where(choice == k, (true[kept] / true[k]).mean(axis=0), 0).argmax())
                plans[k] = plan = self._plan(pool[k], best)
                found = plan.search
                if found is not None and (found.guard is not None or found.graph is not self.graph):
                    kernels = _all_kernels(found.program)  # with what the guard takes, or of the search without
                    short[k] = self._short(kernels, 0.0)
                    true[k], told[k] = np.maximum(self.table.total(kernels), NO_TIME), self._told(short[k])
        loss = _at(true, choice) / true.min(axis=0) - 1
        words = {k: wins(columns, choice == k) if len(kept) > 1 else "" for k in kept}
        return Variants(
            tuple(Variant(plans[k], short[k], words[k]) for k in kept),
            float(loss.mean()),
            float(np.quantile(loss, 0.95)),
            len(self.points),
            len({int(k) for k in true.argmin(axis=0)}),
        )

    def _seconds(self, candidate: Candidate) -> Array:
        """The seconds of a candidate at each sample."""
        import numpy as np

        if candidate is None:
            return np.maximum(self.table.total(_all_kernels(self.program)), NO_TIME)
        return np.maximum(self.table.seconds(candidate), NO_TIME)

    def _told(self, short: Polynomial) -> Array:
        """What a polynomial tells of each sample."""
        import numpy as np

        return np.broadcast_to(_evaluated(short, self.table.columns), len(self.points))

    def _few(self, pool: Sequence[Candidate], true: Array, told: Array) -> list[int]:
        """The candidates that become variants; the program as written is one where they would be slower."""
        import numpy as np

        first = [int(true[:, 0].argmin())] if self.has_own else []
        kept = _kept(true, told, self.most, first)
        choice = np.array(kept)[told[kept].argmin(axis=0)]
        last = len(pool) - 1
        if pool[last] is None and last not in kept and (_at(true, choice) > DEARER * true[last]).any():
            kept = _kept(true, told, self.most, [*first, last])
        return kept

    def _plan(self, candidate: Candidate, point: int) -> Plan:
        """The plan of a candidate; for what `explain` tells of it, it was chosen at this point."""
        before, request = self.before, replace(self.request, at=self.points[point])
        notes = before.notes.copy()
        declined = candidate is None
        selection = self.table.selection(self.table.best(point) if candidate is None else candidate, point)
        with keeping(notes):
            chosen = self.program if declined else built(self.program, self.graph, self.classes, selection)
        menu = self.menu.at(Sizes(request.at))
        found = Optimised(
            chosen,
            self.graph,
            self.classes,
            selection,
            self.outcome,
            menu,
            self.program,
            request,
            tuple(self.bodies),
            uses=self.graph.given,
            declined=declined,
        )
        with keeping(notes):
            found = with_guard(found)
        verify(found.program, "optimise")
        after = run(found.program, self.options, notes=notes, begin=AFTER)
        step = [("optimise", found.program)] if found.program is not before.program else []
        steps = (*before.steps, *step, *after.steps)
        return replace(before, program=after.program, steps=steps, notes=after.notes, search=found)


def _all_kernels(program: Program) -> Mapping[Kernel, float]:
    """The kernels of a program as it stands."""
    return Counter(kernel for node in program.nodes for kernel in kernels_of(node))


def _at(true: Array, choice: Array) -> Any:
    """The seconds of the plan that is chosen at each sample."""
    import numpy as np

    return true[choice, np.arange(true.shape[1])]


def _kept(true: Array, told: Array, most: int, first: Sequence[int]) -> list[int]:
    """The few plans with which least is lost: one after the other, each time the one that helps most; then exchanges.

    Losses count by their logarithm, so that a few sizes at which much is lost do not decide alone. Those that come
    `first` stay.
    """
    import numpy as np

    samples = np.arange(true.shape[1])
    least = true.min(axis=0)

    def loss(kept: list[int]) -> float:
        chosen = np.array(kept)[told[kept].argmin(axis=0)]
        lost = np.log(true[chosen, samples] / least)
        return float(lost.mean() + np.quantile(lost, 0.95))

    def best(kept: list[int], place: int) -> tuple[float, list[int]]:
        """What comes of the best plan in a place."""
        others = [k for k in range(len(true)) if k not in kept]
        trials = [[*kept[:place], k, *kept[place + 1 :]] for k in others]
        return min(((loss(trial), trial) for trial in trials), default=(float("inf"), kept))

    kept = list(dict.fromkeys(first))
    score = loss(kept) if kept else float("inf")
    while len(kept) < most:
        found, trial = best(kept, len(kept))
        if trial == kept or found > score - LEAST_GAIN:
            break
        score, kept = found, trial
    place = start = len(set(first))
    unchanged = 0
    while unchanged < len(kept) - start:
        found, trial = best(kept, place)
        if found < score - LEAST_GAIN:
            score, kept, unchanged = found, trial, 0
        unchanged += 1
        place = place + 1 if place + 1 < len(kept) else start
    return sorted(kept)


def _evaluated(short: Polynomial, columns: Mapping[str, Array]) -> Any:
    return sum(c * values_of(dim, columns) for dim, c in short)


def _shortened(terms: Mapping[DimLike, float], table: Table) -> Polynomial:
    """The polynomial without terms that matter at no sample, the largest first; four digits are enough."""
    import numpy as np

    terms = {dim: c for dim, c in terms.items() if c}  # a loop that is never run costs nothing
    whole = _evaluated(tuple(terms.items()), table.columns)
    weight = {dim: float(np.max(c * values_of(dim, table.columns) / whole)) for dim, c in terms.items()}
    kept = [dim for dim in terms if weight[dim] >= SMALLEST]
    return tuple((dim, float(f"{terms[dim]:.3e}")) for dim in sorted(kept, key=lambda d: -weight[d]))
