"""`make mutate-book`: breaks the chapters, one change at a time, and says what their tests notice.

A chapter's formulas, proofs, solutions, verdicts, predictions, figures, stored outputs and stored
results are changed one by one, and so are the declarations that it uses; the errors of the source
documents are put in place of the right formulas. The strict test of the notebook, the linter and
the checks of the records are to notice. What survives is listed; a share below 95 % fails.

A mutant whose cell has the same outputs and leaves the same values behind is equivalent: it changes
nothing, and is not counted.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import hashlib
import io
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bookmaker import layout
from bookmaker.chapter import Chapter
from bookmaker.execute import code_of, environment, prepare, read
from bookmaker.mutants import KINDS, Mutant, chosen
from bookmaker.pages import RESULT, RUNS, Row, rate

LEAST = 0.95
PER_CHAPTER, DOCUMENTS = 20, 3


@dataclass
class Run:
    """What the mutants of one chapter came to."""

    chapter: str
    rows: list[Row]
    seconds: float
    complaint: str = ""


def digest(path: Path) -> str:
    """A short digest of a notebook's code cells."""
    return hashlib.sha256(json.dumps(code_of(read(path))).encode()).hexdigest()[:12]


def attempt(path: Path, mutants: list[Mutant], jobs: int, documents: int) -> Iterator[Row | str]:
    """Run a notebook with its mutants: a row for each, and last what went wrong, if anything."""
    command = [sys.executable, "-m", "bookmaker.mutant_runner", str(path), str(jobs)]
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8") as complaints,
        subprocess.Popen(
            [*command, str(documents)],
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
        ) as process,
    ):
        assert process.stdin and process.stdout
        process.stdin.write("\n".join(mutant.as_json() for mutant in mutants))
        process.stdin.close()
        for line in process.stdout:
            mutant, outcome, noticed = json.loads(line)
            yield row_of(json.loads(mutant), outcome, noticed)
        if process.wait():
            complaints.seek(0)
            yield (complaints.read().strip().splitlines() or ["it ended early"])[-1]


def row_of(mutant: dict[str, Any], outcome: str, noticed: str) -> Row:
    """A row of the report."""
    what = " ".join(mutant["what"].split())
    what = what if len(what) <= 120 else what[:119] + "…"
    chapter, kind, cell = mutant["chapter"], mutant["kind"], mutant["cell"]
    return Row(chapter, kind, cell, what, outcome, noticed)


def run_chapter(path: Path, count: int | None, seed: int, kinds: Iterable[str], jobs: int) -> Run:
    """Try the mutants of one chapter and print each as it ends."""
    chapter = Chapter.read(path)
    mutants = chosen(chapter, count, seed, kinds)
    name = f"{chapter.number:02d}"
    print(f"── chapter {name}: {path.stem}", flush=True)
    run, started = Run(name, [], 0.0), time.monotonic()
    for row in attempt(path, mutants, jobs, DOCUMENTS if count is not None else len(mutants)):
        if isinstance(row, str):
            run.complaint = row
            print(f"   {row}", flush=True)
            continue
        run.rows.append(row)
        mark = "SURVIVED" if row.outcome == "survived" else row.outcome
        print(f"{mark:10} {row.kind:11} cell {row.cell:3}  {row.change[:80]}", flush=True)
        if row.noticed:
            print(f"{'':10} by {row.noticed}", flush=True)
    run.seconds = time.monotonic() - started
    run.rows.sort(key=lambda row: (KINDS.index(row.kind), row.cell, row.change))
    return run


def store(runs: list[Run], paths: dict[str, Path], settings: dict[str, Any]) -> None:
    """Put the rows of these chapters in place of the former ones, with their provenance."""
    known = {row.chapter for run in runs for row in run.rows}
    rows = [row for row in stored_rows() if row.chapter not in known]
    rows += [row for run in runs for row in run.rows]
    rows.sort(key=lambda row: row.chapter)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Row._fields)
    writer.writerows(rows)
    record = json.loads(RUNS.read_text(encoding="utf-8")) if RUNS.is_file() else {"chapters": {}}
    for run in runs:
        if run.rows:
            record["chapters"][run.chapter] = {
                "date": datetime.date.today().isoformat(),
                **settings,
                "code": digest(paths[run.chapter]),
                "seconds": round(run.seconds),
                "python": platform.python_version(),
                "sympy": version("sympy"),
                "torch": version("torch"),
            }
    record["chapters"] = dict(sorted(record["chapters"].items()))
    layout.write_atomically(RESULT, text.getvalue())
    layout.write_atomically(RUNS, json.dumps(record, indent=1, ensure_ascii=False) + "\n")


def stored_rows() -> list[Row]:
    """The rows of the report that is stored."""
    from bookmaker.pages import mutation_rows

    return mutation_rows()


def summary(rows: list[Row]) -> str:
    """How many were made and noticed, and the survivors."""
    lines = []
    for kind in KINDS:
        counts = Counter(row.outcome for row in rows if row.kind == kind)
        if made := counts["caught"] + counts["survived"] + counts["broken"]:
            same = f", {counts['equivalent']} equivalent" if counts["equivalent"] else ""
            lines.append(f"{kind:12} {counts['caught']:4} of {made} noticed{same}")
    lines += [
        f"SURVIVED  chapter {row.chapter}, cell {row.cell}, {row.kind}: {row.change}"
        for row in rows
        if row.outcome in ("survived", "broken")
    ]
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Mutate chapters; 1 when fewer than 95 % of the mutants are noticed."""
    parser = argparse.ArgumentParser(prog="bookmaker mutate_book", description=main.__doc__)
    parser.add_argument("chapters", nargs="*", help="numbers, as 05 or 13; default: all")
    parser.add_argument("--per-chapter", type=int, default=PER_CHAPTER, metavar="N")
    parser.add_argument("--all", action="store_true", help="every mutant: hours")
    parser.add_argument("--kinds", default=",".join(KINDS), help="comma-separated")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=layout.cores())
    parser.add_argument("--keep", action="store_true", help="leave the stored report as it is")
    options = parser.parse_args(arguments)
    kinds = options.kinds.split(",")
    if unknown := set(kinds) - set(KINDS):
        raise SystemExit(f"mutate_book: no kind {', '.join(unknown)}; there are {', '.join(KINDS)}")
    paths = {path.stem.partition("_")[0]: path for path in layout.notebooks()}
    wanted = [name.zfill(2) for name in options.chapters] or list(paths)
    if missing := [name for name in wanted if name not in paths]:
        raise SystemExit(f"mutate_book: no chapter {', '.join(missing)}")
    prepare(environment())
    count = None if options.all else options.per_chapter
    runs = [run_chapter(paths[n], count, options.seed, kinds, options.jobs) for n in wanted]
    rows = [row for run in runs for row in run.rows]
    if not options.keep:
        settings = {"seed": options.seed, "per_chapter": count or "all"}
        store([run for run in runs if not run.complaint], paths, settings)
    print(summary(rows))
    caught, made = rate(rows)
    print(f"{caught} of {made} mutants noticed ({caught / made if made else 0:.1%})")
    return 0 if made and caught >= LEAST * made and not any(run.complaint for run in runs) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
