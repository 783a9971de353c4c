"""`operators.md` is what the records of the ops say."""

from pathlib import Path

from tpc.ir.ops import OPS

from .operators import GROUPS, page
from .tables import MARKED, TABLES, with_tables

PAGE = Path(__file__).parents[2] / "docs" / "operators.md"


def test_page_is_up_to_date(update_docs: bool) -> None:
    if update_docs:
        PAGE.write_text(page(), encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == page(), "run pytest --update-docs"


def test_every_group_is_on_the_page() -> None:
    assert {op.group for op in OPS.values()} - {"structure"} == set(GROUPS)


def test_every_op_is_on_the_page() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert not [
        op.name
        for op in OPS.values()
        if op.group != "structure" and f"`{op.name}(" not in text and f"### {op.name}\n" not in text
    ]


def test_tables_of_the_language_are_up_to_date(update_docs: bool) -> None:
    path = PAGE.parent / "language.md"
    text = path.read_text(encoding="utf-8")
    if update_docs:
        path.write_text(with_tables(text), encoding="utf-8")
        text = with_tables(text)
    assert text == with_tables(text), "run pytest --update-docs"
    assert {found[2] for found in MARKED.finditer(text)} == set(TABLES)
