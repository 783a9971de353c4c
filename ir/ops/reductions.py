"""Reductions over axes, and running (cumulative) ones."""

from __future__ import annotations

import math
from typing import Any

from tpc.ir.dims import DimLike, product
from tpc.ir.formula import Apply, Formula, Reduction, Scalar, SizeValue
from tpc.ir.op import Attributes, Misfit, Op
from tpc.ir.ops.entries import entries_of
from tpc.ir.ops.indexing import access, along, checked_axes, letters_of, option_misfit, typed_by
from tpc.ir.scalar import REDUCERS, Reducer
from tpc.ir.types import TensorType, as_float, real_part

AXES: dict[str, Any] = {"axis": None, "keepdims": False}


class _Over:
    """The axes that a reduction leaves and those that it runs over, with a letter for each."""

    def __init__(self, name: str, type: TensorType, attributes: Attributes) -> None:
        self.type = type
        self.axes = checked_axes(name, attributes["axis"], type.rank)
        if not isinstance(attributes["keepdims"], bool):
            raise option_misfit(name, "keepdims", attributes["keepdims"], "true or false")
        self.keepdims: bool = attributes["keepdims"]
        self.letters = letters_of(type)

    @property
    def count(self) -> DimLike:
        """The number of entries that are reduced to one."""
        return product(self.type.dims[n] for n in self.axes)

    @property
    def dims(self) -> tuple[DimLike, ...]:
        kept = [1 if n in self.axes else d for n, d in enumerate(self.type.dims)]
        return tuple(d for n, d in enumerate(kept) if self.keepdims or n not in self.axes)

    def reduce(self, operator: str, body: Scalar, mark: str = "") -> Scalar:
        """`operator[the axes](body)`; letters of the body that are reduced carry the mark."""
        names = tuple(self.letters[n] + mark for n in self.axes)
        return Reduction(operator, names, None, body) if names else body

    def entry(self, mark: str = "") -> Scalar:
        return access(0, [n + mark if p in self.axes else n for p, n in enumerate(self.letters)])

    def formula(self, body: Scalar, *marks: str) -> Formula:
        """The formula with this body, whose reductions used the marks."""
        axes: list[tuple[str, ...]] = []
        for n, letter in enumerate(self.letters):
            if n not in self.axes:
                axes.append((letter,))
            elif self.keepdims:
                axes.append(())
        kept = [(n, d) for p, (n, d) in enumerate(zip(self.letters, self.type.dims)) if p not in self.axes]
        bound = [(self.letters[n] + mark, self.type.dims[n]) for mark in marks or ("",) for n in self.axes]
        return Formula(tuple(axes), (*kept, *bound), body)


def _check_not_empty(name: str, over: _Over) -> None:
    if over.count == 0:
        raise Misfit("E0223", f"`{name}` of no entries has no value", [(0, f"this is {over.type}")])


def _simple(reducer: Reducer) -> Op:
    name = reducer.name

    def formula(operands: list[TensorType], attributes: Attributes) -> Formula | None:
        over = _Over(name, operands[0], attributes)
        if reducer.identity is None:
            _check_not_empty(name, over)
        if reducer.result == "index" and len(over.axes) != 1:
            return None  # the position in the flattened array
        if not over.axes and reducer.dtype(operands[0].dtype) is not operands[0].dtype:
            return None  # over no axes: a change of format alone
        return over.formula(over.reduce(name, over.entry()))

    def types(operands: list[TensorType], attributes: Attributes) -> list[TensorType]:
        over = _Over(name, operands[0], attributes)
        if reducer.identity is None:
            _check_not_empty(name, over)
        if reducer.result == "index" and len(over.axes) not in (1, operands[0].rank):
            raise option_misfit(name, "axis", attributes["axis"], "one axis, or none for the whole array")
        return [TensorType(reducer.dtype(operands[0].dtype), over.dims)]

    def reference(np: Any, operands: list[Any], attributes: Attributes) -> Any:
        (x,) = operands
        axes = checked_axes(name, attributes["axis"], x.ndim)
        if reducer.result == "index" and len(axes) == x.ndim:
            position = np.asarray(reducer.meaning(np, x.reshape(-1), 0))
            return position.reshape((1,) * x.ndim) if attributes["keepdims"] else position
        if not axes and reducer.result == "float":
            return x * 1.0
        value = np.asarray(reducer.meaning(np, x, axes[0] if reducer.result == "index" else axes))
        return np.expand_dims(value, axes) if attributes["keepdims"] else value

    facts = {
        "sum": """
            nonnegative(x) |- nonnegative(this)
            at_most(x, a)  |- at_most(this, 0)  where a <= 0
            positive(x)    |- positive(this)    where nonempty(x)
            negative(x)    |- negative(this)    where nonempty(x)
        """,
        "prod": """
            nonnegative(x) |- nonnegative(this)
            nonzero(x)     |- nonzero(this)
            at_least(x, a) |- at_least(this, 1) where a >= 1
            nonnegative(x), at_most(x, a) |- at_most(this, 1) where a <= 1
        """,
        "max": entries_of("x"),
        "min": entries_of("x"),
        "mean": """
            at_least(x, a) |- at_least(this, a)
            at_most(x, a)  |- at_most(this, a)
            positive(x)    |- positive(this)
            negative(x)    |- negative(this)
        """,
        "argmax": "|- nonnegative(this)",
        "argmin": "|- nonnegative(this)",
    }
    ordered = name in ("max", "min", "argmax", "argmin", "logsumexp")
    return Op(
        name=name,
        line=f"{name}(x[...])[...]",
        about=reducer.about.replace("over the letters", "over the axes"),
        group="reductions",
        options=AXES,
        kinds="bif" if ordered else "bifc",
        typing=types,
        formula_by=formula,
        reference=reference,
        facts=facts.get(name, ""),
    )


def _squared(x: Scalar, type: TensorType) -> Scalar:
    return Apply("square", (Apply("abs", (x,)) if type.dtype.kind == "c" else x,))


def _variance(name: str) -> Op:
    def formula(operands: list[TensorType], attributes: Attributes) -> Formula:
        over = _Over(name, operands[0], attributes)
        ddof = attributes["ddof"]
        if not isinstance(ddof, int):
            raise option_misfit(name, "ddof", ddof, "an integer")
        _check_not_empty(name, over)
        mean = over.reduce("mean", over.entry("m"), "m")
        total = over.reduce("sum", _squared(Apply("sub", (over.entry(), mean)), operands[0]))
        body: Scalar = Apply("div", (total, SizeValue(over.count - ddof)))
        if name == "std":
            body = Apply("sqrt", (body,))
        return over.formula(body, "", "m")

    return Op(
        name=name,
        line=f"{name}(x[...])[...]",
        about="mean squared distance from the mean, with the count lowered by ddof"
        if name == "var"
        else "square root of var",
        group="reductions",
        options={**AXES, "ddof": 0},
        formula_by=formula,
        typing=typed_by(formula),
        flops="4",
        facts="|- nonnegative(this)" if name == "std" else "",
    )


ORDERS = "fro (the default), 1 or inf; 2 for vectors; nuc or spectral for matrices"


def _norm_order(attributes: Attributes) -> Any:
    order = attributes["ord"]
    return "inf" if isinstance(order, float) and math.isinf(order) else order


def _norm(operands: list[TensorType], attributes: Attributes) -> Formula | None:
    (x,) = operands
    over = _Over("norm", x, attributes)
    order = _norm_order(attributes)
    if order == "fro" or (order == 2 and len(over.axes) == 1):
        return over.formula(Apply("sqrt", (over.reduce("sum", _squared(over.entry(), x)),)))
    if order == 2:
        raise option_misfit("norm", "ord", 2, "fro or spectral where more than one axis is reduced")
    if order in (1, "inf") and len(over.axes) == 1:
        if order == "inf":
            _check_not_empty("norm", over)
        return over.formula(over.reduce("sum" if order == 1 else "max", Apply("abs", (over.entry(),))))
    if order in (1, "inf") and len(over.axes) == 2:
        rows, columns = (over.letters[n] for n in over.axes)
        inner, outer = (rows, columns) if order == 1 else (columns, rows)
        _check_not_empty("norm", over)
        total = Reduction("sum", (inner,), None, Apply("abs", (over.entry(),)))
        return over.formula(Reduction("max", (outer,), None, total))
    if order not in (1, "inf", "nuc", "spectral"):
        raise option_misfit("norm", "ord", order, ORDERS)
    if len(over.axes) != 2 or over.axes != (x.rank - 2, x.rank - 1):
        raise option_misfit("norm", "ord", order, "for the last two axes of a matrix")
    return None


def _norm_types(operands: list[TensorType], attributes: Attributes) -> list[TensorType]:
    _norm(operands, attributes)
    return [TensorType(real_part(as_float(operands[0].dtype)), _Over("norm", operands[0], attributes).dims)]


def _norm_reference(np: Any, operands: list[Any], attributes: Attributes) -> Any:
    (x,) = operands
    order, keepdims = _norm_order(attributes), attributes["keepdims"]
    axes = checked_axes("norm", attributes["axis"], x.ndim)
    if order in ("nuc", "spectral"):
        values = np.linalg.svd(x, compute_uv=False)
        result = values.sum(-1) if order == "nuc" else values.max(-1, initial=0.0)
        return result[..., None, None] if keepdims else result
    if order == "fro" or not axes:
        return np.sqrt(np.sum(np.abs(x) ** 2, axis=axes, keepdims=keepdims))
    order = np.inf if order == "inf" else order
    return np.linalg.norm(x, order, axis=axes if len(axes) == 2 else axes[0], keepdims=keepdims)


def _median_types(operands: list[TensorType], attributes: Attributes) -> list[TensorType]:
    over = _Over("median", operands[0], attributes)
    _check_not_empty("median", over)
    return [TensorType(as_float(operands[0].dtype), over.dims)]


def _median(np: Any, operands: list[Any], attributes: Attributes) -> Any:
    axes = checked_axes("median", attributes["axis"], operands[0].ndim)
    return np.median(operands[0], axis=axes, keepdims=attributes["keepdims"])


def _running(name: str, reducer: str, about: str, **more: Any) -> Op:
    template = f"{name}(x[{{i}}])[{{i}}] = {reducer}[k where k <= i](x[{{k}}])"
    return Op(
        name=name,
        line=f"{name}(x[...])[...]",
        line_by=along(template),
        about=about,
        group="reductions",
        options={"axis": -1},
        flops="entries_x",
        **more,
    )


REDUCTIONS: list[Op] = [
    *(_simple(reducer) for reducer in REDUCERS.values()),
    _variance("var"),
    _variance("std"),
    Op(
        name="norm",
        line="norm(x[...])[...]",
        about="the root of the sum of squares (ord=fro); for vectors (one axis) also ord=1 and inf; for matrices "
        "(two axes) the largest column sum (1) or row sum (inf), the largest singular value (spectral) or the sum of "
        "singular values (nuc)",
        group="reductions",
        options={"ord": "fro", **AXES},
        typing=_norm_types,
        formula_by=_norm,
        reference=_norm_reference,
        facts="|- nonnegative(this)\n nonzero(x) |- positive(this) where nonempty(x)",
    ),
    Op(
        name="median",
        line="median(x[...])[...]",
        about="the middle value, or the mean of the two middle values",
        group="reductions",
        options=AXES,
        kinds="bif",
        typing=_median_types,
        reference=_median,
        flops="20",
        facts="""
            at_least(x, a) |- at_least(this, a)
            at_most(x, a)  |- at_most(this, a)
            positive(x)    |- positive(this)
            negative(x)    |- negative(this)
        """,
    ),
    _running(
        "cumsum",
        "sum",
        "sums of all entries up to each",
        facts="""
            nonnegative(x) |- nonnegative(this)
            positive(x)    |- positive(this)
            negative(x)    |- negative(this)
        """,
    ),
    _running(
        "cumprod",
        "prod",
        "products of all entries up to each",
        facts="nonnegative(x) |- nonnegative(this)\n nonzero(x) |- nonzero(this)",
    ),
    _running(
        "cummax",
        "max",
        "the largest entry up to each",
        kinds="bif",
        facts=entries_of("x"),
    ),
]
