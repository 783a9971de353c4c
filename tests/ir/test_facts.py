"""Facts: the vocabulary, what is declared, what lines of facts conclude (every line is tried on matrices), analysis."""

import itertools
import warnings

import numpy as np
import pytest

from tpc.dsl import syntax
from tpc.ir.build import input_node, items, literal, make
from tpc.ir.dims import named
from tpc.ir.fact_lines import Known, Place, Statement, statements
from tpc.ir.facts import (
    COMMUTATIVE,
    CONTRADICTIONS,
    FACTS,
    IMPLICATIONS,
    analyse,
    check_declared,
    closure,
    fits,
    satisfies,
)
from tpc.ir.node import Constraint, Fact, Node, Program
from tpc.ir.op import Misfit, Op
from tpc.ir.ops import OPS
from tpc.ir.types import C128, F64, I64, TensorType

from .literal import value_of
from .samples import candidates, with_facts

n, m = named("n"), named("m")

# Numbers to try for the names in premises such as `banded(A, a, b)`.
NUMBERS = {"banded": [(0, 1), (1, 0), (1, 1)], "low_rank": [(0,), (1,), (2,)], "sparse": [(0.25,), (0.5,)]}

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
    "solve": RIGHT,
    "solve_triangular": RIGHT,
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
    "trace": SQUARE,
    "fftshift": [((4,),)],
    "sort": [((3, 2),)],
    "argsort": [((3, 2),)],
    "topk": [((3, 4),)],
}
INDEX_OPERANDS = {"cross_entropy": 1, "one_hot": 0, "take": 1, "take_along": 1, "scatter_add": 1, "segment_sum": 1}
SQUARE_OPS = ["inv", "det", "slogdet", "cholesky", "ldl", "eigh", "eigvalsh", "expm", "logm", "sqrtm"]
MATRIX_OPS = [
    "transpose",
    "adjoint",
    "vec",
    "tril",
    "triu",
    "pinv",
    "lu",
    "qr",
    "svd",
    "svdvals",
    "matrix_rank",
    "cond",
]
ATTRIBUTES = {
    "unvec": [{"i": 2, "j": 3}],
    "segment_sum": [{"n": 3}],
    "one_hot": [{"n": 3}],
    "topk": [{"k": 2}],
    "eye": [{"i": 3}, {"i": 2, "j": 3}, {"i": 0}, {"i": 3, "j": 2}],
    "arange": [{"n": 3}, {"n": 0}],
    "linspace": [{"n": 4}, {"n": 1}],
    "zeros": [{"dims": d} for d in ((3, 3), (2, 3), (3,), (0, 0), (1, 1))],
    "ones": [{"dims": d} for d in ((3, 3), (2, 3), (3,), (0, 0), (1, 1))],
    "full": [{"dims": d} for d in ((3, 3), (2, 3), (3,), (0, 0))],
    "uniform": [{"dims": (3, 3)}],
    "tril": [{}, {"k": -1}, {"k": 1}],
    "triu": [{}, {"k": -1}, {"k": 1}],
    "permute": [{"axes": (1, 0)}],
    "reshape": [{"dims": (-1,)}],
    "broadcast_to": [{"dims": (2, 3, 3)}],
    "cast": [{"dtype": F64}, {"dtype": I64}],
    "solve_triangular": [{}, {"lower": False}],
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


def premises_of(statement: Statement, about: str) -> list[list[Fact]]:
    """The premises about one operand, for every choice of numbers."""
    names = [p.function.name for p in statement.premises if p.arguments[0].name == about]  # type: ignore[union-attr]
    choices = [[Fact(name, a) for a in NUMBERS[name]] if name in NUMBERS else [Fact(name)] for name in names]
    return [list(choice) for choice in itertools.product(*choices)]


def fires(op: Op, statement: Statement, trials: int = 8) -> bool:
    """Whether the line fired on something larger than one entry; every time that it fires it must be right."""
    rng = np.random.default_rng(7)
    fired = False
    conditions = " ".join(c.span.text for c in statement.conditions)
    for shapes in operand_shapes(op):
        for attributes in ATTRIBUTES.get(op.name, [{}]):
            for facts in itertools.product(*(premises_of(statement, name) for name in op.tensors)):
                for trial in range(trials):
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
            nodes.append(make("transpose", (nodes[0],)))
            values[nodes[-1]] = values[nodes[0]].swapaxes(-1, -2)
            if any(satisfies(np, values[nodes[-1]], f) for f in facts[1]):
                return None
            continue
        wanted = list(facts[number])
        if op.needs.endswith(f"({name})"):
            wanted.append(Fact(op.needs.partition("(")[0]))
        if INDEX_OPERANDS.get(op.name) == number:
            value = rng.integers(0, 2, shape)
        else:
            found = with_facts(rng, shape, wanted)
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
    nodes, values = inputs
    try:
        node = make(op, nodes, **{**op.options, **attributes})
    except Misfit:
        return False
    results = items(node)
    index = int(statement.about[4:] or 0)
    result = results[index]
    known = {name: Known(o.tensor, frozenset(f), o) for name, o, f in zip(op.tensors, nodes, facts, strict=True)}
    place = Place({**known, statement.about: Known(result.tensor)}, dict(node.attributes))
    concluded = [fact for fact, _ in statement.conclusions(place) if fits(fact, result.tensor)]
    if not concluded:
        return False
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            value = np.asarray(evaluate(result, values))
        except np.linalg.LinAlgError:
            return False
    if not np.isfinite(value).all():
        return False
    if value.dtype.kind == "f":  # facts are about exact arithmetic
        value = np.where(np.abs(value) < 1e-13, 0.0, value)
    for fact in concluded:
        problem = satisfies(np, value, fact, 1e-7)
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
    assert statement.about in results
    assert statement.fact in FACTS
    assert len(statement.arguments) == len(FACTS[statement.fact].arguments)
    bound = set(op.tensors) | results | set(op.options) | set(op.dims)
    for premise in statement.premises:
        assert premise.function.name in FACTS  # type: ignore[union-attr]
        assert premise.arguments[0].name in op.tensors  # type: ignore[union-attr]
        bound |= names_in(premise)
    for part in (*statement.arguments, *statement.conditions):
        assert names_in(part) <= bound


@pytest.mark.parametrize("statement", statements(IMPLICATIONS), ids=lambda s: s.text)
def test_implication_holds_and_fires(statement: Statement) -> None:
    rng = np.random.default_rng(3)
    fired = 0
    for shape in [(3, 3), (2, 2), (1, 1), (0, 0), (4, 2), (2, 4), (3, 1), (1, 3), (0, 2), (2, 0)]:
        for facts in premises_of(statement, "A"):
            for array in with_facts(rng, shape, facts):
                place = Place({"A": Known(TensorType(F64, shape), frozenset(facts))})
                for fact, _ in statement.conclusions(place):
                    assert satisfies(np, array, fact, 1e-8) is None, (fact, array)
                    fired += min(shape) > 1
    assert fired


@pytest.mark.parametrize("statement", statements(CONTRADICTIONS), ids=lambda s: s.text)
def test_contradiction_is_one(statement: Statement) -> None:
    rng = np.random.default_rng(3)
    fired = 0
    for shape in [(3, 3), (2, 2), (1, 1), (4, 2), (2, 4), (3, 1), (1, 3), (1, 2), (2, 1)]:
        for facts in premises_of(statement, "A"):
            place = Place({"A": Known(TensorType(F64, shape), frozenset(facts))})
            if list(statement.conclusions(place)):
                fired += 1
                assert not with_facts(rng, shape, facts)
    assert fired


@pytest.mark.parametrize("name", [k for k in FACTS if k not in ("const", "param")])
def test_every_fact_is_had_and_missed(name: str) -> None:
    rng = np.random.default_rng(0)
    fact = Fact(name, NUMBERS.get(name, [()])[0])
    shape = (3, 3)
    problems = [satisfies(np, a, fact) for a in candidates(rng, shape)]
    assert None in problems
    assert any(problems)


def test_what_is_wrong_with_data() -> None:
    A = np.eye(6)
    A[2, 5], A[5, 2] = 1.5, 0.3
    assert satisfies(np, A, Fact("symmetric")) == "[2, 5] is 1.5, but [5, 2] is 0.3"
    assert satisfies(np, np.diag([1.0, -0.2]), Fact("spd")) == "the smallest eigenvalue is -0.2"
    assert satisfies(np, A, Fact("lower")) == "[2, 5] is 1.5, and should be 0"
    assert satisfies(np, 2 * np.eye(2), Fact("orthogonal")) == "column 0 has length 2"
    assert satisfies(np, np.ones((2, 3)), Fact("spd")) == "it has 2 rows and 3 columns"
    assert satisfies(np, np.array([1.0, np.nan]), Fact("nonnegative")) == "[1] is nan"
    assert satisfies(np, np.full((2, 2), np.nan), Fact("symmetric")) == "[0, 0] is not finite"
    assert satisfies(np, np.stack([np.eye(2), np.ones((2, 2))]), Fact("diagonal")) == (
        "in matrix [1]: [0, 1] is 1, and should be 0"
    )
    assert satisfies(np, np.ones((4, 4)), Fact("sparse", (0.5,))) == "1 of its entries are not zero"


# ---- declared facts


@pytest.mark.parametrize(
    ("type", "facts", "title", "help"),
    [
        (TensorType(F64, (n, n)), [Fact("symetric")], "`symetric` is not a fact", "did you mean `symmetric`?"),
        (TensorType(F64, (n, n)), [Fact("hermitian")], "`hermitian` is not a fact", "did you mean `symmetric`?"),
        (TensorType(F64, (n, n)), [Fact("low_rank")], "`low_rank` takes 1 argument, not 0", "write `low_rank(r)`"),
        (TensorType(F64, (n, n)), [Fact("spd", (2,))], "`spd` takes no arguments, not 1", "write `spd`"),
        (TensorType(F64, (n,)), [Fact("sparse", (2,))], "a density lies between 0 and 1, and this is 2", None),
        (TensorType(F64, (n, m)), [Fact("spd")], "only a square matrix can be spd", None),
        (TensorType(F64, (n,)), [Fact("lower")], "only a matrix can be lower", None),
        (TensorType(C128, (n, n)), [Fact("spd")], "only a real array can be spd", None),
        (
            TensorType(F64, (5, 5)),
            [Fact("spd"), Fact("low_rank", (2,))],
            "`spd` and `low_rank(2)` cannot both hold",
            None,
        ),
        (TensorType(F64, (3, 5)), [Fact("orthonormal")], "`orthonormal` cannot hold of f64[3, 5]", None),
        (TensorType(F64, (3,)), [Fact("const"), Fact("param")], "`const` and `param` cannot both hold", None),
        (TensorType(F64, (n, n)), [Fact("banded", (-1, 0))], "`k` of `banded` is a size, and this is -1", None),
    ],
)
def test_declared_facts_that_are_wrong(type: TensorType, facts: list[Fact], title: str, help: str | None) -> None:
    (problem,) = check_declared(type, facts)
    assert problem.title == title
    assert help is None or problem.help == help
    assert problem.places and all(0 <= number < len(facts) for number, _ in problem.places)


def test_declared_facts_that_are_right() -> None:
    square = TensorType(F64, (n, n))
    assert not check_declared(square, [Fact("spd"), Fact("sparse", (0.01,)), Fact("const")])
    assert not check_declared(square, [Fact("lower"), Fact("orthogonal")])
    assert not check_declared(square, [Fact("spd"), Fact("low_rank", (m,))])


def names(facts: frozenset[Fact]) -> set[str]:
    return {str(fact) for fact in facts}


def test_closure() -> None:
    square = TensorType(F64, (n, n))
    assert {"symmetric", "psd", "nonsingular", "full_rank"} <= names(closure(square, frozenset({Fact("spd")})))
    assert "spd" in names(closure(square, frozenset({Fact("psd"), Fact("full_rank")})))
    assert "spd" in names(closure(square, frozenset({Fact("diagonal"), Fact("unit_diagonal")})))
    bands = frozenset({Fact("banded", (1, 2)), Fact("symmetric")})
    assert "banded(1, 1)" in names(closure(square, bands))
    assert "banded(1, 2)" not in names(closure(square, bands))


# ---- analysis


def program(outputs: list[Node], facts: dict[Node, list[str]], where: tuple[Constraint, ...] = ()) -> Program:
    stated = [(node, tuple(Fact(name) for name in given)) for node, given in facts.items()]
    inputs = [a for a in Program("p", (), outputs).nodes if a.op.name == "input"]
    return Program("p", inputs, outputs, facts=stated, where=where)


A = input_node("A", TensorType(F64, (n, n)))
B = input_node("B", TensorType(F64, (n, n)))
X = input_node("X", TensorType(F64, (n, m)))


def test_gram_matrix() -> None:
    gram = make("matmul", (make("transpose", (X,)), X))
    assert "psd" in names(analyse(program([gram], {}))[gram])
    assert "spd" not in names(analyse(program([gram], {}))[gram])
    assert "spd" not in names(analyse(program([gram], {X: ["full_rank"]}))[gram])
    tall = program([gram], {X: ["full_rank"]}, (Constraint(n, ">", m),))
    assert "spd" in names(analyse(tall)[gram])


def test_writing_an_inverse_is_a_promise() -> None:
    gram = make("matmul", (make("transpose", (X,)), X))
    inverse = make("inv", (gram,))
    found = analyse(program([inverse], {}))
    assert "spd" in names(found[gram]) and "spd" in names(found[inverse])


def test_damping_makes_spd() -> None:
    damped = make("add", (A, make("mul", (literal(0.1), make("eye", (), i=n, j=None, dtype=F64)))))
    assert "spd" in names(analyse(program([damped], {A: ["psd"]}))[damped])
    assert "spd" not in names(analyse(program([damped], {A: ["symmetric"]}))[damped])


def test_facts_reach_through_calls_and_several_results() -> None:
    P, L, U = items(make("lu", (A,)))
    found = analyse(program([P, L, U], {}))
    assert "orthogonal" in names(found[P]) and "nonsingular" in names(found[L]) and "upper" in names(found[U])
    body = program([make("mul", (A, literal(2.0)))], {})
    called = make("call", (B,), body=body, sizes=())
    assert "spd" in names(analyse(program([called], {B: ["spd"]}))[called])
    assert "spd" not in names(analyse(program([called], {}))[called])


def test_order_of_operands_does_not_matter() -> None:
    for name in COMMUTATIVE - {"dot", "minimum", "maximum", "mul"}:
        left, right = make(name, (A, B)), make(name, (B, A))
        found = analyse(program([left, right], {A: ["spd"], B: ["psd"]}))
        assert found[left] == found[right]
        assert "spd" in names(found[left])
