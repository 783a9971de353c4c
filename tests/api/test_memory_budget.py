"""`memory=` and `--memory`: programs that hold no more than they may."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import tpc
from tpc.cli import cli
from tpc.dsl.diagnostics import TpcError
from tpc.memory import amount
from tpc.passes.memory.liveness import Liveness

TEXT = """
def loss(x: f64[b, d], W1: f64[d, d], W2: f64[d, d], W3: f64[d, d], W4: f64[d, d]) -> f64:
    h1 = tanh(x @ W1)
    h2 = tanh(h1 @ W2)
    h3 = tanh(h2 @ W3)
    h4 = tanh(h3 @ W4)
    return sum(square(h4))

def main(x: f64[b, d], W1: f64[d, d], W2: f64[d, d], W3: f64[d, d], W4: f64[d, d]) -> f64[d, d]:
    return grad(loss, W1)(x, W1, W2, W3, W4)
"""


@pytest.fixture(autouse=True)
def no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TPC_CACHE", "off")


def arrays(b: int, d: int) -> list[np.ndarray]:
    draw = np.random.default_rng(0)
    return [draw.standard_normal((b, d)), *(draw.standard_normal((d, d)) / 5 for _ in range(4))]


def test_each_size_has_a_plan_of_its_own() -> None:
    plain, small = tpc.compile(TEXT), tpc.compile(TEXT, memory="820KB")
    for b in (500, 1000, 500):  # half of it fits as it is
        given = arrays(b, 20)
        assert np.array_equal(small(*given), plain(*given))
        again = sum(node.op.name == "tanh" for node in small.plan.program.nodes)
        assert again == 4 if b == 500 else again > 4
        assert small.cost.peak_bytes <= 820_000


def test_what_is_measured_is_below_the_budget() -> None:
    given = arrays(20_000, 20)
    small = tpc.compile(TEXT, memory="17MB", backend="numpy")
    small(*given)
    tracemalloc.start()
    small(*given)
    taken = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    free = tpc.compile(TEXT, dims={"b": 20_000, "d": 20})
    assert taken + sum(array.nbytes for array in given) <= 17_000_000 < Liveness(free.plan.program).peak


def test_the_peak_of_native_code_is_its_own() -> None:
    """The kernel matrix is an array in NumPy; native code has a row of it at a time."""
    text = "def f(x: f64[n, n], y: f64[n]) -> f64[n]:\n    K[i, j] = exp(-(x[i, j] - y[j])^2)\n    return K @ y\n"
    given = np.ones((600, 600)), np.ones(600)
    peaks = {}
    for backend in ("numpy", "llvm"):
        compiled = tpc.compile(text, backend=backend).prepare(*given)
        tracemalloc.start()
        compiled(*given)
        taken = tracemalloc.get_traced_memory()[1] + sum(array.nbytes for array in given)
        tracemalloc.stop()
        peaks[backend] = compiled.cost.peak_bytes
        assert taken <= peaks[backend] + 150_000
        assert f"{amount(peaks[backend])}" in compiled.explain().split("peak memory")[1].splitlines()[0]
    assert peaks["numpy"] > 5_700_000 > 3_100_000 > peaks["llvm"]


def test_random_numbers_are_drawn_alike() -> None:
    text = """
def f(x: f64[n, n]) -> f64[n, n]:
    noise = normal(n, n, seed=3)
    y = tanh(x + noise)
    z = tanh(y @ y @ y)
    return z @ y + noise
"""
    x = np.ones((60, 60))
    free = tpc.compile(text)
    expected = free(x)
    for budget in (260_000, 230_000, 200_000, 180_000):
        try:
            assert np.array_equal(tpc.compile(text, memory=budget)(x), expected)
        except TpcError as error:
            assert error.diagnostics[0].code == "E0908"


def test_on_the_command_line(tmp_path: Path) -> None:
    file = tmp_path / "deep.tp"
    file.write_text(TEXT)
    runner = CliRunner()
    sizes = ["--dim", "b=1000", "--dim", "d=20"]
    told = runner.invoke(
        cli, ["explain", str(file), *sizes, "--memory", "820KB", "--memory-plot", str(tmp_path / "m.html")]
    )
    assert told.exit_code == 0 and "budget  820 KB" in told.stdout
    assert "x `h1`" in told.stdout.split("computed again")[1]
    assert "<svg" in (tmp_path / "m.html").read_text()
    open_sizes = runner.invoke(cli, ["compile", str(file), "--memory", "820KB"])
    assert open_sizes.exit_code == 2 and "--dim" in open_sizes.output
    module = runner.invoke(cli, ["compile", str(file), *sizes, "--memory", "820KB"])
    assert module.exit_code == 0 and module.stdout.count("np.tanh") > 4


def test_pictures(tmp_path: Path) -> None:
    from tpc.explanation.memory_profile import MemoryProfile, text, write

    found = MemoryProfile("f", (3, 9, 4), (3, 6, 6, 4), 6, (("tanh", 1),))
    write(found, tmp_path / "m.svg")
    drawn = (tmp_path / "m.svg").read_text()
    assert drawn.count("<path") == 2 and "budget 6 bytes" in drawn
    assert "1 x tanh" in text(found) and "█" in text(found)
    with pytest.raises(TpcError):
        write(found, tmp_path / "m.gif")


def test_a_budget_stands_above_a_function(tmp_path: Path) -> None:
    given = arrays(1000, 20)
    text = TEXT.replace("def main", '@memory("820KB")\ndef main')
    small = tpc.compile(text)
    assert np.array_equal(small(*given), tpc.compile(TEXT)(*given))
    assert small.cost.peak_bytes <= 820_000
    free = tpc.compile(text, memory="10MB")
    free(*given)
    assert free.cost.peak_bytes > 820_000, "what is given at the call counts"
    file = tmp_path / "deep.tp"
    file.write_text(text)
    told = CliRunner().invoke(cli, ["explain", str(file), "--dim", "b=1000", "--dim", "d=20"])
    assert told.exit_code == 0 and small.plan.program.name in told.stdout
    module = CliRunner().invoke(cli, ["compile", str(file), "--dim", "b=1000", "--dim", "d=20"])
    assert module.exit_code == 0 and module.stdout.count("np.tanh") > 4


def test_a_budget_is_kept_with_what_is_recalled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TPC_CACHE", str(tmp_path))
    text = '@memory("1MB")\ndef f(x: f64[n]) -> f64[n] = exp(x)\n'
    for _ in range(2):
        compiled = tpc.compile(text)
        assert compiled.function.memory == 1_000_000
        compiled(np.ones(10))


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ('@memory("much")\ndef f(x: f64[n]) = x\n', "E1004", "no amount of memory"),
        ('@speed("1")\ndef f(x: f64[n]) = x\n', "E0101", "`@speed` has no meaning"),
        ('@memory("1MB")\nconst a = 2\ndef f(x: f64[n]) = a * x\n', "E0101", "above no function"),
        ('def f(x: f64[n]) = x\n@memory("1MB")\n', "E0101", "above no function"),
        ("@memory(3)\ndef f(x: f64[n]) = x\n", "E0101", "`3` has no meaning"),
    ],
)
def test_budgets_that_are_none(text: str, code: str, said: str) -> None:
    with pytest.raises(TpcError) as caught:
        tpc.compile(text)
    assert any(d.code == code and said in d.title for d in caught.value.diagnostics)


def test_budgets_are_laid_out() -> None:
    from tpc.dsl.diagnostics import Diagnostics
    from tpc.dsl.format import format_module
    from tpc.dsl.parser import parse
    from tpc.dsl.source import Source

    text = 'def g(x: f64) = x\n# of f\n@memory( "1MB" )\ndef f(x: f64[n]) = exp(x)\n'
    found = format_module(parse(Source(text), Diagnostics()))
    assert found == 'def g(x: f64) = x\n\n# of f\n@memory("1MB")\ndef f(x: f64[n]) = exp(x)\n'
