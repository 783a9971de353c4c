"""A rule on trial: points are drawn, both sides evaluated there and compared, and wrong versions of it refuted."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import TYPE_CHECKING, Any

from tpc.dsl import syntax
from tpc.dsl.diagnostics import TpcError
from tpc.dsl.format import format_expression
from tpc.ir.dims import evaluate
from tpc.ir.facts import FACTS
from tpc.ir.node import Fact, topological
from tpc.ir.reference import EXTENDED, FLOAT, Domain, modular
from tpc.passes.rules import Law, is_entrywise
from tpc.passes.rules.checker.between import singular_between
from tpc.passes.rules.checker.draw import PRIME, Numbers
from tpc.passes.rules.checker.expression import Doubtful, Expression, Undefined
from tpc.passes.rules.checker.mutants import mutants
from tpc.passes.rules.checker.setting import Point, Setting
from tpc.passes.rules.checker.values import differ, is_close_call, lacks
from tpc.passes.rules.shapes import Untyped, sides
from tpc.passes.rules.trees import called, walk

if TYPE_CHECKING:
    from tpc.passes.rules.checker import Report

SMALL = (0, 1, 2, 3)
LARGE = ((5, 6, 4, 3), (4, 3, 6, 5), (3, 2, 4, 2))
MOST_SHAPES = 9  # small shapes tried where there are many
MOST_EXTENT = 20  # of a matrix at the larger sizes
MOST_ABOVE = 48  # of a matrix at sizes above the degree
MUTANTS = 10
TRIES = 80  # draws in the search for a point that meets the conditions
MOST_SILENT = 6  # points without a value after which a shape is given up


class Trial:
    """A setting under check, with the points that were tried and the values there."""

    def __init__(self, setting: Setting, seed: int) -> None:
        self.setting = setting
        self.seed = seed
        self.law = setting.law
        self.sides = [setting.expression(side) for side in sides(self.law)]
        self.domain = self._domain()
        self.seen: list[tuple[Point, list[Any]]] = []

    def _domain(self) -> Domain:
        """Residues if they have a meaning, long doubles if they have, else floats."""
        if isinstance(self.law, syntax.RuleFact):
            return FLOAT
        sizes = dict.fromkeys(self.setting.shapes.free, 2)
        exact = [] if any(map(_has_variable_power, self.sides)) else [modular(PRIME)]
        for domain in (*exact, *([EXTENDED] if self.setting.entrywise else [])):
            for number in range(10):
                numbers = Numbers(number, domain.prime)
                try:
                    point = self.setting.point(numbers, sizes, domain, plain=True)
                    if point is None:
                        continue
                    for side in self.sides:
                        side.value(point.arrays, sizes, domain)
                    return domain
                except (Undefined, Doubtful):
                    continue
                except (TpcError, TypeError):  # no meaning over this kind of numbers
                    break
        return FLOAT

    # ---- sizes and points

    def sizes(self, most: int = MOST_SHAPES) -> Iterator[dict[str, int]]:
        """All small sizes, or some where there are many; then larger ones."""
        names = self.setting.shapes.free
        small = [dict(zip(names, choice)) for choice in product(SMALL, repeat=len(names))]
        small = [sizes for sizes in small if self.setting.allows(sizes)]
        if len(small) > most:
            rng = Numbers(self.seed).rng
            small = small[:1] + [small[int(k)] for k in sorted(rng.choice(len(small), most, replace=False))]
        yield from small
        dims = [dim for shape in self.setting.shapes.variables.values() for dim in shape]
        for base in LARGE:
            sizes = {name: base[n % 4] for n, name in enumerate(names)}
            total = max((evaluate(d, sizes) for d in [*dims, *self.setting.shapes.sizes.values()]), default=0)
            if names and self.setting.allows(sizes) and total <= MOST_EXTENT:
                yield sizes

    def draws(self, numbers: Numbers, sizes: dict[str, int], tries: int) -> Iterator[Point]:
        for number in range(tries):
            point = self.setting.point(numbers, sizes, self.domain, plain=number % 2 == 0)
            if point is not None:
                yield point

    def sweep(self, report: Report) -> None:
        """Compare the sides at points of all kinds, two of each kind of sizes: half of them plain, half special."""
        for number, sizes in enumerate(self.sizes()):
            report.shapes += 1
            numbers = Numbers(self.seed * 1000 + number, self.domain.prime)
            wanted = 2 if sizes else 6
            found = silent = 0
            for point in self.draws(numbers, sizes, TRIES):
                problem = self.compare(point)
                if problem is None:
                    silent += 1
                    if silent >= MOST_SILENT:
                        break
                    continue
                found += 1
                report.points += 1
                if problem:
                    report.problems.append(f"{problem} at {_shown(sizes)}")
                    return
                if found == wanted:
                    break
            problem = singular_between(self, numbers, sizes)
            if problem:
                report.problems.append(f"{problem} at {_shown(sizes)}")
                return
        if self.domain is EXTENDED and not tags(self.law) & {"finite", "safe"}:
            self.special(report)

    def large(self, report: Report) -> None:
        """Compare the sides once at sizes above their degree.

        A polynomial identity that holds there holds at all sizes; of sides with inverses that is no proof.
        """
        sizes = dict.fromkeys(self.setting.shapes.free, self.degree() + 1)
        dims = [dim for shape in self.setting.shapes.variables.values() for dim in shape]
        total = max((evaluate(d, sizes) for d in [*dims, *self.setting.shapes.sizes.values()]), default=0)
        if not self.domain.prime or not sizes or total > MOST_ABOVE or not self.setting.allows(sizes):
            return
        for point in self.draws(Numbers(self.seed, self.domain.prime), sizes, TRIES):
            problem = self.compare(point)
            if problem:
                report.problems.append(f"{problem} at {_shown(sizes)}")
            if problem is not None:
                report.points += 1
                report.above_degree = not problem
                return

    def degree(self) -> int:
        """The number of places of operands in both sides: an upper bound of the degree, where there is no inverse."""
        parts = [part for side in sides(self.law) for part in walk(side)]
        return sum(isinstance(p, syntax.Name) and p.name in self.setting.shapes.variables for p in parts)

    def special(self, report: Report) -> None:
        """Compare the sides where entries are infinite or not a number."""
        import numpy as np

        numbers = Numbers(self.seed)
        sizes = dict.fromkeys(self.setting.shapes.free, 2)
        values = (np.inf, -np.inf, np.nan, 0.0)
        arrays = range(len(self.setting.shapes.variables))
        for value, which in product(values, arrays):
            for point in self.draws(numbers, sizes, 3):
                array = np.array(point.arrays[which], dtype=float)
                array[(0,) * array.ndim] = value
                trial = Point(sizes, [array if n == which else a for n, a in enumerate(point.arrays)], self.domain)
                if not self.setting.admits(trial):
                    continue
                report.points += 1
                problem = self.compare(trial)
                if problem:
                    report.problems.append(f"{problem} where an entry is {value}")
                    return

    # ---- comparing

    def compare(self, point: Point) -> str | None:
        """Nothing where the rule holds, what is wrong where not, and None where the point does not tell."""
        import numpy as np

        if isinstance(self.law, syntax.RuleFact):
            value = _value(self.sides[0], point)
            if isinstance(value, (Undefined, Doubtful)):
                return None
            problem = self.lacks(value, point)
            if problem and is_close_call(value, self.concluded(point)):
                return None
            self.seen.append((point, [value]))
            return problem
        left, right = (_value(side, point) for side in self.sides)
        if isinstance(left, Doubtful) or isinstance(right, Doubtful):
            return None
        if isinstance(left, Undefined) and (isinstance(right, Undefined) or self.law.arrow == "=>"):
            return None
        if isinstance(left, Undefined) != isinstance(right, Undefined):
            value = right if isinstance(left, Undefined) else left
            if value.size == 0 or (self.domain is FLOAT and not np.all(np.abs(value) < 1e10)):
                return None  # nothing is computed, or it is infinite but for rounding
        self.seen.append((point, [left, right]))
        return differ(left, right)

    def concluded(self, point: Point) -> Fact:
        """The fact that is concluded, at the sizes of a point."""
        assert isinstance(self.law, syntax.RuleFact) and isinstance(self.law.conclusion, syntax.Call)
        arguments = self.law.conclusion.arguments[1:]
        return Fact(called(self.law.conclusion), tuple(self.setting.size(a, point.sizes) for a in arguments))

    def lacks(self, value: Any, point: Point, other: str = "") -> str:
        """What keeps a value from having the concluded fact (or another without arguments), or nothing."""
        fact = self.concluded(point)
        return lacks(value, Fact(other, fact.arguments) if other else fact)

    def refuted(self, number: int, sizes: dict[str, int], draws: int) -> bool:
        """Whether some draw at these sizes is a counterexample."""
        numbers = Numbers(self.seed * 1000 + number + draws, self.domain.prime)
        if any(self.compare(point) for point in self.draws(numbers, sizes, draws)):
            return True
        return bool(singular_between(self, numbers, sizes))

    # ---- mutants

    def mutate(self, report: Report) -> None:
        """Count the wrong versions of the rule that some point refutes."""
        import numpy as np

        points = sorted(self.seen, key=lambda seen: sum(np.size(a) for a in seen[0].arrays), reverse=True)[:16]
        names = tuple(self.setting.shapes.variables)
        if isinstance(self.law, syntax.RuleFact):
            self.mutate_conclusion(report, points)
        for place, side in reversed(list(enumerate(sides(self.law)))):
            wrong = list(mutants(side, names))
            Numbers(self.seed).rng.shuffle(wrong)
            for what, mutant in wrong:
                if report.refuted >= MUTANTS:
                    return
                try:
                    program = self.setting.expression(mutant)
                except Untyped:
                    continue
                report.mutants += 1
                if any(self.refutes(program, place, point, values) for point, values in points):
                    report.refuted += 1
                else:
                    report.survivors.append(f"{what}: {format_expression(mutant)}")

    def mutate_conclusion(self, report: Report, points: list[tuple[Point, list[Any]]]) -> None:
        """Count the facts that the value does not have."""
        assert isinstance(self.law, syntax.RuleFact) and isinstance(self.law.conclusion, syntax.Call)
        entrywise = is_entrywise(self.law)
        for fact in FACTS.values():
            if fact.arguments or fact.name in ("const", "param", called(self.law.conclusion)):
                continue
            if fact.of != "tensor" and (entrywise or points[0][1][0].ndim < 2):
                continue
            report.mutants += 1
            if any(self.lacks(values[0], point, fact.name) for point, values in points):
                report.refuted += 1
            else:
                report.survivors.append(f"{fact.name} in place of {called(self.law.conclusion)}")

    def refutes(self, mutant: Expression, place: int, point: Point, values: list[Any]) -> bool:
        try:
            value = _value(mutant, point)
        except (TpcError, TypeError):  # the mutant has left the domain
            return True
        if isinstance(value, Doubtful):
            return False
        if isinstance(self.law, syntax.RuleFact):
            return not isinstance(value, Undefined) and bool(self.lacks(value, point))
        return bool(differ(values[1 - place], value))


def tags(law: Law) -> set[str]:
    """The tags of a rule; a fact has none."""
    return {tag.name for tag in law.tags} if isinstance(law, syntax.Rule) else set()


def _has_variable_power(side: Expression) -> bool:
    """Whether an exponent depends on the operands: modulo a prime, exponents have another modulus."""
    powers = [node.args[1] for node in side.program.nodes if node.op.name == "pow"]
    return any(node.op.name == "input" for node in topological(powers))


def _shown(sizes: dict[str, int]) -> str:
    return ", ".join(f"{name} = {size}" for name, size in sizes.items()) or "any size"


def _value(side: Expression, point: Point) -> Any:
    try:
        return side.value(point.arrays, point.sizes, point.domain)
    except (Undefined, Doubtful) as outcome:
        return outcome
