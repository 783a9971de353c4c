"""Derivatives in PyTorch: tensors that require a gradient, second derivatives, torch.func, layers that learn."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

import tpc
from tpc.dsl.diagnostics import TpcError

torch = pytest.importorskip("torch")

TEXT = """
def form(x: f64[n], A: f64[n, n], s: f64) -> f64 = sum(tanh(A @ x) * s) + x @ A @ x

def pair(x: f64[n]) -> (f64[n], i64) = sin(x), argmax(x)

def net(A: f64[k, k], c: f64[k], u: f64[t, k]) -> f64[t, k]:
    x = c
    scan i in t:
        x = tanh(A @ x + u[i])
        y[i] = x
    return y

def ends(A: f64[n, n], b: f64[n]) -> f64[n]:
    x = b
    repeat 5 until norm(x) > 100:
        x = A @ x + b
    return x
"""
BACKENDS = ["numpy", "torch"]


def tensor(*shape: int, seed: int = 0, asks: bool = True) -> Any:
    return torch.tensor(np.random.default_rng(seed).standard_normal(shape), requires_grad=asks)


def form(x: Any, A: Any, s: Any) -> Any:
    return (torch.tanh(A @ x) * s).sum() + x @ A @ x


@pytest.mark.parametrize("backend", BACKENDS)
def test_gradients_and_their_gradients(backend: Any) -> None:
    f = tpc.compile(TEXT, function="form", backend=backend)
    arguments = tensor(3), tensor(3, 3, seed=1), tensor(seed=2)
    torch.testing.assert_close(f(*arguments), form(*arguments), rtol=1e-12, atol=0)
    assert torch.autograd.gradcheck(f, arguments)
    assert torch.autograd.gradgradcheck(f, arguments)


def test_forward_mode_and_checkpoints() -> None:
    f = tpc.compile(TEXT, function="form", backend="numpy")
    arguments = tensor(3), tensor(3, 3, seed=1), tensor(seed=2)
    assert torch.autograd.gradcheck(f, arguments, check_forward_ad=True, check_backward_ad=False)
    (wanted,) = torch.autograd.grad(f(*arguments), arguments[:1])
    torch.utils.checkpoint.checkpoint(f, *arguments, use_reentrant=False).backward()
    torch.testing.assert_close(arguments[0].grad, wanted)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("size", [0, 1, 3])
def test_batches_of_gradients(backend: Any, size: int) -> None:
    f = tpc.compile("def f(x: f64[n], A: f64[m, n]) -> f64[m] = tanh(A @ x)", backend=backend)
    x, A, ways = tensor(size), tensor(4, size, seed=1), torch.eye(4, dtype=torch.float64)

    def slopes(value: Any) -> Any:
        (found,) = torch.autograd.grad(value, x, ways, is_grads_batched=True, create_graph=True)
        return found, *torch.autograd.grad((found**2).sum(), (x, A))

    torch.testing.assert_close(slopes(f(x, A)), slopes(torch.tanh(A @ x)), rtol=1e-12, atol=1e-15)


def test_jacobians_and_hessians_that_are_vectorized() -> None:
    f, x = tpc.compile("def f(x: f64[n]) -> f64 = sum(sin(x)^3)", backend="numpy"), tensor(3)
    found = torch.autograd.functional.hessian(f, x, vectorize=True)
    wanted = torch.autograd.functional.hessian(lambda x: (torch.sin(x) ** 3).sum(), x)
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-15)
    ways = torch.autograd.functional.jacobian(tpc.compile("def f(x: f64[n]) -> f64[n] = x^2"), x, vectorize=True)
    torch.testing.assert_close(ways, torch.diag(2 * x.detach()))


def test_batches_of_batches_of_gradients_are_refused() -> None:
    x = tensor(3)
    value, _ = tpc.compile(TEXT, function="pair")(x)

    def slope(way: Any) -> Any:
        return torch.autograd.grad(value, x, way, is_grads_batched=True, retain_graph=True)[0]

    ways = torch.stack([torch.eye(3, dtype=torch.float64)] * 2)
    with pytest.warns(), pytest.raises(TpcError) as caught:
        torch._vmap_internals.vmap(slope)(ways)
    assert caught.value.diagnostics[0].code == "E0814" and caught.value.diagnostics[0].help


def test_what_is_not_asked_for_has_no_gradient() -> None:
    x, A = tensor(3), tensor(3, 3, seed=1, asks=False)
    tpc.compile(TEXT, function="form")(x, A, 2.0).backward()
    assert x.grad is not None and A.grad is None
    assert not tpc.compile(TEXT, function="form")(x.detach(), A, 2.0).requires_grad


def test_integers_among_the_results() -> None:
    x = tensor(4)
    value, place = tpc.compile(TEXT, function="pair")(x)
    value.sum().backward()
    torch.testing.assert_close(x.grad, torch.cos(x.detach()))
    assert int(place) == int(x.argmax()) and not place.requires_grad


def test_a_scan() -> None:
    f = tpc.compile(TEXT, function="net")
    assert torch.autograd.gradcheck(f, (tensor(2, 2), tensor(2, seed=1), tensor(3, 2, seed=2)))


def test_what_tpc_cannot_differentiate_torch_does() -> None:
    text = "def spread(x: f64[n]) -> f64 = sum(trigamma(2 + x^2))\n"
    assert torch.autograd.gradcheck(tpc.compile(text, backend="torch"), tensor(3))
    with pytest.raises(TpcError):
        tpc.compile(text, backend="numpy")(tensor(3)).backward()


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_loop_that_ends_by_itself(backend: Any) -> None:
    arguments = tensor(3, 3), tensor(3, seed=1)
    assert torch.autograd.gradcheck(tpc.compile(TEXT, function="ends", backend=backend), arguments)


@pytest.mark.parametrize("backend", BACKENDS)
def test_torch_func(backend: Any) -> None:
    compiled = tpc.compile(TEXT, function="form", backend=backend)
    x, X, v = (tensor(*s, seed=k, asks=False) for k, s in enumerate([(3,), (5, 3), (3,)]))
    A, s = tensor(3, 3, seed=4, asks=False), tensor(seed=5, asks=False)

    def ours(x: Any) -> Any:
        return compiled(x, A, s)

    def theirs(x: Any) -> Any:
        return form(x, A, s)

    for transform in (torch.func.grad, torch.func.hessian, lambda f: torch.func.jacrev(torch.func.grad(f))):
        torch.testing.assert_close(transform(ours)(x), transform(theirs)(x), rtol=1e-10, atol=1e-12)
    for transform in (torch.func.vmap, lambda f: torch.func.vmap(torch.func.grad(f))):
        torch.testing.assert_close(transform(ours)(X), transform(theirs)(X), rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(torch.func.jvp(ours, (x,), (v,)), torch.func.jvp(theirs, (x,), (v,)))


LAYER = "def layer(x: f32[b, n], W: f32[m, n], c: f32[m]) -> f32[b, m] = relu(x @ W' + c)\n"


def test_a_layer_learns() -> None:
    torch.manual_seed(0)
    layer = tpc.module(LAYER, {"W": torch.randn(3, 4), "c": torch.zeros(3)})
    assert [name for name, _ in layer.named_parameters()] == ["W", "c"]
    x, wanted = torch.randn(8, 4), torch.ones(8, 3)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    losses = []
    for _ in range(5):
        optimizer.zero_grad()
        loss = ((layer(x) - wanted) ** 2).mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    again = tpc.module(LAYER, {"W": torch.zeros(3, 4), "c": torch.zeros(3)})
    again.load_state_dict(layer.state_dict())
    torch.testing.assert_close(again(x=x), layer(x))


def test_copies_and_formats_of_a_layer() -> None:
    text = "def layer(x: [b, n], W: [m, n], c: [m]) -> [b, m] = relu(x @ W' + c)\n"
    layer = tpc.module(text, {"W": torch.randn(3, 4), "c": torch.zeros(3)})
    twin, x = copy.deepcopy(layer), torch.randn(2, 4)
    torch.testing.assert_close(twin(x), layer(x))
    twin.W.data.zero_()
    assert layer.W.abs().sum() > 0
    assert twin.to(torch.float64)(x.double()).dtype is torch.float64

    def loss(parameters: Any, x: Any) -> Any:
        return torch.func.functional_call(layer, parameters, (x[None],)).sum()

    slopes = torch.func.vmap(torch.func.grad(loss), (None, 0))(dict(layer.named_parameters()), x)
    assert slopes["W"].shape == (2, 3, 4)


@pytest.mark.parametrize(("parameters", "code"), [({"Q": [1.0]}, "E0808"), ({"type": [1.0]}, "E1004")])
def test_layers_with_wrong_parameters(parameters: dict[str, Any], code: str) -> None:
    with pytest.raises(TpcError) as caught:
        tpc.module("def layer(x: f32[n], type: f32[n]) -> f32[n] = x * type\n", parameters)
    assert caught.value.diagnostics[0].code == code


def test_arguments_of_a_layer_are_checked() -> None:
    layer = tpc.module(LAYER, {"W": torch.zeros(3, 4), "c": torch.zeros(3)})
    for wrong in ((), (torch.ones(1, 4), torch.ones(3, 4))):
        with pytest.raises(TpcError) as caught:
            layer(*wrong)
        assert caught.value.diagnostics[0].code in ("E0801", "E0808")
