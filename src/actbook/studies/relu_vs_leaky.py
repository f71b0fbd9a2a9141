"""ReLU against Leaky ReLU, fairly: the comparison that document 002 prints, done with pairs.

The network of the document, inputs-500-10 with ``torch``'s own start, Adam and ten epochs; the two
activations share every initial draw and every data order.  Of the tested networks the study keeps
*which* images they got wrong, so that what belongs to the seeds can be told from what belongs to
the test set.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from .. import data
from ..train import engine
from ..train.config import Config
from ..train.config import groups as config_groups
from .framework import Row, Stage, Study
from .statistics import Comparison, Rule, compare_across
from .tuning import Tuning, rate

HIDDEN, EPOCHS, PRINTED_RATE = 500, 10, 1e-3
INPUTS = {"digits": 64, "mnist": 784, "fashion_mnist": 784}
#: The document names no batch size.
BATCH = {"digits": 64, "mnist": 128, "fashion_mnist": 128}
#: Training examples that are held out in every stage, to compare rates on; the digits have a split
#: of their own.
HELD_OUT = {"digits": 0, "mnist": 10_000, "fashion_mnist": 10_000}

REFERENCE, CONDITION = "relu", "leaky_relu"
#: The control: ReLU again at a rate so near that the difference cannot matter.
CONTROL, CONTROL_FACTOR = "relu_again", 1 + 1e-6

#: Rates are 10^(k/2), one more at a time on the side where the best one lies.
FIRST_RATES = {
    "digits": (-7, -6, -5, -4, -3),
    "mnist": (-7, -6, -5),
    "fashion_mnist": (-7, -6, -5),
}
WIDENED_BY = 1
TUNING = Tuning(("dataset", "model"))
#: Seeds of the stages do not meet: a rate is never judged by the draws that chose it.
PROTOCOL_SEEDS, TUNING_SEEDS, FINAL_SEEDS = 0, 1000, 2000
#: Members that are trained and kept together.
BLOCK = {"digits": 60, "mnist": 6, "fashion_mnist": 6}

#: Decides the three comparisons of the final stage, one for each data set, as one family.
RULE = Rule(test="t", correction="holm", alpha=0.05, margin=0.002)
COMPARISONS = 3

CURVE = ("running_loss", "running_accuracy", "train_loss", "train_accuracy")
TEST = ("test_loss", "test_accuracy")


def as_printed(dataset: str, model: str, lr: float = PRINTED_RATE, **fields: Any) -> Config:
    """The printed protocol, repaired, with what it leaves open filled in."""
    return Config(
        dataset=dataset,
        widths=(INPUTS[dataset], HIDDEN, 10),
        activation=REFERENCE if model == CONTROL else model,
        optimizer="adam",
        lr=lr * CONTROL_FACTOR if model == CONTROL else lr,
        epochs=EPOCHS,
        batch=BATCH[dataset],
        init="torch",
        valid=HELD_OUT[dataset],
        **fields,
    )


def label(config: Config) -> str:
    """The condition of a configuration: its activation, or "relu_again" for the control."""
    nominal = float(f"{config.lr:.6g}")
    return config.activation if config.lr == nominal else CONTROL


def _members(config: Config) -> tuple[Any, ...]:
    return (*config.stack_key, config.seed // 1000, config.seed % 1000 // BLOCK[config.dataset])


def groups(configs: Sequence[Config]) -> list[list[int]]:
    """Blocks of seeds of one data set and activation; all conditions of a block follow another."""
    found: dict[tuple[Any, ...], list[int]] = {}
    for position, config in enumerate(configs):
        found.setdefault(_members(config), []).append(position)
    return list(found.values())


def _paired(pairs: Mapping[str, int], models: Sequence[str]) -> list[tuple[str, str, int]]:
    """Data set, condition and number of each run, in the order of blocks of seeds."""
    blocks = [
        (start // BLOCK[dataset], dataset, range(start, min(start + BLOCK[dataset], count)))
        for dataset, count in pairs.items()
        for start in range(0, count, BLOCK[dataset])
    ]
    blocks.sort(key=lambda block: block[0])
    return [
        (dataset, model, number)
        for _, dataset, numbers in blocks
        for model in models
        for number in numbers
    ]


def _protocol(budget: Mapping[str, Any], rows: Sequence[Row]) -> list[Config]:
    models = (REFERENCE, CONDITION, CONTROL)
    return [
        as_printed(dataset, model, seed=PROTOCOL_SEEDS + number, splits=("train", "test"))
        for dataset, model, number in _paired(budget["protocol"], models)
    ]


def _tuning(budget: Mapping[str, Any], dataset: str, model: str, powers: Sequence[int]) -> list:
    return [
        as_printed(
            dataset, model, rate(power), seed=TUNING_SEEDS + number,
            splits=("valid",), measure="end",
        )
        for power in powers
        for number in range(budget["tuning"][dataset])
    ]  # fmt: skip


def _tune(budget: Mapping[str, Any], rows: Sequence[Row]) -> list[Config]:
    return [
        config
        for dataset in budget["tuning"]
        for model in (REFERENCE, CONDITION)
        for config in _tuning(budget, dataset, model, FIRST_RATES[dataset])
    ]


def _widen(budget: Mapping[str, Any], rows: Sequence[Row]) -> list[Config]:
    """A further rate on the side of the edge where the best one lies, where it lies on one."""
    return [
        config
        for dataset in budget["tuning"]
        for model in (REFERENCE, CONDITION)
        for config in _tuning(
            budget, dataset, model, TUNING.beyond(rows, dataset, model, count=WIDENED_BY)
        )
    ]


def _final(budget: Mapping[str, Any], rows: Sequence[Row]) -> list[Config]:
    return [
        as_printed(
            dataset, model, TUNING.best(rows, dataset, model), seed=FINAL_SEEDS + number,
            splits=("test",), measure="end",
        )
        for dataset, model, number in _paired(budget["final"], (REFERENCE, CONDITION))
    ]  # fmt: skip


@torch.no_grad()
def wrong_images(network: torch.nn.Module, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Whether the network is wrong on each example, bool (n,)."""
    flat = torch.from_numpy(np.ascontiguousarray(x).reshape(len(x), -1))
    return network(flat).argmax(1).numpy() != y


def pack(wrong: np.ndarray) -> str:
    """A bool array as text: its bits, compressed, in base 64."""
    return base64.b64encode(zlib.compress(np.packbits(wrong).tobytes(), 9)).decode()


def unpack(text: str, length: int) -> np.ndarray:
    """The bool array (length,) that :func:`pack` made."""
    bits = np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype=np.uint8)
    return np.unpackbits(bits, count=length).astype(bool)


class _Stack(engine._Stack):
    """Members whose optimiser is fused on a CPU as well: the same steps up to rounding, faster."""

    @property
    def fused(self) -> bool:
        """Always."""
        return True

    @fused.setter
    def fused(self, value: bool) -> None:
        """The engine says False on a CPU."""


def train(
    configs: Iterable[Config],
    *,
    device: str | torch.device | None = None,
    datasets: Mapping[str, data.Dataset] | None = None,
) -> list[engine.Trained]:
    """As :func:`actbook.train.train`, with a fused optimiser; the last row of a run that is tested
    at its end has ``wrong``: the test images that its network got wrong, packed."""
    configs = list(configs)
    target = engine.resolve_device(device)
    results: dict[int, engine.Trained] = {}
    for group in config_groups(configs):
        first = configs[group[0]]
        source = (datasets or {}).get(first.dataset) or data.load(first.dataset, valid=first.valid)
        examples = engine._Examples.of(source, first, target)
        for positions in engine._stacks(group, configs, target):
            stack = _Stack([configs[position] for position in positions], examples, target)
            for position, member in zip(positions, stack.train(lambda amount: None), strict=True):
                _add_wrong(member, source)
                results[position] = member
    return [results[position] for position in range(len(configs))]


def _add_wrong(member: engine.Trained, source: data.Dataset) -> None:
    config = member.config
    for row in member.rows:
        row["wrong"] = None
    if config.splits == ("test",) and config.measure == "end":
        found = wrong_images(member.network, source.x_test, source.y_test)
        member.rows[-1]["wrong"] = pack(found)


def outcomes(
    rows: Sequence[Row], stage: str, column: str = "test_accuracy"
) -> dict[str, dict[str, dict[int, float]]]:
    """The outcome after the last epoch by data set, condition and seed."""
    found: dict[str, dict[str, dict[int, float]]] = {}
    for row in rows:
        if row["stage"] == stage and row["epoch"] == EPOCHS:
            runs = found.setdefault(row["dataset"], {}).setdefault(row["model"], {})
            runs[row["seed"]] = row[column]
    return found


def decide(rows: Sequence[Row]) -> dict[str, Comparison]:
    """Leaky ReLU against ReLU on each data set of the final stage, by the declared rule."""
    found = compare_across(outcomes(rows, "final"), REFERENCE, rule=RULE)
    return {dataset: one for dataset, (one,) in found.items()}


def summary(rows: Sequence[Row]) -> list[Row]:
    """Test accuracy by stage, data set and condition: mean, 95 % BCa interval, what the rule says.

    ``edge`` says that the chosen rate still was the last of those tried.
    """
    from .statistics import interval

    decided, table = decide(rows), []
    for stage in ("protocol", "final"):
        for dataset, conditions in outcomes(rows, stage).items():
            for model, runs in conditions.items():
                low, high = interval(list(runs.values()))
                final = stage == "final"
                table.append(
                    {
                        "stage": stage,
                        "dataset": dataset,
                        "model": model,
                        "runs": len(runs),
                        "lr": TUNING.best(rows, dataset, model) if final else PRINTED_RATE,
                        "edge": final and TUNING.on_edge(rows, dataset, model),
                        "test_accuracy": sum(runs.values()) / len(runs),
                        "low": low,
                        "high": high,
                        "verdict": decided[dataset].verdict if final and model == CONDITION else "",
                    }
                )
    return table


_TUNING_COLUMNS = ("model", "lr", "seed", "valid_loss", "valid_accuracy", "diverged")

STUDY = Study(
    name="relu_vs_leaky",
    title="ReLU against Leaky ReLU, paired",
    question="Does a slope of 0.01 below zero change what a network with one hidden layer reaches?",
    stages=(
        Stage(
            "protocol",
            "the printed protocol, repaired, measured after every epoch; with an A/A control",
            _protocol,
            ("model", "seed", "epoch", *CURVE, *TEST),
        ),
        Stage("tune", "rates compared on held-out examples", _tune, _TUNING_COLUMNS),
        Stage("widen_1", "one rate beyond an edge that was best", _widen, _TUNING_COLUMNS),
        Stage("widen_2", "one rate beyond an edge that was best again", _widen, _TUNING_COLUMNS),
        Stage(
            "final",
            "the chosen rates with fresh paired seeds, tested once",
            _final,
            ("model", "lr", "seed", "epoch", "running_loss", "running_accuracy", *TEST, "wrong",
             "diverged"),
        ),
    ),
    budgets={
        "quick": {
            "protocol": {"digits": 30},
            "tuning": {"digits": 5},
            "final": {"digits": 60},
        },
        "middle": {
            "protocol": {"digits": 30, "mnist": 6},
            "tuning": {"digits": 5, "mnist": 3, "fashion_mnist": 3},
            "final": {"digits": 60, "mnist": 18, "fashion_mnist": 18},
        },
        "full": {
            "protocol": {"digits": 30, "mnist": 6},
            "tuning": {"digits": 5, "mnist": 3, "fashion_mnist": 3},
            "final": {"digits": 60, "mnist": 30, "fashion_mnist": 30},
        },
    },
    label=label,
    summary=summary,
    stack=60,
    train=train,
    groups=groups,
    rule=RULE,
)  # fmt: skip
