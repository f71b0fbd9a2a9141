"""Bad input gets an error that names the argument, what was given and what is allowed."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import sympy as sp
import torch

from actbook import catalogue

relu, elu, swiglu, softmax = (catalogue[n] for n in ("relu", "elu", "swiglu", "softmax"))


@pytest.mark.parametrize("bad", [np.arange(3), np.array([1j]), np.array(["a"]), [1, 2], True])
def test_numpy_dtype(bad: object) -> None:
    with pytest.raises(TypeError, match=r"relu: x must have a floating dtype \(float16, .* got"):
        relu(bad)


@pytest.mark.parametrize("dtype", [torch.int64, torch.complex64, torch.bool])
def test_torch_dtype(dtype: torch.dtype) -> None:
    bad = torch.ones(2).to(dtype)
    for call in (relu, relu.grad, relu.module(), relu.module("contract")):
        with pytest.raises(TypeError, match=r"relu: x must have a floating dtype .*bfloat16.* got"):
            call(bad)


def test_python_floats_and_scalars_keep_their_kind() -> None:
    assert relu(2.5) == 2.5 and isinstance(relu(-1.0), float)
    assert relu(np.float32(2)).dtype == np.float32
    assert relu(np.zeros((0, 2))).shape == (0, 2)


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), "big", None])
def test_parameter_outside_its_domain(value: object) -> None:
    with pytest.raises(ValueError, match="parameter 'alpha' must be a finite number in"):
        elu.at(alpha=value)


def test_unknown_parameter_and_policy() -> None:
    with pytest.raises(ValueError, match=r"elu has no parameter 'beta'; .*\['alpha'\]"):
        elu.at(beta=1)
    with pytest.raises(ValueError, match="relu has no parameter 'alpha'; it has none"):
        relu.at(alpha=1)
    with pytest.raises(ValueError, match="policy must be 'training' or 'contract', got 'fast'"):
        relu.module("fast")
    with pytest.raises(TypeError, match="takes no option 'dim'"):
        relu.module(dim=1)


def test_at_changes_value_and_code() -> None:
    double = elu.at(alpha=2)
    assert double.expr.subs(double.x, -1) == 2 * (sp.exp(-1) - 1)
    np.testing.assert_allclose(double(-1.0), 2 * np.expm1(-1.0), rtol=1e-15)
    torch.testing.assert_close(
        double.module()(torch.tensor(-1.0)), torch.tensor(2 * np.expm1(-1.0), dtype=torch.float32)
    )
    assert elu(-1.0) == np.expm1(-1.0)


def test_unknown_name_offers_the_nearest() -> None:
    with pytest.raises(KeyError, match="no activation is named 'gelo'; did you mean 'gelu'"):
        catalogue["gelo"]
    assert catalogue["logistic"] is catalogue["sigmoid"]
    assert "gelu" in catalogue and "gelo" not in catalogue


def test_number_and_shape_of_inputs() -> None:
    with pytest.raises(TypeError, match=r"swiglu takes 2 input\(s\) \(a, b\), got 1"):
        swiglu(1.0)
    with pytest.raises(ValueError, match=r"swiglu: the inputs must have shapes that broadcast"):
        swiglu(np.ones(3), np.ones(4))
    with pytest.raises(ValueError, match=r"swiglu: the inputs must have shapes that broadcast"):
        swiglu(torch.ones(3), torch.ones(4))
    with pytest.raises(TypeError, match="swiglu: b must be a torch tensor"):
        swiglu(torch.ones(3), np.ones(3))
    with pytest.raises(ValueError, match="softmax: dim must be one of the 1 dimensions, got 3"):
        softmax(np.ones(4), dim=3)


def test_what_a_shape_lacks_is_absent() -> None:
    with pytest.raises(AttributeError, match="Jacobian"):
        softmax.grad(np.ones(3))
    with pytest.raises(AttributeError, match="use grad"):
        relu.jacobian(np.ones(3))


def test_import_is_light() -> None:
    code = (
        "import actbook, sys; assert 'torch' not in sys.modules and 'sympy' not in sys.modules;"
        "from actbook import catalogue; catalogue.names(); catalogue['gelu'](1.0);"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
