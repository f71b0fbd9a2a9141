"""What one training run is: a frozen record, checked when it is made."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from typing import Any

__all__ = ["Config", "ConfigError", "groups"]

OPTIMIZERS = ("adam", "adamw", "sgd")
INITS = ("torch", "glorot", "he", "lecun")
LOSSES = ("cross_entropy", "mse")
POLICIES = ("training", "contract")
DTYPES = ("float32", "float64")
SPLITS = ("train", "valid", "test")
MOMENTS = ("epoch", "end")


class ConfigError(ValueError):
    """A field of a Config is not allowed; the message names it, what was given, what is allowed."""


@dataclass(frozen=True)
class Config:
    """One multilayer perceptron and how it is trained.

    ``widths`` runs from the input to the classes: (784, 128, 10) has one hidden layer, (784, 10) is
    a linear model and uses no activation.  ``init``: "torch" is U(±1/√fan_in) for weights and
    biases; "glorot" U(±√(6/(fan_in+fan_out))), "he" N(0, 2/fan_in) and "lecun" N(0, 1/fan_in) have
    zero biases.  ``valid`` examples of the training set are held out for validation (see
    ``data.load``).  ``splits`` are the splits that are measured, after every epoch or at the end
    (``measure``); the running mean over the training batches is always recorded.  Equal ``seed``
    means equal initial draws and equal data order, whatever the other fields: runs are paired.
    """

    dataset: str = "digits"
    widths: tuple[int, ...] = (64, 32, 10)
    activation: str = "relu"
    optimizer: str = "adam"
    lr: float = 1e-3
    epochs: int = 10
    batch: int = 32
    seed: int = 0
    init: str = "torch"
    loss: str = "cross_entropy"
    policy: str = "training"
    weight_decay: float = 0.0
    momentum: float = 0.0
    eps: float = 1e-8
    dtype: str = "float32"
    valid: int = 0
    splits: tuple[str, ...] = SPLITS
    measure: str = "epoch"

    def __post_init__(self) -> None:
        for name in ("widths", "splits"):
            value = getattr(self, name)
            if isinstance(value, list):
                object.__setattr__(self, name, tuple(value))
        for name, allowed in _CHOICES.items():
            _require(name, getattr(self, name), getattr(self, name) in allowed, _one_of(allowed))
        for name, (test, allowed_text) in _NUMBERS.items():
            value = getattr(self, name)
            ok = isinstance(value, int | float) and not isinstance(value, bool) and test(value)
            _require(name, value, ok, allowed_text)
        for name in ("dataset", "activation"):
            value = getattr(self, name)
            _require(name, value, isinstance(value, str) and value != "", "a name")
        widths_ok = (
            isinstance(self.widths, tuple)
            and len(self.widths) >= 2
            and all(_is_integer(width) and width >= 1 for width in self.widths)
        )
        _require("widths", self.widths, widths_ok, "two or more positive integers")
        splits_ok = isinstance(self.splits, tuple) and set(self.splits) <= set(SPLITS)
        _require("splits", self.splits, splits_ok, f"a tuple of {_one_of(SPLITS)}")
        ignored = self.momentum != 0 and self.optimizer != "sgd"
        _require("momentum", self.momentum, not ignored, f"0 for {self.optimizer}")

    @property
    def stack_key(self) -> tuple[Any, ...]:
        """What members of one stack have in common: everything but the seed and the rate."""
        return tuple(getattr(self, f.name) for f in fields(self) if f.name not in ("seed", "lr"))

    def as_dict(self) -> dict[str, Any]:
        """The fields by name."""
        return asdict(self)


def groups(configs: Iterable[Config]) -> list[list[int]]:
    """Positions of the configurations that train in one stack, in the order of their first one."""
    found: dict[tuple[Any, ...], list[int]] = {}
    for position, config in enumerate(configs):
        found.setdefault(config.stack_key, []).append(position)
    return list(found.values())


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _require(name: str, given: object, ok: bool, allowed: str) -> None:
    if not ok:
        raise ConfigError(f"{name} must be {allowed}, not {given!r}")


def _one_of(allowed: tuple[str, ...]) -> str:
    return "one of " + ", ".join(map(repr, allowed))


_CHOICES = {
    "optimizer": OPTIMIZERS,
    "init": INITS,
    "loss": LOSSES,
    "policy": POLICIES,
    "dtype": DTYPES,
    "measure": MOMENTS,
}
_NUMBERS = {
    "lr": (lambda v: math.isfinite(v) and v > 0, "a finite number above 0"),
    "epochs": (lambda v: _is_integer(v) and v >= 1, "a positive integer"),
    "batch": (lambda v: _is_integer(v) and v >= 1, "a positive integer"),
    "seed": (lambda v: _is_integer(v) and v >= 0, "an integer of at least 0"),
    "weight_decay": (lambda v: math.isfinite(v) and v >= 0, "a finite number of at least 0"),
    "momentum": (lambda v: 0 <= v < 1, "a number in [0, 1)"),
    "eps": (lambda v: math.isfinite(v) and v > 0, "a finite number above 0"),
    "valid": (lambda v: _is_integer(v) and v >= 0, "an integer of at least 0"),
}
