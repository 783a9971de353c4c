"""What is right as it is written, but hardly meant."""

from __future__ import annotations

from collections.abc import Mapping

from tpc.dsl.diagnostics import Diagnostics
from tpc.dsl.source import Span
from tpc.ir.build import literal_value
from tpc.ir.node import Node, Program
from tpc.ir.ops.structure import INPUT

OF_SYSTEMS = ("inv", "solve", "cholesky", "logdet", "det", "slogdet")


def warn_doubtful(program: Program, spans: Mapping[Node, Span], diagnostics: Diagnostics) -> None:
    """Warn of `inv(X' @ X + s)`, which adds s to all entries, and of `b - A * x`, which is a matrix."""
    for node in program.walk():
        product = next((a for a in node.args if _scales_square(a)), None) if node.op.name in ("add", "sub") else None
        if product is not None and product in spans and any(a.tensor.rank == 1 for a in node.args):
            diagnostics.add(
                "W0306",
                "a vector is added to a square matrix, of which `*` scales the columns",
                spans[product],
                help="`*` works entry by entry; the product of a matrix and a vector is `A @ x`",
            )
    matrices = dict.fromkeys(n.args[0] for n in program.walk() if n.op.name in OF_SYSTEMS)
    for matrix in matrices:
        sums = matrix.args if matrix.op.name in ("add", "sub") else ()
        number = next((a for a in sums if not a.tensor.rank), None)
        if number is not None and matrix in spans:
            diagnostics.add(
                "W0305",
                "a number is added to every entry of a matrix that a system is solved with",
                spans[matrix],
                help=f"the diagonal alone changes by `{_text(number, spans)} * eye({matrix.tensor.dims[-1]})`",
            )


def _scales_square(node: Node) -> bool:
    """Whether a value is the product of the entries of a square matrix and of a vector."""
    if node.op.name != "mul" or [a.tensor.rank for a in node.args] not in ([1, 2], [2, 1]):
        return False
    rows, columns = node.tensor.dims
    return rows == columns


def _text(number: Node, spans: Mapping[Node, Span]) -> str:
    if number.op is INPUT:
        return str(number["name"])
    value = literal_value(number)
    return str(value) if value is not None else spans[number].text if number in spans else "s"
