"""Facts as the user declares them: whether they can hold of a value of a type, and with each other."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from tpc.ir.dims import DimLike, dim_text, names_of
from tpc.ir.facts.closing import Growing, Reason
from tpc.ir.facts.lines import Known, Place, is_square, lines, raised
from tpc.ir.facts.vocabulary import CONTRADICTIONS, FACTS, OF_USE
from tpc.ir.node import Fact
from tpc.ir.types import TensorType


@dataclass(frozen=True)
class Problem:
    """What is wrong with declared facts; `places` pairs positions in the list with what to say there."""

    code: str
    title: str
    places: tuple[tuple[int, str], ...]
    help: str | None = None


def check_declared(type: TensorType, facts: Sequence[Fact]) -> list[Problem]:
    """What keeps a value of the type, with sizes of at least 2 where they are names, from having all of these facts."""
    problems: list[Problem] = []
    growing = Growing(type)
    for number, fact in enumerate(facts):
        problem = _check_one(type, fact, number)
        if problem is not None:
            problems.append(problem)
        else:
            growing.add(fact, Reason("declared"))
    used_as = {fact.name: n for n, fact in enumerate(facts) if fact.name in OF_USE}
    if len(used_as) == 2:
        places = tuple((n, FACTS[name].about) for name, n in used_as.items())
        problems.append(Problem("E0404", "`const` and `param` cannot both hold", places))
    growing.close()
    # a size that is not known may be 1 or 0, where much holds by chance: what only then can hold is a mistake
    sizes = {name for dim in type.dims for name in names_of(dim)}
    value, back = raised(Known(type, frozenset(growing.facts)), sizes, 2)
    place = Place({"A": value})
    reported: set[frozenset[int]] = set()
    present = {fact.name for fact in value.facts}
    for line in lines(CONTRADICTIONS):
        for _, found in line.statement.conclusions(place) if line.asked <= present else ():
            used = [back[fact] for _, fact in found]
            numbers = frozenset().union(*(_declared(growing, facts, f) for f in used))
            if numbers not in reported:
                reported.add(numbers)
                problems.append(_contradiction(growing, facts, sorted(numbers), used))
    return problems


def _declared(growing: Growing, facts: Sequence[Fact], fact: Fact) -> frozenset[int]:
    """The numbers of the declared facts that a fact follows from."""
    premises = growing.reasons[fact].premises
    if not premises:
        return frozenset({facts.index(fact)})
    return frozenset().union(*(_declared(growing, facts, f) for _, f in premises))


def _check_one(type: TensorType, fact: Fact, number: int) -> Problem | None:
    kind = FACTS.get(fact.name)
    if kind is None:
        name = fact.name.lower()
        close = [SYNONYMS[name]] if name in SYNONYMS else difflib.get_close_matches(name, FACTS, 1)
        help = f"did you mean `{close[0]}`?" if close else "the facts are " + ", ".join(sorted(FACTS))
        return Problem("E0401", f"`{fact.name}` is not a fact", ((number, ""),), help)
    if len(fact.arguments) != len(kind.arguments):
        wanted = f"{fact.name}({', '.join(kind.arguments)})" if kind.arguments else fact.name
        counted = f"{len(kind.arguments)} argument{'s' * (len(kind.arguments) != 1)}"
        title = f"`{fact.name}` takes {counted if kind.arguments else 'no arguments'}, not {len(fact.arguments)}"
        return Problem("E0402", title, ((number, kind.about),), f"write `{wanted}`")
    for name, value in zip(kind.arguments, fact.arguments, strict=True):
        problem = _check_argument(fact, name, value, number)
        if problem is not None:
            return problem
    if kind.of != "tensor" and type.rank < 2:
        return Problem("E0403", f"only a matrix can be {fact.name}", ((number, f"but this is {type}"),))
    if kind.of == "square" and not is_square(type):
        rows, columns = (dim_text(d) for d in type.dims[-2:])
        return Problem(
            "E0403",
            f"only a square matrix can be {fact.name}",
            ((number, f"but this has {rows} rows and {columns} columns"),),
            "write the same size twice, as in `f64[n, n]`",
        )
    if kind.real and type.dtype.kind == "c":
        return Problem("E0403", f"only a real array can be {fact.name}", ((number, f"but this is {type}"),))
    return None


def _check_argument(fact: Fact, name: str, value: DimLike | float, number: int) -> Problem | None:
    if name == "density":
        if isinstance(value, (int, float)) and 0 <= value <= 1:
            return None
        shown = value if isinstance(value, (int, float)) else dim_text(value)
        title = f"a density lies between 0 and 1, and this is {shown}"
        return Problem("E0402", title, ((number, ""),), "write the share that is not zero, as in `sparse(0.01)`")
    if name == "bound":
        if isinstance(value, (int, float)):
            return None
        title = f"the bound of `{fact.name}` is a number, and this is {dim_text(value)}"
        return Problem("E0402", title, ((number, ""),), f"write a number, as in `{fact.name}(0.5)`")
    if isinstance(value, float) or (isinstance(value, int) and value < 0):
        return Problem("E0402", f"`{name}` of `{fact.name}` is a size, and this is {value}", ((number, ""),))
    return None


def _contradiction(growing: Growing, facts: Sequence[Fact], numbers: Sequence[int], used: Sequence[Fact]) -> Problem:
    names = [f"`{facts[n]}`" for n in numbers]
    if len(names) == 1:
        title = f"{names[0]} cannot hold of {growing.type}"
    else:
        title = f"{', '.join(names[:-1])} and {names[-1]} cannot {'both' if len(names) == 2 else 'all'} hold"
    places = []
    for n in numbers:
        implied = [str(f) for f in used if f != facts[n] and n in _declared(growing, facts, f)]
        places.append(
            (n, f"so it is {' and '.join(implied)}" if implied and len(numbers) == 2 else FACTS[facts[n].name].about)
        )
    return Problem("E0404", title, tuple(places))


SYNONYMS = {
    "hermitian": "symmetric",
    "positive_definite": "spd",
    "posdef": "spd",
    "pd": "spd",
    "positive_semidefinite": "psd",
    "invertible": "nonsingular",
    "regular": "nonsingular",
    "unitary": "orthogonal",
    "lower_triangular": "lower",
    "upper_triangular": "upper",
    "tril": "lower",
    "triu": "upper",
    "stochastic": "row_stochastic",
    "skew_symmetric": "skew",
    "antisymmetric": "skew",
    "projector": "projection",
    "idempotent": "projection",
    "nonpositive": "at_most",
    "constant": "const",
    "parameter": "param",
}
