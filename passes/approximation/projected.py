"""A structured array: parts that are stored, and what they mean, said once for NumPy and for programs.

    terms = sum of products of parts over letters        "is,sj->i,j"          U @ V
                                                         "jiks,kjls->ij,kl"    Monarch: axes (i j) and (k l)
            or of a part spread over entries             "diagonal"            d[i] where i = j

Letters that the result does not have are summed; an axis of the result may be several letters, the last running
fastest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tpc.ir.build import make
from tpc.ir.dims import DimLike
from tpc.ir.formula import Access, Apply, Formula, LetterValue, Reduction, Scalar
from tpc.ir.node import Node
from tpc.ir.ops.structure import CONSTANT, INDEX, ConstantData
from tpc.ir.types import F16, I8, I32, DType, TensorType
from tpc.passes.approximation.coded import CODED
from tpc.passes.approximation.lines import mixed, slid, turned

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Term:
    """A product of parts, by their names, as `meaning` says; or what `SPREAD` knows under this name."""

    meaning: str
    parts: tuple[str, ...]
    dims: tuple[int, ...] = ()  # of what a part is spread over, where its own size does not tell

    def dense(self, parts: Mapping[str, Array]) -> Array:
        """The array that it means."""
        return _spread(self, [parts[name] for name in self.parts])


@dataclass(frozen=True)
class Projected:
    """An array that stands for another, close to it.

    Attributes
    ----------
    name, about
        Such as `low rank`, and what it is of: `rank 12 of 512`.
    parts
        What is stored, in the precision in which it is used.
    terms
        What they mean: the sum of these.
    work
        Operations of a product with one vector, which candidates are ranked by before any is priced.
    optimal
        Whether no array of this structure is closer, in the Frobenius norm.
    shared
        What parts are called that stand in other structures, too.
    """

    name: str
    about: str
    parts: Mapping[str, Array]
    terms: tuple[Term, ...]
    work: int
    optimal: bool = False
    shared: Mapping[str, str] = field(default_factory=dict)

    @property
    def stored(self) -> int:
        """How many numbers are stored."""
        return sum(part.size for part in self.parts.values())

    @property
    def bytes(self) -> int:
        return sum(part.nbytes for part in self.parts.values())

    def rounded(self, dtype: DType) -> Projected:
        """The same with parts in the format of the program; codes have formats of their own."""
        parts = {name: np.ascontiguousarray(part, _format(part, dtype).numpy) for name, part in self.parts.items()}
        return Projected(self.name, self.about, parts, self.terms, self.work, self.optimal, self.shared)

    def dense(self) -> Array:
        """The array, from the parts as they are stored, in double precision."""
        parts = {name: part.astype(np.result_type(part, np.float64)) for name, part in self.parts.items()}
        return sum_of(term.dense(parts) for term in self.terms)

    def nodes(self, name: str, dtype: DType) -> list[Node]:
        """The parts as constants, then all that is made of them; the last is the array."""
        constants = {
            part: constant(self.shared.get(part, f"{name}_{part}"), values, _format(values, dtype))
            for part, values in self.parts.items()
        }
        made: list[Node] = []
        for term in self.terms:
            before = made[-1:]
            made += _node(term, [constants[part] for part in term.parts])
            if before:
                made.append(make("add", (before[0], made[-1])))
        return [*constants.values(), *made]


def _format(part: Array, dtype: DType) -> DType:
    return {"int8": I8, "int32": I32, "float16": F16}.get(part.dtype.name, dtype)


def sum_of(arrays: Iterator[Array]) -> Array:
    total = next(arrays)
    for array in arrays:
        total = total + array
    return total


def constant(name: str, values: Array, dtype: DType) -> Node:
    """Values that were computed when the program was compiled, as a constant of it."""
    array = np.array(values, dtype.numpy)
    array.flags.writeable = False
    digest = hashlib.sha256(f"{array.dtype.str}{array.shape}".encode())
    digest.update(array.tobytes())
    data = ConstantData(f"{name}.npy", digest.hexdigest(), array)
    return Node(CONSTANT, (), (("name", name), ("data", data)), TensorType(dtype, array.shape))


# ---- products over letters


def _letters(meaning: str) -> tuple[list[str], list[str]]:
    left, right = meaning.split("->")
    return left.split(","), right.split(",")


def _spread(term: Term, parts: Sequence[Array]) -> Array:
    if term.meaning in SPREAD:
        return SPREAD[term.meaning][0](*parts, *term.dims)
    inputs, axes = _letters(term.meaning)
    whole: Array = np.einsum(f"{','.join(inputs)}->{''.join(axes)}", *parts, optimize=True)
    extent = dict(zip("".join(axes), whole.shape, strict=True))
    shaped: Array = whole.reshape([int(np.prod([extent[n] for n in axis])) for axis in axes])
    return shaped


def _node(term: Term, parts: Sequence[Node]) -> list[Node]:
    if term.meaning in SPREAD:
        return SPREAD[term.meaning][1](*parts, *term.dims)
    inputs, axes = _letters(term.meaning)
    if (term.meaning, len(parts)) == ("is,sj->i,j", 2):
        return [make("matmul", parts)]
    extents = {n: dim for letters, part in zip(inputs, parts) for n, dim in zip(letters, part.tensor.dims)}
    output = "".join(axes)
    body: Scalar = _access(0, inputs[0])
    for number, letters in enumerate(inputs[1:], 1):
        body = Apply("mul", (body, _access(number, letters)))
    summed = tuple(n for n in extents if n not in output)
    if summed:
        body = Reduction("sum", summed, None, body)
    order = [*output, *summed]
    formula = Formula(tuple((n,) for n in output), tuple((n, extents[n]) for n in order), body)
    whole = make(INDEX, parts, formula=formula)
    if all(len(axis) == 1 for axis in axes):
        return [whole]
    dims = []
    for axis in axes:
        size: DimLike = 1
        for n in axis:
            size = size * extents[n]
        dims.append(size)
    return [whole, make("reshape", (whole,), dims=tuple(dims))]


def _access(operand: int, letters: str) -> Access:
    return Access(operand, tuple(LetterValue(n) for n in letters))


# ---- parts spread over the entries of a matrix


def _diagonal(d: Node) -> list[Node]:
    return [make("diag", (d,))]


def _blocks(B: Array) -> Array:
    number, a, b = B.shape
    whole = np.zeros((number, a, number, b), B.dtype)
    at = np.arange(number)
    whole[at, :, at] = B
    return whole.reshape(number * a, number * b)


def _block_nodes(B: Node) -> list[Node]:
    number, a, b = B.tensor.dims
    same = make("eye", i=number, dtype=B.tensor.dtype)
    return [same, *_node(Term("hij,hk->hi,kj", ("B", "same")), [B, same])]


def _banded(D: Array, below: int, n: int) -> Array:
    whole = np.zeros((D.shape[1], n), D.dtype)
    for o, entries in enumerate(D):
        rows = np.arange(max(0, below - o), min(D.shape[1], n + below - o))
        whole[rows, rows + o - below] = entries[rows]
    return whole


def _toeplitz(t: Array, m: int, n: int) -> Array:
    """The matrix with t[i - j + n - 1] at i and j."""
    return slid(t[::-1], (m, n))[::-1]


def _hankel(t: Array, m: int, n: int) -> Array:
    return slid(t, (m, n))


def _scattered(values: Array, columns: Array, starts: Array, n: int) -> Array:
    whole = np.zeros((len(starts) - 1, n), values.dtype)
    rows = np.repeat(np.arange(len(whole)), np.diff(starts).astype(np.int64))
    whole[rows, columns.astype(np.int64)] = values
    return whole


def _sparse_nodes(values: Node, columns: Node, starts: Node, n: int) -> list[Node]:
    return [make("sparse_matrix", (values, columns, starts), m=n)]


def _crossed(*parts: Any) -> Array:
    """C @ L @ R of sparse C and R; last come the columns of both."""
    c1, c2, c3, L, r1, r2, r3, rank, n = parts
    found: Array = _scattered(c1, c2, c3, rank) @ L @ _scattered(r1, r2, r3, n)
    return found


def _crossed_nodes(*parts: Any) -> list[Node]:
    c1, c2, c3, L, r1, r2, r3, rank, n = parts
    (left,), (right,) = _sparse_nodes(c1, c2, c3, rank), _sparse_nodes(r1, r2, r3, n)
    inner = make("matmul", (left, L))
    return [left, right, inner, make("matmul", (inner, right))]


def _sparse_product(*parts: Any) -> Array:
    """L @ R of sparse matrices; last come the columns of both."""
    l1, l2, l3, r1, r2, r3, rank, n = parts
    found: Array = _scattered(l1, l2, l3, rank) @ _scattered(r1, r2, r3, n)
    return found


def _sparse_product_nodes(*parts: Any) -> list[Node]:
    l1, l2, l3, r1, r2, r3, rank, n = parts
    (left,), (right,) = _sparse_nodes(l1, l2, l3, rank), _sparse_nodes(r1, r2, r3, n)
    return [left, right, make("matmul", (left, right))]


def decaying(a: Array, B: Array, C: Array) -> Array:
    """The lower triangle with C[i] * a[i] * .. * a[j + 1] * B[j], summed over states."""
    whole, states = np.zeros((len(a), len(a)), a.dtype), np.zeros_like(B)
    for i, row in enumerate(whole):
        states *= a[i]
        states[i] = B[i]
        row[:] = states @ C[i]
    return whole


def _turned_decay(*parts: Node) -> list[Node]:
    lower = make("semiseparable", parts)
    return [lower, make("transpose", (lower,))]


def _called(name: str) -> Callable[..., list[Node]]:
    """The matrix by an op of that name."""
    return lambda part, *dims: [make(name, (part,), **({"m": dims[0]} if dims else {}))]


SPREAD: dict[str, tuple[Callable[..., Array], Callable[..., list[Node]]]] = {
    "diagonal": (np.diag, _diagonal),
    "block diagonal": (_blocks, _block_nodes),
    "banded": (_banded, lambda D, below, n: [make("from_diagonals", (D,), below=below, n=n)]),
    "circulant": (turned, _called("circulant")),
    "xor_circulant": (mixed, _called("xor_circulant")),
    "toeplitz": (_toeplitz, _called("toeplitz")),
    "hankel": (_hankel, _called("hankel")),
    "semiseparable": (decaying, lambda *parts: [make("semiseparable", parts)]),
    "semiseparable turned": (lambda *parts: decaying(*parts).T, _turned_decay),
    **CODED,
    "sparse": (_scattered, _sparse_nodes),
    "sparse product": (_sparse_product, _sparse_product_nodes),
    "cross": (_crossed, _crossed_nodes),
}
