"""Learning rates of a study: means, the best one, edges and what lies beyond them."""

from __future__ import annotations

import math

import pytest

from actbook.studies.framework import Row
from actbook.studies.tuning import Tuning, rate

ACCURACY, LOSS = Tuning(("dataset", "model")), Tuning(("dataset", "model"), "valid_loss")


def row(lr: float, accuracy: float, loss: float = 1.0, model: str = "relu") -> Row:
    return {
        "dataset": "digits", "model": model, "lr": lr,
        "valid_accuracy": accuracy, "valid_loss": loss,
    }  # fmt: skip


def test_rates_are_half_decades() -> None:
    assert [rate(k) for k in (-6, -5, 0, 1)] == [1e-3, 0.00316228, 1.0, 3.16228]


def test_each_cell_has_the_means_of_its_own_runs() -> None:
    rows = [row(0.1, 0.5), row(0.01, 0.8), row(0.1, 0.7), row(0.1, 0.9, model="elu")]
    assert ACCURACY.rates(rows, "digits", "relu") == {0.01: 0.8, 0.1: 0.6}
    assert ACCURACY.rates(rows, "mnist", "relu") == {}
    assert ACCURACY.table(rows) == {
        ("digits", "relu"): {0.01: 0.8, 0.1: 0.6},
        ("digits", "elu"): {0.1: 0.9},
    }


def test_runs_of_other_stages_have_no_say() -> None:
    tested = {"dataset": "digits", "model": "relu", "lr": 1.0, "test_accuracy": 1.0}
    unmeasured = {**tested, "valid_accuracy": None}
    rows = [row(0.1, 0.5), tested, unmeasured]
    assert ACCURACY.rates(rows, "digits", "relu") == {0.1: 0.5}


@pytest.mark.parametrize("lost", [math.nan, math.inf])
def test_a_diverged_run_is_the_worst(lost: float) -> None:
    rows = [row(0.1, math.nan, lost), row(0.01, 0.01, 99.0)]
    cell = ("digits", "relu")
    assert ACCURACY.rates(rows, *cell)[0.1] == 0.0
    assert LOSS.rates(rows, *cell)[0.1] == math.inf
    assert ACCURACY.best(rows, *cell) == LOSS.best(rows, *cell) == 0.01


def test_high_accuracy_and_low_loss_are_best_and_of_equals_the_smaller_rate() -> None:
    rows = [row(0.1, 0.9, 0.2), row(0.01, 0.9, 0.2), row(1.0, 0.5, 0.7)]
    assert ACCURACY.best(rows, "digits", "relu") == LOSS.best(rows, "digits", "relu") == 0.01


@pytest.mark.parametrize(
    ("accuracies", "beyond"), [((0.9, 0.5, 0.4), [-8, -7]), ((0.4, 0.5, 0.9), [-3, -2]),
                               ((0.4, 0.9, 0.5), [])]
)  # fmt: skip
def test_an_edge_that_is_best_is_followed_beyond(
    accuracies: tuple[float, ...], beyond: list[int]
) -> None:
    rows = [row(rate(k), a) for k, a in zip((-6, -5, -4), accuracies, strict=True)]
    assert ACCURACY.on_edge(rows, "digits", "relu") == bool(beyond)
    assert ACCURACY.beyond(rows, "digits", "relu", count=2) == beyond
    assert ACCURACY.beyond(rows, "digits", "relu", count=1) == (beyond[:1] if accuracies[2] == 0.9
                                                               else beyond[1:])  # fmt: skip
