"""`tpc cache`: what it shows of the folder, and that it can be emptied."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tpc.backends import store
from tpc.cli import cli


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TPC_CACHE", str(tmp_path / "cache"))
    store.write(f"one{store.PROGRAM}", b"x" * 1000)
    store.write(f"two{store.OBJECT}", b"x" * 500)
    (tmp_path / "cache" / f"left{store.PART}").write_bytes(b"x" * 10)
    (tmp_path / "cache" / "notes.txt").write_text("not ours")
    return tmp_path / "cache"


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["cache", *arguments])


def test_it_shows_what_there_is(place: Path) -> None:
    lines = invoke().stdout.splitlines()
    assert lines[0] == f"folder      {place}" and lines[1] == "programs    1 file, 1 KB"
    assert lines[2] == "objects     1 file, 500 bytes" and lines[3] == "structures  0 files, 0 bytes"
    assert lines[5] == "together    3 files, 1.51 KB of 200 MB"


def test_as_json(place: Path) -> None:
    found = json.loads(invoke("--json").stdout)
    assert (found["ok"], found["folder"], found["files"], found["bytes"]) == (True, str(place), 3, 1510)
    assert found["kinds"]["objects"] == {"files": 1, "bytes": 500} and found["limit"] == store.limit()


def test_the_folder_alone(place: Path) -> None:
    assert invoke("--path").stdout == f"{place}\n"


def test_it_is_emptied(place: Path) -> None:
    assert invoke("--clear").stdout == "removed 3 files, 1.51 KB\n"
    assert [path.name for path in place.iterdir()] == ["notes.txt"]
    assert json.loads(invoke("--clear", "--json").stdout)["removed"] == {"files": 0, "bytes": 0}


def test_where_it_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TPC_CACHE", "off")
    assert invoke().stdout.startswith("folder      off\n") and invoke("--path").stdout == "off\n"
    assert json.loads(invoke("--json").stdout)["folder"] is None


def test_options_that_do_not_go_together() -> None:
    assert invoke("--clear", "--path").exit_code == 2
