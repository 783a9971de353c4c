"""Each basic pass does what it says, and no more."""

import numpy as np
import pytest

from tpc.dsl.diagnostics import InternalError, TpcError
from tpc.dsl.source import Source
from tpc.ir.elaborate.module import check
from tpc.ir.node import Program
from tpc.ir.reference import evaluate
from tpc.passes import pipeline
from tpc.passes.pipeline import PIPELINE, Options, run


def program(text: str, name: str | None = None) -> Program:
    checked = check(Source(text, "test.tp"))
    assert not checked.diagnostics.errors, checked.diagnostics.errors[0].title
    found = name or checked.default()
    assert found is not None
    return checked.programs[found]


def ops(p: Program) -> list[str]:
    return [node.op.name for node in p.nodes if node.op.name not in ("input", "literal", "size", "item")]


def test_specialise_puts_sizes_everywhere() -> None:
    p = program("def f(X: f64[n, m]) = X * n + zeros(n, m)\n")
    done = run(p, Options({"n": 2, "m": 3}), stop_after="specialise").program
    assert str(done.result_types[0]) == "f64[2, 3]"
    assert not [node for node in done.nodes if node.op.name == "size"]


def test_inline_replaces_calls_at_their_sizes() -> None:
    text = "def g(x: f64[n]) = x / n\ndef f(a: f64[2*k], b: f64[3]) = g(a), g(b)\n"
    done = run(program(text), stop_after="inline").program
    assert ops(done) == ["div", "div"]
    assert str(done.outputs[0].args[1]["dim"]) == "2*k"


def test_inline_stops_before_it_explodes() -> None:
    lines = ["def f0(x: f64, y: f64) = x * y"]
    lines += [f"def f{k}(x: f64, y: f64) = f{k - 1}(x, f{k - 1}(y, x + {k}))" for k in range(1, 40)]
    with pytest.raises(TpcError, match="grows past"):
        run(program("\n".join(lines)))


def test_fold_computes_numbers_and_leaves_errors() -> None:
    done = run(program("def f(x: f64[4]) = x * (2 / sqrt(len(x))) + 1 / 0"), stop_after="fold").program
    assert "sqrt" not in ops(done)
    assert ops(done).count("div") == 1  # 1 / 0 stays for the run


def test_respell_shares_equal_things() -> None:
    done = run(program("def f(X: f64[n, n]) = X * X + X^2 + 1 * X'' "), stop_after="respell").program
    assert sorted(ops(done)) == ["add", "add", "square"]


def test_respell_turns_the_factors_of_an_outer_product() -> None:
    done = run(program("def f(x: f64[n], y: f64[m]) = outer(x, y)'"), stop_after="respell").program
    assert ops(done) == ["outer"] and done.outputs[0].args == done.inputs[::-1]


def test_respell_leaves_numbers_to_take_the_format_of_what_they_meet() -> None:
    done = run(
        program("def f(x: f32[n]) = f32(0.1) * x, f32(0.1) + f32(2), f64(0.1) * x"), stop_after="respell"
    ).program
    assert ops(done).count("cast") == 3
    assert [str(t) for t in done.result_types] == ["f32[n]", "f32", "f64[n]"]


def test_prune_drops_state_that_nothing_needs() -> None:
    text = """
def f(x: f64, z: f64) -> f64:
    a, b, c = x, x, z
    repeat 5 until b > 100:
        a, b, c = a + b, b + 1, c * a
    return a
"""
    done = run(program(text.lstrip())).program
    (loop,) = [node for node in done.nodes if node.op.name == "repeat"]
    assert loop["state"] == 2
    assert len(loop["body"].inputs) == 2


def test_prune_keeps_what_the_test_needs() -> None:
    text = """
def f(x: f64) -> f64:
    a, b = x, x
    repeat 5 until b > 3:
        a, b = a + 1, b + 1
    return a
"""
    done = run(program(text.lstrip())).program
    (loop,) = [node for node in done.nodes if node.op.name == "repeat"]
    assert loop["state"] == 2


def test_a_loop_that_reads_nothing_of_the_pass_before_is_its_last_pass() -> None:
    text = """
def f(A: f64[n, n], V: f64[3, n]) -> (f64[n, n], f64[n]):
    R, q = zeros(n, n), zeros(n)
    scan i in 3:
        R, q = A + outer(V[i], V[i]), 2 * V[i]
    return R, q
"""
    p = program(text.lstrip())
    done = run(p, stop_after="hoist").program
    assert not {"scan", "zeros"} & set(ops(done))
    operands = [np.arange(4.0).reshape(2, 2), np.arange(6.0).reshape(3, 2)]
    for made, right in zip(evaluate(done, operands), evaluate(p, operands), strict=True):
        np.testing.assert_array_equal(made, right)


@pytest.mark.parametrize(
    "loop",
    [
        "scan i in n:\n        y = 2 * x[i]",  # there may be no pass
        "repeat 4:\n        y = 0.5 * y + x[0]",  # each pass reads what the one before has left
        "repeat 4 until y > 1:\n        y = 2 * x[0]",  # the test may end it before the first pass
    ],
)
def test_a_loop_whose_passes_count_stays(loop: str) -> None:
    p = program(f"def f(x: f64[n]) -> f64:\n    y = 0.0\n    {loop}\n    return y\n")
    assert {"scan", "repeat"} & set(ops(run(p, stop_after="hoist").program))


def test_the_pipeline_is_idempotent_and_says_its_reasons() -> None:
    p = program("def g(x: f64[n]) = x^2 * 3\ndef f(x: f64[n]) = g(g(x)) + 0.5 * g(x)\n")
    once = run(p).program
    assert run(once).program is once
    assert all(step.reason.endswith(".") for step in PIPELINE)


def test_a_pass_that_breaks_a_program_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    p = program("def f(x: f64[n], y: f64[n]) = x + y")
    broken = pipeline.Pass("saboteur", "None.", lambda q, options: q.replace(inputs=q.inputs[:1]))
    monkeypatch.setattr(pipeline, "PIPELINE", (broken,))
    with pytest.raises(InternalError, match="saboteur"):
        run(p)


def test_an_unknown_pass_is_an_error() -> None:
    with pytest.raises(TpcError, match="is not a pass"):
        run(program("def f(x: f64) = x"), stop_after="nonsense")


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("f(x: f64[n]) = reshape(exp(reshape(x, 1, n)), n)", "exp(x)"),
        ("f(x: f64[n], y: f64[n]) = squeeze(2 * unsqueeze(x, axis=1) - unsqueeze(y, axis=1), axis=1)", "v1 - y"),
        ("f(X: f64[n, m]) = reshape(vec(reshape(X, m, n)), n, m)", "X"),
        ("f(X: f64[n, 3]) = reshape(X[:, 1:2], n)", "X[:, 1]"),
        ("f(X: f64[n, 3]) = reshape(X[:, 0:2], 2 * n)", "reshape(v1, 2*n)"),
        ("f(x: f64[n]) = reshape(unsqueeze(x, axis=1) + unsqueeze(x, axis=0), n^2)", "reshape(v3, n^2)"),
        ("f(x: f32[n]) = f32(f64(1.0)) * x", "x"),
        ("f(z: c128[n]) = c128(broadcast_to(f64(1.0), n)) * z", "z"),
        ("f(X: f64[n, m]) = X[:, :] + 1", "1 + X"),
    ],
)
def test_respell_leaves_out_shapes_that_change_nothing(text: str, spelled: str) -> None:
    done = run(program(f"def {text}"), stop_after="respell").program
    last = str(done).splitlines()[-2].partition(" = ")[2]
    assert last == spelled


def test_respell_computes_nothing_again_for_its_shape() -> None:
    text = "def f(x: f64[n]):\n    e = exp(unsqueeze(x, axis=1))\n    return squeeze(e, axis=1), e"
    assert ops(run(program(text), stop_after="respell").program).count("exp") == 1
