"""Activations in torch: differentiable functions under the contract, and modules.

f, f′ and f″ form a chain of autograd functions that save their inputs and nothing else.  They work
under ``torch.func`` (vmap, grad, jvp, hessian) and, from torch 2.13 on, in one graph under
``torch.compile``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache, partial
from types import FunctionType, MethodType
from typing import Any, Literal

import torch
import torch.nn.functional as F

from actbook.activation import Activation, Order
from actbook.lower import ground, xp_torch
from actbook.lower.inputs import dimension, dtype_error, shape_error
from actbook.lower.printer import compile_function

Policy = Literal["training", "contract"]

DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
HALVES = (torch.float16, torch.bfloat16)

# The first version whose compiled gradients hold the contract: those that 2.11 compiles of an
# autograd function are 0 in float32.  Before it, our functions stay eager inside compiled code.
TRACED_SINCE = (2, 13)

# The framework's functions by the name a record gives in ``builtin``; parameters by position.
BUILTINS: dict[str, Callable[..., torch.Tensor]] = {
    "identity": lambda x: x,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "softsign": F.softsign,
    "hardsigmoid": F.hardsigmoid,
    "logsigmoid": F.logsigmoid,
    "relu": F.relu,
    "leaky_relu": F.leaky_relu,
    "prelu": F.prelu,
    "elu": F.elu,
    "silu": F.silu,
    "softmax": torch.softmax,
}


def value(activation: Activation, *inputs: Any, dim: int = -1) -> torch.Tensor:
    """f of the inputs, differentiable."""
    if activation.shape == "across":
        x = _checked(activation, inputs)[0]
        return across_function(activation)(x, dimension(activation.name, x.dim(), dim))
    return apply(activation, (0,) * len(activation.inputs), inputs)


def derivative(activation: Activation, *inputs: Any) -> Any:
    """f′ of the input, differentiable; the pair of partial derivatives of a gated unit."""
    partials = tuple(apply(activation, order, inputs) for order in activation.unit_orders())
    return partials if activation.shape == "gated" else partials[0]


def jacobian(activation: Activation, x: torch.Tensor, dim: int = -1) -> torch.Tensor:
    """diag(s) − s sᵀ along ``dim``, which becomes the last two dimensions."""
    (x,) = _checked(activation, (x,))
    moved = torch.movedim(x, dimension(activation.name, x.dim(), dim), -1)
    return ground.softmax_jacobian(xp_torch, _wide(moved)).to(x.dtype)


def apply(activation: Activation, order: Order, inputs: tuple[Any, ...]) -> torch.Tensor:
    """The partial derivative ``order`` of f, learnable parameters at their defaults."""
    tensors = _checked(activation, inputs)
    x = tensors[0]
    learnt = [
        torch.full((), float(p.default), dtype=x.dtype, device=x.device).expand_as(x)
        for p in activation.parameters
        if p.learnable
    ]
    return autograd_function(activation, order)(*tensors, *learnt)


@lru_cache(maxsize=4096)
def autograd_function(activation: Activation, order: Order) -> Callable[..., torch.Tensor]:
    """The partial derivative ``order`` as a differentiable function of the inputs.

    Eager, the chain goes on to any order, in reverse and in forward mode.  Under
    ``torch.compile`` one graph holds the function and its gradient.
    """
    code = compile_function(activation, order)
    width = len(order)
    steps = [tuple(n + (i == k) for i, n in enumerate(order)) for k in range(width)]
    step_codes = [compile_function(activation, step) for step in steps]

    def partial_derivative(index: int, inputs: tuple[torch.Tensor, ...]) -> torch.Tensor:
        return autograd_function(activation, steps[index])(*inputs)

    class Traced(torch.autograd.Function):
        @staticmethod
        def forward(*inputs: torch.Tensor) -> torch.Tensor:
            return _evaluate(code, inputs)

        @staticmethod
        def setup_context(ctx: Any, inputs: tuple[torch.Tensor, ...], output: Any) -> None:
            ctx.save_for_backward(*inputs)

        @staticmethod
        def backward(ctx: Any, *grads: torch.Tensor) -> Any:
            inputs = ctx.saved_tensors
            needed = ctx.needs_input_grad
            return tuple(
                grads[0] * _evaluate(step_codes[k], inputs) if needed[k] else None
                for k in range(width)
            )

    class Eager(torch.autograd.Function):
        generate_vmap_rule = True
        forward = staticmethod(Traced.forward)

        @staticmethod
        def setup_context(ctx: Any, inputs: tuple[torch.Tensor, ...], output: Any) -> None:
            ctx.save_for_backward(*inputs)
            ctx.save_for_forward(*inputs)

        @staticmethod
        def backward(ctx: Any, *grads: torch.Tensor) -> Any:
            inputs = ctx.saved_tensors
            needed = ctx.needs_input_grad
            return tuple(
                grads[0] * partial_derivative(k, inputs) if needed[k] else None
                for k in range(width)
            )

        @staticmethod
        def jvp(ctx: Any, *tangents: torch.Tensor) -> torch.Tensor:
            inputs = ctx.saved_tensors
            terms = [
                t * partial_derivative(k, inputs) for k, t in enumerate(tangents) if t is not None
            ]
            return sum(terms[1:], terms[0])

    def function(*inputs: torch.Tensor) -> torch.Tensor:
        if not torch.compiler.is_compiling():
            return Eager.apply(*inputs)
        if torch.is_grad_enabled() and any(t.requires_grad for t in inputs):
            return Traced.apply(*inputs)
        return _evaluate(code, inputs)  # the compiler inlines no forward of several inputs

    function.__name__ = function.__qualname__ = code.__name__
    return function if traces() else torch.compiler.disable(function)


def traces() -> bool:
    """Whether ``torch.compile`` takes our functions into its graph, or leaves them eager."""
    major, minor = torch.__version__.split(".")[:2]
    return (int(major), int(minor)) >= TRACED_SINCE


def _evaluate(code: Callable[..., Any], inputs: tuple[torch.Tensor, ...]) -> torch.Tensor:
    """Generated code on tensors: half precision computes in float32 and rounds once."""
    result = code(xp_torch, *(_wide(t) for t in inputs)).to(inputs[0].dtype)
    return result.clone() if result is inputs[0] else result


@lru_cache(maxsize=64)
def across_function(activation: Activation) -> Callable[[torch.Tensor, int], torch.Tensor]:
    """Softmax along a dimension; its gradient comes from autograd through the stable form."""
    code = getattr(ground, activation.name)

    def along(x: torch.Tensor, dim: int) -> torch.Tensor:
        return code(xp_torch, _wide(x), dim).to(x.dtype)

    return along


class ActivationModule(torch.nn.Module):
    """An activation as a module.

    ``policy="training"`` uses the framework's function where there is one (its absolute error is
    at most 16 u max(1, |f|) and its gradient finite; of its derivatives, only the first are
    promised); ``"contract"`` always keeps the contract, eager to any order of derivative.
    Input (*), output (*), the dtype kept, also under autocast.  A gated unit splits dimension
    ``dim`` in two halves, gate first; an activation across a dimension acts along ``dim``.  A
    learnable one has ``channels`` values per parameter, broadcast along dimension 1.
    """

    def __init__(
        self, activation: Activation, policy: Policy = "training", dim: int = -1, channels: int = 1
    ) -> None:
        super().__init__()
        if policy not in ("training", "contract"):
            raise ValueError(f"policy must be 'training' or 'contract', got {policy!r}")
        if not isinstance(channels, int) or channels < 1:
            raise ValueError(f"channels must be an integer, at least 1, got {channels!r}")
        self.activation = activation
        self.policy = policy
        self.dim = dim
        self.channels = channels
        for parameter in activation.parameters:
            if parameter.learnable:
                start = torch.full((channels,), float(parameter.default))
                self.register_parameter(parameter.name, torch.nn.Parameter(start))
        self._prepare()

    def _prepare(self) -> None:
        activation = self.activation
        self._learnt = [p.name for p in activation.parameters if p.learnable]
        fixed = [float(p.default) for p in activation.parameters if not p.learnable]
        self._builtin: Callable[..., torch.Tensor] | None = None
        if self.policy == "training" and activation.builtin:
            function = BUILTINS[activation.builtin]
            names = [p.name for p in activation.parameters if not p.learnable]
            self._builtin = partial(_with_parameters, function, tuple(fixed)) if names else function
        self._function: Any = None
        if activation.shape == "across":
            self._function = across_function(activation)
        elif self._builtin is None:
            zero = (0,) * len(activation.inputs)
            self._function = autograd_function(activation, zero)
        self.forward = MethodType(_forward_of(activation.key, self.policy), self)  # type: ignore[method-assign]

    def __getstate__(self) -> dict[str, Any]:
        """The state without generated functions: they are made again on loading."""
        state = self.__dict__.copy()
        for name in ("_builtin", "_function", "_learnt", "forward"):
            state.pop(name)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._prepare()

    def _replicate_for_data_parallel(self) -> Any:
        """A replica runs on its own parameters, not on those of the original."""
        replica = super()._replicate_for_data_parallel()
        replica._prepare()
        return replica

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """f(x), element by element (or along ``dim``)."""
        _require_float_tensor(self.activation.name, "x", x)
        if self._builtin is not None and torch.is_autocast_enabled(x.device.type):
            with torch.autocast(x.device.type, enabled=False):  # some builtins would change x.dtype
                return self._value(x)
        return self._value(x)

    def _value(self, x: torch.Tensor) -> torch.Tensor:
        name = self.activation.name
        if self.activation.shape == "across":
            chosen = self._builtin or self._function
            return chosen(x, dimension(name, x.dim(), self.dim))
        if self.activation.shape == "gated":
            return self._function(*_halves(name, x, self.dim))
        learnt = [getattr(self, parameter).to(x.dtype) for parameter in self._learnt]
        for value in learnt:
            _require_channels(name, value, x)
        if self._builtin is not None:
            return self._builtin(x, *learnt)
        return self._function(x, *(_spread(value, x) for value in learnt))

    def extra_repr(self) -> str:
        """Name, parameters and policy."""
        fixed = [f"{p.name}={p.default}" for p in self.activation.parameters if not p.learnable]
        return ", ".join([self.activation.name, *fixed, f"policy={self.policy!r}"])


@lru_cache(maxsize=4096)
def _forward_of(key: Any, policy: Policy) -> Callable[..., torch.Tensor]:
    """``ActivationModule.forward`` with a code object of its own.

    The compiler keeps at most eight graphs for one code object: were it the same for all
    activations, the ninth to be compiled in a process would stay eager, or raise.
    """
    template = ActivationModule.forward
    name = re.sub(r"\W+", "_", f"forward_{key}_{policy}")
    code = template.__code__.replace(co_name=name)
    return FunctionType(code, template.__globals__, template.__name__)


def module(activation: Activation, policy: str = "training", **options: Any) -> ActivationModule:
    """The activation as a module; options are ``dim`` and ``channels`` where they apply."""
    allowed = {
        "across": {"dim"},
        "gated": {"dim"},
        "learnable": {"channels"},
    }.get(activation.shape, set())
    for name in options:
        if name not in allowed:
            raise TypeError(
                f"{activation.name}.module() takes no option {name!r}; "
                f"allowed: {sorted(allowed | {'policy'})}"
            )
    return ActivationModule(activation, policy, **options)  # type: ignore[arg-type]


def _with_parameters(
    function: Callable[..., torch.Tensor], fixed: tuple[float, ...], x: torch.Tensor
) -> torch.Tensor:
    return function(x, *fixed)


def _wide(x: torch.Tensor) -> torch.Tensor:
    return x.float() if x.dtype in HALVES else x


def _checked(activation: Activation, inputs: tuple[Any, ...]) -> tuple[torch.Tensor, ...]:
    for variable, tensor in zip(activation.variables, inputs, strict=True):
        _require_float_tensor(activation.name, str(variable), tensor)
    if len(inputs) == 1:
        return inputs
    common = torch.promote_types(inputs[0].dtype, inputs[1].dtype)
    try:
        return tuple(torch.broadcast_tensors(*(t.to(common) for t in inputs)))
    except RuntimeError:
        raise shape_error(activation.name, [tuple(t.shape) for t in inputs]) from None


def _halves(name: str, x: torch.Tensor, dim: int) -> tuple[torch.Tensor, torch.Tensor]:
    size = x.shape[dimension(name, x.dim(), dim)]
    if size % 2:
        raise ValueError(f"{name}: dimension {dim} is split in halves, so {size} must be even")
    first, second = x.chunk(2, dim)
    return first, second


def _require_channels(name: str, value: torch.Tensor, x: torch.Tensor) -> None:
    """Raise unless ``value`` has one number, or one per channel (dimension 1) of ``x``."""
    channels = x.shape[1] if x.dim() > 1 else 1
    if value.numel() not in (1, channels):
        raise ValueError(
            f"{name}: the module has {value.numel()} channels, the input {tuple(x.shape)} has "
            f"{channels}"
        )


def _spread(value: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """A learnable parameter in the shape of ``x``: one value, or one per channel."""
    if value.numel() == 1:
        return value.reshape(()).expand(x.shape)
    return value.reshape([1, -1] + [1] * (x.dim() - 2)).expand(x.shape)


def _require_float_tensor(name: str, argument: str, value: Any) -> None:
    if not isinstance(value, torch.Tensor):
        raise TypeError(f"{name}: {argument} must be a torch tensor, got {type(value).__name__}")
    if value.dtype not in DTYPES:
        allowed = [str(dtype).removeprefix("torch.") for dtype in DTYPES]
        raise dtype_error(name, argument, value.dtype, allowed)
