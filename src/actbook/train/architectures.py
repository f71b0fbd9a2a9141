"""What the architectures besides the multilayer perceptron share: checks, draws, sequences."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn

from .. import catalogue, data
from .activations import POINTWISE
from .config import ConfigError
from .models import Model

__all__ = ["activation", "checked", "image_side", "initialised", "is_language_model", "sequences"]

# Streams of one seed, as in ``members`` and ``networks``.
_VALUES, _BIASES = 0, 2

Pair = tuple[torch.Tensor, torch.Tensor]


def checked(model: Model, **allowed: tuple[object, ...]) -> None:
    """ConfigError unless each named field has one of the values that the architecture allows."""
    for name, values in allowed.items():
        given = getattr(model, name)
        if given not in values:
            listed = " or ".join(map(repr, values))
            raise ConfigError(f"{name} must be {listed} for {model.architecture!r}, not {given!r}")


def activation(model: Model, units: int, shapes: tuple[str, ...] = POINTWISE) -> nn.Module:
    """A fresh module of the model's activation; ConfigError when its shape is none of these."""
    try:
        record = catalogue[model.activation].at(**dict(model.parameters))
    except KeyError as error:
        raise ConfigError(f"activation: {error.args[0]}") from error
    except (ValueError, TypeError) as error:
        raise ConfigError(f"parameters: {error}") from error
    if record.shape not in shapes:
        raise ConfigError(
            f"activation must be {' or '.join(shapes)} for {model.architecture!r}; "
            f"{model.activation!r} is {record.shape}"
        )
    if model.per_unit and record.shape != "learnable":
        raise ConfigError(
            f"per_unit must be False for {model.activation!r}, which has nothing to learn"
        )
    return record.module(policy=model.policy, **({"channels": units} if model.per_unit else {}))


def initialised(network: nn.Module, model: Model) -> nn.Module:
    """The network with initial values drawn from the model's seed, in the model's dtype.

    Linear maps and convolutions start as the model's ``init`` or ``gain`` says, with the fans of
    one output; embeddings are N(0, 1/width).
    """
    values = np.random.default_rng([model.seed, _VALUES])
    biases = np.random.default_rng([model.seed, _BIASES])
    for module in network.modules():
        if isinstance(module, nn.Embedding):
            _put(module.weight, values.standard_normal(module.weight.shape)
                 / math.sqrt(module.embedding_dim))  # fmt: skip
        if isinstance(module, nn.Linear | nn.Conv2d):
            _put(module.weight, _weight(model, tuple(module.weight.shape), values))
            if module.bias is not None:
                fan_in = module.weight[0].numel()
                _put(module.bias, _bias(model, len(module.bias), fan_in, biases))
    return network.to(getattr(torch, model.dtype))


def _weight(model: Model, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
    fan_in, fan_out = math.prod(shape[1:]), shape[0] * math.prod(shape[2:])
    if model.gain is None and model.init in ("torch", "glorot"):
        fans = {"torch": 1 / fan_in, "glorot": 6 / (fan_in + fan_out)}
        bound = math.sqrt(fans[model.init])
        return generator.uniform(-bound, bound, shape)
    gain = {"he": math.sqrt(2), "lecun": 1.0}[model.init] if model.gain is None else model.gain
    return gain / math.sqrt(fan_in) * generator.standard_normal(shape)


def _bias(model: Model, size: int, fan_in: int, generator: np.random.Generator) -> np.ndarray:
    if model.gain is None and model.init == "torch":
        bound = 1 / math.sqrt(fan_in)
        return generator.uniform(-bound, bound, size)
    return model.bias_std * generator.standard_normal(size)


@torch.no_grad()
def _put(parameter: torch.Tensor, values: np.ndarray) -> None:
    parameter.copy_(torch.from_numpy(values))


def image_side(model: Model) -> int:
    """The side of the square images whose pixels are the model's inputs."""
    side = math.isqrt(model.widths[0])
    if side * side != model.widths[0]:
        raise ConfigError(
            f"widths must start with the number of pixels of a square image for "
            f"{model.architecture!r}, not with {model.widths[0]}"
        )
    return side


def is_language_model(model: Model) -> bool:
    """Whether it predicts, at each position of a text, the next of the symbols that it reads."""
    return model.context > 0 and model.widths[0] == model.widths[-1]


def steps(model: Model) -> int:
    """The steps of a sequence: ``context``, or the rows of a square image."""
    count = model.context or image_side(model)
    if not is_language_model(model) and model.widths[0] % count:
        raise ConfigError(
            f"context must divide the number of inputs, {model.widths[0]}, into steps; "
            f"{model.context} does not"
        )
    return count


def sequences(dataset: data.Dataset, model: Model, split: str) -> Pair:
    """Steps of real numbers (n, T, features) with a label each, or windows of a text.

    Windows (n, T) follow one another without overlap, and each has T labels: what comes next.
    """
    x, y = dataset.split(split)
    count = steps(model)
    if is_language_model(model):
        return _windows(dataset, model, count, x, y)
    _check_labels(dataset, model, y)
    if x.dtype.kind != "f" or math.prod(x.shape[1:]) != model.widths[0]:
        raise ConfigError(
            f"widths must start with the numbers in an example of {dataset.name}, whose examples "
            f"have shape {x.shape[1:]} and type {x.dtype}, not with {model.widths[0]}"
        )
    values = torch.from_numpy(np.ascontiguousarray(x)).reshape(len(x), count, -1)
    return values.to(getattr(torch, model.dtype)), torch.from_numpy(y)


def _windows(dataset: data.Dataset, model: Model, count: int, x: np.ndarray, y: np.ndarray) -> Pair:
    if x.dtype.kind != "i" or x.ndim != 1 or len(x) < count:
        raise ConfigError(
            f"dataset must be a text of at least {count} symbols for a model whose classes are its "
            f"inputs; {dataset.name} has examples of type {x.dtype} and shape {x.shape}"
        )
    if max(x.max(), y.max()) >= model.widths[0]:
        raise ConfigError(
            f"widths must start and end with at least {max(x.max(), y.max()) + 1} symbols for "
            f"{dataset.name}, not with {model.widths[0]}"
        )
    whole = len(x) // count * count
    pair = (torch.from_numpy(part[:whole].reshape(-1, count)).long() for part in (x, y))
    return tuple(pair)  # type: ignore[return-value]


def _check_labels(dataset: data.Dataset, model: Model, y: np.ndarray) -> None:
    if int(y.max()) >= model.widths[-1]:
        raise ConfigError(
            f"widths must end with at least {int(y.max()) + 1} classes for {dataset.name}, not "
            f"with {model.widths[-1]}"
        )


def images(dataset: data.Dataset, model: Model, split: str) -> Pair:
    """Images (n, 1, side, side) and their labels."""
    x, y = dataset.split(split)
    side = image_side(model)
    if x.dtype.kind != "f" or x.shape[1:] != (side, side):
        raise ConfigError(
            f"dataset must have images of {side} × {side} for widths that start with "
            f"{model.widths[0]}; {dataset.name} has examples of shape {x.shape[1:]}"
        )
    _check_labels(dataset, model, y)
    values = torch.from_numpy(np.ascontiguousarray(x)).unsqueeze(1)
    return values.to(getattr(torch, model.dtype)), torch.from_numpy(y)


def hidden_widths(model: Model, count: int | None, meaning: str) -> tuple[int, ...]:
    """The widths between the first and the last; ConfigError unless there are ``count``."""
    hidden = model.widths[1:-1]
    if len(hidden) != count if count else not hidden:
        raise ConfigError(f"widths must be {meaning} for {model.architecture!r}, "
                          f"not {model.widths!r}")  # fmt: skip
    return hidden
