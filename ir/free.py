"""Functions that a field has no meaning for, as random but consistent ones: equal operands give equal values.

Two programs that agree whatever these functions are agree for the true ones too. Some meaning is kept, of what
programs use most: a number is positive where it is a square, as half of all are, so that roots, signs, maxima and
Cholesky factors obey the laws that they have for real numbers (for a prime that is 3 modulo 4, -1 is no square).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b
from itertools import product
from typing import Any

import numpy as np

from tpc.dsl.diagnostics import fail
from tpc.ir.residue import MOST_EXPONENT, Gaussian, Residue, square_root


class FreeFunctions:
    """One choice of all these functions.

    Attributes
    ----------
    applied
        How often each was applied; `order` counts the decisions by sign.
    """

    def __init__(self, prime: int, seed: int) -> None:
        self.prime, self.seed = prime, seed
        self.applied: dict[str, int] = {}

    def count(self, name: str, times: int = 1) -> None:
        self.applied[name] = self.applied.get(name, 0) + times

    def number(self, *key: object) -> Residue:
        digest = blake2b(repr((self.seed, key)).encode(), digest_size=32).digest()
        return Residue(int.from_bytes(digest, "little"), self.prime)

    def array(self, values: Any) -> Any:
        """The entries as numbers of the field."""
        if values.dtype == object:
            return values
        return _each(lambda x: Residue(int(x), self.prime), values)

    # ---- functions of entries

    def scalar(self, name: str, values: Sequence[Any]) -> Any:
        """A scalar function, entry by entry."""
        values = np.broadcast_arrays(*(self.array(v) for v in values))
        known: Callable[..., Any] | None = getattr(self, f"_{name}", None)
        truth = name in ("lt", "le", "gt", "ge", "isnan", "isinf", "isfinite")
        result = _each(known or (lambda *x: self._applied(name, x)), *values)
        return result.astype(bool) if truth else result

    def _applied(self, name: str, operands: Sequence[Any]) -> Residue:
        self.count(name)
        return self.number(name, *map(repr, operands))

    def _is_positive(self, x: Any) -> bool:
        self.count("order")
        if isinstance(x, Gaussian):  # one of x and -x, whichever
            first, second = sorted((repr(x), repr(-x)))
            return (self.number("sign", first, second).value % 2 == 0) == (repr(x) == first)
        return x != 0 and isinstance(square_root(x), Residue)

    def _gt(self, x: Any, y: Any) -> bool:
        return self._is_positive(x - y)

    def _lt(self, x: Any, y: Any) -> bool:
        return self._is_positive(y - x)

    def _ge(self, x: Any, y: Any) -> bool:
        return not self._is_positive(y - x)

    def _le(self, x: Any, y: Any) -> bool:
        return not self._is_positive(x - y)

    def _maximum(self, x: Any, y: Any) -> Any:
        return x if self._is_positive(x - y) else y

    def _minimum(self, x: Any, y: Any) -> Any:
        return y if self._is_positive(x - y) else x

    def _relu(self, x: Any) -> Any:
        return x if self._is_positive(x) else x * 0

    def _abs(self, x: Any) -> Any:
        return x if self._is_positive(x) else -x

    def _sign(self, x: Any) -> Any:
        return Residue(0 if x == 0 else 1 if self._is_positive(x) else -1, self.prime)

    def _isfinite(self, x: Any) -> bool:
        return True

    def _isnan(self, x: Any) -> bool:
        return False

    _isinf = _isnan

    def _sqrt(self, x: Any) -> Any:
        self.count("sqrt")
        return self._applied("sqrt of a root", [x]) if isinstance(x, Gaussian) else square_root(x)

    def _rsqrt(self, x: Any) -> Any:
        return 1 / self._sqrt(x)

    def _hypot(self, x: Any, y: Any) -> Any:
        return self._sqrt(x * x + y * y)

    def _pow(self, x: Any, y: Any) -> Any:
        if isinstance(y, Residue) and abs(int(y)) < MOST_EXPONENT:
            return x ** int(y)
        if y * 2 == 1:
            return self._sqrt(x)
        return 1 / self._sqrt(x) if y * 2 == -1 else self._applied("pow", [x, y])

    # ---- functions of several entries

    def reduction(self, operator: str, body: Any, count: int) -> Any:
        """`max`, `min`, `logsumexp` depend on the entries alone; `argmax`, `argmin` on their order too."""
        outer = body.shape[: body.ndim - count]
        flat = self.array(body).reshape((*outer, -1))
        position = operator.startswith("arg")
        out = np.empty(outer, dtype=object)
        for place in np.ndindex(outer):
            entries = [repr(x) for x in flat[place]]
            value = self._applied(operator, entries if position else sorted(entries))
            out[place] = value.value % max(len(entries), 1) if position else value
        return out.astype(np.int64) if position else out

    def matrices(self, op: str, attributes: dict[str, Any], args: list[Any], shapes: list[Any]) -> list[Any]:
        """An op of whole arrays, for results of these shapes and kinds (`(shape, kind)`)."""
        if op == "cholesky":
            return [_each_matrix(self._cholesky, args[0])]
        if op in ("logdet", "lu_logdet"):
            from tpc.ir.ops import OPS

            determinant = OPS["det" if op == "logdet" else "lu_det"].exact
            assert determinant is not None
            return [self.scalar("log", [np.asarray(determinant(args, attributes), dtype=object)])]
        if any(kind not in "fi" for _, kind in shapes):
            raise fail("E0905", f"`{op}` has no exact meaning")
        self.count(op)
        key = (op, sorted(attributes.items()), [(np.shape(a), [repr(x) for x in np.asarray(a).flat]) for a in args])
        results = []
        for number, (shape, kind) in enumerate(shapes):
            if kind == "i":
                raise fail("E0905", f"`{op}` has no exact meaning")
            out = np.empty(shape, dtype=object)
            first = self.number(number, key)
            for place in product(*map(range, shape)):
                out[place] = self.number(first, place)
            results.append(out)
        return results

    def _cholesky(self, A: Any) -> Any:
        """L with `L @ L.T = A`; the lower triangle of A is read. Raises ValueError where a pivot is zero."""
        n = len(A)
        L = self.array(np.zeros((n, n), int))
        for k in range(n):
            pivot = A[k, k] - sum(L[k, j] * L[k, j] for j in range(k))
            if pivot == 0:
                raise ValueError("a pivot is zero")
            L[k, k] = self._sqrt(pivot)
            for i in range(k + 1, n):
                L[i, k] = (A[i, k] - sum(L[i, j] * L[k, j] for j in range(k))) / L[k, k]
        return L


def _each(function: Callable[..., Any], *arrays: Any) -> Any:
    out = np.empty(arrays[0].shape, dtype=object)
    for place in np.ndindex(out.shape):
        out[place] = function(*(a[place] for a in arrays))
    return out


def _each_matrix(function: Callable[[Any], Any], array: Any) -> Any:
    out = np.empty(array.shape, dtype=object)
    for place in np.ndindex(array.shape[:-2]):
        out[place] = function(array[place])
    return out
