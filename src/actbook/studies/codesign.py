"""Activation, initialisation, normalisation, optimiser and residual connections, all combined.

A full factorial experiment: every combination of levels is tuned by itself and then run with the
same fresh seeds, and an analysis of variance says what explains the outcome.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np

from ..train import models
from ..train.config import Config
from .framework import Row, Stage, Study
from .statistics import anova
from .tuning import Tuning, rate

#: The factors, each a field of ``Model``, in the order of the axes of the analysis.
FACTORS = ("activation", "init", "normalisation", "optimizer", "residual")
INPUTS = {"digits": 64, "fashion_mnist": 784}
#: Rates are 10^(k/2): k in these to begin with, two more where the best one is on an edge.
FIRST_RATES = {"sgd": (-4, -3, -2, -1, 0), "adam": (-8, -7, -6, -5, -4)}
WIDENED_BY = 2
TUNING = Tuning(FACTORS)
HELD_OUT = 200
TUNING_SEEDS, FINAL_SEEDS = 1000, 2000
#: A run that diverged counts as chance.
CHANCE = 0.1
#: What is analysed: the accuracy on the test examples, and log₁₀ of (its complement + FLOOR), which
#: tells good networks apart where accuracy tells those that train from those that do not.
OUTCOMES, FLOOR = ("test_accuracy", "log10_error"), 0.001

#: The decision rule, by the interval of ω²: an effect matters where it lies above this share of the
#: variance, and is negligible where it lies below.
MATTERS = 0.01

Cell = tuple[str, str, str, str, bool]
"""A level of each factor."""


def cells(budget: Mapping[str, Any]) -> list[Cell]:
    """All combinations of levels."""
    return list(product(*(budget[factor] for factor in FACTORS)))


def model(budget: Mapping[str, Any], cell: Cell, **fields: Any) -> models.Model:
    """The configuration of one combination."""
    hidden = [budget["hidden"]] * budget["depth"]
    levels: dict[str, Any] = dict(zip(FACTORS, cell, strict=True))
    return models.Model(
        dataset=budget["dataset"],
        widths=(INPUTS[budget["dataset"]], *hidden, 10),
        batch=budget["batch"],
        epochs=budget["epochs"],
        measure="end",
        **levels,
        **fields,
    )


def cell_of(row: Row) -> Cell:
    """The combination that a row belongs to."""
    activation, init, normalisation, optimizer, residual = (row[factor] for factor in FACTORS)
    return activation, init, normalisation, optimizer, residual


def _tuning(budget: Mapping[str, Any], cell: Cell, powers: Sequence[int]) -> list[Config]:
    return [
        model(
            budget, cell, lr=rate(power), seed=TUNING_SEEDS + i, valid=HELD_OUT, splits=("valid",)
        )
        for power in powers
        for i in range(budget["tuning_seeds"])
    ]


def _tune(budget: Mapping[str, Any], rows: Sequence[Row]) -> list[Config]:
    return [c for cell in cells(budget) for c in _tuning(budget, cell, FIRST_RATES[cell[3]])]


def _widen(budget: Mapping[str, Any], rows: Sequence[Row]) -> list[Config]:
    return [
        config
        for cell in cells(budget)
        for config in _tuning(budget, cell, TUNING.beyond(rows, *cell, count=WIDENED_BY))
    ]


def _final(budget: Mapping[str, Any], rows: Sequence[Row]) -> list[Config]:
    best = {cell: TUNING.best(rows, *cell) for cell in cells(budget)}
    return [
        model(budget, cell, lr=lr, seed=FINAL_SEEDS + i, splits=("train", "test"))
        for cell, lr in best.items()
        for i in range(budget["seeds"])
    ]


def outcome(row: Row, name: str) -> float:
    """One of ``OUTCOMES`` of a final run."""
    accuracy = row["test_accuracy"]
    if row["diverged"] or math.isnan(accuracy):
        accuracy = CHANCE
    return accuracy if name == "test_accuracy" else math.log10(1 - accuracy + FLOOR)


def table(rows: Sequence[Row], name: str) -> tuple[np.ndarray, list[list[Any]]]:
    """An outcome of the final runs, an axis for each factor and one for seeds; the levels."""
    final = [row for row in rows if row["stage"] == "final"]
    levels = [list(dict.fromkeys(row[factor] for row in final)) for factor in FACTORS]
    seeds = sorted({row["seed"] for row in final})
    found = np.full([*map(len, levels), len(seeds)], np.nan)
    for row in final:
        places = [known.index(level) for known, level in zip(levels, cell_of(row), strict=True)]
        found[(*places, seeds.index(row["seed"]))] = outcome(row, name)
    return found, levels


def verdict(low: float, high: float) -> str:
    """What the rule says of an interval of ω²: "matters", "negligible" or "undecided"."""
    if low > MATTERS:
        return "matters"
    return "negligible" if high < MATTERS else "undecided"


def summary(rows: Sequence[Row]) -> list[Row]:
    """What explains each outcome: η² and ω² of every factor and pair, with the 95 % interval."""
    found = []
    for name in OUTCOMES:
        outcomes, _ = table(rows, name)
        for effect in anova(outcomes, FACTORS):
            found.append(
                {
                    "outcome": name,
                    "effect": effect.name,
                    "degrees": effect.degrees,
                    "eta": effect.eta,
                    "omega": effect.omega,
                    "low": effect.low,
                    "high": effect.high,
                    "p": effect.p,
                    "verdict": verdict(effect.low, effect.high),
                }
            )
    return found


def label(config: Config) -> str:
    """The combination of a configuration."""
    assert isinstance(config, models.Model)
    parts = [config.activation, config.init, config.normalisation, config.optimizer]
    return ", ".join([*parts, "residual" if config.residual else "plain"])


_TUNING_COLUMNS = (*FACTORS, "lr", "seed", "valid_loss", "valid_accuracy", "diverged")
_FINAL_COLUMNS = (
    *FACTORS, "lr", "seed", "train_loss", "train_accuracy", "test_loss", "test_accuracy",
    "diverged",
)  # fmt: skip

STUDY = Study(
    name="codesign",
    title="Activation, start, normalisation, optimiser and residuals, all combined",
    question="Of what surrounds an activation, what explains how well a deep network trains?",
    stages=(
        Stage("tune", "five rates compared on held-out examples", _tune, _TUNING_COLUMNS),
        Stage("widen_1", "two rates beyond an edge that was best", _widen, _TUNING_COLUMNS),
        Stage("widen_2", "two rates beyond an edge that was best again", _widen, _TUNING_COLUMNS),
        Stage("final", "the chosen rate with fresh seeds, tested once", _final, _FINAL_COLUMNS),
    ),
    budgets={
        "quick": {
            "dataset": "digits",
            "hidden": 64,
            "depth": 6,
            "epochs": 5,
            "batch": 64,
            "seeds": 5,
            "tuning_seeds": 1,
            "activation": ("relu", "tanh", "sigmoid"),
            "init": ("glorot", "he"),
            "normalisation": ("none", "batch", "layer"),
            "optimizer": ("sgd", "adam"),
            "residual": (False, True),
        },
        "full": {
            "dataset": "fashion_mnist",
            "hidden": 128,
            "depth": 8,
            "epochs": 5,
            "batch": 256,
            "seeds": 10,
            "tuning_seeds": 2,
            "activation": ("relu", "tanh", "gelu", "selu", "silu", "sigmoid"),
            "init": ("torch", "glorot", "he"),
            "normalisation": ("none", "batch", "layer"),
            "optimizer": ("sgd", "adam"),
            "residual": (False, True),
        },
    },
    label=label,
    summary=summary,
    train=models.train,
    modules=("actbook.train.models", "actbook.data"),
)  # fmt: skip
