"""The piecewise-linear rectifiers."""

import sympy as sp

from actbook.activation import Kink, Parameter, declare
from actbook.symbols import times, x

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
    home="10",
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
    home="10",
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
    home="10",
    builtin="prelu",
)

# The cap of 6 is older than what is cited: Krizhevsky's report of 2010 on CIFAR-10, unpublished.
_SIX = sp.Integer(6)

relu6 = declare(
    "relu6",
    "ReLU6",
    [(_ZERO, _ZERO), (x, _SIX), (_SIX, sp.oo)],
    kinks=(
        Kink(_ZERO, value="left", slope="left", note="Slope 0, as PyTorch and JAX return."),
        Kink(_SIX, value="right", slope="right", note="Slope 0, as PyTorch and JAX return."),
    ),
    references=("sandler2018mobilenetv2",),
    year=2010,
    home="10",
    builtin="relu6",
)

relu_squared = declare(
    "relu_squared",
    "Squared ReLU",
    [(_ZERO, _ZERO), (x**2, sp.oo)],
    kinks=(
        Kink(
            _ZERO,
            value="left",
            slope="left",
            note="f and f′ agree on both sides; f″ jumps from 0 to 2 and takes the left value, "
            "as PyTorch's and JAX's relu(x)² do.",
        ),
    ),
    references=("so2021primer",),
    year=2021,
    aliases=("squared_relu", "relu2"),
    home="10",
)

_s, _b = sp.symbols("s b", real=True)

# The defaults give a standard normal input mean 0 and variance 1: E relu² = 1/2, Var relu² = 5/4.
# Often written 0.8944 and −0.4472; published code also starts from 1 and 0.
star_relu = declare(
    "star_relu",
    "StarReLU",
    [(_b, _ZERO), (times(_s * x, x) + _b, sp.oo)],
    shape="learnable",
    kinks=(
        Kink(
            _ZERO,
            value="left",
            slope="left",
            note="f and f′ agree on both sides; f″ jumps from 0 to 2 s and takes the left value, "
            "as PyTorch's and JAX's relu(x)² do.",
        ),
    ),
    forms=[((1, 0, 0), 0, sp.oo, times(2 * _s, x))],
    parameters=(
        Parameter(_s, 2 / sp.sqrt(5), sp.S.Reals, "scale of the square, trained", learnable=True),
        Parameter(_b, -1 / sp.sqrt(5), sp.S.Reals, "offset, trained", learnable=True),
    ),
    references=("yu2024metaformer",),
    year=2022,
    aliases=("starrelu",),
    home="10",
)

hardswish = declare(
    "hardswish",
    "Hard swish",
    [(_ZERO, sp.Integer(-3)), (x * (x + 3) / 6, sp.Integer(3)), (x, sp.oo)],
    kinks=(
        Kink(
            sp.Integer(-3),
            value="left",
            slope="left",
            note="Slope 0, as PyTorch and JAX return; the slope inside is −1/2.",
        ),
        Kink(
            sp.Integer(3),
            value="right",
            slope="right",
            note="Slope 1, as PyTorch and JAX return; the slope inside is 3/2.",
        ),
    ),
    forms=[(1, -3, 3, (2 * x + 3) / 6)],
    references=("howard2019mobilenetv3",),
    year=2019,
    aliases=("hard_swish", "hard_silu"),
    home="13",
)

DECLARATIONS = (relu, leaky_relu, prelu, relu6, relu_squared, star_relu, hardswish)
