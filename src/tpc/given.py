"""Values as the command line spells them: `X=x.npy`, `y=data.csv:price`, `A=random:7`, `s=0.5`, `w=[1, 2]`."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tpc.binding import Manner, facts_with_sizes, sizes
from tpc.data import read, read_sparse, split_member
from tpc.dsl.diagnostics import Diagnostic, TpcError, fail
from tpc.formats import Datum
from tpc.function import Function, Parameter
from tpc.ir.dims import evaluate, named
from tpc.ir.types import F64, TensorType
from tpc.memory import amount, limit
from tpc.operands import Operand, adopt

WORDS = ("random", "zeros", "ones")


@dataclass(frozen=True, slots=True)
class Made:
    """A value that is made when its shape is known."""

    word: str
    seed: int


def parse(text: str, name: str, seed: int) -> object:
    """What is meant by the text behind `name=`: an operand, or a value that is made later.

    Raises
    ------
    TpcError
        If it is a file that cannot be read, or nothing that can be understood.
    """
    word, sign, number = text.partition(":")
    if word in WORDS and not sign:
        return Made(word, seed)
    if word == "random" and number.isdecimal():
        return Made(word, int(number))
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float, complex):
        try:
            return kind(text)
        except ValueError:
            continue
    if text.startswith("["):
        try:
            return adopt(json.loads(text), name)
        except (ValueError, RecursionError):
            raise fail("E0804", f"`{name}={text[:40]}` is no list of numbers", help="write it as `[1, 2.5]`") from None
    path, member = split_member(text)
    if not Path(path).suffix and not os.path.exists(path):
        help = "write a number, a list such as `[1, 2.5]`, a file such as `x.npy`, or random, zeros or ones"
        raise fail("E0804", f"`{name}={text[:40]}` is neither a number nor a list nor a file", help=help)
    matrix = read_sparse(Path(path), path) if member is None else None
    datum = read(Path(path), path, member, name) if matrix is None else Datum(matrix, table=True)
    operand = adopt(datum.array, name)
    return Operand(operand.kind, operand.array, operand.dtype, datum.weak, narrow=True, table=datum.table, origin=path)


def make(
    function: Function, values: Mapping[str, object], dims: Mapping[str, int], manner: Manner
) -> dict[str, object]:
    """The values, with those made that were asked for by a word.

    Raises
    ------
    TpcError
        E0806 if the shape of one does not follow from the others and the fixed sizes, E0901 if it is too large.
    """
    if not any(isinstance(v, Made) for v in values.values()):
        return dict(values)
    from tpc.binding import ranked

    shapes: list[tuple[int, ...] | None] = []
    types: list[TensorType] = []
    for parameter in function.parameters:
        value = values[parameter.name]
        if isinstance(value, Made):
            types.append(_declared(parameter, value))
            shapes.append(None)
            continue
        operand = ranked(adopt(value, parameter.name), parameter)
        types.append(TensorType(parameter.dtype or operand.dtype, operand.shape))
        shapes.append(operand.shape)
    program = function.instance(types)
    solution = sizes(function, program, shapes, dims, manner)
    facts = facts_with_sizes(program, solution)
    made = dict(values)
    for node in program.inputs:
        name = node["name"]
        value = values[name]
        if isinstance(value, Made):
            shape = tuple(evaluate(d, solution.sizes) for d in node.tensor.dims)
            made[name] = _value(value, TensorType(node.tensor.dtype, shape), facts.get(name, ()), name)
    return made


def _declared(parameter: Parameter, value: Made) -> TensorType:
    if parameter.rank is None:
        raise fail(
            "E0806",
            f"`{parameter.name}={value.word}` has no shape, since `{parameter.name}` has no declared type",
            parameter.span,
            help=f"declare it, as in `{parameter.name}: f64[n]`, or give a file",
        )
    return TensorType(parameter.dtype or F64, [named("n")] * parameter.rank)


def _value(value: Made, type: TensorType, facts: Any, name: str) -> np.ndarray[Any, Any]:
    size = type.bytes
    assert isinstance(size, int)
    if size > limit():
        raise fail(
            "E0901",
            f"`{name}={value.word}` would take {amount(size)}, and the limit is {amount(limit())}",
            help="choose smaller sizes with `--dim`",
        )
    shape: Any = type.dims
    if value.word == "random":
        from tpc.samples import sample

        return sample(type.dtype, shape, facts, seed=value.seed, name=name)
    return np.full(shape, 0 if value.word == "zeros" else 1, type.dtype.numpy)


def parse_all(pairs: Mapping[str, str], seed: int) -> dict[str, object]:
    """All values, with the messages for all that are wrong."""
    values: dict[str, object] = {}
    faults: list[Diagnostic] = []
    for name, text in pairs.items():
        try:
            values[name] = parse(text, name, seed)
        except TpcError as error:
            faults += error.diagnostics
    if faults:
        raise TpcError(faults)
    return values
