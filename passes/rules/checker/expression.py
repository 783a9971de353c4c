"""One expression of a rule as a program, its values at one point or at many, and whether it has one there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tpc.ir.node import Program
from tpc.ir.op import Misfit
from tpc.ir.reference import Domain
from tpc.ir.reference import evaluate as run
from tpc.passes.rules.checker.many import at_many

# What floats cannot tell: whether a determinant is zero; and that a function of a matrix is not real is no value.
IN_FLOATS = {"logdet": "clear", "sqrtm": "root", "matpow": "root", "logm": "root"}


class Undefined(Exception):
    """An expression has no value at a point, such as the inverse of a singular matrix."""


class Doubtful(Exception):
    """Floats cannot tell whether an expression has a value at a point."""


@dataclass
class Expression:
    """An expression as a program; `promised` are the facts that make it defined, of its further outputs."""

    program: Program
    promised: list[str]

    def value(self, arrays: Sequence[Any], sizes: Mapping[str, int], domain: Domain) -> Any:
        """The value at a point.

        Raises
        ------
        Undefined, Doubtful
        """
        import numpy as np

        try:
            value, *operands = run(self.program, arrays, sizes, domain)
        except (ValueError, IndexError, ZeroDivisionError, np.linalg.LinAlgError) as problem:
            raise Undefined(str(problem)) from problem
        if domain.name == "float":
            for fact, operand in zip(self.promised, operands, strict=True):
                _keep_promise(np, fact, operand)
            if "root" in self.promised and not np.isfinite(value).all():
                raise Undefined("a function of a matrix is not real")
        return value

    @cached_property
    def wide(self) -> Program | None:
        """The program at many points; None where an op of it has no batch axes."""
        try:
            return at_many(self.program)
        except Misfit:
            return None

    def values(self, arrays: Sequence[Any], sizes: Mapping[str, int], domain: Domain) -> tuple[Any, Any]:
        """The values at many points in floats, and marks of the points where they surely have a meaning.

        Raises
        ------
        Undefined
            If there is no value at some of them.
        """
        import numpy as np

        many = len(arrays[0])
        if self.wide is None:
            return self._one_by_one(arrays, sizes, domain)
        try:
            value, *operands = run(self.wide, arrays, {**sizes, "points": many}, domain)
        except (ValueError, IndexError, ZeroDivisionError, np.linalg.LinAlgError) as problem:
            raise Undefined(str(problem)) from problem
        sure = np.ones(many, bool)
        if domain.name == "float":
            for fact, operand in zip(self.promised, operands, strict=True):
                sure &= _surely(np, fact, operand)
            if "root" in self.promised:
                sure &= np.isfinite(value).reshape(many, -1).all(1)
        return value, sure

    def _one_by_one(self, arrays: Sequence[Any], sizes: Mapping[str, int], domain: Domain) -> tuple[Any, Any]:
        import numpy as np

        found: list[Any] = []
        for number in range(len(arrays[0])):
            try:
                found.append(self.value([a[number] for a in arrays], sizes, domain))
            except (Undefined, Doubtful):
                found.append(None)
        known = [value for value in found if value is not None]
        if not known:
            raise Undefined("there is a value at no point")
        sure = np.array([value is not None for value in found])
        return np.stack([known[0] * np.nan if value is None else value for value in found]), sure


def _keep_promise(np: Any, fact: str, A: Any) -> None:
    if 0 in A.shape or (fact == "clear" and not A.any()):
        return
    if fact == "root":  # of a symmetric matrix by its eigenvalues, else by methods that fail near singular ones
        if np.array_equal(A, A.swapaxes(-1, -2)):
            return
        fact = "clear"
    if not np.isfinite(A).all():
        raise Undefined("an operand is not finite")
    scale = np.abs(A).max(initial=0.0)
    if fact in ("spd", "symmetric"):
        if np.abs(A - A.swapaxes(-1, -2)).max() > 1e-9 * scale:
            raise Undefined("not symmetric")
        if fact == "symmetric":
            return
    values = np.linalg.eigvalsh(A) if fact == "spd" else np.linalg.svd(A, compute_uv=False)[..., ::-1]
    if fact == "clear":
        fact, values = "nonsingular", np.maximum(values, 1e-12 * scale * A.shape[-1])
    if values[..., 0].min() <= 1e-13 * scale * A.shape[-1]:
        raise Undefined(f"not {fact}")
    if values[..., 0].min() <= 1e-5 * scale:
        raise Doubtful


def _surely(np: Any, fact: str, A: Any) -> Any:
    """Marks of the matrices that have a promised fact beyond doubt."""
    if 0 in A.shape:
        return np.ones(len(A), bool)
    finite = np.isfinite(A).all((1, 2))
    A = np.where(finite[:, None, None], A, 0)
    scale = np.abs(A).max((1, 2))
    symmetric = np.abs(A - A.swapaxes(1, 2)).max((1, 2)) <= 1e-9 * scale if A.shape[1] == A.shape[2] else False
    if fact == "symmetric":
        return finite & symmetric
    values = np.linalg.eigvalsh(A) if fact == "spd" else np.linalg.svd(A, compute_uv=False)[:, ::-1]
    clear = finite & (values[:, 0] > 1e-5 * scale)
    return clear & symmetric if fact == "spd" else clear | symmetric if fact == "root" else clear
