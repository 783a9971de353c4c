"""Which facts would pay, if they were declared: each is tried, one at a time; and what structure constants have."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tpc.dsl.collection import no_collection
from tpc.ir.facts import analyse, broken, check_declared, closure, fits
from tpc.ir.node import Fact, Node, Program
from tpc.passes.choose.local import FEW_CHANGES
from tpc.passes.kernels import totals

if TYPE_CHECKING:
    from tpc.explanation.account import Account
    from tpc.explanation.constants import Structured

# Those that matter most first; a band is tried as one of three diagonals.
TRIED = (
    Fact("diagonal"),
    Fact("spd"),
    Fact("orthogonal"),
    Fact("lower"),
    Fact("banded", (1, 1)),
    Fact("symmetric"),
    Fact("orthonormal"),
    Fact("full_rank"),
    Fact("upper"),
    Fact("positive"),
)
QUICK = 20_000  # work of one search (see `Bounds`)
CLOSE = 1.05  # the same, for all that a prediction is worth
LARGEST = 1 << 22  # entries of a constant whose structure is looked for
LEAST = 1.1  # how many times faster a fact must make a program to be told


@dataclass(frozen=True, slots=True)
class Advice:
    """A fact of an input that is not declared, and how many times fewer operations and seconds it would give."""

    input: str
    fact: Fact
    flops: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Advised:
    """Facts that would pay, those that gain most first; `told` says what else is to be known, or is empty.

    `structured` are constants that have a structure which nobody told.
    """

    facts: tuple[Advice, ...] = ()
    told: str = ""
    structured: tuple[Structured, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.facts or self.told or self.structured)


@no_collection()
def advise(account: Account, most: int = 8, least: float = LEAST, largest: int = LARGEST) -> Advised:
    """Which facts would make a program faster.

    Parameters
    ----------
    most
        How many facts are tried; if there are more, it is said.
    least
        How many times faster a fact must make it.
    largest
        Entries of the constants whose structure is looked for, at most.
    """
    from tpc.explanation.constants import structured

    return replace(_of_inputs(account, most, least), structured=tuple(structured(account, least, largest)))


def _of_inputs(account: Account, most: int, least: float) -> Advised:
    from tpc.passes.optimise import search as look

    search = account.plan.search
    if search is None:
        return Advised(told=account.outcome)
    program, at = search.written, account.at
    bounds = replace(search.request.bounds, work=QUICK)
    request = replace(search.request, at=at, bounds=bounds, changes=FEW_CHANGES)
    every = list(candidates(program))
    if not every:
        return Advised(told="there is no fact that an input could have and that is not known")
    base = account.chosen
    found = []
    for node, fact in every[:most]:
        trial = look(program, request, {node: frozenset((fact,))})
        after = totals(trial.program, request.prices, at)
        faster = base.seconds / after.seconds if after.seconds else 1.0
        if faster >= least:
            found.append(Advice(str(node["name"]), fact, base.flops / max(after.flops, 1), faster))
    facts = tuple(_told(sorted(found, key=lambda a: -a.seconds)))
    if len(every) > most:
        return Advised(facts, f"{most} facts were tried, of {len(every)} that inputs could have")
    none = f"none of the {len(every)} facts that inputs could have would make it {least:.2g} times faster"
    return Advised(facts, "" if facts else none)


def candidates(program: Program) -> Iterator[tuple[Node, Fact]]:
    """Facts of inputs that their types allow, that nothing contradicts, and that are not known; most telling first."""
    facts = analyse(program)
    used = set(program.nodes)
    tried: set[tuple[Node, frozenset[Fact]]] = set()  # what is known with a fact: `upper` of a symmetric matrix
    for fact in TRIED:
        for node in program.inputs:
            type = node.tensor
            if node not in used or not type.dims or not type.dtype.is_float or not fits(fact, type):
                continue
            if type.rank != 2 and fact.name != "positive" or fact.name == "positive" and type.rank != 1:
                continue
            if fact.name in ("lower", "upper", "banded", "diagonal") and type.dims[0] != type.dims[1]:
                continue
            if fact.name == "orthonormal" and type.dims[0] == type.dims[1]:
                continue
            known = facts[node]
            if fact in known or check_declared(type, [*sorted(known, key=str), fact]):
                continue
            whole = closure(type, known | {fact})
            if (node, whole) in tried:
                continue
            tried.add((node, whole))
            if not any(broken(_with(program, node, fact))):
                yield node, fact


def _with(program: Program, node: Node, fact: Fact) -> Program:
    """The program with one more fact declared."""
    facts = dict(program.facts)
    facts[node] = (*facts.get(node, ()), fact)
    return program.replace(facts=tuple(facts.items()))


def _told(advice: list[Advice]) -> list[Advice]:
    """Without facts that gain no more than another one of the same input that is easier to have."""
    kept: list[Advice] = []
    for item in advice:
        easier = TRIED.index(item.fact)
        same = [a for a in advice if a.input == item.input and a is not item and a.seconds * CLOSE >= item.seconds]
        if not any(TRIED.index(a.fact) > easier for a in same if a.fact.name != "upper"):
            kept.append(item)
    return kept
