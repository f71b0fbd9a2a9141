"""The exponential units, and the smooth rectifiers softplus and squareplus."""

import sympy as sp

from actbook.activation import Kink, Parameter, declare
from actbook.symbols import exp_product, exp_ratio, expm1, log1p, log1p_ratio, x
from actbook.symbols import softplus as log1p_exp

_alpha = sp.Symbol("alpha", positive=True)

elu = declare(
    "elu",
    "ELU",
    [(_alpha * expm1(x), sp.Integer(0)), (x, sp.oo)],
    kinks=(
        Kink(
            sp.Integer(0),
            value="left",
            slope="left",
            note="f′(0) = α, the left derivative, as PyTorch returns.",
        ),
    ),
    parameters=(
        Parameter(_alpha, sp.Integer(1), sp.Interval.open(0, sp.oo), "−α is the limit at −∞"),
    ),
    references=("clevert2016elu",),
    year=2015,
    home="12",
    builtin="elu",
)

_POSITIVE = sp.Interval.open(0, sp.oo)
_ONE = sp.Integer(1)

celu = declare(
    "celu",
    "CELU",
    [(_alpha * expm1(x / _alpha), sp.Integer(0)), (x, sp.oo)],
    kinks=(
        Kink(
            sp.Integer(0),
            value="right",
            slope="right",
            note="f and f′ agree on both sides; f″ jumps from 1/α to 0 and takes the right value, "
            "as PyTorch returns.",
        ),
    ),
    forms=[
        (1, -sp.oo, 0, exp_ratio(_ONE, x, _alpha)),
        (2, -sp.oo, 0, exp_ratio(1 / _alpha, x, _alpha)),
    ],
    parameters=(Parameter(_alpha, _ONE, _POSITIVE, "−α is the limit at −∞"),),
    references=("barron2017celu",),
    year=2017,
    home="12",
    builtin="celu",
)

# The values for which mean 0 and variance 1 are a fixed point of f under normal inputs.
_e_half, _erfc_1, _erfc_2 = sp.exp(sp.Rational(1, 2)), sp.erfc(1 / sp.sqrt(2)), sp.erfc(sp.sqrt(2))
SELU_ALPHA = -sp.sqrt(2 / sp.pi) / (_erfc_1 * _e_half - 1)
SELU_LAMBDA = (
    (1 - _erfc_1 * _e_half)
    * sp.sqrt(2 * sp.pi)
    / sp.sqrt(
        2 * _erfc_2 * sp.E**2
        + sp.pi * _erfc_1**2 * sp.E
        - 2 * (2 + sp.pi) * _erfc_1 * _e_half
        + sp.pi
        + 2
    )
)

selu = declare(
    "selu",
    "SELU",
    [(SELU_LAMBDA * SELU_ALPHA * expm1(x), sp.Integer(0)), (SELU_LAMBDA * x, sp.oo)],
    kinks=(
        Kink(
            sp.Integer(0),
            value="left",
            slope="left",
            note="f′(0) = λα, the left derivative, as PyTorch and JAX return.",
        ),
    ),
    references=("klambauer2017selu",),
    year=2017,
    home="12",
    builtin="selu",
)

_beta = sp.Symbol("beta", positive=True)
_rise, _fall = sp.exp(_beta * x), sp.exp(-_beta * x)

# No builtin: the framework's own is x from βx = 20 on, in float64 too.
softplus = declare(
    "softplus",
    "Softplus",
    log1p_exp(_beta * x) / _beta,
    forms=[
        (0, -sp.oo, 0, exp_product(log1p_ratio(_rise) / _beta, x, _beta)),
        (0, 0, sp.oo, x + log1p(_fall) / _beta),
        (1, -sp.oo, 0, exp_product(_ONE, x, _beta) / (1 + _rise)),
        (1, 0, sp.oo, 1 / (1 + _fall)),
        (2, -sp.oo, 0, exp_product(_beta, x, _beta) / (1 + _rise) ** 2),
        (2, 0, sp.oo, exp_product(_beta, -x, _beta) / (1 + _fall) ** 2),
    ],
    parameters=(Parameter(_beta, _ONE, _POSITIVE, "sharpness: the ReLU is the limit β → ∞"),),
    references=("dugas2000incorporating",),
    year=2000,
    aliases=("soft_plus", "smooth_relu"),
    home="11",
)

_b = sp.Symbol("b", positive=True)
_near = sp.sqrt(x**2 + _b)
_far = sp.sqrt(1 + _b / x**2)  # √(x² + b) / |x|, which does not overflow

squareplus = declare(
    "squareplus",
    "Squareplus",
    (x + _near) / 2,
    forms=[
        (0, -sp.oo, -1, -_b / x / (2 * (1 + _far))),
        (0, -1, 0, _b / (2 * (_near - x))),
        (0, 1, sp.oo, x * ((1 + _far) / 2)),
        (1, -sp.oo, -1, _b / x**2 / (2 * _far * (1 + _far))),
        (1, -1, 0, _b / (2 * _near * (_near - x))),
        (1, 0, 1, (1 + x / _near) / 2),
        (1, 1, sp.oo, (1 + 1 / _far) / 2),
        (2, -sp.oo, -1, -_b / x**3 / (2 * _far**3)),
        (2, -1, 1, _b / (2 * _near**3)),
        (2, 1, sp.oo, _b / x**3 / (2 * _far**3)),
    ],
    parameters=(Parameter(_b, sp.Integer(4), _POSITIVE, "f(0) = √b / 2; the ReLU is b → 0"),),
    references=("barron2021squareplus",),
    year=2021,
    home="11",
)

DECLARATIONS = (elu, celu, selu, softplus, squareplus)
