"""What :mod:`actbook.train` trains besides plain multilayer perceptrons: a richer configuration.

``Model`` is a ``Config`` with normalisation, residual connections, dropout, values of the
activation's parameters, an initial gain, and what is recorded along the way.  ``fit`` and ``train``
take its place in calls of ``actbook.train.fit`` and ``train`` and give the same rows, with more
columns where more is recorded:

    rows = fit([Model(activation="elu", parameters=(("alpha", 0.5),), record=("gradients",))])

A member of a group equals :func:`network` trained alone, bit for bit on a CPU (one thread, unfused
``torch.optim``), whatever its neighbours are; where a batch has one example and a layer one or two
units, up to the rounding of a sum.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from .config import Config, ConfigError, _is_integer, _one_of, _require, groups

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from torch import nn

    from .. import data
    from .engine import Progress, Row, Trained

__all__ = ["Config", "ConfigError", "Model", "fit", "groups", "network", "train"]

#: The module of this package that builds each architecture besides the multilayer perceptron.  It
#: is loaded by name, so that results answer only for the architectures that they used: a study that
#: trains one lists ``Model.module`` among its ``modules``.
BUILDERS = {
    "cnn": "convolutional",
    "rnn": "recurrent",
    "lstm": "recurrent",
    "gru": "recurrent",
    "transformer": "transformer",
}
ARCHITECTURES = ("mlp", *BUILDERS)
NORMALISATIONS = ("none", "batch", "layer")
DROPOUTS = ("plain", "alpha")
RECORDS = ("gradients", "activations", "dead", "parameters")


@dataclass(frozen=True)
class Model(Config):
    """One network, how it is trained, and what is recorded.

    A hidden layer of the multilayer perceptron is Linear, normalisation, activation, dropout, in
    this order; ``residual`` adds the layer's input to its output wherever both have one width.
    ``normalisation``: "batch" is ``torch.nn.BatchNorm1d`` (evaluation uses its running statistics),
    "layer" ``torch.nn.LayerNorm``.

    ``dropout`` is the probability of dropping a hidden unit's output in training.  "plain" sets it
    to 0 and divides the others by 1 − p; "alpha" (Klambauer et al. 2017, for SELU) sets it to −λα
    and maps all affinely, which keeps mean 0 and variance 1.

    ``parameters``: values of the activation's parameters, pairs (name, value), as
    ``Activation.at`` takes them; a learnable parameter starts there.  ``per_unit``: learnable
    parameters have a value for every unit, not one for the layer.

    ``gain`` takes the place of ``init``: weights N(0, gain²/fan_in), biases N(0, ``bias_std``²),
    which is zero unless told.  With gain √2 the weights are those of "he", with 1 of "lecun".

    ``architecture`` may also be "cnn", "rnn", "lstm", "gru" or "transformer"; what ``widths`` and
    the other fields then mean is said in :mod:`.convolutional`, :mod:`.recurrent` and
    :mod:`.transformer`.  ``context`` is the number of steps of a sequence, ``heads`` and ``blocks``
    are the transformer's.  A study that trains one lists ``module`` among its ``modules``.

    ``record``, at the end of each measured epoch, k counting layers from 1:

    - "gradients": ``gradient_norm_k``, Euclidean norm of the gradient of the mean loss with respect
      to the k-th weight, on the probe (the first 256 training examples), dropout off;
    - "activations": ``activation_mean_k``, ``activation_variance_k`` and ``sparsity_k`` (share of
      outputs that are exactly 0) of the k-th activation's outputs on the probe, dropout off;
    - "dead": ``dead_k``, the number of units of the k-th activation whose derivative is exactly 0,
      as training computes it, on every training example, in evaluation mode;
    - "parameters": the learnable parameters of the k-th activation by name, as in ``alpha_1``;
      their mean over the units where each unit has its own.

    Normalisation uses the statistics of the probe itself for the first two.  Recording changes no
    bit of the training.
    """

    architecture: str = "mlp"
    normalisation: str = "none"
    residual: bool = False
    dropout: float = 0.0
    dropout_kind: str = "plain"
    parameters: tuple[tuple[str, float], ...] = ()
    per_unit: bool = False
    gain: float | None = None
    bias_std: float = 0.0
    record: tuple[str, ...] = ()
    context: int = 0
    heads: int = 2
    blocks: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "parameters", _as_pairs(self.parameters))
        if isinstance(self.record, list):
            object.__setattr__(self, "record", tuple(self.record))
        for name, allowed in _CHOICES.items():
            given = getattr(self, name)
            _require(name, given, given in allowed, _one_of(allowed))
        for name in ("residual", "per_unit"):
            given = getattr(self, name)
            _require(name, given, isinstance(given, bool), "True or False")
        _require("dropout", self.dropout, _is_number(self.dropout) and 0 <= self.dropout < 1,
                 "a number in [0, 1)")  # fmt: skip
        _require("gain", self.gain, self.gain is None or _is_positive(self.gain),
                 "None or a finite number above 0")  # fmt: skip
        _require("bias_std", self.bias_std,
                 _is_number(self.bias_std) and math.isfinite(self.bias_std) and self.bias_std >= 0,
                 "a finite number of at least 0")  # fmt: skip
        _require("bias_std", self.bias_std, self.gain is not None or self.bias_std == 0,
                 "0 where no gain is given")  # fmt: skip
        _require("init", self.init, self.gain is None or self.init == "torch",
                 "left alone where a gain is given")  # fmt: skip
        _require("parameters", self.parameters, _are_pairs(self.parameters),
                 "pairs of a name and a number, each name once")  # fmt: skip
        _require("record", self.record,
                 isinstance(self.record, tuple) and set(self.record) <= set(RECORDS),
                 f"a tuple of {_one_of(RECORDS)}")  # fmt: skip
        for name in ("heads", "blocks"):
            given = getattr(self, name)
            _require(name, given, _is_integer(given) and given >= 1, "a positive integer")
        _require("context", self.context, _is_integer(self.context) and self.context != 1
                 and self.context >= 0, "0, or an integer of at least 2")  # fmt: skip

    @property
    def module(self) -> str | None:
        """The module, beside this one, that builds the architecture; None for the "mlp"."""
        builder = BUILDERS.get(self.architecture)
        return builder and f"{__package__}.{builder}"


def architecture(model: Model) -> Any:
    """The module that builds the architecture of a model that is no multilayer perceptron."""
    assert model.module is not None
    return importlib.import_module(model.module)


def network(config: Config) -> nn.Module:
    """The network of ``config`` before training, a plain module; see :mod:`.networks`."""
    from .networks import network as build

    return build(as_model(config))


def fit(
    configs: Iterable[Config],
    *,
    device: str | torch.device | None = None,
    progress: Progress | bool | None = None,
    datasets: Mapping[str, data.Dataset] | None = None,
    checkpoint: Path | None = None,
) -> list[Row]:
    """As :func:`actbook.train.fit`, for a ``Model`` or a ``Config``."""
    trained = train(
        configs, device=device, progress=progress, datasets=datasets, checkpoint=checkpoint
    )
    return [row for member in trained for row in member.rows]


def train(
    configs: Iterable[Config],
    *,
    device: str | torch.device | None = None,
    progress: Progress | bool | None = None,
    datasets: Mapping[str, data.Dataset] | None = None,
    checkpoint: Path | None = None,
) -> list[Trained]:
    """As :func:`actbook.train.train`, for a ``Model`` or a ``Config``.

    The networks come back in evaluation mode.  With ``checkpoint``, a folder, the state of the
    training is kept there about once a minute; the same call then goes on from it, to the same
    bits.  See :mod:`.checkpoint`.
    """
    from .stack import train as run

    return run(configs, device=device, progress=progress, datasets=datasets, checkpoint=checkpoint)


def as_model(config: Config) -> Model:
    """The same network as a ``Model``; ConfigError for a configuration that says more."""
    if isinstance(config, Model):
        return config
    if type(config) is not Config:
        raise ConfigError(
            f"configs must be Config or Model, not {type(config).__name__}, whose fields beyond "
            "those of Config would be ignored"
        )
    return Model(**{field.name: getattr(config, field.name) for field in fields(Config)})


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_positive(value: Any) -> bool:
    return _is_number(value) and math.isfinite(value) and value > 0


def _as_pairs(given: Any) -> Any:
    """Tuples for the mappings and lists that a caller, or a file read back, may have."""
    pairs = given.items() if isinstance(given, Mapping) else given
    if not isinstance(given, Mapping | list | tuple):
        return given
    return tuple(tuple(p) if isinstance(p, list | tuple) else p for p in pairs)


def _are_pairs(value: object) -> bool:
    pairs = isinstance(value, tuple) and all(
        isinstance(p, tuple) and len(p) == 2 and isinstance(p[0], str) and _is_number(p[1])
        for p in value
    )
    return pairs and len(dict(value)) == len(value)  # type: ignore[call-overload, arg-type]


_CHOICES = {
    "architecture": ARCHITECTURES,
    "normalisation": NORMALISATIONS,
    "dropout_kind": DROPOUTS,
}
