"""What is recorded of each member at the end of an epoch; the columns are said in ``Model``.

It is read off a copy of the member's network, so that no bit of the training can depend on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from . import networks

if TYPE_CHECKING:
    from .stack import Stack

__all__ = ["PROBE", "activations", "columns", "weights"]

#: The first training examples, in the order of the data set, are the probe.
PROBE = 256

Columns = dict[str, np.ndarray | None]
Values = dict[str, torch.Tensor]


def columns(stack: Stack, due: bool) -> Columns:
    """The recorded columns of an epoch, each (M,); None in an epoch that is not measured."""
    names = _names(stack)
    if not due:
        return dict.fromkeys(names)
    twin, found = stack.twin, []
    for member in range(len(stack.configs)):
        stack.load_member(twin, member)
        values = _recorded(stack, twin)
        found.append(torch.stack([values[name].double() for name in names]))
    table = torch.stack(found).cpu().numpy()
    return {name: table[:, position] for position, name in enumerate(names)}


def activations(network: nn.Module) -> list[nn.Module]:
    """The network's modules of its activation, from the input on."""
    return [module for module in network.modules() if hasattr(module, "activation")]


def weights(network: nn.Module) -> list[torch.Tensor]:
    """The network's weights, without biases, scales and parameters of activations."""
    kinds = (nn.Linear, nn.Conv2d)
    return [m.weight for m in network.modules() if isinstance(m, kinds)]


def _names(stack: Stack) -> list[str]:
    """The columns that the model asks for, in the order of its ``record``."""
    model, found = stack.model, []
    layers = activations(stack.twin)
    for asked in model.record:
        if asked == "gradients":
            found += [f"gradient_norm_{k + 1}" for k in range(len(weights(stack.twin)))]
        for k, layer in enumerate(layers, 1):
            if asked == "activations":
                found += [f"activation_mean_{k}", f"activation_variance_{k}", f"sparsity_{k}"]
            elif asked == "dead":
                found.append(f"dead_{k}")
            elif asked == "parameters":
                found += [f"{name}_{k}" for name, _ in layer.named_parameters()]
    return found


def _recorded(stack: Stack, twin: nn.Module) -> Values:
    model, values = stack.model, Values()
    if "gradients" in model.record or "activations" in model.record:
        values |= _on_probe(stack, twin)
    if "dead" in model.record:
        values |= _dead(stack, twin)
    for k, layer in enumerate(activations(twin), 1):
        for name, parameter in layer.named_parameters():
            values[f"{name}_{k}"] = parameter.detach().mean()
    return values


def _on_probe(stack: Stack, twin: nn.Module) -> Values:
    """Gradients and activations in training mode, without dropout."""
    twin.train()
    for module in twin.modules():
        if isinstance(module, networks.Dropout):
            module.eval()
    values = Values()
    outputs: dict[int, list[torch.Tensor]] = {}

    def note(k: int, x: torch.Tensor, output: torch.Tensor) -> None:
        outputs.setdefault(k, []).append(output.detach().double())

    x, y = stack.x[:PROBE], stack.y[:PROBE]
    with _watched(twin, note):
        logits = twin(x).unsqueeze(0)
        logits = logits.flatten(1, -2)
    for k, parts in outputs.items():  # several where a layer is used more than once, as over time
        wide = torch.cat([part.flatten() for part in parts])
        values[f"activation_mean_{k}"] = wide.mean()
        values[f"activation_variance_{k}"] = wide.var(correction=0)
        values[f"sparsity_{k}"] = (wide == 0).double().mean()
    losses = stack.losses(logits, y.view(1, -1))
    chosen = weights(twin)
    for k, gradient in enumerate(torch.autograd.grad(losses.mean(), chosen), 1):
        values[f"gradient_norm_{k}"] = torch.linalg.vector_norm(gradient.double())
    return values


def _dead(stack: Stack, twin: nn.Module) -> Values:
    """How many units have derivative 0 on every training example."""
    twin.eval()
    alive: dict[int, torch.Tensor] = {}

    def note(k: int, x: torch.Tensor, output: torch.Tensor) -> None:
        # The graph of the activation alone: its input was cut off from what is before it.
        (slope,) = torch.autograd.grad(output.sum(), x, retain_graph=True)
        channels = 1 if slope.dim() == 4 else slope.dim() - 1  # of an image, else of features
        used = (slope != 0).movedim(channels, -1).flatten(0, -2).any(0)
        alive[k] = alive[k] | used if k in alive else used

    for part in stack.x.split(stack.evaluation_batch):
        with _watched(twin, note, cut=True):
            twin(part)
    return {f"dead_{k}": (~used).sum() for k, used in alive.items()}


@contextmanager
def _watched(
    network: nn.Module,
    note: Callable[[int, torch.Tensor, torch.Tensor], None],
    *,
    cut: bool = False,
) -> Iterator[None]:
    """Tell ``note`` the number, the input and the output of each activation as it is computed."""
    handles = []
    for k, layer in enumerate(activations(network), 1):

        def before(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
            return (inputs[0].detach().requires_grad_(),)

        def after(
            module: nn.Module, inputs: tuple[Any, ...], output: torch.Tensor, k: int = k
        ) -> None:
            note(k, inputs[0], output)

        if cut:
            handles.append(layer.register_forward_pre_hook(before))
        handles.append(layer.register_forward_hook(after))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
