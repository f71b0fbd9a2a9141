"""Mutants of a chapter: one wrong sign, constant, verdict or digit each, found in the chapter.

Nothing here is listed by hand but for the formulas and numbers that the documents print wrongly.
The code cells are read as syntax trees and changed where a value is computed; records, stored
outputs, stored results and declarations are changed where the chapter uses them.
"""

from __future__ import annotations

import ast
import json
import random
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from bookmaker.chapter import Cell, Chapter, dotted
from bookmaker.layout import PACKAGE

KINDS = (
    "proof",
    "formula",
    "verdict",
    "solution",
    "declaration",
    "document",
    "output",
    "result",
    "figure",
    "prediction",
)
# In which order kinds take turns when a chapter gets a limited number of mutants.
TURNS = (
    *("proof", "verdict", "formula", "solution", "declaration", "proof", "prediction", "figure"),
    *("solution", "formula", "proof", "result", "verdict", "output", "solution", "proof"),
    *("formula", "verdict", "solution", "proof"),
)
TWINS = {
    "sin": "cos",
    "cos": "sin",
    "sinh": "cosh",
    "cosh": "sinh",
    "tanh": "sin",
    "atan": "tanh",
    "erf": "tanh",
    "expm1": "exp",
    "log1p": "log",
    "maximum": "minimum",
    "minimum": "maximum",
    "Max": "Min",
    "Min": "Max",
    "max": "min",
    "min": "max",
    "ndtr": "expit",
    "expit": "ndtr",
}
# Constants among the arguments of these say how finely, how often or how much is shown.
HOW = frozenset(
    {"linspace", "logspace", "geomspace", "arange", "round", "range", "evalf", "n", "workdps"}
    | {"default_rng", "manual_seed", "new", "series", "style", "set", "zeros", "ones", "quad"}
    | {"set_num_threads", "reshape", "symbols", "nsolve", "islice", "head", "interval", "normal"}
    | {"brentq", "minimize_scalar", "root_scalar", "solve_ivp", "fsolve", "findroot"}
    | {"enumerate", "randn", "standard_normal", "integers", "uniform", "isclose", "allclose"}
)
LIBRARIES = frozenset({"sp", "np", "math", "torch", "mpmath", "special"})
OPERATORS = {ast.Add: ("+", "-"), ast.Sub: ("-", "+"), ast.Mult: ("*", "/"), ast.Div: ("/", "*")}
FLIPPED = {ast.Lt: ("<", ">"), ast.Gt: (">", "<"), ast.LtE: ("<=", ">"), ast.GtE: (">=", "<")}
PLOTS = ("figures.show", "plt.show")


@dataclass(frozen=True)
class Mutant:
    """One change; `how` names what the runner does with `change`.

    source: the new source of the cell; metadata: its new metadata; output: its new stored outputs;
    verdict, prediction: the id of a record; declaration: a family's module and its new source;
    result: a table and its columns; bind: a document's formula or number by its name.
    """

    chapter: str
    kind: str
    cell: int
    what: str
    how: str
    change: Any
    asserted: tuple[str, str] | None = None  # the asserted value that changed, before and after

    def as_json(self) -> str:
        """The mutant as one line."""
        return json.dumps(vars(self), ensure_ascii=False)


@dataclass(frozen=True)
class Edit:
    """A replacement in the bytes of a source."""

    start: int
    end: int
    text: bytes
    what: str
    line: int


# Code ------------------------------------------------------------------------------------------


@dataclass
class Source:
    """A source with its syntax tree, read in bytes, as the tree's columns are."""

    text: str
    tree: ast.Module = field(init=False)
    data: bytes = field(init=False)
    starts: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self.tree = ast.parse(self.text)
        self.data = self.text.encode()
        self.starts = [0]
        for line in self.data.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))

    def span(self, node: Any) -> tuple[int, int]:
        """Where a node stands in the bytes."""
        return (
            self.starts[node.lineno - 1] + node.col_offset,
            self.starts[node.end_lineno - 1] + node.end_col_offset,
        )

    def segment(self, node: ast.AST) -> str:
        """The text of a node on one line."""
        start, end = self.span(node)
        return " ".join(self.data[start:end].decode().split())

    def edited(self, edit: Edit) -> str:
        """The source with one edit."""
        return (self.data[: edit.start] + edit.text + self.data[edit.end :]).decode()


def _rejects(test: ast.expr) -> bool:
    """Whether a test is one that must fail: the wrong twin of a proof."""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return True
    return isinstance(test, ast.Compare) and any(isinstance(op, ast.NotEq) for op in test.ops)


def _is_number(node: ast.AST) -> bool:
    """Whether a node is made of literal numbers alone: a threshold, an expected count."""
    if isinstance(node, ast.UnaryOp):
        return _is_number(node.operand)
    if isinstance(node, ast.BinOp):
        return _is_number(node.left) and _is_number(node.right)
    if isinstance(node, ast.List | ast.Tuple):
        return all(map(_is_number, node.elts))
    return isinstance(node, ast.Constant) and isinstance(node.value, int | float)


def _inside(node: ast.AST) -> Iterator[ast.AST]:
    """The children of a node in which a changed value is a changed formula."""
    if isinstance(node, ast.Assert):
        if not _rejects(node.test):
            yield node.test
        return
    if isinstance(node, ast.BoolOp):
        yield from (value for value in node.values if not _rejects(value))
        return
    if isinstance(node, ast.Compare):
        bounds = any(type(op) in FLIPPED for op in node.ops)  # on the right, a tolerance
        sides = [node.left] if bounds else [node.left, *node.comparators]
        yield from (side for side in sides if not _is_number(side))
        return
    if isinstance(node, ast.Subscript):
        yield node.value
        return
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Attribute):
            yield node.func
        name = dotted(node.func).split(".")[-1] or getattr(node.func, "attr", "")
        given = [*node.args, *(word.value for word in node.keywords)]
        optional = {id(word.value) for word in node.keywords}
        for value in given:
            if _is_number(value) and (name in HOW or id(value) in optional):
                continue
            yield value
        return
    if isinstance(node, ast.FunctionDef):
        yield from node.body
        return
    if isinstance(node, ast.With):
        yield from node.body
        return
    if isinstance(node, ast.For | ast.comprehension) and _is_number(node.iter):
        yield from node.body if isinstance(node, ast.For) else node.ifs  # points of a test
        return
    if isinstance(node, ast.JoinedStr | ast.Import | ast.ImportFrom):
        return
    yield from ast.iter_child_nodes(node)


def _walk(node: ast.AST) -> Iterator[ast.AST]:
    for child in _inside(node):
        yield child
        yield from _walk(child)


def _token(source: Source, node: ast.BinOp, old: str, new: str) -> Edit | None:
    """The operator between two operands, replaced."""
    start, end = source.span(node.left)[1], source.span(node.right)[0]
    gap = source.data[start:end].decode()
    if gap.count(old) != 1:
        return None
    place = start + len(gap[: gap.index(old)].encode())
    what = f"{source.segment(node)}: {old} becomes {new}"
    return Edit(place, place + len(old), new.encode(), what, node.lineno)


def _binary(source: Source, node: ast.BinOp) -> Iterator[Edit]:
    if type(node.op) in OPERATORS and not _is_number(node):
        edit = _token(source, node, *OPERATORS[type(node.op)])
        if edit:
            yield edit
    if isinstance(node.op, ast.Add | ast.Sub) and not _is_number(node):
        start, end = source.span(node)
        left = source.data[slice(*source.span(node.left))]
        what = f"{source.segment(node)}: the term {source.segment(node.right)} is left out"
        yield Edit(start, end, b"(" + left + b")", what, node.lineno)


def _constant(source: Source, node: ast.Constant) -> Iterator[Edit]:
    if isinstance(node.value, bool) or not isinstance(node.value, int | float):
        return
    value = node.value + 1 if isinstance(node.value, int) else node.value * 1.25 + 0.125
    start, end = source.span(node)
    yield Edit(start, end, repr(value).encode(), f"{node.value!r} becomes {value!r}", node.lineno)


def _function(source: Source, node: ast.Attribute) -> Iterator[Edit]:
    if node.attr in TWINS and dotted(node.value) in LIBRARIES:
        _, end = source.span(node)
        place = end - len(node.attr.encode())
        what = f"{node.attr} becomes {TWINS[node.attr]}"
        yield Edit(place, end, TWINS[node.attr].encode(), what, node.lineno)


def _sign(source: Source, node: ast.UnaryOp) -> Iterator[Edit]:
    if isinstance(node.op, ast.USub):
        start, _ = source.span(node)
        inner, _ = source.span(node.operand)
        yield Edit(start, inner, b"", f"{source.segment(node)} loses its sign", node.lineno)


def _comparison(source: Source, node: ast.Compare) -> Iterator[Edit]:
    if len(node.ops) == 1 and type(node.ops[0]) in FLIPPED:
        old, new = FLIPPED[type(node.ops[0])]
        start, end = source.span(node.left)[1], source.span(node.comparators[0])[0]
        gap = source.data[start:end].decode()
        place = start + len(gap[: gap.index(old)].encode())
        what = f"{source.segment(node)}: {old} becomes {new}"
        yield Edit(place, place + len(old), new.encode(), what, node.lineno)


EDITS: dict[type[ast.AST], Callable[[Source, Any], Iterator[Edit]]] = {
    ast.BinOp: _binary,
    ast.Constant: _constant,
    ast.Attribute: _function,
    ast.UnaryOp: _sign,
    ast.Compare: _comparison,
}


def edits(text: str) -> list[tuple[str, str, tuple[str, str] | None]]:
    """Every change of a cell's formulas: the new source, what changed, the asserted value if any.

    Left alone are wrong twins, tolerances, counts of points, options and what is printed with them.
    """
    source = Source(text)
    found: list[tuple[str, str, tuple[str, str] | None]] = []
    for statement in _statements(source.tree.body):
        nodes = [node for node in _walk(statement) if type(node) in EDITS]
        if isinstance(statement, ast.Assert):  # turned round it fails, whatever it compares
            nodes = [node for node in nodes if not isinstance(node, ast.Compare)]
        for edit in (e for node in nodes for e in EDITS[type(node)](source, node)):
            try:
                changed = Source(new := source.edited(edit))
            except SyntaxError:
                continue
            if ast.dump(changed.tree) == ast.dump(source.tree):
                continue
            found.append((new, edit.what, _asserted(source, changed, statement, edit)))
    return found


def _statements(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements that are no imports and no text; each one whole."""
    for statement in body:
        text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        if not text and not isinstance(statement, ast.Import | ast.ImportFrom):
            yield statement


def _asserted(
    source: Source, changed: Source, statement: ast.stmt, edit: Edit
) -> tuple[str, str] | None:
    """The smallest value in an assert, call or comparison aside, that the edit changes."""
    if not isinstance(statement, ast.Assert):
        return None
    place = source.tree.body.index(statement)
    after = changed.tree.body[place]
    assert isinstance(after, ast.Assert)
    before_, after_ = _operand(source, statement.test, edit), after.test
    if before_ is None:
        return None
    path = before_[1]
    node: ast.AST = after_
    for step in path:
        node = list(ast.iter_child_nodes(node))[step]
    return source.segment(before_[0]), changed.segment(node)


def _operand(source: Source, test: ast.AST, edit: Edit) -> tuple[ast.AST, list[int]] | None:
    """What holds an edit below `and`, comparisons and functions' calls, and the way to it.

    A method's call stays whole, and a constant with what it stands in.
    """
    node = test
    path: list[int] = []
    while isinstance(node, ast.BoolOp | ast.Compare) or _is_function(node):
        for step, child in enumerate(ast.iter_child_nodes(node)):
            if not hasattr(child, "lineno"):
                continue
            start, end = source.span(child)
            if start <= edit.start and edit.end <= end and not isinstance(child, ast.Constant):
                node, path = child, [*path, step]
                break
        else:
            break
    return (node, path) if path else None


def _is_function(node: ast.AST) -> bool:
    """Whether this is the call of a function, no method: `equal(…)`, `np.allclose(…)`."""
    if not isinstance(node, ast.Call):
        return False
    return isinstance(node.func, ast.Name) or dotted(node.func).split(".")[0] in LIBRARIES


# What the documents print wrongly --------------------------------------------------------------

# By name: the right value and the wrong one, as SymPy text in x; numbers have no x.
DOCUMENTS: dict[str, tuple[str, str]] = {
    "001 §4.3: the sigmoid at 2": ("1/(1 + exp(-2))", "869/1000"),
    "001 §4.3: its slope at 2": ("exp(-2)/(1 + exp(-2))**2", "101/1000"),
    "002 §4.1.3: SELU on the left": (
        "{lambda_alpha}*(exp(x) - 1)",
        "{lambda_alpha}*exp(x) - 1",
    ),
    "002 §4.1.3: the slope of SELU on the left": (
        "{lambda_alpha}*exp(x)",
        "{lambda_alpha}*exp(x)*(exp(x) - 1)",
    ),
    "002 §9 Q7: GELU": ("x*(1 + erf(x/sqrt(2)))/2", "x*sqrt(1 + exp(-x**2))/2"),
    "002 §6.3: softplus, said to stay below 1": ("log(1 + exp(x))", "1/(1 + exp(-x))"),
    "002 §6.2: the slope of Swish, said to be small at 0": (
        "(1/(1 + exp(-x)))*(1 + x*(1 - 1/(1 + exp(-x))))",
        "x/(1 + exp(-x))",
    ),
    "002 §3.1: the slope of the sigmoid, said to be small at 0": (
        "exp(-x)/(1 + exp(-x))**2",
        "x*exp(-x)/(1 + exp(-x))**2",
    ),
    "002 §3.1: the slope of tanh, said to be small at 0": ("1 - tanh(x)**2", "tanh(x)**2"),
    "002 §3.5: the left branch of Leaky ReLU, said to be non-linear": ("alpha*x", "alpha*x**2"),
    "002 §2.2: soft thresholding, said to be softplus": (
        "Max(Abs(x) - 1, 0)*sign(x)",
        "log(1 + exp(x))",
    ),
}
LAMBDA_ALPHA = "1.7580993408473766"


def document_formula(name: str) -> tuple[str, str]:
    """The right and the wrong text of an entry."""
    right, wrong = DOCUMENTS[name]
    return right.format(lambda_alpha=LAMBDA_ALPHA), wrong.format(lambda_alpha=LAMBDA_ALPHA)


# Where the mutants of a kind come from ---------------------------------------------------------


def _cells(chapter: Chapter, kind: str) -> list[Cell]:
    """The code cells whose formulas a kind changes."""
    own = [c for c in chapter.code if "setup" not in c.tags and not c.calls_any(*PLOTS)]
    if kind == "solution":
        return [c for c in own if chapter.in_solution(c.number)]
    derived = {c.number for c in chapter.cells_of("Derive")}
    proofs = [c for c in own if "proof" in c.tags and not chapter.in_solution(c.number)]
    if kind == "proof":
        return proofs
    return [c for c in own if c.number in derived and c not in proofs]


def _code(chapter: Chapter, kind: str, name: str) -> list[Mutant]:
    return [
        Mutant(name, kind, cell.number, what, "source", new, asserted)
        for cell in _cells(chapter, kind)
        if cell.python == cell.source
        for new, what, asserted in edits(cell.source)
    ]


def _verdicts(chapter: Chapter, name: str) -> list[Mutant]:
    """Every record that the chapter decides, with the opposite verdict or exchanged cases."""
    from actbook import audit

    found = []
    for claim in audit.select(chapter=name):
        cell = _first(chapter, claim.id)
        if cell and claim.verdict != "uncheckable":
            what = f"{claim.id}: {'cases exchanged' if claim.cases else _opposite(claim.verdict)}"
            found.append(Mutant(name, "verdict", cell, what, "verdict", claim.id))
    return found


def _opposite(verdict: str) -> str:
    return {"holds": "fails", "fails": "holds", "depends": "holds"}[verdict]


def _predictions(chapter: Chapter, name: str) -> list[Mutant]:
    """Every prediction that the chapter scores, with the other outcome."""
    from actbook import audit

    found = []
    for prediction in audit.predictions.values():
        cell = _first(chapter, prediction.id)
        if prediction.chapter == name and prediction.outcome != "open" and cell:
            what = f"{prediction.id}: outcome turned round"
            found.append(Mutant(name, "prediction", cell, what, "prediction", prediction.id))
    return found


def _first(chapter: Chapter, text: str) -> int:
    """The first code cell that contains a text; 0 if none does."""
    return next((c.number for c in chapter.code if text in c.source), 0)


def used(chapter: Chapter) -> list[str]:
    """The activations that a chapter names, in brackets after `catalogue`."""
    code = "\n".join(cell.source for cell in chapter.code)
    return sorted(set(re.findall(r"catalogue\[[\"'](\w+)[\"']\]", code)))


def _declarations(chapter: Chapter, name: str) -> list[Mutant]:
    """Each activation that the chapter names, declared with another sign or constant."""
    wanted = set(used(chapter))
    cell = _first(chapter, "catalogue[")
    found = []
    for path in sorted((PACKAGE / "families").glob("*.py")):
        source = Source(path.read_text(encoding="utf-8"))
        for node in ast.walk(source.tree):
            if not (isinstance(node, ast.Call) and node.args):
                continue
            first = node.args[0]
            if isinstance(first, ast.Constant) and first.value in wanted:
                for new, what in _declared(source, node):
                    text = f"{first.value}: {what}"
                    change = [path.stem, new]
                    found.append(Mutant(name, "declaration", cell, text, "declaration", change))
    return found


def _declared(source: Source, call: ast.Call) -> Iterator[tuple[str, str]]:
    """The changes of one declaration: in its expression or branches, not in its words."""
    for argument in call.args[2:]:
        for node in (argument, *_walk(argument)):
            for edit in EDITS.get(type(node), _named)(source, node):
                yield source.edited(edit), edit.what


def _named(source: Source, node: ast.AST) -> Iterator[Edit]:
    """The variable and the end of a branch, of which simple declarations consist."""
    other = {"x": b"(2 * x)", "_ZERO": b"sp.Integer(1)"}
    if isinstance(node, ast.Name) and node.id in other:
        start, end = source.span(node)
        new = other[node.id]
        yield Edit(start, end, new, f"{node.id} becomes {new.decode()}", node.lineno)


def _outputs(chapter: Chapter, name: str) -> list[Mutant]:
    """A digit of each stored text output, changed."""
    found = []
    for cell in chapter.code:
        if cell.tags & {"nbval-ignore-output", "machine", "nbval-skip"}:
            continue
        for index, output in enumerate(cell.outputs):
            key = "text" if "text" in output else "data"
            text = output[key] if key == "text" else output[key].get("text/plain", "")
            digits = [m.start() for m in re.finditer(r"\d", text)]
            if digits:
                place = digits[len(digits) // 2]
                new = f"{text[:place]}{(int(text[place]) + 1) % 10}{text[place + 1 :]}"
                what = f"stored output {index + 1}: digit {text[place]} at {place} changed"
                change = [index, key, new]
                found.append(Mutant(name, "output", cell.number, what, "output", change))
    return found


def _results(chapter: Chapter, name: str) -> list[Mutant]:
    """The measured columns of a stored table that the chapter names, half as large again."""
    from actbook import studies

    code = "\n".join(cell.source for cell in chapter.code)
    found = []
    for study in re.findall(r"studies\.load\([\"'](\w+)[\"']\)", code):
        if study not in studies.stored():
            continue
        result = studies.load(study)
        for file, table in result.provenance["tables"].items():
            if table["stage"].startswith(("tune", "widen")):
                continue
            rows = [row for row in result.rows if row["stage"] == table["stage"]]
            fixed = result.provenance["stages"][table["stage"]]["fixed"]
            columns = [
                column
                for column in (rows[0] if rows else {})
                if column not in ("lr", "seed", *fixed)
                and re.search(rf"\b{re.escape(column)}\b", code)
                and any(isinstance(row.get(column), float) for row in rows)
            ]
            if columns:
                what = f"{file}: {', '.join(columns)} half as large again"
                cell = _first(chapter, f'studies.load("{study}")')
                found.append(Mutant(name, "result", cell, what, "result", [file, columns]))
    return found


def _figures(chapter: Chapter, name: str) -> list[Mutant]:
    """A figure without its alternative text, its caption, or the label of an axis."""
    found = []
    for cell in chapter.plots:
        for place, word in (("image", "alt"), ("figure", "caption")):
            metadata = json.loads(json.dumps(cell.metadata))
            if metadata.get("mystnb", {}).get(place, {}).pop(word, None):
                what = f"the figure has no {word}"
                found.append(Mutant(name, "figure", cell.number, what, "metadata", metadata))
        source = Source(cell.source) if cell.python == cell.source else None
        for _, call in cell.calls if source else ():
            for option in call.keywords:
                if option.arg in ("xlabel", "ylabel") and isinstance(option.value, ast.Constant):
                    assert source is not None
                    start, end = source.span(option.value)
                    new = source.edited(Edit(start, end, b'""', "", call.lineno))
                    what = f"{option.arg} {option.value.value!r} is left out"
                    found.append(Mutant(name, "figure", cell.number, what, "source", new))
    return found


def _documents(chapter: Chapter, name: str) -> list[Mutant]:
    """Candidates: the runner finds the cell that has the right value, if there is one."""
    return [
        Mutant(name, "document", 0, f"{entry} as printed", "bind", entry) for entry in DOCUMENTS
    ]


SOURCES: dict[str, Callable[[Chapter, str], list[Mutant]]] = {
    "proof": lambda chapter, name: _code(chapter, "proof", name),
    "formula": lambda chapter, name: _code(chapter, "formula", name),
    "solution": lambda chapter, name: _code(chapter, "solution", name),
    "verdict": _verdicts,
    "prediction": _predictions,
    "declaration": _declarations,
    "output": _outputs,
    "result": _results,
    "figure": _figures,
    "document": _documents,
}


def candidates(chapter: Chapter, kinds: Iterable[str] = KINDS) -> dict[str, list[Mutant]]:
    """All mutants of a chapter, by kind."""
    name = f"{chapter.number:02d}" if chapter.number is not None else chapter.name
    return {kind: SOURCES[kind](chapter, name) for kind in kinds}


def spread(mutants: list[Mutant], chance: random.Random) -> list[Mutant]:
    """The mutants in an order that visits every cell before it returns to one."""
    by_cell: dict[tuple[int, str], list[Mutant]] = {}
    for mutant in mutants:
        group = mutant.what.partition(":")[0] if mutant.how in ("declaration", "result") else ""
        by_cell.setdefault((mutant.cell, group), []).append(mutant)
    groups = list(by_cell.values())
    chance.shuffle(groups)
    for group_ in groups:
        chance.shuffle(group_)
    longest = max(map(len, groups), default=0)
    return [group_[turn] for turn in range(longest) for group_ in groups if turn < len(group_)]


def chosen(
    chapter: Chapter, count: int | None, seed: int, kinds: Iterable[str] = KINDS
) -> list[Mutant]:
    """A sample of the mutants, the same for the same seed: kinds and cells take turns.

    The documents' errors come on top, all of them: few have a place in any one chapter.
    """
    kinds = tuple(kinds)
    found = candidates(chapter, kinds)
    queues = {
        kind: spread(mutants, random.Random(f"{seed} {chapter.number} {kind}"))
        for kind, mutants in found.items()
    }
    if count is None:
        return [mutant for queue in queues.values() for mutant in queue]
    picked: list[Mutant] = []
    while len(picked) < count and any(queues.get(kind) for kind in TURNS):
        for kind in TURNS:
            if len(picked) < count and queues.get(kind):
                picked.append(queues[kind].pop(0))
    return picked + queues.get("document", [])
