"""Typed scalar expressions: what a loop nest computes at one value of its letters.

    term = number | letter | size | place | load | call | fold

A term is a formula's scalar with all formats written out (`call cast`) and all operands resolved to buffers. Terms are
interned, as nodes are: equal ones are one object, so common subexpressions are shared by construction.

    load   an entry of a buffer; its arguments are one index for each axis (and, last, the guard of a masked one)
    place  an affine function of letters, and of other terms by their slopes: a flat index
    fold   a reduction over letters; its arguments are the body and, if there is one, the guard
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from weakref import WeakValueDictionary

from tpc.ir.dims import DimLike
from tpc.ir.types import BF16, BOOL, F16, INT, STRONG, DType

# How a load may leave its buffer: never; then it reads 0; then it is an IndexError (where its guard holds).
INSIDE, MASKED, CHECKED = "inside", "masked", "checked"

HALVES = (F16, BF16)  # stored in 16 bits, computed in f32


class Term:
    """One scalar. `data` holds what is neither a format nor an argument; see the module's text."""

    __slots__ = ("kind", "dtype", "arguments", "data", "free", "height", "__weakref__")
    kind: str
    dtype: DType
    arguments: tuple[Term, ...]
    data: Any
    free: frozenset[str]  # the letters that it depends on
    height: int  # how deep folds nest in it

    def __new__(cls, kind: str, dtype: DType, arguments: Sequence[Term] = (), data: Any = None) -> Term:
        key = (kind, dtype, tuple(arguments), data)
        found = _terms.get(key)
        if found is None:
            found = super().__new__(cls)
            found.kind, found.dtype, found.arguments, found.data = key
            free: frozenset[str] = frozenset().union(*(a.free for a in found.arguments))
            found.height = max((a.height for a in found.arguments), default=0)
            if kind == "letter":
                free |= {data}
            elif kind == "place":
                free |= {letter for letter, _ in data[1]}
            elif kind == "fold":
                free -= {letter for letter, _ in data[1]}
                found.height += 1
            found.free = free
            _terms[key] = found
        return found

    def __repr__(self) -> str:
        inner = ", ".join(map(repr, self.arguments))
        if self.kind in ("number", "letter", "size"):
            return str(self.data[1] if self.kind == "number" else self.data)
        if self.kind == "place":
            parts = [f"{slope}*{letter}" for letter, slope in self.data[1]]
            parts += [f"{slope}*{a!r}" for a, slope in zip(self.arguments, self.data[2], strict=True)]
            return " + ".join([str(self.data[0]), *parts])
        if self.kind == "load":
            return f"{self.data[0]}[{inner}]"
        if self.kind == "fold":
            return f"{self.data[0]}[{', '.join(letter for letter, _ in self.data[1])}]({inner})"
        return f"{self.data}({inner})" if self.data != "cast" else f"{self.dtype}({inner})"


_terms: WeakValueDictionary[tuple[Any, ...], Term] = WeakValueDictionary()


def number(value: bool | int | float, dtype: DType) -> Term:
    """A number in a format; the kind of Python number and its spelling keep 1, 1.0, true and -0.0 apart."""
    value = bool(value) if dtype is BOOL else float(value) if dtype.kind == "f" else int(value)
    return Term("number", dtype, (), (type(value).__name__, repr(value)))


def number_of(term: Term) -> bool | int | float | None:
    """The number that a term is, or None."""
    if term.kind != "number":
        return None
    name, spelling = term.data
    return spelling == "True" if name == "bool" else float(spelling) if name == "float" else int(spelling)


def letter(name: str) -> Term:
    return Term("letter", INT, (), name)


def size(dim: DimLike) -> Term:
    return number(dim, INT) if isinstance(dim, int) else Term("size", INT, (), dim)


def place(constant: DimLike, slopes: Mapping[str, DimLike], opaque: Sequence[tuple[Term, DimLike]] = ()) -> Term:
    """`constant + sum of slope * letter + sum of slope * term`"""
    kept = tuple((name, slope) for name, slope in sorted(slopes.items()) if slope != 0)
    return Term("place", INT, [t for t, _ in opaque], (constant, kept, tuple(s for _, s in opaque)))


def load(buffer: Any, dtype: DType, indices: Sequence[Term], mode: str = INSIDE, guard: Term | None = None) -> Term:
    return Term("load", dtype, [*indices, *([] if guard is None else [guard])], (buffer, mode, len(indices)))


def call(function: str, dtype: DType, *arguments: Term) -> Term:
    return Term("call", dtype, arguments, function)


def fold(
    operator: str, dtype: DType, letters: Sequence[tuple[str, DimLike]], body: Term, guard: Term | None = None
) -> Term:
    return Term("fold", dtype, [body, *([] if guard is None else [guard])], (operator, tuple(letters)))


def held(dtype: DType) -> DType:
    """The format in which a value is computed: literals are i64 and f64."""
    return STRONG.get(dtype, dtype)


def cast(term: Term, dtype: DType) -> Term:
    """The term in another format; numbers are converted at once."""
    if term.dtype is dtype:
        return term
    value = number_of(term)
    if value is not None and (dtype.kind == "f" or isinstance(value, (bool, int))) and term.dtype.size == 8:
        return number(value, dtype)
    return Term("call", dtype, (term,), "cast")


def rebuilt(term: Term, arguments: Sequence[Term], dtype: DType | None = None) -> Term:
    """The term with other arguments."""
    if term.kind == "call" and term.data == "cast" and dtype is None:
        return cast(arguments[0], term.dtype)
    return Term(term.kind, dtype or term.dtype, arguments, term.data)


def changed(term: Term, change: Callable[[Term], Term | None], known: dict[Term, Term] | None = None) -> Term:
    """The term with each part for which `change` gives another term replaced by that, the outermost first."""
    known = {} if known is None else known
    if term in known:
        return known[term]
    found = change(term)
    if found is None:
        arguments = [changed(a, change, known) for a in term.arguments]
        found = term if all(a is b for a, b in zip(arguments, term.arguments)) else rebuilt(term, arguments)
    known[term] = found
    return found


def renamed(term: Term, names: Mapping[str, str]) -> Term:
    """The term with letters renamed, also where folds bind them."""

    def change(t: Term) -> Term | None:
        if t.kind == "letter":
            return letter(names.get(t.data, t.data))
        if t.kind == "fold":
            bound = [(names.get(n, n), extent) for n, extent in t.data[1]]
            body, *guard = (changed(a, change, known) for a in t.arguments)
            return fold(t.data[0], t.dtype, bound, body, *guard)
        if t.kind == "place":
            constant, slopes, rest = t.data
            opaque = [(changed(a, change, known), s) for a, s in zip(t.arguments, rest, strict=True)]
            return place(constant, {names.get(n, n): s for n, s in slopes}, opaque)
        return None

    known: dict[Term, Term] = {}
    return changed(term, change, known)


def parts(*terms: Term) -> Iterator[Term]:
    """All different terms inside of some, operands before their uses."""
    done: set[Term] = set()
    stack = [(t, False) for t in reversed(terms)]
    while stack:
        term, ready = stack.pop()
        if ready:
            yield term
        elif term not in done:
            done.add(term)
            stack.append((term, True))
            stack.extend((a, False) for a in reversed(term.arguments))


def has_fold(term: Term) -> bool:
    return term.height > 0
