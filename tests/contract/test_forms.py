"""Every form is proved equal to the expression it rewrites; a wrong twin is not."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sympy as sp

from actbook import catalogue
from actbook.activation import Activation, Form
from actbook.symbols import elementary

FORMS = [(name, form) for name in catalogue.names() for form in catalogue[name].forms]
IDS = [f"{name}-{form.order}-{form.lo}-{form.hi}" for name, form in FORMS]
TWINS = {
    "sign": lambda e: -e,
    "constant": lambda e: e * (1 + sp.Rational(1, 10**9)),
    "offset": lambda e: e + sp.Rational(1, 10**9),
}


def expression(activation: Activation, form: Form) -> sp.Expr:
    """What the form stands for: the derivative of the branch that covers its interval."""
    middle = form.hi if form.hi != sp.oo else sp.oo
    branch = next(b for b in activation.branches if b.upto >= middle)
    expr = elementary(branch.expr)
    for symbol, count in zip(activation.inputs, form.order, strict=True):
        expr = sp.diff(expr, symbol, count)
    return expr


def proved_equal(left: sp.Expr, right: sp.Expr) -> bool:
    """Equality by rewriting everything to exponentials and cancelling."""
    difference = (left - right).rewrite(sp.exp)
    difference = difference.replace(sp.erfc, lambda z: 1 - sp.erf(z))
    return sp.simplify(sp.expand(sp.cancel(sp.together(difference)))) == 0


@pytest.mark.parametrize("name, form", FORMS, ids=IDS)
def test_form_equals_expression(name: str, form: Form) -> None:
    activation = catalogue[name]
    assert proved_equal(elementary(form.expr), expression(activation, form))


@pytest.mark.parametrize("twin", TWINS)
@pytest.mark.parametrize("name", ["tanh", "softsign", "silu", "gelu", "swiglu"])
def test_wrong_twin_is_rejected(name: str, twin: str) -> None:
    form = catalogue[name].forms[-1]
    wrong = replace(form, expr=TWINS[twin](form.expr))
    assert not proved_equal(elementary(wrong.expr), expression(catalogue[name], form))
