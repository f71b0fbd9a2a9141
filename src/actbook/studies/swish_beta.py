"""Does training find a β for Swish, or does β stay where it started?

Networks with three hidden layers of equal width and one β in each.  Swish starts at β = 1/4, 1 or
4, and its β is fixed, learns at the rate of the weights, or learns at ten times that rate: Adam
moves a parameter by about one rate in a step, so that the rate bounds how far β can travel.  ReLU,
GELU and Mish stand beside it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from .. import data
from ..train import engine
from ..train.config import Config, ConfigError
from .framework import Row, Stage, Study
from .stacks import Device, trained_in
from .statistics import Rule
from .tuning import Tuning, rate

HIDDEN, LAYERS = 64, 3
STARTS = (0.25, 1.0, 4.0)
#: How β learns: its rate over that of the weights.
MODES = {"fixed": 0.0, "learned": 1.0, "fast": 10.0}
OTHERS = ("relu", "gelu", "mish")

#: Inputs, examples held out of the training set (for good, and for tuning), epochs.
DATASETS: dict[str, dict[str, int]] = {
    "digits": {"inputs": 64, "valid": 0, "tuning_valid": 200, "epochs": 40},
    "fashion_mnist": {"inputs": 784, "valid": 50_000, "tuning_valid": 50_000, "epochs": 6},
}
BATCH = 64
#: Rates are 10^(k/2): k in this range to begin with, two more on the side where the best one lies.
FIRST_RATES = tuple(range(-7, -2))
WIDENED_BY = 2
TUNING = Tuning(("dataset", "model"), "valid_loss")
#: Seeds of the stages do not meet: a rate is never judged by the draws that chose it.
TUNING_SEEDS, FINAL_SEEDS = 1000, 2000

#: The decision rule for β: the difference at the end between the networks that started at 4 and at
#: 1/4, over the difference at the start, by pairs.  The start is remembered when the whole interval
#: of its mean lies above the first number, forgotten when it lies below the second.
REMEMBERED, FORGOTTEN = 0.5, 0.1


@dataclass(frozen=True)
class Gated(Config):
    """A network whose Swish layers start at ``beta``, which learns at ``beta_rate`` times ``lr``.

    Activations without a β have ``beta`` 1 and ``beta_rate`` 0.
    """

    beta: float = 1.0
    beta_rate: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.activation != "swish" and (self.beta, self.beta_rate) != (1.0, 0.0):
            raise ConfigError(f"beta and beta_rate are for 'swish', not for {self.activation!r}")
        for name in ("beta", "beta_rate"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ConfigError(f"{name} must be a finite number of at least 0, not {value!r}")

    @property
    def mode(self) -> str:
        """ "fixed", "learned" or "fast"."""
        return {factor: mode for mode, factor in MODES.items()}[self.beta_rate]


def gated(
    dataset: str, activation: str, start: float = 1.0, mode: str = "fixed", **fields: Any
) -> Gated:
    """The configuration of one condition: ``swish`` with its start and mode, or another."""
    of_set = DATASETS[dataset]
    return Gated(
        dataset=dataset,
        widths=(of_set["inputs"], *[HIDDEN] * LAYERS, 10),
        activation=activation,
        beta=start,
        beta_rate=MODES[mode],
        init="he",
        batch=BATCH,
        **{"epochs": of_set["epochs"], "valid": of_set["valid"], **fields},
    )


class _Swish(engine._Layer):
    """x σ(βx) of all members at once, (M, n, units): up to rounding what the module gives."""

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.sigmoid(self.parameters["beta"].unsqueeze(2) * x)


class _Stack(engine._Stack):
    """Members whose β starts, learns and is recorded as their configuration says."""

    def __init__(self, configs: list[Config], *rest: Any) -> None:
        super().__init__(configs, *rest)
        self.layers = [
            _Swish(layer.template, layer.parameters) if "beta" in layer.parameters else layer
            for layer in self.layers
        ]
        self.betas = [
            layer.parameters["beta"] for layer in self.layers if "beta" in layer.parameters
        ]
        with torch.no_grad():
            for beta in self.betas:
                beta.fill_(configs[0].beta)  # type: ignore[attr-defined]
        self.start = self.sharpness()

    def _make_optimizer(self) -> tuple[torch.optim.Optimizer, list[list[torch.Tensor]]]:
        optimizer, leaves = super()._make_optimizer()
        first = self.configs[0]
        owned = {
            id(layer.parameters["beta"]) for layer in self.layers if "beta" in layer.parameters
        }
        positions = [i for i, p in enumerate(self.parameters) if id(p) in owned]
        for span, group in enumerate(list(optimizer.param_groups)):
            mine = [leaves[i][span] for i in positions]
            if mine:
                known = {id(view) for view in mine}
                group["params"] = [view for view in group["params"] if id(view) not in known]
                own = first.beta_rate * group["lr"]  # type: ignore[attr-defined]
                optimizer.add_param_group({"params": mine, "lr": own})
        return optimizer, leaves

    @torch.no_grad()
    def sharpness(self) -> list[torch.Tensor]:
        """|β| times the root mean square of its layer's inputs over the training examples, (M,)."""
        found, x = [], self.x.expand(len(self.configs), -1, -1)
        for layer in self.layers:
            if "beta" in layer.parameters:
                size = x.square().mean((1, 2), dtype=torch.float64).sqrt()
                found.append(size * layer.parameters["beta"].detach()[:, 0].abs())
            x = layer(x)
        return found

    def measure(self, epoch: int) -> dict[str, Any]:
        """The engine's columns; at the end β and its sharpness, layer by layer from the input."""
        columns: dict[str, Any] = super().measure(epoch)
        if self.betas and epoch == self.configs[0].epochs:
            pairs = zip(self.betas, self.start, self.sharpness(), strict=True)
            for layer, (beta, start, end) in enumerate(pairs, start=1):
                columns[f"beta_{layer}"] = engine._numpy(beta.detach()[:, 0])
                columns[f"start_{layer}"] = engine._numpy(start)
                columns[f"sharp_{layer}"] = engine._numpy(end)
        return columns


def train(
    configs: Iterable[Config],
    *,
    device: Device = None,
    datasets: Mapping[str, data.Dataset] | None = None,
) -> list[engine.Trained]:
    """As :func:`actbook.train.train`, with the β of :class:`Gated`."""
    return trained_in(_Stack, configs, device, datasets)


def label(config: Config) -> str:
    """The condition: its activation, for Swish with the start of β and how β learns."""
    assert isinstance(config, Gated)
    swish = config.activation == "swish"
    return f"swish {config.beta:g}, {config.mode}" if swish else config.activation


Cell = tuple[str, str]
"""Data set and condition."""
_Condition = tuple[str, str, float, str]


def _conditions(budget: Mapping[str, Any]) -> list[_Condition]:
    swish = [("swish", start, mode) for mode in MODES for start in STARTS]
    return [
        (dataset, activation, start, mode)
        for dataset in budget["datasets"]
        for activation, start, mode in [*((name, 1.0, "fixed") for name in OTHERS), *swish]
    ]


def _named(condition: _Condition) -> Cell:
    return condition[0], label(gated(*condition))


def _tuning(
    budget: Mapping[str, Any], condition: _Condition, powers: Sequence[int]
) -> list[Config]:
    return [
        gated(
            *condition, lr=rate(power), seed=TUNING_SEEDS + i, splits=("valid",), measure="end",
            valid=DATASETS[condition[0]]["tuning_valid"],
        )
        for power in powers
        for i in range(budget["datasets"][condition[0]]["tuning_seeds"])
    ]  # fmt: skip


def _tune(budget: Mapping[str, Any], rows: Sequence[Row]) -> list[Config]:
    return [c for each in _conditions(budget) for c in _tuning(budget, each, FIRST_RATES)]


def _widen(budget: Mapping[str, Any], rows: Sequence[Row]) -> list[Config]:
    return [
        config
        for each in _conditions(budget)
        for config in _tuning(budget, each, TUNING.beyond(rows, *_named(each), count=WIDENED_BY))
    ]


def _final(budget: Mapping[str, Any], rows: Sequence[Row]) -> list[Config]:
    return [
        gated(
            *condition, lr=TUNING.best(rows, *_named(condition)), seed=FINAL_SEEDS + i,
            splits=("train", "test"), measure="end",
        )
        for condition in _conditions(budget)
        for i in range(budget["datasets"][condition[0]]["seeds"])
    ]  # fmt: skip


def finals(rows: Sequence[Row], cell: Cell, column: str) -> dict[int, float]:
    """A column of the final runs of a cell by seed; accuracies of diverged runs count as 0.1."""
    found = {}
    for row in rows:
        if row["stage"] == "final" and (row["dataset"], row["model"]) == cell:
            value = row[column]
            if value is not None:
                lost = column.endswith("accuracy") and math.isnan(value)
                found[row["seed"]] = 0.1 if lost else value
    return found


def _outer(rows: Sequence[Row], dataset: str, mode: str, column: str) -> list[dict[int, float]]:
    """A column of the final runs from the lowest start and from the highest, by seed."""
    starts = (STARTS[0], STARTS[-1])
    return [finals(rows, (dataset, f"swish {start:g}, {mode}"), column) for start in starts]


def memory(rows: Sequence[Row], dataset: str, mode: str, layer: int) -> list[float]:
    """How much of the distance between the outer starts of β is left at the end, seed by seed.

    1: β kept its distance; 0: both starts ended at the same β.
    """
    low, high = _outer(rows, dataset, mode, f"beta_{layer}")
    return [(high[seed] - low[seed]) / (STARTS[-1] - STARTS[0]) for seed in sorted(low)]


def log_memory(rows: Sequence[Row], dataset: str, mode: str, layer: int) -> list[float]:
    """The same of log |β|, on which a factor counts alike wherever β is."""
    low, high = _outer(rows, dataset, mode, f"beta_{layer}")
    start = math.log(STARTS[-1] / STARTS[0])
    return [math.log(abs(high[seed] / low[seed])) / start for seed in sorted(low)]


def sharp_memory(rows: Sequence[Row], dataset: str, mode: str, layer: int) -> list[float]:
    """The same of the logarithm of the sharpness |β|·rms(z), against its distance at the start."""
    (low_0, high_0), (low, high) = (
        _outer(rows, dataset, mode, f"{when}_{layer}") for when in ("start", "sharp")
    )
    return [
        math.log(high[seed] / low[seed]) / math.log(high_0[seed] / low_0[seed])
        for seed in sorted(low)
    ]


def verdict(low: float, high: float) -> str:
    """What the decision rule says of an interval: "remembered", "forgotten" or "between"."""
    if low > REMEMBERED:
        return "remembered"
    return "forgotten" if high < FORGOTTEN else "between"


def summary(rows: Sequence[Row]) -> list[Row]:
    """Test accuracy of each cell with its 95 % BCa interval, its rate, and its mean β by layer."""
    from .statistics import interval

    table = []
    cells = dict.fromkeys((r["dataset"], r["model"]) for r in rows if r["stage"] == "final")
    for cell in cells:
        reached = list(finals(rows, cell, "test_accuracy").values())
        low, high = interval(reached)
        betas = {}
        for layer in range(1, LAYERS + 1):
            ends = list(finals(rows, cell, f"beta_{layer}").values())
            betas[f"beta_{layer}"] = sum(ends) / len(ends) if ends else math.nan
        table.append(
            {
                "dataset": cell[0],
                "model": cell[1],
                "runs": len(reached),
                "lr": TUNING.best(rows, *cell),
                "edge": TUNING.on_edge(rows, *cell),
                "test_accuracy": sum(reached) / len(reached),
                "low": low,
                "high": high,
                **betas,
            }
        )
    return table


_KEYS = ("model", "lr", "seed")
_TUNING_COLUMNS = (*_KEYS, "valid_loss", "valid_accuracy", "diverged")
_BY_LAYER = tuple(
    f"{name}_{layer}" for name in ("beta", "start", "sharp") for layer in range(1, LAYERS + 1)
)
_FINAL_COLUMNS = (
    *_KEYS, "activation", "epoch", "train_loss", "train_accuracy", "test_loss", "test_accuracy",
    "diverged", *_BY_LAYER,
)  # fmt: skip

STUDY = Study(
    name="swish_beta",
    title="The β of Swish, by its start and how it learns",
    question="Does training find a β for Swish, or does β stay where it started?",
    stages=(
        Stage("tune", "five rates compared on held-out examples", _tune, _TUNING_COLUMNS),
        Stage("widen_1", "two rates beyond an edge that was best", _widen, _TUNING_COLUMNS),
        Stage("widen_2", "two rates beyond an edge that was best again", _widen, _TUNING_COLUMNS),
        Stage("final", "the chosen rate with fresh seeds, tested once", _final, _FINAL_COLUMNS),
    ),
    budgets={
        "quick": {
            "datasets": {
                "digits": {"seeds": 20, "tuning_seeds": 4},
                "fashion_mnist": {"seeds": 10, "tuning_seeds": 2},
            },
        },
    },
    label=label,
    summary=summary,
    train=train,
    rule=Rule(margin=0.005),
)  # fmt: skip
