"""The study of dead units: its counts against a plain loop, its grid, its rule."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch

from actbook import catalogue, studies, train
from actbook.studies import dead_units
from actbook.train.config import ConfigError
from tests.unit.training import little_digits


def config(activation: str = "relu", start: str = "he", **fields: Any) -> dead_units.Watched:
    given: dict[str, Any] = {"optimizer": "sgd", "lr": 0.05, "splits": ("train", "test")}
    return dead_units.watched("digits", 3, 32, activation, start, **{**given, **fields})


def trained(*chosen: dead_units.Watched) -> list[Any]:
    return list(dead_units.train(chosen, device="cpu", datasets={"digits": little_digits(valid=0)}))


def slopes(network: torch.nn.Sequential, activation: str, x: torch.Tensor) -> list[np.ndarray]:
    """Of each hidden layer the slopes (examples, units), by the catalogue's derivative."""
    found, h = [], x.double().numpy()
    linear = [module for module in network if isinstance(module, torch.nn.Linear)]
    for layer in linear[:-1]:
        z = h @ layer.weight.detach().double().numpy().T + layer.bias.detach().double().numpy()
        found.append(catalogue[activation].grad(z))
        h = catalogue[activation](z)
    return found


@pytest.mark.parametrize("activation", ["relu", "relu6", "leaky_relu"])
def test_counts_against_a_plain_loop(activation: str) -> None:
    """Trained epoch by epoch alone, each unit followed by name."""
    epochs = 4
    chosen = config(activation, "torch", epochs=epochs, lr=0.5, seed=2)
    rows = trained(chosen)[0].rows
    x = torch.from_numpy(little_digits(valid=0).x_train.reshape(40, 64))
    dead, deaths, revivals = [], 0, 0
    # A network of fewer epochs is this one stopped earlier: seeds fix starts and orders.
    for stop in range(1, epochs + 1):
        part = config(activation, "torch", epochs=stop, lr=0.5, seed=2)
        (member,) = trained(part)
        dead.append([(s == 0).all(0) for s in slopes(member.network, activation, x)])
    for layer in range(3):
        history = [states[layer] for states in dead]
        last = [r for r in rows if r["epoch"] == epochs and r["layer"] == layer + 1]
        assert [r["train_dead"] for r in last] == [history[-1].sum()]
        for before, after in itertools.pairwise(history):
            deaths += int((~before & after).sum())
            revivals += int((before & ~after).sum())
    total = [r for r in rows if r["epoch"] == epochs]
    first = [r for r in rows if r["epoch"] == 1]
    assert sum(r["deaths"] for r in total) - sum(r["deaths"] for r in first) == deaths
    assert sum(r["revivals"] for r in total) - sum(r["revivals"] for r in first) == revivals
    if activation == "leaky_relu":
        assert sum(r["train_dead"] for r in rows) == 0


def test_before_the_first_step_all_is_as_the_start_says() -> None:
    x = torch.from_numpy(little_digits(valid=0).x_train.reshape(40, 64))
    for start, (weights, biases) in dead_units.STARTS.items():
        chosen = config("relu", start, epochs=1, seed=5)
        rows = trained(chosen)[0].rows
        network = train.network(chosen)
        with torch.no_grad():
            for layer in network:
                if isinstance(layer, torch.nn.Linear):
                    layer.weight.mul_(weights)
                    layer.bias.mul_(biases)
        for row, slope in zip(rows, slopes(network, "relu", x), strict=False):
            assert row["epoch"] == 0
            assert row["train_dead"] == (slope == 0).all(0).sum()
            assert row["train_active"] == pytest.approx((slope > 0).mean(), abs=1e-3)
            assert row["deaths"] == row["revivals"] == 0


def test_quiet_units_have_small_slopes() -> None:
    chosen = config("sigmoid", "he", epochs=1, lr=30.0)
    (member,) = trained(chosen)
    x = torch.from_numpy(little_digits(valid=0).x_train.reshape(40, 64))
    last = [row for row in member.rows if row["epoch"] == 1]
    for row, slope in zip(last, slopes(member.network, "sigmoid", x), strict=True):
        assert row["train_quiet"] == (slope.max(0) < dead_units.QUIET).sum()
    assert sum(row["train_quiet"] for row in last) > 0


def test_watching_changes_no_bit_of_the_training() -> None:
    chosen = [config("relu", "torch", epochs=3, lr=lr, seed=1) for lr in (0.05, 0.2)]
    given = {"digits": little_digits(valid=0)}
    ours = trained(*chosen)
    plain = train.train(chosen, device="cpu", datasets=given)
    for mine, other in zip(ours, plain, strict=True):
        for p, q in zip(mine.network.parameters(), other.network.parameters(), strict=True):
            assert torch.equal(p, q)
        assert mine.rows[-1]["test_loss"] == other.rows[-1]["test_loss"]


def test_a_dead_unit_of_the_first_layer_is_never_moved_by_sgd() -> None:
    chosen = [config("relu", "he", epochs=6, lr=2.0, seed=seed) for seed in range(6)]
    results = trained(*chosen)
    rows = [row for member in results for row in member.rows if not row["diverged"]]
    assert sum(row["train_dead"] for row in rows if row["layer"] == 1) > 0
    assert all(row["revivals"] == 0 for row in rows if row["layer"] == 1)


def test_what_is_no_start_is_refused() -> None:
    with pytest.raises(ConfigError, match="start must be one of torch, torch_zero"):
        config("relu", "glorot")
    with pytest.raises(ConfigError, match="init must be 'torch'"):
        config("relu", "he", init="he")
    with pytest.raises(ConfigError, match="widths must list 4 layers"):
        dead_units.Watched(depth=2, widths=(64, 64, 10))


def test_every_condition_is_tuned_alone_and_run_at_three_rates() -> None:
    budget = dead_units.STUDY.budgets["quick"]
    tune, widen, _, *finals = dead_units.STUDY.stages
    configs = tune.grid(budget, [])
    assert {c.splits for c in configs} == {("valid",)}
    rows = [
        {
            **c.as_dict(),
            "model": dead_units.label(c),
            "valid_accuracy": 1 - abs(math.log10(c.lr) + (1 if c.optimizer == "sgd" else 2.5)) / 9,
        }
        for c in configs
    ]
    assert widen.grid(budget, rows) == []
    tuned, x10, x30, depths = (stage.grid(budget, rows) for stage in finals)
    assert [c.lr for c in x10] == pytest.approx([10 * c.lr for c in tuned])
    assert [c.lr for c in x30] == pytest.approx([30 * c.lr for c in tuned])
    assert {c.depth for c in tuned} == {5} and {c.depth for c in depths} == {2, 10}
    assert {c.seed for c in tuned}.isdisjoint(c.seed for c in configs)
    assert {(c.activation, c.start) for c in tuned} == set(dead_units.CONDITIONS)
    assert min(sum(dead_units.label(c) == n and c.optimizer == "sgd" for c in tuned)
               for n in {dead_units.label(c) for c in tuned}) >= 5  # fmt: skip
    cell = ("digits", 5, "adam", "relu, he")
    assert dead_units.TUNING.best(rows, *cell) == 0.00316228


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.02, 0.1, "dies"),
        (-0.1, -0.02, "revives"),
        (-0.01, 0.01, "steady"),
        (-0.005, 0.05, "undecided"),
    ],
)
def test_the_rule(low: float, high: float, said: str) -> None:
    assert dead_units.verdict(low, high) == said


def test_the_summary_by_hand() -> None:
    fields = {"stage": "tuned", "depth": 2, "optimizer": "sgd", "model": "relu, he", "lr": 0.1}
    rows = [
        {
            **fields, "seed": seed, "epoch": epoch, "layer": layer, "units": 10,
            "train_dead": 1 + epoch * (layer == 2), "train_quiet": 2, "train_active": 0.1 * layer,
            "deaths": 3 * epoch, "revivals": epoch * (layer == 2), "diverged": seed == 3 and epoch,
            "test_accuracy": 0.9 if epoch else None,
        }
        for seed in (1, 2, 3)
        for epoch in (0, 4)
        for layer in (1, 2)
    ]  # fmt: skip
    (line,) = dead_units.summary(rows)
    assert (line["runs"], line["diverged"]) == (3, 1)
    assert line["born"] == pytest.approx(2 / 20) and line["dead"] == pytest.approx(6 / 20)
    assert line["deaths"] == pytest.approx(24 / 20) and line["revivals"] == pytest.approx(4 / 20)
    assert line["revivals_1"] == 0 and line["active"] == pytest.approx(0.15)
    assert line["verdict"] == "dies" and line["test_accuracy"] == pytest.approx(0.9)
    lost = [{**row, "diverged": True} for row in rows]
    assert dead_units.summary(lost)[0]["verdict"] == "diverged"


@pytest.mark.skipif("dead_units" not in studies.stored(), reason="dead_units is not stored")
def test_the_stored_result_is_complete() -> None:
    result = studies.load("dead_units")
    table = result.summary()
    assert all(row["runs"] >= 5 for row in table)
    assert {row["stage"] for row in table} == {"tuned", "x10", "x30", "depths"}
    first = [r for r in result.rows if r.get("layer") == 1 and r["optimizer"] == "sgd"]
    assert all(row["revivals"] == 0 for row in first if not row["diverged"])
    leaky = [r for r in result.rows if "leaky_relu" in r["model"] and r.get("layer")]
    assert leaky and all(row["train_dead"] == 0 for row in leaky if not row["diverged"])
