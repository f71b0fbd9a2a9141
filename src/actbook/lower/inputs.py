"""What every backend says about inputs that it does not take."""

from __future__ import annotations

import operator
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


def dimension(name: str, rank: int, dim: Any) -> int:
    """``dim`` as an integer that counts one of ``rank`` dimensions, from the end if negative."""
    try:
        number = operator.index(dim)
    except TypeError:
        raise TypeError(f"{name}: dim must be an integer, got {dim!r}") from None
    if not rank:
        raise ValueError(f"{name}: x must have a dimension to act along, got a single number")
    if not -rank <= number < rank:
        raise ValueError(f"{name}: dim must lie between {-rank} and {rank - 1}, got {number}")
    return number
