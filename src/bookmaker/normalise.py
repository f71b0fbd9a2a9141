"""Stores notebooks in one normal form: text outputs kept, images, timings and whims left out."""

import argparse
import copy
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bookmaker.execute import ExecutionFailed, environment, prepare, read, run
from bookmaker.layout import cores, notebooks, relative, write_atomically

METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
IMAGES = ("image/png", "image/jpeg", "image/svg+xml", "image/gif", "application/pdf")
VARYING = {"machine", "nbval-ignore-output"}
CELL_METADATA = ("cellView", "jupyter", "mystnb", "tags")


def _output(output: Any) -> Any | None:
    """An output without images and transient data; None where nothing is left."""
    if output.output_type in ("display_data", "execute_result"):
        for kind in IMAGES:
            output.data.pop(kind, None)
            output.metadata.pop(kind, None)
        output.metadata = {}
        if not output.data:
            return None
    output.pop("transient", None)
    return output


def normal(notebook: Any) -> Any:
    """The normal form of an executed notebook.

    Execution counts run 1, 2, 3, …; the metadata of the notebook is the same for all, that of a
    cell keeps its tags, its hiding and the keys of MyST-NB; a cell whose output varies with machine
    or time (tag `machine` or `nbval-ignore-output`) stores none.
    """
    notebook = copy.deepcopy(notebook)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    notebook.metadata.clear()
    notebook.metadata.update(copy.deepcopy(METADATA))
    count = 0
    known: set[str] = set()
    for index, cell in enumerate(notebook.cells):
        if not cell.get("id") or cell.id in known:
            cell.id = f"cell-{index:03}"
        known.add(cell.id)
        kept = {name: cell.metadata[name] for name in CELL_METADATA if name in cell.metadata}
        cell.metadata.clear()
        cell.metadata.update({name: kept[name] for name in sorted(kept) if kept[name]})
        if not cell.get("attachments"):
            cell.pop("attachments", None)
        cell.source = cell.source.rstrip()
        if cell.cell_type != "code":
            continue
        if not cell.source or "skip-execution" in cell.metadata.get("tags", []):
            cell.execution_count, cell.outputs = None, []
            continue
        count += 1
        cell.execution_count = count
        varies = VARYING & set(cell.metadata.get("tags", []))
        kept_outputs = [] if varies else [_output(output) for output in cell.outputs]
        cell.outputs = [output for output in kept_outputs if output is not None]
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = count
    return notebook


def text_of(notebook: Any) -> str:
    """The bytes of a stored notebook: keys sorted, one space of indent, a final newline."""
    import nbformat

    return nbformat.writes(notebook, version=4).rstrip("\n") + "\n"


def unnormalised(path: Path) -> bool:
    """Whether a stored notebook differs from its own normal form."""
    return path.read_text(encoding="utf-8") != text_of(normal(read(path)))


def renew(paths: Iterable[Path]) -> list[Path]:
    """Execute notebooks and store them in normal form; the paths of those that changed.

    Raises ExecutionFailed with every failure; a notebook that fails stays as it was.
    """
    env = environment()
    prepare(env)
    changed, failures = [], []

    def one(path: Path) -> tuple[Path, str]:
        return path, text_of(normal(run(path, env)[0]))

    with ThreadPoolExecutor(max_workers=cores()) as pool:
        for job in [pool.submit(one, path) for path in paths]:
            try:
                path, text = job.result()
            except ExecutionFailed as error:
                failures.append(str(error))
                continue
            if text != path.read_text(encoding="utf-8"):
                write_atomically(path, text)
                changed.append(path)
    if failures:
        raise ExecutionFailed("\n\n".join(failures))
    return changed


def main(arguments: list[str]) -> int:
    """Re-execute notebooks and store them normalised."""
    parser = argparse.ArgumentParser(prog="bookmaker normalise", description=main.__doc__)
    parser.add_argument("notebooks", nargs="*", type=Path, help="default: all of the book")
    parser.add_argument("--check", action="store_true", help="execute nothing; name what differs")
    parser.add_argument("--only-form", action="store_true", help="normalise without executing")
    options = parser.parse_args(arguments)
    paths = [path.resolve() for path in options.notebooks] or notebooks()
    if options.check:
        different = [path for path in paths if unnormalised(path)]
        for path in different:
            print(f"{relative(path)}: not in normal form (run `make notebooks`)")
        return 1 if different else 0
    if options.only_form:
        changed = [path for path in paths if unnormalised(path)]
        for path in changed:
            write_atomically(path, text_of(normal(read(path))))
    else:
        try:
            changed = renew(paths)
        except ExecutionFailed as error:
            print(error, file=sys.stderr)
            return 1
    print(f"{len(changed)} of {len(paths)} notebooks changed")
    for path in changed:
        print(f"  {relative(path)}")
    return 0
