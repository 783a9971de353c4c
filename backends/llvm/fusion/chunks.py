"""Reductions of much to little, in chunks of a fixed length: what threads share does not change the order of sums."""

from __future__ import annotations

from tpc.backends.llvm.fusion import places
from tpc.backends.llvm.fusion.flat import moved
from tpc.backends.llvm.fusion.places import Sum
from tpc.backends.llvm.fusion.statement import Loop, Statement, Temporary
from tpc.backends.llvm.fusion.terms import Term, call, changed, fold, letter, load, parts, size
from tpc.ir.dims import DimLike, divide, product
from tpc.ir.types import BOOL, F16, TensorType

LENGTH = 1 << 15  # entries of a chunk
FEW = 64  # values of a statement that are too few to be shared among threads


def chunked(statement: Statement) -> list[Statement]:
    """The statement, or one for the parts of its fold and one that puts them together."""
    count = product(extent for _, extent in statement.letters)
    if not isinstance(count, int) or count > FEW:
        return [statement]
    folds = [t for t in parts(statement.body) if t.kind == "fold" and _is_long(t) and not _is_inner(t, statement)]
    made = [_parts(statement, t) for t in folds]
    whole = {t: whole for t, (_, whole) in zip(folds, made, strict=True)}
    if not folds:
        return [statement]
    body = changed(statement.body, whole.get)
    return [*(part for part, _ in made), Statement(statement.target, statement.letters, statement.place, body)]


def _is_long(term: Term) -> bool:
    _, extent = term.data[1][0]
    entries = product(e for _, e in term.data[1])
    if term.dtype is F16 or term.data[0].startswith("arg") or (isinstance(entries, int) and entries <= 2 * LENGTH):
        return False
    return not isinstance(extent, int) or extent > 1


def _is_inner(term: Term, statement: Statement) -> bool:
    """Whether a fold stands inside of another one."""
    return any(f is not term and f.kind == "fold" and term in set(parts(f)) for f in parts(statement.body))


def _parts(statement: Statement, term: Term) -> tuple[Statement, Term]:
    """The folds of all chunks as a statement, and the fold of their values."""
    operator, ((name, extent), *rest) = term.data
    inside = product(e for _, e in rest)
    length = max(1, LENGTH // inside) if isinstance(inside, int) and inside else 1
    chunks = divide(extent + (length - 1), length)
    chunk, within = f"chunk_{name.partition('.')[0]}", f"{name.partition('.')[0]}.part"
    total = Sum(0, {chunk: length, within: 1})
    index = total.term()
    body, *guard = (moved(a, name, index) for a in term.arguments)
    inside_chunk = call("lt", BOOL, index, size(extent))
    both = call("logical_and", BOOL, guard[0], inside_chunk) if guard else inside_chunk
    partial = fold(operator, term.dtype, [(within, length), *rest], body, both)
    dims: list[DimLike] = [e for _, e in statement.letters]
    letters: tuple[Loop, ...] = (*statement.letters, (chunk, chunks))
    target = Temporary(f"{operator}_parts", TensorType(term.dtype, [*dims, chunks]))
    where = places.composed([letter(n) for n, _ in letters], [e for _, e in letters])
    again = f"{name.partition('.')[0]}.chunks"
    there = places.composed([letter(n) for n, _ in (*statement.letters, (again, chunks))], [e for _, e in letters])
    whole = fold(operator, term.dtype, [(again, chunks)], load(target, term.dtype, [there]))
    return Statement(target, letters, where, partial), whole
