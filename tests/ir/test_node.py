"""Nodes and programs are shared, and the verifier finds what is broken."""

import gc

import pytest

from tpc.dsl.diagnostics import InternalError
from tpc.ir.build import input_node, items, literal, make, size
from tpc.ir.dims import named
from tpc.ir.formula import Access, Formula, LetterValue
from tpc.ir.node import Constraint, Fact, Node, Program, topological
from tpc.ir.op import Misfit
from tpc.ir.ops import OPS
from tpc.ir.types import F32, F64, I64, TensorType
from tpc.ir.verify import verify

N, M = named("n"), named("m")
X = input_node("X", TensorType(F64, (N, M)))
Y = input_node("y", TensorType(F64, (M,)))


def test_equal_nodes_are_one_object() -> None:
    assert make("matvec", (X, Y)) is make("matvec", (X, Y))
    assert literal(1) is not literal(1.0)
    assert literal(0.0) is not literal(-0.0)
    assert literal(True) is not literal(1)
    assert size(N) is size(named("n")) and size(N - N + 3) is literal(3)


def test_a_walk_ends_at_what_is_known() -> None:
    product = make("matvec", (X, Y))
    root, other = make("tanh", (product,)), make("exp", (Y,))
    assert topological([root, other]) == [X, Y, product, root, other]
    assert topological([root, other], [product]) == [root, Y, other]
    assert topological([root], [root]) == []


def test_equal_programs_are_one_object() -> None:
    def build() -> Program:
        return Program("f", (X, Y), (make("matvec", (X, Y)),))

    assert build() is build()
    assert build() is not Program("g", (X, Y), (make("matvec", (X, Y)),))
    assert build() is not build().replace(facts=[(X, (Fact("full_rank"),))])


def test_nodes_are_freed() -> None:
    before = len([o for o in gc.get_objects() if isinstance(o, Node)])
    node = Y
    for k in range(5000):
        node = make("add", (node, literal(k + 0.125)))
    del node
    gc.collect()
    assert len([o for o in gc.get_objects() if isinstance(o, Node)]) < before + 100


def test_the_graph_keeps_both_edges_of_a_square() -> None:
    program = Program("f", (X,), (make("add", (X, X)),))
    graph = program.graph()
    assert sorted(key for _, _, key in graph.edges(keys=True)) == [0, 1]


def test_weak_arrays_take_the_format_of_what_they_meet() -> None:
    x = input_node("x", TensorType(F32, (N, N)))
    eye = make("eye", (), i=N, j=None, dtype=None)
    assert make("add", (x, make("mul", (literal(0.5), eye)))).tensor.dtype is F32


def _program(*outputs: Node, **more: object) -> Program:
    return Program("f", (X, Y), outputs, **more)  # type: ignore[arg-type]


def _formula_node(body: object, *operands: Node) -> Node:
    formula = Formula((("i",),), (("i", N),), body)  # type: ignore[arg-type]
    return Node(OPS["index"], operands, (("formula", formula),), TensorType(F64, (N,)))


BROKEN = {
    "should be": lambda: _program(Node(OPS["exp"], (X,), (), TensorType(F64, (N,)))),
    "not an input of": lambda: _program(input_node("z", TensorType(F64, (N,)))),
    "names differ in number": lambda: _program(X, output_names=("a", "b")),
    "two outputs have one name": lambda: _program(X, Y, output_names=("a", "a")),
    "one name": lambda: Program("f", (X, input_node("X", TensorType(F64, (M,)))), (X,)),
    "a fact of": lambda: _program(Y, facts=[(make("exp", (X,)), (Fact("positive"),))]),
    "a default of": lambda: _program(X, defaults=[("z", literal(1))]),
    "has several values": lambda: _program(make("qr", (X,))),
    "is no input node": lambda: Program("f", (make("exp", (X,)),), (X,)),
    "sizes that no input gives": lambda: _program(make("zeros", (), dims=(named("q"),), dtype=F64)),
    "negative size": lambda: _program(Node(OPS["exp"], (), (), TensorType(F64, (-1,)))),
    "has no operand": lambda: _program(_formula_node(Access(3, (LetterValue("i"),)), Y)),
    "indexes 2 axes with 1": lambda: _program(_formula_node(Access(0, (LetterValue("i"),)), X)),
    "letters that nothing binds": lambda: _program(_formula_node(Access(0, (LetterValue("j"),)), Y)),
    "needs": lambda: _program(Node(OPS["inv"], (X,), (), X.type)),
    "is no item": lambda: _program(Node(OPS["item"], (make("qr", (X,)),), (("position", 5),), TensorType(I64))),
}


@pytest.mark.parametrize("message", BROKEN)
def test_the_verifier_finds_what_is_broken(message: str) -> None:
    with pytest.raises(InternalError, match=message) as caught:
        verify(BROKEN[message](), "some pass")
    assert caught.value.stage == "some pass"


def test_the_verifier_passes_what_is_right() -> None:
    verify(_program(make("matvec", (X, Y)), where=[Constraint(N, ">", M)]), "test")
    verify(_program(*items(make("qr", (X,)))), "test")


def test_a_misfit_names_both_operands() -> None:
    with pytest.raises(Misfit) as caught:
        make("matvec", (make("transpose", (X,)), Y))
    assert "to match" in caught.value.title
    assert [number for number, _ in caught.value.operands] == [0, 1]


def test_inputs_of_a_program_are_told_apart() -> None:
    x = input_node("x", TensorType(F64, ()))
    with pytest.raises(ValueError, match="two inputs of `f` are one: x, x"):
        Program("f", [x, x], [x])
