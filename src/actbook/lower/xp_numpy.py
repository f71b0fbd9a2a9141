"""What the ground functions need of NumPy (and SciPy)."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.special

exp, expm1, log, log1p = np.exp, np.expm1, np.log, np.log1p
tanh, sqrt, rint, abs = np.tanh, np.sqrt, np.rint, np.abs
where, minimum, maximum, clip = np.where, np.minimum, np.maximum, np.clip
erf, erfc, erfcx = scipy.special.erf, scipy.special.erfc, scipy.special.erfcx


def full(x: Any, value: float) -> Any:
    """``value`` in the shape and dtype of ``x``."""
    return np.full_like(x, value)


def amax(x: Any, dim: int) -> Any:
    """The largest value along ``dim``, which stays with length one; −∞ where it is empty."""
    return np.max(x, axis=dim, keepdims=True, initial=-np.inf)


def sum(x: Any, dim: int) -> Any:
    """The sum along ``dim``, which stays with length one."""
    return np.sum(x, axis=dim, keepdims=True)


def eye(n: int, like: Any) -> Any:
    """The n × n identity in the dtype of ``like``."""
    return np.eye(n, dtype=like.dtype)
