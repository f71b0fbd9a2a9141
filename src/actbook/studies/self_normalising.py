"""Do networks of fifty layers need self-normalisation, and does it need alpha dropout?

Two designs on the digits, each pixel standardised by the training images.  Deep: fifty hidden
layers of 64 units, by activation, start and normalisation, trained by gradient descent.
Dropout: eight hidden layers without dropout, with plain and with alpha dropout.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from .. import data
from ..train import models
from ..train.engine import Trained
from ..train.models import Model
from .framework import Row, Stage, Study
from .statistics import Comparison, Rule, compare, interval
from .tuning import Tuning, rate

HIDDEN, DEPTH, SHALLOW = 64, 50, 8
DROPOUT = 0.2
#: E f′(Z)² of SELU for Z ~ N(0, 1).
SELU_SLOPES = 1.0715749924557993

#: condition → what it is made of; weights N(0, gain²/n) and zero biases where ``gain`` is given.
DEEP: Mapping[str, Mapping[str, Any]] = {
    "SELU, 1/n": {"activation": "selu", "gain": 1.0},
    "SELU, PyTorch": {"activation": "selu", "init": "torch"},
    "SELU, gain 3/4": {"activation": "selu", "gain": 0.75},
    # q = 1 and χ₁ = 1: σ_w² = 1/E f′², σ_b² = 1 − σ_w²
    "SELU, edge": {
        "activation": "selu",
        "gain": math.sqrt(1 / SELU_SLOPES),
        "bias_std": math.sqrt(1 - 1 / SELU_SLOPES),
    },
    "tanh, 1/n": {"activation": "tanh", "gain": 1.0},
    "ReLU, 2/n": {"activation": "relu", "gain": math.sqrt(2)},
    "ReLU, 2/n, batch norm": {
        "activation": "relu",
        "gain": math.sqrt(2),
        "normalisation": "batch",
    },
}
#: The same for eight layers; the reference of each design comes first.
DROPPED: Mapping[str, Mapping[str, Any]] = {
    "SELU, alpha dropout": {
        "activation": "selu",
        "gain": 1.0,
        "dropout": DROPOUT,
        "dropout_kind": "alpha",
    },
    "SELU, plain dropout": {"activation": "selu", "gain": 1.0, "dropout": DROPOUT},
    "SELU, no dropout": {"activation": "selu", "gain": 1.0},
    "ReLU, plain dropout": {"activation": "relu", "gain": math.sqrt(2), "dropout": DROPOUT},
    "ReLU, no dropout": {"activation": "relu", "gain": math.sqrt(2)},
}

Cell = tuple[str, str, str]
"""Design ("deep" or "dropout"), optimiser, condition."""
CELLS: tuple[Cell, ...] = (
    *(("deep", "sgd", name) for name in DEEP),
    *(("dropout", "sgd", name) for name in DROPPED),
)

#: Rates are 10^(k/2): k in these ranges to begin with, two more where the best one is on an edge.
FIRST_RATES = {"sgd": tuple(range(-5, -1))}
WIDENED_BY = 2
TUNING = Tuning(("model",))
HELD_OUT = 200
EPOCHS, BATCH = 30, 64
#: Seeds of the stages do not meet: a rate is never judged by the draws that chose it.
TUNING_SEEDS, FINAL_SEEDS = 1000, 2000

#: The decision rule: a condition trains when its whole interval lies above the first accuracy, and
#: is stuck when it lies below the second; chance is 0.1.  Paired differences against the first
#: condition of a design: t-tests after Holm at 5 %, equivalent within ±0.02.
TRAINS, STUCK = 0.9, 0.2
RULE = Rule(margin=0.02)


def conditions(design: str) -> Mapping[str, Mapping[str, Any]]:
    """What each condition of a design is made of."""
    return {"deep": DEEP, "dropout": DROPPED}[design]


def configuration(cell: Cell, **fields: Any) -> Model:
    """The configuration of one cell."""
    design, optimizer, condition = cell
    layers = DEPTH if design == "deep" else SHALLOW
    return Model(
        dataset="digits",
        widths=(64, *[HIDDEN] * layers, 10),
        optimizer=optimizer,
        batch=BATCH,
        **{"epochs": EPOCHS, **conditions(design)[condition], **fields},
    )


def cell_of(config: Model) -> Cell:
    """The cell that a configuration belongs to."""
    design = "deep" if len(config.widths) == DEPTH + 2 else "dropout"
    named = dataclasses.asdict(config)
    defaults = {"gain": None, "init": "torch", "bias_std": 0.0, "normalisation": "none"}
    defaults |= {"dropout": 0.0, "dropout_kind": "plain"}
    for name, fields in conditions(design).items():
        wanted = {**defaults, **fields}
        if all(named[key] == value for key, value in wanted.items()):
            return design, config.optimizer, name
    raise ValueError(f"{config!r} is no configuration of this study")


def label(config: Model) -> str:
    """Design, optimiser and condition in one name, as the column ``model`` holds it."""
    return " / ".join(cell_of(config))


def standardised(dataset: data.Dataset) -> data.Dataset:
    """Every pixel with mean 0 and variance 1 over the training images; constant pixels are 0."""
    train = dataset.x_train.astype(np.float64)
    centre, spread = train.mean(axis=0), train.std(axis=0)
    scale = np.where(spread > 0, 1 / np.where(spread > 0, spread, 1), 0)

    def moved(x: np.ndarray) -> np.ndarray:
        return ((x - centre) * scale).astype(dataset.x_train.dtype)

    return dataclasses.replace(
        dataset,
        x_train=moved(dataset.x_train),
        x_valid=moved(dataset.x_valid),
        x_test=moved(dataset.x_test),
    )


def train(
    configs: Iterable[Model],
    *,
    device: str | torch.device | None = None,
    datasets: Mapping[str, data.Dataset] | None = None,
) -> list[Trained]:
    """As :func:`actbook.train.models.train`, on standardised images."""
    configs = list(configs)
    results: dict[int, Trained] = {}
    for valid in dict.fromkeys(config.valid for config in configs):
        places = [i for i, config in enumerate(configs) if config.valid == valid]
        source = (datasets or {}).get("digits") or data.load("digits", valid=valid)
        given = {"digits": standardised(source)}
        trained = models.train([configs[i] for i in places], device=device, datasets=given)
        results.update(zip(places, trained, strict=True))
    return [results[i] for i in range(len(configs))]


def _tuning(budget: Mapping[str, Any], cell: Cell, powers: Sequence[int]) -> list[Model]:
    return [
        configuration(
            cell, lr=rate(power), seed=TUNING_SEEDS + i, valid=HELD_OUT, splits=("valid",),
            measure="end",
        )
        for power in powers
        for i in range(budget["tuning_seeds"])
    ]  # fmt: skip


def _tune(budget: Mapping[str, Any], rows: Sequence[Row]) -> list[Model]:
    return [c for cell in CELLS for c in _tuning(budget, cell, FIRST_RATES[cell[1]])]


def _widen(budget: Mapping[str, Any], rows: Sequence[Row]) -> list[Model]:
    return [
        config
        for cell in CELLS
        for config in _tuning(budget, cell, TUNING.beyond(rows, " / ".join(cell), count=WIDENED_BY))
    ]


def _final(budget: Mapping[str, Any], rows: Sequence[Row]) -> list[Model]:
    return [
        configuration(
            cell, lr=TUNING.best(rows, " / ".join(cell)), seed=FINAL_SEEDS + i,
            splits=("train", "test"), measure="end",
        )
        for cell in CELLS
        for i in range(budget["seeds"])
    ]  # fmt: skip


def accuracies(rows: Sequence[Row], cell: Cell) -> dict[int, float]:
    """Test accuracy by seed of the final runs of a cell; a diverged run counts as chance, 0.1."""
    return {
        row["seed"]: 0.1 if math.isnan(row["test_accuracy"]) else row["test_accuracy"]
        for row in rows
        if row["stage"] == "final" and row["epoch"] == EPOCHS and row["model"] == " / ".join(cell)
    }


def verdict(low: float, high: float) -> str:
    """What the decision rule says of an interval: "trains", "stuck" or "between"."""
    if low > TRAINS:
        return "trains"
    return "stuck" if high < STUCK else "between"


def against_reference(rows: Sequence[Row], design: str, optimizer: str) -> list[Comparison]:
    """Every condition of a design against its first one, by the rule of the study."""
    family = [cell for cell in CELLS if cell[:2] == (design, optimizer)]
    measured = {cell[2]: accuracies(rows, cell) for cell in family}
    return compare(measured, family[0][2], rule=RULE)


def summary(rows: Sequence[Row]) -> list[Row]:
    """Test accuracy of each cell: mean, 95 % BCa interval, chosen rate, what the rule says."""
    table = []
    for cell in CELLS:
        reached = list(accuracies(rows, cell).values())
        if len(reached) < 2:
            continue
        low, high = interval(reached)
        table.append(
            {
                **dict(zip(("design", "optimizer", "condition"), cell, strict=True)),
                "runs": len(reached),
                "lr": TUNING.best(rows, " / ".join(cell)),
                "edge": TUNING.on_edge(rows, " / ".join(cell)),
                "test_accuracy": sum(reached) / len(reached),
                "low": low,
                "high": high,
                "verdict": verdict(low, high),
            }
        )
    return table


_KEYS = ("model", "lr", "seed")
_TUNING_COLUMNS = (*_KEYS, "valid_loss", "valid_accuracy", "diverged")
_FINAL_COLUMNS = (
    *_KEYS, "epoch", "train_loss", "train_accuracy", "test_loss", "test_accuracy", "diverged",
)  # fmt: skip

STUDY = Study(
    name="self_normalising",
    title="Fifty layers with and without self-normalisation; alpha dropout",
    question="Do networks of fifty layers need self-normalisation, and SELU alpha dropout?",
    stages=(
        Stage("tune", "four rates compared on held-out examples", _tune, _TUNING_COLUMNS),
        Stage("widen_1", "two rates beyond an edge that was best", _widen, _TUNING_COLUMNS),
        Stage("widen_2", "two rates beyond an edge that was best again", _widen, _TUNING_COLUMNS),
        Stage("final", "the chosen rate with fresh seeds, tested once", _final, _FINAL_COLUMNS),
    ),
    budgets={
        "quick": {"seeds": 8, "tuning_seeds": 2},
        "full": {"seeds": 20, "tuning_seeds": 5},
    },
    label=label,
    summary=summary,
    train=train,
    modules=("actbook.train.models", "actbook.data"),
    rule=RULE,
)
