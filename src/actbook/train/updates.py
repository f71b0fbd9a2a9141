"""The optimisers of ``torch.optim``, one by one element, on a few long vectors.

A stack on a CPU keeps the parameters of all its members in one vector, and so their gradients and
moments.  The updates below are, operation for operation, those of the unfused ``torch.optim``; they
run over pieces that fit a processor's cache, without a temporary of the size of the stack.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from .config import Config

__all__ = ["Updates"]

#: Elements updated at a time: parameter, gradient, two moments and a temporary stay in the cache.
PIECE = 2**16
#: As in ``torch.optim``.
BETAS = (0.9, 0.999)


@dataclass(frozen=True)
class _Piece:
    """Elements of one rate: views of the vectors."""

    rate: float
    parameter: torch.Tensor
    gradient: torch.Tensor
    moments: tuple[torch.Tensor, ...]
    scratch: torch.Tensor


class Updates:
    """Steps of the optimiser that ``config`` names.

    ``rates`` are those of the members; ``sizes`` the elements of each parameter in the vector, in
    which the values of all members stand side by side.
    """

    def __init__(
        self,
        config: Config,
        rates: Sequence[float],
        sizes: Sequence[int],
        parameters: torch.Tensor,
        gradients: torch.Tensor,
    ) -> None:
        self.config, self.steps = config, 0
        count = {"adam": 2, "adamw": 2}.get(config.optimizer, int(config.momentum != 0))
        self.moments = tuple(torch.zeros_like(parameters) for _ in range(count))
        # The root of zero takes long, and the gradients of unused pixels and dead units have many.
        # What stands in for it is lost in ``eps``, to the last bit.
        about = torch.finfo(parameters.dtype)
        lost = config.eps * about.eps > 2**8 * math.sqrt(about.tiny)
        self.floor = about.tiny if lost else 0.0
        scratch = torch.empty(2, min(PIECE, len(parameters)), dtype=parameters.dtype)
        self.pieces = [
            _Piece(
                rate, parameters[a:b], gradients[a:b], tuple(m[a:b] for m in self.moments),
                scratch[:, : b - a],
            )
            for start, end, rate in _runs(rates, sizes)
            for a, b in _cut(start, end)
        ]  # fmt: skip

    def step(self) -> None:
        """Update every parameter by its gradient."""
        self.steps += 1
        update = self._sgd if self.config.optimizer == "sgd" else self._adam
        for piece in self.pieces:
            update(piece)

    def state(self) -> dict[str, Any]:
        """What further steps depend on, besides the parameters."""
        return {"steps": self.steps, "moments": [moment.clone() for moment in self.moments]}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from a :meth:`state`."""
        self.steps = state["steps"]
        for moment, kept in zip(self.moments, state["moments"], strict=True):
            moment.copy_(kept)

    def _adam(self, piece: _Piece) -> None:
        first, second = BETAS
        decay, decoupled = self.config.weight_decay, self.config.optimizer == "adamw"
        gradient, root = piece.gradient, piece.scratch[0]
        if decay and decoupled:
            piece.parameter.mul_(1 - piece.rate * decay)
        elif decay:
            gradient = torch.add(gradient, piece.parameter, alpha=decay, out=piece.scratch[1])
        mean, square = piece.moments
        mean.lerp_(gradient, 1 - first)
        square.mul_(second).addcmul_(gradient, gradient, value=1 - second)
        size = piece.rate / (1 - first**self.steps)
        torch.clamp_min(square, self.floor, out=root).sqrt_()
        root.div_((1 - second**self.steps) ** 0.5).add_(self.config.eps)
        piece.parameter.addcdiv_(mean, root, value=-size)

    def _sgd(self, piece: _Piece) -> None:
        gradient = piece.gradient
        if self.config.weight_decay:
            gradient = torch.add(
                gradient, piece.parameter, alpha=self.config.weight_decay, out=piece.scratch[1]
            )
        if piece.moments:
            (buffer,) = piece.moments
            if self.steps == 1:
                buffer.copy_(gradient)
            else:
                buffer.mul_(self.config.momentum).add_(gradient)
            gradient = buffer
        piece.parameter.add_(gradient, alpha=-piece.rate)


def _runs(rates: Sequence[float], sizes: Sequence[int]) -> list[tuple[int, int, float]]:
    """Stretches (start, end, rate) of the vector that have one rate, as long as they come."""
    runs: list[tuple[int, int, float]] = []
    position = 0
    for size in sizes:
        for rate in rates:
            if runs and runs[-1][2] == rate:
                runs[-1] = (runs[-1][0], position + size, rate)
            else:
                runs.append((position, position + size, rate))
            position += size
    return runs


def _cut(start: int, end: int) -> list[tuple[int, int]]:
    """Equal pieces of at most PIECE elements, cut at multiples of a vector register."""
    count = math.ceil((end - start) / PIECE)
    size = math.ceil((end - start) / count / 64) * 64
    return [(a, min(a + size, end)) for a in range(start, end, size)]
