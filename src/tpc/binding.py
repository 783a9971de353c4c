"""Arguments matched with parameters: by position and name, then ranks, dtypes and sizes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tpc.conversion import convert
from tpc.dsl.diagnostics import Diagnostic, Label, TpcError, fail
from tpc.function import Function, Parameter
from tpc.ir.elaborate.scope import suggestion
from tpc.ir.node import Fact, Program
from tpc.ir.types import TensorType
from tpc.operands import Operand, adopt, common_kind, dense, in_numpy
from tpc.parts import spread
from tpc.sizes import Shaped, Solution, check_constraints, solve


@dataclass(frozen=True)
class Bound:
    """The arguments of a call: operands in the order of the inputs, the program for their types, and the sizes.

    `kind` is that of the arrays that are computed with, and `returned` that of the results.
    """

    program: Program
    operands: tuple[Operand, ...]
    solution: Solution
    kind: str
    returned: str

    @property
    def sparse(self) -> dict[str, float]:
        """The inputs that are given sparse, with the share of their entries that are stored, rounded up."""
        from tpc.passes.sparse.lowering import round_up

        pairs = zip(self.program.inputs, self.operands, strict=True)
        return {node["name"]: round_up(o.density) for node, o in pairs if o.is_sparse}

    @property
    def arrays(self) -> list[Any]:
        return [o.array for o in self.operands]


@dataclass(frozen=True)
class Manner:
    """How callers spell things, for the help in messages, and who hears of roundings."""

    dims: str = "`dims=`"
    transpose: str = "`{}.T`"
    argument: str = "`{0}=...`"
    note: Callable[[str], None] | None = None


PYTHON = Manner()


def match(
    function: Function, positional: Sequence[object], named: Mapping[str, object], manner: Manner = PYTHON
) -> dict[str, object]:
    """The value given for each parameter, defaults included.

    Raises
    ------
    TpcError
        E0801 for missing arguments, E0808 for those that no parameter takes.
    """
    parameters = function.parameters
    names = [p.name for p in parameters]
    positional, named = spread(function, positional, named)
    if len(positional) > len(parameters):
        count = f"{len(parameters)} argument" + ("s" if len(parameters) != 1 else "")
        raise fail(
            "E0808",
            f"`{function.name}` takes {count}, and {len(positional)} are given",
            help=f"its parameters are {function.signature}",
        )
    given = dict(zip(names, positional))
    faults: list[TpcError] = []
    for name, value in named.items():
        if name in given:
            faults.append(fail("E0808", f"`{name}` is given twice", help="give it by position or by name"))
        elif name not in names:
            close = suggestion(name, [n for n in names if n not in given and n not in named])
            help = f"did you mean `{close}`?" if close else f"its parameters are {function.signature}"
            if name in function.size_names:
                help = f"{name} is a size; it follows from the shapes, or is fixed with {manner.dims}"
            faults.append(fail("E0808", f"`{function.name}` has no parameter `{name}`", help=help))
        else:
            given[name] = value
    missing = [p for p in parameters if p.name not in given and p.default is None]
    if missing and not faults:  # an argument under a wrong name is missing under the right one
        listed = ", ".join(f"`{p.text}`" for p in missing)
        what = "argument is" if len(missing) == 1 else f"{len(missing)} arguments are"
        example = " ".join(manner.argument.format(p.name) for p in missing[:3])
        faults.append(
            fail(
                "E0801",
                f"{'an ' if len(missing) == 1 else ''}{what} missing: {listed}",
                *[Label(p.span, "not given") for p in missing],
                help=f"give {'it' if len(missing) == 1 else 'them'} as {example}",
            )
        )
    if faults:
        raise TpcError([d for fault in faults for d in fault.diagnostics])
    return {p.name: given.get(p.name, p.default) for p in parameters}


def bind(
    function: Function,
    values: Mapping[str, object],
    dims: Mapping[str, int] | None = None,
    backend: str = "auto",
    manner: Manner = PYTHON,
    keep_sparse: bool = False,
) -> Bound:
    """The arguments as operands of the right dtypes, with the program and the sizes that go with them.

    Sparse matrices are made dense, unless they are to be kept and the backend has kernels for them.

    Raises
    ------
    TpcError
        With all that is wrong with the arguments (E0802 to E0807, E0810, E0814).
    """
    faults: list[Diagnostic] = []
    operands: list[Operand] = []
    for parameter in function.parameters:
        try:
            operand = ranked(adopt(values[parameter.name], parameter.name), parameter)
            if parameter.dtype is not None:
                operand = convert(operand, parameter.dtype, parameter.name, manner.note)
            else:
                operand = convert(operand, operand.dtype, parameter.name)
            operands.append(operand)
        except TpcError as error:
            faults += [_placed(d, parameter) for d in error.diagnostics]
    if faults:
        raise TpcError(faults)
    kind = returned = common_kind(operands)
    if kind == "torch" and backend != "torch" and keep_sparse and any(o.is_sparse for o in operands):
        tensors = [o.array for o in operands if o.kind == "torch"]
        if not any(t.requires_grad or str(t.device) != "cpu" or str(t.dtype) == "torch.bfloat16" for t in tensors):
            operands, kind = [in_numpy(o) for o in operands], "numpy"  # where there are sparse kernels
    if kind == "torch" or backend not in ("auto", "numpy", "llvm") or not keep_sparse:
        operands = [dense(o, p.name) for o, p in zip(operands, function.parameters, strict=True)]
    operands = _one_kind(operands, function.parameters, backend if backend != "auto" else kind)
    program = function.instance([TensorType(o.dtype, o.shape) for o in operands])
    known = sizes(function, program, [o.shape for o in operands], dims, manner)
    return Bound(program, tuple(operands), known, kind, returned)


def sizes(
    function: Function,
    program: Program,
    shapes: Sequence[tuple[int, ...] | None],
    dims: Mapping[str, int] | None = None,
    manner: Manner = PYTHON,
) -> Solution:
    """The sizes of a call; an argument without a shape is one that is made when the sizes are known.

    Raises
    ------
    TpcError
        E0805 to E0807.
    """
    arguments = [
        Shaped(p.name, node.tensor.dims, shape, p.span)
        for p, node, shape in zip(function.parameters, program.inputs, shapes, strict=True)
        if shape is not None
    ]
    wanted = [n for node, s in zip(program.inputs, shapes) if s is None for n in _names(node.tensor)]
    function.check_sizes(dims or {})
    solution = solve(arguments, dict(dims or {}), wanted, manner.dims, manner.transpose)
    check_constraints(program.where, solution, function.name, function.span)
    return solution


def _names(type: TensorType) -> list[str]:
    from tpc.ir.dims import names_of

    return sorted({name for dim in type.dims for name in names_of(dim)})


def _placed(diagnostic: Diagnostic, parameter: Parameter) -> Diagnostic:
    if diagnostic.labels:
        return diagnostic
    return replace(diagnostic, labels=(Label(parameter.span, "declared here"),))


def ranked(operand: Operand, parameter: Parameter) -> Operand:
    """The operand with the rank of its parameter; tables of one column stand for vectors."""
    if parameter.rank is None:
        return operand
    wanted, have = parameter.rank, len(operand.shape)
    if operand.table and have == 2 and wanted < 2:
        from tpc.data import shaped
        from tpc.formats import Datum

        operand = replace(operand, array=shaped(Datum(operand.array, table=True), wanted))
        have = len(operand.shape)
    if have == wanted or (parameter.batched and have > wanted):
        return operand
    least = "at least " if parameter.batched else ""
    expected = {0: "a number", 1: "a vector", 2: "a matrix"}.get(wanted, f"an array with {wanted} axes")
    if parameter.batched:
        expected = f"an array with {least}{wanted} ax{'i' if wanted == 1 else 'e'}s"
    shape = operand.shape
    help = None
    if wanted == 1 and have == 2 and 1 in shape:
        help = f"drop the axis of size 1, as in `{parameter.name}.ravel()`"
    elif wanted == 2 and have == 1:
        help = f"make it a column with `{parameter.name}[:, None]`, or a row with `{parameter.name}[None, :]`"
    elif wanted == 0 and have == 1 and shape == (1,):
        help = f"take the number out of it, as in `{parameter.name}[0]`"
    if operand.origin and wanted < have == 2:
        help = f"choose a column, as in `{parameter.name}={operand.origin}:2`" if operand.table else None
    elif operand.origin:
        help = None
    raise fail(
        "E0802",
        f"`{parameter.name}` must be {expected}, but has {_shape_text(shape)}",
        Label(parameter.span, "declared here"),
        help=help,
    )


def _shape_text(shape: tuple[int, ...]) -> str:
    if not shape:
        return "no axes: it is a single number"
    axes = {1: "one axis", 2: "two axes", 3: "three axes"}.get(len(shape), f"{len(shape)} axes")
    return f"{axes}, of size {' by '.join(map(str, shape))}"


# ---- kinds of arrays


def _one_kind(operands: Sequence[Operand], parameters: Sequence[Parameter], backend: str) -> list[Operand]:
    """The operands as arrays of what the backend works on, all on one device; NumPy code takes tensors by itself."""
    devices = {str(o.array.device): p.name for o, p in zip(operands, parameters) if o.kind == "torch" and o.shape}
    if len(devices) > 1:
        places = ", ".join(f"`{name}` on {device}" for device, name in devices.items())
        raise fail("E0814", f"the tensors are on different devices: {places}", help="move them to one with `.to(...)`")
    if backend != "torch":
        return list(operands)
    device = next(iter(devices), "cpu")
    return [o if o.kind == "torch" else _to_torch(o, device) for o in operands]


def _to_torch(operand: Operand, device: str) -> Operand:
    import torch

    array = operand.array
    if not array.flags.writeable or any(s < 0 for s in array.strides):
        array = np.array(array, order="C")
    tensor = torch.from_numpy(array)
    if operand.dtype.name == "bf16":
        tensor = tensor.to(torch.bfloat16)
    return replace(operand, kind="torch", array=tensor.to(device))


def facts_with_sizes(program: Program, solution: Solution) -> dict[str, tuple[Fact, ...]]:
    """What is declared of each input, with sizes as integers."""
    from tpc.ir.dims import Dim, substitute

    inputs = set(program.inputs)
    return {
        node["name"]: tuple(
            Fact(f.name, tuple(substitute(a, solution.sizes) if isinstance(a, Dim) else a for a in f.arguments))
            for f in facts
        )
        for node, facts in program.facts
        if node in inputs
    }


def check_facts(bound: Bound) -> None:
    """Test what the program declares of its inputs on the data.

    Raises
    ------
    TpcError
        E0812 for each fact that does not hold.
    """
    from tpc.ir.facts.checks import satisfies

    declared = facts_with_sizes(bound.program, bound.solution)
    faults: list[Diagnostic] = []
    for node, operand in zip(bound.program.inputs, bound.operands):
        array = operand.array.detach().cpu().numpy() if operand.kind == "torch" else dense(operand, node["name"]).array
        if array.dtype == np.float16:
            array = array.astype(np.float32)
        tolerance = 1e-8 if array.dtype.name in ("float64", "complex128") else 1e-4
        for fact in declared.get(node["name"], ()):
            reason = satisfies(np, array, fact, tolerance)
            if reason is not None:
                faults += fail(
                    "E0812",
                    f"`{node['name']}` is declared {fact}, and is not: {reason}",
                    help=f"correct the data, or remove `{fact}` from the declaration",
                ).diagnostics
    if faults:
        raise TpcError(faults)
