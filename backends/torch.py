"""The torch backend: functions of tensors on any device, which gradients pass through; and modules of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tpc.backends import choice, emit, guard
from tpc.backends.contract import Backend, Emitted
from tpc.backends.torch_dialect import TorchDialect
from tpc.backends.torch_functions import FUNCTIONS
from tpc.backends.torch_helpers import HELPERS
from tpc.backends.torch_kernels import KERNEL_HELPERS
from tpc.backends.torch_recurrences import RECURRENCE_HELPERS
from tpc.backends.torch_sparse import SPARSE_HELPERS
from tpc.backends.torch_structured import STRUCTURED_HELPERS
from tpc.backends.torch_table import OPS, REDUCERS
from tpc.ir.node import Node, Program

if TYPE_CHECKING:
    import torch

DIALECT = TorchDialect(
    "torch",
    FUNCTIONS,
    REDUCERS,
    OPS,
    HELPERS | KERNEL_HELPERS | RECURRENCE_HELPERS | STRUCTURED_HELPERS | SPARSE_HELPERS,
)


class TorchBackend:
    """See `contract`. Fresh tensors are made on the device of the first argument."""

    name = "torch"

    def emit(self, program: Program, names: Mapping[Node, str] | None = None, *, tight: bool = False) -> Emitted:
        return emit.emit(program, DIALECT, names, tight)

    def emit_choice(self, alternatives: Sequence[choice.Alternative]) -> Emitted:
        return choice.emit(alternatives, emit.Module(DIALECT, choice.names(alternatives)))

    def constant(self, node: Node) -> Any:
        return emit.constant(node, DIALECT)

    def helpers(self) -> Mapping[str, Callable[..., Any]]:
        found = _namespace(emit.helpers(DIALECT), {})
        return {name: found[name] for name in DIALECT.helpers}

    def load(self, emitted: Emitted) -> Callable[..., Any]:
        function: Callable[..., Any] = _namespace(emitted.source, emitted.constants)[emitted.function]
        return function


def _namespace(source: str, constants: Mapping[str, Any]) -> dict[str, Any]:
    """What a module of source defines."""
    import numpy as np
    import scipy.linalg
    import torch
    import torch.nn.functional

    return guard.namespace(guard.check(source), {"np": np, "scipy": scipy, "torch": torch}, constants)


BACKEND: Backend = TorchBackend()


def module(
    program: Program,
    names: Mapping[Node, str] | None = None,
    parameters: Sequence[str] | None = None,
) -> type[torch.nn.Module]:
    """A class of modules whose parameters are some inputs of a program; the others are arguments of `forward`.

    Parameters
    ----------
    parameters : sequence of str, optional
        Names of inputs; by default those with the declared fact `param`.

    Returns
    -------
    class
        Made with a tensor for each parameter, by name: `Layer(W=..., b=...)`; sizes that no shape tells are keywords
        of `forward`.
    """
    import torch

    emitted = BACKEND.emit(program, names)
    function = BACKEND.load(emitted)
    inputs = {node["name"]: name for node, name in zip(program.inputs, emitted.parameters, strict=True)}
    if parameters is None:
        declared = {node for node, facts in program.facts if any(f.name == "param" for f in facts)}
        parameters = [node["name"] for node in program.inputs if node in declared]
    unknown = [name for name in parameters if name not in inputs]
    if unknown:
        raise ValueError(f"{program.name} has no input {unknown[0]}")
    chosen = tuple(parameters)
    learned = [inputs[name] for name in chosen]

    class ProgramModule(torch.nn.Module):
        """A program with parameters."""

        def __init__(self, **tensors: torch.Tensor) -> None:
            super().__init__()
            if set(tensors) != set(chosen):
                raise ValueError(f"{program.name} needs values for {', '.join(chosen)}")
            for name, tensor in tensors.items():
                self.register_parameter(inputs[name], torch.nn.Parameter(tensor))

        def forward(self, *arguments: Any, **sizes: int) -> Any:
            rest = iter(arguments)
            values = [getattr(self, n) if n in learned else next(rest) for n in emitted.parameters]
            return function(*values, **sizes)

    ProgramModule.__name__ = ProgramModule.__qualname__ = emitted.function
    return ProgramModule
