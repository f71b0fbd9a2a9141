"""Chapter numbers from file names: `book/part2/05_sigmoid_tanh` is chapter 5 of the book.

Sphinx would count the chapters that exist; the book's numbers stay the same while it grows, for
sections, figures, equations and exercises alike. A number that the title itself carries ("5. …",
for readers of the bare notebook) is taken off before Sphinx adds its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.environment.collectors.toctree import TocTreeCollector

Assign = Callable[[BuildEnvironment], list[str]]

_FILE = re.compile(r"(?:^|/)(\d\d)_[^/]*$")
_TITLE = re.compile(r"^(?:Chapter\s+)?(\d+)\s*[.:·—–]?\s+")


def chapter(docname: str) -> int | None:
    """The chapter number of a page, None for a page that is no chapter."""
    found = _FILE.search(docname)
    return int(found[1]) if found else None


def bare_title(title: str, number: int) -> str:
    """A title without the chapter number at its front."""
    found = _TITLE.match(title)
    return title[found.end() :] if found and int(found[1]) == number else title


def _strip(app: Sphinx, doctree: nodes.document) -> None:
    number = chapter(app.env.docname)
    title = next(iter(doctree.findall(nodes.title)), None)
    if number is None or title is None or not isinstance(title.next_node(), nodes.Text):
        return
    text = title.next_node(nodes.Text)
    assert text is not None and text.parent is not None
    text.parent.replace(text, nodes.Text(bare_title(text.astext(), number)))


def _with_chapter(number: int, section: Any) -> Any:
    return type(section)([number, *list(section)[1:]]) if section else section


def renumber(env: BuildEnvironment) -> None:
    """Replace the first part of every section number of a chapter by the chapter's own."""
    for docname, sections in env.toc_secnumbers.items():
        number = chapter(docname)
        if number is None:
            continue
        for anchor, section in sections.items():
            sections[anchor] = _with_chapter(number, section)
        for reference in env.tocs[docname].findall(nodes.reference):
            if "secnumber" in reference:
                reference["secnumber"] = _with_chapter(number, reference["secnumber"])
        title = env.titles[docname]
        if "secnumber" in title:
            title["secnumber"] = _with_chapter(number, title["secnumber"])


def _corrected(assign: Assign) -> Assign:
    """Sphinx's own count of sections, corrected before figures and equations are counted."""

    def assign_section_numbers(env: BuildEnvironment) -> list[str]:
        old = {name: dict(sections) for name, sections in env.toc_secnumbers.items()}
        assign(env)
        renumber(env)
        return [name for name, now in env.toc_secnumbers.items() if now != old.get(name)]

    return assign_section_numbers


def register(app: Sphinx) -> None:
    """Strip numbers from titles before they are collected, and count chapters our way."""
    app.connect("doctree-read", _strip, priority=100)
    owners = {
        id(owner): owner
        for listeners in app.events.listeners.values()
        for listener in listeners
        if isinstance(owner := getattr(listener.handler, "__self__", None), TocTreeCollector)
    }
    for collector in owners.values():  # the one in use; Sphinx has no event at this place
        collector.assign_section_numbers = _corrected(  # type: ignore[method-assign, assignment]
            collector.assign_section_numbers
        )
