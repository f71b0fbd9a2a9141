"""The colours of the book, each with a form for the light page and one for the dark page.

A figure is drawn for a white page in the first form of each colour; replacing each by its second
form gives the twin for a dark page. Activations and roles have one fixed look each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from zlib import crc32

import numpy as np
from matplotlib.colors import ListedColormap, to_hex

# name: (on the light page, on the dark page). The contrast with the page is at least 4.5 for
# everything that is read (ink to grey), and the order of contrasts is the same on both pages.
_COLOURS: dict[str, tuple[str, str]] = {
    "paper": ("#ffffff", "#121212"),
    "ink": ("#1f2328", "#e6e8eb"),
    "text": ("#4a525c", "#b6bdc6"),
    "grey": ("#68717c", "#98a1ac"),
    "line": ("#a9b1ba", "#59626d"),
    "grid": ("#e3e7eb", "#2b3036"),
    "blue": ("#1a6fe0", "#5f8bff"),
    "vermilion": ("#a82e06", "#ff7a45"),
    "green": ("#0a6146", "#4fd0a0"),
    "purple": ("#5e1a99", "#e5a0ff"),
    "amber": ("#9a6c04", "#f2cb30"),
    "sky": ("#177d93", "#7fd6ea"),
    "rose": ("#a3126a", "#ff8fc6"),
}

_SEQUENTIAL = (
    ("#eef3f8", "#a9cbe8", "#4f8fc9", "#1a5595", "#07264d"),
    ("#1b2027", "#22456b", "#2f74b3", "#6fb1ec", "#dcedff"),
)
_DIVERGING = (
    ("#0d3b70", "#5391ca", "#f4f4f3", "#d97f4e", "#7a2b03"),
    ("#a8d3ff", "#36709f", "#1d1f22", "#9a5126", "#ffc3a0"),
)
_LEVELS = 41


def _linear(colour: str) -> np.ndarray:
    """The linear light of an sRGB colour #rrggbb, three numbers in [0, 1]."""
    srgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def _oklab(colour: str) -> np.ndarray:
    """The OKLab coordinates of an sRGB colour (Ottosson 2020): even steps look even."""
    return np.asarray(_FROM_LMS @ np.cbrt(_TO_LMS @ _linear(colour)))


def _srgb(oklab: np.ndarray) -> str:
    """The sRGB colour at OKLab coordinates, clipped to what a screen shows."""
    linear = np.linalg.solve(_TO_LMS, np.linalg.solve(_FROM_LMS, oklab) ** 3).clip(0, 1)
    srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return str(to_hex(tuple(srgb)))


_TO_LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_FROM_LMS = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def _steps(stops: Sequence[str]) -> list[str]:
    """`_LEVELS` colours at equal steps along the stops."""
    points = np.array([_oklab(stop) for stop in stops])
    at = np.linspace(0, len(stops) - 1, _LEVELS)
    lab = np.stack([np.interp(at, range(len(stops)), points[:, i]) for i in range(3)], axis=1)
    return [_srgb(row) for row in lab]


def _palette() -> dict[str, tuple[str, str]]:
    colours = dict(_COLOURS)
    for name, (light, dark) in (("sequential", _SEQUENTIAL), ("diverging", _DIVERGING)):
        pairs = zip(_steps(light), _steps(dark), strict=True)
        colours |= {f"{name}-{i}": pair for i, pair in enumerate(pairs)}
    return colours


PALETTE: Mapping[str, tuple[str, str]] = MappingProxyType(_palette())
"""Every colour of the book: name → (light, dark)."""

TWINS: Mapping[str, str] = MappingProxyType(dict(PALETTE.values()))
"""The colour of the dark page that stands for a colour of the light page."""


@dataclass(frozen=True)
class _Look:
    hue: str
    line: str = "-"
    marker: str = "o"


# Curves that often stand in one figure differ in hue; relatives share the hue and differ in line.
_LOOKS: dict[str, _Look] = {
    "identity": _Look("grey", "--", "x"),
    "step": _Look("rose", "-", "P"),
    "sigmoid": _Look("blue", "-", "o"),
    "tanh": _Look("green", "-", "s"),
    "softsign": _Look("sky", "--", "D"),
    "hardsigmoid": _Look("rose", ":", "*"),
    "logsigmoid": _Look("sky", "-.", "<"),
    "relu": _Look("vermilion", "-", "^"),
    "leaky_relu": _Look("rose", "--", "v"),
    "prelu": _Look("rose", "-.", ">"),
    "elu": _Look("sky", "-", "h"),
    "silu": _Look("amber", "-", "D"),
    "gelu": _Look("purple", "-", "p"),
    "swiglu": _Look("amber", "--", "d"),
    "softmax": _Look("green", "-.", "8"),
    # roles
    "value": _Look("blue", "-", "o"),
    "derivative": _Look("vermilion", "--", "s"),
    "second": _Look("green", "-.", "^"),
    "theory": _Look("ink", "--", "_"),
    "measured": _Look("blue", "-", "o"),
    "reference": _Look("grey", ":", "x"),
    "train": _Look("blue", "--", "s"),
    "valid": _Look("green", "-.", "^"),
    "test": _Look("vermilion", "-", "o"),
    "stored": _Look("purple", "-", "o"),
    "live": _Look("amber", "--", "D"),
    "printed": _Look("rose", "--", "v"),
    "tuned": _Look("green", "-", "o"),
    "holds": _Look("green", "-", "o"),
    "fails": _Look("vermilion", "--", "X"),
    "depends": _Look("amber", "-.", "D"),
    "float16": _Look("vermilion", "-.", "^"),
    "bfloat16": _Look("rose", ":", "v"),
    "float32": _Look("blue", "-", "o"),
    "float64": _Look("green", "--", "s"),
}

HUES = ("blue", "vermilion", "green", "purple", "amber", "sky", "rose")
_LINES = ("-", "--", "-.", ":")
_MARKERS = "os^Dvp<h>d"


def _look(name: str) -> _Look:
    if name in _COLOURS:
        return _Look(name)
    if name in _LOOKS:
        return _LOOKS[name]
    number = crc32(name.encode())  # fixed for ever, whatever else is drawn
    return _Look(
        HUES[number % len(HUES)],
        _LINES[number // 7 % len(_LINES)],
        _MARKERS[number // 28 % len(_MARKERS)],
    )


def colour(name: str) -> str:
    """The fixed colour, #rrggbb, of an activation ("relu"), role ("derivative") or hue ("blue").

    A name without an entry of its own gets a colour derived from its letters, always the same.
    """
    return PALETTE[_look(name).hue][0]


def style(name: str, marker: bool = False) -> dict[str, Any]:
    """Keywords for `ax.plot`: colour and line style of a name, with its marker if asked."""
    look = _look(name)
    chosen = {"color": colour(name), "linestyle": look.line}
    return chosen | {"marker": look.marker} if marker else chosen


def colour_map(kind: str = "sequential") -> ListedColormap:
    """The house colour map, "sequential" (pale → blue) or "diverging" (blue → pale → vermilion)."""
    if kind not in ("sequential", "diverging"):
        raise ValueError(f"kind must be 'sequential' or 'diverging', not {kind!r}")
    return ListedColormap([PALETTE[f"{kind}-{i}"][0] for i in range(_LEVELS)], name=kind)


def _luminance(colour: str) -> float:
    """The relative luminance of WCAG 2.2."""
    return float(np.dot(_linear(colour), (0.2126, 0.7152, 0.0722)))


def contrast(one: str, other: str) -> float:
    """The contrast ratio of WCAG 2.2, from 1 to 21."""
    bright, dim = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)
