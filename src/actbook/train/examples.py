"""The examples of a data set as the networks of an architecture take them."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from .. import data
from .engine import _Examples
from .models import Model, architecture

__all__ = ["Examples"]


@dataclass(frozen=True)
class Examples:
    """Inputs (n, …) and labels, (n,) or one for each position of a sequence, of each split."""

    splits: dict[str, tuple[torch.Tensor, torch.Tensor]]

    @classmethod
    def of(cls, dataset: data.Dataset, model: Model, device: torch.device) -> Examples:
        """Those that the model needs, on the device; ConfigError where they do not fit it."""
        if model.architecture == "mlp":
            return cls(_Examples.of(dataset, model, device).splits)
        splits = {}
        for name in dict.fromkeys(("train", *model.splits)):
            if len(dataset.split(name)[0]):
                x, y = architecture(model).examples(dataset, model, name)
                splits[name] = x.to(device), y.to(device)
        return cls(splits)
