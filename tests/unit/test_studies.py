"""Studies: grids, store, resuming, exports, provenance, statistics."""

from __future__ import annotations

import ast
import dataclasses
import json
import math
import os
from pathlib import Path

import numpy as np
import pytest

from actbook import data, studies
from actbook.data import Dataset
from actbook.studies import framework, mnist_mlp, provenance, runner, store
from actbook.studies.framework import StudyError

BUDGET = {
    "datasets": ("mnist", "fashion_mnist"),
    "activations": ("relu", "tanh"),
    "seeds": 3,
    "tuning_seeds": 2,
}


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A budget of seconds: little data, one epoch.  The list receives each data set loaded."""
    loaded: list[str] = []

    def load(name: str, *, valid: int = 0) -> Dataset:
        loaded.append(name)
        generator = np.random.default_rng(len(name))
        y = np.arange(120) % 10
        x = generator.random((120, 28, 28), dtype=np.float32) / 4
        x[np.arange(120), y] += 0.5
        parts = (x[:64], y[:64]), (x[64 : 64 + valid], y[64 : 64 + valid]), (x[80:], y[80:])
        arrays = [array for pair in parts for array in pair]
        return Dataset(name, name, "none", tuple("0123456789"), *arrays)

    printed = mnist_mlp._as_printed

    def shorter(dataset: str, model: str, **fields: object) -> object:
        return dataclasses.replace(printed(dataset, model, **fields), epochs=2)

    monkeypatch.setattr(data, "load", load)
    monkeypatch.setattr(mnist_mlp, "_as_printed", shorter)
    monkeypatch.setattr(mnist_mlp, "HELD_OUT", 16)
    monkeypatch.setitem(mnist_mlp.STUDY.budgets, "tiny", BUDGET)  # type: ignore[arg-type]
    return loaded


def run(folder: Path, **options: object) -> bool:
    settings = {"budget": "tiny", "out": folder, "device": "cpu", "say": lambda line: None}
    return studies.run("mnist_mlp", **{**settings, **options})  # type: ignore[arg-type]


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def results(kept: dict[str, bytes]) -> dict[str, list[list[dict]]]:
    """The rows of every group, which do not depend on the session that trained it."""
    groups = {n: b for n, b in kept.items() if "/sessions/" not in n}
    return {n: json.loads(b.decode().split("\n")[1])["rows"] for n, b in groups.items()}


def sessions(folder: Path) -> list[Path]:
    return sorted((folder / "mnist_mlp" / "sessions").iterdir())


# --- running, resuming, exporting -------------------------------------------------------------


def test_a_run_is_resumed_and_exports_the_same_bytes(tiny: list[str], tmp_path: Path) -> None:
    assert run(tmp_path / "a")
    tables = studies.export("mnist_mlp", out=tmp_path / "a", to=tmp_path / "x")
    kept = files(tmp_path / "a")

    # Stopped at once, finished later, with some files torn, altered or foreign in between.
    assert not run(tmp_path / "b", minutes=0)
    assert run(tmp_path / "b")
    cells = sorted((tmp_path / "b" / "mnist_mlp" / "protocol").iterdir())
    cells[0].write_text(cells[0].read_text()[:-50])
    cells[1].write_text(cells[1].read_text().replace('"epoch":1', '"epoch":7', 1))
    cells[2].write_bytes(cells[3].read_bytes())
    cells[4].unlink()
    with pytest.raises(StudyError, match="not finished"):
        studies.export("mnist_mlp", out=tmp_path / "b", to=tmp_path / "y")
    assert not (tmp_path / "y" / "mnist_mlp.json").exists()
    said: list[str] = []
    assert run(tmp_path / "b", say=said.append)
    assert len(said) == 4
    studies.export("mnist_mlp", out=tmp_path / "b", to=tmp_path / "y")

    again = files(tmp_path / "b")
    assert results(kept) == results(again)
    for path in tables:
        if path.suffix == ".csv":
            other = tmp_path / "y" / path.relative_to(tmp_path / "x")
            assert path.read_bytes() == other.read_bytes()


def test_an_export_takes_away_the_tables_of_an_earlier_one(tiny: list[str], tmp_path: Path) -> None:
    assert run(tmp_path)
    written = studies.export("mnist_mlp", out=tmp_path, to=tmp_path / "x")
    former, other = tmp_path / "x/mnist_mlp/widen_9-mnist.csv", tmp_path / "x/toy/final-none.csv"
    other.parent.mkdir()
    for path in (former, other):
        path.write_text("of another run\n", "utf-8")
    assert studies.export("mnist_mlp", out=tmp_path, to=tmp_path / "x") == written
    assert not former.exists() and other.exists() and all(path.exists() for path in written)


def test_a_finished_run_trains_nothing(tiny: list[str], tmp_path: Path) -> None:
    run(tmp_path)
    before, loads = files(tmp_path), len(tiny)
    assert run(tmp_path)
    assert len(tiny) == loads
    assert files(tmp_path) == before


def test_a_killed_run_has_told_where_it_ran(
    tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, calls = runner.train.train, []

    def killed(*arguments: object, **options: object) -> object:
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return train(*arguments, **options)  # type: ignore[arg-type]

    hardware = {"processor": "the first machine", "cores": 1}
    monkeypatch.setattr(runner.provenance, "machine", lambda device: hardware)
    monkeypatch.setattr(runner.train, "train", killed)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path)
    trained = [json.loads(path.read_text())["trained"] for path in sessions(tmp_path)]
    assert trained == [sum(len(c[0]) for c in calls[:2])]  # type: ignore[index]
    calls[:] = [(), ()]
    with pytest.raises(KeyboardInterrupt):  # before a first group: no part in the rows
        run(tmp_path)
    monkeypatch.setattr(runner.train, "train", train)
    assert run(tmp_path)
    studies.export("mnist_mlp", out=tmp_path, to=tmp_path / "x")
    result = studies.load("mnist_mlp", tmp_path / "x")
    assert len(result.provenance["sessions"]) == 2
    assert "the first machine" in repr(result)


def test_a_damaged_record_is_named(tiny: list[str], tmp_path: Path) -> None:
    run(tmp_path)
    studies.export("mnist_mlp", out=tmp_path, to=tmp_path / "x")
    [record] = sessions(tmp_path)
    record.write_text(record.read_text()[:-20])
    with pytest.raises(StudyError, match=r"json is damaged, and with it where"):
        studies.export("mnist_mlp", out=tmp_path, to=tmp_path / "x")
    record.unlink()
    with pytest.raises(StudyError, match="run it first"):
        studies.export("mnist_mlp", out=tmp_path, to=tmp_path / "x")
    assert run(tmp_path)  # groups that nobody answers for are trained anew
    studies.export("mnist_mlp", out=tmp_path, to=tmp_path / "x")
    next((tmp_path / "x" / "mnist_mlp").iterdir()).unlink()
    with pytest.raises(StudyError, match=r"csv is missing, which mnist_mlp\.json lists"):
        _ = studies.load("mnist_mlp", tmp_path / "x").rows
    (tmp_path / "x" / "mnist_mlp.json").write_text("{")
    with pytest.raises(StudyError, match=r"mnist_mlp\.json is damaged"):
        studies.load("mnist_mlp", tmp_path / "x")


def test_a_folder_that_cannot_be_written_is_told_before_the_training(
    tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mnist_mlp").write_text("a file where the folder would be")
    with pytest.raises(StudyError, match=r"cannot read .*: Not a directory"):
        run(tmp_path)

    def refused(**options: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(store.tempfile, "mkstemp", refused)
    with pytest.raises(StudyError, match=r"cannot write .*\.json: Read-only file system"):
        run(tmp_path / "other")
    assert not tiny


def test_a_change_of_code_makes_cells_anew(
    tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path)
    studies.export("mnist_mlp", out=tmp_path, to=tmp_path / "x")
    monkeypatch.setattr(runner, "_code", lambda plan: {"actbook.train.engine": "another"})
    with pytest.raises(StudyError, match="other code"):
        studies.export("mnist_mlp", out=tmp_path, to=tmp_path / "x")


def test_unknown_names_are_answered_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="mnist_mlp"):
        studies.study("mnist")
    with pytest.raises(StudyError, match="quick, full"):
        studies.run("mnist_mlp", budget="huge", out=tmp_path, device="cpu")
    with pytest.raises(StudyError, match="run it first"):
        studies.export("mnist_mlp", out=tmp_path)
    with pytest.raises(StudyError, match="no stored result"):
        studies.load("nothing")


def test_every_stage_uses_its_own_seeds_and_only_the_splits_it_may(
    tiny: list[str], tmp_path: Path
) -> None:
    run(tmp_path)
    studies.export("mnist_mlp", out=tmp_path, to=tmp_path / "x")
    record = json.loads((tmp_path / "x" / "mnist_mlp.json").read_text())
    seeds = {name: set(stage["seeds"]) for name, stage in record["stages"].items()}
    assert not seeds["tune"] & seeds["final"]
    assert not seeds["tune"] & seeds["protocol"]
    assert not seeds["final"] & seeds["protocol"]
    rows = studies.load("mnist_mlp", tmp_path / "x").rows
    for row in rows:
        if row["stage"] in ("tune", "widen_1", "widen_2"):
            assert row.get("test_accuracy") is None
    assert sum(r["stage"] == "final" and r["test_loss"] is not None for r in rows) == 2 * 3 * 3


# --- the grids of mnist_mlp -------------------------------------------------------------------


def valid_rows(accuracies: dict[float, list[float]]) -> list[dict]:
    return [
        {"dataset": "mnist", "model": "relu", "lr": lr, "valid_accuracy": value}
        for lr, values in accuracies.items()
        for value in values
    ]


ONE = {**BUDGET, "datasets": ("mnist",), "activations": ("relu",)}


def only_relu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mnist_mlp, "_conditions", lambda budget: [("mnist", "relu")])


def test_the_printed_protocol() -> None:
    configs = mnist_mlp.STUDY.stages[0].grid(mnist_mlp.STUDY.budgets["full"], [])
    assert len(configs) == 2 * 14 * 20
    assert {c.widths for c in configs} == {(784, 128, 10), (784, 10)}
    assert {(c.lr, c.eps, c.batch, c.epochs, c.init, c.valid) for c in configs} == {
        (1e-3, 1e-7, 32, 10, "glorot", 0)
    }
    assert {c.optimizer for c in configs} == {"adam"}


def test_the_quick_budget_is_the_protocol_alone() -> None:
    quick = mnist_mlp.STUDY.budgets["quick"]
    protocol, *rest = (stage.grid(quick, []) for stage in mnist_mlp.STUDY.stages)
    assert rest == [[], [], [], []]
    assert len({c.seed for c in protocol}) == 5
    assert {"relu", "tanh", "sigmoid", "gelu", "silu"} <= {c.activation for c in protocol}
    assert {mnist_mlp.label(c) for c in protocol} >= {"linear"}


def test_the_first_rates_are_seven_half_decades() -> None:
    configs = mnist_mlp._tune(ONE, [])
    rates = sorted({c.lr for c in configs})
    assert len(rates) >= 7
    assert np.allclose(np.diff(np.log10(rates)), 0.5, atol=1e-5)
    assert {c.splits for c in configs} == {("valid",)}


@pytest.mark.parametrize(
    ("accuracies", "expected"),
    [
        ({1e-3: [0.5, 0.6], 1e-2: [0.7, 0.7], 1e-1: [0.6, 0.6]}, []),
        ({1e-3: [0.5, 0.6], 1e-2: [0.7, 0.7], 1e-1: [0.9, 0.9]}, [0.316228, 1.0]),
        ({1e-3: [0.9, 0.6], 1e-2: [0.7, 0.7], 1e-1: [math.nan, 0.9]}, [1e-4, 0.000316228]),
    ],
)
def test_an_edge_widens_the_grid(
    accuracies: dict, expected: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    only_relu(monkeypatch)
    configs = mnist_mlp._widen(ONE, valid_rows(accuracies))
    assert sorted({c.lr for c in configs}) == expected


def test_the_best_rate_is_that_of_the_mean_and_of_equals_the_smallest() -> None:
    rows = valid_rows({1e-3: [0.9, 0.5], 1e-2: [0.7, 0.75], 1e-1: [0.75, 0.7]})
    assert mnist_mlp.best_rate(rows, "mnist", "relu") == 1e-2


# --- the store --------------------------------------------------------------------------------


def test_a_write_that_fails_keeps_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "cell.json"
    store.write_atomic(path, "old")

    def full(source: str, target: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(StudyError, match="No space left"):
        store.write_atomic(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_store_gives_back_what_it_was_given(tmp_path: Path) -> None:
    kept = store.Store(tmp_path)
    rows = [[{"loss": math.inf, "accuracy": 0.1}], [{"loss": 1 / 3, "accuracy": None}]]
    kept.put("s", "k", rows)
    assert kept.get("s", "k") == rows
    assert kept.get("s", "other") is None
    os.replace(kept.path("s", "k"), kept.path("s", "other"))
    assert kept.get("s", "other") is None


# --- provenance -------------------------------------------------------------------------------


def digest(source: str) -> str:
    return provenance.canonical(ast.parse(source))


def test_wording_does_not_count_and_code_does() -> None:
    code = 'def f(x: int) -> int:\n    """Says."""\n    # why\n    return (x + 1)\n'
    assert digest(code) == digest('def f(x: int) -> int:\n    "Otherwise."\n    return x+1\n')
    assert digest(code) != digest(code.replace("+ 1", "+ 2"))
    assert digest(code) != digest(code.replace("+ 1", "- 1"))
    assert digest("x = None") != digest("x = 0") != digest("x = ''")


def test_a_study_answers_for_all_code_that_trains() -> None:
    found = runner._code(mnist_mlp.STUDY)
    assert {
        "actbook.data", "actbook.studies.mnist_mlp", "actbook.train.activations",
        "actbook.train.config", "actbook.train.engine", "actbook.train.members",
    } <= set(found)  # fmt: skip
    assert not any(name.startswith(("actbook.lower", "actbook.families")) for name in found)


def test_a_declaration_answers_for_its_formula() -> None:
    pytest.importorskip("sympy")
    from actbook import catalogue

    leaky = catalogue["leaky_relu"]
    same = provenance._declaration(leaky, "training")
    assert provenance._declaration(leaky.at(alpha=0.02), "training") != same
    assert provenance._declaration(leaky, "contract") != same
    assert provenance._declaration(dataclasses.replace(leaky, title="other"), "training") == same
    left, right = leaky.branches
    doubled = dataclasses.replace(left, expr=2 * left.expr)
    changed = dataclasses.replace(leaky, branches=(doubled, right))
    assert provenance._declaration(changed, "training") != same


# --- results and the command line --------------------------------------------------------------


def test_a_result_shows_where_it_comes_from(tiny: list[str], tmp_path: Path) -> None:
    run(tmp_path)
    studies.export("mnist_mlp", out=tmp_path, to=tmp_path / "x")
    result = studies.load("mnist_mlp", tmp_path / "x")
    page = result._repr_html_()
    assert not result.stale
    assert "<div class='actbook-box stored'>" in page
    for part in ("hardware", "versions", "seeds", "date", "budget", "policy"):
        assert part in page, part
        assert part in repr(result), part
    assert result.provenance["date"] in page
    frame = pytest.importorskip("pandas") and result.frame()
    assert len(frame) == len(result.rows)
    rows = [r for r in result.rows if r["stage"] == "protocol" and r["dataset"] == "mnist"]
    assert [r["model"] for r in rows[::6]] == ["linear", "relu", "tanh"]
    assert {r["lr"] for r in rows} == {1e-3}
    table = result.summary()
    assert {(r["stage"], r["dataset"], r["model"]) for r in table} == {
        (s, d, m)
        for s in ("protocol", "final")
        for d in BUDGET["datasets"]
        for m in ("linear", "relu", "tanh")
    }
    assert all(r["low"] <= r["test_accuracy"] <= r["high"] for r in table)


def test_a_result_of_other_code_is_marked(tiny: list[str], tmp_path: Path) -> None:
    run(tmp_path)
    path = studies.export("mnist_mlp", out=tmp_path, to=tmp_path / "x")[-1]
    record = json.loads(path.read_text())
    record["modules"]["actbook.data"] = "0" * 64
    record["activations"]["training"]["relu"] = "0" * 64
    path.write_text(json.dumps(record))
    result = studies.load("mnist_mlp", tmp_path / "x")
    assert result.stale
    assert result.changes == ["actbook.data", "relu"]
    assert "actbook-box stored stale" in result._repr_html_()
    assert "[STALE]" in repr(result)
    assert studies.stale(tmp_path / "x") == {"mnist_mlp": ["actbook.data", "relu"]}


def test_an_altered_table_is_refused(tiny: list[str], tmp_path: Path) -> None:
    run(tmp_path)
    path = studies.export("mnist_mlp", out=tmp_path, to=tmp_path / "x")[0]
    path.write_text(path.read_text().replace("0.", "0.9", 1))
    with pytest.raises(StudyError, match="altered"):
        _ = studies.load("mnist_mlp", tmp_path / "x").rows


def test_the_commands(tiny: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "run")
    assert (
        studies.main(["run", "mnist_mlp", "--budget", "tiny", "--out", out, "--workers", "1"]) == 0
    )
    assert "mnist_mlp/protocol" in capsys.readouterr().err
    target = str(tmp_path / "x")
    assert studies.main(["export", "mnist_mlp", "--out", out, "--csv", target]) == 0
    assert "mnist_mlp.json" in capsys.readouterr().out
    assert studies.main(["list"]) == 0
    assert "mnist_mlp" in capsys.readouterr().out
    assert studies.main(["run", "nothing", "--out", out]) == 2
    assert "error: no study 'nothing'" in capsys.readouterr().err


def test_rows_that_measured_nothing_are_not_exported() -> None:
    columns = ("model", "valid_loss", "valid_accuracy", "diverged")
    row = {"model": "relu", "valid_loss": None, "valid_accuracy": None, "diverged": False}
    assert not runner._measured(row, columns)
    assert runner._measured({**row, "valid_accuracy": 0.5}, columns)
    assert runner._measured(row, ("model", "diverged"))


def test_a_column_that_a_condition_lacks_is_empty_and_a_misspelt_one_an_error() -> None:
    stage = framework.Stage("final", "tested once", lambda budget, rows: [], ("model", "beta_1"))
    rows: list[framework.Row] = [{"model": "swish", "beta_1": 1.5}, {"model": "relu"}]
    runner._check_columns(stage, rows)
    assert runner._table(stage.columns, rows) == "model,beta_1\nswish,1.5\nrelu,\n"
    with pytest.raises(framework.StudyError, match="no row of final has a column beta_1"):
        runner._check_columns(stage, rows[1:])
