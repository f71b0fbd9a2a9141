"""Units that no training example activates, before any training, layer by layer.

The network of a widely read tutorial, ten hidden layers of ReLU units, in four starts: weights as
PyTorch draws them or √6 times larger, which is He's variance, each with PyTorch's biases or none.
Equal seeds mean equal draws, so that the two weights differ by their scale alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from .. import data
from ..train.engine import resolve_device
from .framework import Row, Stage, Study

#: Units of the hidden layers (Lippe, "Activation functions", its deep network).
HIDDEN = (256, 256, 256, 256, 256, 128, 128, 128, 128, 128)
#: (weights, biases): the starts.
STARTS = (("torch", "torch"), ("torch", "zero"), ("he", "torch"), ("he", "zero"))
BATCH = 10_000


@dataclass(frozen=True)
class Birth:
    """One network at its start: no step is taken."""

    dataset: str
    weights: str
    biases: str
    seed: int
    hidden: tuple[int, ...] = HIDDEN
    activation: str = "relu"
    policy: str = "training"
    valid: int = 0


@dataclass(frozen=True)
class Born:
    """The rows of one network, a row for each hidden layer."""

    rows: list[Row]


def layers(birth: Birth, inputs: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Weight (out, in) and bias (out,) of each hidden layer, float64.

    U(±1/√fan_in) for PyTorch's weights and biases, √6 times that for He's weights.
    """
    generator = np.random.default_rng(birth.seed)
    drawn = []
    for fan_in, fan_out in zip((inputs, *birth.hidden), birth.hidden, strict=False):
        bound = 1 / math.sqrt(fan_in)
        weight = generator.uniform(-bound, bound, (fan_out, fan_in))
        bias = generator.uniform(-bound, bound, fan_out)
        scale = {"torch": 1.0, "he": math.sqrt(6.0)}[birth.weights]
        drawn.append((scale * weight, {"torch": 1.0, "zero": 0.0}[birth.biases] * bias))
    return drawn


@torch.no_grad()
def measure(birth: Birth, x: torch.Tensor) -> list[Row]:
    """A row for each hidden layer: shares of its units that are dead, and active on the mean.

    ``x`` has shape (n, features).  A unit is dead where its pre-activation is at most 0 for every
    example.
    """
    rows = []
    for number, (weight, bias) in enumerate(layers(birth, x.shape[1]), start=1):
        w = torch.from_numpy(weight).to(x)
        b = torch.from_numpy(bias).to(x)
        parts = [torch.addmm(b, part, w.T).clamp_(min=0) for part in x.split(BATCH)]
        x = torch.cat(parts)
        active = (x > 0).double().mean(0)
        rows.append(
            {
                **asdict(birth),
                "layer": number,
                "units": len(bias),
                "train_dead": (active == 0).double().mean().item(),
                "train_active": active.mean().item(),
            }
        )
    return rows


def train(
    births: Sequence[Birth],
    *,
    device: str | torch.device | None = None,
    datasets: Mapping[str, data.Dataset] | None = None,
) -> list[Born]:
    """The rows of each network, on all training examples, pixels mapped to [−1, 1]; no training."""
    target = resolve_device(device)
    found = []
    for birth in births:
        source = (datasets or {}).get(birth.dataset) or data.load(birth.dataset)
        images = torch.from_numpy(source.x_train.reshape(len(source.x_train), -1)).to(target)
        found.append(Born(measure(birth, 2 * images - 1)))
    return found


def groups(births: Sequence[Birth]) -> list[list[int]]:
    """The positions of each data set and start."""
    found: dict[tuple[str, str, str], list[int]] = {}
    for position, birth in enumerate(births):
        found.setdefault((birth.dataset, birth.weights, birth.biases), []).append(position)
    return list(found.values())


def label(birth: Birth) -> str:
    """The start of a network."""
    return f"{birth.weights} weights, {birth.biases} biases"


def _grid(budget: Mapping[str, Any], rows: Sequence[Row]) -> list[Birth]:
    return [
        Birth(dataset, weights, biases, seed)
        for dataset in budget["datasets"]
        for weights, biases in STARTS
        for seed in range(budget["seeds"])
    ]


def shares(rows: Sequence[Row], dataset: str, model: str, column: str = "train_dead") -> np.ndarray:
    """A measured share by seed and layer, float64 (seeds, layers)."""
    found: dict[int, list[float]] = {}
    for row in rows:
        if (row["dataset"], row["model"]) == (dataset, model):
            found.setdefault(row["seed"], []).append(row[column])
    return np.array([found[seed] for seed in sorted(found)])


def summary(rows: Sequence[Row]) -> list[Row]:
    """Share of dead units of the last layer by data set and start: mean and 95 % BCa interval."""
    from .statistics import interval

    table = []
    for dataset, model in dict.fromkeys((row["dataset"], row["model"]) for row in rows):
        last = shares(rows, dataset, model)[:, -1]
        low, high = interval(last) if len(last) > 1 else (math.nan, math.nan)
        mean = float(last.mean())
        table.append(
            {"dataset": dataset, "model": model, "runs": len(last), "train_dead": mean,
             "low": low, "high": high}
        )  # fmt: skip
    return table


STUDY = Study(
    name="born_dead",
    title="Units born dead, by start and depth",
    question="Is it the activation or the start that gives a deep ReLU network dead units?",
    stages=(
        Stage(
            "born",
            "one forward pass of untrained networks over all training examples",
            _grid,
            ("model", "seed", "layer", "units", "train_dead", "train_active"),
        ),
    ),
    budgets={
        "quick": {"datasets": ("digits", "fashion_mnist"), "seeds": 10},
        "full": {"datasets": ("digits", "mnist", "fashion_mnist"), "seeds": 40},
    },
    label=label,
    summary=summary,
    train=train,
    groups=groups,
    modules=("actbook.data",),
)
