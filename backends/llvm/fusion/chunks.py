"""Reductions of much to little, in chunks of a fixed length: what threads share does not change the order of sums."""

from __future__ import annotations

from tpc.backends.llvm.fusion import places
from tpc.backends.llvm.fusion.flat import moved
from tpc.backends.llvm.fusion.places import Sum
from tpc.backends.llvm.fusion.statement import Loop, Statement, Temporary
from tpc.backends.llvm.fusion.terms import HALVES, Term, call, changed, fold, letter, load, parts, size
from tpc.ir.dims import DimLike, divide, product
from tpc.ir.types import BOOL, TensorType

LENGTH = 12000  # entries of a chunk; no power of two, so that chunks side by side lie in different banks of memory
FEW = 64  # values of a statement that are too few to be shared among threads
UNEVEN = "uneven_"  # how letters of chunks begin of which the last may be shorter: beside others it would read too far


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
    if term.dtype in HALVES or term.data[0].startswith("arg") or (isinstance(entries, int) and entries <= 2 * LENGTH):
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
    stem = name.partition(".")[0]
    # chunks that are whole run side by side, as they have no guards; what is left of a sum is added at the end
    apart = operator == "sum" and len(term.arguments) == 1
    chunk, within, again = f"{'chunk_' if apart else UNEVEN}{stem}", f"{stem}.part", f"{stem}.chunks"
    index = Sum(0, {chunk: length, within: 1}).term()
    body, *guard = (moved(a, name, index) for a in term.arguments)
    chunks = divide(extent + (0 if apart else length - 1), length)
    if not apart:
        inside_chunk = call("lt", BOOL, index, size(extent))
        guard = [call("logical_and", BOOL, guard[0], inside_chunk) if guard else inside_chunk]
    partial = fold(operator, term.dtype, [(within, length), *rest], body, *guard)
    letters: tuple[Loop, ...] = (*statement.letters, (chunk, chunks))
    dims: list[DimLike] = [e for _, e in letters]
    target = Temporary(f"{operator}_parts", TensorType(term.dtype, dims))
    where = places.composed([letter(n) for n, _ in letters], dims)
    there = places.composed([letter(n) for n, _ in (*statement.letters, (again, chunks))], dims)
    whole = fold(operator, term.dtype, [(again, chunks)], load(target, term.dtype, [there]))
    if apart and (left := extent - chunks * length) != 0:
        beyond = moved(term.arguments[0], name, Sum(chunks * length, {f"{stem}.rest": 1}).term())
        whole = call("add", term.dtype, whole, fold(operator, term.dtype, [(f"{stem}.rest", left), *rest], beyond))
    return Statement(target, letters, where, partial), whole
