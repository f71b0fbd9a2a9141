"""What chapters draw again and again: activations, intervals, tables, pictures, labels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import ListedColormap, Normalize, to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Annotation

from actbook.figures.description import CELL, labelled
from actbook.figures.page import FigureError, new, styled
from actbook.figures.palette import colour, colour_map, contrast, style


def _activation(which: Any) -> Any:
    if not isinstance(which, str):
        return which
    from actbook import catalogue

    return catalogue[which]


def short_title(activation: Any) -> str:
    """The title of an activation as a label beside a curve: its name where the title is long.

    Common nouns are written small ("softsign"), abbreviations as they are ("ReLU").
    """
    act = _activation(activation)
    title = str(act.title) if len(act.title) <= 12 else str(act.name).replace("_", " ")
    return title.lower() if title == title.capitalize() else title


_ORDERS: dict[str, Callable[[Any, np.ndarray], Any]] = {
    "value": lambda act, x: act(x),
    "derivative": lambda act, x: act.grad(x),
}


def curves(
    ax: Axes,
    activations: Iterable[Any] | str,
    low: float = -6.0,
    high: float = 6.0,
    of: str = "value",
    points: int = 481,
    ends: bool = True,
) -> list[Line2D]:
    """Draw f (or f′ with of="derivative") of activations on [low, high], each in its own look.

    Activations are names of the catalogue or objects with `name`, `title`, `__call__` and `grad`.
    The labels stand at the ends of the curves; `ends=False` leaves that to the caller.
    """
    if of not in _ORDERS:
        raise ValueError(f"of must be one of {sorted(_ORDERS)}, not {of!r}")
    if not low < high:
        raise ValueError(f"low must lie below high, not {low} and {high}")
    x = np.linspace(low, high, points)
    chosen = [activations] if isinstance(activations, str) else list(activations)
    lines = []
    for which in chosen:
        act = _activation(which)
        y = _ORDERS[of](act, x)
        lines += ax.plot(x, y, label=short_title(act), **style(act.name))
    ax.set_xlim(low, high)
    ax.set_xlabel("input x")
    ax.set_ylabel("f(x)" if of == "value" else "f′(x)")
    if ends:
        label_ends(ax, lines)
    return lines


def profile(activation: Any, low: float = -6.0, high: float = 6.0) -> tuple[Figure, Any]:
    """One activation and its derivative on [low, high], in a figure of its own."""
    act = _activation(activation)
    x = np.linspace(low, high, 481)
    figure, ax = new()
    through_origin(ax)
    ax.plot(x, act(x), label="f(x)", **style("value"))
    ax.plot(x, act.grad(x), label="f′(x)", **style("derivative"))
    ax.set(xlabel="input x", ylabel="f(x) and f′(x)", title=act.title, xlim=(low, high))
    label_ends(ax)
    return figure, ax


def through_origin(ax: Axes) -> None:
    """Draw the two coordinate axes as thin lines."""
    for line in (ax.axhline(0), ax.axvline(0)):
        line.set(color=colour("line"), linewidth=0.9, linestyle="-", zorder=1)


def band(
    ax: Axes,
    x: Any,
    centre: Any,
    low: Any,
    high: Any,
    label: str,
    name: str | None = None,
    marker: bool = False,
) -> Line2D:
    """Draw a line `centre` with the interval from `low` to `high` shaded, in the look of `name`.

    All four have the same length; `name` is an activation or a role (default: the label).
    """
    values = [np.asarray(part, dtype=float) for part in (x, centre, low, high)]
    if len({part.shape for part in values}) != 1 or values[0].ndim != 1:
        shapes = ", ".join(str(part.shape) for part in values)
        raise ValueError(f"x, centre, low and high need one common length, not {shapes}")
    if np.any(values[2] > values[1]) or np.any(values[1] > values[3]):
        raise ValueError("the interval must enclose the centre: low ≤ centre ≤ high")
    look = style(name or label, marker)
    (line,) = ax.plot(values[0], values[1], label=label, **look)
    shade = ax.fill_between(values[0], values[2], values[3], color=look["color"], alpha=0.18, lw=0)
    shade.set_label(f"{label}, interval")
    return line


def forest(
    ax: Axes,
    labels: Sequence[str],
    centre: Any,
    low: Any,
    high: Any,
    names: Sequence[str] | None = None,
    reference: float | None = None,
    label: str = "interval",
) -> None:
    """Draw one row per label: a dot at `centre` and its interval, the first row at the top.

    `names` (activations or roles) give the looks; `reference` marks a value with a vertical line.
    """
    middle, lower, upper = (np.asarray(part, dtype=float) for part in (centre, low, high))
    if not len(labels) == len(middle) == len(lower) == len(upper):
        raise ValueError(
            f"{len(labels)} labels need as many centres and bounds, not "
            f"{len(middle)}, {len(lower)} and {len(upper)}"
        )
    if np.any(lower > middle) or np.any(middle > upper):
        raise ValueError("the interval must enclose the centre: low ≤ centre ≤ high")
    rows = np.arange(len(labels))
    if reference is not None:
        ax.axvline(reference, zorder=1, linewidth=1.2, **style("reference"))
    for row, name in enumerate(names or ["measured"] * len(labels)):
        look = style(name, marker=True)
        reach, hue = f"{labels[row]}, {label}", look["color"]
        ax.hlines(row, lower[row], upper[row], color=hue, linewidth=2.4, label=reach)
        ax.plot(middle[row], row, marker=look["marker"], color=hue, markersize=7, label=labels[row])
    ax.set_yticks(rows, list(labels))
    ax.set_ylim(len(labels) - 0.5, -0.5)
    ax.grid(axis="y", visible=False)
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="y", length=0)


def heatmap(
    ax: Axes,
    values: Any,
    rows: Sequence[str],
    columns: Sequence[str],
    label: str,
    kind: str = "sequential",
    limits: tuple[float, float] | None = None,
    form: str | None = "{:.2f}",
) -> QuadMesh:
    """Draw a table of numbers as coloured cells, the first row at the top, with a colour bar.

    `label` names the quantity; `form` writes it into each cell (None: not); a "diverging" map has
    its pale middle at 0 unless `limits` are given. NaN leaves its cell empty.
    """
    table = np.asarray(values, dtype=float)
    if table.shape != (len(rows), len(columns)):
        raise ValueError(f"{len(rows)} × {len(columns)} labels do not fit values {table.shape}")
    if not np.isfinite(table).any():
        raise ValueError("values must hold at least one finite number")
    bottom, top = limits or _limits(table, kind)
    shades = colour_map(kind)
    mesh = ax.pcolormesh(table, cmap=shades, vmin=bottom, vmax=top, edgecolor="none", label=label)
    ax.set(xlim=(0, len(columns)), ylim=(len(rows), 0))
    ax.set_xticks(np.arange(len(columns)) + 0.5, list(columns))
    ax.set_yticks(np.arange(len(rows)) + 0.5, list(rows))
    ax.grid(visible=False)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    if form is not None:
        _write_cells(ax, table, form, Normalize(bottom, top), shades)
    figure = ax.get_figure()
    assert figure is not None
    with styled():
        bar = figure.colorbar(mesh, ax=ax, label=label, pad=0.02)
    bar.outline.set_visible(False)
    bar.ax.grid(visible=False)
    return mesh


def _limits(table: np.ndarray, kind: str) -> tuple[float, float]:
    bottom, top = float(np.nanmin(table)), float(np.nanmax(table))
    if kind == "diverging":
        reach = max(abs(bottom), abs(top)) or 1.0
        return -reach, reach
    return (bottom, top) if bottom < top else (bottom - 0.5, top + 0.5)


def _write_cells(
    ax: Axes, table: np.ndarray, form: str, scale: Normalize, shades: ListedColormap
) -> None:
    for (row, column), value in np.ndenumerate(table):
        if np.isfinite(value):
            cell = to_hex(shades(float(scale(value))))
            readable = max(("ink", "paper"), key=lambda name: contrast(colour(name), cell))
            place = (column + 0.5, row + 0.5)
            text = ax.text(*place, form.format(value), ha="center", va="center", fontsize=9)
            text.set(color=colour(readable), gid=CELL)


def picture(ax: Axes, pixels: Any, title: str = "") -> None:
    """Draw an image: grey values (H × W, dark = 0) or colours (H × W × 3), without axes."""
    ax.imshow(np.asarray(pixels), interpolation="nearest")
    ax.set_title(title, fontsize=9, fontweight="normal", loc="center")
    ax.set_axis_off()


def label_ends(ax: Axes, lines: Sequence[Line2D] | None = None) -> None:
    """Write the label of each line at its right end, in its colour, instead of a legend.

    Default: all labelled lines of the axes. Labels that would overlap are moved apart.
    """
    chosen = lines if lines is not None else [line for line in ax.lines if labelled(line)]
    pairs = [(line, _end_label(ax, line)) for line in chosen]
    ax.ends = [*getattr(ax, "ends", []), *pairs]  # type: ignore[attr-defined]


def _end_label(ax: Axes, line: Line2D) -> Annotation:
    with styled():
        return ax.annotate(
            str(line.get_label()),
            (0.0, 0.0),
            xytext=(6, 0),
            textcoords="offset points",
            color=line.get_color(),
            va="center",
            ha="left",
            fontsize=9.5,
            annotation_clip=False,
        )


def _visible_end(ax: Axes, line: Line2D) -> tuple[float, float]:
    """The last point of a line inside the axes, in data coordinates."""
    left, right = sorted(ax.get_xlim())
    bottom, top = sorted(ax.get_ylim())
    x, y = (np.asarray(part, dtype=float) for part in line.get_data())
    inside = np.isfinite(x) & np.isfinite(y) & (x >= left) & (x <= right)
    if not inside.any():
        raise FigureError(f"the line {line.get_label()!r} has no point inside its axes")
    last = np.flatnonzero(inside)[np.argmax(x[inside])]
    return float(x[last]), float(np.clip(y[last], bottom, top))


def place_ends(figure: Figure) -> None:
    """Put the end labels at the ends of their lines, at least a line's height apart."""
    crowded = [ax for ax in figure.axes if getattr(ax, "ends", None)]
    for ax in crowded:
        for line, note in ax.ends:  # type: ignore[attr-defined]
            note.xy = _visible_end(ax, line)
            note.set_position((6, 0))
    if not crowded:
        return
    figure.draw_without_rendering()  # the layout must be known before heights can be compared
    for ax in crowded:
        pairs = ax.ends  # type: ignore[attr-defined]
        point = figure.dpi / 72
        wanted = [float(ax.transData.transform(note.xy)[1]) / point for _, note in pairs]
        for (_, note), moved, was in zip(pairs, _apart(wanted, 12.5), wanted, strict=True):
            note.set_position((6, moved - was))


def _apart(heights: Sequence[float], gap: float) -> list[float]:
    """The heights nearest to the given ones, in the same order, that lie at least `gap` apart.

    Pool-adjacent-violators: blocks of crowded labels are centred on the mean of their wishes.
    """
    order = np.argsort(np.asarray(heights), kind="stable")
    blocks: list[tuple[float, int]] = []  # (sum of wishes less their steps, size)
    for rank, index in enumerate(order):
        blocks.append((heights[index] - rank * gap, 1))
        while len(blocks) > 1 and blocks[-2][0] / blocks[-2][1] > blocks[-1][0] / blocks[-1][1]:
            (total, size), (more, count) = blocks[-2:]
            blocks[-2:] = [(total + more, size + count)]
    bases = [total / size for total, size in blocks for _ in range(size)]
    placed = [0.0] * len(heights)
    for rank, index in enumerate(order):
        placed[index] = bases[rank] + rank * gap
    return placed
