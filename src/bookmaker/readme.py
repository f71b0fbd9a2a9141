"""The table of README.md: which study is stored, on which hardware, and what is missing."""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from actbook import studies
from bookmaker.layout import ROOT, write_atomically

README = ROOT / "README.md"
BEGIN = "<!-- results: written by `python -m bookmaker readme` -->"
END = "<!-- end of results -->"
GAP = "not run"


def _kind(session: dict[str, Any]) -> str:
    """Where a session ran: the accelerator by name, else the CPU."""
    return session["hardware"].get("accelerator") or "CPU"


def _cell(record: dict[str, Any], kind: str, stale: bool) -> str:
    """What stands under one kind of hardware for one study."""
    if kind not in {_kind(session) for session in record["sessions"]}:
        return GAP
    minutes = sum(s["seconds"] for s in record["sessions"] if _kind(s) == kind) / 60
    seeds = max(len(stage["seeds"]) for stage in record["stages"].values())
    mark = ", **code changed since**" if stale else ""
    return f"{record['budget']}, {seeds} seeds, {minutes:.0f} min, {record['date'][:10]}{mark}"


def table(results: Iterable[tuple[str, dict[str, Any] | None, bool]]) -> str:
    """The table, from (title, provenance or None, stale) of every study; "not run" marks a gap."""
    results = list(results)
    kinds = {_kind(session) for _, record, _ in results if record for session in record["sessions"]}
    columns = ["CPU", *sorted(kinds - {"CPU"})]
    if len(columns) == 1:
        columns.append("GPU")
    lines = [["Study", *columns], ["---"] * (len(columns) + 1)]
    for title, record, stale in results:
        cells = [_cell(record, kind, stale) if record else GAP for kind in columns]
        lines.append([title, *cells])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def stored() -> list[tuple[str, dict[str, Any] | None, bool]]:
    """Every study of the package with its provenance, None where nothing is stored."""
    there = set(studies.stored())
    found: list[tuple[str, dict[str, Any] | None, bool]] = []
    for name in studies.names():
        result = studies.load(name) if name in there else None
        title = studies.study(name).title
        found.append((title, result.provenance, result.stale) if result else (title, None, False))
    return found


def with_table(text: str, body: str) -> str:
    """A text with its table between the marks replaced. ValueError where a mark is missing."""
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"README.md lacks the marks {BEGIN} and {END}")
    return f"{head}{BEGIN}\n{body}\n{END}{tail}"


def main(arguments: list[str]) -> int:
    """Write the table of results and hardware into README.md."""
    parser = argparse.ArgumentParser(prog="bookmaker readme", description=main.__doc__)
    parser.add_argument("--check", action="store_true", help="only say whether it is current")
    parser.add_argument("--file", type=Path, default=README, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    text = options.file.read_text(encoding="utf-8")
    renewed = with_table(text, table(stored()))
    if options.check:
        if renewed != text:
            print("README.md is out of date: run `python -m bookmaker readme`", file=sys.stderr)
        return int(renewed != text)
    write_atomically(options.file, renewed)
    return 0
