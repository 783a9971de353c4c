"""Every program in `examples/` is in canonical form, checks in silence, runs, and agrees with what was written by hand.

An example's `reference.py` has `reference(**inputs)`, the results by name, and `tolerance(**inputs)`: the error that
the conditioning of the problem allows, relative to the largest entry of a result; one number, or one for each result.
Results of tolerance 0 are integers and must be equal.
"""

from __future__ import annotations

import importlib.util
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import tpc
from tests.backends.contract import BACKENDS, settle
from tpc import data
from tpc.dsl.diagnostics import Diagnostics
from tpc.dsl.format import format_module
from tpc.dsl.parser import parse
from tpc.files import FolderFiles, read_program
from tpc.ir.build import literal_value
from tpc.ir.elaborate.module import Checked, check
from tpc.ir.reference import evaluate
from tpc.passes.differentiate import differentiate

FOLDER = Path(__file__).parents[1] / "examples"
NAMES = sorted(path.parent.name for path in FOLDER.glob("*/example.toml"))
PROGRAMS = sorted(FOLDER.glob("*/*.tp"))
DATA = sorted(p for p in FOLDER.glob("*/*") if p.suffix in data.MODULES)


class Example:
    """One folder: its program, its inputs, and what the hand-written reference makes of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / f"{folder.name}.tp"
        manifest = tomllib.loads((folder / "example.toml").read_text("utf-8"))
        self.function: str = manifest["function"]
        self.given: dict[str, str | int | float] = manifest["inputs"]
        self.program = self.checked().programs[self.function]
        self.inputs = {node["name"]: self._read(node["name"], node.tensor.rank) for node in self.program.inputs}
        self.inputs = {name: value for name, value in self.inputs.items() if value is not None}
        module = self._reference()
        self.expected: dict[str, Any] = module.reference(**self.inputs)
        tolerance = module.tolerance(**self.inputs)
        self.tolerance = tolerance if isinstance(tolerance, dict) else dict.fromkeys(self.expected, tolerance)

    def checked(self) -> Checked:
        files = FolderFiles(self.folder, (str(self.path), self.path))
        return check(read_program(self.path, str(self.path)), files)

    def _read(self, name: str, rank: int) -> Any:
        value = self.given.get(name)
        if not isinstance(value, str):
            return value
        file, member = data.split_member(value)
        return data.shaped(data.read(self.folder / file, file, member, name), rank)

    def _reference(self) -> ModuleType:
        spec = importlib.util.spec_from_file_location(f"reference_{self.folder.name}", self.folder / "reference.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    def interpreted(self) -> dict[str, Any]:
        """The results by the reference interpreter."""
        defaults = {name: literal_value(value) for name, value in self.program.defaults}
        arguments = [self.inputs.get(n["name"], defaults.get(n["name"])) for n in self.program.inputs]
        results = evaluate(differentiate(self.program), arguments)
        return dict(zip(self.program.output_names, results, strict=True))


_examples: dict[str, Example] = {}


@pytest.fixture(params=NAMES)
def example(request: pytest.FixtureRequest) -> Example:
    name: str = request.param
    if name not in _examples:
        _examples[name] = Example(FOLDER / name)
    return _examples[name]


def assert_agrees(results: Mapping[str, Any], expected: Mapping[str, Any], tolerance: Mapping[str, float]) -> None:
    """Fail where a result has another name or shape, or is farther from what is expected than its tolerance."""
    assert list(results) == list(expected)
    for name, value in results.items():
        actual, wanted = np.asarray(value), np.asarray(expected[name])
        assert actual.shape == wanted.shape, f"`{name}` is {actual.shape}, not {wanted.shape}"
        assert np.isfinite(actual).all(), f"`{name}` is not finite"
        error, size = np.abs(actual - wanted).max(), np.abs(wanted).max()
        assert error <= tolerance[name] * size, f"`{name}` is off by {error:.1e} of {size:.1e}"


# ---- the helper can fail


@pytest.mark.parametrize(
    "results",
    [{"x": [1.0, 2.1]}, {"x": [[1.0], [2.0]]}, {"y": [1.0, 2.0]}, {"x": [1.0, np.nan]}, {}],
    ids=["value", "shape", "name", "nan", "missing"],
)
def test_a_wrong_result_is_found(results: dict[str, Any]) -> None:
    assert_agrees({"x": [1.0, 2.0 + 1e-9]}, {"x": [1.0, 2.0]}, {"x": 1e-8})
    with pytest.raises(AssertionError):
        assert_agrees(results, {"x": [1.0, 2.0]}, {"x": 1e-8})


# ---- the texts


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda p: p.stem)
def test_program_is_in_canonical_form(path: Path) -> None:
    diagnostics = Diagnostics()
    module = parse(read_program(path, path.name), diagnostics)
    assert not diagnostics.items
    assert format_module(module) == path.read_text("utf-8")
    assert path.read_text("utf-8").startswith(f"# {path.name}: ")


def test_program_checks_without_a_word(example: Example) -> None:
    assert [d.title for d in example.checked().diagnostics.items] == []


def test_there_are_enough_and_the_table_has_them_all() -> None:
    assert len(NAMES) >= 20
    listed = re.findall(r"^\| \[(\w+)\]\(\1/\)", (FOLDER / "README.md").read_text("utf-8"), re.MULTILINE)
    assert sorted(listed) == NAMES


def test_every_file_of_data_has_a_source() -> None:
    sources = (FOLDER / "DATA.md").read_text("utf-8")
    for path in DATA:
        assert f"`{path.parent.name}/{path.name}`" in sources
        assert f"`{path.name}`" in (path.parent / "README.md").read_text("utf-8")
    assert {p.suffix for p in DATA} >= {".csv", ".npy", ".npz", ".mtx", ".safetensors"}


def test_data_are_small() -> None:
    sizes = [path.stat().st_size for path in DATA]
    assert max(sizes) < 200_000
    assert sum(sizes) < 1_000_000


# ---- the results


def test_reference_interpreter_agrees(example: Example) -> None:
    assert_agrees(example.interpreted(), example.expected, example.tolerance)


@pytest.mark.parametrize("backend", BACKENDS)
def test_backend_agrees(example: Example, backend: str) -> None:
    function = getattr(tpc.load(example.path, backend=backend), example.function)
    results = function(**example.inputs)
    if backend == "llvm":  # what ran until now was NumPy
        settle(function._latest().run)
        results = function(**example.inputs)
    names = example.program.output_names
    by_name = dict(zip(names, [results] if len(names) == 1 else results, strict=True))
    assert_agrees(by_name, example.expected, example.tolerance)


def test_data_have_the_declared_facts(example: Example) -> None:
    function = getattr(tpc.load(example.path, backend="numpy", check_facts=True), example.function)
    function(**example.inputs)


def test_command_in_readme_runs(example: Example, tmp_path: Path) -> None:
    """In a process of its own: what an earlier program has imported may hide what this one lacks."""
    text = (example.folder / "README.md").read_text("utf-8")
    (block,) = re.findall(r"^```console\n\$ (.*?)^```", text, re.MULTILINE | re.DOTALL)
    program, *arguments = shlex.split(block.replace("\\\n", " "))
    assert program == "tpc"
    assert arguments[:2] == ["run", example.path.name]
    assert arguments[2:] == [f"{name}={value}" for name, value in example.given.items()]
    out = tmp_path / "out.npz"
    command = [sys.executable, "-m", "tpc", *arguments, "--out", str(out)]
    result = subprocess.run(command, cwd=example.folder, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    with np.load(out) as written:
        results = {name: written[name] for name in example.program.output_names}
    assert_agrees(results, example.expected, example.tolerance)


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
def test_native_code_is_called_from_c(tmp_path: Path) -> None:
    """The commands in its README, and what they print."""
    pytest.importorskip("llvmlite")
    shutil.copytree(FOLDER / "native_c", tmp_path, dirs_exist_ok=True)
    text = (FOLDER / "native_c" / "README.md").read_text("utf-8")
    printed = []
    for command in "".join(re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)).splitlines():
        program, *arguments = shlex.split(command)
        start = {"tpc": [sys.executable, "-m", "tpc"], "python": [sys.executable]}.get(program, [program])
        done = subprocess.run([*start, *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        printed.append(done.stdout)
    (shown,) = re.findall(r"^```text\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert "".join(printed) == f"{shown}[5. 5. 5. 5.]\n"
