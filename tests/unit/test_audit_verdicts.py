"""Verdicts computed again, in arbitrary precision and exact arithmetic, apart from the chapters."""

import warnings
from fractions import Fraction
from importlib.metadata import distributions

import mpmath as mp
import numpy as np
import pytest

from actbook import audit

mp.mp.dps = 50
GRID = [mp.mpf(n) / 7 for n in range(-200, 201)]


def sigmoid(x):
    return 1 / (1 + mp.exp(-x))


def slope(f, x):
    """A central difference in 50 digits: independent of any formula for the derivative."""
    h = mp.mpf(10) ** -15
    return (f(x + h) - f(x - h)) / (2 * h)


def same(f, g, tolerance: str = "1e-20") -> bool:
    return all(abs(f(x) - g(x)) < mp.mpf(tolerance) for x in GRID)


def printed(exact, text: str) -> bool:
    """Whether a printed decimal is the exact value rounded to its digits."""
    unit = mp.mpf(10) ** -len(text.partition(".")[2])
    return bool(abs(exact - mp.mpf(text)) <= unit / 2)


def rounded(seconds: Fraction, text: str) -> bool:
    return round(seconds) == int(text)


def all_singles() -> np.ndarray:
    """Every 4001st finite number of single precision."""
    bits = np.arange(0, 2**32, 4001, dtype=np.uint64).astype(np.uint32)
    values = bits.view(np.float32)
    return values[np.isfinite(values)]


def share_of_zero_slopes(value) -> float:
    """The share of single-precision numbers at which the printed derivative is exactly zero."""
    return float(np.mean(value == 0))


def np_sigmoid(x):
    return 1 / (1 + np.exp(-x))


def np_slope(x):
    return np_sigmoid(x) * (1 - np_sigmoid(x))


def warns(function, x) -> bool:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        function(x)
    return bool(seen)


def close(got, exact, digits: int) -> bool:
    return bool(abs(mp.mpf(float(got)) - exact) <= abs(exact) * mp.mpf(10) ** -digits)


SIGMOID = sigmoid(mp.mpf(2))
SLOPE = slope(sigmoid, mp.mpf(2))
SINGLES = all_singles()
with np.errstate(over="ignore", invalid="ignore"):
    SIGMOID_ZERO = share_of_zero_slopes(np_slope(SINGLES))
    TANH_ZERO = share_of_zero_slopes(1 - np.tanh(SINGLES) ** 2)
POINTS = (1, -1, 0)
MICRO = Fraction(1, 1_000_000)


def tangent(x):
    return SIGMOID + SLOPE * (x - 2)


def tanh_by_exp(x):
    return (mp.exp(x) - mp.exp(-x)) / (mp.exp(x) + mp.exp(-x))


EXPECTED: dict[str, object] = {
    "001-042": same(tanh_by_exp, mp.tanh) and same(tanh_by_exp, lambda x: 2 * sigmoid(2 * x) - 1),
    "001-044": same(lambda x: slope(sigmoid, x), lambda x: sigmoid(x) * (1 - sigmoid(x))),
    "001-045": same(lambda x: slope(sigmoid, x), lambda x: mp.exp(-x) / (1 + mp.exp(-x)) ** 2),
    "001-049": printed(SIGMOID, "0.869"),
    "001-050": printed(mp.mpf("0.869") * mp.mpf("0.131"), "0.101"),
    "001-051": printed(SLOPE, "0.101"),
    "001-052": {"within 0.2 of 1": 1 - SIGMOID < 0.2, "within 0.1 of 1": 1 - SIGMOID < 0.1},
    "001-053": {
        "below half of its maximum": SLOPE / mp.mpf("0.25") < 0.5,
        "below a tenth of its maximum": SLOPE / mp.mpf("0.25") < 0.1,
    },
    # The tangent has value and slope of the sigmoid at 2, and bends nowhere.
    "001-054": any(
        abs(tangent(x + 1) - 2 * tangent(x) + tangent(x - 1)) > mp.mpf("1e-30") for x in GRID
    ),
    "001-055": any(d.name.lower() == "python" for d in distributions()),
    "001-058": 28 * 28 == 784 and 784 * 128 + 128 + 128 * 10 + 10 == 101_770,
    "001-068": -(-60_000 // 32) == 1875,
    "001-072": rounded(60_000 * 374 * MICRO, "22"),
    "001-073": rounded(60_000 * 327 * MICRO, "20"),
    "001-083": -(-10_000 // 32) == 2000,
    "001-084": Fraction(1950, 2000) == 1,
    "001-086": rounded(2000 * 9000 * MICRO, "18") and rounded(1950 * 9000 * MICRO, "18"),
    "001-087": Fraction(18, 10_000) <= 327 * MICRO,
    "004-014": any(sigmoid(x) in (0, 1) for x in (-100, 100)),
    "004-015": {
        "the input is the log-odds": abs(sigmoid(mp.log(mp.mpf(3))) - mp.mpf(3) / 4) < 1e-40,
        "the input is twice the log-odds": abs(sigmoid(2 * mp.log(3)) - mp.mpf(3) / 4) < 1e-40,
    },
    "004-018": {
        "on the real line": any(slope(sigmoid, x) <= 0 for x in GRID),
        "in single precision": SIGMOID_ZERO > 0.4,
    },
    "004-019": {
        "squared error": abs(slope(lambda x: (sigmoid(x) - 1) ** 2 / 2, -30)) < 1e-12,
        "cross-entropy": abs(slope(lambda x: -mp.log(sigmoid(x)), -30)) < 1e-12,
    },
    "004-021": same(mp.tanh, lambda x: 2 * sigmoid(2 * x) - 1),
    "004-023": any(mp.tanh(x) in (-1, 1) for x in (-30, 30)),
    "004-024": same(lambda x: slope(mp.tanh, x), lambda x: mp.mpf(0)),
    "004-025": same(lambda x: slope(mp.tanh, x), lambda x: 1 - mp.tanh(x) ** 2),
    "004-026": {
        "the value itself as a probability": mp.tanh(-1) >= 0,
        "the value mapped to (0, 1)": same(
            lambda x: (1 + mp.tanh(x)) / 2, lambda x: sigmoid(2 * x)
        ),
    },
    "004-027": {
        "on the real line": any(slope(mp.tanh, x) <= 0 for x in GRID),
        "in single precision": TANH_ZERO > 0.4,
    },
    "004-028": {
        "units driven to saturation": slope(mp.tanh, 8) < 1e-5,
        "units near zero": slope(mp.tanh, mp.mpf(0)) < 1e-5,
    },
    "004-041": {
        "at 1, −1 and 0": all(close(np_sigmoid(x), sigmoid(x), 15) for x in POINTS),
        "at −1000 without a warning": not warns(np_sigmoid, np.float64(-1000)),
    },
    "004-042": {
        "at 1, −1 and 0": all(close(np_slope(x), slope(sigmoid, x), 14) for x in POINTS),
        "at 40 to three digits": close(np_slope(40.0), slope(sigmoid, mp.mpf(40)), 3),
    },
    "004-043": np_sigmoid(np.array(POINTS)).dtype == np.float64,
    "004-044": all(close(np.tanh(x), mp.tanh(x), 15) for x in (1, -1, 1000)) and np.tanh(0) == 0,
    "004-045": {
        "at 1, −1 and 0": all(close(1 - np.tanh(x) ** 2, slope(mp.tanh, x), 14) for x in POINTS),
        "at 20 to three digits": close(1 - np.tanh(20.0) ** 2, slope(mp.tanh, mp.mpf(20)), 3),
    },
    # A bounded function whose slope returns to 1 for ever.
    "004-051": all(slope(mp.sin, 2 * mp.pi * n) < 0.5 for n in (1, 10, 100)),
    "004-052": {
        "sigmoid": sigmoid(-90) < 1e-30 and 1 - sigmoid(90) < 1e-30,
        "tanh": mp.tanh(-90) > -0.5,
    },
    "004-053": {
        "in the limit": slope(sigmoid, 60) < 1e-20 and slope(mp.tanh, 60) < 1e-20,
        "at a finite input": any(slope(sigmoid, x) == 0 or slope(mp.tanh, x) == 0 for x in GRID),
    },
    "002-061": slope(sigmoid, mp.mpf(0)) < 0.01 and slope(mp.tanh, mp.mpf(0)) < 0.01,
}


@pytest.mark.parametrize("identifier", EXPECTED)
def test_the_record_says_what_is_computed(identifier: str) -> None:
    claim, value = audit.claims[identifier], EXPECTED[identifier]
    if claim.cases:
        assert value == claim.cases
    else:
        assert value == (claim.verdict == "holds")
