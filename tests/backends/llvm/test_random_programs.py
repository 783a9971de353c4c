"""Random programs: native regions give what the reference gives.

In f64 and f32, with one thread and two, at sizes around those of vectors and of the lanes of loops; what reads or
writes beyond its arrays, or writes to its operands, crashes. Programs are as written, optimised, and optimised for
their sizes; half of them with little limits, so that few entries make several panels, chunks, tiles and threads.

`TPC_FUZZ_NATIVE` is the number of programs (6 by default, for each takes a second); `TPC_SEED` moves to other programs.
"""

from __future__ import annotations

import faulthandler
import os
import random
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")
from tests.backends.llvm.calls import Function  # noqa: E402
from tests.backends.llvm.processes import in_child  # noqa: E402
from tests.programs import generate  # noqa: E402
from tests.test_random import agree, coarsest  # noqa: E402

from tpc.backends.llvm import engine  # noqa: E402
from tpc.backends.llvm.host import host  # noqa: E402
from tpc.backends.llvm.lower import lower, refusal  # noqa: E402
from tpc.backends.llvm.lowered import as_numpy_holds  # noqa: E402
from tpc.backends.llvm.nests.lanes import VECTORS  # noqa: E402
from tpc.backends.llvm.regions import Outliner  # noqa: E402
from tpc.dsl.diagnostics import TpcError  # noqa: E402
from tpc.dsl.source import Source  # noqa: E402
from tpc.ir import grid  # noqa: E402
from tpc.ir.dims import evaluate as extent  # noqa: E402
from tpc.ir.elaborate.module import check  # noqa: E402
from tpc.ir.node import Program  # noqa: E402
from tpc.ir.ops.structure import CALL  # noqa: E402
from tpc.ir.reference import evaluate  # noqa: E402
from tpc.ir.types import DTYPES, TensorType  # noqa: E402
from tpc.passes.pipeline import Options  # noqa: E402
from tpc.passes.pipeline import run as compile_program  # noqa: E402

COUNT = int(os.environ.get("TPC_FUZZ_NATIVE", "6"))
FIRST = int(os.environ.get("TPC_SEED", "0")) * 1_000_000
LARGEST = {"f16": 6e4, "f32": 1e37}  # numbers that formats hold
GRID = 3_000_000  # entries of a formula that the reference goes through in little time
LITTLE = {  # limits of what is done at once
    "fusion.blocks": {"WORTH": 0},
    "fusion.chunks": {"LENGTH": 5},
    "fusion.crossing": {"ROWS": 8, "SHORT": 4},
    "fusion.plan": {"STREAMED": 0},
    "fusion.stream": {"ROWS": 8, "COLUMNS": 8},
    "nests.crossing": {"ROWS": 8},
    "nests.fetching": {"LONG": 8},
    "nests.folds": {"PANEL": 64},
    "nests.kernel": {"UNIT": 4, "PANEL": 64, "NARROW": 64, "SHORT": 16, "LONG": 64, "_past_bytes": lambda: 64},
    "nests.microkernel": {"DEPTH": 8},
    "nests.product": {"FEW": 8, "ROWS": 4, "THREADED": 64},
    "nests.program": {"WORTH": 0, "CHUNK": 1, "BLOCK": 64},
    "nests.stream": {"ROWS": 8, "COLUMNS": 8, "SLOTS": 2},
}


def sizes_of_interest(dtype: str) -> list[int]:
    """Nothing, one entry, and as many as make a vector or the lanes of a loop, one less and one more."""
    width = host().vector_bits // (8 * DTYPES[dtype].size)
    return [0, 1, *(size + more for size in (width, VECTORS * width) for more in (-1, 0, 1))]


def regions(program: Program, arrays: list[Any], sizes: dict[str, int]) -> Iterator[tuple[Program, list[Any], Any]]:
    """The native functions of a program, what each is given when it runs, and the sizes that it is told."""
    outliner = Outliner(refusal)
    outlined = outliner.program(program)
    calls = [node for node in outlined.nodes if node.op is CALL and node["body"] in outliner.bodies]
    given = list(dict.fromkeys(a for call in calls for a in call.args))
    names = [f"o{k}" for k in range(len(given))]
    found = evaluate(outlined.replace(outputs=given, output_names=names, facts=()), arrays, sizes)
    values = dict(zip(given, found, strict=True))
    for call in calls:
        body = call["body"]
        operands = [values[a].astype(i.tensor.dtype.numpy) for a, i in zip(call.args, body.inputs, strict=True)]
        yield body, operands, {name: extent(dim, sizes) for name, dim in call["sizes"]}


def magnitude(program: Program, arrays: list[Any], sizes: dict[str, int]) -> float:
    """The largest number that comes up, at least 1; infinite where one has no value, or none in its format."""
    nodes = [node for node in program.nodes if isinstance(node.type, TensorType)]
    names = [f"o{k}" for k in range(len(nodes))]
    found = evaluate(program.replace(outputs=nodes, output_names=names, facts=()), arrays, sizes)
    most = max([1.0, *(float(np.max(np.abs(v.astype(complex)))) for v in found if v.size)])
    return most if most < min(LARGEST.get(node.tensor.dtype.name, np.inf) for node in nodes) else np.inf


def compared(seed: int, dtype: str, patch: pytest.MonkeyPatch) -> int:
    """Hold the regions of a program to the reference; how many results were compared."""
    sample, chosen = generate(seed), random.Random(seed)
    whole = check(Source(sample.text.replace("f64", dtype))).programs.get("main")
    if whole is None:  # a cast to both
        return 0
    form, is_little, is_fast = chosen.randrange(3), chosen.random() < 0.5, chosen.random() < 0.25
    patch.setattr(grid, "MAX_GRID", GRID)
    # before any limit changes, for some modules take over those of others
    modules = [import_module(f"tpc.backends.llvm.{name}") for name in LITTLE]
    for module, limits in zip(modules, LITTLE.values(), strict=True) if is_little else ():
        for name, limit in limits.items():
            patch.setattr(module, name, limit)
    options = sizes_of_interest(dtype)
    while True:
        sizes = {name: max(least, chosen.choice(options)) for name, least in sample.least.items()}
        program = whole if form == 0 else compile_program(whole, Options(sizes if form == 2 else {})).program
        arrays = [a.astype(i.tensor.dtype.numpy) for a, i in zip(sample.arrays(sizes, seed), whole.inputs, strict=True)]
        try:
            return _compared(program, arrays, sizes, is_fast, f"seed {seed} at {sizes}\n{whole}")
        except TpcError as error:  # the grid is too large
            assert {d.code for d in error.diagnostics} == {"E0906"} and len(options) > 3, sizes
            options = options[:-1]


def _compared(program: Program, arrays: list[Any], sizes: dict[str, int], is_fast: bool, where: str) -> int:
    count = 0
    for body, operands, told in list(regions(program, arrays, sizes)):
        tolerance = 1000 * coarsest(body) * magnitude(body, operands, told)
        held, expected = as_numpy_holds(body), evaluate(body, operands, told)
        function = Function(held, lower(held, "function", fast=is_fast))
        for threads in (1, 2):
            engine.set_threads(threads)
            found = function(operands, told)
            problem = agree(expected, found, tolerance) if np.isfinite(tolerance) else None
            assert problem is None, f"{problem} with {threads} threads, {where}\n{body}"
            count += 1
    return count


@pytest.mark.parametrize("dtype", ["f64", "f32"])
def test_regions_of_random_programs(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    count = 0
    try:
        for seed in range(FIRST, FIRST + COUNT):
            with monkeypatch.context() as patch:
                count += compared(seed, dtype, patch)
    finally:
        engine.set_threads(None)
    assert count >= COUNT


def test_a_wrong_region_is_found() -> None:
    whole = check(Source("def main(x: f64[n]) = exp(x) * 2, fft(x)")).programs["main"]
    body, operands, told = next(regions(whole, [np.ones(3)], {"n": 3}))
    expected = evaluate(body, operands, told)
    assert agree(expected, [value + 1 for value in expected], 1e-3) is not None


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_what_reads_beyond_an_array_crashes() -> None:
    function = Function(check(Source("def f(x: f64[n]) = sum(x)")).programs["f"])
    assert in_child(lambda: function([np.ones(3)], {"n": 3})[0] == 3)

    def beyond() -> bool:
        faulthandler.disable()
        return bool(function([np.ones(3)], {"n": 4}))

    assert not in_child(beyond)
