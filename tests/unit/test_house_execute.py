"""Execution: what runs again, what does not, and how failures are shown."""

import json
import os
import textwrap
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from bookmaker import execute
from bookmaker.normalise import METADATA

MODULE = """
from pathlib import Path

def value() -> int:
    return int((Path(__file__).parent / "data.csv").read_text())
"""
CHILD = "import sys; sys.path.insert(0, sys.argv[1]); import distant"


def write(path: Path, *cells: str | tuple[str, list[str]], prose: str = "# A chapter") -> Path:
    """Write a notebook of a markdown cell and code cells, each a source or (source, tags)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    notebook = new_notebook(metadata=METADATA, cells=[new_markdown_cell(prose)])
    for cell in cells:
        source, tags = cell if isinstance(cell, tuple) else (cell, [])
        notebook.cells.append(new_code_cell(source, metadata={"tags": tags} if tags else {}))
    nbformat.write(notebook, path)
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with a module, its data, a module used by a child process, and one unused."""
    source = tmp_path / "src"
    source.mkdir()
    (source / "near.py").write_text(textwrap.dedent(MODULE))
    (source / "data.csv").write_text("21")
    (source / "distant.py").write_text("")
    (source / "unused.py").write_text("")
    (source / "listed").mkdir()
    (source / "listed" / "one.txt").write_text("1")
    return tmp_path


CELLS = (
    "import os, subprocess, sys\nroot = os.path.abspath('../src'); sys.path.insert(0, root)",
    "import near\nprint(2 * near.value())",
    f"subprocess.run([sys.executable, '-c', {CHILD!r}, root], check=True).returncode",
    "sorted(os.listdir(root + '/listed'))",
)


def test_runs_again_exactly_when_something_it_used_changed(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chapter = write(root / "book" / "chapter.ipynb", *CELLS)
    env = execute.environment("svg")

    def why() -> str | None:
        return execute.why_stale(chapter, env, root)

    assert why() == "it has no stored result"
    assert execute.execute([chapter], root=root) == [chapter]
    assert why() is None
    assert execute.execute([chapter], root=root) == []
    result = execute.load(chapter, root)
    assert result is not None
    assert result.cells[1]["outputs"][0]["text"] == "42\n"
    assert set(result.files) == {"src/near.py", "src/data.csv", "src/distant.py", "src/listed"}

    # What it did not use, and what is not executed, does not matter.
    (root / "src" / "unused.py").write_text("x = 1")
    (root / "src" / "newcomer.py").write_text("")
    write(chapter, *CELLS, prose="# Other words")
    assert why() is None

    # Everything that it used does, also through a child process, a data file or a listing.
    for name, content in (
        ("src/near.py", "def value() -> int:\n    return 1\n"),
        ("src/data.csv", "22"),
        ("src/distant.py", "x = 1"),
    ):
        path = root / name
        before = path.read_text()
        path.write_text(content)
        assert why() == f"{name} changed"
        path.write_text(before)
        assert why() is None
    (root / "src" / "listed" / "two.txt").write_text("2")
    assert why() == "src/listed changed"
    (root / "src" / "listed" / "two.txt").unlink()
    (root / "src" / "data.csv").unlink()
    assert why() == "src/data.csv changed"
    (root / "src" / "data.csv").write_text("21")

    # So do the code, its tags, the steering variables, the packages and the interpreter.
    write(chapter, *CELLS[:-1], "print('other')")
    assert why() == "other code cells"
    write(chapter, *CELLS[:-1], (CELLS[-1], ["raises-exception"]))
    assert why() == "other code cells"
    write(chapter, *CELLS)
    assert why() is None
    for name in ("ACTBOOK_FIGURES", "OMP_NUM_THREADS", "ATEN_CPU_CAPABILITY", "PYTHONHASHSEED"):
        assert execute.why_stale(chapter, env | {name: "7"}, root) == "other environment variables"
    assert execute.why_stale(chapter, env | {"EDITOR": "7"}, root) is None
    monkeypatch.setattr(execute, "installed", lambda: "other")
    assert why() == "other installed packages"


def test_a_torn_record_counts_as_none(root: Path) -> None:
    chapter = write(root / "book" / "chapter.ipynb", "1")
    record = root / "_build" / "execution" / "book" / "chapter.ipynb.json"
    record.parent.mkdir(parents=True)
    record.write_text('{"key": {')
    assert execute.load(chapter, root) is None
    assert execute.why_stale(chapter, {}, root) == "it has no stored result"


def test_failures_show_the_cell_and_the_traceback_of_every_notebook(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = write(root / "book" / "one.ipynb", "x = 1", "y = x / 0", "print(y)")
    two = write(root / "book" / "two.ipynb", "import sys", "print('oh', file=sys.stderr)")
    three = write(root / "book" / "three.ipynb", "1")
    with pytest.raises(execute.ExecutionFailed) as caught:
        execute.execute([one, two, three], root=root)
    message = str(caught.value)
    assert "book/one.ipynb: code cell 2 failed" in message
    assert "y = x / 0" in message
    assert "ZeroDivisionError" in message
    assert "book/two.ipynb: code cell 2 writes to stderr" in message
    assert execute.load(one, root) is None
    assert execute.load(two, root) is None
    assert execute.load(three, root) is not None
    assert "three" not in message
    capsys.readouterr()


def test_the_book_build_finds_outputs_with_the_present_metadata(root: Path) -> None:
    from jupyter_cache import get_cache

    chapter = write(root / "book" / "chapter.ipynb", "print(6 * 7)")
    env = execute.environment("svg")
    output = nbformat.v4.new_output("stream", text="42\n")
    cells = [{"execution_count": 1, "outputs": [dict(output)]}]
    key = execute.key_of(execute.read(chapter), env)
    execute.store(chapter, execute.Result(key, {}, 1.0, cells), root)

    notebook = execute.read(chapter)
    notebook.cells[1].metadata["mystnb"] = {"figure": {"caption": "new words"}}
    nbformat.write(notebook, chapter)
    assert execute.why_stale(chapter, env, root) is None
    assert execute.fill_cache([chapter], root) == execute.cached_notebooks(root) == 1
    cache = get_cache(str(root / "_build" / ".jupyter_cache"))
    _, found = cache.merge_match_into_notebook(execute.read(chapter))
    cache.db.dispose()
    assert found.cells[1].outputs[0].text == "42\n"
    assert found.cells[1].metadata["mystnb"]["figure"]["caption"] == "new words"

    twin = root / "book" / "twin.ipynb"
    nbformat.write(notebook, twin)
    execute.store(twin, execute.Result(key, {}, 1.0, cells), root)
    with pytest.raises(execute.ExecutionFailed, match="have the same code"):
        execute.fill_cache([chapter, twin], root)


def test_the_environment_fixes_what_steers_results(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMP_NUM_THREADS", "PYTHONHASHSEED", "ACTBOOK_FIGURES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    env = execute.environment("svg")
    assert (env["OMP_NUM_THREADS"], env["PYTHONHASHSEED"]) == ("1", "0")
    assert env["ACTBOOK_FIGURES"] == "svg"
    assert "PYTHONPATH" not in env
    assert "PYTHONDONTWRITEBYTECODE" not in env
    assert "ACTBOOK_FIGURES" not in execute.environment()
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    assert execute.environment()["OMP_NUM_THREADS"] == "4"


def test_records_are_written_whole(root: Path) -> None:
    chapter = write(root / "book" / "chapter.ipynb", "1")
    execute.store(chapter, execute.Result({}, {}, 1.0, []), root)
    folder = root / "_build" / "execution" / "book"
    assert os.listdir(folder) == ["chapter.ipynb.json"]
    assert json.loads((folder / "chapter.ipynb.json").read_text())["seconds"] == 1.0
