"""The bounded, saturating functions: the logistic family and its relatives."""

import sympy as sp

from actbook.activation import Kink, declare
from actbook.symbols import logistic_pdf, softplus, x
from actbook.symbols import sigmoid as logistic

sigmoid = declare(
    "sigmoid",
    "Logistic sigmoid",
    logistic(x),
    forms=[(2, -sp.oo, sp.oo, -logistic_pdf(x) * sp.tanh(x / 2))],
    references=("verhulst1845recherches", "rumelhart1986learning"),
    year=1845,
    aliases=("logistic",),
    home="05",
    builtin="sigmoid",
)

tanh = declare(
    "tanh",
    "Hyperbolic tangent",
    sp.tanh(x),
    forms=[
        (1, -sp.oo, sp.oo, 4 * logistic_pdf(2 * x)),
        (2, -sp.oo, sp.oo, -8 * logistic_pdf(2 * x) * sp.tanh(x)),
    ],
    references=("lecun1998efficient",),
    aliases=("hyperbolic_tangent",),
    home="05",
    builtin="tanh",
)

softsign = declare(
    "softsign",
    "Softsign",
    [(x / (1 - x), sp.Integer(0)), (x / (1 + x), sp.oo)],
    kinks=(
        Kink(
            sp.Integer(0),
            value="left",
            slope="left",
            note="f and f′ agree on both sides; f″ jumps from 2 to −2 and takes the left value.",
        ),
    ),
    forms=[
        (0, -sp.oo, -1, 1 / (1 / x - 1)),
        (0, 1, sp.oo, 1 / (1 / x + 1)),
        (1, -sp.oo, 0, (1 / (1 - x)) ** 2),
        (1, 0, sp.oo, (1 / (1 + x)) ** 2),
        (2, -sp.oo, 0, 2 * (1 / (1 - x)) ** 3),
        (2, 0, sp.oo, -2 * (1 / (1 + x)) ** 3),
    ],
    references=("glorot2010understanding",),
    year=2009,
    home="05",
    builtin="softsign",
)

hardsigmoid = declare(
    "hardsigmoid",
    "Hard sigmoid",
    [(sp.Integer(0), sp.Integer(-3)), ((x + 3) / 6, sp.Integer(3)), (sp.Integer(1), sp.oo)],
    kinks=(
        Kink(sp.Integer(-3), value="left", slope="left", note="Slope 0, as PyTorch returns."),
        Kink(sp.Integer(3), value="right", slope="right", note="Slope 0, as PyTorch returns."),
    ),
    references=("courbariaux2015binaryconnect", "howard2019mobilenetv3"),
    year=2015,
    home="05",
    builtin="hardsigmoid",
)

logsigmoid = declare(
    "logsigmoid",
    "Log-sigmoid",
    -softplus(-x),
    forms=[(2, -sp.oo, sp.oo, -logistic_pdf(x))],
    aliases=("log_sigmoid",),
    home="05",
    builtin="logsigmoid",
)

DECLARATIONS = (sigmoid, tanh, softsign, hardsigmoid, logsigmoid)
