"""Honest cells: the rules that every chapter keeps, each a small function with a name.

    python -m bookmaker.lint                 # every page in the table of contents
    python -m bookmaker.lint FILE …          # these notebooks or pages
    python -m bookmaker.lint --rules         # what is checked

A finding names the file, the cell (counted from 1), what was found and what is allowed. Errors
make the command fail; warnings are printed only.
"""

from __future__ import annotations

import argparse
import ast
import re
import statistics
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Context, Decimal, localcontext
from functools import cached_property
from pathlib import Path

from bookmaker.chapter import (
    ROLE,
    Cell,
    Chapter,
    Directive,
    dotted,
    prose,
    words,
)
from bookmaker.layout import BOOK, ROOT, pages, relative

# What is allowed -------------------------------------------------------------------------------

MEDIAN_LINES, MOST_LINES = 6, 25
LEAST_EXERCISES = 5
MOST_VERDICTS = 8
LEAST_ALT, LEAST_ALT_WORDS, LEAST_CAPTION_WORDS, LEAST_DESCRIPTION = 60, 12, 6, 40
GOALS = (3, 5)
WORDS, CODE_CELLS, FIGURES = (2500, 5000), (25, 45), (6, 12)
REACH = 2  # how many cells away the evidence for a number, or the twin of a proof, may stand
CLOSING = 2  # the code cells at the end of a derivation that may compare it with the package
DIGITS = 3  # from how many significant digits on a number in prose needs evidence

SECTIONS = ("Derive", "Implement", "Measure", "What the document says", "Exercises", "Summary")
BOXES = ("audit.decide", "audit.predict", "audit.score", "audit.fold")
HIDDEN = frozenset({"remove-cell", "hide-cell", "remove-input", "hide-input"})
FOLDED = frozenset({"hide-cell", "hide-output", "remove-cell", "remove-output"})

# Words that praise, hurry or fill. A text that needs them has not shown its point yet.
FORBIDDEN_WORDS = (
    r"simply put|obviously|trivially|needless to say|of course|as we all know|it is easy to see|"
    r"it(?:'s| is) (?:important|worth|crucial|essential) (?:to note|noting|mentioning)|"
    r"game.chang\w+|revolutioni[sz]\w+|groundbreaking|ground-breaking|cutting.edge|"
    r"state.of.the.art|world.class|best.in.class|next.generation|seamless(?:ly)?|unleash\w*|"
    r"supercharg\w+|turbocharg\w+|blazing(?:ly)?|lightning.fast|incredibl[ey]|amazing(?:ly)?|"
    r"awesome|stunning(?:ly)?|magical(?:ly)?|delve\w*|delving|leverag(?:e[sd]?|ing)|utili[sz]\w+|"
    r"plethora|myriad|tapestry|paradigm shift|deep dive|dive into|let's explore|"
    r"in today's|in the (?:realm|world|landscape) of|unlock(?:s|ed|ing)? the|"
    r"embark\w*|testament to|ever.evolving|fast.paced|in conclusion|"
    r"todo|fixme|xxx|placeholder|coming soon|lorem ipsum|to be written|work in progress"
)
FORBIDDEN_TITLES = re.compile(r"Dive into Deep Learning|Delving Deep into Rectifiers", re.I)
MACHINE = re.compile(
    r"(?<![\w.])/(?:home|root|tmp|work|Users|mnt|opt|var)/[\w.-]*|\b[A-Z]:\\\w+|"
    r"\bat 0x[0-9a-f]{6,}"
)
HOSTS = re.compile(
    r"\b[\w.-]*(?:pypi|pythonhosted|npmjs|anaconda|artifactory|jfrog|devpi)[\w-]*\.[a-z]{2,}\b"
    r"|--(?:extra-)?index-url",
    re.I,
)

# The machinery ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Finding:
    """One departure from a rule. Cell 0 means the notebook as a whole."""

    name: str
    cell: int
    rule: str
    found: str
    allowed: str
    level: str = "error"

    def __str__(self) -> str:
        where = f"{self.name}, cell {self.cell}" if self.cell else self.name
        return f"{where}: [{self.rule}] {self.found}; allowed: {self.allowed}"


@dataclass(frozen=True)
class Book:
    """What a rule may compare a chapter with: the other chapters and the bibliography."""

    chapters: tuple[Chapter, ...]
    bibliography: Path = BOOK / "references.bib"
    config: Path = ROOT / "_config.yml"

    def before(self, chapter: Chapter) -> list[Chapter]:
        """The chapters that stand before `chapter`."""
        names = [other.name for other in self.chapters]
        return list(self.chapters[: names.index(chapter.name)]) if chapter.name in names else []

    @cached_property
    def references(self) -> dict[str, dict[str, str]]:
        """Fields of every entry of the bibliography, by key."""
        from pybtex.database import parse_file

        if not self.bibliography.exists():
            return {}
        entries = parse_file(str(self.bibliography)).entries
        return {key: {k.lower(): v for k, v in e.fields.items()} for key, e in entries.items()}

    @cached_property
    def macros(self) -> dict[str, str]:
        """The LaTeX macros that the built book defines, each with what it stands for."""
        import yaml

        if not self.config.exists():
            return {}
        config = yaml.safe_load(self.config.read_text(encoding="utf-8"))
        mathjax = config.get("sphinx", {}).get("config", {}).get("mathjax3_config", {})
        defined = mathjax.get("tex", {}).get("macros", {})
        return {name: str(d if isinstance(d, str) else d[0]) for name, d in defined.items()}


Found = tuple[int, str, str]
Check = Callable[[Chapter, Book], Iterator[Found]]


@dataclass(frozen=True)
class Rule:
    """A named check and how much it weighs."""

    name: str
    level: str
    check: Check

    @property
    def summary(self) -> str:
        """The first line of the check's docstring."""
        return (self.check.__doc__ or "").strip().splitlines()[0]

    def __call__(self, chapter: Chapter, book: Book | None = None) -> list[Finding]:
        """The findings of this rule in one chapter."""
        book = book if book is not None else Book((chapter,))
        return [
            Finding(chapter.name, cell, self.name, found, allowed, self.level)
            for cell, found, allowed in self.check(chapter, book)
        ]


RULES: dict[str, Rule] = {}


def rule(name: str, level: str = "error") -> Callable[[Check], Check]:
    """Register a check under a name."""

    def register(check: Check) -> Check:
        if name in RULES:
            raise ValueError(f"two rules are called {name!r}")
        RULES[name] = Rule(name, level, check)
        return check

    return register


def lint(chapters: Sequence[Chapter], rules: Iterable[str] | None = None) -> list[Finding]:
    """All findings in `chapters`, chapter by chapter."""
    book = Book(tuple(chapters))
    chosen = [RULES[name] for name in (RULES if rules is None else rules)]
    return [finding for c in chapters for r in chosen for finding in r(c, book)]


def _quote(text: str, length: int = 60) -> str:
    """Text for a message: one line, shortened."""
    line = " ".join(text.split())
    return repr(line if len(line) <= length else line[: length - 1] + "…")


def _plain(text: str) -> str:
    """Letters and digits only, for comparing two texts."""
    return re.sub(r"[^a-z0-9]+", " ", text.lower()).strip()


def _setup(chapter: Chapter) -> Cell | None:
    """The Colab set-up cell: the first code cell."""
    return chapter.code[0] if chapter.code else None


def _imports(chapter: Chapter) -> Cell | None:
    """The imports cell: the second code cell."""
    return chapter.code[1] if len(chapter.code) > 1 else None


def _working(chapter: Chapter) -> list[Cell]:
    """The code cells after the set-up cell."""
    return chapter.code[1:]


def _text_between(chapter: Chapter) -> list[Cell]:
    """The code cells of the argument: after set-up and imports, outside solutions."""
    return [c for c in chapter.code[2:] if not chapter.in_solution(c.number)]


# Code ------------------------------------------------------------------------------------------


@rule("syntax")
def syntax(chapter: Chapter, book: Book) -> Iterator[Found]:
    """Every code cell parses."""
    for cell in chapter.code:
        try:
            ast.parse(cell.python)
        except SyntaxError as error:
            yield cell.number, f"does not parse ({error.msg}, line {error.lineno})", "valid Python"


@rule("cell-length")
def cell_length(chapter: Chapter, book: Book) -> Iterator[Found]:
    """Code cells are short: median at most 6 non-empty lines, none over 25."""
    lengths = [len(cell.lines) for cell in _working(chapter)]
    for cell, length in zip(_working(chapter), lengths, strict=True):
        if length > MOST_LINES:
            yield cell.number, f"{length} non-empty lines", f"at most {MOST_LINES}"
    if lengths and (median := statistics.median(lengths)) > MEDIAN_LINES:
        yield 0, f"the median code cell has {median:g} lines", f"at most {MEDIAN_LINES}"


@rule("set-up-cell")
def set_up_cell(chapter: Chapter, book: Book) -> Iterator[Found]:
    """A title, then the hidden Colab set-up cell, the same in all notebooks."""
    allowed = "cell 1 is Markdown with the title, cell 2 the hidden Colab set-up cell"
    if not chapter.cells or not re.match(r"#\s", chapter.cells[0].source.lstrip()):
        yield 1, "does not begin with a title", allowed
    setup = _setup(chapter)
    if setup is None or setup.number != 2 or "actbook" not in setup.source:
        yield 2, "is not the Colab set-up cell", allowed
        return
    if not setup.tags & HIDDEN:
        yield 2, f"tags are {sorted(setup.tags)}", f"one of {sorted(HIDDEN)}"
    for other in book.before(chapter)[:1]:
        first = _setup(other)
        if first is not None and first.source != setup.source:
            yield 2, f"differs from the set-up cell of {other.name}", "the same in every notebook"


def _imported(tree: ast.AST) -> list[tuple[str, str]]:
    """(what, name it is bound to) for every import in a syntax tree."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(a.name, a.asname or a.name.split(".")[0]) for a in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [(f"{node.module}.{a.name}", a.asname or a.name) for a in node.names]
    return found


@rule("imports")
def imports(chapter: Chapter, book: Book) -> Iterator[Found]:
    """All imports stand in one cell, right after the set-up; each is used and made once."""
    cell = _imports(chapter)
    if cell is None or not _imported(cell.tree):
        number = cell.number if cell else 0
        yield number, "is not the imports cell", "imports in the first code cell after the set-up"
        return
    for other in chapter.code[2:]:
        for what, _ in _imported(other.tree):
            yield other.number, f"imports {what}", f"all imports in cell {cell.number}"
    used = {
        node.id
        for other in chapter.code[1:]
        for node in ast.walk(other.tree)
        if isinstance(node, ast.Name)
    }
    counts = Counter(name for _, name in _imported(cell.tree))
    for what, name in _imported(cell.tree):
        if name not in used and not what.startswith("__future__"):
            yield cell.number, f"{what} is imported and never used", "imports that are used"
    for name, count in counts.items():
        if count > 1:
            yield cell.number, f"{name} is imported {count} times", "once"


def _functions(chapter: Chapter) -> dict[str, tuple[int, str]]:
    """Functions and classes a chapter defines: name → (cell, body as a syntax dump)."""
    found: dict[str, tuple[int, str]] = {}
    for cell in _working(chapter):
        for node in cell.tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                body = "".join(ast.dump(line) for line in node.body)
                found.setdefault(node.name, (cell.number, body))
    return found


@rule("helpers")
def helpers(chapter: Chapter, book: Book) -> Iterator[Found]:
    """No function is defined twice, in one notebook or in two."""
    allowed = "one definition; what two chapters need belongs in the package"
    names = Counter(
        node.name
        for cell in _working(chapter)
        for node in cell.tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
    )
    own = _functions(chapter)
    for name, count in names.items():
        if count > 1:
            yield own[name][0], f"{name} is defined {count} times", allowed
    for other in book.before(chapter):
        theirs = _functions(other)
        bodies = {body: name for name, (_, body) in theirs.items()}
        for name, (number, body) in own.items():
            if name in theirs:
                yield number, f"{name} is also defined in {other.name}", allowed
            elif body in bodies:
                yield number, f"{name} repeats {bodies[body]} of {other.name}", allowed


@rule("machine-cells")
def machine_cells(chapter: Chapter, book: Book) -> Iterator[Found]:
    """A cell whose output depends on the machine says so by tag and asserts a property instead."""
    for cell in _working(chapter):
        ours, theirs = "machine" in cell.tags, "nbval-ignore-output" in cell.tags
        if ours != theirs:
            yield cell.number, f"tags are {sorted(cell.tags)}", "machine and nbval-ignore-output"
        if (ours or theirs) and not cell.asserts:
            yield cell.number, "has a machine-dependent output and no assert", "an assert"


@rule("rhythm")
def rhythm(chapter: Chapter, book: Book) -> Iterator[Found]:
    """A sentence stands before and after each code cell of the argument."""
    allowed = "a sentence before each code cell and one after it"
    for cell in _text_between(chapter):
        if cell.tags & HIDDEN or cell.calls_any(*BOXES):
            continue
        before = chapter.cells[cell.number - 2]
        after = chapter.cells[cell.number] if cell.number < len(chapter.cells) else None
        if before.is_code and not before.calls_any(*BOXES) and not before.tags & HIDDEN:
            yield cell.number, "follows a code cell without a word", allowed
        if after is None:
            yield cell.number, "ends the notebook", allowed


# Outputs ---------------------------------------------------------------------------------------


@rule("unrun")
def unrun(chapter: Chapter, book: Book) -> Iterator[Found]:
    """Every code cell has been run, once, from top to bottom; none is empty."""
    for place, cell in enumerate(chapter.code, start=1):
        if not cell.source.strip():
            yield cell.number, "is empty", "cells with code"
        elif cell.execution_count is None:
            yield cell.number, "was not run", "executed cells"
        elif cell.execution_count != place:
            found = f"execution count {cell.execution_count}"
            yield cell.number, found, f"{place}: run once, from top to bottom"


@rule("errors")
def errors(chapter: Chapter, book: Book) -> Iterator[Found]:
    """No cell stores an error; an expected one is caught and asserted."""
    for cell in chapter.code:
        for output in cell.outputs:
            if output.get("output_type") == "error":
                yield cell.number, f"stores {output.get('ename')}", "no error; catch and assert it"
        if "raises-exception" in cell.tags:
            yield cell.number, "is tagged raises-exception", "catch the exception and assert it"


@rule("stderr")
def stderr(chapter: Chapter, book: Book) -> Iterator[Found]:
    """No cell writes to stderr."""
    for cell in chapter.code:
        for output in cell.outputs:
            if output.get("output_type") == "stream" and output.get("name") == "stderr":
                text = _quote("".join(output.get("text", "")))
                yield cell.number, f"wrote {text} to stderr", "no warnings"


@rule("stored-images")
def stored_images(chapter: Chapter, book: Book) -> Iterator[Found]:
    """No image is stored: figures are drawn when the book is built."""
    for cell in chapter.code:
        for output in cell.outputs:
            kinds = [kind for kind in output.get("data", {}) if kind.startswith("image/")]
            if kinds or "data:image/" in str(output.get("data", "")):
                yield cell.number, f"stores {kinds or 'an image inside HTML'}", "text outputs only"
    for cell in chapter.markdown:
        if cell.metadata.get("attachments") or "](attachment:" in cell.source:
            yield cell.number, "has an attached image", "figures drawn by code, or files"


@rule("output-kinds")
def output_kinds(chapter: Chapter, book: Book) -> Iterator[Found]:
    """Outputs are text, HTML or LaTeX: no widgets, no Plotly, no glue."""
    for cell in chapter.code:
        for output in cell.outputs:
            for kind in output.get("data", {}):
                if not kind.startswith(("text/", "image/")):
                    yield cell.number, f"stores {kind}", "text/plain, text/html, text/latex"
        if cell.calls_any("glue", "myst_nb.glue"):
            yield cell.number, "calls glue", "numbers in words, beside the cell that prints them"


@rule("training-output")
def training_output(chapter: Chapter, book: Book) -> Iterator[Found]:
    """A cell that trains stores no floats: they depend on the machine."""
    for cell in chapter.code:
        if cell.calls_any("train.fit", "studies.run") and not cell.tags & {"machine"}:
            floats = re.findall(r"\d\.\d+", cell.output_text)
            if floats:
                yield cell.number, f"trains and stores {floats[0]}", "no floats, or the tag machine"


# Figures ---------------------------------------------------------------------------------------


@rule("figure-metadata")
def figure_metadata(chapter: Chapter, book: Book) -> Iterator[Found]:
    """Every plot cell has a caption that concludes, a name of its own and an alternative text."""
    taken = {_mystnb(cell)[2]: other.name for other in book.before(chapter) for cell in other.plots}
    for cell in chapter.plots:
        alt, caption, name = _mystnb(cell)
        if not alt:
            yield cell.number, "has no mystnb.image.alt", "an alternative text in the metadata"
        if len(caption.split()) < LEAST_CAPTION_WORDS:
            found = f"caption {_quote(caption)}"
            yield cell.number, found, f"a conclusion of at least {LEAST_CAPTION_WORDS} words"
        if not name:
            yield cell.number, "has no mystnb.figure.name", "a name to refer to"
        elif name in taken:
            yield cell.number, f"name {name} is taken in {taken[name]}", "names used once"
        taken.setdefault(name, chapter.name)


def _mystnb(cell: Cell) -> tuple[str, str, str]:
    """(alternative text, caption, name) of a plot cell."""
    mystnb = cell.metadata.get("mystnb", {})
    image, figure = mystnb.get("image", {}), mystnb.get("figure", {})
    return image.get("alt", ""), figure.get("caption", ""), figure.get("name", "")


PICTURE = re.compile(r"(an? |the )?(plot|image|picture|figure|graph|chart)s? (of|showing)", re.I)


@rule("alt-text")
def alt_text(chapter: Chapter, book: Book) -> Iterator[Found]:
    """An alternative text says what is seen, at length, and does not repeat the caption."""
    for cell in chapter.plots:
        alt, caption, _ = _mystnb(cell)
        if not alt:
            continue
        if len(alt) < LEAST_ALT or len(alt.split()) < LEAST_ALT_WORDS:
            allowed = f"at least {LEAST_ALT} characters and {LEAST_ALT_WORDS} words"
            yield cell.number, f"alternative text of {len(alt)} characters", allowed
        if _plain(alt) == _plain(caption):
            yield cell.number, "alternative text equals the caption", "what is seen, not concluded"
        if PICTURE.match(alt):
            yield cell.number, f"begins {_quote(alt, 30)}", "what is seen, not that it is a plot"


@rule("figure-description")
def figure_description(chapter: Chapter, book: Book) -> Iterator[Found]:
    """Every plot cell stores a description of its figure as text, which strict nbval compares."""
    for cell in chapter.plots:
        texts = [
            "".join(output["data"].get("text/plain", ""))
            for output in cell.outputs
            if "data" in output
        ]
        good = [t for t in texts if len(t) >= LEAST_DESCRIPTION and not t.startswith("<Figure")]
        if not good:
            found = _quote(texts[0]) if texts else "nothing"
            yield cell.number, f"stores {found}", "the description that figures.show writes"


# Proofs, verdicts, predictions -------------------------------------------------------------------


def _trivial(test: ast.expr) -> bool:
    """Whether an assertion cannot fail: a literal, or a thing compared with itself."""
    if isinstance(test, ast.Constant):
        return bool(test.value)
    if isinstance(test, ast.Tuple):
        return bool(test.elts)
    if isinstance(test, ast.Compare) and len(test.ops) == 1:
        same = ast.dump(test.left) == ast.dump(test.comparators[0])
        return same and isinstance(test.ops[0], ast.Eq | ast.Is | ast.LtE | ast.GtE)
    return False


def _real_asserts(cell: Cell) -> list[ast.expr]:
    """The assertions of a cell that could fail."""
    return [test for test in cell.asserts if not _trivial(test)]


def _rejects(test: ast.expr) -> bool:
    """Whether an assertion says that something does *not* hold: not, !=, is False, <, >."""
    for node in ast.walk(test):
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return True
        if isinstance(node, ast.Compare):
            if any(isinstance(op, ast.NotEq | ast.IsNot | ast.Gt | ast.GtE) for op in node.ops):
                return True
            sides = [node.left, *node.comparators]
            if any(isinstance(side, ast.Constant) and side.value is False for side in sides):
                return True
    return False


@rule("proofs")
def proofs(chapter: Chapter, book: Book) -> Iterator[Found]:
    """A cell tagged `proof` asserts; one of the next two code cells, tagged `wrong-twin`, rejects.

    Each proof has its own twin: the statement altered in a sign, a constant or a branch, and an
    assertion that the same check refuses it. A short proof may hold its twin (both tags).
    """
    code, paired = chapter.code, set()
    for place, cell in enumerate(code):
        if "proof" not in cell.tags:
            continue
        if not _real_asserts(cell):
            yield cell.number, "is tagged proof and asserts nothing that could fail", "an assert"
        near = [cell, *code[place + 1 : place + 1 + REACH]]
        twins = [c for c in near if "wrong-twin" in c.tags and c.number not in paired]
        if not twins:
            allowed = f"a cell tagged wrong-twin among the next {REACH} code cells"
            yield cell.number, "is a proof without a wrong twin", allowed
            continue
        paired.add(twins[0].number)
        if twins[0] is cell and len(_real_asserts(cell)) < 2:
            yield cell.number, "holds proof and twin in one assert", "two asserts"
    for cell in code:
        if "wrong-twin" not in cell.tags:
            continue
        if cell.number not in paired:
            yield cell.number, "is a wrong twin without a proof", "a proof just before it"
        if not any(_rejects(test) for test in _real_asserts(cell)):
            yield cell.number, "does not assert a rejection", "assert not …, assert … != …"
    if not any("proof" in cell.tags for cell in code):
        yield 0, "has no cell tagged proof", "claims of equality proved"


@rule("untagged-proofs", "warning")
def untagged_proofs(chapter: Chapter, book: Book) -> Iterator[Found]:
    """A cell of the argument that asserts `simplify(…) == 0` is a proof and carries the tag."""
    for cell in _text_between(chapter):
        if cell.tags & {"proof", "wrong-twin"}:
            continue
        parts = [node for test in cell.asserts for node in ast.walk(test)]
        names = {dotted(node.func).split(".")[-1] for node in parts if isinstance(node, ast.Call)}
        if "simplify" in names:
            yield cell.number, "asserts a simplification to zero", "the tag proof and a wrong twin"


def _boxes(cell: Cell) -> Iterator[tuple[ast.Call, str]]:
    """Each call that makes a box, and what becomes of its value.

    "shown" as the last expression of the cell or by `display`, "folded" inside `audit.fold`,
    "lost" as an expression that is not the last; else the name that keeps it.
    """
    for statement in cell.tree.body:
        last = statement is cell.tree.body[-1]
        inside: dict[int, str] = {}
        for node in ast.walk(statement):
            name = dotted(node.func) if isinstance(node, ast.Call) else ""
            if name in ("audit.fold", "display"):
                fate = "folded" if name == "audit.fold" else "shown"
                inside |= {id(part): fate for part in ast.walk(node) if part is not node}
        for node in ast.walk(statement):
            if isinstance(node, ast.Call) and dotted(node.func) in BOXES:
                yield node, inside.get(id(node)) or _fate(statement, last)


def _fate(statement: ast.stmt, last: bool) -> str:
    """What becomes of a box in this statement: "shown", "lost", or the name that keeps it."""
    if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
        return f"kept as {statement.targets[0].id}"
    if isinstance(statement, ast.Expr):
        value = statement.value
        if isinstance(value, ast.Call) and dotted(value.func).endswith((".append", ".extend")):
            return f"kept as {dotted(value.func).rpartition('.')[0]}"
        if last:
            return "shown"
    return "lost"


@rule("boxes")
def boxes(chapter: Chapter, book: Book) -> Iterator[Found]:
    """Every verdict, prediction and outcome is shown: last in its cell, displayed or folded."""
    used = {
        part.id
        for cell in chapter.code
        for name, call in cell.calls
        if name in ("audit.fold", "display")
        for part in ast.walk(call)
        if isinstance(part, ast.Name)
    }
    for cell in chapter.code:
        for call, fate in _boxes(cell):
            if fate == "lost" or (fate.startswith("kept") and fate.split()[-1] not in used):
                found = f"{dotted(call.func)} {_first_text(call)} is {fate} and not shown".strip()
                yield cell.number, found, "the last expression of its cell, or audit.fold"


@rule("verdicts")
def verdicts(chapter: Chapter, book: Book) -> Iterator[Found]:
    """At most eight verdicts stand in the text; the rest are folded. None is decided twice."""
    decided = [
        (cell.number, call, fate == "shown" and not cell.tags & FOLDED)
        for cell in chapter.code
        for call, fate in _boxes(cell)
        if dotted(call.func) == "audit.decide"
    ]
    open_ = [number for number, _, in_text in decided if in_text]
    if len(open_) > MOST_VERDICTS:
        allowed = f"at most {MOST_VERDICTS}; the others in audit.fold"
        yield open_[MOST_VERDICTS], f"{len(open_)} verdicts in the text", allowed
    if not decided:
        yield 0, "decides no claim", "verdicts by audit.decide"
    seen: set[str] = set()
    for number, call, _ in decided:
        ident = _first_text(call)
        if ident and ident in seen:
            yield number, f"{ident} is decided twice", "one verdict per claim"
        seen.add(ident)


def _first_text(call: ast.Call) -> str:
    """The first argument of a call when it is a string."""
    if call.args and isinstance(call.args[0], ast.Constant):
        return str(call.args[0].value)
    return ""


@rule("predictions")
def predictions(chapter: Chapter, book: Book) -> Iterator[Found]:
    """Each prediction stands before its result and is scored after it, in the same chapter."""
    said: dict[str, int] = {}
    scored: set[str] = set()
    for cell in chapter.code:
        for name, call in cell.calls:
            if name == "audit.predict":
                said.setdefault(_first_text(call), cell.number)
            elif name == "audit.score":
                ident = _first_text(call)
                scored.add(ident)
                if ident not in said:
                    yield cell.number, f"scores {ident} before predicting it", "predict first"
                elif not _result_between(chapter, said[ident], cell.number):
                    yield cell.number, f"scores {ident} with no result in between", "a result cell"
    for ident, number in said.items():
        if ident not in scored:
            yield number, f"predicts {ident} and never scores it", "audit.score after the result"
    if not said:
        yield 0, "records no prediction", "a prediction before each measured result"


def _result_between(chapter: Chapter, first: int, last: int) -> bool:
    """Whether a code cell that is no box stands between two cells (or in the scoring cell)."""
    between = [c for c in chapter.code if first < c.number <= last]
    return any({n for n, _ in c.calls} - set(BOXES) for c in between)


# Exercises ---------------------------------------------------------------------------------------


@rule("exercises")
def exercises(chapter: Chapter, book: Book) -> Iterator[Found]:
    """Five or more exercises, each labelled and with one folded solution."""
    found = chapter.exercises
    if len(found) < LEAST_EXERCISES:
        yield 0, f"{len(found)} exercises", f"at least {LEAST_EXERCISES}"
    taken = {label: other.name for other in book.before(chapter) for _, label in other.exercises}
    pattern = f"ex-{chapter.number:02d}-" if chapter.number is not None else "ex-"
    for number, label in found:
        if not re.fullmatch(rf"{pattern}[\w-]+", label):
            yield number, f"exercise label {label!r}", f"{pattern}1, {pattern}2, …"
        if label in taken:
            yield number, f"exercise label {label} is taken in {taken[label]}", "labels used once"
        taken[label] = chapter.name
    solutions = Counter(solution.label for solution in chapter.solutions)
    for number, label in found:
        if solutions[label] != 1:
            yield number, f"exercise {label} has {solutions[label]} solutions", "one solution"


@rule("solutions")
def solutions(chapter: Chapter, book: Book) -> Iterator[Found]:
    """A solution is folded and closed, and one with code asserts its answer."""
    labels = {label for _, label in chapter.exercises}
    for solution in chapter.solutions:
        if solution.label not in labels:
            yield solution.first, f"solves {solution.label!r}", "a label of an exercise here"
        if not solution.folded:
            yield solution.first, f"solution {solution.label} is not folded", ":class: dropdown"
        if solution.last == 0:
            yield solution.first, f"solution {solution.label} never ends", "{solution-end}"
            continue
        code = [c for c in chapter.code if solution.first < c.number < solution.last]
        if code and not any(_real_asserts(cell) for cell in code):
            found = f"solution {solution.label} has code and asserts nothing"
            yield solution.first, found, "an assert against something it did not compute itself"


# Prose -------------------------------------------------------------------------------------------

SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
POWER = re.compile(
    r"(\d(?:[\d.]*\d)?)\s*(?:\\times|\\cdot|×|·|\*)\s*10\s*\^?\s*\{?\s*([-−]?[⁻⁰¹²³⁴⁵⁶⁷⁸⁹\d]+)\}?"
)
THOUSANDS = re.compile(r"(?<![\d.])\d{1,3}(?:(?:,|\{,\}|\\,|\u2009|\u202f)\d{3})+(?![\d]|,\d)")
NUMBER = re.compile(
    r"(?<![\w.\\])(\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)(?!\w)(\s*(?:\\,|~)?\s*(?:\\?%|per cent))?"
)
ANY_NUMBER = re.compile(r"\d+\.\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?|\d+(?:[eE][-+]?\d+)?")
# What looks like a number and is a name: records, predictions, exercises, sections of a document.
NAMES = re.compile(
    r"\b00\d-\d{3}[a-z]?\b|\bP\d+-\d+\b|\bex-\d+-\d+\b|"
    r"§+\s*\d+(?:\.\d+)*(?:\s*(?:,|–|-|and)\s*\d+(?:\.\d+)*)*|\barXiv:?\s*\d{4}\.\d{4,5}\b"
)
YEAR = re.compile(r"1[6-9]\d\d|20\d\d")


def _numbers_in_prose(text: str) -> Iterator[tuple[str, bool]]:
    """(number, whether it is a percentage) for each number of three or more digits in prose."""
    text = NAMES.sub(" ", prose(text))
    text = POWER.sub(lambda m: f" {m[1]}e{m[2].translate(SUPERSCRIPTS).replace('−', '-')} ", text)
    thousands = [re.sub(r"\D", "", m[0]) for m in THOUSANDS.finditer(text)]
    for match in NUMBER.finditer(THOUSANDS.sub(" ", text)):
        value, percent = match[1], bool(match[2])
        digits = re.split("[eE]", value)[0].replace(".", "").lstrip("0")
        if len(digits) < DIGITS or YEAR.fullmatch(value) or (percent and value == "100"):
            continue
        yield value, percent
    for value in thousands:
        yield value, False


def _numbers_in_evidence(text: str) -> set[Decimal]:
    """Every number that occurs in code or output."""
    text = re.sub(r"<[^>]*>", " ", text)
    text = POWER.sub(lambda m: f" {m[1]}e{m[2].translate(SUPERSCRIPTS).replace('−', '-')} ", text)
    found = {Decimal(m[0]) for m in ANY_NUMBER.finditer(re.sub(r"(?<=\d)_(?=\d)", "", text))}
    joined = {Decimal(re.sub(r"\D", "", m[0])) for m in THOUSANDS.finditer(text)}
    return found | joined


def _shown(value: str, percent: bool, evidence: set[Decimal]) -> bool:
    """Whether a number in the evidence is `value`, or rounds to it at its number of digits."""
    wanted = Decimal(value)
    unit = Decimal((0, (1,), int(wanted.as_tuple().exponent)))
    with localcontext(Context(prec=400, traps=[])):
        candidates = evidence | {100 * number for number in evidence} if percent else evidence
        near = [number for number in candidates if wanted / 2 < number < 2 * wanted]
        return any(
            number.quantize(unit, how) == wanted
            for number in near
            for how in (ROUND_HALF_EVEN, ROUND_HALF_UP)
        )


@rule("numbers")
def numbers(chapter: Chapter, book: Book) -> Iterator[Found]:
    """A number of three or more digits in prose, caption or alternative text occurs close by.

    It stands, as such or rounded, in the code or output of a cell at most two cells away. Not
    counted: years, ids of records, sections of a document, 100 %, code, and digits in names.
    """
    evidence = {
        cell.number: _numbers_in_evidence(f"{cell.python}\n{cell.output_text}")
        for cell in chapter.code
    }
    for cell in chapter.cells:
        near = range(cell.number - REACH, cell.number + REACH + 1)
        shown = set().union(*(evidence.get(number, set()) for number in near))
        text = " ".join(_mystnb(cell)[:2]) if cell.is_code else cell.source
        for value, percent in _numbers_in_prose(text):
            if not _shown(value, percent, shown):
                allowed = f"numbers in the code or output of a cell within {REACH} cells"
                yield cell.number, f"{value} in prose", allowed


@rule("macros")
def macros(chapter: Chapter, book: Book) -> Iterator[Found]:
    r"""Mathematics uses plain LaTeX: the book's own macros are unknown in Jupyter and Colab."""
    for cell in chapter.markdown:
        for command in re.findall(r"\\([A-Za-z]+)", prose(cell.source)):
            if command in book.macros:
                yield cell.number, f"uses \\{command}", f"plain LaTeX, {book.macros[command]}"


@rule("citations")
def citations(chapter: Chapter, book: Book) -> Iterator[Found]:
    """Every citation exists and has a DOI, an arXiv id, an ISBN or an ISSN."""
    for cell in chapter.cells:
        for key in _cited(cell):
            if key not in book.references:
                yield cell.number, f"cites {key}", "a key of book/references.bib"
            elif not set(book.references[key]) & {"doi", "eprint", "isbn", "issn"}:
                yield cell.number, f"cites {key}, which has no identifier", "DOI, arXiv id, ISBN"


def _cited(cell: Cell) -> list[str]:
    """The keys a cell cites, by role or by `cites=`."""
    if cell.is_code:
        arguments = [k for n, call in cell.calls if n == "audit.decide" for k in call.keywords]
        values = [k.value for k in arguments if k.arg == "cites"]
        return [str(value.value) for value in values if isinstance(value, ast.Constant)]
    roles = [m for m in ROLE.finditer(cell.source) if m[1].split(":")[0] in ("cite", "footcite")]
    return [key.strip() for m in roles for key in m[3].split(",")]


@rule("forbidden-words")
def forbidden_words(chapter: Chapter, book: Book) -> Iterator[Found]:
    """No hype, no filler, no unfinished notes, no path of a machine, no registry host."""
    for cell in chapter.cells:
        text = cell.source if cell.is_code else prose(cell.source)
        whole = "\n".join([cell.source, cell.output_text, *_mystnb(cell)])
        for found in forbidden_in(text if not cell.is_code else " ".join(_mystnb(cell)), whole):
            yield cell.number, found, "plain statements that the cells support"


def forbidden_in(text: str, whole: str) -> Iterator[str]:
    """Forbidden words in prose `text`; machine paths and hosts in the `whole` source."""
    spoken = FORBIDDEN_TITLES.sub(" ", text)
    for match in re.finditer(rf"\b(?:{FORBIDDEN_WORDS})\b", spoken, re.I):
        yield f"the words {match[0]!r}"
    for pattern, kind in ((MACHINE, "a path or address of a machine"), (HOSTS, "a host")):
        for match in pattern.finditer(whole):
            yield f"{kind}, {match[0]!r}"


# The shape of a chapter ---------------------------------------------------------------------------


@rule("sections")
def sections(chapter: Chapter, book: Book) -> Iterator[Found]:
    """Derive, Implement, Measure, What the document says, Exercises, Summary: in this order."""
    titles = [(h.title.lower(), h.cell) for h in chapter.headings if h.level == 2]
    allowed = "second-level headings that begin " + ", ".join(SECTIONS)
    places = []
    for name in SECTIONS:
        stem = name.lower().replace("document says", "document")
        cells = [cell for title, cell in titles if title.startswith(stem)]
        if not cells:
            yield 0, f"has no section {name!r}", allowed
        places += cells[:1]
    if places != sorted(places):
        yield 0, "sections out of order", allowed
    firsts = [h for h in chapter.headings if h.level == 1]
    if len(firsts) != 1:
        yield 0, f"{len(firsts)} titles", "one first-level heading"
    for above, below in zip(chapter.headings, chapter.headings[1:], strict=False):
        if below.level > above.level + 1:
            yield below.cell, f"{below.title!r} skips a level", "headings one level at a time"


@rule("opening")
def opening(chapter: Chapter, book: Book) -> Iterator[Found]:
    """The opening asks a question, sets three to five goals and names the mirrored sections."""
    text = chapter.opening
    boxes = [d for _, d in chapter.directives if "goals" in d.classes]
    if "?" not in prose(text):
        yield 1, "asks no question", "the question that the chapter answers"
    if not boxes:
        yield 1, "has no box of goals", "an admonition of class goals"
    elif not GOALS[0] <= (count := _items(boxes[0])) <= GOALS[1]:
        yield 1, f"{count} goals", f"{GOALS[0]} to {GOALS[1]}"
    if not re.search(r"(?i)mirror", text) or not re.search(r"\b00\d\s*§", text):
        yield 1, "does not name what it mirrors", "a sentence with 'mirrors' and 00d §n"


def _items(box: Directive) -> int:
    """List items at the first level of a box."""
    return len(re.findall(r"(?m)^(?:[-*+]|\d+[.)])\s", box.body))


@rule("measured")
def measured(chapter: Chapter, book: Book) -> Iterator[Found]:
    """The measuring section predicts before it shows, and the documents' section decides."""
    measure = [c for c in chapter.cells_of("Measure") if c.is_code]
    if measure and not any(cell.calls_any("audit.predict") for cell in measure):
        yield measure[0].number, "measures without a prediction", "audit.predict before the result"
    said = [c for c in chapter.cells_of("What the document") if c.is_code]
    if not any(cell.calls_any("audit.decide") for cell in said):
        yield 0, "the section on the document decides nothing", "verdicts by audit.decide"


@rule("derived", "warning")
def derived(chapter: Chapter, book: Book) -> Iterator[Found]:
    """A derivation is SymPy alone: the package's record appears only where it closes."""
    cells = [c for c in chapter.cells_of("Derive") if c.is_code]
    places = [h.cell for h in chapter.headings]
    for cell in cells:
        block = max((place for place in places if place <= cell.number), default=0)
        end = min(
            (place for place in places if place > cell.number), default=len(chapter.cells) + 1
        )
        closing = [c.number for c in cells if block <= c.number < end][-CLOSING:]
        names = {node.id for node in ast.walk(cell.tree) if isinstance(node, ast.Name)}
        if "catalogue" in names and cell.number not in closing:
            allowed = f"the catalogue in the last {CLOSING} code cells below a heading"
            yield cell.number, "derives with the package's record", allowed


@rule("summary")
def summary(chapter: Chapter, book: Book) -> Iterator[Found]:
    """The summary closes the chapter and points to real sources."""
    cells = [c for c in chapter.cells_of("Summary") if c.kind == "markdown"]
    if cells and not any(_cited(cell) for cell in cells):
        yield cells[0].number, "cites nothing", "further reading with citations"


def _outside(value: int, bounds: tuple[int, int]) -> bool:
    return not bounds[0] <= value <= bounds[1]


@rule("size", "warning")
def size(chapter: Chapter, book: Book) -> Iterator[Found]:
    """2,500 to 5,000 words of argument, 25 to 45 code cells, 6 to 12 figures."""
    argument = [
        c
        for c in chapter.markdown
        if not chapter.section(c.number).lower().startswith("exercises")
        and not chapter.in_solution(c.number)
    ]
    argument_code = [c for c in _text_between(chapter) if not c.calls_any(*BOXES)]
    images = [d for _, d in chapter.directives if d.name == "figure"]
    counts = (
        (sum(words(cell.source) for cell in argument), WORDS, "words of argument"),
        (len(argument_code), CODE_CELLS, "code cells in the argument"),
        (len(chapter.plots) + len(images), FIGURES, "figures"),
    )
    for count, bounds, what in counts:
        if _outside(count, bounds):
            yield 0, f"{count} {what}", f"{bounds[0]} to {bounds[1]}"


# Pages and the command ----------------------------------------------------------------------------


def lint_page(name: str, text: str) -> list[Finding]:
    """Forbidden words in a Markdown page."""
    allowed = "plain statements that the book supports"
    found = forbidden_in(prose(text), text)
    return [Finding(name, 0, "forbidden-words", what, allowed) for what in found]


def main(arguments: Sequence[str] | None = None) -> int:
    """Lint the files named, or all of the table of contents; 1 when there is an error."""
    parser = argparse.ArgumentParser(prog="python -m bookmaker.lint", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "files", nargs="*", type=Path, metavar="FILE", help="notebooks and pages to check"
    )
    parser.add_argument("--rules", action="store_true", help="list the rules and stop")
    parser.add_argument("--only", action="append", choices=sorted(RULES), help="check this rule")
    options = parser.parse_args(arguments)
    if options.rules:
        for each in RULES.values():
            print(f"{each.name:20} {each.level:8} {each.summary}")
        return 0
    files = options.files or pages()
    chapters = [Chapter.read(path) for path in files if path.suffix == ".ipynb"]
    findings = lint(chapters, options.only)
    for path in files:
        if path.suffix == ".md":
            findings += lint_page(relative(path), path.read_text(encoding="utf-8"))
    for finding in findings:
        print(f"{finding.level}: {finding}")
    count = sum(finding.level == "error" for finding in findings)
    print(f"{len(chapters)} notebooks, {count} errors, {len(findings) - count} warnings")
    return min(count, 1)


if __name__ == "__main__":
    sys.exit(main())
