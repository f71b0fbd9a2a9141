"""The engine: members that share a shape are one stack of tensors and take one batched step.

The sum of the members' losses has each member's own gradient, so a stack of M networks needs one
forward and one backward pass.  Each member keeps its own data order, rate and initial values; a
member that diverges touches no other.  On a CPU (one thread, hidden widths that are multiples of
32) every member is bit for bit the network that ``torch.nn.Linear`` and an unfused ``torch.optim``
train alone; other shapes agree up to rounding.  On a GPU a step is one CUDA graph, replayed
through the epoch without waiting for the device.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from .. import data
from .config import Config, ConfigError, groups
from .members import data_order, network

__all__ = ["Progress", "Trained", "fit", "train"]

Progress = Callable[[int, int], None]
Row = dict[str, object]

#: Examples in one evaluation batch.  A constant, because the order of summation depends on it.
EVALUATION_BATCH = 2000
#: Steps before a CUDA graph is captured: they create the optimiser's state.
WARM_UP_STEPS = 3
#: Members in one stack on a GPU; a CPU stack is bounded by its cache instead.
LARGEST_STACK = 512
#: Bytes of parameters, gradients and moments up to which stacking pays on a CPU.
CPU_STACK_BYTES = 16 * 2**20


@dataclass(frozen=True)
class Trained:
    """One configuration, its rows, and the trained network on the CPU."""

    config: Config
    rows: list[Row]
    network: nn.Sequential


def fit(
    configs: Iterable[Config],
    *,
    device: str | torch.device | None = None,
    progress: Progress | bool | None = None,
    datasets: Mapping[str, data.Dataset] | None = None,
) -> list[Row]:
    """Train every configuration: tidy rows, one per configuration × epoch, in their order.

    A row holds the fields of its Config, ``epoch`` (from 1), ``running_loss`` and
    ``running_accuracy`` (means over the epoch's training batches, each taken before its update),
    ``train_``, ``valid_`` and ``test_`` ``loss`` and ``accuracy`` at the end of the epoch (None
    where not measured), and ``diverged``: whether a parameter or a loss had stopped being finite
    (accuracies are then NaN).  ``datasets`` gives sets by name in place of ``data.load``.  Without
    ``device`` a GPU is used when there is one.  ``progress`` is called with the finished and the
    total number of network-epochs; True prints them.
    """
    trained = train(configs, device=device, progress=progress, datasets=datasets)
    return [row for member in trained for row in member.rows]


def train(
    configs: Iterable[Config],
    *,
    device: str | torch.device | None = None,
    progress: Progress | bool | None = None,
    datasets: Mapping[str, data.Dataset] | None = None,
) -> list[Trained]:
    """As :func:`fit`, and give the trained networks too: one Trained per configuration."""
    configs = list(configs)
    target = resolve_device(device)
    report = _counter(progress, sum(config.epochs for config in configs))
    results: dict[int, Trained] = {}
    for group in groups(configs):
        first = configs[group[0]]
        source = (datasets or {}).get(first.dataset) or _load(first)
        examples = _Examples.of(source, first, target)
        for positions in _stacks(group, configs, target):
            stack = _Stack([configs[position] for position in positions], examples, target)
            results.update(zip(positions, stack.train(report), strict=True))
    return [results[position] for position in range(len(configs))]


def _stacks(group: list[int], configs: list[Config], device: torch.device) -> list[list[int]]:
    """A group cut to the largest stacks that pay; the members of one rate are side by side."""
    ordered = sorted(group, key=lambda position: configs[position].lr)
    limit = _largest_stack(configs[group[0]], device)
    return [ordered[start : start + limit] for start in range(0, len(ordered), limit)]


def _largest_stack(config: Config, device: torch.device) -> int:
    if device.type != "cpu":
        return LARGEST_STACK
    inputs, outputs = config.widths[:-1], config.widths[1:]
    count = sum((n_in + 1) * n_out for n_in, n_out in zip(inputs, outputs, strict=True))
    copies = 4  # value, gradient, two moments
    return max(1, CPU_STACK_BYTES // (copies * count * getattr(torch, config.dtype).itemsize))


def _load(config: Config) -> data.Dataset:
    return data.load(config.dataset, valid=config.valid)


def resolve_device(device: str | torch.device | None) -> torch.device:
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    chosen = torch.device(device)
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"device must be one that is there; {str(device)!r}: no CUDA device")
    return chosen


def _counter(progress: Progress | bool | None, total: int) -> Callable[[int], None]:
    show = _print_progress() if progress is True else (progress or None)
    done = 0

    def advance(amount: int) -> None:
        nonlocal done
        done += amount
        if show is not None:
            show(done, total)

    return advance


def _print_progress() -> Progress:
    start = time.monotonic()

    def show(done: int, total: int) -> None:
        left = (time.monotonic() - start) / done * (total - done)
        end = "\n" if done == total else ""
        line = f"\r{done:,} of {total:,} network-epochs, {left:.0f} s left "
        print(line, end=end, file=sys.stderr, flush=True)

    return show


@dataclass(frozen=True)
class _Examples:
    """A data set on the device: rows of features (n, widths[0]) and labels (n,) of each split."""

    splits: dict[str, tuple[torch.Tensor, torch.Tensor]]

    @classmethod
    def of(cls, dataset: data.Dataset, config: Config, device: torch.device) -> _Examples:
        dtype = getattr(torch, config.dtype)
        splits = {}
        for name in dict.fromkeys(("train", *config.splits)):
            x, y = dataset.split(name)
            if len(x) == 0:
                continue
            if x.dtype == object or math.prod(x.shape[1:]) != config.widths[0]:
                raise ConfigError(
                    f"widths must start with the number of inputs of {dataset.name}, whose "
                    f"examples have shape {x.shape[1:]}, not with {config.widths[0]}"
                )
            if int(y.max()) >= config.widths[-1]:
                raise ConfigError(
                    f"widths must end with at least {int(y.max()) + 1} classes for {dataset.name}, "
                    f"not with {config.widths[-1]}"
                )
            flat = torch.from_numpy(np.ascontiguousarray(x).reshape(len(x), -1))
            splits[name] = (flat.to(device, dtype), torch.from_numpy(y).to(device))
        return cls(splits)


class _Stack:
    """M networks of one shape, their optimiser, and how they are stepped and measured."""

    def __init__(self, configs: list[Config], examples: _Examples, device: torch.device) -> None:
        self.configs, self.examples, self.device = configs, examples, device
        self.fused = device.type == "cuda"
        self.networks = [network(config) for config in configs]
        self.layers = [_stacked(modules, device) for modules in zip(*self.networks, strict=True)]
        self.parameters = [p for layer in self.layers for p in layer.parameters.values()]
        self.optimizer, self.leaves = self._make_optimizer()
        self.x, self.y = examples.splits["train"]
        members = len(configs)
        self.loss_sum = torch.zeros(members, dtype=torch.float64, device=device)
        self.correct = torch.zeros(members, dtype=torch.int64, device=device)
        self.order = torch.zeros(members, len(self.x), dtype=torch.int64, device=device)
        self.cursor = torch.zeros((), dtype=torch.int64, device=device)
        self.diverged = np.zeros(members, dtype=bool)
        self.graph: torch.cuda.CUDAGraph | None = None
        self.steps = 0

    # One parameter group per rate, of leaf views into the stack: torch.optim itself does the work,
    # and what it computes for a member does not depend on its neighbours.
    def _make_optimizer(self) -> tuple[torch.optim.Optimizer, list[list[torch.Tensor]]]:
        first = self.configs[0]
        rates = [config.lr for config in self.configs]
        starts = [i for i, rate in enumerate(rates) if i == 0 or rate != rates[i - 1]]
        spans = list(zip(starts, [*starts[1:], len(rates)], strict=True))
        leaves = [[p.detach()[a:b] for a, b in spans] for p in self.parameters]
        self.spans = spans
        parameter_groups = [
            {"params": [views[i] for views in leaves], "lr": rates[a]}
            for i, (a, _) in enumerate(spans)
        ]
        options: dict[str, Any] = {"weight_decay": first.weight_decay, "foreach": False}
        if self.fused:
            options = {"weight_decay": first.weight_decay, "fused": True}
        if first.optimizer == "sgd":
            sgd = torch.optim.SGD(parameter_groups, momentum=first.momentum, **options)
            return sgd, leaves
        kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[first.optimizer]
        options["capturable"] = self.device.type == "cuda"
        return kind(parameter_groups, eps=first.eps, **options), leaves

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """(M, n, features) → (M, n, classes)."""
        for layer in self.layers:
            x = layer(x)
        return x

    def losses(self, logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """The loss of each example, (M, n), from logits (M, n, classes) and labels (M, n)."""
        flat, labels = logits.flatten(0, 1), y.flatten()
        if self.configs[0].loss == "mse":
            wanted = functional.one_hot(labels, logits.shape[2]).to(logits.dtype)
            return (flat - wanted).square().mean(1).view(y.shape)
        return functional.cross_entropy(flat, labels, reduction="none").view(y.shape)

    def step(self, indices: torch.Tensor) -> None:
        """One update of every member on its own batch, given by ``indices`` (M, n)."""
        x = self.x.index_select(0, indices.flatten()).view(*indices.shape, -1)
        y = self.y.index_select(0, indices.flatten()).view(indices.shape)
        logits = self.logits(x)
        losses = self.losses(logits, y)
        gradients = torch.autograd.grad(losses.mean(1).sum(), self.parameters)
        for parameter, gradient, views in zip(self.parameters, gradients, self.leaves, strict=True):
            placed = _strided_like(parameter, gradient) if self.fused else gradient
            for view, (a, b) in zip(views, self.spans, strict=True):
                view.grad = placed[a:b]
        self.optimizer.step()
        with torch.no_grad():
            self.loss_sum += losses.sum(1, dtype=torch.float64)
            self.correct += (logits.argmax(2) == y).sum(1)

    def step_at_cursor(self) -> None:
        """The step on the next full batch; every index is computed on the device."""
        batch = torch.arange(self.configs[0].batch, device=self.device)
        self.step(self.order.index_select(1, self.cursor + batch))
        self.cursor += self.configs[0].batch

    def epoch(self) -> None:
        """All batches of ``order``, the last one as short as it comes."""
        self.loss_sum.zero_()
        self.correct.zero_()
        self.cursor.zero_()
        batch, length = self.configs[0].batch, len(self.x)
        for _ in range(length // batch):
            if self.graph is not None:
                self.graph.replay()
                continue
            self.step_at_cursor()
            self.steps += 1
            if self.device.type == "cuda" and self.steps == WARM_UP_STEPS:
                self.graph = self.capture()
        if length % batch:
            self.step(self.order[:, length - length % batch :])

    def capture(self) -> torch.cuda.CUDAGraph:
        """The step as a CUDA graph; capturing runs nothing."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=torch.cuda.current_stream(self.device)):
            self.step_at_cursor()
        return graph

    def shuffle(self, epoch: int) -> torch.Tensor:
        """Every member's data order in ``epoch``, (M, n); equal seeds are drawn once."""
        drawn = {
            seed: data_order(seed, epoch, len(self.x))
            for seed in {config.seed for config in self.configs}
        }
        return torch.from_numpy(np.stack([drawn[config.seed] for config in self.configs]))

    @torch.no_grad()
    def evaluate(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        """Mean loss and accuracy of each member on a split, float64 (M,)."""
        x, y = self.examples.splits[split]
        members = len(self.configs)
        loss = torch.zeros(members, dtype=torch.float64, device=self.device)
        correct = torch.zeros(members, dtype=torch.int64, device=self.device)
        for part, labels in zip(x.split(EVALUATION_BATCH), y.split(EVALUATION_BATCH), strict=True):
            logits = self.logits(part.expand(members, -1, -1))
            wanted = labels.expand(members, -1)
            loss += self.losses(logits, wanted).sum(1, dtype=torch.float64)
            correct += (logits.argmax(2) == wanted).sum(1)
        return _numpy(loss) / len(x), _numpy(correct) / len(x)

    def train(self, report: Callable[[int], None]) -> list[Trained]:
        """Train to the end; one Trained per member, in the order of the configurations."""
        with _own_stream(self.device):
            rows = self.run(report)
            self.write_back()
        return [Trained(*parts) for parts in zip(self.configs, rows, self.networks, strict=True)]

    def run(self, report: Callable[[int], None]) -> list[list[Row]]:
        """All epochs; the rows of each member."""
        rows: list[list[Row]] = [[] for _ in self.configs]
        epochs = self.configs[0].epochs
        following = self.shuffle(1)
        for epoch in range(1, epochs + 1):
            self.order.copy_(following)
            self.epoch()
            if epoch < epochs:
                # Drawn while the device still works on this epoch.
                following = self.shuffle(epoch + 1)
            measured = self.measure(epoch)
            for member, config in enumerate(self.configs):
                values = {name: _scalar(column, member) for name, column in measured.items()}
                rows[member].append({**config.as_dict(), "epoch": epoch, **values})
            report(len(self.configs))
        return rows

    def measure(self, epoch: int) -> dict[str, np.ndarray | None]:
        """The columns of one epoch's rows, each (M,), None where nothing was measured."""
        first, length = self.configs[0], len(self.x)
        due = first.measure == "epoch" or epoch == first.epochs
        columns: dict[str, np.ndarray | None] = {
            "running_loss": _numpy(self.loss_sum) / length,
            "running_accuracy": _numpy(self.correct) / length,
        }
        for split in ("train", "valid", "test"):
            wanted = due and split in first.splits and split in self.examples.splits
            loss, accuracy = self.evaluate(split) if wanted else (None, None)
            columns[f"{split}_loss"], columns[f"{split}_accuracy"] = loss, accuracy
        self.diverged |= ~self.finite()
        for name, column in columns.items():
            if column is not None and name.endswith("loss"):
                self.diverged |= ~np.isfinite(column)
        for name, column in columns.items():
            if column is not None and name.endswith("accuracy"):
                columns[name] = np.where(self.diverged, np.nan, column)
        return {**columns, "diverged": self.diverged.copy()}

    def finite(self) -> np.ndarray:
        """Whether all parameters of each member are finite, bool (M,)."""
        flags = [torch.isfinite(p.detach()).flatten(1).all(1) for p in self.parameters]
        return _numpy(torch.stack(flags).all(0))

    @torch.no_grad()
    def write_back(self) -> None:
        """Put the trained values into the members' own networks."""
        for position, layer in enumerate(self.layers):
            for name, stacked in layer.parameters.items():
                for member, values in zip(self.networks, stacked, strict=True):
                    dict(member[position].named_parameters())[name].copy_(values)


class _Layer:
    """One layer of all members: a template and its parameters stacked along a first axis."""

    def __init__(self, template: nn.Module, parameters: dict[str, torch.Tensor]) -> None:
        self.template, self.parameters = template, parameters

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        if isinstance(self.template, nn.Linear):
            weight, bias = self.parameters["weight"], self.parameters["bias"]
            return torch.baddbmm(bias.unsqueeze(1), x, weight.transpose(1, 2))
        if not self.parameters:
            return self.template(x)
        return torch.func.vmap(self._one)(self.parameters, x)

    def _one(self, parameters: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(self.template, parameters, (x,))


def _stacked(modules: tuple[nn.Module, ...], device: torch.device) -> _Layer:
    names = [name for name, _ in modules[0].named_parameters()]
    tables = [dict(module.named_parameters()) for module in modules]
    stacked = {
        name: torch.stack([table[name].detach() for table in tables]).to(device).requires_grad_()
        for name in names
    }
    return _Layer(modules[0], stacked)


def _strided_like(parameter: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
    """The gradient in the memory layout of its parameter, which a fused optimiser demands."""
    if gradient.stride() == parameter.stride():
        return gradient
    return torch.empty_like(parameter, requires_grad=False).copy_(gradient)


@contextmanager
def _own_stream(device: torch.device) -> Iterator[None]:
    """On a GPU, work on a stream of one's own: the default stream cannot be captured."""
    if device.type != "cuda":
        yield
        return
    outer, inner = torch.cuda.current_stream(device), torch.cuda.Stream(device)
    inner.wait_stream(outer)
    with torch.cuda.stream(inner):
        yield
    outer.wait_stream(inner)


def _numpy(tensor: torch.Tensor) -> np.ndarray:
    return tensor.cpu().numpy()


def _scalar(column: np.ndarray | None, member: int) -> object:
    return None if column is None else column[member].item()
