"""Layers of all members at once, each equal to the modules that it stands for.

A layer holds its parameters and buffers with a first axis for the members and maps (M, n, …) to
(M, n, …).  Where a stacked kernel gives a member other bits than its own module would, the layer
runs member by member on a CPU; on a GPU it runs in one ``torch.func.vmap``.

Calling a layer is differentiable.  ``forward`` and ``backward`` are the same by hand, for training
on a CPU: gradients of parameters are written where the optimiser reads them, and what is as large
as a batch is computed into memory that is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from . import networks
from .masks import kept

__all__ = ["Layer", "stacked"]

#: Elements of one member that vectorised kernels take in whole strides, on every processor: what is
#: left over goes another way, to other bits.
STRIDE = 64


class Layer:
    """Modules of one structure, one for each member; run one by one or mapped over.

    ``names`` are those of the parameters and buffers in the member's whole network.
    """

    def __init__(self, modules: Sequence[nn.Module], prefix: str, device: torch.device) -> None:
        self.template, self.prefix, self.device = modules[0], prefix, device
        self.members = len(modules)
        self.parameters = {
            name: value.requires_grad_()
            for name, value in _stacks([dict(m.named_parameters()) for m in modules], device)
        }
        self.buffers = dict(_stacks([dict(m.named_buffers()) for m in modules], device))
        self.gradients: dict[str, torch.Tensor] = {}
        self.space: dict[Any, torch.Tensor] = {}
        self.seen: tuple[torch.Tensor, ...] = ()

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        if self.device.type != "cpu":
            return self.mapped(x)
        return self.one_by_one(x)

    def mapped(self, x: torch.Tensor) -> torch.Tensor:
        """All members at once."""
        return torch.func.vmap(self._one)(self.parameters, self.buffers, x)

    def one_by_one(self, x: torch.Tensor) -> torch.Tensor:
        """Each member as its own module computes it."""
        parameters = _unbound(self.parameters, self.members)
        buffers = _unbound(self.buffers, self.members)
        return torch.stack(
            [self._one(p, b, part) for p, b, part in zip(parameters, buffers, x, strict=True)]
        )

    def _one(
        self, parameters: dict[str, torch.Tensor], buffers: dict[str, torch.Tensor], x: torch.Tensor
    ) -> torch.Tensor:
        return torch.func.functional_call(self.template, {**parameters, **buffers}, (x,))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The value, and what ``backward`` needs is kept."""
        with torch.enable_grad():
            x = x.detach().requires_grad_(x.is_floating_point())
            y = self(x)
        self.seen = x, y
        return y.detach()

    def backward(self, upstream: torch.Tensor, *, first: bool) -> torch.Tensor:
        """The gradient of the input; those of the parameters go to ``gradients``.

        The ``first`` layer leaves out that of its input, which nobody asks for.
        """
        x, y = self.seen
        self.seen = ()
        inputs = [*self.parameters.values(), *([] if first else [x])]
        if not inputs:
            return x
        found = torch.autograd.grad(y, inputs, upstream)
        for target, gradient in zip(self.gradients.values(), found, strict=False):
            target.copy_(gradient)
        return found[-1]

    def kept(self, name: str, like: torch.Tensor, *shape: int) -> torch.Tensor:
        """Memory of this layer for ``name``, of ``shape`` or of that of ``like``."""
        key = name, shape or like.shape
        if key not in self.space:
            self.space[key] = torch.empty(key[1], dtype=like.dtype)
        return self.space[key]

    def homes(self) -> Iterator[tuple[Layer, str]]:
        """Where each parameter belongs: the layer and the name that it has there."""
        for name in self.parameters:
            yield self, name

    def mode(self, training: bool) -> None:
        """Switch between training and evaluation."""
        self.template.train(training)

    def state(self) -> Iterator[tuple[str, torch.Tensor]]:
        """Every parameter and buffer by its name in the member's network."""
        for name, value in {**self.parameters, **self.buffers}.items():
            yield f"{self.prefix}{name}", value


class Linear(Layer):
    """x·Wᵀ + b: one batched product where it has the bits of single ones."""

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        weight, bias = self.parameters["weight"], self.parameters["bias"]
        if not self.exact(x):
            parts = zip(x.unbind(), weight.unbind(), bias.unbind(), strict=True)
            return torch.stack([functional.linear(*part) for part in parts])
        return torch.baddbmm(bias.unsqueeze(1), x, weight.transpose(1, 2))

    def exact(self, x: torch.Tensor) -> bool:
        """Whether a batched product serves."""
        if self.device.type != "cpu":
            return True
        shape = (*x.shape, self.parameters["weight"].shape[1])
        return batched_is_exact(shape, x.dtype)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Into memory that is kept, where a batched product serves."""
        if not self.exact(x):
            return super().forward(x)
        self.seen = (x,)
        weight, bias = (self.parameters[name].detach() for name in ("weight", "bias"))
        return affine(x, weight, bias, self.kept("y", x, *x.shape[:2], weight.shape[1]))

    def backward(self, upstream: torch.Tensor, *, first: bool) -> torch.Tensor:
        """Three products, straight to where they belong."""
        if len(self.seen) > 1:
            return super().backward(upstream, first=first)
        (x,), weight = self.seen, self.parameters["weight"].detach()
        targets = self.gradients["weight"], self.gradients["bias"]
        return affine_backward(
            x, weight, upstream, *targets, x if first else self.kept("x", x), first=first
        )


def affine(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, out: torch.Tensor
) -> torch.Tensor:
    """x·Wᵀ + b of (M, n, in), (M, out, in), (M, out)."""
    return torch.baddbmm(bias.unsqueeze(1), x, weight.transpose(1, 2), out=out)


def affine_backward(
    x: torch.Tensor,
    weight: torch.Tensor,
    upstream: torch.Tensor,
    to_weight: torch.Tensor,
    to_bias: torch.Tensor,
    to_x: torch.Tensor,
    *,
    first: bool = False,
) -> torch.Tensor:
    """The gradients of :func:`affine`, each into its place; gives that of x."""
    torch.bmm(upstream.transpose(1, 2), x, out=to_weight)
    torch.sum(upstream, 1, out=to_bias)
    return to_x if first else torch.bmm(upstream, weight, out=to_x)


class Pointwise(Layer):
    """An activation without parameters: one call on all members where it strides alike."""

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        if self.device.type == "cpu" and x[0].numel() % STRIDE:
            return torch.stack([self.template(part) for part in x])
        return self.template(x)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Into memory that is kept, for functions of the framework that allow it."""
        known = _INTO.get(getattr(self.template, "_builtin", None))
        if known is None or x[0].numel() % STRIDE:
            return super().forward(x)
        y = known[0](x, self.kept("y", x))
        self.seen = (y,)
        return y

    def backward(self, upstream: torch.Tensor, *, first: bool) -> torch.Tensor:
        """The same."""
        if len(self.seen) > 1:
            return super().backward(upstream, first=first)
        known = _INTO[self.template._builtin]
        return known[1](upstream, *self.seen, self.kept("x", upstream))


_aten = torch.ops.aten
#: Functions whose kernels write into given memory: the value, and the gradient from the value.
_INTO: dict[Any, tuple[Any, Any]] = {
    functional.relu: (
        lambda x, out: torch.clamp_min(x, 0, out=out),
        lambda g, y, out: _aten.threshold_backward.grad_input(g, y, 0, grad_input=out),
    ),
    torch.tanh: (
        lambda x, out: torch.tanh(x, out=out),
        lambda g, y, out: _aten.tanh_backward.grad_input(g, y, grad_input=out),
    ),
    torch.sigmoid: (
        lambda x, out: torch.sigmoid(x, out=out),
        lambda g, y, out: _aten.sigmoid_backward.grad_input(g, y, grad_input=out),
    ),
}


class Dropout(Layer):
    """Masks of all members; ``step`` (M,) counts training steps, and every member has its key."""

    def __init__(self, modules: Sequence[Any], prefix: str, device: torch.device) -> None:
        super().__init__(modules, prefix, device)
        self.keys = torch.tensor([module.key for module in modules]).to(device)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        module: Any = self.template
        if not module.training:
            return x
        mask = kept(self.keys, self.buffers["step"], x.shape, module.rate)
        self.buffers["step"] += 1
        return networks.dropped(x, mask, module.rate, module.kind)


class Residual(Layer):
    """x + f(x), where f is layers itself."""

    def __init__(self, modules: Sequence[Any], prefix: str, device: torch.device) -> None:
        self.template, self.prefix, self.device = modules[0], prefix, device
        self.layers = stacked(modules, prefix, device)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        inner = x
        for layer in self.layers:
            inner = layer(inner)
        return x + inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """By hand, layer by layer."""
        return x + forward(self.layers, x)

    def backward(self, upstream: torch.Tensor, *, first: bool) -> torch.Tensor:
        """By hand, from the last layer to the first."""
        return upstream + backward(self.layers, upstream)

    def homes(self) -> Iterator[tuple[Layer, str]]:
        """Those of the layers inside."""
        for layer in self.layers:
            yield from layer.homes()

    def mode(self, training: bool) -> None:
        """Switch the layers inside."""
        for layer in self.layers:
            layer.mode(training)

    def state(self) -> Iterator[tuple[str, torch.Tensor]]:
        """Those of the layers inside."""
        for layer in self.layers:
            yield from layer.state()


def forward(layers: Sequence[Layer], x: torch.Tensor) -> torch.Tensor:
    """One layer after the other, each keeping what ``backward`` needs."""
    for layer in layers:
        x = layer.forward(x)
    return x


def backward(
    layers: Sequence[Layer], upstream: torch.Tensor, *, first: bool = False
) -> torch.Tensor:
    """The gradient of the input; with ``first``, that of the first layer's input is left out."""
    for position in reversed(range(len(layers))):
        upstream = layers[position].backward(upstream, first=first and position == 0)
    return upstream


def stacked(networks_: Sequence[Any], prefix: str, device: torch.device) -> list[Layer]:
    """The layers of networks that are sequences of modules; ``prefix`` begins their names."""
    return [
        _kind(modules[0])(modules, f"{prefix}{position}.", device)
        for position, modules in enumerate(zip(*networks_, strict=True))
    ]


def _kind(module: nn.Module) -> type[Layer]:
    if isinstance(module, nn.Linear):
        return Linear
    if isinstance(module, networks.Dropout):
        return Dropout
    if isinstance(module, networks.Residual):
        return Residual
    simple = hasattr(module, "activation") and not any(True for _ in module.parameters())
    return Pointwise if simple else Layer


def cross_entropy(
    logits: torch.Tensor, labels: torch.Tensor, batch: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Losses (n,) and the gradient of their sum over ``batch``, from logits (n, classes).

    On the transpose the kernels are many times faster than along a short last axis.
    """
    if turning_is_exact(logits.shape[1], logits.dtype):
        return turned_cross_entropy(logits, labels, batch)
    return _cross_entropy(logits, labels, batch, 1)


def turned_cross_entropy(
    logits: torch.Tensor, labels: torch.Tensor, batch: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """:func:`cross_entropy` on the transpose, in whole strides."""
    count, classes = logits.shape
    turned = logits.new_zeros(classes, -(-count // STRIDE) * STRIDE)
    turned[:, :count] = logits.t()
    losses, gradient = _cross_entropy(turned, labels, batch, 0)
    return losses, gradient[:, :count].t().contiguous()


def _cross_entropy(
    logits: torch.Tensor, labels: torch.Tensor, batch: int, classes: int
) -> tuple[torch.Tensor, torch.Tensor]:
    logs, labels = torch.log_softmax(logits, classes), labels.unsqueeze(classes)
    # What autograd hands to the logarithm: −1/n at the label.
    upstream = torch.zeros_like(logs).scatter_(classes, labels, -1 / batch)
    gradient = _aten._log_softmax_backward_data(upstream, logs, classes, logs.dtype)
    return logs.gather(classes, labels).neg_().flatten(), gradient


@lru_cache(maxsize=1024)
def turning_is_exact(classes: int, dtype: torch.dtype) -> bool:
    """Whether the cross-entropy of so many classes has the same bits on the transpose.

    It is tried, as below: the kernels differ in the order of a sum, on some processors.
    """
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(classes, (4096,), generator=generator)
    for scale in (0.1, 1.0, 10.0, 100.0):
        logits = scale * torch.randn(4096, classes, generator=generator, dtype=dtype)
        expected = _cross_entropy(logits, labels, 128, 1)
        if not all(map(torch.equal, turned_cross_entropy(logits, labels, 128), expected)):
            return False
    return True


@lru_cache(maxsize=1024)
def batched_is_exact(shape: tuple[int, int, int, int], dtype: torch.dtype) -> bool:
    """Whether a batched product of this shape (M, n, in, out) has the bits of single products.

    It is tried, forward and backward: libraries choose the order of a sum by the shape, and sums of
    random numbers in another order show it.  A product of one or two numbers may fail to.
    """
    members, examples, inputs, outputs = shape
    generator = torch.Generator().manual_seed(0)

    def draw(*size: int) -> torch.Tensor:
        return torch.randn(size, generator=generator, dtype=dtype)

    x, weight = draw(members, examples, inputs), draw(members, outputs, inputs)
    bias, upstream = draw(members, outputs), draw(members, examples, outputs)
    together = affine(x, weight, bias, torch.empty_like(upstream))
    places = torch.empty_like(weight), torch.empty_like(bias), torch.empty_like(x)
    affine_backward(x, weight, upstream, *places)
    for member in range(members):
        mine = [part[member].clone().requires_grad_() for part in (weight, bias, x)]
        with torch.enable_grad():
            alone = functional.linear(mine[2], mine[0], mine[1])
        expected = torch.autograd.grad(alone, mine, upstream[member].clone())
        found = (together[member], *(place[member] for place in places))
        if not all(map(torch.equal, found, (alone, *expected))):
            return False
    return True


def _stacks(
    tables: Sequence[dict[str, torch.Tensor]], device: torch.device
) -> Iterator[tuple[str, torch.Tensor]]:
    for name in tables[0]:
        yield name, torch.stack([table[name].detach() for table in tables]).to(device)


def _unbound(table: dict[str, torch.Tensor], members: int) -> list[dict[str, torch.Tensor]]:
    parts = {name: value.unbind() for name, value in table.items()}
    return [{name: part[i] for name, part in parts.items()} for i in range(members)]
