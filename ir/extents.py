"""The extents of index letters, and the proof that every access stays inside its operand.

A letter gets its extent from the axis that it indexes alone (`X[i, k]`), from a declaration (`i in n`), by solving
an affine index (`x[i + s]` with s known), or from a letter that it is compared with (`i == k`). Then every access is
shown to stay inside, by the range of its affine index and the guards around it; what that rests on and is not known of
the sizes becomes a constraint for the call.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from tpc.dsl.diagnostics import Label, fail
from tpc.dsl.source import Span
from tpc.ir.affine import Affine, affine, all_bounds, bounds
from tpc.ir.dims import DimLike, assuming, dim_text, divide, divide_exactly, is_nonnegative, product
from tpc.ir.formula import Access, Apply, Composed, Formula, LetterValue, Reduction, Scalar, children, letters_in_order
from tpc.ir.node import Constraint
from tpc.ir.types import TensorType

if TYPE_CHECKING:
    from tpc.ir.notation import Reader


@dataclass
class _Use:
    """A letter that indexes an axis alone."""

    dim: DimLike
    access: Access


def finish(
    reader: Reader, axes: Sequence[tuple[str, ...]], body: Scalar, where: Span
) -> tuple[Formula, list[Constraint]]:
    """Give every letter its extent, check the bounds, and make the formula.

    Returns
    -------
    formula, constraints
        The constraints are relations of sizes that the bounds rest on and that must be tested at a call.
    """
    types = [reader.scope.operand_type(n) for n in range(reader.operand_count)]
    extents = dict(reader.extents)
    declared = set(extents)
    uses = _collect(body)
    first: dict[str, _Use] = {}
    for access in uses:
        for index, dim in zip(access.indices, types[access.operand].dims, strict=True):
            if isinstance(index, LetterValue) and access.pad is None and index.name not in declared:
                seen = first.get(index.name)
                if seen is None:
                    first[index.name] = _Use(dim, access)
                    extents[index.name] = dim
                elif seen.dim != dim:
                    raise fail(
                        "E0501",
                        f"index letter `{index.name}` runs over {dim_text(seen.dim)} and over {dim_text(dim)}",
                        *(
                            Label(reader.spans.get(place, where), f"`{index.name}` has {dim_text(size)} values here")
                            for place, size in ((access, dim), (seen.access, seen.dim))
                        ),
                        help="the axes that one letter indexes must have one size; is an index transposed?",
                    )
    _solve(uses, types, extents)
    _compare(body, extents)
    order = letters_in_order(axes, body)
    for letter in order:
        if letter not in extents:
            raise fail(
                "E0510",
                f"the extent of index letter `{letter}` is not known",
                where,
                help=f"say it, as in `{letter} in n`; it is known where the letter alone indexes an axis",
            )
    constraints = [Constraint(extents[name], ">=", 0) for name in order if not is_nonnegative(extents[name])]
    _check_bounds(reader, body, types, extents, where, constraints)
    formula = Formula(tuple(axes), tuple((name, extents[name]) for name in order), body)
    return formula, constraints


def _collect(body: Scalar) -> list[Access]:
    found, stack = [], [body]
    while stack:
        item = stack.pop()
        if isinstance(item, Access):
            found.append(item)
        stack.extend(reversed(children(item)))
    return found


def _solve(uses: list[Access], types: list[TensorType], extents: dict[str, DimLike]) -> None:
    """Extents of letters that occur only in affine indices: the most values that stay inside the axis."""
    changed = True
    while changed:
        changed = False
        for access in uses:
            if access.pad is not None:
                continue
            for index, dim in zip(access.indices, types[access.operand].dims, strict=True):
                if isinstance(index, Composed):
                    unknown = [name for name in index.letters if name not in extents]
                    known = product(extents[n] for n in index.letters if n in extents)
                    quotient = divide_exactly(dim, known) if len(unknown) == 1 else None
                    if quotient is not None:
                        extents[unknown[0]] = quotient
                        changed = True
                    continue
                form = affine(index)
                if form is None:
                    continue
                missing = [name for name in form.slopes if name not in extents]
                if len(missing) != 1 or form.slopes[missing[0]] == 0:
                    continue
                slope = form.slopes[missing[0]]
                if not (isinstance(slope, int) and slope > 0):
                    continue
                rest = Affine(form.constant, {k: v for k, v in form.slopes.items() if k != missing[0]})
                limits = bounds(rest, extents)
                if limits is not None:
                    extents[missing[0]] = divide(dim - 1 - limits[1], slope) + 1
                    changed = True


def _compare(body: Scalar, extents: dict[str, DimLike]) -> None:
    """The extents of letters that occur only in comparisons: `select(i == k, x[i], 0)` is a matrix as wide as high."""
    stack = [body]
    while stack:
        item = stack.pop()
        match item:
            case Apply(function="eq", arguments=(LetterValue(name=one), LetterValue(name=other))):
                if one in extents:
                    extents.setdefault(other, extents[one])
                elif other in extents:
                    extents[one] = extents[other]
        stack.extend(reversed(children(item)))


def _check_bounds(
    reader: Reader,
    body: Scalar,
    types: list[TensorType],
    extents: dict[str, DimLike],
    where: Span,
    constraints: list[Constraint],
) -> None:
    stack: list[tuple[Scalar, tuple[Scalar, ...]]] = [(body, ())]
    while stack:
        item, guards = stack.pop()
        if isinstance(item, Access) and item.pad is None:
            for index, dim in zip(item.indices, types[item.operand].dims, strict=True):
                _check_index(reader, item, index, dim, guards, extents, where, constraints)
        inner = guards
        if isinstance(item, Reduction) and item.guard is not None:
            inner = (*guards, item.guard)
            stack.append((item.guard, guards))
            stack.append((item.body, inner))
            continue
        stack.extend((child, inner) for child in children(item))


def _check_index(
    reader: Reader,
    access: Access,
    index: Scalar | Composed,
    dim: DimLike,
    guards: tuple[Scalar, ...],
    extents: dict[str, DimLike],
    where: Span,
    constraints: list[Constraint],
) -> None:
    if isinstance(index, Composed):
        if product(extents[n] for n in index.letters) != dim:
            raise fail("E0501", "composed letters do not fill the axis", reader.spans.get(access, where))
        return
    form = affine(index)
    if form is None:
        return  # gathered: looked at when it runs
    limits = bounds(form, extents, guards)
    if limits is None:
        _out_of_bounds(reader, access, index, dim, where)
    low, high = limits
    lows, highs = all_bounds(form, extents, guards)
    with assuming([extents[name] - 1 for name in form.slopes]):
        inside = any(map(is_nonnegative, lows)), any(is_nonnegative(dim - 1 - most) for most in highs)
    if not inside[0]:
        if isinstance(low, int):
            _out_of_bounds(reader, access, index, dim, where, f"it can be {low}")
        constraints.append(Constraint(low, ">=", 0))
    slack = dim - 1 - high
    if not inside[1]:
        if isinstance(slack, int) and all(extents[n] != 0 for n in form.slopes):
            _out_of_bounds(
                reader,
                access,
                index,
                dim,
                where,
                f"it can be {dim_text(high)}, and the axis has {dim_text(dim)} entries",
            )
        if not isinstance(slack, int):
            constraints.append(Constraint(high + 1, "<=", dim))


def _out_of_bounds(reader: Reader, access: Access, index: Scalar, dim: DimLike, where: Span, why: str = "") -> NoReturn:
    span = reader.spans.get(index) or reader.spans.get(access, where)
    raise fail(
        "E0506",
        "this index leaves the axis",
        Label(span, why or f"not shown to stay within 0 and {dim_text(dim - 1)}"),
        help="declare what lies outside, as in `x[i + s, pad=0]`, or bound the letters with `i in n` or a guard",
    )
