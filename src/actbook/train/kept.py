"""The engine with checkpoints: for a plain ``Config``, whose results answer for the engine itself.

What is computed is the engine's, in the engine's order; between two epochs its state is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from .. import data
from . import engine
from .checkpoint import Keeper
from .config import Config, groups
from .engine import Row, Trained

__all__ = ["train"]


def train(
    configs: Iterable[Config],
    *,
    device: str | torch.device | None = None,
    datasets: Mapping[str, data.Dataset] | None = None,
    checkpoint: Path | None = None,
) -> list[Trained]:
    """As :func:`actbook.train.train`, with a checkpoint in the folder ``checkpoint``."""
    configs = list(configs)
    target = engine.resolve_device(device)
    keeper = Keeper.of(checkpoint, configs, target)
    results: dict[int, Trained] = {}
    for group in groups(configs):
        first = configs[group[0]]
        source = (datasets or {}).get(first.dataset) or data.load(first.dataset, valid=first.valid)
        examples = engine._Examples.of(source, first, target)
        for positions in engine._stacks(group, configs, target):
            stack = KeptStack([configs[position] for position in positions], examples, target)
            stack.keeper, stack.number = keeper, len(results)
            results.update(zip(positions, stack.train(lambda amount: None), strict=True))
    return [results[position] for position in range(len(configs))]


class KeptStack(engine._Stack):
    """The engine's stack, whose state is offered to a keeper after every epoch."""

    keeper: Keeper
    number: int

    @property
    def epochs(self) -> int:
        """Of every member."""
        return self.configs[0].epochs

    def run(self, report: Callable[[int], None]) -> list[list[Row]]:
        """All epochs, from where a checkpoint left off; the rows of each member."""
        rows: list[list[Row]] = [[] for _ in self.configs]
        begin = self.keeper.restore(self, rows)
        following = self.shuffle(begin)
        for epoch in range(begin, self.epochs + 1):
            self.order.copy_(following)
            self.epoch()
            if epoch < self.epochs:
                following = self.shuffle(epoch + 1)
            measured = self.measure(epoch)
            for member, config in enumerate(self.configs):
                values = {name: engine._scalar(c, member) for name, c in measured.items()}
                rows[member].append({**config.as_dict(), "epoch": epoch, **values})
            report(len(self.configs))
            self.keeper.offer(self, rows, epoch + 1)
        return rows

    def state(self) -> dict[str, Any]:
        """Everything that the epochs to come depend on."""
        return {
            "values": [parameter.detach().clone() for parameter in self.parameters],
            "optimizer": self.optimizer.state_dict(),
            "diverged": self.diverged.tolist(),
        }

    @torch.no_grad()
    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from a :meth:`state`."""
        for parameter, kept in zip(self.parameters, state["values"], strict=True):
            parameter.copy_(kept)
        self.optimizer.load_state_dict(state["optimizer"])
        self.diverged[:] = state["diverged"]
