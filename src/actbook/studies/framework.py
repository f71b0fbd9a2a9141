"""What a study is: stages, each a grid of configurations that follows from the rows before it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .statistics import Rule

__all__ = ["KNOWN", "MEASURED", "Row", "Stage", "Study", "StudyError", "study"]

Row = dict[str, Any]
#: Of a configuration: a ``Config``, or what a study with its own ``train`` has instead.
Grid = Callable[[Mapping[str, Any], Sequence[Row]], list[Any]]

#: How the names of measured columns begin, and of those that ``actbook.train.models`` records.
MEASURED = (
    "running_", "train_", "valid_", "test_",
    "gradient_norm_", "activation_mean_", "activation_variance_", "sparsity_", "dead_",
)  # fmt: skip
#: The studies of the book, one module of this package each.
KNOWN = (
    "mnist_mlp",
    "sigmoid_depth",
    "sigmoid_depth_fashion",
    "swish_beta",
    "born_dead",
    "rectifiers",
    "corners",
    "relu_vs_leaky",
    "depth_gradients",
    "self_normalising",
    "dead_units",
    "codesign",
)
#: Those that try the machinery; they are run by name and appear in no list.
TRIALS = ("toy",)


class StudyError(RuntimeError):
    """A study cannot be run, stored, exported or read; the message says why and what to do."""


@dataclass(frozen=True)
class Stage:
    """One grid of a study.

    ``grid(budget, rows)`` is a pure function: the settings of the budget and the rows of all stages
    before it give the configurations.  ``columns`` are exported, one table per stage and data set.
    """

    name: str
    purpose: str
    grid: Grid
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Study:
    """An experiment: its stages in order, its budgets, and how its rows are summed up.

    ``label(config)`` names the condition a row belongs to (column ``model``); ``summary(rows)``
    gives the table that ``study show`` prints.  ``stack`` bounds the members that train together.
    ``train`` takes the place of ``actbook.train.train`` where a study starts its networks itself,
    and is given a folder for its ``checkpoint`` where it takes one; ``groups`` that of
    ``actbook.train.groups``; ``modules`` are hashed with the study's own, for results answer for
    the code that made them.  ``rule`` decides its comparisons.
    """

    name: str
    title: str
    question: str
    stages: tuple[Stage, ...]
    budgets: Mapping[str, Mapping[str, Any]]
    label: Callable[[Any], str]
    summary: Callable[[Sequence[Row]], list[Row]]
    stack: int = 64
    train: Callable[..., list[Any]] | None = None
    groups: Callable[[Sequence[Any]], list[list[int]]] | None = None
    modules: tuple[str, ...] = ("actbook.train.engine", "actbook.data")
    rule: Rule = Rule()  # noqa: RUF009  (frozen)


def study(name: str) -> Study:
    """The study ``name``; StudyError when there is none."""
    if name not in (*KNOWN, *TRIALS):
        raise StudyError(f"no study {name!r}; there are: {', '.join(KNOWN)}")
    return importlib.import_module(f"{__package__}.{name}").STUDY
