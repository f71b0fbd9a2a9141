"""Training: networks that share a shape learn together, each exactly as it would alone.

``fit`` returns tidy rows, one per configuration and epoch; ``train`` gives the trained networks
too; ``network`` is an untrained one.  What a row holds is said in :func:`actbook.train.engine.fit`:

    rows = train.fit([train.Config(activation=a, epochs=2) for a in ("relu", "tanh")])
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .config import Config, ConfigError, groups

if TYPE_CHECKING:
    from .engine import Trained, fit, train
    from .members import network

__all__ = ["Config", "ConfigError", "Trained", "fit", "groups", "network", "train"]

# Loaded on first use, because they need torch and a Config does not.
_LAZY = {"Trained": "engine", "fit": "engine", "train": "engine", "network": "members"}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(f".{_LAZY[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
