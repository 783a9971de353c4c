"""Every page is true: its programs check, its commands run, and what it shows is what comes out."""

import shutil
from pathlib import Path

import pytest

from .pages import Page, blocks_of, elided, faults_of, matches

ROOT = Path(__file__).parents[2]
PAGES = ["README.md", "CONTRIBUTING.md", *sorted(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md"))]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the examples in it, to run commands in."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    return tmp_path


@pytest.mark.parametrize("name", [p for p in PAGES if p != "docs/errors.md"])
def test_page(name: str, folder: Path, update_docs: bool) -> None:
    faults = faults_of(ROOT / name, folder, update_docs)
    assert not faults, "\n\n".join(faults)


def test_links() -> None:
    """Links between pages lead to a file, and to a heading in it."""
    import re

    broken = []
    for path in [ROOT / name for name in PAGES] + sorted((ROOT / "docs/decisions").glob("*.md")):
        text = path.read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)):
            if target.startswith(("http:", "https:")):
                continue
            file, _, anchor = target.partition("#")
            goal = (path.parent / file).resolve() if file else path
            if not goal.exists():
                broken.append(f"{path.name}: {target}")
            elif anchor:
                headings = re.findall(r"^#+ (.*)$", goal.read_text(encoding="utf-8"), re.MULTILINE)
                slugs = {re.sub(r"[^\w\- ]", "", h.lower()).strip().replace(" ", "-") for h in headings}
                if anchor not in slugs:
                    broken.append(f"{path.name}: {target}")
    assert not broken


# ---- the helper can fail


@pytest.mark.parametrize(
    ("shown", "actual", "same"),
    [
        ("a\nb\n", "a\nb\n", True),
        ("a\nb\n", "a\nc\n", False),
        ("a\n...\nd\n", "a\nb\nc\nd\n", True),
        ("a\n...\nd\n", "a\nb\nc\n", False),
        ("took ... s\n", "took 0.2 s\n", True),
        ("took ... s\n", "took 0.2 ms\n", False),
        ("1.5\n", "1x5\n", False),
    ],
)
def test_what_is_shown_is_compared(shown: str, actual: str, same: bool) -> None:
    assert matches(shown, actual) is same


@pytest.mark.parametrize(
    "text",
    [
        "```tp\ndef f(x: f64) -> f64 = y\n```\n",
        "```tp error=E0203\ndef f(x: f64) -> f64 = x\n```\n",
        "```tp error=E0203\ndef f(x: f64) -> f64 = y\n```\n",
        "```tp error=E0203\ndef f(x: f64) -> f64 = y\n```\n\n```text\n...\n```\n",
        "```tp\ndef f(x: f64) -> f64 = y\n```\n\n```text\nerror[E0301]: something else\n```\n",
        "```python\nprint(1)\n```\n",
        "```python\nprint(1)\n```\n\n```text\n2\n```\n",
        "```console\n$ rm -r x\n```\n",
        "```console\n$ tpc no-such-command\n```\n",
        "```console\n$ tpc --version\nsomething else\n```\n",
    ],
)
def test_a_page_that_is_not_true_is_found(text: str, folder: Path) -> None:
    (folder / "page.md").write_text(text, encoding="utf-8")
    page = Page(folder / "page.md", folder)
    page.run()
    assert len(page.faults) == 1


def test_update_rewrites_what_comes_out_and_nothing_else(folder: Path) -> None:
    text = "before\n\n```python\nprint(1 + 1)\n```\n\n```text\n3\n```\n\nafter\n"
    (folder / "page.md").write_text(text, encoding="utf-8")
    page = Page(folder / "page.md", folder)
    page.run()
    assert page.rewritten == text.replace("\n3\n", "\n2\n")
    assert [b.kind for b in blocks_of(page.rewritten)] == ["python", "text"]


@pytest.mark.parametrize(
    ("shown", "actual", "new"),
    [
        ("a\n...\nd\n1\n", "a\nb\nc\nd\n2\n", "a\n...\nd\n2\n"),
        ("a\n...\n", "a\nb\nc\n", "a\n...\n"),
        ("took ... s\n1\n", "took 3 s\n2\n", "took ... s\n2\n"),
        ("a\n...\nd\n", "x\nb\nd\n", "x\nb\nd\n"),
    ],
)
def test_update_leaves_out_what_was_left_out(shown: str, actual: str, new: str) -> None:
    assert elided(shown, actual) == new
