"""A roofline that is measured: each kernel of a plan is run on its own operands, and so are the limits of the machine.

The limit of memory is a copy of as many bytes, by one thread or by all of them, and that of arithmetic a large product
of matrices. Of several runs the least counts.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from tpc.dsl.diagnostics import fail
from tpc.explanation.roofline import FAR, Roofline, roofline
from tpc.ir.build import input_node, items
from tpc.ir.dims import evaluate
from tpc.ir.node import Node, Program
from tpc.ir.ops.structure import CALL, LITERAL, SIZE
from tpc.ir.rewrite import rebuilt
from tpc.ir.types import DType
from tpc.passes.choose.prices import Prices

if TYPE_CHECKING:
    from tpc.compiled import Compiled

ROWS = 1000  # of the product that tells the limit of arithmetic
SHARED = 1 << 20  # bytes from which on threads may copy together
LONG, MOST, LEAST = 0.05, 50, 3  # seconds, and rounds, of a measurement


def measured(
    program: Program,
    names: Mapping[Node, str],
    prices: Prices,
    at: Mapping[str, int],
    arrays: Sequence[Any],
    *,
    assumed: Sequence[str] = (),
    native: bool = False,
) -> Roofline:
    """The kernels of a plan against the limits of this machine, for arrays of its inputs, whose sizes are `at`.

    For the rest see `roofline`.
    """

    def clock(outlined: Program) -> _Clock:
        return _Clock(outlined, arrays, at)

    return roofline(program, names, prices, at, assumed=assumed, native=native, limits=Machine(), clock=clock)


def roofline_of(compiled: Compiled, arrays: Sequence[Any] | None, native: bool) -> Roofline:
    """The kernels of a compiled function, for arrays of its inputs, or as they are predicted.

    Raises
    ------
    TpcError
        E1001 for kernels of torch, which cannot be measured one by one.
    """
    from tpc.explanation.account import account, prices_of

    found = account(compiled.program, compiled.plan, compiled.sizes, compiled.variants, compiled.backend)
    plan = compiled.plan
    given = plan.program, plan.notes.names, prices_of(plan), found.at
    if arrays is None:
        return roofline(*given, assumed=found.assumed, native=native)
    if compiled.backend == "torch":
        raise fail("E1001", "kernels of torch are not measured one by one", help="call `.roofline()` without arguments")
    return measured(*given, arrays, assumed=found.assumed, native=native)


def random_arrays(program: Program, at: Mapping[str, int]) -> list[Any]:
    """Random values for the inputs of a plan, with the facts that are declared of them."""
    from tpc.samples import sample

    facts = dict(program.facts)
    return [
        sample(n.tensor.dtype, [evaluate(d, at) for d in n.tensor.dims], facts.get(n, ()), name=n["name"])
        for n in program.inputs
    ]


class Machine:
    """The limits of this machine."""

    @cache  # noqa: B019  # it lives as long as a roofline
    def arithmetic(self, dtype: DType) -> float:
        A = np.ones((ROWS, ROWS), dtype.numpy)
        return 2 * ROWS**3 / least(lambda: A @ A)

    @property
    def memory(self) -> float:
        return FAR / self.seconds_to_move(FAR)

    @cache  # noqa: B019
    def seconds_to_move(self, moved: int) -> float:
        source, target = np.ones(max(moved // 2, 1), np.uint8), np.empty(max(moved // 2, 1), np.uint8)
        found = least(lambda: np.copyto(target, source)) - _call()
        threads = os.cpu_count() or 1
        if moved >= SHARED and threads > 1:
            parts = list(zip(np.array_split(target, threads), np.array_split(source, threads)))
            with ThreadPoolExecutor(threads) as pool:
                found = min(found, least(lambda: list(pool.map(lambda part: np.copyto(*part), parts))))
        return max(found, 1e-9)


@cache
def _call() -> float:
    """The seconds of a copy of nothing."""
    nothing = np.empty(0)
    return least(lambda: np.copyto(nothing, nothing))


def least(run: Callable[[], object]) -> float:
    """The least seconds of a call, of some."""
    found, began = float("inf"), perf_counter()
    for turn in range(MOST):
        start = perf_counter()
        run()
        stop = perf_counter()
        found = min(found, stop - start) if turn else found  # the first one finds nothing in the caches
        if turn >= LEAST and stop - began > LONG:
            break
    return found


class _Clock:
    """The seconds of the nodes of a program, each of which is run by itself."""

    def __init__(self, program: Program, arrays: Sequence[Any], at: Mapping[str, int]) -> None:
        self.at = at
        wanted = list(dict.fromkeys(a for node in program.nodes for a in node.args if _is_array(a)))
        found = self._function(Program("values", program.inputs, wanted), "numpy")(*arrays) if wanted else ()
        self.values = dict(zip(wanted, found if isinstance(found, (tuple, list)) else [found], strict=True))

    def __call__(self, node: Node) -> float:
        if node.op is CALL:
            given, program, chosen = list(node.args), node["body"], "llvm"
        else:
            given = list(dict.fromkeys(a for a in node.args if _is_array(a)))
            stands = {a: input_node(f"x{k}", a.tensor) for k, a in enumerate(given)}
            alone = rebuilt(node.op, [stands.get(a, a) for a in node.args], node.attributes, node.type)
            program, chosen = Program("step", list(stands.values()), items(alone)), "numpy"
        run, values = self._function(program, chosen), [self.values[a] for a in given]
        return least(lambda: run(*values))

    def _function(self, program: Program, chosen: str) -> Callable[..., Any]:
        from tpc.backends import backend

        emitted = backend(chosen).emit(program)
        run: Any = backend(chosen).load(emitted)
        if emitted.natives:
            run.finish()
            run = next((run.natives[name] for name in emitted.whole if name in run.natives), run)
        return partial(run, **{keyword: self.at[name] for name, keyword in emitted.sizes.items()})


def _is_array(node: Node) -> bool:
    return node.op not in (LITERAL, SIZE) and not isinstance(node.type, tuple)
