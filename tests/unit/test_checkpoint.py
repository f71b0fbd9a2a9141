"""Checkpoints: the killed goes on to the same bits; what is damaged or foreign is not believed."""

from __future__ import annotations

import dataclasses
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from actbook import train
from actbook.studies import engines, runner, toy
from actbook.studies.framework import StudyError
from actbook.train import checkpoint, kept, models, stack
from actbook.train.models import Model

from .test_models import DATA, EVERYTHING, model
from .training import blobs

pytestmark = pytest.mark.usefixtures("one_thread")


class Killed(BaseException):
    """Stands for the end of a process."""


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every step, epoch and stack is kept."""
    monkeypatch.setattr(checkpoint, "SECONDS", 0.0)


def run(members: list[Model], folder: Path | None) -> list[train.Trained]:
    return models.train(members, device="cpu", datasets=DATA, checkpoint=folder)


def killed_at(step: int, members: list[Model], folder: Path) -> int:
    """Train until the ``step``-th step begins; the steps that were taken."""
    taken = 0
    original = stack.Stack.step

    def counted(self: stack.Stack, indices: torch.Tensor) -> None:
        nonlocal taken
        if taken == step:
            raise Killed
        taken += 1
        original(self, indices)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stack.Stack, "step", counted)
        try:
            run(members, folder)
        except Killed:
            return taken
    return taken


def assert_equal(found: list[train.Trained], expected: list[train.Trained]) -> None:
    assert [member.rows for member in found] == [member.rows for member in expected]
    for mine, other in zip(found, expected, strict=True):
        tables = mine.network.state_dict(), other.network.state_dict()
        assert all(torch.equal(value, tables[1][name]) for name, value in tables[0].items())


CASES = [
    {**EVERYTHING, "record": models.RECORDS},
    {"optimizer": "sgd", "momentum": 0.9, "dropout": 0.1, "measure": "end"},
    {"optimizer": "adamw", "weight_decay": 0.1, "normalisation": "layer"},
]


@pytest.mark.parametrize("fields", CASES, ids=["everything", "sgd", "adamw"])
def test_killed_at_any_step_it_goes_on_to_the_same_bits(
    fields: dict, eager: None, tmp_path: Path
) -> None:
    members = [model(seed=s, lr=lr, **fields) for lr in (1e-3, 1e-2) for s in range(2)]
    expected = run(members, None)
    for step in (0, 1, 4, 5, 7):  # an epoch has five
        folder = tmp_path / str(step)
        assert killed_at(step, members, folder) == step
        assert any(folder.glob("*.ckpt")) == (step > 0)
        assert killed_at(99, members, folder) == 10 - step
        assert_equal(run(members, folder), expected)


def test_the_way_of_a_gpu_goes_on_at_an_epoch(
    eager: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Autograd and ``torch.optim``, which a GPU uses; its state is kept after an epoch."""
    monkeypatch.setattr(stack.Stack, "_by_hand", lambda self: None)
    members = [model(seed=s, lr=lr, **EVERYTHING) for lr in (1e-3, 1e-2) for s in range(2)]
    expected = run(members, None)
    killed_at(7, members, tmp_path)
    assert killed_at(99, members, tmp_path) == 5
    assert_equal(run(members, tmp_path), expected)


def test_several_stacks_and_several_kills(
    eager: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Members that share no stack; each start takes three steps and is killed."""
    members = [model(seed=s, activation=a) for a in ("relu", "elu", "prelu") for s in range(2)]
    expected = run(members, None)
    monkeypatch.setattr(stack, "CACHE_BYTES", 1)
    monkeypatch.setattr(stack, "FEW", 1)
    total = 0
    for _ in range(20):
        total += killed_at(3, members, tmp_path)
    assert total >= 57
    assert_equal(run(members, tmp_path), expected)


def test_nothing_is_written_before_it_is_time(tmp_path: Path) -> None:
    run([model(), model(activation="tanh")], tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_diverged_member_stays_diverged(eager: None, tmp_path: Path) -> None:
    members = [model(optimizer="sgd", lr=lr, seed=1) for lr in (1e-2, 1e30)]
    expected = run(members, None)
    killed_at(8, members, tmp_path)
    found = run(members, tmp_path)
    assert repr([m.rows for m in found]) == repr([m.rows for m in expected])  # nan is not nan
    assert [m.rows[-1]["diverged"] for m in found] == [False, True]


# --- the engine, for a plain Config ---------------------------------------------------------------


@pytest.mark.parametrize(
    "fields", [{}, {"optimizer": "sgd", "momentum": 0.9}, {"activation": "prelu"}], ids=str
)
def test_the_engine_with_checkpoints_is_the_engine(
    fields: dict, eager: None, tmp_path: Path
) -> None:
    configs = [
        train.Config("blobs", (24, 32, 3), epochs=4, batch=16, seed=s, lr=lr, **fields)
        for lr in (1e-2, 3e-2) for s in range(2)
    ]  # fmt: skip
    expected = train.train(configs, device="cpu", datasets=DATA)
    options = {"device": "cpu", "datasets": DATA, "checkpoint": tmp_path}
    epochs = 0
    original = train.engine._Stack.epoch

    def killed(self: Any) -> None:
        nonlocal epochs
        epochs += 1
        if epochs in (2, 4):
            raise Killed
        original(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train.engine._Stack, "epoch", killed)
        for _ in range(2):
            with pytest.raises(Killed):
                kept.train(configs, **options)
        assert_equal(kept.train(configs, **options), expected)
    assert epochs == 6  # two of them were killed before they began
    assert_equal(kept.train(configs, **options), expected)
    assert_equal(kept.train(configs, device="cpu", datasets=DATA), expected)


# --- in a study -----------------------------------------------------------------------------------

SCRIPT = """
import dataclasses, os, signal, sys
from pathlib import Path
from actbook import studies, train
from actbook.studies import toy
from actbook.studies.framework import Stage
from actbook.train import checkpoint, engine, kept, models, stack

kind, folder, after = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
checkpoint.SECONDS = 0.0
COLUMNS = ("model", "seed", "epoch", "running_loss", "test_loss", "test_accuracy")

def grid(budget, rows):
    make = models.Model if kind == "model" else train.Config
    fields = {"dropout": 0.2} if kind == "model" else {}
    return [
        make("digits", (64, 32, 10), activation, epochs=3, batch=128, seed=seed, **fields)
        for activation in ("relu", "tanh") for seed in range(3)
    ]

own = {"train": models.train} if kind == "model" else {"train": None}
modules = ("actbook.train.models" if kind == "model" else "actbook.train.engine",)
toy.STUDY = dataclasses.replace(
    toy.STUDY, stages=(Stage("final", "", grid, COLUMNS),), groups=None, modules=modules,
    label=lambda config: config.activation, summary=lambda rows: [], **own,
)
taken = 0

def killing(original):
    def step(self, *arguments):
        global taken
        if taken == after:
            os.kill(os.getpid(), signal.SIGKILL)
        taken += 1
        return original(self, *arguments)
    return step

stack.Stack.step = killing(stack.Stack.step)
engine._Stack.step = killing(engine._Stack.step)
for name in ("killed", "whole"):
    assert studies.run("toy", budget="quick", out=folder / name, device="cpu", say=print)
    studies.export("toy", out=folder / name, to=folder / f"{name}-exported")
    print(taken)
    taken, after = 0, -1
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
@pytest.mark.parametrize("kind", ["model", pytest.param("config", marks=pytest.mark.weekly)])
def test_a_study_killed_inside_a_group_exports_the_same_bytes(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "script.py"
    file.write_text(SCRIPT)

    def started(after: int) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, file, kind, tmp_path, str(after)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    # Two groups, three epochs, nine batches of the digits: in the last epoch of the last group.
    killed = started(51)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    checkpoints = tmp_path / "killed" / "toy" / "checkpoints"
    assert len(list(checkpoints.rglob("*.ckpt"))) == 1
    resumed = started(-1)
    assert resumed.returncode == 0, resumed.stderr
    taken = [int(line) for line in resumed.stdout.splitlines() if line.isdigit()]
    # A model goes on at its last step, the engine at its last epoch.
    assert taken == [3 if kind == "model" else 9, 54]
    tables = [tmp_path / f"{f}-exported" / "toy" / "final-digits.csv" for f in ("killed", "whole")]
    assert tables[0].read_bytes() == tables[1].read_bytes()
    assert not checkpoints.exists()


def test_a_study_lists_the_module_of_its_architecture(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = Model("digits", (64, 4, 10), architecture="rnn", activation="tanh")
    plan = dataclasses.replace(toy.STUDY, modules=("actbook.train.models",), groups=None)
    with pytest.raises(StudyError, match=r"'rnn': its modules must list 'actbook.train.recurrent'"):
        runner._keys(plan, plan.stages[0], [chosen], [[0]])
    both = dataclasses.replace(plan, modules=(*plan.modules, "actbook.train.recurrent"))
    assert "actbook.train.architectures" in runner._code(both)
    assert len(runner._keys(both, plan.stages[0], [chosen], [[0]])) == 1


def test_a_machine_without_the_folder_of_the_run_keeps_nothing(tmp_path: Path) -> None:
    """As one of a cluster that shares no disk."""
    config = train.Config("digits", (64, 32, 10), epochs=1, batch=256, splits=("test",))
    for folder in (tmp_path / "run", tmp_path / "elsewhere"):
        there = folder / "checkpoints" / "final" / "key"
        if folder.name == "run":
            folder.mkdir()
        task = engines.Task("mnist_mlp", "final", (config,), "cpu", there)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(checkpoint, "SECONDS", 0.0)
            runner.train_group(task)
        assert there.exists() == (folder.name == "run")


# --- what is not believed -------------------------------------------------------------------------


def torn(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def altered(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def no_state(path: Path) -> None:
    checkpoint._write(path, {"rows": [], "epoch": 7})


@pytest.mark.parametrize("damage", [torn, altered, emptied, no_state])
def test_a_damaged_checkpoint_is_not_believed(
    damage: Callable[[Path], None], eager: None, tmp_path: Path
) -> None:
    members = [model(seed=s) for s in range(2)]
    killed_at(7, members, tmp_path)
    [path] = tmp_path.iterdir()
    damage(path)
    assert killed_at(99, members, tmp_path) == 10
    assert_equal(run(members, tmp_path), run(members, None))


OTHERS: list[Callable[[], tuple[list[Model], dict]]] = [
    lambda: ([model(seed=0), model(seed=2)], DATA),
    lambda: ([model(seed=0), model(seed=1), model(seed=2)], DATA),
    lambda: ([model(seed=s, epochs=3) for s in range(2)], DATA),
    lambda: ([model(seed=s) for s in range(2)], {"blobs": dataclasses.replace(
        DATA["blobs"], x_train=DATA["blobs"].x_train + 1)}),
    lambda: ([model(seed=s) for s in range(2)], {"blobs": blobs(74)}),
]  # fmt: skip


@pytest.mark.parametrize("other", OTHERS)
def test_a_foreign_checkpoint_is_not_believed(
    other: Callable[[], tuple[list[Model], dict]], eager: None, tmp_path: Path
) -> None:
    killed_at(7, [model(seed=s) for s in range(2)], tmp_path)
    members, sets = other()
    found = models.train(members, device="cpu", datasets=sets, checkpoint=tmp_path)
    assert_equal(found, models.train(members, device="cpu", datasets=sets))


# --- failures while it is written -----------------------------------------------------------------


@pytest.fixture(params=["mkstemp", "fdopen", "fsync", "replace"])
def fault(request: pytest.FixtureRequest) -> Iterator[str]:
    yield request.param


def test_killed_while_it_is_written_the_old_one_stands(
    fault: str, eager: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = [model(seed=s) for s in range(2)]
    expected = run(members, None)
    killed_at(4, members, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def killed(*arguments: object, **options: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        owner = checkpoint.tempfile if fault == "mkstemp" else checkpoint.os
        patch.setattr(owner, fault, killed)
        with pytest.raises(Killed):
            run(members, tmp_path)
    kept = {p.name: p.read_bytes() for p in tmp_path.iterdir() if not p.name.startswith(".part-")}
    assert kept == before
    assert killed_at(99, members, tmp_path) == 6
    assert_equal(run(members, tmp_path), expected)
