"""`python -m bookmaker COMMAND`: the tools that make and check the book."""

import sys
from importlib import import_module
from importlib.util import find_spec

COMMANDS = {
    "build": "build the book (make book)",
    "execute": "run the notebooks whose stored results are stale",
    "normalise": "re-execute the notebooks and store them normalised (make notebooks)",
    "pages": "write the generated pages",
    "catalogue_pages": "write the catalogue: a page per activation, and the table",
    "source_map": "write the source map and the contents of the front page",
    "picture": "photograph the front page of the built book for README.md",
    "readme": "write the generated table of README.md",
    "check": "run all tests (make test)",
    "mutate": "break copies of the package and say which tests notice (make mutate)",
    "mutate_book": "break the chapters and say what their tests notice (make mutate-book)",
    "lint": "check the notebooks' cells, figures, proofs and prose",
    "serve": "serve the built book",
    "colab": "print or stamp the set-up cell, or simulate Colab (make colab)",
    "gpu": "use a GPU for a given time: tests, benchmarks, missing results (make gpu)",
    "address": "print or change the public address of the repository",
}


def main(arguments: list[str]) -> int:
    """Run one command: the `main(arguments)` of the module that bears its name."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(__doc__, end="\n\n")
        print("\n".join(f"  {name:<15} {text}" for name, text in COMMANDS.items()))
        return 0
    name = arguments[0]
    if name not in COMMANDS or find_spec(f"bookmaker.{name}") is None:
        print(f"bookmaker: no command {name!r}; there are {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    return import_module(f"bookmaker.{name}").main(arguments[1:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
