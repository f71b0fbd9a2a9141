"""The factorial study: its grid, its table, its decomposition."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from actbook import studies
from actbook.studies import codesign
from actbook.studies.framework import Row
from tests.unit.training import little_digits

BUDGET: dict[str, Any] = {
    "dataset": "digits",
    "hidden": 32,
    "depth": 2,
    "epochs": 2,
    "batch": 32,
    "seeds": 3,
    "tuning_seeds": 1,
    "activation": ("relu", "tanh"),
    "init": ("torch", "he"),
    "normalisation": ("none", "batch"),
    "optimizer": ("sgd", "adam"),
    "residual": (False, True),
}
BEST = {"sgd": 0.1, "adam": 0.001}


def tuned(edge: codesign.Cell | None = None) -> list[Row]:
    """Rows of the first stage whose best rate is in the middle, but for one combination."""
    rows = []
    for config in codesign._tune(BUDGET, []):
        row = {**config.as_dict(), "stage": "tune"}
        middle = 1 - abs(math.log10(config.lr / BEST[config.optimizer])) / 9
        row["valid_accuracy"] = config.lr if codesign.cell_of(row) == edge else middle
        rows.append(row)
    return rows


def final(accuracy: Any) -> list[Row]:
    return [
        {
            **config.as_dict(),
            "stage": "final",
            "diverged": False,
            "test_accuracy": accuracy(config),
        }
        for config in codesign._final(BUDGET, tuned())
    ]


def test_every_combination_is_tuned_and_run_with_the_same_fresh_seeds() -> None:
    cells = codesign.cells(BUDGET)
    assert len(cells) == len(set(cells)) == 2**5
    configs = codesign._final(BUDGET, tuned())
    assert len(configs) == 3 * len(cells)
    for cell in cells:
        part = [c for c in configs if codesign.cell_of(c.as_dict()) == cell]
        assert {c.seed for c in part} == {2000, 2001, 2002}
        assert {c.lr for c in part} == {BEST[cell[3]]}
    assert {c.splits for c in codesign._tune(BUDGET, [])} == {("valid",)}
    assert {c.seed for c in codesign._tune(BUDGET, [])} == {1000}


def test_the_best_rate_on_an_edge_widens_the_grid() -> None:
    edge = ("relu", "he", "batch", "sgd", True)
    configs = codesign._widen(BUDGET, tuned(edge))
    assert {codesign.cell_of(c.as_dict()) for c in configs} == {edge}
    assert [c.lr for c in configs] == [3.16228, 10.0]


def test_a_diverged_run_counts_as_chance() -> None:
    row: Row = {"test_accuracy": math.nan, "diverged": True}
    assert codesign.outcome(row, "test_accuracy") == 0.1
    assert codesign.outcome(row, "log10_error") == pytest.approx(math.log10(0.901))
    tried = [{**tuned()[0], "valid_accuracy": math.nan}]
    assert list(codesign.TUNING.table(tried).values()) == [{0.01: 0.0}]


def test_the_table_has_every_run_in_its_place() -> None:
    rows = final(lambda config: config.seed % 7 / 10 + (config.activation == "tanh"))
    outcomes, levels = codesign.table(list(reversed(rows)), "test_accuracy")
    assert outcomes.shape == (2, 2, 2, 2, 2, 3)
    assert np.isfinite(outcomes).all()
    tanh = levels[0].index("tanh")
    assert outcomes[tanh].min() >= 1 > outcomes[1 - tanh].max()
    assert outcomes[tanh, 0, 0, 0, 0].tolist() == [1 + s % 7 / 10 for s in (2000, 2001, 2002)]


def test_what_was_put_in_is_found() -> None:
    """An effect of the optimiser, and one of relu with he together; little noise."""
    noise = np.random.default_rng(0)

    def accuracy(config: Any) -> float:
        together = (config.activation == "relu") == (config.init == "he")
        return 0.5 + 0.1 * (config.optimizer == "adam") + 0.1 * together + noise.normal(0, 0.01)

    table = [r for r in codesign.summary(final(accuracy)) if r["outcome"] == "test_accuracy"]
    found = {row["effect"] for row in table if row["verdict"] == "matters"}
    assert found - {"seeds"} == {"optimizer", "activation × init"}
    by_name = {row["effect"]: row for row in table}
    assert by_name["optimizer"]["omega"] == pytest.approx(0.49, abs=0.02)
    assert by_name["activation"]["verdict"] == "negligible"
    assert sum(row["eta"] for row in table) == pytest.approx(1)
    assert len(table) == 5 + 10 + 2


def test_a_row_says_what_was_trained() -> None:
    config = codesign.model(
        BUDGET, ("relu", "he", "layer", "adam", True), lr=0.01, splits=("test",)
    )
    assert codesign.label(config) == "relu, he, layer, adam, residual"
    assert codesign.STUDY.train is not None
    (member,) = codesign.STUDY.train([config], device="cpu", datasets={"digits": little_digits(60)})
    row = member.rows[-1]
    assert codesign.cell_of(row) == ("relu", "he", "layer", "adam", True)
    assert set(codesign._FINAL_COLUMNS) <= row.keys()


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [(0.02, 0.1, "matters"), (-0.01, 0.005, "negligible"), (0.0, 0.05, "undecided")],
)
def test_the_rule(low: float, high: float, said: str) -> None:
    assert codesign.verdict(low, high) == said


@pytest.mark.skipif("codesign" not in studies.stored(), reason="codesign is not stored")
def test_the_stored_result_is_complete() -> None:
    result = studies.load("codesign")
    outcomes, levels = codesign.table(result.rows, "test_accuracy")
    assert np.isfinite(outcomes).all() and outcomes.shape[-1] >= 5
    budget = result.provenance["budget_settings"]
    assert [set(found) for found in levels] == [set(budget[name]) for name in codesign.FACTORS]
    shares = [row["eta"] for row in result.summary() if row["outcome"] == "test_accuracy"]
    assert sum(shares) == pytest.approx(1)
