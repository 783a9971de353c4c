"""Loops and branches as statements, and which values share memory with others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from tpc.backends.arguments import type_text
from tpc.backends.code import Value, shape_source
from tpc.backends.names import words
from tpc.ir.formula import Apply, Reduction
from tpc.ir.node import Node, Program, topological
from tpc.ir.ops.shapes import AFTER
from tpc.ir.ops.structure import CALL, CONSTANT, IF, INDEX, INPUT, ITEM, REPEAT, SCAN
from tpc.ir.types import TensorType

if TYPE_CHECKING:
    from tpc.backends.block import Block
    from tpc.backends.dialect import Dialect

# Ops that compute at least one entry anew, so that the result shares no memory with an operand.
_COPYING = ("products", "reductions", "linalg", "fourier", "layers", "ordering", "random", "recurrences", "sparse")
VIEWS = words(
    "after transpose adjoint permute reshape squeeze unsqueeze diag vec unvec re im conj floor ceil round trunc cast "
    "clip fftshift ifftshift lu ldl expm matpow"
)
_FRESH_SHAPES = words(
    "zeros ones full eye arange linspace one_hot concat stack pad tile tril triu from_diagonals scatter_add segment_sum"
)
_GATHERS = words("take take_along")  # at positions in an array; one position is a look at a part
_ROUNDING = words("floor ceil round trunc")  # which leave whole numbers as they are


def types_of(node: Node) -> tuple[TensorType, ...]:
    """The types of the results of a node."""
    return node.type if isinstance(node.type, tuple) else (node.type,)


def result_names(block: Block, node: Node, wanted: Sequence[str | None] = ()) -> list[str]:
    """A fresh name for each result of a node, the user's where there is one."""
    items = {u["position"]: u for u in block.users.get(node, []) if isinstance(u, Node) and u.op is ITEM}
    names = []
    for position in range(len(types_of(node))):
        item = items.get(position)
        name = block.name_of(item) if item is not None else None
        if name is None and not isinstance(node.type, tuple):
            name = block.name_of(node)
        if name is None and position < len(wanted):
            name = wanted[position]
        names.append(block.function.names.fresh(name) if name else block.function.names.temporary())
    return names


def _enter(block: Block, node: Node, program: Program, values: Sequence[Value]) -> Block:
    return block.inner(program, dict(zip(program.inputs, values, strict=True)), node)


def _held(block: Block, value: Value, type: TensorType) -> Value:
    """A value as a loop keeps it: a scalar of a strong dtype is no number of Python."""
    return block.fitted(block.strong(value), type)


def _assign(block: Block, names: Sequence[str], values: Sequence[Value]) -> None:
    """`a, b = x, y`, without what stays as it is."""
    pairs = [(n, v.text) for n, v in zip(names, values, strict=True) if n != v.text]
    if len(pairs) == 1:
        block.function.lines.write(f"{pairs[0][0]} = {pairs[0][1]}")
    elif pairs:
        left, right = (shape_source([p[k] for p in pairs])[1:-1] for k in (0, 1))
        block.function.lines.write(f"{left} = {right}")


def _give(block: Block, node: Node, names: Sequence[str]) -> None:
    """The results of a node are under these names."""
    types = types_of(node)
    values = [Value(n, t.dtype, t.rank, t.dtype.is_weak and not t.rank) for n, t in zip(names, types, strict=True)]
    if isinstance(node.type, tuple):
        block.results[node] = values
    else:
        block.env[node] = values[0]


def _hoist(inner: Block, program: Program, changing: Sequence[Node], outputs: Sequence[Node]) -> None:
    """Compute before the loop what is the same in every pass and cannot fail."""
    moving = set(changing)
    order = topological(outputs)
    for node in order:
        if any(a in moving for a in node.args):
            moving.add(node)
    inner.count(outputs)
    safe: set[Node] = set(program.inputs)
    for node in order:
        if node in moving or node in inner.env:
            continue
        calm = not node.programs and node.op not in (INPUT, ITEM, INDEX) and node.op.group in (
            "elementwise", "products", "reductions", "shapes", "structure",
        )  # fmt: skip
        if calm and all(a in safe for a in node.args):
            safe.add(node)
            users = inner.users.get(node, [])
            if not node.args or any(u is None or u in moving or u not in safe for u in users):
                inner.node(node)
                if node.args:
                    inner.atom(node)
            else:
                inner.node(node)


def write_repeat(block: Block, node: Node) -> None:
    """A loop with state; `until` is tested before each pass."""
    function, lines = block.function, block.function.lines
    body, until, count = node["body"], node["until"], node["count"]
    states = node["state"]
    captured = list(node.args[states:])
    limit = function.size(count) if count is not None else block.value(captured.pop()).text
    types = [i.tensor for i in body.inputs[:states]]
    names = result_names(block, node, [None if a.op is INPUT else block.name_of(a) for a in node.args[:states]])
    start = [_held(block, block.value(a), t) for a, t in zip(node.args[:states], types, strict=True)]
    for operand in captured:
        block.atom(operand)
    _assign(block, names, start)
    state = [Value(n, t.dtype, t.rank, t.dtype.is_weak and not t.rank) for n, t in zip(names, types, strict=True)]
    inner = _enter(block, node, body, [*state, *(block.value(c) for c in captured)])
    tests = until.outputs if until is not None else ()
    _hoist(inner, body, body.inputs[:states], [*tests, *body.outputs])
    lines.open(f"for _ in range({limit}):")
    if tests:
        inner.run(tests)
        lines.open(f"if {inner.value(tests[0]).text}:")
        lines.write("break")
        lines.close()
    inner.run(body.outputs)
    _assign(block, names, [_held(inner, inner.value(o), t) for o, t in zip(body.outputs, types, strict=True)])
    inner.finish()
    _pass_if_empty(block)
    lines.close()
    _give(block, node, names)


def _pass_if_empty(block: Block) -> None:
    lines = block.function.lines.lines
    if lines[-1].rstrip().endswith(":"):
        block.function.lines.write("pass")


def write_scan(block: Block, node: Node) -> None:
    """A loop over positions that carries state and collects further results."""
    function, lines, dialect = block.function, block.function.lines, block.dialect
    body, states = node["body"], node["state"]
    extent = function.size(node["extent"])
    types = [i.tensor for i in body.inputs[1 : states + 1]]
    names = result_names(block, node, [None if a.op is INPUT else block.name_of(a) for a in node.args[:states]])
    start = [_held(block, block.value(a), t) for a, t in zip(node.args[:states], types, strict=True)]
    captured = node.args[states:]
    for operand in captured:
        block.atom(operand)
    _assign(block, names[:states], start)
    results = types_of(node)
    for name, type in zip(names[states:], results[states:], strict=True):
        shape = shape_source([function.size(d) for d in type.dims])
        lines.write(f"{name} = {dialect.collector(function, shape, type.dtype)}", type_text(type))
    letter = function.names.fresh("i")
    function.counters[letter] = node["extent"]
    state = [
        Value(n, t.dtype, t.rank, t.dtype.is_weak and not t.rank) for n, t in zip(names[:states], types, strict=True)
    ]
    counter = body.inputs[0].tensor
    values = [Value(letter, counter.dtype, 0, True), *state, *(block.value(c) for c in captured)]
    inner = _enter(block, node, body, values)
    _hoist(inner, body, body.inputs[: states + 1], body.outputs)
    lines.open(f"for {letter} in range({extent}):")
    inner.run(body.outputs)
    for name, output, type in zip(names[states:], body.outputs[states:], results[states:], strict=True):
        value = _held(inner, inner.value(output), output.tensor)
        lines.write(dialect.collect(function, name, letter, value, type.dtype))
    _assign(
        block,
        names[:states],
        [_held(inner, inner.value(o), t) for o, t in zip(body.outputs[:states], types, strict=True)],
    )
    inner.finish()
    _pass_if_empty(block)
    lines.close()
    for name, type in zip(names[states:], results[states:], strict=True):
        shape = shape_source([function.size(d) for d in type.dims])
        text = dialect.collected(function, name, shape, type.dtype)
        if text != name:
            lines.write(f"{name} = {text}", type_text(type))
    _give(block, node, names)


def write_if(block: Block, node: Node) -> None:
    """A branch: both sides give values to the same names."""
    lines = block.function.lines
    then, other = node["then"], node["other"]
    condition = block.value(node.args[0]).text
    for operand in node.args[1:]:
        block.atom(operand)
    names = result_names(block, node)
    values = [block.value(a) for a in node.args[1:]]
    lines.open(f"if {condition}:")
    for position, program in enumerate((then, other)):
        if position:
            lines.otherwise()
        inner = _enter(block, node, program, values)
        inner.run(program.outputs)
        given = [_held(inner, inner.value(o), t) for o, t in zip(program.outputs, types_of(node), strict=True)]
        _assign(block, names, given)
        told = block.function.told
        for name, value in zip(names, given, strict=True):
            if value.text in told:
                told.setdefault(name, told[value.text])
        inner.finish()
        _pass_if_empty(block)
    lines.close()
    _give(block, node, names)


WRITERS: Mapping[object, Callable[[Block, Node], None]] = {REPEAT: write_repeat, SCAN: write_scan, IF: write_if}


# ---- shared memory


def is_fresh(node: Node, dialect: Dialect, known: Mapping[Node, bool] | None = None) -> bool:
    """Whether a value shares no memory with inputs and constants."""
    known = known or {}
    stack = node
    while True:
        if stack in known:
            return known[stack]
        if stack.op is ITEM:
            return _item_is_fresh(stack.args[0], stack["position"], dialect, known)
        if stack.op in (INPUT, CONSTANT):
            return False
        if not stack.tensor.rank:
            return True
        if stack.programs:
            return _item_is_fresh(stack, 0, dialect, known)
        name, group = stack.op.name, stack.op.group
        if stack.op is INDEX:
            body = stack["formula"].body
            return isinstance(body, (Apply, Reduction)) and not (isinstance(body, Apply) and body.function in VIEWS)
        if group == "elementwise" and (name not in VIEWS or name in _ROUNDING and stack.tensor.dtype.kind == "f"):
            return True
        if group in _COPYING and name not in VIEWS:
            return True
        if name == "diag" and stack.tensor.rank == 2 and stack.args[0].tensor.rank == 1:
            return True
        if name in _FRESH_SHAPES or not stack.args or name in _GATHERS and stack.args[1].tensor.rank:
            return True
        if name in VIEWS and len(stack.args) == 1 or stack.op is AFTER:
            stack = stack.args[0]
            continue
        return False


def _item_is_fresh(node: Node, position: int, dialect: Dialect, known: Mapping[Node, bool]) -> bool:
    """Whether one of several results is fresh."""
    if node.op is CALL:
        return True  # a function copies what is not
    if node.op is REPEAT or node.op is SCAN:
        states = node["state"]
        if position >= states:
            return True
        skip = 1 if node.op is SCAN else 0
        body = node["body"]
        # assume it of all states that start fresh, and see whether the body keeps it
        assumed = dict.fromkeys(body.inputs, False)
        for n in range(states):
            assumed[body.inputs[n + skip]] = is_fresh(node.args[n], dialect, known)
        for _ in range(states + 1):
            kept = [is_fresh(o, dialect, assumed) for o in body.outputs[:states]]
            after = {i: assumed[i] and k for i, k in zip(body.inputs[skip : skip + states], kept, strict=True)}
            if all(assumed[i] == v for i, v in after.items()):
                break
            assumed.update(after)
        return assumed[body.inputs[position + skip]]
    if node.op is IF:
        for program in (node["then"], node["other"]):
            inner = {i: is_fresh(a, dialect, known) for i, a in zip(program.inputs, node.args[1:], strict=True)}
            if not is_fresh(program.outputs[position], dialect, inner):
                return False
        return True
    if node.op.name in ("lu", "ldl", "split"):
        return False
    return node.op.group in _COPYING
