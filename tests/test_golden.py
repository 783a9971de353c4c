"""Golden files: a program with its intent, and below `# ---- says` (or `# ---- prints`) what comes of it.

    # shows: what to look for in the output
    def main(...)
    # ---- says
    error[E0203]: ...

`pytest --update-golden` rewrites what stands below the marks, and nothing above.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tpc.cost import cost
from tpc.dsl.render import render_text
from tpc.dsl.source import Source
from tpc.ir.elaborate.module import check
from tpc.ir.sizes import free_sizes
from tpc.passes.pipeline import PIPELINE, Options, run

FOLDER = Path(__file__).parent / "golden"
ERRORS = sorted((FOLDER / "errors").glob("*.tp"))
PROGRAMS = sorted((FOLDER / "programs").glob("*.tp"))
PASSES = [p.name for p in PIPELINE]


def split(text: str) -> tuple[str, str]:
    """The written part of a golden file, and the output below the first mark."""
    written, _, output = text.partition("# ---- ")
    return written, output


def says(written: str, name: str) -> str:
    """The messages for a program, as a terminal without colours shows them."""
    checked = check(Source(written, name))
    assert checked.diagnostics.items, "a golden error must be one"
    return "# ---- says\n" + "\n".join(render_text(d) for d in checked.diagnostics.items) + "\n"


def prints(written: str, name: str) -> str:
    """The program of a file, and what the passes named in its intent make of it."""
    checked = check(Source(written, name))
    assert not checked.diagnostics.errors, [render_text(d) for d in checked.diagnostics.errors]
    default = checked.default()
    assert default is not None
    program = checked.programs[default]
    assert check(Source(str(program))).programs[default] is program
    sizes = {k: int(v) for k, v in re.findall(r"(\w+)=(\d+)", intent(written, "sizes"))}
    memory = intent(written, "memory")
    sparse = {k: float(v) for k, v in re.findall(r"(\w+)=([\d.]+)", intent(written, "sparse"))}
    plan = run(program, Options(sizes, memory=int(memory) if memory else None, sparse=sparse))
    parts = [f"# ---- prints\n{program}"]
    for step, result in plan.steps:
        if step in intent(written, "passes").split():
            parts.append(f"# ---- after {step}\n{result}")
    wanted = intent(written, "flops")
    assert wanted in ("", "fall", "stay")
    inlined = run(program, Options(sizes), stop_after="inline").program
    known = dict.fromkeys(free_sizes(program), 7)
    before, after = int(cost(inlined, known).flops), int(cost(plan.program, known).flops)
    assert wanted != "fall" or after < before, f"{after} flops after {before}"
    assert wanted != "stay" or after == before, f"{after} flops after {before}"
    return "".join(parts)


def intent(written: str, key: str) -> str:
    found = re.search(rf"^# {key}: *(.*)$", written, re.MULTILINE)
    return found[1] if found else ""


def compare(path: Path, output: str, update: bool) -> None:
    written, expected = split(path.read_text())
    if update:
        path.write_text(written + output)
    else:
        assert "# ---- " + expected == output, f"{path.name}: see what changed with `pytest --update-golden`"


@pytest.mark.parametrize("path", ERRORS, ids=lambda path: path.stem)
def test_errors(path: Path, update_golden: bool) -> None:
    written, _ = split(path.read_text())
    assert intent(written, "shows"), "a golden file says what it shows"
    output = says(written, path.name)
    codes = intent(written, "codes").split()
    assert re.findall(r"^(?:error|warning)\[(\w+)\]", output, re.MULTILINE) == codes, output
    compare(path, output, update_golden)


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_programs(path: Path, update_golden: bool) -> None:
    written, _ = split(path.read_text())
    assert intent(written, "shows"), "a golden file says what it shows"
    assert set(intent(written, "passes").split()) <= set(PASSES)
    compare(path, prints(written, path.name), update_golden)


def test_there_are_enough_of_them() -> None:
    assert len(ERRORS) >= 40 and len(PROGRAMS) >= 25
    shown = {name for path in PROGRAMS for name in intent(path.read_text(), "passes").split()}
    assert shown == set(PASSES)


def test_the_comparison_can_fail(tmp_path: Path) -> None:
    path = tmp_path / "one.tp"
    path.write_text("# shows: x\n# ---- says\nsomething\n")
    compare(path, "# ---- says\nsomething\n", False)
    with pytest.raises(AssertionError):
        compare(path, "# ---- says\nanother\n", False)
    compare(path, "# ---- says\nanother\n", True)
    assert path.read_text() == "# shows: x\n# ---- says\nanother\n"
