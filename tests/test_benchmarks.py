"""The command that runs benchmarks. What they measure is judged by who reads them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def called(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "benchmarks", *words], cwd=ROOT, capture_output=True, text=True)


def test_rows_are_chosen_by_name_and_summed_up(tmp_path: Path) -> None:
    file = tmp_path / "rows.json"
    found = called("structure", "--only", "toeplitz product", "--only", "CUR", "--repeat", "1", "--json", str(file))
    rows = json.loads(file.read_text())["rows"]
    assert [row["name"] for row in rows] == ["toeplitz product 4096", "CUR n = 400, k = 20, over its bound"]
    assert all(row["error"] < 1e-9 for row in rows)
    assert "of 2 rows met their goal" in found.stdout


def test_options_hold_for_all_names() -> None:
    found = called("structure", "kronecker", "--only", "toeplitz")
    assert found.returncode == 2 and "benchmarks kronecker: error: unrecognized arguments: --only" in found.stderr
    assert not found.stdout  # nothing has run


def test_what_cannot_be_run_is_told() -> None:
    found = called("frontend", "unheard-of")
    assert found.returncode == 2 and "unheard-of" in found.stderr
    found = called("structure", "structure", "--only", "toeplitz product", "--json", "x.json")
    assert found.returncode == 2 and "--json is for one benchmark" in found.stderr
