"""The style: settings that hold for one figure at a time, and the figure they are made for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, wraps
from typing import Any

import matplotlib as mpl
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Annotation

from actbook.figures.palette import HUES, colour


@cache
def _settings() -> dict[Any, Any]:
    ink, text, line, grid = (colour(name) for name in ("ink", "text", "line", "grid"))
    house = {
        "figure.facecolor": colour("paper"),
        "figure.dpi": 100,
        "font.family": "DejaVu Sans",  # ships with matplotlib: the same glyphs on every machine
        "font.size": 10,
        "mathtext.fontset": "dejavusans",
        "text.color": ink,
        "axes.facecolor": "none",
        "axes.edgecolor": line,
        "axes.labelcolor": text,
        "axes.labelsize": 10,
        "axes.titlesize": 10.5,
        "axes.titleweight": "bold",
        "axes.titlecolor": ink,
        "axes.titlelocation": "left",
        "axes.titlepad": 8,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.linewidth": 0.9,
        "axes.axisbelow": True,
        "axes.grid": True,
        "axes.prop_cycle": cycler(color=[colour(hue) for hue in HUES])
        + cycler(linestyle=["-", "--", "-.", ":", "-", "--", "-."]),
        "grid.color": grid,
        "grid.linewidth": 0.8,
        "xtick.color": line,
        "ytick.color": line,
        "xtick.labelcolor": text,
        "ytick.labelcolor": text,
        "xtick.labelsize": 9,
        "ytick.labelsize": 9,
        "xtick.major.size": 3,
        "ytick.major.size": 3,
        "xtick.minor.size": 0,
        "ytick.minor.size": 0,
        "lines.linewidth": 2,
        "lines.markersize": 5.5,
        "lines.solid_capstyle": "round",
        "patch.edgecolor": ink,
        "hatch.color": ink,
        "hatch.linewidth": 0.8,
        "legend.frameon": False,
        "legend.fontsize": 9,
        "legend.handlelength": 2.6,
        "legend.labelcolor": ink,
        "image.cmap": "gray",
        "svg.fonttype": "path",  # the page's reader needs no font of ours
        "svg.hashsalt": "actbook",
    }
    # the defaults first, so that nobody's own settings show through; never the backend
    default = {key: value for key, value in mpl.rcParamsDefault.items() if key != "backend"}
    return default | house


@contextmanager
def styled() -> Iterator[None]:
    """The house settings for as long as the block runs."""
    with mpl.rc_context(_settings()):
        yield


def _in_style(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def drawn(*args: Any, **keywords: Any) -> Any:
        with styled():
            return method(*args, **keywords)

    return drawn


class FigureError(ValueError):
    """A figure that must not be shown: it is empty, or an axis says nothing."""


class HouseAxes(Axes):
    """Axes whose artists take the house style, also when they are added after `new` returned."""

    ends: list[tuple[Line2D, Annotation]]


_DRAWING = (
    *("annotate", "arrow", "text", "legend", "set_title", "set_xlabel", "set_ylabel"),
    *("plot", "step", "stairs", "scatter", "errorbar", "loglog", "semilogx", "semilogy"),
    *("axhline", "axvline", "axline", "axhspan", "axvspan", "hlines", "vlines"),
    *("bar", "barh", "hist", "boxplot", "violinplot", "stem", "eventplot"),
    *("fill", "fill_between", "fill_betweenx", "contour", "contourf", "quiver", "streamplot"),
    *("imshow", "matshow", "pcolormesh", "hexbin", "tick_params", "set_xscale", "set_yscale"),
)
for _name in _DRAWING:
    setattr(HouseAxes, _name, _in_style(getattr(Axes, _name)))


class HouseFigure(Figure):
    """A figure whose own texts and legends take the house style as well."""


for _name in ("text", "legend", "suptitle", "supxlabel", "supylabel", "colorbar"):
    setattr(HouseFigure, _name, _in_style(getattr(Figure, _name)))

_WIDTHS = {1: 5.6, 2: 7.6}  # inches; the column of the page is 7.6 wide


def new(
    rows: int = 1,
    columns: int = 1,
    width: float | None = None,
    height: float | None = None,
    **keywords: Any,
) -> tuple[Figure, Any]:
    """A figure in the house style: (figure, axes), axes as `plt.subplots` gives them.

    Sizes are in inches. Further keywords go to `Figure.subplots` (`sharex`, `width_ratios`, …).
    """
    if rows < 1 or columns < 1:
        raise ValueError(f"a figure has at least one row and one column, not {rows} × {columns}")
    wide = width or _WIDTHS.get(columns, 7.6)
    high = height or (3.4 if columns == 1 and rows == 1 else 2.9 * rows)
    with styled():
        figure = HouseFigure(figsize=(wide, high), layout="constrained")
        given = {"axes_class": HouseAxes} | dict(keywords.pop("subplot_kw", None) or {})
        if "projection" in given:
            del given["axes_class"]
        axes = figure.subplots(rows, columns, subplot_kw=given, **keywords)
    return figure, axes
