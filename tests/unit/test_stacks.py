"""Training in a study's own stack: the networks of the package, on the data as prepared."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from actbook import train
from actbook.data import Dataset
from actbook.studies.stacks import trained_in
from actbook.train import engine
from tests.unit.training import blobs

pytestmark = pytest.mark.usefixtures("one_thread")

CONFIGS = [
    train.Config("blobs", (24, 32, 3), activation, epochs=2, batch=16, seed=seed, lr=lr)
    for activation in ("relu", "tanh")
    for seed, lr in ((0, 1e-2), (1, 1e-3), (2, 1e-2))
]


def halved(dataset: Dataset) -> Dataset:
    return dataclasses.replace(dataset, x_train=dataset.x_train / 2)


def weights(members: list[train.Trained]) -> list[torch.Tensor]:
    return [torch.cat([p.detach().flatten() for p in m.network.parameters()]) for m in members]


def test_every_network_is_that_of_the_package_in_the_order_asked_for() -> None:
    given = {"blobs": blobs()}
    ours = trained_in(engine._Stack, CONFIGS, "cpu", given)
    theirs = train.train(CONFIGS, device="cpu", datasets=given)
    assert [member.config for member in ours] == CONFIGS
    assert all(map(torch.equal, weights(ours), weights(theirs)))


def test_the_data_are_prepared_first() -> None:
    given = {"blobs": blobs()}
    ours = trained_in(engine._Stack, CONFIGS[:2], "cpu", given, halved)
    theirs = train.train(CONFIGS[:2], device="cpu", datasets={"blobs": halved(blobs())})
    raw = train.train(CONFIGS[:2], device="cpu", datasets=given)
    assert all(map(torch.equal, weights(ours), weights(theirs)))
    assert not any(map(torch.equal, weights(ours), weights(raw)))
