"""The public address of the repository: stands in pyproject.toml, is stamped everywhere else."""

import argparse
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from bookmaker.layout import ROOT, project, write_atomically

GITHUB = re.compile(
    r"https://github\.com/([A-Za-z0-9][A-Za-z0-9-]*)/([A-Za-z0-9._-]+?)(?:\.git)?/?"
)
TEXT = {
    ".cff",
    ".css",
    ".html",
    ".ipynb",
    ".js",
    ".md",
    ".py",
    ".toml",
    ".txt",
    ".yaml",
    ".yml",
}
OUTSIDE = {".git", ".venv", "_build", "__pycache__", "node_modules", "build", "dist"}


def current() -> str:
    """The address, from pyproject.toml."""
    return project()["urls"]["Repository"]


def forms(url: str) -> tuple[str, str, str]:
    """How an address appears: itself, in Colab's links, and as the site of its pages.

    Raises ValueError for anything but https://github.com/OWNER/NAME, which is what Colab opens.
    """
    match = GITHUB.fullmatch(url)
    if match is None:
        raise ValueError(f"the address is {url!r}; allowed is https://github.com/OWNER/NAME")
    owner, name = match.groups()
    return (
        f"https://github.com/{owner}/{name}",
        f"colab.research.google.com/github/{owner}/{name}",
        f"https://{owner.lower()}.github.io/{name}",
    )


def site(url: str | None = None) -> str:
    """Where the built book is read online."""
    return forms(url or current())[2]


def restamp(text: str, old: str, new: str) -> str:
    """A text with every form of the old address turned into the new one's."""
    for before, after in zip(forms(old), forms(new), strict=True):
        text = re.sub(re.escape(before) + r"(?![A-Za-z0-9_-])", after, text)
    return text


def texts(root: Path = ROOT) -> Iterator[Path]:
    """The text files of the project that may name the address."""
    for path in sorted(root.iterdir()):
        if path.name in OUTSIDE or path.name.endswith(".egg-info"):
            continue
        if path.is_dir():
            yield from texts(path)
        elif path.suffix in TEXT:
            yield path


def strays(url: str, name: str, paths: Iterable[Path]) -> list[str]:
    """Places that name a repository of this name at another address: "file: what it says"."""
    owner = GITHUB.fullmatch(url)
    assert owner is not None
    pattern = re.compile(rf"github(?:\.com)?/([A-Za-z0-9-]+)/{re.escape(name)}(?![A-Za-z0-9_-])")
    return [
        f"{path}: {match.group(0)}"
        for path in paths
        for match in pattern.finditer(path.read_text(encoding="utf-8"))
        if match.group(1) != owner.group(1)
    ]


def change(new: str, root: Path = ROOT, old: str | None = None) -> list[Path]:
    """Stamp a new address everywhere; the files that changed. ValueError for a malformed one."""
    old, new = forms(old or current())[0], forms(new)[0]
    changed = []
    for path in texts(root):
        text = path.read_bytes().decode("utf-8")
        if (renewed := restamp(text, old, new)) != text:
            write_atomically(path, renewed)
            changed.append(path)
    return changed


def main(arguments: list[str]) -> int:
    """Print the public address, or change it everywhere."""
    parser = argparse.ArgumentParser(prog="bookmaker address", description=main.__doc__)
    parser.add_argument("url", nargs="?", help="https://github.com/OWNER/NAME")
    options = parser.parse_args(arguments)
    if options.url is None:
        print(current())
        return 0
    try:
        changed = change(options.url)
    except ValueError as error:
        print(f"bookmaker address: {error}", file=sys.stderr)
        return 1
    for path in changed:
        print(f"  {path.relative_to(ROOT)}")
    print(f"{len(changed)} files name {options.url}")
    return 0
