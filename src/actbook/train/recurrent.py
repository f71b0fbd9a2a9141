"""The architectures "rnn", "lstm" and "gru": states that are carried along a sequence.

The activation of the catalogue stands where the classical networks have tanh: in the state map of
the "rnn", for the candidate and the output of the "lstm" (Hochreiter & Schmidhuber 1997, with
forget gates), and for the candidate of the "gru" (Cho et al. 2014).  Gates are logistic.
"""

from __future__ import annotations

import torch
from torch import nn

from .. import data
from . import architectures
from .architectures import Pair
from .models import Model

__all__ = ["Recurrent", "build", "examples"]

#: Blocks of rows in the maps of one layer: its gates and its candidate.
PARTS = {"rnn": 1, "lstm": 4, "gru": 3}


class Recurrent(nn.Module):
    """Layers of states; the last state of the last layer, or every one for a text, is read out.

    ``forward``: (n, T, features) → (n, classes), or symbols (n, T) → (n, T, symbols).
    """

    def __init__(self, model: Model, hidden: tuple[int, ...]) -> None:
        super().__init__()
        self.kind = model.architecture
        self.reads_text = architectures.is_language_model(model)
        features = hidden[0] if self.reads_text else model.widths[0] // architectures.steps(model)
        if self.reads_text:
            self.embedding = nn.utils.skip_init(nn.Embedding, model.widths[0], features)
        self.layers = nn.ModuleList()
        for units in hidden:
            self.layers.append(Carried(model, features, units))
            features = units
        self.head = nn.utils.skip_init(nn.Linear, features, model.widths[-1])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The class scores."""
        if self.reads_text:
            x = self.embedding(x)
        for layer in self.layers:
            x = layer(x)
        return self.head(x if self.reads_text else x[:, -1])


class Carried(nn.Module):
    """One layer: (n, T, features) → its states (n, T, units), from a state of zeros."""

    def __init__(self, model: Model, features: int, units: int) -> None:
        super().__init__()
        self.kind, self.units = model.architecture, units
        rows = PARTS[self.kind] * units
        self.of_input = nn.utils.skip_init(nn.Linear, features, rows)
        self.of_state = nn.utils.skip_init(nn.Linear, units, rows)
        self.function = architectures.activation(model, units)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Step after step."""
        inputs = self.of_input(x)
        state = x.new_zeros(len(x), self.units)
        cell, states = state, []
        for step in inputs.unbind(1):
            if self.kind == "rnn":
                state = self.function(step + self.of_state(state))
            elif self.kind == "gru":
                state = self._gru(step, state)
            else:
                state, cell = self._lstm(step, state, cell)
            states.append(state)
        return torch.stack(states, 1)

    def _gru(self, step: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        reset, update, candidate = step.chunk(3, 1)
        reset_state, update_state, candidate_state = self.of_state(state).chunk(3, 1)
        r = torch.sigmoid(reset + reset_state)
        z = torch.sigmoid(update + update_state)
        new = self.function(candidate + r * candidate_state)
        return (1 - z) * new + z * state

    def _lstm(
        self, step: torch.Tensor, state: torch.Tensor, cell: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        into, keep, candidate, out = (step + self.of_state(state)).chunk(4, 1)
        kept = torch.sigmoid(keep) * cell
        cell = kept + torch.sigmoid(into) * self.function(candidate)
        return torch.sigmoid(out) * self.function(cell), cell


def build(model: Model) -> nn.Module:
    """The network; ``widths``: inputs, the units of one or more layers, classes.

    The inputs of an example are cut into ``context`` steps, the rows of a square image without
    one.  With a context, and as many classes as inputs, it reads a text of that many symbols.
    """
    architectures.checked(model, normalisation=("none",), residual=(False,), dropout=(0.0,))
    hidden = architectures.hidden_widths(
        model, None, "the inputs, the units of each layer, and the classes"
    )
    return architectures.initialised(Recurrent(model, hidden), model)


def examples(dataset: data.Dataset, model: Model, split: str) -> Pair:
    """Sequences (n, T, features) and their labels, or windows of a text and what comes next."""
    return architectures.sequences(dataset, model, split)
