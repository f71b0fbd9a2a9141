"""The notation page: its symbols are used where it says, and nothing else is written for them."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest

from bookmaker import source_map
from bookmaker.chapter import MATH, Chapter, directives
from bookmaker.layout import BOOK, notebooks, relative

PAGE = BOOK / "appendix" / "notation.md"
FINISHED = {chapter.key: chapter for chapter in source_map.load().chapters if chapter.finished}


@dataclass(frozen=True)
class Symbol:
    """A row of the tables of symbols."""

    latex: str
    meaning: str
    chapter: int


def rows(text: str, heading: str) -> list[list[str]]:
    """The cells of every table row below a second-level heading, heads and rules left out."""
    section = re.split(r"(?m)^## ", text.split(f"\n## {heading}\n", 1)[1])[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for index, line in enumerate(lines)
        if not set(line) <= set("|- ")
        and not set(lines[min(index + 1, len(lines) - 1)]) <= set("|- ")
    ]


TEXT = PAGE.read_text(encoding="utf-8")
SYMBOLS = [Symbol(r[0].strip("$"), r[1], int(r[3])) for r in rows(TEXT, "Symbols")]
VARIANTS = [
    (row[0].strip("$"), variant)
    for row in rows(TEXT, "Not written")
    for variant in re.findall(r"`([^`]+)`", row[1])
]


def mathematics(text: str) -> str:
    """All formulas of a Markdown text."""
    found = [formula[0] for formula in MATH.finditer(text)]
    found += [d.body for d in directives(text) if d.name == "math"]
    found += re.findall(r"\\begin\{(?:align|equation|gather).*?\\end", text, re.DOTALL)
    return "\n".join(found)


def occurs(latex: str, formulas: str) -> bool:
    """Whether a symbol stands in formulas as a symbol of its own, spaces aside."""
    wanted = re.escape(re.sub(r"\s", "", latex))
    before = r"(?<![A-Za-z\\])" if latex[0].isalpha() else ""
    after = r"(?![A-Za-z])" if latex[-1].isalpha() else ""
    return (
        re.search(before + wanted + after, re.sub(r"(?<![A-Za-z])\s|\s(?![A-Za-z])", "", formulas))
        is not None
    )


def texts() -> dict[str, str]:
    """The Markdown of every chapter and page but the notation page."""
    found = {relative(path): Chapter.read(path).text for path in notebooks()}
    pages = [path for path in BOOK.rglob("*.md") if path != PAGE]
    return found | {relative(path): path.read_text(encoding="utf-8") for path in pages}


def test_symbols_stand_once_and_have_a_meaning_and_a_chapter() -> None:
    assert len(SYMBOLS) >= 30
    assert len({symbol.latex for symbol in SYMBOLS}) == len(SYMBOLS)
    for symbol in SYMBOLS:
        assert len(symbol.meaning.split()) >= 1 and symbol.meaning
        source_map.load().place(symbol.chapter)


@pytest.mark.parametrize(
    "symbol", [s for s in SYMBOLS if s.chapter in FINISHED], ids=lambda symbol: symbol.latex
)
def test_a_finished_chapter_uses_the_symbols_that_it_introduces(symbol: Symbol) -> None:
    assert occurs(symbol.latex, mathematics(Chapter.read(FINISHED[symbol.chapter].path).text))


@pytest.mark.parametrize(("instead", "variant"), VARIANTS, ids=[variant for _, variant in VARIANTS])
def test_no_chapter_writes_a_variant(instead: str, variant: str) -> None:
    for name, text in texts().items():
        assert not occurs(variant, mathematics(text)), f"{name}: write {instead}, not {variant}"


def test_the_page_itself_keeps_to_its_table() -> None:
    formulas = mathematics(TEXT)
    assert [variant for _, variant in VARIANTS if occurs(variant, formulas)] == []


def test_what_to_write_is_a_symbol_of_the_page() -> None:
    listed = [symbol.latex for symbol in SYMBOLS]
    for instead, _ in VARIANTS:
        assert any(instead.split("(")[0] in latex for latex in listed), instead


def test_the_functions_have_the_names_of_the_catalogue() -> None:
    catalogue = pytest.importorskip("actbook", reason="needs actbook").catalogue
    for latex in ("sigma", "tanh", "ReLU", "SiLU", "GELU", "softmax"):
        assert any(latex in symbol.latex for symbol in SYMBOLS)
        assert {"sigma": "sigmoid"}.get(latex, latex).lower() in catalogue.names()


# The reader itself --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("latex", "formulas", "found"),
    [
        (r"\phi", r"$\phi(x)$", True),
        (r"\phi", r"$\varphi(x)$", False),
        (r"x", r"$\exp(y)$", False),
        (r"x", r"$\sigma(x)$", True),
        (r"\mathcal{N}(0, q)$".strip("$"), r"$\mathcal{N}(0,q)$", True),
        (r"\log", r"$\log 2$", True),
        (r"\ln", r"$\lnot a$", False),
    ],
)
def test_symbols_are_found_in_formulas(latex: str, formulas: str, found: bool) -> None:
    assert occurs(latex, formulas) is found


def test_formulas_are_found_in_text() -> None:
    text = (
        "Inline $a$,\n$$b$$\n\n```{math}\n:label: eq\nc\n```\n\\begin{align} d \\end{align} and e"
    )
    found = mathematics(text)
    assert all(letter in found for letter in "abcd") and " e" not in found.split("\\end")[-1]
