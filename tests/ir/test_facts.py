"""Facts: the vocabulary, what implies and contradicts what, what is declared, and analysis."""

import numpy as np
import pytest

from tpc.ir.build import input_node, items, literal, make
from tpc.ir.dims import named
from tpc.ir.facts import (
    COMMUTATIVE,
    CONTRADICTIONS,
    FACTS,
    IMPLICATIONS,
    analyse,
    check_declared,
    closure,
    conflicts,
    congruence,
    derive,
    require,
    satisfies,
)
from tpc.ir.facts.lines import Known, Place, Statement, statements
from tpc.ir.node import Constraint, Fact, Node, Program
from tpc.ir.ops import OPS
from tpc.ir.types import C128, F64, TensorType

from .samples import NUMBERS, candidates, premises_of, with_facts

n, m = named("n"), named("m")


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
                    fired += min(shape) > 1 or "rows(A) <= 1" in statement.text
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


# ---- op by op, with identities of one's own (the classes of an e-graph, say)

SQUARE, TALL = TensorType(F64, (n, n)), TensorType(F64, (n, m))
SPD = closure(SQUARE, {Fact("spd")})


def test_derive_goes_by_identities() -> None:
    turned, gram = TensorType(F64, (m, n)), TensorType(F64, (m, m))
    matmul = OPS["matmul"]
    known = [Known(turned, identity=7, transposed=8), Known(TALL, identity=8, transposed=7)]
    assert Fact("psd") in dict(derive(matmul, {}, known, gram))
    strangers = [Known(turned, identity=7, transposed=9), Known(TALL, identity=8, transposed=6)]
    assert not dict(derive(matmul, {}, strangers, gram))
    found = dict(derive(OPS["add"], {}, [Known(SQUARE, SPD, 1), Known(SQUARE, SPD, 2)], SQUARE))
    assert found[Fact("spd")].premises in (((0, Fact("spd")), (1, Fact("psd"))), ((1, Fact("spd")), (0, Fact("psd"))))


def test_require_goes_from_the_result_to_the_operands() -> None:
    operands, result = [Known(SQUARE), Known(SQUARE)], Known(SQUARE, closure(SQUARE, {Fact("nonsingular")}))
    assert {(p, f) for p, f, _ in require(OPS["matmul"], {}, operands, result)} == {
        (0, Fact("full_rank")),
        (1, Fact("full_rank")),
    }
    assert not list(require(OPS["add"], {}, operands, result))


def test_conflicts() -> None:
    negative = Known(TALL, closure(TALL, {Fact("negative")}))
    assert list(conflicts(OPS["log"], {}, [negative], Known(TALL)))
    assert not list(conflicts(OPS["log"], {}, [Known(TALL)], Known(TALL)))


def test_congruence_of_factors() -> None:
    turned = TensorType(F64, (m, n))
    outer = [Known(turned, identity=2, transposed=1), Known(TALL, frozenset({Fact("full_rank")}), 1, 2)]
    factors = [outer[0], Known(SQUARE, SPD, 3, 3), outer[1]]
    assert {f.name for f, _ in congruence(factors)} == {"symmetric", "psd"}
    assert Fact("spd") in dict(congruence(factors, (n - m,)))
    assert not dict(congruence([outer[1], factors[1], outer[1]]))
