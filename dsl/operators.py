"""How strongly operators bind: the one table that the parser reads and the formatter prints by.

A larger number binds tighter. The conditional `a if c else b` is looser than everything here.
"""

from typing import Final, Literal

Side = Literal["left", "right", "none"]

_COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")
_PRODUCTS = ("*", "/", "@", "\\", "⊗")

# "none": a chain such as `a < b < c` has no meaning
BINARY: Final[dict[str, tuple[int, Side]]] = {
    "or": (1, "left"),
    "and": (2, "left"),
    **dict.fromkeys(_COMPARISONS, (4, "none")),
    "+": (5, "left"),
    "-": (5, "left"),
    **dict.fromkeys(_PRODUCTS, (6, "left")),
    "^": (8, "right"),
}

# `-x^2` is -(x^2), and `not a == b` is not (a == b)
PREFIX: Final[dict[str, int]] = {"not": 3, "-": 7, "+": 7}

# `x'`, `f(x)`, `x[i]`
POSTFIX: Final[int] = 9
