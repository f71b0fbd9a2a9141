"""Activations with parameters that train."""

import sympy as sp

from actbook.activation import Bounds, Kink, Parameter, declare
from actbook.symbols import expm1, expm2, gate, gate_pdf, gate_slope, sigmoid, x

_ZERO, _ONE = sp.Integer(0), sp.Integer(1)
_LINE = (-sp.oo, sp.oo)
_LEFT, _RIGHT = (-sp.oo, 0), (0, sp.oo)
_REAL = sp.S.Reals
_POSITIVE = sp.Interval.open(0, sp.oo)

_beta = sp.Symbol("beta", real=True)
_t = _beta * x
_bend = 2 - _t * sp.tanh(_t / 2)

# β may have either sign: the forms hold on the whole line, their functions branch on that of βx.
_swish = {
    "branches": x * sigmoid(_t),
    "shape": "learnable",
    "forms": [
        ((0, 0), *_LINE, gate(x, _ONE, x, _beta)),
        ((1, 0), *_LINE, gate_slope(_ONE, x, _beta)),
        ((0, 1), *_LINE, gate_pdf(x, x, x, _beta)),
        ((2, 0), *_LINE, gate_pdf(_beta, _bend, x, _beta)),
        ((1, 1), *_LINE, gate_pdf(x, _bend, x, _beta)),
        ((0, 2), *_LINE, gate_pdf(-(x**2), x * sp.tanh(_t / 2), x, _beta)),
    ],
}

swish = declare(
    "swish",
    "Swish",
    **_swish,
    parameters=(
        Parameter(_beta, _ONE, _REAL, "rate: 0 gives x/2, ∞ the rectifier", learnable=True),
    ),
    references=("ramachandran2017swish",),
    year=2017,
    home="13",
)

acon_a = declare(
    "acon_a",
    "ACON-A",
    **_swish,
    parameters=(
        Parameter(_beta, _ONE, _REAL, "sharpness of the smooth maximum of x and 0", learnable=True),
    ),
    references=("ma2021activate",),
    year=2020,
    home="19",
)

_p1, _p2 = sp.symbols("p1 p2", real=True)


def _smooth_maximum(p: sp.Expr, q: sp.Expr) -> sp.Expr:
    """(p − q) x σ(β (p − q) x) + q x, the smooth maximum of px and qx."""
    return (p - q) * x * sigmoid(_beta * (p - q) * x) + q * x


def _smooth_maximum_forms(p: sp.Expr, q: sp.Expr) -> dict[str, sp.Expr]:
    """x (p σ(t) + q σ(−t)) with t = β (p − q) x, and its derivatives: no difference is left."""
    up, down = (x, _beta, p, q), (x, -_beta, p, q)
    t = _beta * (p - q) * x
    return {
        "value": gate(x, p, *up) + gate(x, q, *down),
        "x": gate_slope(p, *up) + gate_slope(q, *down),
        "p": gate_slope(x, *up),
        "q": gate_slope(x, *down),
        "beta": gate_pdf((p - q) * x, (p - q) * x, *up),
        "xx": gate_pdf(_beta * (p - q) ** 2, 2 - t * sp.tanh(t / 2), *up),
    }


_b = _smooth_maximum_forms(_ONE, _p2)
_c = _smooth_maximum_forms(_p1, _p2)

acon_b = declare(
    "acon_b",
    "ACON-B",
    _smooth_maximum(_ONE, _p2).subs(_p2, sp.Symbol("p", real=True)),
    shape="learnable",
    forms=[
        (order, *_LINE, _b[name].subs(_p2, sp.Symbol("p", real=True)))
        for order, name in (
            ((0, 0, 0), "value"),
            ((1, 0, 0), "x"),
            ((0, 1, 0), "q"),
            ((0, 0, 1), "beta"),
            ((2, 0, 0), "xx"),
        )
    ],
    parameters=(
        Parameter(
            sp.Symbol("p", real=True),
            sp.Rational(1, 4),
            _REAL,
            "slope of the second line; 1/4 as in PReLU",
            learnable=True,
        ),
        Parameter(
            _beta, _ONE, _REAL, "sharpness of the smooth maximum of x and px", learnable=True
        ),
    ),
    references=("ma2021activate",),
    year=2020,
    home="19",
)

acon_c = declare(
    "acon_c",
    "ACON-C",
    _smooth_maximum(_p1, _p2),
    shape="learnable",
    forms=[
        (order, *_LINE, _c[name])
        for order, name in (
            ((0, 0, 0, 0), "value"),
            ((1, 0, 0, 0), "x"),
            ((0, 1, 0, 0), "p"),
            ((0, 0, 1, 0), "q"),
            ((0, 0, 0, 1), "beta"),
            ((2, 0, 0, 0), "xx"),
        )
    ],
    parameters=(
        Parameter(_p1, _ONE, _REAL, "slope of the first line", learnable=True),
        Parameter(_p2, _ZERO, _REAL, "slope of the second line", learnable=True),
        Parameter(
            _beta, _ONE, _REAL, "sharpness of the smooth maximum of p1 x and p2 x", learnable=True
        ),
    ),
    references=("ma2021activate",),
    year=2020,
    home="19",
    note="The authors' code draws p1 and p2 of each channel from N(0, 1); 1 and 0 start as ACON-A.",
)

_alpha_p, _alpha_n, _offset = sp.symbols("alpha_p alpha_n beta", real=True)
_far = _alpha_n * expm1(x) + (_offset - _alpha_n) * x  # no ∞ − ∞ at −∞

xielu = declare(
    "xielu",
    "xIELU",
    [(_alpha_n * expm2(x) + _offset * x, _ZERO), (_alpha_p * x**2 + _offset * x, sp.oo)],
    shape="learnable",
    kinks=(
        Kink(
            _ZERO,
            value="left",
            slope="left",
            note="f(0) = 0 and f′(0) = β on both sides; f″(0) = α_n, the left value, as the "
            "authors' code branches on x > 0. That code puts min(x, −10⁻⁶) in the exponential, "
            "so its f(0) is −8·10⁻⁷.",
        ),
    ),
    forms=[
        ((0, 0, 0), -sp.oo, -1, _far),
        ((0, 0, 0), *_RIGHT, x * (_alpha_p * x + _offset)),
        ((1, 0, 0), *_LEFT, _alpha_n * expm1(x) + _offset),
        ((1, 0, 0), 1, sp.oo, x * (2 * _alpha_p + _offset / x)),  # 4 α_p x would overflow
        ((0, 0, 1), *_LEFT, expm2(x)),
    ],
    parameters=(
        Parameter(
            _alpha_p,
            sp.Rational(4, 5),
            _POSITIVE,
            "half of f″ for x > 0; the authors train its inverse softplus",
            learnable=True,
        ),
        Parameter(
            _alpha_n,
            sp.Rational(4, 5),
            _POSITIVE,
            "f″ at 0 from the left; the authors train the inverse softplus of α_n − β",
            learnable=True,
        ),
        Parameter(_offset, sp.Rational(1, 2), _POSITIVE, "slope at 0, fixed"),
    ),
    bounds=Bounds(
        rule="terms",
        reason="4/5 is no binary fraction: what α loses in the dtype counts on the terms with α",
    ),
    references=("huang2024deriving",),
    year=2024,
    home="19",
    note=(
        "α_p and α_n are here the numbers in the formula. The authors train a_p and a_n with "
        "α_p = softplus(a_p) and α_n = β + softplus(a_n), which start at 4/5 and keep α_n > β."
    ),
)

_alpha, _gamma, _shift = sp.symbols("alpha gamma beta", real=True)
_sech2 = (x, 2 * _alpha)

dyt = declare(
    "dyt",
    "Dynamic tanh",
    _gamma * sp.tanh(_alpha * x) + _shift,
    shape="learnable",
    forms=[
        ((1, 0, 0, 0), *_LINE, gate_pdf(4 * _alpha, _gamma, *_sech2)),
        ((0, 1, 0, 0), *_LINE, 4 * gate_pdf(x, _gamma, *_sech2)),
        (
            (2, 0, 0, 0),
            *_LINE,
            gate_pdf(-8 * _alpha**2 * sp.tanh(_alpha * x), _gamma, *_sech2),
        ),
    ],
    parameters=(
        Parameter(_alpha, sp.Rational(1, 2), _REAL, "rate; one per layer", learnable=True),
        Parameter(_gamma, _ONE, _REAL, "scale; one per channel", learnable=True),
        Parameter(_shift, _ZERO, _REAL, "shift; one per channel", learnable=True),
    ),
    references=("zhu2025transformers",),
    year=2025,
    aliases=("dynamic_tanh",),
    home="19",
)

DECLARATIONS = (swish, acon_a, acon_b, acon_c, xielu, dyt)
