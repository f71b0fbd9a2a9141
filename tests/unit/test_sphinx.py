"""The book's Sphinx extension, on small pages built for each test."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from actbook import figures
from bookmaker.cover import MARK, PICTURES, STATIC
from bookmaker.layout import BOOK, ROOT
from bookmaker.sphinx import numbers, scripts, twins

BLUE, PAPER = (figures.PALETTE[name] for name in ("blue", "paper"))


def svg(*colours: str, width: str = "200pt") -> str:
    """A small SVG with lines of the colours."""
    lines = "".join(f'<path d="M 0 0 L 9 9" style="stroke: {colour}"/>' for colour in colours)
    return f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="9pt">{lines}</svg>'


Build = Callable[..., tuple[dict[str, str], str]]


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """Build pages (path → text) with Sphinx; the HTML of each, and all warnings."""
    from sphinx.application import Sphinx
    from sphinx.util.docutils import docutils_namespace

    def run(**files: str) -> tuple[dict[str, str], str]:
        source, output = tmp_path / "source", tmp_path / "build" / "html"
        named = {name.replace("__", "/"): text for name, text in files.items()}
        for name, text in named.items():
            path = source / (name if "." in name else f"{name}.md")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        warnings = io.StringIO()
        settings = {
            "extensions": ["myst_parser", "bookmaker.sphinx"],
            "numfig": True,
            "numfig_format": {"figure": "Figure %s"},
        }
        with docutils_namespace():
            app = Sphinx(
                source, None, output, tmp_path / "doctrees", "html", settings, None, warnings
            )
            app.build()
        pages = {
            path.relative_to(output).with_suffix("").as_posix(): path.read_text("utf-8")
            for path in output.rglob("*.html")
        }
        return pages, warnings.getvalue()

    return run


FIGURE = """```{figure} picture.svg
:name: fig-one
:alt: A line that falls.

It falls.
```
"""


# --------------------------------------------------------------------------------------- the twins


def test_twin_exchanges_every_colour_and_nothing_else() -> None:
    light = svg(BLUE[0], PAPER[0], BLUE[0].upper())
    assert twins.dark(light) == svg(BLUE[1], PAPER[1], BLUE[1])


def test_foreign_colours_have_no_twin() -> None:
    with pytest.raises(KeyError, match="#ff00ff"):
        twins.dark(svg(BLUE[0], "#ff00ff"))
    assert twins.pair(svg(BLUE[0], "#ff00ff")) is None
    assert twins.pair("<svg/>") is None


def test_bitmaps_are_unpacked() -> None:
    both = "".join(
        f'<image id="{theme}" width="9" xlink:href="data:image/png;base64,'
        f'{base64.b64encode(theme.encode()).decode()}"/>'
        for theme in ("light", "dark")
    )
    assert twins.pair(f"<svg>{both}</svg>") == {
        "light": (".png", b"light"),
        "dark": (".png", b"dark"),
    }


def test_page_shows_both_with_the_same_text(build: Build, tmp_path: Path) -> None:
    pages, warnings = build(index=f"# Title\n\n{FIGURE}", **{"picture.svg": svg(BLUE[0])})
    assert not warnings
    images = re.findall(r'<img alt="([^"]*)" class="([^"]*)" src="([^"]*)"', pages["index"])
    assert [(alt, classes) for alt, classes, _ in images] == [
        ("A line that falls.", "only-light"),
        ("A line that falls.", "only-dark"),
    ]
    shown = [(tmp_path / "build" / "html" / path).read_text() for _, _, path in images]
    assert shown == [svg(BLUE[0]), svg(BLUE[1])]
    assert pages["index"].count("<figcaption>") == 1


def test_wide_figures_are_marked(build: Build) -> None:
    pages, _ = build(index=f"# T\n\n{FIGURE}", **{"picture.svg": svg(BLUE[0], width="547pt")})
    assert pages["index"].count('class="only-light wide"') == 1


def test_pictures_of_others_stay_as_they_are(build: Build) -> None:
    pages, warnings = build(index=f"# T\n\n{FIGURE}", **{"picture.svg": svg("#ff00ff")})
    assert not warnings and "only-dark" not in pages["index"]


@pytest.mark.parametrize("alt", ["", ":alt:", ":alt: '  '"])
def test_every_picture_needs_a_text(build: Build, alt: str) -> None:
    page = f"# T\n\n```{{image}} picture.svg\n{alt}\n```\n"
    _, warnings = build(index=page, **{"picture.svg": svg(BLUE[0])})
    assert "picture.svg has no alternative text" in warnings


# ------------------------------------------------------------------------------------- the numbers


@pytest.mark.parametrize(
    ("page", "number"),
    [("book/part2/05_sigmoid_tanh", 5), ("21_maps", 21), ("book/index", None), ("a/5_b", None)],
)
def test_chapter_number_is_in_the_file_name(page: str, number: int | None) -> None:
    assert numbers.chapter(page) == number


@pytest.mark.parametrize(
    ("title", "bare"),
    [
        ("5. Sigmoid", "Sigmoid"),
        ("Chapter 5: Sigmoid", "Sigmoid"),
        ("5 · Sigmoid", "Sigmoid"),
        ("Sigmoid", "Sigmoid"),
        ("6 ways to fail", "6 ways to fail"),
    ],
)
def test_title_loses_its_own_number(title: str, bare: str) -> None:
    assert numbers.bare_title(title, 5) == bare


def test_numbers_of_the_chapter_hold_everywhere(build: Build) -> None:
    pages, warnings = build(
        index="# Book\n\n```{toctree}\n:numbered:\npart2/05_first\npart2/07_third\n```\n",
        part2__05_first=f"# 5. First\n\n{FIGURE}\n## Inside\n\nText.\n",
        part2__07_third="# Third\n\n## Within\n\nSee {numref}`fig-one`.\n",
        **{"part2__picture.svg": svg(BLUE[0])},
    )
    assert not warnings
    first, third = pages["part2/05_first"], pages["part2/07_third"]
    assert re.search(r'<h1><span class="section-number">5\. </span>First', first)
    assert re.search(r'<h2><span class="section-number">5\.1\. </span>Inside', first)
    assert "Figure 5.1 " in first and "Figure 5.1" in third
    assert re.search(r'<h2><span class="section-number">7\.1\. </span>Within', third)
    listed = re.findall(r'class="reference internal"[^>]*>([57][^<]*)<', pages["index"])
    assert list(dict.fromkeys(listed)) == ["5. First", "5.1. Inside", "7. Third", "7.1. Within"]


# ------------------------------------------------------------------------------------- the scripts


def asset(name: str, body: str = "") -> SimpleNamespace:
    """A script as Sphinx holds it."""
    return SimpleNamespace(filename=name, attributes={"body": body} if body else {})


def test_scripts_come_once_and_thebe_never() -> None:
    first, other = asset("_static/a.js"), asset("_static/b.js")
    inline = asset("", body="let togglebuttonSelector = 'x'")
    given = [
        first,
        inline,
        asset("_static/a.js?v=2"),
        asset("_static/sphinx-thebe.js"),
        asset("", body="const THEBE_JS_URL = 1; const thebe_selector = 2"),
        other,
        asset("", body="let togglebuttonSelector = 'x'"),
    ]
    assert scripts.lean(given) == [first, inline, other]


# ------------------------------------------------------------------- what the pages are made of


@pytest.mark.parametrize("name", PICTURES)
def test_front_page_pictures_are_drawn_by_their_script(name: str) -> None:
    """A change of style or of an activation reaches the stored pictures: run bookmaker.cover."""
    light = PICTURES[name]()
    assert (STATIC / f"{name}.svg").read_text(encoding="utf-8") == light
    assert (STATIC / f"{name}-dark.svg").read_text(encoding="utf-8") == twins.dark(light)
    assert len(MARK) == 3


def test_style_sheet_and_figures_share_their_colours() -> None:
    sheet = (STATIC / "actbook.css").read_text(encoding="utf-8")
    for theme, place in (("light", 0), ("dark", 1)):
        start = sheet.index(f'html[data-theme="{theme}"]')
        block = dict(re.findall(r"--act-(\w+): (#\w+);", sheet[start : sheet.index("}", start)]))
        hues = {name: figures.PALETTE[name][place] for name in block if name in figures.PALETTE}
        shared = {name: block[name] for name in hues if name not in ("line",)}
        assert len(shared) >= 7
        assert shared == {name: hues[name] for name in shared}


def test_settings_name_no_other_host_for_the_page_itself() -> None:
    settings = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    options = settings["sphinx"]["config"]
    assert (STATIC / options["mathjax_path"]).is_file()
    assert (STATIC / "mathjax" / "LICENSE").read_text().lstrip().startswith("Apache License")
    for name in options["html_css_files"] + [file for file, _ in options["html_js_files"]]:
        assert (STATIC / name).is_file()
    assert "//" not in options["mathjax_path"]
    for sheet in (*STATIC.glob("*.css"), *STATIC.glob("*.js")):
        assert not re.search(r"url\(|@import|https?://", sheet.read_text(encoding="utf-8")), sheet


def test_contents_name_existing_pages_in_the_order_of_the_plan() -> None:
    contents = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    chapters = [
        number
        for part in contents["parts"]
        for entry in part["chapters"]
        if (number := numbers.chapter(entry["file"])) is not None
    ]
    assert chapters == sorted(chapters)
    assert contents["root"] == "book/index" and BOOK.is_dir()
