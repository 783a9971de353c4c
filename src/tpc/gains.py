"""What native code of a plan would spare at a call."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from tpc.backends.llvm.routines import FACTORS
from tpc.ir.dims import DimLike, product
from tpc.ir.node import Node, Program
from tpc.ir.ops.structure import CALL, INPUT, LITERAL, SIZE
from tpc.ir.types import TensorType
from tpc.passes.count import is_view
from tpc.passes.kernels import Kernel, kernels_of

if TYPE_CHECKING:
    from tpc.passes.choose.short import Polynomial, Shortener

LIBRARY = frozenset(["gemm", "syrk", "gemv", "gevm", "dot", "ger"])
SPARED = 0.5  # of the seconds of NumPy where several steps are one, or an index expression is reduced as it is made
LOOPS = 0.9  # of the seconds of loops, which are mostly Python's
ENTRY = 1e-6  # seconds of a call from Python, where native code is all of a program


def gain(program: Program) -> Polynomial:
    """The seconds that are spared at a call of a plan by its native functions, by its sizes.

    It is an estimate to begin with: whether native code is faster is measured when it is there.
    """
    from tpc.backends.llvm.lower import refusal
    from tpc.backends.llvm.regions import Outliner
    from tpc.passes.choose.short import Shortener
    from tpc.passes.cost import profile

    outliner = Outliner(refusal)
    outlined = outliner.program(program)
    bodies = frozenset(outliner.bodies)
    total: dict[DimLike, float] = {}
    _add(outlined, bodies, 1, Shortener(profile("numpy", threads=1)), total)
    if all(node.op in (INPUT, CALL) or node.op.name == "item" for node in outlined.nodes):
        total[1] = total.get(1, 0.0) + ENTRY
    return tuple((size, seconds) for size, seconds in total.items() if size != 0 and seconds > 0)


def _add(
    program: Program, bodies: frozenset[Program], times: DimLike, prices: Shortener, total: dict[DimLike, float]
) -> None:
    for node in program.nodes:
        if node.op is CALL and node["body"] in bodies:
            made = [n for n in node["body"].nodes if n.op not in (INPUT, LITERAL, SIZE) and not is_view(n)]
            if len(made) > 1 or any(map(_is_reduced, made)):
                for is_loop, part in ((False, SPARED), (True, LOOPS)):
                    nodes = [n for n in made if bool(n.programs) is is_loop]
                    kernels = Counter(_spared(n, k) for n in nodes for k in kernels_of(n))
                    for size, seconds in prices.polynomial(kernels, 0.0).items():
                        whole = product([size, times])
                        total[whole] = total.get(whole, 0.0) + part * seconds
            continue
        count: DimLike | None = 1
        if node.op.name in ("repeat", "scan"):
            count = node["count"] if node.op.name == "repeat" else node["extent"]
        for inner in node.programs:
            _add(inner, bodies, product([times, 1 if count is None else count]), prices, total)


def _spared(node: Node, kernel: Kernel) -> Kernel:
    """The kernel of a node, or what Python takes of it where it is a call of a library in native code too."""
    if kernel.name not in LIBRARY and node.op.name not in FACTORS:
        return kernel
    return replace(kernel, sizes=(1,) * len(kernel.sizes), batch=1)


def _is_reduced(node: Node) -> bool:
    """Whether NumPy makes something larger than the operands and the result of an index expression."""
    from tpc.passes.contraction import product_of

    formula = node.get("formula")
    tensors = [a.type for a in node.args if isinstance(a.type, TensorType)]
    if formula is None or product_of(formula, tensors) is not None:
        return False
    return product([size for _, size in formula.extents]) != product(node.tensor.dims)
