"""A plan held against the program as written, at random points.

Both are evaluated modulo primes, where equality is exact: two rational functions of degree d that differ agree at a
random point with probability d/p at most (Schwartz 1980, Zippel 1979). Functions without a meaning there are random
but consistent (`tpc.ir.free`); where a plan uses laws of theirs, so that this does not tell, both programs are
evaluated in double precision, which gives evidence and no bound.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tpc.cost import cost
from tpc.dsl.diagnostics import InternalError, TpcError
from tpc.ir.dims import evaluate as evaluate_dim
from tpc.ir.free import FreeFunctions
from tpc.ir.node import Program
from tpc.ir.reference import Domain, evaluate, modular
from tpc.ir.sizes import with_sizes
from tpc.ir.types import C128, F64, TensorType
from tpc.passes.differentiate import differentiate
from tpc.passes.guard import GUARD, SOLVED, direct, settled
from tpc.samples import sample
from tpc.verification.degree import degree
from tpc.verification.operands import NoOperands, declared, field_operands
from tpc.verification.results import distance, moved
from tpc.verification.shrinking import shrunk
from tpc.verification.sizes import small_sizes

PRIMES = (2**127 - 1, 2**61 - 1)  # 3 modulo 4 both, see `tpc.ir.free`
POINTS = 3
POINTS_OF_ORDER = 33  # where signs are decided on: each decision may agree by chance, with probability 1/2
MOST_FLOPS = 600_000  # of one evaluation, modulo a prime
EASY_FLOPS = 2_000  # up to which no smaller sizes are looked for
MOST_FLOAT_FLOPS = 20_000_000
METHODS = ("same", "field", "floats", "none")
PASSES = 3  # of a loop
TRIES = 12  # draws for a point at which the program has a value
DRAWS = 3  # in floats
TELLING = 1e-3  # a bound below this one means something
SHRUNK_TRIES = 3  # settings of smaller sizes
EPSILON = 2.0**-52
BENIGN = 1e-8  # how much a rounding of the operands may change a result, relative to it
SLACK = 1e5  # sensitivities to one rounding that another way to compute may be away


class _Silent(Exception):
    """Arithmetic modulo a prime does not tell whether two programs are equal."""


@dataclass(frozen=True)
class PlanCheck:
    """What a check of a plan showed.

    Attributes
    ----------
    method
        `same` (the program as written), `field`, `floats` or `none`: one of `METHODS`, the strongest first.
    points, sizes
        How many random points, at which sizes.
    bound
        On the probability that a plan passes that is wrong at the first of these sizes; None without one.
    digits
        To which the programs agree in floats.
    why
        What was in the way of a stronger check, or of any.
    instead
        The sizes that the plan is for, where it was checked at smaller ones.
    """

    method: str
    points: int = 0
    sizes: tuple[dict[str, int], ...] = ()
    bound: float | None = None
    digits: int | None = None
    why: str = ""
    instead: dict[str, int] = field(default_factory=dict)

    @property
    def is_telling(self) -> bool:
        """Whether there is a bound that means something."""
        return self.bound is not None and self.bound < TELLING

    def __str__(self) -> str:
        at = "; ".join(_sizes_text(sizes) for sizes in self.sizes if sizes)
        instead = f" in the place of {_sizes_text(self.instead)}" if self.instead else ""
        where = f"{self.points} random points" + (f" ({at}{instead})" if at else "")
        if self.method == "same":
            return "the plan is the program as written"
        if self.method == "field":
            bound = f"a wrong plan would pass with a probability below {_above(self.bound or 0.0)}"
            if not self.is_telling:
                bound = "this is evidence without a bound, since the degree of the program is too high"
            return f"the plan equals the program modulo primes at {where}; {bound}"
        if self.method == "floats":
            return (
                f"the plan agrees with the program to {self.digits} digits at {where}; "
                f"this is evidence without a bound, since {self.why}"
            )
        return f"the plan is not checked: {self.why}"


def _sizes_text(sizes: Mapping[str, int]) -> str:
    return ", ".join(f"{name} = {size}" for name, size in sizes.items())


def _above(bound: float) -> str:
    """A power of ten that is not below a probability."""
    return f"1e{math.floor(math.log10(bound)) + 1}" if bound > 0 else "1e-300"


def check_plan(written: Program, plan: Program, seed: int = 0) -> PlanCheck:
    """Evaluate two programs with the same inputs at random points, at small sizes where sizes are open.

    Parameters
    ----------
    written
        The program before any pass; derivatives in it are taken as they are written out.
    plan
        The program after the passes. Sizes that are fixed in it are fixed in `written` too.

    Raises
    ------
    InternalError
        If the plan is not the program.
    """
    written = differentiate(written)
    if plan is written:
        return PlanCheck("same")
    if any(node.op.name == SOLVED for node in plan.walk()):  # what steps find is measured when it runs
        plan = direct(plan)
        if _systems(plan) > _systems(written):
            return PlanCheck("none", why="systems are solved by steps, and what they leave is measured in each call")
    if any(node.op.name == GUARD for node in plan.walk()):  # a plan for each case, both of which must be right
        return max((check_plan(written, settled(plan, holds), seed) for holds in (True, False)), key=_weakness)
    try:
        return _checked(written, plan, seed)
    except InternalError:
        gauge = next((n.op for n in written.walk() if n.op.gauge), None)
        if gauge is None:
            raise
        return PlanCheck("none", why=f"{gauge.name} leaves open {gauge.gauge}")


def _systems(program: Program) -> int:
    """How many systems stop a program if they are not solved."""
    return sum(node.op.name == "require" and node["because"] == "solved" for node in program.walk())


def _checked(written: Program, plan: Program, seed: int) -> PlanCheck:
    chosen = small_sizes(written, seed, lambda sizes: _has_value(written, sizes, seed)) or small_sizes(written, seed)
    if not chosen:
        return PlanCheck("none", why="no small sizes are known at which the program has a meaning")
    try:
        return _in_field(written, plan, chosen, seed)
    except (_Silent, NoOperands) as reason:
        why = str(reason)
    except TpcError as error:
        why = error.diagnostics[0].title
    return _in_floats(written, plan, chosen, seed, why)


def check_plans(written: Program, plans: Sequence[Program], fixed: Mapping[str, int], seed: int = 0) -> PlanCheck:
    """Check the plans of a program; gives what was shown of the one of which the least was shown.

    Where exact arithmetic would take too long at the sizes that are fixed, smaller ones take their place in the program
    and in the plans, as far as it is known what the numbers in the plans become.

    Parameters
    ----------
    fixed
        The sizes that the plans were compiled for; others are open.

    Raises
    ------
    InternalError
        If one of the plans is not the program.
    """
    generic = differentiate(written)
    written = with_sizes(generic, fixed)
    if all(plan is written for plan in plans):
        return PlanCheck("same")
    for trial in range(SHRUNK_TRIES if fixed and any(_flops(p, {}) > EASY_FLOPS for p in (written, *plans)) else 0):
        small = shrunk(generic, written, plans, fixed, seed + trial)
        found = PlanCheck("none") if small is None else _weakest_of(small.written, small.plans, seed, small.is_sure)
        if small is not None and found.method != "none":
            return replace(found, sizes=(small.sizes,), instead=dict(fixed))
    return _weakest_of(written, plans, seed)


def _weakest_of(written: Program, plans: Sequence[Program], seed: int, is_sure: bool = True) -> PlanCheck:
    try:
        return max((check_plan(written, plan, seed) for plan in plans), key=_weakness)
    except InternalError:
        if is_sure:
            raise
        return PlanCheck("none", why="it is not known what all of its numbers are at smaller sizes")


def weakest(checks: Sequence[PlanCheck]) -> PlanCheck:
    """The one that shows least."""
    return max(checks, key=_weakness)


def _weakness(check: PlanCheck) -> tuple[int, float]:
    return METHODS.index(check.method), check.bound if check.bound is not None else -float(check.digits or 0)


# ---- modulo primes


def _has_value(program: Program, sizes: dict[str, int], seed: int) -> bool:
    """Whether a program has a value at a random point, as `inv(X' @ X)` has none where X is wide; True if unknown."""
    if _flops(program, sizes) > MOST_FLOPS:
        return False
    try:
        arrays = field_operands(program, sizes, PRIMES[0], seed)
        return _values(program, arrays, sizes, modular(PRIMES[0], FreeFunctions(PRIMES[0], seed), PASSES)) is not None
    except (_Silent, NoOperands, TpcError):
        return True


def _in_field(written: Program, plan: Program, chosen: Sequence[dict[str, int]], seed: int) -> PlanCheck:
    if any(t.dtype.kind == "c" for p in (written, plan) for t in _types(p)):
        raise _Silent("it has complex numbers")
    for program in (written, plan):
        if _flops(program, chosen[0]) > MOST_FLOPS:
            raise _Silent("exact arithmetic would take too long at its sizes")
    points, wanted, bound = 0, POINTS, 1.0
    while points < wanted:
        at_others = points == 1 and len(chosen) > 1
        sizes, prime = chosen[at_others], PRIMES[points == 2]
        free = _point(written, plan, sizes, prime, seed * 10_000 + points)
        if free.applied.get("order"):
            wanted = POINTS_OF_ORDER
        if not at_others:
            bound *= _chance(written, plan, sizes, prime, free)
        points += 1
    # a field has no order, so that only floats tell that what is factored is definite
    with suppress(TpcError, _Silent):
        for number, sizes in enumerate(chosen):
            _float_values(written, plan, sizes, seed + number)
    return PlanCheck("field", points, tuple(chosen[:2]), bound)


def _point(written: Program, plan: Program, sizes: dict[str, int], prime: int, seed: int) -> FreeFunctions:
    """Compare at one point; gives the functions that were used there."""
    undefined = 0
    for attempt in range(TRIES):
        domain = modular(prime, FreeFunctions(prime, seed), PASSES)
        assert domain.free is not None
        arrays = field_operands(written, sizes, prime, seed * TRIES + attempt)
        expected = _values(written, arrays, sizes, domain)
        if expected is None:
            continue
        actual = _values(plan, arrays, sizes, domain)
        if actual is None:
            undefined += 1
            if undefined < 3:
                continue
            raise _differs(domain.free, "the plan has no value where the program has one")
        for name, a, b in zip(written.output_names, expected, actual, strict=True):
            if np.shape(a) != np.shape(b):
                raise InternalError("verify", f"`{name}` has the shape {np.shape(b)} in the plan, not {np.shape(a)}")
            if not np.all(np.asarray(a) == np.asarray(b)):
                raise _differs(domain.free, f"`{name}` of the plan is not what the program means, at {sizes}")
        return domain.free
    raise _Silent("it has no value at random points modulo a prime")


def _differs(free: FreeFunctions, problem: str) -> Exception:
    """The error, unless functions were used whose laws the field does not have."""
    if not free.applied:
        return InternalError("verify", problem)
    listed = ", ".join(f"`{name}`" for name in sorted(free.applied) if name != "order")
    return _Silent(f"the plan uses laws of {listed or 'order'} that arithmetic modulo a prime does not have")


def _values(program: Program, arrays: Sequence[Any], sizes: dict[str, int], domain: Domain) -> list[Any] | None:
    """The results, or None where there is none, as for a singular matrix."""
    try:
        return evaluate(program, arrays, sizes, domain)
    except (ValueError, IndexError, ZeroDivisionError, np.linalg.LinAlgError):
        return None
    except (TypeError, AttributeError) as error:
        raise _Silent("it has no meaning modulo a prime") from error


def _chance(written: Program, plan: Program, sizes: dict[str, int], prime: int, free: FreeFunctions) -> float:
    """A bound on the probability that programs that differ agree at one point.

    Values of free functions count as operands of their own, unless two that differ have equal operands by chance; a
    root doubles the degree, since with its conjugate it is a root of a polynomial over the others.
    """
    shapes = [[evaluate_dim(d, sizes) for d in node.tensor.dims] for node in written.inputs]
    drawn = [2 * max([*shape, 1]) for shape in shapes]  # most by Cayley, and by squares
    highest = max(degree(program, sizes, drawn, PASSES) for program in (written, plan))
    roots = free.applied.get("sqrt", 0)
    others = sum(free.applied.values()) - roots
    logarithm = math.log(highest) + roots * math.log(2) + 2 * math.log(others + 1) - math.log(prime)
    chance = math.exp(min(logarithm, 0.0))
    return max(chance, 0.5) if free.applied.get("order") else chance


# ---- in floats


def _in_floats(written: Program, plan: Program, chosen: Sequence[dict[str, int]], seed: int, why: str) -> PlanCheck:
    sizes = chosen[0]
    if max(_flops(written, sizes), _flops(plan, sizes)) > MOST_FLOAT_FLOPS:
        return PlanCheck("none", why="the reference interpreter would take too long at its sizes")
    worst, points = 0.0, 0
    for number in range(DRAWS * TRIES):
        sizes = chosen[number % len(chosen)]
        try:
            found = _float_point(written, plan, sizes, seed * 1000 + number)
        except TpcError as error:
            return PlanCheck("none", why=error.diagnostics[0].title)
        if found is not None:
            worst, points = max(worst, found), points + 1
        if points == DRAWS:
            digits = min(15, math.floor(-math.log10(max(worst, 1e-16))))
            return PlanCheck("floats", points, tuple(chosen[:points]), None, digits, why)
    return PlanCheck("none", why="it has no value at random operands")


FloatPoint = tuple[list[Any], list[Any], list[Any]]  # results of both programs, and of the first beside the point


def _float_values(written: Program, plan: Program, sizes: dict[str, int], seed: int) -> FloatPoint | None:
    """What both programs give for random operands; None where the program has no value there, or nearly none.

    Raises
    ------
    InternalError
        If the plan has no value where the program has one, as where it factors a matrix that is not definite.
    """
    domain = Domain("float", passes=PASSES)
    arrays = []
    for node, facts in declared(written, sizes).items():
        shape = [evaluate_dim(d, sizes) for d in node.tensor.dims]
        dtype = {"f": F64, "c": C128}.get(node.tensor.dtype.kind, node.tensor.dtype)  # facts hold to all digits
        drawn = sample(dtype, shape, facts, seed=seed, name=node["name"])
        arrays.append(drawn % max(min(sizes.values(), default=2), 1) if drawn.dtype.kind == "i" else drawn)
    expected = _values(written, arrays, sizes, domain)
    if expected is None or not all(np.isfinite(np.asarray(e)).all() for e in expected):
        return None
    shifted = [_values(written, [moved(a, EPSILON, k) for a in arrays], sizes, domain) for k in range(2)]
    if any(run is None or not _is_near(run, expected) for run in shifted):
        return None
    actual = _values(plan, arrays, sizes, domain)
    if actual is None or not all(np.isfinite(np.asarray(a)).all() for a in actual):
        raise InternalError("verify", f"the plan has no value where the program has one, at {sizes}")
    return expected, actual, shifted


def _is_near(values: Sequence[Any], others: Sequence[Any]) -> bool:
    return all(distance(a, b) <= BENIGN * max(1.0, float(np.abs(b).max(initial=0.0))) for a, b in zip(values, others))


def _float_point(written: Program, plan: Program, sizes: dict[str, int], seed: int) -> float | None:
    """The relative difference at one point; None where the program has no value there."""
    point = _float_values(written, plan, sizes, seed)
    if point is None:
        return None
    expected, actual, shifted = point
    worst = 0.0
    for position, (name, wanted, value) in enumerate(zip(written.output_names, expected, actual, strict=True)):
        scale = float(np.abs(wanted).max(initial=0.0))
        spread = max((distance(run[position], wanted) for run in shifted if run is not None), default=0.0)
        allowed = SLACK * (spread + EPSILON * max(scale, 1.0) * 4)
        away = distance(value, wanted)
        if not away <= allowed:
            raise InternalError(
                "verify", f"`{name}` of the plan is {away:.3g} away from what the program means, at {sizes}"
            )
        worst = max(worst, away / max(scale, 1.0))
    return worst


def _flops(program: Program, sizes: dict[str, int]) -> float:
    flops = cost(program, sizes).flops
    return flops if isinstance(flops, int) else math.inf


def _types(program: Program) -> list[TensorType]:
    nodes = [*program.inputs, *program.walk()]
    return [t for n in nodes for t in (n.type if isinstance(n.type, tuple) else (n.type,))]
