"""Adjoints of loops and branches.

    scan t in T:  s, y_t = f(t, s, c)
    scan t in T:  s_bar, c_bar += vjp(f)(T-1-t, s_(T-1-t), c)(s_bar, y_bar_(T-1-t))

A loop is run again with the state of every pass collected, and then backwards over these. One that ends early is a scan
over all of its passes, which carries whether it has ended; passes behind the end hand on the state as it is. So the
derivative is that of the passes that were made, and the others cost no more than looking at that mark.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from tpc.dsl.diagnostics import fail
from tpc.ir.build import Fresh, items, literal, literal_value, make, size, zeros
from tpc.ir.dims import DimLike
from tpc.ir.node import Node, Program, topological
from tpc.ir.ops.structure import IF, ITEM, REPEAT, SCAN, SUBSCRIPT, At, Range
from tpc.ir.rewrite import replace
from tpc.ir.types import BOOL, INT, TensorType
from tpc.passes.differentiate.arrays import fitted
from tpc.passes.differentiate.structure import symmetric_values

Inner = Callable[[Sequence[Node], Sequence["Node | None"], Sequence[Node], Collection[Node]], "list[Node | None]"]


def adjoint(
    node: Node, bars: Sequence[Node | None], active: Sequence[bool], symmetric: Collection[Node], inner: Inner
) -> list[Node | None]:
    """The adjoints of the operands of a loop or branch.

    Parameters
    ----------
    active, symmetric
        Which operands count, and the values that are known to be symmetric matrices.
    inner
        The adjoints of a graph.

    Raises
    ------
    TpcError
        If the most passes of a loop are not known before the program runs (E0608).
    """
    if node.op is IF:
        return _branch(node, bars, active, symmetric, inner)
    whole = bounded(node)
    if whole is node:
        return _Scan(node, bars, active, symmetric, inner).run()
    mark: int = node["state"]  # the place of whether it has ended
    found = _Scan(whole, [*bars, None], [*active[:mark], False, *active[mark:]], symmetric, inner).run()
    return [*found[:mark], *found[mark + 1 :]]


def bounded(loop: Node) -> Node:
    """A `repeat` that may end early as a scan over all of its passes; other loops as they are.

    Raises
    ------
    TpcError
        If an argument of the program says how many passes there are (E0608).
    """
    if loop.op is not REPEAT or (loop.get("until") is None and loop["count"] is not None):
        return loop
    if loop["count"] is None:
        raise fail(
            "E0608",
            "a `repeat` whose number of passes is a value has no derivative",
            help="give the most passes as a number or a size, and end earlier by `until`",
        )
    body, until, count = loop["body"], loop["until"], loop["state"]
    fresh = Fresh(body)
    counter, ended = fresh("pass", TensorType(INT)), fresh("ended", TensorType(BOOL))
    kept = Program(f"{body.name}_kept", body.inputs, [*body.inputs[:count], literal(True)])
    after = dict(zip(until.inputs, [*body.outputs, *body.inputs[count:]], strict=True))
    made = body.replace(
        outputs=(*body.outputs, *replace(until.outputs, after)), output_names=(*body.output_names, ended["name"])
    )
    outputs = items(make(IF, (ended, *body.inputs), then=kept, other=made))
    facts = [(node, fact) for node, fact in body.facts if node in body.inputs]
    inputs = (counter, *body.inputs[:count], ended, *body.inputs[count:])
    scanned = Program(body.name, inputs, outputs, facts=facts)
    before = replace(until.outputs, dict(zip(until.inputs, loop.args, strict=True)))
    operands = (*loop.args[:count], *before, *loop.args[count:])
    return make(SCAN, operands, body=scanned, state=count + 1, extent=loop["count"])


def _floats(type: TensorType) -> bool:
    return type.dtype.kind in "fc"


def _branch(
    node: Node, bars: Sequence[Node | None], active: Sequence[bool], symmetric: Collection[Node], inner: Inner
) -> list[Node | None]:
    types = node.type if isinstance(node.type, tuple) else (node.type,)
    given = [b if b is not None else zeros(t) for b, t in zip(bars, types, strict=True)]
    operands = node.args[1:]
    asked = [k for k, a in enumerate(operands) if active[1 + k] and _floats(a.tensor)]
    programs = []
    for attribute in ("then", "other"):
        program: Program = node[attribute]
        fresh = Fresh(program)
        more = [fresh(f"bar{k}", b.tensor) for k, b in enumerate(given)]
        usable = [m if _floats(o.tensor) else None for m, o in zip(more, program.outputs, strict=True)]
        known = symmetric_values(program, [program.inputs[k] for k, a in enumerate(operands) if a in symmetric])
        found = inner(program.outputs, usable, [program.inputs[k] for k in asked], known)
        outputs = [
            fitted(f, operands[k].tensor) if f is not None else zeros(operands[k].tensor)
            for f, k in zip(found, asked, strict=True)
        ]
        programs.append(Program(f"{program.name}_adjoint", (*program.inputs, *more), outputs, facts=program.facts))
    result: list[Node | None] = [None] * len(node.args)
    if asked:
        made = make(IF, (node.args[0], *operands, *given), then=programs[0], other=programs[1])
        for k, value in zip(asked, items(made), strict=True):
            result[1 + k] = value
    return result


def share_loops(outputs: Sequence[Node]) -> list[Node]:
    """Results of which loops that carry the same state from the same start are one, which collects what each did."""
    alike: dict[object, list[Node]] = {}
    for node in topological(outputs):
        if node.op is SCAN or (node.op is REPEAT and node["count"] is not None):
            alike.setdefault(_turns(bounded(node)), []).append(node)
    mapping: dict[Node, Node] = {}
    for loops in alike.values():
        widest = max(loops, key=lambda loop: (loop.op is SCAN, len(loop["body"].outputs)))
        given = dict(zip(widest["body"].outputs[widest["state"] :], items(widest)[widest["state"] :], strict=True))
        for loop in loops:
            body, state = loop["body"], loop["state"]
            if loop is not widest and all(o in given for o in body.outputs[state:]):  # a scan may carry a mark more
                values = [*items(widest)[:state], *(given[o] for o in body.outputs[state:])]
                mapping.update(zip(items(loop), values, strict=True))
    return replace(outputs, mapping)


def _turns(loop: Node) -> object:
    """What the state of a loop depends on: where it starts, how it changes, and how often."""
    body, state = loop["body"], loop["state"]
    inputs = body.inputs[loop.op is SCAN :]
    extent = loop["extent"] if loop.op is SCAN else loop["count"]
    return loop.args, extent, inputs, body.outputs[:state]


class _Scan:
    """The adjoint of one loop; a `repeat` with a known number of passes is a scan without results."""

    def __init__(
        self,
        node: Node,
        bars: Sequence[Node | None],
        active: Sequence[bool],
        symmetric: Collection[Node],
        inner: Inner,
    ) -> None:
        self.node, self.active, self.symmetric, self.inner = node, active, symmetric, inner
        body: Program = node["body"]
        self.states: int = node["state"]
        if node.op is REPEAT:
            self.extent = node["count"]
            counter = Fresh(body)("pass", TensorType(INT))
            self.body = body.replace(inputs=(counter, *body.inputs))
        else:
            self.extent = node["extent"]
            self.body = body
        types = node.type if isinstance(node.type, tuple) else (node.type,)
        self.bars = [b if b is not None else zeros(t) if _floats(t) else None for b, t in zip(bars, types, strict=True)]

    def run(self) -> list[Node | None]:
        states, body, node = self.states, self.body, self.node
        counter, *inputs = body.inputs
        kept, fixed = inputs[:states], inputs[states:]
        collected = self._collected()
        moving = [k for k in range(states) if _floats(kept[k].tensor)]
        asked = [k for k in range(len(fixed)) if self.active[states + k] and _floats(fixed[k].tensor)]
        parts_read = {k: row_read(body, self.extent, fixed[k]) for k in asked}
        rows = {k: row for k, row in parts_read.items() if row is not None}
        whole_asked = [k for k in asked if k not in rows]
        stacked = [k for k in range(states, len(body.outputs)) if self.bars[k] is not None]

        # the body of the backward loop: its counter, what it carries, and what it reads
        fresh = Fresh(body)
        turn = fresh("turn", TensorType(INT))
        carried = [fresh(f"bar{k}", kept[k].tensor) for k in moving]
        totals = [fresh(f"total{k}", fixed[k].tensor) for k in whole_asked]
        whole = [fresh(f"seen{k}", c.tensor) for k, c in enumerate(collected)]
        given = [fresh(f"given{k}", _of(self.bars[k]).tensor) for k in stacked]
        here = make("sub", (size(self.extent - 1), turn))
        now = {counter: here, **{s: _row(w, here) for s, w in zip(kept, whole, strict=True)}}
        operands = node.args[states : states + len(fixed)]
        known = list(symmetric_values(body, [i for i, a in zip(fixed, operands, strict=True) if a in self.symmetric]))
        sought, said = [row for row, _ in rows.values()], [n for n, _ in body.facts]
        there = iter(replace([*body.outputs, *sought, *known, *said], now))
        outputs, sought, known, said = ([next(there) for _ in part] for part in (body.outputs, sought, known, said))
        wanted = [*(now[kept[k]] for k in moving), *(fixed[k] for k in whole_asked), *sought]
        cotangents: list[Node | None] = [None] * len(outputs)
        for k, bar in zip(moving, carried, strict=True):
            cotangents[k] = bar
        for k, array in zip(stacked, given, strict=True):
            cotangents[k] = _row(array, here)
        found = self.inner(outputs, cotangents, wanted, known)
        # an adjoint that every pass hands on as it is, such as that of a sum, is carried by none
        still = [n for n, bar in enumerate(carried) if found[n] is bar]
        left = [n for n in range(len(carried)) if n not in still]
        found = _with_numbers(found, {carried[n]: _of(self.bars[moving[n]]) for n in still})
        middle = len(moving) + len(totals)
        shares = [_Share.of(f) for f in found[len(moving) : middle]]
        back = [_or_zeros(found[n], carried[n].tensor) for n in left]
        added = [(n, fitted(s.rest, totals[n].tensor)) for n, s in enumerate(shares) if s.rest is not None]
        factors = [factor for s in shares for pair in s.outers for factor in pair]
        parts = [_or_zeros(f, w.tensor) for f, w in zip(found[middle:], wanted[middle:], strict=True)]
        sums, others = _added([(totals[n], rest) for n, rest in added], [*back, *parts, *factors])
        backward = Program(
            f"{body.name}_adjoint",
            (
                *(turn, *(carried[n] for n in left), *(totals[n] for n, _ in added), *whole, *given, *fixed),
                *(carried[n] for n in still),
            ),
            (*others[: len(back)], *sums, *others[len(back) :]),
            facts=[(n, f) for n, (_, f) in zip(said, body.facts, strict=True)],
        )
        start = [*(_of(self.bars[moving[n]]) for n in left), *(zeros(totals[n].tensor) for n, _ in added)]
        rest = [*collected, *(_of(self.bars[k]) for k in stacked), *operands]
        rest += [_of(self.bars[moving[n]]) for n in still]
        result: list[Node | None] = [None] * len(node.args)
        for n in still:
            result[moving[n]] = self.bars[moving[n]]
        if not backward.outputs:
            return result
        loop = make(SCAN, (*start, *rest), body=declared(backward), state=len(start), extent=self.extent)
        values = iter(items(loop))
        for n in left:
            result[moving[n]] = next(values)
        summed = {n: next(values) for n, _ in added}
        for k, (_, is_backwards) in rows.items():
            value = next(values)
            result[states + k] = value if is_backwards else make("flip", (value,), axis=0)
        for n, (k, share) in enumerate(zip(whole_asked, shares, strict=True)):
            total = summed.get(n)
            for _ in share.outers:
                product = make("matmul", (make("transpose", (next(values),)), next(values)))
                total = product if total is None else make("add", (total, product))
            result[states + k] = total
        return result

    def _collected(self) -> list[Node]:
        """The state before every pass, stacked."""
        if not self.states:
            return []
        body = self.body
        forward = body.replace(
            outputs=(*body.outputs[: self.states], *body.inputs[1 : 1 + self.states]),
            output_names=tuple(f"out{k}" for k in range(2 * self.states)),
        )
        operands = self.node.args[: len(body.inputs) - 1]
        loop = make(SCAN, operands, body=forward, state=self.states, extent=self.extent)
        return items(loop)[self.states :]


def row_read(body: Program, extent: DimLike, array: Node) -> tuple[Node, bool] | None:
    """The part that a pass reads of an array of which each reads another, and whether they go backwards."""
    counter = body.inputs[0]
    users = {n for n in body.nodes if array in n.args}
    if len(users) != 1 or array in body.outputs or array.tensor.dims[:1] != (extent,):
        return None
    (row,) = users
    if row.op is not SUBSCRIPT or row.args[0] is not array or len(row.args) != 2 or row["items"][0] != At(None):
        return None
    if any(not isinstance(item, Range) or item != Range(0, d, 1) for item, d in _further(row)):
        return None
    if row.args[1] is counter:
        return row, False
    return (row, True) if row.args[1] is make("sub", (size(extent - 1), counter)) else None


def declared(program: Program) -> Program:
    """A body with the facts of what is still there."""
    there = set(program.nodes) | set(program.inputs)
    return program.replace(facts=[(n, f) for n, f in program.facts if n in there])


@dataclass
class _Share:
    """What a pass adds to the adjoint of a value that all read.

    The outer products among it are one product of matrices for all passes.
    """

    outers: list[tuple[Node, Node]]
    rest: Node | None = None

    @staticmethod
    def of(node: Node | None) -> _Share:
        if node is None:
            return _Share([])
        match node.op.name:
            case "outer":
                return _Share([(node.args[0], node.args[1])])
            case "transpose" | "neg":
                inner = _Share.of(node.args[0])
                if inner.rest is None:
                    return _Share([_changed(node, *pair) for pair in inner.outers])
            case "add":
                first, second = map(_Share.of, node.args)
                rest = [r for r in (first.rest, second.rest) if r is not None]
                both = make("add", rest) if len(rest) == 2 else next(iter(rest), None)
                return _Share([*first.outers, *second.outers], both)
        return _Share([], node)


def _added(pairs: Sequence[tuple[Node, Node]], others: Sequence[Node]) -> tuple[list[Node], list[Node]]:
    """The sums of pairs, and other values; a branch that adds zeros on one side hands on what it would add them to."""
    of_branch: dict[Node, dict[int, Node]] = {}
    taken: set[Node] = set()
    for total, rest in pairs:
        branch, k = (rest.args[0], rest["position"]) if rest.op is ITEM else (rest, 0)
        elsewhere = [*others, *(value for of, value in pairs if of is not total)]
        if branch.op is IF and any(map(_is_zero, _arms(branch, k))) and rest not in topological(elsewhere):
            of_branch.setdefault(branch, {})[k] = total
            taken.add(rest)
    mapping: dict[Node, Node] = {}
    for branch, totals in of_branch.items():
        fresh = Fresh(branch["then"], branch["other"])
        given = {k: fresh(f"sum{k}", total.tensor) for k, total in totals.items()}
        arms = {name: _with_sums(branch[name], given) for name in ("then", "other")}
        mapping |= zip(items(branch), items(make(IF, (*branch.args, *totals.values()), **arms)), strict=True)
    plain = [rest if rest in taken else make("add", (total, rest)) for total, rest in pairs]
    whole = replace([*plain, *others], mapping)
    return whole[: len(pairs)], whole[len(pairs) :]


def _arms(branch: Node, k: int) -> tuple[Node, Node]:
    return branch["then"].outputs[k], branch["other"].outputs[k]


def _with_sums(program: Program, given: Mapping[int, Node]) -> Program:
    """A side of a branch with some of its results added to further operands."""
    outputs = list(program.outputs)
    for k, total in given.items():
        outputs[k] = total if _is_zero(outputs[k]) else make("add", (total, outputs[k]))
    return program.replace(inputs=(*program.inputs, *given.values()), outputs=outputs)


def _is_zero(node: Node) -> bool:
    bare = node.args[0] if node.op.name == "cast" else node
    return bare.op.name == "zeros" or literal_value(bare) == 0


def _changed(node: Node, left: Node, right: Node) -> tuple[Node, Node]:
    """The factors of the transpose, or of the negative, of an outer product."""
    return (right, left) if node.op.name == "transpose" else (make("neg", (left,)), right)


def _further(row: Node) -> list[tuple[object, DimLike]]:
    """What is taken of the axes behind the first, with their sizes."""
    return list(zip(row["items"][1:], row.args[0].tensor.dims[1:], strict=True))


def _with_numbers(nodes: Sequence[Node | None], given: Mapping[Node, Node]) -> list[Node | None]:
    """Nodes with those of the given values that are numbers in the places of these."""
    numbers = {n: v for n, v in given.items() if literal_value(v.args[0] if v.op.name == "cast" else v) is not None}
    found = iter(replace([n for n in nodes if n is not None], numbers))
    return [None if n is None else next(found) for n in nodes]


def _or_zeros(bar: Node | None, type: TensorType) -> Node:
    return zeros(type) if bar is None else fitted(bar, type)


def _of(bar: Node | None) -> Node:
    assert bar is not None
    return bar


def _row(array: Node, place: Node) -> Node:
    """The entry of the first axis at a place."""
    rest = tuple(Range(0, dim, 1) for dim in array.tensor.dims[1:])
    return make(SUBSCRIPT, (array, place), items=(At(None), *rest))
