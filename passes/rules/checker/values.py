"""How two values differ, and what a value lacks of a fact, rounding apart."""

from __future__ import annotations

from typing import Any

from tpc.ir.facts import satisfies
from tpc.ir.node import Fact
from tpc.passes.rules.checker.setting import Undefined

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
    left, right = (np.where(np.abs(x) > BEYOND, np.copysign(np.inf, x), x) for x in (left, right))
    known = np.isfinite(left) & np.isfinite(right)
    with np.errstate(invalid="ignore"):
        same = np.where(known, False, (left == right) | (np.isnan(left) & np.isnan(right)))
        scale = np.maximum(1, np.maximum(np.abs(left), np.abs(right)))
        if left.ndim == 2 and known.any():
            scale = np.maximum(scale, np.abs(left[known]).max())
        # the root of a zero that was rounded is as large as the root of a rounding error
        near = known & (np.abs(left - right) <= (1e-6 if left.dtype == np.float64 else 1e-10) * scale)
    wrong = ~(same | near)
    if not wrong.any():
        return ""
    place = tuple(np.argwhere(wrong)[0])
    return f"the sides differ, {left[place]:.6g} and {right[place]:.6g},"


def lacks(value: Any, fact: Fact) -> str:
    """What keeps a value from having a fact, or nothing."""
    import numpy as np

    return satisfies(np, _without_rounding(value, fact.name), fact) or ""


def is_close_call(value: Any, fact: Fact) -> bool:
    """Whether a value has a fact as it was computed, and only lacks it with small numbers taken to be zeros."""
    import numpy as np

    return fact.name in ("positive", "negative", "nonzero", "spd") and satisfies(np, value, fact) is None


def _without_rounding(value: Any, fact: str) -> Any:
    """The value with zeros that rounding has moved put back, on the safe side of them."""
    import numpy as np

    if value.dtype.kind != "f":
        return value
    slack = 1e-10 * (1 + np.abs(value).max(initial=0.0))
    value = np.where(np.abs(value) < slack, 0.0, value)
    if value.ndim == 2 and value.shape[0] == value.shape[1] and (np.abs(value - value.T) < slack).all():
        value = (value + value.T) / 2
    if fact == "psd" and value.ndim == 2 and value.shape[0] == value.shape[1]:
        return value + slack * np.eye(len(value))
    return value + slack if fact == "nonnegative" else value
