"""What a plan is chosen from: values, and the ways in which each may be computed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tpc.ir.node import Node
from tpc.passes.choose.prices import Prices, Sizes
from tpc.passes.contraction import Contraction
from tpc.passes.egraph.terms import Term
from tpc.passes.kernels import Kernel


@dataclass(frozen=True, slots=True)
class Whole:
    """The value of a class, stored entry by entry."""

    number: int


@dataclass(frozen=True, slots=True)
class Part:
    """A contraction of some operands, with one axis for each letter of its result, in any order."""

    form: Contraction
    children: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Factors:
    """A class in factored form: `cholesky`, `lu`, `ldl`, or `tried` (`cholesky` or else `lu`)."""

    kind: str
    number: int


Value = Whole | Part | Factors


@dataclass(frozen=True, slots=True)
class Built:
    """A value as nodes of the plan; `letters` are the axes of a part."""

    node: Node
    letters: tuple[int, ...] = ()


VIEW = 1e-8  # seconds of a step that computes nothing; not zero, so that no two views are each other's cheapest way

Build = Callable[[Sequence[Built]], Built]


@dataclass(frozen=True, slots=True)
class Way:
    """A way to compute a value: one step over other values.

    Attributes
    ----------
    kernel
        What the step is called.
    seconds
        Of this step alone, at the sizes of the menu.
    needs
        The values that it is computed from.
    build
        The nodes of the plan, given those of `needs`.
    term
        The term of the class that it computes, if it is one.
    kernels
        What its nodes run as.
    charge
        Times that its seconds count.
    """

    kernel: str
    seconds: float
    needs: tuple[Value, ...]
    build: Build
    term: Term | None = None
    kernels: tuple[Kernel, ...] = ()
    charge: float = 1


def seconds_of(kernels: Sequence[Kernel], prices: Prices, sizes: Sizes, charge: float = 1) -> float:
    """The price of a step."""
    return charge * sum(kernel.seconds(prices, sizes) for kernel in kernels) if kernels else VIEW
