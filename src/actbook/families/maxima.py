"""Functions that act across a dimension: soft maxima."""

import sympy as sp

from actbook.activation import declare

_n = sp.Symbol("n", integer=True, positive=True)
_i, _j, _k = sp.symbols("i j k", integer=True, positive=True)
_x = sp.IndexedBase("x", real=True)


def _softmax(index: sp.Symbol) -> sp.Expr:
    return sp.exp(_x[index]) / sp.Sum(sp.exp(_x[_k]), (_k, 1, _n))


softmax = declare(
    "softmax",
    "Softmax",
    _softmax(_i),
    shape="across",
    known={"jacobian": _softmax(_i) * (sp.KroneckerDelta(_i, _j) - _softmax(_j))},
    references=("bridle1990training",),
    year=1990,
    builtin="softmax",
)

DECLARATIONS = (softmax,)
