"""Does the corner matter?  ReLU against softplus of several sharpnesses, and maxout.

Two hidden layers on Fashion-MNIST, 5,000 training images averaged to 14 × 14.  softplus with
sharpness β is log(1 + e^{βx})/β; a maxout layer takes the largest of ``pieces`` affine functions
and is narrower, so that all networks have about as many parameters.  Every layer starts with
weights N(0, 1/(m · fan_in)), m = E f(Z)² for the activation at hand, Z standard normal, and without
biases; "centred" starts with m = Var f(Z) and with biases that take the mean of f away.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from .. import catalogue, data
from ..train import engine
from ..train.config import Config, ConfigError
from .framework import Row, Stage, Study
from .stacks import Device, trained_in
from .statistics import Comparison, Rule, compare, interval
from .tuning import Tuning, rate

#: Units of a hidden layer, by the number of affine pieces that a unit takes the largest of.
UNITS = {1: 64, 2: 36, 4: 20}
#: E and E of the square of the largest of so many independent standard normal numbers.
LARGEST = {
    2: (1 / math.sqrt(math.pi), 1.0),
    4: (1.0293753730039641, 1 + math.sqrt(3) / math.pi),
}
REFERENCE = "ReLU"
EXAMPLES, SIDE, CLASSES = 5000, 14, 10
HELD_OUT, EPOCHS, BATCH = 5000, 10, 64
#: Rates are 10^(k/2): k in this range to begin with, two more where the best one is on an edge.
FIRST_RATES, WIDENED_BY = tuple(range(-8, -1)), 2
TUNING = Tuning(("model",))
#: Seeds of the stages do not meet: a rate is never judged by the draws that chose it.
TUNING_SEEDS, FINAL_SEEDS = 1000, 2000

#: Each condition against ReLU, paired by seed: t-test, Holm over all seven; half a point of
#: accuracy to either side counts as no difference.
RULE = Rule(test="t", correction="holm", alpha=0.05, margin=0.005)


@dataclass(frozen=True)
class Corner(Config):
    """A network with softplus of sharpness ``beta``, with ``pieces`` of maxout, or with ReLU."""

    beta: float = 0.0
    pieces: int = 1
    centred: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.activation == "softplus") != (self.beta > 0):
            raise ConfigError(f"beta must be above 0 for softplus alone, not {self.beta!r}")
        if (self.activation == "maxout") != (self.pieces > 1) or self.pieces not in UNITS:
            raise ConfigError(f"pieces must be 2 or 4 for maxout, else 1, not {self.pieces!r}")


#: What is compared, by the name in the tables.
CONDITIONS: dict[str, dict[str, Any]] = {
    REFERENCE: {"activation": "relu"},
    "softplus 1": {"activation": "softplus", "beta": 1.0},
    "softplus 1, centred": {"activation": "softplus", "beta": 1.0, "centred": True},
    "softplus 4": {"activation": "softplus", "beta": 4.0},
    "softplus 16": {"activation": "softplus", "beta": 16.0},
    "softplus 64": {"activation": "softplus", "beta": 64.0},
    "maxout 2": {"activation": "maxout", "pieces": 2},
    "maxout 4": {"activation": "maxout", "pieces": 4},
}


def configuration(condition: str, dataset: str = "fashion_mnist", **fields: Any) -> Corner:
    """The network of a condition on "fashion_mnist" (reduced) or "digits"."""
    inputs = {"fashion_mnist": SIDE**2, "digits": 64}[dataset]
    chosen = CONDITIONS[condition]
    units = UNITS[chosen.get("pieces", 1)]
    shape = {"dataset": dataset, "widths": (inputs, units, units, CLASSES), "init": "lecun"}
    return Corner(**{**shape, "batch": BATCH, "epochs": EPOCHS, **chosen, **fields})


def label(config: Config) -> str:
    """The condition of a configuration."""
    assert isinstance(config, Corner)
    if config.activation == "relu":
        return REFERENCE
    if config.activation == "maxout":
        return f"maxout {config.pieces}"
    return f"softplus {config.beta:g}{', centred' * config.centred}"


def moments(config: Corner) -> tuple[float, float]:
    """E f(Z) and E f(Z)² of a hidden unit whose inputs are standard normal."""
    if config.activation == "maxout":
        return LARGEST[config.pieces]
    found = _activation(config).moments()
    return float(found.mean), float(found.second)


def network(config: Corner) -> nn.Sequential:
    """The network before training: Linear, activation, Linear, activation, Linear."""
    dtype = getattr(torch, config.dtype)
    generator = np.random.default_rng([config.seed, 0])
    mean, second = moments(config)
    variance = second - mean**2 if config.centred else second
    modules: list[nn.Module] = []
    for position, fan_in in enumerate(config.widths[:-1]):
        last = position == len(config.widths) - 2
        fan_out = config.widths[position + 1] * (1 if last else config.pieces)
        weight = generator.standard_normal((fan_out, fan_in)) / math.sqrt(variance * fan_in)
        linear = nn.utils.skip_init(nn.Linear, fan_in, fan_out, dtype=dtype)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(weight))
            linear.bias.zero_()
            if config.centred and position > 0:
                linear.bias.sub_(mean * linear.weight.sum(1))
        modules += [linear] if last else [linear, _activation(config).module(config.policy)]
    return nn.Sequential(*modules)


def _activation(config: Corner) -> Any:
    chosen = catalogue[config.activation]
    if config.activation == "softplus":
        return chosen.at(beta=config.beta)
    return chosen.at(pieces=config.pieces) if config.activation == "maxout" else chosen


def reduced(dataset: data.Dataset) -> data.Dataset:
    """Images of 28 × 28 averaged to 14 × 14, and 5,000 of many training images; digits as is."""
    if dataset.x_train.shape[1:] != (2 * SIDE, 2 * SIDE):
        return dataset
    size = min(EXAMPLES, len(dataset.x_train))
    kept = data.stratified(dataset.y_train, size)
    images = {"train": dataset.x_train[kept], "valid": dataset.x_valid, "test": dataset.x_test}
    small = {
        f"x_{split}": x.reshape(-1, SIDE, 2, SIDE, 2).mean((2, 4)) for split, x in images.items()
    }
    return replace(dataset, y_train=dataset.y_train[kept], **small)


class _Stack(engine._Stack):
    """Members that are networks of this study; the engine's step and measures are unchanged."""

    def __init__(
        self, configs: list[Corner], examples: engine._Examples, device: torch.device
    ) -> None:
        super().__init__([replace(c, **CONDITIONS[REFERENCE], beta=0.0, pieces=1)
                          for c in configs], examples, device)  # fmt: skip
        self.configs = list(configs)
        self.networks = [network(config) for config in configs]
        self.layers = [
            engine._stacked(modules, device) for modules in zip(*self.networks, strict=True)
        ]
        self.parameters = [p for layer in self.layers for p in layer.parameters.values()]
        self.optimizer, self.leaves = self._make_optimizer()


def train(
    configs: Iterable[Corner],
    *,
    device: Device = None,
    datasets: Mapping[str, data.Dataset] | None = None,
) -> list[engine.Trained]:
    """As :func:`actbook.train.train`, for the networks and the reduced images of this study."""
    return trained_in(_Stack, configs, device, datasets, reduced)


def _tuning(budget: Mapping[str, Any], condition: str, powers: Sequence[int]) -> list[Corner]:
    return [
        configuration(
            condition, lr=rate(power), seed=TUNING_SEEDS + i, valid=HELD_OUT,
            splits=("valid",), measure="end",
        )
        for power in powers
        for i in range(budget["tuning_seeds"])
    ]  # fmt: skip


def _tune(budget: Mapping[str, Any], rows: Sequence[Row]) -> list[Corner]:
    return [c for condition in CONDITIONS for c in _tuning(budget, condition, FIRST_RATES)]


def _widen(budget: Mapping[str, Any], rows: Sequence[Row]) -> list[Corner]:
    return [
        config
        for condition in CONDITIONS
        for config in _tuning(budget, condition, TUNING.beyond(rows, condition, count=WIDENED_BY))
    ]


def _final(budget: Mapping[str, Any], rows: Sequence[Row]) -> list[Corner]:
    return [
        configuration(
            condition, lr=TUNING.best(rows, condition), seed=FINAL_SEEDS + i, valid=HELD_OUT,
            splits=("train", "test"), measure="end",
        )
        for condition in CONDITIONS
        for i in range(budget["seeds"])
    ]  # fmt: skip


def accuracies(rows: Sequence[Row], condition: str) -> dict[int, float]:
    """Test accuracy by seed of the final runs; a diverged run counts as chance, 0.1."""
    return {
        row["seed"]: 0.1 if math.isnan(row["test_accuracy"]) else row["test_accuracy"]
        for row in rows
        if row["stage"] == "final" and row["epoch"] == EPOCHS and row["model"] == condition
    }


def compared(rows: Sequence[Row]) -> dict[str, Comparison]:
    """Every other condition against ReLU under the rule, by condition."""
    measured = {condition: accuracies(rows, condition) for condition in CONDITIONS}
    return {found.condition: found for found in compare(measured, REFERENCE, rule=RULE)}


def summary(rows: Sequence[Row]) -> list[Row]:
    """Chosen rate, test accuracy and the comparison with ReLU, one row per condition."""
    against = compared(rows)
    table = []
    for condition in CONDITIONS:
        reached = list(accuracies(rows, condition).values())
        low, high = interval(reached)
        row = {
            "model": condition,
            "runs": len(reached),
            "lr": TUNING.best(rows, condition),
            "edge": TUNING.on_edge(rows, condition),
            "test_accuracy": sum(reached) / len(reached),
            "low": low,
            "high": high,
        }
        if condition in against:
            found = against[condition]
            row |= {
                "difference": found.difference,
                "difference_low": found.low,
                "difference_high": found.high,
                "p_holm": found.p_holm,
                "verdict": found.verdict,
            }
        table.append(row)
    return table


_KEYS = ("model", "lr", "seed")
_TUNING_COLUMNS = (*_KEYS, "valid_loss", "valid_accuracy", "diverged")
_FINAL_COLUMNS = (
    *_KEYS, "activation", "epoch", "train_loss", "train_accuracy", "test_loss", "test_accuracy",
    "diverged",
)  # fmt: skip

STUDY = Study(
    name="corners",
    title="ReLU, softplus by sharpness, and maxout",
    question="Does it matter how sharp the corner of a rectifier is, or how many there are?",
    stages=(
        Stage("tune", "seven rates compared on held-out examples", _tune, _TUNING_COLUMNS),
        Stage("widen_1", "two rates beyond an edge that was best", _widen, _TUNING_COLUMNS),
        Stage("widen_2", "two rates beyond an edge that was best again", _widen, _TUNING_COLUMNS),
        Stage("final", "the chosen rate with fresh seeds, tested once", _final, _FINAL_COLUMNS),
    ),
    budgets={
        "quick": {"seeds": 20, "tuning_seeds": 3},
        "full": {"seeds": 50, "tuning_seeds": 5},
    },
    label=label,
    summary=summary,
    train=train,
    rule=RULE,
)  # fmt: skip
