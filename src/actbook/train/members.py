"""Initial values, data order, and the plain network that a member of a stack is equal to."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn

from .activations import resolve
from .config import Config

__all__ = ["data_order", "initial_values", "network"]

# Streams of one seed: draws of the one never depend on how many the other made.
_VALUES, _ORDER = 0, 1


def initial_values(config: Config) -> list[tuple[np.ndarray, np.ndarray]]:
    """Weight (out, in) and bias (out,) of each layer, float64, drawn from the seed alone.

    Glorot & Bengio 2010 ("glorot"), He et al. 2015 ("he"), LeCun et al. 1998 ("lecun"), and
    ``torch.nn.Linear``'s own distribution ("torch").
    """
    generator = np.random.default_rng([config.seed, _VALUES])
    layers = []
    for fan_in, fan_out in zip(config.widths[:-1], config.widths[1:], strict=True):
        shape = (fan_out, fan_in)
        bias = np.zeros(fan_out)
        if config.init == "torch":
            bound = 1 / math.sqrt(fan_in)
            weight = generator.uniform(-bound, bound, shape)
            bias = generator.uniform(-bound, bound, fan_out)
        elif config.init == "glorot":
            bound = math.sqrt(6 / (fan_in + fan_out))
            weight = generator.uniform(-bound, bound, shape)
        else:
            variance = {"he": 2.0, "lecun": 1.0}[config.init] / fan_in
            weight = math.sqrt(variance) * generator.standard_normal(shape)
        layers.append((weight, bias))
    return layers


def data_order(seed: int, epoch: int, length: int) -> np.ndarray:
    """The order, int64 (length,), in which a member sees the training examples in one epoch."""
    return np.random.default_rng([seed, _ORDER, epoch]).permutation(length)


def network(config: Config) -> nn.Sequential:
    """The network of ``config`` before training: Linear, activation, Linear, …"""
    dtype = getattr(torch, config.dtype)
    modules: list[nn.Module] = []
    for weight, bias in initial_values(config):
        if modules:
            modules.append(resolve(config.activation, config.policy).to(dtype))
        # Without its own initialisation: that would draw from the global generator.
        linear = nn.utils.skip_init(nn.Linear, weight.shape[1], weight.shape[0], dtype=dtype)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(weight))
            linear.bias.copy_(torch.from_numpy(bias))
        modules.append(linear)
    return nn.Sequential(*modules)
