"""Where training gets its activations from: the catalogue, by name."""

from __future__ import annotations

from torch import nn

from .. import catalogue
from .config import ConfigError

__all__ = ["resolve"]

#: Shapes of activation that act on every unit by itself, as a hidden layer here needs.
POINTWISE = ("pointwise", "learnable")


def resolve(name: str, policy: str) -> nn.Module:
    """A fresh module of the activation ``name``; ConfigError when it cannot be a hidden layer."""
    try:
        activation = catalogue[name]
    except KeyError as error:
        raise ConfigError(f"activation: {error.args[0]}") from error
    if activation.shape not in POINTWISE:
        raise ConfigError(
            f"activation must act on each unit by itself ({' or '.join(POINTWISE)}); "
            f"{name!r} is {activation.shape}"
        )
    return activation.module(policy=policy)
