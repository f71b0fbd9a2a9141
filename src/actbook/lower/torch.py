"""Activations in torch: differentiable functions under the contract, and modules.

f, f′ and f″ form a chain of autograd functions that save their inputs and nothing else.  They work
under ``torch.func`` (vmap, grad, jvp, hessian) and, from torch 2.13 on, in one graph under
``torch.compile``.  One thing torch does not carry through an autograd function, whoever wrote it:
forward mode over forward mode gives 0.  Take forward over reverse, as ``hessian`` does.

The modules are in ``actbook.lower.modules`` and ``actbook.lower.contextual``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F

from actbook.activation import Activation, Order
from actbook.lower import across, xp_torch
from actbook.lower.inputs import dimension, dtype_error, shape_error
from actbook.lower.printer import compile_function

if TYPE_CHECKING:
    from actbook.lower.modules import ActivationModule

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
    "arctan": torch.atan,
    "erf": torch.erf,
    "hardtanh": F.hardtanh,
    "relu6": F.relu6,
    "softshrink": F.softshrink,
    "hardshrink": F.hardshrink,
    "celu": F.celu,
    "selu": F.selu,
    "sine": lambda x, omega: torch.sin(omega * x),
    "softmax": torch.softmax,
    "log_softmax": torch.log_softmax,
    "glu": F.glu,
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
    """∂yᵢ/∂xⱼ along ``dim``, which becomes the last two dimensions (i, j)."""
    (x,) = _checked(activation, (x,))
    moved = torch.movedim(x, dimension(activation.name, x.dim(), dim), -1)
    code = getattr(across, f"{activation.name}_jacobian")
    return code(xp_torch, _wide(moved), *_parameters(activation)).to(x.dtype)


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
    steps = [tuple(n + (i == k) for i, n in enumerate(order)) for k in range(len(order))]
    return _differentiable(
        compile_function(activation, order),
        [compile_function(activation, step) for step in steps],
        lambda k: autograd_function(activation, steps[k]),
    )


@lru_cache(maxsize=64)
def surrogate_function(activation: Activation, name: str) -> Callable[..., torch.Tensor]:
    """f, whose gradient is the surrogate ``name`` in place of f′."""
    slope = next(s.slope for s in activation.surrogates if s.name == name)
    return _differentiable(
        compile_function(activation, (0,)),
        [compile_function(slope, (0,))],
        lambda k: autograd_function(slope, (0,)),
    )


def _differentiable(
    code: Callable[..., Any],
    step_codes: list[Callable[..., Any]],
    step: Callable[[int], Callable[..., torch.Tensor]],
) -> Callable[..., torch.Tensor]:
    """``code`` with the gradient ``step_codes``, eager ``step``, one for each input."""
    width = len(step_codes)

    def partial_derivative(index: int, inputs: tuple[torch.Tensor, ...]) -> torch.Tensor:
        return step(index)(*inputs)

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
    """f along a dimension; its gradient comes from autograd through the stable form."""
    code, parameters = getattr(across, activation.name), _parameters(activation)

    def along(x: torch.Tensor, dim: int) -> torch.Tensor:
        return code(xp_torch, _wide(x), dim, *parameters).to(x.dtype)

    return along


def module(activation: Activation, policy: str = "training", **options: Any) -> ActivationModule:
    """The activation as a module; see ``actbook.lower.modules.make`` for the options."""
    from actbook.lower import modules

    return modules.make(activation, policy, options)


def _parameters(activation: Activation) -> list[float]:
    return [float(p.default) for p in activation.parameters]


def _wide(x: torch.Tensor) -> torch.Tensor:
    return x.float() if x.dtype in HALVES else x


def _checked(activation: Activation, inputs: tuple[Any, ...]) -> tuple[torch.Tensor, ...]:
    for variable, tensor in zip(activation.variables, inputs, strict=True):
        require_float_tensor(activation.name, str(variable), tensor)
    if len(inputs) == 1:
        return inputs
    common = torch.promote_types(inputs[0].dtype, inputs[1].dtype)
    try:
        return tuple(torch.broadcast_tensors(*(t.to(common) for t in inputs)))
    except RuntimeError:
        raise shape_error(activation.name, [tuple(t.shape) for t in inputs]) from None


def require_float_tensor(name: str, argument: str, value: Any) -> None:
    if not isinstance(value, torch.Tensor):
        raise TypeError(f"{name}: {argument} must be a torch tensor, got {type(value).__name__}")
    if value.dtype not in DTYPES:
        allowed = [str(dtype).removeprefix("torch.") for dtype in DTYPES]
        raise dtype_error(name, argument, value.dtype, allowed)
