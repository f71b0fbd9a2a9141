"""The piecewise-linear rectifiers."""

import sympy as sp

from actbook.activation import Kink, Parameter, declare
from actbook.symbols import x

_ZERO = sp.Integer(0)
_TORCH_ZERO = "f′(0) is the left derivative, as PyTorch and JAX return."

relu = declare(
    "relu",
    "ReLU",
    [(_ZERO, _ZERO), (x, sp.oo)],
    kinks=(Kink(_ZERO, value="left", slope="left", note=_TORCH_ZERO),),
    references=("householder1941theory", "fukushima1969visual", "nair2010rectified"),
    year=1941,
    aliases=("rectifier", "ramp"),
    builtin="relu",
)

_slope = sp.Symbol("alpha", real=True)

leaky_relu = declare(
    "leaky_relu",
    "Leaky ReLU",
    [(_slope * x, _ZERO), (x, sp.oo)],
    kinks=(Kink(_ZERO, value="left", slope="left", note=_TORCH_ZERO),),
    parameters=(
        Parameter(_slope, sp.Rational(1, 100), sp.Interval(0, sp.oo, False, True), "left slope"),
    ),
    references=("xu2015empirical",),
    year=2013,
    aliases=("lrelu",),
    builtin="leaky_relu",
)

prelu = declare(
    "prelu",
    "PReLU",
    [(_slope * x, _ZERO), (x, sp.oo)],
    shape="learnable",
    kinks=(Kink(_ZERO, value="left", slope="left", note=_TORCH_ZERO),),
    parameters=(
        Parameter(_slope, sp.Rational(1, 4), sp.S.Reals, "left slope, trained", learnable=True),
    ),
    references=("he2015delving",),
    year=2015,
    builtin="prelu",
)

DECLARATIONS = (relu, leaky_relu, prelu)
