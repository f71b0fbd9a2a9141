"""Training members of one shape together: the engine's stack, with the layers of a ``Model``.

On a GPU a step is the engine's: autograd, the fused optimiser, one CUDA graph.  On a CPU the
backward pass is by hand (:mod:`.layers`) and so is the optimiser (:mod:`.updates`), which spares
most of what a step costs besides its arithmetic; both have the bits of autograd and of the unfused
``torch.optim``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from .. import data
from . import engine, recording
from .checkpoint import Keeper
from .config import Config, ConfigError, groups
from .engine import EVALUATION_BATCH, Progress, Row, Trained, _strided_like
from .examples import Examples
from .layers import Layer, backward, cross_entropy, forward, stacked
from .models import Model, as_model
from .networks import network
from .updates import Updates

__all__ = ["Stack", "train"]

#: Bytes of parameters, gradients and moments of a stack on a CPU, and the members that stay
#: together even where those of fewer take more.
CACHE_BYTES, FEW = 5 * 2**20, 8


def train(
    configs: Iterable[Config],
    *,
    device: str | torch.device | None = None,
    progress: Progress | bool | None = None,
    datasets: Mapping[str, data.Dataset] | None = None,
    checkpoint: Path | None = None,
) -> list[Trained]:
    """As :func:`actbook.train.models.train`, which says it."""
    configs = list(configs)
    models = [as_model(config) for config in configs]
    target = engine.resolve_device(device)
    report = engine._counter(progress, sum(config.epochs for config in configs))
    results: dict[int, Trained] = {}
    keeper = Keeper.of(checkpoint, configs, target)
    for group in groups(models):
        first = models[group[0]]
        source = (datasets or {}).get(first.dataset) or data.load(first.dataset, valid=first.valid)
        examples = Examples.of(source, first, target)
        _check_batches(first, len(examples.splits["train"][0]))
        for positions in _stacks(group, models, target):
            stack = Stack([configs[position] for position in positions], examples, target)
            stack.keeper, stack.number = keeper, len(results)
            results.update(zip(positions, stack.train(report), strict=True))
    return [results[position] for position in range(len(configs))]


def _check_batches(model: Model, examples: int) -> None:
    if model.normalisation == "batch" and 1 in (model.batch, examples % model.batch):
        raise ConfigError(
            f"batch must leave no batch of one example, which has no variance to normalise by; "
            f"{model.batch} does with {examples} training examples"
        )


def _stacks(group: list[int], models: list[Model], device: torch.device) -> list[list[int]]:
    """A group cut to the stacks that pay; the members of one rate are side by side."""
    ordered = sorted(group, key=lambda position: models[position].lr)
    limit = engine._largest_stack(models[group[0]], device)
    if device.type == "cpu":
        # Measured: 16 to 32 members of 64-128-10 go fastest, 32 with seven layers of 64; of large
        # networks FEW are better than one.
        limit = max(1, limit * CACHE_BYTES // engine.CPU_STACK_BYTES, min(limit, FEW))
        if models[group[0]].architecture != "mlp":
            limit = 1  # a whole network runs alone
    return [ordered[start : start + limit] for start in range(0, len(ordered), limit)]


class Stack(engine._Stack):
    """M networks of one ``Model`` that differ in seed and rate."""

    def __init__(self, configs: list[Config], examples: Examples, device: torch.device) -> None:
        self.configs, self.device = configs, device
        self.examples: Any = examples
        models = [as_model(config) for config in configs]
        self.model = models[0]
        self.fused = device.type == "cuda"
        self.networks = [network(model) for model in models]
        self.layers: Any = stacked(self.networks, "", device)
        self.updates: Updates | None = None
        if device.type == "cpu":
            self._by_hand()
        self.parameters = [layer.parameters[name] for layer, name in self.homes()]
        if self.updates is None:
            self.optimizer, self.leaves = self._make_optimizer()
        self.x, self.y = examples.splits["train"]
        members = len(configs)
        self.loss_sum = torch.zeros(members, dtype=torch.float64, device=device)
        self.correct = torch.zeros(members, dtype=torch.int64, device=device)
        self.order = torch.zeros(members, len(self.x), dtype=torch.int64, device=device)
        self.cursor = torch.zeros((), dtype=torch.int64, device=device)
        self.diverged = np.zeros(members, dtype=bool)
        self.graph = None
        self.steps = self.done = 0
        self.keeper, self.number = Keeper(None), 0
        # What is recorded is read off this network, which is loaded with one member after another.
        self.twin = network(self.model).to(device) if self.model.record else nn.Sequential()

    def homes(self) -> list[tuple[Layer, str]]:
        """Where each parameter belongs: its layer and its name there."""
        return [home for layer in self.layers for home in layer.homes()]

    def _by_hand(self) -> None:
        """All parameters in one vector, their gradients in another, and the optimiser of both."""
        homes = self.homes()
        values = [layer.parameters[name].detach() for layer, name in homes]
        vector = torch.cat([value.flatten() for value in values])
        gradients = torch.zeros_like(vector)
        position = 0
        for (layer, name), value in zip(homes, values, strict=True):
            part = slice(position, position + value.numel())
            layer.parameters[name] = vector[part].view(value.shape).detach().requires_grad_()
            layer.gradients[name] = gradients[part].view(value.shape)
            position += value.numel()
        rates = [config.lr for config in self.configs]
        sizes = [value[0].numel() for value in values]
        self.updates = Updates(self.model, rates, sizes, vector, gradients)

    def mode(self, training: bool) -> None:
        """Switch all layers between training and evaluation."""
        for layer in self.layers:
            layer.mode(training)

    def step(self, indices: torch.Tensor) -> None:
        """One update of every member on its own batch, given by ``indices`` (M, n)."""
        members, count = indices.shape
        x = self.x.index_select(0, indices.flatten()).view(members, count, *self.x.shape[1:])
        y = self.y.index_select(0, indices.flatten()).view(members, -1)
        logits, losses = self._step_by_hand(x, y) if self.updates else self._step(x, y)
        with torch.no_grad():
            self.loss_sum += losses.sum(1, dtype=torch.float64)
            self.correct += (self.predicted(logits) == y).sum(1)

    def predicted(self, logits: torch.Tensor) -> torch.Tensor:
        """The class of the largest logit, the first of equals: (M, n)."""
        if self.device.type != "cpu":
            return logits.argmax(2)
        return torch.from_numpy(logits.detach().numpy().argmax(2))  # in half the time

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """(M, n, …) → (M, predictions, classes)."""
        return super().logits(x).flatten(1, -2)

    def _step(self, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        logits = self.logits(x)
        losses = self.losses(logits, y)
        gradients = torch.autograd.grad(self.total(logits, y, losses), self.parameters)
        for parameter, gradient, views in zip(self.parameters, gradients, self.leaves, strict=True):
            placed = _strided_like(parameter, gradient) if self.fused else gradient
            for view, (a, b) in zip(views, self.spans, strict=True):
                view.grad = placed[a:b]
        self.optimizer.step()
        return logits, losses

    @torch.no_grad()
    def _step_by_hand(self, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        assert self.updates is not None
        outputs = forward(self.layers, x)
        logits = outputs.flatten(1, -2)
        losses, upstream = self.losses_and_gradient(logits, y)
        backward(self.layers, upstream.view(outputs.shape), first=True)
        self.updates.step()
        return logits, losses

    def total(self, logits: torch.Tensor, y: torch.Tensor, losses: torch.Tensor) -> torch.Tensor:
        """A number whose gradient is, for every member, that of its own mean loss."""
        if self.model.loss != "mse":
            return losses.mean(1).sum()
        # Divided once, as a single mean is: dividing twice would round twice.
        wanted = functional.one_hot(y, logits.shape[2]).to(logits.dtype)
        squares = functional.mse_loss(logits, wanted, reduction="none")
        return (squares * (1 / logits[0].numel())).sum()

    def losses_and_gradient(
        self, logits: torch.Tensor, y: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Each prediction's loss (M, n) and the gradient of :meth:`total`, like ``logits``."""
        if self.model.loss == "mse":
            with torch.enable_grad():
                leaf = logits.detach().requires_grad_()
                losses = self.losses(leaf, y)
                (gradient,) = torch.autograd.grad(self.total(leaf, y, losses), leaf)
            return losses.detach(), gradient
        flat, labels = logits.flatten(0, 1), y.flatten()
        losses, gradient = cross_entropy(flat, labels, y.shape[1])
        return losses.view(y.shape), gradient.view(logits.shape)

    @torch.no_grad()
    def evaluate(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        """Mean loss and accuracy of each member on a split, float64 (M,), in evaluation mode."""
        x, y = self.examples.splits[split]
        members, size = len(self.configs), self.evaluation_batch
        loss = torch.zeros(members, dtype=torch.float64, device=self.device)
        correct = torch.zeros(members, dtype=torch.int64, device=self.device)
        self.mode(False)
        for part, labels in zip(x.split(size), y.split(size), strict=True):
            logits = self.logits(part.expand(members, *part.shape))
            wanted = labels.flatten().expand(members, -1)
            loss += self.losses(logits, wanted).sum(1, dtype=torch.float64)
            correct += (self.predicted(logits) == wanted).sum(1)
        self.mode(True)
        return engine._numpy(loss) / y.numel(), engine._numpy(correct) / y.numel()

    @property
    def evaluation_batch(self) -> int:
        """Examples in one evaluation batch: a constant, for the order of a sum depends on it."""
        return EVALUATION_BATCH if self.model.architecture == "mlp" else EVALUATION_BATCH // 10

    def measure(self, epoch: int) -> dict[str, np.ndarray | None]:
        """The columns of one epoch's rows, with those that are recorded."""
        columns = super().measure(epoch)
        predictions = self.y[0].numel()  # of each example; the engine divides by the examples
        for name in ("running_loss", "running_accuracy"):
            column = columns[name]
            columns[name] = None if column is None else column / predictions
        if not self.model.record:
            return columns
        due = self.model.measure == "epoch" or epoch == self.model.epochs
        return {**columns, **recording.columns(self, due)}

    def run(self, report: Callable[[int], None]) -> list[list[Row]]:
        """All epochs, from where a checkpoint left off; the rows of each member."""
        rows: list[list[Row]] = [[] for _ in self.configs]
        begin, epochs = self.keeper.restore(self, rows), self.model.epochs
        said = [config.as_dict() for config in self.configs]
        following = self.shuffle(begin)
        for epoch in range(begin, epochs + 1):
            self.order.copy_(following)
            if self.updates:
                self._epoch_by_hand(partial(self.keeper.offer, self, rows, epoch))
            else:
                self.epoch()
            if epoch < epochs:
                # Drawn while a GPU still works on this epoch.
                following = self.shuffle(epoch + 1)
            measured = self.measure(epoch)
            for member, fields in enumerate(said):
                values = {name: engine._scalar(c, member) for name, c in measured.items()}
                rows[member].append({**fields, "epoch": epoch, **values})
            report(len(self.configs))
            self.keeper.offer(self, rows, epoch + 1)
        return rows

    def _epoch_by_hand(self, offer: Callable[[], None]) -> None:
        """What is left of an epoch's batches; ``done`` counts the examples that are behind."""
        if not self.done:
            self.loss_sum.zero_()
            self.correct.zero_()
        while self.done < len(self.x):
            indices = self.order[:, self.done : self.done + self.model.batch]
            self.step(indices)
            self.done += indices.shape[1]
            if self.done < len(self.x):
                offer()
        self.done = 0

    def state(self) -> dict[str, Any]:
        """Everything that further training depends on: numbers, tensors and lists of them."""
        optimizer = self.updates.state() if self.updates else self.optimizer.state_dict()
        return {
            "values": [value.detach().clone() for _, value in self._values()],
            "optimizer": optimizer,
            "sums": [self.loss_sum.clone(), self.correct.clone()],
            "diverged": self.diverged.tolist(),
            "done": self.done,
        }

    @torch.no_grad()
    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from a :meth:`state`."""
        for (_, value), kept in zip(self._values(), state["values"], strict=True):
            value.copy_(kept)
        if self.updates:
            self.updates.load_state(state["optimizer"])
        else:
            self.optimizer.load_state_dict(state["optimizer"])
        for value, kept in zip((self.loss_sum, self.correct), state["sums"], strict=True):
            value.copy_(kept)
        self.diverged[:] = state["diverged"]
        self.done = state["done"]

    def _values(self) -> list[tuple[str, torch.Tensor]]:
        """Parameters and buffers of all members by their names in the network."""
        return [item for layer in self.layers for item in layer.state()]

    @torch.no_grad()
    def load_member(self, into: nn.Module, member: int) -> None:
        """Copy a member's values, running statistics too, into a plain network."""
        tensors = {**dict(into.named_parameters()), **dict(into.named_buffers())}
        for name, values in self._values():
            tensors[name].copy_(values[member])

    def write_back(self) -> None:
        """Put the trained values into the members' own networks, ready for evaluation."""
        for member, own in enumerate(self.networks):
            self.load_member(own, member)
            own.eval()
