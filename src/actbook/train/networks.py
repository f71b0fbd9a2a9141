"""The plain network of one member, built from ``torch.nn`` modules: what it is trained alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import nn

from .. import catalogue
from .activations import resolve
from .config import ConfigError
from .masks import kept, member_key
from .members import initial_values
from .models import Model, architecture

__all__ = ["Dropout", "Residual", "activation", "initial", "network"]

#: The stream of a seed's biases; those of its weights and of its data order are in ``members``.
_BIASES = 2
#: −λα of SELU, to which alpha dropout sets what it drops.
SATURATION = -1.0507009873554804934193349852946 * 1.6732632423543772848170429916717


class Dropout(nn.Module):
    """Dropout whose masks follow from the seed, the layer and the number of the training step.

    ``step`` counts the forward passes in training mode; in evaluation mode it is the identity.
    """

    step: torch.Tensor

    def __init__(self, seed: int, layer: int, rate: float, kind: str) -> None:
        super().__init__()
        self.key, self.rate, self.kind = member_key(seed, layer), rate, kind
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, units) → (n, units)."""
        if not self.training:
            return x
        key = torch.full((1,), self.key, dtype=torch.int64, device=x.device)
        mask = kept(key, self.step, torch.Size((1, *x.shape)), self.rate)[0]
        self.step += 1
        return dropped(x, mask, self.rate, self.kind)

    def extra_repr(self) -> str:
        """Rate and kind."""
        return f"{self.rate}, {self.kind!r}"


def dropped(x: torch.Tensor, mask: torch.Tensor, rate: float, kind: str) -> torch.Tensor:
    """x·m/(1 − p), or for "alpha" a·(x·m + s·(1 − m)) + b with mean 0 and variance 1 kept."""
    keep = 1 - rate
    if kind == "plain":
        return x * (mask.to(x.dtype) * (1 / keep))
    scale = (keep + SATURATION**2 * keep * rate) ** -0.5
    shift = -scale * rate * SATURATION
    chosen = mask.to(x.dtype)
    return x * (chosen * scale) + ((1 - chosen) * (scale * SATURATION) + shift)


class Residual(nn.Sequential):
    """x + f(x)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The input added to what the modules make of it."""
        return x + super().forward(x)


def activation(model: Model, units: int) -> nn.Module:
    """A fresh module of the model's activation, with its parameters where they were put."""
    module = resolve(model.activation, model.policy)
    if not model.parameters and not model.per_unit:
        return module
    record = catalogue[model.activation]
    try:
        record = record.at(**dict(model.parameters))
    except (ValueError, TypeError) as error:
        raise ConfigError(f"parameters: {error}") from error
    if model.per_unit and record.shape != "learnable":
        raise ConfigError(
            f"per_unit must be False for {model.activation!r}, which has nothing to learn"
        )
    return record.module(policy=model.policy, **({"channels": units} if model.per_unit else {}))


def initial(model: Model) -> list[tuple[np.ndarray, np.ndarray]]:
    """Weight (out, in) and bias (out,) of each linear layer, float64."""
    if model.gain is None:
        return initial_values(model)
    generator = np.random.default_rng([model.seed, _BIASES])
    return [
        (model.gain * weight, model.bias_std * generator.standard_normal(bias.shape))
        for weight, bias in initial_values(replace(model, init="lecun", gain=None, bias_std=0.0))
    ]


def network(model: Model) -> nn.Sequential:
    """The network of ``model`` before training; other than an "mlp" it is one module."""
    if model.architecture != "mlp":
        return nn.Sequential(architecture(model).build(model))
    dtype = getattr(torch, model.dtype)
    layers = [_linear(weight, bias, dtype) for weight, bias in initial(model)]
    modules: list[nn.Module] = []
    for position, linear in enumerate(layers[:-1]):
        units = linear.out_features
        hidden: list[nn.Module] = [linear]
        if model.normalisation == "batch":
            hidden.append(nn.BatchNorm1d(units, dtype=dtype))
        elif model.normalisation == "layer":
            hidden.append(nn.LayerNorm(units, dtype=dtype))
        hidden.append(activation(model, units).to(dtype))
        if model.dropout:
            hidden.append(Dropout(model.seed, position, model.dropout, model.dropout_kind))
        if model.residual and linear.in_features == units:
            hidden = [Residual(*hidden)]
        modules += hidden
    return nn.Sequential(*modules, layers[-1])


def _linear(weight: np.ndarray, bias: np.ndarray, dtype: torch.dtype) -> nn.Linear:
    # Put together by hand: its own initialisation would draw from the global generator, and to
    # skip that (``skip_init``) takes longer than some networks train.
    linear = nn.Linear.__new__(nn.Linear)
    nn.Module.__init__(linear)
    linear.out_features, linear.in_features = weight.shape
    linear.weight = nn.Parameter(torch.from_numpy(weight).to(dtype))
    linear.bias = nn.Parameter(torch.from_numpy(bias).to(dtype))
    return linear
