"""What a program promises: whether that is proved, what would prove it, and promises that cannot be kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

from tpc.ir.dims import DimLike, add, named, names_of, substitute
from tpc.ir.facts.analysis import Analysis, analyse, promises_of
from tpc.ir.facts.closing import closure
from tpc.ir.facts.derivation import Derivation, about, expression
from tpc.ir.facts.inference import conflicts
from tpc.ir.facts.lines import Known, Place, lines, raised
from tpc.ir.facts.vocabulary import CONTRADICTIONS, covers, fits
from tpc.ir.node import Constraint, Fact, Node, Program
from tpc.ir.ops.structure import CALL, INPUT
from tpc.ir.types import TensorType

# How a fact can be tested when the program runs.
GUARDS = {
    "spd": "Cholesky's method fails where it does not hold",
    "nonsingular": "a pivot of the LU factorization is zero where it does not hold",
    "symmetric": "the matrix is compared with its transpose",
}

# What may be declared of parameters so that a promise is proved.
DECLARABLE = ("full_rank", "nonsingular", "spd", "psd", "symmetric", "positive")


@dataclass(frozen=True, slots=True)
class Obligation:
    """A fact of an operand that a node relies on.

    Attributes
    ----------
    node, operand : Node
        Who promises (`inv(E)`), and what is promised of (E).
    proof : Derivation, optional
        How the fact follows from what is declared; None if it does not.
    remedies : tuple of str
        What could be declared so that it follows: each is enough by itself.
    guard : str
        How it can be tested when the program runs.
    """

    node: Node
    operand: Node
    fact: Fact
    proof: Derivation | None
    remedies: tuple[str, ...] = ()
    guard: str = ""

    def __str__(self) -> str:
        what = f"{about(self.fact, expression(self.operand))}, promised by {expression(self.node)}"
        if self.proof is not None:
            return f"{what}: proved"
        ways = "; ".join([*(f"declare {r}" for r in self.remedies), f"or at run time: {self.guard}"])
        return f"{what}: not proved ({ways})"


def obligations(program: Program) -> list[Obligation]:
    """What the nodes of a program promise of their operands, each with its proof, or with what would prove it."""
    proved = analyse(program, promises=False)
    found = []
    for node in program.nodes:
        for fact, operand in promises_of(node):
            if fact in proved[operand]:
                found.append(Obligation(node, operand, fact, proved.why(operand, fact)))
            else:
                ways = tuple(_remedies(program, operand, fact))
                found.append(Obligation(node, operand, fact, None, ways, GUARDS[fact.name]))
    return found


Candidate = tuple[str, "Node | None", "Fact | Constraint"]


def _remedies(program: Program, operand: Node, fact: Fact) -> Iterator[str]:
    """The smallest sets of declarations (of one, or else of two) after which the fact follows."""
    candidates = list(_candidates(program, operand))
    for count in (1, 2):
        found = [chosen for chosen in combinations(candidates, count) if _suffices(program, operand, fact, chosen)]
        yield from (" and ".join(text for text, _, _ in chosen) for chosen in found)
        if found:
            return


def _candidates(program: Program, operand: Node) -> Iterator[Candidate]:
    used = set(Program("", (), (operand,)).nodes)
    for node in program.inputs:
        if node not in used or not isinstance(node.type, TensorType):
            continue
        for name in DECLARABLE:
            if fits(Fact(name), node.type) and (name != "positive") == (node.type.rank >= 2):
                yield f"`{node['name']} is {name}`", node, Fact(name)
        if node.type.rank >= 2 and node.type.dims[-1] != node.type.dims[-2]:
            for bound in (Constraint(node.type.dims[-2], relation, node.type.dims[-1]) for relation in (">=", "<=")):
                yield f"`where {bound}`", None, bound


def _suffices(program: Program, operand: Node, fact: Fact, chosen: tuple[Candidate, ...]) -> bool:
    given: dict[Node, frozenset[Fact]] = {}
    where = program.where
    for _, node, declared in chosen:
        if isinstance(declared, Constraint):
            where = (*where, declared)
        elif node is not None:
            given[node] = given.get(node, frozenset()) | {declared}
    return fact in analyse(program.replace(where=where), given, promises=False)[operand]


@dataclass(frozen=True, slots=True)
class Broken:
    """Facts that a program needs together and that cannot all hold.

    Attributes
    ----------
    node : Node
        Who needs it, such as `inv(E)`; the declared value itself, if its declaration is what cannot hold.
    operand : Node
        What it is needed of.
    needed : Fact, optional
        What is promised or declared; None where the value of a function is not defined, as in log(-1).
    known : tuple
        What is known instead: derivations of facts.
    call : Node, optional
        The call whose body this is in.
    """

    node: Node
    operand: Node
    needed: Fact | None
    known: tuple[Derivation, ...]
    call: Node | None = None


def broken(program: Program) -> Iterator[Broken]:
    """The promises and declarations of a program that cannot be kept, whatever its data (of sizes above 0) are.

    Bodies of loops and called functions are looked into; branches of `if` are not, since they may never be taken.
    """
    seen: set[Program] = set()
    analyses: list[tuple[Program, Analysis | None, Node | None]] = [(program, None, None)]
    while analyses:
        inner, analysis, call = analyses.pop()
        if inner in seen:
            continue
        seen.add(inner)
        nodes = inner.nodes
        if analysis is None:
            # only what promises, functions with a domain, and calls are given is looked into
            given = [operand for node in nodes if _may_break(node) or node.op is CALL for operand in node.args]
            analysis = analyse(inner.replace(outputs=tuple(dict.fromkeys(given)), output_names=()), promises=False)
        yield from _broken(inner, analysis, call)
        for node in nodes:
            if node.op is CALL:
                below = analysis.of_call(node)
                analyses.append((below.program, below, call or node))
            elif node.op.name in ("repeat", "scan"):
                analyses += [(body, None, call) for body in node.programs]


def _broken(program: Program, analysis: Analysis, call: Node | None) -> Iterator[Broken]:
    for node in program.nodes:
        for fact, operand in promises_of(node):
            yield from _contradicted(analysis, node, operand, fact, call)
        yield from _outside(analysis, node, call)
    declared = _declared_inside(program)
    if declared:
        of_inputs = tuple((node, facts) for node, facts in program.facts if node.op is INPUT)
        without = analyse(program.replace(facts=of_inputs), promises=False)
        for node, fact in declared:
            yield from _contradicted(without, node, node, fact, call)


def _may_break(node: Node) -> bool:
    return bool(node.op.needs) or "never" in node.op.facts


def _declared_inside(program: Program) -> list[tuple[Node, Fact]]:
    return [(node, fact) for node, facts in program.facts if node.op is not INPUT for fact in facts]


def _contradicted(analysis: Analysis, node: Node, operand: Node, fact: Fact, call: Node | None) -> Iterator[Broken]:
    """A promise or declaration that what is known of the operand rules out."""
    known = analysis[operand]
    both = closure(operand.tensor, known | {fact}, analysis.nonnegative)
    present = {f.name for f in both}
    possible = [line.statement for line in lines(CONTRADICTIONS) if line.asked <= present]
    nonnegative = [_plus_one(dim) for dim in analysis.nonnegative] if possible else []
    for statement in possible:
        place = Place({"A": _above_zero(operand.tensor, both)}, nonnegative=nonnegative)
        for _, used in statement.conclusions(place):
            names = {premise.name for _, premise in used}
            reasons = sorted((f for f in known if f.name in names and not _follows(f, fact, operand.tensor)), key=str)
            if reasons:
                yield Broken(node, operand, fact, tuple(analysis.why(operand, f) for f in reasons), call)
                return
    if "never" not in operand.op.facts:
        return
    operands = [analysis.known(a) for a in operand.args]
    result = Known(operand.tensor, closure(operand.tensor, frozenset({fact})))
    shifted = [a and _above_zero(a.type, a.facts) for a in operands]
    for reason in conflicts(operand.op, dict(operand.attributes), shifted, result):
        premises = [(operand.args[n], f) for n, f in reason.premises if n is not None]
        yield Broken(node, operand, fact, tuple(analysis.why(*premise) for premise in premises), call)
        return


def _outside(analysis: Analysis, node: Node, call: Node | None) -> Iterator[Broken]:
    """A function whose argument is known to lie where it has no value."""
    if not isinstance(node.type, TensorType) or "never" not in node.op.facts:
        return
    operands = [analysis.known(a) for a in node.args]
    for reason in conflicts(node.op, dict(node.attributes), operands, Known(node.type)):
        places = [(node.args[n], f) for n, f in reason.premises if n is not None]
        yield Broken(node, places[0][0], None, tuple(analysis.why(*place) for place in places), call)
        return


def _follows(fact: Fact, other: Fact, type: TensorType) -> bool:
    return any(covers(implied, fact) for implied in closure(type, frozenset({other})))


def _above_zero(type: TensorType, facts: frozenset[Fact]) -> Known:
    """A value as it is where all sizes are above 0."""
    numbers = [*type.dims, *(a for fact in facts for a in fact.arguments if not isinstance(a, float))]
    return raised(Known(type, facts), {name for number in numbers for name in names_of(number)}, 1)[0]


def _plus_one(dim: DimLike) -> DimLike:
    return substitute(dim, {name: add(named(name), 1) for name in names_of(dim)})
