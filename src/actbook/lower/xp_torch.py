"""What the ground functions need of torch."""

from __future__ import annotations

from typing import Any

import torch

exp, expm1, log, log1p = torch.exp, torch.expm1, torch.log, torch.log1p
tanh, sqrt, rint, abs = torch.tanh, torch.sqrt, torch.round, torch.abs
where, clip = torch.where, torch.clamp
erf, erfc, erfcx = torch.erf, torch.erfc, torch.special.erfcx


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
    """The largest value along ``dim``, which stays with length one."""
    return torch.amax(x, dim, keepdim=True)


def sum(x: Any, dim: int) -> Any:
    """The sum along ``dim``, which stays with length one."""
    return torch.sum(x, dim, keepdim=True)


def eye(n: int, like: Any) -> Any:
    """The n × n identity in the dtype and on the device of ``like``."""
    return torch.eye(n, dtype=like.dtype, device=like.device)
