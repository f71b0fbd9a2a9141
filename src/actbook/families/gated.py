"""Gated linear units: one half of the input passes, weighted by a function of the other."""

import sympy as sp

from actbook.activation import declare
from actbook.symbols import a, b, scaled_exp, sigmoid

_e = sp.exp(a)
_f = sp.exp(-a)

swiglu = declare(
    "swiglu",
    "SwiGLU",
    a * sigmoid(a) * b,
    shape="gated",
    variables=(a, b),
    forms=[
        ((0, 0), -sp.oo, 0, scaled_exp(a / (1 + _e), a, b)),
        ((1, 0), -sp.oo, 0, scaled_exp((1 + a + _e) / (1 + _e) ** 2, a, b)),
        ((1, 0), 0, sp.oo, (1 + _f + scaled_exp(a, -a)) / (1 + _f) ** 2 * b),
        ((0, 1), -sp.oo, 0, scaled_exp(a, a) / (1 + _e)),
        ((1, 1), -sp.oo, 0, scaled_exp(1 + a + _e, a) / (1 + _e) ** 2),
        ((1, 1), 0, sp.oo, (1 + _f + scaled_exp(a, -a)) / (1 + _f) ** 2),
        ((2, 0), -sp.oo, 0, scaled_exp((2 - a * sp.tanh(a / 2)) / (1 + _e) ** 2, a, b)),
        ((2, 0), 0, sp.oo, scaled_exp((2 - a * sp.tanh(a / 2)) / (1 + _f) ** 2, -a, b)),
    ],
    references=("shazeer2020glu",),
    year=2020,
)

DECLARATIONS = (swiglu,)
