"""`python -m bookmaker pages [--check]`: the appendix pages that the records write.

The pages are committed, so that they can be read and compared; a test holds them current.
"""

import csv
import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from actbook import audit
from actbook.audit import Claim, Prediction
from bookmaker import layout

_MARKUP = re.compile(r"([\\`*_{}\[\]<>$|#])")
_WORDS = {
    "holds": "holds",
    "fails": "fails",
    "depends": "depends",
    "uncheckable": "cannot be checked",
}
INTRODUCTION = """\
Every checkable statement of the five documents that the book mirrors, in our own words, with a
verdict and the statement that is correct. A verdict is the outcome of a cell: the chapter named
with it computes the check, and building the book fails when check and record disagree. What only a
source can decide names the source."""
LEGEND = """\
**holds**: true as stated. **fails**: false as stated. **depends**: true in some cases and false in
others, which are named. **cannot be checked**: too vague, or about something that is gone."""
# What `make mutate-book` found, a line for each mutant, and under what conditions.
RESULT = layout.PACKAGE / "results" / "mutations" / "book.csv"
RUNS = RESULT.with_suffix(".json")
_MUTATIONS = {
    "proof": "a sign, constant, function or term in a proof",
    "formula": "the same in the other cells of a derivation",
    "verdict": "the verdict of a claim, or its cases, turned round",
    "solution": "a sign, constant, operator or term in a solution",
    "declaration": "a declaration of the package that the chapter uses",
    "document": "a formula or number as a document prints it",
    "output": "a digit of a stored output",
    "result": "a column of a stored result",
    "figure": "a figure without label, caption or alternative text",
    "prediction": "the outcome of a prediction turned round",
}
_GROUNDS = {"check": "by a computed check", "source": "by a source", "none": "left open"}


def escape(text: str) -> str:
    """Text as Markdown that shows these very characters."""
    return _MARKUP.sub(r"\\\1", text)


def table(header: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A Markdown table, numbers right-aligned: every column but the first."""
    head: list[object] = list(header)
    rule: list[object] = [":--", *["--:"] * (len(head) - 1)]
    lines = [head, rule, *(list(row) for row in rows)]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def chapter_pages(root: Path = layout.ROOT) -> dict[str, str]:
    """The HTML address of every written chapter, seen from the appendix, by its number."""
    found = {}
    for path in layout.notebooks(root):
        number = path.stem.partition("_")[0]
        if re.fullmatch(r"\d\d", number):
            page = path.relative_to(root / "book").with_suffix(".html")
            found[number] = f"../{page.as_posix()}"
    return found


def chapter_link(chapter: str, anchor: str, pages: dict[str, str]) -> str:
    """A link to the box in its chapter, or the chapter's number while it is planned."""
    name = f"chapter {int(chapter)}"
    if chapter not in pages:
        return f"{name} (planned)"
    return f'<a href="{pages[chapter]}#{anchor}">{name}</a>'


def _section_key(claim: Claim) -> tuple[int, ...]:
    """Sections in the order of the document, the abstract first."""
    return tuple(int(part) for part in re.findall(r"\d+", claim.section))


def _record(claim: Claim, pages: dict[str, str]) -> str:
    """One claim as a block: target, verdict, paraphrase, correct statement, what decided it."""
    where = chapter_link(claim.chapter, f"decided-{claim.id}", pages)
    also = f" (also {', '.join(f'§{s}' for s in claim.also)})" if claim.also else ""
    lines = [
        f"(audit-{claim.id})=",
        f"`{claim.id}` · {claim.kind}{also} · **{_WORDS[claim.verdict]}** · {where}",
        "",
        f"> {escape(claim.claim)}",
        "",
    ]
    if claim.cases:
        words = {True: "holds", False: "fails"}
        cases = "; ".join(f"{escape(case)}: {words[value]}" for case, value in claim.cases.items())
        lines += [f"*Cases.* {cases}.", ""]
    lines += [escape(claim.correct), "", f"*Decided {_GROUNDS[claim.by]}:* {escape(claim.how)}."]
    if claim.cites:
        lines[-1] += f" {{cite}}`{','.join(claim.cites)}`"
    return "\n".join(lines)


def _document(number: str, pages: dict[str, str]) -> Iterator[str]:
    """The part of the page that treats one document."""
    document = audit.documents[number]
    claims = sorted(audit.select(document=number), key=lambda c: (_section_key(c), c.id))
    yield f"## {number}: {document.subject}"
    if not claims:
        yield (
            f"None of its {document.statements} checkable statements is recorded yet. "
            f"Part {document.part} of the book treats it."
        )
    section = None
    for claim in claims:
        if claim.section != section:
            section = claim.section
            yield f"### {number} §{section}"
        yield _record(claim, pages)


def audit_page(root: Path = layout.ROOT) -> str:
    """The audit appendix: the counts, then every record, by document and section."""
    pages = chapter_pages(root)
    rows = [
        [
            f"{number} (part {document.part})",
            *audit.count(document=number).values(),
            sum(audit.count(document=number).values()),
            document.statements,
        ]
        for number, document in audit.documents.items()
    ]
    total = [sum(row[column] for row in rows) for column in range(1, 7)]  # type: ignore[misc]
    header = ["document", *_WORDS.values(), "recorded", "counted"]
    blocks = [
        "# Audit of the documents",
        INTRODUCTION,
        f"So far {total[4]} of {total[5]} statements are recorded; the others belong to "
        "planned chapters. The last column is an independent count of each document's statements.",
        table(header, [*rows, ["**all**", *(f"**{value}**" for value in total)]]),
        LEGEND,
    ]
    for number in audit.documents:
        blocks.extend(_document(number, pages))
    return "\n\n".join(blocks) + "\n"


def _prediction(prediction: Prediction, pages: dict[str, str]) -> str:
    """One prediction as a block: target, outcome, claim, size, measured value, lesson."""
    outcome = {True: "came true", False: "did not come true", None: "open"}[prediction.came_true]
    kind = "predicted" if prediction.came_true is None else "outcome"
    where = chapter_link(prediction.chapter, f"{kind}-{prediction.id}", pages)
    lines = [
        f"(prediction-{prediction.id})=",
        f"`{prediction.id}` · {prediction.probability:.0%} · **{outcome}** · {where} · "
        f"written {prediction.written}",
        "",
        f"> {escape(prediction.claim)}",
        "",
        f"*Expected size:* {escape(prediction.size)}",
    ]
    if prediction.measured:
        lines += ["", f"*Measured:* {escape(prediction.measured)}"]
    if prediction.lesson:
        lines += ["", f"*Lesson:* {escape(prediction.lesson)}"]
    return "\n".join(lines)


def _scores(predictions: list[Prediction]) -> Iterator[str]:
    """Hit rate, Brier score and calibration of the predictions whose outcome is known."""
    hits, brier = audit.hit_rate(predictions), audit.brier(predictions)
    if hits is None or brier is None:
        yield "No outcome is known yet."
        return
    scored = [p for p in predictions if p.came_true is not None]
    expected = sum(p.probability for p in scored) / len(scored)
    spread = sum(p.probability * (1 - p.probability) for p in scored) / len(scored)
    yield (
        f"Of {len(scored)} scored predictions {sum(bool(p.came_true) for p in scored)} came true "
        f"({hits:.0%}); the probabilities given to them promised {expected:.0%}. The Brier score "
        f"{{cite}}`brier1950verification` is **{brier:.3f}**: the mean squared distance between "
        "probability and outcome, 0 at best, 0.250 for saying one half every time, and "
        f"{spread:.3f} expected of a perfectly calibrated forecaster with these probabilities."
    )
    yield table(
        ["probability", "predictions", "mean probability", "came true"],
        [
            [f"{b.low:.0%} to {b.high:.0%}", b.size, f"{b.expected:.0%}", f"{b.observed:.0%}"]
            for b in audit.calibration(predictions)
        ],
    )


def predictions_page(root: Path = layout.ROOT) -> str:
    """The predictions appendix: the scores, then every prediction, by chapter."""
    pages = chapter_pages(root)
    predictions = sorted(
        audit.predictions.values(), key=lambda p: (p.chapter, int(p.id.partition("-")[2]))
    )
    blocks = [
        "# Predictions",
        "Before an experiment runs, the book writes down what it expects, how large, and with what "
        "probability. This page keeps the score, misses included.",
        *_scores(predictions),
    ]
    chapter = None
    for prediction in predictions:
        if prediction.chapter != chapter:
            chapter = prediction.chapter
            blocks.append(f"## Chapter {int(chapter)}")
        blocks.append(_prediction(prediction, pages))
    return "\n\n".join(blocks) + "\n"


class Row(NamedTuple):
    """One mutant of a chapter and what became of it."""

    chapter: str
    kind: str
    cell: int
    change: str
    outcome: str
    noticed: str


def mutation_rows() -> list[Row]:
    """The stored outcomes of all mutants, by chapter; none where there are none."""
    if not RESULT.is_file():
        return []
    with RESULT.open(encoding="utf-8", newline="") as file:
        return [
            Row(
                raw["chapter"],
                raw["kind"],
                int(raw["cell"]),
                raw["change"],
                raw["outcome"],
                raw["noticed"],
            )
            for raw in csv.DictReader(file)
        ]


def rate(rows: Iterable[Row]) -> tuple[int, int]:
    """How many mutants were noticed, of how many; the equivalent ones are not counted."""
    counts = Counter(row.outcome for row in rows)
    return counts["caught"], counts["caught"] + counts["survived"] + counts["broken"]


def _by(rows: list[Row], part: Callable[[Row], str]) -> list[list[object]]:
    """For each value of a part: made, noticed, survived, equivalent, share."""
    table_: list[list[object]] = []
    for value in dict.fromkeys(map(part, rows)):
        own = [row for row in rows if part(row) == value]
        caught, made = rate(own)
        same = sum(row.outcome == "equivalent" for row in own)
        share = f"{caught / made:.0%}" if made else "–"
        table_.append([value, made, caught, made - caught, same, share])
    return table_


def _mutation_tables(rows: list[Row]) -> Iterator[str]:
    """The report: by chapter, by kind, and every survivor."""
    runs = json.loads(RUNS.read_text(encoding="utf-8"))["chapters"]
    head = ["noticed", "survived", "equivalent", "share noticed"]
    caught, made = rate(rows)
    yield (
        f"Of {made} mutants that change something {caught} were noticed ({caught / made:.1%}). "
        "`make mutate-book` repeats the run, and fails below 95%."
    )
    chapters = _by(rows, lambda row: row.chapter)
    yield table(
        ["chapter", "mutants", *head, "seed", "date", "code"],
        [
            [f"chapter {int(str(name))}", *line, run["seed"], run["date"], f"`{run['code']}`"]
            for name, *line in chapters
            for run in (runs[str(name)],)
        ],
    )
    kinds = {str(name): line for name, *line in _by(rows, lambda row: row.kind)}
    yield table(
        ["what is changed", "mutants", *head],
        [[words, *kinds[kind]] for kind, words in _MUTATIONS.items() if kind in kinds],
    )
    survivors = [row for row in rows if row.outcome in ("survived", "broken")]
    if survivors:
        yield "## What nothing noticed"
        yield table(
            ["chapter", "cell", "changed", "how"],
            [[int(r.chapter), r.cell, r.kind, escape(r.change)] for r in survivors],
        )


MUTATIONS = """\
A test that cannot fail shows nothing. So the book breaks itself: a sign in a proof, a constant in a
solution, a verdict, a digit, one change at a time, drawn by a seeded generator from the chapters'
own cells. The strict test of the notebook, the linter or the checks of the records should notice
each. A change whose cell gives the same outputs and leaves the same values behind is equivalent and
does not count."""


def mutations_page(root: Path = layout.ROOT) -> str:
    """The appendix on mutants: what was broken on purpose, and what the checks made of it."""
    rows = mutation_rows()
    tables = _mutation_tables(rows) if rows else ["No run is stored yet."]
    return "\n\n".join(["# Mutations", MUTATIONS, *tables]) + "\n"


PAGES: dict[str, Callable[[Path], str]] = {
    "book/appendix/audit.md": audit_page,
    "book/appendix/predictions.md": predictions_page,
    "book/appendix/mutations.md": mutations_page,
}


def stale(root: Path = layout.ROOT) -> list[str]:
    """The generated pages that are missing or differ from what the records write."""
    return [
        name
        for name, page in PAGES.items()
        if not (root / name).is_file() or (root / name).read_text(encoding="utf-8") != page(root)
    ]


def write(root: Path = layout.ROOT) -> list[str]:
    """Write the pages that are stale, and only them; returns their names."""
    names = stale(root)
    for name in names:
        layout.write_atomically(root / name, PAGES[name](root))
    return names


def main(arguments: list[str]) -> int:
    """Write the stale pages, or with --check only name them and fail."""
    if arguments not in ([], ["--check"]):
        print(__doc__, file=sys.stderr)
        return 2
    if arguments:
        names = stale()
        for name in names:
            print(f"{name} is not what the records say: run `python -m bookmaker pages`")
        return 1 if names else 0
    for name in write():
        print(f"wrote {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
