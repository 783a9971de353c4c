"""What a case is: a loss in tpc and in Python, and which of its derivatives is taken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.algebra.case import Case as Formula


@dataclass(frozen=True)
class Case(Formula):
    """One derivative. `program` has the loss and a function `main` that takes its derivative.

    Attributes
    ----------
    loss
        The loss in Python, of a library (torch or jax.numpy, with what they call differently) and the operands.
    by
        The positions of the operands to differentiate by.
    derivative
        `grad`, by all of `by`; `hessian` or `laplacian`, by the first; `value`, if the loss has the derivative in it.
    tolerance
        The relative error that results may have, of the largest entry.
    """

    loss: Callable[..., Any] | None = None
    by: tuple[int, ...] = (0,)
    derivative: str = "grad"
    tolerance: float = 1e-9


def torch_library() -> Any:
    """torch with the names that losses use."""
    import torch

    functional = torch.nn.functional

    def scan(step: Callable[..., Any], state: Any, rows: Any) -> tuple[Any, Any]:
        found = []
        for row in rows:
            state, value = step(state, row)
            found.append(value)
        return state, torch.stack(found)

    return _Library(
        torch,
        softplus=lambda x: functional.softplus(x, threshold=40.0),  # from where it is x, in double precision
        softmax=lambda x: torch.softmax(x, -1),
        logsumexp=lambda x: torch.logsumexp(x, -1),
        logdet=torch.logdet,
        fft=torch.fft.fft,
        eigh=torch.linalg.eigh,
        eye=lambda n, like: torch.eye(n, dtype=like.dtype),
        scan=scan,
    )


def jax_library() -> Any:
    """jax.numpy with the names that losses use."""
    import jax
    import jax.numpy as jnp

    return _Library(
        jnp,
        softplus=jax.nn.softplus,
        softmax=lambda x: jax.nn.softmax(x, -1),
        logsumexp=lambda x: jax.scipy.special.logsumexp(x, -1),
        logdet=lambda A: jnp.linalg.slogdet(A)[1],
        fft=jnp.fft.fft,
        eigh=jnp.linalg.eigh,
        eye=lambda n, like: jnp.eye(n, dtype=like.dtype),
        scan=jax.lax.scan,
    )


class _Library:
    """A library, with some of its functions under other names."""

    def __init__(self, module: Any, **names: Any) -> None:
        self.module = module
        self.__dict__.update(names)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.module, name)


def torch_derivative(case: Case) -> Callable[..., tuple[Any, ...]]:
    """The derivative by torch.func, of tensors."""
    import torch

    loss, library = _loss(case), torch_library()

    def value(*operands: Any) -> Any:
        return loss(library, *operands)

    first = case.by[0]
    if case.derivative == "grad":
        return _several(torch.func.grad(value, case.by))
    if case.derivative == "value":
        return _several(value)
    hessian = torch.func.hessian(value, first)
    if case.derivative == "hessian":
        return _several(hessian)
    return lambda *operands: (hessian(*operands).trace(),)


def torch_by_autograd(case: Case) -> Callable[..., tuple[Any, ...]]:
    """The gradient by backward(), as most write it; other derivatives by torch.func."""
    import torch

    if case.derivative != "grad":
        return torch_derivative(case)
    loss, library = _loss(case), torch_library()

    def gradient(*operands: Any) -> tuple[Any, ...]:
        given = [x.detach().requires_grad_() if k in case.by else x for k, x in enumerate(operands)]
        return torch.autograd.grad(loss(library, *given), [given[k] for k in case.by])

    return gradient


def jax_derivative(case: Case) -> Callable[..., Any]:
    """The derivative by jax, to be compiled."""
    import jax

    loss, library = _loss(case), jax_library()

    def value(*operands: Any) -> Any:
        return loss(library, *operands)

    first = case.by[0]
    if case.derivative == "grad":
        return jax.grad(value, case.by)
    if case.derivative == "value":
        return _several(value)
    hessian = jax.hessian(value, first)
    if case.derivative == "hessian":
        return _several(hessian)
    return lambda *operands: (hessian(*operands).trace(),)


def by_torch(case: Case) -> Callable[..., Any]:
    """The right result, of numpy arrays: torch's, in the precision of the operands."""
    import torch

    derivative = torch_by_autograd(case)

    def result(*operands: Any) -> Any:
        dtype = next(torch.from_numpy(x).dtype for x in operands if isinstance(x, np.ndarray))
        found = tuple(x.detach().numpy() for x in derivative(*(torch.as_tensor(x, dtype=dtype) for x in operands)))
        return found if len(found) > 1 else found[0]

    return result


def _loss(case: Case) -> Callable[..., Any]:
    assert case.loss is not None
    return case.loss


def _several(function: Callable[..., Any]) -> Callable[..., tuple[Any, ...]]:
    def call(*operands: Any) -> tuple[Any, ...]:
        found = function(*operands)
        return found if isinstance(found, tuple) else (found,)

    return call
