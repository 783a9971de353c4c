"""A folder with programs and data, and the command line in it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from tpc.cli import cli

RIDGE = """\
# ridge regression
def ridge(X: f64[n, m], y: f64[n], penalty: f64 = 0.1) -> f64[m] where n > m:
    return (X' @ X + penalty * eye(m)) \\ (X' @ y)
"""
PAIR = """\
def pair(x: f32[n]) -> (f32, f32[n]):
    total = sum(x)
    doubled = 2 * x
    return total, doubled
"""
rng = np.random.default_rng(0)
X, y = rng.standard_normal((6, 2)), rng.standard_normal(6)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    Path("ridge.tp").write_text(RIDGE)
    Path("pair.tp").write_text(PAIR)
    np.save("X.npy", X)
    np.save("y.npy", y)
    return tmp_path


def tpc(*arguments: str, stdin: str | None = None) -> Result:
    result = CliRunner().invoke(cli, arguments, input=stdin)
    assert "Traceback" not in result.output
    return result


def beta() -> Any:
    return np.linalg.solve(X.T @ X + 0.1 * np.eye(2), X.T @ y)
