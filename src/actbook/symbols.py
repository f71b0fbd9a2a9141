"""Ground functions: SymPy functions that every backend computes in a stable way.

A declaration is written in these functions.  Each knows its elementary ``definition`` (which
proofs, limits and the public ``Activation.expr`` use) and its derivative in ground functions again,
so that differentiation never leaves the stable forms: the derivative of ``softplus`` is
``sigmoid``, not a quotient of exponentials.  ``actbook.lower.ground`` computes each of them.
"""

from __future__ import annotations

from typing import Any

import sympy as sp
from sympy.codegen.cfunctions import expm1, log1p

__all__ = [
    "GROUND",
    "Ground",
    "a",
    "b",
    "elementary",
    "erfcx",
    "expm1",
    "log1p",
    "logistic_pdf",
    "normal_cdf",
    "normal_pdf",
    "scaled_exp",
    "scaled_gauss",
    "sigmoid",
    "softplus",
    "x",
]

x = sp.Symbol("x", real=True)
a = sp.Symbol("a", real=True)
b = sp.Symbol("b", real=True)


class Ground(sp.Function):
    """A function with an elementary ``definition`` and a stable form in every backend."""

    nargs: tuple[int, ...] = (1,)
    is_extended_real = True

    @staticmethod
    def definition(*args: Any) -> sp.Expr:
        """The same value in SymPy's own functions."""
        raise NotImplementedError

    def _eval_evalf(self, prec: int) -> sp.Expr:
        return type(self).definition(*self.args)._eval_evalf(prec)

    def doit(self, **hints: Any) -> sp.Expr:
        """Replace the function by its definition."""
        args = [arg.doit(**hints) for arg in self.args]
        return type(self).definition(*args)


class sigmoid(Ground):
    """σ(x) = 1 / (1 + e^{−x})."""

    @staticmethod
    def definition(x: Any) -> sp.Expr:
        return 1 / (1 + sp.exp(-x))

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        return logistic_pdf(self.args[0])

    def _latex(self, printer: Any, exp: Any = None) -> str:
        return _call(r"\sigma", printer, self.args, exp)


class logistic_pdf(Ground):
    """σ′(x) = e^{−|x|} / (1 + e^{−|x|})², the density of the logistic distribution."""

    @staticmethod
    def definition(x: Any) -> sp.Expr:
        return sp.exp(-x) / (1 + sp.exp(-x)) ** 2

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        z = self.args[0]
        return -logistic_pdf(z) * sp.tanh(z / 2)

    def _latex(self, printer: Any, exp: Any = None) -> str:
        return _call(r"\sigma'", printer, self.args, exp)


class softplus(Ground):
    """log(1 + e^x)."""

    @staticmethod
    def definition(x: Any) -> sp.Expr:
        return sp.log(1 + sp.exp(x))

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        return sigmoid(self.args[0])

    def _latex(self, printer: Any, exp: Any = None) -> str:
        return _call(r"\operatorname{softplus}", printer, self.args, exp)


class normal_pdf(Ground):
    """φ(x) = e^{−x²/2} / √(2π)."""

    @staticmethod
    def definition(x: Any) -> sp.Expr:
        return sp.exp(-(x**2) / 2) / sp.sqrt(2 * sp.pi)

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        z = self.args[0]
        return -z * normal_pdf(z)

    def _latex(self, printer: Any, exp: Any = None) -> str:
        return _call(r"\varphi", printer, self.args, exp)


class normal_cdf(Ground):
    """Φ(x) = (1 + erf(x/√2)) / 2."""

    @staticmethod
    def definition(x: Any) -> sp.Expr:
        return (1 + sp.erf(x / sp.sqrt(2))) / 2

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        return normal_pdf(self.args[0])

    def _latex(self, printer: Any, exp: Any = None) -> str:
        return _call(r"\Phi", printer, self.args, exp)


class erfcx(Ground):
    """e^{x²} erfc(x), the scaled complementary error function."""

    @staticmethod
    def definition(x: Any) -> sp.Expr:
        return sp.exp(x**2) * sp.erfc(x)

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        z = self.args[0]
        return 2 * z * erfcx(z) - 2 / sp.sqrt(sp.pi)


class scaled_exp(Ground):
    """c e^t d, computed as ((c h) d) h with h = e^{t/2}: it may be normal where e^t is not."""

    nargs = (2, 3)

    @staticmethod
    def definition(c: Any, t: Any, d: Any = sp.Integer(1)) -> sp.Expr:  # noqa: B008
        return c * sp.exp(t) * d

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        c, t, *rest = self.args
        d = rest[0] if rest else sp.Integer(1)
        return (scaled_exp(d, t), scaled_exp(c, t, *rest), scaled_exp(c, t))[argindex - 1]


class scaled_gauss(Ground):
    """c e^{−t²/2} with t² split in two, so that its rounding does not reach the exponential."""

    nargs = (2,)

    @staticmethod
    def definition(c: Any, t: Any) -> sp.Expr:
        return c * sp.exp(-(t**2) / 2)

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        c, t = self.args
        return scaled_gauss(sp.Integer(1), t) if argindex == 1 else scaled_gauss(-c * t, t)


GROUND: tuple[type[Ground], ...] = (
    sigmoid,
    logistic_pdf,
    softplus,
    normal_pdf,
    normal_cdf,
    erfcx,
    scaled_exp,
    scaled_gauss,
)


def elementary(expr: sp.Expr) -> sp.Expr:
    """``expr`` with every ground function replaced by its definition."""
    for ground in (*GROUND, expm1, log1p):
        if ground in (expm1, log1p):
            expr = expr.replace(ground, lambda *args, g=ground: _cfunction(g, *args))
        else:
            expr = expr.replace(ground, ground.definition)
    return expr


def _cfunction(function: Any, argument: Any) -> sp.Expr:
    return sp.exp(argument) - 1 if function is expm1 else sp.log(1 + argument)


def _call(symbol: str, printer: Any, args: tuple[Any, ...], exp: Any) -> str:
    power = f"^{{{exp}}}" if exp is not None else ""
    inside = ", ".join(printer._print(arg) for arg in args)
    return rf"{symbol}{power}\left({inside}\right)"
