"""Every notebook and page in the table of contents keeps the linter's rules."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from bookmaker import lint
from bookmaker.chapter import Chapter
from bookmaker.layout import notebooks, pages, relative

NOTEBOOKS = [path for path in pages() if path.suffix == ".ipynb"]
PAGES = [path for path in pages() if path.suffix == ".md"]
ERRORS = [name for name, rule in lint.RULES.items() if rule.level == "error"]


@cache
def book() -> lint.Book:
    """The chapters of the book in their order."""
    return lint.Book(tuple(Chapter.read(path) for path in NOTEBOOKS))


@pytest.mark.parametrize("rule", ERRORS)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=relative)
def test_notebook_keeps_the_rule(path: Path, rule: str) -> None:
    chapter = book().chapters[NOTEBOOKS.index(path)]
    found = lint.RULES[rule](chapter, book())
    assert not found, "\n".join(str(finding) for finding in found)


@pytest.mark.parametrize("path", PAGES, ids=relative)
def test_page_says_nothing_forbidden(path: Path) -> None:
    found = lint.lint_page(relative(path), path.read_text(encoding="utf-8"))
    assert not found, "\n".join(str(finding) for finding in found)


def test_every_notebook_of_the_book_is_in_the_table_of_contents() -> None:
    assert sorted(NOTEBOOKS) == notebooks()
