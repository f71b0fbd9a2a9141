"""The command line of the studies: list, show, run, export, stale."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..data import DataError
from ..train.config import ConfigError
from . import export, load, names, run, stale, stored, study
from .framework import Row, StudyError
from .runner import RESULTS


def main(arguments: list[str] | None = None) -> int:
    """Run one command; 0 when all is well, 1 when something is stale or unfinished, 2 on errors."""
    options = _parser().parse_args(arguments)
    try:
        return options.command(options)
    except (StudyError, DataError, ConfigError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="actbook study", description="The book's experiments.")
    commands = parser.add_subparsers(required=True, metavar="command")

    def add(name: str, function: object, text: str, *, study_name: bool) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(command=function)
        if study_name:
            command.add_argument("name", help="the study")
        return command

    add("list", _list, "list the studies and what is stored", study_name=False)
    add("show", _show, "show a stored result and its summary", study_name=True)
    command = add("run", _run, "run what is missing of a study", study_name=True)
    command.add_argument("--budget", default="quick", help="quick (default) or full")
    command.add_argument("--out", type=Path, required=True, help="where finished cells are kept")
    command.add_argument("--device", help="cpu or cuda (default: a GPU when there is one)")
    command.add_argument("--minutes", type=float, help="start no group after this time")
    command = add("export", _export, "write the tables of a finished run", study_name=True)
    command.add_argument("--out", type=Path, required=True, help="where the run is kept")
    command.add_argument("--csv", type=Path, default=RESULTS, help="where the tables go")
    add("stale", _stale, "list results whose code has changed since", study_name=False)
    return parser


def _list(options: argparse.Namespace) -> int:
    for name in names():
        plan = study(name)
        state = load(name).provenance["date"] if name in stored() else "not stored"
        print(f"{name}: {plan.title} ({', '.join(plan.budgets)}; {state})")
    return 0


def _show(options: argparse.Namespace) -> int:
    result = load(options.name)
    print(repr(result))
    print(_aligned(result.summary()))
    return 0


def _run(options: argparse.Namespace) -> int:
    complete = run(
        options.name,
        budget=options.budget,
        out=options.out,
        device=options.device,
        minutes=options.minutes,
    )
    return 0 if complete else 1


def _export(options: argparse.Namespace) -> int:
    for path in export(options.name, out=options.out, to=options.csv):
        print(path)
    return 0


def _stale(options: argparse.Namespace) -> int:
    found = stale()
    for name, changes in found.items():
        print(f"{name}: changed since: {', '.join(changes)}")
    if not found:
        print("no stored result is stale")
    return 1 if found else 0


def _aligned(rows: list[Row]) -> str:
    columns = list(rows[0]) if rows else []
    cells = [columns] + [[_short(row[column]) for column in columns] for row in rows]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    )


def _short(value: object) -> str:
    return f"{value:.5g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.exit(main())
