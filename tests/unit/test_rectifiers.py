"""The studies of the rectifiers: units born dead, and the negative side at two depths."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from actbook import studies
from actbook.studies import born_dead, rectifiers
from actbook.train import models
from tests.unit.training import little_digits

BUDGET = {"depths": (2,), "seeds": 2, "tuning_seeds": 1}


def birth(weights: str, biases: str, seed: int = 0) -> born_dead.Birth:
    return born_dead.Birth("digits", weights, biases, seed, hidden=(64, 64, 64))


# -- born_dead -------------------------------------------------------------------------------------


def test_starts_differ_as_their_names_say() -> None:
    small, large = (
        born_dead.layers(birth("torch", "torch"), 9),
        born_dead.layers(birth("he", "zero"), 9),
    )
    for (weight, bias), (wide, none) in zip(small, large, strict=True):
        assert np.allclose(wide, math.sqrt(6) * weight) and not none.any() and bias.any()
        bound = 1 / math.sqrt(weight.shape[1])
        assert np.abs(weight).max() <= bound and np.abs(bias).max() <= bound
    deep = born_dead.layers(birth("he", "zero"), 4000)[0][0]
    assert math.isclose(deep.var() * 4000, 2, rel_tol=0.02)


def test_without_biases_the_size_of_the_weights_changes_no_unit() -> None:
    x = torch.from_numpy(np.random.default_rng(1).normal(1, 1, (60, 9)))
    small, large = (born_dead.measure(birth(kind, "zero"), x) for kind in ("torch", "he"))
    for column in ("train_dead", "train_active"):
        assert [row[column] for row in small] == [row[column] for row in large]


def test_a_unit_is_dead_where_no_example_activates_it() -> None:
    x = torch.from_numpy(np.random.default_rng(2).normal(1, 1, (30, 9)))
    (first, *_) = born_dead.measure(birth("torch", "torch"), x)
    weight, bias = born_dead.layers(birth("torch", "torch"), 9)[0]
    before = x.numpy() @ weight.T + bias
    assert first["train_dead"] == np.mean((before <= 0).all(axis=0))
    assert math.isclose(first["train_active"], np.mean(before > 0), rel_tol=1e-12)


def test_births_are_measured_in_their_order() -> None:
    births = [birth("he", "zero", 1), birth("torch", "torch", 0), birth("he", "zero", 0)]
    found = born_dead.train(births, device="cpu", datasets={"digits": little_digits()})
    assert [one.rows[0]["seed"] for one in found] == [1, 0, 0]
    assert [row["layer"] for row in found[0].rows] == [1, 2, 3]
    assert born_dead.groups(births) == [[0, 2], [1]]


@pytest.mark.skipif("born_dead" not in studies.stored(), reason="no stored result")
def test_the_stored_births_show_the_biases_at_work() -> None:
    rows = studies.load("born_dead").rows
    for dataset in ("digits", "fashion_mnist"):
        end = {
            start: born_dead.shares(rows, dataset, f"{start[0]} weights, {start[1]} biases")
            for start in born_dead.STARTS
        }
        assert all(table.shape == (10, 10) for table in end.values())
        assert end["torch", "torch"][:, -1].mean() > 0.4
        assert max(end[s][:, -1].mean() for s in born_dead.STARTS[1:]) < 0.25
        assert np.array_equal(end["torch", "zero"], end["he", "zero"])


# -- rectifiers ------------------------------------------------------------------------------------


def test_every_condition_starts_with_its_own_gain() -> None:
    for slope in rectifiers.SLOPES:
        expected = math.sqrt(2 / (1 + slope**2))
        assert math.isclose(rectifiers.gain(f"slope {slope:g}"), expected, abs_tol=1e-6)
    assert math.isclose(rectifiers.gain("relu"), math.sqrt(2), abs_tol=1e-6)
    assert math.isclose(rectifiers.gain("prelu"), math.sqrt(32 / 17), abs_tol=1e-6)
    assert math.isclose(rectifiers.gain("relu_squared"), math.sqrt(2 / 3), abs_tol=1e-6)


def test_slope_one_is_a_linear_network_and_slopes_are_used() -> None:
    x = torch.rand(20, 64)
    for name, linear in (("slope 1", True), ("slope 0.25", False)):
        net = models.network(rectifiers.model(name, 2, seed=1)).eval()
        middle = net((x[:10] + x[10:]) / 2) - (net(x[:10]) + net(x[10:])) / 2
        assert (middle.abs().max().item() < 1e-5) == linear


def test_labels_name_the_conditions() -> None:
    found = [rectifiers.label(rectifiers.model(name, 2)) for name in rectifiers.CONDITIONS]
    assert found == list(rectifiers.CONDITIONS)


def row(rate: float, accuracy: float, **more: Any) -> dict[str, Any]:
    named = {"stage": "tune", "depth": 2, "model": "relu", "lr": rate, "valid_accuracy": accuracy}
    return named | more


def test_the_best_rate_and_its_edge() -> None:
    rows = [row(0.1, 0.5), row(0.1, 0.7), row(0.01, 0.6), row(1.0, math.nan)]
    tuning = rectifiers.TUNING
    assert tuning.rates(rows, 2, "relu") == {0.01: 0.6, 0.1: 0.6, 1.0: 0.0}
    assert tuning.best(rows, 2, "relu") == 0.01 and tuning.on_edge(rows, 2, "relu")
    assert not tuning.on_edge([*rows, row(0.001, 0.1)], 2, "relu")


def test_rows_have_every_recorded_column_and_their_depth() -> None:
    configs = [
        rectifiers.model(name, 2, seed=0, epochs=1, splits=("test",), record=rectifiers.RECORD)
        for name in ("relu", "prelu")
    ]
    first, second = rectifiers.train(configs, device="cpu", datasets={"digits": little_digits()})
    for member in (first, second):
        assert member.rows[-1]["depth"] == 2
        assert set(rectifiers.RECORDED) <= set(member.rows[-1])
        assert member.rows[-1]["dead_3"] is None
    assert first.rows[-1]["alpha_1"] is None and second.rows[-1]["alpha_1"] is not None


def test_the_seeds_of_the_stages_do_not_meet() -> None:
    stages = {stage.name: stage for stage in rectifiers.STUDY.stages}
    tuned = stages["tune"].grid(BUDGET, [])
    rows = [
        row(config.lr, 0.5 + (config.lr == 0.01), model=rectifiers.label(config))
        for config in tuned
    ]
    assert not stages["widen"].grid(BUDGET, rows)
    final = stages["final"].grid(BUDGET, rows)
    assert {config.lr for config in final} == {0.01}
    assert not {config.seed for config in tuned} & {config.seed for config in final}
    assert all("test" not in config.splits for config in tuned)


@pytest.mark.skipif("rectifiers" not in studies.stored(), reason="no stored result")
def test_the_stored_run_is_plausible() -> None:
    result = studies.load("rectifiers")
    table = {(line["depth"], line["model"]): line for line in result.summary()}
    assert len(table) == 2 * len(rectifiers.CONDITIONS)
    assert all(line["runs"] == 20 for line in table.values())
    for (depth, name), line in table.items():
        if (depth, name) != (8, "relu_squared"):
            assert 0.9 < line["test_accuracy"] < 0.99
    for depth in (2, 8):
        assert table[depth, "slope 1"]["test_accuracy"] < table[depth, "relu"]["test_accuracy"]
