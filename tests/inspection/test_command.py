"""`tpc inspect`"""

import json
from pathlib import Path

import numpy as np
from tests.cli.workplace import folder, tpc

__all__ = ["folder"]


def test_files(folder: Path) -> None:
    np.save("K.npy", np.diag([1.0, 2, 3]))
    np.savez("both.npz", L=np.tril(np.ones((4, 4))), one=np.ones(3))
    Path("table.mtx").write_text("%%MatrixMarket matrix coordinate real general\n3 3 2\n1 2 1\n2 3 5\n")
    result = tpc("inspect", "K.npy", "both.npz:L", "table.mtx")
    assert result.exit_code == 0
    for line in ("K: f64[3, 3] is diagonal", "L: f64[4, 4] is", "table: f64[3, 3] is", "lower triangular: zero above"):
        assert line in result.stdout
    assert "A @ x: 3 operations of 18" in result.stdout


def test_json(folder: Path) -> None:
    np.save("A-1.npy", np.ones((4, 4)))
    found = json.loads(tpc("inspect", "A-1.npy", "--json").stdout)
    (matrix,) = found["matrices"]
    assert found["ok"] and matrix["file"] == "A-1.npy" and matrix["name"] == "A" and matrix["singular"]
    assert matrix["findings"][0] == {
        "name": "constant", "about": "all entries are 1", "error": 0.0, "facts": ["low_rank(1)"], "formula": "c * ones",
        "parts": {"c": []}, "product": 8, "solve": None, "gain": 4.0,
    }  # fmt: skip


def test_tolerance(folder: Path) -> None:
    A = np.eye(6) + 1e-6 * np.random.default_rng(0).standard_normal((6, 6))
    np.save("A.npy", A)
    assert "no structure" in tpc("inspect", "A.npy").stdout
    assert "diagonal" in tpc("inspect", "A.npy", "--tolerance", "1e-4").stdout
    assert tpc("inspect", "A.npy", "--tolerance", "2").exit_code == 2


def test_faults(folder: Path) -> None:
    assert tpc("inspect").exit_code == 2
    missing = tpc("inspect", "none.npy")
    assert missing.exit_code == 1 and "E0705" in missing.stderr
