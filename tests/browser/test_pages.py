"""Every page of the built book in Chromium: wide and narrow, light and dark, asking nobody else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag

import pytest

from bookmaker.layout import HTML, html_of, pages
from tests.browser.conftest import built_pages

pytestmark = pytest.mark.browser

LOOK = (Path(__file__).parent / "look.js").read_text(encoding="utf-8")
WIDTHS = (1400, 390)
THEMES = ("light", "dark")
TYPESET = "window.MathJax?.startup?.promise ?? Promise.resolve()"


@dataclass(repr=False)
class Visit:
    """What one page showed in one window and theme, and what it asked for."""

    facts: dict[str, Any]
    console: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


@dataclass(repr=False)
class Tour:
    """Visits the pages of a site, each once per window and theme, and remembers them."""

    browser: Any
    site: str
    visits: dict[tuple[str, str, int], Visit] = field(default_factory=dict)
    readers: dict[str, Any] = field(default_factory=dict)

    def visit(self, page: str) -> dict[tuple[str, int], Visit]:
        """All visits of a page, by theme and width."""
        for theme in THEMES:
            if (page, theme, WIDTHS[0]) not in self.visits:
                self._load(page, theme)
        return {(t, w): self.visits[page, t, w] for t, w in product(THEMES, WIDTHS)}

    def _load(self, page: str, theme: str) -> None:
        """Load a page in one theme; look at it in each width without loading it again."""
        tab = self._reader(theme).new_page()
        console: list[str] = []
        outside: list[str] = []
        missing: list[str] = []
        tab.on("pageerror", lambda error: console.append(str(error)))
        tab.on("console", lambda said: console.append(said.text) if said.type == "error" else None)
        tab.on("request", lambda asked: self._note(asked.url, outside))
        tab.on("response", lambda got: missing.append(got.url) if got.status >= 400 else None)
        tab.set_viewport_size({"width": WIDTHS[0], "height": 900})
        tab.goto(f"{self.site}/{page}", wait_until="load")
        tab.evaluate(TYPESET)
        tab.evaluate("document.querySelectorAll('img').forEach((i) => (i.loading = 'eager'))")
        for width in WIDTHS:
            tab.set_viewport_size({"width": width, "height": 900})
            facts = tab.evaluate(LOOK)
            self.visits[page, theme, width] = Visit(facts, console, outside, missing)
        tab.close()

    def _reader(self, theme: str) -> Any:
        """Somebody who reads in one theme, and whose browser keeps what it has loaded."""
        if theme not in self.readers:
            reader = self.browser.new_context(viewport={"width": WIDTHS[0], "height": 900})
            for key in ("mode", "theme"):
                reader.add_init_script(f"localStorage.setItem('{key}', '{theme}')")
            self.readers[theme] = reader
        return self.readers[theme]

    def _note(self, url: str, outside: list[str]) -> None:
        if not url.startswith((self.site, "data:", "blob:", "about:")):
            outside.append(url)


@pytest.fixture(scope="session")
def tour(browser: Any, site: str) -> Tour:
    """One tour for all tests."""
    return Tour(browser, site)


@cache
def _pages() -> list[str]:
    return built_pages() if HTML.is_dir() else ["the book is not built"]


NEVER = {
    "console": "an error in the console",
    "outside": "a request to another host",
    "missing": "an answer of 400 or above",
    "raw": "mathematics as raw text",
    "empty": "mathematics that was not rendered",
    "failed": "mathematics that MathJax cannot read",
    "speechless": "an image without alternative text",
    "broken": "an image that does not load",
    "wrong": "an image of the other theme",
    "single": "an image for one theme without its twin",
    "captions": "a caption that is hidden",
    "culprits": "a page wider than the window, by",
    "cut": "something cut off at the edge",
    "faint": "text of too little contrast",
}


@pytest.mark.parametrize("page", _pages())
def test_page(tour: Tour, page: str) -> None:
    """In both themes and both widths, nothing of `NEVER`; every link leads somewhere."""
    found: dict[str, list[str]] = {}
    for (theme, width), visit in tour.visit(page).items():
        assert visit.facts["theme"] == theme
        for kind, words in NEVER.items():
            for item in (visit.facts | vars(visit))[kind]:
                found.setdefault(f"{words}: {item}", []).append(f"{theme} {width}")
    for link in dead_links(tour, page):
        found[f"a dead link: {link}"] = ["everywhere"]
    assert not found, "\n".join(f"{what} ({', '.join(at)})" for what, at in found.items())


def dead_links(tour: Tour, page: str) -> Iterator[str]:
    """The links of a page to pages, files or anchors of the book that do not exist."""
    for link in sorted(set(tour.visit(page)[THEMES[0], WIDTHS[0]].facts["links"])):
        if not link.startswith(tour.site):
            continue
        address, anchor = urldefrag(link)
        path = unquote(address.removeprefix(tour.site).partition("?")[0]).lstrip("/")
        file = HTML / (path or "index.html")
        if not file.is_file():
            yield f"{link}: no such file"
        elif anchor and file.suffix == ".html" and unquote(anchor) not in anchors(file):
            yield f"{link}: no such anchor"


@cache
def anchors(file: Path) -> set[str]:
    """Every id of a page."""
    return set(re.findall(r'\bid="([^"]+)"', file.read_text(encoding="utf-8")))


def test_every_page_of_the_contents_is_built(site: str) -> None:
    missing = [page.name for page in pages() if not html_of(page).is_file()]
    assert not missing


def test_the_book_has_mathematics_and_figures(site: str) -> None:
    """The checks above would pass on an empty book."""
    texts = [(HTML / page).read_text(encoding="utf-8") for page in _pages()]
    assert sum(text.count('class="math ') for text in texts) > 100
    assert sum(text.count('class="only-dark') for text in texts) > 10
