"""Runs one notebook with many mutants: `python -m bookmaker.mutant_runner NOTEBOOK JOBS`.

The notebook runs once, cell by cell, in this process. Where a mutant begins the process forks: the
child makes the change, goes on from there and stops at the first thing that a test of the book
would see, an exception or an output that differs from the stored one, compared as nbval compares.
The files stay as they are: records, declarations and tables are changed in the child's memory.

Reads mutants as JSON lines from its input and writes an outcome for each, as JSON lines.
"""

from __future__ import annotations

import ast
import dataclasses
import hashlib
import io
import json
import os
import pickle
import select
import signal
import sys
import types
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NoReturn

from bookmaker import lint, mutants
from bookmaker.chapter import Chapter, dotted
from bookmaker.execute import CELL_SECONDS
from bookmaker.mutants import Mutant

IGNORED = {"image/png", "image/jpeg"}
UNCHECKED = {"nbval-ignore-output", "nbval-skip"}
LIMIT = 600  # seconds for a mutant, all its cells together
OPAQUE = object()
MODULES = mutants.LIBRARIES | {"audit", "data", "figures", "plt", "studies", "train", "warnings"}

CAUGHT, SURVIVED, EQUIVALENT, UNFIT = "caught", "survived", "equivalent", "unfit"


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of a mutant, and what noticed it."""

    mutant: Mutant
    outcome: str
    noticed: str = ""


# Running cells ---------------------------------------------------------------------------------


class Stream(io.TextIOBase):
    """One of the two text streams of a cell, kept in the order of writing."""

    def __init__(self, name: str, outputs: list[dict[str, Any]]) -> None:
        super().__init__()
        self.name, self.outputs = name, outputs

    def writable(self) -> bool:
        """A stream to write to."""
        return True

    def write(self, text: str) -> int:
        """Append to the outputs."""
        if text:
            self.outputs.append({"output_type": "stream", self.name: str(text)})
        return len(text)


def make_shell(outputs: list[dict[str, Any]]) -> Any:
    """An IPython shell that shows nothing and keeps what cells output in a list."""
    from IPython.core.displayhook import DisplayHook
    from IPython.core.displaypub import DisplayPublisher
    from IPython.core.history import HistoryManager
    from IPython.core.interactiveshell import InteractiveShell

    class Hook(DisplayHook):
        def __call__(self, result: Any = None) -> None:
            if result is None or self.quiet():
                return
            data, _ = self.compute_format_data(result)
            self.update_user_ns(result)
            outputs.append({"output_type": "execute_result", "data": data})

    class Publisher(DisplayPublisher):
        def publish(self, data: Any, *given: Any, **options: Any) -> None:
            outputs.append({"output_type": "display_data", "data": data})

    class Shell(InteractiveShell):
        kernel = None  # pandas lays out wide tables as in a notebook where there is one

        def showtraceback(self, *given: Any, **options: Any) -> None:
            """Shows nothing: the exception itself is looked at."""

        def showsyntaxerror(self, *given: Any, **options: Any) -> None:
            """Shows nothing."""

    setattr(HistoryManager, "enabled", False)  # noqa: B010  (a trait, which takes plain values)
    setattr(Shell, "displayhook_class", Hook)  # noqa: B010
    setattr(Shell, "display_pub_class", Publisher)  # noqa: B010
    return Shell.instance()


def flat(outputs: Iterable[Any]) -> dict[str, list[str]]:
    """Outputs by kind, streams joined, pictures left out: what nbval compares."""
    found: dict[str, list[str]] = defaultdict(list)
    streams: dict[str, str] = defaultdict(str)
    for output in outputs:
        if output["output_type"] == "stream":
            for name in ("stdout", "stderr"):
                text = output["text"] if output.get("name") == name else output.get(name, "")
                if text:
                    streams[name] += text
            continue
        for kind, text in output.get("data", {}).items():
            if kind not in IGNORED:
                found[kind].append("".join(text) if isinstance(text, list) else str(text))
    return {**found, **{name: [text] for name, text in streams.items()}}


class Notebook:
    """A notebook under test: its code cells, the shell, and what a cell was seen to do."""

    def __init__(self, path: Path) -> None:
        from bookmaker.execute import read

        self.path = path
        self.notebook = read(path)
        self.outputs: list[dict[str, Any]] = []
        self.shell = make_shell(self.outputs)

    def code(self) -> Iterator[tuple[int, Any]]:
        """The code cells with their numbers, as `Chapter` counts them."""
        for number, cell in enumerate(self.notebook.cells, start=1):
            if cell.cell_type == "code" and cell.source.strip():
                yield number, cell

    def run(self, number: int, source: str, stored: Any = None) -> str:
        """Run a cell; "" if all is as stored, else what a test would report."""
        cell = self.notebook.cells[number - 1]
        tags = set(cell.metadata.get("tags", []))
        if "skip-execution" in tags:
            return ""
        self.outputs.clear()
        out, err = (Stream(name, self.outputs) for name in ("stdout", "stderr"))
        with redirect_stdout(out), redirect_stderr(err):
            done = self.shell.run_cell(source, store_history=True)
        error = done.error_before_exec or done.error_in_exec
        if error is not None and "raises-exception" not in tags:
            return f"{type(error).__name__} in cell {number}"
        if tags & UNCHECKED:
            return ""
        wanted, found = flat(cell.outputs if stored is None else stored), flat(self.outputs)
        if wanted != found:
            kinds = sorted(k for k in {*wanted, *found} if wanted.get(k) != found.get(k))
            return f"output of cell {number} ({', '.join(kinds)})"
        return ""


# Values ----------------------------------------------------------------------------------------


def fingerprint(value: Any, depth: int = 0) -> Any:
    """Something equal for equal values; OPAQUE for what cannot be compared."""
    try:
        return OPAQUE if depth > 6 else _fingerprint(value, depth)
    except Exception:
        return OPAQUE


def _fingerprint(value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool | int | float | complex | str | bytes):
        return type(value).__name__, repr(value)
    if isinstance(value, list | tuple):
        return type(value).__name__, tuple(fingerprint(item, depth + 1) for item in value)
    if isinstance(value, dict):
        items = ((fingerprint(k, depth + 1), fingerprint(v, depth + 1)) for k, v in value.items())
        return "dict", tuple(items)
    if isinstance(value, set | frozenset):
        return "set", tuple(sorted(repr(fingerprint(item, depth + 1)) for item in value))
    if isinstance(value, types.ModuleType):
        return "module", value.__name__
    if isinstance(value, types.FunctionType):
        inner = (_code(value.__code__), value.__defaults__, value.__kwdefaults__)
        kept = [cell.cell_contents for cell in value.__closure__ or ()]
        return "function", fingerprint(list(inner), depth + 1), fingerprint(kept, depth + 1)
    module = type(value).__module__.partition(".")[0]
    if module == "sympy":
        import sympy

        return "sympy", sympy.srepr(value)
    if module == "numpy" and hasattr(value, "tobytes"):
        shape = getattr(value, "shape", ())
        return "numpy", str(getattr(value, "dtype", "")), shape, _digest(value.tobytes())
    if module == "torch" and hasattr(value, "detach"):
        array = value.detach().cpu().contiguous().flatten().view(-1)
        data = bytes(array.numpy().tobytes()) if array.dtype.is_floating_point else array.tolist()
        return "torch", tuple(value.shape), _digest(repr(data).encode())
    return type(value).__qualname__, _digest(pickle.dumps(value))


def _code(code: types.CodeType) -> tuple[Any, ...]:
    consts = tuple(_code(c) if isinstance(c, types.CodeType) else repr(c) for c in code.co_consts)
    return code.co_code.hex(), code.co_names, consts


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def state(names: dict[str, Any]) -> dict[str, Any]:
    """The values that a cell may have changed, the generators of random numbers among them."""
    import numpy as np
    import torch

    kept = {name: value for name, value in names.items() if not name.startswith("_")}
    found = {name: fingerprint(value) for name, value in kept.items() if name not in ("In", "Out")}
    found[" generators"] = (
        fingerprint(np.random.get_state(legacy=False)),
        fingerprint(torch.get_rng_state()),
    )
    return found


def assigned(source: str) -> set[str]:
    """The names that a cell binds."""
    tree = ast.parse(source)
    names = {
        n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
    }
    names |= {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.ClassDef)}
    imports = [n for n in ast.walk(tree) if isinstance(n, ast.Import | ast.ImportFrom)]
    return names | {(a.asname or a.name).partition(".")[0] for n in imports for a in n.names}


def _opaque(value: Any) -> bool:
    if isinstance(value, tuple):
        return any(map(_opaque, value))
    return value is OPAQUE


def unchanged(before: dict[str, Any], after: dict[str, Any], source: str) -> bool:
    """Whether two states agree, and nothing that the cell binds is beyond comparison."""
    bound = assigned(source)
    if any(_opaque(value) for name, value in after.items() if name in bound):
        return False
    names = {*before, *after}
    return all(
        before.get(name) == after.get(name) or _opaque(after.get(name)) or _opaque(before.get(name))
        for name in names
    )


def changed_names(before: dict[str, Any], after: dict[str, Any], source: str) -> set[str]:
    """The names whose values differ, or may."""
    bound = assigned(source)
    return {
        name
        for name in {*before, *after}
        if before.get(name) != after.get(name) or (name in bound and _opaque(after.get(name)))
    }


def reached(names: set[str], space: dict[str, Any]) -> set[str]:
    """The names with those of the functions that look one of them up when they are called."""
    codes = {k: v.__code__ for k, v in space.items() if isinstance(v, types.FunctionType)}
    found, grown = set(names), True
    while grown:
        new = {k for k, code in codes.items() if k not in found and _looked_up(code) & found}
        found, grown = found | new, bool(new)
    return found


def _looked_up(code: types.CodeType) -> set[str]:
    inner = [_looked_up(c) for c in code.co_consts if isinstance(c, types.CodeType)]
    return set(code.co_names).union(*inner)


def follows(names: set[str], later: dict[int, str]) -> set[int]:
    """The later cells that can differ when these names do, and those that they need in turn.

    Read from the names in the cells: a cell that uses a changed name may change all that it binds,
    and what it calls a method of as a statement.
    """
    trees = {number: ast.parse(text) for number, text in later.items()}
    used = {n: {x.id for x in ast.walk(t) if isinstance(x, ast.Name)} for n, t in trees.items()}
    bound = {n: assigned(later[n]) | _called(tree) for n, tree in trees.items()}
    names = set(names)
    affected = set()
    for number in later:
        if used[number] & names or " generators" in names:
            affected.add(number)
            names |= bound[number]
    wanted: set[str] = set()
    needed = set()
    for number in sorted(later, reverse=True):
        if number in affected or bound[number] & wanted:
            needed.add(number)
            wanted |= used[number]
    return needed


def _called(tree: ast.Module) -> set[str]:
    """Names of which a statement calls a method or sets an item: what may change in place."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            base, point, _ = dotted(node.value.func).partition(".")
            found.add(base if point else "")
        elif isinstance(node, ast.Subscript | ast.Attribute) and isinstance(node.ctx, ast.Store):
            found.add(dotted(node.value).partition(".")[0])
    return found - MODULES - {""}


def same_value(pair: tuple[str, str], names: dict[str, Any]) -> bool:
    """Whether an asserted value is the same before and after the change, as far as can be seen.

    Truth values say nothing here: that both are true is why the mutant came so far.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            one, other = (eval(text, dict(names)) for text in pair)
            if "bool" in str(getattr(one, "dtype", type(one))).lower():
                return False
            if fingerprint(one) == fingerprint(other) is not OPAQUE:
                return True
            import sympy

            return bool(sympy.simplify(one - other) == 0)
    except Exception:
        return False


# Changes outside cells -------------------------------------------------------------------------


def change_record(mutant: Mutant) -> str:
    """Change a record in memory; what the record's own checks say of it, "" if nothing."""
    import jsonschema
    import yaml

    from actbook import audit
    from actbook.audit import records

    folder = Path(records.__file__).parent
    verdict = mutant.how == "verdict"
    name = f"{mutant.change[:3]}.yaml" if verdict else "predictions.yaml"
    data = yaml.safe_load((folder / name).read_text(encoding="utf-8"))
    for raw in data["claims" if verdict else "predictions"]:
        if raw["id"] == mutant.change:
            (flip_claim if verdict else flip_prediction)(raw)
    try:
        jsonschema.validate(data, audit.schema())
        new: dict[str, Any] = dict(
            records.parse_claims(data) if verdict else records.parse_predictions(data)
        )
    except (jsonschema.ValidationError, audit.AuditError) as error:
        return f"records: {type(error).__name__}"
    known: dict[str, Any] = records._claims_in(name) if verdict else records._predictions()
    known.update(new)
    if verdict and records._claims.cache_info().currsize:
        records._claims().update(new)
    return ""


def flip_claim(raw: dict[str, Any]) -> None:
    """The opposite verdict; with cases, each case's opposite."""
    if "cases" in raw:
        raw["cases"] = {case: not value for case, value in raw["cases"].items()}
    else:
        raw["verdict"] = mutants._opposite(raw["verdict"])


def flip_prediction(raw: dict[str, Any]) -> None:
    """The other outcome."""
    raw["outcome"] = "false" if raw["outcome"] == "came_true" else "came_true"


def change_declaration(module: str, source: str) -> None:
    """Put a family with a changed declaration in place of the one on disk, facts not kept."""
    from importlib.util import module_from_spec, spec_from_loader

    import actbook
    import actbook.families
    from actbook._catalogue import FAMILIES
    from actbook.activation import trusted

    os.environ["ACTBOOK_CACHE"] = "off"
    for known in (name for name in list(sys.modules) if name.startswith("actbook.families.")):
        del sys.modules[known]
    vars(actbook.catalogue).pop("_entries", None)
    vars(actbook.catalogue).pop("_aliases", None)
    name = f"actbook.families.{module}"
    spec = spec_from_loader(name, loader=None)
    assert spec is not None and module in FAMILIES
    made = module_from_spec(spec)
    made.__file__ = str(Path(actbook.families.__path__[0]) / f"{module}.py")
    sys.modules[name] = made
    with trusted():
        exec(compile(source, made.__file__, "exec"), vars(made))


def change_result(file: str, columns: list[str]) -> None:
    """Let a stored table be read with some columns half as large again."""
    from actbook.studies import result

    read = result.read_table

    def larger(row: dict[str, Any]) -> dict[str, Any]:
        return row | {k: row[k] * 1.5 for k in columns if isinstance(row.get(k), float)}

    def wrong(path: Path) -> list[dict[str, Any]]:
        rows = read(path)
        return list(map(larger, rows)) if path.as_posix().endswith(f"/{file}") else rows

    result.read_table = wrong


def binding(entry: str, names: Iterable[tuple[str, Any]]) -> tuple[str, str] | None:
    """The name of the value that an entry has right, and the statement that puts it wrong."""
    import sympy as sp

    right, wrong = mutants.document_formula(entry)
    for name, value in names:
        if isinstance(value, float):
            value = sp.Float(value)
        if not isinstance(value, sp.Expr):
            continue
        free = value.free_symbols
        if len(free) > 2 or not all(symbol.is_Symbol and symbol.is_commutative for symbol in free):
            continue
        formula = sp.sympify(right, locals={str(symbol): symbol for symbol in free})
        if formula.free_symbols == free and _close(value, formula):
            inner = f"_found = {{str(s): s for s in {name}.free_symbols}}"
            wrongly = f"{name} = _sp.sympify({wrong!r}, locals=_found)"
            return name, f"import sympy as _sp\n{inner}\n{wrongly}"
    return None


def inserted(source: str, name: str, statement: str) -> str:
    """The source of a cell with a statement right behind the one that binds a name."""
    lines = source.splitlines()
    ends = [
        node.end_lineno
        for node in ast.parse(source).body
        if name in assigned(ast.get_source_segment(source, node) or "")
    ]
    end = ends[-1] if ends else len(lines)
    return "\n".join([*lines[:end], statement, *lines[end:]])


def _close(one: Any, other: Any) -> bool:
    points = (-1.3, -0.4, 0.7, 1.9) if one.free_symbols else (0.0,)
    gaps = []
    for point in points:
        places = {s: point + 0.1 * n for n, s in enumerate(sorted(one.free_symbols, key=str))}
        try:
            gaps.append(abs(complex((one - other).subs(places).evalf())))
        except Exception:  # an expression that has no number for a value
            return False
    return all(gap < 1e-9 for gap in gaps)


# A child ---------------------------------------------------------------------------------------


def follow(notebook: Notebook, mutant: Mutant, number: int, before: dict[str, Any]) -> Outcome:
    """Run on from a mutant's cell; how it ends."""
    source = stored = None
    start = next(cell for n, cell in notebook.code() if n == number)
    if mutant.how in ("verdict", "prediction"):
        if complaint := change_record(mutant):
            return Outcome(mutant, CAUGHT, complaint)
    elif mutant.how == "declaration":
        try:
            change_declaration(*mutant.change)
        except Exception as error:
            return Outcome(mutant, CAUGHT, f"declaration: {type(error).__name__}")
    elif mutant.how == "result":
        change_result(*mutant.change)
    elif mutant.how == "output":
        index, key, text = mutant.change
        stored = json.loads(json.dumps(start.outputs))
        if key == "text":
            stored[index]["text"] = text
        else:
            stored[index]["data"]["text/plain"] = text
    elif mutant.how in ("source", "bind"):
        source = mutant.change
    complaint = notebook.run(number, source or start.source, stored)
    if complaint:
        return Outcome(mutant, CAUGHT, complaint)
    later = {n: cell.source for n, cell in notebook.code() if n > number}
    if mutant.how == "source" and before:
        after = state(notebook.shell.user_ns)
        if mutant.asserted is not None:
            same = same_value(mutant.asserted, notebook.shell.user_ns)
        else:
            same = not _in_assert(start.source, mutant.change)
        if same and unchanged(before, after, mutant.change):
            return Outcome(mutant, EQUIVALENT)
        names = changed_names(before, after, mutant.change)
        needed = follows(reached(names, notebook.shell.user_ns), later)
    elif mutant.how == "bind":
        needed = follows(reached(assigned(mutant.change), notebook.shell.user_ns), later)
    else:
        needed = set(later)
    for n, text in later.items():
        if n not in needed:
            notebook.shell.user_ns["_ih"].append(text)  # a verdict's evidence is traced in it
        elif complaint := notebook.run(n, text):
            return Outcome(mutant, CAUGHT, complaint)
    return Outcome(mutant, SURVIVED)


def _in_assert(before: str, after: str) -> bool:
    """Whether two sources differ in an assert."""
    pairs = zip(ast.parse(before).body, ast.parse(after).body, strict=False)
    return any(ast.dump(a) != ast.dump(b) and _asserts(a) for a, b in pairs)


def _asserts(node: ast.AST) -> bool:
    return any(isinstance(inner, ast.Assert) for inner in ast.walk(node))


def linted(path: Path, mutant: Mutant, known: set[str]) -> str:
    """An error of the linter that the unchanged chapter does not have."""
    chapter = Chapter.read(path)
    cells = list(chapter.cells)
    cell = cells[mutant.cell - 1]
    if mutant.how == "source":
        cells[mutant.cell - 1] = dataclasses.replace(cell, source=mutant.change)
    elif mutant.how == "metadata":
        cells[mutant.cell - 1] = dataclasses.replace(cell, metadata=mutant.change)
    else:
        return ""
    changed = Chapter(chapter.name, tuple(cells))
    new = {str(f): f.rule for f in lint.lint([changed]) if f.level == "error"}
    return next((f"lint: {rule}" for text, rule in new.items() if text not in known), "")


# The parent ------------------------------------------------------------------------------------


class Children:
    """The forked processes: at most so many at a time, each heard through a pipe."""

    def __init__(self, most: int, lint_again: Callable[[Mutant], str]) -> None:
        self.most, self.lint_again = most, lint_again
        self.running: dict[int, tuple[int, Mutant]] = {}

    def start(self, notebook: Notebook, mutant: Mutant, number: int, before: Any) -> None:
        """Fork a child for a mutant, when there is room."""
        while len(self.running) >= self.most:
            self.collect()
        reading, writing = os.pipe()
        pid = os.fork()
        if pid:
            os.close(writing)
            self.running[reading] = (pid, mutant)
            return
        _answer(writing, notebook, mutant, number, before)

    def snapshot(self, notebook: Notebook, number: int) -> tuple[int, int, int]:
        """Fork a child that waits before a cell for a mutant of it, or for nothing."""
        asking, asked = os.pipe()
        reading, writing = os.pipe()
        pid = os.fork()
        if pid:
            os.close(asking)
            os.close(writing)
            return pid, asked, reading
        os.close(asked)
        with os.fdopen(asking, "rb") as pipe:
            wanted = pipe.read()
        if not wanted:
            os._exit(0)
        _answer(writing, notebook, Mutant(**json.loads(wanted)), number, {})

    def ask(self, waiting: tuple[int, int, int], mutant: Mutant | None) -> None:
        """Give a waiting child its mutant, or let it go."""
        pid, asked, reading = waiting
        with os.fdopen(asked, "wb") as pipe:
            pipe.write(mutant.as_json().encode() if mutant else b"")
        if mutant:
            self.running[reading] = (pid, mutant)
        else:
            os.close(reading)
            os.waitpid(pid, 0)

    def collect(self) -> None:
        """Wait for one child or more and report them."""
        ready, _, _ = select.select(list(self.running), [], [])
        for reading in ready:
            pid, mutant = self.running.pop(reading)
            with os.fdopen(reading, "rb") as pipe:
                answer = pipe.read()
            os.waitpid(pid, 0)
            ended, noticed = json.loads(answer) if answer else (CAUGHT, f"no end in {LIMIT} s")
            if ended == SURVIVED and (seen := self.lint_again(mutant)):
                ended, noticed = CAUGHT, seen
            report(Outcome(mutant, ended, noticed))

    def finish(self) -> None:
        """Wait for all."""
        while self.running:
            self.collect()


def _answer(
    writing: int, notebook: Notebook, mutant: Mutant, number: int, before: dict[str, Any]
) -> NoReturn:
    """What a child does: follow its mutant, say how it ended, and end."""
    signal.alarm(LIMIT)
    try:
        outcome = follow(notebook, mutant, number, before)
    except BaseException as error:
        outcome = Outcome(mutant, "broken", f"{type(error).__name__}: {error}"[:200])
    os.write(writing, json.dumps([outcome.outcome, outcome.noticed]).encode())
    os._exit(0)


def report(outcome: Outcome) -> None:
    """Write an outcome as a line of JSON to the real output."""
    line = [outcome.mutant.as_json(), outcome.outcome, outcome.noticed]
    print(json.dumps(line, ensure_ascii=False), file=sys.__stdout__, flush=True)


def run(path: Path, wanted: list[Mutant], jobs: int, documents: int) -> None:
    """Run the notebook once with all its mutants; raises SystemExit if it fails without any."""
    notebook = Notebook(path)
    state({})  # loads what seeds itself, so that all children start from the same numbers
    os.chdir(path.parent)
    _plain_pictures()
    known = {str(f) for f in lint.lint([Chapter.read(path)]) if f.level == "error"}
    by_cell: dict[int, list[Mutant]] = defaultdict(list)
    entries = []
    for mutant in wanted:
        if mutant.how == "bind":
            entries.append(mutant)
        elif mutant.how == "metadata":
            seen = linted(path, mutant, known)
            report(Outcome(mutant, CAUGHT if seen else SURVIVED, seen))
        else:
            by_cell[mutant.cell].append(mutant)
    children = Children(jobs, lambda mutant: linted(path, mutant, known))
    for number, cell in notebook.code():
        here = by_cell.pop(number, [])
        careful = [m for m in here if m.how == "source"]
        after: dict[str, Any] = {}
        if careful:  # the state behind the unchanged cell, for comparison, from a child of its own
            after = _ahead(notebook, number, cell.source)
        for mutant in here:
            children.start(notebook, mutant, number, after if mutant.how == "source" else {})
        looking = bool(entries) and documents > 0
        waiting = children.snapshot(notebook, number) if looking else None
        names = dict(notebook.shell.user_ns)
        if complaint := notebook.run(number, cell.source):
            raise SystemExit(f"{path.name} fails unchanged: {complaint}")
        if waiting:
            found = _document(notebook, entries, names, number, cell.source)
            children.ask(waiting, found)
            documents -= found is not None
    children.finish()


def _document(
    notebook: Notebook, entries: list[Mutant], names: dict[str, Any], number: int, source: str
) -> Mutant | None:
    """The first entry whose right value a cell has just bound, as a mutant of that cell."""
    fresh = [
        (name, value)
        for name, value in notebook.shell.user_ns.items()
        if not name.startswith("_") and names.get(name) is not value
    ]
    for entry in entries:
        try:
            found = binding(entry.change, fresh)
        except Exception:  # a value that SymPy cannot compare
            continue
        if found:
            entries.remove(entry)
            new = inserted(source, *found)
            return dataclasses.replace(entry, cell=number, change=new)
    return None


def _ahead(notebook: Notebook, number: int, source: str) -> dict[str, Any]:
    """The state behind a cell, found in a child, so that this process still stands before it."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            answer = pipe.read()
        os.waitpid(pid, 0)
        found = pickle.loads(answer) if answer else {}
        return {k: _restored(v) for k, v in found.items()}
    signal.alarm(CELL_SECONDS)
    try:
        notebook.run(number, source)
        found = {k: _stored(v) for k, v in state(notebook.shell.user_ns).items()}
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(pickle.dumps(found))
    finally:
        os._exit(0)


def _stored(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_stored, value))
    return "\0opaque" if value is OPAQUE else value


def _restored(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_restored, value))
    return OPAQUE if value == "\0opaque" else value


def _plain_pictures() -> None:
    """Pictures are not compared: leave out the drawing of their pixels."""
    from matplotlib.figure import Figure

    def savefig(self: Figure, target: Any, *given: Any, **options: Any) -> None:
        if hasattr(target, "write"):
            target.write(b"" if not isinstance(target, io.TextIOBase) else "")

    Figure.savefig = savefig  # type: ignore[method-assign, assignment]


def main(arguments: list[str]) -> int:
    """Read mutants, run them, write outcomes."""
    path, jobs, documents = Path(arguments[0]), int(arguments[1]), int(arguments[2])
    wanted = []
    for line in sys.stdin:
        raw = json.loads(line)
        raw["asserted"] = tuple(raw["asserted"]) if raw["asserted"] else None
        wanted.append(Mutant(**raw))
    run(path, wanted, jobs, documents)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
