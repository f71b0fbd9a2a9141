"""The study of self-normalisation: its conditions, its grid, its data, its rule."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from actbook import catalogue, signal, studies
from actbook.studies import self_normalising as study
from actbook.train import models
from tests.unit.training import little_digits

BUDGET = {"seeds": 2, "tuning_seeds": 1}


def test_pixels_are_standardised_by_the_training_images_alone() -> None:
    source = little_digits(constant_pixel=True)
    moved = study.standardised(source)
    np.testing.assert_allclose(moved.x_train.mean(axis=0), 0, atol=1e-5)
    spread = moved.x_train.std(axis=0).ravel()
    np.testing.assert_allclose(spread[1:], 1, atol=1e-4)
    assert spread[0] == 0 and not moved.x_test[:, 0, 0].any()
    other = dataclasses.replace(source, x_test=source.x_test + 1)
    np.testing.assert_array_equal(study.standardised(other).x_train, moved.x_train)
    np.testing.assert_array_equal(moved.y_test, source.y_test)


def test_the_constants_are_those_of_the_activation() -> None:
    selu = catalogue["selu"]
    assert math.isclose(study.SELU_SLOPES, selu.moments(1).derivative_second, rel_tol=1e-14)
    edge = study.DEEP["SELU, edge"]
    gain, bias = edge["gain"], edge["bias_std"]
    assert math.isclose(signal.length_map(selu, 1.0, gain, bias), 1.0, rel_tol=1e-12)
    assert math.isclose(signal.chi(selu, 1.0, gain), 1.0, rel_tol=1e-12)


def test_every_configuration_belongs_to_one_cell() -> None:
    labels = set()
    for cell in study.CELLS:
        config = study.configuration(cell, lr=0.01, seed=3, valid=10)
        assert study.cell_of(config) == cell
        labels.add(study.label(config))
    assert len(labels) == len(study.CELLS)
    with pytest.raises(ValueError, match="no configuration of this study"):
        study.cell_of(models.Model(widths=(64, 32, 10)))


def test_every_condition_is_tuned_and_tested_alike() -> None:
    tune, widen, _, final = study.STUDY.stages
    configs = tune.grid(BUDGET, [])
    assert len(configs) == 4 * len(study.CELLS)
    edge = ("deep", "sgd", "ReLU, 2/n")
    rows: list[dict[str, Any]] = []
    for config in configs:
        assert config.splits == ("valid",) and config.valid == study.HELD_OUT
        place = math.log10(config.lr)
        good = place if study.cell_of(config) == edge else -abs(place + 1.9)
        rows.append({"model": study.label(config), "lr": config.lr, "valid_accuracy": good})
    wider = widen.grid(BUDGET, rows)
    assert {study.cell_of(c) for c in wider} == {edge}
    assert sorted({c.lr for c in wider}) == [0.316228, 1.0]
    finals = final.grid(BUDGET, rows)
    assert len(finals) == 2 * len(study.CELLS)
    assert {c.seed for c in finals}.isdisjoint({c.seed for c in configs})
    assert all("valid" not in c.splits and c.valid == 0 for c in finals)


def test_training_sees_standardised_images() -> None:
    cell = ("dropout", "sgd", "SELU, alpha dropout")
    configs = [study.configuration(cell, lr=0.01, seed=s, epochs=1) for s in (0, 1)]
    source = little_digits(constant_pixel=True)
    ours = study.train(configs, device="cpu", datasets={"digits": source})
    moved = {"digits": study.standardised(source)}
    theirs = models.train(configs, device="cpu", datasets=moved)
    assert [member.rows for member in ours] == [member.rows for member in theirs]


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [(0.91, 0.95, "trains"), (0.85, 0.95, "between"), (0.09, 0.19, "stuck"), (0.1, 0.3, "between")],
)
def test_the_rule(low: float, high: float, said: str) -> None:
    assert study.verdict(low, high) == said


def test_a_diverged_run_counts_as_chance() -> None:
    cell = ("deep", "sgd", "ReLU, 2/n")
    row = {"stage": "final", "epoch": study.EPOCHS, "model": " / ".join(cell), "seed": 1}
    assert study.accuracies([{**row, "test_accuracy": float("nan")}], cell) == {1: 0.1}


def test_the_stored_result_is_complete() -> None:
    table = studies.load("self_normalising").summary()
    assert len(table) == len(study.CELLS)
    assert all(row["runs"] >= 5 for row in table)
    assert all(row["low"] <= row["test_accuracy"] <= row["high"] for row in table)
