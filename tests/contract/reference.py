"""Textbook definitions in arbitrary precision, written by hand: the truth the contract is held to.

Nothing here comes from the package.  Every function takes and returns ``mpmath`` numbers; exponents
beyond any float's range are cut, because ``mpmath`` would try to compute them.
"""

from __future__ import annotations

from collections.abc import Callable

import mpmath as mp

CUT = 100_000


def _exp(t: mp.mpf) -> mp.mpf:
    if t < -CUT:
        return mp.mpf(0)
    return mp.exp(t)


def _sigmoid(x: mp.mpf) -> mp.mpf:
    e = _exp(-abs(x))
    return (1 if x >= 0 else e) / (1 + e)


def _sigmoid_slope(x: mp.mpf) -> mp.mpf:
    e = _exp(-abs(x))
    return e / (1 + e) ** 2


def _tanh(x: mp.mpf) -> mp.mpf:
    return mp.tanh(x) if abs(x) < CUT else mp.sign(x)


def _cdf(x: mp.mpf) -> mp.mpf:
    if abs(x) > CUT:
        return mp.mpf(1 if x > 0 else 0)
    return mp.erfc(-x / mp.sqrt(2)) / 2


def _pdf(x: mp.mpf) -> mp.mpf:
    return mp.mpf(0) if abs(x) > CUT else mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi)


VALUE: dict[str, Callable[[mp.mpf], mp.mpf]] = {
    "identity": lambda x: x,
    "step": lambda x: mp.mpf(1 if x >= 0 else 0),
    "sigmoid": _sigmoid,
    "tanh": _tanh,
    "softsign": lambda x: x / (1 + abs(x)),
    "hardsigmoid": lambda x: min(max((x + 3) / 6, mp.mpf(0)), mp.mpf(1)),
    "logsigmoid": lambda x: min(x, mp.mpf(0)) - mp.log1p(_exp(-abs(x))),
    "relu": lambda x: max(x, mp.mpf(0)),
    "leaky_relu": lambda x: x if x > 0 else x / 100,
    "prelu": lambda x: x if x > 0 else x / 4,
    "elu": lambda x: x if x > 0 else (mp.expm1(x) if x > -CUT else mp.mpf(-1)),
    "silu": lambda x: x * _sigmoid(x),
    "gelu": lambda x: x * _cdf(x),
}

SLOPE: dict[str, Callable[[mp.mpf], mp.mpf]] = {
    "identity": lambda x: mp.mpf(1),
    "step": lambda x: mp.mpf(0),
    "sigmoid": _sigmoid_slope,
    "tanh": lambda x: 4 * _sigmoid_slope(2 * x),
    "softsign": lambda x: 1 / (1 + abs(x)) ** 2,
    "hardsigmoid": lambda x: mp.mpf(1) / 6 if -3 < x < 3 else mp.mpf(0),
    "logsigmoid": lambda x: _sigmoid(-x),
    "relu": lambda x: mp.mpf(1 if x > 0 else 0),
    "leaky_relu": lambda x: mp.mpf(1) if x > 0 else mp.mpf(1) / 100,
    "prelu": lambda x: mp.mpf(1) if x > 0 else mp.mpf(1) / 4,
    "elu": lambda x: mp.mpf(1) if x > 0 else _exp(x),
    "silu": lambda x: _sigmoid(x) + x * _sigmoid_slope(x),
    "gelu": lambda x: _cdf(x) + x * _pdf(x),
}

# Roots r ≠ 0 of f′ near which the bound is absolute: 16 u · max |f′| on [r − 1, r + 1].
SLOPE_ROOTS: dict[str, float] = {"silu": -1.2784645427610738, "gelu": -0.7517915246935645}

LIMITS: dict[str, tuple[float, float]] = {
    "identity": (float("-inf"), float("inf")),
    "step": (0.0, 1.0),
    "sigmoid": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "softsign": (-1.0, 1.0),
    "hardsigmoid": (0.0, 1.0),
    "logsigmoid": (float("-inf"), 0.0),
    "relu": (0.0, float("inf")),
    "leaky_relu": (float("-inf"), float("inf")),
    "prelu": (float("-inf"), float("inf")),
    "elu": (-1.0, float("inf")),
    "silu": (0.0, float("inf")),
    "gelu": (0.0, float("inf")),
}

SLOPE_LIMITS: dict[str, tuple[float, float]] = {
    "identity": (1.0, 1.0),
    "step": (0.0, 0.0),
    "sigmoid": (0.0, 0.0),
    "tanh": (0.0, 0.0),
    "softsign": (0.0, 0.0),
    "hardsigmoid": (0.0, 0.0),
    "logsigmoid": (1.0, 0.0),
    "relu": (0.0, 1.0),
    "leaky_relu": (0.01, 1.0),
    "prelu": (0.25, 1.0),
    "elu": (0.0, 1.0),
    "silu": (0.0, 1.0),
    "gelu": (0.0, 1.0),
}
