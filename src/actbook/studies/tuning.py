"""Learning rates of a study: a grid of half decades, the best of each cell, and what lies beyond.

A rate is chosen on validation data by the mean over the tuning seeds.  Where the best one is the
last that was tried, a later stage tries further ones on that side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .framework import Row

__all__ = ["Tuning", "rate"]


def rate(half_decades: int) -> float:
    """10^(k/2), to six digits."""
    return float(f"{10 ** (half_decades / 2):.6g}")


@dataclass(frozen=True)
class Tuning:
    """How a study compares rates: within cells that the columns ``cell`` name.

    ``outcome`` is a validation accuracy, of which the highest is best and a diverged run counts as
    0, or a validation loss, of which the lowest is best and a diverged run counts as infinite.
    """

    cell: tuple[str, ...]
    outcome: str = "valid_accuracy"

    def table(self, rows: Sequence[Row]) -> dict[tuple[Any, ...], dict[float, float]]:
        """Of each cell the mean outcome of every rate that was tried, by rising rate."""
        found: dict[tuple[Any, ...], dict[float, list[float]]] = {}
        for row in rows:
            value = row.get(self.outcome)
            if value is not None:
                tried = found.setdefault(tuple(row[name] for name in self.cell), {})
                tried.setdefault(row["lr"], []).append(value if math.isfinite(value) else self.lost)
        return {
            cell: {lr: sum(values) / len(values) for lr, values in sorted(tried.items())}
            for cell, tried in found.items()
        }

    def rates(self, rows: Sequence[Row], *cell: Any) -> dict[float, float]:
        """One cell of :meth:`table`; empty where nothing of it was tried."""
        names = self.cell
        mine = [row for row in rows if all(row[n] == v for n, v in zip(names, cell, strict=True))]
        return self.table(mine).get(cell, {})

    def best(self, rows: Sequence[Row], *cell: Any) -> float:
        """The best rate of a cell; of equals the smallest."""
        tried = self.rates(rows, *cell)
        sign = -1 if self.lowest else 1
        return max(tried, key=lambda lr: (sign * tried[lr], -lr))

    def on_edge(self, rows: Sequence[Row], *cell: Any) -> bool:
        """Whether the best rate is the smallest or the largest of those tried."""
        tried = list(self.rates(rows, *cell))
        return self.best(rows, *cell) in (tried[0], tried[-1])

    def beyond(self, rows: Sequence[Row], *cell: Any, count: int) -> list[int]:
        """The next ``count`` half decades beyond the edge where the best rate lies, if it does."""
        if not self.on_edge(rows, *cell):
            return []
        best = self.best(rows, *cell)
        side = 1 if best == max(self.rates(rows, *cell)) else -1
        edge = round(2 * math.log10(best))
        return sorted(edge + side * (i + 1) for i in range(count))

    @property
    def lowest(self) -> bool:
        """Whether low outcomes are good ones."""
        return self.outcome.endswith("loss")

    @property
    def lost(self) -> float:
        """What the outcome of a diverged run counts as."""
        return math.inf if self.lowest else 0.0
