"""What is found of a matrix."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tpc.ir.node import Fact

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Finding:
    """A structure that a matrix has.

    Attributes
    ----------
    name : str
        For example `circulant` or `kronecker product`.
    about : str
        What it says of this matrix, with sizes.
    error : float
        Relative Frobenius distance of the matrix from `dense()`; where there are no parts, the relative residual of
        what the name says (for `orthogonal` that of Q'Q = I).
    facts : tuple of Fact
        What to declare in the language.
    formula : str
        The matrix in terms of its parts, in the language where it can say it; else empty.
    parts : mapping of str to array
        What is to be stored, as named in `formula`.
    product, solve : int or None
        Operations of `A @ x` and of `A \\ x` for one x; None where the structure does not help.
    """

    name: str
    about: str
    error: float
    facts: tuple[Fact, ...] = ()
    formula: str = ""
    parts: Mapping[str, Array] = field(default_factory=dict, repr=False)
    product: int | None = None
    solve: int | None = None
    rebuild: Callable[[Mapping[str, Array]], Array] | None = field(default=None, repr=False)

    def dense(self) -> Array | None:
        """The matrix rebuilt from the parts, in double precision; None where nothing is stored apart."""
        return None if self.rebuild is None else self.rebuild(self.parts)


@dataclass(frozen=True)
class Inspection:
    """What structure an array has; it prints as text, and as HTML in a notebook.

    Attributes
    ----------
    shape, dtype
        Of the array. For more than two axes, what is found holds for each matrix along the first axes.
    findings : tuple of Finding
        Those that save most first.
    declaration : str
        The strongest facts as the language writes them, such as `A: f64[64, 64] is spd and banded(2, 2)`.
    notes : tuple of str
        What else is worth knowing: entries that are not finite, what was not looked for.
    condition : float or None
        An estimate of the condition number in the 1-norm, of a square matrix; infinite for a singular one.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    tolerance: float
    findings: tuple[Finding, ...] = ()
    declaration: str = ""
    notes: tuple[str, ...] = ()
    condition: float | None = None

    @property
    def product(self) -> int:
        """Operations of `A @ x` without any structure."""
        return dense_product(self.shape)

    @property
    def solve(self) -> int | None:
        """Operations of `A \\ x` without any structure; None where the matrix is not square."""
        return dense_solve(self.shape)

    def __contains__(self, name: object) -> bool:
        return any(f.name == name for f in self.findings)

    def __getitem__(self, name: str) -> Finding:
        """The finding of that name. Raises KeyError if there is none."""
        for finding in self.findings:
            if finding.name == name:
                return finding
        raise KeyError(name)

    def gain(self, finding: Finding) -> float:
        """How many times fewer operations a finding needs, for a product or a solve, whichever gains more."""
        return gain(self.shape, finding)

    def __str__(self) -> str:
        from tpc.inspection.showing import text

        return text(self)

    def _repr_html_(self) -> str:
        from tpc.inspection.showing import html

        return html(self)


def dense_product(shape: tuple[int, ...]) -> int:
    return 2 * int(np.prod(shape, dtype=object))


def dense_solve(shape: tuple[int, ...]) -> int | None:
    if len(shape) < 2 or shape[-1] != shape[-2]:
        return None
    n = shape[-1]
    return int(np.prod(shape[:-2], dtype=object)) * (2 * n**3 // 3 + 2 * n**2)


def gain(shape: tuple[int, ...], finding: Finding) -> float:
    gains = [1.0]
    if finding.product is not None:
        gains.append(dense_product(shape) / max(finding.product, 1))
    dense = dense_solve(shape)
    if finding.solve is not None and dense is not None:
        gains.append(dense / max(finding.solve, 1))
    return max(gains)
