"""What a program can name: files below its own folder, and no others."""

import os
from pathlib import Path

import numpy as np
import pytest

from tpc.dsl.diagnostics import Diagnostic
from tpc.files import FolderFiles, read_program
from tpc.ir.elaborate.module import check

MAIN = "def main(x: f64) -> f64 = x\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """`inside` is the folder of the program; `outside` is next to it, and holds what must not be read."""
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    (inside / "sub").mkdir(parents=True)
    outside.mkdir()
    for place in (inside, outside, inside / "sub"):
        np.save(place / "w.npy", np.arange(3.0))
        (place / "lib.tp").write_text("def twice(x: f64) -> f64 = 2 * x\n")
    return inside


def diagnostics(folder: Path, text: str, name: str = "main.tp") -> list[Diagnostic]:
    path = folder / name
    path.write_text(text)
    return check(read_program(path, name), FolderFiles(folder, (name, path))).diagnostics.errors


def load(path: str) -> str:
    return f'const W = load("{path}")\ndef main(x: f64) -> f64 = x * W[0]\n'


@pytest.mark.parametrize("path", ["w.npy", "./w.npy", "sub/w.npy", "sub/../w.npy"])
def test_inside(folder: Path, path: str) -> None:
    assert not diagnostics(folder, load(path))
    assert not diagnostics(folder, f'use "{path.replace("w.npy", "lib.tp")}"\n{MAIN}')


@pytest.mark.parametrize(
    "path",
    ["../outside/w.npy", "sub/../../outside/w.npy", "/etc/passwd.npy", "C:/w.npy", "C:w.npy", "//host/w.npy", ""],
)
def test_outside(folder: Path, path: str) -> None:
    for text in (load(path), f'use "{path}"\n{MAIN}'):
        (found,) = diagnostics(folder, text)
        assert found.code == "E0704" and found.labels


def test_links_are_followed_and_then_checked(folder: Path) -> None:
    (folder / "good.npy").symlink_to("sub/w.npy")
    (folder / "bad.npy").symlink_to("../outside/w.npy")
    (folder / "away").symlink_to("../outside")
    (folder / "loop.npy").symlink_to("loop.npy")
    assert not diagnostics(folder, load("good.npy"))
    for path in ("bad.npy", "away/w.npy"):
        (found,) = diagnostics(folder, load(path))
        assert found.code == "E0704" and "symbolic link" in found.title
    assert diagnostics(folder, load("loop.npy"))[0].code in ("E0704", "E0705", "E0706")


def test_not_regular_files(folder: Path) -> None:
    os.mkfifo(folder / "pipe.npy")
    os.mkfifo(folder / "pipe.tp")
    (folder / "folder.npy").mkdir()
    for path in ("pipe.npy", "folder.npy", "missing.npy"):
        (found,) = diagnostics(folder, load(path))
        assert found.code == "E0705" and found.labels
    (found,) = diagnostics(folder, f'use "pipe.tp"\n{MAIN}')
    assert found.code == "E0705"


def test_use_is_relative_to_the_file_it_stands_in(folder: Path) -> None:
    (folder / "sub" / "more.tp").write_text('use "lib.tp"\nuse "deep.tp"\ndef f(x: f64) -> f64 = twice(thrice(x))\n')
    (folder / "sub" / "deep.tp").write_text('use "../top.tp"\ndef thrice(x: f64) -> f64 = one(3 * x)\n')
    (folder / "top.tp").write_text("def one(x: f64) -> f64 = x\n")
    assert not diagnostics(folder, 'use "sub/more.tp"\ndef main(x: f64) -> f64 = f(x)\n')


def test_a_used_file_may_not_leave_either(folder: Path) -> None:
    (folder / "sub" / "more.tp").write_text('use "../../outside/lib.tp"\n')
    (found,) = diagnostics(folder, f'use "sub/more.tp"\n{MAIN}')
    assert found.code == "E0704" and found.labels[0].span.source.name == "sub/more.tp".replace(
        "sub", str(folder / "sub")
    )


def test_circles(folder: Path) -> None:
    (folder / "a.tp").write_text('use "./b.tp"\n')
    (folder / "b.tp").write_text('use "sub/../a.tp"\n')
    assert [d.code for d in diagnostics(folder, f'use "a.tp"\n{MAIN}')] == ["E0703"]
    assert [d.code for d in diagnostics(folder, f'use "main.tp"\n{MAIN}')] == ["E0703"]


def test_one_file_by_two_names_is_read_once(folder: Path) -> None:
    (folder / "again.tp").symlink_to("lib.tp")
    assert not diagnostics(folder, f'use "lib.tp"\nuse "again.tp"\n{MAIN}')


def test_bad_text(folder: Path) -> None:
    (folder / "latin.tp").write_bytes(b"def f(x: f64) = x # caf\xe9\n")
    (found,) = diagnostics(folder, f'use "latin.tp"\n{MAIN}')
    assert found.code == "E0706" and "line 1" in found.title


def test_bad_data_is_reported_at_the_load(folder: Path) -> None:
    (folder / "bad.npy").write_bytes(b"nothing")
    (found,) = diagnostics(folder, load("bad.npy"))
    assert found.code == "E0708" and found.labels[0].span.text == '"bad.npy"'


def test_tables_and_members(folder: Path) -> None:
    (folder / "x.csv").write_text("a,b\n1,2\n3,4\n")
    np.savez(folder / "x.npz", p=np.eye(2))
    text = 'const b: f64[2] = load("x.csv:b")\nconst p: f64[2, 2] = load("x.npz:p")\ndef main() -> f64[2] = p @ b\n'
    assert not diagnostics(folder, text)
