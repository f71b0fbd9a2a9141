"""Executes notebooks in parallel and remembers exactly what each result depended on.

A stored result is used again only if the notebook's code cells and their tags, the installed
packages, the Python version, the variables that steer execution, the devices, and the bytes of
every project file that the execution opened are what they were.
"""

import argparse
import asyncio
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from bookmaker.layout import BUILD, ROOT, cores, notebooks, relative, write_atomically

FORMAT = 1
CELL_SECONDS = 120
CHAPTER_SECONDS = 60
STEERING = re.compile(
    r"(ACTBOOK|ATEN|CUBLAS|CUDA|DNNL|MKL|OMP|ONEDNN|OPENBLAS|PYTORCH|TORCH|TRITON)_.*"
    r"|LANG|LC_ALL|TZ|PYTHONHASHSEED"
)
ANSI = re.compile(r"\x1b\[[0-9;]*m")


class ExecutionFailed(Exception):
    """A notebook did not run from top to bottom; the message shows the cell and the traceback."""


@dataclass
class Result:
    """What one execution gave and what it depended on."""

    key: dict[str, Any]
    files: dict[str, str]
    seconds: float
    cells: list[dict[str, Any]] = field(default_factory=list)


def environment(figures: str | None = None) -> dict[str, str]:
    """The variables under which notebooks run: this process's, with what steers results fixed.

    `figures="svg"` asks `actbook.figures` for the book's format. A variable that is already set
    wins over the default here, so that `make portable` can run everything as another machine would.
    """
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    env.pop("PYTHONPATH", None)
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        env.setdefault(name, "1")
    env.setdefault("PYTHONHASHSEED", "0")
    env.update(LANG="C.UTF-8", LC_ALL="C.UTF-8", TZ="UTC")
    env["MPLCONFIGDIR"] = str(BUILD / "matplotlib")
    env["IPYTHONDIR"] = str(BUILD / "ipython")
    env["JUPYTER_PLATFORM_DIRS"] = "1"
    if figures:
        env["ACTBOOK_FIGURES"] = figures
    else:
        env.pop("ACTBOOK_FIGURES", None)
    return env


def prepare(env: Mapping[str, str]) -> None:
    """Let matplotlib list the fonts now: in a slow kernel it would say so on stderr."""
    if not list(Path(env["MPLCONFIGDIR"]).glob("fontlist*.json")):
        command = [sys.executable, "-c", "import matplotlib.font_manager"]
        subprocess.run(command, env=env, capture_output=True, check=False)


@cache
def installed() -> str:
    """Digest of the installed distributions and their versions, the book's own left out."""
    found = {f"{item.name}=={item.version}" for item in distributions() if item.name != "actbook"}
    return _digest("\n".join(sorted(found)).encode())


@cache
def devices() -> str:
    """The GPUs of this machine as the driver lists them; empty without a driver."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ""
    listed = subprocess.run([program, "-L"], capture_output=True, text=True, check=False)
    return listed.stdout


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def digest_of(path: Path) -> str:
    """SHA-256 of a file, or of the sorted names in a folder; "absent" where there is nothing."""
    if path.is_dir():
        names = sorted(p.name for p in path.iterdir() if p.name != "__pycache__")
        return _digest("\n".join(names).encode())
    try:
        return _digest(path.read_bytes())
    except FileNotFoundError:
        return "absent"


def read(path: Path) -> Any:
    """A notebook as nbformat 4.5."""
    import nbformat

    return nbformat.read(path, as_version=4)


def code_of(notebook: Any) -> list[list[Any]]:
    """What of a notebook is executed: the source and the tags of each code cell."""
    return [
        [cell.source, sorted(cell.metadata.get("tags", []))]
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


def key_of(notebook: Any, env: Mapping[str, str]) -> dict[str, Any]:
    """All that an execution depends on, but for the files that it opens."""
    steering = {name: env[name] for name in sorted(env) if STEERING.fullmatch(name)}
    return {
        "format": FORMAT,
        "code cells": _digest(json.dumps(code_of(notebook)).encode()),
        "installed packages": installed(),
        "Python": sys.version,
        "environment variables": steering,
        "machine": [platform.system(), platform.machine(), devices()],
    }


def _record_path(path: Path, root: Path) -> Path:
    return root / "_build" / "execution" / f"{relative(path, root)}.json"


def load(path: Path, root: Path = ROOT) -> Result | None:
    """The stored result of a notebook; None where there is none that can be read."""
    try:
        stored = json.loads(_record_path(path, root).read_text(encoding="utf-8"))
        return Result(**stored)
    except (FileNotFoundError, ValueError, TypeError):
        return None


def why_stale(path: Path, env: Mapping[str, str], root: Path = ROOT) -> str | None:
    """Why a notebook has to run again, in words; None where its stored result still holds."""
    result = load(path, root)
    if result is None:
        return "it has no stored result"
    for part, value in key_of(read(path), env).items():
        if result.key.get(part) != value:
            return f"other {part}"
    changed = [name for name, digest in result.files.items() if digest_of(root / name) != digest]
    return f"{', '.join(changed)} changed" if changed else None


def _snapshot(root: Path) -> dict[str, str]:
    """Digests of the sources before a run: what a run used is what stood there when it began."""
    return {
        relative(path, root): digest_of(path)
        for folder in ("src", "book")
        for path in (root / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def _traced(log: Path, before: Mapping[str, str], root: Path) -> dict[str, str]:
    """The files and folders that a run reported, with the digests they had when it began."""
    used = {}
    for line in sorted(set(log.read_text(encoding="utf-8").splitlines())):
        path = Path(line.split("\t", 1)[1])
        name = path.relative_to(root).as_posix()
        used[name] = before.get(name) or digest_of(path)
    return used


def _show_failure(path: Path, root: Path, notebook: Any, error: Exception) -> ExecutionFailed:
    number, source = 0, ""
    code = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    for cell in code:
        number, source = number + 1, cell.source
        if cell.execution_count is None or any(o.output_type == "error" for o in cell.outputs):
            break
    trace = getattr(error, "traceback", "") or f"{type(error).__name__}: {error}"
    shown = "" if source in trace else f"{source}\n\n"
    head = f"{relative(path, root)}: code cell {number} failed"
    return ExecutionFailed(f"{head}\n\n{shown}{ANSI.sub('', trace)}")


def _refuse_stderr(path: Path, root: Path, notebook: Any) -> None:
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for number, cell in enumerate(code, 1):
        for output in cell.outputs:
            if output.output_type == "stream" and output.name == "stderr":
                raise ExecutionFailed(
                    f"{relative(path, root)}: code cell {number} writes to stderr\n\n"
                    f"{cell.source}\n\n{output.text}"
                )


def _transport(folder: str) -> dict[str, str]:
    """How to talk to a kernel: by sockets in a folder of its own, so that no two share a port."""
    if os.name == "nt":
        return {"transport": "tcp"}
    return {"transport": "ipc", "ip": os.path.join(folder, "kernel")}


def run(path: Path, env: Mapping[str, str], root: Path = ROOT) -> tuple[Any, Result]:
    """Execute one notebook in a fresh kernel; the executed notebook and its result.

    Raises ExecutionFailed, with the cell and its traceback, when a cell fails, outlasts
    CELL_SECONDS or writes to stderr.
    """
    from nbclient import NotebookClient
    from nbclient.exceptions import CellControlSignal, DeadKernelError
    from traitlets.config import Config

    notebook = read(path)
    key = key_of(notebook, env)
    before = _snapshot(root)
    with tempfile.TemporaryDirectory() as scratch:
        log = Path(scratch) / "opened"
        log.touch()
        traced = dict(env)
        traced["PYTHONPATH"] = str(Path(__file__).parent / "trace")
        traced["BOOKMAKER_TRACE"] = str(log)
        traced["BOOKMAKER_ROOT"] = str(root)
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
        client = NotebookClient(
            notebook,
            timeout=CELL_SECONDS,
            kernel_name="python3",
            record_timing=False,
            coalesce_streams=True,
            resources={"metadata": {"path": str(path.parent)}},
            config=Config(KernelManager=_transport(scratch)),
        )
        started = time.monotonic()
        try:
            asyncio.run(client.async_execute(env=traced))
        except (CellControlSignal, DeadKernelError, RuntimeError) as error:
            raise _show_failure(path, root, notebook, error) from error
        seconds = time.monotonic() - started
        files = _traced(log, before, root)
    _refuse_stderr(path, root, notebook)
    cells = [
        {"execution_count": cell.execution_count, "outputs": cell.outputs}
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]
    return notebook, Result(key, files, round(seconds, 2), cells)


def store(path: Path, result: Result, root: Path = ROOT) -> None:
    """Keep a result; the write is atomic."""
    write_atomically(_record_path(path, root), json.dumps(vars(result), indent=1, sort_keys=True))


def merged(path: Path, result: Result) -> Any:
    """The notebook as it stands now, its code cells filled with a stored result."""
    from nbformat import NotebookNode, from_dict

    notebook: NotebookNode = read(path)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for cell, stored in zip(code, result.cells, strict=True):
        cell.execution_count = stored["execution_count"]
        cell.outputs = [from_dict(output) for output in stored["outputs"]]
    return notebook


def fill_cache(paths: Iterable[Path], root: Path = ROOT) -> int:
    """Write jupyter-cache anew from the stored results, so that the book build executes nothing.

    jupyter-cache takes the metadata of code cells (captions, alternative texts) from its own copy;
    writing it anew keeps them current. The number of notebooks written.
    """
    from jupyter_cache import get_cache
    from jupyter_cache.base import CacheBundleIn

    folder = root / "_build" / ".jupyter_cache"
    if folder.exists():
        shutil.rmtree(folder)
    cache_ = get_cache(str(folder))
    owners: dict[str, Path] = {}
    for path in paths:
        result = load(path, root)
        if result is None:
            raise ExecutionFailed(f"{relative(path, root)} has no stored result")
        notebook = merged(path, result)
        _, digest = cache_.create_hashed_notebook(notebook)
        if digest in owners:
            raise ExecutionFailed(
                f"{relative(path, root)} and {relative(owners[digest], root)} have the same code"
            )
        owners[digest] = path
        bundle = CacheBundleIn(notebook, str(path), data={"execution_seconds": result.seconds})
        cache_.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)
    cache_.db.dispose()
    return len(owners)


def cached_notebooks(root: Path = ROOT) -> int:
    """The number of executed notebooks in jupyter-cache."""
    from jupyter_cache import get_cache

    cache_ = get_cache(str(root / "_build" / ".jupyter_cache"))
    count = len(cache_.list_cache_records())
    cache_.db.dispose()
    return count


def execute(
    paths: Iterable[Path], *, figures: str | None = "svg", force: bool = False, root: Path = ROOT
) -> list[Path]:
    """Run the notebooks whose stored results no longer hold; the paths of those that ran.

    All are tried before ExecutionFailed is raised with every failure.
    """
    env = environment(figures)
    reasons = {path: "asked for" if force else why_stale(path, env, root) for path in paths}
    waiting = [path for path, reason in reasons.items() if reason]
    if waiting:
        prepare(env)
    known = {path: load(path, root) for path in waiting}
    waiting.sort(key=lambda path: -(r.seconds if (r := known[path]) else float("inf")))
    failures = []
    with ThreadPoolExecutor(max_workers=cores()) as pool:
        jobs = {}
        for path in waiting:
            print(f"  {relative(path, root)}: runs, {reasons[path]}", flush=True)
            jobs[pool.submit(run, path, env, root)] = path
        for job in as_completed(jobs):
            path = jobs[job]
            try:
                _, result = job.result()
            except ExecutionFailed as error:
                failures.append(str(error))
                print(f"  {relative(path, root)}: FAILED", flush=True)
                continue
            store(path, result, root)
            slow = result.seconds > CHAPTER_SECONDS
            note = f", over the limit of {CHAPTER_SECONDS} s" if slow else ""
            print(f"  {relative(path, root)}: {result.seconds:.0f} s{note}", flush=True)
    if failures:
        line = "\n" + "─" * 80 + "\n"
        raise ExecutionFailed(line + line.join(sorted(failures)))
    return waiting


def main(arguments: list[str]) -> int:
    """Run the notebooks whose results are stale."""
    parser = argparse.ArgumentParser(prog="bookmaker execute", description=main.__doc__)
    parser.add_argument("notebooks", nargs="*", type=Path, help="default: all of the book")
    parser.add_argument("--force", action="store_true", help="run even what is current")
    options = parser.parse_args(arguments)
    paths = [path.resolve() for path in options.notebooks] or notebooks()
    try:
        ran = execute(paths, force=options.force)
    except ExecutionFailed as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{len(ran)} of {len(paths)} notebooks ran; the others are current")
    return 0
