"""Facts: what can be known of a value beside its type, what follows from what, and what a program's nodes have.

A fact of a matrix holds for each matrix along the batch axes. `const`, `param` and `sparse` are about the use of a
value. A fact is a statement about exact arithmetic: rounding may break `psd` in the last bit.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from tpc.ir.dims import Dim, DimLike, dim_text, is_nonnegative, minimum
from tpc.ir.fact_checks import satisfies
from tpc.ir.fact_lines import Known, Place, Statement, is_square, nonnegative_sizes, statements
from tpc.ir.formula import Literal
from tpc.ir.node import Fact, Node, Program
from tpc.ir.types import TensorType

__all__ = ["FACTS", "FactKind", "Problem", "analyse", "check_declared", "closure", "satisfies"]


@dataclass(frozen=True, slots=True)
class FactKind:
    """A word of the vocabulary. `of` is what has it: `tensor`, `matrix` or `square` (a square matrix)."""

    name: str
    about: str
    of: str = "matrix"
    real: bool = False
    arguments: tuple[str, ...] = ()  # names of sizes; `density` is a number from 0 to 1


FACTS: dict[str, FactKind] = {
    kind.name: kind
    for kind in (
        FactKind("symmetric", "equal to its transpose", "square", True),
        FactKind("spd", "symmetric with positive eigenvalues", "square", True),
        FactKind("psd", "symmetric without negative eigenvalues", "square", True),
        FactKind("diagonal", "zero off the diagonal"),
        FactKind("lower", "zero above the diagonal"),
        FactKind("upper", "zero below the diagonal"),
        FactKind("unit_diagonal", "ones on the diagonal"),
        FactKind("banded", "zero below the k-th subdiagonal and above the l-th superdiagonal", arguments=("k", "l")),
        FactKind("orthogonal", "columns and rows of length 1 at right angles", "square", True),
        FactKind("orthonormal", "columns of length 1 at right angles", real=True),
        FactKind("permutation", "a single 1 in every row and column, else 0", "square"),
        FactKind("full_rank", "rank as large as the shape allows"),
        FactKind("nonsingular", "having an inverse", "square"),
        FactKind("low_rank", "rank r at most", arguments=("r",)),
        FactKind("toeplitz", "constant along every diagonal"),
        FactKind("circulant", "each row the one above, turned right by one", "square"),
        FactKind("nonnegative", "without a negative entry", "tensor", True),
        FactKind("positive", "all entries above zero", "tensor", True),
        FactKind("row_stochastic", "nonnegative, and every row sums to 1", real=True),
        FactKind("sparse", "at most this share of the entries is not zero", "tensor", arguments=("density",)),
        FactKind("const", "known when the program is compiled", "tensor"),
        FactKind("param", "changes rarely: work on it alone is done once, ahead", "tensor"),
    )
}

# About the use of a value: they say nothing of what is computed from it.
OF_USE = ("const", "param")

IMPLICATIONS = """
    spd(A)                           |- psd(A)
    spd(A)                           |- nonsingular(A)
    psd(A)                           |- symmetric(A)
    psd(A), nonsingular(A)           |- spd(A)
    nonsingular(A)                   |- full_rank(A)
    full_rank(A)                     |- nonsingular(A) where square(A)
    diagonal(A)                      |- lower(A)
    diagonal(A)                      |- upper(A)
    diagonal(A)                      |- banded(A, 0, 0)
    diagonal(A)                      |- symmetric(A)   where square(A)
    lower(A), upper(A)               |- diagonal(A)
    symmetric(A), lower(A)           |- diagonal(A)
    symmetric(A), upper(A)           |- diagonal(A)
    banded(A, 0, l)                  |- upper(A)
    banded(A, k, 0)                  |- lower(A)
    banded(A, k, l), lower(A)        |- banded(A, k, 0)
    banded(A, k, l), upper(A)        |- banded(A, 0, l)
    banded(A, k, l), symmetric(A)    |- banded(A, l, k)
    banded(A, k, l), banded(A, p, q) |- banded(A, min(k, p), min(l, q))
    diagonal(A), nonnegative(A)      |- psd(A)         where square(A)
    diagonal(A), unit_diagonal(A)    |- spd(A)         where square(A)
    diagonal(A), unit_diagonal(A)    |- permutation(A) where square(A)
    diagonal(A), unit_diagonal(A)    |- circulant(A)   where square(A)
    diagonal(A), unit_diagonal(A)    |- toeplitz(A)
    lower(A), unit_diagonal(A)       |- full_rank(A)
    upper(A), unit_diagonal(A)       |- full_rank(A)
    circulant(A)                     |- toeplitz(A)
    permutation(A)                   |- orthogonal(A)
    permutation(A)                   |- row_stochastic(A)
    orthogonal(A)                    |- orthonormal(A)
    orthonormal(A)                   |- orthogonal(A)  where square(A)
    orthonormal(A)                   |- full_rank(A)
    row_stochastic(A)                |- nonnegative(A)
    positive(A)                      |- nonnegative(A)
"""

CONTRADICTIONS = """
    full_rank(A), low_rank(A, r) |- never where r < rows(A), r < cols(A)
    orthonormal(A)               |- never where rows(A) < cols(A)
    lower(A), positive(A)        |- never where rows(A) >= 1, cols(A) >= 2
    upper(A), positive(A)        |- never where rows(A) >= 2, cols(A) >= 1
    permutation(A), positive(A)  |- never where rows(A) >= 2
"""

COMMUTATIVE = frozenset({"add", "mul", "maximum", "minimum", "dot"})


def fits(fact: Fact, type: TensorType) -> bool:
    """Whether a value of this type is known to be one that can have the fact."""
    kind = FACTS[fact.name]
    if kind.real and type.dtype.kind == "c":
        return False
    return kind.of == "tensor" or (is_square(type) if kind.of == "square" else type.rank >= 2)


def _covers(strong: Fact, weak: Fact) -> bool:
    """Whether a fact says as much as another of the same name."""
    if strong.name != weak.name:
        return False
    return all(_at_most(a, b) for a, b in zip(strong.arguments, weak.arguments, strict=True))


def _at_most(a: DimLike | float, b: DimLike | float) -> bool:
    if isinstance(a, float) or isinstance(b, float):
        return not isinstance(a, Dim) and not isinstance(b, Dim) and a <= b
    return is_nonnegative(b - a)


def _is_empty(fact: Fact, type: TensorType) -> bool:
    """Whether every value of the type has the fact."""
    if fact.name == "sparse":
        return _at_most(1, fact.arguments[0])
    if fact.name == "low_rank":
        return _at_most(minimum(*type.dims[-2:]), fact.arguments[0])
    if fact.name == "banded":
        below, above = fact.arguments
        return _at_most(type.dims[-2] - 1, below) and _at_most(type.dims[-1] - 1, above)
    return False


Origins = dict[Fact, frozenset[int]]


def _add(origins: Origins, fact: Fact, origin: frozenset[int], type: TensorType) -> bool:
    """Note a fact, unless it is known already; what it makes superfluous is dropped."""
    if not fits(fact, type) or _is_empty(fact, type) or any(_covers(known, fact) for known in origins):
        return False
    for known in [k for k in origins if _covers(fact, k)]:
        del origins[known]
    origins[fact] = origin
    return True


def _close(type: TensorType, origins: Origins, nonnegative: Sequence[DimLike]) -> Origins:
    """The facts with all that they imply, each with the numbers of those that it came from."""
    changed = bool(origins)
    while changed:
        changed = False
        place = Place({"A": Known(type, frozenset(origins))}, nonnegative=nonnegative)
        for statement in statements(IMPLICATIONS):
            for fact, used in list(statement.conclusions(place)):
                origin = frozenset().union(*(origins.get(f, frozenset()) for _, f in used))
                changed |= _add(origins, fact, origin, type)
    return origins


@lru_cache(maxsize=4096)
def closure(type: TensorType, facts: frozenset[Fact], nonnegative: tuple[DimLike, ...] = ()) -> frozenset[Fact]:
    """The facts with all that they imply; of facts with arguments the strongest are kept."""
    origins: Origins = {}
    for fact in facts:
        _add(origins, fact, frozenset(), type)
    return frozenset(_close(type, origins, nonnegative))


# ---- declared facts


@dataclass(frozen=True)
class Problem:
    """What is wrong with declared facts; `places` pairs positions in the list with what to say there."""

    code: str
    title: str
    places: tuple[tuple[int, str], ...]
    help: str | None = None


def check_declared(type: TensorType, facts: Sequence[Fact]) -> list[Problem]:
    """What keeps a value of the type from having all of these facts."""
    problems: list[Problem] = []
    origins: Origins = {}
    for number, fact in enumerate(facts):
        problem = _check_one(type, fact, number)
        if problem is not None:
            problems.append(problem)
        elif fact not in origins:
            origins[fact] = frozenset({number})
    used_as = {fact.name: n for n, fact in enumerate(facts) if fact.name in OF_USE}
    if len(used_as) == 2:
        places = tuple((n, FACTS[name].about) for name, n in used_as.items())
        problems.append(Problem("E0404", "`const` and `param` cannot both hold", places))
    place = Place({"A": Known(type, frozenset(_close(type, origins, ())))})
    reported: set[frozenset[int]] = set()
    for statement in statements(CONTRADICTIONS):
        for _, used in statement.conclusions(place):
            numbers = frozenset().union(*(origins[f] for _, f in used))
            if numbers not in reported:
                reported.add(numbers)
                problems.append(_contradiction(type, facts, sorted(numbers), [f for _, f in used]))
    return problems


def _check_one(type: TensorType, fact: Fact, number: int) -> Problem | None:
    kind = FACTS.get(fact.name)
    if kind is None:
        close = [SYNONYMS[fact.name]] if fact.name in SYNONYMS else difflib.get_close_matches(fact.name, FACTS, 1)
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
    if isinstance(value, float) or (isinstance(value, int) and value < 0):
        return Problem("E0402", f"`{name}` of `{fact.name}` is a size, and this is {value}", ((number, ""),))
    return None


def _contradiction(type: TensorType, facts: Sequence[Fact], numbers: Sequence[int], used: Sequence[Fact]) -> Problem:
    names = [f"`{facts[n]}`" for n in numbers]
    if len(names) == 1:
        title = f"{names[0]} cannot hold of {type}"
    else:
        title = f"{', '.join(names[:-1])} and {names[-1]} cannot {'both' if len(names) == 2 else 'all'} hold"
    places = []
    for n in numbers:
        stated = [facts[m] for m in numbers]
        implied = [str(f) for f in used if f not in stated] if facts[n] not in used else []
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
    "constant": "const",
    "parameter": "param",
}


# ---- facts of nodes


def analyse(program: Program, given: Mapping[Node, frozenset[Fact]] | None = None) -> dict[Node, frozenset[Fact]]:
    """The facts of every node of a program: declared, promised by its use, or following from its op and operands.

    Writing `inv(E)` promises that E is nonsingular (`Op.needs`); the promise counts as a fact of E. Nodes with
    several results have no facts; the nodes that take one of them do. Of inner programs only called ones are
    looked into, for the facts of their results.

    Parameters
    ----------
    given : dict, optional
        Facts of nodes (inputs, mostly) beyond what the program declares.
    """
    nonnegative = nonnegative_sizes(program.where)
    stated: dict[Node, set[Fact]] = {node: set(facts) for node, facts in (given or {}).items()}
    for node, facts in program.facts:
        stated.setdefault(node, set()).update(facts)
    nodes = [*dict.fromkeys([*program.inputs, *program.nodes])]
    for node in nodes:
        for fact, operand in _promises(node):
            stated.setdefault(operand, set()).add(fact)
    found: dict[Node, frozenset[Fact]] = {}
    for node in nodes:
        if not isinstance(node.type, TensorType):
            found[node] = frozenset()
            continue
        derived = frozenset(_derived(node, found, nonnegative)) | stated.get(node, set())
        found[node] = closure(node.type, derived, nonnegative) if derived else derived
    return found


def _promises(node: Node) -> Iterable[tuple[Fact, Node]]:
    if node.op.needs:
        for statement in statements(f"|- {node.op.needs}"):
            operand = node.args[node.op.tensors.index(statement.about)]
            yield Fact(statement.fact), operand


def _derived(node: Node, found: Mapping[Node, frozenset[Fact]], nonnegative: tuple[DimLike, ...]) -> Iterable[Fact]:
    """What follows for a node from the facts of its operands."""
    type = node.tensor
    match node.op.name:
        case "literal":
            value: Literal = node["value"]
            if type.dtype.kind in "if":
                yield from [Fact("positive")] * (value.value > 0) + [Fact("nonnegative")] * (value.value >= 0)  # type: ignore[operator]
        case "size":
            yield Fact("positive" if is_nonnegative(node["dim"] - 1) else "nonnegative")
        case "item":
            source = node.args[0]
            if source.op.name == "call":
                yield from _called(source, found)[node["position"]]
            else:
                yield from _stated(source, f"this{node['position']}", type, found, nonnegative)
        case "call":
            yield from _called(node, found)[0]
        case "subscript":
            yield from (f for f in found[node.args[0]] if f.name in ("nonnegative", "positive"))
        case _:
            yield from _stated(node, "this", type, found, nonnegative)


def _called(node: Node, found: Mapping[Node, frozenset[Fact]]) -> list[frozenset[Fact]]:
    """The facts of the results of a called program, whose sizes are already those of the call."""
    (body,) = node.programs
    inner = analyse(body, {i: _portable(found[a]) for i, a in zip(body.inputs, node.args)})
    return [_portable(inner[output]) for output in body.outputs]


def _portable(facts: frozenset[Fact]) -> frozenset[Fact]:
    """Facts without named sizes, which a called program may name differently."""
    return frozenset(f for f in facts if all(isinstance(a, (int, float)) for a in f.arguments) and f.name not in OF_USE)


def _stated(
    node: Node,
    about: str,
    type: TensorType,
    found: Mapping[Node, frozenset[Fact]],
    nonnegative: tuple[DimLike, ...],
) -> Iterable[Fact]:
    """What the lines of a node's op say of one of its results."""
    lines: Sequence[Statement] = statements(node.op.facts) if node.op.facts else ()
    if not lines:
        return
    operands = [Known(a.tensor, found[a], a) if isinstance(a.type, TensorType) else None for a in node.args]
    orders = [operands, operands[::-1]] if node.op.name in COMMUTATIVE else [operands]
    for order in orders:
        values = {name: known for name, known in zip(node.op.tensors, order) if known is not None}
        place = Place({**values, about: Known(type)}, dict(node.attributes), nonnegative)
        for statement in lines:
            if statement.about == about:
                yield from (fact for fact, _ in statement.conclusions(place))
