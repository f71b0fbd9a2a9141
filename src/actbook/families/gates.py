"""Smooth gates: the input times a smooth step of itself."""

import sympy as sp

from actbook.activation import Bounds, declare
from actbook.symbols import (
    cubic_gate,
    cubic_gate_bend,
    cubic_gate_slope,
    erf_excess,
    erfcx,
    gate,
    gate_pdf,
    gate_slope,
    logistic_pdf,
    normal_cdf,
    scaled_exp,
    scaled_gauss,
    sech2_exp,
    sigmoid,
    sinh_excess,
    softplus,
    tanh_exp,
    tanh_ratio,
    x,
)

_e = sp.exp(x)
_ROOT_2 = sp.sqrt(2)
_ROOT_2PI = sp.sqrt(2 * sp.pi)

silu = declare(
    "silu",
    "SiLU",
    x * sigmoid(x),
    forms=[
        (0, -sp.oo, 0, scaled_exp(x, x) / (1 + _e)),
        (1, -sp.oo, 0, scaled_exp(1 + x + _e, x) / (1 + _e) ** 2),
        (1, 0, sp.oo, (1 + sp.exp(-x) + scaled_exp(x, -x)) / (1 + sp.exp(-x)) ** 2),
        (2, -sp.oo, 0, scaled_exp(2 - x * sp.tanh(x / 2), x) / (1 + _e) ** 2),
        (2, 0, sp.oo, scaled_exp(2 - x * sp.tanh(x / 2), -x) / (1 + sp.exp(-x)) ** 2),
    ],
    references=("elfwing2018silu", "hendrycks2016gelu", "ramachandran2017swish"),
    year=2016,
    aliases=("swish_1",),
    home="13",
    builtin="silu",
)

# No builtin: the framework's own GELU overflows to ∞ above half of the largest float, and was off
# by 19 u near −3.46 on the CPU where it was measured: more than the training policy allows.
gelu = declare(
    "gelu",
    "GELU",
    x * normal_cdf(x),
    forms=[
        (0, -sp.oo, -1, scaled_gauss(x * erfcx(-x / _ROOT_2) / 2, x)),
        (1, -sp.oo, -1, scaled_gauss(erfcx(-x / _ROOT_2) / 2 + x / _ROOT_2PI, x)),
        (1, -1, sp.oo, normal_cdf(x) + scaled_gauss(x / _ROOT_2PI, x)),
        (2, -sp.oo, sp.oo, scaled_gauss((_ROOT_2 - x) * (_ROOT_2 + x) / _ROOT_2PI, x)),
    ],
    references=("hendrycks2016gelu",),
    year=2016,
    home="13",
    bounds=Bounds(
        slope=32.0,
        reason=(
            "Φ(x) and x φ(x) cancel around the root of f′ at −0.752. Of all float32 numbers in "
            "[−1.3, −0.3], NumPy is off by at most 27.1 units and torch by 20.9."
        ),
    ),
)

# No builtin: the gradient of the framework's is NaN where x² overflows.
gelu_tanh = declare(
    "gelu_tanh",
    "GELU, tanh form",
    x / 2 * (1 + sp.tanh(sp.sqrt(2 / sp.pi) * (x + sp.Rational(44715, 10**6) * x**3))),
    forms=[
        (0, -sp.oo, sp.oo, cubic_gate(x)),
        (1, -sp.oo, sp.oo, cubic_gate_slope(x)),
        (2, -sp.oo, sp.oo, cubic_gate_bend(x)),
    ],
    references=("hendrycks2016gelu",),
    year=2016,
    aliases=("gelu_new",),
    home="13",
)

_RATE = sp.Rational(1702, 1000)
_ROUNDED = sp.Rational(14277411, 2**23)  # what 24 bits hold of it: exact in float32 and float64
_t = _RATE * x
_quick = (x, sp.Integer(1), _ROUNDED, _ROUNDED - _RATE)  # t as 1 (p − q) x

quick_gelu = declare(
    "quick_gelu",
    "Quick GELU",
    x * sigmoid(_t),
    forms=[
        (0, -sp.oo, sp.oo, gate(x, sp.Integer(1), *_quick)),
        (1, -sp.oo, sp.oo, gate_slope(sp.Integer(1), *_quick)),
        (2, -sp.oo, sp.oo, gate_pdf(_RATE, 2 - _t * sp.tanh(_t / 2), *_quick)),
    ],
    references=("hendrycks2016gelu",),
    year=2016,
    aliases=("gelu_sigmoid",),
    home="13",
)

_f = sp.exp(-x)

# No builtin: the framework's own is NaN at −∞ and its gradient loses every digit in the left tail.
mish = declare(
    "mish",
    "Mish",
    x * sp.tanh(softplus(x)),
    forms=[
        (0, -sp.oo, -16, scaled_exp(x, x) * (_e + 2) / (_e * (_e + 2) + 2)),
        (0, -16, 0, x * (_e * (_e + 2) / (_e * (_e + 2) + 2))),
        (0, 0, sp.oo, x * ((1 + 2 * _f) / (1 + 2 * _f * (1 + _f)))),
        (
            1,
            -sp.oo,
            0,
            scaled_exp(4 * (x + 1) + _e * (4 * x + 6 + _e * (4 + _e)), x)
            / (_e * (_e + 2) + 2) ** 2,
        ),
        (
            1,
            0,
            sp.oo,
            (1 + 4 * _f + scaled_exp(4 * x + 6, -2 * x) + scaled_exp(4 * x + 4, -3 * x))
            / (1 + 2 * _f * (1 + _f)) ** 2,
        ),
    ],
    references=("misra2020mish",),
    year=2019,
    home="13",
)

_LEFT = (-sp.oo, 0)
_RIGHT = (0, sp.oo)

tanhexp = declare(
    "tanhexp",
    "TanhExp",
    x * tanh_exp(x),
    forms=[
        (0, *_LEFT, scaled_exp(x * tanh_ratio(_e), x)),
        (1, *_LEFT, (1 - sp.tanh(_e) ** 2) * scaled_exp(sinh_excess(1 + x, 2 * _e), x)),
        (1, *_RIGHT, tanh_exp(x) + sech2_exp(x, x, x)),
        (
            2,
            *_LEFT,
            scaled_exp(4 * logistic_pdf(2 * _e) * (2 + x * (1 - 2 * _e * sp.tanh(_e))), x),
        ),
        (2, *_RIGHT, sech2_exp(2 + x, x, x) - sech2_exp(2 * x * tanh_exp(x), 2 * x, x)),
    ],
    references=("liu2020tanhexp",),
    year=2020,
    aliases=("telu",),
    home="13",
)

_GAUSS = 2 / sp.sqrt(sp.pi)
_bell = _GAUSS * sp.exp(-(softplus(x) ** 2)) / (1 + _e)

serf = declare(
    "serf",
    "Serf",
    x * sp.erf(softplus(x)),
    forms=[
        (0, -sp.oo, -16, _bell * scaled_exp(x * erf_excess(sp.Integer(1), softplus(x)), x)),
        (0, -16, 0, _bell * _e * (x * erf_excess(sp.Integer(1), softplus(x)))),
        (1, *_LEFT, _bell * scaled_exp(erf_excess(1 + x, softplus(x)), x)),
        (
            1,
            *_RIGHT,
            sp.erf(softplus(x)) + scaled_gauss(_GAUSS * x * sigmoid(x), _ROOT_2 * softplus(x)),
        ),
    ],
    references=("nag2023serf",),
    year=2021,
    home="13",
)

DECLARATIONS = (silu, gelu, gelu_tanh, quick_gelu, mish, tanhexp, serf)
