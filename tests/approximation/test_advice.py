"""What `explain` says of the structure of constants that a program does not tell."""

from pathlib import Path

import numpy as np
import pytest
from scipy import linalg

from tests.approximation.programs import Array, compiled
from tpc.explanation import text
from tpc.explanation.account import account
from tpc.explanation.advice import advise
from tpc.explanation.constants import Structured, structured

N = 256


def advice(W: Array, body: str, folder: Path) -> list[Structured]:
    f = compiled(f"def f(x: f64[{N}, 32]) -> f64[{N}, 32] = {body}\n", folder, {"W": W})
    found = account(f.program, f.plan, {})
    return list(structured(found, 1.5, 1 << 20))


def test_a_fact_is_to_be_declared(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    (found,) = advice(linalg.circulant(draw.standard_normal(N)), "W \\ x", tmp_path)
    assert found.constant == "W" and found.write == "is circulant" and found.about.startswith("circulant, to ")
    assert found.seconds > 2 and found.flops > 2


def test_parts_are_to_be_allowed(tmp_path: Path) -> None:
    draw = np.random.default_rng(1)
    W = draw.standard_normal((N, 5)) @ draw.standard_normal((5, N))
    (found,) = advice(W, "W' @ x", tmp_path)
    assert found.about.startswith(f"low rank (rank 5 of {N})") and found.write == "~= W within 1e-8"
    f = compiled(f"def f(x: f64[{N}, 32]) -> f64[{N}, 32] = W' @ x\n", tmp_path, {"W": W})
    told = account(f.program, f.plan, {})
    from dataclasses import replace

    shown = text(replace(told, advised=advise(told)))
    assert "constants with structure that the program does not say" in shown and "write `~= W within 1e-8`" in shown


@pytest.mark.parametrize("body", ["W @ x", "W \\ x"])
def test_of_noise_nothing_is_said(body: str, tmp_path: Path) -> None:
    assert not advice(np.random.default_rng(2).standard_normal((N, N)), body, tmp_path)


def test_no_error_is_advised_where_a_matrix_is_solved_with(tmp_path: Path) -> None:
    draw = np.random.default_rng(3)
    W = draw.standard_normal((N, 5)) @ draw.standard_normal((5, N)) + np.diag(draw.uniform(1, 2, N))
    assert not advice(W, "W \\ x", tmp_path)
