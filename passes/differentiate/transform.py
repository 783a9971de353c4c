"""`grad` and its kin give way to what they mean: each is a map from programs to programs.

Jacobians and Hessians are loops over directions, which the pass `vectorise` turns into products.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from tpc.ir.build import Fresh, cast, input_node, items, literal, make, zeros
from tpc.ir.dims import Dim, DimLike, assuming, divide, is_nonnegative, product, substitute
from tpc.ir.facts import analyse
from tpc.ir.facts.lines import nonnegative_sizes
from tpc.ir.node import Fact, Node, Program
from tpc.ir.ops.structure import DERIVATIVE, SCAN, SUBSCRIPT, At, Range
from tpc.ir.rewrite import expanded, map_programs, ordered_facts, replace
from tpc.ir.sizes import with_sizes
from tpc.ir.types import INT, TensorType
from tpc.passes import solvers
from tpc.passes.differentiate import forward, implicit, patterns, sparsity, taylor
from tpc.passes.differentiate.arrays import fitted
from tpc.passes.differentiate.directions import along_directions
from tpc.passes.differentiate.loops import declared, share_loops
from tpc.passes.differentiate.prepare import prepared
from tpc.passes.differentiate.reverse import adjoints
from tpc.passes.differentiate.segments import by_count, segmented
from tpc.passes.differentiate.structure import along_facts, symmetric_values
from tpc.passes.differentiate.units import Rows, Signs, Units, along
from tpc.passes.inline import inline

Told = list[tuple[Node, tuple[Fact, ...]]]

CHECKPOINTS = "checkpoints"  # the option that says into how many segments loops are cut


def differentiate(program: Program, keep_fixed_points: bool = False, levels: int = 1) -> Program:
    """The program without `grad`, `jacobian` and the others.

    Parameters
    ----------
    keep_fixed_points
        Leave fixed points as they are, since their derivatives do not depend on how they are found.
    levels
        Of segments of loops, whose derivatives then hold less and run them so often more.

    Raises
    ------
    TpcError
        If something that is differentiated has no derivative (E0608).
    """
    if not any(node.op is DERIVATIVE for node in program.walk()):
        return program
    program = along_directions(program)
    if not keep_fixed_points:  # which those of derivatives are among
        program = differentiate(program, True, levels)
    known: solvers.Facts = {}
    if not keep_fixed_points and any(map(solvers.is_system, program.nodes)):
        program = inline(program)  # so that the matrices of systems show what they are written out of
        known = analyse(program)

    def inside(node: Node) -> Node:
        if node.op is DERIVATIVE:
            return node
        return map_programs(node, lambda inner: differentiate(inner, keep_fixed_points, levels))

    told: Told = []  # what the functions that are differentiated declare of their values

    def change(node: Node) -> list[Node] | None:
        return _meaning(node, keep_fixed_points, known, levels, told) if node.op is DERIVATIVE else None

    plain = expanded(program, inside, change)
    return plain.replace(facts=ordered_facts(plain.inputs, plain.outputs, [*plain.facts, *told]))


def _meaning(node: Node, keep_fixed_points: bool, known: solvers.Facts, levels: int, told: Told) -> list[Node]:
    """The results of a derivative, applied; what is declared of values in it goes to `told`."""
    body: Program = node["body"]
    steps: Sequence[tuple[str, tuple[str, ...], implicit.Options]] = node["steps"]
    types = []
    for operand, parameter in zip(node.args, body.inputs, strict=False):
        maps = sum(kind == "vmap" and (not names or parameter["name"] in names) for kind, names, _ in steps)
        types.append(TensorType(operand.tensor.dtype, operand.tensor.dims[maps:]))
    checkpoints = max((dict(options).get(CHECKPOINTS, 0) for _, _, options in steps), default=0)
    body = with_sizes(body, _sizes(body, types))
    with assuming(nonnegative_sizes(body.where)):
        return _taken(node, _prepared(body, levels, checkpoints), keep_fixed_points, known, told)


def _taken(node: Node, made: Program, keep_fixed_points: bool, known: solvers.Facts, told: Told) -> list[Node]:
    """The results of a derivative of a program that is prepared for it."""
    steps: Sequence[tuple[str, tuple[str, ...], implicit.Options]] = node["steps"]
    count = len(made.inputs)
    args: Sequence[Node] = node.args
    for number, (kind, names, options) in enumerate(steps):
        own = {i["name"]: i for i in made.inputs[:count]}
        at = [own[name] for name in names or own]
        if kind == implicit.KIND:
            is_last = number == len(steps) - 1
            made = _fixed_point(made, at, options, keep_fixed_points or not is_last)
            continue
        if kind == solvers.KIND:
            if keep_fixed_points or number < len(steps) - 1:
                made = _system(made, at[0], options)
            else:
                made, args = solvers.loop(made, at[0], args, options, known)
            continue
        if kind != "vmap":
            made = _STEPS[kind](made, at, **{name: value for name, value in options if name != CHECKPOINTS})
            continue
        at += made.inputs[count:]
        first = made.inputs.index(at[0])
        around = sum(k == "vmap" and (not n or first >= count or at[0]["name"] in n) for k, n, _ in steps[number + 1 :])
        made = vmap(made, at, node.args[first].tensor.dims[around])
    given = {i: cast(a, i.tensor.dtype) for i, a in zip(made.inputs, args, strict=True)}
    known_of = [n for n, _ in made.facts]
    found = share_loops(replace([*made.outputs, *known_of], given))
    outputs = found[: len(made.outputs)]
    told += zip(found[len(outputs) :], (facts for _, facts in made.facts), strict=True)
    wanted = node.type if isinstance(node.type, tuple) else (node.type,)
    return [_as(o, t) for o, t in zip(outputs, wanted, strict=True)]


def _prepared(program: Program, levels: int = 1, checkpoints: int = 0) -> Program:
    """A program that can be differentiated: without calls and derivatives, and with loops in segments if asked for."""
    plain = inline(differentiate(program, True, levels))
    if checkpoints:
        plain = segmented(plain, 2, by_count(checkpoints))
    return prepared(segmented(plain, levels) if levels > 1 and not checkpoints else plain)


def derivative(program: Program, kind: str, names: Sequence[str]) -> Program:
    """The program of a derivative of a program by some of its inputs; its name and results say what it is."""
    with assuming(nonnegative_sizes(program.where)):
        plain = _prepared(program)
        inputs = {i["name"]: i for i in plain.inputs}
        made = _STEPS[kind](plain, [inputs[name] for name in names])
    results = {
        "grad": [f"d_{name}" for name in names],
        "value_and_grad": [*plain.output_names[:1], *(f"d_{name}" for name in names)],
    }.get(kind, made.output_names)
    taken = set(results) & {i["name"] for i in made.inputs}
    known = [node for node, _ in made.facts]
    shared = share_loops([*made.outputs, *known])  # facts move along
    outputs = shared[: len(made.outputs)]
    said = zip(shared[len(outputs) :], (facts for _, facts in made.facts), strict=True)
    facts = ordered_facts(made.inputs, outputs, said)
    return Program(f"{kind}_{program.name}", made.inputs, outputs, None if taken else results, facts, made.where)


def _as(node: Node, type: TensorType) -> Node:
    if node.tensor.dims != type.dims:
        node = make("broadcast_to" if len(node.tensor.dims) < len(type.dims) else "reshape", (node,), dims=type.dims)
    return node if node.tensor.dtype is type.dtype or type.dtype.is_weak else cast(node, type.dtype)


def _sizes(body: Program, types: Sequence[TensorType]) -> dict[str, DimLike]:
    """What the sizes of a function are for operands of these types."""
    found: dict[str, DimLike] = {}
    pairs = [
        (have, want)
        for i, t in zip(body.inputs, types)
        for have, want in zip(i.tensor.dims, t.dims, strict=True)
        if isinstance(have, Dim)
    ]
    for have, want in pairs:
        match have.terms:
            case (((((str(name), 1),), 1)),):
                found.setdefault(name, want)
    for have, want in pairs:  # such as 2*n + 1, where n stands nowhere by itself
        solved = _solved(substitute(have, found), want)
        if solved is not None:
            found.setdefault(*solved)
    return found


def _solved(have: DimLike, want: DimLike) -> tuple[str, DimLike] | None:
    if not isinstance(have, Dim):
        return None
    terms = [(m, c) for m, c in have.terms if m]
    if len(terms) != 1 or len(terms[0][0]) != 1 or not isinstance(terms[0][0][0][0], str) or terms[0][0][0][1] != 1:
        return None
    ((name, _),), factor = terms[0]
    assert isinstance(name, str)
    constant = sum(c for m, c in have.terms if not m)
    return name, divide(want - constant, factor)


# ---- steps


def _adjoints(program: Program, bars: Sequence[Node | None], wanted: Sequence[Node]) -> list[Node]:
    found = adjoints(program.outputs, bars, wanted, symmetric_values(program))
    return [zeros(w.tensor) if f is None else fitted(f, w.tensor) for f, w in zip(found, wanted, strict=True)]


def _tangents(program: Program, directions: Mapping[Node, Node]) -> list[Node]:
    found = forward.tangents(program.outputs, directions, symmetric_values(program))
    return [zeros(o.tensor) if f is None else fitted(f, o.tensor) for f, o in zip(found, program.outputs, strict=True)]


def _gradients(program: Program, at: Sequence[Node]) -> list[Node]:
    value = program.outputs[0]
    one = literal(1.0) if value.tensor.dtype.is_weak else cast(literal(1.0), value.tensor.dtype)
    return _adjoints(program, [one], at)


def _grad(program: Program, at: Sequence[Node]) -> Program:
    return _with_outputs(program, along_facts(program, at, _gradients(program, at)))


def _value_and_grad(program: Program, at: Sequence[Node]) -> Program:
    return _with_outputs(program, [program.outputs[0], *along_facts(program, at, _gradients(program, at))])


def vjp(program: Program, at: Sequence[Node]) -> Program:
    """The program of the adjoints of some inputs; further inputs are those of the results that are floats."""
    fresh = Fresh(program)
    names = ["bar"] if len(program.outputs) == 1 else [f"bar_{name}" for name in program.output_names]
    pairs = zip(names, program.outputs, strict=True)
    bars = [fresh(name, o.tensor) if o.tensor.dtype.kind in "fc" else None for name, o in pairs]
    found = along_facts(program, at, _adjoints(program, bars, at))
    return _with_outputs(program, found, *(b for b in bars if b is not None))


def jvp(program: Program, at: Sequence[Node]) -> Program:
    """The program of the tangents of the results; further inputs are those of some inputs."""
    fresh = Fresh(program)
    directions = {i: fresh("direction", i.tensor) for i in at}
    return _with_outputs(program, _tangents(program, directions), *directions.values())


def _fixed_point(program: Program, at: Sequence[Node], options: implicit.Options, is_kept: bool) -> Program:
    if not is_kept:
        return implicit.written_out(program, at, options)
    return _with_outputs(program, implicit.kept(program, at, program.inputs, options))


def _system(program: Program, x: Node, options: implicit.Options) -> Program:
    right = Fresh(program)("right", program.outputs[0].tensor)
    return _with_outputs(program, solvers.kept(program, x, [*program.inputs, right], options), right)


def _jet(program: Program, at: Sequence[Node], order: int = 2) -> Program:
    """The derivative of an order along one direction."""
    fresh = Fresh(program)
    directions = {i: fresh("direction", i.tensor) for i in at}
    found = taylor.along(program.outputs, directions, order, symmetric_values(program))
    pairs = zip((orders[order] for orders in found), program.outputs, strict=True)
    outputs = [zeros(o.tensor) if d is None else fitted(d, o.tensor) for d, o in pairs]
    return _with_outputs(program, outputs, *directions.values())


def _hvp(program: Program, at: Sequence[Node]) -> Program:
    """Forward over reverse."""
    return jvp(_grad(program, at), at)


def _jacobian(program: Program, at: Sequence[Node]) -> Program:
    """Rows where there are fewer results than entries of the parameter, else columns."""
    outputs = []
    for output in program.outputs:
        one = _with_outputs(program, [output])
        for x in at:
            rows, columns = product(output.tensor.dims), product(x.tensor.dims)
            dims = (*output.tensor.dims, *x.tensor.dims)
            found = _banded(one, x)
            if found is None and _is_less(rows, columns, output.tensor.rank, x.tensor.rank):
                (found,) = along(one, Units(output.tensor), partial(_row_of, one, x))
            elif found is None:
                (found,) = along(one, Units(x.tensor), partial(_column_of, one, x))
                found = make("transpose", (_reshaped(found, columns, rows),))
            outputs.append(_reshaped(found, *dims))
    return _with_outputs(program, outputs)


def _banded(program: Program, x: Node) -> Node | None:
    """The Jacobian of one result where it is known to be zero but for a few diagonals, or for few entries."""
    band = sparsity.band(program.outputs[0], x)
    (columns, *_) = x.tensor.dims or (1,)
    if band is None or not band.is_narrow(columns):
        return _coloured(program, x)
    (changes,) = along(program, Rows(x.tensor, sparsity.colours(band, columns)), partial(_column_of, program, x))
    return sparsity.matrix(band, changes, columns)


def _coloured(program: Program, x: Node) -> Node | None:
    """The Jacobian of one result where few directions tell it: its entries, put to their places."""
    (output,) = program.outputs
    found = patterns.colouring(output, x)
    if found is None:
        return None
    entries = []
    for type, here, values in (
        (x.tensor, found.forward, partial(_column_of, program, x)),
        (output.tensor, found.backward, partial(_row_of, program, x)),
    ):
        if here is not None:
            (changes,) = along(program, Rows(type, here.rows), values)
            entries.append(make("take", (_reshaped(changes, changes.tensor.size), here.sources)))
    every = entries[0] if len(entries) == 1 else make("concat", entries, axis=0)
    rows, columns = output.tensor.size, x.tensor.size
    nothing = zeros(TensorType(every.tensor.dtype, (rows * columns,)))
    return _reshaped(make("scatter_add", (nothing, found.places, every)), rows, columns)


def _row_of(program: Program, x: Node, unit: Node) -> list[Node]:
    return _adjoints(program, [unit], [x])


def _column_of(program: Program, x: Node, unit: Node) -> list[Node]:
    return _tangents(program, {x: unit})


def _reshaped(node: Node, *dims: DimLike) -> Node:
    return node if node.tensor.dims == dims else make("reshape", (node,), dims=dims)


def _is_less(rows: DimLike, columns: DimLike, row_rank: int, column_rank: int) -> bool:
    if is_nonnegative(columns - rows):
        return True
    return not is_nonnegative(rows - columns) and row_rank < column_rank


def _hessian(program: Program, at: Sequence[Node]) -> Program:
    (x,) = at
    slope = _with_outputs(program, _gradients(program, at))
    whole = _banded(slope, x)
    if whole is None:
        (whole,) = along(slope, Units(x.tensor), partial(_column_of, slope, x))
    return _with_outputs(program, [_reshaped(whole, *x.tensor.dims, *x.tensor.dims)])


def _laplacian(program: Program, at: Sequence[Node], samples: int = 0, seed: int = 0) -> Program:
    """Second derivatives added up on their way; where a loop is on the way, the trace of the Hessian.

    With samples, an estimate: the mean of second derivatives along random signs (Hutchinson 1990).
    """
    (x,), (value,) = at, program.outputs
    axes = Units(x.tensor) if not samples else Signs(x.tensor, samples, seed)
    if not forward.has_loops([value]):
        known = symmetric_values(program)
        found = forward.laplacian(value, x, known, lambda body: along(program, axes, body))
        total = zeros(value.tensor) if found is None else fitted(found, value.tensor)
    else:
        slope = _with_outputs(program, _gradients(program, at))

        def curvature(way: Node) -> list[Node]:
            (change,) = _tangents(slope, {x: way})
            return [make("sum", (make("mul", (change, way)),), axis=None, keepdims=False)]

        total = make("sum", along(slope, axes, curvature), axis=None, keepdims=False)
    return _with_outputs(program, [make("div", (total, literal(samples))) if samples else total])


def vmap(program: Program, at: Sequence[Node], lead: DimLike) -> Program:
    """A loop over the first axis, of size `lead`, of some inputs."""
    counter = input_node("entry", TensorType(INT))
    whole = {i: input_node(i["name"], TensorType(i.tensor.dtype, (lead, *i.tensor.dims))) for i in at}
    rows = {
        i: make(SUBSCRIPT, (w, counter), items=(At(None), *(Range(0, d, 1) for d in i.tensor.dims)))
        for i, w in whole.items()
    }
    inputs = [whole.get(i, i) for i in program.inputs]
    known = [(whole.get(n, n), f) for n, f in program.facts if n in program.inputs]
    body = Program(f"{program.name}_each", (counter, *inputs), replace(program.outputs, rows), facts=known)
    loop = make(SCAN, inputs, body=body, state=0, extent=lead)
    return Program(program.name, inputs, items(loop), facts=known)


_STEPS: dict[str, Callable[..., Program]] = {
    "grad": _grad,
    "value_and_grad": _value_and_grad,
    "vjp": vjp,
    "jvp": jvp,
    "hvp": _hvp,
    "jacobian": _jacobian,
    "hessian": _hessian,
    "laplacian": _laplacian,
    "jet": _jet,
}


def _with_outputs(program: Program, outputs: Sequence[Node], *more: Node) -> Program:
    inputs = (*program.inputs, *more)
    return declared(Program(program.name, inputs, outputs, facts=program.facts, where=program.where))
