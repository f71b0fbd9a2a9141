"""The public address: one place states it, all others agree."""

import shutil
from pathlib import Path

import pytest

from bookmaker import address
from bookmaker.layout import ROOT, notebooks

NEW = "https://github.com/some-one/another.book"
STATED = ["_config.yml", "CITATION.cff", "README.md", "pyproject.toml"]


@pytest.mark.parametrize("name", STATED)
def test_every_place_states_it(name: str) -> None:
    assert address.current() in (ROOT / name).read_text(encoding="utf-8")


def test_no_place_states_another() -> None:
    url = address.current()
    assert address.strays(url, url.rsplit("/", 1)[1], address.texts()) == []


def test_a_stray_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("[here](https://github.com/a/book), github.com/b/book, github.com/c/book-2")
    found = address.strays("https://github.com/a/book", "book", [page])
    assert found == [f"{page}: github.com/b/book"]


def test_a_change_reaches_every_form_and_comes_back(tmp_path: Path) -> None:
    old = address.current()
    sources = [ROOT / name for name in STATED] + notebooks()
    before = {path.name: path.read_bytes() for path in sources}
    for path in sources:
        shutil.copy2(path, tmp_path)
    address.change(NEW, tmp_path, old)
    for path in tmp_path.iterdir():
        text = path.read_text(encoding="utf-8")
        assert not any(form in text for form in address.forms(old)), path.name
        assert NEW in text
    assert "https://some-one.github.io/another.book" in (tmp_path / "README.md").read_text()
    address.change(old, tmp_path, NEW)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_longer_name_is_another_repository() -> None:
    text = "https://github.com/a/b and https://github.com/a/b-extras"
    changed = address.restamp(text, "https://github.com/a/b", NEW)
    assert changed == f"{NEW} and https://github.com/a/b-extras"


@pytest.mark.parametrize(
    "url", ["github.com/a/b", "https://example.org/a/b", "https://github.com/a"]
)
def test_what_colab_cannot_open_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"allowed is https://github\.com/OWNER/NAME"):
        address.change(url, tmp_path, address.current())
