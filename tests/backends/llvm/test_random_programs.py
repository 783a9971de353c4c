"""Random programs: native regions give what the reference gives.

In f64 and f32, with one thread and two, at sizes around those of vectors; what reads or writes beyond its arrays
crashes.

`TPC_FUZZ_NATIVE` is the number of programs (6 by default, for each takes a second); `TPC_SEED` moves to other programs.
"""

from __future__ import annotations

import faulthandler
import os
import random
from collections.abc import Iterator
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
from tpc.backends.llvm.lower import refusal  # noqa: E402
from tpc.backends.llvm.lowered import as_numpy_holds  # noqa: E402
from tpc.backends.llvm.regions import Outliner  # noqa: E402
from tpc.dsl.source import Source  # noqa: E402
from tpc.ir.dims import evaluate as extent  # noqa: E402
from tpc.ir.elaborate.module import check  # noqa: E402
from tpc.ir.node import Program  # noqa: E402
from tpc.ir.ops.structure import CALL  # noqa: E402
from tpc.ir.reference import evaluate  # noqa: E402
from tpc.ir.types import F16, TensorType  # noqa: E402
from tpc.passes.pipeline import Options  # noqa: E402
from tpc.passes.pipeline import run as compile_program  # noqa: E402

COUNT = int(os.environ.get("TPC_FUZZ_NATIVE", "6"))
FIRST = int(os.environ.get("TPC_SEED", "0")) * 1_000_000
LARGEST = 6e4  # that f16 holds


def sizes_around_vectors() -> tuple[int, ...]:
    lanes = host().vector_bits // 64, host().vector_bits // 32
    return (0, 1, *(size for width in lanes for size in (width - 1, width, width + 1)))


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
    has_halves = any(node.tensor.dtype is F16 for node in nodes)
    return most if most < (LARGEST if has_halves else np.inf) else np.inf


@pytest.mark.parametrize("dtype", ["f64", "f32"])
def test_regions_of_random_programs(dtype: str) -> None:
    compared = 0
    try:
        for seed in range(FIRST, FIRST + COUNT):
            sample = generate(seed)
            chosen = random.Random(seed)
            whole = check(Source(sample.text.replace("f64", dtype))).programs.get("main")
            if whole is None:  # a cast to both
                continue
            sizes = {name: max(least, chosen.choice(sizes_around_vectors())) for name, least in sample.least.items()}
            arrays = [a.astype(i.tensor.dtype.numpy) for a, i in zip(sample.arrays(sizes, seed), whole.inputs)]
            program = compile_program(whole, Options()).program if seed % 2 else whole
            for body, operands, told in regions(program, arrays, sizes):
                tolerance = 1000 * coarsest(body) * magnitude(body, operands, told)
                function, expected = Function(as_numpy_holds(body)), evaluate(body, operands, told)
                for threads in (1, 2):
                    engine.set_threads(threads)
                    found = function(operands, told)
                    problem = agree(expected, found, tolerance) if np.isfinite(tolerance) else None
                    assert problem is None, f"seed {seed} at {sizes}, {threads} threads: {problem}\n{whole}\n{body}"
                    compared += 1
    finally:
        engine.set_threads(None)
    assert compared >= COUNT


def test_a_wrong_region_is_found() -> None:
    sample = generate(3)
    sizes = sample.sizes(3)
    whole = check(Source(sample.text)).programs["main"]
    body, operands, told = next(regions(whole, sample.arrays(sizes, 3), sizes))
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
