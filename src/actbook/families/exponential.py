"""The exponential units."""

import sympy as sp

from actbook.activation import Kink, Parameter, declare
from actbook.symbols import expm1, x

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
    builtin="elu",
)

DECLARATIONS = (elu,)
