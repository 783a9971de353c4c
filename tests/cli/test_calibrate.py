"""`tpc calibrate`: a quick one writes a file that is read back; a busy machine writes none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tpc.cli import cli
from tpc.passes.cost import calibrate as calibrating
from tpc.passes.cost import profile
from tpc.passes.cost.calibration import place, read
from tpc.passes.cost.families import FAMILIES
from tpc.passes.cost.machine import this_machine
from tpc.passes.cost.points import points
from tpc.passes.cost.prediction import SHIPPED

QUICK = ("calibrate", "--quick", "--backend", "numpy", "--threads", "1")


def tpc(*arguments: str) -> Result:
    result = CliRunner().invoke(cli, arguments)
    assert "Traceback" not in result.output
    return result


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's folders are those of the test, and a machine that is busy with other tests is good enough."""
    monkeypatch.delenv("TPC_PROFILE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(calibrating, "UNSTEADY", 1e9)


@pytest.fixture
def few_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every kernel, at its smallest points alone."""
    every = points

    def smallest(kernel: str, batched: bool, seed: int = 0, quick: bool = False) -> object:
        return sorted(every(kernel, batched, seed, True), key=lambda p: p.batch * sum(p.sizes))[:6]

    monkeypatch.setattr(calibrating, "points", smallest)


def test_a_quick_calibration_is_written_and_used() -> None:
    result = tpc(*QUICK)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("error on other sizes") and all(name in result.stdout for name in FAMILIES)
    assert f"wrote {place()}" in result.stderr
    found = read(place())
    assert found.machine == this_machine() and list(found.fits) == [("numpy", 1, "f64"), ("numpy", 1, "f32")]
    prices = profile("numpy", threads=1)
    assert not prices.is_shipped and prices.warnings == ()
    assert profile("torch").is_shipped and "has no times for torch" in profile("torch").warnings[0]


@pytest.mark.usefixtures("few_kernels")
def test_calibrations_of_one_machine_are_joined(tmp_path: Path) -> None:
    path = tmp_path / "new" / "p.json"
    for threads in ("1", "2"):
        result = tpc("calibrate", "--backend", "numpy", "--threads", threads, "--out", str(path), "--json")
        found = json.loads(result.stdout)
        assert result.exit_code == 0 and found["ok"] and found["path"] == str(path)
        assert set(found["fits"][0]["errors"]) == set(FAMILIES) and len(found["fits"]) == 2
    assert [threads for _, threads, _ in read(path).fits] == [1, 1, 2, 2]
    assert not place().exists()


@pytest.mark.usefixtures("few_kernels")
def test_what_cannot_be_joined_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    path.write_text(SHIPPED.read_text().replace('"cores": ', '"cores": 1'))
    assert tpc(*QUICK, "--out", str(path)).exit_code == 0
    assert len(read(path).fits) == 2
    path.write_text("{")
    assert tpc(*QUICK, "--out", str(path)).exit_code == 0
    assert len(read(path).fits) == 2


@pytest.mark.usefixtures("few_kernels")
@pytest.mark.parametrize("as_json", [False, True])
def test_an_unsteady_machine_writes_nothing(as_json: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibrating, "UNSTEADY", -1.0)
    result = tpc(*QUICK, *(["--json"] if as_json else []))
    assert result.exit_code == 1 and not place().exists()
    said = json.loads(result.stdout)["reason"] if as_json else result.stderr
    assert "repeated runs of numpy, f64, 1 thread (1 of 2) differ" in said


def test_what_cannot_be_written_is_said_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = tpc(*QUICK, "--out", str(tmp_path / "file" / "p.json"))
    assert result.exit_code == 1 and "E0712" in result.stderr
    folder = tpc("calibrate", "--out", str(tmp_path))
    assert folder.exit_code == 1 and "is a folder" in folder.stderr and "help: name a file in it" in folder.stderr


def test_more_threads_than_cores_are_refused() -> None:
    result = tpc("calibrate", "--threads", "100000")
    assert result.exit_code == 2 and "this machine has" in result.stderr
