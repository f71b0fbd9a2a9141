"""The set-up cell of every notebook, and a rehearsal of Colab on this machine."""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path
from typing import Any

from bookmaker.address import current, forms
from bookmaker.environment import program
from bookmaker.execute import ANSI, read
from bookmaker.layout import BUILD, ROOT, notebooks, relative, write_atomically
from bookmaker.normalise import text_of

IDENTITY = "colab-setup"
METADATA = {
    "cellView": "form",
    "jupyter": {"source_hidden": True},
    "tags": ["remove-cell", "setup"],
}
INSTALL_SECONDS = 900  # for the slowest cell, which installs over a network
POSITION = 1  # after the title
CELL = """\
# @title Set-up: installs the book's package where it is missing, as in Colab
from importlib import invalidate_caches, util

if util.find_spec("actbook") is None:
    import os
    import subprocess
    import sys
    from importlib.metadata import version
    from pathlib import Path

    source = os.environ.get("ACTBOOK_SOURCE", "git+{address}")
    folder = source.removeprefix("git+").removeprefix("file://")
    source = Path(folder).resolve().as_uri() if os.path.isdir(folder) else source
    torch = version("torch") if util.find_spec("torch") else None
    wanted = [f"actbook[notebooks] @ {{source}}"] + ([f"torch=={{torch}}"] if torch else [])
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", *wanted], check=True)
    invalidate_caches()
    assert torch in (None, version("torch")), f"torch {{torch}} became {{version('torch')}}"
    kept = f"torch {{torch}} is unchanged" if torch else f"with torch {{version('torch')}}"
    print(f"Installed actbook {{version('actbook')}} from {{source}}; {{kept}}.")
"""


def source_of_cell() -> str:
    """The set-up cell, with the address that it installs from."""
    return CELL.format(address=forms(current())[0]).rstrip()


def is_setup(cell: Any) -> bool:
    """Whether a cell is the set-up cell, of whatever age."""
    return cell.cell_type == "code" and "setup" in cell.metadata.get("tags", [])


def stamp(notebook: Any) -> Any:
    """Put the present set-up cell in its place, in the notebook given."""
    from nbformat.v4 import new_code_cell

    cell = new_code_cell(source_of_cell(), id=IDENTITY, metadata=json.loads(json.dumps(METADATA)))
    old = [item for item in notebook.cells if is_setup(item)]
    if old:
        cell.execution_count, cell.outputs = old[0].execution_count, old[0].outputs
    cells = [item for item in notebook.cells if not is_setup(item)]
    notebook.cells = [*cells[:POSITION], cell, *cells[POSITION:]]
    return notebook


def faults(path: Path) -> list[str]:
    """What is wrong with a notebook's set-up cell."""
    cells = read(path).cells
    found = [index for index, cell in enumerate(cells) if is_setup(cell)]
    if found != [POSITION]:
        return [f"{path}: its set-up cell stands at {found}, must stand at [{POSITION}]"]
    cell = cells[POSITION]
    wrong = []
    if cell.source != source_of_cell():
        wrong.append(f"{path}: its set-up cell has another text")
    if dict(cell.metadata) != METADATA:
        wrong.append(f"{path}: its set-up cell has other metadata: {dict(cell.metadata)}")
    if cell.get("outputs"):
        wrong.append(f"{path}: its set-up cell stores outputs")
    return wrong


def _pinned(name: str) -> str:
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    match = re.search(rf"^{re.escape(name)}==\S+", text, re.MULTILINE)
    if match is None:
        raise KeyError(f"requirements.txt does not pin {name}")
    return match.group(0)


def _call(*command: str | Path, cwd: Path = ROOT, **env: str) -> str:
    variables = {k: v for k, v in os.environ.items() if not k.startswith(("ACTBOOK", "PYTHON"))}
    done = subprocess.run(
        command, cwd=cwd, env=variables | env, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def clone(target: Path) -> str:
    """Copy the working tree as git sees it into a repository of its own; its address for pip."""
    listed = _call("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    author = ("-c", "user.name=actbook", "-c", "user.email=actbook@localhost")
    _call("git", "init", "--quiet", target)
    _call("git", "add", "--all", cwd=target)
    _call("git", *author, "commit", "--quiet", "--message", "the working tree", cwd=target)
    return target.as_uri()


def _freeze(python: Path) -> dict[str, str]:
    listed = json.loads(_call(python, "-m", "pip", "list", "--format=json"))
    return {item["name"].lower(): item["version"] for item in listed}


def rehearse(paths: list[Path], fresh: bool = False) -> None:
    """Run notebooks as Colab would: torch and Jupyter are there, the package is not.

    Each notebook is copied alone into an empty folder. Raises RuntimeError with the output of what
    failed.
    """
    folder = BUILD / "colab"
    if fresh:
        shutil.rmtree(folder, ignore_errors=True)
    python = program(folder / "venv")
    torch, tools = _pinned("torch"), [_pinned(n) for n in ("nbclient", "ipykernel")]
    if not python.exists() or "nbclient" not in _freeze(python):
        print(f"making an environment with {torch} and Jupyter", flush=True)
        venv.create(folder / "venv", with_pip=True, clear=True)
        _call(python, "-m", "pip", "install", "--quiet", torch, *tools)
    with tempfile.TemporaryDirectory() as scratch:
        source = clone(Path(scratch) / "clone")
        for path in paths:
            _call(python, "-m", "pip", "uninstall", "--yes", "--quiet", "actbook")
            before = _freeze(python)
            alone = Path(scratch) / path.stem
            alone.mkdir()
            shutil.copy2(path, alone)
            started = time.monotonic()
            _call(
                *(python.parent / "jupyter-execute", "--inplace", f"--timeout={INSTALL_SECONDS}"),
                path.name,
                cwd=alone,
                ACTBOOK_SOURCE=source,
                PATH=f"{python.parent}{os.pathsep}{os.environ['PATH']}",
            )
            _confirm(alone / path.name, before, _freeze(python))
            print(f"  {relative(path)}: {time.monotonic() - started:.0f} s", flush=True)


def _confirm(executed: Path, before: dict[str, str], after: dict[str, str]) -> None:
    cell = read(executed).cells[POSITION]
    text = "".join(output.get("text", "") for output in cell.outputs)
    said = [line for line in text.splitlines() if "Installed actbook" in line]
    if not said:
        raise RuntimeError(f"{executed.name}: the set-up cell said {text!r}")
    if before["torch"] != after["torch"]:
        raise RuntimeError(f"torch {before['torch']} became {after['torch']}")
    print(f"  {ANSI.sub('', said[0])}")


def main(arguments: list[str]) -> int:
    """Print the set-up cell, stamp it into the notebooks, or rehearse Colab."""
    parser = argparse.ArgumentParser(prog="bookmaker colab", description=main.__doc__)
    parser.add_argument("--cell", action="store_true", help="print the set-up cell")
    parser.add_argument("--stamp", action="store_true", help="put it into the notebooks")
    parser.add_argument("--fresh", action="store_true", help="rehearse in a new environment")
    parser.add_argument("notebooks", nargs="*", type=Path, help="default: all of the book")
    options = parser.parse_args(arguments)
    if options.cell:
        print(source_of_cell())
        return 0
    paths = [path.resolve() for path in options.notebooks] or notebooks()
    if options.stamp:
        for path in filter(faults, paths):
            write_atomically(path, text_of(stamp(read(path))))
            print(f"{relative(path)}: the set-up cell is renewed")
        return 0
    try:
        rehearse(paths, options.fresh)
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{len(paths)} notebooks run where only torch and Jupyter are installed")
    return 0
