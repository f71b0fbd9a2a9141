"""The set-up cell: the same everywhere, silent where the package is, careful where it is not."""

import importlib.metadata
import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from bookmaker import colab
from bookmaker.address import current
from bookmaker.layout import notebooks, relative
from bookmaker.normalise import normal


@pytest.mark.parametrize("path", notebooks(), ids=relative)
def test_every_notebook_begins_with_it(path: Path) -> None:
    assert colab.faults(path) == []


def test_where_the_package_is_it_says_and_does_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("it ran a command"))
    exec(colab.source_of_cell(), {})
    assert capsys.readouterr().out == ""


def run_without_the_package(
    monkeypatch: pytest.MonkeyPatch, before: str | None, after: str
) -> list[str]:
    """Execute the cell as if actbook were missing; the command by which it installs."""
    commands: list[list[str]] = []

    def version(name: str) -> str:
        if name == "actbook":
            return "0.1.0"
        assert before is not None or commands, "asked for a torch that is not there"
        return after if commands else str(before)

    find = importlib.util.find_spec
    there = {"actbook": None, "torch": object() if before else None}
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: there[name] if name in there else find(name)
    )
    monkeypatch.setattr(importlib.metadata, "version", version)
    monkeypatch.setattr(subprocess, "run", lambda command, check: commands.append(command))
    exec(colab.source_of_cell(), {})
    [command] = commands
    assert command[:5] == [sys.executable, "-m", "pip", "install", "--quiet"]
    return command[5:]


def test_it_installs_from_the_public_address_and_holds_torch(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ACTBOOK_SOURCE", raising=False)
    wanted = run_without_the_package(monkeypatch, "2.11.0+cu128", "2.11.0+cu128")
    assert wanted == [f"actbook[notebooks] @ git+{current()}", "torch==2.11.0+cu128"]
    said = capsys.readouterr().out
    assert "Installed actbook 0.1.0" in said
    assert "torch 2.11.0+cu128 is unchanged" in said


def test_its_source_can_be_overridden(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for form in (str(tmp_path), tmp_path.as_uri(), f"git+{tmp_path.as_uri()}"):
        with monkeypatch.context() as patch:
            patch.setenv("ACTBOOK_SOURCE", form)
            wanted = run_without_the_package(patch, None, "2.13.0")
        assert wanted == [f"actbook[notebooks] @ {tmp_path.as_uri()}"]
    monkeypatch.setenv("ACTBOOK_SOURCE", "git+https://github.com/else/where@main")
    wanted = run_without_the_package(monkeypatch, "2.13.0", "2.13.0")
    assert wanted[0] == "actbook[notebooks] @ git+https://github.com/else/where@main"


def test_a_changed_torch_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AssertionError, match=r"torch 2\.11\.0 became 2\.13\.0"):
        run_without_the_package(monkeypatch, "2.11.0", "2.13.0")


def notebook(*sources: str) -> Any:
    """A notebook of a title and code cells."""
    return new_notebook(cells=[new_markdown_cell("# Title"), *map(new_code_cell, sources)])


def test_stamping_puts_it_second_and_replaces_an_older_one(tmp_path: Path) -> None:
    stamped = colab.stamp(notebook("x = 1"))
    assert stamped.cells[1].source == colab.source_of_cell()
    stamped.cells[1].source = "an older text"
    again = colab.stamp(stamped)
    assert [cell.source for cell in again.cells][1:] == [colab.source_of_cell(), "x = 1"]
    path = tmp_path / "chapter.ipynb"
    path.write_text(colab.text_of(normal(again)), encoding="utf-8")
    assert colab.faults(path) == []


def test_faults_are_named(tmp_path: Path) -> None:
    path = tmp_path / "chapter.ipynb"
    path.write_text(colab.text_of(notebook("x = 1")), encoding="utf-8")
    assert "stands at []" in colab.faults(path)[0]
    stamped = colab.stamp(notebook("x = 1"))
    stamped.cells[1].source += "\n"
    path.write_text(colab.text_of(stamped), encoding="utf-8")
    assert "another text" in colab.faults(path)[0]
