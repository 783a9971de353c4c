"""Random inputs have the facts that are declared of them."""

import itertools

import numpy as np
import pytest

from tpc.dsl.diagnostics import TpcError
from tpc.ir.dims import DimLike
from tpc.ir.facts import FACTS, check_declared
from tpc.ir.facts.checks import satisfies
from tpc.ir.node import Fact
from tpc.ir.types import BF16, BOOL, C64, C128, F32, F64, I8, I32, TensorType
from tpc.samples import sample

ARGUMENTS: dict[str, tuple[DimLike | float, ...]] = {
    "banded": (1, 2),
    "sparse": (0.3,),
    "low_rank": (2,),
    "projection": (2,),
    "at_least": (-1.0,),
    "at_most": (3.0,),
}
WORDS = [n for n in FACTS if n not in ("const", "param")]


def fact(name: str) -> Fact:
    return Fact(name, ARGUMENTS.get(name, ()))


SHAPES = [(6, 6), (1, 1), (0, 0), (8, 3), (3, 6, 6), (2, 0, 5)]


def can_have(shape: tuple[int, ...], *names: str) -> bool:
    """Whether some array of this shape has these facts together."""
    return not check_declared(TensorType(F64, shape), [fact(name) for name in names])


@pytest.mark.parametrize(
    ("name", "shape"), [(n, s) for n in WORDS for s in SHAPES if can_have(s, n)], ids=lambda p: str(p)
)
def test_each_fact(name: str, shape: tuple[int, ...]) -> None:
    array = sample(F64, shape, [fact(name)], name="A")
    assert array.shape == shape and array.dtype == np.float64
    assert satisfies(np, array, fact(name)) is None


@pytest.mark.parametrize("pair", [p for p in itertools.combinations(WORDS, 2) if can_have((6, 6), *p)], ids="-".join)
def test_pairs_of_facts(pair: tuple[str, str]) -> None:
    facts = [fact(name) for name in pair]
    if set(pair) in IMPOSSIBLE:
        with pytest.raises(TpcError):
            sample(F64, (6, 6), facts, name="A")
        return
    array = sample(F64, (6, 6), facts, name="A")
    assert {str(f): satisfies(np, array, f) for f in facts} == dict.fromkeys(map(str, facts))


IMPOSSIBLE = [
    {"banded", "positive"},
    {"banded", "negative"},
    {"banded", "nonzero"},
    {"orthogonal", "positive"},
    {"orthogonal", "negative"},
    {"orthonormal", "positive"},
    {"orthonormal", "negative"},
    {"positive", "sparse"},
    {"negative", "sparse"},
    {"nonzero", "sparse"},
    {"projection", "positive"},
]


@pytest.mark.parametrize("name", ["spd", "nonsingular", "lower", "orthogonal"])
def test_inverses_are_well_conditioned(name: str) -> None:
    facts = [fact(name), fact("nonsingular")]
    for n in (1, 5, 40):
        assert np.linalg.cond(sample(F64, (n, n), facts, name="A")) < 1000


@pytest.mark.parametrize("dtype", [F64, F32, BF16, C64, C128, I8, I32, BOOL], ids=str)
def test_dtypes(dtype: object) -> None:
    array = sample(dtype, (3, 4))  # type: ignore[arg-type]
    assert array.dtype == dtype.numpy  # type: ignore[attr-defined]


def test_values_depend_on_seed_and_name_alone() -> None:
    a = sample(F64, (3,), name="a")
    assert (a == sample(F64, (3,), name="a")).all()
    assert (a != sample(F64, (3,), name="b")).all()
    assert (a != sample(F64, (3,), name="a", seed=1)).all()
