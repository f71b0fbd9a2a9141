"""The identity and the threshold unit."""

import sympy as sp

from actbook.activation import Kink, declare
from actbook.symbols import x

identity = declare(
    "identity",
    "Identity",
    x,
    aliases=("linear",),
    builtin="identity",
)

step = declare(
    "step",
    "Unit step",
    [(sp.Integer(0), sp.Integer(0)), (sp.Integer(1), sp.oo)],
    kinks=(
        Kink(
            sp.Integer(0),
            value="right",
            slope="left",
            note="step(0) = 1: the threshold is reached; the slope is 0 on both sides.",
        ),
    ),
    references=("mcculloch1943logical", "rosenblatt1958perceptron"),
    year=1943,
    aliases=("threshold", "heaviside"),
)

DECLARATIONS = (identity, step)
