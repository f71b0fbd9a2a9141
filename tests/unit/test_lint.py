"""Every rule of the linter passes on a chapter that keeps it and names what breaks it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from bookmaker import lint
from bookmaker.chapter import Chapter, directives, prose, words

NAME = "book/part9/31_example.ipynb"
ALT = (
    "Two curves rise from left to right. The blue one flattens above two; "
    "the orange one keeps its slope."
)
CAPTION = "Past two the sigmoid has stopped rising and the line has not."
DESCRIPTION = "axes 1: x in [-4, 4], f(x) in [0, 1]; lines sigmoid, line; legend sigmoid, line"
FIGURE = {"image": {"alt": ALT}, "figure": {"caption": CAPTION, "name": "fig-31-rise"}}
SET_UP = "# set up\nimport importlib.util\nassert importlib.util.find_spec('actbook')"


def md(source: str) -> Any:
    """A Markdown cell."""
    return new_markdown_cell(source)


def code(
    source: str, *, tags: tuple[str, ...] = (), outputs: tuple[Any, ...] = (), **meta: Any
) -> Any:
    """A code cell; its execution count is filled in by `chapter`."""
    metadata = {**meta, **({"tags": list(tags)} if tags else {})}
    return new_code_cell(source, metadata=metadata, outputs=list(outputs))


def shown(**data: str) -> Any:
    """A displayed output; `text_plain` stands for text/plain."""
    return new_output("display_data", data={k.replace("_", "/"): v for k, v in data.items()})


def exercise(
    number: int, *cells: Any, solution: str = "By hand.", chapter: str = "31"
) -> list[Any]:
    """An exercise and its folded solution, with code cells if given."""
    label = f"ex-{chapter}-{number}"
    return [
        md(f"```{{exercise}}\n:label: {label}\nShow it.\n```"),
        md(f"````{{solution-start}} {label}\n:class: dropdown\n````\n\n{solution}"),
        *cells,
        md("````{solution-end}\n````"),
    ]


def good() -> list[Any]:
    """The cells of a small chapter that keeps every rule."""
    return [
        md("# An example"),
        code(SET_UP, tags=("remove-cell",)),
        code("import sympy as sp\nfrom actbook import audit, figures"),
        md(
            "How fast does it rise?\n\nThis chapter mirrors 001 §4 and 004 §1.3.\n\n"
            "```{admonition} Goals\n:class: goals\n- derive it\n- see it\n- doubt it\n```"
        ),
        md("## Derive\n\nWe differentiate."),
        code("x = sp.Symbol('x')\nassert sp.diff(x**2, x) == 2 * x", tags=("proof",)),
        md("The same check refuses another constant."),
        code("assert sp.diff(x**2, x) != 3 * x", tags=("wrong-twin",)),
        md("## Implement\n\nThe value at two is"),
        code("float(sp.tanh(2))", outputs=(shown(text_plain="0.9640275800758169"),)),
        md("which is 0.964.\n\n## Measure\n\nWe say what we expect."),
        code("audit.predict('P31-1')"),
        md("Then we look."),
        code(
            "fig, axes = figures.new()\naxes.plot([0, 1])\nfigures.show(fig)",
            outputs=(shown(text_plain=DESCRIPTION),),
            mystnb=copy.deepcopy(FIGURE),
        ),
        md("It bends."),
        code("audit.score('P31-1', came_true=bool(x))"),
        md("## What the document says\n\nIt prints a value."),
        code("audit.decide('001-001', holds=bool(x))"),
        md("## Exercises"),
        *exercise(1, code("answer = sp.Integer(2)\nassert answer == 1 + 1")),
        *(cell for number in range(2, 6) for cell in exercise(number)),
        md("## Summary\n\nIt rises. Read {cite:t}`known2010`."),
    ]


def chapter(cells: list[Any], name: str = NAME) -> Chapter:
    """The cells as a chapter, run from top to bottom."""
    for count, cell in enumerate((c for c in cells if c.cell_type == "code"), start=1):
        if cell.execution_count is None:
            cell.execution_count = count
        elif cell.execution_count == "unrun":
            cell.execution_count = None
    return Chapter.from_notebook(SimpleNamespace(cells=cells), name)


@pytest.fixture
def bibliography(tmp_path: Path) -> Path:
    path = tmp_path / "references.bib"
    path.write_text(
        "@book{known2010, title={A}, year={2010}, isbn={978-0-00-000000-2}}\n"
        "@misc{bare2010, title={B}, year={2010}}\n"
    )
    (tmp_path / "_config.yml").write_text(
        r"sphinx: {config: {mathjax3_config: {tex: {macros: {E: '\mathbb{E}', n: ['x', 1]}}}}}"
    )
    return path


def find(name: str, cells: list[Any], bibliography: Path, *before: Chapter) -> list[lint.Finding]:
    """What one rule finds in a chapter that stands after others."""
    subject = chapter(cells)
    return lint.RULES[name](
        subject, lint.Book((*before, subject), bibliography, bibliography.with_name("_config.yml"))
    )


def test_a_good_chapter_passes_every_rule(bibliography: Path) -> None:
    subject = chapter(good())
    book = lint.Book((subject,), bibliography)
    found = [f for rule in lint.RULES.values() if rule.name != "size" for f in rule(subject, book)]
    assert found == []


# Each breakage changes the good chapter in one way. The rule named must say so, in these words.
Break = Callable[[list[Any]], None]
BREAKS: list[tuple[str, str, Break]] = []


def breaks(rule: str, message: str) -> Callable[[Break], Break]:
    """Register a breakage for a rule and a part of the message it must produce."""

    def register(change: Break) -> Break:
        BREAKS.append((rule, message, change))
        return change

    return register


def at(cells: list[Any], text: str) -> int:
    """The index of the first cell whose source contains `text`."""
    return next(i for i, cell in enumerate(cells) if text in cell.source)


def plot(cells: list[Any]) -> Any:
    """The plot cell."""
    return cells[at(cells, "figures.show")]


def replace(cells: list[Any], old: str, new: str) -> None:
    """Change the source of the first cell that contains `old`."""
    cell = cells[at(cells, old)]
    cell.source = cell.source.replace(old, new)


@breaks("syntax", "does not parse")
def _(cells: list[Any]) -> None:
    replace(cells, "sp.diff(x**2, x) == 2 * x", "sp.diff(x**2, x == 2 * x")


@breaks("cell-length", "26 non-empty lines; allowed: at most 25")
def _(cells: list[Any]) -> None:
    cells.insert(5, code("\n\n".join(f"a{i} = {i}" for i in range(26))))


@breaks("cell-length", "the median code cell has 7 lines; allowed: at most 6")
def _(cells: list[Any]) -> None:
    seven = "\n".join(f"a{i} = {i}" for i in range(7))
    for _ in range(20):
        cells.insert(5, code(seven))


@breaks("set-up-cell", "does not begin with a title")
def _(cells: list[Any]) -> None:
    cells[0].source = "No title"


@breaks("set-up-cell", "cell 2: [set-up-cell] is not the Colab set-up cell")
def _(cells: list[Any]) -> None:
    cells[1].source = "pass"


@breaks("set-up-cell", "tags are []")
def _(cells: list[Any]) -> None:
    del cells[1].metadata["tags"]


@breaks("imports", "is not the imports cell")
def _(cells: list[Any]) -> None:
    cells[2].source = "x = 1"


@breaks("imports", "cell 6: [imports] imports numpy; allowed: all imports in cell 3")
def _(cells: list[Any]) -> None:
    cells[5].source = "import numpy\n" + cells[5].source


@breaks("imports", "torch is imported and never used")
def _(cells: list[Any]) -> None:
    cells[2].source += "\nimport torch"


@breaks("imports", "sp is imported 2 times")
def _(cells: list[Any]) -> None:
    cells[2].source += "\nimport scipy as sp"


@breaks("helpers", "area is defined 2 times")
def _(cells: list[Any]) -> None:
    cells.insert(6, code("def area(x):\n    return x"))
    cells.insert(6, code("def area(x):\n    return 2 * x"))


@breaks("machine-cells", "machine-dependent output and no assert")
def _(cells: list[Any]) -> None:
    cells.insert(5, code("x = 1", tags=("machine", "nbval-ignore-output")))


@breaks("machine-cells", "tags are ['nbval-ignore-output']")
def _(cells: list[Any]) -> None:
    cells.insert(5, code("assert x > 1", tags=("nbval-ignore-output",)))


@breaks("rhythm", "follows a code cell without a word")
def _(cells: list[Any]) -> None:
    del cells[at(cells, "refuses another constant")]


@breaks("rhythm", "ends the notebook")
def _(cells: list[Any]) -> None:
    cells.append(code("x = 2"))


@breaks("unrun", "was not run")
def _(cells: list[Any]) -> None:
    plot(cells).execution_count = "unrun"


@breaks("unrun", "is empty")
def _(cells: list[Any]) -> None:
    cells.insert(8, code("   "))


@breaks("unrun", "execution count 9; allowed: 3")
def _(cells: list[Any]) -> None:
    cells[5].execution_count = 9


@breaks("errors", "stores ValueError")
def _(cells: list[Any]) -> None:
    output = new_output("error", ename="ValueError", evalue="no", traceback=[])
    cells[5].outputs.append(output)


@breaks("errors", "is tagged raises-exception")
def _(cells: list[Any]) -> None:
    cells[5].metadata["tags"].append("raises-exception")


@breaks("stderr", "wrote 'Warning: old' to stderr")
def _(cells: list[Any]) -> None:
    cells[5].outputs.append(new_output("stream", name="stderr", text="Warning: old\n"))


@breaks("stored-images", "stores ['image/png']")
def _(cells: list[Any]) -> None:
    plot(cells).outputs[0].data["image/png"] = "iVBORw0KGgo="


@breaks("stored-images", "stores an image inside HTML")
def _(cells: list[Any]) -> None:
    plot(cells).outputs[0].data["text/html"] = '<img src="data:image/png;base64,iVBORw0KGgo=">'


@breaks("stored-images", "has an attached image")
def _(cells: list[Any]) -> None:
    cells[3].source += "\n![a](attachment:a.png)"


@breaks("output-kinds", "stores application/vnd.plotly.v1+json")
def _(cells: list[Any]) -> None:
    plot(cells).outputs[0].data["application/vnd.plotly.v1+json"] = {}


@breaks("output-kinds", "calls glue")
def _(cells: list[Any]) -> None:
    plot(cells).source += "\nglue('a', 1)"


@breaks("figure-metadata", "has no mystnb.image.alt")
def _(cells: list[Any]) -> None:
    del plot(cells).metadata["mystnb"]["image"]


@breaks("figure-metadata", "caption 'Two curves'")
def _(cells: list[Any]) -> None:
    plot(cells).metadata["mystnb"]["figure"]["caption"] = "Two curves"


@breaks("figure-metadata", "has no mystnb.figure.name")
def _(cells: list[Any]) -> None:
    del plot(cells).metadata["mystnb"]["figure"]["name"]


@breaks("figure-metadata", "name fig-31-rise is taken")
def _(cells: list[Any]) -> None:
    cells.insert(at(cells, "It bends"), copy.deepcopy(plot(cells)))


@breaks("alt-text", "alternative text of 11 characters; allowed: at least 60")
def _(cells: list[Any]) -> None:
    plot(cells).metadata["mystnb"]["image"]["alt"] = "Two curves."


@breaks("alt-text", "alternative text equals the caption")
def _(cells: list[Any]) -> None:
    plot(cells).metadata["mystnb"]["figure"]["caption"] = ALT.upper()


@breaks("alt-text", "begins 'Plot of the sigmoid")
def _(cells: list[Any]) -> None:
    plot(cells).metadata["mystnb"]["image"]["alt"] = f"Plot of the sigmoid. {ALT}"


@breaks("figure-description", "stores '<Figure size 640x480 with 1 Axes and a long name>'")
def _(cells: list[Any]) -> None:
    data = plot(cells).outputs[0].data
    data["text/plain"] = "<Figure size 640x480 with 1 Axes and a long name>"


@breaks("figure-description", "stores nothing")
def _(cells: list[Any]) -> None:
    plot(cells).outputs = []


@breaks("proofs", "is a proof without a wrong twin")
def _(cells: list[Any]) -> None:
    del cells[at(cells, "!= 3 * x")].metadata["tags"]


@breaks("proofs", "is a proof without a wrong twin")
def _(cells: list[Any]) -> None:  # the twin of one proof does not serve another
    cells.insert(6, code("assert sp.diff(x, x) == 1", tags=("proof",)))


@breaks("proofs", "is tagged proof and asserts nothing that could fail")
def _(cells: list[Any]) -> None:
    cells[5].source = "x = sp.Symbol('x')\nassert True\nassert x == x"


@breaks("proofs", "does not assert a rejection")
def _(cells: list[Any]) -> None:
    replace(cells, "assert sp.diff(x**2, x) != 3 * x", "assert sp.diff(x**2, x) == 2 * x")


@breaks("proofs", "is a wrong twin without a proof")
def _(cells: list[Any]) -> None:
    del cells[5].metadata["tags"]


@breaks("proofs", "holds proof and twin in one assert")
def _(cells: list[Any]) -> None:
    cells[5].metadata["tags"] = ["proof", "wrong-twin"]


@breaks("proofs", "has no cell tagged proof")
def _(cells: list[Any]) -> None:
    for cell in cells:
        cell.metadata.pop("tags", None)


@breaks("untagged-proofs", "asserts a simplification to zero")
def _(cells: list[Any]) -> None:
    cells.insert(8, code("assert sp.simplify(x - x) == 0"))


@breaks("boxes", "audit.decide 001-002 is lost and not shown; allowed: the last expression")
def _(cells: list[Any]) -> None:
    cells.insert(8, code("audit.decide('001-002', holds=bool(x))\ny = 1"))


@breaks("boxes", "audit.decide 001-002 is kept as kept and not shown")
def _(cells: list[Any]) -> None:
    cells.insert(8, code("kept = audit.decide('001-002', holds=bool(x))"))


@breaks("training-output", "trains and stores 0.93")
def _(cells: list[Any]) -> None:
    cells.insert(8, code("rows = train.fit(configs)", outputs=(shown(text_plain="0.93"),)))


@breaks("verdicts", "9 verdicts in the text; allowed: at most 8")
def _(cells: list[Any]) -> None:
    for n in range(8):
        decide = code(f"audit.decide('001-10{n}', holds=bool(x))")
        cells.insert(at(cells, "audit.decide"), decide)


@breaks("verdicts", "001-001 is decided twice")
def _(cells: list[Any]) -> None:
    cells.insert(at(cells, "## Exercises"), copy.deepcopy(cells[at(cells, "audit.decide")]))


@breaks("verdicts", "decides no claim")
def _(cells: list[Any]) -> None:
    replace(cells, "audit.decide('001-001', holds=bool(x))", "bool(x)")


@breaks("predictions", "scores P31-1 before predicting it")
def _(cells: list[Any]) -> None:
    place = at(cells, "audit.score")
    cells.insert(at(cells, "audit.predict"), cells.pop(place))


@breaks("predictions", "scores P31-1 with no result in between")
def _(cells: list[Any]) -> None:
    del cells[at(cells, "figures.show")]
    replace(cells, "came_true=bool(x)", "came_true=x")


@breaks("predictions", "predicts P31-1 and never scores it")
def _(cells: list[Any]) -> None:
    del cells[at(cells, "audit.score")]


@breaks("predictions", "records no prediction")
def _(cells: list[Any]) -> None:
    for word in ("audit.predict", "audit.score"):
        del cells[at(cells, word)]


@breaks("exercises", "4 exercises; allowed: at least 5")
def _(cells: list[Any]) -> None:
    del cells[at(cells, ":label: ex-31-5")]


@breaks("exercises", "exercise label 'first'; allowed: ex-31-1")
def _(cells: list[Any]) -> None:
    for _ in range(2):
        replace(cells, "ex-31-1", "first")


@breaks("exercises", "exercise label ex-31-2 is taken")
def _(cells: list[Any]) -> None:
    replace(cells, ":label: ex-31-3", ":label: ex-31-2")


@breaks("exercises", "exercise ex-31-5 has 0 solutions")
def _(cells: list[Any]) -> None:
    replace(cells, "{solution-start} ex-31-5", "{note} x")


@breaks("solutions", "solution ex-31-1 has code and asserts nothing")
def _(cells: list[Any]) -> None:
    replace(cells, "assert answer == 1 + 1", "assert answer == answer")


@breaks("solutions", "solution ex-31-5 is not folded")
def _(cells: list[Any]) -> None:
    cells[at(cells, "solution-start} ex-31-5")].source = "```{solution-start} ex-31-5\n```"


@breaks("solutions", "solution ex-31-5 never ends")
def _(cells: list[Any]) -> None:
    del cells[at(cells, "{solution-start} ex-31-5") + 1]


@breaks("solutions", "solves 'ex-31-9'")
def _(cells: list[Any]) -> None:
    replace(cells, "{solution-start} ex-31-5", "{solution-start} ex-31-9")


@breaks(
    "numbers", "0.965 in prose; allowed: numbers in the code or output of a cell within 2 cells"
)
def _(cells: list[Any]) -> None:
    replace(cells, "0.964", "0.965")


@breaks("numbers", "0.964 in prose")
def _(cells: list[Any]) -> None:  # true, and three cells away from its evidence
    replace(cells, "It bends.", "It bends at 0.964.")


@breaks("numbers", "97.36 in prose")
def _(cells: list[Any]) -> None:
    plot(cells).metadata["mystnb"]["figure"]["caption"] = (
        "The curve ends at 97.36 % and stays there"
    )


@breaks("macros", r"uses \E; allowed: plain LaTeX, \mathbb{E}")
def _(cells: list[Any]) -> None:
    cells[3].source += "\nThe mean $\\E f$, not the element $x \\in y$."


@breaks("citations", "cites unknown1999")
def _(cells: list[Any]) -> None:
    cells[3].source += "\nSee {cite}`known2010,unknown1999`."


@breaks("citations", "cites bare2010, which has no identifier")
def _(cells: list[Any]) -> None:
    replace(cells, "holds=bool(x)", "cites='bare2010'")


@breaks("forbidden-words", "the words 'Obviously'")
def _(cells: list[Any]) -> None:
    cells[3].source += "\nObviously, it rises."


@breaks("forbidden-words", "a path or address of a machine, '/home/me'")
def _(cells: list[Any]) -> None:
    cells[5].source += "\npath = '/home/me'"


@breaks("forbidden-words", "a path or address of a machine, 'at 0x7f3a2b1c'")
def _(cells: list[Any]) -> None:
    cells[5].outputs.append(shown(text_plain="<function f at 0x7f3a2b1c>"))


@breaks("forbidden-words", "a host, ")
def _(cells: list[Any]) -> None:
    cells[5].source += f"\nhost = '{'.'.join(('files', 'pythonhosted', 'org'))}'"


@breaks("sections", "has no section 'Implement'")
def _(cells: list[Any]) -> None:
    replace(cells, "## Implement", "## Code")


@breaks("sections", "sections out of order")
def _(cells: list[Any]) -> None:
    cells.insert(4, md("## Summary\n\nFirst."))


@breaks("sections", "2 titles")
def _(cells: list[Any]) -> None:
    cells.append(md("# Another"))


@breaks("sections", "'Deep' skips a level")
def _(cells: list[Any]) -> None:
    cells[4].source += "\n\n#### Deep"


@breaks("opening", "asks no question")
def _(cells: list[Any]) -> None:
    replace(cells, "rise?", "rise.")


@breaks("opening", "has no box of goals")
def _(cells: list[Any]) -> None:
    replace(cells, ":class: goals", ":class: note")


@breaks("opening", "2 goals; allowed: 3 to 5")
def _(cells: list[Any]) -> None:
    replace(cells, "- see it\n", "")


@breaks("opening", "does not name what it mirrors")
def _(cells: list[Any]) -> None:
    replace(cells, "001 §4 and 004 §1.3", "a document")


@breaks("measured", "measures without a prediction")
def _(cells: list[Any]) -> None:
    del cells[at(cells, "audit.predict")]


@breaks("measured", "the section on the document decides nothing")
def _(cells: list[Any]) -> None:
    del cells[at(cells, "audit.decide")]


@breaks("derived", "derives with the package's record")
def _(cells: list[Any]) -> None:
    cells.insert(5, code("act = catalogue['tanh']"))


@breaks("summary", "cites nothing")
def _(cells: list[Any]) -> None:
    replace(cells, " Read {cite:t}`known2010`.", "")


@breaks("size", "1 figures; allowed: 6 to 12")
def _(cells: list[Any]) -> None:
    pass


@breaks("size", "words of argument; allowed: 2500 to 5000")
def _(cells: list[Any]) -> None:
    cells[3].source += "\nword" * 5001


@pytest.mark.parametrize(
    ("rule", "message", "change"), BREAKS, ids=[f"{r}-{m[:30]}" for r, m, _ in BREAKS]
)
def test_each_breakage_is_named(rule: str, message: str, change: Break, bibliography: Path) -> None:
    cells = good()
    change(cells)
    found = [str(finding) for finding in find(rule, cells, bibliography)]
    assert any(message in text for text in found), found
    assert all(text.startswith(NAME) and "; allowed: " in text for text in found)


FOLDED = [
    "audit.fold(audit.decide('{0}', holds=bool(x)), audit.decide('{0}b', holds=bool(x)))",
    "v = audit.decide('{0}', holds=bool(x))\naudit.fold(v)",
    "vs = [audit.decide('{0}', holds=bool(x))]\nvs.append(audit.decide('{0}b', holds=1 < x))\n"
    "audit.fold(vs, title='more')",
]


@pytest.mark.parametrize("source", FOLDED)
def test_folded_verdicts_do_not_count(source: str, bibliography: Path) -> None:
    cells = good()
    for n in range(9):
        cells.insert(at(cells, "## Exercises"), code(source.format(f"001-1{n:02d}")))
    assert find("verdicts", cells, bibliography) == []
    assert find("boxes", cells, bibliography) == []


def test_displayed_verdicts_count(bibliography: Path) -> None:
    cells = good()
    calls = "\n".join(f"display(audit.decide('001-1{n:02d}', holds=bool(x)))" for n in range(8))
    cells.insert(at(cells, "## Exercises"), code(calls))
    assert "9 verdicts" in find("verdicts", cells, bibliography)[0].found
    assert find("boxes", cells, bibliography) == []


def test_every_rule_has_a_breakage() -> None:
    assert {rule for rule, _, _ in BREAKS} == set(lint.RULES)


def test_every_rule_says_what_it_checks() -> None:
    for rule in lint.RULES.values():
        assert rule.summary.endswith(".") and len(rule.summary) > 20, rule.name
        assert rule.level in ("error", "warning")


# Rules that compare chapters ---------------------------------------------------------------------


def other(change: Break = lambda cells: None) -> Chapter:
    """A chapter that stands before, with labels of its own."""
    cells = good()
    for cell in cells:
        cell.source = cell.source.replace("ex-31-", "ex-30-")
    plot(cells).metadata["mystnb"]["figure"]["name"] = "fig-30"
    change(cells)
    return chapter(cells, "book/part9/30_other.ipynb")


def test_two_good_chapters_pass_together(bibliography: Path) -> None:
    subject = chapter(good())
    book = lint.Book((other(), subject), bibliography)
    found = [f for rule in lint.RULES.values() if rule.name != "size" for f in rule(subject, book)]
    assert found == []


@pytest.mark.parametrize(
    ("rule", "message", "change"),
    [
        ("set-up-cell", "differs from", lambda cells: cells[1].update(source=SET_UP + "\n# x")),
        (
            "figure-metadata",
            "name fig-31-rise is taken in book/part9/30_other.ipynb",
            lambda cells: plot(cells).metadata["mystnb"]["figure"].update(name="fig-31-rise"),
        ),
        (
            "exercises",
            "exercise label ex-31-1 is taken in",
            lambda cells: replace(cells, ":label: ex-30-1", ":label: ex-31-1"),
        ),
    ],
)
def test_chapters_are_held_against_each_other(
    rule: str, message: str, change: Break, bibliography: Path
) -> None:
    found = find(rule, good(), bibliography, other(change))
    assert any(message in str(finding) for finding in found), found
    assert find(rule, good(), bibliography, other()) == []


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ("def f(x):\n    return x", "def f(x):\n    return 2 * x", "f is also defined in"),
        ("def f(x):\n    return x + 1", "def g(x):\n    return x + 1", "g repeats f of"),
    ],
)
def test_helpers_are_not_written_twice(
    first: str, second: str, message: str, bibliography: Path
) -> None:
    cells = good()
    cells.insert(6, code(second))
    before = other(lambda cells: cells.insert(6, code(first)))
    assert message in str(find("helpers", cells, bibliography, before)[0])
    assert find("helpers", cells, bibliography, other()) == []


# Numbers -----------------------------------------------------------------------------------------


def numbers(text: str, source: str = "pass", output: str = "") -> list[str]:
    """The numbers in `text` that the code cell beside it does not show."""
    outputs = (shown(text_plain=output),) if output else ()
    subject = chapter([md(text), code(source, outputs=outputs)])
    return [f.found.split()[0] for f in lint.RULES["numbers"](subject)]


@pytest.mark.parametrize(
    "text",
    [
        "Two digits: 0.05, 42, 1e-16, $10^{-5}$.",
        "In 1986, and by {cite:t}`he2015` in 2015.",
        "Record 001-042, prediction P06-12, exercise ex-05-12.",
        "See 001 §5.4, 000 §1, 2.115 and §3.2.1; arXiv:1502.01852.",
        "All of it: 100 %, 100 per cent.",
        "`float16`, float64, `nn.Linear(784, 128)`, int128.",
        "[a page](https://example.org/12345), https://example.org/12345, <b>bold</b>",
        "```python\nx = 12345\n```",
        "```{figure} a.svg\n:width: 640px\n```",
        "(section-12345)=\n# Title",
        "<!-- 12345 -->",
    ],
)
def test_names_and_short_numbers_need_no_evidence(text: str) -> None:
    assert numbers(text) == []


@pytest.mark.parametrize(
    ("text", "source", "output"),
    [
        ("The value is 0.881.", "pass", "0.8807970779778823"),
        ("The value is $0.8808$.", "pass", "0.8807970779778823"),
        ("an accuracy of 97.36 %", "accuracy = 0.9736", ""),
        ("an accuracy of $97.4\\,\\%$", "accuracy = 0.9736", ""),
        ("60,000 images", "n = 60_000", ""),
        ("60 000 and $60{,}000$ images of $784$ numbers", "n = 60000, 784", ""),
        ("layers of (784,128,10)", "widths = (784, 128, 10)", ""),
        ("about $1.24 \\cdot 10^{-5}$", "pass", "1.2397e-05"),
        ("about 1.24 × 10⁻⁵", "pass", "1.2397e-05"),
        ("about 1.24e-5", "pass", r"1.24 \cdot 10^{-5}"),
        ("a difference of −0.125", "pass", "-0.125"),
        ("a tie, 0.1234", "pass", "0.12345"),
        ("a tie, 0.1235", "pass", "0.12345"),
        ("a table entry 0.412", "pass", "<td>0.412</td>"),
        ("`0.881` in code type", "pass", "0.8807970779778823"),
    ],
)
def test_numbers_near_their_evidence_pass(text: str, source: str, output: str) -> None:
    assert numbers(text, source, output) == []
    assert numbers(text), "the same text without its evidence must fail"


@pytest.mark.parametrize(
    ("text", "output"),
    [
        ("The value is 0.880.", "0.8807970779778823"),
        ("The value is 0.8809.", "0.8807970779778823"),
        ("The value is 881.", "0.8807970779778823"),
        ("1.24 × 10⁻⁴", "1.24e-05"),
        ("2,345 images", "12345"),
        ("97.36 as a plain number", "0.9736"),
        ("```{admonition} A box\nwith 0.123 inside\n```", "0.5"),
        ("```{admonition} A title of 1234\nbox\n```", "0.5"),
        ("`12345` in code type", "0.5"),
    ],
)
def test_numbers_that_were_not_shown_are_found(text: str, output: str) -> None:
    assert len(numbers(text, "pass", output)) == 1


# Reading -----------------------------------------------------------------------------------------


def test_nested_directives_are_read() -> None:
    inner = "```{note} Mind\nthis\n```"
    text = f"````{{solution}} ex-1\n:class: dropdown wide\n\n{inner}\n````\n:::{{tip}}\n:::"
    found = list(directives(text))
    assert [d.name for d in found] == ["solution", "note", "tip"]
    assert found[0].argument == "ex-1" and found[0].classes == {"dropdown", "wide"}
    assert found[1].argument == "Mind" and found[1].body == "this"


def test_directives_inside_code_are_not_read() -> None:
    assert list(directives("```text\n```{exercise}\n```")) == []


def test_headings_inside_code_are_not_headings() -> None:
    subject = chapter([md("# Title\n\n```python\n# comment\n```\n\n## Derive")])
    assert [(h.level, h.title) for h in subject.headings] == [(1, "Title"), (2, "Derive")]


def test_words_count_prose_alone() -> None:
    text = "Two words, $a + b$ and {cite}`x2010`.\n\n```python\nnot counted\n```\n`nor this`"
    assert words(text) == 3
    assert "not counted" not in prose(text)


def test_forbidden_words_spare_titles_of_works() -> None:
    assert not list(lint.forbidden_in("Dive into Deep Learning", "Dive into Deep Learning"))
    assert list(lint.forbidden_in("we dive into it", ""))


def test_two_rules_cannot_share_a_name() -> None:
    with pytest.raises(ValueError, match="two rules are called 'numbers'"):
        lint.rule("numbers")(lambda chapter, book: iter(()))


# The command -------------------------------------------------------------------------------------


def test_the_command_fails_on_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cells = good()
    cells[5].outputs.append(new_output("stream", name="stderr", text="old"))
    path = tmp_path / "31_example.ipynb"
    nbformat.write(new_notebook(cells=cells), path)
    assert lint.main([str(path), "--only", "stderr"]) == 1
    assert "cell 6: [stderr] wrote 'old' to stderr; allowed: no warnings" in capsys.readouterr().out
    assert lint.main([str(path), "--only", "errors"]) == 0


def test_the_command_lists_its_rules(capsys: pytest.CaptureFixture[str]) -> None:
    assert lint.main(["--rules"]) == 0
    assert all(name in capsys.readouterr().out for name in ["numbers"])
