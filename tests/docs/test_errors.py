"""`errors.md` has every message that tpc can give: each example gives its message, each way out checks."""

import re
from pathlib import Path

import pytest

from .pages import faults_of

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "errors.md"
FOLDERS = ("dsl", "ir", "passes", "backends", "src/tpc")
CODE = re.compile(r"\b[EW]\d{4}\b")
HEADING = re.compile(r"^## ([EW]\d{4}): (.+)$", re.MULTILINE)


def emitted() -> set[str]:
    """The codes that stand in the source as texts of their own."""
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    return {code for path in files for code in re.findall(r'"([EW]\d{4})"', path.read_text(encoding="utf-8"))}


def sections() -> dict[str, str]:
    parts = HEADING.split(PAGE.read_text(encoding="utf-8"))
    return dict(zip(parts[1::3], parts[3::3], strict=True))


def test_every_code_has_a_section_and_every_section_a_code() -> None:
    assert sorted(sections()) == sorted(emitted())


def test_sections_are_in_order_and_unlike() -> None:
    found = HEADING.findall(PAGE.read_text(encoding="utf-8"))
    codes, titles = [code for code, _ in found], [title for _, title in found]
    assert len(set(codes)) == len(codes) and len(set(titles)) == len(titles)
    assert codes == sorted(codes)


@pytest.mark.parametrize("code", sorted(sections()))
def test_section_shows_its_message_and_a_way_out(code: str) -> None:
    body = sections()[code]
    assert re.search(rf"^(error|warning)\[{code}\]", body, re.MULTILINE), "the message is not shown"
    assert "**Way out.**" in body
    assert set(CODE.findall(body)) <= set(sections()), "it speaks of a code that there is not"


def test_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, update_docs: bool) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("CC", "cc")  # which a section changes
    faults = faults_of(PAGE, tmp_path, update_docs)
    assert not faults, "\n\n".join(faults)
