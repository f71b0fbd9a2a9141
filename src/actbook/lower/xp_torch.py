"""What the ground functions need of torch."""

from __future__ import annotations

from typing import Any

import torch

exp, log, log1p = torch.exp, torch.log, torch.log1p
tanh, sqrt, rint, abs = torch.tanh, torch.sqrt, torch.round, torch.abs
where, clip = torch.where, torch.clamp
erf, erfc, erfcx = torch.erf, torch.erfc, torch.special.erfcx


def expm1(x: Any) -> Any:
    """e^x − 1 = 2t / (1 − t) with t = tanh(x/2), for x ≤ 1.

    Near 0, where x/2 may be subnormal and be flushed to 0, it is x + x²/2.
    Compiled for a CPU, ``torch.expm1`` is exp(x) − 1 and loses every digit of a small result; eager
    it is accurate, and faster than the quotient.
    """
    if not torch.compiler.is_compiling():
        return torch.expm1(x)
    t = torch.tanh(0.5 * x)
    return torch.where(torch.abs(x) < 1e-9, x + 0.5 * x * x, 2.0 * t / (1.0 - t))


def full(x: Any, value: float) -> Any:
    """``value`` in the shape and dtype of ``x``."""
    return torch.full_like(x, value)


def minimum(x: Any, bound: float) -> Any:
    """min(x, bound); NaN stays NaN."""
    return torch.clamp(x, max=bound)


def maximum(x: Any, bound: float) -> Any:
    """max(x, bound); NaN stays NaN."""
    return torch.clamp(x, min=bound)


def amax(x: Any, dim: int) -> Any:
    """The largest value along ``dim``, which stays with length one; −∞ where it is empty."""
    if not x.shape[dim]:
        return torch.full_like(x.sum(dim, keepdim=True), -torch.inf)
    return torch.amax(x, dim, keepdim=True)


def sum(x: Any, dim: int) -> Any:
    """The sum along ``dim``, which stays with length one."""
    return torch.sum(x, dim, keepdim=True)


def eye(n: int, like: Any) -> Any:
    """The n × n identity in the dtype and on the device of ``like``."""
    return torch.eye(n, dtype=like.dtype, device=like.device)
