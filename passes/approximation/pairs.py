"""Constants that are compressed together: one product in a row with another, or several with the same operand.

    (X @ A) @ B                 X @ (A @ B): the inner basis is free, and one svd serves both
    X @ A, X @ B, X @ C         X @ U, then times V_A, V_B, V_C: the factor U is shared, and X @ U is computed once

Between the two of a pair there must be nothing, and nothing else may use what is between them: then both are linear
as one. So a bias, a rotation by position or a second use keep them apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tpc.ir.build import make
from tpc.ir.node import Node, topological
from tpc.ir.rewrite import rewrite
from tpc.passes.approximation.projected import Projected, Term
from tpc.passes.approximation.target import Array, kept
from tpc.passes.approximation.values import is_known

if TYPE_CHECKING:
    from tpc.passes.approximation.outputs import Spent

LEFT, RIGHT = ("matmul", "matvec"), ("matmul", "vecmat")  # products with a matrix on that side


def merged(value: Node) -> Node:
    """The value with constants multiplied first that follow each other."""
    uses = Counter(a for node in topological([value]) for a in node.args)

    def change(node: Node) -> Node:
        for side, names in ((1, RIGHT), (0, LEFT)):
            if node.op.name not in names or not _is_constant(node.args[side]):
                continue
            inner = node.args[1 - side]
            if inner.op.name in names and _is_constant(inner.args[side]) and uses[inner] <= 1:
                other = inner.args[1 - side]
                both = (inner.args[1], node.args[1]) if side else (node.args[0], inner.args[0])
                product = make("matmul", both)
                return make(node.op, (other, product) if side else (product, other))
        return node

    (found,) = rewrite([value], change)
    return found


def _is_constant(node: Node) -> bool:
    return isinstance(node.type, tuple) is False and node.tensor.rank == 2 and is_known(node)


@dataclass(frozen=True)
class Use:
    """What multiplies a constant, from which side, and whether it sums over its columns (those of W in X @ W')."""

    other: Node
    is_left: bool
    on_columns: bool


def operands(value: Node, constants: Sequence[Node]) -> dict[Node, Use]:
    """What multiplies each constant that is used once, in a product."""
    found: dict[Node, list[Use | None]] = {node: [] for node in constants}
    for node in topological([value]):
        for place, operand in enumerate(node.args):
            turned = operand.op.name == "transpose" and operand.args[0] in found
            source = operand.args[0] if turned else operand
            if source not in found or (node.op.name == "transpose" and not turned):
                continue
            is_product = node.op.name in (*LEFT, *RIGHT) and node.args[1 - place].tensor.rank in (1, 2)
            use = Use(node.args[1 - place], place == 1, (place == 0) != turned) if is_product else None
            found[source].append(use)
    return {node: uses[0] for node, uses in found.items() if len(uses) == 1 and uses[0] is not None}


def groups(met: Mapping[Node, Use]) -> Iterator[list[Node]]:
    """The constants that meet the same operand in the same way."""
    found: dict[Use, list[Node]] = {}
    for node, use in met.items():
        found.setdefault(use, []).append(node)
    yield from (nodes for nodes in found.values() if len(nodes) > 1)


# ---- one factor for several constants


def with_shared_factors(
    spent: Sequence[Spent], groups: Sequence[Sequence[Node]], within: Mapping[Node, float]
) -> list[Spent]:
    """The constants of each group with one factor in common, where that needs less than each by itself."""
    found = {s.node: s for s in spent}
    for group in groups:
        own = [found[node] for node in group if node in found]
        if len(own) > 1:
            found |= {s.node: s for s in _joined(own, within)}
    return list(found.values())


def _joined(own: Sequence[Spent], within: Mapping[Node, float]) -> list[Spent]:
    """Factors of all of them side by side; none where that is no gain.

    What counts is the data that they meet, which is the same for all: the shared factor spans what the products with
    it span most. Squares of errors add, so that the budgets of all are one.
    """
    from dataclasses import replace

    on_columns = own[0].target.columns is not None
    root = own[0].target.columns if on_columns else own[0].target.rows
    sides: list[Array] = [s.target.values.conj().T if on_columns else s.target.values for s in own]
    if len({len(A) for A in sides}) > 1:
        return []
    whole = np.concatenate([A / s.target.norm for A, s in zip(sides, own)], axis=1)
    shown = whole if root is None else root @ whole
    u, values, _ = np.linalg.svd(shown, full_matrices=False)
    rank = max(1, kept(values**2, float(np.sqrt(sum(within[s.node] ** 2 for s in own)))))
    m, n = whole.shape
    if 2 * rank * (m + n) >= sum(s.projected.work for s in own):
        return []
    basis = u[:, :rank]
    if root is not None:  # the space of the inputs whose products are u
        basis = np.linalg.qr(np.linalg.lstsq(root, basis, rcond=None)[0])[0]
    shared = "_".join(_called(s.node) for s in own) + "_U"
    found = []
    for s, A in zip(own, sides):
        projected = _factored(basis, _fitted(basis, A, root), on_columns, shared, len(own)).rounded(s.target.dtype)
        found.append(replace(s, projected=projected, error=s.target.error(projected.dense())))
    return found


def _factored(basis: Array, rest: Array, on_columns: bool, shared: str, count: int) -> Projected:
    (m, rank), n = basis.shape, rest.shape[1]
    term = Term("si,js->j,i", ("U", "V")) if on_columns else Term("is,sj->i,j", ("U", "V"))
    parts = {"U": basis.conj().T, "V": rest.conj().T} if on_columns else {"U": basis, "V": rest}
    about = f"rank {rank} of {min(m, n)}, with a factor that {count} constants share"
    return Projected("low rank", about, parts, (term,), 2 * rank * (m // count + n), shared={"U": shared})


def _fitted(basis: Array, A: Array, root: Array | None) -> Any:
    """What the basis is multiplied with to come closest to a matrix, as the data shows it."""
    if root is None:
        return basis.conj().T @ A
    return np.linalg.lstsq(root @ basis, root @ A, rcond=None)[0]


def _called(node: Node) -> str:
    name = str(node.get("name") or "value")
    return name if name.isidentifier() else "value"
