"""What torch has beyond NumPy: gradients, devices and formats kept, modules that learn, the same random bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tpc.backends import backend
from tpc.dsl.source import Source
from tpc.ir.elaborate.module import Checked, check

torch = pytest.importorskip("torch")

TEXT = """
def gls(X: f64[n, m], M: f64[n, n], y: f64[n]) -> f64[m] where n > m:
    return inv(X' @ inv(M) @ X) @ X' @ inv(M) @ y

def rbf(X: f64[n, d], Y: f64[m, d], v: f64[m], s: f64) -> f64[n]:
    K[i, j] = exp(-sum[k]((X[i, k] - Y[j, k])^2) / (2 * s^2))
    return K @ v

def loss(A: f64[n, n]) -> f64:
    B = A @ A' + eye(n)
    return logdet(B) + trace(sqrtm(B)) + sum(cholesky(B)) + sum(logm(B)) + norm(expm(A))

def lds(A: f64[k, k], x0: f64[k], u: f64[t, k]) -> f64[t, k]:
    x = x0
    scan i in t:
        x = tanh(A @ x + u[i])
        ys[i] = x
    return ys

def loop(A: f64[n, n], b: f64[n]) -> f64[n]:
    x = b
    repeat 5 until norm(x) > 100:
        x = A @ x + b
    return x

def branch(x: f64[n], a: f64) -> f64[n]:
    return x * a if a > 0 else -x

def window(x: f64[n], k: f64[m]) -> f64[n - m + 1]:
    y[i] = sum[s](x[i + s] * k[s])
    return y

def attention(q: f64[n, d], k: f64[m, d], v: f64[m, e]) -> f64[n, e]:
    return softmax(q @ k' / sqrt(2.0)) @ v

def gathered(x: f64[n], at: i64[m]) -> f64[m]:
    return cumsum(x)[at] + median(x) + max(x)

def made(x: f32[n]) -> (f32[n, 3], f32[n]):
    return normal(n, 3, seed=4), x * uniform(n, seed=5)
"""


@pytest.fixture(scope="module")
def checked() -> Checked:
    found = check(Source(TEXT, "torch.tp"))
    assert not found.diagnostics.errors
    return found


def function(checked: Checked, name: str) -> Any:
    chosen = backend("torch")
    return chosen.load(chosen.emit(checked.programs[name], checked.module.notes.names))


def tensor(*shape: int, seed: int = 0) -> Any:
    return torch.tensor(np.random.default_rng(seed).standard_normal(shape), requires_grad=True)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("gls", [tensor(4, 2), tensor(4, 4, seed=1), tensor(4, seed=2)]),
        ("rbf", [tensor(3, 2), tensor(2, 2, seed=1), tensor(2, seed=2), tensor(seed=3)]),
        ("loss", [tensor(3, 3)]),
        ("lds", [tensor(2, 2), tensor(2, seed=1), tensor(3, 2, seed=2)]),
        ("loop", [tensor(3, 3), tensor(3, seed=1)]),
        ("branch", [tensor(3), tensor(seed=6)]),
        ("window", [tensor(5), tensor(2, seed=1)]),
        ("attention", [tensor(2, 2), tensor(3, 2, seed=1), tensor(3, 4, seed=2)]),
        ("gathered", [tensor(5), torch.tensor([0, 4, 2])]),
    ],
)
def test_gradients(checked: Checked, name: str, arguments: list[Any]) -> None:
    """Reverse-mode gradients agree with differences."""
    assert torch.autograd.gradcheck(function(checked, name), arguments)


def test_gradcheck_can_fail() -> None:
    """The check above notices a gradient that stops short."""
    with pytest.raises(RuntimeError):
        torch.autograd.gradcheck(lambda x: x * x.detach(), [tensor(3)])


def test_device_and_format_are_kept(checked: Checked) -> None:
    """Fresh tensors lie beside the arguments: on the device without memory nothing falls back to the CPU."""
    meta = torch.ones(3, 2, dtype=torch.float64, device="meta")
    row = torch.ones(2, dtype=torch.float64, device="meta")
    result = function(checked, "rbf")(meta, meta, row.new_ones(3), 1.0)
    assert result.device.type == "meta" and result.dtype is torch.float64
    pair = function(checked, "made")(torch.ones(3, device="meta"))
    assert all(r.device.type == "meta" and r.dtype is torch.float32 for r in pair)


def test_random_bits_are_numpys(checked: Checked) -> None:
    x = np.ones(4, np.float32)
    for ours, theirs in zip(
        function(checked, "made")(torch.from_numpy(x)),
        backend("numpy").load(backend("numpy").emit(checked.programs["made"]))(x),
        strict=True,
    ):
        np.testing.assert_array_equal(ours.numpy(), theirs)


def test_module_learns() -> None:
    from tpc.backends.torch import module

    text = """
def layer(x: f32[b, n], W: f32[m, n] is param, c: f32[m] is param) -> f32[b, m]:
    return relu(x @ W' + c)
"""
    program = check(Source(text, "layer.tp")).programs["layer"]
    layer = module(program)
    assert layer.__name__ == "layer"
    torch.manual_seed(0)
    made = layer(W=torch.randn(3, 4), c=torch.zeros(3))
    assert sorted(name for name, _ in made.named_parameters()) == ["W", "c"]
    x, wanted = torch.randn(8, 4), torch.ones(8, 3)
    optimizer = torch.optim.SGD(made.parameters(), lr=0.1)
    losses = []
    for _ in range(5):
        optimizer.zero_grad()
        loss = ((made(x) - wanted) ** 2).mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    chosen = module(program, parameters=["W"])(W=torch.randn(3, 4))
    assert chosen(x, torch.zeros(3)).shape == (8, 3)
    with pytest.raises(ValueError, match="no input Q"):
        module(program, parameters=["Q"])
    with pytest.raises(ValueError, match="needs values for W, c"):
        layer(W=torch.randn(3, 4))
