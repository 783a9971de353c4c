"""Adjoints of matrices that a few numbers fill: sums over the entries that each number stands in."""

from __future__ import annotations

from collections.abc import Sequence

from tpc.ir.build import make
from tpc.ir.node import Node
from tpc.passes.differentiate.rules.rule import Rule


def _circulant(node: Node, bars: Sequence[Node]) -> list[Node | None]:
    return [make("circulant_sums", (bars[0],))]


def _toeplitz(node: Node, bars: Sequence[Node]) -> list[Node | None]:
    return [make("diagonal_sums", (bars[0],))]


def _hankel(node: Node, bars: Sequence[Node]) -> list[Node | None]:
    return [make("diagonal_sums", (make("flip", (bars[0],), axis=1),))]


RULES: dict[str, Rule] = {"circulant": _circulant, "toeplitz": _toeplitz, "hankel": _hankel}
