"""The catalogue's pages: complete, current, deterministic, true to the facts, readable."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import sympy as sp

from actbook import calculus, catalogue, moments, sheet, symbols
from actbook.activation import Activation
from actbook.symbols import x
from bookmaker import catalogue_pages, layout, source_map
from bookmaker.catalogue_pages import figure, narrate, overview, page
from bookmaker.chapter import Chapter

SOME = ["relu", "step", "elu", "gelu", "sine", "rrelu", "prelu", "swiglu", "softmax", "meta_acon"]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("catalogue")
    catalogue_pages.write(folder, SOME)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


# -- the files -------------------------------------------------------------------------------------


def test_the_same_bytes_every_time_and_nothing_is_drawn_twice(
    written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogue_pages.write(tmp_path, SOME)
    first, second = contents(written), contents(tmp_path)
    assert first == second and len(first) == 2 * len(SOME) + 1
    monkeypatch.setattr(figure, "render", lambda panels: pytest.fail("drawn again"))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*")}
    catalogue_pages.write(tmp_path, SOME)
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*")}


def test_pages_are_current_only_for_the_state_they_were_written_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not catalogue_pages.current(tmp_path)
    (tmp_path / "relu.md").write_text("text")
    stamp = {"state": catalogue_pages.state(), "files": ["relu.md"]}
    (tmp_path / catalogue_pages.STAMP).write_text(json.dumps(stamp))
    assert catalogue_pages.current(tmp_path)
    (tmp_path / "old.md").write_text("text")
    assert not catalogue_pages.current(tmp_path)
    catalogue_pages._clear(tmp_path, ["relu.md"])
    assert catalogue_pages.current(tmp_path) and not (tmp_path / "old.md").exists()
    monkeypatch.setattr(catalogue_pages, "state", lambda root=None: "another")
    assert not catalogue_pages.current(tmp_path)


def test_the_state_follows_from_facts_and_accuracy_and_not_from_studies() -> None:
    names = {path.relative_to(layout.ROOT).as_posix() for path in catalogue_pages.sources()}
    assert {"src/actbook/calculus.py", "src/actbook/families/gates.py"} <= names
    assert not any("/studies/" in name or "/train/" in name for name in names)


def test_figures_are_small_and_in_the_colours_of_the_book(written: Path) -> None:
    from bookmaker.sphinx import twins

    for path in written.glob("figures/*.svg"):
        assert path.stat().st_size < 200_000
        assert twins.pair(path.read_text(encoding="utf-8")) is not None


def test_a_fresh_clone_has_a_valid_table_of_contents(tmp_path: Path) -> None:
    contents = (layout.ROOT / "_toc.yml").read_text(encoding="utf-8")
    assert "glob: book/appendix/catalogue/*" in contents
    (tmp_path / "_toc.yml").write_text(
        "format: jb-book\nroot: index\nchapters:\n- file: all\n  sections:\n  - glob: all/*\n"
    )
    for name in ("index.md", "all.md"):
        (tmp_path / name).write_text("# A page\n")
    assert [p.name for p in layout.pages(tmp_path)] == ["index.md", "all.md"]
    (tmp_path / "all").mkdir()
    for name in ("two.md", "one.md", "table.txt"):
        (tmp_path / "all" / name).write_text("# A page\n")
    assert [p.name for p in layout.pages(tmp_path)][2:] == ["one.md", "two.md"]


# -- a page ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", catalogue.names())
def test_every_activation_has_a_definition_code_and_sources(name: str) -> None:
    act = catalogue[name]
    for order in (0, 1):
        assert sheet.written(act, order)
    assert page.usage(act).count(f'catalogue["{name}"]') == 1
    text = "\n".join([*page._definition(act), *page._derivatives(act), *page._code(act)])
    assert "$$" in text
    if act.shape != "contextual":
        assert f"def {name}" in text
    assert not re.search(r"scaled_|erfcx\{|expm1|log1p\{", text.partition("```")[0])
    for parameter in act.parameters:
        assert f"`{parameter.name}`" in text
    cited = "".join(page._sources(act, layout.ROOT))
    assert all(key in cited for key in act.references)


@pytest.mark.parametrize("name", [n for n in catalogue.names() if catalogue[n].scalar])
def test_the_definition_shown_is_the_function(name: str) -> None:
    """Every formula of the page, at points of its interval, against the code in float64."""
    act = catalogue[name]
    values = act.defaults
    values |= {draw.symbol: draw.mean.subs(values) for draw in act.draws}
    for order in (0, 1, 2):
        for (expr, _), points in zip(sheet.pieces(act, order), intervals(act, order), strict=True):
            for point in points:
                shown = float(symbols.elementary(expr).subs(values).subs(x, point).evalf(25))
                got = float(figure.evaluate(act, order, [float(point)])[0])
                assert got == pytest.approx(shown, rel=1e-9, abs=1e-12), (order, point)


def intervals(act: Activation, order: int) -> list[list[sp.Rational]]:
    """Three points of each interval that a formula is shown for."""
    found = []
    for _, where in sheet.pieces(act, order):
        ends = [float(p.subs(act.defaults)) for p in where if isinstance(p, sp.Expr) and p != x]
        low, high = (-3.0, 3.0) if not ends else (ends[0], ends[-1])
        if len(ends) == 1:
            right = {sheet.MORE, sheet.MORE_EQUAL} & {
                p for p in where if not isinstance(p, sp.Expr)
            }
            low, high = (low, low + 3) if right else (high - 3, high)
        shares = (0.2, 0.5, 0.8)
        found.append([sp.Rational(str(round(low + (high - low) * k, 6))) for k in shares])
    return found


def test_a_long_constant_has_one_name_in_f_and_its_derivatives() -> None:
    act = catalogue["selu"]
    names: sheet.Names = {}
    for order in (0, 1, 2):
        long = sheet.pieces(act, order)
        short = sheet.shortened(long, names)
        values = dict(names.values())
        for (one, where), (other, same) in zip(long, short, strict=True):
            assert where == same
            assert abs((one - other.subs(values)).subs(x, sp.Rational(-1, 3)).evalf(30)) < 1e-25
    assert set(sheet.constants(act).values()) == {"1.75809934085", "1.05070098736"}  # αλ and λ


def test_a_page_says_what_the_facts_say(written: Path) -> None:
    text = (written / "gelu.md").read_text(encoding="utf-8")
    assert "| range | $\\left[-0.16997120748, \\infty\\right)$ | numeric, enclosed to 10⁻" in text
    assert "$x = -0.751791524694$" in text and "1.5335304412" in text
    assert "Smooth, not monotone, neither convex nor concave, bounded below." in text
    step = (written / "step.md").read_text(encoding="utf-8")
    assert "| $x = 0$ | from the right | from the left |" in step
    assert "{cite:t}`mcculloch1943logical`" in step
    softmax = (written / "softmax.md").read_text(encoding="utf-8")
    assert "## Jacobian" in softmax and "## Facts" not in softmax and "moments" not in softmax


def test_no_cell_ends_a_table_early(written: Path) -> None:
    for path in written.glob("*.md"):
        lines = [li for li in path.read_text(encoding="utf-8").split("\n") if li.startswith("| ")]
        blocks = re.split(r"\n\n", path.read_text(encoding="utf-8"))
        tables = [block.split("\n") for block in blocks if block.startswith("| ")]
        assert sum(map(len, tables)) == len(lines)
        for table in tables:
            assert len({row.count("|") for row in table}) == 1, (path.name, table[0])
            assert all(cell.count("$") % 2 == 0 for row in table for cell in row.split(" | "))


def test_only_a_written_chapter_is_linked(tmp_path: Path) -> None:
    act = catalogue["sigmoid"]
    assert act.home == "05" and page.chapter_of(act) == "part2/05_sigmoid_tanh.ipynb"
    (tmp_path / "book").mkdir()
    assert page.chapter_of(act, tmp_path) == ""
    assert "hapter" not in "".join(page._sources(act, tmp_path))


@pytest.mark.parametrize("path", layout.notebooks(), ids=lambda path: path.stem)
def test_a_chapter_links_the_pages_that_link_to_it(path: Path) -> None:
    text = Chapter.read(path).text
    linked = set(re.findall(r"\]\(\.\./appendix/catalogue/(\w+)\.md\)", text))
    at_home = {act.name for act in catalogue.values() if path.stem.startswith(f"{act.home}_")}
    assert at_home <= linked, f"no link to {sorted(at_home - linked)}"
    assert linked <= set(catalogue), f"no page of {sorted(linked - set(catalogue))}"


def test_every_activation_has_a_home() -> None:
    chapters = {f"{place.key:02}" for place in source_map.load().chapters}
    assert {act.home for act in catalogue.values()} <= chapters


def test_code_is_shown_once_with_the_constants_that_it_needs() -> None:
    text = "\n".join(page._code(catalogue["gelu"]))
    names = re.findall(r"^def (\w+)\(", text, flags=re.MULTILINE)
    assert len(names) == len(set(names)) and {"gelu_f", "gelu_f_x", "normal_cdf"} <= set(names)
    blocks = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    from typing import Any

    from actbook.lower import xp_numpy

    space: dict[str, Any] = {"Any": Any}
    exec("\n".join(blocks[:2]), space)
    points = np.array([-3.0, -0.5, 2.0])
    assert space["gelu_f"](xp_numpy, points).tolist() == catalogue["gelu"](points).tolist()
    assert space["gelu_f_x"](xp_numpy, points).tolist() == catalogue["gelu"].grad(points).tolist()


# -- figures and their text ------------------------------------------------------------------------


def story(name: str) -> str:
    act = catalogue[name]
    return narrate.alternative(act, figure.drawing(act))


def test_the_text_of_a_figure_tells_its_turns() -> None:
    assert "falls to −0.17 at x = −0.752, then rises to 5 at x = 5" in story("gelu")
    assert "jumps to 1, then stays at 1" in story("step")
    assert "rises to 0.25 at x = 0, then falls" in story("sigmoid")
    assert "swings between −1 and 1" in story("sine")
    assert "y = −1 on the left and y = x on the right" in story("elu")
    assert "0.644, 0.237, 0.0871, 0.0321" in story("softmax")  # e² and so on over their sum


def test_the_convention_at_a_jump_is_the_filled_dot() -> None:
    left, right = figure.drawing(catalogue["step"])
    assert {(d.y, d.filled) for d in left.dots} == {(0.0, False), (1.0, True)}
    _, right = figure.drawing(catalogue["relu"])
    assert {(d.y, d.filled) for d in right.dots} == {(0.0, True), (1.0, False)}


def test_the_window_shows_every_landmark() -> None:
    low, high = figure.window(catalogue["relu6"])
    assert low < 0 and high > 6
    low, high = figure.window(catalogue["silu"])
    assert low < -2.4 and high > 2.4  # its inflections


# -- the table -------------------------------------------------------------------------------------


class Rows(HTMLParser):
    """The cells of the rows of a table, with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[dict[str, str | None]] = []
        self.cells: list[list[tuple[str, dict[str, str | None]]]] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self.rows.append(dict(attrs))
            self.cells.append([])
        elif tag in ("td", "th"):
            self.cells[-1].append((tag, dict(attrs)))
        elif tag == "a":
            self.links.append(dict(attrs)["href"] or "")


def test_the_table_is_whole_and_can_be_read_without_its_script() -> None:
    acts = [catalogue[name] for name in SOME]
    table = Rows(overview.table(acts))
    assert table.links == [f"catalogue/{name}.html" for name in SOME]
    head, *body = table.cells
    assert all(tag == "th" and given["scope"] == "col" for tag, given in head)
    assert all(len(row) == len(head) and row[0][1]["scope"] == "row" for row in body)
    columns = [given["data-column"] for _, given in head]
    relu = dict(zip(columns, body[0], strict=True))
    assert relu["lipschitz"][1]["data-key"] == "1.0" and relu["year"][1]["data-key"] == "1941"
    assert table.rows[1] == {
        "data-words": "relu rectifier ramp",
        "data-shape": "pointwise",
        "data-monotone": "yes",
        "data-convex": "convex",
        "data-smoothness": "continuous",
        "data-bounded": "no",
        "data-parity": "none",
    }
    softmax = table.rows[1 + SOME.index("softmax")]
    assert set(softmax) == {"data-words", "data-shape"}


def test_every_activation_stands_in_one_family() -> None:
    text = "\n".join(overview.by_family([catalogue[name] for name in catalogue.names()]))
    for name in catalogue.names():
        assert text.count(f"(catalogue/{name}.md)") == 1


def test_long_numbers_are_rounded_in_the_table_and_exact_ones_kept() -> None:
    assert overview._range(catalogue["gelu"]).text == "[−0.17, ∞)"
    assert overview._range(catalogue["step"]).text == "{0, 1}"
    assert overview._range(catalogue["relu"]).text == "[0, ∞)"


# -- words -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "expr, text",
    [
        (x * symbols.normal_cdf(x), "x·Φ(x)"),
        (sp.exp(-(x**2) / 2) / sp.sqrt(2), "√2/(2·e^(x²/2))"),
        (1 - sp.tanh(x) ** 2, "1 − tanh²(x)"),
        (-sp.LambertW(sp.exp(-1)), "−W(e^(−1))"),
        (sp.Interval.open(-sp.oo, sp.Rational(-1, 2)), "(−∞, −1/2)"),
        (sp.FiniteSet(1, -1), "{−1, 1}"),
        (sp.exp(sp.Rational(9, 4)), "e^(9/4)"),
        (x / (1 + x) ** 2, "x/(x + 1)²"),
    ],
)
def test_mathematics_on_a_line(expr: sp.Basic, text: str) -> None:
    assert sheet.line(expr) == text


def test_definitions_as_taught_are_the_definitions() -> None:
    for equation in sheet.definitions(
        *(ground(x) for ground in symbols.GROUND if 1 in ground.nargs)
    ):
        ground, u = equation.lhs.func, equation.lhs.args[0]
        assert sp.simplify(equation.rhs.doit() - ground.definition(u)) == 0


def test_every_fact_is_said_in_words_and_formulas() -> None:
    act = catalogue["silu"]
    entries = {entry.name: entry for entry in sheet.facts(act)}
    assert set(entries) <= set(calculus.NAMES) and len(entries) > 15
    assert sheet.plain(entries["minimum"].says).startswith("−W(e^(−1)) ≈ −0.278465 at x = ")
    assert entries["minimum"].how == "exact"
    assert re.fullmatch(r"numeric, enclosed to 10⁻\S+", entries["lipschitz"].how)
    assert sheet.markdown(("a_b ", x, " > ", sp.oo)) == r"a\_b $x$ \> $\infty$"


@pytest.mark.parametrize("name", ["relu", "gelu", "elu", "prelu", "step"])
def test_closed_forms_are_the_moments_beside_them(name: str) -> None:
    found = sheet.gaussian(catalogue[name])
    assert [moment.name for moment in found] == [*sheet.MOMENTS, "gain"]
    for moment in found:
        assert moment.closed is not None
        assert float(moment.closed.subs(moments.q, 1).evalf(20)) == pytest.approx(moment.value)


def test_accuracy_is_told_with_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    table = pytest.importorskip("actbook.accuracy.table", reason="it needs torch")
    rows = (
        table.Row("gelu", "actbook-numpy", "value", "float32", 2.5, 1.0, 8.0, 0, None, "rrr"),
        table.Row("gelu", "pytorch", "value", "float32", 123456.0, -9.0, 8.0, 3, 2e38, "wrr"),
    )
    monkeypatch.setattr(page, "_stored", lambda: rows)
    text = "\n".join(page._accuracy(catalogue["gelu"]))
    assert "| value, float32 | 2.50 | ✗ 1.2e+05; NaN or ∞ at 3 inputs; wrong at −∞ |" in text
    assert overview._worst(catalogue["gelu"]).text == "2.50"
    assert overview._worst(catalogue["relu"]) == overview.NOTHING
