"""Index notation as products, sums and transposes of matrices, which have sparse kernels."""

from __future__ import annotations

from tpc.ir.build import make
from tpc.ir.node import Node
from tpc.passes.contraction import product_of

Letters = tuple[int, ...]


def spelled(node: Node) -> list[Node] | None:
    """An index statement in ops on one or two whole arrays, each after those that it needs; None where it has more."""
    types = [a.tensor for a in node.args]
    found = product_of(node["formula"], types)
    if found is None or found.coefficient != 1 or found.sizes or found.divisors:
        return None
    inputs = [_letters(axes) for axes in found.form.inputs]
    output = _letters(found.form.output)
    operands = [node.args[k] for k in found.operands]
    if output is None or not all(inputs) or any(a.tensor.rank != len(i or ()) for a, i in zip(operands, inputs)):
        return None
    letters = [i for i in inputs if i is not None]
    if len(operands) == 1 and len(letters[0]) == 2:
        return _of_one(operands[0], letters[0], output)
    if len(operands) != 2:
        return None
    if len(letters[0]) < len(letters[1]):
        operands, letters = operands[::-1], letters[::-1]
    return _of_two(operands[0], operands[1], letters[0], letters[1], output)


def _letters(axes: tuple[tuple[int, ...], ...]) -> Letters | None:
    """A letter for each axis, all different."""
    letters = tuple(letter for axis in axes for letter in axis)
    return letters if len(letters) == len(axes) == len(set(letters)) else None


def _of_one(matrix: Node, letters: Letters, output: Letters) -> list[Node] | None:
    if output == letters[::-1]:
        return [make("transpose", (matrix,))]
    if len(output) == 2:
        return None
    axis = None if not output else 1 if output[0] == letters[0] else 0
    return [make("sum", (matrix,), axis=axis)]


def _of_two(a: Node, b: Node, first: Letters, second: Letters, output: Letters) -> list[Node] | None:
    steps: list[Node] = []

    def step(op: str, *args: Node, **attributes: object) -> Node:
        steps.append(make(op, args, **attributes))
        return steps[-1]

    def turned(matrix: Node, is_turned: bool) -> Node:
        return step("transpose", matrix) if is_turned else matrix

    shared = set(first) & set(second)
    if len(first) != 2 or not shared:
        return None
    if len(second) == 1 and len(output) == 1 and output[0] not in shared:
        step("matvec", turned(a, second[0] == first[0]), b)
    elif len(second) == 2 and shared == set(first) and output in ((), first):
        entries = step("mul", a, turned(b, first != second))
        if not output:
            step("sum", entries)
    elif len(second) == 2 and len(shared) == 1 and len(output) == 2 and not shared & set(output):
        (inner,) = shared
        product = step("matmul", turned(a, first[0] == inner), turned(b, second[1] == inner))
        if output[0] in second:
            turned(product, True)
    else:
        return None
    return steps
