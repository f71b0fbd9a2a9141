"""Smooth gates: the input times a smooth step of itself."""

import sympy as sp

from actbook.activation import declare
from actbook.symbols import erfcx, normal_cdf, scaled_exp, scaled_gauss, sigmoid, x

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
    builtin="silu",
)

# No builtin: the framework's own GELU overflows to ∞ above half of the largest float.
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
)

DECLARATIONS = (silu, gelu)
