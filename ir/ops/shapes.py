"""Arrays in another shape or order: no arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tpc.ir.dims import DimLike, dim_text, divide_exactly, product
from tpc.ir.formula import Apply, Composed, Formula, LetterValue, Literal, Scalar, SizeValue
from tpc.ir.op import Attributes, Misfit, Op
from tpc.ir.ops.entries import entries_of
from tpc.ir.ops.indexing import (
    ZERO,
    FormulaBy,
    Typing,
    access,
    checked_axis,
    checked_dims,
    letters_of,
    option_misfit,
    over,
    plus,
    typed_by,
)
from tpc.ir.types import DType, TensorType, promote_all


def moves(function: Callable[[Any, list[Any], Attributes], Any]) -> dict[str, Any]:
    """Both meanings of an op that moves entries and leaves them as they are."""

    def exact(operands: list[Any], attributes: Attributes) -> Any:
        import numpy

        return function(numpy, operands, attributes)

    return {"reference": function, "exact": exact}


def _reshaped(operands: list[TensorType], attributes: Attributes) -> tuple[DimLike, ...]:
    (x,) = operands
    dims = tuple(attributes["dims"])
    if dims.count(-1) > 1:
        raise option_misfit("reshape", "dims", dims, "a list of sizes, one of which may be -1")
    if -1 in dims:
        rest = product(d for d in dims if d != -1)
        inferred = divide_exactly(x.size, rest)
        if inferred is None:
            raise Misfit(
                "E0206",
                f"`reshape` cannot split {dim_text(x.size)} entries by {dim_text(rest)}",
                [(0, f"has {dim_text(x.size)} entries")],
            )
        dims = tuple(inferred if d == -1 else d for d in dims)
    checked_dims("reshape", dims)
    if product(dims) != x.size:
        raise Misfit(
            "E0206",
            f"`reshape` is asked for {dim_text(product(dims))} entries, but there are {dim_text(x.size)}",
            [(0, f"this is {x}")],
        )
    return dims


def _reshape(operands: list[TensorType], attributes: Attributes) -> Formula | None:
    """As composed axes, where axes are only split or joined; else None."""
    (x,) = operands
    new = list(_reshaped(operands, attributes))
    old = list(x.dims)
    axes: list[tuple[str, ...]] = []
    extents: list[tuple[str, DimLike]] = []
    indices: list[str | Scalar | Composed] = []
    while old or new:
        left, right = old[:1], new[:1]
        del old[:1], new[:1]
        while product(left) != product(right):
            grow, rest = (left, old) if _divides(product(left), product(right)) else (right, new)
            if not rest:
                return None
            grow.append(rest.pop(0))
        if len(left) > 1 and len(right) > 1:
            return None
        finer = left if len(left) > len(right) or not right else right
        names = [f"i{len(extents) + n}" for n in range(len(finer))]
        extents += zip(names, finer, strict=True)
        if not right:  # an axis of size 1 goes away
            indices += [ZERO] * len(left)
            del extents[len(extents) - len(finer) :]
            continue
        axes += [(name,) for name in names] if finer is right else [tuple(names)]
        if left:
            indices += names if finer is left else [Composed(tuple(names))]
    return Formula(tuple(axes), tuple(extents), access(0, indices))


def _divides(a: DimLike, b: DimLike) -> bool:
    return b == 0 or divide_exactly(b, a) is not None


def _reshape_reference(np: Any, operands: list[Any], attributes: Attributes) -> Any:
    return np.reshape(operands[0], attributes["dims"])


def _broadcast_to(operands: list[TensorType], attributes: Attributes) -> Formula:
    (x,) = operands
    dims = checked_dims("broadcast_to", attributes["dims"])
    letters = [f"i{n}" for n in range(len(dims))]
    fits = x.rank <= len(dims) and all(d in (1, w) for d, w in zip(reversed(x.dims), reversed(dims)))
    if not fits:
        wanted = ", ".join(dim_text(d) for d in dims)
        raise Misfit(
            "E0202",
            f"`broadcast_to` cannot stretch {x} to [{wanted}]",
            [(0, f"this is {x}")],
            "sizes match from the right; only a size of 1 stretches",
        )
    ends = list(zip(letters, dims, strict=True))[len(dims) - x.rank :]
    indices = [ZERO if d != w else name for d, (name, w) in zip(x.dims, ends, strict=True)]
    return over(letters, dims, access(0, indices))


def _squeeze(operands: list[TensorType], attributes: Attributes) -> Formula:
    (x,) = operands
    given = attributes["axis"]
    axes = [n for n, d in enumerate(x.dims) if d == 1] if given is None else [checked_axis("squeeze", given, x.rank)]
    for n in axes:
        if x.dims[n] != 1:
            title = f"`squeeze` takes away axes of size 1, but axis {n} has {dim_text(x.dims[n])} entries"
            raise Misfit("E0203", title, [(0, f"this is {x}")])
    letters = letters_of(x)
    kept = [n for n in range(x.rank) if n not in axes]
    indices = [ZERO if n in axes else letters[n] for n in range(x.rank)]
    return over([letters[n] for n in kept], [x.dims[n] for n in kept], access(0, indices))


def _unsqueeze(operands: list[TensorType], attributes: Attributes) -> Formula:
    (x,) = operands
    axis = checked_axis("unsqueeze", attributes["axis"], x.rank + 1)
    letters = letters_of(x)
    axes: list[tuple[str, ...]] = [(name,) for name in letters]
    axes.insert(axis, ())
    return Formula(tuple(axes), tuple(zip(letters, x.dims, strict=True)), access(0, letters))


def _moved(
    name: str, index: Callable[[DimLike, Attributes], Scalar], attribute: str = ""
) -> Callable[[list[TensorType], Attributes], Formula]:
    """A formula that reads one axis at another place; `index` gives the place in terms of the letter i."""

    def formula(operands: list[TensorType], attributes: Attributes) -> Formula:
        (x,) = operands
        if attribute and not isinstance(attributes[attribute], int):
            raise option_misfit(name, attribute, attributes[attribute], "an integer")
        axis = checked_axis(name, attributes["axis"], x.rank)
        letters = letters_of(x)
        letters[axis] = "i"
        indices: list[str | Scalar | Composed] = [*letters]
        indices[axis] = index(x.dims[axis], attributes)
        return over(letters, x.dims, access(0, indices))

    return formula


LETTER = LetterValue("i")
_flip = _moved("flip", lambda n, attributes: Apply("sub", (SizeValue(n - 1), LETTER)))
_roll = _moved(
    "roll",
    lambda n, attributes: Apply("mod", (plus(LETTER, SizeValue(-attributes["shift"])), SizeValue(n))),
    "shift",
)


def _pad(operands: list[TensorType], attributes: Attributes) -> Formula:
    (x,) = operands
    axis = checked_axis("pad", attributes["axis"], x.rank)
    before, after = attributes["before"], attributes["after"]
    checked_dims("pad", (before, after))
    letters = letters_of(x)
    dims = list(x.dims)
    dims[axis] = dims[axis] + before + after
    indices: list[str | Scalar | Composed] = [*letters]
    indices[axis] = plus(LetterValue(letters[axis]), SizeValue(-before))
    outside = Literal.of(attributes["value"])
    return over(letters, dims, access(0, indices, outside))


def _tile(operands: list[TensorType], attributes: Attributes) -> Formula:
    (x,) = operands
    axis = checked_axis("tile", attributes["axis"], x.rank)
    (times,) = checked_dims("tile", (attributes["times"],))
    letters = letters_of(x)
    axes: list[tuple[str, ...]] = [(name,) for name in letters]
    axes[axis] = ("t", letters[axis])
    extents = (("t", times), *zip(letters, x.dims, strict=True))
    return Formula(tuple(axes), extents, access(0, letters))


# ---- several arrays


def _same_rank(name: str, operands: list[TensorType]) -> None:
    for number, operand in enumerate(operands):
        if operand.rank != operands[0].rank:
            raise Misfit(
                "E0204",
                f"`{name}` needs operands with one number of axes",
                [(0, f"this is {operands[0]}"), (number, f"this is {operand}")],
            )


def _same_dims(name: str, operands: list[TensorType], free: int | None) -> None:
    for number, operand in enumerate(operands):
        for n, (a, b) in enumerate(zip(operands[0].dims, operand.dims, strict=True)):
            if n != free and a != b:
                raise Misfit(
                    "E0202",
                    f"`{name}` needs sizes to match on axis {n}, but {dim_text(a)} is not {dim_text(b)}",
                    [(0, f"this is {operands[0]}"), (number, f"this is {operand}")],
                )


def _common(operands: list[TensorType]) -> DType:
    return promote_all(o.dtype for o in operands)


def _concat_types(operands: list[TensorType], attributes: Attributes) -> list[TensorType]:
    _same_rank("concat", operands)
    axis = checked_axis("concat", attributes["axis"], operands[0].rank)
    _same_dims("concat", operands, axis)
    dims = list(operands[0].dims)
    for operand in operands[1:]:
        dims[axis] = dims[axis] + operand.dims[axis]
    return [TensorType(_common(operands), dims)]


def _stack_types(operands: list[TensorType], attributes: Attributes) -> list[TensorType]:
    _same_rank("stack", operands)
    _same_dims("stack", operands, None)
    axis = checked_axis("stack", attributes["axis"], operands[0].rank + 1)
    dims = list(operands[0].dims)
    dims.insert(axis, len(operands))
    return [TensorType(_common(operands), dims)]


def _split_types(operands: list[TensorType], attributes: Attributes) -> list[TensorType]:
    (x,) = operands
    parts = attributes["parts"]
    if not isinstance(parts, int) or parts < 1:
        raise option_misfit("split", "parts", parts, "a positive integer")
    axis = checked_axis("split", attributes["axis"], x.rank)
    part = divide_exactly(x.dims[axis], parts)
    if part is None:
        title = f"`split` cannot make {parts} equal parts of {dim_text(x.dims[axis])} entries"
        raise Misfit("E0206", title, [(0, f"this is {x}")], "slice instead, as in `x[0:k]` and `x[k:n]`")
    return [TensorType(x.dtype, [part if n == axis else d for n, d in enumerate(x.dims)])] * parts


def _concat(np: Any, operands: list[Any], attributes: Attributes) -> Any:
    return np.concatenate(operands, axis=attributes["axis"])


def _stack(np: Any, operands: list[Any], attributes: Attributes) -> Any:
    return np.stack(operands, axis=attributes["axis"])


def _split(np: Any, operands: list[Any], attributes: Attributes) -> Any:
    return tuple(np.split(operands[0], attributes["parts"], axis=attributes["axis"]))


def _op(name: str, line: str, about: str, **more: Any) -> Op:
    return Op(name=name, line=line, about=about, group="shapes", **more)


def _by_formula(formula_by: FormulaBy) -> dict[str, FormulaBy | Typing]:
    return {"formula_by": formula_by, "typing": typed_by(formula_by)}


AFTER = _op(
    "after",
    "after(x[...], y[...])",
    "x, taken only once y is known: it orders the work, and with it the memory that is needed",
    typing=lambda operands, attributes: [operands[0]],
    **moves(lambda np, operands, attributes: operands[0]),
)

SHAPES: list[Op] = [
    _op(
        "reshape",
        "reshape(x[...], dims)",
        "the same entries in row-major order in another shape; one size may be -1",
        variadic="dims",
        formula_by=_reshape,
        typing=lambda operands, attributes: [TensorType(operands[0].dtype, _reshaped(operands, attributes))],
        facts=entries_of("x"),
        **moves(_reshape_reference),
    ),
    _op(
        "broadcast_to",
        "broadcast_to(x[...], dims)",
        "repeated along axes of size 1 and new first axes",
        variadic="dims",
        facts=entries_of("x"),
        **_by_formula(_broadcast_to),
    ),
    _op(
        "squeeze",
        "squeeze(x[...])",
        "without one axis of size 1, or all",
        options={"axis": None},
        facts=entries_of("x"),
        **_by_formula(_squeeze),
    ),
    _op(
        "unsqueeze",
        "unsqueeze(x[...])",
        "with one more axis of size 1",
        options={"axis": 0},
        facts=entries_of("x"),
        **_by_formula(_unsqueeze),
    ),
    _op(
        "flip",
        "flip(x[...])",
        "one axis backwards",
        options={"axis": -1},
        facts=entries_of("x"),
        **_by_formula(_flip),
    ),
    _op(
        "roll",
        "roll(x[...])",
        "one axis turned: entry i moves to i + shift",
        options={"shift": 1, "axis": -1},
        facts=entries_of("x"),
        **_by_formula(_roll),
    ),
    _op(
        "pad",
        "pad(x[...])",
        "entries with one value before and after on one axis",
        options={"before": 0, "after": 0, "axis": -1, "value": 0},
        **_by_formula(_pad),
    ),
    _op(
        "tile",
        "tile(x[...])",
        "copies one after the other along an axis",
        options={"times": 2, "axis": 0},
        facts=entries_of("x"),
        **_by_formula(_tile),
    ),
    _op(
        "concat",
        "concat(x[...])",
        "arrays one after the other along an axis",
        variadic="tensors",
        options={"axis": 0},
        typing=_concat_types,
        **moves(_concat),
    ),
    _op(
        "stack",
        "stack(x[...])",
        "arrays side by side along another axis",
        variadic="tensors",
        options={"axis": 0},
        typing=_stack_types,
        **moves(_stack),
    ),
    _op(
        "split",
        "split(x[...])",
        "equal parts of one axis",
        options={"parts": 2, "axis": 0},
        typing=_split_types,
        **moves(_split),
    ),
    AFTER,
]
