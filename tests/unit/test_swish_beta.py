"""The study of Swish's β: where β starts, how it learns, what is recorded, its grid and rule."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch

from actbook import train
from actbook.studies import swish_beta
from actbook.train.config import Config, ConfigError
from tests.unit.training import little_digits

BUDGET = {"datasets": {"digits": {"seeds": 2, "tuning_seeds": 1}}}


def run(configs: list[swish_beta.Gated]) -> list[Any]:
    return swish_beta.train(configs, device="cpu", datasets={"digits": little_digits(70)})


def betas(row: dict[str, Any]) -> list[float]:
    return [row[f"beta_{layer}"] for layer in (1, 2, 3)]


def test_a_fixed_beta_stays_exactly_where_it_started() -> None:
    (member,) = run([swish_beta.gated("digits", "swish", 4.0, "fixed", lr=0.01, epochs=3)])
    assert betas(member.rows[-1]) == [4.0, 4.0, 4.0]


def test_the_first_step_moves_a_beta_by_its_own_rate() -> None:
    # Adam's first step is the rate, up to ε.
    for mode, factor in (("learned", 1), ("fast", 10)):
        config = swish_beta.gated("digits", "swish", 0.25, mode, lr=1e-3, epochs=1)
        (member,) = run([dataclasses.replace(config, batch=70)])
        moves = [abs(beta - 0.25) for beta in betas(member.rows[-1])]
        np.testing.assert_allclose(moves, factor * 1e-3, rtol=1e-2)


def test_weights_move_by_the_rate_whatever_beta_does() -> None:
    for mode in swish_beta.MODES:
        config = swish_beta.gated("digits", "swish", 1.0, mode, lr=1e-3, epochs=1)
        (member,) = run([dataclasses.replace(config, batch=70)])
        before: Any = train.network(config)[0]
        move = member.network[0].weight - before.weight
        assert move.abs().max().item() == pytest.approx(1e-3, rel=1e-2)


def test_swish_fixed_at_one_trains_like_silu() -> None:
    swish, silu = (
        swish_beta.gated("digits", name, lr=1e-3, epochs=2, seed=1, dtype="float64")
        for name in ("swish", "silu")
    )
    one, other = run([swish])[0], run([silu])[0]
    for ours, theirs in zip(one.network[::2], other.network[::2], strict=True):
        torch.testing.assert_close(ours.weight, theirs.weight, rtol=0, atol=1e-9)


def test_the_batched_layer_is_the_module() -> None:
    config = swish_beta.gated("digits", "swish", 4.0, "fast", lr=1e-2, epochs=2, seed=2)
    (member,) = run([config])
    examples = little_digits(70)
    x = torch.from_numpy(examples.x_test.reshape(-1, 64))
    right = (member.network(x).argmax(1).numpy() == examples.y_test).mean()
    assert member.rows[-1]["test_accuracy"] == pytest.approx(right)
    module = member.network[1]
    z = torch.linspace(-9, 9, 181)
    layer = swish_beta._Swish(module, {"beta": module.beta.detach()[None]})
    torch.testing.assert_close(layer(z[None, :, None])[0, :, 0], module(z), rtol=1e-5, atol=1e-6)


def test_the_recorded_sharpness_is_beta_times_the_size_of_the_inputs() -> None:
    config = swish_beta.gated("digits", "swish", 4.0, "fast", lr=1e-2, epochs=2, dtype="float64")
    (member,) = run([config])
    x = torch.from_numpy(little_digits(70).x_train.reshape(-1, 64)).double()
    for layer in (1, 2, 3):
        inputs = member.network[: 2 * layer - 1](x)
        size = inputs.square().mean().sqrt().item()
        row = member.rows[-1]
        assert row[f"sharp_{layer}"] == pytest.approx(size * abs(row[f"beta_{layer}"]), rel=1e-6)
    first = train.network(config)[:1](x).square().mean().sqrt().item()
    assert member.rows[-1]["start_1"] == pytest.approx(4 * first, rel=1e-6)


def test_other_activations_train_as_in_the_engine() -> None:
    ours = swish_beta.gated("digits", "gelu", epochs=2, seed=5)
    fields = {f.name: getattr(ours, f.name) for f in dataclasses.fields(Config)}
    given = {"digits": little_digits(70)}
    plain = train.train([Config(**fields)], device="cpu", datasets=given)[0].rows
    for row, other in zip(run([ours])[0].rows, plain, strict=True):
        assert {k: v for k, v in row.items() if k in other} == other


def test_a_beta_belongs_to_swish() -> None:
    with pytest.raises(ConfigError, match="are for 'swish', not for 'relu'"):
        swish_beta.gated("digits", "relu", 4.0)
    with pytest.raises(ConfigError, match="beta must be a finite number"):
        swish_beta.gated("digits", "swish", -1.0)


def test_every_condition_is_tuned_and_tested_alike() -> None:
    tune, widen, _, final = swish_beta.STUDY.stages
    configs = tune.grid(BUDGET, [])
    models = {swish_beta.label(c) for c in configs}
    assert len(models) == len(swish_beta.OTHERS) + 9 and len(configs) == 5 * len(models)
    rows = [
        {
            **config.as_dict(),
            "model": swish_beta.label(config),
            # best in the middle, but for one condition at the largest rate
            "valid_loss": -config.lr if config.activation == "mish" else distance,
        }
        for config in configs
        for distance in (abs(math.log10(config.lr) + 2.5),)
    ]
    wider = widen.grid(BUDGET, rows)
    assert {c.activation for c in wider} == {"mish"}
    assert sorted({c.lr for c in wider}) == [0.1, 0.316228]
    finals = final.grid(BUDGET, rows)
    assert {c.seed for c in finals}.isdisjoint({c.seed for c in configs})
    assert {c.lr for c in finals if c.activation == "swish"} == {0.00316228}


def test_a_diverged_rate_is_never_chosen() -> None:
    rows = [
        {"dataset": "digits", "model": "relu", "lr": lr, "valid_loss": loss}
        for lr, loss in ((0.1, math.nan), (0.01, 0.3), (0.001, 0.2), (0.0001, 0.2))
    ]
    assert swish_beta.TUNING.best(rows, "digits", "relu") == 0.0001


def outer(ends: tuple[float, float]) -> list[dict[str, Any]]:
    """Final rows of the two outer starts, whose second β ended there."""
    return [
        {
            "stage": "final", "dataset": "digits", "model": f"swish {start:g}, learned",
            "seed": 7, "beta_2": end,
        }
        for start, end in zip((0.25, 4.0), ends, strict=True)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("ends", "expected"), [((0.25, 4.0), 1.0), ((1.5, 1.5), 0.0), ((1.0, 2.875), 0.5)]
)
def test_memory_is_the_share_of_the_distance_that_is_left(
    ends: tuple[float, float], expected: float
) -> None:
    rows = outer(ends)
    assert swish_beta.memory(rows, "digits", "learned", 2) == [pytest.approx(expected)]


@pytest.mark.parametrize(
    ("ends", "expected"), [((0.25, 4.0), 1.0), ((-1.5, 1.5), 0.0), ((0.5, 2.0), 0.5)]
)
def test_the_memory_of_its_logarithm_counts_factors_and_no_sign(
    ends: tuple[float, float], expected: float
) -> None:
    rows = outer(ends)
    assert swish_beta.log_memory(rows, "digits", "learned", 2) == [pytest.approx(expected)]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0.6, 0.9, "remembered"), (0.4, 0.9, "between"), (-0.1, 0.09, "forgotten")],
)
def test_the_rule(low: float, high: float, expected: str) -> None:
    assert swish_beta.verdict(low, high) == expected
