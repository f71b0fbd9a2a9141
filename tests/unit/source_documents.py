"""The five source documents, when the reader has them: split into sections for the tests.

The documents are not part of this repository. Whoever has them sets ACTBOOK_SOURCES to their
folder; without it the tests that need them are skipped and say so.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

NUMBERS = ("000", "001", "002", "003", "004")
NUMERALS = {c: str(n) for n, c in enumerate("一二三四五六七八", start=1)}
# What a document calls a part without a number, and how the book calls it.
UNNUMBERED = {
    "002": {"关键词": "keywords", "摘要": "abstract", "基本概念": "1 concept", "作用": "1 roles"},
}
# What stands before the first heading.
FIRST = dict(zip(NUMBERS, ("preamble", "abstract", "title", "introduction", "title"), strict=True))


def documents() -> dict[str, str]:
    """The text of each document, by its number; skips the test when they are not there."""
    folder = os.environ.get("ACTBOOK_SOURCES")
    if not folder:
        pytest.skip("ACTBOOK_SOURCES does not name a folder with the five source documents")
    files = {path.name[:3]: path for path in Path(folder).glob("00[0-4]_*.txt")}
    if set(files) != set(FIRST):
        pytest.skip(f"ACTBOOK_SOURCES holds documents {sorted(files)}, not all five")
    return {number: path.read_text(encoding="utf-8") for number, path in sorted(files.items())}


def sections(number: str, text: str) -> dict[str, str]:
    """The text of each section of one document, by the section's id; code is not split."""
    found: dict[str, list[str]] = {FIRST[number]: []}
    current, fenced = FIRST[number], False
    for line in text.splitlines():
        fenced ^= line.lstrip().startswith("```")
        ident = None if fenced else _heading(number, line)
        if ident:
            current = ident
        found.setdefault(current, []).append(line)
    return {ident: "\n".join(lines) for ident, lines in found.items() if ident != "title"}


def _heading(number: str, line: str) -> str | None:
    """The id of the section that a line opens, if it opens one."""
    if number == "003":
        if line.startswith("神经网络激活函数作为"):
            return "conclusion"
        match = re.match(r"([一二三四五六七八])、", line)
        return NUMERALS[match[1]] if match else None
    if match := re.match(r"\*\*Q(\d)：|### 问题 (\d)：", line):
        return f"9 Q{match[1] or match[2]}"
    if not (match := re.match(r"#+ +(.*)", line)):
        return None
    title = match[1]
    if numbered := re.match(r"(\d+(?:\.\d+)*)[.\s]", title):
        return numbered[1]
    return next((v for k, v in UNNUMBERED.get(number, {}).items() if k in title), None)
