"""The architecture "cnn": two blocks of convolution, activation and pooling, and a linear head."""

from __future__ import annotations

from torch import nn

from .. import data
from . import architectures
from .architectures import Pair
from .config import ConfigError
from .models import Model

__all__ = ["build", "examples"]

KERNEL, POOL = 3, 2


def build(model: Model) -> nn.Module:
    """The network of square images with one channel; ``widths``: pixels, two channels, classes.

    A block is a 3 × 3 convolution that keeps the size, with normalisation "none" or "batch", the
    activation, and a maximum over 2 × 2.
    """
    architectures.checked(
        model, normalisation=("none", "batch"), residual=(False,), dropout=(0.0,), context=(0,)
    )
    meaning = "the pixels, the channels of two blocks, and the classes"
    hidden = architectures.hidden_widths(model, 2, meaning)
    side = architectures.image_side(model)
    if side < POOL**2:
        raise ConfigError(f"widths must start with at least {POOL**4} pixels, not {side**2}")
    modules: list[nn.Module] = []
    for channels, units in zip((1, hidden[0]), hidden, strict=True):
        modules.append(nn.utils.skip_init(nn.Conv2d, channels, units, KERNEL, padding=KERNEL // 2))
        if model.normalisation == "batch":
            modules.append(nn.BatchNorm2d(units))
        modules += [architectures.activation(model, units), nn.MaxPool2d(POOL)]
        side //= POOL
    modules.append(nn.Flatten())
    modules.append(nn.utils.skip_init(nn.Linear, hidden[1] * side**2, model.widths[-1]))
    return architectures.initialised(nn.Sequential(*modules), model)


def examples(dataset: data.Dataset, model: Model, split: str) -> Pair:
    """Images (n, 1, side, side) and their labels."""
    return architectures.images(dataset, model, split)
