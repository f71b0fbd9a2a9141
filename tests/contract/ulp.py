"""Floating-point formats, grids over all magnitudes, and errors in units in the last place."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache

import mpmath as mp
import numpy as np

PRECISION = 260


@dataclass(frozen=True)
class Format:
    """A binary format: significant bits, smallest normal exponent, largest finite value."""

    name: str
    bits: int
    emin: int
    largest: float

    @property
    def tiny(self) -> float:
        """The smallest normal number."""
        return math.ldexp(1.0, self.emin)

    @property
    def unit(self) -> float:
        """The unit roundoff u."""
        return math.ldexp(1.0, -self.bits)

    def round(self, values: Iterable[float]) -> np.ndarray:
        """The nearest numbers of the format, as float64."""
        array = np.asarray(list(values), dtype=np.float64)
        with np.errstate(over="ignore", under="ignore"):
            if self.name == "float16":
                return array.astype(np.float16).astype(np.float64)
            if self.name == "float32":
                return array.astype(np.float32).astype(np.float64)
            if self.name == "bfloat16":
                import torch

                return torch.tensor(array).to(torch.bfloat16).double().numpy()
        return array


FORMATS = {
    "float16": Format("float16", 11, -14, 65504.0),
    "bfloat16": Format("bfloat16", 8, -126, 3.3895313892515355e38),
    "float32": Format("float32", 24, -126, 3.4028234663852886e38),
    "float64": Format("float64", 53, -1022, 1.7976931348623157e308),
}


@lru_cache(maxsize=8)
def grid(name: str) -> np.ndarray:
    """Finite inputs of a format: every magnitude, both signs, dense where tails and kinks lie."""
    fmt = FORMATS[name]
    rng = np.random.default_rng(20240229)
    top = math.log(fmt.largest) * (1 - 1e-12)
    magnitudes = np.exp(np.linspace(math.log(fmt.tiny), top, 500))
    parts = [
        magnitudes,
        np.exp(rng.uniform(math.log(1e-4), math.log(800.0), 900)),
        np.linspace(0.0, 20.0, 401),
        np.linspace(60.0, 110.0, 201),
        np.linspace(700.0, 760.0, 61),
        np.array([0.0, 3.0, fmt.largest]),
    ]
    positive = np.concatenate(parts)
    rounded = fmt.round(np.concatenate([-positive, positive]))
    return np.unique(rounded[np.isfinite(rounded)])


def errors(
    reference: Callable[[mp.mpf], mp.mpf], inputs: np.ndarray, outputs: np.ndarray, fmt: Format
) -> np.ndarray:
    """The error of each output in units in the last place of the exact result.

    Where the exact result is below the normal range the error counts in units of the smallest
    normal number, so that 1 means "as wrong as any subnormal can be".  Where it is above the
    largest finite number, ∞ of the right sign is the right answer.
    """
    found = np.empty(len(inputs))
    with mp.workprec(PRECISION):
        for index, (x, y) in enumerate(zip(inputs.tolist(), outputs.tolist(), strict=True)):
            found[index] = _error(reference(mp.mpf(x)), y, fmt)
    return found


def _error(exact: mp.mpf, y: float, fmt: Format) -> float:
    if math.isnan(y):
        return math.inf
    size = abs(exact)
    if math.isinf(y):
        limit = mp.mpf(fmt.largest) * (1 + mp.mpf(2) ** -fmt.bits)
        return 0.0 if size >= limit and (exact > 0) == (y > 0) else math.inf
    if size < fmt.tiny:
        return float(abs(mp.mpf(y) - exact) / fmt.tiny)
    exponent = int(mp.floor(mp.log(size, 2)))
    return float(abs(mp.mpf(y) - exact) / mp.mpf(2) ** (exponent - fmt.bits + 1))
