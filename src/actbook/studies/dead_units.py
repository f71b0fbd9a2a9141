"""Dead units along training: how many are born dead, die and revive, layer by layer.

A unit is dead where the slope of its activation is exactly 0 on every training example.  It is
looked at before the first step and after every epoch, unit by unit, so that a death and a revival
are seen even where they cancel in the count.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from .. import data
from ..train import engine
from ..train.config import Config, ConfigError
from . import sigmoid_depth
from .framework import Row, Stage, Study
from .stacks import Device, trained_in
from .tuning import Tuning, rate

#: Factors of the weights and of the biases that ``torch.nn.Linear`` draws, U(±1/√fan_in): the
#: starts differ in them alone.  √6 makes the weights He's.
STARTS = {
    "torch": (1.0, 1.0),
    "torch_zero": (1.0, 0.0),
    "he_torch": (math.sqrt(6), 1.0),
    "he": (math.sqrt(6), 0.0),
}
ACTIVATIONS = ("relu", "relu6", "leaky_relu", "elu", "silu", "gelu", "tanh", "sigmoid")
#: ReLU in every start, the others in He's.
CONDITIONS = tuple(
    (activation, start)
    for activation in ACTIVATIONS
    for start in (STARTS if activation == "relu" else ("he",))
)
#: The rate that is best on validation data, times these.
FACTORS = {"tuned": 1.0, "x10": 10.0, "x30": 30.0}
DEPTH = 5
#: Other depths, for ReLU in two starts, at the tuned rate.
DEPTHS, DEPTH_CONDITIONS = (2, 10), (("relu", "torch"), ("relu", "he"))
EPOCHS, BATCH, HELD_OUT = 20, 64, 200
#: Epochs whose state is kept; deaths and revivals are counted over all epochs up to them.
KEPT = (0, 1, 5, 20)
TUNING_SEEDS, FINAL_SEEDS = 1000, 2000
WIDENED_BY = 2
TUNING = Tuning(("dataset", "depth", "optimizer", "model"))
#: A unit is quiet where its largest slope over the training examples is below this.
QUIET = 0.01

#: The decision rule, by the 95 % BCa interval of the change in the share of dead units from the
#: first step to the end, over seeds: "dies" where it lies above MARGIN, "revives" where it lies
#: below −MARGIN, "steady" where it lies inside ±MARGIN, else "undecided".
MARGIN = 0.01


@dataclass(frozen=True)
class Watched(Config):
    """A network of ``depth`` equal hidden layers whose units are watched; ``start``: STARTS."""

    depth: int = DEPTH
    start: str = "torch"
    factor: str = "tuned"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.start not in STARTS:
            raise ConfigError(f"start must be one of {', '.join(STARTS)}, not {self.start!r}")
        if self.init != "torch":
            raise ConfigError(f"init must be 'torch', which start scales, not {self.init!r}")
        if len(self.widths) != self.depth + 2:
            raise ConfigError(f"widths must list {self.depth + 2} layers, not {self.widths!r}")


def watched(
    dataset: str, depth: int, hidden: int, activation: str, start: str, **fields: Any
) -> Watched:
    """The configuration of one condition."""
    inputs = {"digits": 64, "fashion_mnist": 784}[dataset]
    return Watched(
        dataset=dataset,
        widths=(inputs, *[hidden] * depth, 10),
        depth=depth,
        activation=activation,
        start=start,
        batch=BATCH,
        **{"epochs": EPOCHS, "measure": "end", **fields},
    )


@dataclass(frozen=True)
class Looked:
    """The state of the units of every hidden layer: arrays (members, layers)."""

    dead: np.ndarray
    quiet: np.ndarray
    active: np.ndarray
    deaths: np.ndarray
    revivals: np.ndarray


class _Stack(engine._Stack):
    """Members that start as their configuration says, and whose units are looked at."""

    def __init__(self, configs: list[Config], *rest: Any) -> None:
        super().__init__(configs, *rest)
        first: Any = configs[0]
        weights, biases = STARTS[first.start]
        with torch.no_grad():
            for layer in self.layers:
                if "bias" in layer.parameters:
                    layer.parameters["weight"] *= weights
                    layer.parameters["bias"] *= biases
        self.write_back()
        self.seen: dict[int, Looked] = {}
        self.before: list[torch.Tensor] | None = None
        self.counts: tuple[torch.Tensor, torch.Tensor] | None = None

    def states(self) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Of each hidden layer, (M, units): the largest |slope|, and how often the input is > 0."""
        largest: list[torch.Tensor] = []
        positive: list[torch.Tensor] = []
        members = len(self.configs)
        for part in self.x.split(engine.EVALUATION_BATCH):
            h, number = part.expand(members, -1, -1), 0
            for layer in self.layers:
                if isinstance(layer.template, nn.Linear):
                    with torch.no_grad():
                        h = layer(h)
                    continue
                z = h.detach().requires_grad_()
                with torch.enable_grad():
                    h = layer.template(z)
                (slope,) = torch.autograd.grad(h.sum(), z)
                h = h.detach()
                top, count = slope.abs().amax(1), (z > 0).sum(1)
                if len(largest) == number:
                    largest.append(top)
                    positive.append(count)
                else:
                    largest[number] = torch.maximum(largest[number], top)
                    positive[number] += count
                number += 1
        return largest, positive

    def look(self, epoch: int) -> None:
        """Note the state after ``epoch``."""
        largest, positive = self.states()
        dead = [top == 0 for top in largest]
        if self.before is None or self.counts is None:
            nothing = torch.zeros(len(self.configs), len(dead), dtype=torch.int64)
            self.counts = nothing, nothing.clone()
        else:
            deaths, revivals = self.counts
            pairs = list(zip(self.before, dead, strict=True))
            self.counts = (
                deaths + torch.stack([(~old & new).sum(1) for old, new in pairs], 1).cpu(),
                revivals + torch.stack([(old & ~new).sum(1) for old, new in pairs], 1).cpu(),
            )
        self.before = dead
        active = [count.double().mean(1) / len(self.x) for count in positive]
        self.seen[epoch] = Looked(
            torch.stack([d.sum(1) for d in dead], 1).cpu().numpy(),
            torch.stack([(top < QUIET).sum(1) for top in largest], 1).cpu().numpy(),
            torch.stack(active, 1).cpu().numpy(),
            *(count.numpy() for count in self.counts),
        )

    def measure(self, epoch: int) -> dict[str, np.ndarray | None]:
        """As the engine, after a look."""
        if not self.configs[0].valid:
            self.look(epoch)
        return super().measure(epoch)

    def run(self, report: Callable[[int], None]) -> list[list[Row]]:
        """Of each member a row for each kept epoch and hidden layer; in tuning the engine's."""
        if self.configs[0].valid:
            return super().run(report)
        self.look(0)
        rows = super().run(report)
        epochs = sorted({k for k in KEPT if k < self.configs[0].epochs} | {self.configs[0].epochs})
        return [
            [row for epoch in epochs for row in self._rows(member, epoch, rows[member])]
            for member in range(len(self.configs))
        ]

    def _rows(self, member: int, epoch: int, measured: list[Row]) -> list[Row]:
        known: Row = {key: None for key in measured[0]} | self.configs[member].as_dict()
        known |= {"epoch": 0, "diverged": False} if epoch == 0 else measured[epoch - 1]
        looked = self.seen[epoch]
        return [
            {
                **known,
                "layer": k + 1,
                "units": self.configs[member].widths[k + 1],
                "train_dead": int(looked.dead[member, k]),
                "train_quiet": int(looked.quiet[member, k]),
                "train_active": float(looked.active[member, k]),
                "deaths": int(looked.deaths[member, k]),
                "revivals": int(looked.revivals[member, k]),
            }
            for k in range(looked.dead.shape[1])
        ]


def train(
    configs: Iterable[Config],
    *,
    device: Device = None,
    datasets: Mapping[str, data.Dataset] | None = None,
) -> list[engine.Trained]:
    """As :func:`actbook.train.train` for :class:`Watched`, with a row for each layer too.

    A row says of its hidden ``layer`` of ``units`` units how many are dead and quiet on the
    training examples (``train_dead``, ``train_quiet``) after ``epoch`` (0: before the first step),
    the share of pre-activations above 0 (``train_active``), and how many ``deaths`` and
    ``revivals`` there were from one epoch to the next up to then.  With ``valid`` examples, as in
    tuning, rows are the engine's.
    """
    return trained_in(_Stack, configs, device, datasets)


def label(config: Config) -> str:
    """The condition of a configuration: its activation and its start."""
    assert isinstance(config, Watched)
    return f"{config.activation}, {config.start}"


Cell = tuple[str, int, str, str, str]
"""Data set, depth, optimiser, activation, start."""


def _cells(budget: Mapping[str, Any]) -> list[Cell]:
    designs = [(DEPTH, CONDITIONS), *((depth, DEPTH_CONDITIONS) for depth in DEPTHS)]
    return [
        (budget["dataset"], depth, optimizer, activation, start)
        for depth, conditions in designs
        for optimizer in sigmoid_depth.FIRST_RATES
        for activation, start in conditions
    ]


def _named(cell: Cell) -> sigmoid_depth.Cell:
    dataset, depth, optimizer, activation, start = cell
    return dataset, depth, optimizer, f"{activation}, {start}"


def _tuning(budget: Mapping[str, Any], cell: Cell, powers: Sequence[int]) -> list[Config]:
    dataset, depth, optimizer, activation, start = cell
    return [
        watched(
            dataset, depth, budget["hidden"], activation, start, optimizer=optimizer,
            lr=rate(power), seed=TUNING_SEEDS + i, epochs=budget["epochs"],
            valid=HELD_OUT, splits=("valid",),
        )
        for power in powers
        for i in range(budget["tuning_seeds"])
    ]  # fmt: skip


def _tune(budget: Mapping[str, Any], rows: Sequence[Row]) -> list[Config]:
    first = sigmoid_depth.FIRST_RATES
    return [c for cell in _cells(budget) for c in _tuning(budget, cell, first[cell[2]])]


def _widen(budget: Mapping[str, Any], rows: Sequence[Row]) -> list[Config]:
    return [
        config
        for cell in _cells(budget)
        for config in _tuning(budget, cell, TUNING.beyond(rows, *_named(cell), count=WIDENED_BY))
    ]


def _final(
    budget: Mapping[str, Any], rows: Sequence[Row], factor: str, depths: Sequence[int]
) -> list[Config]:
    return [
        watched(
            cell[0], cell[1], budget["hidden"], *cell[3:], optimizer=cell[2], factor=factor,
            lr=float(f"{FACTORS[factor] * TUNING.best(rows, *_named(cell)):.6g}"),
            seed=FINAL_SEEDS + i, epochs=budget["epochs"], splits=("train", "test"),
        )
        for cell in _cells(budget)
        if cell[1] in depths
        for i in range(budget["seeds"])
    ]  # fmt: skip


def _at(factor: str, depths: Sequence[int] = (DEPTH,)) -> Any:
    return lambda budget, rows: _final(budget, rows, factor, depths)


def verdict(low: float, high: float) -> str:
    """What the rule says of an interval: "dies", "revives", "steady" or "undecided"."""
    if low > MARGIN:
        return "dies"
    if high < -MARGIN:
        return "revives"
    return "steady" if low >= -MARGIN and high <= MARGIN else "undecided"


def shares(rows: Sequence[Row], column: str, epoch: int) -> dict[int, float]:
    """Of each seed, the share of all hidden units in a column, after an epoch.

    ``rows`` are those of one condition.  ``train_active`` is averaged over the layers instead.
    """
    found: dict[int, list[tuple[float, float]]] = {}
    for row in rows:
        if row["epoch"] == epoch:
            size = 1 if column == "train_active" else row["units"]
            found.setdefault(row["seed"], []).append((row[column], size))
    return {
        seed: sum(v for v, _ in parts) / sum(n for _, n in parts) for seed, parts in found.items()
    }


def summary(rows: Sequence[Row]) -> list[Row]:
    """Of each condition the shares of units: born dead, dead at the end, deaths, revivals, active.

    ``revivals_1`` are those of the first layer, over its units; ``low`` and ``high`` enclose the
    mean of ``dead`` (95 % BCa), and the verdict is on its difference to ``born``.
    """
    found: dict[tuple, list[Row]] = {}
    for row in rows:
        if row["stage"] in _FINALS:
            key = row["stage"], row["depth"], row["optimizer"], row["model"]
            found.setdefault(key, []).append(row)
    return [_summed(key, part) for key, part in found.items()]


def _summed(key: tuple, rows: Sequence[Row]) -> Row:
    from .statistics import interval

    last = max(row["epoch"] for row in rows)
    lost = {row["seed"] for row in rows if row["diverged"]}
    good = [row for row in rows if row["seed"] not in lost]
    line: Row = {
        **dict(zip(("stage", "depth", "optimizer", "model"), key, strict=True)),
        "lr": rows[0]["lr"],
        "runs": len({row["seed"] for row in rows}),
        "diverged": len(lost),
    }
    names = ("born", "dead", "low", "high", "deaths", "revivals", "revivals_1", "quiet", "active")
    if len({row["seed"] for row in good}) < 2:
        return line | dict.fromkeys((*names, "test_accuracy"), math.nan) | {"verdict": "diverged"}
    born, dead = shares(good, "train_dead", 0), shares(good, "train_dead", last)
    ends = [row for row in good if row["epoch"] == last and row["layer"] == 1]
    means = [
        np.mean(list(shares(part, column, last).values()))
        for part, column in (
            (good, "deaths"), (good, "revivals"), (ends, "revivals"), (good, "train_quiet"),
            (good, "train_active"),
        )
    ]  # fmt: skip
    values = (np.mean(list(born.values())), np.mean(list(dead.values())))
    bounds = interval(list(dead.values()))
    change = interval([dead[seed] - born[seed] for seed in dead])
    accuracy = np.mean([row["test_accuracy"] for row in ends])
    found = np.array([*values, *bounds, *means]).tolist()
    return {
        **line,
        **dict(zip(names, found, strict=True)),
        "test_accuracy": float(accuracy),
        "verdict": verdict(*change),
    }


_TUNING_COLUMNS = (
    "model", "depth", "optimizer", "lr", "seed", "valid_loss", "valid_accuracy", "diverged",
)  # fmt: skip
_FINAL_COLUMNS = (
    "model", "optimizer", "lr", "seed", "epoch", "layer", "units", "train_dead", "train_quiet",
    "train_active", "deaths", "revivals", "test_accuracy", "diverged",
)  # fmt: skip
_FINALS = (*FACTORS, "depths")

STUDY = Study(
    name="dead_units",
    title="Dead units along training, by activation, start, rate and optimiser",
    question="How are dead units born, and do they ever revive?",
    stages=(
        Stage("tune", "seven rates compared on held-out examples", _tune, _TUNING_COLUMNS),
        Stage("widen_1", "two rates beyond an edge that was best", _widen, _TUNING_COLUMNS),
        Stage("widen_2", "two rates beyond an edge that was best again", _widen, _TUNING_COLUMNS),
        Stage("tuned", "the chosen rate with fresh seeds", _at("tuned"), _FINAL_COLUMNS),
        Stage("x10", "ten times the chosen rate", _at("x10"), _FINAL_COLUMNS),
        Stage("x30", "thirty times the chosen rate", _at("x30"), _FINAL_COLUMNS),
        Stage(
            "depths", "ReLU at other depths", _at("tuned", DEPTHS), ("depth", *_FINAL_COLUMNS)
        ),
    ),
    budgets={
        "quick": {
            "dataset": "digits", "hidden": 64, "epochs": EPOCHS, "seeds": 5, "tuning_seeds": 2,
        },
        "full": {
            "dataset": "fashion_mnist", "hidden": 256, "epochs": 10, "seeds": 10,
            "tuning_seeds": 2,
        },
    },
    label=label,
    summary=summary,
    train=train,
)  # fmt: skip
