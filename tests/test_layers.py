"""Who may know whom: `dsl` nobody, `ir` dsl, `passes` ir, `backends` ir and the plan; only `src/tpc` knows all.

And what is installed is what is in the folders.
"""

from __future__ import annotations

import ast
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("dsl", "ir", "passes", "backends")

# Modules of the package that the files of a folder may import.
ALLOWED = {
    "dsl": ("tpc.dsl",),
    "ir": ("tpc.dsl", "tpc.ir"),
    "passes": ("tpc.dsl", "tpc.ir", "tpc.passes"),
    "backends": (
        "tpc.dsl.diagnostics",
        "tpc.dsl.source",
        "tpc.ir",
        "tpc.backends",
        "tpc.passes.pipeline",
        "tpc.passes.cost.machine",
        "tpc.passes.memory",  # when values are let go, and where they lie, is part of the plan
    ),
}
# Libraries that take long to load.
HEAVY = ("torch", "scipy", "networkx", "lark", "safetensors", "rich", "numpy")


def imports(text: str, top_only: bool = False) -> Iterator[str]:
    """The modules that a file imports, at its top or (unless `top_only`) anywhere; those for types only are left out
    where only what runs at the top counts."""
    tree = ast.parse(text)
    nodes: list[ast.AST] = list(tree.body) if top_only else list(ast.walk(tree))
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, "imports are absolute"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def strangers(text: str, folder: str) -> list[str]:
    """What a file of a folder imports from parts of the package that it must not know."""
    allowed = ALLOWED[folder]
    found = []
    for name in imports(text):
        if name.split(".")[0] != "tpc":
            continue
        known = any(name == a or name.startswith(f"{a}.") or a.startswith(f"{name}.") for a in allowed)
        if not known:
            found.append(name)
    return found


def files(folder: str) -> list[Path]:
    return [path for path in sorted((ROOT / folder).rglob("*.py")) if "__pycache__" not in path.parts]


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_knows_only_what_comes_before(folder: str) -> None:
    assert files(folder)
    wrong = {
        str(path.relative_to(ROOT)): found for path in files(folder) if (found := strangers(path.read_text(), folder))
    }
    assert not wrong


def test_folders_are_never_imported_by_their_own_names() -> None:
    for folder in (*FOLDERS, "src", "tests", "examples", "benchmarks"):
        for path in files(folder):
            if path.parts[-2:-1] == ("tests",) or folder in ("tests", "benchmarks"):
                continue
            tops = {name.split(".")[0] for name in imports(path.read_text())}
            assert not tops & {*FOLDERS, "tests", "examples", "benchmarks"}, path


@pytest.mark.parametrize("folder", ["dsl", "passes"])
def test_slow_libraries_are_imported_late(folder: str) -> None:
    for path in files(folder):
        tops = {name.split(".")[0] for name in imports(path.read_text(), top_only=True)}
        # run by maintainers alone, and imported where a program has a budget to spend
        excepted = path.name == "compile_grammar.py" or path.parent.name in ("approximation", "projections")
        assert not tops & set(HEAVY) or excepted, path


def test_importing_and_checking_load_no_slow_library() -> None:
    script = (
        "import sys, tpc\nfrom tpc.dsl.source import Source\nfrom tpc.ir.elaborate.module import check\n"
        "check(Source('def f(x: f64[n]) -> f64[n]:\\n    return x + 1\\n')).diagnostics.raise_errors()\n"
        "print([m for m in ('torch', 'scipy', 'networkx', 'lark', 'safetensors') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# ---- what is installed


def expected_in_wheel() -> set[str]:
    """The files of the package: those of `src/tpc` and of the four folders, as git would take them."""
    found = set()
    for folder, place in [(ROOT / "src" / "tpc", "tpc"), *((ROOT / f, f"tpc/{f}") for f in FOLDERS)]:
        for path in folder.rglob("*"):
            inner = path.relative_to(folder)
            linked = folder.name == "tpc" and inner.parts[0] in FOLDERS
            if path.is_file() and not linked and "__pycache__" not in inner.parts:
                found.add(f"{place}/{inner.as_posix()}")
    return found


def test_the_wheel_holds_each_file_once_and_no_other(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if ".dist-info/" not in name]
    assert len(names) == len(set(names))
    assert set(names) == expected_in_wheel()
    assert {"tpc/py.typed", "tpc/dsl/grammar.json", "tpc/ir/elaborate/module.py"} <= set(names)


# ---- the helpers can fail


def test_a_stranger_is_found() -> None:
    late = "def f():\n    from tpc.passes.fold import fold\n    return fold\n"
    assert strangers(late, "ir") == ["tpc.passes.fold", "tpc.passes.fold.fold"]
    assert strangers("from tpc import ir\n", "dsl") == ["tpc.ir"]
    assert strangers("import tpc.backends\n", "passes") == ["tpc.backends"]
    assert strangers(late, "passes") == []
    with pytest.raises(AssertionError):
        list(imports("from . import x\n"))
