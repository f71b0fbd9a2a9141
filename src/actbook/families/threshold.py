"""The identity and the threshold unit."""

import sympy as sp

from actbook.activation import Kink, Surrogate, declare
from actbook.symbols import x

identity = declare(
    "identity",
    "Identity",
    x,
    aliases=("linear",),
    home="10",
    builtin="identity",
)

_ONE, _ZERO = sp.Integer(1), sp.Integer(0)

# The slopes of the identity and of hard tanh, which the backward pass takes for that of the step.
_through = declare("step_slope", "Straight-through slope", _ONE)
_clipped = declare(
    "step_clipped_slope",
    "Clipped straight-through slope",
    [(_ZERO, -_ONE), (_ONE, _ONE), (_ZERO, sp.oo)],
    kinks=(
        Kink(-_ONE, value="right", slope="right", note="1 at |x| = 1."),
        Kink(_ONE, value="left", slope="left", note="1 at |x| = 1."),
    ),
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
    home="01",
    surrogates=(
        Surrogate(
            "straight_through",
            _through,
            ("bengio2013estimating",),
            "The gradient passes as if the step were the identity.",
        ),
        Surrogate(
            "straight_through_clipped",
            _clipped,
            ("courbariaux2016binarized",),
            "The gradient passes where |x| ≤ 1, as if the step were hard tanh.",
        ),
    ),
)

DECLARATIONS = (identity, step)
