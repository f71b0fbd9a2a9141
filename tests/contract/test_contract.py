"""The correctness contract, for every pointwise activation, backend and format."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from actbook import catalogue
from actbook.lower import xp_numpy
from actbook.lower.printer import compile_function
from tests.contract import reference
from tests.contract.ulp import FORMATS, errors, grid

TORCH = {
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "float32": torch.float32,
    "float64": torch.float64,
}
NUMPY = {"float16": np.float16, "float32": np.float32, "float64": np.float64}
DEVICES = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
CASES = [("numpy", name) for name in NUMPY] + [(d, name) for d in DEVICES for name in TORCH]
POINTWISE = [n for n in catalogue.names() if catalogue[n].shape in ("pointwise", "learnable")]


def evaluate(name: str, backend: str, fmt: str, inputs: np.ndarray, order: int) -> np.ndarray:
    """f (order 0) or f′ (order 1), by NumPy or by torch on a device; results as float64."""
    activation = catalogue[name]
    function = activation.grad if order else activation
    if backend == "numpy":
        x = inputs.astype(NUMPY[fmt])
        y = function(x)
        assert type(y) is np.ndarray and y.dtype == x.dtype and y.shape == x.shape
        return y.astype(np.float64)
    t = torch.tensor(inputs).to(TORCH[fmt]).to(backend)
    y = function(t)
    assert y.dtype == t.dtype and y.shape == t.shape and y.device == t.device
    return y.double().cpu().numpy()


def test_every_pointwise_activation_has_a_reference() -> None:
    assert set(POINTWISE) == set(reference.VALUE) == set(reference.SLOPE)


@pytest.mark.parametrize("backend, fmt", CASES)
@pytest.mark.parametrize("name", POINTWISE)
def test_value_is_within_8_units(name: str, backend: str, fmt: str) -> None:
    x = grid(fmt)
    error = errors(reference.VALUE[name], x, evaluate(name, backend, fmt, x, 0), FORMATS[fmt])
    worst = int(np.argmax(error))
    assert error[worst] <= 8, f"{error[worst]:.3g} units at x = {x[worst]!r}"


@pytest.mark.parametrize("backend, fmt", CASES)
@pytest.mark.parametrize("name", POINTWISE)
def test_slope_is_within_16_units(name: str, backend: str, fmt: str) -> None:
    x = grid(fmt)
    y = evaluate(name, backend, fmt, x, 1)
    error = errors(reference.SLOPE[name], x, y, FORMATS[fmt])
    root = reference.SLOPE_ROOTS.get(name)
    if root is not None:
        near = np.abs(x - root) <= 1 / 8
        largest = max(abs(reference.SLOPE[name](root + k / 50)) for k in range(-50, 51))
        allowed = 16 * FORMATS[fmt].unit * float(largest)
        for point, got in zip(x[near], y[near], strict=True):
            assert abs(got - float(reference.SLOPE[name](point))) <= allowed, point
        error[near] = 0
    worst = int(np.argmax(error))
    assert error[worst] <= 16, f"{error[worst]:.3g} units at x = {x[worst]!r}"


@pytest.mark.parametrize("backend, fmt", CASES)
@pytest.mark.parametrize("name", POINTWISE)
def test_limits_and_nan(name: str, backend: str, fmt: str) -> None:
    x = np.array([-math.inf, math.inf, math.nan])
    unit = FORMATS[fmt].unit
    for order, limits in ((0, reference.LIMITS), (1, reference.SLOPE_LIMITS)):
        y = evaluate(name, backend, fmt, x, order)
        np.testing.assert_allclose(y[:2], limits[name], rtol=unit, atol=0)
        assert math.isnan(y[2])


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("name", POINTWISE)
def test_the_branch_not_taken_stays_finite(name: str, order: int) -> None:
    """The printed code neither overflows nor divides by zero nor makes a NaN on finite inputs."""
    activation = catalogue[name]
    full = (order,) + (0,) * (len(activation.inputs) - 1)
    function = compile_function(activation, full)
    learnt = [float(p.default) for p in activation.parameters if p.learnable]
    x = grid("float64")[np.abs(grid("float64")) < 1e100]
    with np.errstate(over="raise", divide="raise", invalid="raise"):
        assert np.isfinite(function(xp_numpy, x, *learnt)).all()
