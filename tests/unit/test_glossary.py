"""The glossary: its terms are the documents' own, are used by the book, and resolve."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from bookmaker import source_map
from bookmaker.chapter import ROLE, Chapter, directives, visible_lines
from bookmaker.layout import BOOK, notebooks
from bookmaker.source_map import references
from tests.unit import source_documents

PAGE = BOOK / "appendix" / "glossary.md"
OCCURRENCES: dict[str, dict[str, list[str]]] = yaml.safe_load(
    (Path(__file__).parent / "data" / "source_terms.yaml").read_text(encoding="utf-8")
)
CHINESE = re.compile(r"[\u4e00-\u9fff]")
FINISHED = {chapter.key: chapter for chapter in source_map.load().chapters if chapter.finished}


@dataclass(frozen=True)
class Entry:
    """One definition with the English and Chinese terms that it belongs to.

    Without ``places`` it is a term that the documents lack.
    """

    english: tuple[str, ...]
    chinese: tuple[str, ...]
    definition: str
    places: tuple[str, ...]
    chapter: int


def entries(text: str) -> list[Entry]:
    """The entries of every `{glossary}` directive in a page."""
    bodies = [d.body for d in directives(text) if d.name == "glossary"]
    return [_entry(b) for body in bodies for b in re.split(r"\n\n(?=\S)", body.strip())]


def _entry(block: str) -> Entry:
    terms = [line.strip() for line in block.splitlines() if line and not line.startswith(" ")]
    indented = "\n".join(line.strip() for line in block.splitlines() if line.startswith(" "))
    match = re.fullmatch(r"(.*)\*(?:([^*]+)\. )?Chapter (\d+)\.\*", indented, re.DOTALL)
    assert match, f"{terms}: ends without '*places. Chapter n.*' or '*Chapter n.*'"
    return Entry(
        english=tuple(term for term in terms if not CHINESE.search(term)),
        chinese=tuple(term for term in terms if CHINESE.search(term)),
        definition=" ".join(match[1].split()),
        places=references(match[2]) if match[2] else (),
        chapter=int(match[3]),
    )


ENTRIES = entries(PAGE.read_text(encoding="utf-8"))
TERMS = {term for entry in ENTRIES for term in (*entry.english, *entry.chinese)}


FROM_THE_DOCUMENTS = [entry for entry in ENTRIES if entry.places]


def each(values: list[Entry]) -> pytest.MarkDecorator:
    """One test for each entry."""
    return pytest.mark.parametrize("entry", values, ids=[value.english[0] for value in values])


def test_there_are_terms_and_each_stands_once() -> None:
    assert len(ENTRIES) >= 50
    assert len(TERMS) == sum(len(entry.english) + len(entry.chinese) for entry in ENTRIES)


def test_entries_are_in_alphabetical_order() -> None:
    names = [entry.english[0].lower() for entry in ENTRIES]
    assert names == sorted(names)


@each(ENTRIES)
def test_an_entry_is_whole(entry: Entry) -> None:
    assert entry.english and entry.chinese
    assert entry.definition.endswith(".")
    sentences = re.split(r"(?<=[.?]) (?=[A-Z])", entry.definition)
    assert len(sentences) <= 3, "a definition is one or two sentences, and at most one remark"
    source_map.load().place(entry.chapter)


@each(FROM_THE_DOCUMENTS)
def test_each_chinese_term_occurs_where_the_entry_says(entry: Entry) -> None:
    for term in entry.chinese:
        assert OCCURRENCES[term], f"{term} is in none of the documents"
    for place in entry.places:
        document, _, section = place.partition(" §")
        assert any(section in OCCURRENCES[term].get(document, []) for term in entry.chinese), place


def test_the_list_of_occurrences_has_the_terms_of_the_page_alone() -> None:
    assert set(OCCURRENCES) == {term for entry in FROM_THE_DOCUMENTS for term in entry.chinese}


def test_a_term_without_a_place_is_in_no_document() -> None:
    texts = source_documents.documents()
    for entry in ENTRIES:
        for term in entry.chinese if not entry.places else ():
            found = [number for number, text in texts.items() if term in text]
            assert not found, f"{term} is in {found}: say where"


def test_the_list_of_occurrences_is_true_of_the_documents() -> None:
    texts = {
        number: source_documents.sections(number, text)
        for number, text in source_documents.documents().items()
    }
    for term, places in OCCURRENCES.items():
        found = {n: [i for i, text in parts.items() if term in text] for n, parts in texts.items()}
        assert {n: ids for n, ids in found.items() if ids} == places, term


@each([entry for entry in ENTRIES if entry.chapter in FINISHED])
def test_a_finished_chapter_uses_the_terms_that_it_is_the_home_of(entry: Entry) -> None:
    chapter = Chapter.read(FINISHED[entry.chapter].path)
    figures = [str(cell.metadata.get("mystnb", {})) for cell in chapter.plots]
    text = "\n".join([spoken(chapter.text), *figures])
    assert any(uses(text, term) for term in entry.english)


def uses(text: str, term: str) -> bool:
    """Whether a text has a term, in any case, in the plural too, across line breaks."""
    stem = re.sub(r"y$", "(?:y|ies)", re.escape(term))
    words = re.sub(r"(\\ |\s)+", r"\\s+", stem)
    return re.search(rf"\b{words}(?:e?s|d|ing)?\b", text, re.I) is not None


def spoken(text: str) -> str:
    """The visible text of Markdown; a `{term}` role counts as its words."""
    return ROLE.sub(lambda role: role[3], "\n".join(visible_lines(text)))


def test_every_term_that_the_book_refers_to_exists() -> None:
    texts = {path: Chapter.read(path).text for path in notebooks()}
    texts |= {path: path.read_text(encoding="utf-8") for path in BOOK.rglob("*.md")}
    for path, text in texts.items():
        for role in ROLE.finditer(text):
            if role[1] == "term":
                target = re.search(r"<(.+)>$", role[3])
                assert (target[1] if target else role[3]) in TERMS, f"{path.name}: {role[0]}"


# The reader itself --------------------------------------------------------------------------------

EXAMPLE = """```{glossary}
dead unit
silent unit
死神经元
  It does
  nothing.

  *002 §3.3, 004 §1.6.2. Chapter 10.*
```"""


def test_an_entry_is_read() -> None:
    assert entries(EXAMPLE) == [
        Entry(
            english=("dead unit", "silent unit"),
            chinese=("死神经元",),
            definition="It does nothing.",
            places=("002 §3.3", "004 §1.6.2"),
            chapter=10,
        )
    ]


def test_an_entry_that_names_no_chapter_is_refused() -> None:
    with pytest.raises(AssertionError, match="ends without"):
        entries(EXAMPLE.replace("*002 §3.3, 004 §1.6.2. Chapter 10.*", ""))


def test_a_term_of_the_book_s_own_has_no_place() -> None:
    (entry,) = entries(EXAMPLE.replace("*002 §3.3, 004 §1.6.2. Chapter 10.*", "*Chapter 10.*"))
    assert (entry.places, entry.chapter, entry.definition) == ((), 10, "It does nothing.")


@pytest.mark.parametrize(
    ("text", "term", "found"),
    [
        ("Dead\nunits stay dead.", "dead unit", True),
        ("probabilities", "probability", True),
        ("an undead unit", "dead unit", False),
        ("the {term}`dead unit` here", "dead unit", True),
    ],
)
def test_terms_are_found_in_text(text: str, term: str, found: bool) -> None:
    assert uses(spoken(text), term) is found
