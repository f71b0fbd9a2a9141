"""The stored results: complete, unaltered, of known origin, and of the code that is here."""

from __future__ import annotations

import math
import re

import pytest

from actbook import studies
from actbook.studies import mnist_mlp
from actbook.studies.runner import RESULTS

LARGEST_TABLE = 200_000
STORED = studies.stored()
nothing_stored = pytest.mark.skipif(not STORED, reason="no study has a stored result")


@nothing_stored
@pytest.mark.parametrize("name", STORED)
def test_a_stored_result_is_whole(name: str) -> None:
    result = studies.load(name)
    tables = result.provenance["tables"]
    assert len(result.rows) == sum(table["rows"] for table in tables.values()) > 0
    there = {str(path.relative_to(RESULTS)) for path in (RESULTS / name).iterdir()}
    assert there == set(tables)
    assert all((RESULTS / file).stat().st_size <= LARGEST_TABLE for file in tables)


@nothing_stored
@pytest.mark.parametrize("name", STORED)
def test_a_stored_result_says_where_it_comes_from(name: str) -> None:
    record = studies.load(name).provenance
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", record["date"])
    assert record["policy"] and record["hash"] and record["modules"] and record["activations"]
    for session in record["sessions"]:
        assert session["hardware"]["processor"] and session["hardware"]["cores"]
        assert {"python", "numpy", "torch"} <= set(session["versions"])
    text = (RESULTS / f"{name}.json").read_text("utf-8")
    assert "/work" not in text and "/tmp" not in text and "/root" not in text


@nothing_stored
@pytest.mark.parametrize("name", STORED)
def test_a_stored_result_is_of_this_code(name: str) -> None:
    assert studies.load(name).changes == []


@pytest.mark.skipif("mnist_mlp" not in STORED, reason="mnist_mlp has no stored result")
class TestMnist:
    """What any correct run of this network must show."""

    @pytest.fixture(scope="class")
    @staticmethod
    def rows() -> list[dict]:
        return studies.load("mnist_mlp").rows

    def test_every_condition_has_at_least_five_seeds(self, rows: list[dict]) -> None:
        seeds: dict[tuple, set] = {}
        for row in rows:
            if row["stage"] in ("protocol", "final"):
                key = row["stage"], row["dataset"], row["model"]
                seeds.setdefault(key, set()).add(row["seed"])
        assert seeds
        assert min(map(len, seeds.values())) >= 5
        assert {"linear", "relu", "tanh", "sigmoid", "gelu", "silu"} <= {k[2] for k in seeds}
        assert {k[1] for k in seeds} == set(mnist_mlp.DATASETS)

    def test_the_curve_of_the_protocol_is_plausible(self, rows: list[dict]) -> None:
        curve = [r for r in rows if r["stage"] == "protocol" and r["dataset"] == "mnist"]
        relu = [r for r in curve if r["model"] == "relu"]
        assert {r["epoch"] for r in relu} == set(range(1, 11))
        for row in relu:
            # In its first epochs a network learns while the mean is taken: its end is better.
            assert row["epoch"] > 2 or row["train_loss"] < row["running_loss"]
            assert 0.94 < row["test_accuracy"] < 0.99
        linear = [r["test_accuracy"] for r in curve if r["model"] == "linear" and r["epoch"] == 10]
        assert all(0.915 < accuracy < 0.935 for accuracy in linear)

    def test_test_accuracies_are_fractions_of_ten_thousand(self, rows: list[dict]) -> None:
        for row in rows:
            accuracy = row.get("test_accuracy")
            if accuracy is not None and not math.isnan(accuracy):
                assert abs(accuracy * 10_000 - round(accuracy * 10_000)) < 1e-6
