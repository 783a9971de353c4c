"""Why arrays that are declared sparse are stored with all of their entries, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING

from tpc.explanation.words import seconds_text
from tpc.ir.node import Node
from tpc.ir.ops.structure import CONSTANT
from tpc.ir.types import BF16, F16
from tpc.passes.sparse import seconds_by_entries
from tpc.passes.sparse.constants import declared

if TYPE_CHECKING:
    from tpc.passes.choose.prices import Prices
    from tpc.passes.pipeline import Plan


def stays_dense(plan: Plan, prices: Prices, at: Mapping[str, int], backend: str) -> Iterator[str]:
    """A sentence for each array."""
    program = plan.program
    stored = {operand for node in program.nodes if node.op.name in ("csr", "to_csr") for operand in node.args}
    constants = declared(program)
    for node, facts in program.facts:
        if node in stored or node.tensor.rank != 2 or not any(fact.name == "sparse" for fact in facts):
            continue
        yield f"{node['name']}: {_why(plan, node, constants.get(node), prices, at, backend)}"


def _why(plan: Plan, node: Node, density: float | None, prices: Prices, at: Mapping[str, int], backend: str) -> str:
    if node.tensor.dtype in (F16, BF16):
        return "there are no sparse kernels in half precision"
    if backend != "numpy":
        return f"the backend {backend} has no sparse kernels for it"
    if node.op is not CONSTANT:
        return "it is an argument: give it as a matrix of scipy.sparse, or declare it `param` and `prepare` it"
    if density is None:
        return "nothing is known of its entries"
    native = find_spec("llvmlite") is not None
    dense, by_entries = seconds_by_entries(plan.program, {node: density}, prices, at, native)
    if by_entries < dense:
        return "what it is used for has no sparse kernels"
    return (
        f"{density:.0%} of its entries are not zero, and by these alone the plan is predicted to take "
        f"{seconds_text(by_entries)} instead of {seconds_text(dense)}"
    )
