"""Networks trained together against the same networks trained one after the other.

Three ways to the same weights: the package's stack; a plain loop that slices tensors; a loop over a
``DataLoader``.  All use the same examples in the same order and an unfused Adam.  Rounds of the
three are interleaved, so that whatever else the machine does falls on all alike, and the median
counts.

What a stack saves is the cost of calls, of which a small network has many for little arithmetic.
An activation whose own arithmetic takes most of a step gains less: our GELU, in eager mode, takes
many passes over memory where the framework's takes one, alone as in a stack.  The framework's is
not used because its error is beyond what the policy allows, and because stored results answer for
ours.  With it the three ways would stand to each other nearly as they do for ReLU.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from .. import data
from ..train import models
from ..train.config import Config
from ..train.engine import resolve_device
from ..train.members import data_order

__all__ = ["PROTOCOL", "WAYS", "Timing", "measure"]

#: 64-128-10 on the digits, batch 128, Adam.
PROTOCOL = Config("digits", (64, 128, 10), "relu", optimizer="adam", lr=1e-3, batch=128, epochs=1,
                  splits=(), measure="end")  # fmt: skip
MNIST = replace(PROTOCOL, dataset="mnist", widths=(784, 128, 10))
MEMBERS, ROUNDS, EPOCHS = 32, 5, 3


@dataclass(frozen=True)
class Timing:
    """Seconds that one way took: ``seconds`` is the median over the rounds, all in ``rounds``.

    On a CPU they are seconds of processor time on one thread, on a GPU of the clock;
    ``throughput`` counts network-epochs per second, ``speedup`` is over the plain loop.
    """

    activation: str
    way: str
    device: str
    members: int
    epochs: int
    seconds: float
    throughput: float
    speedup: float
    rounds: tuple[float, ...]


def measure(
    activations: Sequence[str] = ("relu", "gelu"),
    *,
    protocol: Config = PROTOCOL,
    members: int = MEMBERS,
    rounds: int = ROUNDS,
    epochs: int = EPOCHS,
    device: str | None = None,
) -> list[Timing]:
    """Time every way for each activation; raises ValueError for counts below 1."""
    for name, count in (("members", members), ("rounds", rounds), ("epochs", epochs)):
        if count < 1:
            raise ValueError(f"{name} must be at least 1, not {count!r}")
    if protocol.optimizer != "adam":
        raise ValueError(f"the loops use Adam, not {protocol.optimizer!r}")
    where = resolve_device(device)
    examples = data.load(protocol.dataset)
    found = []
    with _one_thread():
        for activation in activations:
            base = replace(protocol, activation=activation, epochs=epochs)
            configs = [replace(base, seed=seed) for seed in range(members)]
            taken: dict[str, list[float]] = {way: [] for way in WAYS}
            for function in WAYS.values():
                function([replace(c, epochs=1) for c in configs[:2]], examples, where)
            for _ in range(rounds):
                for way, function in WAYS.items():
                    taken[way].append(_seconds(partial(function, configs, examples, where), where))
            medians = {way: statistics.median(values) for way, values in taken.items()}
            found += [
                Timing(
                    activation, way, str(where), members, epochs, medians[way],
                    members * epochs / medians[way], medians["loop"] / medians[way], tuple(values),
                )
                for way, values in taken.items()
            ]  # fmt: skip
    return found


def together(
    configs: list[Config], examples: data.Dataset, device: torch.device
) -> list[nn.Module]:
    """One stack, or a few that fit the cache."""
    done = models.train(configs, device=device, datasets={examples.name: examples})
    return [member.network for member in done]


def loop(configs: list[Config], examples: data.Dataset, device: torch.device) -> list[nn.Module]:
    """One network after the other; batches are slices of tensors."""
    x, y = _tensors(examples, device)
    networks: list[nn.Module] = []
    for config in configs:
        network, optimizer = _fresh(config, device)
        for epoch in range(1, config.epochs + 1):
            order = torch.from_numpy(data_order(config.seed, epoch, len(x))).to(device)
            for start in range(0, len(x), config.batch):
                chosen = order[start : start + config.batch]
                _step(network, optimizer, x[chosen], y[chosen])
        networks.append(network.cpu())
    return networks


def loader(configs: list[Config], examples: data.Dataset, device: torch.device) -> list[nn.Module]:
    """One network after the other; batches come from a ``DataLoader``."""
    x, y = _tensors(examples, torch.device("cpu"))
    networks: list[nn.Module] = []
    for config in configs:
        network, optimizer = _fresh(config, device)
        for epoch in range(1, config.epochs + 1):
            order = data_order(config.seed, epoch, len(x)).tolist()
            for batch_x, batch_y in DataLoader(
                TensorDataset(x, y), batch_size=config.batch, sampler=order
            ):
                _step(network, optimizer, batch_x.to(device), batch_y.to(device))
        networks.append(network.cpu())
    return networks


Way = Callable[[list[Config], data.Dataset, torch.device], list[nn.Module]]
WAYS: dict[str, Way] = {"together": together, "loop": loop, "loader": loader}


def _tensors(examples: data.Dataset, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.from_numpy(examples.x_train).flatten(1).float()
    return x.to(device), torch.from_numpy(examples.y_train).long().to(device)


def _fresh(config: Config, device: torch.device) -> tuple[nn.Module, torch.optim.Optimizer]:
    network = models.network(config).to(device)
    optimizer = torch.optim.Adam(
        network.parameters(), lr=config.lr, eps=config.eps, foreach=False, fused=False
    )
    return network, optimizer


def _step(
    network: nn.Module, optimizer: torch.optim.Optimizer, x: torch.Tensor, y: torch.Tensor
) -> None:
    optimizer.zero_grad()
    nn.functional.cross_entropy(network(x), y).backward()
    optimizer.step()


def _seconds(work: Callable[[], object], device: torch.device) -> float:
    on_cpu = device.type == "cpu"
    clock = time.process_time if on_cpu else time.perf_counter
    begin = clock()
    work()
    if not on_cpu:
        torch.cuda.synchronize(device)
    return clock() - begin


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
