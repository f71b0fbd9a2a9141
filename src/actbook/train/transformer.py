"""The architecture "transformer": attention and a feed-forward map with the activation, small.

Vaswani et al. 2017, with the normalisation before each map (Xiong et al. 2020) and learnt
positions.  An encoder classifies the mean over its steps; a decoder, which attends to the past
only, predicts at each position of a text the next symbol.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from .. import catalogue, data
from . import architectures
from .architectures import Pair
from .config import ConfigError
from .models import Model

__all__ = ["Transformer", "build", "examples"]


class Attention(nn.Module):
    """softmax(q·kᵀ/√d)·v in ``heads`` parts, (n, T, width) → the same; the past only if causal."""

    def __init__(self, width: int, heads: int, causal: bool) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.into = nn.utils.skip_init(nn.Linear, width, 3 * width)
        self.out = nn.utils.skip_init(nn.Linear, width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Every step looks at every step, or at those before it and itself."""
        length, width = x.shape[1:]
        parts = self.into(x).unflatten(2, (3, self.heads, width // self.heads))
        q, k, v = parts.permute(2, 0, 3, 1, 4).unbind(0)  # each (n, heads, T, width/heads)
        scores = q @ k.transpose(2, 3) / math.sqrt(width // self.heads)
        if self.causal:
            future = torch.ones(length, length, dtype=torch.bool, device=x.device).triu(1)
            scores = scores.masked_fill(future, -math.inf)
        return self.out((scores.softmax(3) @ v).transpose(1, 2).flatten(2))


class Block(nn.Module):
    """x + attention, then x + feed-forward."""

    def __init__(self, model: Model, width: int, inner: int) -> None:
        super().__init__()
        gated = catalogue[model.activation].shape == "gated"
        # Three matrices instead of two: with two thirds of the width, as many parameters.
        units = 2 * inner // 3 if gated else inner
        self.before = nn.ModuleList(_norm(model, width) for _ in range(2))
        self.attention = Attention(width, model.heads, architectures.is_language_model(model))
        self.feed = nn.Sequential(
            nn.utils.skip_init(nn.Linear, width, 2 * units if gated else units),
            architectures.activation(model, units, ("pointwise", "learnable", "gated")),
            nn.utils.skip_init(nn.Linear, units, width),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, T, width) → the same."""
        x = x + self.attention(self.before[0](x))
        return x + self.feed(self.before[1](x))


class Transformer(nn.Module):
    """``forward``: (n, T, features) → (n, classes), or symbols (n, T) → (n, T, symbols)."""

    def __init__(self, model: Model, width: int, inner: int) -> None:
        super().__init__()
        self.reads_text = architectures.is_language_model(model)
        count = architectures.steps(model)
        if self.reads_text:
            self.into: nn.Module = nn.utils.skip_init(nn.Embedding, model.widths[0], width)
        else:
            self.into = nn.utils.skip_init(nn.Linear, model.widths[0] // count, width)
        self.positions = nn.utils.skip_init(nn.Embedding, count, width)
        self.blocks = nn.Sequential(*(Block(model, width, inner) for _ in range(model.blocks)))
        self.after = _norm(model, width)
        self.head = nn.utils.skip_init(nn.Linear, width, model.widths[-1])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The class scores."""
        x = self.after(self.blocks(self.into(x) + self.positions.weight))
        return self.head(x if self.reads_text else x.mean(1))


def _norm(model: Model, width: int) -> nn.Module:
    return nn.LayerNorm(width) if model.normalisation == "layer" else nn.Identity()


def build(model: Model) -> nn.Module:
    """The network; ``widths``: inputs, width, inner width of the feed-forward maps, classes.

    ``blocks``, ``heads`` and ``normalisation``, "none" or "layer", are those of the model.  The
    inputs of an example are cut into ``context`` steps, the rows of a square image without one.
    With a context, and as many classes as inputs, it reads a text of that many symbols.  A gated
    activation has two thirds of the inner width, and so as many weights.
    """
    architectures.checked(
        model, normalisation=("none", "layer"), residual=(False,), dropout=(0.0,),
        per_unit=(False,),
    )  # fmt: skip
    width, inner = architectures.hidden_widths(
        model, 2, "the inputs, the width, the inner width and the classes"
    )
    if width % model.heads:
        raise ConfigError(f"heads must divide the width, {width}; {model.heads} does not")
    record = catalogue.get(model.activation)
    if record is not None and record.shape == "gated" and "dead" in model.record:
        raise ConfigError(
            f"record must be without 'dead' for {model.activation!r}, whose units have two slopes"
        )
    if record is None:
        architectures.activation(model, inner)
    return architectures.initialised(Transformer(model, width, inner), model)


def examples(dataset: data.Dataset, model: Model, split: str) -> Pair:
    """Sequences (n, T, features) and their labels, or windows of a text and what comes next."""
    return architectures.sequences(dataset, model, split)
