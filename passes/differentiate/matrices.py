"""Adjoints of linear algebra: which line of `linalg.tp` or `complex.tp` holds for a node."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from tpc.ir.build import items, literal, make, zeros
from tpc.ir.dims import is_nonnegative
from tpc.ir.node import Node
from tpc.ir.ops.structure import ITEM, SUBSCRIPT, Range
from tpc.ir.types import C128, F64, TensorType
from tpc.passes.differentiate.arrays import conjugated, part, transposed
from tpc.passes.differentiate.formulas import no_derivative
from tpc.passes.library import Library

_ADJOINTS = Library(Path(__file__).with_name("linalg.tp"))
_OF_COMPLEX = Library(Path(__file__).with_name("complex.tp"))  # those that differ by more than conjugates of operands
_MATRIX_FUNCTIONS = ("expm", "logm", "sqrtm")
_TRIANGULAR = ("solve_lower", "solve_lower_vector", "solve_upper", "solve_upper_vector")
_SAME_FOR_COMPLEX = frozenset(
    ["inv", "solve", "solve_vector", "sylvester", *_TRIANGULAR, "lu", "lu_oblong", "det", "logdet", "matpow_power"]
)


def adjoint(
    node: Node,
    bars: Sequence[Node | None],
    whole: Sequence[Node],
    active: Collection[Node],
    symmetric: Collection[Node],
) -> Sequence[Node | None]:
    """What a node of linear algebra adds to the adjoints of its operands.

    Parameters
    ----------
    bars, whole
        Adjoints of its results: None where a result does not count, and with zeros in these places.
    """
    name, args = _form(node, bars, symmetric), list(node.args)
    if (of_trace := _of_trace(node, whole[0])) is not None and not (set(args[1:]) & set(active)):
        return [of_trace, *(None for _ in args[1:])]
    if name.removesuffix("_symmetric") == "matpow":
        base = applied(name, [*args, node, whole[0]])[0] if name != "matpow" else _corner(node, whole[0])
        power = _called("matpow_power", [args[0], node], whole)[0] if args[1] in active else None
        return [base, power]
    if name in _MATRIX_FUNCTIONS:
        return [_corner(node, whole[0])]
    if name == "eig" and bars[1] is None:
        return [_of_eigenvalues(node, bars[0])]
    if not _has(name):
        raise no_derivative(node.op.name, "it has none in the language yet")
    values = [*args, *items(node)]
    if node.op.name not in ("eigh", "eig", "svd"):
        return _called(name, values, whole)
    unit = literal(_nearly_equal(args[0].tensor))
    if name != "svd":
        return _called(name, values, [*whole, unit])
    (turned,) = _called(_of_singular_vectors(args[0].tensor), values, [*whole, unit])
    return _called("svd", values[1:], [whole[1], turned, unit])


def _called(name: str, values: Sequence[Node], others: Sequence[Node]) -> list[Node]:
    """The results of the adjoint of an op for its operands and values, and for adjoints."""
    if all(v.tensor.dtype.kind != "c" for v in values):
        return applied(name, [*values, *others])
    if f"{name}_adjoint" in _OF_COMPLEX:
        return applied(name, [*values, *others], _OF_COMPLEX)
    if name.removesuffix("_batch") in _SAME_FOR_COMPLEX:
        return applied(name, [*map(conjugated, values), *others])
    raise no_derivative(f"{name} of complex matrices", "only that of real ones is there yet")


def _of_eigenvalues(node: Node, bar: Node | None) -> Node | None:
    """The adjoint by the eigenvalues of any matrix alone, whose vectors may be of any length."""
    if bar is None:
        return None
    back = make("adjoint", (items(node)[1],))
    return make("solve", (back, make("mul", (make("unsqueeze", (bar,), axis=-1), back))))


def vectors_apart(vectors: Node, users: Sequence[Node]) -> Node | None:
    """Whether the values of those eigenvectors or singular vectors that are read are those of no others.

    A function of some vectors of a space that has no basis of its own has no derivative, though it may be at rest at
    the basis that was found. None for other nodes, and where all vectors are read.

    Parameters
    ----------
    users
        What reads the vectors; transposes come with what reads them.
    """
    pair = vectors.args[0] if vectors.op is ITEM else None
    if pair is None or pair.op.name not in ("eigh", "svd") or vectors.tensor.rank != 2:
        return None
    axis = {"eigh": {1: 1}, "svd": {0: 1, 2: 0}}[pair.op.name].get(vectors["position"])  # the one that counts vectors
    values = items(pair)[0 if pair.op.name == "eigh" else 1]
    read: Node | None = None
    if axis is None:
        return None
    for user in users:
        if user.op.name == "transpose":
            continue
        if user.op is not SUBSCRIPT or len(user.args) > 1:
            return None
        item = user["items"][axis if user.args[0] is vectors else 1 - axis]
        first, count = (item.start, item.count) if isinstance(item, Range) else (item.position, 1)
        if (isinstance(item, Range) and item.step != 1) or values.tensor.dims == (count,):
            return None
        ones = make("ones", dims=(count,), dtype=values.tensor.dtype)
        here = make("pad", (ones,), before=first, after=values.tensor.dims[0] - first - count)
        read = here if read is None else make("maximum", (read, here))
    return read and _ADJOINTS.called("are_apart", [values, read, literal(_nearly_equal(values.tensor))])[0]


def applied(name: str, arguments: Sequence[Node], adjoints: Library = _ADJOINTS) -> list[Node]:
    """The results of the adjoint of an op for arguments."""
    return adjoints.called(f"{name}_adjoint", arguments)


def _has(name: str) -> bool:
    return f"{name}_adjoint" in _ADJOINTS or f"{name}_adjoint" in _OF_COMPLEX


def _form(node: Node, bars: Sequence[Node | None], symmetric: Collection[Node]) -> str:
    """The name of an op with what the operands and results say about its adjoint."""
    name, args = node.op.name, node.args
    if name == "solve_triangular":
        name = "solve_lower" if node["lower"] else "solve_upper"
    if name == "lstsq" and is_nonnegative(args[0].tensor.dims[-2] - args[0].tensor.dims[-1]):
        name = "lstsq_tall"
    if name in ("eigh", "svd"):
        vectors, values = (bars[1:], bars[:1]) if name == "eigh" else (bars[::2], bars[1:2])
        if all(b is None for b in vectors):
            return f"{name}_values"
        if values[0] is None:
            return f"{name}_vectors" if name == "eigh" else _of_singular_vectors(args[0].tensor)
    if name == "lu" and args[0].tensor.dims[-2] != args[0].tensor.dims[-1]:
        name = "lu_oblong"
    if name == "qr" and not is_nonnegative(args[0].tensor.dims[-2] - args[0].tensor.dims[-1]):
        name = "qr_wide"
    if len(args) == 2 and args[1].tensor.rank == 1:
        name += "_vector"
    if args[0].tensor.rank > 2 and _has(f"{name}_batch"):
        name += "_batch"
    if args[0] in symmetric and args[0].tensor.dtype.kind != "c" and _has(f"{name}_symmetric"):
        name += "_symmetric"
    return name


def _of_singular_vectors(type: TensorType) -> str:
    """The name of an adjoint with what the shape of a matrix says about it."""
    over, name = type.dims[-2] - type.dims[-1], "svd_vectors"
    if type.dtype.kind == "c":
        return name
    return f"{name}_tall" if is_nonnegative(over) else f"{name}_wide" if is_nonnegative(-over) else name


def _nearly_equal(type: TensorType) -> float:
    """The distance of eigenvalues, as a part of their norm, up to which they may be equal but for rounding."""
    return 1e-12 if type.dtype in (F64, C128) else 1e-5


def _of_trace(node: Node, bar: Node) -> Node | None:
    """The adjoint c * f'(A)' of c * trace(f(A)), which takes no eigenvalues; None for other adjoints and ops."""
    if bar.op.name != "mul" or bar.args[0].tensor.rank or bar.args[1].op.name != "eye":
        return None
    by, a = bar.args[0], node.args[0]
    match node.op.name:
        case "expm":
            slope = node
        case "logm":
            slope = make("inv", (a,))
        case "sqrtm":
            by, slope = make("mul", (literal(0.5), by)), make("inv", (node,))
        case "matpow":
            power = node.args[1]
            by, slope = make("mul", (power, by)), make("matpow", (a, make("sub", (power, literal(1.0)))))
        case _:
            return None
    return make("mul", (by, transposed(conjugated(slope))))


def _corner(node: Node, bar: Node) -> Node:
    """The adjoint of a matrix function: f([A, E; 0, A]) has its derivative along E in the corner (Mathias 1996)."""
    a = node.args[0]
    n = a.tensor.dims[-1]
    turned = transposed(conjugated(a))
    upper = make("concat", (turned, bar), axis=-1)
    lower = make("concat", (zeros(a.tensor), turned), axis=-1)
    whole = make(node.op, (make("concat", (upper, lower), axis=-2), *node.args[1:]), **dict(node.attributes))
    return part(part(whole, -2, 0, n), -1, n, n)
