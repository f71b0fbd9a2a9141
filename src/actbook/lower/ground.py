"""The ground functions, written once for every array library.

``xp`` is the namespace of a library (``actbook.lower.xp_numpy``, ``actbook.lower.xp_torch``).
Arguments are float32 or float64 arrays of that library; results have the same dtype.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "logistic_pdf",
    "normal_cdf",
    "normal_pdf",
    "scaled_exp",
    "scaled_gauss",
    "sigmoid",
    "softmax",
    "softmax_jacobian",
    "softplus",
]

SQRT_HALF = 0.7071067811865476
INV_SQRT_2PI = 0.3989422804014327
GRID = 64.0  # rounding to multiples of 1/64 below 64 leaves squares of 24 bits: exact in float32
FAR = -4096.0  # e^FAR times the largest float is 0 in every format


def sigmoid(xp: Any, x: Any) -> Any:
    """1 / (1 + e^{−x}) through e^{−|x|}, which cannot overflow."""
    e = xp.exp(-xp.abs(x))
    return xp.where(x < 0, e, 1.0) / (1.0 + e)


def logistic_pdf(xp: Any, x: Any) -> Any:
    """e / (1 + e)² with e = e^{−|x|}."""
    e = xp.exp(-xp.abs(x))
    return e / ((1.0 + e) * (1.0 + e))


def softplus(xp: Any, x: Any) -> Any:
    """log(1 + e^x) = max(x, 0) + log1p(e^{−|x|})."""
    return xp.maximum(x, 0.0) + xp.log1p(xp.exp(-xp.abs(x)))


def normal_cdf(xp: Any, x: Any) -> Any:
    """Φ(x) = erfc(−x/√2) / 2; its relative accuracy fades below −1."""
    return 0.5 * xp.erfc(-SQRT_HALF * x)


def normal_pdf(xp: Any, x: Any) -> Any:
    """φ(x) = e^{−x²/2} / √(2π)."""
    return scaled_gauss(xp, INV_SQRT_2PI, x)


def scaled_exp(xp: Any, c: Any, t: Any, d: Any = 1.0) -> Any:
    """c e^t d as ((c h) d) h with h = e^{t/2}; 0 where e^t outweighs every c and d."""
    h = xp.exp(0.5 * t)
    return xp.where(t < FAR, 0.0, c * h * d * h)


def scaled_gauss(xp: Any, c: Any, t: Any) -> Any:
    """c e^{−t²/2} with t = r + s, r on a grid, so that r² is exact and s small."""
    r = xp.rint(GRID * xp.clip(t, -GRID, GRID)) / GRID
    s = t - r
    h = xp.exp(-0.25 * r * r)
    return xp.where(xp.abs(t) >= GRID, 0.0, c * h * xp.exp(-0.5 * s * (t + r)) * h)


def softmax(xp: Any, x: Any, dim: int) -> Any:
    """e^{xᵢ − m} / Σⱼ e^{xⱼ − m}, m = max x, with the rounding of the difference made good."""
    m = xp.amax(x, dim)
    d = x - m
    v = d - x
    lost = (x - (d - v)) - (m + v)
    e = xp.exp(d) * (1.0 + xp.where(d > FAR, lost, 0.0))
    return e / xp.sum(e, dim)


def softmax_jacobian(xp: Any, x: Any) -> Any:
    """∂sᵢ/∂xⱼ = sᵢ (δᵢⱼ − sⱼ) along the last dimension, 1 − sᵢ as the sum of the others."""
    s = softmax(xp, x, -1)
    n = x.shape[-1]
    eye = xp.eye(n, s)
    others = xp.sum(s[..., None, :] * (1.0 - eye), -1)
    return s[..., :, None] * (eye * others - (1.0 - eye) * s[..., None, :])
