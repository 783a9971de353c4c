"""How two values differ, and what a value lacks of a fact, rounding apart."""

from __future__ import annotations

from typing import Any

from tpc.ir.facts import satisfies
from tpc.ir.node import Fact
from tpc.passes.rules.checker.expression import Undefined

BEYOND = 1e12  # where no operand is large, what is larger than this is infinite but for rounding


def differ(left: Any, right: Any) -> str:
    """How two values differ, or nothing."""
    import numpy as np

    if isinstance(left, Undefined) or isinstance(right, Undefined):
        if isinstance(left, Undefined) and isinstance(right, Undefined):
            return ""
        side, problem = ("left", left) if isinstance(left, Undefined) else ("right", right)
        return f"only the {side} side has no value ({problem})"
    left, right = np.asarray(left), np.asarray(right)
    if left.shape != right.shape:
        return f"the left side has the shape {left.shape}, the right {right.shape}"
    if left.dtype == object or right.dtype == object or left.dtype.kind in "bi":
        return "" if bool(np.all(left == right)) else "the sides differ"
    wrong = apart(left, right, left.ndim)
    if not wrong.any():
        return ""
    place = tuple(np.argwhere(wrong)[0])
    return f"the sides differ, {left[place]:.6g} and {right[place]:.6g},"


def apart(left: Any, right: Any, rank: int) -> Any:
    """Marks of the entries that differ, in values with so many axes, or in values at many points."""
    import numpy as np

    left, right = (np.where(np.abs(x) > BEYOND, np.copysign(np.inf, x), x) for x in (left, right))
    known = np.isfinite(left) & np.isfinite(right)
    with np.errstate(invalid="ignore"):
        same = np.where(known, False, (left == right) | (np.isnan(left) & np.isnan(right)))
        scale = np.maximum(1, np.maximum(np.abs(left), np.abs(right)))
        if rank == 2:
            size = np.where(known, np.abs(left), 0).max(axis=(-2, -1), initial=0.0, keepdims=True)
            scale = np.maximum(scale, size)
        # the root of a zero that was rounded is as large as the root of a rounding error
        near = known & (np.abs(left - right) <= (1e-6 if left.dtype == np.float64 else 1e-10) * scale)
    return ~(same | near)


def lacks(value: Any, fact: Fact, rank: int | None = None) -> str:
    """What keeps a value from having a fact, or nothing; `rank` is the number of its axes where it is many values."""
    import numpy as np

    return satisfies(np, _without_rounding(value, fact.name, np.ndim(value) if rank is None else rank), fact) or ""


def is_close_call(value: Any, fact: Fact) -> bool:
    """Whether a value has a fact as it was computed, and only lacks it with small numbers taken to be zeros."""
    import numpy as np

    return fact.name in ("positive", "negative", "nonzero", "spd") and satisfies(np, value, fact) is None


def _without_rounding(value: Any, fact: str, rank: int) -> Any:
    """The value with zeros that rounding has moved put back, on the safe side of them."""
    import numpy as np

    if value.dtype.kind != "f":
        return value
    slack = 1e-10 * (1 + np.abs(value).max(axis=tuple(range(-rank, 0)), initial=0.0, keepdims=True))
    rounded = value if fact == "psd" else np.where(np.abs(value) < slack, 0.0, value)
    if rank == 2 and value.shape[-2] == value.shape[-1]:
        turned = rounded.swapaxes(-1, -2)
        close = (np.abs(rounded - turned) < slack).all((-2, -1), keepdims=True)
        rounded = np.where(close, (rounded + turned) / 2, rounded)
        if fact == "psd":
            return rounded + slack * np.eye(value.shape[-1])
    return rounded + slack if fact == "nonnegative" else rounded
