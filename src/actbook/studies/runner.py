"""Running a study: stage by stage, group by group, every finished group kept at once."""

from __future__ import annotations

import csv
import hashlib
import inspect
import io
import json
import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from .. import data, train
from . import engines, provenance
from .framework import MEASURED, Row, Stage, Study, StudyError, study
from .progress import Board, Progress, Say
from .store import SESSIONS, Store, write_atomic

__all__ = ["RESULTS", "StageStatus", "budget_of", "export", "read_table", "run", "status"]

#: The results that are shipped with the package.
RESULTS = provenance.PACKAGE / "results"
SIGNIFICANT_DIGITS = 5


def run(
    name: str,
    *,
    budget: str,
    out: Path,
    device: str | None = None,
    minutes: float | None = None,
    engine: str = "local",
    workers: int | None = None,
    tensorboard: Path | None = None,
    say: Say | None = None,
) -> bool:
    """Run what is missing of a study below ``out``; True when it is complete.

    Finished groups are kept, so the same command resumes an interrupted run.  ``minutes`` starts no
    group after that time.  ``engine`` is ``"local"`` (``workers`` processes, 1 unless told) or
    ``"ray"``; ``tensorboard`` receives the measured columns.  On a CPU every group is trained on
    one thread: rows do not depend on the engine, the workers or what was killed before.  Raises
    StudyError for an unknown study, budget or engine.
    """
    plan = study(name)
    settings = _settings(plan, budget)
    runs_on = engines.engine(engine, workers)
    where = _device(plan, device)
    store, rows = Store(out / name), list[Row]()
    session = _Session(store, budget, where)
    progress = Progress(name, say)
    board = Board(tensorboard / name) if tensorboard else None
    clock = time.monotonic()
    _loaded.cache_clear()

    def more() -> bool:
        return minutes is None or time.monotonic() - clock <= 60 * minutes

    for stage in plan.stages:
        configs = stage.grid(settings, rows)
        groups = _grouped(plan, configs)
        keys = _keys(plan, stage, configs, groups)
        cells = [store.get(stage.name, key) for key in keys]
        missing = [number for number, found in enumerate(cells) if found is None]
        tasks = [
            engines.Task(
                name, stage.name, tuple(configs[i] for i in groups[number]), where,
                store.checkpoint(stage.name, keys[number]),
            )
            for number in missing
        ]  # fmt: skip
        progress.stage(stage.name, [len(group) for group in groups], missing)
        if tasks and more():
            session.begin()
        for index, (given, seconds) in runs_on.run(train_group, tasks, more):
            number, members = missing[index], tasks[index].members
            session.trained(len(members))
            store.put(stage.name, keys[number], given, session.name)
            store.drop_checkpoint(stage.name, keys[number])
            cells[number] = given
            label = f"{members[0].dataset} {plan.label(members[0])} × {len(members)}"
            progress.finished(number, label, seconds)
            if board:
                board.write(stage.name, plan.label(members[0]), given)
        finished = _placed(groups, cells)
        rows += _stage_rows(plan, stage, configs, finished)
        if any(found is None for found in cells):
            progress.note(f"stopped after {minutes:g} minutes; the same command resumes")
            return False
    session.begin_once()
    store.drop_checkpoints()
    return True


def train_group(task: engines.Task) -> tuple[list[list[Row]], float]:
    """The rows of each member of a task, and the seconds it took; on a CPU on one thread.

    A group that takes minutes keeps its state in the task's checkpoint, and goes on from there when
    it was killed; on a machine that does not see the folder of the run it begins anew.
    """
    plan = study(task.study)
    begin = time.monotonic()
    if plan.train is not None and not plan.modules:
        trained = plan.train(list(task.members), device=task.device)
    else:
        import torch

        threads = torch.get_num_threads()
        if task.device == "cpu":
            torch.set_num_threads(1)
        try:
            first = task.members[0]
            given = {first.dataset: _loaded(first.dataset, first.valid)}
            fit, options = _trainer(plan, task.checkpoint)
            trained = fit(list(task.members), device=task.device, datasets=given, **options)
        finally:
            torch.set_num_threads(threads)
    return [member.rows for member in trained], time.monotonic() - begin


def _trainer(plan: Study, checkpoint: Path | None) -> tuple[Any, dict[str, Any]]:
    """What trains a group of a study, and the checkpoint for it where it takes one."""
    from ..train import engine, kept

    fit = plan.train or train.train
    if fit is engine.train:
        fit = kept.train  # the same, with checkpoints
    takes = "checkpoint" in inspect.signature(fit).parameters
    # The run's folder is not there where another machine of a cluster trains and shares no disk.
    if checkpoint is None or not takes or not checkpoint.parent.parent.parent.is_dir():
        return fit, {}
    return fit, {"checkpoint": checkpoint}


@lru_cache(maxsize=4)
def _loaded(dataset: str, valid: int) -> data.Dataset:
    return data.load(dataset, valid=valid)


def _device(plan: Study, device: str | None) -> str:
    if not plan.modules:
        return "cpu"
    from ..train.engine import resolve_device

    return str(resolve_device(device))


def _settings(plan: Study, budget: str) -> dict[str, Any]:
    if budget not in plan.budgets:
        raise StudyError(f"{plan.name} has the budgets {', '.join(plan.budgets)}, not {budget!r}")
    return dict(plan.budgets[budget])


def _grouped(plan: Study, configs: Sequence[Any]) -> list[list[int]]:
    """The groups follow from the declared grid alone, not from what is stored already."""
    pieces = []
    for group in (plan.groups or train.groups)(configs):
        pieces += [group[i : i + plan.stack] for i in range(0, len(group), plan.stack)]
    return pieces


def _code(plan: Study) -> dict[str, str]:
    return provenance.module_hashes(f"{__package__}.{plan.name}", *plan.modules)


def _keys(
    plan: Study, stage: Stage, configs: Sequence[Any], groups: Sequence[Sequence[int]]
) -> list[str]:
    """What each stored group answers to: its configurations and the code that trained them."""
    code = _code(plan)
    found = []
    for positions in groups:
        members = [configs[position] for position in positions]
        _check_module(plan, members[0])
        names = {config.activation for config in members}
        declared = provenance.activation_hashes(names, members[0].policy)
        wanted = json.dumps([asdict(config) for config in members], sort_keys=True)
        parts = {"stage": stage.name, "configs": wanted}
        found.append(provenance.combined(code, declared, parts)[:24])
    return found


def _check_module(plan: Study, config: Any) -> None:
    """StudyError where a network is built by a module that the study's results do not answer to."""
    module = getattr(config, "module", None)
    if module and module not in plan.modules:
        raise StudyError(
            f"{plan.name} trains the architecture {config.architecture!r}: its modules must list "
            f"{module!r}, not only {', '.join(map(repr, plan.modules))}"
        )


def _placed(groups: list[list[int]], cells: Sequence[list[list[Row]] | None]) -> dict[int, Any]:
    """The rows of each finished configuration by its position in the grid."""
    return {
        position: rows
        for positions, found in zip(groups, cells, strict=True)
        if found is not None
        for position, rows in zip(positions, found, strict=True)
    }


def _stage_rows(
    plan: Study, stage: Stage, configs: Sequence[Any], cells: dict[int, list[Row]]
) -> list[Row]:
    return [
        {"stage": stage.name, "model": plan.label(config), **row}
        for position, config in enumerate(configs)
        for row in cells.get(position, [])
    ]


class _Session:
    """This session in the run's records: when, where, with what; one file for each.

    It is written before the first group is trained, which also shows that the folder can be
    written, and again before each group is kept: a session that is killed has told what it did.
    Each group names its session, and several may run on one folder at once.
    """

    def __init__(self, store: Store, budget: str, device: str) -> None:
        self.budget, self.device = budget, device
        self.started, self.clock = datetime.now(UTC), time.monotonic()
        self.name = f"{self.started:%Y%m%dT%H%M%S%f}-{uuid.uuid4().hex[:8]}"
        self.folder = store.folder / SESSIONS
        self.count, self.begun = 0, False

    def begin(self) -> None:
        """Write the session's first record; nothing when there is one."""
        if not self.begun:
            self.begun = True
            self._write()

    def begin_once(self) -> None:
        """Write a record where no session has left one: a study may have nothing to train."""
        if not any(self.folder.glob("*.json")):
            self.begin()

    def trained(self, count: int) -> None:
        """Add ``count`` networks."""
        self.count += count
        self._write()

    def _write(self) -> None:
        record = {
            "budget": self.budget,
            "started": self.started.isoformat(timespec="seconds"),
            "seconds": round(time.monotonic() - self.clock, 1),
            "trained": self.count,
            "device": self.device,
            "hardware": provenance.machine(self.device),
            "versions": provenance.versions(),
        }
        write_atomic(self.folder / f"{self.name}.json", json.dumps(record, indent=1) + "\n")


def _records(store: Store) -> dict[str, dict[str, Any]]:
    """The sessions of a run by name, in order; StudyError where one cannot be read."""
    found = {}
    for path in sorted((store.folder / SESSIONS).glob("*.json")):
        try:
            record = json.loads(path.read_text("utf-8"))
            record["budget"], record["started"], record["trained"]
        except (ValueError, KeyError, TypeError) as error:
            raise StudyError(
                f"{path} is damaged, and with it where and with what its groups were made: "
                "remove it and run the study again, which makes them anew"
            ) from error
        found[path.stem] = record
    if not found:
        name = store.folder.name
        raise StudyError(f"{store.folder} holds no run of {name}; run it first")
    return found


def budget_of(name: str, out: Path) -> str:
    """The budget of the last session of a run."""
    return list(_records(Store(out / study(name).name)).values())[-1]["budget"]


@dataclass(frozen=True)
class StageStatus:
    """How far a stage of a run is: configurations ``finished`` of ``total``."""

    stage: str
    finished: int
    total: int | None


def status(name: str, *, out: Path, budget: str | None = None) -> list[StageStatus]:
    """How far a run is, stage by stage; the total is None where it follows from what is missing."""
    plan, store = study(name), Store(out / name)
    settings = _settings(plan, budget or budget_of(name, out))
    rows, found, complete = list[Row](), list[StageStatus](), True
    for stage in plan.stages:
        if not complete:
            found.append(StageStatus(stage.name, 0, None))
            continue
        configs = stage.grid(settings, rows)
        groups = _grouped(plan, configs)
        keys = _keys(plan, stage, configs, groups)
        finished = _placed(groups, [store.get(stage.name, key) for key in keys])
        found.append(StageStatus(stage.name, len(finished), len(configs)))
        rows += _stage_rows(plan, stage, configs, finished)
        complete = len(finished) == len(configs)
    return found


def export(name: str, *, out: Path, to: Path = RESULTS) -> list[Path]:
    """Write the tables and the provenance of a finished run to ``to``; the files written.

    The tables hold no date and no time: equal rows give equal bytes.  Raises StudyError when the
    run is unfinished or of other code.
    """
    plan = study(name)
    store = Store(out / name)
    records = _records(store)
    budget = list(records.values())[-1]["budget"]
    settings = _settings(plan, budget)
    rows, stages, written = list[Row](), dict[str, Any](), list[Path]()
    tables: dict[str, dict[str, Any]] = {}
    used: set[str] = set()
    for stage in plan.stages:
        configs = stage.grid(settings, rows)
        fresh = _stored_rows(plan, store, stage, configs, used)
        rows += fresh
        _check_columns(stage, fresh)
        stages[stage.name] = _describe(stage, configs)
        for dataset in dict.fromkeys(config.dataset for config in configs):
            part = [
                row for row in fresh if row["dataset"] == dataset and _measured(row, stage.columns)
            ]
            text = _table(stage.columns, part)
            file = f"{name}/{stage.name}-{dataset}.csv"
            write_atomic(to / file, text)
            written.append(to / file)
            digest = hashlib.sha256(text.encode()).hexdigest()
            tables[file] = {
                "stage": stage.name, "dataset": dataset, "rows": len(part), "sha256": digest,
            }  # fmt: skip
    # What a session trained without keeping it has no part in the rows.
    sessions = [r for key, r in records.items() if key in used] or list(records.values())[-1:]
    path = to / f"{name}.json"
    content = _provenance(plan, budget, sessions, rows, stages, tables)
    write_atomic(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    for former in set((to / name).glob("*.csv")) - set(written):
        former.unlink()  # a table of an earlier run, of which no provenance speaks any more
    return [*written, path]


def _stored_rows(
    plan: Study, store: Store, stage: Stage, configs: list[Any], used: set[str]
) -> list[Row]:
    groups, cells = _grouped(plan, configs), []
    for positions, key in zip(groups, _keys(plan, stage, configs, groups), strict=True):
        found = store.get(stage.name, key)
        if found is None:
            first = configs[positions[0]]
            raise StudyError(
                f"{plan.name}: stage {stage.name!r} is not finished, or was run with other code "
                f"({plan.label(first)} on {first.dataset} is missing); run it again"
            )
        used.add(store.session(stage.name, key))
        cells.append(found)
    return _stage_rows(plan, stage, configs, _placed(groups, cells))


def _describe(stage: Stage, configs: Sequence[Any]) -> dict[str, Any]:
    """What is the same in every configuration of a stage, and the seeds."""
    tables = [asdict(config) for config in configs]
    fixed = {
        field: value
        for field, value in (tables[0] if tables else {}).items()
        if field not in ("seed", "dataset", "activation")
        and all(table[field] == value for table in tables)
    }
    return {
        "purpose": stage.purpose,
        "configurations": len(configs),
        "seeds": sorted({config.seed for config in configs}),
        "fixed": fixed,
    }


def _provenance(
    plan: Study,
    budget: str,
    sessions: list[dict[str, Any]],
    rows: Sequence[Row],
    stages: dict[str, Any],
    tables: dict[str, dict[str, Any]],
) -> dict[str, Any]:
    policies = sorted({row["policy"] for row in rows})
    names = {row["activation"] for row in rows}
    declared = {policy: provenance.activation_hashes(names, policy) for policy in policies}
    code = _code(plan)
    return {
        "study": plan.name,
        "title": plan.title,
        "question": plan.question,
        "budget": budget,
        "budget_settings": _settings(plan, budget),
        "date": sessions[-1]["started"][:10],
        "policy": policies,
        "hash": provenance.combined(code, *declared.values()),
        "modules": code,
        "activations": declared,
        "sessions": sessions,
        "stages": stages,
        "tables": tables,
    }


def _measured(row: Row, columns: Iterable[str]) -> bool:
    """Whether an exported column of the row was measured: a study may measure at the end only."""
    measured = [column for column in columns if column.startswith(MEASURED)]
    return not measured or any(row.get(column) is not None for column in measured)


def _check_columns(stage: Stage, rows: Sequence[Row]) -> None:
    """StudyError where an exported column is in no row: a misspelt one would be stored empty."""
    there = dict.fromkeys(name for row in rows for name in row)
    if unknown := [column for column in stage.columns if rows and column not in there]:
        raise StudyError(
            f"no row of {stage.name} has a column {', '.join(unknown)}; there are "
            f"{', '.join(there)}"
        )


def _table(columns: Iterable[str], rows: Iterable[Row]) -> str:
    """The rows as CSV; empty where a row has no such column, as ReLU has no β to record."""
    output = io.StringIO()
    writer = csv.writer(output, lineterminator="\n")
    columns = list(columns)
    writer.writerow(columns)
    writer.writerows([_written(row.get(column)) for column in columns] for row in rows)
    return output.getvalue()


def _written(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return format(value, f".{SIGNIFICANT_DIGITS}g")
    return str(value)


def read_table(path: Path) -> list[Row]:
    """The rows of an exported table: numbers as numbers, an empty field as None."""
    with path.open(encoding="utf-8", newline="") as file:
        return [{k: _read(v) for k, v in row.items()} for row in csv.DictReader(file)]


def _read(text: str) -> Any:
    if text in ("True", "False"):
        return text == "True"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text or None
