"""The engine against the plain loop that it must equal, and its errors."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from torch import nn

from actbook import catalogue, train
from actbook.data import Dataset
from actbook.train import engine
from actbook.train.members import data_order, initial_values
from tests.unit.training import blobs

POINTWISE = [n for n, a in catalogue.items() if a.shape in ("pointwise", "learnable")]
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


pytestmark = pytest.mark.usefixtures("one_thread")


DATA = {"blobs": blobs()}


def config(**fields: object) -> train.Config:
    base = {"dataset": "blobs", "widths": (24, 32, 3), "epochs": 2, "batch": 16, "lr": 1e-2}
    return train.Config(**{**base, **fields})  # type: ignore[arg-type]


def optimizer(chosen: train.Config, network: nn.Module) -> torch.optim.Optimizer:
    options = {"lr": chosen.lr, "weight_decay": chosen.weight_decay, "foreach": False}
    if chosen.optimizer == "sgd":
        return torch.optim.SGD(network.parameters(), momentum=chosen.momentum, **options)
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[chosen.optimizer]
    return kind(network.parameters(), eps=chosen.eps, **options)


def plain_loop(chosen: train.Config, dataset: Dataset) -> tuple[nn.Sequential, list[dict]]:
    """The same network by torch.nn.Linear, autograd and torch.optim, one at a time."""
    network = train.network(chosen)
    updates = optimizer(chosen, network)
    x, y = torch.from_numpy(dataset.x_train), torch.from_numpy(dataset.y_train)
    x_test, y_test = torch.from_numpy(dataset.x_test), torch.from_numpy(dataset.y_test)
    x, x_test = (part.to(getattr(torch, chosen.dtype)) for part in (x, x_test))
    rows = []
    for epoch in range(1, chosen.epochs + 1):
        total, right = 0.0, 0
        order = torch.from_numpy(data_order(chosen.seed, epoch, len(x)))
        for batch in order.split(chosen.batch):
            updates.zero_grad()
            logits = network(x[batch])
            if chosen.loss == "mse":
                loss = nn.functional.mse_loss(logits, torch.eye(3, dtype=x.dtype)[y[batch]])
            else:
                loss = nn.functional.cross_entropy(logits, y[batch])
            loss.backward()
            updates.step()
            total += loss.item() * len(batch)
            right += int((logits.argmax(1) == y[batch]).sum())
        with torch.no_grad():
            wrong = network(x_test).argmax(1) != y_test
        rows.append(
            {
                "running_loss": total / len(x),
                "running_accuracy": right / len(x),
                "test_accuracy": 1 - wrong.double().mean().item(),
            }
        )
    return network, rows


def assert_equal_networks(member: nn.Module, alone: nn.Module) -> None:
    for (name, a), (_, b) in zip(member.named_parameters(), alone.named_parameters(), strict=True):
        assert torch.equal(a, b), f"{name}: differs by {(a - b).abs().max().item():.3g}"


@pytest.mark.parametrize("activation", POINTWISE)
def test_a_member_is_bit_for_bit_the_network_trained_alone(activation: str) -> None:
    configs = [
        config(activation=activation, seed=seed, lr=lr) for lr in (1e-2, 3e-2) for seed in (0, 5)
    ]
    for member in train.train(configs, device="cpu", datasets=DATA):
        alone, rows = plain_loop(member.config, DATA["blobs"])
        assert_equal_networks(member.network, alone)
        for got, expected in zip(member.rows, rows, strict=True):
            for column, value in expected.items():
                assert got[column] == pytest.approx(value, rel=1e-6), column


@pytest.mark.parametrize(
    "fields",
    [
        {"optimizer": "sgd", "momentum": 0.9},
        {"optimizer": "sgd", "weight_decay": 1e-2},
        {"optimizer": "adamw", "weight_decay": 0.1},
        {"optimizer": "adam", "eps": 1e-3, "weight_decay": 1e-2},
        {"loss": "mse"},
        {"dtype": "float64"},
        {"widths": (24, 3)},
        {"widths": (24, 64, 32, 3), "activation": "prelu"},
        {"init": "he", "policy": "contract", "activation": "silu"},
        {"init": "glorot"},
    ],
    ids=str,
)
def test_every_option_equals_the_plain_loop(fields: dict) -> None:
    configs = [config(seed=seed, **fields) for seed in range(3)]
    for member in train.train(configs, device="cpu", datasets=DATA):
        alone, _ = plain_loop(member.config, DATA["blobs"])
        assert_equal_networks(member.network, alone)


def test_an_awkward_member_is_the_network_trained_alone_up_to_rounding() -> None:
    # torch's bmm sums products of fewer than 400 multiplications in another order, and the last
    # elements of a tensor whose size is no multiple of the vector width take another code path.
    for member in train.train([config(widths=(24, 3, 3)), config(widths=(24, 3, 3), seed=1)],
                              device="cpu", datasets=DATA):  # fmt: skip
        alone, _ = plain_loop(member.config, DATA["blobs"])
        for a, b in zip(member.network.parameters(), alone.parameters(), strict=True):
            assert torch.allclose(a, b, rtol=0, atol=1e-6)


def test_a_member_does_not_depend_on_what_trains_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    configs = [
        config(seed=seed, lr=lr, activation=activation)
        for activation in ("relu", "sigmoid", "gelu", "prelu")
        for seed in range(3)
        for lr in (1e-3, 1e-1)
    ]
    together = train.fit(configs, device="cpu", datasets=DATA)
    alone = [row for c in configs for row in train.fit([c], device="cpu", datasets=DATA)]
    assert together == alone
    monkeypatch.setattr(engine, "CPU_STACK_BYTES", 1)
    assert train.fit(configs, device="cpu", datasets=DATA) == together


def test_training_neither_uses_nor_changes_the_global_generators() -> None:
    torch.manual_seed(0)
    np.random.seed(0)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    first = train.fit([config()], device="cpu", datasets=DATA)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()
    torch.manual_seed(1)
    assert train.fit([config()], device="cpu", datasets=DATA) == first


def test_rows_are_tidy_and_in_order() -> None:
    configs = [config(seed=2), config(activation="tanh"), config(seed=1, lr=0.5)]
    rows = train.fit(configs, device="cpu", datasets=DATA)
    assert [(r["activation"], r["seed"], r["lr"], r["epoch"]) for r in rows] == [
        (c.activation, c.seed, c.lr, epoch) for c in configs for epoch in (1, 2)
    ]
    assert set(rows[0]) == {f.name for f in dataclasses.fields(train.Config)} | {
        "epoch", "running_loss", "running_accuracy", "train_loss", "train_accuracy",
        "valid_loss", "valid_accuracy", "test_loss", "test_accuracy", "diverged",
    }  # fmt: skip


def test_only_what_was_asked_for_is_measured() -> None:
    rows = train.fit([config(splits=("valid",), measure="end")], device="cpu", datasets=DATA)
    assert [r["valid_loss"] is None for r in rows] == [True, False]
    assert all(r["test_loss"] is None and r["train_accuracy"] is None for r in rows)
    assert all(r["running_loss"] > 0 for r in rows)


def test_end_of_epoch_measures_are_those_of_the_trained_network() -> None:
    member = train.train([config(epochs=1)], device="cpu", datasets=DATA)[0]
    for split in ("train", "valid", "test"):
        x, y = (torch.from_numpy(part) for part in DATA["blobs"].split(split))
        with torch.no_grad():
            logits = member.network(x)
        expected = nn.functional.cross_entropy(logits.double(), y).item()
        assert member.rows[0][f"{split}_loss"] == pytest.approx(expected, rel=1e-5)
        accuracy = (logits.argmax(1) == y).double().mean().item()
        assert member.rows[0][f"{split}_accuracy"] == pytest.approx(accuracy, abs=1e-12)


def test_a_diverging_member_is_reported_and_touches_no_other() -> None:
    calm = [config(optimizer="sgd", seed=s) for s in (0, 1)]
    wild = config(optimizer="sgd", seed=0, lr=1e30, activation="relu")
    rows = train.fit([calm[0], wild, calm[1]], device="cpu", datasets=DATA)
    kept = [row for row in rows if row["lr"] != 1e30]
    assert kept == train.fit(calm, device="cpu", datasets=DATA)
    assert not any(row["diverged"] for row in kept)
    lost = [row for row in rows if row["lr"] == 1e30]
    assert all(row["diverged"] for row in lost)
    assert all(math.isnan(row["test_accuracy"]) for row in lost)


def test_members_that_share_a_shape_are_one_group() -> None:
    configs = [
        config(), config(seed=1), config(lr=1), config(activation="tanh"), config(batch=8),
        config(seed=3),
    ]  # fmt: skip
    assert train.groups(configs) == [[0, 1, 2, 5], [3], [4]]


@pytest.mark.parametrize(
    ("init", "variance", "bias_variance"),
    [
        ("torch", 1 / 3 / 400, 1 / 3 / 400),
        ("glorot", 2 / (400 + 300), 0),
        ("he", 2 / 400, 0),
        ("lecun", 1 / 400, 0),
    ],
)
def test_initial_variances(init: str, variance: float, bias_variance: float) -> None:
    weight, bias = initial_values(config(widths=(400, 300), init=init))[0]
    assert weight.shape == (300, 400)
    # The sampling error of a variance over 120,000 draws is below 0.5 %; four times that.
    assert weight.var() == pytest.approx(variance, rel=0.02)
    assert abs(weight.mean()) < 4 * math.sqrt(variance / weight.size)
    assert bias.var() == pytest.approx(bias_variance, rel=0.35)
    bounded = {"torch": 1 / 20, "glorot": math.sqrt(6 / 700)}
    assert np.abs(weight).max() <= bounded.get(init, np.inf)


def test_torch_is_what_linear_does_by_default() -> None:
    ours, _ = initial_values(config(widths=(50, 2000), init="torch"))[0]
    theirs = nn.Linear(50, 2000).weight.detach()
    assert np.abs(ours).max() == pytest.approx(theirs.abs().max().item(), rel=1e-3)
    assert ours.std() == pytest.approx(theirs.std().item(), rel=2e-2)


def test_the_seed_pairs_runs_across_activations_and_rates() -> None:
    a, b = config(seed=4), config(seed=4, activation="gelu", lr=1.0)
    for (w, c), (v, d) in zip(initial_values(a), initial_values(b), strict=True):
        assert (w == v).all() and (c == d).all()
    assert sorted(data_order(4, 1, 50)) == list(range(50))
    assert (data_order(4, 1, 50) != data_order(4, 2, 50)).any()
    assert (data_order(4, 1, 50) != data_order(5, 1, 50)).any()


@pytest.mark.parametrize(
    ("fields", "parts"),
    [
        ({"lr": 0}, ("lr", "0", "above 0")),
        ({"lr": math.nan}, ("lr", "nan")),
        ({"optimizer": "adma"}, ("optimizer", "'adma'", "'adam'")),
        ({"init": "xavier"}, ("init", "'xavier'", "'glorot'")),
        ({"loss": "hinge"}, ("loss", "'hinge'")),
        ({"policy": "fast"}, ("policy", "'fast'", "'contract'")),
        ({"dtype": "float8"}, ("dtype", "'float8'")),
        ({"widths": (6,)}, ("widths", "(6,)", "two or more")),
        ({"widths": (6, 0, 3)}, ("widths", "(6, 0, 3)")),
        ({"epochs": 0}, ("epochs", "0", "positive")),
        ({"epochs": True}, ("epochs", "True")),
        ({"batch": 2.5}, ("batch", "2.5", "positive integer")),
        ({"seed": -1}, ("seed", "-1")),
        ({"momentum": 0.9}, ("momentum", "0.9", "adam")),
        ({"weight_decay": -1}, ("weight_decay", "-1")),
        ({"splits": ("exam",)}, ("splits", "exam", "'valid'")),
        ({"measure": "often"}, ("measure", "'often'")),
        ({"dataset": ""}, ("dataset", "''")),
        ({"valid": -5}, ("valid", "-5")),
    ],
    ids=str,
)
def test_a_wrong_field_is_named(fields: dict, parts: tuple[str, ...]) -> None:
    with pytest.raises(train.ConfigError) as caught:
        config(**fields)
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "part"),
    [
        ({"activation": "relo"}, "relu"),
        ({"activation": "softmax"}, "across"),
        ({"activation": "swiglu"}, "gated"),
        ({"widths": (5, 3)}, "(24,)"),
        ({"widths": (24, 2)}, "3 classes"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_explained(fields: dict, part: str) -> None:
    with pytest.raises(train.ConfigError) as caught:
        train.fit([config(**fields)], device="cpu", datasets=DATA)
    assert part in str(caught.value)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_a_missing_device_is_named() -> None:
    with pytest.raises(train.ConfigError, match="no CUDA device"):
        train.fit([config()], device="cuda", datasets=DATA)


def test_progress_counts_network_epochs(capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[tuple[int, int]] = []
    train.fit(
        [config(), config(seed=1), config(activation="tanh")],
        device="cpu",
        datasets=DATA,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(2, 6), (4, 6), (5, 6), (6, 6)]
    train.fit([config()], device="cpu", datasets=DATA, progress=True)
    assert "2 of 2 network-epochs" in capsys.readouterr().err


def test_the_digits_are_learnt() -> None:
    pytest.importorskip("sklearn", reason="the digits come with scikit-learn")
    rows = train.fit([train.Config(epochs=15, lr=3e-3)], device="cpu")
    assert rows[-1]["test_accuracy"] > 0.93


# Sums run in another order there, and Adam's first steps turn the sign of a gradient that is nearly
# zero into a full step: single weights may differ by the rate, the mean and the losses may not.
@needs_gpu
@pytest.mark.parametrize("activation", POINTWISE)
def test_cuda_a_member_is_the_network_trained_alone(activation: str) -> None:
    configs = [
        config(activation=activation, seed=seed, lr=lr) for lr in (1e-3, 3e-3) for seed in (0, 5)
    ]
    for member in train.train(configs, device="cuda", datasets=DATA):
        alone, rows = plain_loop(member.config, DATA["blobs"])
        for a, b in zip(member.network.parameters(), alone.parameters(), strict=True):
            assert (a - b).abs().mean() <= 1e-5
        for got, expected in zip(member.rows, rows, strict=True):
            assert got["running_loss"] == pytest.approx(expected["running_loss"], rel=1e-4)


@needs_gpu
@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_cuda_repeats_itself(name: str) -> None:
    configs = [config(optimizer=name, seed=seed, epochs=4) for seed in range(5)]
    first = train.fit(configs, device="cuda", datasets=DATA)
    assert train.fit(configs, device="cuda", datasets=DATA) == first
    on_cpu = train.fit(configs, device="cpu", datasets=DATA)
    for a, b in zip(first, on_cpu, strict=True):
        assert a["running_loss"] == pytest.approx(b["running_loss"], rel=1e-3)
