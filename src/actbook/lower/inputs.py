"""What every backend says about inputs that it does not take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def dtype_error(name: str, argument: str, dtype: Any, allowed: Sequence[str]) -> TypeError:
    """The error for an input of a dtype that is not a supported float."""
    return TypeError(
        f"{name}: {argument} must have a floating dtype ({', '.join(allowed)}), got {dtype}; "
        f"convert it first, for instance to float32"
    )


def shape_error(name: str, shapes: Sequence[tuple[int, ...]]) -> ValueError:
    """The error for inputs whose shapes do not fit together."""
    listed = ", ".join(str(tuple(shape)) for shape in shapes)
    return ValueError(f"{name}: the inputs must have shapes that broadcast, got {listed}")
