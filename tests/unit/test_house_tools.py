"""The environment, the stages of the tests, the server, the table of README.md, the commands."""

import shutil
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from bookmaker import __main__, build, check, environment, layout, readme, serve

ROOT = layout.ROOT


# The environment ------------------------------------------------------------------------------


def test_an_old_python_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 4))
    with pytest.raises(SystemExit, match=r"Python 3\.11 or newer is needed, this is \d"):
        environment.main()


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_no_python_at_all_is_one_line() -> None:
    done = subprocess.run(
        ["make", "environment", "PYTHON="], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert done.stderr.splitlines()[0].startswith("No Python 3.11, 3.12 or 3.13 is installed")


def test_pip_failures_are_explained() -> None:
    no_network = "WARNING: Retrying: NewConnectionError('Failed to establish a new connection')"
    assert "is there a network?" in environment.explain(no_network)
    log = "noise\nERROR: No matching distribution found for torch==9\nmore"
    assert environment.explain(log) == "ERROR: No matching distribution found for torch==9"
    assert environment.explain("") == "pip failed"


def test_the_environment_follows_what_it_was_made_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("requirements.txt", "pyproject.toml"):
        shutil.copy2(ROOT / name, tmp_path)
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    monkeypatch.setattr(environment, "STAMP", tmp_path / "stamp")
    monkeypatch.setattr(environment, "program", lambda: Path(sys.executable))
    assert not environment.is_current()
    (tmp_path / "stamp").write_text(environment.wanted())
    assert environment.is_current()
    with open(tmp_path / "requirements.txt", "a", encoding="utf-8") as file:
        file.write("another==1\n")
    assert not environment.is_current()


def test_a_failing_install_leaves_one_line(tmp_path: Path) -> None:
    script = "import sys; sys.exit('ERROR: nothing fits')"
    with pytest.raises(SystemExit, match=r"No environment: ERROR: nothing fits \(all of it: "):
        environment._run([sys.executable, "-c", script], tmp_path / "log")


# The stages of the tests ----------------------------------------------------------------------


def test_a_failing_stage_fails_the_whole_and_stops_nothing(
    capfd: pytest.CaptureFixture[str],
) -> None:
    stages = [
        check.Stage("bad", [sys.executable, "-c", "raise SystemExit(3)"]),
        check.Stage("good", [sys.executable, "-c", "print('ran')"]),
    ]
    results = check.run(stages)
    assert [passed for passed, _ in results.values()] == [False, True]
    assert not check.report(results)
    out = capfd.readouterr().out
    assert "ran" in out
    assert "bad        FAILED" in out
    assert check.report({"good": (True, 1.0)})


def test_an_unknown_stage_is_named() -> None:
    with pytest.raises(SystemExit, match="no stage nonsense; there are ruff"):
        check.main(["nonsense"])


def test_every_folder_of_tests_has_a_stage() -> None:
    folders = {path.parent.name for path in (ROOT / "tests").rglob("test_*.py")}
    reached = {stage.command[-1].removeprefix("tests/") for stage in check.STAGES}
    assert folders <= reached


# The server -----------------------------------------------------------------------------------


def test_it_serves_the_book_on_this_machine(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="run `make book` first"):
        serve.server(tmp_path)
    (tmp_path / "index.html").write_text("the book")
    http = serve.server(tmp_path)
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    try:
        base = f"http://127.0.0.1:{http.server_port}"
        with urllib.request.urlopen(f"{base}/") as answer:
            assert answer.read() == b"the book"
            assert answer.headers["Cache-Control"] == "no-cache"
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"{base}/absent.html")
        caught.value.close()
        assert caught.value.code == 404
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


# The table of README.md -----------------------------------------------------------------------


def session(seconds: float, accelerator: str | None = None) -> dict[str, Any]:
    """One session of a study's provenance."""
    hardware = {"processor": "x86"} | ({"accelerator": accelerator} if accelerator else {})
    return {"seconds": seconds, "hardware": hardware}


RECORD = {
    "budget": "quick",
    "date": "2026-11-20T19:00:00",
    "stages": {"final": {"seeds": [0, 1, 2, 3, 4]}, "tune": {"seeds": [0]}},
    "sessions": [session(60), session(120)],
}


def test_the_table_shows_what_ran_where_and_what_did_not() -> None:
    on_gpu = RECORD | {"sessions": [session(600, "H200")]}
    lines = readme.table([("A", RECORD, False), ("B", on_gpu, True), ("C", None, False)]).split(
        "\n"
    )
    assert lines[0] == "| Study | CPU | H200 |"
    assert lines[2] == "| A | quick, 5 seeds, 3 min, 2026-11-20 | not run |"
    assert lines[3].startswith("| B | not run | quick, 5 seeds, 10 min, 2026-11-20, **code changed")
    assert lines[4] == "| C | not run | not run |"


def test_the_table_stands_between_its_marks() -> None:
    text = f"before\n{readme.BEGIN}\nold\n{readme.END}\nafter"
    assert readme.with_table(text, "new") == f"before\n{readme.BEGIN}\nnew\n{readme.END}\nafter"
    with pytest.raises(ValueError, match="lacks the marks"):
        readme.with_table("no marks", "new")


def test_the_table_is_current() -> None:
    assert readme.main(["--check"]) == 0, "run `python -m bookmaker readme`"


# The pages and the commands -------------------------------------------------------------------


def test_pages_are_those_of_the_table_of_contents(tmp_path: Path) -> None:
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: index\nchapters:\n- file: one\n")
    (tmp_path / "index.md").write_text("# Front")
    with pytest.raises(FileNotFoundError, match=r"_toc\.yml names one"):
        layout.pages(tmp_path)
    (tmp_path / "one.ipynb").write_text("{}")
    assert [path.name for path in layout.pages(tmp_path)] == ["index.md", "one.ipynb"]
    page = layout.html_of(tmp_path / "one.ipynb", tmp_path)
    assert page == tmp_path / "_build" / "html" / "one.html"


def test_every_notebook_is_in_the_table_of_contents() -> None:
    assert set(layout.notebooks()) <= set(layout.pages())


def test_unknown_commands_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert __main__.main(["nonsense"]) == 2
    assert "no command 'nonsense'; there are build" in capsys.readouterr().err
    assert __main__.main([]) == 0
    assert "build the book" in capsys.readouterr().out


def test_a_changed_source_is_a_changed_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_config.yml", "_toc.yml", "pyproject.toml"):
        (tmp_path / name).write_text(name)
    (tmp_path / "book" / ".hidden").mkdir(parents=True)
    (tmp_path / "book" / "page.md").write_text("one")
    (tmp_path / "book" / ".hidden" / "draft.md").write_text("one")
    monkeypatch.setattr(build, "ROOT", tmp_path)
    monkeypatch.setattr(build, "relative", lambda path: layout.relative(path, tmp_path))
    before = build._digests()
    assert set(before) == {
        "_config.yml",
        "_toc.yml",
        "pyproject.toml",
        "book/page.md",
        "installed packages",
    }
    (tmp_path / "book" / "page.md").write_text("two")
    after = build._digests()
    assert {name for name in after if after[name] != before[name]} == {"book/page.md"}
