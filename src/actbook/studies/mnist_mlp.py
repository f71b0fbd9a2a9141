"""One hidden layer of 128 units on MNIST and Fashion-MNIST, for every activation of the catalogue.

Two questions of one network: what does the protocol give exactly as it is printed, and what does
each activation give when its learning rate is chosen for it?
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ..train.config import Config
from .framework import Row, Stage, Study

DATASETS = ("mnist", "fashion_mnist")
WIDTHS = (784, 128, 10)
LINEAR = "linear"
POINTWISE = (
    "identity", "step", "sigmoid", "tanh", "softsign", "hardsigmoid", "logsigmoid",
    "relu", "leaky_relu", "prelu", "elu", "silu", "gelu",
)  # fmt: skip
MAIN = ("identity", "sigmoid", "tanh", "relu", "silu", "gelu")

#: Rates are 10^(k/2): k in this range to begin with, two more on the side where the best one lies.
FIRST_RATES = tuple(range(-8, -1))
WIDENED_BY = 2
#: Examples of the training set on which rates are compared.
HELD_OUT = 10_000

# Seeds of the stages do not meet: a rate is never judged by the draws that chose it.
PROTOCOL_SEEDS, TUNING_SEEDS, FINAL_SEEDS = 0, 1000, 2000

CURVE = ("running_loss", "running_accuracy", "train_loss", "train_accuracy")
TEST = ("test_loss", "test_accuracy")


def _as_printed(dataset: str, model: str, **fields: Any) -> Config:
    """The printed protocol: Adam and Glorot's uniform weights with the defaults of Keras."""
    linear = model == LINEAR
    return Config(
        dataset=dataset,
        widths=(WIDTHS[0], WIDTHS[-1]) if linear else WIDTHS,
        activation="identity" if linear else model,
        optimizer="adam",
        eps=1e-7,
        epochs=10,
        batch=32,
        init="glorot",
        **fields,
    )


def label(config: Config) -> str:
    """The model of a configuration: "linear" without a hidden layer, else its activation."""
    return LINEAR if len(config.widths) == 2 else config.activation


def _conditions(budget: Mapping[str, Any]) -> list[tuple[str, str]]:
    models = (LINEAR, *budget["activations"])
    return [(dataset, model) for dataset in budget["datasets"] for model in models]


def _protocol(budget: Mapping[str, Any], rows: Sequence[Row]) -> list[Config]:
    return [
        _as_printed(dataset, model, seed=PROTOCOL_SEEDS + i, splits=("train", "test"))
        for dataset, model in _conditions(budget)
        for i in range(budget["seeds"])
    ]


def _rate(half_decades: int) -> float:
    return float(f"{10 ** (half_decades / 2):.6g}")


def _tuning(budget: Mapping[str, Any], dataset: str, model: str, powers: Sequence[int]) -> list:
    return [
        _as_printed(
            dataset, model, lr=_rate(power), seed=TUNING_SEEDS + i,
            valid=HELD_OUT, splits=("valid",), measure="end",
        )
        for power in powers
        for i in range(budget["tuning_seeds"])
    ]  # fmt: skip


def _tune(budget: Mapping[str, Any], rows: Sequence[Row]) -> list[Config]:
    # Without tuning seeds a budget runs the protocol alone, and the stages below are empty too.
    return [
        config
        for dataset, model in _conditions(budget)
        for config in _tuning(budget, dataset, model, FIRST_RATES)
    ]


def rates(rows: Sequence[Row], dataset: str, model: str) -> dict[float, float]:
    """Mean validation accuracy of each rate that was tried; a diverged run counts as 0."""
    found: dict[float, list[float]] = {}
    for row in rows:
        if (row["dataset"], row["model"]) == (dataset, model) and "valid_accuracy" in row:
            accuracy = row["valid_accuracy"]
            if accuracy is not None:
                found.setdefault(row["lr"], []).append(0.0 if math.isnan(accuracy) else accuracy)
    return {rate: sum(values) / len(values) for rate, values in sorted(found.items())}


def best_rate(rows: Sequence[Row], dataset: str, model: str) -> float:
    """The rate of the highest mean validation accuracy; of equals the smallest."""
    tried = rates(rows, dataset, model)
    return max(tried, key=lambda rate: (tried[rate], -rate))


def on_edge(rows: Sequence[Row], dataset: str, model: str) -> bool:
    """Whether the best rate is the smallest or the largest of those tried."""
    tried = list(rates(rows, dataset, model))
    return best_rate(rows, dataset, model) in (tried[0], tried[-1])


def _widen(budget: Mapping[str, Any], rows: Sequence[Row]) -> list[Config]:
    """Further rates on the side of the edge where the best one lies, where it lies on one."""
    configs: list[Config] = []
    for dataset, model in _conditions(budget):
        if not (budget["tuning_seeds"] and on_edge(rows, dataset, model)):
            continue
        best = best_rate(rows, dataset, model)
        power = round(2 * math.log10(best))
        side = 1 if best == max(rates(rows, dataset, model)) else -1
        powers = sorted(power + side * (i + 1) for i in range(WIDENED_BY))
        configs += _tuning(budget, dataset, model, powers)
    return configs


def _final(budget: Mapping[str, Any], rows: Sequence[Row]) -> list[Config]:
    return [
        _as_printed(
            dataset, model, lr=best_rate(rows, dataset, model), seed=FINAL_SEEDS + i,
            splits=("train", "test"), measure="end",
        )
        for dataset, model in _conditions(budget)
        for i in range(budget["seeds"] if budget["tuning_seeds"] else 0)
    ]  # fmt: skip


def summary(rows: Sequence[Row]) -> list[Row]:
    """Test accuracy after the last epoch: mean and 95 % BCa interval by stage, data set, model.

    ``edge`` says that the chosen rate still was the last of those tried.
    """
    from .statistics import interval

    found: dict[tuple[str, str, str], list[Row]] = {}
    last = {stage: max(r["epoch"] for r in rows if r["stage"] == stage) for stage in _tested(rows)}
    for row in rows:
        if row["stage"] in last and row["epoch"] == last[row["stage"]]:
            found.setdefault((row["stage"], row["dataset"], row["model"]), []).append(row)
    table = []
    for (stage, dataset, model), part in found.items():
        kept = [row["test_accuracy"] for row in part if not math.isnan(row["test_accuracy"])]
        low, high = interval(kept) if len(kept) > 1 else (math.nan, math.nan)
        table.append(
            {
                "stage": stage,
                "dataset": dataset,
                "model": model,
                "runs": len(part),
                "diverged": len(part) - len(kept),
                "lr": part[0]["lr"],
                "edge": stage == "final" and on_edge(rows, dataset, model),
                "test_accuracy": sum(kept) / len(kept) if kept else math.nan,
                "low": low,
                "high": high,
            }
        )
    return table


def _tested(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(r["stage"] for r in rows if r.get("test_accuracy") is not None))


_TUNING_COLUMNS = ("model", "lr", "seed", "valid_loss", "valid_accuracy", "diverged")

STUDY = Study(
    name="mnist_mlp",
    title="One hidden layer on MNIST and Fashion-MNIST",
    question="How much does the activation of the hidden layer matter, as printed and tuned?",
    stages=(
        Stage(
            "protocol",
            "the printed protocol, measured after every epoch",
            _protocol,
            ("model", "seed", "epoch", *CURVE, *TEST),
        ),
        Stage("tune", "seven rates compared on held-out training examples", _tune, _TUNING_COLUMNS),
        Stage("widen_1", "two rates beyond an edge that was best", _widen, _TUNING_COLUMNS),
        Stage("widen_2", "two rates beyond an edge that was best again", _widen, _TUNING_COLUMNS),
        Stage(
            "final",
            "the chosen rate with fresh seeds, tested once",
            _final,
            ("model", "lr", "seed", "epoch", *CURVE, *TEST, "diverged"),
        ),
    ),
    budgets={
        "quick": {
            "datasets": DATASETS, "activations": MAIN, "seeds": 5, "tuning_seeds": 0,
        },
        "full": {
            "datasets": DATASETS, "activations": POINTWISE, "seeds": 20, "tuning_seeds": 5,
        },
    },
    label=label,
    summary=summary,
)  # fmt: skip
