"""Where a result comes from: code, activations, hardware, versions.

Code is hashed as it is understood, not as it is written: comments, layout and docstrings do not
count, so that a change of wording marks no result as stale.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import os
import platform
from collections.abc import Iterable
from pathlib import Path
from typing import Any

__all__ = ["activation_hashes", "combined", "machine", "module_hashes", "versions"]

PACKAGE = Path(__file__).resolve().parent.parent

#: Followed no further: what a result owes to the catalogue is in the hashes of its activations, and
#: how cells are scheduled, stored and summed up does not change what a cell measures; neither does
#: how the state of a training is kept and given back.  What theory says of an activation enters a
#: configuration as a number, and the configurations are in the keys.
OUTSIDE = (
    "actbook",
    "actbook._catalogue",
    "actbook.signal",
    "actbook.train.checkpoint",
    "actbook.studies",
    "actbook.studies.framework",
    "actbook.studies.statistics",
)


def module_hashes(*modules: str) -> dict[str, str]:
    """SHA-256 of the modules and of every module of this package that they use, by name."""
    found: dict[str, str] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        path = _file(name)
        if name in found or name in OUTSIDE or path is None:
            continue
        tree = ast.parse(path.read_text("utf-8"))
        found[name] = _digest(canonical(tree))
        waiting += _imported(tree, name, is_package=path.name == "__init__.py")
    return dict(sorted(found.items()))


def activation_hashes(names: Iterable[str], policy: str) -> dict[str, str]:
    """SHA-256 of what each activation's declaration says about its values, by name."""
    from .. import catalogue

    return {name: _digest(_declaration(catalogue[name], policy)) for name in sorted(set(names))}


def combined(*tables: dict[str, str]) -> str:
    """One SHA-256 over tables of them."""
    lines = [f"{name} {digest}" for table in tables for name, digest in sorted(table.items())]
    return _digest("\n".join(lines))


def canonical(node: Any) -> str:
    """A syntax tree as text: equal for equal code on every Python version; no docstrings."""
    if isinstance(node, list):
        return "[" + ",".join(canonical(item) for item in node) + "]"
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = []
    for name, value in ast.iter_fields(node):
        # Absent in one version and empty in another: empty says nothing.
        if isinstance(value, list) and not value:
            continue
        if (value is None and not isinstance(node, ast.Constant)) or name in ("kind", "ctx"):
            continue
        if name == "body" and _has_docstring(node):
            value = value[1:]
        fields.append(f"{name}={canonical(value)}")
    return f"{type(node).__name__}({','.join(fields)})"


def _has_docstring(node: ast.AST) -> bool:
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return isinstance(node, kinds) and ast.get_docstring(node, clean=False) is not None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _file(module: str) -> Path | None:
    parts = module.split(".")
    if parts[0] != PACKAGE.name:
        return None
    base = PACKAGE.joinpath(*parts[1:])
    for candidate in (base.with_suffix(".py"), base / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def _imported(tree: ast.AST, module: str, *, is_package: bool) -> list[str]:
    """Names of modules that the code may import; those that are none have no file."""
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parents = module.split(".")
            keep = len(parents) - node.level + (1 if is_package else 0)
            base = ".".join([*(parents[:keep] if node.level else []), *filter(None, [node.module])])
            names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    # A package is executed before what lies in it.
    parts = [name.split(".") for name in names]
    return [".".join(part[:i]) for part in parts for i in range(1, len(part) + 1)]


def _declaration(activation: Any, policy: str) -> str:
    """Name, shape, branches, kinks, parameters; the builtin, or else the forms that are printed."""
    from sympy import srepr

    parts: list[Any] = [activation.name, activation.shape, policy]
    parts += [(srepr(b.expr), srepr(b.upto)) for b in activation.branches]
    parts += [(srepr(k.at), k.value, k.slope) for k in activation.kinks]
    parts += [(p.name, srepr(p.default), p.learnable) for p in activation.parameters]
    if policy == "training" and activation.builtin:
        parts.append(activation.builtin)
    else:
        parts += [(f.order, srepr(f.lo), srepr(f.hi), srepr(f.expr)) for f in activation.forms]
    return repr(parts)


def versions(packages: Iterable[str] = ("numpy", "scipy", "sympy", "torch")) -> dict[str, str]:
    """Versions of Python and of the libraries that a result depends on."""
    return {"python": platform.python_version()} | {
        name: importlib.metadata.version(name) for name in packages
    }


def machine(device: str) -> dict[str, Any]:
    """The hardware: processor, cores, and the accelerator when ``device`` is one.

    On a CPU a group is trained on one thread.
    """
    hardware: dict[str, Any] = {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "threads": 1,
    }
    if device.startswith("cuda"):
        import torch

        properties = torch.cuda.get_device_properties(torch.device(device))
        hardware["accelerator"] = properties.name
        hardware["accelerator_memory_gib"] = round(properties.total_memory / 2**30, 1)
        hardware["cuda"] = torch.version.cuda
    return hardware


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    for line in lines:
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
