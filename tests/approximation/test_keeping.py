"""What was found for a constant is kept for other processes, and is measured anew where it is read."""

from pathlib import Path

import numpy as np
import pytest

from tpc.backends import store
from tpc.ir.types import F32
from tpc.passes.approximation import replacing
from tpc.passes.approximation.replacing import candidates
from tpc.passes.approximation.target import Target

draw = np.random.default_rng(0)
LOW = draw.standard_normal((160, 3)) @ draw.standard_normal((3, 160))
TARGET = Target(LOW, F32, 1e-3)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TPC_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> list[Target]:
    seen: list[Target] = []
    searched = replacing._searched
    monkeypatch.setattr(replacing, "_searched", lambda target: (seen.append(target), searched(target))[1])
    return seen


def test_a_search_is_made_once(searches: list[Target]) -> None:
    first, again = candidates(TARGET, store), candidates(TARGET, store)
    assert len(searches) == 1 and first[1] == again[1]
    for (one, error), (other, measured) in zip(first[0], again[0], strict=True):
        assert (one.name, one.about, one.terms, one.work, error) == (
            *(other.name, other.about, other.terms, other.work),
            measured,
        )
        assert all(np.array_equal(part, other.parts[name]) for name, part in one.parts.items())


def test_it_is_for_the_array_and_the_budget_alone(searches: list[Target]) -> None:
    for target in (TARGET, TARGET.at(1e-2), Target(LOW + 1e-9, F32, 1e-3), Target(LOW, F32, 1e-3, np.eye(160))):
        candidates(target, store)
    assert len(searches) == 4


def test_what_is_refused_is_kept_too(searches: list[Target]) -> None:
    noise = Target(draw.standard_normal((160, 160)), F32, 1e-3)
    assert candidates(noise, store) == candidates(noise, store) and not candidates(noise, store)[0]
    assert len(searches) == 1


def test_what_is_damaged_is_found_anew(place: Path, searches: list[Target]) -> None:
    candidates(TARGET, store)
    (file,) = place.iterdir()
    for content in (b"", file.read_bytes()[:-300], b"x" * 1000):
        file.write_bytes(content)
        assert candidates(TARGET, store)[0]
    assert len(searches) == 4


def test_parts_that_are_not_within_the_budget_are_not_taken(place: Path) -> None:
    candidates(TARGET, store)
    (file,) = place.iterdir()
    entry = dict(np.load(file))
    np.savez(file, **{name: part if name == "about" else 1.01 * part for name, part in entry.items()})
    assert candidates(TARGET, store)[0] == []


def test_nothing_is_kept_where_the_cache_is_off(monkeypatch: pytest.MonkeyPatch, searches: list[Target]) -> None:
    monkeypatch.setenv("TPC_CACHE", "off")
    candidates(TARGET, store), candidates(TARGET, store)
    assert len(searches) == 2
