"""The study of depth: its theory against the maps, its networks against autograd, its rule."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch

from actbook import catalogue, signal, studies
from actbook.studies import depth_gradients as depth

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("name", "start", "residual"),
    [
        ("tanh", "he", "none"),
        ("gelu", "gain", "none"),
        ("relu", "lecun", "none"),
        ("hardtanh", "edge", "none"),
        ("softplus", "lecun", "none"),
        ("elu", "he", "plain"),
        ("silu", "edge", "scaled"),
    ],
)
def test_theory_is_the_maps_repeated(name: str, start: str, residual: str) -> None:
    config = depth.condition(name, start, residual, depth=3)
    act, w, b, s = catalogue[name], config.sigma_w, config.sigma_b, config.branch
    found = depth.theory(config)
    q, c, factors = config.length, config.correlation, []
    for k in range(1, 4):
        length = signal.length_map(act, q, w, b)
        correlation = signal.correlation_map(act, c, q, w, b)
        chi = signal.chi(act, q, w)
        if s is None:
            q, c = length, correlation
            factors.append(chi)
        else:
            c = (q * c + s**2 * length * correlation) / (q + s**2 * length)
            q += s**2 * length
            factors.append(1 + s**2 * chi)
        assert found.length[k] == pytest.approx(math.log(q), abs=1e-7)
        assert found.distance[k] == pytest.approx(1 - c, rel=1e-6)
        assert found.chi[k] == pytest.approx(chi, rel=1e-7)
    backward = np.cumsum(np.log(factors[::-1]))
    assert found.gradient[1:] == pytest.approx(backward, abs=1e-7)


def test_a_thousand_layers_of_relu_in_closed_form() -> None:
    """The arc-cosine kernel of degree 1 (Cho & Saul 2009): kinks need the tail of the series."""
    found = depth.theory(depth.condition("relu", "he"))
    c = 0.6
    for k in range(1, 1001):
        c = (math.sqrt(1 - c * c) + c * (math.pi - math.acos(c))) / math.pi
        if k in depth.LAYERS:
            assert found.distance[k] == pytest.approx(1 - c, rel=2e-3)
    assert found.length == pytest.approx(0, abs=1e-5)
    assert found.gradient == pytest.approx(0, abs=1e-5)
    assert found.gradient_spread[1000] == pytest.approx(5000)  # variance 5 · depth/width


def test_a_repelling_fixed_point_is_kept() -> None:
    found = depth.theory(depth.condition("silu", "gain"))
    assert found.length == pytest.approx(0, abs=1e-6)
    assert signal.slope_of_length_map(catalogue["silu"], 1.0, catalogue["silu"].gain) > 1


def test_what_leaves_all_numbers_ends_the_theory() -> None:
    grows = depth.theory(depth.condition("relu_squared", "he", depth=30))
    assert grows.length[-1] == math.inf and math.isnan(grows.gradient[-1])
    shrinks = depth.theory(depth.condition("relu_squared", "gain", depth=30, length=0.5))
    assert shrinks.length[-1] == -math.inf


@pytest.mark.parametrize("residual", depth.RESIDUALS)
@pytest.mark.parametrize(("name", "start"), [("gelu", "he"), ("tanh", "edge")])
def test_networks_against_autograd(name: str, start: str, residual: str) -> None:
    n, layers, seed = 16, 4, depth.SEED + 1
    config = depth.condition(name, start, residual, width=n, depth=layers, seed=seed)
    neighbour = depth.condition("relu", "he", width=n, depth=layers, seed=seed)
    rows = depth.train([neighbour, config])[1].rows
    z = depth._Stack([config], CPU).inputs()[0, :, 0].clone().requires_grad_()
    cross = (z[:, 0] * z[:, 1]).mean().item()
    assert z.detach().square().mean(0).tolist() == pytest.approx([config.length] * 2)
    assert cross == pytest.approx(config.correlation * config.length)
    states, s = [z], config.branch
    for number in range(1, layers + 1):
        weight, bias = depth.draws(seed, number, (n, n), CPU)
        y = config.sigma_w / math.sqrt(n) * weight @ catalogue[name](states[-1])
        y = y + config.sigma_b * bias[:, None]
        states.append(y if s is None else states[-1] + s * y)
    sent, _ = depth.draws(seed, layers + 1, (n, 1), CPU)
    gradients = torch.autograd.grad((states[-1][:, 0] * sent[:, 0]).sum(), states[:-1])
    assert [row["layer"] for row in rows] == [1, 2, 3, 4]
    for row in rows:
        k = row["layer"]
        reached = states[k].detach()
        ratio = gradients[layers - k][:, 0].square().mean() / sent.square().mean()
        cosine = _cosine(reached)
        assert 10 ** row["log10_length"] == pytest.approx(reached[:, 0].square().mean().item())
        assert 10 ** row["log10_gradient"] == pytest.approx(ratio.item())
        assert row["distance"] == pytest.approx(1 - cosine, abs=1e-12)


def _cosine(z: torch.Tensor) -> float:
    return torch.nn.functional.cosine_similarity(z[:, 0], z[:, 1], dim=0).item()


def test_wide_networks_have_the_lengths_and_gradients_of_the_theory() -> None:
    base = depth.condition("tanh", "gain", width=1000, depth=5)
    configs = [dataclasses.replace(base, seed=depth.SEED + i) for i in range(2)]
    expected = depth.theory(base)
    for passed in depth.train(configs):
        last = passed.rows[-1]
        assert last["log10_length"] * math.log(10) == pytest.approx(expected.length[5], abs=0.25)
        assert last["log10_gradient"] * math.log(10) == pytest.approx(expected.gradient[5], abs=0.5)


def test_the_spread_is_that_of_the_correction() -> None:
    """ReLU, width 50, depth 20: 40 networks against −5L/2n and 5L/n."""
    base = depth.condition("relu", "he", width=50, depth=20)
    configs = [dataclasses.replace(base, seed=depth.SEED + i) for i in range(40)]
    logs = [math.log(10) * m.rows[-1]["log10_gradient"] for m in depth.train(configs)]
    expected = depth.theory(base)
    assert expected.gradient_shift[20] / 50 == pytest.approx(-1.0)
    assert np.mean(logs) == pytest.approx(-1.0, abs=3.5 * math.sqrt(2 / 40))
    assert np.std(logs, ddof=1) == pytest.approx(math.sqrt(2), rel=0.35)


def test_what_overflows_has_diverged_and_touches_no_other() -> None:
    """relu² doubles the logarithm of the length in every layer."""
    fields: dict[str, Any] = {"width": 32, "depth": 30}
    lost = depth.condition("relu_squared", "six", **fields)
    kept = depth.condition("relu", "he", **fields)
    rows, others = (passed.rows for passed in depth.train([lost, kept]))
    assert rows[-1]["diverged"] and rows[-1]["log10_length"] == math.inf
    assert not rows[0]["diverged"]
    assert math.isnan(rows[-1]["log10_gradient"]) or math.isinf(rows[-1]["log10_gradient"])
    assert all(math.isfinite(row["log10_gradient"]) and not row["diverged"] for row in others)


def test_the_rule() -> None:
    assert depth.holds(0.05, 0.4, 0.0)
    assert not depth.holds(0.11, 0.4, 0.0)
    assert not depth.holds(-2.0, 2.0, 0.0)  # nothing is known
    assert depth.reached({1: True, 5: True, 10: False, 20: True}) == 5
    assert depth.reached({1: False}) == 0
    noise = [-0.1, 0.1, 0.05, -0.05]
    assert depth.verdict(noise, 0.0, -1.0, 0.1) == "theory"
    shifted = [value - 1 for value in noise]
    assert depth.verdict(shifted, 0.0, -1.0, 0.1) == "finite width"
    assert depth.verdict(shifted, 0.0, -1.0, 0.01) == "neither"  # scattered
    assert depth.verdict([5 + value for value in noise], 0.0, -1.0, 0.1) == "neither"
    assert depth.verdict([*noise, math.nan], 0.0, -1.0, 0.1) == "diverged"


def test_every_network_has_its_theory_and_groups_share_weights(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(depth, "ACTIVATIONS", ("relu", "tanh", "hardtanh"))
    budget = depth.STUDY.budgets["quick"]
    theories, *measured = (stage.grid(budget, []) for stage in depth.STUDY.stages)
    known = {(c.activation, c.start, c.residual, c.depth) for c in theories}
    for configs in measured:
        assert {(c.activation, c.start, c.residual, c.depth) for c in configs} <= known
        assert len({c.seed for c in configs}) >= 10
        for group in depth.groups(configs):
            seeds = {configs[i].seed for i in group}
            assert len(seeds) == depth.SEEDS_TOGETHER
            conditions = [dataclasses.replace(configs[i], seed=0) for i in group]
            assert all(conditions.count(one) == len(seeds) for one in conditions)


STORED = "depth_gradients" in studies.stored()


@pytest.mark.skipif(not STORED, reason="depth_gradients has no stored result")
class TestStored:
    """What the stored result must show."""

    @pytest.fixture(scope="class")
    @staticmethod
    def table() -> list[dict]:
        return studies.load("depth_gradients").summary()

    def test_thirty_layers_at_three_variances(self, table: list[dict]) -> None:
        """Gradient norms at the input over those at the output, to a factor of two."""
        found = {
            (row["model"], row["start"]): 10 ** (row["measured"] / 2)
            for row in table
            if row["stage"] == "depth_30"
        }
        expected = {
            "relu": (3e-5, 0.9, 1e7),
            "tanh": (0.15, 3, 8e2),
            "sigmoid": (1e-19, 1e-15, 2e-10),
            "identity": (1, 3e4, 5e11),
        }
        for name, values in expected.items():
            for start, value in zip(("lecun", "he", "six"), values, strict=True):
                assert 0.5 < found[name, start] / value < 2, (name, start)

    def test_every_condition_has_ten_seeds(self, table: list[dict]) -> None:
        assert min(row["runs"] for row in table) >= 10

    def test_scaled_residual_branches_keep_the_theory(self, table: list[dict]) -> None:
        """A gradient that grows by about e, through all layers."""
        part = [r for r in table if r["stage"] == "residual_scaled" and r["model"] == "relu"]
        assert [row["verdict"] for row in part] == ["theory"]
        assert part[0]["theory"] == pytest.approx(math.log10(math.e), abs=1e-3)
