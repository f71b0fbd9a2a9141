"""How much does the negative side of a rectifier matter?

Multilayer perceptrons on the digits: ReLU, six slopes of the negative side from 0 to 1, PReLU,
ReLU6 and squared ReLU, at two depths.  Every condition starts with the gain that keeps the second
moment of its activation, and has its rate tuned.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from .. import catalogue
from ..train import models
from ..train.config import Config
from .framework import Row, Stage, Study
from .statistics import Comparison, compare, interval
from .tuning import Tuning, rate

HIDDEN = 64
#: Slopes of the negative side beside 0, which is ReLU, and the one that PReLU starts with.
SLOPES = (0.01, 0.1, 0.25, 0.5, 1.0)
#: What is compared: name of the condition, activation, values of its parameters.
CONDITIONS: dict[str, tuple[str, tuple[tuple[str, float], ...]]] = {
    "relu": ("relu", ()),
    **{f"slope {slope:g}": ("leaky_relu", (("alpha", slope),)) for slope in SLOPES},
    "prelu": ("prelu", ()),
    "relu6": ("relu6", ()),
    "relu_squared": ("relu_squared", ()),
}
REFERENCE = "relu"
#: Rates are 10^(k/2): k in this range to begin with, two more where the best one is on an edge.
FIRST_RATES = tuple(range(-7, -2))
WIDENED_BY = 2
TUNING = Tuning(("depth", "model"))
EPOCHS, BATCH = 20, 64
#: Seeds of the stages do not meet: a rate is never judged by the draws that chose it.
TUNING_SEEDS, FINAL_SEEDS = 1000, 2000
#: A run that diverged counts as guessing.
CHANCE = 0.1

RECORD = ("activations", "dead", "parameters")
DEEPEST = 8
#: By layer: the learned slope, the share of outputs that are 0, the number of dead units.
RECORDED = tuple(
    f"{name}_{layer}" for name in ("alpha", "sparsity", "dead") for layer in range(1, DEEPEST + 1)
)


@cache
def gain(condition: str) -> float:
    """1/√E f(Z)² of a condition's activation, to six decimals."""
    activation, values = CONDITIONS[condition]
    return round(float(catalogue[activation].at(**dict(values)).gain), 6)


def model(condition: str, depth: int, **fields: Any) -> models.Model:
    """The configuration of one condition at one depth."""
    activation, values = CONDITIONS[condition]
    return models.Model(
        dataset="digits",
        widths=(64, *[HIDDEN] * depth, 10),
        activation=activation,
        parameters=values,
        gain=gain(condition),
        optimizer="adam",
        batch=BATCH,
        measure="end",
        **{"epochs": EPOCHS, **fields},
    )


def label(config: Config) -> str:
    """The condition of a configuration."""
    assert isinstance(config, models.Model)
    wanted = config.activation, config.parameters
    return next(name for name, condition in CONDITIONS.items() if condition == wanted)


def train(configs: Sequence[Config], **options: Any) -> list[Any]:
    """As :func:`actbook.train.models.train`, each row with its depth and all recorded columns."""
    trained = models.train(configs, **options)
    for member in trained:
        depth = len(member.config.widths) - 2
        member.rows[:] = [{**dict.fromkeys(RECORDED), **row, "depth": depth} for row in member.rows]
    return trained


def _cells(budget: Mapping[str, Any]) -> list[tuple[int, str]]:
    return [(depth, condition) for depth in budget["depths"] for condition in CONDITIONS]


def _tuning(
    budget: Mapping[str, Any], depth: int, condition: str, powers: Sequence[int]
) -> list[models.Model]:
    return [
        model(condition, depth, lr=rate(power), seed=TUNING_SEEDS + i, splits=("valid",))
        for power in powers
        for i in range(budget["tuning_seeds"])
    ]


def _tune(budget: Mapping[str, Any], rows: Sequence[Row]) -> list[models.Model]:
    return [config for cell in _cells(budget) for config in _tuning(budget, *cell, FIRST_RATES)]


def _widen(budget: Mapping[str, Any], rows: Sequence[Row]) -> list[models.Model]:
    return [
        config
        for cell in _cells(budget)
        for config in _tuning(budget, *cell, TUNING.beyond(rows, *cell, count=WIDENED_BY))
    ]


def _final(budget: Mapping[str, Any], rows: Sequence[Row]) -> list[models.Model]:
    return [
        model(
            condition, depth, lr=TUNING.best(rows, depth, condition), seed=FINAL_SEEDS + i,
            splits=("train", "test"), record=RECORD,
        )
        for depth, condition in _cells(budget)
        for i in range(budget["seeds"])
    ]  # fmt: skip


def finals(rows: Sequence[Row], depth: int, condition: str) -> list[Row]:
    """The rows of the final runs of a condition after the last epoch, by seed."""
    return [
        row
        for row in rows
        if row["stage"] == "final"
        and row["epoch"] == EPOCHS
        and (row["depth"], row["model"]) == (depth, condition)
    ]


def accuracies(rows: Sequence[Row], depth: int, condition: str) -> dict[int, float]:
    """Test accuracy by seed of the final runs; a diverged run counts as chance, 0.1."""
    return {
        row["seed"]: CHANCE if math.isnan(row["test_accuracy"]) else row["test_accuracy"]
        for row in finals(rows, depth, condition)
    }


def comparisons(rows: Sequence[Row], depth: int) -> list[Comparison]:
    """Every condition against ReLU at one depth, over paired seeds, by the study's rule."""
    measured = {condition: accuracies(rows, depth, condition) for condition in CONDITIONS}
    return compare(measured, REFERENCE, rule=STUDY.rule)


def summary(rows: Sequence[Row]) -> list[Row]:
    """Test accuracy of each condition by depth: mean, 95 % BCa interval, chosen rate."""
    table = []
    depths = dict.fromkeys(row["depth"] for row in rows if row["stage"] == "final")
    for depth in depths:
        for condition in CONDITIONS:
            reached = list(accuracies(rows, depth, condition).values())
            low, high = interval(reached)
            table.append(
                {
                    "depth": depth,
                    "model": condition,
                    "runs": len(reached),
                    "lr": TUNING.best(rows, depth, condition),
                    "edge": TUNING.on_edge(rows, depth, condition),
                    "test_accuracy": sum(reached) / len(reached),
                    "low": low,
                    "high": high,
                }
            )
    return table


_KEYS = ("model", "depth", "lr", "seed")
_TUNING_COLUMNS = (*_KEYS, "valid_loss", "valid_accuracy", "diverged")
_FINAL_COLUMNS = (
    *_KEYS, "epoch", "train_loss", "train_accuracy", "test_loss", "test_accuracy", "diverged",
    *RECORDED,
)  # fmt: skip

STUDY = Study(
    name="rectifiers",
    title="The negative side of a rectifier, at two depths",
    question="How much does the negative side of a rectifier matter, fixed or learned?",
    stages=(
        Stage("tune", "five rates compared on validation examples", _tune, _TUNING_COLUMNS),
        Stage("widen", "two rates beyond an edge that was best", _widen, _TUNING_COLUMNS),
        Stage("final", "the chosen rate with fresh seeds, tested once", _final, _FINAL_COLUMNS),
    ),
    budgets={
        "quick": {"depths": (2, 8), "seeds": 20, "tuning_seeds": 3},
        "full": {"depths": (2, 4, 8), "seeds": 40, "tuning_seeds": 5},
    },
    label=label,
    summary=summary,
    train=train,
    modules=("actbook.train.models", "actbook.data"),
)
