"""Formulas as terms: formats written out, letters made unique, small reductions unrolled."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from tpc.backends.llvm.fusion import places
from tpc.backends.llvm.fusion.terms import (
    CHECKED,
    MASKED,
    Term,
    call,
    cast,
    fold,
    letter,
    load,
    number,
    number_of,
    parts,
    renamed,
    size,
)
from tpc.ir.affine import affine, bounds
from tpc.ir.dims import DimLike, is_nonnegative, product
from tpc.ir.formula import (
    Access,
    Apply,
    Composed,
    Formula,
    LetterValue,
    Literal,
    Reduction,
    Scalar,
    SizeValue,
)
from tpc.ir.node import Node
from tpc.ir.ops.structure import LITERAL, SIZE
from tpc.ir.scalar import REDUCERS, SCALARS
from tpc.ir.types import BOOL, I64, DType, as_float, promote_all

UNROLLED = 9  # reductions over at most as many entries are written out
_fresh = itertools.count()
# What arithmetic of truth values is, by NumPy's rules.
_OF_TRUTH = {"add": "logical_or", "mul": "logical_and", "maximum": "logical_or", "minimum": "logical_and"}


class Untranslatable(Exception):
    """A formula that has no native code; the text says why."""


class Translation:
    """One formula over operands that are nodes, at given values of its letters."""

    def __init__(self, formula: Formula, operands: Sequence[Node]) -> None:
        self.operands = operands
        self.extents = dict(formula.extents)
        self.body = formula.body

    def at(self, letters: Mapping[str, Term]) -> Term:
        return self.scalar(self.body, letters, ())

    def scalar(self, scalar: Scalar, at: Mapping[str, Term], guards: tuple[Scalar, ...]) -> Term:
        match scalar:
            case Literal():
                if scalar.dtype.kind == "c":
                    raise Untranslatable("complex numbers have no native code")
                return number(scalar.value, scalar.dtype)  # type: ignore[arg-type]
            case SizeValue(dim=dim):
                return size(dim)
            case LetterValue(name=name):
                return at[name]
            case Access():
                return self.access(scalar, at, guards)
            case Apply(function=function, arguments=arguments):
                return apply(function, [self.scalar(a, at, guards) for a in arguments])
            case Reduction():
                return self.reduction(scalar, at, guards)

    def index(self, index: Scalar | Composed, at: Mapping[str, Term], guards: tuple[Scalar, ...]) -> Term:
        if isinstance(index, Composed):
            return places.composed([at[n] for n in index.letters], [self.extents[n] for n in index.letters])
        return places.index(cast(self.scalar(index, at, guards), I64))

    def access(self, access: Access, at: Mapping[str, Term], guards: tuple[Scalar, ...]) -> Term:
        node = self.operands[access.operand]
        value = number_or_size(node)
        if value is not None:
            return value
        dims, dtype = node.tensor.dims, node.tensor.dtype
        indices = [self.index(i, at, guards) for i in access.indices]
        known = [self.proven(i, d, access, guards) for i, d in zip(access.indices, dims, strict=True)]
        if all(known):
            return load(node, dtype, indices)
        if access.pad is not None:
            inside = [
                call(relation, BOOL, cast(i, I64), cast(limit, I64))
                for i, d, sure in zip(indices, dims, known, strict=True)
                if not sure
                for relation, limit in (("ge", number(0, I64)), ("lt", size(d)))
            ]
            entry = load(node, dtype, indices, MASKED)
            return apply("select", [_all(inside), entry, self.scalar(access.pad, at, guards)])
        plain = all(isinstance(i, Composed) or affine(i) is not None for i in access.indices)
        if plain and guards:
            return load(node, dtype, indices, MASKED)
        guard = _all([self.scalar(g, at, ()) for g in guards]) if guards else None
        return load(node, dtype, indices, CHECKED, guard)

    def proven(self, index: Scalar | Composed, dim: DimLike, access: Access, guards: tuple[Scalar, ...]) -> bool:
        """Whether an index stays inside of its axis wherever the letters are."""
        if isinstance(index, Composed):
            return True
        if isinstance(index, Apply) and index.function == "mod":
            modulus = index.arguments[1]
            return isinstance(modulus, Literal) and modulus.spelling == str(dim)
        form = affine(index)
        if form is None:
            return False
        if not guards and access.pad is None:
            return True  # was proved when the formula was read, or is tested before the call
        limits = bounds(form, self.extents)
        return limits is not None and is_nonnegative(limits[0]) and is_nonnegative(dim - 1 - limits[1])

    def reduction(self, scalar: Reduction, at: Mapping[str, Term], guards: tuple[Scalar, ...]) -> Term:
        extents = [self.extents[n] for n in scalar.letters]
        inner = guards if scalar.guard is None else (*guards, scalar.guard)
        operator = scalar.operator
        count = product(extents)
        if isinstance(count, int) and 0 < count <= UNROLLED and operator in COMBINE:
            values = []
            for position in itertools.product(*(range(e) for e in extents if isinstance(e, int))):
                there = {**at, **{n: number(p, I64) for n, p in zip(scalar.letters, position, strict=True)}}
                body = _counted(operator, self.scalar(scalar.body, there, inner))
                if scalar.guard is not None:
                    guard = cast(self.scalar(scalar.guard, there, guards), BOOL)
                    body = apply("select", [guard, body, identity(operator, body.dtype)])
                values.append(body)
            total = values[0]
            for value in values[1:]:
                total = apply(COMBINE[operator], [total, value])
            return total
        names = {n: f"{n}.{next(_fresh)}" for n in scalar.letters}
        there = {**at, **{n: letter(new) for n, new in names.items()}}
        body = self.scalar(scalar.body, there, inner)
        letters = [(names[n], self.extents[n]) for n in scalar.letters]
        if scalar.guard is None:
            return reduced(operator, letters, body)
        return reduced(operator, letters, body, cast(self.scalar(scalar.guard, there, guards), BOOL))


def reduced(operator: str, letters: Sequence[tuple[str, DimLike]], body: Term, guard: Term | None = None) -> Term:
    """A reduction as a fold; a mean is a sum over a count."""
    result = REDUCERS[operator].dtype(body.dtype)
    if operator == "mean":
        total = fold("sum", result, letters, cast(body, result), guard)
        counted = size(product(extent for _, extent in letters))
        count = counted if guard is None else fold("sum", I64, letters, cast(guard, I64))
        return call("div", result, total, cast(count, result))
    body = cast(body, BOOL if operator in ("any", "all") else body.dtype)
    if operator == "logsumexp":
        body = cast(body, as_float(body.dtype))
    return fold(operator, result, letters, _counted(operator, body), guard)


COMBINE = {
    "sum": "add",
    "prod": "mul",
    "max": "maximum",
    "min": "minimum",
    "any": "logical_or",
    "all": "logical_and",
}


def _counted(operator: str, body: Term) -> Term:
    """Truth values are counted, multiplied and compared for the largest as numbers."""
    return cast(body, I64) if body.dtype is BOOL and operator in ("sum", "prod", "argmax", "argmin") else body


def identity(operator: str, dtype: DType) -> Term:
    """The value that a reduction of nothing has (where max and min have none: the least and the greatest)."""
    if operator in ("sum", "any"):
        return number(0, dtype)
    if operator in ("prod", "all"):
        return number(1, dtype)
    low = operator in ("max", "argmax", "logsumexp")
    if dtype is BOOL:
        return number(not low, BOOL)
    if dtype.kind == "i":
        top = 2 ** (8 * dtype.size - 1)
        return number(-top if low else top - 1, dtype)
    return number(float("-inf") if low else float("inf"), dtype)


def apply(function: str, arguments: Sequence[Term]) -> Term:
    """A scalar function of terms in the format in which they meet."""
    known = SCALARS[function]
    formats = [a.dtype for a in arguments]
    result = known.dtype(formats)
    if function == "select":
        condition, *cases = arguments
        return call("select", result, cast(condition, BOOL), *(cast(c, result) for c in cases))
    if function.startswith("logical_"):
        return call(function, BOOL, *(truth(a) for a in arguments))
    if function in ("conj", "re"):
        return arguments[0]
    common = promote_all(formats)
    if known.result in ("float", "real") or function in ("isnan", "isinf", "isfinite"):
        common = as_float(common)
    if common is BOOL and known.result != "bool":
        if function not in _OF_TRUTH:
            raise Untranslatable(f"`{function}` of truth values has no native code")
        function = _OF_TRUTH[function]
    if function == "pow" and number_of(arguments[1]) == 2:
        return call("square", result, cast(arguments[0], common))
    return call(function, result, *(cast(a, common) for a in arguments))


def number_or_size(node: Node) -> Term | None:
    """A literal or a size as a term; None for other nodes."""
    if node.op is LITERAL:
        if node.tensor.dtype.kind == "c":
            raise Untranslatable("complex numbers have no native code")
        return number(node["value"].value, node.tensor.dtype)
    return size(node["dim"]) if node.op is SIZE else None


def truth(term: Term) -> Term:
    return term if term.dtype is BOOL else call("ne", BOOL, term, number(0, term.dtype))


def _all(conditions: Sequence[Term]) -> Term:
    total = cast(conditions[0], BOOL)
    for condition in conditions[1:]:
        total = call("logical_and", BOOL, total, cast(condition, BOOL))
    return total


def canonical(terms: Sequence[Term]) -> list[Term]:
    """The terms with folded letters named by how deep folds nest inside, so that equal folds are equal terms."""
    names: dict[str, str] = {}
    taken: dict[str, tuple[int, int, DimLike]] = {}
    for part in parts(*terms):
        if part.kind != "fold":
            continue
        for position, (name, extent) in enumerate(part.data[1]):
            key = (part.height, position, extent)
            base = next((n for n, k in taken.items() if k == key), None)
            if base is None:
                base = f"{name.partition('.')[0]}.{part.height}"
                while base in taken:
                    base += "+"
                taken[base] = key
            names[name] = base
    return [renamed(term, names) for term in terms]
