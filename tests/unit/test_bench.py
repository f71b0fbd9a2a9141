"""Benchmarks: what they compare is the same work, and what they print follows from it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from actbook import data
from actbook.bench import ensemble
from actbook.bench.__main__ import main

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_the_three_ways_give_the_same_networks(activation: str) -> None:
    base = replace(ensemble.PROTOCOL, activation=activation, epochs=2)
    configs = [replace(base, seed=seed) for seed in range(3)]
    examples, cpu = data.load("digits"), torch.device("cpu")
    first, *others = (way(configs, examples, cpu) for way in ensemble.WAYS.values())
    for networks in others:
        for one, two in zip(first, networks, strict=True):
            for a, b in zip(one.parameters(), two.parameters(), strict=True):
                assert torch.equal(a, b)
    assert not torch.equal(first[0][0].weight, first[1][0].weight)


def test_the_table_follows_from_the_rounds() -> None:
    table = ensemble.measure(["relu"], members=2, rounds=3, epochs=1)
    assert [row.way for row in table] == ["together", "loop", "loader"]
    for row in table:
        assert row.seconds == sorted(row.rounds)[1] > 0
        assert row.throughput == pytest.approx(2 / row.seconds)
        assert row.speedup == pytest.approx(table[1].seconds / row.seconds)
    assert torch.get_num_threads() == 1


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ensemble", "--members", "1", "--rounds", "1", "--epochs", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("digits 64-128-10, batch 128, Adam, 1 members × 1 epochs on cpu")
    assert len(lines) == 8
    assert main(["ensemble", "--members", "0"]) == 2
    assert "members must be at least 1" in capsys.readouterr().err
    assert main(["ensemble", "--activations", "nothing"]) == 2
