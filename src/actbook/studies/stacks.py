"""Training for a study whose networks need a stack of their own: what all such studies share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch

from .. import data
from ..train import engine
from ..train.config import groups

__all__ = ["Device", "trained_in"]

Device = str | torch.device | None


def trained_in(
    stack: type[engine._Stack],
    configs: Iterable[Any],
    device: Device,
    datasets: Mapping[str, data.Dataset] | None,
    prepare: Callable[[data.Dataset], data.Dataset] = lambda dataset: dataset,
) -> list[engine.Trained]:
    """As :func:`actbook.train.train`, in stacks of this kind; ``prepare`` is given the data set."""
    configs = list(configs)
    target = engine.resolve_device(device)
    results: dict[int, engine.Trained] = {}
    for group in groups(configs):
        first = configs[group[0]]
        source = (datasets or {}).get(first.dataset) or data.load(first.dataset, valid=first.valid)
        examples = engine._Examples.of(prepare(source), first, target)
        for positions in engine._stacks(group, configs, target):
            together = stack([configs[position] for position in positions], examples, target)
            results.update(zip(positions, together.train(lambda amount: None), strict=True))
    return [results[position] for position in range(len(configs))]
