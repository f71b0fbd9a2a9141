"""The study ``sigmoid_depth`` on Fashion-MNIST: eight layers, many more steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from . import sigmoid_depth
from .framework import Row

#: The decision rule of ``sigmoid_depth`` with the accuracy that a linear model has here, about.
TRAINS = 0.8


def verdict(low: float, high: float) -> str:
    """What the decision rule says of an interval: "trains", "stuck" or "between"."""
    if low > TRAINS:
        return "trains"
    return "stuck" if high < sigmoid_depth.STUCK else "between"


def summary(rows: Sequence[Row]) -> list[Row]:
    """As in ``sigmoid_depth``, with this study's rule."""
    return [
        {**row, "verdict": verdict(row["low"], row["high"])} for row in sigmoid_depth.summary(rows)
    ]


STUDY = replace(
    sigmoid_depth.STUDY,
    name="sigmoid_depth_fashion",
    title="The sigmoid in deep networks, by start and optimiser, on Fashion-MNIST",
    budgets={"full": {"depths": {"fashion_mnist": (8,)}, "seeds": 10, "tuning_seeds": 3}},
    summary=summary,
)
