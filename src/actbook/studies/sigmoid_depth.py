"""Is the sigmoid untrainable in a deep network, or badly started?

Networks of equal hidden widths, by depth, activation, start and optimiser.  The start "carried" is
a Glorot start of the tanh network, carried over to the sigmoid by tanh x = 2σ(2x) − 1: at the first
step both networks are the same function.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from .. import data
from ..train import engine
from ..train.config import Config, ConfigError, groups
from .framework import Row, Stage, Study

HIDDEN = 64
#: (activation, start): what is compared, the sigmoid in every start that is discussed.
CONDITIONS = (
    ("sigmoid", "torch"),
    ("sigmoid", "glorot"),
    ("sigmoid", "carried"),
    ("tanh", "torch"),
    ("tanh", "glorot"),
    ("softsign", "glorot"),
    ("relu", "torch"),
    ("relu", "he"),
)
#: Rates are 10^(k/2): k in these ranges to begin with, two more where the best one is on an edge.
FIRST_RATES = {"sgd": tuple(range(-4, 3)), "adam": tuple(range(-8, -1))}
WIDENED_BY = 2
HELD_OUT = 200
EPOCHS, BATCH = 20, 64
#: Seeds of the stages do not meet: a rate is never judged by the draws that chose it.
TUNING_SEEDS, FINAL_SEEDS = 1000, 2000

#: The decision rule: a condition trains when its whole interval lies above the first accuracy, and
#: is stuck when it lies below the second; chance is 0.1.
TRAINS, STUCK = 0.9, 0.2
#: Two conditions are equal for us when the interval of their paired difference is within this.
EQUAL = 0.02


@dataclass(frozen=True)
class Deep(Config):
    """A network of ``depth`` hidden layers; ``carried``: the tanh start moved to the sigmoid."""

    depth: int = 2
    carried: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.carried and self.activation != "sigmoid":
            raise ConfigError(f"carried must be False for {self.activation!r}; it is for 'sigmoid'")
        if len(self.widths) != self.depth + 2:
            raise ConfigError(f"widths must list {self.depth + 2} layers, not {self.widths!r}")

    @property
    def start(self) -> str:
        """The name of the start: of the distribution, or "carried"."""
        return "carried" if self.carried else self.init


def deep(dataset: str, depth: int, activation: str, start: str, **fields: Any) -> Deep:
    """The configuration of one condition."""
    inputs = {"digits": 64, "fashion_mnist": 784}[dataset]
    return Deep(
        dataset=dataset,
        widths=(inputs, *[HIDDEN] * depth, 10),
        depth=depth,
        activation=activation,
        init="glorot" if start == "carried" else start,
        carried=start == "carried",
        batch=BATCH,
        **{"epochs": EPOCHS, **fields},
    )


@torch.no_grad()
def carry(layers: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> None:
    """Change weights (…, m, n) and biases (…, m) of a tanh network into those of a sigmoid one.

    With z = 2h and tanh h = 2σ(z) − 1, h = W tanh + b becomes z = 4Wσ + 2(b − W·1), in place.
    """
    last = len(layers) - 1
    for position, (weight, bias) in enumerate(layers):
        if position > 0:
            bias -= weight.sum(-1)
            weight *= 2
        if position < last:
            weight *= 2
            bias *= 2


class _Stack(engine._Stack):
    """Members that start as their configuration says."""

    def __init__(self, configs: list[Config], *rest: Any) -> None:
        super().__init__(configs, *rest)
        if getattr(configs[0], "carried", False):
            linear = [layer.parameters for layer in self.layers if "bias" in layer.parameters]
            carry([(parameters["weight"], parameters["bias"]) for parameters in linear])
            self.write_back()


def train(
    configs: Iterable[Config],
    *,
    device: str | torch.device | None = None,
    datasets: Mapping[str, data.Dataset] | None = None,
) -> list[engine.Trained]:
    """As :func:`actbook.train.train`, with the starts of :class:`Deep`."""
    configs = list(configs)
    target = engine.resolve_device(device)
    results: dict[int, engine.Trained] = {}
    for group in groups(configs):
        first = configs[group[0]]
        source = (datasets or {}).get(first.dataset) or data.load(first.dataset, valid=first.valid)
        examples = engine._Examples.of(source, first, target)
        for positions in engine._stacks(group, configs, target):
            stack = _Stack([configs[position] for position in positions], examples, target)
            results.update(zip(positions, stack.train(lambda amount: None), strict=True))
    return [results[position] for position in range(len(configs))]


def label(config: Config) -> str:
    """The condition of a configuration: its activation and its start."""
    assert isinstance(config, Deep)
    return f"{config.activation}, {config.start}"


Cell = tuple[str, int, str, str]
"""Data set, depth, optimiser, condition."""


def _cells(budget: Mapping[str, Any]) -> list[tuple[str, int, str, str, str]]:
    return [
        (dataset, depth, optimizer, activation, start)
        for dataset, depths in budget["depths"].items()
        for depth in depths
        for optimizer in FIRST_RATES
        for activation, start in CONDITIONS
    ]


def _rate(half_decades: int) -> float:
    return float(f"{10 ** (half_decades / 2):.6g}")


def _tuning(
    budget: Mapping[str, Any], cell: tuple[str, int, str, str, str], powers: Sequence[int]
) -> list[Config]:
    dataset, depth, optimizer, activation, start = cell
    return [
        deep(
            dataset, depth, activation, start, optimizer=optimizer, lr=_rate(power),
            seed=TUNING_SEEDS + i, valid=HELD_OUT, splits=("valid",), measure="end",
        )
        for power in powers
        for i in range(budget["tuning_seeds"])
    ]  # fmt: skip


def _tune(budget: Mapping[str, Any], rows: Sequence[Row]) -> list[Config]:
    return [c for cell in _cells(budget) for c in _tuning(budget, cell, FIRST_RATES[cell[2]])]


def cell_of(row: Row) -> Cell:
    """The cell of the design that a row belongs to."""
    return row["dataset"], row["depth"], row["optimizer"], row["model"]


def rates(rows: Sequence[Row], cell: Cell) -> dict[float, float]:
    """Mean validation accuracy of each rate tried in a cell; a diverged run counts as 0."""
    found: dict[float, list[float]] = {}
    for row in rows:
        if cell_of(row) == cell and row.get("valid_accuracy") is not None:
            accuracy = row["valid_accuracy"]
            found.setdefault(row["lr"], []).append(0.0 if math.isnan(accuracy) else accuracy)
    return {rate: sum(values) / len(values) for rate, values in sorted(found.items())}


def best_rate(rows: Sequence[Row], cell: Cell) -> float:
    """The rate of the highest mean validation accuracy; of equals the smallest."""
    tried = rates(rows, cell)
    return max(tried, key=lambda rate: (tried[rate], -rate))


def on_edge(rows: Sequence[Row], cell: Cell) -> bool:
    """Whether the best rate is the smallest or the largest of those tried."""
    tried = list(rates(rows, cell))
    return best_rate(rows, cell) in (tried[0], tried[-1])


def _named(cell: tuple[str, int, str, str, str]) -> Cell:
    dataset, depth, optimizer, activation, start = cell
    return dataset, depth, optimizer, f"{activation}, {start}"


def _widen(budget: Mapping[str, Any], rows: Sequence[Row]) -> list[Config]:
    configs: list[Config] = []
    for cell in _cells(budget):
        named = _named(cell)
        if not on_edge(rows, named):
            continue
        best = best_rate(rows, named)
        side = 1 if best == max(rates(rows, named)) else -1
        power = round(2 * math.log10(best))
        powers = sorted(power + side * (i + 1) for i in range(WIDENED_BY))
        configs += _tuning(budget, cell, powers)
    return configs


def _final(budget: Mapping[str, Any], rows: Sequence[Row]) -> list[Config]:
    return [
        deep(
            dataset, depth, activation, start, optimizer=optimizer,
            lr=best_rate(rows, (dataset, depth, optimizer, f"{activation}, {start}")),
            seed=FINAL_SEEDS + i, splits=("train", "test"), measure="end",
        )
        for dataset, depth, optimizer, activation, start in _cells(budget)
        for i in range(budget["seeds"])
    ]  # fmt: skip


def accuracies(rows: Sequence[Row], cell: Cell) -> dict[int, float]:
    """Test accuracy by seed of the final runs of a cell; a diverged run counts as chance, 0.1."""
    return {
        row["seed"]: 0.1 if math.isnan(row["test_accuracy"]) else row["test_accuracy"]
        for row in rows
        if row["stage"] == "final" and row["epoch"] == EPOCHS and cell_of(row) == cell
    }


def verdict(low: float, high: float) -> str:
    """What the decision rule says of an interval: "trains", "stuck" or "between"."""
    if low > TRAINS:
        return "trains"
    return "stuck" if high < STUCK else "between"


def summary(rows: Sequence[Row]) -> list[Row]:
    """Test accuracy of each cell: mean, 95 % BCa interval, chosen rate, what the rule says."""
    from .statistics import interval

    table = []
    for cell in dict.fromkeys(cell_of(row) for row in rows if row["stage"] == "final"):
        reached = list(accuracies(rows, cell).values())
        low, high = interval(reached)
        table.append(
            {
                **dict(zip(("dataset", "depth", "optimizer", "model"), cell, strict=True)),
                "runs": len(reached),
                "lr": best_rate(rows, cell),
                "edge": on_edge(rows, cell),
                "test_accuracy": sum(reached) / len(reached),
                "low": low,
                "high": high,
                "verdict": verdict(low, high),
            }
        )
    return table


_KEYS = ("model", "depth", "optimizer", "lr", "seed")
_TUNING_COLUMNS = (*_KEYS, "valid_loss", "valid_accuracy", "diverged")
_FINAL_COLUMNS = (
    *_KEYS, "activation", "epoch", "train_loss", "train_accuracy", "test_loss", "test_accuracy",
    "diverged",
)  # fmt: skip

STUDY = Study(
    name="sigmoid_depth",
    title="The sigmoid in deep networks, by start and optimiser",
    question="Is the sigmoid untrainable in a deep network, or badly started?",
    stages=(
        Stage("tune", "seven rates compared on held-out examples", _tune, _TUNING_COLUMNS),
        Stage("widen_1", "two rates beyond an edge that was best", _widen, _TUNING_COLUMNS),
        Stage("widen_2", "two rates beyond an edge that was best again", _widen, _TUNING_COLUMNS),
        Stage("final", "the chosen rate with fresh seeds, tested once", _final, _FINAL_COLUMNS),
    ),
    budgets={
        "quick": {"depths": {"digits": (2, 8)}, "seeds": 8, "tuning_seeds": 3},
        "full": {
            "depths": {"digits": (2, 4, 8, 16), "fashion_mnist": (8,)},
            "seeds": 20,
            "tuning_seeds": 5,
        },
    },
    label=label,
    summary=summary,
    train=train,
)  # fmt: skip
