"""The study of corners: its networks, their start, its reduced images, its grid and its rule."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy import integrate, stats
from torch.nn import functional

from actbook import studies, train
from actbook.data import Dataset
from actbook.studies import corners
from actbook.studies.tuning import rate
from actbook.train.config import ConfigError

BUDGET = {"seeds": 2, "tuning_seeds": 1}


def images(side: int = 28, count: int = 60) -> Dataset:
    generator = np.random.default_rng(3)
    y = np.arange(count) % 10
    x = generator.random((count, side, side), dtype=np.float32)
    parts = (x, y), (x[:10], y[:10]), (x[:20], y[:20])
    names = tuple("0123456789")
    return Dataset("few", "few", "none", names, *(a for pair in parts for a in pair))


@pytest.mark.parametrize("pieces", [2, 4])
def test_moments_of_the_largest_of_several_normal_numbers(pieces: int) -> None:
    for power, given in zip((1, 2), corners.LARGEST[pieces], strict=True):
        true, _ = integrate.quad(
            lambda z, p=power: (
                z**p * pieces * stats.norm.pdf(z) * stats.norm.cdf(z) ** (pieces - 1)
            ),
            -10,
            10,
            epsabs=1e-13,
        )
        assert math.isclose(given, true, rel_tol=1e-9)


@pytest.mark.parametrize("condition", corners.CONDITIONS)
def test_a_network_computes_what_its_condition_says(condition: str) -> None:
    config = corners.configuration(condition, "digits", dtype="float64", seed=4)
    first, _, second, _, last = corners.network(config)
    x = torch.rand(7, 64, dtype=torch.float64)

    def activation(z: torch.Tensor) -> torch.Tensor:
        if config.pieces > 1:
            return z.unflatten(-1, (-1, config.pieces)).amax(-1)
        if config.beta:
            return functional.softplus(z, beta=config.beta, threshold=1e9)
        return z.clamp(min=0)

    expected = last(activation(second(activation(first(x)))))
    torch.testing.assert_close(corners.network(config)(x), expected, rtol=1e-12, atol=1e-12)
    assert corners.label(config) == condition


@pytest.mark.parametrize("condition", corners.CONDITIONS)
def test_the_start_keeps_the_size_of_normal_inputs(condition: str) -> None:
    config = corners.configuration(condition, "digits", seed=5)
    wide = dataclasses.replace(config, widths=(600, 600, 600, 10))
    first, activation, second, *_ = corners.network(wide)
    mean, square = corners.moments(wide)
    inputs = torch.randn(400, 600, generator=torch.Generator().manual_seed(1))
    before = first(inputs).detach()
    before = before / before.std()
    hidden = activation(before).detach()
    assert abs(float(hidden.mean()) - mean) < 0.02
    assert abs(float(hidden.square().mean()) / square - 1) < 0.05
    assert abs(float(second(hidden).detach().square().mean()) - 1) < 0.1


def test_networks_have_about_as_many_parameters() -> None:
    counts = [
        sum(p.numel() for p in corners.network(corners.configuration(c)).parameters())
        for c in corners.CONDITIONS
    ]
    assert max(counts) < 1.03 * min(counts)


def test_images_are_averaged_and_small_ones_left() -> None:
    given = images()
    small = corners.reduced(given)
    assert small.x_train.shape == (60, 14, 14)
    assert np.allclose(small.x_test[:, 3, 5], given.x_test[:, 6:8, 10:12].mean((1, 2)))
    assert corners.reduced(images(8)).x_train.shape == (60, 8, 8)


def test_relu_members_train_as_the_engine_trains_them() -> None:
    config = corners.configuration("ReLU", "digits", epochs=2, lr=0.01, seed=1)
    (ours,) = corners.train([config], device="cpu", datasets={"digits": images(8)})
    he = train.Config(**{
        f.name: getattr(config, f.name) for f in dataclasses.fields(train.Config)
    } | {"init": "he"})  # fmt: skip
    (theirs,) = train.train([he], device="cpu", datasets={"digits": images(8)})
    assert ours.rows[-1]["train_loss"] == pytest.approx(theirs.rows[-1]["train_loss"], rel=1e-4)


def test_members_keep_their_own_activation_in_training() -> None:
    given = {"digits": images(8)}
    fields: dict[str, Any] = {"epochs": 1, "lr": 0.01, "seed": 1}
    configs = [corners.configuration(c, "digits", **fields) for c in corners.CONDITIONS]
    together = corners.train(configs, device="cpu", datasets=given)
    losses = [member.rows[-1]["train_loss"] for member in together]
    assert len(set(losses)) == len(losses)
    assert [member.config for member in together] == configs


@pytest.mark.parametrize(
    "fields",
    [
        {"activation": "softplus"},
        {"activation": "relu", "beta": 2.0},
        {"activation": "maxout"},
        {"activation": "relu", "pieces": 2},
        {"activation": "maxout", "pieces": 3},
    ],
)
def test_what_does_not_fit_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"beta must|pieces must"):
        corners.Corner(**fields)


def rows(best: float) -> list[dict[str, Any]]:
    return [
        {"model": condition, "lr": lr, "valid_accuracy": 1 - abs(math.log10(lr / best))}
        for condition in corners.CONDITIONS
        for lr in (rate(power) for power in corners.FIRST_RATES)
    ]


def test_the_grid_widens_only_beyond_an_edge_that_was_best() -> None:
    assert corners._widen(BUDGET, rows(1e-2)) == []
    upward = corners._widen(BUDGET, rows(1.0))
    assert {round(config.lr, 4) for config in upward} == {0.3162, 1.0}
    assert {config.splits for config in upward} == {("valid",)}


def test_the_final_stage_takes_the_chosen_rate_and_fresh_seeds() -> None:
    final = corners._final(BUDGET, rows(1e-3))
    assert {config.lr for config in final} == {1e-3}
    assert {config.seed for config in final} == {2000, 2001}
    tuned = corners._tune(BUDGET, [])
    assert not {config.seed for config in tuned} & {config.seed for config in final}


def test_a_diverged_run_counts_as_chance_and_rates_as_nothing() -> None:
    nan = float("nan")
    row = {"stage": "final", "epoch": corners.EPOCHS, "model": "ReLU", "seed": 7, "lr": 1.0}
    assert corners.accuracies([{**row, "test_accuracy": nan}], "ReLU") == {7: 0.1}
    assert corners.TUNING.rates([{**row, "valid_accuracy": nan}], "ReLU") == {1.0: 0.0}


def test_the_stored_run_has_every_condition_and_seed() -> None:
    stored = studies.load("corners")
    assert not stored.stale
    for condition in corners.CONDITIONS:
        assert len(corners.accuracies(stored.rows, condition)) == 20
    summary = stored.summary()
    assert [row["model"] for row in summary] == list(corners.CONDITIONS)
    assert {row["verdict"] for row in summary[1:]} <= {"higher", "lower", "equivalent", "undecided"}
