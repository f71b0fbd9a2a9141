"""The source map: each section of the five documents → where the book treats it.

`source_map.yaml` states the map; this module reads it and renders the page, the contents of the
front page, and the list of sections that a chapter mirrors.

    python -m bookmaker.source_map           # write the page and the contents of the front page
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from bookmaker.layout import BOOK, relative, write_atomically

SOURCE = Path(__file__).with_suffix(".yaml")
PAGE = BOOK / "appendix" / "source_map.md"
FRONT = BOOK / "index.md"
BEGIN, END = "<!-- contents: written from the source map -->", "<!-- end of contents -->"

Place = int | str


@dataclass(frozen=True)
class Chapter:
    """A chapter of the plan (key: its number) or an appendix (key: a word)."""

    key: Place
    title: str
    part: int = 0
    about: str = ""
    file: str = ""

    @property
    def finished(self) -> bool:
        """Whether the book has this chapter."""
        return bool(self.file)

    @property
    def path(self) -> Path:
        """Its file: a notebook for a chapter, Markdown for an appendix."""
        return BOOK / f"{self.file}{'.ipynb' if self.part else '.md'}"

    @property
    def label(self) -> str:
        """Number and title; the title alone for an appendix."""
        return f"{self.key}. {self.title}" if self.part else self.title


@dataclass(frozen=True)
class Part:
    """A part of the book and the document that it mirrors."""

    number: int
    title: str
    document: str


@dataclass(frozen=True)
class Section:
    """A section of a document; `at` may be inherited, `own` says that it is not."""

    document: str
    id: str
    title: str
    at: tuple[Place, ...]
    also: tuple[Place, ...]
    own: bool

    @property
    def reference(self) -> str:
        """How the book calls it: `001 §4.2`."""
        return f"{self.document} §{self.id}"


@dataclass(frozen=True)
class SourceMap:
    """The whole map."""

    parts: tuple[Part, ...]
    chapters: tuple[Chapter, ...]
    appendices: tuple[Chapter, ...]
    documents: dict[str, str]
    sections: tuple[Section, ...]
    named: dict[str, dict[str, tuple[Place, ...]]]

    def place(self, key: Place) -> Chapter:
        """The chapter or appendix with this key; KeyError when the plan has none."""
        for chapter in (*self.chapters, *self.appendices):
            if chapter.key == key:
                return chapter
        raise KeyError(f"the plan has no chapter or appendix {key!r}")

    def mirrors(self, number: int) -> tuple[str, ...]:
        """The sections that a chapter mirrors, each named at the highest level that is its own."""
        own = [s for s in self.sections if s.own and number in s.at]
        ids = {(s.document, s.id) for s in own}
        return tuple(
            s.reference for s in own if not any((s.document, above) in ids for above in over(s.id))
        )


def over(ident: str) -> Iterator[str]:
    """The sections above a section, nearest first: 2.2.3 → 2.2, 2; "9 Q1" → 9."""
    while " " in ident or "." in ident:
        ident = re.split(r"[ .][^ .]*$", ident)[0]
        yield ident


@cache
def load(path: Path = SOURCE) -> SourceMap:
    """Read the map; ValueError for a section given twice or without a place."""
    import yaml

    raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    sections: dict[tuple[str, str], Section] = {}
    for document, content in raw["documents"].items():
        for entry in content["sections"]:
            section = _section(document, entry, sections)
            if (document, section.id) in sections:
                raise ValueError(f"{path.name}: {section.reference} stands there twice")
            sections[document, section.id] = section
    return SourceMap(
        parts=tuple(Part(**part) for part in raw["parts"]),
        chapters=tuple(Chapter(key=c.pop("number"), **c) for c in raw["chapters"]),
        appendices=tuple(Chapter(**appendix) for appendix in raw["appendices"]),
        documents={key: content["title"] for key, content in raw["documents"].items()},
        sections=tuple(sections.values()),
        named={g: {t: tuple(at) for t, at in things.items()} for g, things in raw["named"].items()},
    )


def _section(
    document: str, entry: dict[str, Any], known: dict[tuple[str, str], Section]
) -> Section:
    """One entry of the file, with the places of the section above it when it states none."""
    ident = str(entry["id"])
    above = next((known[document, a] for a in over(ident) if (document, a) in known), None)
    at = entry.get("at") or (above.at if above else None)
    if not at:
        raise ValueError(f"{document} §{ident} has no place in the book")
    also = tuple(entry.get("also", ()))
    return Section(document, ident, entry["title"], tuple(at), also, "at" in entry)


# Rendering -----------------------------------------------------------------------------------

INTRODUCTION = """\
# Source map

The book mirrors five Chinese articles. They are cited by number and section, as in 001 §4.2. This
page says where each section is treated, so that a reader of the articles finds the place, and so
that nothing they raise is lost. A chapter marked *planned* is not written yet.

What the articles claim is weighed claim by claim in the [audit](audit.md).
"""

NAMED = """\
## Everything the documents name

Each function, phenomenon, method, network, task, tool and source that the five documents name has
a home.
"""


def _link(chapter: Chapter, folder: str) -> str:
    """A chapter as it appears in a table: linked when finished, marked as planned when not."""
    if not chapter.finished:
        return f"{chapter.label} *(planned)*"
    return f"[{chapter.label}]({_relative(chapter, folder)})"


def _relative(chapter: Chapter, folder: str) -> str:
    """The path of a chapter's file as seen from a folder of the book ("" for the book itself)."""
    path = chapter.path.relative_to(BOOK)
    if not folder:
        return path.as_posix()
    return path.name if path.parent.as_posix() == folder else f"../{path.as_posix()}"


def _cell(text: str) -> str:
    """Text that is safe in a Markdown table."""
    return text.replace("|", "\\|")


def _table(head: Sequence[str], rows: Iterator[Sequence[str]]) -> list[str]:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(_cell(cell) for cell in row)} |" for row in lines]


def _places(book: SourceMap, at: Sequence[Place], also: Sequence[Place] = ()) -> str:
    """The places of a section, main ones first."""
    text = "; ".join(_link(book.place(key), "appendix") for key in at)
    if also:
        text += "; also " + ", ".join(_short(book.place(key)) for key in also)
    return text


def _short(chapter: Chapter) -> str:
    """A chapter by its number alone, an appendix by its title; linked when finished."""
    name = str(chapter.key) if chapter.part else chapter.title.lower()
    return f"[{name}]({_relative(chapter, 'appendix')})" if chapter.finished else name


def render(book: SourceMap | None = None) -> str:
    """The page `appendix/source_map.md`."""
    book = book or load()
    lines = [INTRODUCTION]
    for part in book.parts:
        lines += [f"## {part.document}: {book.documents[part.document]}", ""]
        lines += [f"Mirrored by part {ROMAN[part.number]}, *{part.title}*.", ""]
        rows = (
            (f"{s.id}", s.title, _places(book, s.at, s.also))
            for s in book.sections
            if s.document == part.document
        )
        lines += [*_table(("§", "section", "in the book"), rows), ""]
    lines.append(NAMED)
    for group, things in book.named.items():
        homes = ((name, _places(book, at)) for name, at in things.items())
        lines += [f"### {group}", "", *_table((group.lower(), "home"), homes), ""]
    return "\n".join(lines).rstrip() + "\n"


ROMAN = {1: "I", 2: "II", 3: "III", 4: "IV", 5: "V"}


def render_contents(book: SourceMap | None = None) -> str:
    """The contents for the front page: finished chapters linked, the others marked as planned."""
    book = book or load()
    lines = []
    for part in book.parts:
        lines += [f"**Part {ROMAN[part.number]}. {part.title}**", ""]
        lines += [_line(chapter) for chapter in book.chapters if chapter.part == part.number]
        lines.append("")
    return "\n".join(lines)


def _line(chapter: Chapter) -> str:
    """One chapter in the contents of the front page."""
    link = f"[{chapter.title}]({_relative(chapter, '')})" if chapter.finished else chapter.title
    state = "" if chapter.finished else " *(planned)*"
    return f"{chapter.key}. {link}{state}: {chapter.about}"


def with_contents(text: str) -> str:
    """A front page with its contents written anew; ValueError when the marks are missing."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the front page has no {BEGIN} … {END}")
    return f"{before}{BEGIN}\n\n{render_contents()}\n{END}{after}"


# Reading references ---------------------------------------------------------------------------

STEP = (
    r"(?!00\d)\d+(?:\.\d+)*(?: Q\d| concept| roles)?"
    r"|abstract|introduction|conclusion|preamble|keywords"
)
REFERENCE = re.compile(rf"\b(00\d)\s*§+\s*((?:{STEP})(?:(?:\s*[,–]\s*|\s+and\s+)(?:{STEP}))*)")


def references(text: str) -> tuple[str, ...]:
    """The sections that a text names: "000 §1, 4.1; 003 §5–6" → 000 §1, 000 §4.1, 003 §5, …"""
    found = []
    for document, steps in REFERENCE.findall(text):
        for step in re.split(r"\s*,\s*|\s+and\s+", steps):
            found += [f"{document} §{ident}" for ident in _range(step)]
    return tuple(found)


def _range(step: str) -> list[str]:
    """4.2–4.4 → 4.2, 4.3, 4.4."""
    first, dash, last = step.partition("–")
    first, last = first.strip(), last.strip()
    if not dash:
        return [first]
    stem, _, low = first.rpartition(".")
    high = last.rpartition(".")[2]
    return [f"{stem}.{n}" if stem else str(n) for n in range(int(low), int(high) + 1)]


def write() -> list[Path]:
    """Write the page and the contents of the front page where they differ; what was written."""
    wanted = {PAGE: render(), FRONT: with_contents(FRONT.read_text(encoding="utf-8"))}
    stale = [
        path
        for path, text in wanted.items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]
    for path in stale:
        write_atomically(path, wanted[path])
    return stale


def main(arguments: Sequence[str] | None = None) -> int:
    """Write what is stale, and name it."""
    for path in write():
        print(f"wrote {relative(path)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
