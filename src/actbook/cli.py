"""The command line `actbook`: what the catalogue holds, and the studies of the book."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any


def _list() -> int:
    """Print the name and title of every activation."""
    from actbook import catalogue

    width = max(map(len, catalogue.names()))
    for name in catalogue.names():
        print(f"{name:<{width}}  {catalogue[name].title}")
    return 0


def _facts(act: Any) -> Iterator[tuple[str, Callable[[], Any]]]:
    """The facts that `show` prints; one that the activation's shape does not have raises."""
    yield "f", lambda: act.expr
    yield "f′", lambda: act.derivative
    yield "range", lambda: act.range
    yield "minimum", lambda: act.minimum
    yield "Lipschitz constant", lambda: act.lipschitz
    yield "gain", lambda: f"{float(act.gain):.12g}"
    yield "E f(Z)^2", lambda: f"{float(act.moments().second):.12g}"
    yield "E f′(Z)^2", lambda: f"{float(act.moments().derivative_second):.12g}"
    yield "references", lambda: ", ".join(act.references)


def _show(name: str) -> int:
    """Print what is derived of one activation; 2 where there is none of this name."""
    from actbook import catalogue

    try:
        act = catalogue[name]
    except KeyError as error:
        print(f"actbook: {error.args[0]}", file=sys.stderr)
        return 2
    print(f"{act.name}: {act.title}")
    for label, fact in _facts(act):
        try:
            value = fact()
        except (AttributeError, TypeError):  # a shape without this fact: softmax has no range
            continue
        print(f"  {label:<18} {'–' if value is None or value == '' else value}")
    return 0


def _study(arguments: list[str]) -> int:
    """Hand over to the command line of the studies."""
    from actbook import studies

    return studies.main(arguments)


def _parser() -> argparse.ArgumentParser:
    from actbook import __version__

    parser = argparse.ArgumentParser(
        prog="actbook", description="Activation functions: derived, implemented, measured."
    )
    parser.add_argument("--version", action="version", version=f"actbook {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    commands.add_parser("list", help="the names of the catalogue")
    show = commands.add_parser("show", help="what is derived of one activation")
    show.add_argument("name", metavar="NAME")
    commands.add_parser("study", help="list, run and show the book's experiments", add_help=False)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run one command; its exit status (2 for a mistaken call)."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that lacks ′ still shows the rest
    try:
        status = _run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, say `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return status


def _run(arguments: list[str]) -> int:
    if arguments[:1] == ["study"]:
        return _study(arguments[1:])
    options = _parser().parse_args(arguments)
    return _list() if options.command == "list" else _show(options.name)


if __name__ == "__main__":
    sys.exit(main())
