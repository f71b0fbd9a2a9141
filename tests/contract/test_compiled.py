"""One compiled graph per dtype returns every value and gradient, within the same bounds."""

from __future__ import annotations

import math
import shutil

import numpy as np
import pytest
import torch

from actbook import catalogue
from tests.contract import reference
from tests.contract.ulp import FORMATS, errors, grid

NAMES = [n for n in catalogue.names() if catalogue[n].shape == "pointwise"]
SPECIAL = torch.tensor([-math.inf, math.inf, math.nan])

pytestmark = [
    pytest.mark.skipif(
        shutil.which("g++") is None, reason="torch.compile needs g++ on a CPU, and there is none"
    ),
    # torch's compiler uses what torch has deprecated
    pytest.mark.filterwarnings(r"ignore::DeprecationWarning:torch\..*"),
]


@pytest.mark.parametrize("fmt", ["float32", "bfloat16"])
def test_compiled_graph_keeps_the_contract(fmt: str) -> None:
    modules = {name: catalogue[name].module(policy="contract") for name in NAMES}

    def everything(x: torch.Tensor) -> list[torch.Tensor]:
        return [modules[name](x) for name in NAMES]

    compiled = torch.compile(everything, fullgraph=True, dynamic=False)
    finite = torch.tensor(grid(fmt)).to(getattr(torch, fmt))
    x = torch.cat([finite, SPECIAL.to(finite.dtype)]).requires_grad_()
    outputs = compiled(x)
    slopes = [torch.autograd.grad(y.sum(), x, retain_graph=True)[0] for y in outputs]
    points = finite.double().numpy()
    for name, y, slope in zip(NAMES, outputs, slopes, strict=True):
        assert y.dtype == slope.dtype == x.dtype
        y, slope = y.detach().double().numpy(), slope.double().numpy()
        _check(reference.VALUE[name], reference.LIMITS[name], points, y, 8, fmt, None)
        root = reference.SLOPE_ROOTS.get(name)
        _check(reference.SLOPE[name], reference.SLOPE_LIMITS[name], points, slope, 16, fmt, root)


def _check(truth, limits, points, results, bound, fmt, root) -> None:  # type: ignore[no-untyped-def]
    error = errors(truth, points, results[:-3], FORMATS[fmt])
    if root is not None:
        error[np.abs(points - root) <= 1 / 8] = 0
    assert error.max() <= bound, points[np.argmax(error)]
    np.testing.assert_allclose(results[-3:-1], limits, rtol=FORMATS[fmt].unit)
    assert math.isnan(results[-1])
