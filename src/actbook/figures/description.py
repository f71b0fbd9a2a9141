"""Figures as text: what strict comparisons of notebooks compare instead of pixels."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.category import StrCategoryFormatter
from matplotlib.collections import (
    Collection,
    LineCollection,
    PathCollection,
    PolyCollection,
    QuadMesh,
)
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.contour import ContourSet
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedFormatter, FuncFormatter

CELL = "cell"  # the group of texts that only repeat the value of a cell


def labelled(artist: Any) -> bool:
    """Whether an artist was given a label (matplotlib marks its own by an underscore)."""
    label = str(artist.get_label())
    return bool(label) and not label.startswith("_")


def _number(value: float, size: float = 0.0) -> str:
    """Three digits, the same on every processor: noise far below `size` is 0, ties are snapped."""
    if not np.isfinite(value):
        return str(value)
    if abs(value) <= 1e-9 * size:
        return "0"
    snapped = Decimal(f"{value:.9e}")  # 0.50049999999999994 and 0.5005 are the same tie
    return f"{float(Context(prec=3, rounding=ROUND_HALF_EVEN).plus(snapped)):g}"


def _range(values: Any) -> str:
    numbers: np.ndarray = np.asarray(
        np.ma.filled(np.ma.asarray(values, dtype=float), np.nan)
    ).ravel()
    finite = numbers[np.isfinite(numbers)]
    if not finite.size:
        return "nothing finite"
    size = float(np.abs(finite).max())
    ends = f"{_number(float(finite.min()), size)} to {_number(float(finite.max()), size)}"
    lost = numbers.size - finite.size
    return f"{ends} ({lost} not finite)" if lost else ends


@dataclass(frozen=True)
class _Item:
    """One thing that a panel shows: its kind, its label, how much data, which ranges."""

    kind: str
    label: str
    count: int
    facts: str

    def text(self, exact: bool) -> str:
        named = f'{self.kind} "{self.label}"' if self.label else self.kind
        return f"{named}: {self.facts}" if exact else named


def _name(artist: Any) -> str:
    return str(artist.get_label()) if labelled(artist) else ""


def _line(line: Line2D) -> _Item:
    x, y = (np.asarray(part, dtype=float) for part in line.get_data())
    count = int((np.isfinite(x) & np.isfinite(y)).sum())
    if len(x) == 1:
        return _Item("point", _name(line), count, f"x {_number(x[0])}, y {_number(y[0])}")
    facts = f"{len(x)} points, x {_range(x)}, y {_range(y)}"
    return _Item("line", _name(line), count, facts)


def _errorbar(container: ErrorbarContainer) -> _Item:
    segments = np.concatenate(
        [np.concatenate([np.asarray(s) for s in bars.get_segments()]) for bars in container[2]]
    )
    count = len(segments) // 2 // max(1, len(container[2]))
    facts = f"{count} intervals, x {_range(segments[:, 0])}, y {_range(segments[:, 1])}"
    return _Item("intervals", _name(container), count, facts)


def _bars(container: BarContainer) -> _Item:
    bars = list(container.patches)
    label = _name(container) or (_name(bars[0]) if bars else "")
    upright = container.orientation != "horizontal"
    sizes = [bar.get_height() if upright else bar.get_width() for bar in bars]
    return _Item("bars", label, len(bars), f"{len(bars)} bars, sizes {_range(sizes)}")


def _table(values: Any) -> str:
    """The rows of a small table of numbers."""
    rows: np.ndarray = np.ma.filled(np.ma.asarray(values, dtype=float), np.nan)
    if rows.ndim != 2 or rows.size > 120:
        return ""
    size = float(np.nanmax(np.abs(rows)))
    return "".join("\n    " + " ".join(_number(v, size) for v in row) for row in rows.tolist())


def _collection(shape: Collection) -> _Item:
    label = _name(shape)
    if isinstance(shape, QuadMesh):
        table: Any = np.ma.asarray(shape.get_array())
        facts = f"{table.size} cells, values {_range(table)}"
        return _Item("cells", label, table.count(), facts + _table(table))
    if isinstance(shape, ContourSet):
        levels = np.asarray(shape.levels)
        return _Item("contours", label, len(levels), f"{len(levels)} levels, {_range(levels)}")
    if isinstance(shape, PathCollection):
        places: Any = np.ma.asarray(shape.get_offsets())
        facts = f"{len(places)} points, x {_range(places[:, 0])}, y {_range(places[:, 1])}"
        return _Item("points", label, len(places), facts)
    corners = [np.asarray(path.vertices) for path in shape.get_paths()]
    if not corners:
        return _Item("shape", label, 0, "nothing")
    points = np.concatenate(corners)
    kind = "segments" if isinstance(shape, LineCollection) else "shape"
    kind = "band" if isinstance(shape, PolyCollection) else kind
    facts = f"x {_range(points[:, 0])}, y {_range(points[:, 1])}"
    return _Item(kind, label, len(points), facts)


def _items(ax: Axes) -> list[_Item]:
    """Everything in the axes that stands for data, in the order it was drawn."""
    inside: set[int] = set()
    found = []
    for container in ax.containers:
        inside |= {id(child) for child in container.get_children()}
        if isinstance(container, ErrorbarContainer):
            found.append(_errorbar(container))
        elif isinstance(container, BarContainer):
            found.append(_bars(container))
    free = [artist for artist in ax.get_children() if id(artist) not in inside]
    for artist in free:
        if not artist.get_visible():
            continue
        if isinstance(artist, Line2D) and all(_in_data(artist, ax)):
            found.append(_line(artist))
        elif isinstance(artist, Collection):
            found.append(_collection(artist))
    for image in ax.images:
        pixels: Any = np.ma.asarray(image.get_array())
        facts = f"{' × '.join(map(str, pixels.shape))}, values {_range(pixels)}"
        found.append(_Item("image", _name(image), pixels.size, facts))
    for patch in ax.patches:
        if id(patch) not in inside and patch.get_visible():
            found.append(_Item("shape", _name(patch), 1, type(patch).__name__))
    return found


def _in_data(artist: Any, ax: Axes) -> tuple[bool, bool]:
    """Whether x and y of an artist are data (a line of `axhline` has only one that is)."""
    return tuple(artist.get_transform().contains_branch_seperately(ax.transData))


def _guides(ax: Axes, exact: bool) -> list[str]:
    """The labelled lines that mark a value (`axhline`, `axvline`)."""
    found = []
    for line in ax.lines:
        horizontal, vertical = _in_data(line, ax)
        if labelled(line) and horizontal != vertical:
            along, data = ("x", line.get_xdata()) if horizontal else ("y", line.get_ydata())
            value = _number(float(np.asarray(data, dtype=float)[0]))
            at = f" at {along} = {value}" if exact else ""
            found.append(f'guide "{line.get_label()}"{at}')
    return found


def _texts(ax: Axes, exact: bool) -> list[str]:
    ends = {id(note) for _, note in getattr(ax, "ends", [])}
    free = [text for text in ax.texts if id(text) not in ends and text.get_gid() != CELL]
    texts = [text.get_text() for text in free if text.get_text()]
    shown = texts if exact else [re.sub(r"\d+(\.\d+)?", "#", text) for text in texts]
    return [f'text "{text}"' for text in shown]


def _axis_text(ax: Axes, which: str, exact: bool) -> str:
    axis = getattr(ax, f"{which}axis")
    scale = axis.get_scale()
    low, high = axis.get_view_interval()
    size = abs(high - low)
    reach = f", {_number(low, size)} to {_number(high, size)}" if exact else ""
    return f"{which}: {axis.get_label_text().strip() or 'no label'} ({scale}{reach})"


def tick_names(ax: Axes, which: str) -> list[str]:
    """The names along an axis whose ticks were set by hand; empty for numbers."""
    formatter = getattr(ax, f"{which}axis").get_major_formatter()
    if isinstance(formatter, FixedFormatter | FuncFormatter | StrCategoryFormatter):
        names = [tick.get_text() for tick in getattr(ax, f"get_{which}ticklabels")()]
        return names if any(names) else []
    return []


def _axis(ax: Axes, which: str, exact: bool) -> str:
    """What one axis says: its names, or its label, scale and range."""
    names = tick_names(ax, which)
    label = getattr(ax, f"{which}axis").get_label_text().strip()
    if names:
        return f"{which}: {label + ': ' if label else ''}{', '.join(names)}"
    return _axis_text(ax, which, exact)


def _panel(ax: Axes, number: int, exact: bool) -> list[str]:
    titles = [ax.get_title(loc=place) for place in ("left", "center", "right")]
    title = " | ".join(t for t in titles if t)
    lines = [f"panel {number}" + (f': "{title}"' if title else "")]
    if ax.axison:
        lines += [f"  {_axis(ax, which, exact)}" for which in "xy"]
    shown = _items(ax)
    lines += [f"  {item.text(exact)}" for item in shown if item.label or item.kind == "image"]
    unnamed = sum(1 for item in shown if not item.label and item.kind != "image")
    lines += [f"  and {unnamed} without a label"] if unnamed and exact else []
    lines += [f"  {row}" for row in (*_guides(ax, exact), *_texts(ax, exact))]
    return lines


def describe(figure: Figure, exact: bool = True) -> str:
    """What a figure shows, as text: titles, axes, scales, ranges, every labelled curve, texts.

    Numbers have three digits and agree between processors. `exact=False` leaves out everything that
    is a number: for figures of times or of trained networks, which differ between machines.
    """
    shown = panels(figure)
    title = figure.get_suptitle() if hasattr(figure, "get_suptitle") else ""
    head = f"Figure with {len(shown)} panel{'s' if len(shown) != 1 else ''}"
    lines = [head + (f': "{title}"' if title else "")]
    for label in (figure.get_supxlabel(), figure.get_supylabel()):
        lines += [f"  common label: {label}"] if label else []
    for number, ax in enumerate(shown, start=1):
        lines += _panel(ax, number, exact)
    return "\n".join(lines)


def panels(figure: Figure) -> list[Axes]:
    """The axes that are seen, without colour bars."""
    return [ax for ax in figure.axes if ax.get_visible() and ax.get_label() != "<colorbar>"]


def data_count(ax: Axes) -> int:
    """How many finite points, cells, bars or pixels the axes show."""
    return sum(item.count for item in _items(ax))
