"""Functions that were compiled before, known by the text of their program alone.

What a call must know of a function is kept beside its code: parameters, and for types that it was called with the
inputs, their facts, the relations of sizes and the names of results. With that a call runs without the program being
read again; it is read when someone asks for more. Only programs that name no other file are kept like this.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

from tpc.backends.fields import dim_json, read_dim, read_identifier, read_list, read_mapping, read_text
from tpc.dsl import syntax
from tpc.dsl.source import Source, Span
from tpc.function import Function, Parameter
from tpc.ir.build import input_node
from tpc.ir.elaborate.module import ModuleScope
from tpc.ir.node import Constraint, Fact, Program
from tpc.ir.types import DTYPES, TensorType

RELATIONS = ("==", "!=", "<", "<=", ">", ">=")


def names_files(text: str) -> bool:
    """Whether a program may read files."""
    return re.search(r"\b(use|load)\b", text) is not None


class Recalled(Function):
    """A function from the cache, whose program is read when it is needed."""

    def __init__(self, data: Any, source: Source, elaborate: Callable[[], Function]) -> None:
        fields = read_mapping(data)
        self.name = read_identifier(fields.get("name"))
        self.span = _span(fields.get("span"), source)
        self._text = _span(fields.get("text"), source)
        self._parameters = tuple(_parameter(p, source) for p in read_list(fields.get("parameters")))
        self._size_names = tuple(map(read_text, read_list(fields.get("sizes"))))
        self._memory = fields.get("memory")
        if not (self._memory is None or type(self._memory) is int and self._memory > 0):
            raise ValueError("memory")
        self._elaborate = elaborate
        self._instances: dict[tuple[object, ...], Program] = {}
        self.known: dict[Program, str] = {}  # identities of programs without their bodies
        for item in read_list(fields.get("instances")):
            identity, inputs, where, outputs = read_list(item, 4)
            program = _bodiless(self.name, inputs, where, outputs)
            self._instances[self._key([n.tensor for n in program.inputs])] = program
            self.known[program] = read_text(identity)

    @cached_property
    def _whole(self) -> Function:
        return self._elaborate()

    def elaborated(self) -> Function:
        return self._whole

    def identity(self, program: Program) -> str:
        return self.known.get(program) or self._whole.identity(program)

    @property
    def module(self) -> ModuleScope:  # type: ignore[override]
        return self._whole.module

    @property
    def definition(self) -> syntax.Def:  # type: ignore[override]
        return self._whole.definition

    @property
    def memory(self) -> int | None:
        return self._memory

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return self._parameters

    @property
    def size_names(self) -> tuple[str, ...]:
        return self._size_names

    @property
    def source_text(self) -> str:
        return self._text.text

    def generic(self, batch_rank: int = 1) -> Program:
        return self._whole.generic(batch_rank)

    def instance(self, types: Sequence[TensorType]) -> Program:
        """As for any function; of types that were met before without the body, which `elaborated` has."""
        return self._instances.get(self._key(types)) or self._whole.instance(types)


def as_json(function: Function, instances: Mapping[Program, str]) -> dict[str, Any]:
    """What is kept of a function: `instances` are programs for types that it was called with, and their identities.

    Raises
    ------
    ValueError
        If it holds what plain data cannot.
    """
    return {
        "name": function.name,
        "span": _span_json(function.span),
        "text": _span_json(function.definition.span),
        "parameters": [_parameter_json(p) for p in function.parameters],
        "sizes": list(function.size_names),
        "memory": function.memory,
        "instances": [[identity, *_head_json(program)] for program, identity in instances.items()],
    }


# ---- parameters


def _span_json(span: Span) -> list[int]:
    return [span.start, span.end]


def _span(data: Any, source: Source) -> Span:
    start, end = read_list(data, 2)
    if not isinstance(start, int) or not isinstance(end, int) or not 0 <= start <= end <= len(source.text):
        raise ValueError("span")
    return Span(source, start, end)


def _parameter_json(parameter: Parameter) -> list[Any]:
    p = parameter
    if isinstance(p.default, complex):
        raise ValueError("a complex number")
    dtype = None if p.dtype is None else p.dtype.name
    return [p.name, p.text, _span_json(p.span), p.typed, dtype, p.rank, p.batched, p.default, p.whole]


def _parameter(data: Any, source: Source) -> Parameter:
    name, text, span, typed, dtype, rank, batched, default, whole = read_list(data, 9)
    if not isinstance(typed, bool) or not isinstance(batched, bool) or dtype is not None and dtype not in DTYPES:
        raise ValueError("parameter")
    if rank is not None and not isinstance(rank, int) or default is not None and not isinstance(default, (int, float)):
        raise ValueError("parameter")
    place = _span(span, source)
    known = None if dtype is None else DTYPES[dtype]
    return Parameter(read_text(name), read_text(text), place, typed, known, rank, batched, default, read_text(whole))


# ---- programs without their body


def _head_json(program: Program) -> list[Any]:
    facts = dict(program.facts)
    inputs = [
        [
            node["name"],
            node.tensor.dtype.name,
            [dim_json(d) for d in node.tensor.dims],
            [
                [f.name, [a if isinstance(a, float) else [dim_json(a)] for a in f.arguments]]
                for f in facts.get(node, ())
            ],
        ]
        for node in program.inputs
    ]
    where = [[dim_json(c.left), c.relation, dim_json(c.right)] for c in program.where]
    return [inputs, where, list(program.output_names)]


def _bodiless(name: str, inputs: Any, where: Any, outputs: Any) -> Program:
    nodes, facts = [], []
    for item in read_list(inputs):
        own, dtype, dims, known = read_list(item, 4)
        if dtype not in DTYPES:
            raise ValueError("dtype")
        node = input_node(read_text(own), TensorType(DTYPES[dtype], [read_dim(d) for d in read_list(dims)]))
        nodes.append(node)
        if known:
            facts.append((node, tuple(_fact(f) for f in read_list(known))))
    constraints = []
    for item in read_list(where):
        left, relation, right = read_list(item, 3)
        if relation not in RELATIONS:
            raise ValueError("relation")
        constraints.append(Constraint(read_dim(left), relation, read_dim(right)))
    names = [read_text(n) for n in read_list(outputs)]
    return Program(name, nodes, [], names, facts, constraints)


def _fact(data: Any) -> Fact:
    name, arguments = read_list(data, 2)
    values = [a if isinstance(a, float) else read_dim(read_list(a, 1)[0]) for a in read_list(arguments)]
    return Fact(read_text(name), tuple(values))
