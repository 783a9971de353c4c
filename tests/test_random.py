"""Random programs: text and object say the same, passes change nothing but the cost, all ways to run them agree.

`TPC_FUZZ` is the number of programs (2,000 by default); the costlier properties take a share of them. `TPC_SEED`
moves to other programs.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tpc.cost import cost
from tpc.dsl.diagnostics import Diagnostics, TpcError
from tpc.dsl.format import format_module
from tpc.dsl.parser import parse
from tpc.dsl.render import render_text
from tpc.dsl.source import Source
from tpc.ir.elaborate.module import check
from tpc.ir.node import Program
from tpc.ir.ops import OPS
from tpc.ir.ops.kernels import KERNELS
from tpc.ir.ops.quantized import QUANTIZED
from tpc.ir.ops.sparse import SPARSE
from tpc.ir.ops.structured import STRUCTURED
from tpc.ir.ops.structured_kernels import STRUCTURED_KERNELS
from tpc.ir.reference import EXACT, evaluate
from tpc.ir.types import DTYPES, EPSILON, TensorType
from tpc.passes.pipeline import PIPELINE, Options
from tpc.passes.pipeline import run as compile_program

from .backends.contract import BACKENDS, plain, run
from .programs import Sample, generate

COUNT = int(os.environ.get("TPC_FUZZ", "2000"))
FIRST = int(os.environ.get("TPC_SEED", "0")) * 1_000_000


def samples(share: int = 1) -> Iterator[tuple[int, Sample]]:
    for seed in range(FIRST, FIRST + max(COUNT // share, 20)):
        yield seed, generate(seed)


def program(text: str, name: str = "main") -> Program:
    """The program that a text means; there must be no errors in it."""
    checked = check(Source(text))
    assert not checked.diagnostics.errors, text + "\n".join(map(render_text, checked.diagnostics.errors))
    return checked.programs[name]


def reads_back(p: Program) -> bool:
    return program(str(p), p.name) is p


def formatted(text: str) -> str:
    diagnostics = Diagnostics()
    result = format_module(parse(Source(text), diagnostics))
    assert not diagnostics.items
    return result


def magnitude(p: Program, arrays: list[Any]) -> float:
    """The largest number that comes up, at least 1."""
    nodes = [n for n in p.nodes if isinstance(n.type, TensorType)]
    values = evaluate(p.replace(outputs=nodes, output_names=[f"o{k}" for k in range(len(nodes))], facts=()), arrays)
    return max([1.0, *(float(np.max(np.abs(v.astype(complex)))) for v in values if v.size)])


def coarsest(p: Program) -> float:
    """The rounding unit of the coarsest format in a program."""
    types = [n.type for n in (*p.inputs, *p.walk()) if isinstance(n.type, TensorType)]
    return max([EPSILON[DTYPES["f64"]], *(EPSILON[t.dtype] for t in types if t.dtype in EPSILON)])


def agree(expected: list[Any], actual: list[Any], tolerance: float) -> str | None:
    """What is different, None if nothing is: shapes are equal, and numbers differ by no more than the tolerance."""
    if len(expected) != len(actual):
        return f"{len(expected)} results, not {len(actual)}"
    for number, (a, b) in enumerate(zip(expected, actual, strict=True)):
        if a.shape != b.shape or a.dtype.kind != b.dtype.kind:
            return f"result {number} is {a.dtype}{a.shape}, not {b.dtype}{b.shape}"
        if not np.all(np.isfinite(a)):
            return f"result {number} is not finite: {a}"
        if a.size and not np.max(np.abs(a.astype(complex) - b.astype(complex))) <= tolerance:
            return f"result {number}: {a} is not {b}"
    return None


# ---- text and object


def test_what_is_printed_reads_back_as_the_same_object() -> None:
    kinds: Counter[str] = Counter()
    for seed, sample in samples():
        assert reads_back(program(sample.text)), f"seed {seed}\n{sample.text}"
        kinds.update(sample.kinds)
    wanted = ["assign", "pair", "typed", "facts", "indexed", "guard", "pad", "gathered", "repeat", "until header"]
    wanted += ["until statement", "scan", "branch", "call", "short", "batch", "where"]
    assert COUNT < 500 or not [kind for kind in wanted if kinds[kind] < COUNT // 200], kinds


# Programs that once printed as something else, before or after a pass.
FOUND = {
    "twice transposed": "def f(A: f64[n, m]) -> f64[n, m]:\n    return transpose(transpose(A))\n",
    "numbers given to ops by name": "def f(x: f64[n]) -> f64[n]:\n    return neg(2) * add(1, 2) * x * (n / 2)\n",
    "sizes as values": "def f(x: f64[n], A: f64[m, n]) -> f64[n]:\n    q, r = qr(A)\n    y = rfft(x)\n"
    "    return x * rows(r) + len(y) * x + min(n, m) * x + div(n, 2) * x\n",
    "an array of literals given away": "def g(A, B) = A + B\n\ndef f(X: f64[n, n]) -> f64[n, n] = g(eye(n), X)\n",
    "transposed in a function": "def g(A) = A'\n\ndef f(X: f64[n, m]) -> f64[n, m]:\n    return g(X')\n",
    "negative numbers and sizes in index notation": "def f(x: f64[n]) -> f64[n]:\n    c = -1.5\n    k = n - 4\n"
    "    y[i] = x[i] * c * k + -x[i] * -k\n    return y\n",
    "numbers given into index notation": "def g(x, s):\n    return sum[i](x[i] * s)\n\n"
    "def f(x: f64[n]) -> f64:\n    return g(x, 2) + g(x, n)\n",
    "a part that is the whole": "def f(x: f64[n]) -> f64[2] where n >= 2:\n    return x[:2] * 2\n",
    "one operand given twice": "def g(x: f64[n], y: f64[n]) -> f64[n]:\n    z[i] = x[i] - y[i]\n    return z\n\n"
    "def f(x: f64[n]) -> f64[n]:\n    return g(x, x)\n",
    "one operand captured twice": "def g(x: f64[n], y: f64[n], s) -> f64[n]:\n    z = x\n    repeat 2:\n"
    "        z = z * s + y - x\n    return z\n\ndef f(x: f64[n]) -> f64[n]:\n    return g(x, x, 2) + g(x, x, n)\n",
    "random numbers in other formats": "def f(x: c128[n]) = x * c128(normal(n)) + i64(uniform(n))\n",
}


@pytest.mark.parametrize("name", FOUND)
def test_what_was_found_stays_mended(name: str) -> None:
    before = program(FOUND[name], "f")
    assert reads_back(before)
    for _, step in (plan := compile_program(before, Options({"n": 2, "m": 3}))).steps:
        assert reads_back(step)
    assert compile_program(plan.program).program is plan.program


def test_formatting_is_settled_after_once_and_keeps_the_meaning() -> None:
    for seed, sample in samples(4):
        text = formatted(sample.text)
        assert formatted(text) == text, f"seed {seed}"
        assert program(text) is program(sample.text), f"seed {seed}"


def test_the_programs_use_most_ops() -> None:
    used = {node.op.name for _, sample in samples(2) for node in program(sample.text).walk()}
    # plans are made of these, and not written by people; those of structures and sparse values have tests of their own
    steps = {op.name for op in (*KERNELS, *SPARSE, *STRUCTURED, *STRUCTURED_KERNELS, *QUANTIZED)}
    written = set(OPS) - steps - {"constant", "derivative", "approximate", "input"}
    assert COUNT < 2000 or len(written - used) < len(written) / 4, sorted(written - used)


# ---- passes


def test_passes_keep_the_meaning_and_the_text() -> None:
    changed: Counter[str] = Counter()
    exact = 0
    for seed, sample in samples(4):
        before, sizes = program(sample.text), sample.sizes(seed)
        plan = compile_program(before, Options(sizes))
        where = f"seed {seed} at {sizes}\n{sample.text}\n{plan.program}"
        for name, step in plan.steps:
            assert reads_back(step), f"after {name}, {where}"
            changed[name] += 1
        plain = compile_program(before, Options(sizes, mode="bitwise")).program
        again = compile_program(plain, Options(mode="bitwise")).program  # what was hoisted may be spelled anew, once
        assert compile_program(again, Options(mode="bitwise")).program is again, where
        inlined = compile_program(before, Options(sizes), stop_after="inline").program
        # what is predicted to be quicker may take a few more operations on little arrays
        assert int(cost(plan.program).flops) <= 1.2 * int(cost(inlined).flops) + 20, where
        arrays = sample.arrays(sizes, seed)
        after = evaluate(plan.program, arrays)
        tolerance = 2.0**-40 * magnitude(plan.program, arrays)
        problem = agree(evaluate(before, arrays, sizes), after, tolerance)
        assert problem is None, f"{problem}\n{where}"
        exact += _agree_exactly(before, plan.program, arrays, sizes, where)
    assert exact > COUNT // 40, exact
    # these have laws of their own in tests/passes
    rare = {"iterate", "kronecker", "differentiate", "approximate", "sparse"}
    rare |= {"share_sums", "one_sided", "hoist_factors", "vectorise_plan", "schedule", "rematerialise"}
    assert COUNT < 500 or {p.name for p in PIPELINE if not changed[p.name]} <= rare, changed


def _agree_exactly(before: Program, after: Program, arrays: list[Any], sizes: dict[str, int], where: str) -> bool:
    """Compare over the fractions; False where the program has no exact meaning."""
    if any(node.tensor.dtype.kind == "c" for node in before.inputs):
        return False
    try:
        a, b = evaluate(before, arrays, sizes, EXACT), evaluate(after, arrays, domain=EXACT)
    except TpcError as error:
        assert {d.code for d in error.diagnostics} == {"E0905"}, where
        return False
    assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True)), where
    return True


# ---- ways to run


@pytest.mark.parametrize("backend", BACKENDS)
def test_backends_agree_with_the_reference(backend: str) -> None:
    compared = 0
    share = 60 if backend == "llvm" else 8  # which takes longer to compile
    for seed, sample in samples(share):
        sizes = sample.sizes(seed)
        after = compile_program(program(sample.text), Options(sizes)).program
        arrays = sample.arrays(sizes, seed)
        actual = [plain(value) for value in run(backend, after, arrays)]
        tolerance = 1000 * coarsest(after) * magnitude(after, arrays)
        problem = agree(evaluate(after, arrays), actual, tolerance)
        assert problem is None, f"seed {seed} at {sizes}: {problem}\n{sample.text}\n{after}"
        compared += len(actual)
    assert compared >= max(COUNT // share, 20)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_any_choices_give_a_program_that_holds(data: st.DataObject) -> None:
    """The same properties over hypothesis' choices, which shrinks a failure to the simplest ones."""
    sample = generate(lambda n: data.draw(st.integers(0, n - 1)), 3)
    before = program(sample.text)
    assert reads_back(before)
    sizes = sample.sizes(0)
    after = compile_program(before, Options(sizes)).program
    assert reads_back(after)
    arrays = sample.arrays(sizes, 0)
    expected = evaluate(before, arrays, sizes)
    assert agree(expected, evaluate(after, arrays), 2.0**-40 * magnitude(after, arrays)) is None
    actual = [plain(v) for v in run("numpy", after, arrays)]
    assert agree(expected, actual, 1000 * coarsest(after) * magnitude(after, arrays)) is None


PRINTING = """
import hashlib, sys
from tests.programs import generate
from tpc.dsl.source import Source
from tpc.ir.elaborate.module import check
from tpc.passes.pipeline import Options, run
digest = hashlib.sha256()
for seed in range({first}, {last}):
    sample = generate(seed)
    program = check(Source(sample.text)).programs["main"]
    plan = run(program, Options(sample.sizes(seed)))
    for text in (sample.text, str(program), *(str(step) for _, step in plan.steps)):
        digest.update(text.encode())
print(digest.hexdigest())
"""


def test_printed_programs_are_the_same_bytes_for_every_hash_seed() -> None:
    root = Path(__file__).parents[1]
    script = PRINTING.format(first=FIRST, last=FIRST + max(COUNT // 20, 20))
    digests = set()
    for seed in ("0", "1", "4242"):
        done = subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(root)},
            cwd=root,
            capture_output=True,
            text=True,
            check=True,
        )
        digests.add(done.stdout)
    assert len(digests) == 1


# ---- the helpers can fail


def test_the_comparison_can_fail() -> None:
    one, half = np.ones(2), np.full(2, 0.5)
    assert agree([one], [one], 0) is None
    assert agree([one], [half], 0.1) is not None
    assert agree([one], [np.array([1.0, np.nan])], 0.1) is not None
    assert agree([one], [np.ones(3)], 0.1) is not None
    assert agree([one], [], 0.1) is not None
    assert agree([one], [np.ones(2, int)], 0.1) is not None


def test_a_program_with_errors_fails() -> None:
    with pytest.raises(AssertionError):
        program("def main(x: f64[n]) -> f64[n]:\n    return y\n")


def test_a_changed_program_is_another_object() -> None:
    text = "def main(x: f64[n]) -> f64[n]:\n    return 2 * x\n"
    assert program(text) is program(text)
    assert program(text) is not program(text.replace("2", "3"))


def test_a_wrong_pass_is_found() -> None:
    before = program("def main(x: f64[n]) -> f64[n]:\n    return x + 1\n")
    wrong = program("def main(x: f64[n]) -> f64[n]:\n    return x + 2\n")
    x = [np.ones(2)]
    assert agree(evaluate(before, x), evaluate(wrong, x), 2.0**-40 * magnitude(before, x)) is not None
