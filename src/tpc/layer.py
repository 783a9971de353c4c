"""Programs as layers of PyTorch, with parameters that learn."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import torch

from tpc.api import compile
from tpc.binding import match
from tpc.compiled import Compiled
from tpc.dsl.diagnostics import fail
from tpc.ir.elaborate.scope import suggestion


class Layer(torch.nn.Module):
    """A compiled function some of whose arguments are parameters of the layer. Made by `module`."""

    def __init__(self, compiled: Compiled, parameters: Mapping[str, Any]) -> None:
        super().__init__()
        names = [p.name for p in compiled.function.parameters]
        for name, value in parameters.items():
            if name not in names:
                close = suggestion(name, names)
                raise fail(
                    "E0808",
                    f"`{compiled.__name__}` has no parameter `{name}`",
                    help=f"did you mean `{close}`?" if close else f"its parameters are {compiled.function.signature}",
                )
            if hasattr(self, name):
                raise fail("E1004", f"a layer cannot have a parameter `{name}`", help="rename it in the program")
            self.register_parameter(name, torch.nn.Parameter(torch.as_tensor(value)))
        self.compiled = compiled
        self._names = [name for name in names if name not in parameters]

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The function of the remaining arguments, by position or name."""
        given = dict(zip(self._names, args, strict=False))
        if len(args) > len(self._names) or given.keys() & kwargs.keys():
            match(self.compiled.function, args, kwargs)  # says what is wrong
        return self.compiled(**given, **kwargs, **dict(self.named_parameters()))

    def extra_repr(self) -> str:
        return self.compiled.function.signature


def module(
    text_or_path: str | os.PathLike[str],
    parameters: Mapping[str, Any],
    *,
    function: str | None = None,
    **options: Any,
) -> Layer:
    """A function of a program as a `torch.nn.Module`.

    Parameters
    ----------
    text_or_path, function, **options
        As for `compile`.
    parameters
        The arguments that are learned, by name, with the values to start from.

    Returns
    -------
    Layer
        Called with the other arguments, in their order or by name. Its gradients are compiled by tpc.

    Raises
    ------
    TpcError
        If the program or an option is wrong, or a parameter is none of the function (E0808).

    Examples
    --------
    >>> import torch, tpc
    >>> text = "def affine(x: f32[b, n], W: f32[m, n], c: f32[m]) -> f32[b, m] = x @ W' + c"
    >>> layer = tpc.module(text, {"W": torch.ones(3, 2), "c": torch.zeros(3)})
    >>> layer(torch.ones(1, 2)).tolist()
    [[2.0, 2.0, 2.0]]
    """
    return Layer(compile(text_or_path, function=function, **options), parameters)
