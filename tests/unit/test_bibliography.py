"""The bibliography: every entry is identified and checked, every key that is used exists."""

import re
from pathlib import Path

import pytest
from pybtex.database import Entry, parse_file

from actbook import audit, catalogue

ROOT = Path(__file__).resolve().parents[2]
BOOK = ROOT / "book"
ENTRIES: dict[str, Entry] = dict(parse_file(str(BOOK / "references.bib")).entries)
KEY = re.compile(r"[a-z]+[12]\d{3}[a-z0-9]+")
ROLE = re.compile(r"\{cite(?::\w+)?\}`([^`]+)`")
ARXIV = re.compile(r"\d{4}\.\d{4,5}")
DOI = re.compile(r"10\.\d{4,9}/\S+")
ISSN = re.compile(r"\d{4}-\d{3}[\dX]")


def isbn_is_valid(text: str) -> bool:
    """The check digit of an ISBN-10 or ISBN-13."""
    digits = [10 if c == "X" else int(c) for c in text]
    if len(digits) == 10:
        return sum((10 - i) * d for i, d in enumerate(digits)) % 11 == 0
    return len(digits) == 13 and sum(d * (1, 3)[i % 2] for i, d in enumerate(digits)) % 10 == 0


def issn_is_valid(text: str) -> bool:
    """The check digit of an ISSN."""
    digits = [10 if c == "X" else int(c) for c in text.replace("-", "")]
    return sum((8 - i) * d for i, d in enumerate(digits)) % 11 == 0


@pytest.mark.parametrize("key", ENTRIES)
def test_entry_is_identified_and_checked(key: str) -> None:
    fields = {name.lower(): value for name, value in ENTRIES[key].fields.items()}
    assert KEY.fullmatch(key)
    assert {"title", "year", "checked"} <= set(fields)
    assert fields["year"] in key
    assert ENTRIES[key].persons.get("author"), "no author"
    assert {"doi", "eprint", "isbn", "issn"} & set(fields), "no DOI, arXiv id, ISBN or ISSN"
    if "doi" in fields:
        assert DOI.fullmatch(fields["doi"])
    if "eprint" in fields:
        assert ARXIV.fullmatch(fields["eprint"]) and fields["archiveprefix"] == "arXiv"
    if "isbn" in fields:
        assert isbn_is_valid(fields["isbn"])
    if "issn" in fields:
        assert ISSN.fullmatch(fields["issn"]) and issn_is_valid(fields["issn"])


def test_check_digits_reject_a_wrong_digit() -> None:
    assert isbn_is_valid("9780262035613") and not isbn_is_valid("9780262035614")
    assert isbn_is_valid("1558601007") and not isbn_is_valid("1558601008")
    assert issn_is_valid("2640-3498") and not issn_is_valid("2640-3499")


def test_keys_name_their_first_author() -> None:
    for key, entry in ENTRIES.items():
        name = entry.persons["author"][0]
        surname = "".join([*name.prelast_names, *name.last_names]) or str(name)
        plain = re.sub(r"\\.|[^A-Za-z]", "", surname).lower()
        assert plain.startswith(re.match(r"[a-z]+", key)[0][:4]), (key, surname)  # type: ignore[index]


def test_no_identifier_is_used_twice() -> None:
    for field in ("doi", "eprint"):
        values = [e.fields[field].lower() for e in ENTRIES.values() if field in e.fields]
        assert len(values) == len(set(values))


def test_no_title_is_listed_twice() -> None:
    titles = [re.sub(r"\W", "", entry.fields["title"]).lower() for entry in ENTRIES.values()]
    assert len(titles) == len(set(titles))


def cited_in_the_book() -> dict[str, set[str]]:
    """The keys that each page of the book cites."""
    found = {}
    for path in sorted([*BOOK.rglob("*.md"), *BOOK.rglob("*.ipynb")]):
        if not {"_build", ".ipynb_checkpoints"} & set(path.parts):
            roles = ROLE.findall(path.read_text(encoding="utf-8"))
            keys = {key.strip() for role in roles for key in role.split(",")}
            found[path.relative_to(ROOT).as_posix()] = keys
    return found


def test_every_key_cited_in_the_book_exists() -> None:
    unknown = {page: keys - set(ENTRIES) for page, keys in cited_in_the_book().items()}
    assert not {page: keys for page, keys in unknown.items() if keys}


def test_every_key_that_a_claim_cites_exists() -> None:
    unknown = {claim.id: set(claim.cites) - set(ENTRIES) for claim in audit.claims.values()}
    assert not {identifier: keys for identifier, keys in unknown.items() if keys}


def test_every_reference_of_the_catalogue_exists() -> None:
    unknown = {name: set(catalogue[name].references) - set(ENTRIES) for name in catalogue.names()}
    assert not {name: keys for name, keys in unknown.items() if keys}
