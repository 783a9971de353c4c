"""One function while it is written."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tpc.backends.arguments import Opening, parameter_list, signature
from tpc.backends.block import Block
from tpc.backends.code import Lines, Value, dim_source
from tpc.backends.contract import Head
from tpc.backends.dialect import Scribe
from tpc.backends.lifetimes import SLACK, liveness
from tpc.backends.names import Names
from tpc.ir.dims import DimLike, names_of
from tpc.ir.node import Node, Program

if TYPE_CHECKING:
    from tpc.backends.emit import Module


class Function(Scribe):
    """One function while it is written; it serves tables as their scribe."""

    def __init__(self, module: Module, program: Program, name: str, outermost: bool) -> None:
        self.module, self.dialect, self.program = module, module.dialect, program
        self.name, self.outermost = name, outermost
        self.lines = Lines()
        self.names = Names(frozenset(self.module.globals.taken) | {"HERE"})
        self.sizes: dict[str, str] = {}
        self.sizes_used: dict[str, None] = {}
        self.parameters: list[str] = []
        self.keyword_sizes: dict[str, str] = {}
        self.uses_device = False
        self.counters: dict[str, DimLike] = {}  # loop counters, and how far they run
        self.used: set[Node] = set()
        self.told: dict[str, str] = {}  # what messages say for names: of factors, what they are of
        self.written: list[str] = []  # the names of values, in the order of their lines
        self.signature = ""
        self.head = Head()

    # ---- what tables ask for

    def named(self, value: Value, wanted: str = "", comment: str = "") -> Value:
        if value.text.isidentifier() and not comment or value.is_atom and not wanted:
            return value
        name = self.names.fresh(wanted) if wanted else self.names.temporary()
        self.lines.write(f"{name} = {value.text}", comment)
        self.written.append(name)
        if not wanted and not re.search(r"\bt\d+\b|\b_", value.text):
            self.told[name] = value.text
        return Value(name, value.dtype, value.rank, value.python)

    def helper(self, name: str) -> str:
        self.module.helpers[name] = None
        return name

    def size(self, dim: DimLike) -> str:
        for name in sorted(names_of(dim)):
            self.size_named(name)
        return dim_source(dim, self.sizes)

    def size_named(self, name: str) -> str:
        """The variable of a named size that the code uses."""
        self.sizes_used[name] = None
        if name not in self.sizes:
            self.sizes[name] = self.names.fresh(name)
        return self.sizes[name]

    @property
    def device(self) -> str:
        self.uses_device = True
        return "device"

    # ---- the function

    def named_inputs(self) -> dict[Node, Value]:
        """The inputs under the names of parameters, after names for their sizes."""
        for name in sorted({n for i in self.program.inputs for d in i.tensor.dims for n in names_of(d)}):
            self.sizes[name] = self.names.fresh(name)
        inputs: dict[Node, Value] = {}
        for node in self.program.inputs:
            parameter = self.names.fresh(self.module.user_names.get(node) or node["name"])
            self.parameters.append(parameter)
            inputs[node] = Value(parameter, node.tensor.dtype, node.tensor.rank, node.tensor.dtype.is_weak)
        return inputs

    def write(self) -> str:
        program = self.program
        memory = liveness(program, self.dialect.name)
        slack = 1.0 if self.module.tight else SLACK
        block = Block(self, self.named_inputs(), memory, memory.peak * slack)
        self.signature = signature(self)
        block.run(program.outputs)
        results = [block.output(node, position) for position, node in enumerate(program.outputs)]
        if len(results) == 1:
            self.lines.write(f"return {results[0]}")
        else:
            self.lines.write(f"return ({', '.join(results)})")
        block.finish()
        body = self.lines.lines
        head = Opening(self).write() if self.outermost else []
        keywords = list(self.keyword_sizes.values())
        if not self.outermost:
            self.keyword_sizes = {n: self.sizes[n] for n in self.sizes_used}
            keywords = list(self.keyword_sizes.values())
            if self.uses_device:
                keywords.append("device")
        parameters = ", ".join([*parameter_list(self), *(["*"] if keywords else []), *keywords])
        document = [f'    """{self.signature}"""']
        return "\n".join([f"def {self.name}({parameters}):", *document, *head, *body])
