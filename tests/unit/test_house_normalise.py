"""The normal form of stored notebooks."""

import copy
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from bookmaker import normalise
from bookmaker.layout import notebooks, relative


def executed() -> Any:
    """A notebook as a browser would leave it: images, odd counts, timings, whims."""
    picture = {"image/png": "iVBORw0KGgo=", "text/plain": ["a curve that rises"]}
    cells = [
        new_markdown_cell("# Title  \n"),
        new_code_cell("plot()", execution_count=7, outputs=[new_output("display_data", picture)]),
        new_code_cell("f(x)", execution_count=3, outputs=[new_output("execute_result", picture)]),
        new_code_cell("only()", outputs=[new_output("display_data", {"image/svg+xml": "<svg/>"})]),
        new_code_cell("clock()", execution_count=9, outputs=[new_output("stream", text="12:01")]),
        new_code_cell("", execution_count=None),
    ]
    cells[1].metadata = {"execution": {"iopub.execute_input": "2026-01-01"}, "tags": ["hide-input"]}
    cells[1].metadata["mystnb"] = {"image": {"alt": "A curve."}}
    cells[2].outputs[0].execution_count = 3
    cells[4].metadata = {"tags": ["machine"], "collapsed": False}
    return new_notebook(
        cells=cells,
        metadata={"language_info": {"name": "python", "version": "3.13.1"}, "widgets": {}},
    )


def test_images_and_whims_go_and_text_stays() -> None:
    before = executed()
    untouched = copy.deepcopy(before)
    after = normalise.normal(before)
    assert before == untouched
    assert dict(after.metadata) == normalise.METADATA
    code = [cell for cell in after.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == [1, 2, 3, 4, None]
    assert code[0].outputs[0].data == {"text/plain": ["a curve that rises"]}
    assert dict(code[0].metadata) == {
        "mystnb": {"image": {"alt": "A curve."}},
        "tags": ["hide-input"],
    }
    assert code[1].outputs[0].execution_count == 2
    assert code[2].outputs == []
    assert code[3].outputs == []
    assert "image/" not in normalise.text_of(after).replace('"image"', "")


def test_normalising_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    once = normalise.text_of(normalise.normal(executed()))
    path = tmp_path / "once.ipynb"
    path.write_text(once, encoding="utf-8")
    assert not normalise.unnormalised(path)
    assert normalise.text_of(normalise.normal(nbformat.read(path, as_version=4))) == once
    path.write_text(once.replace('"Python 3"', '"Mine"'), encoding="utf-8")
    assert normalise.unnormalised(path)


def test_cells_keep_their_identity_and_doubles_get_one_of_their_own() -> None:
    notebook = executed()
    notebook.cells[0].id = notebook.cells[1].id = "same"
    first = normalise.normal(notebook)
    names = [cell.id for cell in first.cells]
    assert names[0] == "same"
    assert len(set(names)) == len(names)
    assert [cell.id for cell in normalise.normal(first).cells] == names


def test_a_failing_notebook_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "chapter.ipynb"
    nbformat.write(executed(), path)
    before = path.read_bytes()

    def fail(*_: object) -> None:
        raise normalise.ExecutionFailed("cell 1")

    monkeypatch.setattr(normalise, "run", fail)
    with pytest.raises(normalise.ExecutionFailed, match="cell 1"):
        normalise.renew([path])
    assert path.read_bytes() == before


@pytest.mark.parametrize("path", notebooks(), ids=relative)
def test_every_stored_notebook_is_in_normal_form(path: Path) -> None:
    assert not normalise.unnormalised(path), "run `make notebooks`"
