"""A chapter read as data: its cells, sections, exercises, solutions and prose."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from bookmaker.layout import ROOT

# Directives whose body is code or a path, never prose.
LITERAL = frozenset(
    {"code", "code-block", "code-cell", "sourcecode", "literalinclude", "image", "figure", "raw"}
    | {"toctree", "bibliography", "eval-rst", "include", "mermaid"}
)
FENCE = re.compile(r"^\s*(`{3,}|~{3,}|:{3,})\s*(.*?)\s*$")
DIRECTIVE = re.compile(r"^\{([\w:.-]+)\}\s*(.*)$")
OPTION = re.compile(r"^\s*:([\w-]+):\s*(.*?)\s*$")
ROLE = re.compile(r"\{([\w:.+-]+)\}(`+)(.+?)\2", re.DOTALL)
MATH = re.compile(r"\$\$.*?\$\$|(?<!\\)\$[^$\n]+?\$|(?<!\\)\$[^$]+?\$", re.DOTALL)


@dataclass(frozen=True)
class Directive:
    """A MyST directive: its name, argument, options and body, and the line it opens on (from 0)."""

    name: str
    argument: str
    options: dict[str, str]
    body: str
    line: int

    @property
    def classes(self) -> frozenset[str]:
        """The words of its `:class:` option."""
        return frozenset(self.options.get("class", "").split())


@dataclass(frozen=True)
class Heading:
    """A Markdown heading and the cell (from 1) that holds it."""

    level: int
    title: str
    cell: int


@dataclass(frozen=True)
class Cell:
    """One cell of a notebook; cells are numbered from 1, as a reader counts them."""

    number: int
    kind: str
    source: str
    metadata: dict[str, Any] = field(default_factory=dict)
    outputs: tuple[dict[str, Any], ...] = ()
    execution_count: int | None = None

    @property
    def is_code(self) -> bool:
        """Whether this is a code cell."""
        return self.kind == "code"

    @cached_property
    def tags(self) -> frozenset[str]:
        """The tags in the cell's metadata."""
        return frozenset(self.metadata.get("tags", ()))

    @cached_property
    def lines(self) -> list[str]:
        """The non-empty lines."""
        return [line for line in self.source.splitlines() if line.strip()]

    @cached_property
    def python(self) -> str:
        """The source with IPython's magic lines blanked, so that it parses as Python."""
        if self.source.lstrip().startswith("%%"):
            return ""
        return "\n".join(
            "" if line.lstrip().startswith(("%", "!", "?")) else line
            for line in self.source.splitlines()
        )

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree of a code cell; empty for Markdown and for code that does not parse."""
        try:
            return ast.parse(self.python) if self.is_code else ast.Module([], [])
        except SyntaxError:
            return ast.Module([], [])

    @cached_property
    def calls(self) -> list[tuple[str, ast.Call]]:
        """Every call in the cell with its dotted name, in the order of the text."""
        found = [
            (dotted(node.func), node) for node in ast.walk(self.tree) if isinstance(node, ast.Call)
        ]
        return sorted(found, key=lambda call: (call[1].lineno, call[1].col_offset))

    def calls_any(self, *names: str) -> bool:
        """Whether the cell calls one of `names` ("figures.show")."""
        return any(name in names for name, _ in self.calls)

    @cached_property
    def asserts(self) -> list[ast.expr]:
        """What the cell asserts: tests of `assert`, and calls of `assert_…` functions."""
        tests = [node.test for node in ast.walk(self.tree) if isinstance(node, ast.Assert)]
        named: list[ast.expr] = [
            call for name, call in self.calls if name.split(".")[-1].startswith("assert_")
        ]
        return tests + named

    @cached_property
    def output_text(self) -> str:
        """Everything textual that the cell has stored: streams, text, HTML, LaTeX, Markdown."""
        parts: list[str] = []
        for output in self.outputs:
            parts.append(joined(output.get("text", "")))
            data = output.get("data", {})
            parts.extend(joined(text) for kind, text in data.items() if kind.startswith("text/"))
        return "\n".join(parts)


@dataclass(frozen=True)
class Solution:
    """The solution of an exercise: where it starts and ends (cells, from 1) and its directive."""

    label: str
    first: int
    last: int
    folded: bool


@dataclass(frozen=True)
class Chapter:
    """A notebook of the book; `name` is how messages call it."""

    name: str
    cells: tuple[Cell, ...]

    @classmethod
    def from_notebook(cls, notebook: Any, name: str) -> Chapter:
        """Take the cells of an nbformat 4 notebook."""
        cells = tuple(
            Cell(
                number=number,
                kind=cell.cell_type,
                source=cell.source,
                metadata=dict(cell.metadata),
                outputs=tuple(cell.get("outputs", ())),
                execution_count=cell.get("execution_count"),
            )
            for number, cell in enumerate(notebook.cells, start=1)
        )
        return cls(name, cells)

    @classmethod
    def read(cls, path: Path, root: Path = ROOT) -> Chapter:
        """Read an `.ipynb` file; its name is the path below `root`."""
        import nbformat

        path = path.resolve()
        name = str(path.relative_to(root)) if path.is_relative_to(root) else path.name
        return cls.from_notebook(nbformat.read(path, as_version=4), name)

    @property
    def number(self) -> int | None:
        """The chapter's number, from a file name such as `05_sigmoid_tanh.ipynb`."""
        found = re.match(r"(\d+)_", Path(self.name).name)
        return int(found.group(1)) if found else None

    @cached_property
    def code(self) -> list[Cell]:
        """The code cells."""
        return [cell for cell in self.cells if cell.is_code]

    @cached_property
    def markdown(self) -> list[Cell]:
        """The Markdown cells."""
        return [cell for cell in self.cells if cell.kind == "markdown"]

    @cached_property
    def headings(self) -> list[Heading]:
        """Every heading outside code fences."""
        found = []
        for cell in self.markdown:
            for line in visible_lines(cell.source):
                match = re.match(r"(#{1,6})\s+(.+?)\s*#*$", line)
                if match:
                    found.append(Heading(len(match.group(1)), match.group(2), cell.number))
        return found

    def section(self, number: int) -> str:
        """Title of the second-level section that cell `number` belongs to; "" before the first."""
        titles = [h.title for h in self.headings if h.level == 2 and h.cell <= number]
        return titles[-1] if titles else ""

    def cells_of(self, title: str) -> list[Cell]:
        """The cells of all second-level sections whose title starts with `title`."""
        return [c for c in self.cells if self.section(c.number).lower().startswith(title.lower())]

    @cached_property
    def opening(self) -> str:
        """The Markdown before the first second-level heading."""
        parts = []
        for cell in self.markdown:
            text = re.split(r"(?m)^##\s", cell.source)
            parts.append(text[0])
            if len(text) > 1:
                break
        return "\n\n".join(parts)

    @cached_property
    def directives(self) -> list[tuple[int, Directive]]:
        """Every directive of the chapter with its cell number, nested ones included."""
        return [(c.number, d) for c in self.markdown for d in directives(c.source)]

    @cached_property
    def exercises(self) -> list[tuple[int, str]]:
        """(cell, label) of every exercise; "" where the label is missing."""
        return [
            (number, d.options.get("label", ""))
            for number, d in self.directives
            if d.name in ("exercise", "exercise-start")
        ]

    @cached_property
    def solutions(self) -> list[Solution]:
        """Every solution; one that is never closed ends in cell 0."""
        found: list[Solution] = []
        for number, d in self.directives:
            folded = "dropdown" in d.classes
            if d.name == "solution":
                found.append(Solution(d.argument, number, number, folded))
            elif d.name == "solution-start":
                found.append(Solution(d.argument, number, 0, folded))
            elif d.name == "solution-end" and found and found[-1].last == 0:
                start = found.pop()
                found.append(Solution(start.label, start.first, number, start.folded))
        return found

    def in_solution(self, number: int) -> bool:
        """Whether cell `number` stands inside a solution."""
        return any(s.first <= number <= s.last for s in self.solutions)

    @cached_property
    def plots(self) -> list[Cell]:
        """The cells that show a figure."""
        return [cell for cell in self.code if cell.calls_any("figures.show", "plt.show")]

    @cached_property
    def text(self) -> str:
        """All Markdown of the chapter."""
        return "\n\n".join(cell.source for cell in self.markdown)


def joined(text: str | list[str]) -> str:
    """Notebook text may be a string or a list of lines."""
    return text if isinstance(text, str) else "".join(text)


def dotted(node: ast.AST) -> str:
    """`figures.show` for the syntax tree of that name; "" for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        base = dotted(node.value)
        return f"{base}.{node.attr}" if base else node.attr
    return ""


def _closes(line: str, fence: str) -> bool:
    """Whether `line` closes a block opened by `fence`."""
    bare = line.strip()
    return len(bare) >= len(fence) and set(bare) == {fence[0]}


def _blocks(lines: list[str]) -> Iterator[tuple[int, int, str, str]]:
    """Top-level fenced blocks: first line, last line, fence and info string."""
    index = 0
    while index < len(lines):
        match = FENCE.match(lines[index])
        if not match:
            index += 1
            continue
        fence, info = match.groups()
        last = index + 1
        while last < len(lines) and not _closes(lines[last], fence):
            last += 1
        yield index, last, fence, info
        index = last + 1


def _options(body: list[str]) -> tuple[dict[str, str], list[str]]:
    """Split the option lines at the head of a directive from its body."""
    options: dict[str, str] = {}
    index = 0
    while index < len(body) and (match := OPTION.match(body[index])):
        options[match.group(1)] = match.group(2)
        index += 1
    return options, body[index:]


def directives(text: str, offset: int = 0) -> Iterator[Directive]:
    """Every MyST directive in `text`, nested ones after the one that holds them."""
    lines = text.splitlines()
    for first, last, _, info in _blocks(lines):
        match = DIRECTIVE.match(info)
        if not match:
            continue
        options, body = _options(lines[first + 1 : last])
        content = "\n".join(body)
        yield Directive(match.group(1), match.group(2), options, content, offset + first)
        if match.group(1) not in LITERAL:
            yield from directives(content, offset + last - len(body))


def visible_lines(text: str) -> list[str]:
    """The lines a reader reads as prose: code blocks, fences and directive options left out."""
    lines = text.splitlines()
    kept: list[str] = []
    index = 0
    for first, last, _, info in _blocks(lines):
        kept.extend(lines[index:first])
        match = DIRECTIVE.match(info)
        if match and match.group(1) not in LITERAL:
            _, body = _options(lines[first + 1 : last])
            if not match.group(1).endswith(("-start", "-end")) and match.group(1) != "solution":
                kept.append(match.group(2))
            kept.extend(visible_lines("\n".join(body)))
        elif match and match.group(1) == "figure":
            kept.extend(_options(lines[first + 1 : last])[1])
        index = last + 1
    return kept + lines[index:]


def prose(text: str) -> str:
    """The prose of a Markdown text with its mathematics; no code, addresses, roles, comments."""
    text = re.sub(r"<!--.*?-->", " ", "\n".join(visible_lines(text)), flags=re.DOTALL)
    text = re.sub(r"(?m)^\s*\([\w-]+\)=\s*$|^%.*$", " ", text)
    text = ROLE.sub(_spoken, text)
    text = re.sub(r"(`+)(.+?)\1", _bare_number, text, flags=re.DOTALL)
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"<[^>\s][^>]*>|https?://\S+|\bdoi:\S+", " ", text)
    return text


def _spoken(role: re.Match[str]) -> str:
    """What a role shows as words: terms and mathematics; nothing for citations and references."""
    name, _, content = role.groups()
    if name == "math":
        return f"${content}$"
    return re.sub(r"\s*<[^>]*>$", "", content) if name == "term" else " "


def _bare_number(code: re.Match[str]) -> str:
    """A number set in code type is still a number typed in prose; other inline code is code."""
    content = code.group(2).strip()
    return content if re.fullmatch(r"[-+]?[\d.,_]+(e[-+]?\d+)?", content) else " "


def words(text: str) -> int:
    """How many words of prose a Markdown text has, mathematics left out."""
    plain = MATH.sub(" ", prose(text))
    return len(re.findall(r"[A-Za-z\u00c0-\u024f][\w'’-]*", plain))
