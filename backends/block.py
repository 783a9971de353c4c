"""The values of one program, written line by line.

The order of work is the order of the graph. A value gets a line of its own and the user's name, unless it is used
once by an operation that reads well with it inside.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import TYPE_CHECKING, Any

from tpc.backends import control
from tpc.backends.arguments import type_text
from tpc.backends.code import Value, fill, repeats, shape_source, tidy
from tpc.backends.dialect import Site
from tpc.backends.lifetimes import Lifetimes
from tpc.backends.names import spelled, words
from tpc.backends.notation import formula_value
from tpc.backends.subscripts import write_subscript
from tpc.dsl.diagnostics import InternalError, fail
from tpc.ir.node import Node, Program, topological
from tpc.ir.ops.shapes import AFTER
from tpc.ir.ops.structure import (
    APPROXIMATE,
    CALL,
    CONSTANT,
    DERIVATIVE,
    IF,
    INPUT,
    ITEM,
    LITERAL,
    REPEAT,
    SCAN,
    SIZE,
    SUBSCRIPT,
)
from tpc.ir.types import BF16, BOOL, F16, F32, I64, INT, STRONG, DType, TensorType, as_float, promote_all

if TYPE_CHECKING:
    from tpc.backends.function import Function
    from tpc.passes.memory.liveness import Liveness

# Operations that read well inside of another, and those that read well with another inside.
_INSIDE = ("elementwise", "products", "fourier")
_AROUND = ("elementwise", "products", "reductions", "linalg", "fourier", "shapes")
_SHORT = words("eye zeros ones arange unsqueeze")  # these read well inside, too
_LONGEST = 60
_LONGEST_RESULT = 90
# What mathematics calls the results of an op.
_RESULTS = {
    "eigh": "values vectors",
    "eig": "values vectors",
    "svd": "U s Vt",
    "qr": "Q R",
    "lu_factor": "lu pivots",
    "ldl_factor": "ldl order",
    "cholesky": "L",
}
_TURNING = ("transpose", "adjoint")
# Ops that move entries: what comes out has the format of what went in.
_MOVING = words(
    "cast transpose adjoint permute diag tril triu vec unvec reshape broadcast_to squeeze unsqueeze flip roll tile "
    "concat stack split take take_along sort pad max min cummax fftshift ifftshift zeros ones eye one_hot"
)


class Block:
    """The values of one program inside of a function: the whole function, or the body of a loop or branch."""

    def __init__(
        self,
        function: Function,
        env: dict[Node, Value],
        memory: Liveness | None = None,
        most: float = inf,
        spare: float = inf,
        around: tuple[Lifetimes, Node] | None = None,
    ) -> None:
        self.function, self.dialect = function, function.dialect
        self.env = env
        self.lifetimes = None if memory is None else Lifetimes(self, memory, most, spare, around)
        self.results: dict[Node, list[Value]] = {}
        self.users: dict[Node, list[Node | None]] = {}

    def run(self, outputs: Sequence[Node]) -> None:
        """Write the nodes that the outputs depend on."""
        if not self.users:
            self.count(outputs)
        for node in topological(outputs):
            if node not in self.env and node not in self.results:
                self.node(node)
                if self.lifetimes is not None:
                    self.lifetimes.wrote(node)

    def count(self, outputs: Sequence[Node]) -> None:
        """Who uses each node; None stands for a result of the block."""
        for node in topological(outputs):
            for operand in node.args:
                self.users.setdefault(operand, []).append(node)
        for node in outputs:
            self.users.setdefault(node, []).append(None)
        self.function.used.update(self.users)

    def value(self, node: Node) -> Value:
        return self.env[node]

    def atom(self, node: Node) -> Value:
        """The value under a name."""
        self.env[node] = self.function.named(self.env[node])
        if self.lifetimes is not None:
            self.lifetimes.named(node)
        return self.env[node]

    def inner(self, program: Program, env: dict[Node, Value], around: Node) -> Block:
        """The block of a loop or branch."""
        outer = self.lifetimes
        memory = outer.memory.inner.get(program) if outer is not None else None
        if outer is None or memory is None:
            return Block(self.function, env)
        left, spare = outer.left(around)
        return Block(self.function, env, memory, memory.peak + left, spare, (outer, around))

    def finish(self) -> None:
        """Let names go, once all lines of the block are written."""
        if self.lifetimes is not None:
            self.lifetimes.finish()

    def output(self, node: Node, position: int) -> str:
        """A result of the function: of exactly its dtype, and no part of an argument."""
        value = self.env[node]
        type = node.tensor
        if value.python:
            strong = STRONG.get(type.dtype, type.dtype)
            return self.dialect.strong(self.function, value, strong).text
        before = {_root(n) for n in self.function.program.outputs[:position]}
        again = _root(node) in before
        if type.rank and (again or not control.is_fresh(node, self.dialect)):
            return self.dialect.copy(value.text)
        return value.text

    # ---- nodes

    def node(self, node: Node) -> None:
        match node.op:
            case op if op is INPUT:
                raise InternalError("emit", f"the input {node['name']} is none of the program's")
            case op if op is LITERAL:
                self.env[node] = self.dialect.literal(node["value"])
            case op if op is SIZE:
                self.env[node] = Value(self.function.size(node["dim"]), INT, python=True)
            case op if op is CONSTANT:
                self.constant(node)
            case op if op is ITEM:
                self.env[node] = self.results[node.args[0]][node["position"]]
            case op if op is CALL:
                self.call(node)
            case op if op in (REPEAT, SCAN, IF):
                control.WRITERS[op](self, node)
            case op if op is DERIVATIVE:
                raise fail("E1001", f"`{node['steps'][0][0]}` is not built yet")
            case op if op is APPROXIMATE:
                self.env[node] = self.value(node.args[0])  # the exact value is within every bound
            case op if op is AFTER:  # both have lines of their own, the second of them before this
                self.env[node] = self.value(node.args[0])
            case op if op is SUBSCRIPT:
                write_subscript(self, node)
            case op if op.name == "stack" and self.rows(node, node.tensor.dtype) is not None:
                values = self.rows(node, node.tensor.dtype)
                assert isinstance(values, list)
                text = self.dialect.array_literal(self.function, values, node.tensor.dtype)
                self.assign(node, Value(text, node.tensor.dtype, node.tensor.rank, depth=1))
            case _:
                self.operation(node)

    def rows(self, node: Node, dtype: DType) -> Any:
        """A block of numbers as nested lists, or None if not all of it is written out."""
        if node.op is LITERAL:
            value = node["value"].value
            return {"b": bool, "i": int, "f": float, "c": complex}[dtype.kind](value)
        if node.op.name != "stack" or node["axis"] != 0:
            return None
        parts = [self.rows(a, dtype) for a in node.args]
        return None if any(p is None for p in parts) else parts

    def constant(self, node: Node) -> None:
        """A small constant is written out, a larger one is a global."""
        array, type = node["data"].array, node.tensor
        if array.size > 64 or not type.rank:
            value = Value(self.module_constant(node), type.dtype, type.rank)
            self.env[node] = value
            return
        if array.size:
            text = self.dialect.array_literal(self.function, array.tolist(), type.dtype)
        else:  # nested lists do not tell all of its sizes
            text = self.dialect.full(self.function, str(array.shape), "0", type.dtype)
        self.assign(node, Value(text, type.dtype, type.rank, depth=1))

    def module_constant(self, node: Node) -> str:
        name = self.function.module.constant(node)
        return self.dialect.constant_use(self.function, name)

    def operation(self, node: Node) -> None:
        """An op: by its entry in the table, as a scalar function, or by its formula."""
        if isinstance(node.type, tuple):
            self.several(node)
            return
        if self.lifetimes is not None and self.lifetimes.in_place(node):
            return
        value = self.computed(node)
        self.assign(node, self.fitted(value, node.tensor))

    def computed(self, node: Node) -> Value:
        """The value of a node with one result, still in the format that its text gives."""
        function, dialect, type = self.function, self.dialect, node.tensor
        name = node.op.name
        if node.op.group == "elementwise" and name in dialect.functions:
            return dialect.apply(function, name, [self.value(a) for a in node.args], type.rank)
        site = self.site(node)
        entry = dialect.ops.get(name)
        text = entry if isinstance(entry, str) else entry(site) if entry else None
        if isinstance(entry, str):
            for n in repeats(entry):
                site.name(n)
            text = fill(entry, *(a.text for a in site.args))
        if text is not None:
            depth = 1 + max((a.depth for a in site.args), default=0)
            result = site.given(type.dtype)
            if result is BF16 and name not in _MOVING and dialect.name == "numpy":
                text = f"{function.helper('_bf16')}({text})"
            return Value(text, result, type.rank, depth=depth)
        formula = node.op.formula([a.tensor for a in node.args], dict(node.attributes))
        if formula is None:
            raise InternalError("emit", f"{name} has neither an entry for {dialect.name} nor a formula here")
        operands = [self.atom(a) if self.value(a).rank else self.value(a) for a in node.args]
        return formula_value(function, dialect, formula, operands, [a.tensor.dims for a in node.args])

    def site(self, node: Node) -> Site:
        """The op with its operands in the formats in which it works."""
        args = [self.value(a) for a in node.args]
        dtypes = [a.tensor.dtype for a in node.args]
        function = self.function
        if node.op.group in ("products", "linalg") and args:
            common = promote_all([d for n, d in enumerate(dtypes) if not node.op.holds_places(n)])
            if node.op.group == "linalg":
                common = as_float(common)
                common = F32 if common in (F16, BF16) else common
            elif BOOL in dtypes and any(a.rank for a in args) and _contracts(node):
                common = promote_all([common, I64]) if common is BOOL else common
            args = [
                self.dialect.cast(function, a, common)
                if a.rank
                and a.dtype is not common
                and not node.op.holds_places(number)
                and self.dialect.must_meet(a.dtype, common, node.op.group)
                else a
                for number, a in enumerate(args)
            ]
        labels = [self.label(a) for a in node.args]
        return Site(function, self.dialect, node, args, labels)

    def label(self, node: Node) -> str:
        """What to call an operand in a message."""
        node = _reduced(node)
        text = self.env[node].text if node in self.env else ""
        name = self.function.module.user_names.get(node)
        if name:
            return name if name.isidentifier() and name.isascii() else spelled(name)
        told = self.function.told.get(text, "")
        if 0 < len(told) <= 40:
            return told
        return tidy(text) if len(text) <= 40 else f"the operand of this {node.op.name}"

    def several(self, node: Node) -> None:
        """An op with several results, each under its own name."""
        assert isinstance(node.type, tuple)
        site = self.site(node)
        entry = self.dialect.ops[node.op.name]
        text = fill(entry, *(a.text for a in site.args)) if isinstance(entry, str) else entry(site)
        assert text is not None, node
        used = {u["position"]: u for u in self.users.get(node, []) if isinstance(u, Node) and u.op is ITEM}
        targets, values = [], []
        for position, type in enumerate(node.type):
            item = used.get(position)
            if item is None:
                targets.append("_")
                values.append(Value("_", type.dtype, type.rank))
                continue
            usual = self.usual_names(node)
            known = usual[position] if position < len(usual) else f"{node.op.name}_{position + 1}"
            name = self.function.names.fresh(self.name_of(item) or known)
            targets.append(name)
            held = site.given(type.dtype)
            values.append(Value(name, held, type.rank))
            if node.op.group == "linalg":
                self.function.told[name] = site.labels[0]
        comment = ", ".join(type_text(t) for n, t in enumerate(node.type) if n in used)
        self.function.lines.write(f"{shape_source(targets)[1:-1]} = {text}", comment)
        for n, (value, type) in enumerate(zip(values, node.type, strict=True)):
            if value.dtype is not type.dtype and n in used:
                fitted = self.dialect.cast(self.function, value, type.dtype)
                self.function.lines.write(f"{value.text} = {fitted.text}")
                values[n] = Value(value.text, type.dtype, type.rank)
        self.results[node] = values

    def usual_names(self, node: Node) -> list[str]:
        """What the results of an op are usually called, if the user calls nothing else so."""
        usual = _RESULTS.get(node.op.name, "").split()
        return [] if set(usual) & set(self.function.module.user_names.values()) else usual

    def name_of(self, node: Node) -> str | None:
        return self.function.module.user_names.get(node)

    def fitted(self, value: Value, type: TensorType) -> Value:
        """The value in exactly the format of its type."""
        if value.python and not type.rank:
            if value.dtype is type.dtype:
                return value
            return self.dialect.strong(self.function, value, type.dtype)
        if value.dtype is type.dtype:
            return value
        return self.dialect.cast(self.function, value, type.dtype)

    def assign(self, node: Node, value: Value) -> None:
        """Remember a value: inside of its only use where that reads well, else on a line of its own."""
        users = self.users.get(node, [])
        name = None if self.starts_a_loop(node, value, users) else self.name_of(node)
        cheap = value.is_atom or (value.python and value.depth == 0)
        if not (cheap and not name) and not (name is None and self.may_stay_inside(node, value, users)):
            comment = type_text(node.tensor) if node.tensor.rank else ""
            value = self.function.named(value, name or self.suggested(node) or "", comment)
        self.env[node] = value

    def starts_a_loop(self, node: Node, value: Value, users: Sequence[Node | None]) -> bool:
        """Whether a value is only the state that a loop starts with: the state has its name."""
        if len(users) != 1 or users[0] is None or users[0].op not in (REPEAT, SCAN):
            return False
        loop = users[0]
        return node in loop.args[: loop["state"]] and value.depth <= 2 and len(value.text) <= _LONGEST

    def may_stay_inside(self, node: Node, value: Value, users: Sequence[Node | None]) -> bool:
        if len(users) != 1:
            return False
        (user,) = users
        if self.lifetimes is not None and not self.lifetimes.may_wait(node, user):
            return False
        if user is None and self.function.program.outputs == (node,):
            return node.op.group != "structure" and len(value.text) <= _LONGEST_RESULT
        if value.depth > 3 or len(value.text) > _LONGEST:
            return False
        if self.starts_a_loop(node, value, users):
            return True
        if user is None:
            return node.op.group != "structure"
        if user.op is IF:
            return node is user.args[0]
        if user.op is AFTER:
            return False
        if node.op.name in ("transpose", "adjoint") and user.op.group in ("products", "linalg"):
            return True
        if node.op.name == "stack" and user.op.name == "stack":
            return self.rows(user, user.tensor.dtype) is not None
        inside = node.op.group in _INSIDE or value.python or node.op is SUBSCRIPT or node.op.name in _SHORT
        inside = inside or (node.op.group == "reductions" and user.op.group == "elementwise")
        return inside and user.op.group in _AROUND

    def suggested(self, node: Node) -> str | None:
        """A name for a value that the user gave none: by the op, where it has one short operand."""
        if len(node.args) != 1 or node.op.group not in ("linalg", "reductions"):
            return None
        text = self.env[node.args[0]].text
        if text.isidentifier() and len(text) <= 8 and not text.startswith("t"):
            return f"{node.op.name}_{text}"
        return next(iter(self.usual_names(node)), None)

    def call(self, node: Node) -> None:
        """A call of another function of the program."""
        made = self.function.module.function(node["body"])
        sizes = dict(node["sizes"])
        args = []
        for operand, parameter in zip(node.args, node["body"].inputs, strict=True):
            args.append(self.fitted(self.strong(self.value(operand)), parameter.tensor).text)
        for size, keyword in made.keyword_sizes.items():
            args.append(f"{keyword}={self.function.size(sizes[size])}")
        if made.uses_device:
            args.append(f"device={self.function.device}")
        text = f"{made.name}({', '.join(args)})"
        if not isinstance(node.type, tuple):
            self.assign(node, Value(text, node.tensor.dtype, node.tensor.rank, depth=4))
            return
        self.bind(node, text)

    def strong(self, value: Value) -> Value:
        """A truth value of Python as one of the backend."""
        if value.python and value.dtype is BOOL:
            return self.dialect.strong(self.function, value, BOOL)
        return value

    def bind(self, node: Node, text: str) -> None:
        """Write `a, b = text` for the results of a node."""
        assert isinstance(node.type, tuple)
        names = control.result_names(self, node)
        comment = ", ".join(type_text(t) for t in node.type)
        self.function.lines.write(f"{shape_source(names)[1:-1]} = {text}", comment)
        self.results[node] = [Value(n, t.dtype, t.rank) for n, t in zip(names, node.type, strict=True)]


def _contracts(node: Node) -> bool:
    return node.op.name in ("matmul", "matvec", "vecmat", "dot", "vdot", "trace")


def _reduced(node: Node) -> Node:
    """What a triangle was made of, which has entries that are not finite where the triangle has; or the node."""
    inner = node.args[0] if node.op.name in _TURNING else node
    if inner.op.name != "qr_triangle":
        return node
    matrix = inner.args[0]
    return matrix.args[0] if matrix.op.name in _TURNING else matrix


def _root(node: Node) -> Node:
    """The value whose memory a result may be part of."""
    while node.op.name in control.VIEWS and node.args:
        node = node.args[0]
    return node
