"""Writes down which files of the project a Python process opens or lists.

Python imports this module at its start where its folder is on PYTHONPATH; a notebook's kernel and
the processes that it starts therefore report everything that their results may depend on.
"""

import os
import sys


def _source(path: str) -> str:
    """The source file of a bytecode file; any other path unchanged."""
    folder, name = os.path.split(path)
    parent, last = os.path.split(folder)
    if last != "__pycache__":
        return path
    return os.path.join(parent, name.split(".", 1)[0] + ".py")


def _looks_for_modules(caller: str) -> bool:
    """Whether code in this file lists folders only to find modules: it reads what it finds."""
    folders = caller.split(os.sep)
    return caller.startswith("<frozen importlib") or folders[-3:-1] == ["importlib", "metadata"]


def _install(log: str, root: str) -> None:
    seen: set[tuple[str, str]] = set()
    skipped = tuple(os.path.join(root, name) + os.sep for name in (".venv", ".git", "_build"))
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def hook(event: str, arguments: tuple) -> None:
        if event not in ("open", "os.listdir", "os.scandir"):
            return
        path = arguments[0]
        if path is None:
            path = os.curdir
        if not isinstance(path, str | bytes | os.PathLike):
            return
        if event != "open" and _looks_for_modules(sys._getframe(1).f_code.co_filename):
            return
        path = os.path.abspath(os.fsdecode(path))
        if not path.startswith(root + os.sep) or path.startswith(skipped):
            return
        entry = ("file", _source(path)) if event == "open" else ("folder", path)
        if entry not in seen:
            seen.add(entry)
            os.write(descriptor, ("\t".join(entry) + "\n").encode())

    sys.addaudithook(hook)


def _next_in_line() -> None:
    """Run the sitecustomize that this one hides, if there is one."""
    here = os.path.dirname(os.path.abspath(__file__))
    for folder in sys.path:
        path = os.path.join(folder, "sitecustomize.py")
        if os.path.abspath(folder or os.curdir) != here and os.path.isfile(path):
            with open(path, encoding="utf-8") as file:
                exec(compile(file.read(), path, "exec"), {"__name__": "sitecustomize"})
            return


if "BOOKMAKER_TRACE" in os.environ and "BOOKMAKER_ROOT" in os.environ:
    _install(os.environ["BOOKMAKER_TRACE"], os.environ["BOOKMAKER_ROOT"])
_next_in_line()
