"""Every line of facts that an op states is tried on matrices: where it fires it must be right, and it must fire."""

import itertools
import warnings

import numpy as np
import pytest

from tpc.dsl import syntax
from tpc.ir.build import input_node, items, literal, make
from tpc.ir.facts import FACTS, fits, satisfies
from tpc.ir.facts.lines import Known, Place, Statement, lines, statements
from tpc.ir.facts.vocabulary import CONTRADICTIONS, IMPLICATIONS
from tpc.ir.node import Fact, Node
from tpc.ir.op import Misfit, Op
from tpc.ir.ops import OPS
from tpc.ir.types import F64, I64, TensorType

from .literal import value_of
from .samples import pool, premises_of

SQUARE = [((3, 3),), ((2, 2),), ((1, 1),), ((0, 0),), ((2, 3, 3),)]
MATRIX = [*SQUARE, ((4, 2),), ((2, 4),), ((3, 1),), ((1, 3),), ((0, 2),)]
ANY = [*MATRIX, ((3,),), ((),), ((0,),)]
PAIRS = [
    ((3, 3), (3, 3)),
    ((4, 3), (4, 3)),
    ((1, 1), (1, 1)),
    ((0, 0), (0, 0)),
    ((3, 3), ()),
    ((3, 2), ()),
    ((), (3, 3)),
    ((3, 3), (3,)),
    ((1, 3), (3, 3)),
    ((1, 1), (3, 3)),
    ((3,), (3,)),
    ((2, 3, 3), (3, 3)),
]
PRODUCTS = [((3, 3), (3, 3)), ((4, 2), (2, 3)), ((2, 4), (4, 2)), ((4, 2), (2, 2)), ((2, 2), (2, 4)), ((4, 3), (3, 2))]
PRODUCTS += [((1, 1), (1, 1)), ((3, 0), (0, 3)), ((0, 0), (0, 0)), ((2, 3, 3), (3, 3))]
PRODUCTS += [((4, 1), (1, 4))]
KRON = [((2, 2), (3, 3)), ((2, 3), (2, 2)), ((3, 2), (2, 1)), ((2, 3), (1, 2)), ((3, 2), (2, 3)), ((1, 1), (2, 2))]
KRON += [((2, 2), (0, 0)), ((2,), (3,)), ((3, 3), (2, 2)), ((3, 2), (2, 2))]
RIGHT = [((3, 3), (3, 3)), ((3, 3), (3, 2)), ((3, 3), (3,)), ((1, 1), (1, 4)), ((0, 0), (0, 2)), ((2, 3, 3), (3, 3))]

FACTORED = [((3, 3), (3,), (3, 3)), ((3, 3), (3,), (3, 2)), ((3, 3), (3,), (3,)), ((2, 3, 3), (2, 3), (3, 3))]

OPERANDS = {
    "matmul": PRODUCTS,
    "matvec": [((3, 2), (2,)), ((2, 0), (0,))],
    "vecmat": [((2,), (2, 3)), ((0,), (0, 2))],
    "dot": [((3,), (3,)), ((0,), (0,))],
    "vdot": [((3,), (3,))],
    "outer": [((3,), (3,)), ((3,), (2,)), ((1,), (4,))],
    "kron": KRON,
    "khatri_rao": [((2, 3), (2, 3))],
    "conv": [((4,), (2,))],
    "correlate": [((4,), (2,))],
    "conv2d": [((4, 4), (2, 2))],
    "select": [((3, 3), (3, 3), (3, 3))],
    "clip": [((3, 3), (), ()), ((3,), (3,), (3,))],
    "matrix_scan": [((2, 2), (3, 2), (2,)), ((2, 2), (0, 2), (2,))],
    "linear_scan": [((3, 2), (3, 2), (2,)), ((3, 1), (3, 2), (2,)), ((0,), (0, 2), (2,))],
    "add_diagonal": [((3, 3), (3,)), ((3, 3), ()), ((1, 1), (1,))],
    "solve": RIGHT,
    "solve_triangular": RIGHT,
    **dict.fromkeys(("trmm", "cho_solve", "band_solve", "spd_band_solve"), RIGHT),
    **dict.fromkeys(("lu_solve", "ldl_solve"), FACTORED),
    "band_matmul": PRODUCTS,
    "sylvester": [((3, 3), (3, 3), (3, 3)), ((3, 3), (2, 2), (3, 2)), ((1, 1), (1, 1), (1, 1))],
    "lstsq": [*RIGHT, ((4, 2), (4, 3)), ((2, 4), (2, 3))],
    "matpow": [((3, 3), ()), ((1, 1), ())],
    "linspace": [((), ())],
    "cross_entropy": [((3, 4), (3,))],
    "one_hot": [((3,),)],
    "searchsorted": [((3,), (2,))],
    "take": [((3, 2), (2,))],
    "take_along": [((3, 2), (3, 2))],
    "scatter_add": [((3, 2), (2,), (2, 2))],
    "segment_sum": [((3, 2), (3,))],
    "full": [((),)],
    "unvec": [((6,),)],
    "from_diagonals": [((2, 3),), ((1, 4),), ((3, 1),)],
    "trace": SQUARE,
    **dict.fromkeys(("circulant", "xor_circulant"), [((4,),), ((1,),)]),
    **dict.fromkeys(("toeplitz", "hankel"), [((3,),)]),
    **dict.fromkeys(("circulant_sums", "diagonal_sums"), [((3, 3),), ((1, 1),)]),
    "semiseparable": [((3, 2), (3, 2), (3, 2)), ((1, 1), (1, 1), (1, 1))],
    "fftshift": [((4,),)],
    "sort": [((3, 2),)],
    "argsort": [((3, 2),)],
    "topk": [((3, 4),)],
}
INDEX_OPERANDS = {"cross_entropy": 1, "one_hot": 0, "take": 1, "take_along": 1, "scatter_add": 1, "segment_sum": 1}
INDEX_OPERANDS |= {"lu_solve": 1, "ldl_solve": 1}
SQUARE_OPS = ["inv", "det", "slogdet", "cholesky", "ldl", "eigh", "eigvalsh", "expm", "logm", "sqrtm"]
SQUARE_OPS += ["tri_inv", "cho_inv", "lu_factor", "ldl_factor"]
MATRIX_OPS = [
    "transpose",
    "adjoint",
    "vec",
    "tril",
    "triu",
    "pinv",
    "lu",
    "qr",
    "qr_triangle",
    "svd",
    "svdvals",
    "matrix_rank",
    "cond",
]
ATTRIBUTES = {
    "unvec": [{"i": 2, "j": 3}],
    "from_diagonals": [{"below": 0, "n": 3}, {"below": 1, "n": 4}],
    "segment_sum": [{"n": 3}],
    **dict.fromkeys(("toeplitz", "hankel"), [{"m": 2}, {"m": 1}, {"m": 3}]),
    "one_hot": [{"n": 3}],
    "topk": [{"k": 2}],
    "eye": [{"i": 3}, {"i": 2, "j": 3}, {"i": 0}, {"i": 3, "j": 2}],
    "arange": [{"n": 3}, {"n": 0}],
    "linspace": [{"n": 4}, {"n": 1}],
    "zeros": [{"dims": d} for d in ((3, 3), (2, 3), (3,), (0, 0), (1, 1))],
    "ones": [{"dims": d} for d in ((3, 3), (2, 3), (3,), (0, 0), (1, 1))],
    "full": [{"dims": d} for d in ((3, 3), (2, 3), (3,), (0, 0))],
    "uniform": [{"dims": (3, 3)}],
    "rademacher": [{"dims": (3, 3)}],
    "tril": [{}, {"k": -1}, {"k": 1}],
    "triu": [{}, {"k": -1}, {"k": 1}],
    "permute": [{"axes": (1, 0)}],
    "reshape": [{"dims": (-1,)}],
    "broadcast_to": [{"dims": (2, 3, 3)}],
    "cast": [{"dtype": F64}, {"dtype": I64}],
    **{n: [{}, {"lower": False}] for n in ("solve_triangular", "trmm", "tri_inv")},
    **{n: [{"below": 0, "above": 1}, {"below": 1, "above": 0}] for n in ("band_matmul", "band_solve")},
    "spd_band_solve": [{"width": 1}],
    "softmax": [{}, {"axis": 0}],
    "max": [{}, {"axis": 0}],
    "min": [{}, {"axis": 0}],
    "squeeze": [{}],
}
FIXED = {
    "permute": MATRIX,
    "broadcast_to": [((3, 3),), ((1, 3),)],
    "diag": [*MATRIX, ((3,),), ((0,),)],
    "softmax": MATRIX,
}


def operand_shapes(op: Op) -> list[tuple[tuple[int, ...], ...]]:
    if op.name in OPERANDS or op.name in FIXED:
        return OPERANDS.get(op.name) or FIXED[op.name]
    if op.name in SQUARE_OPS:
        return SQUARE
    if op.name in MATRIX_OPS:
        return MATRIX
    return {0: [()], 1: ANY, 2: PAIRS}[len(op.tensors)]


def evaluate(node: Node, values: dict[Node, np.ndarray]) -> np.ndarray:
    """The value of a node of one op over inputs (and transposes of them)."""
    if node in values:
        return values[node]
    if node.op.name == "item":
        return evaluate(node.args[0], values)[node["position"]]
    operands = [evaluate(a, values) for a in node.args]
    types, attributes = [a.tensor for a in node.args], dict(node.attributes)
    formula = node.op.formula(types, attributes)
    if formula is not None:
        return value_of(formula, operands)
    assert node.op.reference is not None
    return node.op.reference(np, operands, attributes)


def fires(op: Op, statement: Statement, trials: int = 8) -> bool:
    """Whether the line fired on something larger than one entry; every time that it fires it must be right."""
    rng = np.random.default_rng(7)
    fired = False
    conditions = " ".join(c.span.text for c in statement.conditions)
    about_result = [premise for premise in statement.premises if premise.about.startswith("this")]
    for shapes in operand_shapes(op):
        for attributes in ATTRIBUTES.get(op.name, [{}]):
            for facts in itertools.product(*(premises_of(statement, name) for name in op.tensors)):
                for trial in range(8 * trials if about_result else trials):
                    inputs = arguments(rng, op, shapes, facts, trial, conditions)
                    if inputs is None:
                        break
                    fired |= apply_line(op, statement, inputs, facts, attributes)
    return fired


def arguments(rng, op, shapes, facts, trial, conditions):  # type: ignore[no-untyped-def]
    """Operand nodes with values that have the facts, or None where there are none."""
    nodes: list[Node] = []
    values: dict[Node, np.ndarray] = {}
    for number, (name, shape) in enumerate(zip(op.tensors, shapes, strict=True)):
        if "same(" in conditions and number == 1:
            nodes.append(nodes[0])
            continue
        if "transposed(" in conditions and number == 1:
            if nodes[0].tensor.rank < 2:
                return None
            nodes.append(make("transpose", (nodes[0],)))
            values[nodes[-1]] = values[nodes[0]].swapaxes(-1, -2)
            if any(satisfies(np, values[nodes[-1]], f) for f in facts[1]):
                return None
            continue
        wanted = list(facts[number])
        if op.needs.endswith(f"({name})"):
            wanted.append(Fact(op.needs.partition("(")[0]))
        if INDEX_OPERANDS.get(op.name) == number:
            value = np.argsort(rng.random(shape), -1) if name == "order" else rng.integers(0, 2, shape)
        else:
            found = pool(shape, tuple(wanted), trial % 8)
            if "transposed(" in conditions and len(shape) > 1:
                found = [a for a in found if not any(satisfies(np, a.swapaxes(-1, -2), f) for f in facts[1])]
            if not found:
                return None
            value = np.asarray(found[rng.integers(len(found))])
            if op.name == "select" and number == 0:
                value = value > 0
            if op.name == "matpow" and number == 1:
                value = np.asarray([2.0, -1.0, 0.5][trial % 3])
        type = TensorType(I64 if value.dtype.kind == "i" else F64, value.shape)
        if value.dtype.kind == "b":
            type = make("lt", (literal(1), input_node("b", type))).tensor
        nodes.append(input_node(f"{name}{number}", type))
        values[nodes[-1]] = value
    return nodes, values


def apply_line(op, statement, inputs, facts, attributes) -> bool:  # type: ignore[no-untyped-def]
    """Whether the line fired; what it concludes (of the result or of an operand) must be so."""
    nodes, values = inputs
    try:
        node = make(op, nodes, **{**op.options, **attributes})
    except Misfit:
        return False
    if node.op is not op and op.name != "adjoint":
        return False  # simplified away
    results = items(node)
    this = statement.about if statement.about.startswith("this") else "this"
    result = results[int(this[4:] or 0)]
    known = {
        name: Known(o.tensor, frozenset(f), o, o.args[0] if o.op.name == "transpose" else None)
        for name, o, f in zip(op.tensors, nodes, facts, strict=True)
    }
    (about_result,) = premises_of(statement, this)[:1]
    place = Place({**known, this: Known(result.tensor, frozenset(about_result))}, dict(node.attributes))
    concluded = [fact for fact, _ in statement.conclusions(place)]
    if not concluded:
        return False
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            value = np.asarray(evaluate(result, values))
        except np.linalg.LinAlgError:
            return False
    if statement.fact == "never":
        held = np.isfinite(value).all() and not any(satisfies(np, value, f) for f in about_result)
        assert value.size == 0 or not held, (statement, values)
        return True
    if not np.isfinite(value).all():
        return False
    if value.dtype.kind == "f" and (value.ndim or op.group == "linalg"):  # facts are about exact arithmetic
        value = np.where(np.abs(value) < 1e-13, 0.0, value)
    if any(satisfies(np, value, fact, 1e-7) for fact in about_result):
        return False
    seen = value if statement.about == this else values[nodes[op.tensors.index(statement.about)]]
    for fact in concluded:
        if fits(fact, TensorType(F64, seen.shape)):
            problem = satisfies(np, seen, fact, 1e-7)
            assert problem is None, f"{op.name}: {statement.text}: {fact}: {problem}\n{values}\n{value}"
    return max([value.size, *(v.size for v in values.values())]) > 1


LINES = [(op, s) for op in OPS.values() if op.facts for s in statements(op.facts)]


@pytest.mark.parametrize(("op", "statement"), LINES, ids=[f"{o.name}: {s.text}" for o, s in LINES])
def test_line_holds_and_fires(op: Op, statement: Statement) -> None:
    assert fires(op, statement)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("add", "nonsingular(x), nonsingular(y) |- nonsingular(this)"),
        ("sub", "spd(x), spd(y) |- spd(this)"),
        ("matmul", "symmetric(A), symmetric(B) |- symmetric(this)"),
        ("matmul", "lower(A), upper(B) |- lower(this)"),
        ("mul", "lower(x) |- lower(this)"),
        ("add", "lower(x), lower(y) |- lower(this)"),
        ("kron", "lower(A), lower(B) |- lower(this)"),
        ("mul", "at_least(x, a), at_least(y, b) |- at_least(this, a * b)"),
        ("sub", "at_least(x, a), at_least(y, b) |- at_least(this, a - b)"),
        ("add", "nonzero(x), nonzero(y) |- nonzero(this)"),
        ("matmul", "full_rank(this) |- full_rank(A)"),
        ("mul", "nonsingular(this) |- nonsingular(x)"),
        ("exp", "nonzero(x) |- never"),
    ],
)
def test_false_lines_are_caught(name: str, line: str) -> None:
    (statement,) = statements(line)
    with pytest.raises(AssertionError):
        fires(OPS[name], statement, trials=200)


def names_in(expression: syntax.Expr) -> set[str]:
    stack, found = [expression], set()
    while stack:
        match stack.pop():
            case syntax.Name(name=name):
                found.add(name)
            case syntax.Call(arguments=arguments):
                stack += arguments
            case syntax.Binary(left=left, right=right):
                stack += [left, right]
    return found


@pytest.mark.parametrize(("op", "statement"), LINES, ids=[f"{o.name}: {s.text}" for o, s in LINES])
def test_line_is_well_formed(op: Op, statement: Statement) -> None:
    results = {"this"} if len(op.syntax.results) < 2 else {f"this{k}" for k in range(len(op.syntax.results))}
    if statement.fact != "never":
        assert statement.about in results | set(op.tensors)
        assert len(statement.arguments) == len(FACTS[statement.fact].arguments)
    bound = set(op.tensors) | results | set(op.options) | set(op.dims)
    for premise in statement.premises:
        assert premise.fact in FACTS
        assert premise.about in results | set(op.tensors)
        bound |= {argument for argument in premise.arguments if isinstance(argument, str)}
    for part in (*statement.arguments, *statement.conditions):
        assert names_in(part) <= bound


@pytest.mark.parametrize("text", [IMPLICATIONS, CONTRADICTIONS, "\n".join(op.facts for op in OPS.values())])
def test_what_is_known_of_lines_before_they_are_read_is_what_they_say(text: str) -> None:
    """Lines are read when their premises may hold; a line that was passed over by mistake would never be missed."""
    found = lines(text)
    assert [line.statement.text for line in found] == [statement.text for statement in statements(text)]
    for line in found:
        assert line.asked == {premise.fact for premise in line.statement.premises}
        assert (line.fact, line.about) == (line.statement.fact, line.statement.about)
