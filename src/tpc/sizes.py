"""The sizes of a call, found from the shapes of its arguments, and why they are what they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tpc.dsl.diagnostics import Diagnostic, Label, TpcError, diagnostic, fail
from tpc.dsl.source import Span
from tpc.ir.dims import Dim, DimLike, dim_text, named, names_of, substitute
from tpc.ir.node import Constraint

MAX_SIZE = 2**48


@dataclass(frozen=True, slots=True)
class Shaped:
    """An argument, the dims that its parameter declares, and the place of that."""

    name: str
    dims: tuple[DimLike, ...]
    shape: tuple[int, ...]
    span: Span | None = None


@dataclass
class Solution:
    """Sizes by name. `reasons` says of each where it comes from; `origins` is the argument, if it is one."""

    sizes: dict[str, int] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    origins: dict[str, Shaped] = field(default_factory=dict)


def solve(
    arguments: Sequence[Shaped],
    given: Mapping[str, int],
    needed: Sequence[str] = (),
    how: str = "`dims=`",
    transposed: str = "{}.T",
) -> Solution:
    """Match shapes with declared dims: `2*n + 1` is solved for n.

    Parameters
    ----------
    given
        Sizes that the caller fixed.
    needed
        Sizes that must be known in the end.
    how
        How a caller fixes sizes, and how a transpose is spelled there, for messages.

    Raises
    ------
    TpcError
        E0805 where shapes disagree, E0806 where a size remains unknown.
    """
    found = Solution(dict(given), dict.fromkeys(given, f"{how} says so"))
    pending = [(a, axis) for a in arguments for axis in range(len(a.dims))]
    faults: dict[str, Diagnostic] = {}  # the first of each argument
    progress = True
    while pending and progress:
        progress = False
        for item in list(pending):
            argument, axis = item
            dim = substitute(argument.dims[axis], found.sizes)
            size = argument.shape[axis]
            if isinstance(dim, int):
                pending.remove(item)
                progress = True
                if dim != size:
                    faults.setdefault(argument.name, _clash(argument, axis, dim, found, transposed))
            elif len(names_of(dim)) == 1:
                pending.remove(item)
                progress = True
                (name,) = names_of(dim)
                value = _solve_one(dim, name, size)
                if value is None:
                    faults.setdefault(argument.name, _unsolvable(argument, axis, found))
                    continue
                found.sizes[name], found.origins[name] = value, argument
                found.reasons[name] = _because(argument, axis, name)
    if faults:
        raise TpcError(list(faults.values()))
    missing = {n for a, axis in pending for n in names_of(a.dims[axis])} | {n for n in needed if n not in found.sizes}
    if missing:
        name = min(missing)
        raise fail(
            "E0806",
            f"the size {name} cannot be found from the arguments",
            *[Label(a.span, f"{a.shape[k]} here") for a, k in pending[:1] if a.span is not None],
            help=f"give it with {how}, as in {_example(how, name)}",
        )
    return found


def _example(how: str, name: str) -> str:
    return f"`--dim {name}=100`" if "--dim" in how else f"`dims={{{name!r}: 100}}`".replace("'", '"')


def _solve_one(dim: DimLike, name: str, size: int) -> int | None:
    """The nonnegative n at which a dim, growing in its only size, is `size`."""
    assert isinstance(dim, Dim)
    if dim == named(name):
        return size

    def at(value: int) -> int:
        result = substitute(dim, {name: value})
        assert isinstance(result, int)
        return result

    low, high = 0, 1
    while at(high) < size and high < MAX_SIZE:
        high *= 2
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if at(middle) < size else (low, middle)
    return low if at(low) == size else None


def axis_text(shape: Sequence[int], axis: int) -> str:
    """What an axis counts: `5 rows`, `1 column`, `3 entries`, `7 along axis 2`."""
    count = shape[axis]
    if len(shape) == 1:
        return f"{count} entr{'y' if count == 1 else 'ies'}"
    if axis >= len(shape) - 2:
        word = "row" if axis == len(shape) - 2 else "column"
        return f"{count} {word}{'s' * (count != 1)}"
    return f"{count} along axis {axis}"


def _because(argument: Shaped, axis: int, name: str) -> str:
    declared = dim_text(argument.dims[axis])
    text = f"`{argument.name}` has {axis_text(argument.shape, axis)}"
    return text if declared == name else f"{text}, and {declared} = {argument.shape[axis]}"


def _given(argument: Shaped) -> str:
    return f"given with shape {argument.shape}" if argument.shape else "given as a number"


def _clash(argument: Shaped, axis: int, expected: int, found: Solution, transposed: str) -> Diagnostic:
    dim = argument.dims[axis]
    title = f"`{argument.name}` has {axis_text(argument.shape, axis)}, but "
    title += f"{dim_text(dim)} is {expected}" if isinstance(dim, Dim) else f"needs {expected}"
    labels = [Label(argument.span, _given(argument))] if argument.span is not None else []
    notes = []
    for name in sorted(names_of(dim)):
        notes.append(f"{name} is {found.sizes[name]} because {found.reasons[name]}")
        origin = found.origins.get(name)
        span = origin.span if origin is not None and origin is not argument else None
        if origin is not None and span is not None and all(label.span != span for label in labels):
            labels.append(Label(span, _given(origin)))
    return diagnostic("E0805", title, *labels, notes=notes, help=_turned(argument, axis, found, transposed))


def _turned(argument: Shaped, axis: int, found: Solution, transposed: str) -> str | None:
    """A hint where a transpose of this argument, or of the one it was measured by, would fit."""
    turned = argument.shape[::-1]
    wanted = [substitute(d, found.sizes) for d in argument.dims]
    fits = all(not isinstance(w, int) or w == t for w, t in zip(wanted, turned))
    if fits and len(turned) == 2 and turned != argument.shape:
        return f"its transpose would fit: {transposed.format(argument.name)}"
    for name in sorted(names_of(argument.dims[axis])):
        origin = found.origins.get(name)
        if origin is not None and len(origin.shape) == 2 and argument.dims[axis] == named(name):
            other = origin.shape[1 - origin.dims.index(named(name))] if named(name) in origin.dims else None
            if other == argument.shape[axis]:
                return f"`{origin.name}` may be the wrong way round: its transpose is {transposed.format(origin.name)}"
    return None


def _unsolvable(argument: Shaped, axis: int, found: Solution) -> Diagnostic:
    dim = argument.dims[axis]
    labels = [Label(argument.span, _given(argument))] if argument.span is not None else []
    notes = [f"{n} is {found.sizes[n]} because {found.reasons[n]}" for n in sorted(names_of(dim)) if n in found.sizes]
    return diagnostic(
        "E0805",
        f"`{argument.name}` has {axis_text(argument.shape, axis)}, which is not {dim_text(dim)} for any size",
        *labels,
        notes=notes,
    )


RELATIONS = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def check_constraints(constraints: Sequence[Constraint], found: Solution, function: str, span: Span | None) -> None:
    """Refuse sizes that the program's `where` excludes.

    Raises
    ------
    TpcError
        E0807.
    """
    for constraint in constraints:
        try:
            left, right = substitute(constraint.left, found.sizes), substitute(constraint.right, found.sizes)
        except ZeroDivisionError:
            continue
        if not isinstance(left, int) or not isinstance(right, int):
            continue
        if not RELATIONS[constraint.relation](left, right):
            names = sorted(names_of(constraint.left) | names_of(constraint.right))
            notes = [f"{n} is {found.sizes[n]} because {found.reasons[n]}" for n in names if n in found.sizes]
            raise fail(
                "E0807",
                f"`{function}` needs {constraint}, but here that is {left} {constraint.relation} {right}",
                *[Label(span, "required here")] if span is not None else [],
                notes=notes,
            )
