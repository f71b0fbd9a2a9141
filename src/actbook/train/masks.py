"""Dropout masks that depend on nothing but who, when and where.

Whether an element is kept is a hash of (seed, layer, step, example, unit): no generator, no state.
A member's masks are therefore the same alone and in a group, on every device, and in a CUDA graph
that is replayed.  The hash is Chris Wellons' ``lowbias32``, once over the mixed counters of each
example and once over its units; all arithmetic is modulo 2³².
"""

from __future__ import annotations

import torch

__all__ = ["kept", "member_key"]

_WORD = 0xFFFFFFFF
_FIRST, _SECOND = 0x7FEB352D, 0x846CA68B
#: Odd, and near 2³² divided by the golden ratio: multiples of it are spread evenly.
_SPREAD = 0x9E3779B9


def member_key(seed: int, layer: int) -> int:
    """The key, below 2³², of one layer of a member; every bit of the seed counts."""
    key = _mixed(layer + 1)
    while True:
        key = _mixed(key ^ (seed & _WORD))
        seed >>= 32
        if not seed:
            return key


@torch.no_grad()
def kept(keys: torch.Tensor, step: torch.Tensor, shape: torch.Size, rate: float) -> torch.Tensor:
    """Which elements are kept in a step: bool of ``shape`` (M, n, units), for keys int64 (M,)."""
    examples, units = shape[1], shape[2]
    counters = torch.arange(examples, device=keys.device)
    rows = _mixed_tensor((keys ^ _mixed_tensor(step & _WORD)).unsqueeze(1) ^ counters)
    x = (rows - 2**31).to(torch.int32).unsqueeze(2) + _columns(units, keys.device)
    x ^= (x >> 16) & 0xFFFF  # of an int32, a shift to the right keeps the sign
    x *= _FIRST
    x ^= (x >> 15) & 0x1FFFF
    x *= _signed(_SECOND)
    x ^= (x >> 16) & 0xFFFF
    x &= 0x7FFFFFFF
    return x >= round(rate * 2**31)


def _columns(units: int, device: torch.device) -> torch.Tensor:
    counted = torch.arange(units, device=device)
    return (((counted * _SPREAD) & _WORD) - 2**31).to(torch.int32)


def _mixed(x: int) -> int:
    x ^= x >> 16
    x = (x * _FIRST) & _WORD
    x ^= x >> 15
    x = (x * _SECOND) & _WORD
    return x ^ (x >> 16)


def _mixed_tensor(x: torch.Tensor) -> torch.Tensor:
    """The same of int64 values below 2³²; what a product loses beyond 2⁶⁴ is cut off anyway."""
    x = x ^ (x >> 16)
    x = (x * _FIRST) & _WORD
    x = x ^ (x >> 15)
    x = (x * _SECOND) & _WORD
    return x ^ (x >> 16)


def _signed(x: int) -> int:
    return x - 2**32 if x >= 2**31 else x
