"""The mutants of the chapters: made where they matter, noticed by what should notice, reported."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from bookmaker import mutant_runner, mutants, mutate_book, pages
from bookmaker.chapter import Chapter
from bookmaker.layout import notebooks
from bookmaker.mutant_runner import OPAQUE, fingerprint, flat, unchanged
from bookmaker.mutants import Mutant

# Changes of code -------------------------------------------------------------------------------


def changes(source: str) -> list[str]:
    return [new for new, _, _ in mutants.edits(source)]


def test_signs_constants_functions_operators_and_terms_change() -> None:
    found = changes("f = sp.sin(x) - 2 * y\n")
    assert "f = sp.cos(x) - 2 * y\n" in found
    assert "f = sp.sin(x) + 2 * y\n" in found
    assert "f = sp.sin(x) - 3 * y\n" in found
    assert "f = sp.sin(x) - 2 / y\n" in found
    assert "f = (sp.sin(x))\n" in found
    assert "f = x\n" in changes("f = -x\n")
    assert "f = x**3\n" in changes("f = x**2\n")
    assert changes("found = a < b\n") == ["found = a > b\n"]


def test_what_stands_behind_wide_characters_is_found() -> None:
    assert 'α = {"σ′": x + 1}\n' in changes('α = {"σ′": x - 1}\n')


@pytest.mark.parametrize(
    "source",
    [
        "assert not equal(f, 1 - g)",
        "assert f != 1 - g",
        "assert error < 1e-9",
        "assert error <= 2.0**-24",
        "assert (error <= 1.2 * bound).all()",
        "root = optimize.brentq(f, 0, 5)",
        "for k, d in ((3, 10), (12, 37)):\n    print(k, d)",
        "assert all(convex(at) for at in (-3, 0, 3))",
        "grid = np.linspace(-8, 8, 481)",
        "print(round(value, 4))",
        "assert math.isclose(a, b, rel_tol=1e-3)",
        "import math",
        '"""x - 1"""',
        "row = rows[2]",
        "area = mpmath.quad(weighted, [-12, 0, 12])",
        'print(f"{value - 1}")',
        "flag = True",
    ],
)
def test_twins_tolerances_counts_and_text_are_left_alone(source: str) -> None:
    assert changes(source) == []


def test_a_rejecting_part_of_an_assert_is_left_alone() -> None:
    assert changes("assert equal(f, 1 - g) and not equal(f, 1 + g)") == [
        "assert equal(f, 1 + g) and not equal(f, 1 + g)",
        "assert equal(f, (1)) and not equal(f, 1 + g)",
        "assert equal(f, 2 - g) and not equal(f, 1 + g)",
    ]


def test_the_asserted_value_is_known_before_and_after() -> None:
    ((_, _, pair), *_) = mutants.edits("assert equal(f.subs(x, 2), 1 - g)")
    assert pair == ("f.subs(x, 2)", "f.subs(x, 3)")
    pairs = [pair for _, _, pair in mutants.edits("assert abs(a - b) < 1")]
    assert ("a - b", "a + b") in pairs


@pytest.mark.parametrize("path", notebooks(), ids=lambda path: path.stem)
def test_every_chapter_has_mutants_of_every_kind_that_it_can_have(path: Path) -> None:
    chapter = Chapter.read(path)
    found = mutants.candidates(chapter)
    for kind in ("proof", "formula", "verdict", "solution", "figure", "output"):
        assert found[kind], kind
    for kind in ("proof", "formula", "solution"):
        for mutant in found[kind][::7]:
            before = chapter.cells[mutant.cell - 1].source
            assert ast.dump(ast.parse(mutant.change)) != ast.dump(ast.parse(before))
    if mutants.used(chapter):
        assert found["declaration"]
        for mutant in found["declaration"][::5]:
            ast.parse(mutant.change[1])


def test_the_same_seed_draws_the_same_and_cells_take_turns() -> None:
    chapter = Chapter.read(notebooks()[0])
    first, again = (mutants.chosen(chapter, 20, 0) for _ in range(2))
    assert first == again != mutants.chosen(chapter, 20, 1)
    counted = [mutant for mutant in first if mutant.kind != "document"]
    assert len(counted) == 20 and len({mutant.kind for mutant in counted}) >= 8
    proofs = [mutant.cell for mutant in counted if mutant.kind == "proof"]
    assert len(proofs) == len(set(proofs))
    everything = mutants.chosen(chapter, None, 0)
    assert len(everything) == sum(map(len, mutants.candidates(chapter).values()))


def test_the_documents_formulas_are_wrong() -> None:
    import sympy as sp

    for name in mutants.DOCUMENTS:
        right, wrong = map(sp.sympify, mutants.document_formula(name))
        places = {s: 0.7 for s in (right - wrong).free_symbols}
        assert abs(float((right - wrong).subs(places))) > 1e-3, name


def test_a_documents_formula_is_put_where_the_right_one_stands() -> None:
    import sympy as sp

    t = sp.Symbol("t", real=True)
    x = sp.Symbol("x", real=True)
    gelu = x * (1 + sp.erf(x / sp.sqrt(2))) / 2
    entry = "002 §9 Q7: GELU"
    found = mutant_runner.binding(entry, [("other", x**2), ("gelu", gelu)])
    assert found is not None and found[0] == "gelu"
    names = {"gelu": gelu}
    exec(mutant_runner.inserted("a = 1\ngelu = gelu + 0\nb = gelu", *found), names)
    assert names["b"] == names["gelu"]
    assert names["gelu"].subs(x, 1) != gelu.subs(x, 1) and names["gelu"].free_symbols == {x}
    assert mutant_runner.binding(entry, [("other", gelu + x), ("far", t)]) is None


# Values ----------------------------------------------------------------------------------------


def test_fingerprints_tell_values_apart() -> None:
    import numpy as np
    import sympy as sp
    import torch

    def made(constant: int) -> Any:
        return lambda z: z + constant

    x = sp.Symbol("x")
    for one, other in (
        (1, 2),
        (1, 1.0),
        ([1, 2], (1, 2)),
        ({"a": 1}, {"a": 2}),
        ({1}, {2}),
        (np.arange(3), np.arange(4)),
        (np.float32(1), np.float64(1)),
        (torch.zeros(2), torch.ones(2)),
        (x + 1, x - 1),
        (made(1), made(2)),
    ):
        assert fingerprint(one) == fingerprint(one)
        assert fingerprint(one) != fingerprint(other)
    assert fingerprint(c for c in "ab") is OPAQUE


def test_what_cannot_be_compared_does_not_pass_for_equal() -> None:
    before = {"a": fingerprint(1), "g": OPAQUE}
    assert unchanged(before, dict(before), "a = 1")
    assert not unchanged(before, {**before, "a": fingerprint(2)}, "a = 1")
    assert not unchanged(before, dict(before), "g = (c for c in 'ab')")
    assert mutant_runner.same_value(("1 + a", "a + 1"), {"a": 2})
    assert not mutant_runner.same_value(("1 + a", "1 - a"), {"a": 2})
    assert not mutant_runner.same_value(("a < 3", "a < 4"), {"a": 2})
    assert not mutant_runner.same_value(("1 + a", "1 + c"), {"a": 2})


def test_only_cells_that_a_changed_name_reaches_run_again() -> None:
    later = {
        2: "b = a + 1",
        3: "c = 5",
        4: "d = b * c",
        5: "e = 7",
        6: "rows = []\nrows.append(c)",
        7: "print(rows)",
        8: "print(d)",
    }
    assert mutant_runner.follows({"a"}, later) == {2, 3, 4, 8}
    assert mutant_runner.follows({"e"}, {6: later[6], 7: later[7]}) == set()
    assert mutant_runner.follows({"c"}, {6: later[6], 7: later[7]}) == {6, 7}


def test_a_function_changes_with_what_it_looks_up() -> None:
    space: dict[str, object] = {}
    exec(
        "spread = 1\n"
        "def variance(form):\n    return [spread * k for k in form]\n"
        "def paired(form):\n    return (lambda: variance(form))()\n"
        "def other(form):\n    return form\n",
        space,
    )
    assert mutant_runner.reached({"spread"}, space) == {"spread", "variance", "paired"}
    assert mutant_runner.reached({"form"}, space) == {"form"}


def test_outputs_are_compared_as_the_strict_test_does() -> None:
    stored = [
        {"output_type": "stream", "name": "stdout", "text": "a\nb\n"},
        {"output_type": "display_data", "data": {"text/plain": "P", "image/png": "x"}},
    ]
    found = [
        {"output_type": "stream", "stdout": "a\n"},
        {"output_type": "display_data", "data": {"text/plain": "P", "image/png": "y"}},
        {"output_type": "stream", "stdout": "b\n"},
    ]
    assert flat(stored) == flat(found)
    assert flat(stored) != flat(found[:2])


# A run -----------------------------------------------------------------------------------------

CELLS = {
    2: "import sympy as sp\nx = sp.Symbol('x')",
    3: "f = x**2 + 3 * x\nprint(f.subs(x, 1))",
    4: "unused = 5 * x",
    5: "assert sp.diff(f, x) == 2 * x + 3",
    6: "same = f.subs(x, 0) * 7",
    7: "f.subs(x, 2)",
}


@pytest.fixture(scope="module")
def notebook(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small notebook whose stored outputs are right."""
    cells = [new_markdown_cell("# Title")] + [new_code_cell(source) for source in CELLS.values()]
    cells[2].outputs = [new_output("stream", name="stdout", text="4\n")]
    cells[6].outputs = [
        new_output(
            "execute_result",
            data={"text/plain": "10", "text/latex": r"$\displaystyle 10$"},
            execution_count=6,
        )
    ]
    path = tmp_path_factory.mktemp("book") / "90_small.ipynb"
    nbformat.write(new_notebook(cells=cells), path)
    return path


def change(cell: int, old: str, new: str) -> Mutant:
    assert old in CELLS[cell]
    return Mutant("90", "proof", cell, f"{old} → {new}", "source", CELLS[cell].replace(old, new))


@pytest.mark.slow
def test_each_change_is_noticed_or_is_not(notebook: Path) -> None:
    digit = Mutant("90", "output", 7, "digit", "output", [0, "data", "11"])
    wanted = [
        (change(3, "3 * x", "2 * x"), "caught", "output of cell 3 (stdout)"),
        (change(3, "subs(x, 1)", "nothing(x)"), "caught", "AttributeError in cell 3"),
        (change(4, "5 * x", "6 * x"), "survived", ""),
        (change(5, "2 * x + 3", "2 * x - 3"), "caught", "AssertionError in cell 5"),
        (change(6, "* 7", "* 8"), "equivalent", ""),
        (digit, "caught", "output of cell 7 (text/plain)"),
    ]
    found = set()
    for row in mutate_book.attempt(notebook, [m for m, _, _ in wanted], jobs=2, documents=1):
        assert not isinstance(row, str), row
        found.add((row.cell, row.change, row.outcome, row.noticed))
    assert found == {(m.cell, m.what, outcome, noticed) for m, outcome, noticed in wanted}


@pytest.mark.slow
def test_a_notebook_that_fails_by_itself_is_named(notebook: Path, tmp_path: Path) -> None:
    broken = nbformat.read(notebook, as_version=4)
    broken.cells[2].outputs[0].text = "5\n"
    path = tmp_path / "91_broken.ipynb"
    nbformat.write(broken, path)
    *rows, last = mutate_book.attempt(path, [], jobs=1, documents=0)
    assert not rows and last == "91_broken.ipynb fails unchanged: output of cell 3 (stdout)"


def test_records_are_turned_round() -> None:
    claim = {"verdict": "holds"}
    mutant_runner.flip_claim(claim)
    assert claim == {"verdict": "fails"}
    cases = {"verdict": "depends", "cases": {"here": True, "there": False}}
    mutant_runner.flip_claim(cases)
    assert cases["cases"] == {"here": False, "there": True}
    outcome = {"outcome": "came_true"}
    mutant_runner.flip_prediction(outcome)
    assert outcome == {"outcome": "false"}


# The report ------------------------------------------------------------------------------------

ROWS = [
    pages.Row("05", "proof", 17, "1 becomes 2", "caught", "AssertionError in cell 17"),
    pages.Row("05", "formula", 9, "a | b loses its sign", "survived", ""),
    pages.Row("05", "formula", 9, "c", "equivalent", ""),
    pages.Row("06", "verdict", 20, "001-041: fails", "caught", "AuditError in cell 20"),
]


@pytest.fixture
def report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for the report in place of the shipped one."""
    for module in (pages, mutate_book):
        monkeypatch.setattr(module, "RESULT", tmp_path / "book.csv")
        monkeypatch.setattr(module, "RUNS", tmp_path / "book.json")
    return tmp_path


def test_the_report_is_kept_and_shown(report: Path) -> None:
    assert "No run is stored yet." in pages.mutations_page()
    book = notebooks()
    paths = {"05": book[0], "06": book[1]}
    runs = [mutate_book.Run("05", ROWS[:3], 12.3), mutate_book.Run("06", ROWS[3:], 4.0)]
    mutate_book.store(runs, paths, {"seed": 0, "per_chapter": 20})
    assert pages.mutation_rows() == ROWS
    record = json.loads((report / "book.json").read_text(encoding="utf-8"))
    assert set(record["chapters"]) == {"05", "06"} and record["chapters"]["05"]["seed"] == 0
    text = pages.mutations_page()
    assert "Of 3 mutants that change something 2 were noticed (66.7%)" in text
    assert r"| 5 | 9 | formula | a \| b loses its sign |" in text
    mutate_book.store([mutate_book.Run("05", ROWS[:1], 1.0)], paths, {"seed": 1})
    assert pages.mutation_rows() == [ROWS[0], ROWS[3]]
    assert "What nothing noticed" not in pages.mutations_page()


def test_survivors_and_a_low_share_fail(
    report: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        mutate_book, "run_chapter", lambda *given: mutate_book.Run("05", ROWS[:3], 1.0)
    )
    assert mutate_book.main(["5"]) == 1
    printed = capsys.readouterr().out
    assert "SURVIVED  chapter 05, cell 9, formula: a | b loses its sign" in printed
    assert "1 of 2 mutants noticed (50.0%)" in printed
    monkeypatch.setattr(
        mutate_book, "run_chapter", lambda *given: mutate_book.Run("05", ROWS[:1], 1.0)
    )
    assert mutate_book.main(["05", "--keep"]) == 0
    complaint = mutate_book.Run("05", ROWS[:1], 1.0, "05 fails unchanged")
    monkeypatch.setattr(mutate_book, "run_chapter", lambda *given: complaint)
    assert mutate_book.main(["05", "--keep"]) == 1
    with pytest.raises(SystemExit, match="no chapter 99"):
        mutate_book.main(["99"])
    with pytest.raises(SystemExit, match="no kind rumour"):
        mutate_book.main(["--kinds", "rumour"])
