"""The pictures of the front page: cover, logo and favicon, drawn from the package's activations.

`python -m bookmaker.cover` writes them to `book/_static`, each for the light and the dark page.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from actbook import catalogue, figures
from actbook.figures.page import styled
from bookmaker.layout import BOOK
from bookmaker.sphinx.twins import dark

STATIC = BOOK / "_static"
FAMILY = ("elu", "relu", "gelu", "silu", "tanh", "sigmoid")
MARK = ("tanh", "silu", "relu")  # the three that make the logo
SHARPNESS = np.geomspace(0.35, 6, 9)  # of the fan behind the family, β in x·σ(βx)


def _blank(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure without margins or axes."""
    with styled():
        figure = Figure(figsize=(width, height))
        ax = figure.add_axes((0, 0, 1, 1))
    ax.set_axis_off()
    return figure, ax


def cover() -> str:
    """The family of activations, each with its name, before the fan from linear to ReLU."""
    figure, ax = figures.new(width=7.6, height=2.9)
    ax.set_axis_off()
    figures.through_origin(ax)
    x = np.linspace(-4.6, 2.3, 691)
    for beta in SHARPNESS:
        fan = catalogue["silu"](beta * x) / beta
        ax.plot(x, fan, color=figures.colour("line"), linewidth=0.6, linestyle="-")
    for name in FAMILY:
        act = catalogue[name]
        hue = figures.colour(name)
        ax.plot(x, act(x), label=figures.short_title(act), linewidth=2.6, linestyle="-", color=hue)
    ax.set(xlim=(-4.6, 2.3), ylim=(-1.1, 2.35))
    figures.label_ends(ax)
    return figures.svg(figure)


def logo() -> str:
    """The mark beside the title of the book."""
    figure, ax = _blank(3.4, 0.86)
    x = np.linspace(-3, 1.5, 121)
    for name in MARK:
        across, up = 0.06 + 0.72 * (x + 3) / 4.5, 0.36 + 0.28 * catalogue[name](x)
        ax.plot(across, up, color=figures.colour(name), linewidth=2.8, linestyle="-")
    ax.set(xlim=(0, 3.4), ylim=(0, 0.86))
    with styled():
        ax.text(0.98, 0.48, "Activation Functions", size=14.5, weight="bold")
        subtitle = ax.text(0.98, 0.2, "derived · implemented · measured", size=9.3)
        subtitle.set_color(figures.colour("text"))
    return figures.svg(figure)


def favicon() -> str:
    """The mark in a square, without its middle."""
    figure, ax = _blank(0.64, 0.64)
    x = np.linspace(-2.4, 1.6, 61)
    for name in (MARK[0], MARK[-1]):
        hue = figures.colour(name)
        ax.plot(x, catalogue[name](x), color=hue, linewidth=5, linestyle="-")
    ax.set(xlim=(-2.6, 1.9), ylim=(-1.5, 1.9))
    return figures.svg(figure)


PICTURES: dict[str, Callable[[], str]] = {"cover": cover, "logo": logo, "favicon": favicon}


def write(folder: Path = STATIC) -> list[Path]:
    """Write every picture and its dark twin; the paths."""
    written = []
    for name, draw in PICTURES.items():
        light = draw()
        for file, text in ((f"{name}.svg", light), (f"{name}-dark.svg", dark(light))):
            (folder / file).write_text(text, encoding="utf-8", newline="\n")
            written.append(folder / file)
    return written


if __name__ == "__main__":
    for path in write():
        print(path.name, path.stat().st_size, file=sys.stderr)
