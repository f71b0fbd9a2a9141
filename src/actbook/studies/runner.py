"""Running a study: stage by stage, group by group, every finished group kept at once."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .. import data, train
from ..train.config import Config
from . import provenance
from .framework import Row, Stage, Study, StudyError, study
from .store import Store, write_atomic

__all__ = ["RESULTS", "export", "read_table", "run"]

#: The results that are shipped with the package.
RESULTS = provenance.PACKAGE / "results"
SIGNIFICANT_DIGITS = 5
#: How the names of measured columns begin.
MEASURED = ("running_", "train_", "valid_", "test_")
RUN_FILE = "run.json"

Say = Callable[[str], None]


def _print(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def run(
    name: str,
    *,
    budget: str,
    out: Path,
    device: str | None = None,
    minutes: float | None = None,
    say: Say = _print,
) -> bool:
    """Run what is missing of a study below ``out``; True when it is complete.

    Finished groups are kept, so the same command resumes an interrupted run.  ``minutes`` starts no
    group after that time.  Raises StudyError for an unknown study or budget.
    """
    plan = study(name)
    settings = _settings(plan, budget)
    from ..train.engine import resolve_device

    where = str(resolve_device(device))
    clock = time.monotonic()
    store, rows = Store(out / name), list[Row]()
    session = _Session(store, budget, where)
    complete, examples = True, _Shelf()
    for stage in plan.stages:
        configs = stage.grid(settings, rows)
        groups = _grouped(plan, configs)
        finished: dict[int, list[Row]] = {}
        for number, positions in enumerate(groups, start=1):
            members = [configs[position] for position in positions]
            key = _key(plan, stage, members)
            cells = store.get(stage.name, key)
            if cells is None:
                if minutes is not None and time.monotonic() - clock > 60 * minutes:
                    complete = False
                    continue
                session.begin()
                begin = time.monotonic()
                given = examples.of(members[0])
                fit = plan.train or train.train
                cells = [t.rows for t in fit(members, device=where, datasets=given)]
                session.trained(len(members))
                store.put(stage.name, key, cells)
                seconds = time.monotonic() - begin
                first = members[0]
                say(
                    f"{name}/{stage.name} {number}/{len(groups)}: {first.dataset} "
                    f"{plan.label(first)} × {len(members)} in {seconds:.1f} s"
                )
            finished.update(zip(positions, cells, strict=True))
        rows += _stage_rows(plan, stage, configs, finished)
        if not complete:
            say(f"{name}: stopped after {minutes:g} minutes; the same command resumes")
            break
    if not (store.folder / RUN_FILE).exists():
        session.begin()
    return complete


class _Shelf:
    """Data sets that were loaded in this run, each once."""

    def __init__(self) -> None:
        self.loaded: dict[tuple[str, int], data.Dataset] = {}

    def of(self, config: Config) -> dict[str, data.Dataset]:
        key = config.dataset, config.valid
        if key not in self.loaded:
            self.loaded[key] = data.load(config.dataset, valid=config.valid)
        return {config.dataset: self.loaded[key]}


def _settings(plan: Study, budget: str) -> dict[str, Any]:
    if budget not in plan.budgets:
        raise StudyError(f"{plan.name} has the budgets {', '.join(plan.budgets)}, not {budget!r}")
    return dict(plan.budgets[budget])


def _grouped(plan: Study, configs: Sequence[Config]) -> list[list[int]]:
    """The groups follow from the declared grid alone, not from what is stored already."""
    pieces = []
    for group in train.groups(configs):
        pieces += [group[i : i + plan.stack] for i in range(0, len(group), plan.stack)]
    return pieces


def _code(plan: Study) -> dict[str, str]:
    own = f"{__package__}.{plan.name}"
    return provenance.module_hashes(own, "actbook.train.engine", "actbook.data")


def _key(plan: Study, stage: Stage, members: Sequence[Config]) -> str:
    """What a stored group answers to: its configurations and the code that trained them."""
    names = {config.activation for config in members}
    declared = provenance.activation_hashes(names, members[0].policy)
    wanted = json.dumps([asdict(config) for config in members], sort_keys=True)
    parts = {"stage": stage.name, "configs": wanted}
    return provenance.combined(_code(plan), declared, parts)[:24]


def _stage_rows(
    plan: Study, stage: Stage, configs: Sequence[Config], cells: dict[int, list[Row]]
) -> list[Row]:
    return [
        {"stage": stage.name, "model": plan.label(config), **row}
        for position, config in enumerate(configs)
        for row in cells.get(position, [])
    ]


class _Session:
    """This session in the run's record: when, where, with what.

    It is written before the first group is trained, which also shows that the folder can be
    written, and again before each group is kept: a session that is killed has told what it did.
    """

    def __init__(self, store: Store, budget: str, device: str) -> None:
        self.path, self.budget, self.device = store.folder / RUN_FILE, budget, device
        self.started, self.clock = datetime.now(UTC), time.monotonic()
        self.before: list[dict[str, Any]] | None = None
        self.count = 0

    def begin(self) -> None:
        """Write the session's first record; nothing when there is one."""
        if self.before is None:
            self.before = _read_record(self.path)["sessions"] if self.path.exists() else []
            self._write()

    def trained(self, count: int) -> None:
        """Add ``count`` networks."""
        self.count += count
        self._write()

    def _write(self) -> None:
        mine = {
            "started": self.started.isoformat(timespec="seconds"),
            "seconds": round(time.monotonic() - self.clock, 1),
            "trained": self.count,
            "device": self.device,
            "hardware": provenance.machine(self.device),
            "versions": provenance.versions(),
        }
        record = {"sessions": [*(self.before or []), mine], "budget": self.budget}
        write_atomic(self.path, json.dumps(record, indent=1) + "\n")


def _read_record(path: Path) -> dict[str, Any]:
    """The record of a run; StudyError where there is none that can be read."""
    try:
        record = json.loads(path.read_text("utf-8"))
        record["sessions"], record["budget"]
    except FileNotFoundError as error:
        name = path.parent.name
        raise StudyError(f"{path.parent} holds no run of {name}; run it first") from error
    except (ValueError, KeyError, TypeError) as error:
        raise StudyError(
            f"{path} is damaged, and with it where and with what the run was made: "
            f"remove {path.parent} and run the study again"
        ) from error
    return record


def export(name: str, *, out: Path, to: Path = RESULTS) -> list[Path]:
    """Write the tables and the provenance of a finished run to ``to``; the files written.

    The tables hold no date and no time: equal rows give equal bytes.  Raises StudyError when the
    run is unfinished or of other code.
    """
    plan = study(name)
    store = Store(out / name)
    record = _read_record(store.folder / RUN_FILE)
    settings = _settings(plan, record["budget"])
    rows, stages, written = list[Row](), dict[str, Any](), list[Path]()
    tables: dict[str, dict[str, Any]] = {}
    for stage in plan.stages:
        configs = stage.grid(settings, rows)
        fresh = _stored_rows(plan, store, stage, configs)
        rows += fresh
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
    path = to / f"{name}.json"
    content = _provenance(plan, record, rows, stages, tables)
    write_atomic(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    return [*written, path]


def _stored_rows(plan: Study, store: Store, stage: Stage, configs: list[Config]) -> list[Row]:
    finished: dict[int, list[Row]] = {}
    for positions in _grouped(plan, configs):
        members = [configs[position] for position in positions]
        cells = store.get(stage.name, _key(plan, stage, members))
        if cells is None:
            raise StudyError(
                f"{plan.name}: stage {stage.name!r} is not finished, or was run with other code "
                f"({plan.label(members[0])} on {members[0].dataset} is missing); run it again"
            )
        finished.update(zip(positions, cells, strict=True))
    return _stage_rows(plan, stage, configs, finished)


def _describe(stage: Stage, configs: Sequence[Config]) -> dict[str, Any]:
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
    record: dict[str, Any],
    rows: Sequence[Row],
    stages: dict[str, Any],
    tables: dict[str, dict[str, Any]],
) -> dict[str, Any]:
    policies = sorted({row["policy"] for row in rows})
    names = {row["activation"] for row in rows}
    declared = {policy: provenance.activation_hashes(names, policy) for policy in policies}
    code = _code(plan)
    # A session that was killed before its first group was trained has no part in the rows.
    sessions = [s for s in record["sessions"] if s["trained"]] or record["sessions"]
    return {
        "study": plan.name,
        "title": plan.title,
        "question": plan.question,
        "budget": record["budget"],
        "budget_settings": _settings(plan, record["budget"]),
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
    return not measured or any(row[column] is not None for column in measured)


def _table(columns: Iterable[str], rows: Iterable[Row]) -> str:
    output = io.StringIO()
    writer = csv.writer(output, lineterminator="\n")
    columns = list(columns)
    writer.writerow(columns)
    writer.writerows([_written(row[column]) for column in columns] for row in rows)
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
