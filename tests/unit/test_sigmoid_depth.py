"""The study of the sigmoid in depth: its starts, its grid, its rule."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

from actbook import studies, train
from actbook.studies import sigmoid_depth, sigmoid_depth_fashion
from actbook.train.config import ConfigError
from tests.unit.training import little_digits

BUDGET = {"depths": {"digits": (3,)}, "seeds": 2, "tuning_seeds": 1}


def tanh_network(chosen: sigmoid_depth.Deep) -> torch.nn.Sequential:
    return train.network(dataclasses.replace(chosen, activation="tanh", carried=False))


@pytest.mark.parametrize("depth", [1, 2, 5])
@pytest.mark.parametrize("init", ["glorot", "torch"])
def test_a_carried_start_is_the_function_of_the_tanh_network(depth: int, init: str) -> None:
    chosen = sigmoid_depth.deep("digits", depth, "sigmoid", "carried", dtype="float64", seed=4)
    chosen = dataclasses.replace(chosen, init=init)  # "torch" has biases that are not zero
    moved = train.network(chosen)
    linear: list[Any] = list(moved.children())[::2]
    sigmoid_depth.carry([(layer.weight, layer.bias) for layer in linear])
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(30, 64)))
    torch.testing.assert_close(moved(x), tanh_network(chosen)(x), rtol=0, atol=1e-12)


def test_members_start_as_their_configuration_says(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Any] = []

    def keep(self: Any, report: Any) -> list[Any]:
        started.extend(zip(self.configs, self.networks, strict=True))
        return [None] * len(self.configs)

    monkeypatch.setattr(sigmoid_depth._Stack, "train", keep)
    starts = ("torch", "glorot", "carried")
    configs = [
        sigmoid_depth.deep("digits", 3, "sigmoid", start, seed=seed)
        for start in starts
        for seed in (0, 1)
    ]
    sigmoid_depth.train(configs, device="cpu", datasets={"digits": little_digits()})
    assert [config for config, _ in started] == configs
    x = torch.rand(20, 64)
    for config, network in started:
        twin = tanh_network(config) if config.carried else train.network(config)
        torch.testing.assert_close(network(x), twin(x), rtol=0, atol=1e-5)


def test_training_equals_the_engine_where_nothing_is_carried() -> None:
    configs = [
        sigmoid_depth.deep("digits", 2, "tanh", "glorot", epochs=2, lr=lr, seed=1)
        for lr in (0.01, 0.1)
    ]
    given = {"digits": little_digits()}
    ours = sigmoid_depth.train(configs, device="cpu", datasets=given)
    assert [m.rows for m in ours] == [m.rows for m in train.train(configs, datasets=given)]


def test_what_is_not_a_sigmoid_cannot_be_carried() -> None:
    with pytest.raises(ConfigError, match="carried must be False for 'tanh'"):
        sigmoid_depth.deep("digits", 2, "tanh", "carried")
    with pytest.raises(ConfigError, match="widths must list 4 layers"):
        sigmoid_depth.Deep(depth=2, widths=(64, 64, 10))


def test_every_condition_is_tuned_and_tested_alike() -> None:
    tune, widen, _, final = sigmoid_depth.STUDY.stages
    configs = tune.grid(BUDGET, [])
    cells = {(c.optimizer, sigmoid_depth.label(c)) for c in configs}
    assert len(cells) == 2 * len(sigmoid_depth.CONDITIONS)
    assert len(configs) == 7 * len(cells)
    rows = [
        {
            **config.as_dict(),
            "model": sigmoid_depth.label(config),
            # best in the middle, but for one condition at the largest rate
            "valid_accuracy": config.lr
            if sigmoid_depth.label(config) == "relu, he"
            else 1 - abs(np.log10(config.lr) + (0.5 if config.optimizer == "sgd" else 2.5)) / 9,
        }
        for config in configs
    ]
    wider = widen.grid(BUDGET, rows)
    assert {sigmoid_depth.label(c) for c in wider} == {"relu, he"}
    assert sorted({c.lr for c in wider}) == [0.316228, 1.0, 31.6228, 100.0]
    finals = final.grid(BUDGET, rows)
    assert {c.seed for c in finals}.isdisjoint({c.seed for c in configs})
    assert {c.lr for c in finals if c.optimizer == "adam" and c.init == "torch"} == {0.00316228}


@pytest.mark.parametrize(
    ("low", "high", "here", "fashion"),
    [
        (0.91, 0.95, "trains", "trains"),
        (0.85, 0.95, "between", "trains"),
        (0.09, 0.19, "stuck", "stuck"),
        (0.09, 0.25, "between", "between"),
    ],
)
def test_the_rule(low: float, high: float, here: str, fashion: str) -> None:
    assert sigmoid_depth.verdict(low, high) == here
    assert sigmoid_depth_fashion.verdict(low, high) == fashion


def test_a_diverged_run_counts_as_chance() -> None:
    row = {
        "stage": "final", "epoch": sigmoid_depth.EPOCHS, "dataset": "digits", "depth": 2,
        "optimizer": "sgd", "model": "relu, he", "seed": 1, "test_accuracy": float("nan"),
    }  # fmt: skip
    cell = sigmoid_depth.cell_of(row)
    assert sigmoid_depth.accuracies([row], cell) == {1: 0.1}


def test_the_stored_result_is_complete() -> None:
    result = studies.load("sigmoid_depth")
    table = result.summary()
    assert len(table) == 2 * 2 * len(sigmoid_depth.CONDITIONS)
    assert all(
        row["runs"] >= 5 and row["low"] <= row["test_accuracy"] <= row["high"] for row in table
    )
