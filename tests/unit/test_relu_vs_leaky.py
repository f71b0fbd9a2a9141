"""The study of ReLU against Leaky ReLU: its pairs, its control, what it keeps, its rule."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from actbook import train
from actbook.studies import relu_vs_leaky as study
from tests.unit.training import little_digits

FULL = study.STUDY.budgets["full"]


def tuned(accuracies: dict[tuple[str, str], dict[float, float]]) -> list[dict[str, Any]]:
    return [
        {"dataset": dataset, "model": model, "lr": lr, "valid_accuracy": accuracy, "stage": "tune"}
        for (dataset, model), tried in accuracies.items()
        for lr, accuracy in tried.items()
    ]


INSIDE = tuned(
    {
        (dataset, model): {3e-4: 0.9, 1e-3: 0.95, 3e-3: 0.9}
        for dataset in FULL["tuning"]
        for model in ("relu", "leaky_relu")
    }
)


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 1.0])
@pytest.mark.parametrize("length", [1, 7, 360, 10_000])
def test_what_is_packed_comes_back(share: float, length: int) -> None:
    wrong = np.random.default_rng(0).random(length) < share
    text = study.pack(wrong)
    np.testing.assert_array_equal(study.unpack(text, length), wrong)
    # A table reads what looks like a number as one.
    with pytest.raises(ValueError, match="could not convert"):
        float(text)


def test_both_activations_run_with_the_same_seeds_in_blocks_that_lie_together() -> None:
    configs = study._final(FULL, INSIDE)
    for dataset, pairs in FULL["final"].items():
        seeds = {
            model: [c.seed for c in configs if (c.dataset, study.label(c)) == (dataset, model)]
            for model in ("relu", "leaky_relu")
        }
        wanted = list(range(study.FINAL_SEEDS, study.FINAL_SEEDS + pairs))
        assert seeds == {"relu": wanted, "leaky_relu": wanted}
    groups = study.groups(configs)
    assert sorted(i for group in groups for i in group) == list(range(len(configs)))
    blocks = [
        {(configs[i].dataset, configs[i].seed // study.BLOCK[configs[i].dataset]) for i in group}
        for group in groups
    ]
    assert all(len({dataset for dataset, _ in block}) == 1 for block in blocks)
    starts = [configs[group[0]].seed for group in groups]
    assert all(one <= two for one, two in pairwise(starts))  # an early stop leaves whole pairs


def test_a_smaller_budget_is_the_beginning_of_the_full_one() -> None:
    small, large = (
        [[configs[i] for i in group] for group in study.groups(configs)]
        for configs in (study._final(study.STUDY.budgets[b], INSIDE) for b in ("middle", "full"))
    )
    assert all(group in large for group in small)


def test_the_seeds_of_the_stages_do_not_meet() -> None:
    protocol, tune = study._protocol(FULL, []), study._tune(FULL, [])
    final = study._final(FULL, INSIDE)
    seeds = [{c.seed for c in configs} for configs in (protocol, tune, final)]
    assert not (seeds[0] & seeds[1] or seeds[1] & seeds[2] or seeds[0] & seeds[2])
    assert all(c.splits == ("valid",) for c in tune)  # nothing is chosen on test images
    assert {c.valid for c in final if c.dataset != "digits"} == {10_000}


def test_the_control_is_relu_at_almost_the_same_rate() -> None:
    configs = study._protocol(FULL, [])
    control = [c for c in configs if study.label(c) == "relu_again"]
    plain = [c for c in configs if study.label(c) == "relu"]
    assert len(control) == len(plain) == sum(FULL["protocol"].values())
    assert {c.activation for c in control} == {"relu"}
    assert {c.lr for c in plain} == {1e-3}
    for one in control:
        assert 0 < one.lr / 1e-3 - 1 < 2e-6


def test_a_best_rate_on_the_edge_is_followed_by_one_beyond() -> None:
    rows = [dict(row) for row in INSIDE]
    for row in rows:
        if (row["dataset"], row["model"], row["lr"]) == ("mnist", "leaky_relu", 3e-3):
            row["valid_accuracy"] = 0.97
    assert study.TUNING.on_edge(rows, "mnist", "leaky_relu")
    more = study._widen(FULL, rows)
    assert {(c.dataset, c.activation, c.lr) for c in more} == {("mnist", "leaky_relu", 0.01)}
    assert study._widen(FULL, INSIDE) == []


def test_the_fused_stack_trains_the_networks_of_the_engine() -> None:
    configs = [
        study.as_printed("digits", model, seed=seed, splits=("test",), measure="end")
        for model in ("relu", "leaky_relu", "relu_again")
        for seed in (1, 2)
    ]
    given = {"digits": little_digits()}
    ours = study.train(configs, device="cpu", datasets=given)
    theirs = train.train(configs, device="cpu", datasets=given)
    for one, other in zip(ours, theirs, strict=True):
        assert one.config == other.config
        for mine, its in zip(one.network.parameters(), other.network.parameters(), strict=True):
            np.testing.assert_allclose(mine.detach(), its.detach(), rtol=0, atol=1e-5)


def test_a_tested_run_says_which_images_it_got_wrong() -> None:
    source = little_digits()
    (member,) = study.train(
        [study.as_printed("digits", "relu", splits=("test",), measure="end")],
        device="cpu",
        datasets={"digits": source},
    )
    last: dict[str, Any] = member.rows[-1]
    wrong = study.unpack(last["wrong"], len(source.y_test))
    assert wrong.mean() == pytest.approx(1 - last["test_accuracy"])
    assert all(row["wrong"] is None for row in member.rows[:-1])
    found = study.wrong_images(member.network, source.x_test, source.y_test)
    np.testing.assert_array_equal(found, wrong)


def final_rows(differences: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    return [
        {"stage": "final", "dataset": dataset, "model": model, "seed": seed, "epoch": 10,
         "test_accuracy": 0.9 + (value if model == "leaky_relu" else 0.0)}
        for dataset, values in differences.items()
        for seed, value in enumerate(values)
        for model in ("relu", "leaky_relu")
    ]  # fmt: skip


def test_the_rule_tells_the_four_verdicts_apart() -> None:
    draws = np.random.default_rng(4).normal(size=40)
    noise = (draws - draws.mean()) / draws.std()
    rows = final_rows(
        {
            "digits": 0.004 + 0.002 * noise,
            "mnist": 0.0001 + 0.001 * noise,
            "fashion_mnist": 0.001 + 0.01 * noise,
        }
    )
    verdicts = {name: one.verdict for name, one in study.decide(rows).items()}
    assert verdicts == {"digits": "higher", "mnist": "equivalent", "fashion_mnist": "undecided"}
    lower = study.decide(final_rows({"digits": -0.004 + 0.002 * noise}))
    assert lower["digits"].verdict == "lower"


def test_the_three_data_sets_are_one_family() -> None:
    draws = np.random.default_rng(5).normal(size=30)
    noise = (draws - draws.mean()) / draws.std()
    sets = {name: 0.00042 * (1 + 0 * noise) + 0.001 * noise for name in ("a", "b", "c")}
    found = study.decide(final_rows(sets))
    assert all(one.p < 0.05 < one.p_holm for one in found.values())
    assert len(found) == study.COMPARISONS
