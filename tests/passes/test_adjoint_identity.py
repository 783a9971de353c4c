"""Forward and reverse mode of every op that has an exact meaning are adjoint to each other, modulo a prime.

sum(w * (J @ v)) == sum(v * (J' @ w))
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from tests.ir.op_cases import CASES
from tests.passes.test_differentiate import NO_FLOATS, PRIME, REFUSED, SPARSE, Site

from tpc.ir.build import input_node, make
from tpc.ir.node import Node, Program
from tpc.ir.ops import OPS
from tpc.ir.reference import evaluate, modular
from tpc.passes.differentiate.forward import tangents
from tpc.passes.differentiate.prepare import prepared
from tpc.passes.differentiate.reverse import adjoints

# Formulas that residues have no meaning of: they compare, or take roots and exponentials.
NOT_EXACT = {
    *("max", "min", "cummax", "clip", "std", "norm", "mod", "exp", "logsumexp"),
    *("softmax", "log_softmax", "layernorm", "rmsnorm", "cross_entropy"),
}
FIRST: dict[str, int] = {}  # one case of each op, of real numbers
for number, (name, arrays, *_) in enumerate(CASES):
    if arrays and not any(np.asarray(a).dtype.kind == "c" for a in arrays):
        FIRST.setdefault(name, number)
OTHERS = {"surrogate", "adjoint", "vdot", "median", "logm", "sqrtm", "expm", "lstsq", "pinv", "lu", "quantized_matmul"}
LEFT_OUT = {*REFUSED, *NO_FLOATS, *SPARSE, *NOT_EXACT, *OTHERS}
NAMES = sorted(n for n in FIRST if n not in LEFT_OUT and (OPS[n].has_formula or OPS[n].exact is not None))


def total(parts: Sequence[tuple[Node, Node | None]]) -> Node:
    """The sum of the inner products of pairs."""
    found = [make("sum", (make("mul", (a, b)),)) for a, b in parts if b is not None]
    whole = found[0]
    for more in found[1:]:
        whole = make("add", (whole, more))
    return whole


@pytest.mark.parametrize("name", NAMES)
def test_forward_and_reverse_agree_exactly(name: str) -> None:
    _, arrays, attributes = CASES[FIRST[name]][:3]
    rng = np.random.default_rng(0)
    site = Site(name, arrays, attributes, rng)
    outputs = prepared(site.program).outputs
    ways = [input_node(f"v{k}", w.tensor) for k, w in enumerate(site.wanted)]
    ahead = tangents(outputs, dict(zip(site.wanted, ways, strict=True)))
    back = adjoints(outputs, site.bars, site.wanted)
    pairs = (list(zip(site.bars, ahead, strict=True)), list(zip(ways, back, strict=True)))
    both = Program("both", (*site.inputs, *site.bars, *ways), [total(p) for p in pairs])
    operands = []
    for number, node in enumerate(both.inputs):
        drawn = rng.integers(1, 1000, [int(d) for d in node.tensor.dims]).astype(float)
        operands.append(drawn if node.tensor.dtype.kind == "f" else site.arrays[number])
    one, other = evaluate(both, operands, {}, modular(PRIME))
    assert np.ravel(one)[0] == np.ravel(other)[0]


def test_formulas_are_among_them() -> None:
    assert {"matmul", "kron", "var", "conv", "linear_attention", "toeplitz_matmul"} <= set(NAMES)
