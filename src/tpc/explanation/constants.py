"""Structure that the constants of a program have and nobody has told: what to declare or to write, and its gain."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tpc.ir.build import make
from tpc.ir.facts import analyse
from tpc.ir.formula import Literal
from tpc.ir.node import Fact, Node, Program
from tpc.ir.ops.structure import APPROXIMATE, CONSTANT
from tpc.ir.rewrite import ordered_facts
from tpc.ir.rewrite import replace as replaced
from tpc.passes.kernels import totals

if TYPE_CHECKING:
    from tpc.explanation.account import Account
    from tpc.passes.optimise import Request

SMALLEST = 4096  # entries of a constant that is looked at
MOST = 4  # constants
EXACT = {8: "1e-8", 4: "1e-4"}  # what rounding may have done to a structure, by the bytes of a number


@dataclass(frozen=True, slots=True)
class Structured:
    """A constant with structure.

    Attributes
    ----------
    about
        What it is, in words.
    write
        What to write for that: a fact behind `is`, or a budget.
    flops, seconds
        How many times fewer operations and seconds that gives.
    """

    constant: str
    about: str
    write: str
    flops: float
    seconds: float


def structured(account: Account, least: float, largest: int) -> Iterator[Structured]:
    """What would make the program at least so many times faster, of constants with so many entries at most."""
    search = account.plan.search
    if search is None or account.plan.approximated is not None:
        return  # where there are budgets, it is said of each what became of it
    request = replace(search.request, at=account.at)
    known = analyse(search.written, search.given)
    matrices = [n for n in search.written.nodes if n.op is CONSTANT and n.tensor.rank == 2 and n.tensor.dtype.is_float]
    for node in [n for n in matrices if SMALLEST <= n["data"].array.size <= largest][:MOST]:
        found = _by_fact(account, request, node, known[node])
        if (found is None or found.seconds < least) and _is_multiplied(search.written, node):
            found = _by_budget(search.written, request, node)
        if found is not None and found.seconds >= least:
            yield found


def _is_multiplied(program: Program, node: Node) -> bool:
    """Whether a matrix is used in products alone: what solves with it may see a small error as a large one."""
    users = [n for n in program.nodes if node in n.args]
    return bool(users) and all(
        user.op.name in ("matmul", "matvec", "vecmat") or user.op.name == "transpose" and _is_multiplied(program, user)
        for user in users
    )


def _by_fact(account: Account, request: Request, node: Node, known: frozenset[Fact]) -> Structured | None:
    """The fact that gains most, of those that the entries have."""
    from tpc.inspection.search import inspect
    from tpc.passes.optimise import search

    assert account.plan.search is not None
    written, base = account.plan.search.written, account.chosen
    best = None
    for finding in inspect(node["data"].array, name=str(node["name"])).findings:
        for fact in set(finding.facts) - known:
            after = totals(search(written, request, {node: frozenset((fact,))}).program, request.prices, account.at)
            gain = base.seconds / after.seconds if after.seconds else 1.0
            if best is None or gain > best.seconds:
                about = f"{finding.name}, to {finding.error:.0e}"
                best = Structured(str(node["name"]), about, f"is {fact}", base.flops / max(after.flops, 1), gain)
    return best


def _by_budget(program: Program, request: Request, node: Node) -> Structured | None:
    """The structure that is near enough to count as the matrix itself."""
    from tpc.passes.approximation.replacing import Approximated, approximate

    within = EXACT.get(node.tensor.dtype.size, EXACT[8])
    allowed = make(APPROXIMATE, (node,), within=Literal(within))
    outputs = replaced(program.outputs, {node: allowed})
    tried = program.replace(outputs=outputs, facts=ordered_facts(program.inputs, outputs, program.facts))
    found = approximate(tried, replace(request, is_native=False))
    if not isinstance(found, Approximated) or not found.certificates or not found.certificates[0].spent:
        return None
    (certificate,) = found.certificates
    (spent,), (before, after) = certificate.spent, certificate.seconds
    about = f"{spent.structure} ({spent.about}), to {spent.error:.0e}"
    write = f"~= {node['name']} within {within}"
    return Structured(str(node["name"]), about, write, spent.flops[0] / max(spent.flops[1], 1), before / after)
