"""Small data sets that the tests train on."""

from __future__ import annotations

import numpy as np

from actbook.data import Dataset


def blobs(examples: int = 75, features: int = 24, classes: int = 3) -> Dataset:
    """Clouds of points; no multiple of a batch of 16, so that the last batch is short."""
    generator = np.random.default_rng(7)
    centres = 2 * generator.standard_normal((classes, features))

    def draw(n: int) -> tuple[np.ndarray, np.ndarray]:
        y = np.arange(n) % classes
        x = centres[y] + generator.standard_normal((n, features))
        return x.astype(np.float32), y.astype(np.int64)

    parts = [part for n in (examples, 20, 25) for part in draw(n)]
    return Dataset("blobs", "blobs", "none", tuple("abc"), *parts)


def little_digits(size: int = 40, valid: int = 10, *, constant_pixel: bool = False) -> Dataset:
    """Noise in the shape of the digits, with all ten labels; 20 test images."""
    generator = np.random.default_rng(3)
    y = np.arange(size) % 10
    x = generator.random((size, 8, 8), dtype=np.float32)
    if constant_pixel:
        x[:, 0, 0] = 0.0
    parts = (x, y), (x[:valid], y[:valid]), (x[:20], y[:20])
    names = tuple("0123456789")
    return Dataset("digits", "digits", "none", names, *(a for pair in parts for a in pair))
